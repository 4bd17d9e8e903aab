//! One self-contained page: no network, light and dark, figures inline, the tidy table inside.

use std::fmt::Write as _;

use super::Summary;
use super::figure::Figure;
use super::records;
use super::table::{interval, value, wait};
use crate::error::Result;
use crate::experiment::record::Record;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page of a summary.
pub fn page(
    summary: &Summary,
    all: &[Record],
    name: &str,
    command: &str,
    figures: &[Figure],
) -> Result<String> {
    let mut body = String::new();
    let _ = writeln!(
        body,
        "<h1>{}</h1>\n<p>Made by <code>{}</code></p>",
        escape(name),
        escape(command)
    );
    if !summary.notes.is_empty() {
        body.push_str("<section class=\"notes\" aria-label=\"Notes\"><ul>\n");
        for note in &summary.notes {
            let _ = writeln!(body, "<li>{}</li>", escape(note));
        }
        body.push_str("</ul></section>\n");
    }
    for figure in figures {
        let _ = writeln!(
            body,
            "<figure>{}<figcaption>{}</figcaption></figure>",
            figure.svg,
            escape(&figure.caption)
        );
    }
    arms(&mut body, summary);
    rows(&mut body, summary);
    let csv = records::scores_csv(all)?;
    let json = serde_json::to_string(&csv).unwrap_or_default().replace('<', "\\u003c");
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{}</title><style>{STYLE}</style></head>\n<body><main>\n{body}\
         <p><button id=\"download\" data-name=\"{}-records.csv\">Download CSV</button></p>\n</main>\n\
         <script type=\"application/json\" id=\"records\">{json}</script>\n<script>{SCRIPT}</script></body></html>\n",
        escape(name),
        escape(name)
    ))
}

fn arms(body: &mut String, summary: &Summary) {
    for slice in summary.parts() {
        let heads = [
            "arm",
            "layers",
            "strongest student recovers",
            "drop against none",
            "p (Holm)",
            "honest accuracy",
            "L1 mean",
            "refused",
            "wait p95",
            "marks",
        ];
        head(
            body,
            &format!("What each arm takes, and what it costs honest users {}", slice.name),
            &heads,
        );
        for arm in &slice.arms {
            let mut marks = arm.missing.join(", ");
            if arm.single_strength {
                marks.push_str(if marks.is_empty() { "one strength" } else { "; one strength" });
            }
            let h = &arm.honest;
            cells(
                body,
                &[
                    arm.name.clone(),
                    arm.stack.join(" > "),
                    interval(&arm.strongest, 3),
                    interval(&arm.drop, 3),
                    arm.p.map_or("-".into(), |p| format!("{p:.4}")),
                    value(&h.accuracy, 3),
                    value(&h.distortion_mean, 3),
                    value(&h.refused, 3),
                    h.wait_p95.mean.map_or("-".into(), wait),
                    marks,
                ],
            );
        }
        body.push_str("</tbody></table></div>\n");
    }
}

fn rows(body: &mut String, summary: &Summary) {
    body.push_str("<p><label>Filter rows <input id=\"filter\" type=\"search\" placeholder=\"arm or student\"></label></p>\n");
    let heads = [
        "sweep",
        "arm",
        "student",
        "budget",
        "n",
        "recovered",
        "over public",
        "accuracy",
        "agreement",
        "spent",
        "days",
    ];
    head(body, "Every arm, student and budget, with 95 % intervals over seeds", &heads);
    for row in &summary.rows {
        cells(
            body,
            &[
                row.slice.clone(),
                row.arm.clone(),
                row.student.clone(),
                row.budget.to_string(),
                row.seeds.to_string(),
                interval(&row.recovered, 3),
                interval(&row.recovered_over_public, 3),
                interval(&row.accuracy, 3),
                interval(&row.agreement, 3),
                value(&row.queries_spent, 0),
                value(&row.days, 2),
            ],
        );
    }
    body.push_str("</tbody></table></div>\n");
}

fn head(body: &mut String, caption: &str, heads: &[&str]) {
    let _ = write!(
        body,
        "<div class=\"scroll\"><table class=\"sortable\"><caption>{}</caption><thead><tr>",
        escape(caption.trim())
    );
    for h in heads {
        let _ = write!(body, "<th scope=\"col\"><button type=\"button\">{h}</button></th>");
    }
    body.push_str("</tr></thead><tbody>\n");
}

fn cells(body: &mut String, cells: &[String]) {
    body.push_str("<tr>");
    for cell in cells {
        let _ = write!(body, "<td>{}</td>", escape(cell));
    }
    body.push_str("</tr>\n");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
