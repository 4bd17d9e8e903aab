//! Running a small program: from a digit on, one operation after another, strictly left to right.
//!
//! The answer repeats every operation with its result. Values stay small enough that what is hard is to
//! follow the program, not to calculate.

use rand::Rng;

use super::words::{between, pick};
use super::{Capability, Kind, Problem};
use crate::seed::below;

/// Largest value on the way; the smallest is 0.
const LARGEST: i64 = 49;

/// One operation: `+`, `-` or `*` and a number.
type Operation = (char, i64);

/// A random program of `fewest` to `most` operations.
pub(super) fn draw(fewest: usize, most: usize, rng: &mut impl Rng) -> Problem {
    let (start, length) = (below(rng, 10) as i64, between(rng, fewest, most));
    let (mut operations, mut value) = (Vec::new(), start);
    while operations.len() < length {
        let operation = operation(rng);
        let next = apply(value, operation);
        if (0..=LARGEST).contains(&next) {
            operations.push(operation);
            value = next;
        }
    }
    problem(start, &operations)
}

/// Two in five add, two in five subtract, one in five multiplies.
fn operation(rng: &mut impl Rng) -> Operation {
    let sign = pick(rng, &['+', '+', '-', '-', '*']);
    let number = if sign == '*' { between(rng, 2, 3) } else { between(rng, 1, 9) };
    (sign, number as i64)
}

fn apply(value: i64, (sign, number): Operation) -> i64 {
    match sign {
        '+' => value + number,
        '-' => value - number,
        _ => value * number,
    }
}

fn problem(start: i64, operations: &[Operation]) -> Problem {
    let (mut prompt, mut answer, mut value) = (format!("R{start}"), String::new(), start);
    for &(sign, number) in operations {
        value = apply(value, (sign, number));
        prompt.push_str(&format!("{sign}{number}"));
        answer.push_str(&format!("{sign}{number}={value}"));
    }
    prompt.push('>');
    Problem::new(Capability::Run, Kind::Operations(operations.len()), &prompt, &answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;

    #[test]
    fn operations_apply_from_left_to_right() {
        let problem = problem(6, &[('+', 7), ('-', 2), ('*', 2)]);
        assert_eq!(problem.prompt, b"R6+7-2*2>");
        assert_eq!(problem.answer, b"+7=13-2=11*2=22");
        assert_eq!(problem.kind, Kind::Operations(3));
    }

    #[test]
    fn no_value_on_the_way_leaves_0_to_49() {
        let mut rng = Seed::new(1).rng();
        for _ in 0..5_000 {
            let answer = String::from_utf8(draw(2, 7, &mut rng).answer).unwrap();
            let values = answer.split('=').skip(1).map(|rest| {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                digits.parse::<i64>().unwrap()
            });
            assert!(values.into_iter().all(|v| (0..=LARGEST).contains(&v)), "{answer}");
        }
    }
}
