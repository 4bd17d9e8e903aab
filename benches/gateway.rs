//! What a batch costs at the gateway, over an oracle that costs nothing.

use ndarray::Array2;
use retort::defense::{DefenseSpec, Stack, Workshop};
use retort::gateway::{Door as _, Gateway};
use retort::ledger::{Budget, Ledger};
use retort::oracle::scripted::Scripted;
use retort::oracle::{AccountId, Batch, Oracle as _, Tick};
use retort::seed::Seed;

fn main() {
    divan::main();
}

/// `layers` layers, cheap and costly ones in turn.
fn gateway(layers: usize) -> Gateway {
    let kinds = [
        "kind = 'rate-limit'\nqueries = 1000000\nper = 'second'\nburst = 1000000",
        "kind = 'round'\ndigits = 2",
        "kind = 'gaussian-noise'\nsigma = 0.1",
        "kind = 'reverse-sigmoid'\nbeta = 0.5\ngamma = 0.2",
        "kind = 'temperature'\nt = 2.0",
    ];
    let specs: Vec<DefenseSpec> =
        kinds.iter().take(layers).map(|k| toml::from_str(k).expect("a spec")).collect();
    let oracle = Scripted::constant(64, vec![0.1; 10]);
    let stack = Stack::build(&specs, Seed::new(0), oracle.card(), &Workshop::empty(oracle.card()))
        .expect("a stack");
    let mut ledger = Ledger::new();
    let actor = ledger.open_actor("student", Budget::default());
    ledger.open_account(actor);
    Gateway::new(ledger, stack, Box::new(oracle))
}

#[divan::bench(args = [1, 64, 4096], consts = [0, 1, 5])]
fn ask<const LAYERS: usize>(bencher: divan::Bencher<'_, '_>, rows: usize) {
    let mut gate = gateway(LAYERS);
    let mut now = 0;
    bencher.counter(divan::counter::ItemsCount::new(rows)).bench_local(|| {
        now += 1_000_000;
        let batch = Batch::classify(AccountId(0), Tick(now), Array2::zeros((rows, 64)));
        gate.ask(&batch).expect("an answer")
    });
}
