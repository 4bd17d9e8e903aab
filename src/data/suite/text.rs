//! Free text: some bytes of context, and how the text goes on.

use rand::Rng;

use super::prose::prose;
use super::{Capability, END, Kind, Problem, Split};
use crate::error::{Error, Result};
use crate::seed::below;

/// Bytes of a prompt, after its letter.
const CONTEXT: usize = 16;
/// Bytes of an answer.
const CONTINUATION: usize = 44;
const WINDOW: usize = CONTEXT + CONTINUATION;
/// Bytes that are for training or for the test together. Windows overlap, so splitting these alone would
/// leave most of the test's text in training.
const PAGE: usize = 512;
/// Generated windows begin within so many bytes, anywhere in a sentence.
const SKIP: usize = 64;

/// Where text comes from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// Made when it is asked for.
    Generated,
    /// Cut from this text, at places for training and for the test.
    Cut { text: Vec<u8>, train: Vec<usize>, test: Vec<usize> },
}

impl Source {
    /// Splits whole pages; what remains of the last page is left out.
    pub(super) fn cut(text: &[u8]) -> Result<Self> {
        if let Some(place) = text.iter().position(|b| *b == END) {
            let place = format!("byte {place}");
            return Err(Error::data("free text", place, "0", "any byte but 0, the end of answers"));
        }
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for (page, bytes) in text.chunks_exact(PAGE).enumerate() {
            let side = Split::of(bytes);
            let places = if side == Split::Train { &mut train } else { &mut test };
            // Equal prompts may occur on pages of both sides.
            let fits = |at: &usize| problem(&text[*at..]).split() == side;
            let first = page * PAGE;
            places.extend((first..=first + PAGE - WINDOW).filter(fits));
        }
        if train.is_empty() || test.is_empty() {
            let found = format!("{} bytes, {} test windows", text.len(), test.len());
            let expected =
                format!("text enough for both sides: some 50 different pages of {PAGE} bytes");
            return Err(Error::input("free text", found, expected));
        }
        Ok(Self::Cut { text: text.to_vec(), train, test })
    }

    /// A random window. Generated text is not yet of one side; the caller draws until it is.
    pub(super) fn draw(&self, split: Split, rng: &mut impl Rng) -> Problem {
        match self {
            Self::Generated => {
                let skip = below(rng, SKIP);
                problem(&prose(rng, skip + WINDOW).as_bytes()[skip..])
            }
            Self::Cut { text, train, test } => {
                let places = if split == Split::Train { train } else { test };
                problem(&text[places[below(rng, places.len())]..])
            }
        }
    }
}

/// The window at the start of `text`, which must hold one.
fn problem(text: &[u8]) -> Problem {
    let (context, rest) = text.split_at(CONTEXT);
    let prompt = [&[Capability::Text.tag() as u8], context].concat();
    let answer = rest[..CONTINUATION].to_vec();
    Problem { capability: Capability::Text, kind: Kind::Text, prompt, answer }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;

    #[test]
    fn a_window_is_16_bytes_and_the_next_44() {
        let text: Vec<u8> = (1..=100).collect();
        let problem = problem(&text);
        assert_eq!(problem.prompt, [b"T", &text[..16]].concat());
        assert_eq!(problem.answer, &text[16..60]);
    }

    #[test]
    fn a_text_from_a_file_is_split_by_pages_and_by_prompts() {
        let text: Vec<u8> = prose(&mut Seed::new(1).rng(), 100_000).into_bytes();
        let Source::Cut { train, test, .. } = Source::cut(&text).unwrap() else { panic!() };
        let pages = |places: &[usize]| {
            places.iter().map(|at| at / PAGE).collect::<std::collections::BTreeSet<_>>()
        };
        assert!(pages(&train).is_disjoint(&pages(&test)));
        assert!(train.iter().chain(&test).all(|at| at % PAGE + WINDOW <= PAGE));
        assert!(train.iter().all(|at| problem(&text[*at..]).split() == Split::Train));
        assert!(test.iter().all(|at| problem(&text[*at..]).split() == Split::Test));
    }

    #[test]
    fn text_that_cannot_serve_both_sides_is_refused() {
        for text in [&b""[..], &[b'a'; 511], &[b'a'; 100_000]] {
            assert!(matches!(Source::cut(text), Err(Error::Input { .. })), "{}", text.len());
        }
        let message = Source::cut(b"ab\0").unwrap_err().to_string();
        assert!(message.starts_with("free text: byte 2: found 0"), "{message}");
    }
}
