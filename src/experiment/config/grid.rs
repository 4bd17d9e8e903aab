//! Grids: overrides with several values, and the `[sweep]` table, multiplied out in the order given.

use super::overrides::refuse;
use super::value::{split_once_top, split_top};
use crate::error::{Error, Result};

/// Most combinations that one grid may have.
const MOST: usize = 1_000_000;

/// True if an override has several values: `a=1,2`, `a=choice(x,y)`, `a=range(0,5)`.
pub fn is_sweep(text: &str) -> bool {
    split_once_top(text, '=').is_some_and(|(_, value)| {
        split_top(value, ',').len() > 1
            || ["choice", "range"].iter().any(|f| call(value, f).is_some())
    })
}

/// Every combination of the values, the last override varying fastest. One value each: one row.
///
/// `range(start, stop, step)` leaves out `stop`, as in Hydra; `range(stop)` starts at 0. Commas in
/// quotes and brackets do not split.
pub fn expand(overrides: &[String]) -> Result<Vec<Vec<String>>> {
    let axes: Vec<Vec<String>> = overrides.iter().map(|text| axis(text)).collect::<Result<_>>()?;
    cross(&axes)
}

/// Every combination of the values of a `[sweep]`, the last key varying fastest.
pub fn product(axes: &[(String, Vec<toml::Value>)]) -> Result<Vec<Vec<(String, toml::Value)>>> {
    let axes: Vec<Vec<(String, toml::Value)>> = axes
        .iter()
        .map(|(key, values)| values.iter().map(|v| (key.clone(), v.clone())).collect())
        .collect();
    cross(&axes)
}

fn cross<T: Clone>(axes: &[Vec<T>]) -> Result<Vec<Vec<T>>> {
    let count = axes.iter().try_fold(1_usize, |n, axis| n.checked_mul(axis.len()));
    if count.is_none_or(|n| n > MOST) {
        return Err(Error::input("grid", "too many combinations", format!("at most {MOST}")));
    }
    let mut rows = vec![Vec::new()];
    for axis in axes {
        let longer = |row: &Vec<T>| {
            let row = row.clone();
            axis.iter().map(move |v| [row.as_slice(), std::slice::from_ref(v)].concat())
        };
        rows = rows.iter().flat_map(longer).collect();
    }
    Ok(rows)
}

/// One override as overrides of one value each.
fn axis(text: &str) -> Result<Vec<String>> {
    let Some((key, value)) = split_once_top(text, '=').filter(|_| is_sweep(text)) else {
        return Ok(vec![text.to_string()]);
    };
    let name = key.trim_start_matches(['+', '~']).trim();
    let mut values = Vec::new();
    for part in split_top(value, ',').into_iter().map(str::trim) {
        if let Some(inside) = call(part, "choice") {
            values.extend(split_top(inside, ',').into_iter().map(|v| v.trim().to_string()));
        } else if let Some(inside) = call(part, "range") {
            let expected = "`range(start, stop, step)` of numbers with at least one value";
            values.extend(
                range(inside).ok_or_else(|| refuse(text, name, &format!("`{part}`"), expected))?,
            );
        } else {
            values.push(part.to_string());
        }
    }
    if values.iter().any(String::is_empty) {
        return Err(refuse(text, name, "an empty value", "a value between the commas"));
    }
    Ok(values.into_iter().map(|v| format!("{key}={v}")).collect())
}

/// The arguments of `name(...)`.
fn call<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.trim().strip_prefix(name)?.trim_start().strip_prefix('(')?.strip_suffix(')')
}

/// The values of a range. Integers stay integers; a step below 0 counts down.
fn range(inside: &str) -> Option<Vec<String>> {
    let parts: Vec<&str> = inside.split(',').map(str::trim).collect();
    let (start, stop, step) = match parts.as_slice() {
        [stop] => ("0", *stop, "1"),
        [start, stop] => (*start, *stop, "1"),
        [start, stop, step] => (*start, *stop, *step),
        _ => return None,
    };
    let values = match (start.parse::<i64>(), stop.parse::<i64>(), step.parse::<i64>()) {
        (Ok(start), Ok(stop), Ok(step)) => integers(start, stop, step)?,
        _ => floats(start.parse().ok()?, stop.parse().ok()?, step.parse().ok()?)?,
    };
    (!values.is_empty()).then_some(values)
}

