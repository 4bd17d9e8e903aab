//! A training step allocates nothing: three times the steps, the same number of allocations.

#![allow(unsafe_code, reason = "an allocator can only be written so")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ndarray::Array2;
use retort::Seed;
use retort::model::language::{
    Bend, Corpus, Decoder, Fresh, Language, LlamaBlocks, NormRule, Positions, Soft, Sorted, Tell,
};
use retort::model::loss::Divergence;
use retort::model::{
    Arch, Decay, Device, InputShape, Lesson, Loss, Model, Optimizer, Recipe, Targets, fit,
};
use retort::oracle::TopK;

/// The system's allocator, with the calls of each thread counted: other tests run beside this one.
struct Counting;

thread_local! {
    // Without a destructor and made by the compiler, so that reading it allocates nothing.
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    CALLS.set(CALLS.get() + 1);
}

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of theirs.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Steps of the short training; the long one takes three times as many.
const STEPS: usize = 4;
const BATCH: usize = 8;
/// Enough that the long training stays within one epoch, its last look at a batch included.
const ROWS: usize = BATCH * (3 * STEPS + 1);

/// Fails unless a short and a long training allocate equally often.
fn expect_equal(what: &str, optimizer: Optimizer, mut train: impl FnMut(&Recipe)) {
    let mut calls = |steps| {
        let recipe = Recipe {
            steps,
            optimizer: optimizer.clone(),
            decay: Decay::Matrices,
            clip: 0.1,
            batch: BATCH,
            validation: 0.0,
            check_every: 100 * STEPS,
            ..Recipe::default()
        };
        let before = CALLS.get();
        train(&recipe);
        CALLS.get() - before
    };
    let (short, long) = (calls(STEPS), calls(3 * STEPS));
    assert!(short > 0, "the allocator counts");
    assert_eq!(short, long, "{what}: allocations of {STEPS} steps and of {}", 3 * STEPS);
}

const ADAMW: Optimizer = Optimizer::adamw(1e-3, 1e-2);
const SGD: Optimizer = Optimizer::Sgd { lr: 1e-3, momentum: 0.9, weight_decay: 0.0 };

fn classifier(arch: &Arch, optimizer: Optimizer, loss: Loss) {
    let shape = InputShape::Image { c: 1, h: 8, w: 8 };
    let model = Model::init(arch, shape, 10, Device::Cpu, Seed::new(1)).expect("a good plan");
    let inputs = Array2::from_shape_fn((ROWS, 64), |(i, j)| ((i * 7 + j * 3) % 17) as f32 / 16.0);
    let targets = match loss {
        Loss::HardLabel | Loss::Misinformation => {
            Targets::Labels((0..ROWS).map(|i| i % 10).collect())
        }
        Loss::Nasty { .. } => Targets::Away {
            labels: (0..ROWS).map(|i| i % 10).collect(),
            from: Array2::from_elem((ROWS, 10), 0.1),
        },
        Loss::Bucket => Targets::Bucket(TopK {
            classes: 10,
            ids: Array2::from_shape_fn((ROWS, 2), |(i, j)| (i + j) % 10),
            probs: Array2::from_elem((ROWS, 2), 0.4),
        }),
        _ => Targets::Probs(Array2::from_elem((ROWS, 10), 0.1)),
    };
    let lesson = Lesson { inputs, targets };
    expect_equal(&format!("{arch:?}, {loss:?}, {optimizer:?}"), optimizer, |recipe| {
        fit(model.clone(), &lesson, loss, recipe, Seed::new(2)).expect("training ends");
    });
}

#[test]
fn a_step_of_a_classifier_allocates_nothing() {
    for arch in Arch::examples().into_iter().filter(Arch::has_gradients) {
        for optimizer in [ADAMW, SGD] {
            let soft = Loss::SoftLabel { temperature: 2.0, eps: 1e-8 };
            let nasty = Loss::Nasty { temperature: 4.0, weight: 0.01 };
            let wrong = Loss::Misinformation;
            for loss in [Loss::HardLabel, soft, Loss::Bucket, Loss::L1, wrong, nasty] {
                classifier(&arch, optimizer.clone(), loss);
            }
        }
    }
}

#[test]
fn a_step_of_a_decoder_allocates_nothing() {
    let plain = Decoder {
        vocabulary: 11,
        context: 12,
        layers: 2,
        heads: 2,
        width: 16,
        norm: NormRule::Layer,
        positions: Positions::Rotary,
        bend: Bend::Gelu,
        dropout: 0.0,
        fresh: Fresh::Gpt2,
        llama: None,
    };
    let other = Decoder {
        norm: NormRule::Rms,
        positions: Positions::Learnt,
        bend: Bend::Silu,
        dropout: 0.1,
        ..plain.clone()
    };
    let token = |i: usize, at: usize| (i + at) % 11;
    let corpus = Corpus {
        tokens: Array2::from_shape_fn((ROWS, 12), |(i, at)| token(i, at) as u16),
        next: Array2::from_shape_fn((ROWS, 12), |(i, at)| token(i, at + 1) as i32),
    };
    let blocks =
        LlamaBlocks { key_heads: 1, head: 8, hidden: 24, base: 1e4, epsilon: 1e-5, tied: true };
    let (norm, bend) = (NormRule::Rms, Bend::Silu);
    let llama = Decoder { norm, bend, llama: Some(blocks), ..plain.clone() };
    for plan in [plain, other, llama] {
        let fresh = Language::init(&plan, Device::Cpu, Seed::new(1)).expect("a good plan");
        expect_equal(&format!("{plan:?}"), ADAMW, |recipe| {
            fresh.fit(&corpus, recipe, Seed::new(2)).expect("training ends");
        });
        for tell in [Tell::Full, Tell::TopK { k: 3 }] {
            let told = fresh.score(&corpus, tell, Seed::new(3)).expect("texts that fit");
            let soft = Soft { divergence: Divergence::Jsd { beta: 0.5 }, ..Soft::new(told) };
            expect_equal(&format!("{plan:?}, {tell:?}"), ADAMW, |recipe| {
                fresh.fit_soft(&corpus, &soft, recipe, Seed::new(2)).expect("training ends");
            });
        }
        let mut sorted = Sorted::new(1.5, 5).expect("a good weight");
        for own in corpus.rows() {
            let logs = Array2::from_elem((own.len() - 1, 3), -2.0_f32);
            sorted.push(logs.view(), own.len()).expect("logarithms");
        }
        expect_equal(&format!("{plan:?}, sorted"), ADAMW, |recipe| {
            let sorted = sorted.clone();
            fresh.fit_sorted(&corpus, sorted, recipe, Seed::new(2)).expect("training ends");
        });
    }
}
