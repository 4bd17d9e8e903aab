//! Dotted paths such as `defense[1].stack[0].digits` or `student[random-soft].model.kind`.

use std::fmt;

use super::value::split_top;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seg {
    /// A key of a table.
    Key(String),
    /// An entry of a list, from 0.
    Index(usize),
    /// The entry of a list of tables whose `name` is this.
    Name(String),
}

/// Steps from the top of the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(pub Vec<Seg>);

impl Path {
    /// Reads a path; `None` if a key is empty or a bracket is not closed.
    pub fn parse(text: &str) -> Option<Self> {
        let mut segs = Vec::new();
        for part in split_top(text, '.') {
            push_part(part.trim(), &mut segs)?;
        }
        Some(Self(segs))
    }

    /// This path and one more key.
    pub fn child(&self, key: &str) -> Self {
        self.join(Seg::Key(key.to_string()))
    }

    /// This path and one more step.
    pub fn join(&self, seg: Seg) -> Self {
        let mut segs = self.0.clone();
        segs.push(seg);
        Self(segs)
    }

    /// The keys alone: `defense.stack` for `defense[0].stack[2]`.
    pub fn keys<'a>(&'a self) -> Vec<&'a str> {
        let key = |s: &'a Seg| if let Seg::Key(k) = s { Some(k.as_str()) } else { None };
        self.0.iter().filter_map(key).collect()
    }
}

/// Reads `name`, `"quoted name"`, and any `[0]` or `[name]` after it.
fn push_part(part: &str, segs: &mut Vec<Seg>) -> Option<()> {
    let (key, mut rest) = match part.chars().next()? {
        quote @ ('"' | '\'') => part[1..].split_once(quote)?,
        _ => part.split_at(part.find('[').unwrap_or(part.len())),
    };
    if key.is_empty() {
        return None;
    }
    segs.push(Seg::Key(key.to_string()));
    while !rest.is_empty() {
        let (inside, after) = rest.strip_prefix('[')?.split_once(']')?;
        let inside = inside.trim().trim_matches(['"', '\'']);
        segs.push(match inside.parse() {
            Ok(index) => Seg::Index(index),
            Err(_) if inside.is_empty() => return None,
            Err(_) => Seg::Name(inside.to_string()),
        });
        rest = after;
    }
    Some(())
}

/// True if TOML lets a key stand without quotes.
fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, seg) in self.0.iter().enumerate() {
            match seg {
                Seg::Index(index) => write!(f, "[{index}]")?,
                Seg::Name(name) => write!(f, "[{name}]")?,
                Seg::Key(key) => {
                    let dot = if i > 0 { "." } else { "" };
                    let quote = if is_bare(key) { "" } else { "\"" };
                    write!(f, "{dot}{quote}{key}{quote}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_prints_as_it_was_read() {
        for text in
            ["a", "a.b", "defense[1].stack[0].digits", "student[random-soft].model", "s.\"a.b\".c"]
        {
            assert_eq!(Path::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_broken_path_is_none() {
        for text in ["", "a..b", ".a", "a[0", "a[]", "[0]", "a[0]b"] {
            assert_eq!(Path::parse(text), None, "{text}");
        }
    }

    #[test]
    fn keys_leave_out_list_positions() {
        assert_eq!(Path::parse("a[0].b[x].c").unwrap().keys(), ["a", "b", "c"]);
    }
}