fn integers(start: i64, stop: i64, step: i64) -> Option<Vec<String>> {
    let inside = |x: &i64| if step > 0 { *x < stop } else { *x > stop };
    let next = |x: &i64| x.checked_add(step).filter(|_| step != 0);
    let values = std::iter::successors(Some(start), next).take_while(inside).take(MOST + 1);
    let values: Vec<String> = values.map(|x| x.to_string()).collect();
    (step != 0 && values.len() <= MOST).then_some(values)
}

/// Values are `start + i * step`, so that errors do not add up; `stop` itself is out.
fn floats(start: f64, stop: f64, step: f64) -> Option<Vec<String>> {
    let count = ((stop - start) / step - 1e-9).ceil();
    if !count.is_finite() || count > MOST as f64 {
        return None;
    }
    let value = |i: u64| format!("{:?}", ((start + i as f64 * step) * 1e12).round() / 1e12);
    Some((0..count.max(0.0) as u64).map(value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(overrides: &[&str], expected: &[&str]) {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        let rows: Vec<String> = match expand(&overrides) {
            Ok(rows) => rows.iter().map(|row| row.join(" ")).collect(),
            Err(e) => vec![e.to_string()],
        };
        assert_eq!(rows, expected, "{overrides:?}");
    }

    #[test]
    fn grids_multiply_in_the_order_given() {
        check(&[], &[""]);
        check(&["a=1"], &["a=1"]);
        check(&["a=1,2", "b=x,y"], &["a=1 b=x", "a=1 b=y", "a=2 b=x", "a=2 b=y"]);
        check(&["~a", "+b=1,2"], &["~a +b=1", "~a +b=2"]);
        check(&["a=choice(x, y)"], &["a=x", "a=y"]);
    }

    #[test]
    fn quotes_and_brackets_do_not_split() {
        check(&["a='x,y'"], &["a='x,y'"]);
        check(&["a=[1,2]"], &["a=[1,2]"]);
        check(&["a=[1,2],[3]"], &["a=[1,2]", "a=[3]"]);
        check(&["a={k=1,l=2},{k=3}"], &["a={k=1,l=2}", "a={k=3}"]);
    }

    #[test]
    fn ranges_leave_out_their_end() {
        check(&["s=range(0,3)"], &["s=0", "s=1", "s=2"]);
        check(&["s=range(2)"], &["s=0", "s=1"]);
        check(&["s=range(4,0,-2)"], &["s=4", "s=2"]);
        check(&["s=range(0,0.3,0.1)"], &["s=0.0", "s=0.1", "s=0.2"]);
        check(&["s=range(0,2),9"], &["s=0", "s=1", "s=9"]);
    }

    #[test]
    fn broken_grids_say_what_is_wrong() {
        let expected = "expected `range(start, stop, step)` of numbers with at least one value";
        for part in ["range(3,0)", "range(0,5,0)", "range(a,b)", "range()"] {
            let line = format!("command line: s: found `{part}` in `s={part}`, {expected}");
            check(&[&format!("s={part}")], &[&line]);
        }
        check(
            &["a=1,,2"],
            &[
                "command line: a: found an empty value in `a=1,,2`, expected a value between the commas",
            ],
        );
        let long = "a=range(0,2000)";
        check(&[long, long], &["grid: found too many combinations, expected at most 1000000"]);
    }

    #[test]
    fn a_sweep_table_multiplies_too() {
        let axes = [("a".to_string(), vec![1.into(), 2.into()]), ("b.c".into(), vec![true.into()])];
        let rows = product(&axes).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1], [("a".to_string(), 2.into()), ("b.c".to_string(), true.into())]);
    }

    #[test]
    fn only_values_can_be_swept() {
        for text in ["a=1,2", "a=choice(x)", "+a=range(0,2)"] {
            assert!(is_sweep(text), "{text}");
        }
        for text in ["a=1", "~a", "a='1,2'", "a=[1,2]", "student[x,y].a=1"] {
            assert!(!is_sweep(text), "{text}");
        }
    }
}
