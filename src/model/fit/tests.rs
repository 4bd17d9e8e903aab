//! Training on toy problems.
#![allow(clippy::disallowed_macros, reason = "a child process reports through stdout")]

use super::*;
use crate::model::train::{Order, split};
use crate::model::{Arch, Device, InputShape, Parameter};
use crate::oracle::argmax;
use crate::seed::normal;
use ndarray::Axis;

/// Two interleaved rings, not separable by a line.
fn rings(n: usize) -> (Array2<f32>, Vec<usize>) {
    let mut rng = Seed::new(4).rng();
    let labels: Vec<usize> = (0..n).map(|i| i % 2).collect();
    let mut x = Array2::zeros((n, 2));
    for (mut row, &label) in x.rows_mut().into_iter().zip(&labels) {
        let (a, b) = (normal(&mut rng), normal(&mut rng));
        let radius = (1.0 + label as f64) / libm::sqrt(a * a + b * b);
        row[0] = (a * radius) as f32;
        row[1] = (b * radius) as f32;
    }
    (x, labels)
}

fn lesson(n: usize) -> Lesson {
    let (inputs, labels) = rings(n);
    Lesson { inputs, targets: Targets::Labels(labels) }
}

fn fresh(arch: &Arch) -> Model {
    Model::init(arch, InputShape::Flat(2), 2, Device::Cpu, Seed::new(1)).unwrap()
}

fn mlp() -> Model {
    fresh(&Arch::Mlp { hidden: vec![16, 16] })
}

fn train(recipe: &Recipe, seed: u64) -> Result<Fitted> {
    fit(mlp(), &lesson(200), Loss::HardLabel, recipe, Seed::new(seed))
}

fn accuracy(model: &Model) -> f64 {
    let (x, labels) = rings(400);
    let logits = model.logits(x.view()).unwrap();
    let right = logits.rows().into_iter().zip(labels).filter(|(r, l)| argmax(r.iter()) == *l);
    right.count() as f64 / 400.0
}

#[test]
fn an_mlp_learns_what_no_line_separates() {
    let fitted = train(&Recipe::default(), 2).unwrap();
    assert!(accuracy(&fitted.last) > 0.97 && accuracy(&fitted.selected) > 0.97);
    assert_eq!(fitted.steps, 300);
    let parameters = fitted.last.parameters() as f64;
    assert_eq!(fitted.flops, 6.0 * parameters * 32.0 * 300.0);
    let sgd = Optimizer::Sgd { lr: 0.1, momentum: 0.9, weight_decay: 0.0 };
    let fitted = train(&Recipe { optimizer: sgd, ..Recipe::default() }, 2).unwrap();
    assert!(accuracy(&fitted.last) > 0.97);
}

#[test]
fn a_student_of_probabilities_or_top_k_answers_learns_too() {
    let teacher = train(&Recipe::default(), 2).unwrap().last;
    let (inputs, _) = rings(200);
    let probs = teacher.probs(inputs.view()).unwrap();
    let ids = probs.map_axis(Axis(1), |p| argmax(p.iter())).insert_axis(Axis(1));
    let top = probs.map_axis(Axis(1), |p| p[argmax(p.iter())]).insert_axis(Axis(1));
    let top = crate::oracle::TopK { classes: 2, ids, probs: top };
    let soft = Loss::SoftLabel { temperature: 2.0, eps: 1e-8 };
    for (targets, loss) in [(Targets::Probs(probs), soft), (Targets::Bucket(top), Loss::Bucket)] {
        let lesson = Lesson { inputs: inputs.clone(), targets };
        let fitted = fit(mlp(), &lesson, loss, &Recipe::default(), Seed::new(3)).unwrap();
        assert!(accuracy(&fitted.last) > 0.97);
    }
}

#[test]
fn the_same_seed_gives_the_same_weights_and_another_does_not() {
    let hash = |seed| train(&Recipe::default(), seed).unwrap().last.weights_hash().unwrap();
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}

#[test]
fn training_moves_every_parameter_of_every_network() {
    let shape = InputShape::Image { c: 1, h: 8, w: 8 };
    let mut rng = Seed::new(8).rng();
    let inputs = Array2::from_shape_fn((40, 64), |_| normal(&mut rng) as f32);
    let targets = Targets::Labels((0..40).map(|i| i % 3).collect());
    let lesson = Lesson { inputs, targets };
    for arch in Arch::examples().into_iter().filter(Arch::has_gradients) {
        let before = Model::init(&arch, shape, 3, Device::Cpu, Seed::new(1)).unwrap();
        let recipe = Recipe { steps: 2, ..Recipe::default() };
        let fitted = fit(before.clone(), &lesson, Loss::HardLabel, &recipe, Seed::new(1)).unwrap();
        let pairs = before.weights().unwrap().into_iter().zip(fitted.last.weights().unwrap());
        for ((name, _, old), (_, _, new)) in pairs {
            assert_ne!(old, new, "{name} of {arch:?} did not move");
        }
    }
}

