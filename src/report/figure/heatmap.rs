//! Defense x student: recovered at the largest budget, the worst case of each row framed, and what honest users
//! are left with beside it.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::summary::{Estimate, Slice, Why};
use super::labels::Place;
use super::{Area, Drawn, failed, width};
use crate::error::Result;

const ROW: i32 = 34;
const TOP: i32 = 36;
const FONT: i32 = 16;
const HONEST: &str = "honest";

pub(super) fn draw(slice: &Slice<'_>) -> Drawn {
    let (students, Some(budget)) = (slice.students(), slice.budget()) else { return Ok(None) };
    let longest = slice.arms.iter().map(|a| width(&a.name, FONT)).max().unwrap_or(0);
    let left = longest + 24;
    let column = students.iter().map(|s| width(s, FONT)).max().unwrap_or(0).max(84) + 14;
    let honest = left + column * students.len() as i32 + 10;
    let wide = honest + width(HONEST, FONT) + 20;
    let high = TOP + ROW * slice.arms.len() as i32 + 8;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (wide as u32, high as u32));
        let root = root.into_drawing_area();
        for (j, student) in students.iter().enumerate() {
            let x = left + column * j as i32 + column / 2;
            write(&root, student, (x, TOP / 2), HPos::Center, &BLACK)?;
        }
        write(&root, HONEST, (wide - 10, TOP / 2), HPos::Right, &BLACK)?;
        for (i, arm) in slice.arms.iter().enumerate() {
            let y = TOP + ROW * i as i32;
            let share = arm.honest.accuracy.mean;
            let text = share.map_or("–".to_string(), |share| format!("{share:.2}"));
            write(&root, &text, (wide - 10, y + ROW / 2), HPos::Right, &BLACK)?;
            write(&root, &arm.name, (left - 10, y + ROW / 2), HPos::Right, &BLACK)?;
            for (j, student) in students.iter().enumerate() {
                let x = left + column * j as i32;
                let worst = arm.worst_student.as_deref() == Some(*student);
                let value = slice.row(&arm.name, student, budget).map(|r| r.recovered);
                cell(&root, value, worst, (x + 3, y + 3, x + column - 3, y + ROW - 3))?;
            }
        }
        root.present().map_err(failed)?;
    }
    let caption = format!(
        "Recovered share at {budget} queries, defense by student. The frame marks the strongest \
         student against each defense: the number that counts. Beside it the accuracy of the answers that honest \
         users got."
    );
    Ok(Some(("heatmap", caption, svg)))
}

/// One cell; what is not known is said.
fn cell(area: &Area<'_>, value: Option<Estimate>, worst: bool, at: Place) -> Result<()> {
    let middle = ((at.0 + at.2) / 2, (at.1 + at.3) / 2);
    let Some(mean) = value.and_then(|e| e.mean) else {
        let unknown = value.is_some_and(|e| e.why == Some(Why::NotIdentified));
        let text = if unknown { "not identified" } else { "–" };
        return write(area, text, middle, HPos::Center, &BLACK);
    };
    let (fill, ink) = shade(mean);
    let corners = [(at.0, at.1), (at.2, at.3)];
    area.draw(&Rectangle::new(corners, fill.filled())).map_err(failed)?;
    if worst {
        let (a, b) = ((at.0 - 1, at.1 - 1), (at.2 + 1, at.3 + 1));
        let outline = vec![a, (b.0, a.1), b, (a.0, b.1), a, (b.0, a.1)];
        let frame = RGBColor(213, 94, 0).stroke_width(3);
        area.draw(&PathElement::new(outline, frame)).map_err(failed)?;
    }
    write(area, &format!("{mean:.2}"), middle, HPos::Center, &ink)
}

fn write(area: &Area<'_>, text: &str, at: (i32, i32), side: HPos, ink: &RGBColor) -> Result<()> {
    let style = ("sans-serif", FONT).into_font().color(ink).pos(Pos::new(side, VPos::Center));
    area.draw(&Text::new(text.to_string(), at, style)).map_err(failed)
}

/// From pale to deep blue, and ink that can be read on it. Not quite black or white: those follow the
/// page.
fn shade(value: f64) -> (RGBColor, RGBColor) {
    let v = value.clamp(0.0, 1.0);
    let mix = |from: f64, to: f64| libm::round(from + v * (to - from)) as u8;
    let fill = RGBColor(mix(235.0, 8.0), mix(243.0, 69.0), mix(251.0, 128.0));
    (fill, if v > 0.5 { RGBColor(250, 250, 250) } else { RGBColor(20, 20, 20) })
}
