//! Random numbers by address: a draw depends on who draws, what for and the how-manieth time, and on
//! nothing that others do. So every arm of a replicate meets the same people with the same wishes (common
//! random numbers), at any number of threads.
//!
//! Philox 4x32-10: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3.

use crate::Seed;

/// What a draw is for. Purposes never share numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// What a person is like.
    Person,
    /// When the next request comes.
    Arrival,
    /// What is asked.
    Request,
    /// Topic and template of what is asked.
    Content,
    /// Whether a detector with a known error rate alarms; its place is added.
    Detector = 16,
    /// How a review or an appeal ends.
    Review = 8,
    /// Who is let through a limit that all share.
    Lot = 9,
    /// How long a client waits beyond what it was told.
    Backoff = 10,
    /// Coordinates of a request's vector, four at a time; the place of the four is added.
    Vector = 1 << 16,
}

/// The draws of a replicate.
#[derive(Clone, Copy, Debug)]
pub struct Draws {
    key: [u32; 2],
}

impl Draws {
    /// Draws of a replicate of this scenario.
    pub fn new(seed: u64, replicate: u32) -> Self {
        use rand::Rng as _;
        let mut rng =
            Seed::new(seed).child("campaign").nth("replicate", u64::from(replicate)).rng();
        Self { key: [rng.next_u32(), rng.next_u32()] }
    }

    /// Draws that all replicates of a scenario share.
    pub fn shared(seed: u64) -> Self {
        use rand::Rng as _;
        let mut rng = Seed::new(seed).child("campaign").child("shared").rng();
        Self { key: [rng.next_u32(), rng.next_u32()] }
    }

    /// Four words for the `nth` draw of `who` in `epoch`.
    #[inline]
    pub fn words(&self, who: u32, purpose: Purpose, epoch: u32, nth: u32) -> [u32; 4] {
        philox([nth, epoch, who, purpose as u32], self.key)
    }

    /// As [`Draws::words`], for the draw at `place` of several with one purpose.
    #[inline]
    pub fn words_at(
        &self,
        who: u32,
        purpose: Purpose,
        place: u32,
        epoch: u32,
        nth: u32,
    ) -> [u32; 4] {
        philox([nth, epoch, who, purpose as u32 + place], self.key)
    }
}

/// Ten rounds.
#[inline]
pub(super) fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let a = u64::from(counter[0]) * 0xD251_1F53;
        let b = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

/// A uniform number in (0, 1), never either end.
#[inline]
pub fn unit(word: u32) -> f64 {
    (f64::from(word) + 0.5) * (1.0 / 4_294_967_296.0)
}

/// Whether an event of chance `p` happens.
#[inline]
pub fn happens(word: u32, p: f64) -> bool {
    unit(word) < p
}

/// A whole number below `n`; biased by at most n / 2^32.
#[inline]
pub const fn below(word: u32, n: u32) -> u32 {
    ((word as u64 * n as u64) >> 32) as u32
}

/// A share as a threshold for words: a word below it happens.
#[inline]
pub fn threshold(p: f64) -> u64 {
    (p.clamp(0.0, 1.0) * 4_294_967_296.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_answers_of_random123_are_met() {
        // Random123 1.14, tests/kat_vectors, philox4x32 with 10 rounds.
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }
}
