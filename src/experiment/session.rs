//! The loop that asks: it moves virtual time, waits out rate limits, and interleaves honest users
//! with the student on one clock. The student and the door never meet except through here.

use std::collections::BTreeMap;

use ndarray::{Array2, Axis};

use super::honest::{Crowd, CrowdReport};
use super::record::Stop;
use crate::error::Result;
use crate::gateway::{Door, reading};
use crate::oracle::{AccountId, Answers, Batch, Denial, Outcome, Reply, Tick};
use crate::student::{Ask, Student, View};

/// What bounds a session.
pub struct Terms {
    /// Accounts of the student; rows go to them in turn.
    pub accounts: Vec<AccountId>,
    /// Answered rows that the budget pays for.
    pub queries: u64,
    /// Attempts, answered or not.
    pub attempts: u64,
    /// Asking ends here.
    pub until: Option<Tick>,
}

/// How a session went.
pub struct Session {
    /// Why asking ended.
    pub stop: Stop,
    /// Rows answered, repeats included.
    pub answered: u64,
    /// When the last answer came.
    pub last_answer: Tick,
    /// Mean entropy of the answers, read as distributions, in bits; none without any.
    pub entropy: Option<f64>,
    /// What honest users met.
    pub crowd: CrowdReport,
}

struct Clock<'a> {
    door: &'a mut dyn Door,
    terms: &'a Terms,
    now: Tick,
    turn: usize,
    answered: u64,
    attempted: u64,
    last_answer: Tick,
    /// Sum over answers, in bits.
    entropy: f64,
    ended: Option<Stop>,
}

/// Lets `student` ask through `door` until something ends it, with the honest `crowd` around it.
pub fn hold(
    door: &mut dyn Door,
    student: &mut dyn Student,
    view: &mut View<'_>,
    terms: &Terms,
    crowd: &mut Crowd<'_>,
) -> Result<Session> {
    let mut clock = Clock {
        door,
        terms,
        now: Tick::ZERO,
        turn: 0,
        answered: 0,
        attempted: 0,
        last_answer: Tick::ZERO,
        entropy: 0.0,
        ended: None,
    };
    let stop = loop {
        view.left = terms.queries - clock.answered;
        if view.left == 0 {
            break Stop::BudgetSpent;
        }
        match student.next(view)? {
            Ask::Done => break Stop::StudentDone,
            Ask::Batch(rows) if rows.nrows() == 0 => break Stop::StudentDone,
            Ask::Batch(rows) => {
                let reply = clock.ask(&rows, crowd)?;
                clock.entropy += entropy_sum(&reply.answers, view.classes);
                student.tell(&rows, &reply)?;
            }
        }
        if let Some(stop) = clock.ended {
            break stop;
        }
    };
    crowd.finish(clock.door)?;
    Ok(Session {
        stop,
        answered: clock.answered,
        last_answer: clock.last_answer,
        entropy: (clock.answered > 0).then(|| clock.entropy / clock.answered as f64),
        crowd: crowd.report(),
    })
}

/// Entropies of all answers together, in bits.
fn entropy_sum(answers: &Answers, classes: usize) -> f64 {
    let bits = |p: f64| if p > 0.0 { -p * libm::log2(p) } else { 0.0 };
    let of_row = |i| reading(answers, i, classes).iter().map(|&p| bits(p)).sum::<f64>();
    (0..answers.len()).map(of_row).sum()
}

