//! Fitting to the end: full-batch L-BFGS in 64 bits (Nocedal and Wright 2006, algorithm 7.5), for lessons so small and
//! targets so exact that the minimum itself is wanted, as when a network's answers are equations for its weights.
//! Steps are found by bisection under the weak Wolfe conditions (Lewis and Overton 2013, algorithm 2.6), which also
//! holds where rectifiers have kinks.

use std::collections::VecDeque;

use super::cpu::Runner;
use super::layer::Pass;
use super::loss::{Goal, Loss, Room};
use super::{Fitted, Lesson, Model, fit};
use crate::error::{Error, Result};
use crate::seed::Seed;

/// Rows computed at a time; gradients of such pieces are summed in order.
const PIECE: usize = 256;
/// Pairs of steps and slopes kept.
const MEMORY: usize = 10;
/// Sufficient decrease, and how much of the slope may be left.
const WOLFE: (f64, f64) = (1e-4, 0.9);
/// Trials of a step length.
const TRIALS: usize = 40;

/// How a fit goes, and when it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lbfgs {
    /// Half of it times the squared norm of all parameters is added to the loss; 0 or more.
    pub ridge: f64,
    /// The largest entry of the gradient at which the end is reached, above 0.
    pub gtol: f64,
    /// Most iterations, 1 or more.
    pub iterations: usize,
}

/// The minimum of `loss` on `lesson` near `model`. Computed on the processor whatever the model's device.
pub fn solve(model: &Model, lesson: &Lesson, loss: Loss, settings: &Lbfgs) -> Result<Fitted> {
    if !(settings.ridge >= 0.0 && settings.gtol > 0.0 && settings.iterations > 0) {
        let expected = "a ridge of 0 or more, a gtol above 0, an iteration or more";
        return Err(Error::input("settings of a fit", format!("{settings:?}"), expected));
    }
    let goal = fit::check_lesson(model, lesson, loss, 0..model.classes())?;
    let inputs: Vec<f64> = lesson.inputs.iter().map(|&x| f64::from(x)).collect();
    let mut task = Task {
        runner: Runner::new(model.network()?),
        goal,
        inputs,
        width: lesson.inputs.ncols(),
        ridge: settings.ridge,
        room: Room::default(),
        part: vec![0.0; model.parameters()],
        evaluations: 0,
    };
    let start: Vec<f64> = model.params()?.iter().map(|&w| f64::from(w)).collect();
    let (params, steps) = descend(&mut task, start, settings)?;
    let flops =
        6.0 * model.multiply_adds() as f64 * (lesson.inputs.nrows() * task.evaluations) as f64;
    let last = model.with_params(params.into_iter().map(|w| w as f32).collect())?;
    Ok(Fitted { selected: last.clone(), last, steps, flops })
}

/// A point with its loss and gradient.
#[derive(Clone)]
struct Point {
    at: Vec<f64>,
    loss: f64,
    slope: Vec<f64>,
}

fn descend(task: &mut Task, start: Vec<f64>, settings: &Lbfgs) -> Result<(Vec<f64>, usize)> {
    let mut here = task.measure(start);
    if !here.loss.is_finite() {
        return Err(Error::Diverged { step: 0, last_loss: None });
    }
    let mut memory: VecDeque<Pair> = VecDeque::with_capacity(MEMORY);
    for step in 0..settings.iterations {
        if here.slope.iter().all(|g| g.abs() <= settings.gtol) {
            return Ok((here.at, step));
        }
        let mut way = direction(&here.slope, &memory);
        if dot(&way, &here.slope) >= 0.0 {
            memory.clear(); // what is remembered leads uphill
            way = direction(&here.slope, &memory);
        }
        let Some(next) = task.search(&here, &way) else { return Ok((here.at, step)) };
        let pair = Pair::new(&here, &next);
        if pair.curvature > 0.0 {
            if memory.len() == MEMORY {
                memory.pop_front();
            }
            memory.push_back(pair);
        }
        here = next;
    }
    Ok((here.at, settings.iterations))
}

