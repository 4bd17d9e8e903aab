//! Knockoff Nets, adaptive (Orekondy et al. 2019, section 4.2): a bandit learns which groups of the pool are worth
//! asking. Groups are the student's own: k-means of the rows, or the labels that its own model gives them. With groups
//! inside groups a second bandit chooses within each (the paper's tree of actions has two levels, too).
//!
//! A row is asked once, so a group can run out; then it is closed. The paper trains a step after every answer; here the
//! policy moves after every batch and a fresh network is trained a set number of times.

mod bandit;
mod reward;

use ndarray::{Array2, Axis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::bandit::Bandit;
use self::reward::Judge;
use super::{Own, Strategy, Told};
use crate::error::{Error, Result};
use crate::oracle::top1;
use crate::seed::Seed;
use crate::student::View;
use crate::student::cluster::k_means;
use crate::student::objective::whole;

pub use bandit::Baseline;
pub use reward::Reward;

/// What makes a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Grouping {
    /// Rows that lie together (k-means).
    #[default]
    Clusters,
    /// Rows that the student's own model, as it is, gives the same label.
    OwnLabels,
}

/// Settings, checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub by: Grouping,
    /// Clusters.
    pub groups: usize,
    /// Groups in each group.
    pub fine: usize,
    pub reward: Reward,
    pub baseline: Baseline,
    /// Rows between two moves of the policy.
    pub batch: usize,
    /// Trainings over the budget.
    pub rounds: usize,
}

impl Settings {
    /// True if a network is trained while asking.
    pub(super) fn needs_model(&self) -> bool {
        self.reward.needs_model() || self.by == Grouping::OwnLabels
    }
}

pub(super) struct Knockoff {
    settings: Settings,
    seed: Seed,
    /// Pool rows not asked yet, the next one last.
    waiting: Vec<usize>,
    /// Group and group inside it of each pool row, once they are made.
    of: Vec<(usize, usize)>,
    coarse: Bandit,
    fine: Vec<Bandit>,
    judge: Judge,
    /// `[pool, classes]` own predictions at the last training.
    own: Option<Array2<f64>>,
    /// Pool rows of the last pick.
    asked: Vec<usize>,
    classes: usize,
    /// Rows answered since the last training, and those after which another is due.
    fresh: usize,
    per_round: usize,
    picks: u64,
}

impl Knockoff {
    pub(super) fn new(mut order: Vec<usize>, settings: Settings, seed: Seed) -> Self {
        order.reverse();
        Self {
            coarse: Bandit::new(0, settings.baseline),
            judge: Judge::new(settings.reward),
            settings,
            seed,
            waiting: order,
            of: Vec::new(),
            fine: Vec::new(),
            own: None,
            asked: Vec::new(),
            classes: 0,
            fresh: 0,
            per_round: 1,
            picks: 0,
        }
    }

    /// Groups before anything is known.
    fn group(&mut self, view: &View<'_>, rows: usize) {
        let Settings { by, groups, fine, baseline, rounds, .. } = self.settings;
        self.classes = view.classes;
        self.per_round = rows.div_ceil(rounds).max(1);
        let seed = self.seed.child("clusters");
        let (arms, fines) = match by {
            Grouping::Clusters => {
                let coarse = k_means(view.pool.view(), groups, seed);
                let fines = inside(view.pool, &coarse, groups, fine, seed);
                self.of = coarse.into_iter().zip(fines).collect();
                (groups, fine)
            }
            Grouping::OwnLabels => {
                let fines = k_means(view.pool.view(), fine, seed);
                self.of = fines.into_iter().map(|fine| (0, fine)).collect();
                (view.classes, fine)
            }
        };
        self.coarse = Bandit::new(arms, baseline);
        self.fine = vec![Bandit::new(fines, baseline); arms];
    }

