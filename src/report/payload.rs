//! The data that a page carries: each record once, its scores as one list, so that a run of a thousand
//! cells stays below a megabyte. The page's script unfolds it to the tidy table.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::records::{better, config_keys, sorted};
use crate::error::{Error, Result};
use crate::experiment::record::Record;

/// JSON for a script element: no `<` in it.
///
/// `metrics` lists [name, unit, better]; a record is [cell, role, arm, student, budget, seed, scores,
/// config], its scores in the order of `metrics`, its config in that of `config`; `same` holds config
/// leaves that all records share.
pub(super) fn json(records: &[Record]) -> Result<String> {
    let metrics: BTreeSet<(&str, &str, &str)> = records
        .iter()
        .flat_map(|r| &r.scores)
        .map(|s| (s.metric.as_str(), s.unit.as_str(), better(s.better)))
        .collect();
    let constant =
        |k: &&str| records.windows(2).all(|w| w[0].config.get(*k) == w[1].config.get(*k));
    let (same, varying): (Vec<&str>, Vec<&str>) =
        config_keys(records).into_iter().partition(constant);
    let same: Vec<Value> = same.iter().map(|k| json!([k, records[0].config.get(*k)])).collect();
    let rows: Vec<Value> = sorted(records)
        .into_iter()
        .map(|r| {
            let score = |m: &(&str, &str, &str)| {
                let is = |s: &&crate::metric::Score| s.metric == m.0 && s.unit == m.1;
                r.scores.iter().find(is).map_or(json!(0), |s| json!([s.value]))
            };
            let scores: Vec<Value> = metrics.iter().map(score).collect();
            let config: Vec<Option<&Value>> = varying.iter().map(|k| r.config.get(*k)).collect();
            json!([r.cell, r.role.name(), r.arm, r.student, r.budget, r.seed, scores, config])
        })
        .collect();
    let all = json!({ "metrics": metrics, "same": same, "config": varying, "records": rows });
    let text = serde_json::to_string(&all).map_err(|e| Error::Internal(e.to_string()))?;
    Ok(text.replace('<', "\\u003c"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic::records;

    #[test]
    fn every_score_is_there_once_and_reads_back_equal() {
        let given = records(2, 2);
        let read: Value = serde_json::from_str(&json(&given).unwrap()).unwrap();
        let metrics: Vec<&str> =
            read["metrics"].as_array().unwrap().iter().map(|m| m[0].as_str().unwrap()).collect();
        for (row, record) in read["records"].as_array().unwrap().iter().zip(sorted(&given)) {
            assert_eq!(row[0], record.cell.as_str());
            for (metric, score) in metrics.iter().zip(row[6].as_array().unwrap()) {
                assert_eq!(score[0].as_f64(), record.get(metric));
            }
        }
    }

    #[test]
    fn config_leaves_that_all_records_share_are_written_once() {
        let text = json(&records(2, 2)).unwrap();
        assert_eq!(text.matches("digits").count(), 1);
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["config"], json!(["budget.queries"]));
    }
}
