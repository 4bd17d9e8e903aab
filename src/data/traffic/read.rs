//! Lines of a trace to requests.

use std::path::Path;

use serde_json::Value;

use super::Recorded;
use crate::error::{Error, Result};

/// All answered requests of a file, in its order.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Recorded>> {
    match text.trim_start().starts_with('{') {
        true => json_lines(path, text),
        false => table(path, text),
    }
}

/// Columns of a CSV trace, by their names in lower case.
struct Columns {
    at: usize,
    session: Option<usize>,
    input: usize,
    output: usize,
    /// Time as a date, not as seconds.
    dated: bool,
}

impl Columns {
    fn of(path: &Path, heads: &csv::StringRecord) -> Result<Self> {
        let names: Vec<String> = heads.iter().map(|h| h.trim().to_lowercase()).collect();
        let find = |name: &str| names.iter().position(|n| n == name);
        let dated = find("contexttokens").is_some();
        let (input, output) = match dated {
            true => ("contexttokens", "generatedtokens"),
            false => ("request tokens", "response tokens"),
        };
        let need = |name: &str| {
            find(name).ok_or_else(|| {
                let expected = format!("a column `{name}`, as BurstGPT or Azure traces have");
                Error::data(path, "line 1", format!("`{}`", names.join(",")), expected)
            })
        };
        Ok(Self {
            at: need("timestamp")?,
            session: find("session id"),
            input: need(input)?,
            output: need(output)?,
            dated,
        })
    }
}

fn table(path: &Path, text: &str) -> Result<Vec<Recorded>> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let broken = |e: csv::Error| Error::data(path, "a line", e.to_string(), "comma-separated text");
    let columns = Columns::of(path, reader.headers().map_err(broken)?)?;
    let mut requests = Vec::new();
    for row in reader.records() {
        let row = row.map_err(broken)?;
        let line = row.position().map_or(0, csv::Position::line);
        let field = |at: usize, expected: &str| -> Result<&str> {
            row.get(at).map(str::trim).ok_or_else(|| {
                let found = format!("{} fields", row.len());
                Error::data(path, format!("line {line}"), found, expected)
            })
        };
        let tokens = |at: usize| -> Result<u32> {
            let text = field(at, "a number of tokens")?;
            let number = text.parse::<f64>().ok().filter(|n| (0.0..=1e9).contains(n));
            number.map(|n| n as u32).ok_or_else(|| wrong(path, line, text, "a number of tokens"))
        };
        let text = field(columns.at, "a time")?;
        let at_us = if columns.dated { date_us(text) } else { seconds_us(text) };
        let at_us = at_us.ok_or_else(|| {
            let expected =
                if columns.dated { "a date such as 2023-11-16 18:15:46.68" } else { "seconds" };
            wrong(path, line, text, expected)
        })?;
        let (input, output) = (tokens(columns.input)?, tokens(columns.output)?);
        let session =
            columns.session.and_then(|at| row.get(at)).and_then(|s| s.trim().parse().ok());
        if output > 0 {
            requests.push(Recorded { at_us, session, input: input.max(1), output });
        }
    }
    Ok(requests)
}

fn json_lines(path: &Path, text: &str) -> Result<Vec<Recorded>> {
    let mut requests = Vec::new();
    for (i, row) in text.lines().enumerate().filter(|(_, row)| !row.trim().is_empty()) {
        let line = i as u64 + 1;
        let value: Value = serde_json::from_str(row)
            .map_err(|e| wrong(path, line, &e.to_string(), "one JSON object a line"))?;
        let number = |key: &str| {
            let found = value.get(key).and_then(Value::as_f64).filter(|n| (0.0..=1e15).contains(n));
            found.ok_or_else(|| {
                let shown = value.get(key).map_or("nothing".into(), Value::to_string);
                wrong(path, line, &shown, &format!("a number as `{key}`, as Mooncake traces have"))
            })
        };
        let at_us = (number("timestamp")? * 1e3) as u64;
        let (input, output) = (number("input_length")? as u32, number("output_length")? as u32);
        if output > 0 {
            requests.push(Recorded { at_us, session: None, input: input.max(1), output });
        }
    }
    Ok(requests)
}

