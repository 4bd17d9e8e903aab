//! Trace inversion (arXiv:2603.07267): a model that learnt from worked examples writes the scratchpads that an API
//! hides, given prompt and result.

use std::sync::Arc;

use super::exam::Candidate;
use super::spec::Training;
use super::student::Student;
use crate::data::suite::END;
use crate::defense::text::prompt::is_worked;
use crate::error::Result;
use crate::seed::Seed;

/// Prompts that are worked out together.
const BATCH: usize = 64;
/// Most bytes of a scratchpad with its result.
const MOST: usize = 48;

/// A prompt with its completion, both as bytes.
pub type Pair = (Vec<u8>, Vec<u8>);

/// What an inverter is asked: the prompt with its result before the closing `>`, `A583+907=1490>`.
fn question(prompt: &[u8], result: &[u8]) -> Vec<u8> {
    let open = prompt.strip_suffix(b">").unwrap_or(prompt);
    [open, result, b">"].concat()
}

/// The result of a completion with or without a scratchpad: from the last `=` on, without [`END`].
fn result(completion: &[u8]) -> &[u8] {
    let end = completion.iter().position(|b| *b == END).unwrap_or(completion.len());
    let text = &completion[..end];
    &text[text.iter().rposition(|b| *b == b'=').unwrap_or(text.len())..]
}

/// A model that writes scratchpads: `fresh` after it has learnt `worked` examples.
pub fn inverter(
    fresh: &Student,
    training: &Training,
    worked: &[Pair],
    seed: Seed,
) -> Result<Student> {
    let lessons = worked.iter().filter(|(prompt, _)| is_worked(prompt));
    let lessons = lessons.map(|(p, c)| (question(p, result(c)), c.clone()));
    let lessons: Vec<Pair> = lessons.collect();
    if lessons.is_empty() {
        return Ok(fresh.clone());
    }
    fresh.learn(training, &lessons, seed)
}

/// Bare results of `held` with scratchpads that a model wrote, which is asked for where there are any. One that comes to
/// another result is dropped: the bare result stays.
pub fn rebuilt(
    held: Vec<Pair>,
    inverter: impl FnOnce() -> Result<Arc<Student>>,
) -> Result<Vec<Pair>> {
    let bare = |(prompt, completion): &&Pair| {
        is_worked(prompt) && result(completion).len() > 1 && completion.starts_with(b"=")
    };
    let asked: Vec<Vec<u8>> = held
        .iter()
        .filter(bare)
        .map(|(prompt, completion)| question(prompt, result(completion)))
        .collect();
    if asked.is_empty() {
        return Ok(held);
    }
    let inverter = inverter()?;
    let mut written = Vec::with_capacity(asked.len());
    for batch in asked.chunks(BATCH) {
        written.extend(inverter.write(batch, MOST)?);
    }
    let mut written = written.into_iter();
    let put = |pair: Pair| {
        if !bare(&&pair) {
            return pair;
        }
        let text = written.next().unwrap_or_default();
        match text.ends_with(&[END]) && result(&text) == result(&pair.1) {
            true => (pair.0, text),
            false => pair,
        }
    };
    Ok(held.into_iter().map(put).collect())
}

#[cfg(test)]
mod tests {
    use super::super::spec::Size;
    use super::*;

    #[test]
    fn a_question_holds_the_result_and_a_result_has_no_scratchpad() {
        assert_eq!(question(b"A583+907>", b"=1490"), b"A583+907=1490>");
        assert_eq!(result(b"37.0,80c9=1490\0junk=3"), b"=1490");
        assert_eq!(result(b"nothing"), b"");
    }

    #[test]
    fn scratchpads_come_back_where_they_lead_to_the_result_and_nowhere_else() {
        // One step: the digit twice, then the result.
        let pair = |d: u8, shown: bool| {
            let scratchpad = if shown { vec![d, d] } else { Vec::new() };
            (vec![b'A', d, b'>'], [&scratchpad[..], &[b'=', d, END]].concat())
        };
        let worked: Vec<Pair> = (0..100).map(|i| pair(b'0' + i % 8, true)).collect();
        let size = Size { layers: 1, heads: 2, width: 16 };
        let fresh = Student::fresh(size, Seed::new(1)).unwrap();
        let training = Training { steps: 300, ..Training::default() };
        let mut held: Vec<Pair> = (0..8).map(|i| pair(b'0' + i, false)).collect();
        // A result that the worked examples do not lead to, and a capability without scratchpads.
        held.push((b"A3>".to_vec(), b"=7\0".to_vec()));
        held.push((b"Fc:a=b>".to_vec(), b"=b\0".to_vec()));
        let made = |worked: &[Pair]| inverter(&fresh, &training, worked, Seed::new(1));
        let back = rebuilt(held.clone(), || made(&worked).map(Arc::new)).unwrap();
        for (i, back) in (0..).zip(&back[..8]) {
            assert_eq!(*back, pair(b'0' + i, true));
        }
        assert_eq!(back[8..], held[8..]);
        // Without examples nothing is learnt, and where nothing is bare nobody is asked.
        assert_eq!(rebuilt(held.clone(), || made(&[]).map(Arc::new)).unwrap(), held);
        assert_eq!(rebuilt(worked.clone(), || unreachable!()).unwrap(), worked);
    }
}
