//! One training, whatever the network: a fixed number of steps, a validation part of its own, and an end
//! as soon as a value stops being finite.
//!
//! A batch may be cut into shards, each computed by a thread of its own. Their gradients are added in
//! the order of the shards, so that weights depend on the number of shards and never on that of threads.

use ndarray::{Array2, ArrayView2};

use super::clip::{clip, shorten_columns};
use super::device::Device;
use super::executor::Executor;
use super::fit::Recipe;
use super::layer::Pass;
use super::layer::texts::{self, Stretch};
use super::loss::{self, Goal};
use super::moves::Moves;
use super::network::Network;
use super::optim::Updater;
use crate::error::{Error, Result};
use crate::seed::{Seed, permutation, shuffle};

/// A mean loss above this is divergence: no start and no lesson gives it.
const LARGEST_LOSS: f64 = 1e9;
/// Lessons of fewer rows are too small to hold some back.
const FEWEST_FOR_VALIDATION: usize = 10;

/// What a training starts from.
#[derive(Clone, Copy)]
pub(super) struct Start<'a> {
    pub network: &'a Network,
    pub params: &'a [f32],
    pub device: Device,
    /// `[n, inputs]`, row after row.
    pub inputs: ArrayView2<'a, f32>,
    pub goal: &'a Goal,
    /// How images are moved while learning.
    pub moves: Option<Moves>,
}

/// What it ends with.
pub(super) struct Trained {
    pub last: Vec<f32>,
    /// At the best validation loss; none without validation rows.
    pub selected: Option<Vec<f32>>,
    pub steps: usize,
    /// Rows of a step.
    pub batch: usize,
}

/// Trains by the recipe.
pub(super) fn train(start: &Start<'_>, recipe: &Recipe, seed: Seed) -> Result<Trained> {
    let (rows, held) = split(start.inputs.nrows(), recipe.validation, seed);
    let (rows_trained, batch) = (rows.len(), recipe.batch.min(rows.len()));
    let mut validation = Validation::new(start, held);
    let mut order = Order::new(rows, seed);
    let all = recipe.steps_of(rows_trained);
    let mut trainer = Trainer::new(start, recipe, all, seed)?;
    let mut taken = Vec::with_capacity(batch);
    let mut steps = 0;
    while steps < all {
        order.take(batch, &mut taken);
        trainer.step(start, &taken, recipe.schedule.factor(steps, all))?;
        steps += 1;
        if steps % recipe.check_every == 0 || steps == all {
            trainer.check_weights()?;
            let stale = validation.check(start, &mut trainer)?;
            if recipe.patience > 0 && stale >= recipe.patience {
                break;
            }
        }
    }
    order.take(batch, &mut taken);
    trainer.loss_of(start, &taken)?;
    let selected = (!validation.rows.is_empty()).then_some(validation.best);
    Ok(Trained { last: trainer.params, selected, steps, batch })
}

/// Trains on batches that `teach` makes step by step, knowing the parameters as they are: inputs, and what they are
/// to give. A batch is taken whole. Gives the parameters after the last step.
pub(super) fn learn(
    first: &Start<'_>,
    recipe: &Recipe,
    seed: Seed,
    mut teach: impl FnMut(&[f32], usize) -> Result<(Array2<f32>, Goal)>,
) -> Result<Vec<f32>> {
    let mut trainer = Trainer::new(first, recipe, recipe.steps, seed)?;
    for step in 0..recipe.steps {
        let (inputs, goal) = teach(&trainer.params, step)?;
        let rows: Vec<usize> = (0..inputs.nrows()).collect();
        let start = Start { inputs: inputs.view(), goal: &goal, ..*first };
        trainer.step(&start, &rows, recipe.schedule.factor(step, recipe.steps))?;
        trainer.check_weights()?;
    }
    Ok(trainer.params)
}

/// Rows to train on and rows held back.
pub(super) fn split(n: usize, share: f64, seed: Seed) -> (Vec<usize>, Vec<usize>) {
    let held = (n as f64 * share).round() as usize;
    if n < FEWEST_FOR_VALIDATION || held == 0 {
        return ((0..n).collect(), Vec::new());
    }
    let mut train = permutation(&mut seed.child("validation").rng(), n);
    let held = train.split_off(n - held);
    (train, held)
}

/// Rows epoch after epoch, each in an order of its own.
pub struct Order {
    rows: Vec<usize>,
    seed: Seed,
    epoch: u64,
    waiting: Vec<usize>,
}

impl Order {
    /// These rows, in the orders that a training with this seed takes them.
    pub fn new(rows: Vec<usize>, seed: Seed) -> Self {
        let waiting = Vec::with_capacity(rows.len());
        Self { rows, seed, epoch: 0, waiting }
    }

