//! Writing a small program from three pairs of what goes in and what comes out.
//!
//! A program is up to four letters, applied left to right to a list of three digits. Programs of one or
//! two letters make 21 different functions. A written program is right if it does on hidden inputs what
//! the sought one does; these tell apart all programs that can be written, so shorter or longer ways
//! to the same function count and no lucky fit does.

use rand::Rng;

use super::words::pick;
use super::{Capability, Given, Kind, Problem, Split};
use crate::seed::{below, permutation};

/// Three digits, all different.
type List = [u8; 3];

/// Functions of one operation.
const ONE: [&str; 5] = ["r", "s", "i", "l", "x"];
/// Functions of two operations that no single one does, each by the first of its spellings.
const TWO: [&str; 16] = [
    "ri", "rl", "rx", "sr", "si", "sl", "sx", "is", "ii", "il", "ix", "lr", "ll", "lx", "xs", "xi",
];
/// Those that may be kept for the test. Each is the other order of one that is not (`lr`, `is`, `xi`,
/// `sx`), so who knows only the operations, and not that order counts, fails here.
const UNSEEN: [&str; 4] = ["rl", "si", "ix", "xs"];
/// Percent of problems with two operations.
const TWO_SHARE: usize = 40;
/// Longest program that is run.
const MAX_OPERATIONS: usize = 4;
/// Where programs are compared. No prompt shows these.
const HIDDEN: [List; 5] = [[7, 2, 0], [1, 5, 8], [2, 3, 9], [7, 3, 6], [5, 6, 2]];

/// A random function by three examples that no other of the 21 fits.
pub(super) fn draw(hold_out: bool, split: Split, rng: &mut impl Rng) -> Problem {
    // The function comes first: if it were drawn anew with every rejected example, functions that are
    // all for the test would crowd out the others there.
    let (program, kind) = function(hold_out, split, rng);
    loop {
        let inputs @ [a, b, c] = [list(rng), list(rng), list(rng)];
        if a == b || b == c || a == c || inputs.iter().any(|l| HIDDEN.contains(l)) {
            continue;
        }
        let problem = problem(program, kind, &inputs);
        if fitting(program, &inputs) == 1 && problem.split() == split {
            return problem;
        }
    }
}

fn function(hold_out: bool, split: Split, rng: &mut impl Rng) -> (&'static str, Kind) {
    if below(rng, 100) >= TWO_SHARE {
        return (pick(rng, &ONE), Kind::OneOp);
    }
    let unseen = |program: &&str| hold_out && UNSEEN.contains(program);
    let open: Vec<&str> =
        TWO.into_iter().filter(|program| split == Split::Test || !unseen(program)).collect();
    let program = pick(rng, &open);
    (program, if unseen(&program) { Kind::TwoOpUnseen } else { Kind::TwoOp })
}

fn list(rng: &mut impl Rng) -> List {
    let order = permutation(rng, 10);
    [order[0] as u8, order[1] as u8, order[2] as u8]
}

fn problem(program: &str, kind: Kind, inputs: &[List; 3]) -> Problem {
    let show = |list: List| list.map(|digit| char::from(b'0' + digit)).iter().collect::<String>();
    let pair = |&list: &List| {
        let output =
            run(program.as_bytes(), list).expect("the 21 functions are made of operations");
        format!("{}-{}", show(list), show(output))
    };
    let pairs: Vec<String> = inputs.iter().map(pair).collect();
    Problem::new(Capability::Write, kind, &format!("W{}>", pairs.join(",")), program)
}

/// How many of the 21 functions do to these inputs what the program does.
fn fitting(program: &str, inputs: &[List]) -> usize {
    let fits = |other: &&str| {
        inputs.iter().all(|&list| run(other.as_bytes(), list) == run(program.as_bytes(), list))
    };
    ONE.iter().chain(&TWO).filter(|other| fits(other)).count()
}

/// The list after all operations; `None` if one of them is unknown.
fn run(program: &[u8], list: List) -> Option<List> {
    program.iter().try_fold(list, |list, operation| apply(*operation, list))
}

/// Reverse, sort upwards, add 1 to each digit (9 becomes 0), rotate to the left, take each from 9.
fn apply(operation: u8, list: List) -> Option<List> {
    let [a, b, c] = list;
    match operation {
        b'r' => Some([c, b, a]),
        b's' => {
            let mut sorted = list;
            sorted.sort_unstable();
            Some(sorted)
        }
        b'i' => Some(list.map(|digit| (digit + 1) % 10)),
        b'l' => Some([b, c, a]),
        b'x' => Some(list.map(|digit| 9 - digit)),
        _ => None,
    }
}

/// What a program does to the hidden inputs; `None` if it is no program of one to four operations.
fn behaviour(program: &[u8]) -> Option<[List; 5]> {
    if !(1..=MAX_OPERATIONS).contains(&program.len()) {
        return None;
    }
    let mut outputs = HIDDEN;
    for output in &mut outputs {
        *output = run(program, *output)?;
    }
    Some(outputs)
}