#[test]
fn an_absurd_learning_rate_ends_as_diverged_with_step_and_loss() {
    let adamw = Optimizer::adamw(1e30, 0.0);
    let sgd = Optimizer::Sgd { lr: 1e30, momentum: 0.0, weight_decay: 0.0 };
    let archs = [Arch::Logistic {}, Arch::Mlp { hidden: vec![16, 16] }];
    for (optimizer, arch) in
        [&adamw, &sgd].into_iter().flat_map(|o| archs.iter().map(move |a| (o, a)))
    {
        for steps in [1, 300] {
            let recipe = Recipe { optimizer: optimizer.clone(), steps, ..Recipe::default() };
            let result = fit(fresh(arch), &lesson(64), Loss::HardLabel, &recipe, Seed::new(1));
            let Err(Error::Diverged { step, last_loss }) = result else {
                panic!("{arch:?}, {optimizer:?} did not diverge");
            };
            assert!(step <= 3 && last_loss.is_some_and(|l| l < 10.0), "{step}, {last_loss:?}");
        }
    }
}

#[test]
fn selected_is_the_best_on_held_back_rows_and_patience_stops() {
    let optimizer = Optimizer::adamw(0.3, 0.0);
    let recipe = Recipe { optimizer, patience: 2, check_every: 5, steps: 500, ..Recipe::default() };
    let fitted = train(&recipe, 1).unwrap();
    assert!(fitted.steps < 500 && fitted.steps.is_multiple_of(5), "{}", fitted.steps);
    assert_ne!(fitted.last.weights_hash().unwrap(), fitted.selected.weights_hash().unwrap());
}

#[test]
fn without_validation_rows_selected_is_last() {
    for (rows, validation) in [(9, 0.5), (200, 0.0), (1, 0.1)] {
        let recipe = Recipe { validation, steps: 7, ..Recipe::default() };
        let fitted = fit(mlp(), &lesson(rows), Loss::HardLabel, &recipe, Seed::new(1)).unwrap();
        assert_eq!(fitted.last.weights_hash().unwrap(), fitted.selected.weights_hash().unwrap());
        let batch = rows.min(32) as f64;
        assert_eq!(fitted.flops, 6.0 * fitted.last.parameters() as f64 * batch * 7.0);
    }
}

#[test]
fn held_back_rows_are_disjoint_from_trained_ones() {
    let (mut train, held) = split(50, 0.1, Seed::new(1));
    assert_eq!((train.len(), held.len()), (45, 5));
    train.extend(held);
    train.sort_unstable();
    assert_eq!(train, (0..50).collect::<Vec<_>>());
}

#[test]
fn every_epoch_holds_each_row_once_in_an_order_of_its_own() {
    let mut order = Order::new(vec![3, 5, 7, 9, 11], Seed::new(1));
    let mut two = Vec::new();
    let mut take = || {
        order.take(2, &mut two);
        two.clone()
    };
    let rows: Vec<usize> = (0..5).flat_map(|_| take()).collect();
    let (mut first, mut second) = (rows[..5].to_vec(), rows[5..].to_vec());
    assert_ne!(first, second);
    first.sort_unstable();
    second.sort_unstable();
    assert_eq!((first, second), (vec![3, 5, 7, 9, 11], vec![3, 5, 7, 9, 11]));
}

