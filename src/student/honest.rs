//! Honest users are a strategy, too: what they ask, who asks it and when, so that harm to them is
//! measured by the same loop. Rows come from a split of their own.

use ndarray::{Array1, Array2};

use crate::oracle::Tick;
use crate::seed::{Seed, below, normal, uniform};

/// One honest request.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// Number of the honest account.
    pub account: usize,
    /// When.
    pub at: Tick,
    /// `[d]` what is asked.
    pub input: Array1<f32>,
    /// Row of the traffic split that it came from: its true class is that row's.
    pub source: usize,
}

/// Kinds of honest account; they rotate by account number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Rows as they are.
    InDistribution,
    /// Rows with noise of a tenth of the range: another scanner, another room.
    Shifted,
    /// Rows near one row: one topic.
    NarrowTopic,
    /// Four times as many rows.
    HighVolume,
}

const KINDS: [Kind; 4] = [Kind::InDistribution, Kind::Shifted, Kind::NarrowTopic, Kind::HighVolume];

/// Requests of an ordinary account in a day.
const PER_DAY: f64 = 12.0;

/// Honest users.
pub struct Population;

impl Population {
    /// Requests of `accounts` users over `days`, in order of time, then account. Inputs come from
    /// `traffic` `[n, d]`, arrivals are Poisson (exponential gaps).
    pub fn draw(traffic: &Array2<f32>, accounts: usize, days: f64, seed: Seed) -> Vec<Arrival> {
        let mut all = Vec::new();
        if traffic.nrows() == 0 {
            return all;
        }
        for account in 0..accounts {
            let mut rng = seed.nth("account", account as u64).rng();
            let kind = KINDS[account % KINDS.len()];
            let rate = if kind == Kind::HighVolume { 4.0 * PER_DAY } else { PER_DAY };
            let topic = topic_rows(traffic, below(&mut rng, traffic.nrows()));
            let mut day = -libm::log1p(-uniform(&mut rng)) / rate;
            while day < days {
                let source = match kind {
                    Kind::NarrowTopic => topic[below(&mut rng, topic.len())],
                    _ => below(&mut rng, traffic.nrows()),
                };
                let mut input = traffic.row(source).to_owned();
                if kind == Kind::Shifted {
                    shift(&mut input, &mut rng);
                }
                all.push(Arrival { account, at: Tick::days(day), input, source });
                day += -libm::log1p(-uniform(&mut rng)) / rate;
            }
        }
        all.sort_by_key(|a| (a.at, a.account));
        all
    }
}

/// The tenth of all rows nearest to one row.
fn topic_rows(traffic: &Array2<f32>, centre: usize) -> Vec<usize> {
    let far = |i: usize| -> f64 {
        traffic.row(i).iter().zip(traffic.row(centre)).map(|(a, b)| f64::from(a - b).powi(2)).sum()
    };
    let mut order: Vec<usize> = (0..traffic.nrows()).collect();
    order.sort_by(|&a, &b| far(a).total_cmp(&far(b)).then(a.cmp(&b)));
    order.truncate(traffic.nrows().div_ceil(10));
    order
}

/// Noise of a tenth of the row's own range, clipped to it.
fn shift(row: &mut Array1<f32>, rng: &mut impl rand::Rng) {
    let (low, high) = row.iter().fold((f32::MAX, f32::MIN), |(l, h), &x| (l.min(x), h.max(x)));
    let sd = 0.1 * f64::from(high - low);
    row.mapv_inplace(|x| (x + (sd * normal(rng)) as f32).clamp(low, high));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_in_order_of_time_from_every_account() {
        let traffic = Array2::from_shape_fn((40, 3), |(i, j)| (i * 3 + j) as f32);
        let all = Population::draw(&traffic, 8, 2.0, Seed::new(4));
        assert!(all.windows(2).all(|w| w[0].at <= w[1].at));
        let of = |a: usize| all.iter().filter(|r| r.account == a).count();
        assert!((0..8).all(|a| of(a) > 5), "everyone asks");
        assert!(of(3) > 2 * of(0), "high volume is high");
        assert!(all.iter().all(|r| r.at < Tick::days(2.0)));
    }
}
