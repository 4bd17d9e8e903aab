//! What a listing shows of each kind: name, example, what it needs and who described it.

use serde::Serialize;

use super::{ObjectiveSpec, RecoverySpec, StrategySpec};

/// One kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// Its `kind` in a config.
    pub kind: &'static str,
    /// Where it comes from.
    pub paper: &'static str,
    /// What a student needs to use it.
    pub needs: &'static str,
    /// What it does.
    pub what: &'static str,
    /// Example, as a config writes it.
    pub example: serde_json::Value,
}

/// Paper, needs, what.
type Lines = (&'static str, &'static str, &'static str);

fn card(kind: &'static str, example: &impl Serialize, (paper, needs, what): Lines) -> Card {
    Card { kind, paper, needs, what, example: serde_json::to_value(example).unwrap_or_default() }
}

/// All strategies.
pub fn strategy_cards() -> Vec<Card> {
    let lines = |s: &StrategySpec| match s {
        StrategySpec::AdaptiveRetraining { .. } => (
            "Tramer et al. 2016, section 6",
            "inputs anywhere; labels do; trains between rounds",
            "asks points near the boundary of its own copy, and evenly drawn ones",
        ),
        StrategySpec::Copycat { .. } => (
            "Correia-Silva et al. 2018, Copycat CNN",
            "a pool; labels do",
            "asks random pool rows and moved copies of them, label only",
        ),
        StrategySpec::DataFree(_) => (
            "Truong et al. 2021, DFME; Kariyappa et al. 2021, MAZE",
            "inputs anywhere; probabilities; no data, many queries",
            "a generator learns to ask what student and teacher differ on",
        ),
        StrategySpec::Dfal { .. } => (
            "Pal et al. 2020, ActiveThief; Ducoffe and Precioso 2018",
            "a pool; trains between rounds",
            "asks pool rows next to its own network's boundary",
        ),
        StrategySpec::DfalKCenter { .. } => (
            "Pal et al. 2020, ActiveThief",
            "a pool; trains between rounds",
            "of the rows next to the boundary asks those that cover the probability space",
        ),
        StrategySpec::Entropy { .. } => (
            "Pal et al. 2020, ActiveThief",
            "a pool; trains between rounds",
            "asks the pool rows of which its own network is least certain",
        ),
        StrategySpec::Equations { .. } => (
            "Tramer et al. 2016, section 4.1",
            "inputs anywhere; probabilities",
            "solves the answers to evenly drawn points for the teacher's weights",
        ),
        StrategySpec::Honest { .. } => (
            "Juuti et al. 2019, PRADA",
            "a pool",
            "asks pool rows as an honest user would, each once",
        ),
        StrategySpec::JbSelf { .. } => (
            "Juuti et al. 2019, PRADA; Orekondy et al. 2020",
            "public seed rows; labels do; trains between rounds",
            "moves rows deeper into their class along its own network's gradient",
        ),
        StrategySpec::JbTopk { .. } => (
            "Juuti et al. 2019, PRADA; Orekondy et al. 2020",
            "public seed rows; labels do; trains between rounds",
            "moves rows towards the classes that its own network thinks next likeliest",
        ),
        StrategySpec::Jbda { .. } => (
            "Papernot et al. 2017, algorithm 1",
            "public seed rows; labels do; trains between rounds",
            "moves rows along the sign of its own network's Jacobian; the set doubles each round",
        ),
        StrategySpec::KCenter { .. } => (
            "Pal et al. 2020, ActiveThief; Gonzalez 1985",
            "a pool; trains between rounds",
            "asks pool rows that cover its own network's probability space",
        ),
        StrategySpec::KnockoffAdaptive { .. } => (
            "Orekondy et al. 2019, Knockoff Nets, section 4.2",
            "a pool; better with probabilities; trains between rounds for most rewards",
            "a bandit learns which groups of the pool are worth asking",
        ),
        StrategySpec::LineSearch { .. } => (
            "Tramer et al. 2016, section 6",
            "inputs anywhere; labels do",
            "halves the way between points of different labels",
        ),
        StrategySpec::Random {} => (
            "Orekondy et al. 2019, Knockoff Nets",
            "a pool",
            "asks pool rows in random order, each once",
        ),
        StrategySpec::TRnd { .. } => (
            "Juuti et al. 2019, PRADA; Tang et al. 2024",
            "public seed rows; labels do; trains between rounds",
            "moves rows towards random classes",
        ),
        StrategySpec::TreePaths { .. } => (
            "Tramer et al. 2016, section 4.2, algorithm 1",
            "inputs anywhere; probabilities or top-k; a tree as the teacher",
            "walks from leaf to leaf of a decision tree and finds where each ends",
        ),
        StrategySpec::Uniform {} => (
            "Tramer et al. 2016, section 6",
            "inputs anywhere; labels do",
            "asks points drawn evenly from the feature range",
        ),
    };
    StrategySpec::examples().iter().map(|s| card(s.kind(), s, lines(s))).collect()
}

/// All objectives.
pub fn objective_cards() -> Vec<Card> {
    let lines = |o: &ObjectiveSpec| match o {
        ObjectiveSpec::Dist { .. } => (
            "Huang et al. 2022, DIST",
            "probabilities or top-k; batches in one piece",
            "correlations with the answers along rows and columns of a batch",
        ),
        ObjectiveSpec::Dkd { .. } => (
            "Zhao et al. 2022, DKD",
            "probabilities or top-k",
            "the most likely class and the rank of the others, weighed apart",
        ),
        ObjectiveSpec::HardLabel {} => {
            ("Tramer et al. 2016", "labels", "cross-entropy to the most likely class")
        }
        ObjectiveSpec::LogitStandardised { .. } => (
            "Sun et al. 2024, logit standardisation",
            "probabilities or top-k",
            "T^2 KL between logits of mean 0 and deviation 1 a row",
        ),
        ObjectiveSpec::SemiSupervised { .. } => (
            "Grandvalet and Bengio 2004; Tang et al. 2024, ModelGuard (S4L)",
            "any answers, and a pool",
            "soft labels, and low entropy on pool rows that were never asked about",
        ),
        ObjectiveSpec::SoftLabels { .. } => (
            "Hinton, Vinyals and Dean 2015",
            "probabilities or top-k; labels become cross-entropy",
            "T^2 KL to the answer at temperature T",
        ),
    };
    ObjectiveSpec::examples().iter().map(|o| card(o.kind(), o, lines(o))).collect()
}

/// All recoveries.
pub fn recovery_cards() -> Vec<Card> {
    let lines = |r: &RecoverySpec| match r {
        RecoverySpec::Average { .. } => (
            "closed form: the mean of n has 1/n the variance",
            "n times the budget",
            "asks every row n times and averages; against fresh noise",
        ),
        RecoverySpec::Counter => (
            "Tramer et al. 2020, On Adaptive Attacks",
            "the defense and its parameters",
            "whatever the arm's defense declares as its counter",
        ),
        RecoverySpec::DDae { .. } => (
            "Chen et al. 2023, D-DAE; Tang et al. 2024, ModelGuard",
            "probabilities; the defense and its parameters",
            "a network undoes the defense, learnt on answers of its own shadow models",
        ),
        RecoverySpec::DDaePlus { .. } => (
            "Tang et al. 2024, ModelGuard (D-DAE+)",
            "probabilities; the defense and its parameters",
            "a network undoes the defense, learnt on rows around the answers received",
        ),
        RecoverySpec::InverseTable { .. } => (
            "Tang et al. 2024, ModelGuard",
            "probabilities; the defense and its parameters",
            "simulates the defense on made-up rows and inverts it",
        ),
        RecoverySpec::Jitter { .. } => (
            "Tang et al. 2024, ModelGuard (smoothing)",
            "n times the budget",
            "asks n slightly moved copies and averages; against noise keyed by the input",
        ),
        RecoverySpec::MatchedTemperature { .. } => (
            "Hinton, Vinyals and Dean 2015",
            "probabilities; the defense's temperature",
            "undoes a known temperature exactly",
        ),
        RecoverySpec::None => ("no method of its own", "nothing", "takes answers as they come"),
        RecoverySpec::PartialBayes { .. } => (
            "Tang et al. 2024, ModelGuard",
            "probabilities; the defense and its parameters",
            "mean of the rows around its answers that the defense turns into this one",
        ),
        RecoverySpec::Top1 => (
            "Orekondy et al. 2020, Prediction Poisoning, section 5",
            "labels",
            "keeps the most likely class only; round every defense that keeps it",
        ),
    };
    RecoverySpec::examples().iter().map(|r| card(r.kind(), r, lines(r))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_card_in_the_order_of_the_alphabet() {
        for cards in [strategy_cards(), objective_cards(), recovery_cards()] {
            let kinds: Vec<&str> = cards.iter().map(|c| c.kind).collect();
            assert!(kinds.windows(2).all(|w| w[0] < w[1]), "{kinds:?}");
            assert!(cards.iter().all(|c| c.example["kind"] == c.kind && !c.what.is_empty()));
        }
    }
}
