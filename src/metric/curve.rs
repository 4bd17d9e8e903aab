//! One number for a curve over budgets.

/// Where a curve reaches a level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reached {
    /// Below the smallest budget.
    Below(f64),
    /// At this budget.
    At(f64),
    /// Not by the largest budget.
    Above(f64),
}

/// Area under score against log10 budget by the trapezoid rule, over the range: a constant curve gives
/// its value. Budgets ascend and are positive; none with fewer than two.
pub fn auc_log_budget(budget: &[f64], score: &[f64]) -> Option<f64> {
    if budget.len() < 2 || budget.len() != score.len() {
        return None;
    }
    let x: Vec<f64> = budget.iter().map(|b| libm::log10(*b)).collect();
    let area: f64 = (1..x.len()).map(|i| (x[i] - x[i - 1]) * (score[i] + score[i - 1]) / 2.0).sum();
    Some(area / (x[x.len() - 1] - x[0]))
}

/// Budget at which the piecewise log-linear curve first reaches `level`.
pub fn budget_at(budget: &[f64], score: &[f64], level: f64) -> Option<Reached> {
    let (&first, &last) = (budget.first()?, budget.last()?);
    if score[0] > level {
        return Some(Reached::Below(first));
    }
    if score[0] == level {
        return Some(Reached::At(first));
    }
    for i in 1..budget.len() {
        if score[i] >= level {
            let share = (level - score[i - 1]) / (score[i] - score[i - 1]);
            let (a, b) = (libm::log(budget[i - 1]), libm::log(budget[i]));
            return Some(Reached::At(libm::exp(a + share * (b - a))));
        }
    }
    Some(Reached::Above(last))
}

/// Budget at which monotone-fitted `recovered` is one half.
pub fn budget_at_half(budget: &[f64], recovered: &[f64]) -> Option<Reached> {
    budget_at(budget, &monotone(recovered), 0.5)
}

/// Best non-decreasing fit in least squares (pool adjacent violators, Ayer et al. 1955).
pub fn monotone(score: &[f64]) -> Vec<f64> {
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    for &s in score {
        blocks.push((s, 1));
        while blocks.len() > 1 && blocks[blocks.len() - 2].0 > blocks[blocks.len() - 1].0 {
            let (b, m) = blocks.pop().expect("two blocks");
            let (a, n) = blocks.pop().expect("two blocks");
            blocks.push(((a * n as f64 + b * m as f64) / (n + m) as f64, n + m));
        }
    }
    blocks.into_iter().flat_map(|(value, n)| std::iter::repeat_n(value, n)).collect()
}
