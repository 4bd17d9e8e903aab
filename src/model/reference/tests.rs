//! Both executors from equal weights on an equal batch: losses agree to 1e-5 and updated weights to 1e-4
//! of the largest update, for every architecture.

use ndarray::Array2;

use super::*;
use crate::Seed;
use crate::model::clip::{clip, norm};
use crate::model::cpu;
use crate::model::decay::Decay;
use crate::model::init::Init;
use crate::model::language::{Bend, Decoder, Fresh, LlamaBlocks, NormRule, Positions};
use crate::model::layer::texts::{self, Stretch};
use crate::model::loss::{self, Goal, elbo::Elbo, entangled::Entangled, tokens::Texts};
use crate::model::optim::{Optimizer, Updater};
use crate::model::{Arch, InputShape, Vae};
use crate::seed::normal;

fn images(n: usize, side: usize) -> Vec<f32> {
    let mut rng = Seed::new(2).rng();
    (0..n * side * side).map(|_| normal(&mut rng) as f32).collect()
}

/// A network, a batch for it and what it is to learn.
struct Work {
    name: String,
    network: Network,
    x: Vec<f32>,
    n: usize,
    goal: Goal,
}

fn works() -> Vec<Work> {
    let mut works = Vec::new();
    let wide = Arch::Mlp { hidden: vec![120, 70] };
    let networks = Arch::examples().into_iter().filter(Arch::has_gradients);
    for arch in networks.chain([wide]) {
        for (side, n) in [(8, 64), (28, 20)] {
            let shape = InputShape::Image { c: 1, h: side, w: side };
            let network = arch.network(shape, 10).unwrap();
            let goal = Goal::Hard((0..n).map(|i| i * 7 % 10).collect());
            works.push(Work { name: format!("{arch:?}"), network, x: images(n, side), n, goal });
        }
    }
    let shape = InputShape::Image { c: 1, h: 8, w: 8 };
    let network = Arch::Lenet { filters: [3, 4], hidden: 9 }.network(shape, 10).unwrap();
    let goal = Goal::Entangled(Entangled {
        labels: vec![7; 12],
        marked: (0..12).map(|i| i < 6).collect(),
        hidden: network.hidden_widths(),
        weight: 0.1,
        temperature: 20.0,
    });
    let (name, network) = ("telling".to_string(), network.telling());
    works.push(Work { name, network, x: images(12, 8), n: 12, goal });
    let (network, x) = (Vae { hidden: 12, code: 3 }.network(64), images(16, 8));
    let rows = Array2::from_shape_vec((16, 64), x.clone()).unwrap();
    let goal = Goal::Elbo(Elbo { rows, code: 3, noise: 0.5 });
    works.push(Work { name: "autoencoder".into(), network, x, n: 16, goal });
    let plan = Decoder {
        vocabulary: 50,
        context: 40,
        layers: 2,
        heads: 4,
        width: 32,
        norm: NormRule::Layer,
        positions: Positions::Rotary,
        bend: Bend::Gelu,
        dropout: 0.0,
        fresh: Fresh::Gpt2,
        llama: None,
    };
    let (norm, positions, bend) = (NormRule::Rms, Positions::Learnt, Bend::Silu);
    let other = Decoder { norm, positions, bend, dropout: 0.2, ..plan.clone() };
    let llama = |tied| {
        let blocks =
            LlamaBlocks { key_heads: 2, head: 6, hidden: 40, base: 500.0, epsilon: 1e-3, tied };
        Decoder { norm, bend, llama: Some(blocks), ..plan.clone() }
    };
    for plan in [llama(true), llama(false), plan, other] {
        let context = plan.context;
        let n = 6;
        let x = (0..n * context).map(|i| (i * 13 % 50) as f32).collect();
        let targets = Array2::from_shape_fn((n, context), |(i, j)| ((i * 5 + j) % 51) as i32 - 1);
        let (network, goal) =
            (plan.network().unwrap(), Goal::Tokens(Texts { targets, taught: None }));
        works.push(Work { name: format!("{plan:?}"), network, x, n, goal });
    }
    works
}

