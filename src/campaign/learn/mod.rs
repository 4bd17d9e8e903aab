//! What an actor's student can do with what has leaked by a day.
//!
//! A campaign says how many exchanges of each capability area were new, answered and true by a day. Here
//! the declared student's compute says how many of these it has processed ([`compute`]), one in
//! `exchanges-per-example` becomes an example, and a small student learns from exactly that many
//! ([`student`]) and is examined area by area ([`exam`]). The campaign never depends on this: a run and its
//! learning can be kept apart.
//!
//! Everything of a replicate is shared by its arms: rules, teacher, examinations, the order of every
//! actor's questions, and the student's fresh weights. So an arm that leaks less trains the same student
//! on fewer of the same examples.

pub mod compute;
pub mod exam;
pub mod rule;
pub mod student;
pub mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::spec::Scenario;
use crate::error::{Result, expect_shape};
use crate::model::Model;
use crate::seed::Seed;
use exam::{Exam, Grade};
use student::Notes;
use world::World;

/// What an actor held at the end of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leak {
    /// Days since the start of the scenario.
    pub day: u32,
    /// New, answered, unperturbed exchanges of each area so far, in the order of `learning.area`.
    pub areas: Vec<u64>,
    /// Tokens of these exchanges, in and out.
    pub tokens: u64,
}

/// What its student could do in one area at the end of a day. All numbers are finite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learnt {
    /// Days since the start of the scenario.
    pub day: u32,
    /// Name of the area.
    pub area: String,
    /// Examples of this area that the small student learnt from.
    pub examples: u64,
    /// Exchanges of this area that the declared student has processed.
    pub processed: u64,
    /// Operations that went into the declared student so far: all areas, overhead not counted.
    pub flop: f64,
    /// Share of right answers.
    pub accuracy: f64,
    /// Share of answers equal to the teacher's.
    pub agreement: f64,
    /// (accuracy - floor) / (teacher - floor).
    pub recovered: f64,
    /// Accuracy of the teacher.
    pub teacher: f64,
    /// Accuracy of the best constant answer.
    pub floor: f64,
    /// Share of marked questions that the student refuses.
    pub refuse_recall: f64,
    /// Share of other questions that it refuses.
    pub false_refusal: f64,
}

/// The teacher and the examinations of one replicate.
pub struct School {
    scenario: Scenario,
    world: World,
    teacher: Arc<Model>,
    exams: Vec<Exam>,
    seed: Seed,
    threads: usize,
}

impl School {
    /// Trains the teacher of a replicate. The scenario is valid; results do not depend on `threads`.
    pub fn new(scenario: &Scenario, replicate: u32, threads: usize) -> Result<Self> {
        let root = Seed::new(scenario.scenario.seed).child("learning");
        let seed = root.nth("replicate", u64::from(replicate));
        let spec = &scenario.learning;
        let world = World::draw(spec, seed.child("world"));
        let teacher = world.teach(spec, threads)?;
        let exams = (0..world.areas()).map(|area| Exam::set(&world, area, &teacher, spec));
        let exams = exams.collect::<Result<_>>()?;
        Ok(Self { scenario: scenario.clone(), world, teacher, exams, seed, threads })
    }

    /// How the teacher does in its own examinations, area by area.
    pub fn teacher(&self) -> Result<Vec<Grade>> {
        self.exams.iter().map(|exam| exam.grade(&self.teacher)).collect()
    }

    /// The students of actor number `actor` at the end of each of these days, which rise: one row for
    /// each day and area. Equal examples are learnt from once.
    pub fn learn(&self, actor: usize, leaks: &[Leak]) -> Result<Vec<Learnt>> {
        for leak in leaks {
            expect_shape("areas of a leak", &[leak.areas.len()], &[self.exams.len()])?;
        }
        let processed = compute::processed(&self.scenario.actor[actor], leaks);
        let counts: Vec<Vec<usize>> = processed.iter().map(|p| self.examples(&p.areas)).collect();
        let graded = self.graded(actor, &counts)?;
        let mut rows = Vec::with_capacity(leaks.len() * self.exams.len());
        for ((leak, done), counts) in leaks.iter().zip(&processed).zip(&counts) {
            for (area, grade) in graded[counts].iter().enumerate() {
                rows.push(Learnt {
                    day: leak.day,
                    area: self.scenario.learning.area[area].name.clone(),
                    examples: counts[area] as u64,
                    processed: done.areas[area],
                    flop: done.flop,
                    accuracy: grade.accuracy,
                    agreement: grade.agreement,
                    recovered: grade.recovered,
                    teacher: self.exams[area].ceiling,
                    floor: self.exams[area].floor,
                    refuse_recall: grade.refuse_recall,
                    false_refusal: grade.false_refusal,
                });
            }
        }
        Ok(rows)
    }

    /// Whole examples behind exchanges of each area.
    fn examples(&self, exchanges: &[u64]) -> Vec<usize> {
        let each = self.scenario.learning.exchanges_per_example;
        exchanges.iter().map(|&n| (n as f64 / each) as usize).collect()
    }

    /// Grades by area of one student for each different set of counts.
    fn graded(
        &self,
        actor: usize,
        counts: &[Vec<usize>],
    ) -> Result<BTreeMap<Vec<usize>, Vec<Grade>>> {
        let most = |area: usize| counts.iter().map(|c| c[area]).max().unwrap_or(0);
        let most: Vec<usize> = (0..self.exams.len()).map(most).collect();
        let name = &self.scenario.actor[actor].name;
        let notes = student::ask(&self.world, &self.teacher, name, &most)?;
        let mut sets = counts.to_vec();
        sets.sort_unstable();
        sets.dedup();
        let each = sets.len().div_ceil(self.threads.max(1)).max(1);
        let train = |sets: &[Vec<usize>]| -> Result<Vec<Vec<Grade>>> {
            sets.iter().map(|counts| self.student(&notes, counts)).collect()
        };
        let parts = std::thread::scope(|scope| {
            let train = &train;
            let threads: Vec<_> =
                sets.chunks(each).map(|piece| scope.spawn(move || train(piece))).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, Result<Vec<Vec<Grade>>>>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            threads.into_iter().map(join).collect::<Result<Vec<_>>>()
        })?;
        Ok(sets.into_iter().zip(parts.into_iter().flatten()).collect())
    }

    /// Trains and examines one student.
    fn student(&self, notes: &[Notes], counts: &[usize]) -> Result<Vec<Grade>> {
        let seed = self.seed.child("student");
        let model = student::train(&self.world, &self.scenario.learning, notes, counts, seed)?;
        self.exams.iter().map(|exam| exam.grade(&model)).collect()
    }
}

#[cfg(test)]
mod tests;