#[test]
fn lessons_and_recipes_that_cannot_work_are_refused() {
    let run = |lesson: &Lesson, recipe: &Recipe| {
        fit(mlp(), lesson, Loss::HardLabel, recipe, Seed::new(1)).unwrap_err().to_string()
    };
    let good = Recipe::default();
    let mut holed = lesson(5);
    holed.inputs[[2, 1]] = f32::NAN;
    let mut short = lesson(5);
    short.targets = Targets::Labels(vec![0]);
    let cases = [
        (run(&lesson(0), &good), "rows of a lesson: found 0"),
        (run(&holed, &good), "row 2, column 1: found NaN"),
        (run(&short, &good), "lesson targets: expected shape [5], got [1]"),
        (run(&lesson(5), &Recipe { batch: 0, ..good.clone() }), "training.batch: found 0"),
        (run(&lesson(5), &Recipe { clip: -1.0, ..good.clone() }), "training.clip: found -1"),
        (run(&lesson(5), &Recipe { clip: f64::NAN, ..good.clone() }), "training.clip: found NaN"),
        (run(&lesson(5), &Recipe { validation: 0.6, ..good }), "training.validation: found 0.6"),
    ];
    for (message, expected) in cases {
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_recipe_is_written_without_what_it_leaves_as_usual() {
    let text = |recipe: &Recipe| serde_json::to_string(recipe).unwrap();
    let usual = text(&Recipe::default());
    assert!(!["clip", "decay\":\"", "betas"].iter().any(|key| usual.contains(key)), "{usual}");
    let other = Recipe { clip: 1.0, decay: Decay::Matrices, ..Recipe::default() };
    assert!(text(&other).contains(r#""decay":"matrices","clip":1.0"#), "{}", text(&other));
    for recipe in [Recipe::default(), other] {
        assert_eq!(serde_json::from_str::<Recipe>(&text(&recipe)).unwrap(), recipe);
    }
}

/// The parameters before and after one step of plain descent at a rate of 1.
fn one_step(weight_decay: f64, recipe: Recipe) -> [Vec<Parameter>; 2] {
    let optimizer = Optimizer::Sgd { lr: 1.0, momentum: 0.0, weight_decay };
    let recipe = Recipe { optimizer, schedule: Schedule::Constant, steps: 1, ..recipe };
    [mlp().weights().unwrap(), train(&recipe, 1).unwrap().last.weights().unwrap()]
}

#[test]
fn a_clipped_step_is_as_long_as_the_limit() {
    for shards in [1, 3] {
        let recipe = Recipe { clip: 0.01, shards, ..Recipe::default() };
        let [before, after] = one_step(0.0, recipe).map(|all| {
            all.into_iter().flat_map(|(_, _, values)| values).map(f64::from).collect::<Vec<_>>()
        });
        let squares = before.iter().zip(&after).map(|(a, b)| (a - b) * (a - b));
        let length = squares.sum::<f64>().sqrt();
        assert!((length / 0.01 - 1.0).abs() < 1e-3, "{shards} shards: {length}");
    }
}

#[test]
fn decay_of_matrices_leaves_biases_alone() {
    let [_, plain] = one_step(0.0, Recipe::default());
    let [_, all] = one_step(0.5, Recipe::default());
    let [_, matrices] = one_step(0.5, Recipe { decay: Decay::Matrices, ..Recipe::default() });
    for ((plain, all), matrices) in plain.into_iter().zip(all).zip(matrices) {
        assert_ne!(all, plain);
        assert_eq!(matrices, if plain.1.len() == 1 { plain } else { all });
    }
}

/// Hash of a trained network; large enough that every kernel cuts its work.
fn large_weights(arch: &Arch, recipe: Recipe, shards: usize, threads: usize) -> String {
    let shape = InputShape::Image { c: 1, h: 28, w: 28 };
    let mut rng = Seed::new(8).rng();
    let inputs = Array2::from_shape_fn((300, 784), |_| normal(&mut rng) as f32);
    let targets = Targets::Labels((0..300).map(|i| i % 10).collect());
    let lesson = Lesson { inputs, targets };
    let recipe = Recipe { steps: 4, batch: 250, shards, threads, ..recipe };
    let model = Model::init(arch, shape, 10, Device::Cpu, Seed::new(1)).unwrap();
    let fitted = fit(model, &lesson, Loss::HardLabel, &recipe, Seed::new(1)).unwrap();
    fitted.last.weights_hash().unwrap()
}

#[test]
fn weights_do_not_depend_on_the_number_of_threads() {
    for arch in [Arch::Mlp { hidden: vec![512] }, Arch::Lenet { filters: [8, 16], hidden: 64 }] {
        let weights = |shards, threads| large_weights(&arch, Recipe::default(), shards, threads);
        let one = weights(4, 1);
        for threads in [2, 3, 5] {
            assert_eq!(weights(4, threads), one);
        }
        assert_ne!(weights(1, 1), one, "shards are a part of the result");
        let clipped = Recipe { clip: 0.1, decay: Decay::Matrices, ..Recipe::default() };
        let weights = |threads| large_weights(&arch, clipped.clone(), 4, threads);
        assert_eq!(weights(1), weights(2));
        assert_ne!(weights(1), one, "the limit and the decay are a part of the result");
    }
}

/// Names of parameters, and which of their numbers differ between two models.
fn moved(before: &Model, after: &Model) -> Vec<(String, Vec<bool>)> {
    let pairs = before.weights().unwrap().into_iter().zip(after.weights().unwrap());
    pairs
        .map(|((name, _, a), (_, _, b))| (name, a.iter().zip(&b).map(|(a, b)| a != b).collect()))
        .collect()
}

#[test]
fn a_part_of_the_outputs_learns_and_the_others_stay() {
    let arch = Arch::Mlp { hidden: vec![16, 16] };
    let model = Model::init(&arch, InputShape::Flat(2), 5, Device::Cpu, Seed::new(1)).unwrap();
    let recipe = Recipe { optimizer: Optimizer::adamw(3e-3, 0.0), ..Recipe::default() };
    let learn = |outputs| {
        fit_part(model.clone(), &lesson(200), Loss::HardLabel, outputs, &recipe, Seed::new(2))
    };
    let part = learn(2..4).unwrap().last;
    for (name, moved) in moved(&model, &part) {
        if name.starts_with("output") {
            let stays = |i: usize| !(2..4).contains(&(i % 5));
            assert!(moved.iter().enumerate().all(|(i, &m)| !(m && stays(i))), "{name}");
        }
        assert!(moved.contains(&true), "{name}");
    }
    let (x, labels) = rings(400);
    let logits = part.logits(x.view()).unwrap();
    let own = logits.slice(ndarray::s![.., 2..4]);
    let right = own.rows().into_iter().zip(labels).filter(|(r, l)| argmax(r.iter()) == *l).count();
    assert!(right > 388, "{right} of 400");
    for (outputs, found) in [(3..6, "3..6"), (2..3, "2..3")] {
        let message = learn(outputs).unwrap_err().to_string();
        assert!(message.contains(&format!("outputs to learn from: found {found}")), "{message}");
    }
}

#[test]
fn all_outputs_are_a_part_too() {
    let whole = train(&Recipe::default(), 3).unwrap().last.weights_hash().unwrap();
    let part =
        fit_part(mlp(), &lesson(200), Loss::HardLabel, 0..2, &Recipe::default(), Seed::new(3));
    assert_eq!(part.unwrap().last.weights_hash().unwrap(), whole);
}

#[test]
fn a_training_of_epochs_takes_as_many_steps_as_they_have_batches() {
    let (x, labels) = rings(50);
    let lesson = Lesson { inputs: x, targets: Targets::Labels(labels) };
    let model = || {
        let (arch, shape) = (Arch::Mlp { hidden: vec![8] }, InputShape::Flat(2));
        Model::init(&arch, shape, 2, Device::Cpu, Seed::new(1)).unwrap()
    };
    let steps = |epochs, batch| {
        let recipe = Recipe { epochs, batch, validation: 0.0, ..Recipe::default() };
        fit(model(), &lesson, Loss::HardLabel, &recipe, Seed::new(2)).unwrap().steps
    };
    assert_eq!([steps(3, 20), steps(2, 60), steps(0, 20)], [9, 2, 300]);
}

#[test]
fn dropout_weights_of_bounded_length_and_moved_images_still_learn() {
    // A bright line in the upper or in the lower half of an image of 8x8.
    let labels: Vec<usize> = (0..200).map(|i| i % 2).collect();
    let mut rng = Seed::new(6).rng();
    let x = Array2::from_shape_fn((200, 64), |(i, at)| {
        let line = at / 8 == if labels[i] == 0 { 2 } else { 5 };
        (0.3 * normal(&mut rng) + f64::from(u8::from(line))) as f32
    });
    let shape = InputShape::Image { c: 1, h: 8, w: 8 };
    let arch = Arch::Mlp { hidden: vec![32] };
    let fresh = Model::init(&arch, shape, 2, Device::Cpu, Seed::new(1)).unwrap();
    let lesson = Lesson { inputs: x.clone(), targets: Targets::Labels(labels.clone()) };
    let recipe = Recipe {
        dropout: [0.2, 0.5],
        max_norm: 1.5,
        jitter: 1,
        validation: 0.0,
        ..Recipe::default()
    };
    let model = fit(fresh, &lesson, Loss::HardLabel, &recipe, Seed::new(2)).unwrap().last;
    let right = model.probs(x.view()).unwrap();
    let right =
        right.rows().into_iter().zip(&labels).filter(|(row, l)| argmax(*row) == **l).count();
    assert!(right > 190, "{right}");
    for (name, shape, values) in model.weights().unwrap() {
        let [rows, columns] = shape[..] else { continue };
        for column in 0..columns {
            let squares = (0..rows).map(|row| f64::from(values[row * columns + column]));
            let norm = squares.map(|w| w * w).sum::<f64>().sqrt();
            assert!(norm < 1.5 + 1e-5, "{name} {column}: {norm}");
        }
    }
    let flat = Model::init(&arch, InputShape::Flat(64), 2, Device::Cpu, Seed::new(1)).unwrap();
    let message = fit(flat, &lesson, Loss::HardLabel, &recipe, Seed::new(2)).unwrap_err();
    assert!(message.to_string().contains("training.jitter: found 1 pixels"), "{message}");
}