    /// The next `count` rows; a batch may span two epochs, so that every row weighs the same.
    pub fn take(&mut self, count: usize, taken: &mut Vec<usize>) {
        taken.clear();
        while taken.len() < count && !self.rows.is_empty() {
            let Some(row) = self.waiting.pop() else {
                let mut rng = self.seed.nth("order", self.epoch).rng();
                self.waiting.extend_from_slice(&self.rows);
                shuffle(&mut rng, &mut self.waiting);
                self.epoch += 1;
                continue;
            };
            taken.push(row);
        }
    }
}

/// A part of a batch, its way through the network and its gradients.
struct Shard {
    executor: Executor,
    x: Vec<f32>,
    /// Where texts lie in x.
    texts: Vec<Stretch>,
    /// Logits in 64 bits, then their gradient.
    z: Vec<f64>,
    room: loss::Room,
    grads: Vec<f32>,
    loss: f64,
}

impl Shard {
    fn new(start: &Start<'_>) -> Result<Self> {
        let executor = Executor::new(start.network, start.device, start.params)?;
        let grads = vec![0.0; start.network.parameters()];
        let room = loss::Room::default();
        Ok(Self { executor, x: vec![], texts: vec![], z: vec![], room, grads, loss: 0.0 })
    }

    /// Lays out these rows; gives the number of examples that they make.
    fn gather(&mut self, start: &Start<'_>, rows: &[usize]) -> usize {
        let row = |row| start.inputs.row(row).to_slice().expect("inputs lie row after row");
        self.x.clear();
        self.texts.clear();
        let n = match start.goal {
            Goal::Tokens(texts) if self.executor.lays_texts() => {
                let width = start.inputs.ncols();
                let len = |&row: &usize| texts.len(row);
                let n = texts::lay(rows.iter().map(len), width, &mut self.texts);
                let laid = rows.iter().zip(&self.texts);
                laid.for_each(|(&i, text)| self.x.extend_from_slice(&row(i)[..text.len]));
                self.x.resize(n * width, 0.0);
                n
            }
            _ => {
                rows.iter().for_each(|&i| self.x.extend_from_slice(row(i)));
                rows.len()
            }
        };
        self.executor.lay(&self.texts);
        n
    }

    /// Loss and gradients of these rows, divided by `weight`, when `progress` of the training is done.
    fn learn(
        &mut self,
        start: &Start<'_>,
        params: &[f32],
        rows: &[usize],
        (weight, progress): (f64, f64),
        seed: Seed,
    ) -> Result<()> {
        let n = self.gather(start, rows);
        if let Some(moves) = &start.moves {
            moves.apply(&mut self.x, seed);
        }
        self.room.progress = progress;
        let Self { executor, x, texts, z, room, grads, loss } = self;
        let goal = |logits: &[f32], grad: &mut [f32]| {
            z.clear();
            z.extend(logits.iter().map(|&v| f64::from(v)));
            let loss = start.goal.loss(rows, texts, n, z, weight, room);
            // Gradients too small to matter would be numbers that processors are slow with.
            let narrow = |z: f64| if z.abs() < 1e-30 { 0.0 } else { z as f32 };
            grad.iter_mut().zip(&*z).for_each(|(g, &z)| *g = narrow(z));
            loss
        };
        executor.moved(params)?;
        *loss = executor.learn(params, x, n, Pass::Learn(seed), goal, grads)?;
        Ok(())
    }

    /// The loss of these rows, learning nothing.
    fn loss_of(&mut self, start: &Start<'_>, params: &[f32], rows: &[usize]) -> Result<f64> {
        let n = self.gather(start, rows);
        self.room.progress = 1.0;
        let Self { executor, x, texts, z, room, .. } = self;
        let layers = start.network.layers().len();
        z.clear();
        executor.moved(params)?;
        executor.answer(params, x, n, layers, |y| {
            z.extend(y.iter().map(|&v| f64::from(v)));
        })?;
        Ok(start.goal.loss(rows, texts, n, z, start.goal.weight(rows), room))
    }
}

/// The parameters in training.
pub(super) struct Trainer {
    params: Vec<f32>,
    shards: Vec<Shard>,
    updater: Updater,
    /// Most that a gradient's norm may be; 0 for no limit.
    clip: f64,
    /// Most that the norm of a unit's incoming weights may be; 0 for no limit.
    max_norm: f64,
    seed: Seed,
    threads: usize,
    steps: usize,
    /// Steps of the whole training.
    planned: usize,
    last_loss: Option<f64>,
}

impl Trainer {
    /// For a training of `planned` steps.
    pub(super) fn new(
        start: &Start<'_>,
        recipe: &Recipe,
        planned: usize,
        seed: Seed,
    ) -> Result<Self> {
        let shards = (0..recipe.shards).map(|_| Shard::new(start)).collect::<Result<_>>()?;
        let spans = recipe.decay.spans(start.network.slots());
        let updater = Updater::new(&recipe.optimizer, spans);
        let params = start.params.to_vec();
        let (steps, last_loss) = (0, None);
        let Recipe { clip, max_norm, threads, .. } = *recipe;
        let seed = seed.child("pass");
        Ok(Self {
            params,
            shards,
            updater,
            clip,
            max_norm,
            seed,
            threads,
            steps,
            planned,
            last_loss,
        })
    }

