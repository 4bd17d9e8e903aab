//! A crowd at the limiter and the teacher: 24,000 accounts ask 16 million rows of an MLP 64-64-10.
//!
//!     cargo bench --bench crowd [-- probs] [book]
//!
//! Accounts form two halves with a random stream each, so that a thread can own a half. One thread serves
//! both halves in turns, two serve one each: batches differ, answers must not, and the hash shows it.
//! Who asks is a weighted draw: with u uniform, account u^2 of its half, so that a few ask most.
//! `probs` asks for probabilities in 64 bits instead of logits; `book` also keeps the ledger's books.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a benchmark reads the clock and prints"
)]

use std::time::Instant;

use ndarray::{Array2, s};
use rand::Rng as _;
use retort::Seed;
use retort::ledger::{AccountId, Budget, Denial, Gcra, GcraState, Ledger, Tick};
use retort::model::{Arch, Device, InputShape, Model};
use retort::oracle::argmax;
use retort::seed::normal;

const ACCOUNTS: usize = 24_000;
const QUERIES: u64 = 16_000_000;
const HALVES: usize = 2;
const RUNS: usize = 5;
/// Rows answered at once.
const BATCH: usize = 4096;
/// Different rows that are asked.
const ROWS: usize = 1 << 12;
/// Virtual time between two queries: all fall within a day.
const EVERY_US: u64 = 5_400;
const DAY_US: u64 = 86_400_000_000;
/// Three times what an account asks on average.
const LIMIT: Gcra = Gcra::per(2_000, DAY_US, 50);

/// What is asked of the teacher, and of the ledger.
#[derive(Clone, Copy)]
struct Wanted {
    probs: bool,
    book: bool,
}

/// Half of the accounts, with all that is theirs.
struct Half {
    rng: rand_chacha::ChaCha8Rng,
    limits: Vec<GcraState>,
    admitted: Vec<u32>,
    /// Sum of the classes told.
    labels: Vec<u32>,
    ledger: Ledger,
}

impl Half {
    fn new(number: u64) -> Self {
        let mut ledger = Ledger::new();
        for _ in 0..ACCOUNTS / HALVES {
            let actor = ledger.open_actor("one of many", Budget::default());
            ledger.open_account(actor);
        }
        let zeros = || vec![0; ACCOUNTS / HALVES];
        let limits = vec![GcraState::default(); ACCOUNTS / HALVES];
        let rng = Seed::new(1).nth("crowd", number).rng();
        Self { rng, limits, admitted: zeros(), labels: zeros(), ledger }
    }

    /// Who asks next, and which row.
    fn draw(&mut self) -> (usize, usize) {
        let bits = self.rng.next_u64();
        let u = bits >> 32; // a share of 2^32
        let account = (((u * u) >> 32) * (ACCOUNTS / HALVES) as u64) >> 32;
        (account as usize, bits as usize % ROWS)
    }

    fn admit(&mut self, account: usize, now: Tick, book: bool) -> bool {
        let verdict = LIMIT.admit(&mut self.limits[account], now, 1);
        if book {
            let id = AccountId(account as u32);
            self.ledger.attempt(id, now).expect("a known account");
            match verdict {
                Ok(()) => {
                    let place = self.ledger.reserve(id).expect("a known account");
                    place.expect("no bound");
                    self.ledger.settle(id).expect("a known account");
                }
                Err(retry) => {
                    let retry_at = retry.expect("one unit passes some day");
                    let denial = Denial::Throttled { retry_at };
                    self.ledger.deny(id, denial).expect("a known account");
                }
            }
        }
        verdict.is_ok()
    }
}

/// Rows that wait for the teacher, and who asked them.
struct Waiting {
    rows: Array2<f32>,
    from: Vec<(usize, usize)>,
}

