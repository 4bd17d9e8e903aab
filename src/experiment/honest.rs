//! Honest users beside the student: they arrive on the same clock, ask through the same door, wait
//! when told to, and what it costs them is counted here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ndarray::{Array2, Axis};

use super::world::Traffic;
use crate::error::Result;
use crate::gateway::Door;
use crate::oracle::{AccountId, Answers, Batch, Denial, Outcome, Tick};

/// One honest request: who, when first, which row of the crowd's inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Number of the honest account, 0-based.
    pub account: usize,
    /// When it is first asked.
    pub at: Tick,
    /// Row of the traffic's inputs.
    pub row: usize,
}

/// Honest users and what became of their requests.
pub struct Crowd<'a> {
    traffic: &'a Traffic,
    accounts: Vec<AccountId>,
    /// (time, request), earliest first; ties by request number.
    waiting: BinaryHeap<Reverse<(Tick, usize)>>,
    /// Ask one at a time, because some layer may send a user away to come back later.
    singly: bool,
    until: Tick,
    tally: Tally,
}

#[derive(Default)]
struct Tally {
    answered: u64,
    right: u64,
    teacher_right: u64,
    refused: u64,
    waits_us: Vec<u64>,
    l1_sum: f64,
    l1_max: f64,
}

/// What honest users met.
#[derive(Clone, Debug, PartialEq)]
pub struct CrowdReport {
    /// Requests made.
    pub asked: u64,
    /// Share of answered requests whose top-1 is the true class.
    pub accuracy: Option<f64>,
    /// The same for the undefended teacher on the same requests.
    pub teacher_accuracy: Option<f64>,
    /// Mean and largest L1 distance to the undefended probabilities.
    pub l1_mean: Option<f64>,
    /// Largest L1 distance.
    pub l1_max: Option<f64>,
    /// Share of requests that were never answered.
    pub refused: Option<f64>,
    /// 95th percentile of the wait for an answer, seconds.
    pub wait_p95: Option<f64>,
}

impl<'a> Crowd<'a> {
    /// `accounts[i]` is the gateway's account of honest user i; asking ends at `until`.
    pub fn new(traffic: &'a Traffic, accounts: Vec<AccountId>, singly: bool, until: Tick) -> Self {
        let requests = traffic.requests.iter().enumerate();
        let waiting = requests.map(|(i, r)| Reverse((r.at, i))).collect();
        Self { traffic, accounts, waiting, singly, until, tally: Tally::default() }
    }

    /// Asks everything due at or before `now`.
    pub fn until(&mut self, now: Tick, door: &mut dyn Door) -> Result<()> {
        loop {
            let due = self.pop_due(now);
            if due.is_empty() {
                return Ok(());
            }
            self.ask(&due, door)?;
        }
    }

    /// Asks all the rest, up to the end of time.
    pub fn finish(&mut self, door: &mut dyn Door) -> Result<()> {
        self.until(self.until, door)?;
        self.tally.refused += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }

    fn pop_due(&mut self, now: Tick) -> Vec<(Tick, usize)> {
        let limit = if self.singly { 1 } else { 4096 };
        let mut due = Vec::new();
        while due.len() < limit && self.waiting.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            let Some(Reverse(next)) = self.waiting.pop() else { break };
            due.push(next);
        }
        due
    }

    fn ask(&mut self, due: &[(Tick, usize)], door: &mut dyn Door) -> Result<()> {
        let rows: Vec<usize> = due.iter().map(|&(_, i)| self.traffic.requests[i].row).collect();
        let mut batch =
            Batch::classify(AccountId(0), Tick::ZERO, self.traffic.inputs.select(Axis(0), &rows));
        batch.at = due.iter().map(|&(at, _)| at).collect();
        batch.account =
            due.iter().map(|&(_, i)| self.accounts[self.traffic.requests[i].account]).collect();
        let reply = door.ask(&batch)?;
        let top1 = reply.answers.top1();
        for (&(at, request), (&row, outcome)) in due.iter().zip(rows.iter().zip(&reply.outcomes)) {
            match *outcome {
                Outcome::Answered(i) => {
                    let wait = at.0 - self.traffic.requests[request].at.0;
                    self.answered(
                        row,
                        top1[i],
                        reading_l1(&reply.answers, i, &self.traffic.clean, row),
                        wait,
                    );
                }
                Outcome::Denied(Denial::Throttled { retry_at })
                    if retry_at > at && retry_at <= self.until =>
                {
                    self.waiting.push(Reverse((retry_at, request)));
                }
                Outcome::Denied(_) => self.tally.refused += 1,
            }
        }
        Ok(())
    }

    fn answered(&mut self, row: usize, top1: usize, l1: f64, wait_us: u64) {
        let tally = &mut self.tally;
        tally.answered += 1;
        tally.right += u64::from(top1 == self.traffic.truth[row]);
        let clean = crate::oracle::argmax(self.traffic.clean.row(row));
        tally.teacher_right += u64::from(clean == self.traffic.truth[row]);
        tally.waits_us.push(wait_us);
        tally.l1_sum += l1;
        tally.l1_max = tally.l1_max.max(l1);
    }

    /// What they met so far.
    pub fn report(&self) -> CrowdReport {
        let t = &self.tally;
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let asked = self.traffic.requests.len() as u64;
        CrowdReport {
            asked,
            accuracy: share(t.right, t.answered),
            teacher_accuracy: share(t.teacher_right, t.answered),
            l1_mean: (t.answered > 0).then(|| t.l1_sum / t.answered as f64),
            l1_max: (t.answered > 0).then_some(t.l1_max),
            refused: share(t.refused, asked),
            wait_p95: percentile_95(&t.waits_us).map(|us| us as f64 / 1e6),
        }
    }
}

/// The nearest-rank 95th percentile.
fn percentile_95(values: &[u64]) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * 95).div_ceil(100);
    sorted.get(rank.max(1) - 1).copied()
}

/// L1 distance of answer `i` to the undefended row: the answer is read as a distribution.
fn reading_l1(answers: &Answers, i: usize, clean: &Array2<f64>, row: usize) -> f64 {
    let read = crate::gateway::reading(answers, i, clean.ncols());
    read.iter().zip(clean.row(row)).map(|(a, b)| (a - b).abs()).sum()
}
