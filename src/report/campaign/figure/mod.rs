//! Figures of a campaign. Arms keep their colour and mark throughout a variant.

mod capability;
mod ledger;
mod rows;
mod sides;

use super::summary::gather::Slice;
use super::summary::settings::Settings;
use crate::error::Result;
use crate::report::figure::Figure;
use crate::report::figure::axis::Axis;

/// A picture with its file stem and caption.
struct Drawn {
    name: String,
    caption: String,
    svg: String,
}

/// All figures of one variant; those without data are left out. `number` counts variants from 0.
pub(super) fn all(slice: &Slice<'_>, settings: &Settings, number: usize) -> Result<Vec<Figure>> {
    let suffix = if number == 0 { String::new() } else { format!("-{}", number + 1) };
    let mut drawn = capability::all(slice, settings)?;
    for one in [
        sides::pareto(slice, settings)?,
        sides::survival(slice)?,
        rows::leak(slice, settings)?,
        sides::caps(slice)?,
        sides::roc(slice)?,
        ledger::actors(slice, settings)?,
        ledger::defender(slice, settings)?,
    ] {
        drawn.extend(one);
    }
    let figure =
        |d: Drawn| Figure::of(format!("{}{suffix}", d.name), slice.titled(&d.caption), &d.svg);
    Ok(drawn.into_iter().map(figure).collect())
}

/// A logarithmic axis over positive numbers, with ticks at powers of ten, and between them where few.
fn logarithmic(
    name: &'static str,
    values: impl Iterator<Item = f64>,
    label: fn(f64) -> String,
) -> Axis {
    let start = (f64::INFINITY, f64::NEG_INFINITY);
    let (low, high) = values.filter(|v| *v > 0.0).fold(start, |(l, h), v| (l.min(v), h.max(v)));
    let (low, high) = if low <= high { (low, high) } else { (1.0, 10.0) };
    let (first, last) =
        (libm::floor(libm::log10(low)) as i32, libm::ceil(libm::log10(high)) as i32);
    let steps: &[f64] = match high / low {
        ratio if ratio < 20.0 => &[1.0, 2.0, 3.0, 5.0, 7.0],
        ratio if ratio < 2_000.0 => &[1.0, 3.0],
        _ => &[1.0],
    };
    let power = |p: i32| steps.iter().map(move |m| m * libm::exp10(f64::from(p)));
    let each = (first..=last).flat_map(power);
    let (from, to) = (libm::log(low), libm::log(high));
    let air = if from < to { 0.04 * (to - from) } else { 0.5 };
    let range = (from - air, to + air);
    let ticks: Vec<f64> = each.map(libm::log).filter(|t| *t >= range.0 && *t <= range.1).collect();
    let step = ticks.len().div_ceil(5).max(1);
    Axis { name, ticks: ticks.into_iter().rev().step_by(step).collect(), range, label }
}

/// From 0 to the largest number, with ticks at round numbers.
fn linear(name: &'static str, most: f64, label: fn(f64) -> String) -> Axis {
    let most = if most > 0.0 { most } else { 1.0 };
    let rough = most / 4.0;
    let power = libm::exp10(libm::floor(libm::log10(rough)));
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough);
    let step = step.unwrap_or(rough);
    let ticks = (0..).map(|i| f64::from(i) * step).take_while(|t| *t <= most * 1.001).collect();
    Axis { name, ticks, range: (0.0, most * 1.03), label }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::campaign::summary::gather::slices;
    use crate::report::campaign::synthetic::{assumptions, records};

    fn figures(arms: usize, replicates: u32) -> Vec<Figure> {
        let records = records(arms, replicates);
        let slices = slices(&records);
        all(&slices[0], &Settings::of(&assumptions(), &slices[0]), 0).unwrap()
    }

    #[test]
    fn every_figure_is_there_with_a_title_and_serves_a_dark_page() {
        let figures = figures(3, 3);
        let names: Vec<&str> = figures.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "capability-1",
                "capability-2",
                "pareto",
                "survival",
                "leak-before-ban",
                "daily-caps",
                "roc",
                "money-actors",
                "money-defender"
            ]
        );
        for Figure { name, svg, .. } in &figures {
            assert!(svg.contains("role=\"img\"") && svg.contains("<title>"), "{name}");
            assert!(!svg.contains("\"#000000\"") && !svg.contains("NaN"), "{name}");
            assert!(svg.len() < 100_000, "{name} has {} bytes", svg.len());
        }
        assert!(figures[0].svg.contains("10 exchanges of the campaign stand for one example"));
    }

    #[test]
    fn one_arm_and_one_replicate_can_be_drawn() {
        let figures = figures(1, 1);
        assert!(figures.iter().any(|f| f.name == "capability-1"));
        assert!(figures.iter().all(|f| f.name != "pareto" && f.name != "leak-before-ban"));
    }

    #[test]
    fn axes_have_round_ticks_within_their_ends() {
        let axis = linear("x", 930.0, |v| v.to_string());
        assert_eq!(axis.ticks, [0.0, 500.0]);
        let log = logarithmic("x", [0.0, 2.0, 50_000.0].into_iter(), |v| v.to_string());
        assert!(
            log.ticks.len() >= 3
                && log.ticks.iter().all(|t| *t >= log.range.0 && *t <= log.range.1)
        );
        assert_eq!(linear("x", 0.0, |v| v.to_string()).range.1, 1.03);
    }
}
