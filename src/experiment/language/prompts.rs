//! What a student asks. It writes prompts and holds no answers.

use std::collections::BTreeSet;

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lesson;
use crate::data::suite::{Capability, Mix, Split, Suite};
use crate::error::{Error, Result};
use crate::seed::{Seed, below, uniform};

/// Where prompts come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "kebab-case")]
pub enum Prompts {
    /// As honest users ask: the suite's training problems in its mix.
    #[default]
    InDistribution,
    /// Training problems of these capabilities alone, in equal shares.
    Targeted { capabilities: Vec<Capability> },
    /// A few in-distribution prompts are known; the others are made of them by putting other letters for letters
    /// and other digits for digits (after Wang et al. 2023, arXiv:2212.10560, without a model to write them).
    SelfInstruct {
        /// Prompts that are known.
        #[serde(default = "known")]
        known: usize,
        /// Chance of a letter or digit to be another.
        #[serde(default = "change")]
        change: f64,
    },
    /// The same as `in-distribution`, but of so many candidates it asks the one that the student of the answers so
    /// far is least sure of (least confidence: Lewis and Gale 1994). The first round is asked at random.
    Uncertainty {
        /// Rounds of equal size.
        #[serde(default = "rounds")]
        rounds: usize,
        /// Candidates for each prompt.
        #[serde(default = "candidates")]
        candidates: usize,
    },
}

const fn known() -> usize {
    100
}

const fn change() -> f64 {
    0.3
}

const fn rounds() -> usize {
    4
}

const fn candidates() -> usize {
    4
}

impl Prompts {
    /// Refuses settings outside their ranges.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::InDistribution => Ok(()),
            Self::Targeted { capabilities } if capabilities.is_empty() => {
                let expected = "at least one capability";
                Err(Error::config("prompts.capabilities", "an empty list", expected))
            }
            Self::Targeted { .. } => Ok(()),
            Self::SelfInstruct { known, change } => {
                if !(1..=100_000).contains(known) {
                    let found = known.to_string();
                    return Err(Error::config("prompts.known", found, "1 to 100000 prompts"));
                }
                match *change > 0.0 && *change <= 1.0 {
                    true => Ok(()),
                    false => {
                        let found = change.to_string();
                        Err(Error::config("prompts.change", found, "above 0, up to 1"))
                    }
                }
            }
            Self::Uncertainty { rounds, candidates } => {
                for (key, count, most) in
                    [("prompts.rounds", *rounds, 50), ("prompts.candidates", *candidates, 100)]
                {
                    if !(2..=most).contains(&count) {
                        let expected = format!("2 to {most}");
                        return Err(Error::config(key, count.to_string(), expected));
                    }
                }
                Ok(())
            }
        }
    }

    /// `n` prompts; prompt i depends on the seed and i alone. Those of [`Prompts::Uncertainty`] are candidates,
    /// before any is chosen. None is a problem of the test.
    pub fn draw(&self, suite: &Suite, mix: &Mix, n: usize, seed: Seed) -> Result<Vec<Vec<u8>>> {
        let plain = |mix: &Mix, n| {
            let problems = lesson::problems(suite, mix, n, seed);
            problems.into_iter().map(|problem| problem.prompt).collect::<Vec<_>>()
        };
        Ok(match self {
            Self::InDistribution | Self::Uncertainty { .. } => plain(mix, n),
            Self::Targeted { capabilities } => {
                let asked: BTreeSet<Capability> = capabilities.iter().copied().collect();
                let weights = Capability::ALL.map(|c| u32::from(asked.contains(&c)));
                plain(&Mix::new(weights)?, n)
            }
            Self::SelfInstruct { known, change } => {
                let mut all = plain(mix, (*known).min(n));
                let known = all.len();
                for i in known as u64..n as u64 {
                    let mut rng = seed.nth("made", i).rng();
                    let from = below(&mut rng, known);
                    let made = loop {
                        let made = altered(&all[from], *change, &mut rng);
                        if Split::of_prompt(&made) == Split::Train {
                            break made;
                        }
                    };
                    all.push(made);
                }
                all
            }
        })
    }
}

/// A prompt with other letters and digits here and there. Its first byte and all signs stay.
fn altered(prompt: &[u8], change: f64, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut made = prompt.to_vec();
    for byte in made.iter_mut().skip(1) {
        let (first, many) = match byte {
            b'0'..=b'9' => (b'0', 10),
            b'a'..=b'z' => (b'a', 26),
            b'A'..=b'Z' => (b'A', 26),
            _ => continue,
        };
        if uniform(rng) < change {
            *byte = first + below(rng, many) as u8;
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::suite::Ranges;

    fn draw(prompts: &Prompts, n: usize) -> Vec<Vec<u8>> {
        let suite = Suite::new(Ranges::default()).unwrap();
        prompts.draw(&suite, &Mix::default(), n, Seed::new(2)).unwrap()
    }

    #[test]
    fn whoever_asks_less_asks_the_first_of_it() {
        let targeted = Prompts::Targeted { capabilities: vec![Capability::Run] };
        let made = Prompts::SelfInstruct { known: 20, change: 0.3 };
        for prompts in [Prompts::InDistribution, targeted, made] {
            let (few, many) = (draw(&prompts, 30), draw(&prompts, 90));
            assert_eq!(few[..], many[..30], "{prompts:?}");
        }
    }

    #[test]
    fn targeted_prompts_are_of_their_capabilities() {
        let capabilities = vec![Capability::Run, Capability::Reasoning];
        let asked = draw(&Prompts::Targeted { capabilities }, 200);
        let of = |tag: u8| asked.iter().filter(|p| p[0] == tag).count();
        assert_eq!(of(b'R') + of(b'A'), 200);
        assert!(of(b'R') > 70 && of(b'A') > 70);
    }

    #[test]
    fn made_prompts_keep_the_form_of_known_ones_and_are_never_of_the_test() {
        let asked = draw(&Prompts::SelfInstruct { known: 20, change: 0.3 }, 400);
        let form = |prompt: &[u8]| -> Vec<u8> {
            let class = |b: &u8| match b {
                b'0'..=b'9' => b'0',
                b'a'..=b'z' => b'a',
                b'A'..=b'Z' => b'A',
                other => *other,
            };
            prompt.iter().map(class).collect()
        };
        let known: BTreeSet<Vec<u8>> = asked[..20].iter().map(|p| form(p)).collect();
        let distinct: BTreeSet<&Vec<u8>> = asked.iter().collect();
        assert!(asked[20..].iter().all(|p| known.contains(&form(p))));
        assert!(asked[20..].iter().all(|p| Split::of_prompt(p) == Split::Train));
        assert!(distinct.len() > 300);
    }

    #[test]
    fn settings_out_of_range_name_their_key() {
        for (prompts, key) in [
            (Prompts::Targeted { capabilities: vec![] }, "prompts.capabilities"),
            (Prompts::SelfInstruct { known: 0, change: 0.3 }, "prompts.known"),
            (Prompts::SelfInstruct { known: 9, change: 0.0 }, "prompts.change"),
            (Prompts::Uncertainty { rounds: 1, candidates: 4 }, "prompts.rounds"),
            (Prompts::Uncertainty { rounds: 4, candidates: 1 }, "prompts.candidates"),
        ] {
            assert!(prompts.check().unwrap_err().to_string().contains(key));
        }
    }
}
