//! The layer of a defense that has done its work before anything is asked: what passes stays as it is.

use super::{Defense, Next};
use crate::error::Result;
use crate::oracle::{Batch, Reply};

/// Passes rows and answers on.
pub struct Untouched {
    /// The kind that it stands for.
    pub name: &'static str,
}

impl Defense for Untouched {
    fn name(&self) -> &'static str {
        self.name
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        next.run(batch)
    }
}
