//! The books of both sides, and what a defense costs for what it withholds.

use super::measure::Unit::{Count, Usd};
use super::measure::{Case, Measure, measure};
use super::sides::{sum_of_actors, tally};
use super::spread::Value;
use crate::experiment::campaign::record::{Costs, Outcome};
use crate::metric::Better::{Higher, Lower, Neither};

/// What an actor pays, by what for. Chips are not included.
pub const COSTS: [Measure; 8] = [
    measure("usd_answers", "answers", Usd, Lower, |c| cost(c, |u| u.answers)),
    measure("usd_credit", "unused credit", Usd, Lower, |c| cost(c, |u| u.credit)),
    measure("usd_accounts", "accounts", Usd, Lower, |c| cost(c, |u| u.accounts)),
    measure("usd_cards", "cards", Usd, Lower, |c| cost(c, |u| u.cards)),
    measure("usd_network", "network", Usd, Lower, |c| cost(c, |u| u.network)),
    measure("usd_templates", "templates", Usd, Lower, |c| cost(c, |u| u.templates)),
    measure("usd_work", "proof of work", Usd, Lower, |c| cost(c, |u| u.work)),
    measure("usd", "total", Usd, Lower, |c| cost(c, Costs::total)),
];

/// The defender's books.
pub const BOOKS: [Measure; 4] = [
    measure("revenue_honest", "revenue from honest people, $", Usd, Higher, |c| {
        Value::plain(c.last()?.usd.answers * c.settings.weight)
    }),
    measure("revenue_actors", "from actors, $", Usd, Neither, |c| {
        Value::plain(actors_usd(c.outcome))
    }),
    measure("lost_revenue", "lost to refusals, $", Usd, Lower, refused_usd),
    measure("usd_reviews", "reviews of alarms, $", Usd, Lower, |c| Value::plain(reviews_usd(c)?)),
];

/// What the defense bought, against the first arm of the same replicate.
pub const RETURN: [Measure; 5] = [
    measure("withheld", "useful exchanges withheld", Count, Higher, |c| Value::plain(withheld(c)?)),
    measure("less_from_honest", "less from honest people, $", Usd, Lower, |c| {
        let (now, before) = (c.last()?.usd.answers, c.before()?.last()?.usd.answers);
        Value::plain((before - now) * c.settings.weight)
    }),
    measure("less_from_actors", "less from actors, $", Usd, Lower, |c| {
        Value::plain(actors_usd(c.first?) - actors_usd(c.outcome))
    }),
    measure("more_reviews", "more reviews, $", Usd, Lower, |c| {
        Value::plain(reviews_usd(c)? - reviews_usd(&c.before()?)?)
    }),
    measure("price_per_1000_withheld", "$ per 1,000 withheld", Usd, Lower, |c| {
        let kept = withheld(c).filter(|_| !c.is_first())?;
        // Where nothing is withheld, no price pays.
        let price = 1_000.0 * defense_usd(c)? / kept;
        Value::plain(if kept > 0.0 { price } else { f64::INFINITY })
    }),
];

fn cost(c: &Case<'_>, of: fn(&Costs) -> f64) -> Option<Value> {
    Value::plain(of(&c.last()?.usd))
}

/// Requests that were refused, at the mean price of those answered.
fn refused_usd(c: &Case<'_>) -> Option<Value> {
    let point = c.last().filter(|p| p.sums.answered > 0)?;
    let (wanted, answered) = (point.sums.wanted as f64, point.sums.answered as f64);
    let all = point.usd.answers * c.settings.weight * wanted / answered;
    Value::rate(point.sums.lost() as f64, wanted, all)
}

/// What actors pay for answers, and ahead.
fn actors_usd(outcome: &Outcome) -> f64 {
    let points = outcome.actors.iter().filter_map(|p| p.points.last());
    points.map(|p| p.usd.answers + p.usd.credit).sum()
}

/// One review for each account with an alarm.
fn reviews_usd(c: &Case<'_>) -> Option<f64> {
    let honest = tally(c)?.alarms as f64 * c.settings.weight;
    let alarms = honest + sum_of_actors(c.outcome, |t| t.alarms);
    if alarms == 0.0 { Some(0.0) } else { Some(alarms * c.settings.usd_per_alert?) }
}

/// Useful exchanges that actors got under the first arm and not here.
fn withheld(c: &Case<'_>) -> Option<f64> {
    Some(sum_of_actors(c.first?, |t| t.useful) - sum_of_actors(c.outcome, |t| t.useful))
}

/// What the defender gives up: revenue of both sides, and reviews where their price is known.
fn defense_usd(c: &Case<'_>) -> Option<f64> {
    let before = c.before()?;
    let honest = (before.last()?.usd.answers - c.last()?.usd.answers) * c.settings.weight;
    let actors = actors_usd(before.outcome) - actors_usd(c.outcome);
    Some(honest + actors + reviews_usd(c)? - reviews_usd(&before)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::campaign::synthetic::spread;

    #[test]
    fn books_price_what_was_refused_and_what_was_withheld() {
        // 10,000 answers for $ 50; 100 lost; each account stands for two.
        assert_eq!(spread(&BOOKS, "revenue_honest", 2, None).median, Some(99.0));
        assert!((spread(&BOOKS, "lost_revenue", 2, None).median.unwrap() - 1.0).abs() < 1e-12);
        // 4 wrong alarms for two each and 30 right ones at $ 5.
        assert_eq!(spread(&BOOKS, "usd_reviews", 2, None).median, Some(190.0));
        assert_eq!(spread(&RETURN, "withheld", 0, None).median, Some(0.0));
        assert_eq!(spread(&RETURN, "price_per_1000_withheld", 0, None).n, 0);
        assert_eq!(spread(&RETURN, "less_from_honest", 2, None).median, Some(1.0));
        assert!(spread(&RETURN, "price_per_1000_withheld", 2, None).median.unwrap() > 0.0);
    }
}
