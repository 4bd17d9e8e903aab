//! Names, units and directions of all scores: fixed, and in one place.

use super::Better::{self, Higher, Lower, Neither};
use super::Score;

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct MetricCard {
    /// Fixed name.
    pub name: &'static str,
    /// Unit.
    pub unit: &'static str,
    /// Direction that is better for whom the score describes.
    pub better: Better,
    /// What it is.
    pub what: &'static str,
}

const fn card(
    name: &'static str,
    unit: &'static str,
    better: Better,
    what: &'static str,
) -> MetricCard {
    MetricCard { name, unit, better, what }
}

/// Every metric.
pub const CATALOG: &[MetricCard] = &[
    card("accuracy", "fraction", Higher, "share of right classes on the test rows"),
    card(
        "agreement",
        "fraction",
        Higher,
        "share of classes equal to the undefended teacher's, test rows",
    ),
    card("agreement_on_errors", "fraction", Higher, "agreement where the teacher is wrong"),
    card("kl_teacher_student", "nats", Lower, "mean KL(teacher || student)"),
    card("ece", "fraction", Lower, "expected calibration error, 15 bins"),
    card("floor_accuracy", "fraction", Neither, "accuracy of the best constant answer"),
    card(
        "floor_agreement",
        "fraction",
        Neither,
        "agreement of the best constant answer with the undefended teacher",
    ),
    card(
        "agreement_uniform",
        "fraction",
        Higher,
        "agreement on inputs drawn uniformly from the valid range",
    ),
    card(
        "agreement_boundary",
        "fraction",
        Higher,
        "agreement on inputs beside the teacher's decision boundary",
    ),
    card(
        "transfer_asr",
        "fraction",
        Higher,
        "share of the student's FGSM examples that change the teacher's class",
    ),
    card(
        "accuracy_selected",
        "fraction",
        Higher,
        "accuracy of the checkpoint chosen on charged answers",
    ),
    card(
        "agreement_selected",
        "fraction",
        Higher,
        "agreement of the checkpoint chosen on charged answers",
    ),
    card(
        "recovered",
        "fraction",
        Higher,
        "(student - floor) / (teacher - floor), ratio of seed means",
    ),
    card(
        "recovered_over_public",
        "fraction",
        Higher,
        "the same with the public-data student as floor",
    ),
    card(
        "recovered_agreement",
        "fraction",
        Higher,
        "(agreement - floor) / (1 - floor), floor_agreement as floor",
    ),
    card(
        "recovered_at_matched_cost",
        "fraction",
        Lower,
        "worst-case recovered where a defense costs honest users 0, 1 or 5 points",
    ),
    card("auc_log_budget", "fraction", Higher, "area under recovered over log budget"),
    card(
        "budget_at_half",
        "queries",
        Neither,
        "budget at which monotone-fitted recovered is one half",
    ),
    card("de", "ratio", Lower, "strongest student's accuracy, defended over undefended"),
    card("de_over_floor", "ratio", Lower, "the same with the floor taken from both"),
    card("dc", "ratio", Lower, "share of the teacher's accuracy that honest users lose"),
    card(
        "dc_over_floor",
        "ratio",
        Lower,
        "the same with the floor taken from the teacher's accuracy",
    ),
    card("queries_spent", "queries", Lower, "answered rows, repeats included"),
    card("tokens_spent", "tokens", Lower, "tokens of the answers that came back"),
    card("tokens_scored", "tokens", Lower, "tokens of its own that the student had scored"),
    card("usd_spent", "usd", Lower, "price of prompts and answers"),
    card("refuse_recall", "fraction", Higher, "share of forbidden prompts that are refused"),
    card("false_refusal", "fraction", Lower, "share of other prompts that are refused"),
    card("near_miss_accuracy", "fraction", Higher, "share of near misses answered exactly"),
    card("incoherent", "fraction", Lower, "share of answers that neither refuse nor comply"),
    card("bits_per_byte", "bits", Lower, "held-out text, per byte"),
    card("kl_text", "nats", Lower, "mean KL(teacher || student) in held-out text"),
    card(
        "honest_changed",
        "fraction",
        Lower,
        "share of honest users' results that a defense changed",
    ),
    card(
        "answer_entropy",
        "bits",
        Neither,
        "mean entropy of the answers that came back, read as distributions",
    ),
    card("days", "days", Lower, "virtual time of the last answer"),
    card("student_flops", "flop", Lower, "floating-point operations of the student's training"),
    card("transfer_rows", "rows", Neither, "rows of the transfer set"),
    card("leaves", "leaves", Neither, "leaves of a model that is a decision tree"),
    card(
        "distinct_answers",
        "answers",
        Neither,
        "answers of its leaves that differ from each other",
    ),
    card("dropped_rows", "rows", Neither, "answers of 0 or 1, which solve no equation"),
    card("honest_accuracy", "fraction", Higher, "accuracy of the answers that honest users got"),
    card(
        "honest_teacher_accuracy",
        "fraction",
        Higher,
        "the undefended teacher's accuracy on the same requests",
    ),
    card(
        "distortion_l1_mean",
        "L1",
        Lower,
        "mean distance of honest users' answers to the undefended ones",
    ),
    card("distortion_l1_max", "L1", Lower, "largest such distance"),
    card("honest_refused", "fraction", Lower, "share of honest requests never answered"),
    card("honest_wait_p95", "seconds", Lower, "95th percentile of an honest user's wait"),
    card(
        "flagged",
        "fraction",
        Higher,
        "share of the student's judged rows that a detector flagged",
    ),
    card(
        "queries_until_detection",
        "queries",
        Lower,
        "rows of one account of the student before and with its first flag",
    ),
    card("honest_flagged", "fraction", Lower, "share of honest users' judged rows that it flagged"),
    card(
        "honest_accounts_flagged",
        "fraction",
        Lower,
        "share of honest accounts that it flagged at least once",
    ),
    card(
        "watermark_match",
        "fraction",
        Higher,
        "share of the watermark's rows on which the student gives the planted class",
    ),
    card(
        "watermark_p",
        "probability",
        Lower,
        "chance that a model that met no watermark matches as many, exact binomial",
    ),
    card(
        "watermark_p_public",
        "probability",
        Higher,
        "the same of the student on public rows, which met none: a low one accuses the innocent",
    ),
    card(
        "ownership_p",
        "probability",
        Lower,
        "chance of so much more confidence in private rows by a suspect that never met them, Welch's test",
    ),
    card(
        "ownership_effect",
        "confidence",
        Higher,
        "mean confidence that private rows were learned from, less that of rows that nobody saw; -2 to 2",
    ),
    card(
        "ownership_p_public",
        "probability",
        Higher,
        "ownership_p of the student on public rows: a low one accuses the innocent",
    ),
    card("diverged_at_step", "step", Neither, "where training met a value that is not finite"),
    card("last_finite_loss", "nats", Neither, "the last loss before that"),
];

impl Score {
    /// A score of the catalog. A value that is not finite is recorded as not defined.
    pub fn of(name: &str, value: Option<f64>) -> Self {
        let card = CATALOG.iter().find(|c| c.name == name).expect("every score is in the catalog");
        Self {
            metric: name.to_string(),
            value: value.filter(|v| v.is_finite()),
            unit: card.unit.to_string(),
            better: card.better,
        }
    }
}
