//! How many of those who were alarmed on attack, here and where attackers are rarer or not.

use super::gather::{Arm, last};
use super::settings::Settings;
use super::spread::Spread;
use crate::metric::{precision, upper_bound, wilson};

/// Attackers among all accounts: 24,000 in 5 million, and rarer.
pub const BASE_RATES: [f64; 3] = [24_000.0 / 5e6, 1e-3, 1e-4];

/// Alarms of an arm, account by account.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarms {
    pub arm: String,
    /// Alarmed accounts of actors, and of honest people, each simulated account once.
    pub right: Spread,
    pub wrong: Spread,
    /// Share of alarms that are right, with honest accounts weighted.
    pub precision: Spread,
    /// Over all replicates: alarmed and all accounts of actors, and of honest people.
    pub attack: [f64; 2],
    pub honest: [f64; 2],
    /// At each of [`BASE_RATES`]: precision and its ends; the lower end alone where no honest account was
    /// alarmed. None without an alarm.
    pub at: [Option<AtRate>; 3],
}

/// Precision at a base rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AtRate {
    /// None where it is only known to be above `low`.
    pub value: Option<f64>,
    pub low: f64,
    pub high: f64,
}

/// The alarms of an arm; none without a simulation.
pub fn alarms(arm: &Arm<'_>, settings: &Settings) -> Option<Alarms> {
    let counts: Vec<[f64; 4]> = arm
        .outcomes
        .values()
        .map(|o| {
            let alarmed = |p| last(p).map_or(0.0, |l| l.sums.alarms as f64);
            let right: f64 = o.actors.iter().map(alarmed).sum();
            let all: f64 = o.actors.iter().map(|p| p.accounts as f64).sum();
            [right, all, alarmed(&o.honest), o.honest.accounts as f64]
        })
        .collect();
    let of = |i: usize| counts.iter().map(move |c| c[i]);
    let weighted = |c: &[f64; 4]| {
        let all = c[0] + c[2] * settings.weight;
        (all > 0.0).then(|| c[0] / all)
    };
    let attack = [of(0).sum(), of(1).sum()];
    let honest = [of(2).sum(), of(3).sum()];
    (!counts.is_empty()).then(|| Alarms {
        arm: arm.name.to_string(),
        right: Spread::plain(of(0)),
        wrong: Spread::plain(of(2)),
        precision: Spread::plain(counts.iter().filter_map(weighted)),
        attack,
        honest,
        at: BASE_RATES.map(|pi| at_rate(pi, attack, honest)),
    })
}

/// Bayes' rule on the shares over all replicates; the ends are those of Wilson's 90 % interval of the honest
/// share, a bound where that share is zero.
fn at_rate(pi: f64, attack: [f64; 2], honest: [f64; 2]) -> Option<AtRate> {
    if attack[0] <= 0.0 || honest[1] <= 0.0 {
        return None;
    }
    let tpr = attack[0] / attack[1].max(attack[0]);
    if honest[0] == 0.0 {
        let low = precision(pi, tpr, upper_bound(0.0, honest[1], 0.95))?;
        return Some(AtRate { value: None, low, high: 1.0 });
    }
    let (few, many) = wilson(honest[0] as u64, honest[1] as u64, 0.90);
    Some(AtRate {
        value: precision(pi, tpr, honest[0] / honest[1]),
        low: precision(pi, tpr, many)?,
        high: precision(pi, tpr, few)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::campaign::summary::gather::slices;
    use crate::report::campaign::synthetic::{assumptions, records};

    #[test]
    fn precision_falls_where_attackers_are_rarer() {
        let records = records(3, 2);
        let slices = slices(&records);
        let settings = Settings::of(&assumptions(), &slices[0]);
        let bans = alarms(&slices[0].arms[2], &settings).unwrap();
        assert_eq!((bans.attack, bans.honest), ([60.0, 120.0], [8.0, 4_000.0]));
        // 30 right and 4 wrong ones for two each.
        assert!((bans.precision.median.unwrap() - 30.0 / 38.0).abs() < 1e-12);
        let values = bans.at.map(|a| a.unwrap().value.unwrap());
        // 0.0048 * 0.5 / (0.0048 * 0.5 + 0.9952 * 0.002)
        assert!((values[0] - 0.546_647).abs() < 1e-6, "{values:?}");
        assert!(values[0] > values[1] && values[1] > values[2]);
        assert!(
            bans.at.iter().flatten().all(|a| a.low < a.value.unwrap() && a.value.unwrap() < a.high)
        );
        assert_eq!(alarms(&slices[0].arms[0], &settings).unwrap().at, [None; 3]);
    }

    #[test]
    fn no_wrong_alarm_is_a_lower_bound_of_precision() {
        let at = at_rate(0.0048, [95.0, 100.0], [0.0, 10_000.0]).unwrap();
        assert!(at.value.is_none() && at.low > 0.93 && at.low < 0.95 && at.high == 1.0, "{at:?}");
        assert_eq!(at_rate(0.0048, [0.0, 100.0], [3.0, 10.0]), None);
    }
}
