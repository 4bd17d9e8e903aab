//! Defense x student: recovered at the largest budget, the worst case of each row framed.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::summary::Slice;
use super::{Drawn, failed};

const CELL: (i32, i32) = (112, 34);
const LEFT: i32 = 130;
const TOP: i32 = 40;

pub(super) fn draw(slice: &Slice<'_>) -> Drawn {
    let (students, Some(budget)) = (slice.students(), slice.budget()) else { return Ok(None) };
    let width = LEFT + CELL.0 * students.len() as i32 + 10;
    let height = TOP + CELL.1 * slice.arms.len() as i32 + 10;
    let mut svg = String::new();
    {
        let root =
            SVGBackend::with_string(&mut svg, (width as u32, height as u32)).into_drawing_area();
        let middle = Pos::new(HPos::Center, VPos::Center);
        let head = ("sans-serif", 13).into_font().color(&BLACK).pos(middle);
        for (j, student) in students.iter().enumerate() {
            let x = LEFT + CELL.0 * j as i32 + CELL.0 / 2;
            root.draw(&Text::new((*student).to_string(), (x, TOP / 2), head.clone()))
                .map_err(failed)?;
        }
        for (i, arm) in slice.arms.iter().enumerate() {
            let y = TOP + CELL.1 * i as i32;
            let left = ("sans-serif", 13)
                .into_font()
                .color(&BLACK)
                .pos(Pos::new(HPos::Right, VPos::Center));
            root.draw(&Text::new(arm.name.clone(), (LEFT - 8, y + CELL.1 / 2), left))
                .map_err(failed)?;
            for (j, student) in students.iter().enumerate() {
                let Some(value) =
                    slice.row(&arm.name, student, budget).and_then(|r| r.recovered.mean)
                else {
                    continue;
                };
                let x = LEFT + CELL.0 * j as i32;
                let corners = [(x + 1, y + 1), (x + CELL.0 - 1, y + CELL.1 - 1)];
                let (fill, ink) = shade(value);
                root.draw(&Rectangle::new(corners, fill.filled())).map_err(failed)?;
                if arm.worst_student.as_deref() == Some(*student) {
                    let frame = [(x + 2, y + 2), (x + CELL.0 - 2, y + CELL.1 - 2)];
                    root.draw(&Rectangle::new(frame, RGBColor(213, 94, 0).stroke_width(3)))
                        .map_err(failed)?;
                }
                let style = ("sans-serif", 13).into_font().color(&ink).pos(middle);
                let place = (x + CELL.0 / 2, y + CELL.1 / 2);
                root.draw(&Text::new(format!("{value:.2}"), place, style)).map_err(failed)?;
            }
        }
        root.present().map_err(failed)?;
    }
    let caption = format!(
        "Recovered share at {budget} queries, defense by student; the strongest student against each defense is framed."
    );
    Ok(Some(("heatmap", caption, svg)))
}

/// From pale to deep blue, and ink that can be read on it. Not quite black or white: those follow the
/// page.
fn shade(value: f64) -> (RGBColor, RGBColor) {
    let v = value.clamp(0.0, 1.0);
    let mix = |from: f64, to: f64| (from + v * (to - from)).round() as u8;
    let fill = RGBColor(mix(240.0, 8.0), mix(246.0, 69.0), mix(252.0, 128.0));
    (fill, if v > 0.55 { RGBColor(250, 250, 250) } else { RGBColor(20, 20, 20) })
}
