//! Problems as texts to learn from: one problem a text, and only what a model is to write is learnt.

use crate::data::suite::{END, Mix, Problem, Split, Suite};
use crate::error::Result;
use crate::model::language::Corpus;
use crate::seed::Seed;

/// Fresh training problems in the proportions of `mix`. Problem i depends on the seed and i alone.
pub fn problems(suite: &Suite, mix: &Mix, n: usize, seed: Seed) -> Vec<Problem> {
    let draw = |i: u64| {
        let mut rng = seed.nth("problem", i).rng();
        let capability = mix.sample(&mut rng);
        suite.draw(capability, Split::Train, &mut rng)
    };
    (0..n as u64).map(draw).collect()
}

/// Texts of `context` tokens: a prompt, then the completion that is to be learnt. What is left of a text is
/// [`END`] and counts for nothing, and so does the prompt.
pub fn corpus<'a>(
    pairs: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>,
    context: usize,
) -> Result<Corpus> {
    Corpus::of(pairs, context, u16::from(END))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::suite::Ranges;

    #[test]
    fn a_text_learns_its_completion_and_nothing_else() {
        let pairs = [(&b"A1+2>"[..], &b"12.3=3\0"[..])];
        let Corpus { tokens, next } = corpus(pairs.into_iter(), 12).unwrap();
        let bytes: Vec<u8> = tokens.iter().map(|&t| t as u8).collect();
        assert_eq!(bytes, b"A1+2>12.3=3\0");
        let learnt: Vec<i32> = b"12.3=3\0".iter().map(|&b| i32::from(b)).collect();
        assert_eq!(next.row(0).to_vec()[..4], [-1; 4]);
        assert_eq!(next.row(0).to_vec()[4..11], learnt);
        assert_eq!(next[[0, 11]], -1);
    }

    #[test]
    fn a_text_may_end_one_token_beyond_the_context_and_no_more() {
        let of = |context| corpus([(&b"ab"[..], &b"cd\0"[..])].into_iter(), context);
        assert_eq!(of(4).unwrap().next.row(0).to_vec(), [-1, 99, 100, 0]);
        assert!(of(3).unwrap_err().to_string().contains("up to 4 tokens"));
        assert!(corpus([(&b""[..], &b"a"[..])].into_iter(), 4).is_err());
    }

    #[test]
    fn whoever_draws_fewer_problems_draws_the_first() {
        let suite = Suite::new(Ranges::default()).unwrap();
        let draw = |n| problems(&suite, &Mix::default(), n, Seed::new(4));
        assert_eq!(draw(20)[..], draw(50)[..20]);
    }
}
