//! Whether a student's objective goes with what the API tells, with the student's tokens and with what else it does.

use super::VOCABULARY;
use super::objective::{Objective, WordKd};
use super::prompts::Prompts;
use super::spec::{LanguageSpec, StudentSpec, Training};
use crate::error::{Error, Result};
use crate::model::language::Tell;

impl LanguageSpec {
    /// Refuses an objective that cannot work; keys are relative to the student.
    pub(super) fn check_objective(&self, student: &StudentSpec) -> Result<()> {
        let StudentSpec { objective, .. } = student;
        objective.check().map_err(|e| e.under("objective"))?;
        if objective.text_only() {
            return Ok(());
        }
        check_tokens(student)?;
        let told = self.api.top_logprobs;
        let needed = match objective {
            Objective::Minillm(_) => VOCABULARY,
            Objective::WordKd(WordKd { keep: Tell::Sampled { .. }, .. }) => VOCABULARY,
            _ => 1,
        };
        if told < needed {
            let expected = format!("{needed} or more, for this objective of a student");
            return Err(Error::config("objective", format!("api.top-logprobs = {told}"), expected));
        }
        if student.knows.worked > 0 {
            let found = format!("worked = {}", student.knows.worked);
            let expected =
                "`seq-kd`, which alone can learn from examples without log-probabilities";
            return Err(Error::config("objective", found, expected));
        }
        if objective.on_policy() { self.check_own_texts(student) } else { Ok(()) }
    }

    /// Of an objective that has the teacher score what the student writes.
    fn check_own_texts(&self, student: &StudentSpec) -> Result<()> {
        if let Some(arm) = self.arms().iter().find(|arm| !arm.stack.is_empty()) {
            let found = format!("an objective on own texts, and arm `{}`", arm.name);
            let expected = "no arms: defenses answer prompts, and do not score texts";
            return Err(Error::config("objective", found, expected));
        }
        if student.votes > 1 || matches!(student.prompts, Prompts::Uncertainty { .. }) {
            let expected = "one answer a prompt, and prompts that are not chosen in rounds";
            return Err(Error::config("objective", "an objective on own texts", expected));
        }
        let Training { steps, batch, validation, .. } = self.training;
        let least = self.budget.queries.iter().min().copied().unwrap_or(0);
        let learnt = ((1.0 - validation) * least as f64) as usize;
        if steps * batch > learnt {
            let found = format!("{steps} steps of {batch} texts");
            let expected = format!(
                "at most {learnt} texts, what the smallest budget leaves beside validation: each is asked once"
            );
            return Err(Error::config("objective", found, expected));
        }
        Ok(())
    }
}

/// What a teacher tells of its tokens means nothing to a student with others, unless it is compared without them.
fn check_tokens(student: &StudentSpec) -> Result<()> {
    match &student.start {
        Some(start) if student.objective.needs_tokens() => {
            let found = format!(
                "`{}` of a student with the tokens of `{}`, and a teacher over bytes",
                student.objective.kind(),
                start.label()
            );
            let expected =
                "`uld`, which compares distributions whatever their tokens are, or `seq-kd`";
            Err(Error::config("objective", found, expected))
        }
        _ => Ok(()),
    }
}