/// Whether `written` is a program, and whether it does what `sought` does.
pub(super) fn check(sought: &[u8], written: &[u8]) -> (bool, Given) {
    match behaviour(written) {
        None => (false, Given::Other),
        outputs => (outputs == behaviour(sought), Given::Answer),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::Seed;

    /// All 720 lists.
    fn lists() -> Vec<List> {
        let all = (0..1_000).map(|n| [(n / 100) as u8, (n / 10 % 10) as u8, (n % 10) as u8]);
        all.filter(|[a, b, c]| a != b && b != c && a != c).collect()
    }

    /// All programs of up to `longest` operations, shortest first.
    fn programs(longest: usize) -> Vec<Vec<u8>> {
        let (mut all, mut last) = (Vec::new(), vec![Vec::new()]);
        for _ in 0..longest {
            let extend = |p: &Vec<u8>| b"rsilx".map(|op| [p.as_slice(), &[op]].concat());
            last = last.iter().flat_map(extend).collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    /// What a program does everywhere.
    fn meaning(program: &[u8]) -> Vec<Option<List>> {
        lists().into_iter().map(|list| run(program, list)).collect()
    }

    #[test]
    fn the_printed_example_is_met() {
        let problem = problem("sl", Kind::TwoOp, &[[4, 9, 6], [5, 0, 3], [8, 3, 4]]);
        assert_eq!(problem.prompt, b"W496-694,503-350,834-483>");
        assert_eq!(problem.answer, b"sl");
        assert_eq!(fitting("sl", &[[4, 9, 6], [5, 0, 3], [8, 3, 4]]), 1);
    }

    #[test]
    fn programs_of_two_operations_make_21_functions_beside_the_one_that_changes_nothing() {
        let mut spellings = BTreeMap::new();
        for program in programs(2) {
            spellings.entry(meaning(&program)).or_insert(program);
        }
        spellings.remove(&meaning(b""));
        let spellings: BTreeSet<Vec<u8>> = spellings.into_values().collect();
        let named = ONE.iter().chain(&TWO).map(|program| program.as_bytes().to_vec());
        assert_eq!(spellings, named.collect());
        assert_eq!(spellings.len(), 21);
    }

    #[test]
    fn hidden_inputs_tell_apart_all_programs_that_can_be_written() {
        let mut by_behaviour = BTreeMap::new();
        for program in programs(MAX_OPERATIONS) {
            let everywhere = meaning(&program);
            let first = by_behaviour.entry(behaviour(&program)).or_insert(everywhere.clone());
            assert_eq!(*first, everywhere, "{program:?}");
        }
        assert_eq!(by_behaviour.len(), 117);
        let functions = ONE.iter().chain(&TWO).map(|program| behaviour(program.as_bytes()));
        assert_eq!(functions.collect::<BTreeSet<_>>().len(), 21);
    }

    #[test]
    fn only_one_function_fits_what_is_shown_and_hidden_inputs_are_never_shown() {
        let mut rng = Seed::new(1).rng();
        for split in [Split::Train, Split::Test] {
            for _ in 0..3_000 {
                let problem = draw(true, split, &mut rng);
                let text = String::from_utf8(problem.prompt).unwrap();
                let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).collect();
                let pairs: Vec<[u8; 6]> = digits.chunks(6).map(|c| c.try_into().unwrap()).collect();
                let list = |d: &[u8]| -> List { [d[0] - b'0', d[1] - b'0', d[2] - b'0'] };
                let fits = |program: &&&str| {
                    let program = program.as_bytes();
                    pairs.iter().all(|p| run(program, list(&p[..3])) == Some(list(&p[3..])))
                };
                let fitting: Vec<&&str> = ONE.iter().chain(&TWO).filter(fits).collect();
                assert_eq!(fitting.len(), 1, "{text}");
                assert_eq!(fitting[0].as_bytes(), problem.answer, "{text}");
                assert!(pairs.iter().all(|p| !HIDDEN.contains(&list(&p[..3]))), "{text}");
            }
        }
    }

    #[test]
    fn a_quarter_of_two_operation_functions_never_occur_in_training() {
        let mut rng = Seed::new(2).rng();
        let mut drawn = |hold_out, split| -> BTreeSet<(Vec<u8>, Kind)> {
            let draws = (0..4_000).map(|_| draw(hold_out, split, &mut rng));
            draws.map(|problem| (problem.answer, problem.kind)).collect()
        };
        assert!(UNSEEN.len() * 4 >= TWO.len());
        let unseen = |(program, kind): &(Vec<u8>, Kind)| {
            let kept = UNSEEN.iter().any(|u| u.as_bytes() == program);
            assert_eq!(kept, *kind == Kind::TwoOpUnseen);
            kept
        };
        let train = drawn(true, Split::Train);
        assert_eq!((train.len(), train.iter().filter(|p| unseen(p)).count()), (17, 0));
        let test = drawn(true, Split::Test);
        assert_eq!((test.len(), test.iter().filter(|p| unseen(p)).count()), (21, 4));
        let all = drawn(false, Split::Train);
        assert!(all.len() == 21 && all.iter().all(|(_, kind)| *kind != Kind::TwoOpUnseen));
    }

    #[test]
    fn a_program_is_right_exactly_if_it_does_the_same_everywhere() {
        for sought in ONE.iter().chain(&TWO) {
            let sought_meaning = meaning(sought.as_bytes());
            for written in programs(3) {
                let (right, given) = check(sought.as_bytes(), &written);
                assert_eq!((right, given), (meaning(&written) == sought_meaning, Given::Answer));
            }
        }
        for text in [&b""[..], b"rrrrr", b"R", b"r ", b"q", b"s\xff"] {
            assert_eq!(check(b"s", text), (false, Given::Other));
        }
        // Four operations count where they come to the same.
        assert_eq!(check(b"rl", b"rlrr"), (true, Given::Answer));
    }
}
