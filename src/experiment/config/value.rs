//! Values as they are written on a command line: TOML literals, or bare words as strings.

use super::tree::{Node, Place, Value};

/// Deepest nesting of brackets and braces.
const MOST_NESTED: usize = 64;

/// Reads a value, every part of it at `place`. `None` if it starts like a literal and is not one.
///
/// Inside brackets and braces bare words are strings too: `[a, b]`, `{kind = mlp}`, `{kind: mlp}`.
pub fn read(text: &str, place: &Place) -> Option<Node> {
    read_nested(text, place, MOST_NESTED)
}

fn read_nested(text: &str, place: &Place, levels: usize) -> Option<Node> {
    let text = text.trim();
    let levels = levels.checked_sub(1)?;
    if let Ok(value) = text.parse::<toml_edit::Value>()
        && !value.is_datetime()
    {
        return Some(Node::from_value(&value, None, Some(place)));
    }
    let value = match text.chars().next()? {
        '[' => {
            let inside = text.strip_prefix('[')?.strip_suffix(']')?;
            let parts = split_top(inside, ',').into_iter();
            Value::List(parts.map(|part| read_nested(part, place, levels)).collect::<Option<_>>()?)
        }
        '{' => {
            let inside = text.strip_prefix('{')?.strip_suffix('}')?;
            let entry = |part: &str| {
                let (key, value) = split_once_top(part, '=').or(split_once_top(part, ':'))?;
                let key = key.trim().trim_matches(['"', '\'']);
                Some((key.to_string(), read_nested(value, place, levels)?))
            };
            Value::Table(split_top(inside, ',').into_iter().map(entry).collect::<Option<_>>()?)
        }
        '"' | '\'' => return None,
        _ => Value::String(text.to_string()),
    };
    Some(Node { place: place.clone(), value })
}

/// Splits at `separator` outside quotes, brackets, braces and parentheses.
pub fn split_top(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((head, tail)) = split_once_top(rest, separator) {
        parts.push(head);
        rest = tail;
    }
    parts.push(rest);
    parts
}

/// Splits once, at the first `separator` outside quotes, brackets, braces and parentheses.
pub fn split_once_top(text: &str, separator: char) -> Option<(&str, &str)> {
    let mut depth = 0_i32;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if let Some(open) = quote {
            match c {
                _ if escaped => escaped = false,
                '\\' if open == '"' => escaped = true,
                _ if c == open => quote = None,
                _ => {}
            }
            continue;
        }
        if c == separator && depth == 0 {
            return Some((&text[..at], &text[at + c.len_utf8()..]));
        }
        match c {
            '"' | '\'' => quote = Some(c),
            '[' | '{' | '(' => depth += 1,
            ']' | '}' | ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toml(text: &str) -> Option<String> {
        read(text, &Place::default()).map(|n| n.to_toml().to_string())
    }

    #[test]
    fn literals_are_toml_and_bare_words_are_strings() {
        let table = [
            ("1", "1"),
            ("-2.5", "-2.5"),
            ("true", "true"),
            ("mlp", "\"mlp\""),
            ("'a,b'", "\"a,b\""),
            ("top-k", "\"top-k\""),
            ("2026-01-02", "\"2026-01-02\""),
            ("[1, 2]", "[1, 2]"),
            ("[a, b]", "[\"a\", \"b\"]"),
            ("{ kind = mlp, hidden = [64] }", "{ kind = \"mlp\", hidden = [64] }"),
            ("{kind: mlp}", "{ kind = \"mlp\" }"),
        ];
        for (text, expected) in table {
            assert_eq!(toml(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_broken_literal_is_none() {
        for text in ["", "[1, 2", "{a}", "\"open", "'open"] {
            assert_eq!(toml(text), None, "{text}");
        }
    }

    #[test]
    fn splitting_respects_quotes_and_brackets() {
        assert_eq!(split_top("a,b", ','), ["a", "b"]);
        assert_eq!(split_top("[1,2],'x,y',\"p\\\",q\",f(1,2)", ',').len(), 4);
        assert_eq!(split_top("a[x.y].b", '.'), ["a[x.y]", "b"]);
    }
}
