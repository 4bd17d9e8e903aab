//! What a report says, as plain data: estimates over seeds, a row per arm, student and budget, a line
//! per arm, and the references. Tables, figures and the page read this and the records, nothing else.

use serde::Serialize;

use crate::experiment::record::Role;

/// Why an estimate has no interval, or no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// No seed reports the score.
    Missing,
    /// One seed says nothing about the spread.
    OneSeed,
    /// Every seed gave the same records: nothing random depends on the seed.
    SeedHadNoEffect,
    /// This score is the same on every seed, though others are not.
    NoSpread,
    /// Teacher and floor are too close for a ratio (within four standard errors).
    NotIdentified,
    /// Choosing the strongest student without bias needs three seeds.
    TooFewSeeds,
    /// The score is only defined against `none`, which is not there or is this arm.
    NoBaseline,
    /// Already reached at the smallest budget.
    BelowSmallest,
    /// Not reached by the largest budget.
    AboveLargest,
    /// Reached by the means over all seeds, but not without each of them.
    NotEverySeed,
    /// No strength of the defense costs honest users so much.
    NotReached,
    /// Fewer than four strengths.
    FewStrengths,
}

impl Why {
    /// Its name in tidy tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::OneSeed => "one-seed",
            Self::SeedHadNoEffect => "seed-had-no-effect",
            Self::NoSpread => "no-spread",
            Self::NotIdentified => "not-identified",
            Self::TooFewSeeds => "too-few-seeds",
            Self::NoBaseline => "no-baseline",
            Self::BelowSmallest => "below-smallest-budget",
            Self::AboveLargest => "above-largest-budget",
            Self::NotEverySeed => "not-every-seed",
            Self::NotReached => "not-reached",
            Self::FewStrengths => "few-strengths",
        }
    }
}

/// A number over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Seeds behind it.
    pub n: usize,
    /// Mean, or ratio of means.
    pub mean: Option<f64>,
    /// Lower and upper end of the 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// Why the interval or the value is absent.
    pub why: Option<Why>,
}

impl Estimate {
    /// No value, for this reason.
    pub fn absent(n: usize, why: Why) -> Self {
        Self { n, mean: None, interval: None, why: Some(why) }
    }

    /// Its mean alone.
    pub(super) fn bared(&self) -> Self {
        Self { interval: None, ..*self }
    }

    /// The same value for every seed or without a spread.
    pub fn bare(n: usize, mean: f64, why: Why) -> Self {
        Self { n, mean: Some(mean), interval: None, why: Some(why) }
    }
}

/// One student under one arm with one budget.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Swept values, such as `teacher.dataset=digits`; empty where nothing else was swept.
    pub slice: String,
    pub arm: String,
    pub student: String,
    pub kin: String,
    pub budget: u64,
    /// Seeds that finished.
    pub seeds: usize,
    /// Cells that diverged; they enter no mean.
    pub diverged: usize,
    pub label_only: bool,
    pub counter: bool,
    /// Right answers, fraction of the test set.
    pub accuracy: Estimate,
    /// Same top answer as the undefended teacher, fraction of the test set.
    pub agreement: Estimate,
    /// `agreement` minus that under `none`, paired by seed (exploratory).
    pub agreement_gain: Estimate,
    /// (student - floor) / (teacher - floor), floor = best constant answer.
    pub recovered: Estimate,
    /// The same of agreement: (agreement - floor) / (1 - floor).
    pub recovered_agreement: Estimate,
    /// The same with the public-data student of the same kin as floor.
    pub recovered_over_public: Estimate,
    pub queries_spent: Estimate,
    pub days: Estimate,
    pub honest: Honest,
    pub signs: Signs,
}

/// What detectors and marks tell of a student; absent where its arm has none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Signs {
    /// Share of its judged rows that were flagged.
    pub flagged: Estimate,
    /// Rows of one account up to its first flag, over the seeds that have one.
    pub until: Estimate,
    /// Share of honest users' judged rows that were flagged.
    pub honest_flagged: Estimate,
    /// Share of honest accounts flagged at least once.
    pub honest_accounts_flagged: Estimate,
    /// Tests of ownership.
    pub tests: Vec<Test>,
}

/// A test of ownership of one student.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Test {
    /// Name of the score that shows the effect.
    pub effect_name: &'static str,
    pub effect: Estimate,
    /// Name of its p.
    pub p_name: &'static str,
    pub p: Estimate,
    /// Seeds with a p below .01.
    pub sure: usize,
}

/// What honest users got, for one row or one arm.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Honest {
    /// Right answers to honest users, fraction.
    pub accuracy: Estimate,
    /// Undefended minus defended accuracy on the same rows, paired by seed, fraction.
    pub loss: Estimate,
    /// Mean L1 distance between clean and given probabilities, 0 to 2.
    pub distortion_mean: Estimate,
    /// The largest such distance over all seeds.
    pub distortion_max: Option<f64>,
    /// Fraction of honest rows refused.
    pub refused: Estimate,
    /// 95th percentile of honest waiting, in the unit of the record.
    pub wait_p95: Estimate,
}

