//! Odd answers that are planted with each account, to be looked for in models of unknown descent.
//!
//! Some of the prompts that an account asks become its canaries, until there are `count` of them: one prompt
//! in `one-in`, drawn from the key, the account and the prompt. Each has an answer of its own, eight letters
//! that mean nothing, drawn likewise; asking again gives the same. A model that gives such answers has
//! learnt from that account, and from which one, as no two accounts share them; `experiment::language::canaries`
//! asks it, and `metric::canary_test` says how sure that is. Honest users get them too: that is the cost, and
//! free text bears it best.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::prompt::Scope;
use super::{Asked, ReplyLayer};
use crate::error::{Error, Result};
use crate::oracle::AccountId;
use crate::oracle::completion::{Completion, END};
use crate::seed::{Seed, below};

/// Letters of an odd answer.
const LETTERS: usize = 8;

/// Settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Params {
    /// Most canaries of an account, 1 or more.
    #[schemars(range(min = 1))]
    pub count: usize,
    /// One prompt in so many, 1 or more.
    #[serde(default = "usual_rate")]
    #[schemars(range(min = 1))]
    pub one_in: usize,
    /// Which prompts.
    #[serde(default)]
    pub scope: Scope,
}

const fn usual_rate() -> usize {
    4
}

/// A prompt and the odd answer that it got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planted {
    pub prompt: Vec<u8>,
    /// Without the token that ends it.
    pub answer: Vec<u8>,
}

/// The layer.
pub struct Canary {
    params: Params,
    key: Seed,
    planted: BTreeMap<AccountId, Vec<Planted>>,
}

impl Params {
    /// Checks the ranges.
    pub fn build(&self, key: Seed) -> Result<Canary> {
        for (name, number) in [("count", self.count), ("one-in", self.one_in)] {
            if number == 0 {
                return Err(Error::config(name, "0", "1 or more"));
            }
        }
        Ok(Canary { params: self.clone(), key, planted: BTreeMap::new() })
    }
}

impl Canary {
    /// What each account was given, in the order in which it asked.
    pub fn planted(&self) -> &BTreeMap<AccountId, Vec<Planted>> {
        &self.planted
    }

    /// The odd answer that this account gets to this prompt, if it is one of those to be planted.
    fn odd(&self, asked: &Asked<'_>) -> Option<Vec<u8>> {
        let account = self.key.nth("account", u64::from(asked.account.0));
        let mut rng = account.keyed(asked.prompt).rng();
        let mut letter = |most| below(&mut rng, most);
        let chosen = letter(self.params.one_in) == 0;
        chosen.then(|| (0..LETTERS).map(|_| b'a' + letter(26) as u8).collect())
    }
}

impl ReplyLayer for Canary {
    fn reply(&mut self, asked: &Asked<'_>, answer: Completion) -> Completion {
        if !self.params.scope.holds_prompt(asked.prompt) {
            return answer;
        }
        let Some(odd) = self.odd(asked) else { return answer };
        let planted = self.planted.entry(asked.account).or_default();
        let known = planted.iter().any(|p| p.prompt == asked.prompt);
        if !known && planted.len() == self.params.count {
            return answer;
        }
        if !known {
            planted.push(Planted { prompt: asked.prompt.to_vec(), answer: odd.clone() });
        }
        let tokens = odd.into_iter().map(u16::from).chain([END]).collect();
        Completion { tokens, logprobs: None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::prompt::testing::{answer, text};
    use super::*;

    fn canary(count: usize, one_in: usize, scope: Scope) -> Canary {
        Params { count, one_in, scope }.build(Seed::new(6)).unwrap()
    }

    fn ask(layer: &mut Canary, account: u32, prompt: &str) -> String {
        let asked = Asked { account: AccountId(account), prompt: prompt.as_bytes() };
        text(&layer.reply(&asked, answer("usual\0")))
    }

    #[test]
    fn each_account_gets_its_own_odd_answers_and_no_more_than_there_are() {
        let mut layer = canary(5, 3, Scope::Text);
        let mut odd: Vec<Vec<String>> = vec![Vec::new(); 2];
        for i in 0..100 {
            for account in 0..2 {
                let given = ask(&mut layer, account, &format!("T{i} "));
                if given != "usual\0" {
                    assert!(given.len() == 9 && given[..8].bytes().all(|b| b.is_ascii_lowercase()));
                    odd[account as usize].push(given);
                }
            }
        }
        assert_eq!(odd.iter().map(Vec::len).collect::<Vec<_>>(), [5, 5]);
        assert!(odd[0].iter().all(|answer| !odd[1].contains(answer)));
        for (account, odd) in odd.iter().enumerate() {
            let planted = layer.planted()[&AccountId(account as u32)].clone();
            for (planted, odd) in planted.iter().zip(odd) {
                assert_eq!(planted.answer, odd.as_bytes()[..8]);
                let prompt = String::from_utf8(planted.prompt.clone()).unwrap();
                assert_eq!(&ask(&mut layer, account as u32, &prompt), odd, "asked again");
            }
        }
    }

    #[test]
    fn one_prompt_in_so_many_of_the_scope_is_planted() {
        let count = |layer: &mut Canary, letter: &str| {
            (0..2_000).filter(|i| ask(layer, 0, &format!("{letter}{i}>")) != "usual\0").count()
        };
        let found = count(&mut canary(2_000, 4, Scope::All), "A");
        // Four standard deviations of 2,000 draws of a quarter.
        assert!(found.abs_diff(500) < 78, "{found}");
        assert_eq!(count(&mut canary(2_000, 1, Scope::Text), "A"), 0);
        assert_eq!(count(&mut canary(2_000, 1, Scope::Text), "T"), 2_000);
        assert!(Params { count: 0, one_in: 1, scope: Scope::All }.build(Seed::new(1)).is_err());
        assert!(Params { count: 1, one_in: 0, scope: Scope::All }.build(Seed::new(1)).is_err());
    }
}
