//! The tables of one variant, as text: alike on the terminal and on the page.

use super::cell::{number, points, short, spread};
use super::summary::difference::{self, Difference, Paired};
use super::summary::gather::{Arm, Slice};
use super::summary::learning;
use super::summary::measure::{Measure, Unit};
use super::summary::money::{BOOKS, COSTS, RETURN};
use super::summary::precision::{self, AtRate, BASE_RATES};
use super::summary::settings::Settings;
use super::summary::sides::{BANS, CATCH, HARM, MET, PRICE};
use crate::experiment::campaign::record::Learnt;
use crate::report::details::Table;
use crate::report::table::p_value;

/// Whether intervals are written beside every number: the terminal has room for few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Narrow,
    Wide,
}

/// Every table of a variant that there is something for.
pub(super) fn all(slice: &Slice<'_>, settings: &Settings, width: Width) -> Vec<Table> {
    let mut out = Vec::new();
    out.extend(headline(slice, settings));
    out.extend(recovered(slice));
    if !slice.simulated() {
        return out;
    }
    let sheet = Sheet { slice, settings, width };
    let heavy = settings.weight != 1.0;
    let times = if heavy {
        format!(" (each account counted {}×)", short(settings.weight))
    } else {
        String::new()
    };
    out.push(sheet.of_actors("what each arm let through", &CATCH, Some(wanted(slice, settings))));
    out.push(sheet.of_actors("how soon it was met", &MET, Some(SOON.into())));
    out.extend(super::ways::limits(slice));
    out.extend(super::ways::table(slice));
    out.push(sheet.of_actors("at what price", &PRICE, Some(PRICES.into())));
    out.push(sheet.of_arms("honest people: requests and waits", &HARM, Some(LOST.into())));
    out.push(sheet.of_arms(&format!("honest people: accounts closed{times}"), &BANS, None));
    out.push(detection(slice, settings));
    out.push(sheet.of_actors("what actors pay, $", &COSTS, Some(CHIPS.into())));
    out.push(sheet.of_arms(&format!("the defender's books{times}"), &BOOKS, Some(REFUSED.into())));
    if slice.arms.len() > 1 {
        let (title, remark) = (format!("the defender's return{times}"), returns(slice));
        out.push(sheet.of(&slice.arms[1..], &title, &RETURN, Some(remark)));
    }
    out
}

const SOON: &str = "leak before ban = exchanges of its own that a closed account had got. hours to \
    detection: from an actor's first exchange to the first alarm on any of its accounts; hours to an \
    account's alarm: the same for each account, mean.";
const PRICES: &str = "$ to the target: paid by the time 95 % of it was collected, linear between the days that are \
    recorded. cost multiplier: $ per 1,000 useful exchanges over the same under the first arm, by \
    replicate. Chips are not included.";
const LOST: &str = "Shares of requests wanted; perturbed: of those answered. A bound takes requests as \
    independent, which those of one account are not.";
const CHIPS: &str = "All actors pay list price for answers; unused credit was paid ahead and lost with \
    closed accounts, or is left. Chips are not included.";
const REFUSED: &str = "Lost to refusals: refused honest requests at the mean price of those answered. \
    Actors' revenue includes what they paid ahead. Reviews: one for each account with an alarm.";

fn returns(slice: &Slice<'_>) -> String {
    let first = slice.arms[0].name;
    format!(
        "Against `{first}`, by replicate. $ per 1,000 withheld = what the defender gives up (revenue of \
         both sides, and reviews) for each thousand useful exchanges that actors no longer get: the defense \
         pays where those are worth more. No price is put on a capability here. \
         not identified: nothing was withheld in half of the replicates or more."
    )
}

fn wanted(slice: &Slice<'_>, settings: &Settings) -> String {
    let each = slice
        .actors()
        .into_iter()
        .filter_map(|a| Some(format!("{a} {}", short(settings.wanted(a)?))));
    let each = each.collect::<Vec<_>>().join(", ");
    let from = if settings.wanted_is_seen { ", the most that any arm let through" } else { "" };
    format!(
        "Targets, in exchanges of a campaign's own: {each}{from}. Useful exchanges are neither changed by \
         a defense nor repeats. Days to half are linear between the days that are recorded."
    )
}

/// What tables of one variant share.
struct Sheet<'a> {
    slice: &'a Slice<'a>,
    settings: &'a Settings,
    width: Width,
}

impl Sheet<'_> {
    /// A row for each actor and arm.
    fn of_actors(&self, title: &str, measures: &[Measure], remark: Option<String>) -> Table {
        let mut rows = Vec::new();
        for actor in self.slice.actors() {
            for arm in &self.slice.arms {
                let cells = self.cells(measures, arm, Some(actor));
                rows.push([vec![actor.to_string(), arm.name.to_string()], cells].concat());
            }
        }
        let heads = ["actor", "arm", "n"].into_iter().chain(measures.iter().map(|m| m.head));
        table(title, heads, rows, remark)
    }

    /// A row for each arm.
    fn of_arms(&self, title: &str, measures: &[Measure], remark: Option<String>) -> Table {
        self.of(&self.slice.arms, title, measures, remark)
    }

    fn of(
        &self,
        arms: &[Arm<'_>],
        title: &str,
        measures: &[Measure],
        remark: Option<String>,
    ) -> Table {
        let row = |arm| [vec![name(arm)], self.cells(measures, arm, None)].concat();
        let heads = ["arm", "n"].into_iter().chain(measures.iter().map(|m| m.head));
        table(title, heads, arms.iter().map(row).collect(), remark)
    }

    fn cells(&self, measures: &[Measure], arm: &Arm<'_>, actor: Option<&str>) -> Vec<String> {
        let n = arm.outcomes.len();
        let cell = |(i, m): (usize, &Measure)| {
            let s = m.spread(self.slice, self.settings, arm, actor);
            let few = if s.n > 0 && s.n < n { format!(" (n={})", s.n) } else { String::new() };
            spread(&s, m.unit, self.width == Width::Wide || i == 0) + &few
        };
        std::iter::once(n.to_string()).chain(measures.iter().enumerate().map(cell)).collect()
    }
}