fn wrong(path: &Path, line: u64, found: &str, expected: &str) -> Error {
    Error::data(path, format!("line {line}"), format!("`{found}`"), expected)
}

fn seconds_us(text: &str) -> Option<u64> {
    text.parse::<f64>().ok().filter(|s| (0.0..=1e10).contains(s)).map(|s| (s * 1e6) as u64)
}

/// Microseconds since the year 0 of `YYYY-MM-DD hh:mm:ss[.f]`, a zone ignored.
fn date_us(text: &str) -> Option<u64> {
    let (date, time) = text.split_once([' ', 'T'])?;
    let mut date = date.split('-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    if !(1..=9_999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let time = time.trim_end_matches('Z').split('+').next()?;
    let mut time = time.splitn(3, ':');
    let (hour, minute) = (time.next()?.parse::<u64>().ok()?, time.next()?.parse::<u64>().ok()?);
    let second = time.next()?.parse::<f64>().ok()?;
    if hour > 23 || minute > 59 || !(0.0..61.0).contains(&second) {
        return None;
    }
    // Days of the Gregorian calendar, years from March on.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    Some(((days * 24 + hour) * 60 + minute) * 60_000_000 + (second * 1e6).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Recorded>> {
        parse(Path::new("trace"), text)
    }

    fn recorded(at_us: u64, session: Option<u64>, input: u32, output: u32) -> Recorded {
        Recorded { at_us, session, input, output }
    }

    #[test]
    fn burstgpt_is_read_with_and_without_sessions_and_failures_are_left_out() {
        let text = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
                    5,ChatGPT,472,18,490,Conversation log\n\
                    45.5,GPT-4,1087,0,1087,API log\n\
                    118,ChatGPT,417,276,693,API log\n";
        let expected = [recorded(5_000_000, None, 472, 18), recorded(118_000_000, None, 417, 276)];
        assert_eq!(read(text).unwrap(), expected);
        let text = "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
                    1,7,2.5,GPT-4,10,20,30,API log\n";
        assert_eq!(read(text).unwrap(), [recorded(1_000_000, Some(7), 10, 20)]);
    }

    #[test]
    fn azure_dates_are_a_clock() {
        let text = "TIMESTAMP,ContextTokens,GeneratedTokens\n\
                    2023-11-16 18:15:46.6805900,374,44\n\
                    2023-11-17 18:15:47.6805900,396,109\n";
        let rows = read(text).unwrap();
        assert_eq!(rows[1].at_us - rows[0].at_us, 86_401_000_000);
        assert_eq!((rows[0].input, rows[0].output), (374, 44));
        let leap =
            date_us("2024-03-01 00:00:00").unwrap() - date_us("2024-02-28 00:00:00").unwrap();
        assert_eq!(leap, 2 * 86_400_000_000);
    }

    #[test]
    fn mooncake_lines_are_objects() {
        let text = "{\"timestamp\": 0, \"input_length\": 6755, \"output_length\": 500, \"hash_ids\": [0, 1]}\n\
                    {\"timestamp\": 3000, \"input_length\": 7319, \"output_length\": 490, \"hash_ids\": []}\n";
        let expected = [recorded(0, None, 6755, 500), recorded(3_000_000, None, 7319, 490)];
        assert_eq!(read(text).unwrap(), expected);
    }

    #[test]
    fn a_slip_is_told_with_its_line() {
        let azure = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
        for (text, words) in [
            ("a,b\n1,2\n".to_string(), ["line 1", "`timestamp`"]),
            (format!("{azure}16.11.2023,1,2\n"), ["line 2", "a date"]),
            (format!("{azure}2023-11-16 18:15:46,-1,2\n"), ["line 2", "tokens"]),
            (format!("{azure}2023-11-16 18:15:46,1\n"), ["line 2", "fields"]),
            ("{\"timestamp\": 1}\n".to_string(), ["line 1", "input_length"]),
            ("{\"timestamp\": 1,\n".to_string(), ["line 1", "JSON"]),
        ] {
            let said = read(&text).unwrap_err().to_string();
            assert!(words.iter().all(|w| said.contains(w)), "{said}");
        }
    }
}
