//! What is recovered at a given cost to honest users, read off a defense at several strengths.

/// A cost between two strengths: `(1 - share) * low + share * high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Between {
    pub low: usize,
    pub high: usize,
    pub share: f64,
}

/// What a ladder of strengths says at one cost.
#[derive(Clone, Debug, PartialEq)]
pub enum Matched {
    /// No strength costs so much.
    NotReached,
    /// The means over all seeds reach the cost, but not those without some seed.
    Mean(f64),
    /// One value per seed.
    PerSeed(Vec<f64>),
}

/// Where the piecewise linear curve through `(cost, recovered)` has the cost `level`; none outside the
/// range of costs. Of strengths with equal cost the one with the least recovered counts: whoever pays the
/// same takes the stronger defense.
pub fn at_cost(points: &[(f64, f64)], level: f64) -> Option<Between> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (points[a], points[b]);
        a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    order.dedup_by(|later, kept| points[*later].0 == points[*kept].0);
    if let Some(&hit) = order.iter().find(|&&i| points[i].0 == level) {
        return Some(Between { low: hit, high: hit, share: 0.0 });
    }
    let pair = order.windows(2).find(|w| points[w[0]].0 < level && level < points[w[1]].0)?;
    let (low, high) = (pair[0], pair[1]);
    let share = (level - points[low].0) / (points[high].0 - points[low].0);
    Some(Between { low, high, share })
}

/// Recovered at the cost `level`, from `cost[strength][seed]` and `recovered[strength][seed]`, the
/// undefended arm among the strengths.
///
/// Where the level lies on the curve is decided by the means over the other seeds, so that no seed
/// chooses the strength on which it is scored. A seed's value is its own `recovered` there, less what the
/// slope of the curve attributes to its own deviation in cost: to first order, the interpolation of the
/// seed's own curve. A mean cost below zero counts as zero.
pub fn at_matched_cost(cost: &[Vec<f64>], recovered: &[Vec<f64>], level: f64) -> Matched {
    let seeds = recovered.first().map_or(0, Vec::len);
    let points = |out: Option<usize>| -> Vec<(f64, f64)> {
        let means = cost.iter().zip(recovered);
        means.map(|(c, r)| (mean_without(c, out).max(0.0), mean_without(r, out))).collect()
    };
    let all = points(None);
    let Some(here) = at_cost(&all, level) else { return Matched::NotReached };
    let fold = |seed: usize| {
        let points = points(Some(seed));
        let at = at_cost(&points, level)?;
        let deviation = |i: usize| cost[i][seed] - mean_without(&cost[i], Some(seed));
        let (low, high) = (points[at.low], points[at.high]);
        let slope = if at.low == at.high { 0.0 } else { (high.1 - low.1) / (high.0 - low.0) };
        let own = at.mix(recovered[at.low][seed], recovered[at.high][seed]);
        Some(own - slope * at.mix(deviation(at.low), deviation(at.high)))
    };
    match (0..seeds).map(fold).collect() {
        Some(values) if seeds > 1 => Matched::PerSeed(values),
        _ => Matched::Mean(here.mix(all[here.low].1, all[here.high].1)),
    }
}

impl Between {
    /// The two values, mixed.
    pub fn mix(&self, low: f64, high: f64) -> f64 {
        (1.0 - self.share) * low + self.share * high
    }
}

