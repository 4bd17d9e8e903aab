//! Honest users are a strategy, too: what they ask, who asks it and when, so that harm to them is
//! measured by the same loop. Rows come from a split of their own (`traffic`), and the true class of
//! every request is that of the row it came from.

use ndarray::{Array1, Array2, ArrayView1};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::oracle::Tick;
use crate::seed::{Seed, below, normal, permutation, uniform};

/// Kinds of honest user. The accounts of a population take them in turn.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum User {
    /// Rows as they are.
    #[default]
    InDistribution,
    /// Rows under another light: one brightness step a row, and noise.
    Shifted,
    /// Rows near one row: one topic.
    NarrowTopic,
    /// Rows as they are, four times as many.
    HighVolume,
}

impl User {
    /// All kinds, in the order in which accounts take them.
    pub const ALL: &[Self] =
        &[Self::InDistribution, Self::Shifted, Self::NarrowTopic, Self::HighVolume];
    /// Those who ask rows as they are: all that a table of answers can serve.
    pub const PLAIN: &[Self] = &[Self::InDistribution, Self::NarrowTopic, Self::HighVolume];
}

/// Requests of an ordinary account in a day.
const PER_DAY: f64 = 12.0;

/// One honest request.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// Number of the honest account.
    pub account: usize,
    /// What kind of user that account is.
    pub user: User,
    /// When.
    pub at: Tick,
    /// `[d]` what is asked.
    pub input: Array1<f32>,
    /// Row of the traffic split that it came from: its true class is that row's.
    pub source: usize,
}

/// Honest users.
pub struct Population;

impl Population {
    /// Requests of `accounts` accounts of these kinds of user in turn over `days`, in order of time, then account. Inputs come from
    /// `traffic` `[n, d]`; arrivals are Poisson (exponential gaps). An account asks its rows in an
    /// order of its own, each once before any comes again.
    pub fn draw(
        traffic: &Array2<f32>,
        users: &[User],
        accounts: usize,
        days: f64,
        seed: Seed,
    ) -> Vec<Arrival> {
        let mut all = Vec::new();
        if traffic.nrows() == 0 || users.is_empty() {
            return all;
        }
        let range = range_of(traffic);
        for account in 0..accounts {
            let seed = seed.nth("account", account as u64);
            let user = users[account % users.len()];
            let rows = rows_of(user, traffic, seed.child("rows"));
            for (i, at) in times(user, days, seed.child("times")).into_iter().enumerate() {
                let source = rows[i % rows.len()];
                let row = traffic.row(source);
                let input = match user {
                    User::Shifted => shifted(row, range, seed.nth("shift", i as u64)),
                    _ => row.to_owned(),
                };
                all.push(Arrival { account, user, at, input, source });
            }
        }
        all.sort_by_key(|a| (a.at, a.account));
        all
    }
}

/// When a user asks: a Poisson process over `days`.
fn times(user: User, days: f64, seed: Seed) -> Vec<Tick> {
    let rate = if user == User::HighVolume { 4.0 * PER_DAY } else { PER_DAY };
    let mut rng = seed.rng();
    let mut gap = || -libm::log1p(-uniform(&mut rng)) / rate;
    std::iter::successors(Some(gap()), |day| Some(day + gap()))
        .take_while(|day| *day < days)
        .map(Tick::days)
        .collect()
}

/// Rows that a user asks, in order. A topic is the tenth of all rows nearest to one of them.
fn rows_of(user: User, traffic: &Array2<f32>, seed: Seed) -> Vec<usize> {
    let mut rng = seed.rng();
    let n = traffic.nrows();
    if user != User::NarrowTopic {
        return permutation(&mut rng, n);
    }
    let topic = nearest_first(traffic, below(&mut rng, n));
    permutation(&mut rng, n.div_ceil(10)).into_iter().map(|i| topic[i]).collect()
}

