//! What a teacher tells about the next token at every position that counts, packed: a row a position.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::random_sampling;
use crate::error::{Error, Result, expect_shape};
use crate::seed::Seed;

/// How much of each distribution is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum Tell {
    /// All of it: four bytes for each token of the vocabulary.
    #[default]
    Full,
    /// The k most likely tokens with their probabilities: six bytes for each.
    TopK { k: usize },
    /// Tokens drawn from the distribution to a power, weighed so that the mean is the distribution itself
    /// (random sampling, arXiv:2503.16870): six bytes for each that was drawn.
    Sampled {
        /// Draws, with replacement.
        draws: usize,
        /// The power, 0 to 1; 1 draws tokens as often as the teacher would write them.
        #[serde(default = "one")]
        power: f64,
    },
}

const fn one() -> f64 {
    1.0
}

impl Tell {
    /// Refuses values outside their ranges; keys are relative to it.
    pub fn check(self) -> Result<()> {
        let none = |key: &str| Err(Error::config(key, "0", "1 or more"));
        match self {
            Self::TopK { k: 0 } => none("k"),
            Self::Sampled { draws: 0, .. } => none("draws"),
            Self::Sampled { power, .. } if !(0.0..=1.0).contains(&power) => {
                Err(Error::config("power", power.to_string(), "0 to 1"))
            }
            _ => Ok(()),
        }
    }
}

/// Distributions over the next token, in the order of the positions that count.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenTargets {
    vocabulary: usize,
    tell: Tell,
    rows: Rows,
}

#[derive(Clone, Debug, PartialEq)]
enum Rows {
    /// `[rows, vocabulary]` log-probabilities.
    Full(Vec<f32>),
    /// Tokens and their probabilities, row after row; `ends` says where each row ends.
    Few { ends: Vec<usize>, tokens: Vec<u16>, probs: Vec<f32> },
}

/// One row.
pub(super) enum Row<'a> {
    /// Log-probabilities of all tokens.
    Full(&'a [f32]),
    /// Different tokens, and a probability for each.
    Few(&'a [u16], &'a [f32]),
}

impl TokenTargets {
    /// No rows yet, of distributions over `vocabulary` tokens.
    pub fn new(vocabulary: usize, tell: Tell) -> Result<Self> {
        tell.check()?;
        if !(1..=1 << 16).contains(&vocabulary) {
            return Err(Error::input("tokens of a distribution", vocabulary, "1 to 65536"));
        }
        let rows = match tell {
            Tell::Full => Rows::Full(Vec::new()),
            _ => Rows::Few { ends: Vec::new(), tokens: Vec::new(), probs: Vec::new() },
        };
        Ok(Self { vocabulary, tell, rows })
    }

