//! Whether a student's objective goes with what the API tells, with the student's tokens and with what else it does.

use super::VOCABULARY;
use super::objective::{Objective, WordKd};
use super::prompts::Prompts;
use super::spec::{LanguageSpec, StudentSpec, Teacher, Training};
use crate::defense::text::Hook;
use crate::error::{Error, Result};
use crate::model::language::Tell;

impl LanguageSpec {
    /// Refuses layers that cannot work with a teacher from disk: those that take part while a decoder over bytes learns
    /// or writes, and those that move bytes while log-probabilities lie at other tokens.
    pub(super) fn check_teacher(&self) -> Result<()> {
        let Teacher::Llama { .. } = &self.teacher else { return Ok(()) };
        for (i, arm) in self.defense.iter().enumerate() {
            for (j, layer) in arm.stack.iter().enumerate() {
                let expected = match (layer.hook(), layer.changes().tokens) {
                    (Hook::Train | Hook::Decode, _) => "layers that change finished answers",
                    (Hook::Reply, true) if self.api.top_logprobs > 0 => {
                        "layers that leave the text as it is, or `api.top-logprobs = 0`"
                    }
                    (Hook::Reply, _) => continue,
                };
                let found = format!("`{}` and a teacher from disk", layer.kind());
                return Err(Error::config(format!("defense[{i}].stack[{j}]"), found, expected));
            }
        }
        Ok(())
    }

    /// Refuses an objective that cannot work; keys are relative to the student.
    pub(super) fn check_objective(&self, student: &StudentSpec) -> Result<()> {
        let StudentSpec { objective, .. } = student;
        objective.check().map_err(|e| e.under("objective"))?;
        if objective.text_only() {
            return Ok(());
        }
        check_tokens(&self.teacher, student)?;
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
fn check_tokens(teacher: &Teacher, student: &StudentSpec) -> Result<()> {
    let objective = &student.objective;
    let own = student.start.as_ref().map(|start| format!("the tokens of `{}`", start.label()));
    let their = matches!(teacher, Teacher::Llama { .. });
    if !objective.needs_tokens() || !(their || own.is_some()) {
        return Ok(());
    }
    let found = format!(
        "`{}` of a student with {}, and a teacher {}",
        objective.kind(),
        own.unwrap_or_else(|| "bytes for tokens".into()),
        if their { "with tokens of its own" } else { "over bytes" }
    );
    let expected = "`uld`, which compares distributions whatever their tokens are, or `seq-kd`";
    Err(Error::config("objective", found, expected))
}