impl Clock<'_> {
    /// Asks every row, waiting where a limit says so, and returns one reply in the order of `rows`.
    fn ask(&mut self, rows: &Array2<f32>, crowd: &mut Crowd<'_>) -> Result<Reply> {
        let mut gathered = Gathered::new(rows.nrows());
        let mut queues = self.deal(rows.nrows());
        let (mut first, mut blocked) = (true, 0);
        while self.ended.is_none() {
            let ready = due_rows(&mut queues, self.now, first);
            first = false;
            if ready.is_empty() {
                let Some(next) = queues.iter().filter(|q| !q.rows.is_empty()).map(|q| q.at).min()
                else {
                    break;
                };
                if self.terms.until.is_some_and(|end| next >= end) {
                    self.ended = Some(Stop::DaysOver);
                    break;
                }
                self.now = next;
                continue;
            }
            crowd.until(self.now, self.door)?;
            blocked += self.ask_once(rows, &ready, &mut queues, &mut gathered)?;
        }
        // One blocked row may be about its input; a whole batch is about who asks.
        if blocked == rows.nrows() && self.ended.is_none() {
            self.ended = Some(Stop::Blocked);
        }
        for queue in queues {
            for row in queue.rows {
                gathered.denied(row, Denial::Throttled { retry_at: queue.at });
            }
        }
        gathered.into_reply()
    }

    fn deal(&mut self, n: usize) -> Vec<Queue> {
        let mut queues: Vec<Queue> = self
            .terms
            .accounts
            .iter()
            .map(|&account| Queue { account, at: self.now, rows: Vec::new() })
            .collect();
        let count = queues.len();
        for row in 0..n {
            queues[(self.turn + row) % count].rows.push(row);
        }
        self.turn = (self.turn + n) % count;
        queues
    }

    /// Asks these rows once; gives the number of those that were blocked.
    fn ask_once(
        &mut self,
        rows: &Array2<f32>,
        ready: &[(usize, usize)],
        queues: &mut [Queue],
        gathered: &mut Gathered,
    ) -> Result<usize> {
        let room = usize::try_from(self.terms.attempts - self.attempted).unwrap_or(usize::MAX);
        let ready = &ready[..ready.len().min(room)];
        if ready.is_empty() {
            self.ended = Some(Stop::AttemptsSpent);
            return Ok(0);
        }
        let index: Vec<usize> = ready.iter().map(|&(_, row)| row).collect();
        let mut batch = Batch::classify(AccountId(0), self.now, rows.select(Axis(0), &index));
        batch.account = ready.iter().map(|&(queue, _)| queues[queue].account).collect();
        self.attempted += ready.len() as u64;
        let reply = self.door.ask(&batch)?;
        let mut done = vec![false; ready.len()];
        let mut blocked = 0;
        for (i, (&(queue, row), outcome)) in ready.iter().zip(&reply.outcomes).enumerate() {
            match *outcome {
                Outcome::Answered(_) => {
                    self.answered += 1;
                    self.last_answer = self.now;
                    done[i] = true;
                }
                Outcome::Denied(Denial::Throttled { retry_at }) => {
                    let queue = &mut queues[queue];
                    queue.at = if queue.at > self.now { queue.at.min(retry_at) } else { retry_at };
                }
                Outcome::Denied(denial) => {
                    if matches!(denial, Denial::OverBudget { .. }) {
                        self.ended = Some(Stop::BudgetSpent);
                    } else {
                        blocked += 1;
                    }
                    gathered.denied(row, denial);
                    done[i] = true;
                }
            }
        }
        gathered.answered(&index, reply);
        for (i, &(queue, row)) in ready.iter().enumerate() {
            if done[i] {
                queues[queue].rows.retain(|&r| r != row);
            }
        }
        Ok(blocked)
    }
}

/// Rows waiting for one account, and when it may ask again.
struct Queue {
    account: AccountId,
    at: Tick,
    rows: Vec<usize>,
}

/// (queue, row) pairs that may be asked now. After a refusal an account tries one row at a time, so
/// that waiting does not fill the attempt counter.
fn due_rows(queues: &mut [Queue], now: Tick, all: bool) -> Vec<(usize, usize)> {
    let mut due: Vec<(usize, usize)> = Vec::new();
    for (i, queue) in queues.iter().enumerate().filter(|(_, q)| q.at <= now) {
        let take = if all { queue.rows.len() } else { 1 };
        due.extend(queue.rows.iter().take(take).map(|&row| (i, row)));
    }
    due.sort_by_key(|&(_, row)| row);
    due
}

/// Collects answers of several replies in the order of the rows asked.
struct Gathered {
    outcomes: Vec<Option<Outcome>>,
    parts: Vec<Answers>,
    /// Row -> (part, index in it).
    found: BTreeMap<usize, (usize, usize)>,
}

impl Gathered {
    fn new(n: usize) -> Self {
        Self { outcomes: vec![None; n], parts: Vec::new(), found: BTreeMap::new() }
    }

    fn denied(&mut self, row: usize, denial: Denial) {
        self.outcomes[row] = Some(Outcome::Denied(denial));
    }

    fn answered(&mut self, index: &[usize], reply: Reply) {
        let part = self.parts.len();
        for (&row, outcome) in index.iter().zip(&reply.outcomes) {
            if let Outcome::Answered(i) = outcome {
                self.found.insert(row, (part, *i));
            }
        }
        self.parts.push(reply.answers);
    }