/// A step and what it did to the slope.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    curvature: f64,
}

impl Pair {
    fn new(from: &Point, to: &Point) -> Self {
        let minus = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>();
        let (step, change) = (minus(&to.at, &from.at), minus(&to.slope, &from.slope));
        let curvature = dot(&step, &change);
        Self { step, change, curvature }
    }
}

/// Minus the inverse Hessian, as remembered, times the slope (Nocedal and Wright, algorithm 7.4). Without memory a
/// step of length 1 at most.
fn direction(slope: &[f64], memory: &VecDeque<Pair>) -> Vec<f64> {
    let mut q = slope.to_vec();
    let mut shares = vec![0.0; memory.len()];
    for (share, pair) in shares.iter_mut().zip(memory).rev() {
        *share = dot(&pair.step, &q) / pair.curvature;
        q.iter_mut().zip(&pair.change).for_each(|(q, y)| *q -= *share * y);
    }
    let scale = match memory.back() {
        Some(pair) => pair.curvature / dot(&pair.change, &pair.change),
        None => 1.0 / libm::sqrt(dot(slope, slope)).max(1.0),
    };
    q.iter_mut().for_each(|q| *q *= scale);
    for (share, pair) in shares.iter().zip(memory) {
        let back = dot(&pair.change, &q) / pair.curvature;
        q.iter_mut().zip(&pair.step).for_each(|(q, s)| *q += (share - back) * s);
    }
    q.iter_mut().for_each(|q| *q = -*q);
    q
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The loss as a function of all parameters.
struct Task {
    runner: Runner<f64>,
    goal: Goal,
    /// `[n, width]`
    inputs: Vec<f64>,
    width: usize,
    ridge: f64,
    room: Room,
    part: Vec<f64>,
    evaluations: usize,
}

impl Task {
    fn measure(&mut self, at: Vec<f64>) -> Point {
        self.evaluations += 1;
        let n = self.inputs.len() / self.width;
        let Self { runner, goal, inputs, width, ridge, room, part, .. } = self;
        let mut loss = 0.5 * *ridge * dot(&at, &at);
        let mut slope: Vec<f64> = at.iter().map(|w| *ridge * w).collect();
        for (piece, x) in inputs.chunks(PIECE * *width).enumerate() {
            let rows: Vec<usize> = (piece * PIECE..).take(x.len() / *width).collect();
            let measure = |logits: &[f64], grad: &mut [f64]| {
                grad.copy_from_slice(logits);
                goal.loss(&rows, &[], rows.len(), grad, n as f64, room)
            };
            // Nothing is drawn by the networks that can be fitted so: the seed is never used.
            let pass = Pass::Learn(Seed::new(0));
            loss += runner.learn(&at, x, rows.len(), pass, measure, part);
            slope.iter_mut().zip(&*part).for_each(|(sum, g)| *sum += g);
        }
        Point { at, loss, slope }
    }

    /// A point along `way` with less loss and less slope; none if there is none to be found.
    fn search(&mut self, from: &Point, way: &[f64]) -> Option<Point> {
        let fall = dot(&from.slope, way);
        let (mut low, mut high, mut length) = (0.0, f64::INFINITY, 1.0);
        let mut best: Option<Point> = None;
        for _ in 0..TRIALS {
            let at = from.at.iter().zip(way).map(|(x, d)| x + length * d).collect();
            let there = self.measure(at);
            let lower = there.loss <= from.loss + WOLFE.0 * length * fall; // not so for NaN
            let flat = dot(&there.slope, way) >= WOLFE.1 * fall;
            if lower && best.as_ref().is_none_or(|best| there.loss < best.loss) {
                best = Some(there);
                if flat {
                    break;
                }
            }
            if lower && flat {
                break;
            }
            if lower {
                low = length
            } else {
                high = length
            }
            length = if high.is_finite() { 0.5 * (low + high) } else { 2.0 * length };
        }
        best.filter(|best| best.loss < from.loss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Arch, Device, InputShape, Targets};
    use crate::seed::normal;
    use ndarray::Array2;

    const FIT: Lbfgs = Lbfgs { ridge: 0.0, gtol: 1e-9, iterations: 300 };
    const SOFT: Loss = Loss::SoftLabel { temperature: 1.0, eps: 1e-12 };

    fn model(arch: &Arch, seed: u64) -> Model {
        Model::init(arch, InputShape::Flat(4), 3, Device::Cpu, Seed::new(seed)).unwrap()
    }

    fn inputs(n: usize) -> Array2<f32> {
        let mut rng = Seed::new(7).rng();
        Array2::from_shape_fn((n, 4), |_| normal(&mut rng) as f32)
    }

    #[test]
    fn a_convex_lesson_is_solved_whatever_the_start() {
        let teacher = model(&Arch::Logistic {}, 1);
        let x = inputs(600); // more than two pieces
        let lesson =
            Lesson { inputs: x.clone(), targets: Targets::Probs(teacher.probs(x.view()).unwrap()) };
        for seed in [2, 3] {
            let found = solve(&model(&Arch::Logistic {}, seed), &lesson, SOFT, &FIT).unwrap();
            let (p, q) = (teacher.probs(x.view()).unwrap(), found.last.probs(x.view()).unwrap());
            assert!((p - q).iter().all(|d| d.abs() < 1e-6));
            assert!(found.steps < 300 && found.flops > 0.0);
        }
    }

    #[test]
    fn a_small_network_is_nearly_found_and_the_same_each_time() {
        let arch = Arch::Mlp { hidden: vec![5] };
        let teacher = model(&arch, 1);
        let x = inputs(400);
        let lesson =
            Lesson { inputs: x.clone(), targets: Targets::Probs(teacher.probs(x.view()).unwrap()) };
        let found = solve(&model(&arch, 2), &lesson, SOFT, &FIT).unwrap();
        let (p, q) = (teacher.probs(x.view()).unwrap(), found.last.probs(x.view()).unwrap());
        let worst = (p - q).iter().fold(0.0_f64, |worst, d| worst.max(d.abs()));
        assert!(worst < 0.05, "{worst}");
        let again = solve(&model(&arch, 2), &lesson, SOFT, &FIT).unwrap();
        assert_eq!(found.last.weights_hash().unwrap(), again.last.weights_hash().unwrap());
    }

    #[test]
    fn a_ridge_makes_parameters_smaller() {
        let x = inputs(50);
        let targets = Targets::Labels((0..50).map(|i| usize::from(x[[i, 0]] > 0.0)).collect());
        let lesson = Lesson { inputs: x, targets };
        let size = |ridge| {
            let found = solve(
                &model(&Arch::Logistic {}, 1),
                &lesson,
                Loss::HardLabel,
                &Lbfgs { ridge, ..FIT },
            );
            let weights = found.unwrap().last.weights().unwrap();
            weights.iter().flat_map(|w| &w.2).map(|w| f64::from(w * w)).sum::<f64>()
        };
        assert!(size(1.0) < size(0.01) && size(0.01) < size(0.0001));
    }

    #[test]
    fn settings_outside_their_ranges_are_refused() {
        let lesson = Lesson { inputs: inputs(2), targets: Targets::Labels(vec![0, 1]) };
        for wrong in [
            Lbfgs { ridge: -1.0, ..FIT },
            Lbfgs { gtol: 0.0, ..FIT },
            Lbfgs { iterations: 0, ..FIT },
        ] {
            assert!(
                solve(&model(&Arch::Logistic {}, 1), &lesson, Loss::HardLabel, &wrong).is_err()
            );
        }
    }
}
