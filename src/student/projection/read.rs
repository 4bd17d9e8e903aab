//! Logits out of what an API tells, up to a number of each prompt's own (Carlini et al. 2024, sections 5 and 6).

use std::collections::BTreeMap;

use ndarray::Array2;

use super::Asker;
use crate::error::{Error, Result};

/// How logits were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Every log-probability is told.
    Whole,
    /// A bias lifts wanted tokens among those that are told.
    Biased,
    /// The bias at which a token becomes the most likely one is searched for.
    Flips,
    /// No bias helps: only tokens that many prompts have among their most likely ones.
    Told,
}

/// Logits as far as they were read.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub way: Way,
    /// `[prompts, tokens]`, each row up to a number of its own.
    pub logits: Array2<f64>,
    /// `[tokens]` the token of each column.
    pub tokens: Vec<u16>,
}

/// Reads logits after prompts in the cheapest way that the API allows: documented options are tried in turn,
/// and what turns out not to work costs the questions that showed it. `step` is how finely flips are searched for.
/// `None` where nothing but unbiased text is told.
pub fn read(asker: &mut Asker<'_>, prompts: &[Vec<u16>], step: f64) -> Result<Option<Reading>> {
    let card = asker.card();
    let read = |way, logits| Some(Reading { way, logits, tokens: tokens(card.vocabulary) });
    if card.whole {
        return Ok(read(Way::Whole, whole(asker, prompts)?));
    }
    if card.most_bias > 0.0 {
        if card.top >= 2
            && let Some(logits) = biased(asker, prompts)?
        {
            return Ok(read(Way::Biased, logits));
        }
        if let Some(logits) = flips(asker, prompts, step)? {
            return Ok(read(Way::Flips, logits));
        }
    }
    if card.top >= 2 { told(asker, prompts) } else { Ok(None) }
}

/// Log-probabilities `[prompts, vocabulary]`: a question a prompt.
pub fn whole(asker: &mut Asker<'_>, prompts: &[Vec<u16>]) -> Result<Array2<f64>> {
    let vocabulary = asker.card().vocabulary;
    rows(prompts, vocabulary, |prompt| asker.whole(prompt).map(Some))?
        .ok_or_else(|| Error::Internal("an answer was read and is not there".into()))
}

/// Logits `[prompts, vocabulary]` less that of token 0, from the K most likely tokens of each answer: a bias lifts
/// token 0 and K - 1 others over all the rest, and drops out of their differences. `None` as soon as a lifted
/// token is not told: the bias does not show in what is told.
pub fn biased(asker: &mut Asker<'_>, prompts: &[Vec<u16>]) -> Result<Option<Array2<f64>>> {
    let card = asker.card();
    if card.top < 2 {
        return Err(Error::input("most likely tokens told", card.top, "2 or more"));
    }
    let tokens = tokens(card.vocabulary);
    rows(prompts, card.vocabulary, |prompt| {
        let mut row = vec![0.0; card.vocabulary];
        for wanted in tokens[1..].chunks(card.top - 1) {
            let lifted = || std::iter::once(0).chain(wanted.iter().copied());
            let bias: Vec<(u16, f64)> = lifted().map(|token| (token, card.most_bias)).collect();
            let told: BTreeMap<u16, f64> = asker.top(prompt, &bias)?.into_iter().collect();
            let Some(reference) = told.get(&0) else { return Ok(None) };
            for &token in wanted {
                let Some(told) = told.get(&token) else { return Ok(None) };
                row[usize::from(token)] = told - reference;
            }
        }
        Ok(Some(row))
    })
}

/// Questions that [`biased`] takes when `top` tokens are told: N ceil((V - 1) / (K - 1)).
pub const fn biased_queries(prompts: u64, vocabulary: u64, top: u64) -> u64 {
    prompts * (vocabulary - 1).div_ceil(top - 1)
}

