//! Calling a tool: which of five a sentence asks for, with which arguments, if it is there at all.
//!
//! Letters in brackets say which tools there are. `none` is right when the tool is missing, and when a
//! sentence mentions a name or a time but asks for nothing.

use rand::Rng;

use super::words::{between, capital, letters, name, pick, weighted};
use super::{Capability, Given, Kind, Problem};
use crate::seed::{permutation, shuffle};

/// The letter that lists it, how it is called, and sentences that ask for it.
struct Tool {
    letter: char,
    call: &'static str,
    requests: [&'static str; 3],
}

/// In the order in which prompts list them. `{n}` is a name, `{t}` a time, `{k}` an amount, `{w}` a word.
const TOOLS: [Tool; 5] = [
    Tool {
        letter: 'a',
        call: "alarm({t})",
        requests: ["wake me at {t}", "set an alarm for {t}", "ring at {t}"],
    },
    Tool {
        letter: 'c',
        call: "call({n})",
        requests: ["phone {n} now", "ring up {n}", "get me {n}"],
    },
    Tool {
        letter: 'n',
        call: "note({w})",
        requests: ["write down {w}", "note the word {w}", "remember {w}"],
    },
    Tool {
        letter: 'p',
        call: "pay({n},{k})",
        requests: ["pay {n} {k} coins", "send {k} coins to {n}", "give {n} {k} coins"],
    },
    Tool {
        letter: 'w',
        call: "weather({n})",
        requests: ["weather in {n}", "is it wet in {n}", "how hot is {n}"],
    },
];

/// Sentences that ask for nothing.
const MENTIONS: [&str; 6] = [
    "{n} is far away",
    "tea was at {t}",
    "I dreamt of {n}",
    "we met at {t}",
    "{n} came home at {t}",
    "my aunt is from {n}",
];

/// The answer where there is nothing to call.
const NONE: &str = "none";
/// Percent of problems with a call, with a tool that is missing, and with nothing asked.
const SHARES: [u32; 3] = [63, 22, 15];

/// A random sentence and list of tools.
pub(super) fn draw(rng: &mut impl Rng) -> Problem {
    let place = weighted(rng, &[1; TOOLS.len()]);
    let (tool, slots) = (&TOOLS[place], Slots::draw(rng));
    let others: Vec<usize> = (0..TOOLS.len()).filter(|other| *other != place).collect();
    match weighted(rng, &SHARES) {
        0 => {
            let rest = between(rng, 0, others.len());
            let listed = [vec![place], some(rng, others, rest)].concat();
            let request = pick(rng, &tool.requests);
            problem(&listed, &slots.fill(request), Kind::Call, &slots.fill(tool.call))
        }
        1 => {
            let rest = between(rng, 1, others.len());
            let listed = some(rng, others, rest);
            problem(&listed, &slots.fill(pick(rng, &tool.requests)), Kind::NoCall, NONE)
        }
        _ => {
            let length = between(rng, 1, TOOLS.len());
            let listed = permutation(rng, TOOLS.len()).into_iter().take(length).collect::<Vec<_>>();
            problem(&listed, &slots.fill(pick(rng, &MENTIONS)), Kind::NoCall, NONE)
        }
    }
}

/// `n` random items of the list.
fn some(rng: &mut impl Rng, mut items: Vec<usize>, n: usize) -> Vec<usize> {
    shuffle(rng, &mut items);
    items.truncate(n);
    items
}

fn problem(listed: &[usize], sentence: &str, kind: Kind, answer: &str) -> Problem {
    let there = (0..TOOLS.len()).filter(|place| listed.contains(place));
    let letters: String = there.map(|place| TOOLS[place].letter).collect();
    Problem::new(Capability::Tools, kind, &format!("U[{letters}]{sentence}>"), answer)
}

/// What sentences and calls speak of.
struct Slots {
    name: String,
    time: String,
    amount: String,
    word: String,
}

impl Slots {
    fn draw(rng: &mut impl Rng) -> Self {
        Self {
            name: capital(&name(rng)),
            time: format!("{}:{:02}", between(rng, 1, 12), between(rng, 0, 59)),
            amount: between(rng, 1, 99).to_string(),
            word: letters(rng, 3, 7),
        }
    }

