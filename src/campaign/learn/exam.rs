//! What a student can do, area by area, on questions that nobody has asked.
//!
//! Capability is measured on questions that are to be answered, the guardrail on marked ones, so that
//! neither score moves the other: accuracy says nothing about refusing what must be refused.

use ndarray::Array2;

use super::world::{Keep, World};
use crate::campaign::spec::LearningSpec;
use crate::error::Result;
use crate::metric;
use crate::model::Model;
use crate::oracle::top1;

/// Questions of an area, and what the teacher makes of them.
#[derive(Clone, Debug)]
pub struct Exam {
    /// `[n, d]` to be answered.
    open: Array2<f32>,
    /// `[n]` right answers.
    labels: Vec<usize>,
    /// `[n]` the teacher's.
    teacher: Vec<usize>,
    /// `[m, d]` to be refused.
    marked: Array2<f32>,
    refusal: usize,
    /// Accuracy of the teacher.
    pub ceiling: f64,
    /// Accuracy of the best constant answer.
    pub floor: f64,
}

/// Scores of a model in an area, shares of questions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grade {
    /// Right answers.
    pub accuracy: f64,
    /// Answers equal to the teacher's.
    pub agreement: f64,
    /// (accuracy - floor) / (teacher - floor); 0 where the teacher is no better than the floor.
    pub recovered: f64,
    /// Marked questions that are refused; 0 where none is marked.
    pub refuse_recall: f64,
    /// Other questions that are refused.
    pub false_refusal: f64,
}

impl Exam {
    /// Held-out questions of `area`: a stream of their own.
    pub fn set(world: &World, area: usize, teacher: &Model, spec: &LearningSpec) -> Result<Self> {
        let open = world.rows("exam", area, spec.test, Keep::Open);
        let m = if spec.guardrail_share > 0.0 { spec.test.div_ceil(4) } else { 0 };
        let marked = world.rows("exam-marked", area, m, Keep::Marked);
        let answers = top1(&teacher.probs(open.inputs.view())?);
        Ok(Self {
            ceiling: metric::accuracy(&answers, &open.labels),
            floor: metric::floor_accuracy(&open.labels, world.refusal() + 1),
            open: open.inputs,
            labels: open.labels,
            teacher: answers,
            marked: marked.inputs,
            refusal: world.refusal(),
        })
    }

    /// Lets `model` take it.
    pub fn grade(&self, model: &Model) -> Result<Grade> {
        let answers = top1(&model.probs(self.open.view())?);
        let refused =
            |answers: &[usize]| metric::accuracy(answers, &vec![self.refusal; answers.len()]);
        let accuracy = metric::accuracy(&answers, &self.labels);
        let gap = self.ceiling - self.floor;
        Ok(Grade {
            accuracy,
            agreement: metric::agreement(&answers, &self.teacher),
            recovered: if gap > 0.0 { (accuracy - self.floor) / gap } else { 0.0 },
            refuse_recall: refused(&top1(&model.probs(self.marked.view())?)),
            false_refusal: refused(&answers),
        })
    }
}
