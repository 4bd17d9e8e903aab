//! What a defense costs honest users against what the strongest student still recovers.

use super::super::summary::{Arm, Slice};
use super::Drawn;
use super::scatter::{self, Dot, Scale};

pub(super) fn draw(slice: &Slice<'_>) -> Drawn {
    let dots: Vec<Dot> = slice.arms.iter().filter_map(|a| dot(a)).collect();
    if dots.len() < 2 {
        return Ok(None);
    }
    let cost = Scale { name: "honest accuracy lost, points", digits: 1, least: 1.0 };
    let left = Scale { name: "recovered by the strongest student", digits: 2, least: 0.2 };
    let svg = scatter::draw(&dots, &cost, &left, false)?;
    let caption = "What each arm costs honest users (accuracy points lost against the undefended \
                   teacher on the same requests) against what the strongest student recovers. Lower \
                   left is better for the defender. Bars are 95 % intervals; a ring marks an \
                   incomplete arm.";
    Ok(Some(("pareto", caption.into(), svg)))
}

fn dot(arm: &Arm) -> Option<Dot> {
    let left = if arm.strongest.mean.is_some() { arm.strongest } else { arm.worst };
    let (cost, value) = (100.0 * arm.honest.loss.mean?, left.mean?);
    let cost_ends = arm.honest.loss.interval.map(|(l, h)| (100.0 * l, 100.0 * h));
    Some(Dot {
        name: arm.name.clone(),
        x: (cost, cost_ends.unwrap_or((cost, cost))),
        y: (value, left.interval.unwrap_or((value, value))),
        full: arm.complete,
    })
}
