//! What must not be in a record: wall time, host, versions. The only place of this room that looks
//! at the machine and its clock, and nothing of it reaches a result.

use std::time::Instant;

use serde_json::{Value, json};

use super::plan::BUILD_ID;

/// The present moment, for durations in provenance.
#[expect(clippy::disallowed_methods, reason = "provenance is where wall time belongs")]
pub fn now() -> Instant {
    Instant::now()
}

/// Seconds since `start`.
#[expect(clippy::disallowed_methods, reason = "provenance is where wall time belongs")]
pub fn seconds_since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64()
}

/// `YYYY-MM-DD` and `HH-MM-SS`, UTC, for the name of a run folder.
#[expect(clippy::disallowed_methods, reason = "provenance is where wall time belongs")]
pub fn stamp() -> (String, String) {
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    let (y, m, d) = civil(seconds / 86_400);
    let s = seconds % 86_400;
    (format!("{y:04}-{m:02}-{d:02}"), format!("{:02}-{:02}-{:02}", s / 3600, s / 60 % 60, s % 60))
}

/// Year, month and day of a day number since 1970-01-01 (Gregorian calendar, by 400-year cycles).
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468; // days since 0000-03-01
    let cycle = z / 146_097;
    let day = z % 146_097;
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + cycle * 400 + carry, month, date)
}

/// Machine class within which records are byte-equal.
pub fn machine_class() -> String {
    let mut features = Vec::new();
    #[cfg(target_arch = "x86_64")]
    for (name, there) in [
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("fma", std::arch::is_x86_feature_detected!("fma")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
    ] {
        if there {
            features.push(name);
        }
    }
    format!("{}-{}-{}", std::env::consts::ARCH, std::env::consts::OS, features.join("+"))
}

/// Version, build and machine, for `provenance.jsonl`.
pub fn header() -> Value {
    json!({
        "retort": env!("CARGO_PKG_VERSION"),
        "build": BUILD_ID,
        "machine": machine_class(),
        "threads": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        "cuda": cfg!(feature = "cuda"),
    })
}

#[cfg(test)]
mod tests {
    use super::civil;

    #[test]
    fn day_numbers_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_782), (2026, 11, 25));
    }
}
