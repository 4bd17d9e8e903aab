//! Numbers as text: short, with their interval or bound, and never a zero that is not known.

use super::summary::difference::Paired;
use super::summary::measure::Unit;
use super::summary::spread::Spread;
use crate::report::table::fixed;

/// A number over replicates; without `ends` its median alone.
pub(super) fn spread(s: &Spread, unit: Unit, ends: bool) -> String {
    let text = |v: f64| number(v, unit);
    if let Some(bound) = s.bound {
        let sign = if bound.above { ">" } else { "<" };
        return format!("{sign}{} (0 of {})", text_of(bound.at, unit), short(bound.units));
    }
    match (s.median, s.ends) {
        (None, _) => "-".into(),
        (Some(m), Some((low, high))) if ends && m.is_finite() && text(low) != text(high) => {
            format!("{} [{}, {}]", text(m), text(low), text(high))
        }
        (Some(m), _) => text(m),
    }
}

/// A bound has two digits, however close to one it is.
fn text_of(v: f64, unit: Unit) -> String {
    match unit {
        Unit::Share if v > 0.5 && v < 1.0 => {
            let rest = 100.0 * (1.0 - v);
            let digits = (1.0 - libm::floor(libm::log10(rest))).clamp(0.0, 9.0) as usize;
            format!("{:.digits$}", 100.0 - rest)
        }
        _ => number(v, unit),
    }
}

/// A difference of shares, in points.
pub(super) fn points(d: &Paired) -> String {
    let text = |v: f64| fixed(100.0 * v, 1);
    match (d.mean, d.ends) {
        (None, _) => "-".into(),
        (Some(m), Some((low, high))) => format!("{} [{}, {}]", text(m), text(low), text(high)),
        (Some(m), None) => text(m),
    }
}

/// One number in its unit; a share in percent.
pub(super) fn number(v: f64, unit: Unit) -> String {
    if v.is_infinite() {
        return match unit {
            Unit::Hours => "no alarm",
            Unit::Usd => "not identified",
            _ => "not reached",
        }
        .into();
    }
    match unit {
        Unit::Share => short(100.0 * v),
        Unit::Times => fixed(v, 2),
        _ => short(v),
    }
}

/// `0.012`, `3.46`, `88.1`, `950`, `12.3k`, `13.0M`, `1.2e21`; whole numbers without decimals.
pub(super) fn short(v: f64) -> String {
    let size = v.abs();
    match size {
        0.0 => "0".into(),
        s if !(1e-4..1e12).contains(&s) => format!("{v:.1e}"),
        s if s >= 999_950.0 * 1e3 => format!("{}B", three(v / 1e9)),
        s if s >= 999_950.0 => format!("{}M", three(v / 1e6)),
        s if s >= 9_999.5 => format!("{}k", three(v / 1e3)),
        s if s.fract() == 0.0 || s >= 999.5 => fixed(v, 0),
        s if s < 0.995 => {
            let digits = (1.0 - libm::floor(libm::log10(s))).clamp(0.0, 9.0) as usize;
            fixed(v, digits)
        }
        _ => three(v),
    }
}

/// Three digits.
fn three(v: f64) -> String {
    match v.abs() {
        s if s >= 99.95 => fixed(v, 0),
        s if s >= 9.995 => fixed(v, 1),
        _ => fixed(v, 2),
    }
}

#[cfg(test)]
mod tests {
    use super::super::summary::spread::Value;
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_their_digits() {
        let texts = [0.0, 0.0123, 0.5, 3.456, 88.08, 12.0, 950.4, 12_345.0, 13e6, 2.5e9, 1.23e21];
        let expected = [
            "0", "0.012", "0.50", "3.46", "88.1", "12", "950", "12.3k", "13.0M", "2.50B", "1.2e21",
        ];
        assert_eq!(texts.map(short), expected);
        assert_eq!(short(-0.25), "-0.25");
        assert_eq!(short(999_960.0), "1.00M");
        assert_eq!(short(1e-7), "1.0e-7");
    }

    #[test]
    fn what_is_not_known_is_said() {
        assert_eq!(spread(&Spread::default(), Unit::Count, true), "-");
        let never = Spread::plain([f64::INFINITY, 3.0, f64::INFINITY]);
        assert_eq!(spread(&never, Unit::Days, true), "not reached");
        assert_eq!(spread(&never, Unit::Hours, false), "no alarm");
        let none = Spread::of(Value::rate(0.0, 2_000.0, 1.0));
        assert_eq!(spread(&none, Unit::Share, true), "<0.15 (0 of 2000)");
        let all = Spread::of(Value::rest(0.0, 2_000.0));
        assert_eq!(spread(&all, Unit::Share, true), ">99.85 (0 of 2000)");
    }

    #[test]
    fn an_interval_that_rounds_to_a_point_is_left_out() {
        assert_eq!(spread(&Spread::plain([0.1, 0.2, 0.3]), Unit::Share, true), "20 [10, 30]");
        assert_eq!(spread(&Spread::plain([0.1, 0.100_001]), Unit::Times, true), "0.10");
    }
}
