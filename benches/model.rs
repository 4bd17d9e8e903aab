//! Training and answering, one thread: `cargo bench --bench model`.

use divan::{Bencher, counter::ItemsCount};
use ndarray::Array2;
use retort::Seed;
use retort::model::language::{Bend, Corpus, Decoder, Fresh, Language, NormRule, Positions};
use retort::model::{Arch, Device, InputShape, Lesson, Loss, Model, Recipe, Targets, fit};
use retort::seed::normal;

fn main() {
    divan::main();
}

const DIGITS: InputShape = InputShape::Image { c: 1, h: 8, w: 8 };
const MNIST: InputShape = InputShape::Image { c: 1, h: 28, w: 28 };

/// Networks by the names of the results.
const NETWORKS: [&str; 4] = ["mlp-64-64-10", "mlp-784-256-10", "lenet-8x8", "lenet-28x28"];

fn network(name: &str) -> Model {
    let lenet = Arch::Lenet { filters: [8, 16], hidden: 64 };
    let (arch, shape) = match name {
        "mlp-64-64-10" => (Arch::Mlp { hidden: vec![64] }, DIGITS),
        "mlp-784-256-10" => (Arch::Mlp { hidden: vec![256] }, MNIST),
        "lenet-8x8" => (lenet, DIGITS),
        _ => (lenet, MNIST),
    };
    Model::init(&arch, shape, 10, Device::Cpu, Seed::new(1)).expect("a good plan")
}

fn inputs(n: usize, model: &Model) -> Array2<f32> {
    let mut rng = Seed::new(2).rng();
    Array2::from_shape_fn((n, model.shape().len()), |_| normal(&mut rng) as f32)
}

fn train(bencher: Bencher<'_, '_>, name: &str, steps: usize, soft: bool) {
    let model = network(name);
    let inputs = inputs(400, &model);
    let (targets, loss) = match soft {
        true => {
            let probs = model.probs(inputs.view()).expect("inputs fit");
            (Targets::Probs(probs), Loss::SoftLabel { temperature: 2.0, eps: 1e-8 })
        }
        false => (Targets::Labels((0..400).map(|i| i % 10).collect()), Loss::HardLabel),
    };
    let lesson = Lesson { inputs, targets };
    let recipe = Recipe { steps, ..Recipe::default() };
    bencher.counter(ItemsCount::new(32 * steps)).bench_local(|| {
        fit(model.clone(), &lesson, loss, &recipe, Seed::new(3)).expect("training ends").steps
    });
}

/// A whole cell's training: 300 steps of 32 rows.
#[divan::bench(args = [false, true], sample_count = 20)]
fn fit_300_steps(bencher: Bencher<'_, '_>, soft: bool) {
    train(bencher, "mlp-64-64-10", 300, soft);
}

/// Ten steps of 32 rows, setting up included.
#[divan::bench(args = NETWORKS, sample_count = 20)]
fn fit_10_steps(bencher: Bencher<'_, '_>, name: &str) {
    train(bencher, name, 10, false);
}

/// Probabilities of a small MLP.
#[divan::bench(args = [1, 64, 4096])]
fn mlp_probs(bencher: Bencher<'_, '_>, rows: usize) {
    let model = network("mlp-64-64-10");
    let inputs = inputs(rows, &model);
    bencher.counter(ItemsCount::new(rows)).bench_local(|| model.probs(inputs.view()));
}

/// Probabilities of a small convolutional network.
#[divan::bench(args = [1, 64, 4096], sample_count = 10)]
fn lenet_probs(bencher: Bencher<'_, '_>, rows: usize) {
    let model = network("lenet-8x8");
    let inputs = inputs(rows, &model);
    bencher.counter(ItemsCount::new(rows)).bench_local(|| model.probs(inputs.view()));
}

/// A small decoder over bytes.
fn decoder() -> Language {
    let plan = Decoder {
        vocabulary: 256,
        context: 64,
        layers: 2,
        heads: 4,
        width: 64,
        norm: NormRule::Layer,
        positions: Positions::Rotary,
        bend: Bend::Gelu,
        dropout: 0.0,
        fresh: Fresh::Gpt2,
        llama: None,
    };
    Language::init(&plan, Device::Cpu, Seed::new(1)).expect("a good plan")
}

/// Ten steps of a decoder on 8 texts of 64 bytes, setting up included; items are bytes.
#[divan::bench(sample_count = 20)]
fn decoder_10_steps(bencher: Bencher<'_, '_>) {
    let model = decoder();
    let token = |i: usize, at: usize| (5 * i + at) % 256;
    let corpus = Corpus {
        tokens: Array2::from_shape_fn((96, 64), |(i, at)| token(i, at) as u16),
        next: Array2::from_shape_fn((96, 64), |(i, at)| token(i, at + 1) as i32),
    };
    let recipe = Recipe { steps: 10, batch: 8, ..Recipe::default() };
    bencher
        .counter(ItemsCount::new(10 * 8 * 64_usize))
        .bench_local(|| model.fit(&corpus, &recipe, Seed::new(3)).expect("training ends").steps);
}

/// Each of these many texts continued by 56 bytes, the most likely at each place.
#[divan::bench(args = [1, 64], sample_count = 20)]
fn greedy(bencher: Bencher<'_, '_>, texts: usize) {
    let model = decoder();
    let prompts: Vec<Vec<u16>> = (0..texts as u16).map(|i| vec![i; 8]).collect();
    bencher
        .counter(ItemsCount::new(texts * 56))
        .bench_local(|| model.greedy(&prompts, 56, None).expect("prompts fit"));
}