/// Logits `[prompts, vocabulary]` less that of the most likely token, from text alone: the bias at which a token
/// takes the first place is what it lacks, and is found by halving until it is known to `step`. `None` as soon as
/// the largest bias does not bring a token to the first place.
pub fn flips(
    asker: &mut Asker<'_>,
    prompts: &[Vec<u16>],
    step: f64,
) -> Result<Option<Array2<f64>>> {
    let card = asker.card();
    if !(step > 0.0 && step.is_finite()) {
        return Err(Error::input("step of a search", step, "above 0"));
    }
    let tokens = tokens(card.vocabulary);
    rows(prompts, card.vocabulary, |prompt| {
        let mut row = vec![0.0; card.vocabulary];
        let first = asker.first(prompt, &[])?;
        for (&token, logit) in tokens.iter().zip(&mut row).filter(|(token, _)| **token != first) {
            let mut wins = |bias: f64| Ok(asker.first(prompt, &[(token, bias)])? == token);
            let (mut loses, mut enough) = (0.0, card.most_bias);
            if !wins(enough)? {
                return Ok(None);
            }
            while enough - loses > step {
                let middle = (loses + enough) / 2.0;
                let side = if wins(middle)? { &mut enough } else { &mut loses };
                *side = middle;
            }
            *logit = -(loses + enough) / 2.0;
        }
        Ok(Some(row))
    })
}

/// Questions that [`flips`] takes: one a prompt, and 1 + ceil(log2(largest bias / step)) for each other token.
pub fn flip_queries(prompts: u64, vocabulary: u64, most_bias: f64, step: f64) -> u64 {
    let halvings = libm::ceil(libm::log2(most_bias / step)).max(0.0) as u64;
    prompts * (1 + (vocabulary - 1) * (1 + halvings))
}

/// Log-probabilities without any bias, of the tokens that many prompts have among their most likely ones: of the
/// m tokens told most often, and the prompts that tell all of them, the largest min(prompts, m). `None` where
/// no two tokens and prompts come together.
pub fn told(asker: &mut Asker<'_>, prompts: &[Vec<u16>]) -> Result<Option<Reading>> {
    let answers = prompts
        .iter()
        .map(|prompt| Ok(asker.top(prompt, &[])?.into_iter().collect()))
        .collect::<Result<Vec<BTreeMap<u16, f64>>>>()?;
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    answers.iter().flat_map(BTreeMap::keys).for_each(|&t| *counts.entry(t).or_default() += 1);
    let mut order: Vec<(u16, usize)> = counts.into_iter().collect();
    order.sort_by_key(|&(token, count)| (std::cmp::Reverse(count), token));
    let order: Vec<u16> = order.into_iter().map(|(token, _)| token).collect();

    let mut left: Vec<&BTreeMap<u16, f64>> = answers.iter().collect();
    let (mut best, mut size) = (None, 1);
    for (m, token) in (1..).zip(&order) {
        left.retain(|answer| answer.contains_key(token));
        if left.len().min(m) > size {
            size = left.len().min(m);
            best = Some((m, left.clone()));
        }
    }
    let Some((m, answers)) = best else { return Ok(None) };
    let tokens = order[..m].to_vec();
    let logits =
        Array2::from_shape_fn((answers.len(), m), |(row, column)| answers[row][&tokens[column]]);
    Ok(Some(Reading { way: Way::Told, logits, tokens }))
}

fn tokens(vocabulary: usize) -> Vec<u16> {
    (0..vocabulary).map(|token| token as u16).collect()
}

/// A row a prompt, until one cannot be read.
fn rows(
    prompts: &[Vec<u16>],
    len: usize,
    mut row: impl FnMut(&[u16]) -> Result<Option<Vec<f64>>>,
) -> Result<Option<Array2<f64>>> {
    let mut all = Vec::with_capacity(prompts.len() * len);
    for prompt in prompts {
        let Some(row) = row(prompt)? else { return Ok(None) };
        if row.len() != len {
            return Err(Error::input("log-probabilities of an answer", row.len(), len.to_string()));
        }
        all.extend(row);
    }
    let rows = Array2::from_shape_vec((prompts.len(), len), all);
    rows.map(Some).map_err(|e| Error::Internal(e.to_string()))
}
