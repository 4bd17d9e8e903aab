//! The exchange log: one small entry a row, the newest kept when a bound is set.

use std::collections::VecDeque;

use super::{AccountId, Tick};

/// What became of a logged row, without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    Answered,
    OverBudget,
    Throttled,
    Blocked,
    WorkRequired,
    BrokenOff,
}

/// One row at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Number of the row since the gateway opened, from 0.
    pub number: u64,
    /// Who asked.
    pub account: AccountId,
    /// When.
    pub at: Tick,
    /// Hash of the input row: equal inputs have equal hashes.
    pub input: u64,
    /// What became of it.
    pub code: Code,
}

/// Entries in the order of their rows.
#[derive(Clone, Debug)]
pub struct Log {
    entries: VecDeque<Entry>,
    capacity: usize,
    next: u64,
}

impl Log {
    /// Keeps the newest `capacity` entries.
    pub fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), capacity, next: 0 }
    }

    /// Adds the next row.
    pub fn push(&mut self, account: AccountId, at: Tick, input: u64, code: Code) {
        if self.capacity > 0 {
            if self.entries.len() == self.capacity {
                self.entries.pop_front();
            }
            self.entries.push_back(Entry { number: self.next, account, at, input, code });
        }
        self.next += 1;
    }

    /// The entries kept, oldest first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Entries that were pushed out.
    pub fn dropped(&self) -> u64 {
        self.next - self.entries.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_keeps_the_newest_rows_and_says_how_many_it_lost() {
        let mut log = Log::new(2);
        for input in 0..5 {
            log.push(AccountId(0), Tick(input), input, Code::Answered);
        }
        assert_eq!(log.entries().map(|e| e.number).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(log.dropped(), 3);
    }
}