    /// How many rows of each group wait: `[coarse][fine]`.
    fn left(&self) -> Vec<Vec<usize>> {
        let mut left: Vec<Vec<usize>> =
            self.fine.iter().map(|_| vec![0; self.settings.fine]).collect();
        for &row in &self.waiting {
            let (coarse, fine) = self.of[row];
            left[coarse][fine] += 1;
        }
        left
    }
}

/// Groups inside each of the `coarse` groups of the pool.
fn inside(
    pool: &Array2<f32>,
    coarse: &[usize],
    groups: usize,
    fine: usize,
    seed: Seed,
) -> Vec<usize> {
    let mut of = vec![0; coarse.len()];
    for group in 0..groups {
        let rows: Vec<usize> = (0..coarse.len()).filter(|&i| coarse[i] == group).collect();
        let part = k_means(pool.select(Axis(0), &rows).view(), fine, seed.nth("in", group as u64));
        rows.into_iter().zip(part).for_each(|(row, fine)| of[row] = fine);
    }
    of
}

impl Strategy for Knockoff {
    fn pick(&mut self, view: &View<'_>, rows: usize, own: Option<&dyn Own>) -> Result<Array2<f32>> {
        if self.picks == 0 {
            self.group(view, rows);
        }
        if let Some(own) = own {
            let probs = own.probs(view.pool.view())?;
            if self.settings.by == Grouping::OwnLabels {
                self.of.iter_mut().zip(top1(&probs)).for_each(|(of, label)| of.0 = label);
            }
            self.own = Some(probs);
            self.fresh = 0;
        }
        let mut rng = self.seed.nth("choice", self.picks).rng();
        self.picks += 1;
        let mut left = self.left();
        self.asked.clear();
        for _ in 0..rows.min(self.settings.batch) {
            let some = |group: usize| left[group].iter().any(|n| *n > 0);
            let Some(coarse) = self.coarse.draw(some, &mut rng) else { break };
            let fine = self.fine[coarse].draw(|fine| left[coarse][fine] > 0, &mut rng);
            let fine = fine.ok_or_else(|| Error::Internal("an open group without rows".into()))?;
            let place = self.waiting.iter().rposition(|&row| self.of[row] == (coarse, fine));
            let place = place.ok_or_else(|| Error::Internal("a group lost its rows".into()))?;
            self.asked.push(self.waiting.remove(place));
            left[coarse][fine] -= 1;
        }
        Ok(view.pool.select(Axis(0), &self.asked))
    }

    fn wants_model(&self) -> bool {
        let first = self.own.is_none() && self.fresh > 0;
        let due = first || self.fresh >= self.per_round;
        self.settings.needs_model() && due && !self.waiting.is_empty()
    }