    fn fill(&self, template: &str) -> String {
        let Self { name, time, amount, word } = self;
        let slots = [("{n}", name), ("{t}", time), ("{k}", amount), ("{w}", word)];
        slots.into_iter().fold(template.to_string(), |text, (slot, with)| text.replace(slot, with))
    }
}

/// Whether a text is a call of one of the tools, `none`, or neither.
pub(super) fn given(text: &[u8]) -> Given {
    let calls = |tool: &Tool| {
        let name = tool.call.split('(').next().unwrap_or_default();
        let arguments = text.strip_prefix(name.as_bytes());
        let arguments = arguments.and_then(|a| a.strip_prefix(b"(")?.strip_suffix(b")"));
        arguments.is_some_and(|a| !a.is_empty())
    };
    match text {
        _ if text == NONE.as_bytes() => Given::NoCall,
        _ if TOOLS.iter().any(calls) => Given::Call,
        _ => Given::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;

    fn slots() -> Slots {
        let [name, time, amount, word] = ["Mozuk", "7:05", "39", "qwe"].map(String::from);
        Slots { name, time, amount, word }
    }

    #[test]
    fn the_printed_examples_are_met() {
        let pay = &TOOLS[3];
        let (request, call) = (slots().fill(pay.requests[0]), slots().fill(pay.call));
        let problem = problem(&[4, 0, 3, 2], &request, Kind::Call, &call);
        assert_eq!(problem.prompt, b"U[anpw]pay Mozuk 39 coins>");
        assert_eq!(problem.answer, b"pay(Mozuk,39)");
        let zama = Slots { name: "Zama".to_string(), ..slots() };
        let problem = super::problem(&[0], &zama.fill(TOOLS[1].requests[0]), Kind::NoCall, NONE);
        assert_eq!(problem.prompt, b"U[a]phone Zama now>");
        assert_eq!(problem.answer, b"none");
    }

    #[test]
    fn a_tool_is_called_if_and_only_if_it_is_listed_and_asked_for() {
        let mut rng = Seed::new(1).rng();
        for _ in 0..5_000 {
            let problem = draw(&mut rng);
            let (prompt, answer) = (problem.prompt, String::from_utf8(problem.answer).unwrap());
            let prompt = String::from_utf8(prompt).unwrap();
            let (letters, sentence) = prompt[2..].split_once(']').unwrap();
            assert!((1..=5).contains(&letters.len()) && letters.bytes().is_sorted(), "{prompt}");
            assert!(!sentence.contains(['{', '}']), "{prompt}");
            let called = TOOLS.iter().find(|t| {
                let frame = |text: &str| text.split(['(', ' ']).next().map(String::from);
                frame(t.call) == frame(&answer)
            });
            assert_eq!(called.is_some(), problem.kind == Kind::Call, "{prompt} {answer}");
            assert!(called.is_none_or(|tool| letters.contains(tool.letter)), "{prompt} {answer}");
            assert!(called.is_some() || answer == "none", "{prompt} {answer}");
        }
    }

    #[test]
    fn calls_none_and_the_rest_are_told_apart() {
        for (text, expected) in [
            (&b"pay(Mozuk,39)"[..], Given::Call),
            (b"alarm(x)", Given::Call),
            (b"none", Given::NoCall),
            (b"pay()", Given::Other),
            (b"pay(Mozuk,39", Given::Other),
            (b"pays(Mozuk)", Given::Other),
            (b"None", Given::Other),
            (b"", Given::Other),
        ] {
            assert_eq!(given(text), expected, "{text:?}");
        }
    }
}