fn name(arm: &Arm<'_>) -> String {
    arm.name.to_string()
}

pub(super) fn table<'a>(
    title: &str,
    heads: impl Iterator<Item = &'a str>,
    rows: Vec<Vec<String>>,
    remark: Option<String>,
) -> Table {
    Table { title: title.into(), heads: heads.map(String::from).collect(), rows, remark }
}

/// Each arm against the first.
fn headline(slice: &Slice<'_>, settings: &Settings) -> Option<Table> {
    let all = difference::differences(slice, settings);
    let first = slice.arms.first()?.name;
    let score = difference::headline(slice);
    let row = |d: &Difference| {
        let of = if score == "recovered" { &d.recovered } else { &d.collected };
        let counted = |pair: &Paired| {
            let other = pair.n > 0 && pair.n != of.n;
            points(pair) + &if other { format!(" (n={})", pair.n) } else { String::new() }
        };
        let pairs = [&d.recovered, &d.collected, &d.lost].map(counted);
        let (first, last) = (vec![d.arm.clone(), of.n.to_string()], vec![p_value(d.p)]);
        [first, pairs.to_vec(), last].concat()
    };
    let head = format!("p of {score} (Holm)");
    let heads = ["arm", "n", "recovered", "targets collected", "honest requests lost", &head];
    let remark = format!(
        "Mean differences by replicate with 90 % intervals (Student t): arms share their draws. The headline \
         score is {score}, {}, on the last day; its p-values are adjusted over all arms of this table (Holm \
         1979), the other columns are exploratory. `-`: replicates do not differ, or there are none.",
        if score == "recovered" { "the mean over actors and areas" } else { "over all actors" }
    );
    let title = format!("each arm minus {first}, points");
    (!all.is_empty())
        .then(|| table(&title, heads.into_iter(), all.iter().map(row).collect(), Some(remark)))
}

/// What students recovered by the last day.
pub(super) fn recovered(slice: &Slice<'_>) -> Option<Table> {
    if !slice.taught() {
        return None;
    }
    let areas = slice.areas();
    let mut rows = Vec::new();
    for actor in slice.actors() {
        for arm in &slice.arms {
            let at = |area| learning::curve(arm, actor, area).last().map(|a| a.recovered);
            let cell = |area| at(area).map_or("-".into(), |s| spread(&s, Unit::Share, true));
            let n = at(None).map_or(0, |s| s.n);
            let mut row = vec![actor.to_string(), name(arm), n.to_string(), cell(None)];
            row.extend(areas.iter().map(|a| cell(Some(a))));
            for score in [|r: &Learnt| r.refuse_recall, |r: &Learnt| r.false_refusal] {
                let spread_of = learning::on_last_day(arm, actor, score);
                row.push(spread(&spread_of, Unit::Share, true));
            }
            rows.push(row);
        }
    }
    let day = slice.arms.iter().filter_map(learning::last_day).max().unwrap_or(0);
    let heads = ["actor", "arm", "n", "mean of areas"].into_iter().chain(areas);
    let heads = heads.chain(["refuses marked", "refuses others"]);
    let remark = "refuses marked, others: shares of questions that students refuse where the teacher's guardrail \
        does, and elsewhere; nobody asked for these, they crossed with the rest.";
    Some(table(&format!("recovered by day {day}, %"), heads, rows, Some(remark.into())))
}

/// Alarms and what they are worth.
fn detection(slice: &Slice<'_>, settings: &Settings) -> Table {
    let found = slice.arms.iter().filter_map(|a| precision::alarms(a, settings));
    let rate = |[hits, units]: [f64; 2]| format!("{} of {}", short(hits), short(units));
    let row = |a: precision::Alarms| {
        let mut row = vec![a.arm.clone(), a.right.n.to_string(), rate(a.attack), rate(a.honest)];
        row.push(spread(&a.precision, Unit::Share, true));
        row.extend(a.at.iter().map(at_rate));
        row
    };
    let rates = BASE_RATES.map(|pi| format!("at {} %", short(100.0 * pi)));
    let heads = ["arm", "n", "actors' accounts", "honest accounts", "precision, %"];
    let heads: Vec<&str> = heads.into_iter().chain(rates.iter().map(String::as_str)).collect();
    let remark = "Precision = right alarms over all alarms, account by account, at this scenario's own mix \
                  (honest accounts weighted). At other shares of attackers among all accounts (0.48 % is \
                  24,000 in 5 million) it follows from the alarmed shares over all replicates by Bayes' rule, \
                  with the ends of Wilson's 90 % interval of the honest share."
        .to_string();
    table(
        "accounts with an alarm, and precision",
        heads.into_iter(),
        found.map(row).collect(),
        Some(remark),
    )
}

fn at_rate(at: &Option<AtRate>) -> String {
    let text = |v: f64| number(v, Unit::Share);
    match at {
        None => "-".into(),
        Some(AtRate { value: None, low, .. }) => format!(">{}", text(*low)),
        Some(AtRate { value: Some(v), low, high }) => {
            format!("{} [{}, {}]", text(*v), text(*low), text(*high))
        }
    }
}
