//! Where in the schema a misplaced key belongs, and how expectations are put in words.

use serde_json::Value as Json;

use super::shape::{Extra, Schema, Shape};

/// Most keys listed in one message.
const MOST_KEYS: usize = 16;

/// `one of `a`, `b``, or just `` `a` ``.
pub fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("`{w}`")).collect();
    match quoted.as_slice() {
        [] => "no key at all".to_string(),
        [one] => one.clone(),
        many => format!("one of {}", many.join(", ")),
    }
}

/// The allowed keys of a table, cut short where there are many.
pub fn keys(words: &[&str]) -> String {
    match words.len().checked_sub(MOST_KEYS) {
        None | Some(0) => one_of(words),
        Some(more) => format!("{} and {more} more", one_of(&words[..MOST_KEYS])),
    }
}

/// `an integer`, `a table with `kind``, `a string or a list of integers`: what would have been right.
pub fn describe(schema: &Schema, shapes: &[Shape<'_>]) -> String {
    let choices: Vec<&str> = shapes
        .iter()
        .filter_map(|s| s.choices.as_ref())
        .flatten()
        .filter_map(|v| v.as_str())
        .collect();
    let mut parts = Vec::new();
    if !choices.is_empty() {
        parts.push(one_of(&choices));
    }
    for shape in shapes.iter().filter(|s| s.choices.is_none()) {
        for kind in &shape.types {
            let part = describe_type(schema, shape, kind);
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
    }
    if parts.is_empty() { "any value".to_string() } else { parts.join(" or ") }
}

fn describe_type(schema: &Schema, shape: &Shape<'_>, kind: &str) -> String {
    match kind {
        "integer" => "an integer".to_string(),
        "number" => "a number".to_string(),
        "string" => "a string".to_string(),
        "boolean" => "true or false".to_string(),
        "object" => match shape.tag() {
            Some((tag, _)) => format!("a table with `{tag}`"),
            None => "a table".to_string(),
        },
        "array" => match shape.items.map(|items| schema.shapes(items)) {
            Some(items) => format!("a list{}", plural(&items)),
            None => "a list".to_string(),
        },
        other => other.to_string(),
    }
}

fn plural(items: &[Shape<'_>]) -> &'static str {
    let all = |name: &str| !items.is_empty() && items.iter().all(|s| s.types == [name]);
    match () {
        () if all("integer") => " of integers",
        () if all("number") => " of numbers",
        () if all("string") => " of strings",
        () if all("object") => " of tables",
        () if all("array") => " of lists",
        () => "",
    }
}

/// ` from 0 to 255`, ` of at least 0`, or nothing.
pub fn range(shape: &Shape<'_>) -> String {
    let low = shape
        .low
        .map(|(x, open)| if open { format!("above {x}") } else { format!("of at least {x}") });
    let high = shape
        .high
        .map(|(x, open)| if open { format!("below {x}") } else { format!("at most {x}") });
    match (shape.low, shape.high, low, high) {
        (Some((low, false)), Some((high, false)), ..) => format!(" from {low} to {high}"),
        (_, _, Some(low), Some(high)) => format!(" {low} and {high}"),
        (_, _, Some(low), None) => format!(" {low}"),
        (_, _, None, Some(high)) => format!(" of {high}"),
        (_, _, None, None) => String::new(),
    }
}

/// Where `key` is known: `` `defense.stack` with kind `round` ``. `None` if nowhere but in `here`.
///
/// `here` is the dotted path of the table that the key was found in.
pub fn belongs(schema: &Schema, key: &str, here: &[&str]) -> Option<String> {
    let mut search = Search { schema, key, found: Vec::new(), trail: Vec::new() };
    search.visit(schema.root(), &mut Vec::new());
    search.found.sort_by_key(|(path, _)| path.len());
    let mut tables: Vec<(String, Vec<String>)> = Vec::new();
    for (path, tag) in search.found {
        if path == here && tag.is_none() {
            continue;
        }
        let path =
            if path.is_empty() { "the top level".into() } else { format!("`{}`", path.join(".")) };
        let at = tables.iter().position(|(p, _)| *p == path).unwrap_or_else(|| {
            tables.push((path, Vec::new()));
            tables.len() - 1
        });
        let kinds = &mut tables[at].1;
        let kind = tag.map(|(tag, kind)| format!("{tag} `{kind}`"));
        kinds.extend(kind.filter(|k| !kinds.contains(k)).into_iter().collect::<Vec<_>>());
    }
    let place = |(path, kinds): &(String, Vec<String>)| match kinds.as_slice() {
        [] => path.clone(),
        some => format!("{path} with {}", some[..some.len().min(3)].join(" or ")),
    };
    let places: Vec<String> = tables.iter().take(2).map(place).collect();
    (!places.is_empty()).then(|| places.join(" and "))
}

type Known<'s> = (Vec<&'s str>, Option<(&'s str, &'s str)>);

struct Search<'s, 'k> {
    schema: &'s Schema,
    key: &'k str,
    /// Dotted path of each table that knows the key, and the tag of the alternative that does.
    found: Vec<Known<'s>>,
    /// Schemas on the way down, so that a spec that holds itself is entered once.
    trail: Vec<&'s Json>,
}

impl<'s> Search<'s, '_> {
    fn visit(&mut self, schema: &'s Json, path: &mut Vec<&'s str>) {
        if self.trail.iter().any(|seen| std::ptr::eq(*seen, schema)) {
            return;
        }
        self.trail.push(schema);
        let shapes = self.schema.shapes(schema);
        for shape in &shapes {
            if shape.property(self.key).is_some() {
                self.found.push((path.clone(), shape.tag().filter(|_| shapes.len() > 1)));
            }
            for (name, inner) in &shape.properties {
                path.push(name);
                self.visit(inner, path);
                path.pop();
            }
            let each = if let Extra::Each(each) = shape.extra { Some(each) } else { None };
            for inner in shape.prefix.iter().copied().chain(shape.items).chain(each) {
                self.visit(inner, path);
            }
        }
        self.trail.pop();
    }
}
