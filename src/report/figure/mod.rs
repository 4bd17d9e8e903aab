//! Figures as SVG text. No font of the machine is read: SVG names a family and the viewer draws it.

pub(super) mod axis;
mod curves;
mod heatmap;
mod labels;
pub(super) mod legend;
pub(super) mod panels;
mod pareto;
pub(super) mod scatter;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::Summary;
use crate::error::{Error, Result};

/// One figure.
#[derive(Clone, Debug)]
pub struct Figure {
    /// File stem.
    pub name: String,
    /// What to see, in a sentence or two.
    pub caption: String,
    /// The picture, in the colour of the text around it: for a page.
    pub svg: String,
}

impl Figure {
    /// A raw picture with its caption.
    pub(super) fn of(name: String, caption: String, raw: &str) -> Self {
        let svg = finish(raw, &caption);
        Self { name, caption, svg }
    }

    /// The picture on a white card: for a file, readable wherever it is shown.
    pub fn card(&self) -> String {
        let Some(end) = self.svg.find('>') else { return self.svg.clone() };
        let (head, body) = self.svg.split_at(end);
        let card = "<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#ffffff\"/>";
        format!("{head} color=\"#1b1b1f\">{card}{}", &body[1..])
    }
}

/// Colours that colour-blind readers can tell apart (Okabe and Ito 2008).
const PALETTE: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
];

/// Inks of the reference lines: stand-ins that [`finish`] turns into the text colour and this dash.
const DASHES: [(RGBColor, &str, &str); 4] = [
    (RGBColor(1, 0, 0), "#010000", "none"),
    (RGBColor(2, 0, 0), "#020000", "9 3"),
    (RGBColor(3, 0, 0), "#030000", "5 4"),
    (RGBColor(4, 0, 0), "#040000", "1.5 3"),
];

pub(super) fn colour(i: usize) -> RGBColor {
    PALETTE[i % PALETTE.len()]
}

/// All figures of a summary; those without data are left out.
pub fn all(summary: &Summary) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (i, slice) in summary.parts().enumerate() {
        let suffix = if i == 0 { String::new() } else { format!("-{}", i + 1) };
        for drawn in [
            curves::recovered(&slice),
            curves::accuracy(&slice),
            heatmap::draw(&slice),
            pareto::draw(&slice),
        ] {
            if let Some((name, caption, svg)) = drawn? {
                let caption = if slice.name.is_empty() {
                    caption
                } else {
                    format!("{}: {caption}", slice.name)
                };
                figures.push(Figure::of(format!("{name}{suffix}"), caption, &svg));
            }
        }
    }
    Ok(figures)
}

/// File stem, caption and raw picture.
type Drawn = Result<Option<(&'static str, String, String)>>;
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub(super) fn failed<E: std::fmt::Display>(e: E) -> Error {
    Error::Internal(format!("drawing: {e}"))
}

/// `400`, `16k`, `1.6M`.
pub(super) fn short(n: u64) -> String {
    match n {
        n if n >= 1_000_000 => format!("{}M", n as f64 / 1e6),
        n if n >= 10_000 => format!("{}k", n as f64 / 1e3),
        n => n.to_string(),
    }
}

/// Pixels that a text needs at most, at this font size: no font is there to ask, and SVG text is a
/// fifth smaller than its nominal size.
pub(super) fn width(text: &str, size: i32) -> i32 {
    text.chars().count() as i32 * size / 2
}

/// Student `i`'s mark: colour and shape differ, so that a grey print is readable too.
pub(super) fn mark(area: &Area<'_>, at: (i32, i32), i: usize) -> Result<()> {
    let (x, y) = at;
    let ink = colour(i).filled();
    match i % 4 {
        0 => area.draw(&Circle::new(at, 3, ink)),
        1 => area.draw(&Rectangle::new([(x - 3, y - 3), (x + 3, y + 3)], ink)),
        2 => area.draw(&Polygon::new(vec![(x - 4, y + 3), (x + 4, y + 3), (x, y - 4)], ink)),
        _ => area.draw(&Polygon::new(vec![(x - 4, y), (x, y + 4), (x + 4, y), (x, y - 4)], ink)),
    }
    .map_err(failed)
}

/// Black and the inks become the colour of the text around, so that one picture serves light and dark
/// pages; a title says what it is to those who do not see it.
fn finish(svg: &str, caption: &str) -> String {
    let title = caption.replace('&', "&amp;").replace('<', "&lt;");
    let mut svg = svg.replace("\"#000000\"", "\"currentColor\"");
    for (_, ink, dash) in DASHES {
        let line = format!("stroke=\"currentColor\" stroke-dasharray=\"{dash}\"");
        svg = svg.replace(&format!("stroke=\"{ink}\""), &line);
    }
    let Some(end) = svg.find('>').filter(|_| svg.starts_with("<svg")) else { return svg };
    let (head, body) = svg.split_at(end);
    let style = "style=\"max-width:100%;height:auto\"";
    format!("{head} role=\"img\" {style}><title>{title}</title>{}", &body[1..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::record::Role;
    use crate::report::synthetic::{example, record, records};

    #[test]
    fn every_figure_has_a_title_real_text_and_no_black_that_a_dark_page_hides() {
        let figures = all(&Summary::of(&example())).unwrap();
        let names: Vec<&str> = figures.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["recovered-vs-budget", "accuracy-vs-budget", "heatmap", "pareto"]);
        for Figure { name, svg, .. } in &figures {
            assert!(svg.contains("role=\"img\"") && svg.contains("<title>"));
            assert!(svg.contains(if name.starts_with("accuracy") { "teacher" } else { "mad-1.5" }));
            assert!(!svg.contains("\"#000000\""));
            assert!(DASHES.iter().all(|(_, ink, _)| !svg.contains(ink)));
            assert!(svg.len() < 100_000, "{name} has {} bytes", svg.len());
        }
        assert!(figures[0].card().contains("fill=\"#ffffff\""));
    }

    #[test]
    fn names_from_a_config_cannot_leave_the_picture() {
        let scores = [("accuracy", 0.6), ("teacher_accuracy", 0.9), ("floor_accuracy", 0.1)];
        let given = [record(Role::Student, "none", "<script>&\"", "k", 10, 0, &scores)];
        for figure in all(&Summary::of(&given)).unwrap() {
            assert!(!figure.svg.contains("<script"));
        }
    }

    #[test]
    fn one_seed_one_budget_and_no_records_can_be_drawn() {
        assert!(!all(&Summary::of(&records(1, 1))).unwrap().is_empty());
        assert!(all(&Summary::of(&[])).unwrap().is_empty());
    }
}
