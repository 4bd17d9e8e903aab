//! What a defense costs honest users against what the strongest student still recovers.

use plotters::prelude::*;

use super::super::summary::Slice;
use super::{Drawn, colour, failed};

pub(super) fn draw(slice: &Slice<'_>) -> Drawn {
    let mut points: Vec<(&str, f64, f64)> = slice
        .arms
        .iter()
        .filter_map(|a| {
            Some((a.name.as_str(), 100.0 * a.honest.loss.mean?, a.strongest.mean.or(a.worst.mean)?))
        })
        .collect();
    points.sort_by(|a, b| b.2.total_cmp(&a.2)); // from the top, so that labels move down in order
    if points.len() < 2 {
        return Ok(None);
    }
    let most = points.iter().map(|p| p.1).fold(1.0, f64::max) * 1.1;
    let least = points.iter().map(|p| p.1).fold(0.0, f64::min) - 0.05 * most;
    let lowest = (points.iter().map(|p| p.2).fold(1.0, f64::min) - 0.1).max(0.0);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (760, 420)).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(10)
            .margin_right(120)
            .x_label_area_size(44)
            .y_label_area_size(52)
            .build_cartesian_2d(least..most, lowest..1.02)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .x_desc("honest accuracy lost, points")
            .y_desc("recovered by the strongest student")
            .label_style(("sans-serif", 12))
            .draw()
            .map_err(failed)?;
        let mut labels: Vec<(i32, i32)> = Vec::new();
        for (i, (name, cost, left)) in points.iter().enumerate() {
            chart
                .draw_series([Circle::new((*cost, *left), 5, colour(i).filled())])
                .map_err(failed)?;
            let (x, y) = chart.backend_coord(&(*cost, *left));
            // Labels of near points go below one another.
            let mut place = (x + 9, y - 7);
            while labels.iter().any(|l| (l.0 - place.0).abs() < 110 && (l.1 - place.1).abs() < 14) {
                place.1 += 14;
            }
            labels.push(place);
            root.draw(&Text::new(
                (*name).to_string(),
                place,
                ("sans-serif", 12).into_font().color(&colour(i)),
            ))
            .map_err(failed)?;
        }
        root.present().map_err(failed)?;
    }
    let caption = "Cost to honest users (accuracy points lost against the undefended teacher on the same requests) against what the strongest student recovers; lower left is better for the defender.";
    Ok(Some(("pareto", caption.into(), svg)))
}