    /// Different tokens.
    pub const fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// How much of each distribution is told.
    pub const fn tell(&self) -> Tell {
        self.tell
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match &self.rows {
            Rows::Full(logs) => logs.len() / self.vocabulary,
            Rows::Few { ends, .. } => ends.len(),
        }
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds what is told of the distribution with these logits. Only draws need the stream.
    pub fn push(&mut self, logits: &[f32], stream: Seed) -> Result<()> {
        expect_shape("logits of a token", &[logits.len()], &[self.vocabulary])?;
        if let Some((token, logit)) = logits.iter().enumerate().find(|(_, z)| !z.is_finite()) {
            return Err(Error::input(format!("logit of token {token}"), logit, "a finite number"));
        }
        let mut logs: Vec<f64> = logits.iter().map(|&z| f64::from(z)).collect();
        super::log_softmax(&mut logs);
        match self.tell {
            Tell::Full => {
                if let Rows::Full(rows) = &mut self.rows {
                    rows.extend(logs.iter().map(|&l| l as f32));
                }
            }
            Tell::TopK { k } => {
                let mut order: Vec<usize> = (0..logs.len()).collect();
                order.sort_by(|&a, &b| logs[b].total_cmp(&logs[a]));
                order.truncate(k);
                self.add(order.into_iter().map(|token| (token, libm::exp(logs[token]))));
            }
            Tell::Sampled { draws, power } => {
                let probs: Vec<f64> = logs.iter().map(|&l| libm::exp(l)).collect();
                self.add(random_sampling::target(&probs, draws, power, &mut stream.rng()));
            }
        }
        Ok(())
    }

    /// Adds a row of top-k tokens and their probabilities, as an API gave them.
    pub fn push_top_k(&mut self, tokens: &[u16], probs: &[f64]) -> Result<()> {
        let Tell::TopK { k } = self.tell else {
            return Err(Error::input("a row", "top-k", format!("what `{:?}` tells", self.tell)));
        };
        expect_shape("top-k probabilities", &[probs.len()], &[tokens.len()])?;
        let mut sorted = tokens.to_vec();
        sorted.sort_unstable();
        let beyond = sorted.last().is_none_or(|&t| usize::from(t) >= self.vocabulary);
        if beyond || tokens.len() > k || sorted.windows(2).any(|w| w[0] == w[1]) {
            let expected = format!("1 to {k} different tokens below {}", self.vocabulary);
            return Err(Error::input("top-k tokens", format!("{tokens:?}"), expected));
        }
        if probs.iter().any(|p| !(*p >= 0.0 && p.is_finite())) || probs.iter().sum::<f64>() <= 0.0 {
            let expected = "numbers of 0 or more, not all 0";
            return Err(Error::input("top-k probabilities", format!("{probs:?}"), expected));
        }
        self.add(tokens.iter().map(|&t| usize::from(t)).zip(probs.iter().copied()));
        Ok(())
    }

    fn add(&mut self, row: impl IntoIterator<Item = (usize, f64)>) {
        let Rows::Few { ends, tokens, probs } = &mut self.rows else { return };
        for (token, prob) in row {
            tokens.push(token as u16);
            probs.push(prob as f32);
        }
        ends.push(tokens.len());
    }

    /// Log-probability of a token in a row; none where it is not told.
    pub fn log_prob(&self, row: usize, token: u16) -> Option<f64> {
        if row >= self.len() {
            return None;
        }
        match self.row(row) {
            Row::Full(logs) => logs.get(usize::from(token)).map(|&l| f64::from(l)),
            Row::Few(tokens, probs) => {
                let place = tokens.iter().position(|t| *t == token)?;
                Some(libm::log(f64::from(probs[place])))
            }
        }
    }

    /// KL(this || other) of a row that both hold whole, in nats.
    pub fn kl(&self, other: &Self, row: usize) -> Result<f64> {
        let whole = |targets: &Self| targets.tell == Tell::Full && row < targets.len();
        if !(whole(self) && whole(other) && self.vocabulary == other.vocabulary) {
            let found = format!("`{:?}` and `{:?}` of row {row}", self.tell, other.tell);
            return Err(Error::input("distributions", found, "whole ones over equal tokens"));
        }
        let (Row::Full(p), Row::Full(q)) = (self.row(row), other.row(row)) else { return Ok(0.0) };
        let term = |(&p, &q): (&f32, &f32)| libm::exp(f64::from(p)) * (f64::from(p) - f64::from(q));
        Ok(p.iter().zip(q).map(term).sum())
    }

    /// Adds all rows of another, which must tell as much of as many tokens.
    pub fn append(&mut self, other: &Self) -> Result<()> {
        if (self.vocabulary, self.tell) != (other.vocabulary, other.tell) {
            let text = |t: &Self| format!("`{:?}` of {} tokens", t.tell, t.vocabulary);
            return Err(Error::input("targets to add", text(other), text(self)));
        }
        match (&mut self.rows, &other.rows) {
            (Rows::Full(rows), Rows::Full(more)) => rows.extend_from_slice(more),
            (Rows::Few { ends, tokens, probs }, Rows::Few { ends: e, tokens: t, probs: p }) => {
                ends.extend(e.iter().map(|end| end + tokens.len()));
                tokens.extend_from_slice(t);
                probs.extend_from_slice(p);
            }
            _ => {}
        }
        Ok(())
    }

    /// The rows in these ranges, one range after another.
    pub fn select(&self, ranges: impl IntoIterator<Item = Range<usize>>) -> Self {
        let Self { vocabulary, tell, .. } = *self;
        let ranges = ranges.into_iter();
        let rows = match &self.rows {
            Rows::Full(logs) => {
                let parts = ranges.map(|r| &logs[r.start * vocabulary..r.end * vocabulary]);
                Rows::Full(parts.flatten().copied().collect())
            }
            Rows::Few { ends, tokens, probs } => {
                let (mut to, mut some, mut their) = (Vec::new(), Vec::new(), Vec::new());
                for row in ranges.flatten() {
                    let place = self.place(ends, row);
                    some.extend_from_slice(&tokens[place.clone()]);
                    their.extend_from_slice(&probs[place]);
                    to.push(some.len());
                }
                Rows::Few { ends: to, tokens: some, probs: their }
            }
        };
        Self { vocabulary, tell, rows }
    }

    fn place(&self, ends: &[usize], row: usize) -> Range<usize> {
        let start = if row == 0 { 0 } else { ends[row - 1] };
        start..ends[row]
    }

    /// A row; there must be one.
    pub(super) fn row(&self, row: usize) -> Row<'_> {
        match &self.rows {
            Rows::Full(logs) => Row::Full(&logs[row * self.vocabulary..][..self.vocabulary]),
            Rows::Few { ends, tokens, probs } => {
                let place = self.place(ends, row);
                Row::Few(&tokens[place.clone()], &probs[place])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [[f32; 4]; 3] =
        [[0.0, 1.0, 2.0, 3.0], [1.5, 0.0, -1.0, 0.5], [0.0, 0.1, 0.2, 0.3]];
    const TELLS: [Tell; 3] =
        [Tell::Full, Tell::TopK { k: 2 }, Tell::Sampled { draws: 5, power: 0.5 }];

    fn told(tell: Tell, rows: Range<usize>) -> TokenTargets {
        let mut told = TokenTargets::new(4, tell).unwrap();
        for row in rows {
            told.push(&LOGITS[row], Seed::new(1).nth("row", row as u64)).unwrap();
        }
        told
    }

    #[test]
    fn rows_are_added_and_picked_whole_whatever_is_told() {
        for tell in TELLS {
            let all = told(tell, 0..3);
            let mut sum = told(tell, 0..2);
            sum.append(&told(tell, 2..3)).unwrap();
            assert_eq!(sum, all);
            let mut turned = told(tell, 1..3);
            turned.append(&told(tell, 0..1)).unwrap();
            assert_eq!(all.select([1..3, 0..1]), turned);
            assert_eq!((all.len(), all.is_empty()), (3, false));
            assert!(all.select([]).is_empty());
        }
        let mut full = told(Tell::Full, 0..1);
        assert!(full.append(&told(Tell::TopK { k: 2 }, 0..1)).is_err());
        assert!(full.append(&TokenTargets::new(5, Tell::Full).unwrap()).is_err());
    }

    #[test]
    fn a_token_has_its_log_probability_where_it_is_told() {
        let whole: f64 = LOGITS[0].iter().map(|&z| libm::exp(f64::from(z))).sum();
        let expected = 3.0 - libm::log(whole);
        let (full, few) = (told(Tell::Full, 0..3), told(Tell::TopK { k: 2 }, 0..3));
        for told in [&full, &few] {
            assert!((told.log_prob(0, 3).unwrap() - expected).abs() < 1e-6);
            assert_eq!((told.log_prob(3, 0), told.log_prob(0, 4)), (None, None));
        }
        assert!(full.log_prob(0, 0).is_some() && few.log_prob(0, 0).is_none());
    }

    #[test]
    fn draws_are_proportional_unless_said_otherwise() {
        let tell: Tell = serde_json::from_str(r#"{"kind":"sampled","draws":2}"#).unwrap();
        assert_eq!(tell, Tell::Sampled { draws: 2, power: 1.0 });
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        assert!(Tell::Sampled { draws: 1, power: 0.0 }.check().is_ok());
        for (tell, key) in [
            (Tell::TopK { k: 0 }, "k"),
            (Tell::Sampled { draws: 0, power: 1.0 }, "draws"),
            (Tell::Sampled { draws: 1, power: 1.1 }, "power"),
            (Tell::Sampled { draws: 1, power: f64::NAN }, "power"),
        ] {
            assert!(tell.check().unwrap_err().to_string().contains(key), "{tell:?}");
        }
        let mut few = TokenTargets::new(4, Tell::TopK { k: 2 }).unwrap();
        for probs in [[0.5, -0.1], [f64::NAN, 0.5], [f64::INFINITY, 0.5], [0.0, 0.0]] {
            assert!(few.push_top_k(&[1, 2], &probs).is_err(), "{probs:?}");
        }
        assert!(few.push_top_k(&[1, 2], &[0.5, 0.0]).is_ok());
    }
}