    /// As they are.
    pub(super) fn params(&self) -> &[f32] {
        &self.params
    }

    /// One step on these rows.
    pub(super) fn step(&mut self, start: &Start<'_>, rows: &[usize], factor: f64) -> Result<()> {
        self.gradients(start, rows)?;
        let loss = self.shards.iter().map(|shard| shard.loss).sum();
        self.steps += 1;
        self.expect_finite(loss)?;
        let grads = &mut self.shards[0].grads;
        clip(grads, self.clip);
        self.updater.update(&mut self.params, grads, factor);
        if self.max_norm > 0.0 {
            shorten_columns(start.network.slots(), &mut self.params, self.max_norm);
        }
        Ok(())
    }

    /// Gradients of the mean loss of these rows, into the first shard.
    fn gradients(&mut self, start: &Start<'_>, rows: &[usize]) -> Result<()> {
        let params = &self.params[..];
        let progress = self.steps as f64 / self.planned.max(1) as f64;
        let part = (start.goal.weight(rows), progress);
        let seed = self.seed.keyed(&(self.steps as u64).to_le_bytes());
        if let [only] = &mut self.shards[..] {
            return only.learn(start, params, rows, part, seed);
        }
        let size = rows.len().div_ceil(self.shards.len());
        let parts = || rows.chunks(size).chain(std::iter::repeat(&rows[..0]));
        let mut work: Vec<_> = self.shards.iter_mut().zip(parts()).enumerate().collect();
        let per_thread = work.len().div_ceil(self.threads.max(1));
        let learn = |(i, (shard, rows)): &mut (usize, (&mut Shard, &[usize]))| {
            shard.learn(start, params, rows, part, seed.keyed(&(*i as u64).to_le_bytes()))
        };
        std::thread::scope(|scope| {
            let mut threads = Vec::new();
            let mut pieces = work.chunks_mut(per_thread);
            let own = pieces.next();
            for piece in pieces {
                threads.push(scope.spawn(move || piece.iter_mut().try_for_each(learn)));
            }
            own.into_iter().flatten().try_for_each(learn)?;
            threads.into_iter().try_for_each(|thread| match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })?;
        let (first, others) = self.shards.split_first_mut().expect("at least one shard");
        for other in others {
            first.grads.iter_mut().zip(&other.grads).for_each(|(sum, g)| *sum += g);
        }
        Ok(())
    }

    /// The loss on these rows, checked but not learnt from.
    fn loss_of(&mut self, start: &Start<'_>, rows: &[usize]) -> Result<f64> {
        let loss = self.shards[0].loss_of(start, &self.params, rows)?;
        self.expect_finite(loss)?;
        self.check_weights()?;
        Ok(loss)
    }

    fn expect_finite(&mut self, loss: f64) -> Result<()> {
        if loss.is_finite() && loss < LARGEST_LOSS {
            self.last_loss = Some(loss);
            return Ok(());
        }
        Err(self.diverged())
    }

    pub(super) fn check_weights(&self) -> Result<()> {
        match self.params.iter().all(|w| w.is_finite()) {
            true => Ok(()),
            false => Err(self.diverged()),
        }
    }

    fn diverged(&self) -> Error {
        Error::Diverged { step: self.steps, last_loss: self.last_loss }
    }
}

/// The held-back rows, and the best parameters on them so far.
struct Validation {
    rows: Vec<usize>,
    best: Vec<f32>,
    best_loss: f64,
    stale: usize,
}

/// Rows of a piece of the validation part.
const PIECE: usize = 256;

impl Validation {
    fn new(start: &Start<'_>, rows: Vec<usize>) -> Self {
        let best = if rows.is_empty() { Vec::new() } else { start.params.to_vec() };
        Self { rows, best, best_loss: f64::INFINITY, stale: 0 }
    }

    /// Looks at the parameters now; gives the number of checks since the best ones.
    fn check(&mut self, start: &Start<'_>, trainer: &mut Trainer) -> Result<usize> {
        if self.rows.is_empty() {
            return Ok(0);
        }
        let params = &trainer.params;
        let (mut sum, mut weights) = (0.0, 0.0);
        for piece in self.rows.chunks(PIECE) {
            let weight = start.goal.weight(piece);
            sum += trainer.shards[0].loss_of(start, params, piece)? * weight;
            weights += weight;
        }
        let loss = sum / weights;
        if !(loss.is_finite() && loss < LARGEST_LOSS) {
            return Err(trainer.diverged());
        }
        self.stale += 1;
        if loss < self.best_loss {
            self.best_loss = loss;
            self.best.copy_from_slice(&trainer.params);
            self.stale = 0;
        }
        Ok(self.stale)
    }
}