/// All rows from nearest to farthest (L2) from row `centre`, which is first; ties by number.
pub(super) fn nearest_first(rows: &Array2<f32>, centre: usize) -> Vec<usize> {
    let far = |row: ArrayView1<'_, f32>| -> f64 {
        row.iter().zip(rows.row(centre)).map(|(a, b)| f64::from(a - b).powi(2)).sum()
    };
    let far: Vec<f64> = rows.rows().into_iter().map(far).collect();
    let mut order: Vec<usize> = (0..rows.nrows()).collect();
    order.sort_by(|&a, &b| {
        far[a].total_cmp(&far[b]).then((a != centre).cmp(&(b != centre))).then(a.cmp(&b))
    });
    order
}

/// A row under another light: one normal brightness step of a tenth of the range for the whole row,
/// and normal noise of a twentieth, clipped to the range.
pub(super) fn shifted(row: ArrayView1<'_, f32>, range: (f32, f32), seed: Seed) -> Array1<f32> {
    let mut rng = seed.rng();
    let width = f64::from(range.1 - range.0);
    let light = 0.1 * width * normal(&mut rng);
    row.mapv(|x| {
        let noise = 0.05 * width * normal(&mut rng);
        ((f64::from(x) + light + noise) as f32).clamp(range.0, range.1)
    })
}

fn range_of(rows: &Array2<f32>) -> (f32, f32) {
    rows.iter().fold((f32::MAX, f32::MIN), |(low, high), &x| (low.min(x), high.max(x)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn traffic() -> Array2<f32> {
        Array2::from_shape_fn((200, 3), |(i, j)| (i * 3 + j) as f32)
    }

    fn of(all: &[Arrival], account: usize) -> Vec<&Arrival> {
        all.iter().filter(|a| a.account == account).collect()
    }

    #[test]
    fn requests_come_in_order_of_time_from_every_account() {
        let all = Population::draw(&traffic(), User::ALL, 8, 2.0, Seed::new(4));
        assert!(all.windows(2).all(|w| w[0].at <= w[1].at));
        assert!((0..8).all(|a| of(&all, a).len() > 5), "everyone asks");
        assert!(of(&all, 3).len() > 2 * of(&all, 0).len(), "high volume is high");
        assert!(all.iter().all(|r| r.at <= Tick::days(2.0)));
        assert_eq!(all, Population::draw(&traffic(), User::ALL, 8, 2.0, Seed::new(4)));
    }

    #[test]
    fn an_account_asks_each_row_once_before_any_comes_again() {
        let all = Population::draw(&traffic(), User::ALL, 1, 10.0, Seed::new(5));
        let first: BTreeSet<usize> = of(&all, 0).iter().take(100).map(|a| a.source).collect();
        assert_eq!(first.len(), 100);
        assert!(all.iter().all(|a| a.input == traffic().row(a.source)), "rows as they are");
    }

    #[test]
    fn accounts_do_not_shift_each_other() {
        let (few, many) = (
            Population::draw(&traffic(), User::ALL, 2, 2.0, Seed::new(6)),
            Population::draw(&traffic(), User::ALL, 5, 2.0, Seed::new(6)),
        );
        assert_eq!(of(&few, 1), of(&many, 1));
    }

    #[test]
    fn shifted_rows_differ_and_stay_in_range() {
        let all = Population::draw(&traffic(), User::ALL, 2, 2.0, Seed::new(7));
        for arrival in of(&all, 1) {
            assert_ne!(arrival.input, traffic().row(arrival.source));
            assert!(arrival.input.iter().all(|x| (0.0..=599.0).contains(x)));
        }
    }

    #[test]
    fn a_narrow_topic_is_a_tenth_of_the_rows_around_one() {
        let all = Population::draw(&traffic(), User::ALL, 3, 9.0, Seed::new(8));
        let sources: BTreeSet<usize> = of(&all, 2).iter().map(|a| a.source).collect();
        let (low, high) = (sources.first().unwrap(), sources.last().unwrap());
        assert!(sources.len() <= 20 && high - low <= 20, "{sources:?}");
        assert_eq!(nearest_first(&traffic(), 50)[..3], [50, 49, 51]);
    }
}
