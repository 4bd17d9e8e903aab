//! Addition with every step written down, so that what a shown scratchpad is worth can be measured.
//!
//! One group per place, lowest first: a digit of each operand (`_` where it has none), `c` if a carry
//! comes in, else `.`, and the digit of the sum. A carry out of the last place is a group `1` of its own.

use rand::Rng;

use super::{Capability, Given, Kind, Problem, words};
use crate::seed::below;

/// A random sum: lengths of the operands by weight, operands without leading zeros.
pub(super) fn draw(digit_weights: &[u32], rng: &mut impl Rng) -> Problem {
    let a = operand(digit_weights, rng);
    problem(a, operand(digit_weights, rng))
}

fn operand(digit_weights: &[u32], rng: &mut impl Rng) -> usize {
    let digits = words::weighted(rng, digit_weights) as u32;
    let low = if digits == 0 { 0 } else { 10_usize.pow(digits) };
    low + below(rng, 10_usize.pow(digits + 1) - low)
}

fn problem(a: usize, b: usize) -> Problem {
    let kind = Kind::Digits(a.max(b).to_string().len());
    Problem::new(Capability::Reasoning, kind, &format!("A{a}+{b}>"), &worked(a, b))
}

/// The steps and the sum.
fn worked(a: usize, b: usize) -> String {
    let [x, y] = [a, b].map(|n| n.to_string().bytes().rev().collect::<Vec<u8>>());
    let (mut groups, mut carry) = (Vec::new(), 0);
    for place in 0..x.len().max(y.len()) {
        let [p, q] = [&x, &y].map(|digits| digits.get(place).copied());
        let sum = [p, q].into_iter().flatten().map(|digit| digit - b'0').sum::<u8>() + carry;
        let [p, q] = [p, q].map(|digit| char::from(digit.unwrap_or(b'_')));
        groups.push(format!("{p}{q}{}{}", if carry == 1 { 'c' } else { '.' }, sum % 10));
        carry = sum / 10;
    }
    if carry == 1 {
        groups.push("1".to_string());
    }
    format!("{}={}", groups.join(","), a + b)
}

/// The operands in one order, whichever they were asked in.
pub(super) fn key(prompt: &[u8]) -> Vec<u8> {
    let sum = prompt.strip_prefix(b"A").and_then(|p| p.strip_suffix(b">")).unwrap_or(prompt);
    let mut operands: Vec<&[u8]> = sum.split(|b| *b == b'+').collect();
    operands.sort_unstable();
    operands.join(&b'+')
}

/// Whether a result is given at all: digits after the last `=`.
pub(super) fn given(result: &[u8]) -> Given {
    match result {
        [b'=', number @ ..] if !number.is_empty() && number.iter().all(u8::is_ascii_digit) => {
            Given::Answer
        }
        _ => Given::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;

    #[test]
    fn every_place_is_written_down() {
        for (a, b, prompt, answer) in [
            (583, 907, "A583+907>", "37.0,80c9,59.4,1=1490"),
            (3, 4, "A3+4>", "34.7=7"),
            (0, 0, "A0+0>", "00.0=0"),
            (83, 7, "A83+7>", "37.0,8_c9=90"),
            (5, 999, "A5+999>", "59.4,_9c0,_9c0,1=1004"),
            (9999, 9999, "A9999+9999>", "99.8,99c9,99c9,99c9,1=19998"),
        ] {
            let problem = problem(a, b);
            assert_eq!(String::from_utf8(problem.prompt).unwrap(), prompt);
            assert_eq!(String::from_utf8(problem.answer).unwrap(), answer);
        }
    }

    #[test]
    fn lengths_of_operands_follow_their_weights_up_to_nine_digits() {
        let mut rng = Seed::new(1).rng();
        let mut counts = [0; 3];
        for _ in 0..20_000 {
            counts[operand(&[15, 30, 55], &mut rng).to_string().len() - 1] += 1;
        }
        for (count, share) in counts.into_iter().zip([0.15, 0.30, 0.55]) {
            assert!((f64::from(count) / 20_000.0 - share).abs() < 0.015, "{counts:?}");
        }
        let weights = [0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(draw(&weights, &mut rng).kind, Kind::Digits(9));
    }
}