    fn into_reply(self) -> Result<Reply> {
        let mut offset = Vec::with_capacity(self.parts.len());
        let mut total = 0;
        for part in &self.parts {
            offset.push(total);
            total += part.len();
        }
        let order: Vec<usize> = self.found.values().map(|&(part, i)| offset[part] + i).collect();
        let answers = Answers::concat(self.parts)?.select(&order);
        let mut outcomes = self.outcomes;
        for (i, &row) in self.found.keys().enumerate() {
            outcomes[row] = Some(Outcome::Answered(i));
        }
        let outcomes = outcomes
            .into_iter()
            .map(|o| o.unwrap_or(Outcome::Denied(Denial::OverBudget { left: 0 })))
            .collect();
        Ok(Reply { outcomes, answers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::experiment::world::Traffic;
    use crate::gateway::Gateway;
    use crate::model::InputShape;
    use crate::oracle::{AnswerKind, Card};
    use crate::seed::Seed;
    use crate::student::Learned;

    /// Takes one row at a time, and refuses those whose first feature says so.
    struct Gate;

    impl Door for Gate {
        fn card(&self) -> Card {
            Card { inputs: 1, classes: 2, answers: AnswerKind::Labels }
        }

        fn ask(&mut self, batch: &Batch) -> Result<Reply> {
            let mut labels = Vec::new();
            let retry_at = Tick(batch.at[0].0 + 1);
            let outcome = |x: &f32| match *x > 0.0 {
                _ if batch.len() > 1 => Outcome::Denied(Denial::Throttled { retry_at }),
                true => Outcome::Denied(Denial::Blocked { by: "gate" }),
                false => {
                    labels.push(0);
                    Outcome::Answered(labels.len() - 1)
                }
            };
            let outcomes = batch.inputs.column(0).iter().map(outcome).collect();
            Ok(Reply { outcomes, answers: Answers::Labels(labels) })
        }

        fn close(self: Box<Self>) -> Result<Gateway> {
            Err(Error::Internal("no gateway is behind".into()))
        }
    }

    /// Asks these batches, one after the other.
    struct Asks(Vec<Array2<f32>>);

    impl Student for Asks {
        fn next(&mut self, _view: &View<'_>) -> Result<Ask> {
            Ok(if self.0.is_empty() { Ask::Done } else { Ask::Batch(self.0.remove(0)) })
        }

        fn tell(&mut self, _inputs: &Array2<f32>, _reply: &Reply) -> Result<()> {
            Ok(())
        }

        fn learn(&mut self, _view: &View<'_>, _seed: Seed) -> Result<Learned> {
            Err(Error::Internal("learns nothing".into()))
        }
    }

    fn held(batches: &[&[f32]]) -> Session {
        let rows = |xs: &&[f32]| Array2::from_shape_fn((xs.len(), 1), |(i, _)| xs[i]);
        let mut student = Asks(batches.iter().map(rows).collect());
        let none = Array2::zeros((0, 1));
        let traffic = Traffic {
            inputs: none.clone(),
            truth: Vec::new(),
            clean: Array2::zeros((0, 2)),
            requests: Vec::new(),
        };
        let mut crowd = Crowd::new(&traffic, Vec::new(), false, Tick::ZERO);
        let mut view = View {
            pool: &none,
            public: &none,
            public_labels: None,
            left: 100,
            budget: 100,
            classes: 2,
            shape: InputShape::Flat(1),
            range: (0.0, 1.0),
        };
        let accounts = vec![AccountId(0)];
        let terms = Terms { accounts, queries: 100, attempts: 100, until: None };
        hold(&mut Gate, &mut student, &mut view, &terms, &mut crowd).unwrap()
    }

    #[test]
    fn one_blocked_row_of_a_batch_ends_nothing_and_a_whole_blocked_batch_does() {
        let some = held(&[&[0.0, 1.0, 0.0], &[1.0, 0.0], &[0.0]]);
        assert_eq!((some.stop, some.answered), (Stop::StudentDone, 4));
        let all = held(&[&[0.0, 1.0], &[1.0, 1.0], &[0.0]]);
        assert_eq!((all.stop, all.answered), (Stop::Blocked, 1));
    }
}
