//! Records as tidy rows: one for each cell, party, day and metric.

use super::summary::gather::party;
use crate::experiment::campaign::record::{
    ActorLearnt, CampaignRecord, Outcome, Party, Point, Refusal, Roc, Scope,
};
use crate::metric::Better::{self, Higher, Lower, Neither};

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row<'a> {
    pub record: &'a CampaignRecord,
    /// `honest`, an actor, or empty for what is about all.
    pub party: &'a str,
    /// Of survival the age; none for what is about the whole time.
    pub day: Option<u32>,
    /// Capability area; of refusals the reason, of curves the scope, of caps the requests a day.
    pub area: String,
    pub metric: &'static str,
    pub value: Option<f64>,
    pub unit: &'static str,
    pub better: Better,
}

/// A number with its name, unit and direction for the party.
type Named = (&'static str, f64, &'static str, Better);

/// All rows, in the order of the records.
pub(super) fn rows(records: &[CampaignRecord]) -> Vec<Row<'_>> {
    let mut out = Vec::new();
    for record in records {
        let mut rows = Rows { record, out: &mut out };
        if let Some(outcome) = &record.outcome {
            rows.outcome(outcome);
        }
        record.learnt.iter().for_each(|actor| rows.learnt(actor));
    }
    out
}

struct Rows<'a, 'b> {
    record: &'a CampaignRecord,
    out: &'b mut Vec<Row<'a>>,
}

impl<'a> Rows<'a, '_> {
    fn push(&mut self, party: &'a str, day: Option<u32>, area: String, named: Named) {
        let (metric, value, unit, better) = named;
        let value = Some(value).filter(|v| v.is_finite());
        self.out.push(Row { record: self.record, party, day, area, metric, value, unit, better });
    }

    fn outcome(&mut self, outcome: &'a Outcome) {
        let actors = outcome.actors.iter().map(|p| Some(p.name.as_str()));
        for actor in std::iter::once(None).chain(actors) {
            if let Some(p) = party(outcome, actor) {
                self.party(p);
            }
        }
        outcome.roc.iter().for_each(|r| self.roc(r));
        for cap in &outcome.caps {
            let named = [
                ("cap_honest_requests_above", cap.honest_requests, "fraction", Lower),
                ("cap_honest_accounts_above", cap.honest_accounts, "fraction", Lower),
                ("cap_attack_left", cap.attack_left, "fraction", Neither),
                ("cap_accounts_needed", cap.accounts_needed, "ratio", Neither),
            ];
            for each in named {
                self.push("", None, cap.per_day.to_string(), each);
            }
        }
    }

    fn party(&mut self, party: &'a Party) {
        party.points.iter().for_each(|point| self.point(&party.name, point));
        for (age, &open) in party.survival.iter().enumerate() {
            let day = Some(age as u32);
            self.push(&party.name, day, String::new(), ("survival", open, "fraction", Higher));
        }
        let leak = party.leak_before_ban.unwrap_or([f64::NAN; 3]);
        let absent = |v: Option<f64>| v.unwrap_or(f64::NAN);
        let named = [
            ("accounts", party.accounts as f64, "accounts", Neither),
            ("closed_for_good", party.closed as f64, "accounts", Lower),
            ("median_life", absent(party.median_life_days), "days", Higher),
            ("leak_before_ban_mean", leak[0], "exchanges", Higher),
            ("leak_before_ban_median", leak[1], "exchanges", Higher),
            ("leak_before_ban_p90", leak[2], "exchanges", Higher),
            ("hours_to_alarm", absent(party.hours_to_alarm), "hours", Higher),
            ("hours_to_detection", absent(party.hours_to_detection), "hours", Higher),
        ];
        for each in named {
            self.push(&party.name, None, String::new(), each);
        }
    }

    fn point(&mut self, party: &'a str, point: &Point) {
        let day = Some(point.day);
        for each in sums(point) {
            self.push(party, day, String::new(), each);
        }
        for (why, &count) in Refusal::ALL.iter().zip(&point.sums.refused) {
            let named = ("refused", count as f64, "requests", Lower);
            self.push(party, day, word(why), named);
        }
        for (i, &count) in point.sums.areas.iter().enumerate() {
            self.push(
                party,
                day,
                i.to_string(),
                ("useful_of_area", count as f64, "exchanges", Higher),
            );
        }
    }

    fn roc(&mut self, roc: &Roc) {
        let scope = match roc.scope {
            Scope::Account => "account",
            Scope::Cluster => "cluster",
        };
        self.push("", None, scope.into(), ("auc", roc.auc, "fraction", Higher));
        for [fpr, tpr] in &roc.points {
            self.push("", None, format!("{scope} {fpr}"), ("tpr_at_fpr", *tpr, "fraction", Higher));
        }
    }

    fn learnt(&mut self, actor: &'a ActorLearnt) {
        for row in &actor.rows {
            let named = [
                ("examples", row.examples as f64, "examples", Higher),
                ("processed", row.processed as f64, "exchanges", Higher),
                ("student_flops", row.flop, "flop", Neither),
                ("accuracy", row.accuracy, "fraction", Higher),
                ("agreement", row.agreement, "fraction", Higher),
                ("recovered", row.recovered, "fraction", Higher),
                ("teacher_accuracy", row.teacher, "fraction", Neither),
                ("floor_accuracy", row.floor, "fraction", Neither),
                ("refuse_recall", row.refuse_recall, "fraction", Higher),
                ("false_refusal", row.false_refusal, "fraction", Lower),
            ];
            for each in named {
                self.push(&actor.actor, Some(row.day), row.area.clone(), each);
            }
        }
        for point in &actor.points {
            let usd = ("usd", point.usd.total(), "usd", Lower);
            self.push(&actor.actor, Some(point.day), String::new(), usd);
        }
    }
}

/// The name of a reason, as records have it.
fn word(why: &Refusal) -> String {
    serde_json::to_value(why).ok().and_then(|v| v.as_str().map(String::from)).unwrap_or_default()
}

fn sums(point: &Point) -> Vec<Named> {
    let (t, usd) = (&point.sums, &point.usd);
    let count = |name, n: u64, unit, better| (name, n as f64, unit, better);
    vec![
        count("wanted", t.wanted, "requests", Neither),
        count("answered", t.answered, "requests", Higher),
        count("attack", t.attack, "exchanges", Higher),
        count("useful", t.useful, "exchanges", Higher),
        count("useful_tokens", t.useful_tokens, "tokens", Higher),
        count("perturbed", t.perturbed, "requests", Lower),
        count("tokens_in", t.tokens_in, "tokens", Neither),
        count("tokens_out", t.tokens_out, "tokens", Neither),
        count("throttled", t.throttled, "tries", Lower),
        count("hashes", t.hashes, "hashes", Lower),
        count("alarms", t.alarms, "accounts", Lower),
        count("closed", t.closed, "accounts", Lower),
        count("reopened", t.reopened, "accounts", Higher),
        count("opened", t.opened, "accounts", Neither),
        count("checks", t.checks, "checks", Lower),
        ("usd_answers", usd.answers, "usd", Lower),
        ("usd_credit", usd.credit, "usd", Lower),
        ("usd_accounts", usd.accounts, "usd", Lower),
        ("usd_cards", usd.cards, "usd", Lower),
        ("usd_network", usd.network, "usd", Lower),
        ("usd_templates", usd.templates, "usd", Lower),
        ("usd_work", usd.work, "usd", Lower),
        ("usd", usd.total(), "usd", Lower),
        ("chip_flops", point.flop, "flop", Neither),
        ("wait_p95", point.wait_p95_s, "s", Lower),
    ]
}
