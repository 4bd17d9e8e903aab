//! What a defender's marks say of a suspect: of the student, and of one who is innocent. The innocent is the student
//! of the same architecture that learned from public rows and their true labels only (the reference `public`), and
//! never met the teacher; evidence against it is a false accusation.

use std::sync::Arc;

use crate::error::Result;
use crate::gateway::Gateway;
use crate::metric::{Above, Score, canary_test, welch_above};
use crate::model::Model;
use crate::oracle::top1;

/// Who is suspected.
pub struct Suspects<'a> {
    /// What the student of a cell has learned.
    pub student: &'a Model,
    /// A student that never met the teacher, if there are public rows for one.
    pub innocent: Option<Arc<Model>>,
}

/// True for a stack that lays claim to what its students learn.
pub fn claims(gateway: &Gateway) -> bool {
    gateway.stack().marks().is_some() || gateway.stack().ownership().is_some()
}

/// What the stack's claims come to; nothing for a stack that makes none.
pub fn scores(gateway: &Gateway, suspects: &Suspects<'_>) -> Result<Vec<Score>> {
    Ok([watermark(gateway, suspects)?, ownership(gateway, suspects)?].concat())
}

/// How much of a watermark a suspect has learned: the share of planted classes that it gives on the rows that the
/// student's accounts, or everybody, met, and the chance of as many by a model that met no mark.
fn watermark(gateway: &Gateway, suspects: &Suspects<'_>) -> Result<Vec<Score>> {
    let Some(marks) = gateway.stack().marks() else { return Ok(Vec::new()) };
    let totals = gateway.ledger().totals();
    let student = totals.iter().filter(|t| !t.actor.starts_with("honest-"));
    let (inputs, planted) = marks.of(&student.map(|t| t.account).collect::<Vec<_>>());
    let found = |suspect: &Model| -> Result<(Option<f64>, Option<f64>)> {
        if planted.is_empty() {
            return Ok((None, None));
        }
        let given = top1(&suspect.probs(inputs.view())?);
        let hits = given.iter().zip(&planted).filter(|(a, b)| a == b).count();
        let test = canary_test(hits as u64, planted.len() as u64, marks.chance());
        Ok((Some(hits as f64 / planted.len() as f64), Some(test.p)))
    };
    let (share, p) = found(suspects.student)?;
    let innocent = suspects.innocent.as_deref().map(found).transpose()?;
    Ok(vec![
        Score::of("watermark_match", share),
        Score::of("watermark_p", p),
        Score::of("watermark_p_public", innocent.and_then(|(_, p)| p)),
    ])
}

/// Whether a suspect treats rows that the teacher learned from otherwise than rows that nobody has seen.
fn ownership(gateway: &Gateway, suspects: &Suspects<'_>) -> Result<Vec<Score>> {
    let Some(test) = gateway.stack().ownership() else { return Ok(Vec::new()) };
    let found = |suspect: &Model| -> Result<Option<Above>> {
        let [private, unseen] = test.confidence(&mut |rows| Ok(top1(&suspect.probs(rows)?)))?;
        Ok(welch_above(&private, &unseen))
    };
    let student = found(suspects.student)?;
    let innocent = suspects.innocent.as_deref().map(found).transpose()?.flatten();
    Ok(vec![
        Score::of("ownership_p", student.and_then(|test| test.p)),
        Score::of("ownership_effect", student.map(|test| test.effect)),
        Score::of("ownership_p_public", innocent.and_then(|test| test.p)),
    ])
}