/// One arm at its largest budget.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Arm {
    pub slice: String,
    pub name: String,
    /// Kinds with parameters, outermost first.
    pub stack: Vec<String>,
    pub budget: u64,
    /// The student that recovers most, by its mean over all seeds.
    pub worst_student: Option<String>,
    /// What that student recovers.
    pub worst: Estimate,
    /// Strongest student chosen on other seeds than it is scored on; `recovered` units.
    pub strongest: Estimate,
    /// `strongest` under `none` minus `strongest` here, paired by seed.
    pub drop: Estimate,
    /// Two-sided p of `drop`, adjusted by Holm over the arms of the table.
    pub p: Option<f64>,
    /// What `strongest` recovers of agreement.
    pub recovered_agreement: Estimate,
    /// Accuracy of `strongest` here over that under `none`.
    pub de: Ratios,
    /// Share of the teacher's accuracy that honest users lose.
    pub dc: Ratios,
    pub honest: Honest,
    /// Has the label-only control and the counter of its defense.
    pub complete: bool,
    /// What is missing for that.
    pub missing: Vec<String>,
    /// Strengths of its family in this slice; none for `none` and defenses without numbers to tune.
    pub strengths: Option<usize>,
}

impl Arm {
    /// False for a tunable defense at too few strengths for a comparison at matched honest cost.
    pub fn comparable(&self) -> bool {
        self.strengths.is_none_or(|n| n >= FEWEST_STRENGTHS)
    }
}

/// A ratio of accuracies as it is, and with the floor taken from both.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratios {
    pub plain: Estimate,
    pub over_floor: Estimate,
}

/// What one student makes of its budgets under one arm.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Efficiency {
    pub slice: String,
    pub arm: String,
    pub student: String,
    /// Smallest and largest budget.
    pub budgets: (u64, u64),
    /// Area under `recovered` over log budget, as a mean height.
    pub auc: Estimate,
    /// Queries at which monotone-fitted `recovered` is one half.
    pub half: Estimate,
}

/// A defense at several strengths: arms whose stacks differ in numbers only.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Family {
    pub slice: String,
    /// Kinds of its layers, with settings that are no numbers.
    pub name: String,
    /// Its arms, one per strength.
    pub arms: Vec<String>,
    pub budget: u64,
    /// Largest mean loss of honest accuracy, fraction.
    pub most_loss: Option<f64>,
    /// What the strongest student recovers at each loss of [`MATCHED_LOSSES`].
    pub at: [Estimate; 3],
}

/// Strengths that a comparison at matched honest cost needs.
pub const FEWEST_STRENGTHS: usize = 4;

/// Losses of honest accuracy at which families are compared, fractions.
pub const MATCHED_LOSSES: [f64; 3] = [0.0, 0.01, 0.05];

/// A reference line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reference {
    pub slice: String,
    pub role: Role,
    /// Architecture and training rule; empty for the teacher.
    pub kin: String,
    pub accuracy: Estimate,
    pub agreement: Estimate,
}

/// Everything that a report says.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Name of the experiment.
    pub name: String,
    /// Slices in order of appearance; one empty string where nothing else was swept.
    pub slices: Vec<String>,
    pub rows: Vec<Row>,
    pub arms: Vec<Arm>,
    pub references: Vec<Reference>,
    pub efficiency: Vec<Efficiency>,
    pub families: Vec<Family>,
    /// Accuracy of the best constant answer, per slice.
    pub floors: Vec<(String, Estimate)>,
    /// Sentences that a reader must not miss.
    pub notes: Vec<String>,
}

impl Summary {
    /// The part of one slice.
    pub fn slice(&self, slice: &str) -> Slice<'_> {
        Slice {
            name: slice.to_string(),
            rows: self.rows.iter().filter(|r| r.slice == slice).collect(),
            arms: self.arms.iter().filter(|a| a.slice == slice).collect(),
            references: self.references.iter().filter(|r| r.slice == slice).collect(),
            efficiency: self.efficiency.iter().filter(|e| e.slice == slice).collect(),
            families: self.families.iter().filter(|f| f.slice == slice).collect(),
            floor: self.floors.iter().find(|(s, _)| s == slice).map(|(_, e)| *e),
        }
    }

    /// All slices.
    pub fn parts(&self) -> impl Iterator<Item = Slice<'_>> {
        self.slices.iter().map(|s| self.slice(s))
    }
}

/// Rows, arms and references that may be compared with one another.
#[derive(Clone, Debug)]
pub struct Slice<'a> {
    pub name: String,
    pub rows: Vec<&'a Row>,
    pub arms: Vec<&'a Arm>,
    pub references: Vec<&'a Reference>,
    pub efficiency: Vec<&'a Efficiency>,
    pub families: Vec<&'a Family>,
    pub floor: Option<Estimate>,
}

impl Slice<'_> {
    /// Students in order of appearance.
    pub fn students(&self) -> Vec<&str> {
        let mut out: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !out.contains(&row.student.as_str()) {
                out.push(&row.student);
            }
        }
        out
    }

    /// The largest budget.
    pub fn budget(&self) -> Option<u64> {
        self.rows.iter().map(|r| r.budget).max()
    }

    /// Row of an arm, student and budget.
    pub fn row(&self, arm: &str, student: &str, budget: u64) -> Option<&Row> {
        self.rows
            .iter()
            .find(|r| r.arm == arm && r.student == student && r.budget == budget)
            .copied()
    }

    /// Rows of an arm and student, by budget.
    pub fn curve(&self, arm: &str, student: &str) -> Vec<&Row> {
        let mut out: Vec<&Row> =
            self.rows.iter().filter(|r| r.arm == arm && r.student == student).copied().collect();
        out.sort_by_key(|r| r.budget);
        out
    }

    /// Students of one kin share references: all kins, in order of appearance.
    pub fn kins(&self) -> Vec<&str> {
        let mut out: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !out.contains(&row.kin.as_str()) {
                out.push(&row.kin);
            }
        }
        out
    }
}
