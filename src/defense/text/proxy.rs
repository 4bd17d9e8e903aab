//! What some defenses hold beside the teacher.

use crate::model::language::{Corpus, Language};

/// A model in the place of the students that a defender expects, which it cannot see.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// With the tokens of the teacher.
    pub model: Language,
    /// The defender's own texts, of the kind that students are not to learn from. Only what is to be learnt of
    /// them counts.
    pub lessons: Corpus,
}