fn mean_without(x: &[f64], out: Option<usize>) -> f64 {
    let kept = || x.iter().enumerate().filter(|(i, _)| Some(*i) != out).map(|(_, v)| *v);
    kept().sum::<f64>() / kept().count() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(points: &[(f64, f64)], level: f64) -> Option<f64> {
        at_cost(points, level).map(|at| at.mix(points[at.low].1, points[at.high].1))
    }

    #[test]
    fn a_monotone_ladder_is_interpolated_and_never_extrapolated() {
        let ladder = [(0.0, 0.9), (0.02, 0.7), (0.04, 0.6)];
        assert_eq!(read(&ladder, 0.0), Some(0.9));
        assert!((read(&ladder, 0.01).unwrap() - 0.8).abs() < 1e-12);
        assert!((read(&ladder, 0.03).unwrap() - 0.65).abs() < 1e-12);
        assert_eq!(read(&ladder, 0.04), Some(0.6));
        assert_eq!(read(&ladder, 0.05), None);
        assert_eq!(read(&ladder, -0.01), None);
    }

    #[test]
    fn a_ladder_that_turns_back_is_read_between_neighbours_in_cost() {
        let ladder = [(0.04, 0.6), (0.0, 0.9), (0.01, 0.5), (0.02, 0.8)];
        assert!((read(&ladder, 0.005).unwrap() - 0.7).abs() < 1e-12);
        assert!((read(&ladder, 0.015).unwrap() - 0.65).abs() < 1e-12);
        assert!((read(&ladder, 0.03).unwrap() - 0.7).abs() < 1e-12);
    }

    #[test]
    fn of_equal_costs_the_stronger_defense_counts() {
        let ladder = [(0.0, 0.9), (0.0, 0.7), (0.0, 0.8), (0.02, 0.5)];
        assert_eq!(at_cost(&ladder, 0.0), Some(Between { low: 1, high: 1, share: 0.0 }));
        assert!((read(&ladder, 0.01).unwrap() - 0.6).abs() < 1e-12);
    }

    #[test]
    fn seeds_with_equal_costs_are_interpolated_one_by_one() {
        let cost = [vec![0.0; 3], vec![0.02; 3]];
        let recovered = [vec![0.9, 0.8, 1.0], vec![0.5, 0.6, 0.4]];
        let Matched::PerSeed(values) = at_matched_cost(&cost, &recovered, 0.01) else { panic!() };
        assert!(values.iter().all(|v| (v - 0.7).abs() < 1e-12), "{values:?}");
        assert_eq!(at_matched_cost(&cost, &recovered, 0.03), Matched::NotReached);
    }

    #[test]
    fn a_seed_that_paid_more_is_moved_along_the_slope() {
        // Seed 0: the others put the level halfway, slope -20; it paid 0.01 more at the high end.
        let cost = [vec![0.0; 3], vec![0.03, 0.02, 0.02]];
        let recovered = [vec![0.9; 3], vec![0.3, 0.5, 0.5]];
        let Matched::PerSeed(values) = at_matched_cost(&cost, &recovered, 0.01) else { panic!() };
        assert!((values[0] - (0.6 + 20.0 * 0.005)).abs() < 1e-12, "{values:?}");
    }

    #[test]
    fn no_seed_chooses_the_strength_on_which_it_is_scored() {
        // Each strength has one lucky seed; the least per seed would be 0, 0, 0.
        let recovered = [vec![0.0, 0.9, 0.9], vec![0.9, 0.0, 0.9], vec![0.9, 0.9, 0.0]];
        let cost = [vec![0.0; 3], vec![0.0; 3], vec![0.0; 3]];
        assert_eq!(at_matched_cost(&cost, &recovered, 0.0), Matched::PerSeed(vec![0.9, 0.9, 0.9]));
    }

    #[test]
    fn a_cost_that_hangs_on_one_seed_has_a_mean_alone() {
        let cost = [vec![0.0; 3], vec![0.0, 0.0, 0.06]];
        let recovered = [vec![0.9; 3], vec![0.5; 3]];
        assert_eq!(at_matched_cost(&cost, &recovered, 0.02), Matched::Mean(0.5));
    }

    #[test]
    fn a_defense_that_helps_honest_users_costs_nothing() {
        let cost = [vec![0.0; 3], vec![-0.01; 3], vec![0.02; 3]];
        let recovered = [vec![0.9; 3], vec![0.7; 3], vec![0.5; 3]];
        let Matched::PerSeed(values) = at_matched_cost(&cost, &recovered, 0.01) else { panic!() };
        assert!(values.iter().all(|v| (v - 0.6).abs() < 1e-12), "{values:?}");
    }

    /// All seeds lie on one line, each with costs of its own: at one cost all recover the same.
    #[test]
    fn a_seed_that_costs_more_is_read_where_it_would_cost_as_much() {
        let cost = [vec![0.0; 3], vec![0.01, 0.02, 0.03]];
        let recovered = cost.clone().map(|c| c.iter().map(|c| 0.9 - 10.0 * c).collect());
        let Matched::PerSeed(values) = at_matched_cost(&cost, &recovered, 0.01) else {
            panic!("within the costs")
        };
        assert!(values.iter().all(|v| (v - 0.8).abs() < 1e-12), "{values:?}");
    }

    #[test]
    fn a_seed_is_read_along_the_slope_between_the_strengths_on_either_side() {
        let cost = [vec![0.1, 0.1, 0.1], vec![0.2, 0.3, 0.4]];
        let recovered = [vec![0.9; 3], vec![0.5; 3]];
        let Matched::PerSeed(values) = at_matched_cost(&cost, &recovered, 0.2) else { panic!() };
        // The others' means are .35, .30 and .25: two fifths, half and two thirds of the way from .9 to .5, with
        // slopes of -1.6, -2 and -8/3; a seed's own cost there is .06 below, equal and .1 above.
        let own = [0.74 - 1.6 * 0.06, 0.7, 19.0 / 30.0 + 8.0 / 3.0 * 0.1];
        assert!(values.iter().zip(own).all(|(v, e)| (v - e).abs() < 1e-12), "{values:?} {own:?}");
    }
}
