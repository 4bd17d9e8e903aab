//! Strategies as configs write them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Measure;
use super::knockoff::{Baseline, Grouping, Reward};
use crate::error::{Error, Result};
use crate::oracle::AnswerKind;
use crate::student::data_free;
use crate::student::honest::User;

/// A strategy, as configs write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum StrategySpec {
    /// Points near the boundary of a copy that is trained anew each round, and evenly drawn ones (Tramer et al. 2016,
    /// section 6). Made for label-only answers.
    AdaptiveRetraining {
        /// Rounds, the first of evenly drawn points alone, 1 to 100.
        #[serde(default = "five")]
        rounds: usize,
        /// Distance (L2, feature units) from the copy's boundary at which a bisection ends, above 0.
        #[serde(default = "tenth")]
        eps: f64,
    },
    /// Random pool rows and moved copies of them, asked and paid for one by one; with a label-only objective
    /// (Correia-Silva et al. 2018).
    Copycat {
        /// Moved copies of each row, 1 to 100.
        #[serde(default = "one")]
        copies: usize,
        /// Most pixels that a copy of an image is shifted by, in each direction, 0 to 16.
        #[serde(default = "one")]
        shift: usize,
        /// Standard deviation of a copy's noise, as a share of the feature range, 0 to 1.
        #[serde(default = "noise")]
        noise: f64,
    },
    /// Questions of a generator that learns to find what student and teacher differ on, without any data: a student of
    /// its own (DFME, Truong et al. 2021; MAZE, Kariyappa et al. 2021). The student learns by its objective.
    DataFree(data_free::Settings),
    /// Pool rows next to the boundary of the student's own model, by DeepFool (ActiveThief, Pal et al. 2020).
    Dfal {
        /// Rounds of training and asking after the random start, 1 to 100.
        #[serde(default = "rounds")]
        rounds: usize,
        /// Share of the budget asked at random first, 0.01 to 1.
        #[serde(default = "seed_share")]
        seed_share: f64,
        /// Most steps of DeepFool, 1 to 1000.
        #[serde(default = "deep_fool")]
        iterations: usize,
        /// Waiting pool rows that a round looks at, 1 or more.
        #[serde(default = "candidates")]
        candidates: usize,
    },
    /// Of the pool rows next to the boundary, those that cover the student's probability space (ActiveThief).
    DfalKCenter {
        /// Rounds of training and asking after the random start, 1 to 100.
        #[serde(default = "rounds")]
        rounds: usize,
        /// Share of the budget asked at random first, 0.01 to 1.
        #[serde(default = "seed_share")]
        seed_share: f64,
        /// Most steps of DeepFool, 1 to 1000.
        #[serde(default = "deep_fool")]
        iterations: usize,
        /// Waiting pool rows that a round looks at, 1 or more.
        #[serde(default = "candidates")]
        candidates: usize,
        /// Rows that pass DeepFool for each row asked, 1 to 1000.
        #[serde(default = "four")]
        filter: usize,
    },
    /// Pool rows where the student's own prediction is most uncertain (ActiveThief, Pal et al. 2020).
    Entropy {
        /// Rounds of training and asking after the random start, 1 to 100.
        #[serde(default = "rounds")]
        rounds: usize,
        /// Share of the budget asked at random first, 0.01 to 1.
        #[serde(default = "seed_share")]
        seed_share: f64,
        /// What counts as uncertain.
        #[serde(default)]
        measure: Measure,
    },
    /// Evenly drawn points whose probabilities are equations for the teacher's weights (Tramer et al. 2016, section
    /// 4.1): a logistic model and one-vs-rest are solved for, a network minimised to the end. Wants the objective
    /// `soft-labels`.
    Equations {
        /// Most iterations of a network's fit, 1 to 100000.
        #[serde(default = "five_hundred")]
        iterations: usize,
        /// Largest entry of the gradient at which a network's fit ends, above 0.
        #[serde(default = "gtol")]
        gtol: f64,
    },
    /// Pool rows as an honest user would ask them, each once: what a gate lets through.
    Honest {
        /// Which kind of honest user.
        #[serde(default)]
        user: User,
    },
    /// Public rows, then copies moved deeper into their class by the student's gradient (Juuti et al. 2019).
    JbSelf {
        /// Step in feature units, above 0.
        #[serde(default = "tenth")]
        step: f64,
    },
    /// Public rows, then copies moved towards the k classes that the student thinks likeliest after the teacher's
    /// (Juuti et al. 2019; Orekondy et al. 2020).
    JbTopk {
        /// Wrong classes of each row, 1 to 1000.
        #[serde(default = "tau")]
        k: usize,
        /// Largest change of a feature, above 0.
        #[serde(default = "tenth")]
        eps: f64,
        /// Change of a feature in a step, above 0.
        #[serde(default = "alpha")]
        alpha: f64,
        /// Steps, 1 to 1000.
        #[serde(default = "steps")]
        iterations: usize,
    },
    /// Public rows, then copies moved along the sign of the student's Jacobian (Papernot et al. 2017).
    Jbda {
        /// Step in feature units, above 0.
        #[serde(default = "tenth")]
        step: f64,
        /// Rounds after which the step changes sign, 1 or more.
        #[serde(default = "tau")]
        tau: usize,
        /// Rounds that move every row, before the reservoir comes in.
        #[serde(default = "tau")]
        sigma: usize,
        /// Rows that each later round moves, 1 or more: the reservoir; without it every round moves every row.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kappa: Option<usize>,
    },
    /// Pool rows that cover the student's probability space (ActiveThief; greedy k-center).
    KCenter {
        /// Rounds of training and asking after the random start, 1 to 100.
        #[serde(default = "rounds")]
        rounds: usize,
        /// Share of the budget asked at random first, 0.01 to 1.
        #[serde(default = "seed_share")]
        seed_share: f64,
    },
    /// Pool rows of the groups that a bandit finds worth asking (Knockoff Nets, adaptive; Orekondy et al. 2019).
    KnockoffAdaptive {
        /// What makes a group.
        #[serde(default)]
        by: Grouping,
        /// Clusters, for `by = "clusters"`, 1 to 1000.
        #[serde(default = "ten")]
        groups: usize,
        /// Groups inside each group, 1 to 100; 1 is the flat bandit, more make the one of two levels.
        #[serde(default = "one")]
        fine: usize,
        /// What makes an answer worth having.
        #[serde(default)]
        reward: Reward,
        /// Which mean a reward is compared with.
        #[serde(default)]
        baseline: Baseline,
        /// Rows between two moves of the policy, 1 to 10000.
        #[serde(default = "steps")]
        batch: usize,
        /// Trainings over the budget, where groups or rewards need the student's model, 1 to 1000.
        #[serde(default = "ten")]
        rounds: usize,
    },
    /// Evenly drawn points, then bisection between points of different labels (Tramer et al. 2016, section 6).
    LineSearch {
        /// Distance (L2, feature units) at which a search ends, above 0.
        #[serde(default = "tenth")]
        eps: f64,
        /// Share of the budget that is evenly drawn first, 0.01 to 1.
        #[serde(default = "seed_share")]
        seed_share: f64,
    },
    /// Pool rows in random order, each once (Orekondy et al. 2019, random strategy).
    Random {},
    /// Public rows, then copies moved towards k random classes (T-RND; Juuti et al. 2019).
    TRnd {
        /// Random classes of each row, 1 to 1000.
        #[serde(default = "tau")]
        k: usize,
        /// Largest change of a feature, above 0; a step is 1.85 eps / iterations.
        #[serde(default = "tenth")]
        eps: f64,
        /// Steps, 1 to 1000.
        #[serde(default = "steps")]
        iterations: usize,
    },
    /// Points on lines through the leaves of a decision tree, which find where each leaf ends (Tramer et al. 2016, section
    /// 4.2): a student of its own, whose model is a tree. Wants the objective `soft-labels`.
    TreePaths {
        /// Distance within which thresholds are found, feature units, above 0. By default it is below that of neighbouring
        /// 32-bit numbers, which end a search: the thresholds themselves are found, and rows may lie on them.
        #[serde(default = "fine")]
        step: f64,
    },
    /// Points drawn evenly from the valid feature range (Tramer et al. 2016, section 6).
    Uniform {},
}

