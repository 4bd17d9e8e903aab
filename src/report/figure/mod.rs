//! Figures as SVG text. No font of the machine is read: SVG names a family and the viewer draws it.

mod curves;
mod heatmap;
mod pareto;

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
    /// The picture.
    pub svg: String,
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

fn colour(i: usize) -> RGBColor {
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
                figures.push(Figure {
                    name: format!("{name}{suffix}"),
                    svg: finish(&svg, &caption),
                    caption,
                });
            }
        }
    }
    Ok(figures)
}

type Drawn = Result<Option<(&'static str, String, String)>>;

fn failed<E: std::fmt::Display>(e: E) -> Error {
    Error::Internal(format!("drawing: {e}"))
}

/// Black becomes the colour of the text around, so that one picture serves light and dark pages; a
/// title says what it is to those who do not see it.
fn finish(svg: &str, caption: &str) -> String {
    let title = caption.replace('&', "&amp;").replace('<', "&lt;");
    let svg = svg.replace("\"#000000\"", "\"currentColor\"");
    let Some(end) = svg.find('>').filter(|_| svg.starts_with("<svg")) else { return svg };
    let head = &svg[..end];
    let body = &svg[end + 1..];
    format!("{head} role=\"img\" style=\"max-width:100%;height:auto\"><title>{title}</title>{body}")
}
