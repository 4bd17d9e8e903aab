//! What a defense costs honest users against what the strongest student still recovers.

use super::super::summary::{Arm, Slice};
use super::Drawn;
use super::scatter::{self, Dot, Scale};

/// More names than this would hide the points.
const MOST_NAMES: usize = 16;

pub(super) fn draw(slice: &Slice<'_>) -> Drawn {
    let mut dots: Vec<Dot> = slice.arms.iter().filter_map(|a| dot(a)).collect();
    if dots.len() < 2 {
        return Ok(None);
    }
    let crowded = dots.len() > MOST_NAMES;
    if crowded {
        name_the_front(&mut dots);
    }
    let cost = Scale { name: "honest accuracy lost, points", digits: 1, least: 1.0 };
    let left = Scale { name: "recovered by the strongest student", digits: 2, least: 0.2 };
    let svg = scatter::draw(&dots, &cost, &left, false)?;
    let mut caption = "What each arm costs honest users (accuracy points lost against the undefended \
                   teacher on the same requests) against what the strongest student recovers. Lower \
                   left is better for the defender. Bars are 95 % intervals; a ring marks an \
                   incomplete arm."
        .to_string();
    if crowded {
        caption.push_str(" Named are `none` and the arms that no other beats in both.");
    }
    Ok(Some(("pareto", caption, svg)))
}

/// Takes the names of arms away that another one beats: not worse in either, better in one. `none` keeps its own.
fn name_the_front(dots: &mut [Dot]) {
    let at: Vec<(f64, f64)> = dots.iter().map(|d| (d.x.0, d.y.0)).collect();
    let beats = |a: (f64, f64), b: (f64, f64)| a.0 <= b.0 && a.1 <= b.1 && a != b;
    for (dot, &here) in dots.iter_mut().zip(&at) {
        if dot.name != "none" && at.iter().any(|&other| beats(other, here)) {
            dot.name.clear();
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_arms_that_no_other_beats_keep_their_names() {
        let dot = |name: &str, x: f64, y: f64| Dot {
            name: name.into(),
            x: (x, (x, x)),
            y: (y, (y, y)),
            full: true,
        };
        let mut dots = [
            dot("none", 0.1, 0.91),
            dot("good", 0.5, 0.4),
            dot("worse", 0.6, 0.4),
            dot("dear", 3.0, 0.1),
            dot("poor", 4.0, 0.95),
            dot("as none", 0.0, 0.9),
            dot("as good", 0.0, 0.9),
        ];
        name_the_front(&mut dots);
        let names: Vec<&str> = dots.iter().map(|d| &d.name[..]).collect();
        assert_eq!(names, ["none", "good", "", "dear", "", "as none", "as good"]);
    }
}
