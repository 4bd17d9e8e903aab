//! So many training steps of one network, for counting their instructions: see `benches/callgrind.sh`.
//!
//!     steps KERNEL STEPS        KERNEL: mlp, lenet, decoder
//!
//! Prints the instruction set that the kernels choose on this machine.

#![allow(clippy::disallowed_macros, reason = "the script reads what this prints")]

use ndarray::Array2;
use retort::Seed;
use retort::model::language::{Bend, Corpus, Decoder, Fresh, Language, NormRule, Positions};
use retort::model::{Arch, Device, InputShape, Lesson, Loss, Model, Recipe, Targets, fit};

/// Rows are enough for this many steps in one epoch, so that every step costs the same.
const MOST: usize = 40;
const CONTEXT: usize = 32;

fn recipe(steps: usize, batch: usize) -> Recipe {
    assert!(steps < MOST, "fewer than {MOST} steps");
    Recipe { steps, batch, validation: 0.0, check_every: MOST, ..Recipe::default() }
}

fn classifier(arch: &Arch, batch: usize, steps: usize) {
    let shape = InputShape::Image { c: 1, h: 8, w: 8 };
    let rows = MOST * batch;
    let model = Model::init(arch, shape, 10, Device::Cpu, Seed::new(1)).expect("a good plan");
    let inputs = Array2::from_shape_fn((rows, 64), |(i, j)| ((i * 7 + j * 3) % 17) as f32 / 16.0);
    let lesson = Lesson { inputs, targets: Targets::Labels((0..rows).map(|i| i % 10).collect()) };
    let recipe = recipe(steps, batch);
    fit(model, &lesson, Loss::HardLabel, &recipe, Seed::new(2)).expect("training ends");
}

fn decoder(batch: usize, steps: usize) {
    let plan = Decoder {
        vocabulary: 64,
        context: CONTEXT,
        layers: 2,
        heads: 2,
        width: 32,
        norm: NormRule::Layer,
        positions: Positions::Rotary,
        bend: Bend::Gelu,
        dropout: 0.0,
        fresh: Fresh::Gpt2,
        llama: None,
    };
    let token = |i: usize, at: usize| (5 * i + at) % 64;
    let size = (MOST * batch, CONTEXT);
    let corpus = Corpus {
        tokens: Array2::from_shape_fn(size, |(i, at)| token(i, at) as u16),
        next: Array2::from_shape_fn(size, |(i, at)| token(i, at + 1) as i32),
    };
    let fresh = Language::init(&plan, Device::Cpu, Seed::new(1)).expect("a good plan");
    fresh.fit(&corpus, &recipe(steps, batch), Seed::new(2)).expect("training ends");
}

/// The choice of `pulp`, which the kernels follow.
fn instruction_set() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    return match (pulp::x86::V4::is_available(), pulp::x86::V3::is_available()) {
        (true, _) => "avx512",
        (_, true) => "avx2",
        _ => "other",
    };
    #[cfg(not(target_arch = "x86_64"))]
    std::env::consts::ARCH
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [kernel, steps] = &args[..] else { panic!("usage: steps KERNEL STEPS") };
    let steps = steps.parse().expect("a number of steps");
    match kernel.as_str() {
        "mlp" => classifier(&Arch::Mlp { hidden: vec![64] }, 64, steps),
        "lenet" => classifier(&Arch::Lenet { filters: [8, 16], hidden: 64 }, 8, steps),
        "decoder" => decoder(2, steps),
        other => panic!("no kernel `{other}`"),
    }
    println!("{}", instruction_set());
}
