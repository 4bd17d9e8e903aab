//! Capability at day N: what students recovered of the teacher by a day, its dollars and its operations.

use super::gather::Arm;
use super::spread::Spread;
use crate::experiment::campaign::record::{ActorLearnt, Learnt};

/// A day of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct At {
    pub day: u32,
    /// Dollars that the actor had paid, chips not included; median over replicates.
    pub usd: f64,
    /// Operations that had gone into its student; median over replicates.
    pub flop: f64,
    /// (student - floor) / (teacher - floor).
    pub recovered: Spread,
}

/// The curve of an actor under an arm, in one area; without a name the mean over areas of each replicate.
pub fn curve(arm: &Arm<'_>, actor: &str, area: Option<&str>) -> Vec<At> {
    let learnt: Vec<&ActorLearnt> =
        arm.learnt.values().filter_map(|l| l.iter().find(|a| a.actor == actor)).collect();
    let mut days: Vec<u32> = learnt.iter().flat_map(|a| a.rows.iter().map(|r| r.day)).collect();
    days.sort_unstable();
    days.dedup();
    let at = |day: u32| {
        let usd =
            learnt.iter().filter_map(|a| Some(a.points.iter().find(|p| p.day == day)?.usd.total()));
        let flop = learnt.iter().filter_map(|a| Some(a.rows.iter().find(|r| r.day == day)?.flop));
        Some(At {
            day,
            usd: Spread::plain(usd).median?,
            flop: Spread::plain(flop).median?,
            recovered: Spread::plain(learnt.iter().filter_map(|a| recovered(a, day, area))),
        })
    };
    days.into_iter().filter_map(at).filter(|a| a.recovered.n > 0).collect()
}

/// What one actor's students recovered by a day; none where teacher and floor are equal.
pub fn recovered(learnt: &ActorLearnt, day: u32, area: Option<&str>) -> Option<f64> {
    let rows = learnt.rows.iter().filter(|r| r.day == day && area.is_none_or(|a| r.area == a));
    let values: Vec<f64> = rows.map(|r| r.recovered).collect();
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    (!values.is_empty() && mean.is_finite()).then_some(mean)
}

/// A score of an actor's students on the last day, the mean over areas of each replicate.
pub fn on_last_day(arm: &Arm<'_>, actor: &str, score: fn(&Learnt) -> f64) -> Spread {
    let last = last_day(arm);
    let mean = |learnt: &&[ActorLearnt]| {
        let learnt = learnt.iter().find(|a| a.actor == actor)?;
        let rows = learnt.rows.iter().filter(|r| Some(r.day) == last);
        let values: Vec<f64> = rows.map(score).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    Spread::plain(arm.learnt.values().filter_map(mean))
}

/// The last day that students were trained for.
pub fn last_day(arm: &Arm<'_>) -> Option<u32> {
    arm.learnt.values().flat_map(|l| l.iter()).flat_map(|a| &a.rows).map(|r| r.day).max()
}

/// Per replicate, the mean over actors of what they recovered by the last day.
pub fn of_replicates(arm: &Arm<'_>) -> Vec<(u32, f64)> {
    let Some(day) = last_day(arm) else { return Vec::new() };
    let mean = |(replicate, learnt): (&u32, &&[ActorLearnt])| {
        let values: Option<Vec<f64>> = learnt.iter().map(|a| recovered(a, day, None)).collect();
        let values = values.filter(|v| !v.is_empty())?;
        Some((*replicate, values.iter().sum::<f64>() / values.len() as f64))
    };
    arm.learnt.iter().filter_map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::campaign::summary::gather::slices;
    use crate::report::campaign::synthetic::records;

    #[test]
    fn a_score_of_the_last_day_is_the_mean_over_areas() {
        let records = records(3, 3);
        let slices = slices(&records);
        let arm = &slices[0].arms[2];
        let by_curve = curve(arm, "mm", None).last().unwrap().recovered;
        let by_score = on_last_day(arm, "mm", |row| row.recovered);
        assert!((by_score.median.unwrap() - by_curve.median.unwrap()).abs() < 1e-12);
        assert_eq!(on_last_day(arm, "nobody", |row| row.recovered).n, 0);
    }

    #[test]
    fn a_curve_has_a_point_for_each_day_with_dollars_and_operations() {
        let records = records(3, 3);
        let slices = slices(&records);
        let curve = curve(&slices[0].arms[2], "mm", Some("tools"));
        assert_eq!(curve.iter().map(|a| a.day).collect::<Vec<_>>(), [10, 20]);
        // 250 exchanges and one more in the median replicate, ten for a dollar, and 30 for accounts.
        assert!((curve[1].usd - 55.1).abs() < 1e-9 && curve[1].flop == 2e18, "{:?}", curve[1]);
        let spread = curve[1].recovered;
        assert!((spread.median.unwrap() - 0.26).abs() < 1e-12);
        let (low, high) = spread.ends.unwrap();
        assert!((low - 0.25).abs() < 1e-12 && (high - 0.27).abs() < 1e-12);
    }

    #[test]
    fn without_an_area_it_is_the_mean_of_all() {
        let records = records(1, 1);
        let slices = slices(&records);
        let end = *curve(&slices[0].arms[0], "ds", None).last().unwrap();
        assert!((end.recovered.median.unwrap() - 0.95).abs() < 1e-12);
        assert_eq!(of_replicates(&slices[0].arms[0]).len(), 1);
        assert!(curve(&slices[0].arms[0], "nobody", None).is_empty());
    }
}
