//! What our matrix products give by themselves, at the shapes of the wide MLP's training step.

use std::hint::black_box;
use std::time::Instant;

use retort::model::bench::Product;
use serde_json::{Value, json};

use crate::Outcome;
use crate::peak::peak;

/// Rows of a batch, and the layers.
const BATCH: usize = 128;
const LAYERS: [[usize; 2]; 3] = [[784, 1200], [1200, 1200], [1200, 10]];
const REPEATS: usize = 25;

/// Rates of each product and of all that a step needs, in GFLOP/s: the best of some repeats, as for the
/// peak that `share` compares with, and the median.
pub fn gemm() -> Outcome<Value> {
    let peak = peak()?["gflops"].as_f64().unwrap_or(f64::NAN);
    let (mut report, mut all) = (json!({ "peak": peak }), Tally::default());
    for (i, [from, to]) in LAYERS.into_iter().enumerate() {
        let forward = [BATCH, from, to];
        let mut products = vec![
            ("forward", Product::new(forward, [false, false])),
            ("weights", Product::new([from, BATCH, to], [true, false])),
        ];
        // Nobody asks for the gradient of the rows themselves. Layers so much wider than the batch compute
        // it turned.
        if i > 0 {
            products.push(("inputs", Product::new([from, to, BATCH], [false, true])));
        }
        for (what, product) in products {
            let one = Tally::of(product);
            report[format!("{what} {from}x{to}")] = one.report(peak);
            all.add(&one);
        }
        let ready = Tally::of(Product::new(forward, [false, false]).ready());
        report[format!("forward {from}x{to}, packed before")] = ready.report(peak);
    }
    report["step"] = all.report(peak);
    Ok(report)
}

/// Work and the seconds that it takes.
#[derive(Default)]
struct Tally {
    operations: f64,
    best: f64,
    median: f64,
}

impl Tally {
    fn of(mut product: Product) -> Self {
        let mut time = || {
            let clock = Instant::now();
            black_box(product.run());
            clock.elapsed().as_secs_f64()
        };
        time();
        let mut seconds: Vec<f64> = (0..REPEATS).map(|_| time()).collect();
        seconds.sort_by(f64::total_cmp);
        let operations = 2.0 * product.multiply_adds() as f64;
        Self { operations, best: seconds[0], median: seconds[REPEATS / 2] }
    }

    fn add(&mut self, other: &Self) {
        self.operations += other.operations;
        self.best += other.best;
        self.median += other.median;
    }

    fn report(&self, peak: f64) -> Value {
        let [best, median] = [self.best, self.median].map(|s| self.operations / s / 1e9);
        json!({ "best": best, "median": median, "share": best / peak })
    }
}
