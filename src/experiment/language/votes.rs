//! Self-consistency (Wang et al. 2022, arXiv:2203.11171): a prompt is asked several times, and one of the answers
//! that most agree with is kept.

use super::student::Exchange;
use crate::data::suite::{Capability, END};
use crate::defense::text::prompt::is_worked;

/// The first answer of the largest group with one result, for each run of `votes` exchanges of a prompt; nothing
/// where no two answers agree. Every answer was paid for.
pub fn kept(held: Vec<Exchange>, votes: usize) -> Vec<Exchange> {
    if votes < 2 {
        return held;
    }
    let elected = held.chunks(votes).filter_map(|asked| {
        let results: Vec<Vec<u8>> = asked.iter().map(result).collect();
        let agreeing = |result: &Vec<u8>| results.iter().filter(|other| *other == result).count();
        // The first of the largest groups: `max_by_key` takes the last.
        let (first, count) =
            results.iter().map(agreeing).enumerate().rev().max_by_key(|(_, n)| *n)?;
        (count > 1 || asked.len() == 1).then(|| asked[first].clone())
    });
    elected.collect()
}

/// What answers are compared by: the result after a scratchpad, other answers whole.
fn result(exchange: &Exchange) -> Vec<u8> {
    let text = exchange.text();
    match is_worked(&exchange.prompt) {
        true => Capability::Reasoning.without_scratchpad(&text).to_vec(),
        false => text.split(|b| *b == END).next().unwrap_or_default().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::completion::Completion;

    fn exchange(prompt: &str, answer: &str) -> Exchange {
        let tokens = answer.bytes().map(u16::from).collect();
        Exchange { prompt: prompt.into(), answer: Completion { tokens, logprobs: None } }
    }

    fn texts(held: Vec<Exchange>, votes: usize) -> Vec<String> {
        let each = kept(held, votes).into_iter();
        each.map(|e| String::from_utf8(e.text()).unwrap()).collect()
    }

    #[test]
    fn the_first_answer_of_a_majority_is_kept_and_results_alone_are_compared() {
        let held = || {
            vec![
                exchange("A1+2>", "12.4=4\0"),
                exchange("A1+2>", "12.3=3\0"),
                exchange("A1+2>", "other=3\0"),
                exchange("Fc:ab>", "ab\0"),
                exchange("Fc:ab>", "ac\0"),
                exchange("Fc:ab>", "ad\0"),
            ]
        };
        assert_eq!(texts(held(), 3), ["12.3=3\0"]);
        assert_eq!(texts(held(), 1).len(), 6);
        // A budget that ends within a prompt leaves one answer, which nothing speaks against.
        assert_eq!(texts(held()[..4].to_vec(), 3), ["12.3=3\0", "ab\0"]);
    }
}