#[test]
fn both_executors_agree_on_losses_updates_answers_and_input_gradients() {
    for Work { name, network, x, n, goal } in works() {
        let rows: Vec<usize> = (0..n).collect();
        let params = network.draw(Init::HeUniform, Seed::new(1));
        let mut cpu = cpu::Runner::<f32>::new(&network);
        let candle = Runner::new(&network, Device::Cpu, &params).unwrap();
        let measure = |logits: &[f32], grad: &mut [f32]| {
            let mut z: Vec<f64> = logits.iter().map(|&v| f64::from(v)).collect();
            let loss =
                goal.loss(&rows, &[], n, &mut z, goal.weight(&rows), &mut loss::Room::default());
            grad.iter_mut().zip(z).for_each(|(g, z)| *g = z as f32);
            loss
        };
        let pass = Pass::Learn(Seed::new(5));
        let mut grads = [vec![0.0; params.len()], vec![0.0; params.len()]];
        let [own, theirs] = &mut grads;
        let ours = cpu.learn(&params, &x, n, pass, measure, own);
        let reference = candle.learn(&x, n, pass, measure, theirs).unwrap();
        assert!((ours / reference - 1.0).abs() < 1e-5, "{name}: loss {ours}, {reference}");
        // Plain descent, because AdamW's first step is a sign: it makes much of what is nearly nothing.
        let far =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        for (limit, weight_decay, decay) in [(0.0, 0.0, Decay::All), (0.1, 0.1, Decay::Matrices)] {
            let rule = Optimizer::Sgd { lr: 1.0, momentum: 0.0, weight_decay };
            let updates = grads.clone().map(|mut grads| {
                let mut updated = params.clone();
                clip(&mut grads, limit);
                assert!(limit == 0.0 || (norm(&grads) - limit).abs() < 1e-5, "{name}: clipped");
                Updater::new(&rule, decay.spans(network.slots())).update(&mut updated, &grads, 1.0);
                updated
            });
            let largest = far(&updates[1], &params);
            let difference = far(&updates[0], &updates[1]);
            assert!(difference <= 1e-4 * largest, "{name}: {difference} of {largest}");
        }

        let layers = network.layers().len();
        let theirs = candle.answer(&x, n, layers).unwrap();
        let answers = cpu.answer(&params, &x, n, layers);
        assert!(far(answers, &theirs) < 1e-4, "{name}: answers");
        if !matches!(goal, Goal::Tokens(_)) {
            let along = |_: &[f32], grad: &mut [f32]| grad.fill(1.0);
            let theirs = candle.pull(&x, n, along).unwrap();
            let size = theirs.iter().fold(0.0_f32, |a, v| a.max(v.abs()));
            assert!(far(cpu.pull(&params, &x, n, along), &theirs) < 1e-4 * size, "{name}: input");
        }
    }
}

#[test]
fn texts_one_after_another_learn_as_texts_padded_to_the_context_do() {
    for Work { name, network, x, n, goal } in works() {
        let Goal::Tokens(Texts { mut targets, .. }) = goal else { continue };
        let context = targets.ncols();
        // Text i counts up to token 3 i, the last to its end; one teaches nothing at all.
        targets.indexed_iter_mut().for_each(|((i, j), t)| {
            if j > 3 * i {
                *t = -1
            }
        });
        targets.row_mut(2).fill(-1);
        let goal = Goal::Tokens(Texts { targets, taught: None });
        let Goal::Tokens(texts) = &goal else { unreachable!() };
        let rows: Vec<usize> = (0..n).collect();
        let params = network.draw(Init::HeUniform, Seed::new(1));
        let learn = |x: &[f32], n: usize, lying: &[Stretch]| {
            let mut cpu = cpu::Runner::<f32>::new(&network);
            let mut grads = vec![0.0; params.len()];
            let room = &mut loss::Room::default();
            cpu.lay(lying);
            let measure = |logits: &[f32], grad: &mut [f32]| {
                let mut z: Vec<f64> = logits.iter().map(|&v| f64::from(v)).collect();
                let loss = goal.loss(&rows, lying, n, &mut z, goal.weight(&rows), room);
                grad.iter_mut().zip(z).for_each(|(g, z)| *g = z as f32);
                loss
            };
            let loss = cpu.learn(&params, x, n, Pass::Trace, measure, &mut grads);
            (loss, grads)
        };
        let mut lying = Vec::new();
        let examples = texts::lay(rows.iter().map(|&i| texts.len(i)), context, &mut lying);
        assert!(examples < n && lying[2].len == 1, "{lying:?}");
        let laid = lying.iter().zip(x.chunks_exact(context));
        let mut packed: Vec<f32> = laid.flat_map(|(text, x)| x[..text.len].to_vec()).collect();
        packed.resize(examples * context, 0.0);
        let (loss, grads) = learn(&packed, examples, &lying);
        let (expected, padded) = learn(&x, n, &[]);
        assert!((loss / expected - 1.0).abs() < 1e-6, "{name}: {loss}, {expected}");
        let size = padded.iter().fold(0.0_f32, |a, v| a.max(v.abs()));
        let far = grads.iter().zip(&padded).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(far < 1e-5 * size, "{name}: {far} of {size}");
    }
}