impl Waiting {
    fn answer(&mut self, halves: &mut [Half], teacher: &Model, wanted: Wanted) {
        let rows = self.rows.slice(s![..self.from.len(), ..]);
        let labels: Vec<usize> = if wanted.probs {
            let probs = teacher.probs(rows).expect("rows fit");
            probs.rows().into_iter().map(|row| argmax(row.iter())).collect()
        } else {
            let logits = teacher.logits(rows).expect("rows fit");
            logits.rows().into_iter().map(|row| argmax(row.iter())).collect()
        };
        for ((half, account), label) in self.from.drain(..).zip(labels) {
            halves[half].admitted[account] += 1;
            halves[half].labels[account] += label as u32;
        }
    }
}

/// Serves these halves, the first of which is number `first`, query by query in turns.
fn serve(halves: &mut [Half], first: u64, teacher: &Model, pool: &Array2<f32>, wanted: Wanted) {
    let rows = Array2::zeros((BATCH, pool.ncols()));
    let mut waiting = Waiting { rows, from: Vec::with_capacity(BATCH) };
    for turn in 0..QUERIES / HALVES as u64 {
        for half in 0..halves.len() {
            let now = Tick((turn * HALVES as u64 + first + half as u64) * EVERY_US);
            let (account, row) = halves[half].draw();
            if !halves[half].admit(account, now, wanted.book) {
                continue;
            }
            let place = waiting.from.len();
            waiting.rows.row_mut(place).assign(&pool.row(row));
            waiting.from.push((half, account));
            if place + 1 == BATCH {
                waiting.answer(halves, teacher, wanted);
            }
        }
    }
    waiting.answer(halves, teacher, wanted);
}

/// Seconds, share admitted, and a hash of what every account got.
fn run(threads: usize, teacher: &Model, pool: &Array2<f32>, wanted: Wanted) -> (f64, f64, String) {
    let mut halves: Vec<Half> = (0..HALVES as u64).map(Half::new).collect();
    let start = Instant::now();
    std::thread::scope(|scope| {
        let each = HALVES / threads;
        for (i, own) in halves.chunks_mut(each).enumerate() {
            scope.spawn(move || serve(own, (i * each) as u64, teacher, pool, wanted));
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    let mut hasher = blake3::Hasher::new();
    let mut admitted = 0;
    for half in &halves {
        for (&count, &sum) in half.admitted.iter().zip(&half.labels) {
            hasher.update(&count.to_le_bytes()).update(&sum.to_le_bytes());
            admitted += u64::from(count);
        }
    }
    let hash = hasher.finalize().to_hex()[..16].to_string();
    (seconds, admitted as f64 / QUERIES as f64, hash)
}

/// Largest size of this process so far, where the system tells it.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}

fn main() {
    let asked = |word: &str| std::env::args().any(|a| a == word);
    let wanted = Wanted { probs: asked("probs"), book: asked("book") };
    let shape = InputShape::Image { c: 1, h: 8, w: 8 };
    let arch = Arch::Mlp { hidden: vec![64] };
    let teacher = Model::init(&arch, shape, 10, Device::Cpu, Seed::new(2)).expect("a good plan");
    let mut rng = Seed::new(3).rng();
    let pool = Array2::from_shape_fn((ROWS, 64), |_| normal(&mut rng) as f32);
    let mut seconds = [(); HALVES].map(|()| Vec::new());
    for _ in 0..RUNS {
        for threads in 1..=HALVES {
            let (s, admitted, hash) = run(threads, &teacher, &pool, wanted);
            seconds[threads - 1].push(s);
            let rate = QUERIES as f64 / s / 1e6;
            println!(
                "{threads} threads: {s:.2} s, {rate:.1} M events/s, {:.2} % admitted, {hash}, peak {:.0} MiB",
                100.0 * admitted,
                peak_mib(),
            );
        }
    }
    for (threads, s) in (1..).zip(&mut seconds) {
        s.sort_by(f64::total_cmp);
        let (least, median, most) = (s[0], s[RUNS / 2], s[RUNS - 1]);
        let rate = QUERIES as f64 / median / 1e6;
        println!(
            "{threads} threads: median {median:.2} s ({least:.2} to {most:.2}), {rate:.1} M events/s"
        );
    }
}
