//! Markdown that reads well unrendered: aligned tables and prose of a bounded width.

use std::fmt::Write as _;

/// Columns that prose may fill.
const WIDTH: usize = 108;

/// A Markdown table with aligned columns.
pub(super) fn grid(out: &mut String, rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let clean = |cell: &str| cell.replace('|', "\\|").replace(['\n', '\r'], " ");
    let rows: Vec<Vec<String>> =
        rows.iter().map(|r| r.iter().map(|c| clean(c)).collect()).collect();
    let width = |c: usize| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for (i, row) in rows.iter().enumerate() {
        let pad = |(cell, w): (&String, &usize)| {
            format!("{cell}{}", " ".repeat(w - cell.chars().count()))
        };
        let cells: Vec<String> = row.iter().zip(&widths).map(pad).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
        if i == 0 {
            let rule: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
            let _ = writeln!(out, "| {} |", rule.join(" | "));
        }
    }
    out.push('\n');
}

/// Prose in lines of at most [`WIDTH`] columns, the later ones indented like the first's text.
pub(super) fn wrapped(out: &mut String, text: &str, mark: &str) {
    let indent = " ".repeat(mark.len());
    let mut line = mark.to_string();
    for word in text.split_whitespace() {
        let empty = line.len() == mark.len();
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(out, "{}", line.trim_end());
            line = format!("{indent}{word}");
        } else {
            line.push_str(if empty { "" } else { " " });
            line.push_str(word);
        }
    }
    let _ = writeln!(out, "{}", line.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_or_line_break_in_a_name_breaks_no_table() {
        let mut out = String::new();
        grid(&mut out, &[vec!["a|b".into()], vec!["c\nd".into()]]);
        assert_eq!(out, "| a\\|b |\n| ---- |\n| c d  |\n\n");
    }

    #[test]
    fn long_prose_is_wrapped_and_indented() {
        let mut out = String::new();
        wrapped(&mut out, &"word ".repeat(50), "- ");
        assert!(out.lines().all(|l| l.chars().count() <= WIDTH));
        assert!(out.starts_with("- word") && out.lines().nth(1).unwrap().starts_with("  word"));
    }
}