const fn rounds() -> usize {
    4
}

const fn seed_share() -> f64 {
    0.25
}

const fn one() -> usize {
    1
}

const fn tau() -> usize {
    3
}

const fn four() -> usize {
    4
}

const fn five() -> usize {
    5
}

const fn steps() -> usize {
    8
}

const fn ten() -> usize {
    10
}

const fn deep_fool() -> usize {
    20
}

const fn five_hundred() -> usize {
    500
}

const fn gtol() -> f64 {
    1e-6
}

const fn fine() -> f64 {
    1e-12
}

const fn candidates() -> usize {
    2000
}

const fn tenth() -> f64 {
    0.1
}

const fn alpha() -> f64 {
    0.01
}

const fn noise() -> f64 {
    0.05
}

impl Default for StrategySpec {
    fn default() -> Self {
        Self::Random {}
    }
}

impl StrategySpec {
    /// One value per kind.
    pub fn examples() -> Vec<Self> {
        let (rounds, seed_share) = (rounds(), seed_share());
        let (iterations, candidates) = (deep_fool(), candidates());
        vec![
            Self::AdaptiveRetraining { rounds: five(), eps: tenth() },
            Self::Copycat { copies: one(), shift: one(), noise: noise() },
            Self::DataFree(data_free::Settings::default()),
            Self::Dfal { rounds, seed_share, iterations, candidates },
            Self::DfalKCenter { rounds, seed_share, iterations, candidates, filter: four() },
            Self::Entropy { rounds, seed_share, measure: Measure::default() },
            Self::Equations { iterations: five_hundred(), gtol: gtol() },
            Self::Honest { user: User::default() },
            Self::JbSelf { step: tenth() },
            Self::JbTopk { k: tau(), eps: tenth(), alpha: alpha(), iterations: steps() },
            Self::Jbda { step: tenth(), tau: tau(), sigma: tau(), kappa: None },
            Self::KCenter { rounds, seed_share },
            Self::KnockoffAdaptive {
                by: Grouping::default(),
                groups: ten(),
                fine: one(),
                reward: Reward::default(),
                baseline: Baseline::default(),
                batch: steps(),
                rounds: ten(),
            },
            Self::LineSearch { eps: tenth(), seed_share },
            Self::Random {},
            Self::TRnd { k: tau(), eps: tenth(), iterations: steps() },
            Self::TreePaths { step: fine() },
            Self::Uniform {},
        ]
    }

