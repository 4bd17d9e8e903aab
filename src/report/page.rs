//! What every page is made of: one self-contained document, tables that sort, figures, prose. No network,
//! light and dark.

use std::fmt::Write as _;

use super::details;
use super::figure::Figure;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// What the page may load: nothing that it does not bring.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// The document around `body`. `data` is JSON without `<`, for the script.
pub(super) fn document(name: &str, body: &str, data: &str) -> String {
    let name = escape(name);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name}</title>\n<style>{STYLE}</style></head>\n<body><main>\n{body}</main>\n\
         <script type=\"application/json\" id=\"records\" data-name=\"{name}\">{data}</script>\n\
         <script>{SCRIPT}</script></body></html>\n"
    )
}

/// The name, how much there is, and the command that makes the page again.
pub(super) fn top(name: &str, size: &str, command: &str) -> String {
    let (name, size, command) = (escape(name), escape(size), escape(command));
    format!("<h1>{name}</h1>\n<p>{size}<br>Made by <code>{command}</code></p>\n")
}

/// Sentences that a reader must not miss.
pub(super) fn notes(body: &mut String, notes: &[String]) {
    if notes.is_empty() {
        return;
    }
    body.push_str("<section class=\"notes\" aria-label=\"Notes\"><ul>\n");
    for note in notes {
        let _ = writeln!(body, "<li>{}</li>", prose(note));
    }
    body.push_str("</ul></section>\n");
}

/// What the numbers mean.
pub(super) fn explain(body: &mut String, paragraphs: &[String]) {
    body.push_str("<section class=\"explain\" aria-label=\"What the numbers mean\">\n");
    for paragraph in paragraphs {
        let _ = writeln!(body, "<p>{}</p>", prose(paragraph));
    }
    body.push_str("</section>\n");
}

/// A figure with its caption; where it is wider than the page it scrolls.
pub(super) fn figure(body: &mut String, figure: &Figure, command: &str) {
    let (caption, command) = (escape(&figure.caption), escape(command));
    let _ = writeln!(
        body,
        "<figure><div class=\"picture\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">{}</div>\
         <figcaption>{caption} <code>{command}</code></figcaption></figure>",
        escape(&figure.name),
        figure.svg,
    );
}

/// A table of text under this title, and its remark.
pub(super) fn text(body: &mut String, title: &str, given: &details::Table) {
    if !given.rows.is_empty() {
        let mut table = Table::start(title);
        table.heads(&given.heads.iter().map(String::as_str).collect::<Vec<_>>());
        for row in &given.rows {
            table.row(&row[0], &row[1..].iter().map(|c| escape(c)).collect::<Vec<_>>());
        }
        table.end(body);
    }
    if let Some(remark) = &given.remark {
        let alone = given.rows.is_empty();
        let remark = if alone { format!("{}: {remark}", given.title) } else { remark.clone() };
        let _ = writeln!(body, "<p class=\"explain\">{}</p>", prose(&capital(&remark)));
    }
}

/// A field that filters the last table of the page by its first columns, and a button for the data.
pub(super) fn tools(body: &mut String, hint: &str) {
    let hint = escape(hint);
    let _ = writeln!(
        body,
        "<p class=\"tools\"><label for=\"filter\">Filter rows</label> \
         <input id=\"filter\" type=\"search\" placeholder=\"{hint}\"> \
         <output id=\"shown\" for=\"filter\" aria-live=\"polite\"></output> \
         <button id=\"download\" type=\"button\">Download CSV</button></p>"
    );
}

/// With a capital at its start.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// A table with a caption, sortable column heads and a head in each row.
pub(super) struct Table(String);

impl Table {
    /// A table with this caption.
    pub fn start(caption: &str) -> Self {
        let caption = escape(caption);
        Self(format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\">\
             <table class=\"sortable\"><caption>{caption}</caption>\n"
        ))
    }

    /// Heads of its columns.
    pub fn heads(&mut self, heads: &[&str]) {
        self.0.push_str("<thead><tr>");
        for head in heads {
            let head = escape(head);
            let _ =
                write!(self.0, "<th scope=\"col\"><button type=\"button\">{head}</button></th>");
        }
        self.0.push_str("</tr></thead><tbody>\n");
    }

    /// `cells` are HTML already.
    pub fn row(&mut self, head: &str, cells: &[String]) {
        let _ = write!(self.0, "<tr><th scope=\"row\">{}</th>", escape(head));
        for cell in cells {
            let _ = write!(self.0, "<td>{cell}</td>");
        }
        self.0.push_str("</tr>\n");
    }

    /// Closed, and at the end of `body`.
    pub fn end(self, body: &mut String) {
        body.push_str(&self.0);
        body.push_str("</tbody></table></div>\n");
    }
}

/// Escaped, with what is between backticks as code.
pub(super) fn prose(text: &str) -> String {
    let tag = |i: usize| match i {
        0 => "",
        i if i.is_multiple_of(2) => "</code>",
        _ => "<code>",
    };
    escape(text).split('`').enumerate().flat_map(|(i, part)| [tag(i), part]).collect()
}

/// As text of a document or of an attribute.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_between_backticks_are_code() {
        assert_eq!(prose("under `none` & <b>"), "under <code>none</code> &amp; &lt;b&gt;");
    }
}