    fn told(&mut self, told: &Told<'_>) -> Result<()> {
        let left = self.left();
        let answers = whole(told.answers, self.classes);
        let even = vec![1.0 / self.classes.max(1) as f64; self.classes];
        for (&place, answer) in told.places.iter().zip(answers.rows()) {
            let Some(&row) = self.asked.get(place) else {
                return Err(Error::Internal("told about a row that was not picked".into()));
            };
            let own = self.own.as_ref().map_or_else(|| even.clone(), |own| own.row(row).to_vec());
            let worth = self.judge.worth(&answer.to_vec(), &own);
            let (coarse, fine) = self.of[row];
            self.coarse.reward(coarse, worth, |group| left[group].iter().any(|n| *n > 0));
            self.fine[coarse].reward(fine, worth, |fine| left[coarse][fine] > 0);
        }
        self.fresh += told.places.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{tell, view_of};
    use super::*;
    use crate::oracle::Answers;
    use ndarray::array;

    fn settings() -> Settings {
        Settings {
            by: Grouping::Clusters,
            groups: 3,
            fine: 1,
            reward: Reward::Certainty,
            baseline: Baseline::Before,
            batch: 4,
            rounds: 5,
        }
    }

    /// Three heaps of twenty rows, at 0, 0.5 and 1.
    fn heaps() -> Array2<f32> {
        Array2::from_shape_fn((60, 1), |(i, _)| (i % 3) as f32 * 0.5)
    }

    /// Rows asked of the heap at 1, of `budget`, when its answers alone are certain (`sure`) or none are.
    fn from_the_last_heap(settings: Settings, budget: usize, sure: bool) -> usize {
        let pool = heaps();
        let view = view_of(&pool, &pool);
        let mut knockoff = Knockoff::new((0..60).collect(), settings, Seed::new(3));
        let (mut asked, mut found) = (0, 0);
        while asked < budget {
            let rows = knockoff.pick(&view, budget - asked, None).unwrap();
            asked += rows.nrows();
            found += rows.iter().filter(|x| **x == 1.0).count();
            let certain = |x: &f32| if sure && *x == 1.0 { 0.99 } else { 0.5 };
            let p: Vec<f64> = rows.iter().map(certain).collect();
            let answers =
                Array2::from_shape_fn(
                    (rows.nrows(), 2),
                    |(i, c)| {
                        if c == 0 { p[i] } else { 1.0 - p[i] }
                    },
                );
            tell(&mut knockoff, &rows, &Answers::Probs(answers));
        }
        found
    }

    #[test]
    fn the_group_that_pays_is_asked_more_until_it_is_empty() {
        for fine in [1, 2] {
            let flat = Settings { fine, ..settings() };
            assert!(from_the_last_heap(flat, 30, true) > from_the_last_heap(flat, 30, false));
            assert_eq!(from_the_last_heap(flat, 60, true), 20, "every row once");
        }
    }

    #[test]
    fn equal_rewards_leave_the_choice_uniform() {
        let pool = heaps();
        let mut knockoff = Knockoff::new((0..60).collect(), settings(), Seed::new(3));
        let rows = knockoff.pick(&view_of(&pool, &pool), 4, None).unwrap();
        let even = Array2::from_elem((4, 2), 0.5);
        tell(&mut knockoff, &rows, &Answers::Probs(even));
        assert!(knockoff.coarse.policy(|_| true).iter().all(|p| (p - 1.0 / 3.0).abs() < 1e-15));
    }

    #[test]
    fn huge_logits_and_certain_answers_do_no_harm() {
        let pool = heaps();
        let sum = Settings { reward: Reward::Sum, ..settings() };
        let mut knockoff = Knockoff::new((0..60).collect(), sum, Seed::new(3));
        for answers in [
            Answers::Logits(array![[800.0, 0.0], [0.0, 800.0], [800.0, 0.0], [0.0, 0.0]]),
            Answers::Labels(vec![0, 1, 0, 1]),
            Answers::Probs(array![[1.0, 0.0], [0.0, 0.0], [f64::NAN, 1.0], [0.5, 0.5]]),
        ] {
            let rows = knockoff.pick(&view_of(&pool, &pool), 4, None).unwrap();
            tell(&mut knockoff, &rows, &answers);
            let policy = knockoff.coarse.policy(|_| true);
            assert!(policy.iter().all(|p| p.is_finite()), "{policy:?}");
            assert!((policy.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn own_labels_make_groups_as_soon_as_there_is_a_model() {
        let pool = heaps();
        let labels = Settings { by: Grouping::OwnLabels, ..settings() };
        let mut knockoff = Knockoff::new((0..60).collect(), labels, Seed::new(3));
        let view = view_of(&pool, &pool);
        let rows = knockoff.pick(&view, 20, None).unwrap();
        assert!(!knockoff.wants_model());
        tell(&mut knockoff, &rows, &Answers::Labels(vec![0; rows.nrows()]));
        assert!(knockoff.wants_model());
        let half = super::super::testing::Plain;
        knockoff.pick(&view, 16, Some(&half)).unwrap();
        let expected = (0..60).map(|i| if i % 3 == 2 { 0 } else { 1 });
        let got: Vec<usize> = knockoff.of.iter().map(|of| of.0).collect();
        assert!(
            got.iter().copied().zip(expected).enumerate().all(|(i, (a, b))| i % 3 == 1 || a == b)
        );
    }
}