    /// Its `kind` in a config.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::AdaptiveRetraining { .. } => "adaptive-retraining",
            Self::Copycat { .. } => "copycat",
            Self::DataFree(_) => "data-free",
            Self::Dfal { .. } => "dfal",
            Self::DfalKCenter { .. } => "dfal-k-center",
            Self::Entropy { .. } => "entropy",
            Self::Equations { .. } => "equations",
            Self::Honest { .. } => "honest",
            Self::JbSelf { .. } => "jb-self",
            Self::JbTopk { .. } => "jb-topk",
            Self::Jbda { .. } => "jbda",
            Self::KCenter { .. } => "k-center",
            Self::KnockoffAdaptive { .. } => "knockoff-adaptive",
            Self::LineSearch { .. } => "line-search",
            Self::Random {} => "random",
            Self::TRnd { .. } => "t-rnd",
            Self::TreePaths { .. } => "tree-paths",
            Self::Uniform {} => "uniform",
        }
    }

    /// Refuses a strategy that can make nothing of answers of this kind.
    pub fn fits(&self, answers: AnswerKind) -> Result<()> {
        let needs = match (self, answers) {
            (_, AnswerKind::Probs | AnswerKind::Logits) => return Ok(()),
            (Self::Equations { .. } | Self::DataFree(_), _) => "whole probability rows",
            (Self::TreePaths { .. }, AnswerKind::Labels) => "confidences, by which it knows leaves",
            _ => return Ok(()),
        };
        Err(Error::config(
            "kind",
            format!("`{}`, where answers are of kind {}", self.kind(), answers.name()),
            format!("`adaptive-retraining` or another strategy: this one needs {needs}"),
        ))
    }

    /// True if it is a student of its own, not a way to choose rows for one.
    pub const fn is_student(&self) -> bool {
        matches!(self, Self::DataFree(_) | Self::TreePaths { .. })
    }

    /// True if it asks the student's model for gradients, or trains it by them: only a network will do.
    pub const fn needs_gradients(&self) -> bool {
        matches!(
            self,
            Self::DataFree(_)
                | Self::Dfal { .. }
                | Self::DfalKCenter { .. }
                | Self::JbSelf { .. }
                | Self::JbTopk { .. }
                | Self::Jbda { .. }
                | Self::TRnd { .. }
        )
    }

    /// True if it asks inputs of its own making.
    pub const fn makes_inputs(&self) -> bool {
        match self {
            Self::Honest { user } => matches!(user, User::Shifted),
            Self::Dfal { .. }
            | Self::DfalKCenter { .. }
            | Self::Entropy { .. }
            | Self::KCenter { .. }
            | Self::KnockoffAdaptive { .. }
            | Self::Random {} => false,
            Self::AdaptiveRetraining { .. }
            | Self::Copycat { .. }
            | Self::DataFree(_)
            | Self::Equations { .. }
            | Self::JbSelf { .. }
            | Self::JbTopk { .. }
            | Self::Jbda { .. }
            | Self::LineSearch { .. }
            | Self::TRnd { .. }
            | Self::TreePaths { .. }
            | Self::Uniform {} => true,
        }
    }

    /// True if it asks distinct pool rows, so that a budget above the pool cannot be spent.
    pub const fn distinct_pool(&self) -> bool {
        matches!(self, Self::Honest { .. }) || !self.makes_inputs()
    }

    /// True if it starts from public rows and cannot do without.
    pub const fn needs_public(&self) -> bool {
        matches!(
            self,
            Self::JbSelf { .. } | Self::JbTopk { .. } | Self::Jbda { .. } | Self::TRnd { .. }
        )
    }

    /// True if a network is trained between its rounds.
    pub fn rounds_retrain(&self) -> bool {
        match *self {
            Self::KnockoffAdaptive { by, reward, .. } => {
                by == Grouping::OwnLabels || reward.needs_model()
            }
            Self::Copycat { .. }
            | Self::DataFree(_)
            | Self::Equations { .. }
            | Self::Honest { .. }
            | Self::LineSearch { .. }
            | Self::Random {}
            | Self::TreePaths { .. }
            | Self::Uniform {} => false,
            _ => true,
        }
    }
}
