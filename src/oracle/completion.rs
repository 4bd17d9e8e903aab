//! What a text API gives for a prompt: new tokens and, where it tells them, log-probabilities of what could
//! have stood at each place.

use ndarray::{Array2, Axis};

use crate::data::suite;
use crate::error::{Error, Result, expect_shape};

/// The token that ends a completion of a model over bytes.
pub const END: u16 = suite::END as u16;

/// An answer to a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// New tokens, the one that ends the text among them if the model wrote it.
    pub tokens: Vec<u16>,
    /// What could have stood at the place of each token; none where the API does not tell.
    pub logprobs: Option<TokenProbs>,
}

/// Log-probabilities at temperature 1 of the most likely tokens at each place of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenProbs {
    /// Number of tokens there are, of which only `k` are told at each place; all of them if k is as large.
    pub vocabulary: usize,
    /// `[len, k]` token numbers, most likely first, ties by lower number.
    pub ids: Array2<u16>,
    /// `[len, k]` natural logarithms of their probabilities, as the API gives them.
    pub logs: Array2<f32>,
}

impl Completion {
    /// The tokens at these places, each with what is told of its place.
    pub fn select(&self, places: &[usize]) -> Self {
        Self {
            tokens: places.iter().map(|&at| self.tokens[at]).collect(),
            logprobs: self.logprobs.as_ref().map(|probs| probs.select(places)),
        }
    }
}

impl TokenProbs {
    /// Of no place yet.
    pub fn empty(vocabulary: usize, k: usize) -> Self {
        let k = k.min(vocabulary);
        Self { vocabulary, ids: Array2::zeros((0, k)), logs: Array2::zeros((0, k)) }
    }

    /// Of places with these logits, `[len, vocabulary]` row after row: the `k` largest log-softmax values.
    /// Logits that are not numbers count as the least likely.
    pub fn of_logits(logits: &[f32], vocabulary: usize, k: usize) -> Self {
        let Self { mut ids, mut logs, .. } = Self::empty(vocabulary, k);
        let k = ids.ncols();
        let (mut some_ids, mut some_logs) = (Vec::new(), Vec::new());
        let mut order: Vec<(f64, u16)> = Vec::with_capacity(vocabulary);
        for row in logits.chunks_exact(vocabulary.max(1)) {
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let above = |&z: &f32| {
                if z.is_nan() { f64::NEG_INFINITY } else { f64::from(z) - f64::from(most) }
            };
            order.clear();
            order.extend(row.iter().map(above).zip(0..));
            let shift = libm::log(order.iter().map(|(z, _)| libm::exp(*z)).sum());
            order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            some_ids.extend(order.iter().take(k).map(|(_, id)| *id));
            some_logs.extend(order.iter().take(k).map(|(z, _)| (z - shift) as f32));
        }
        if let Some(len) = some_ids.len().checked_div(k) {
            let shape = "as many numbers as places times k";
            ids = Array2::from_shape_vec((len, k), some_ids).expect(shape);
            logs = Array2::from_shape_vec((len, k), some_logs).expect(shape);
        }
        Self { vocabulary, ids, logs }
    }

    /// Adds places of another text, of which as much must be told.
    pub fn append(&mut self, other: &Self) -> Result<()> {
        let told = |probs: &Self| [probs.vocabulary, probs.k()];
        expect_shape("tokens told of a place", &told(other), &told(self))?;
        let internal = |e: ndarray::ShapeError| Error::Internal(e.to_string());
        self.ids.append(Axis(0), other.ids.view()).map_err(internal)?;
        self.logs.append(Axis(0), other.logs.view()).map_err(internal)
    }

    /// Number of places.
    pub fn len(&self) -> usize {
        self.ids.nrows()
    }

    /// True without places.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of tokens told at each place.
    pub fn k(&self) -> usize {
        self.ids.ncols()
    }

    /// What is told of these places.
    pub fn select(&self, places: &[usize]) -> Self {
        Self {
            vocabulary: self.vocabulary,
            ids: self.ids.select(Axis(0), places),
            logs: self.logs.select(Axis(0), places),
        }
    }

    /// Only the `k` most likely tokens of each place. Nothing is renormalised.
    pub fn top(&self, k: usize) -> Self {
        let columns: Vec<usize> = (0..k.min(self.k())).collect();
        Self {
            vocabulary: self.vocabulary,
            ids: self.ids.select(Axis(1), &columns),
            logs: self.logs.select(Axis(1), &columns),
        }
    }

    /// Tells of each of two tokens, at one place, what was told of the other.
    pub fn exchange(&mut self, place: usize, a: u16, b: u16) {
        for id in self.ids.row_mut(place) {
            *id = match *id {
                id if id == a => b,
                id if id == b => a,
                id => id,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Probabilities .1, .2, .4, .3 at one place; .7, .1, .1, .1 at the other.
    fn logits() -> Vec<f32> {
        [0.1, 0.2, 0.4, 0.3, 0.7, 0.1, 0.1, 0.1].map(|p: f32| 5.0 + p.ln()).to_vec()
    }

    #[test]
    fn the_most_likely_tokens_come_first_with_their_logarithms() {
        let probs = TokenProbs::of_logits(&logits(), 4, 4);
        assert_eq!(probs.ids, ndarray::array![[2, 3, 1, 0], [0, 1, 2, 3]]);
        let expected = [0.4_f32, 0.3, 0.2, 0.1, 0.7, 0.1, 0.1, 0.1].map(f32::ln);
        for (found, expected) in probs.logs.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        assert_eq!(TokenProbs::of_logits(&logits(), 4, 2), probs.top(2));
        assert_eq!((probs.top(2).len(), probs.top(2).k(), probs.top(9).k()), (2, 2, 4));
    }

    #[test]
    fn places_are_added_one_by_one() {
        let mut all = TokenProbs::empty(4, 3);
        for row in logits().chunks(4) {
            all.append(&TokenProbs::of_logits(row, 4, 3)).unwrap();
        }
        assert_eq!(all, TokenProbs::of_logits(&logits(), 4, 3));
        assert!(all.append(&TokenProbs::of_logits(&logits(), 4, 2)).is_err());
    }

    #[test]
    fn places_are_chosen_and_tokens_exchanged() {
        let logprobs = Some(TokenProbs::of_logits(&logits(), 4, 2));
        let completion = Completion { tokens: vec![2, 0], logprobs };
        let second = completion.select(&[1]);
        let mut probs = second.logprobs.unwrap();
        assert_eq!((second.tokens, probs.ids.row(0).to_vec()), (vec![0], vec![0, 1]));
        probs.exchange(0, 0, 3);
        assert_eq!(probs.ids.row(0).to_vec(), [3, 1]);
        probs.exchange(0, 1, 3);
        assert_eq!(probs.ids.row(0).to_vec(), [1, 3]);
    }

    #[test]
    fn logits_that_are_not_numbers_and_texts_without_places_do_no_harm() {
        let odd = TokenProbs::of_logits(&[f32::NAN, 0.0, f32::NEG_INFINITY], 3, 3);
        assert_eq!((odd.ids[[0, 0]], odd.logs[[0, 0]]), (1, 0.0));
        assert_eq!(odd.logs[[0, 1]], f32::NEG_INFINITY);
        assert_eq!(TokenProbs::of_logits(&[], 3, 2), TokenProbs::empty(3, 2));
        assert!(TokenProbs::empty(3, 0).is_empty());
    }
}
