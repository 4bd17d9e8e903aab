//! A crowd at the limiter and the teacher: 24,000 accounts ask 16 million rows of an MLP 64-64-10.
//!
//!     cargo bench --bench crowd [-- probs] [book] [cusum] [round] [campaign]
//!
//! Accounts form two halves with a random stream each, so that a thread can own a half. One thread serves
//! both halves in turns, two serve one each: batches differ, answers must not, and the hash shows it.
//! Who asks is a weighted draw: with u uniform, account u^2 of its half, so that a few ask most.
//! `probs` asks for probabilities in 64 bits instead of logits; `book` also keeps the ledger's books;
//! `cusum` watches every account with a cumulative sum, `round` rounds probabilities to one decimal.
//! `campaign` is `cusum` and `round` for the 16.55 million exchanges of a published campaign in 45 days.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a benchmark reads the clock and prints"
)]

use std::time::{Duration, Instant};

use ndarray::{Array2, s};
use rand::Rng as _;
use retort::Seed;
use retort::campaign::detect::Verdict;
use retort::campaign::detect::cusum::{self, Cusum, CusumState};
use retort::defense::round::{self, Round};
use retort::ledger::{AccountId, Budget, Denial, Gcra, GcraState, Ledger, Tick};
use retort::model::{Arch, Device, InputShape, Model};
use retort::oracle::argmax;
use retort::seed::normal;

const ACCOUNTS: usize = 24_000;
const HALVES: usize = 2;
const RUNS: usize = 5;
/// Rows answered at once.
const BATCH: usize = 4096;
/// Share of queries that ask for visible reasoning.
const ELICITS: f64 = 0.02;
/// Different rows that are asked.
const ROWS: usize = 1 << 12;
/// Queries, and the virtual time between two: all fall within a day.
const DAY: (u64, u64) = (16_000_000, 5_400);
/// The same for a campaign of 45 days.
const CAMPAIGN: (u64, u64) = (16_550_000, 234_900);
const DAY_US: u64 = 86_400_000_000;
/// Three times what an account asks on average.
const LIMIT: Gcra = Gcra::per(2_000, DAY_US, 50);

/// What is asked of the teacher, and of the ledger.
#[derive(Clone, Copy)]
struct Wanted {
    probs: bool,
    book: bool,
    cusum: Option<Cusum>,
    round: Option<Round>,
    queries: u64,
    every_us: u64,
}

impl Wanted {
    fn read() -> Self {
        let asked = |word: &str| std::env::args().any(|a| a == word);
        let whole = asked("campaign");
        let (queries, every_us) = if whole { CAMPAIGN } else { DAY };
        let cusum = cusum::Params { k: 0.5, h: 40.0 };
        let round = round::Params { digits: 1 };
        Self {
            probs: whole || asked("probs") || asked("round"),
            book: asked("book"),
            cusum: (whole || asked("cusum")).then(|| cusum.build().expect("in range")),
            round: (whole || asked("round")).then(|| round.build().expect("in range")),
            queries,
            every_us,
        }
    }
}

/// Time spent on each part, all threads together.
#[derive(Clone, Copy, Default)]
struct Split {
    ledger: Duration,
    defense: Duration,
    inference: Duration,
}

/// A query that was let through.
struct Query {
    half: usize,
    account: usize,
    row: usize,
    /// Asks for visible reasoning: what the detector counts.
    elicits: bool,
}

/// Half of the accounts, with all that is theirs.
struct Half {
    rng: rand_chacha::ChaCha8Rng,
    limits: Vec<GcraState>,
    admitted: Vec<u32>,
    sums: Vec<CusumState>,
    alarms: Vec<u32>,
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
        let sums = vec![CusumState::default(); ACCOUNTS / HALVES];
        Self { rng, limits, admitted: zeros(), sums, alarms: zeros(), labels: zeros(), ledger }
    }

    /// Who of half number `half` asks next, and what.
    fn draw(&mut self, half: usize) -> Query {
        let bits = self.rng.next_u64();
        let u = bits >> 32; // a share of 2^32
        let account = (((u * u) >> 32) * (ACCOUNTS / HALVES) as u64) >> 32;
        let elicits = ((bits >> 12) % (1 << 20)) as f64 <= ELICITS * f64::from(1 << 20);
        Query { half, account: account as usize, row: bits as usize % ROWS, elicits }
    }

    /// Watches an admitted query.
    fn watch(&mut self, query: &Query, cusum: &Cusum) {
        let z = (f64::from(u8::from(query.elicits)) - ELICITS) / (ELICITS * (1.0 - ELICITS)).sqrt();
        let verdict = cusum.observe(&mut self.sums[query.account], z);
        self.alarms[query.account] += u32::from(verdict == Verdict::Alarm);
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

/// Queries that wait for the teacher.
struct Waiting {
    rows: Array2<f32>,
    queries: Vec<Query>,
    split: Split,
}

impl Waiting {
    fn answer(&mut self, halves: &mut [Half], teacher: &Model, pool: &Array2<f32>, wanted: Wanted) {
        let start = Instant::now();
        if let Some(cusum) = &wanted.cusum {
            self.queries.iter().for_each(|q| halves[q.half].watch(q, cusum));
        }
        let watched = Instant::now();
        for (query, mut row) in self.queries.iter().zip(self.rows.rows_mut()) {
            row.assign(&pool.row(query.row));
        }
        let rows = self.rows.slice(s![..self.queries.len(), ..]);
        let mut rounding = Duration::ZERO;
        let labels: Vec<usize> = if wanted.probs {
            let mut probs = teacher.probs(rows).expect("rows fit");
            let answered = Instant::now();
            if let Some(round) = &wanted.round {
                probs.mapv_inplace(|p| round.value(p));
            }
            rounding = answered.elapsed();
            probs.rows().into_iter().map(|row| argmax(row.iter())).collect()
        } else {
            let logits = teacher.logits(rows).expect("rows fit");
            logits.rows().into_iter().map(|row| argmax(row.iter())).collect()
        };
        for (query, label) in self.queries.drain(..).zip(labels) {
            halves[query.half].admitted[query.account] += 1;
            halves[query.half].labels[query.account] += label as u32;
        }
        self.split.defense += watched - start + rounding;
        self.split.inference += watched.elapsed() - rounding;
    }
}

/// Serves these halves, the first of which is number `first`, query by query in turns.
fn serve(
    halves: &mut [Half],
    first: u64,
    teacher: &Model,
    pool: &Array2<f32>,
    wanted: Wanted,
) -> Split {
    let rows = Array2::zeros((BATCH, pool.ncols()));
    let queries = Vec::with_capacity(BATCH);
    let mut waiting = Waiting { rows, queries, split: Split::default() };
    let mut since = Instant::now();
    for turn in 0..wanted.queries / HALVES as u64 {
        for half in 0..halves.len() {
            let now = Tick((turn * HALVES as u64 + first + half as u64) * wanted.every_us);
            let query = halves[half].draw(half);
            if !halves[half].admit(query.account, now, wanted.book) {
                continue;
            }
            waiting.queries.push(query);
            if waiting.queries.len() == BATCH {
                waiting.split.ledger += since.elapsed();
                waiting.answer(halves, teacher, pool, wanted);
                since = Instant::now();
            }
        }
    }
    waiting.split.ledger += since.elapsed();
    waiting.answer(halves, teacher, pool, wanted);
    waiting.split
}

/// What a run gave.
struct Ran {
    seconds: f64,
    /// Share of queries.
    admitted: f64,
    /// Accounts that the detector named.
    alarmed: usize,
    /// Of what every account got.
    hash: String,
    split: Split,
}

fn run(threads: usize, teacher: &Model, pool: &Array2<f32>, wanted: Wanted) -> Ran {
    let mut halves: Vec<Half> = (0..HALVES as u64).map(Half::new).collect();
    let mut split = Split::default();
    let start = Instant::now();
    std::thread::scope(|scope| {
        let each = HALVES / threads;
        let own = halves.chunks_mut(each).enumerate();
        let threads: Vec<_> = own
            .map(|(i, own)| {
                scope.spawn(move || serve(own, (i * each) as u64, teacher, pool, wanted))
            })
            .collect();
        for thread in threads {
            let part = thread.join().expect("no thread panics");
            split.ledger += part.ledger;
            split.defense += part.defense;
            split.inference += part.inference;
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    let mut hasher = blake3::Hasher::new();
    let (mut admitted, mut alarmed) = (0, 0);
    for half in &halves {
        for (&count, &sum) in half.admitted.iter().zip(&half.labels) {
            hasher.update(&count.to_le_bytes()).update(&sum.to_le_bytes());
            admitted += u64::from(count);
        }
        half.alarms.iter().for_each(|n| {
            hasher.update(&n.to_le_bytes());
        });
        alarmed += half.alarms.iter().filter(|&&n| n > 0).count();
    }
    let hash = hasher.finalize().to_hex()[..16].to_string();
    let admitted = admitted as f64 / wanted.queries as f64;
    Ran { seconds, admitted, alarmed, hash, split }
}

/// Largest size of this process so far, where the system tells it.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}

fn main() {
    let wanted = Wanted::read();
    let shape = InputShape::Image { c: 1, h: 8, w: 8 };
    let arch = Arch::Mlp { hidden: vec![64] };
    let teacher = Model::init(&arch, shape, 10, Device::Cpu, Seed::new(2)).expect("a good plan");
    let mut rng = Seed::new(3).rng();
    let pool = Array2::from_shape_fn((ROWS, 64), |_| normal(&mut rng) as f32);
    let rate = |seconds: f64| wanted.queries as f64 / seconds / 1e6;
    let mut seconds = [(); HALVES].map(|()| Vec::new());
    for _ in 0..RUNS {
        for threads in 1..=HALVES {
            let ran = run(threads, &teacher, &pool, wanted);
            let Ran { seconds: s, admitted, alarmed, hash, split } = ran;
            seconds[threads - 1].push(s);
            println!(
                "{threads} threads: {s:.2} s, {:.1} M events/s, {:.2} % admitted, {alarmed} accounts \
                 alarmed, {hash}, peak {:.0} MiB; seconds of all threads: ledger {:.2}, defense \
                 {:.2}, inference {:.2}",
                rate(s),
                100.0 * admitted,
                peak_mib(),
                split.ledger.as_secs_f64(),
                split.defense.as_secs_f64(),
                split.inference.as_secs_f64(),
            );
        }
    }
    for (threads, s) in (1..).zip(&mut seconds) {
        s.sort_by(f64::total_cmp);
        let (least, median, most) = (s[0], s[RUNS / 2], s[RUNS - 1]);
        println!(
            "{threads} threads: median {median:.2} s ({least:.2} to {most:.2}), {:.1} M events/s",
            rate(median)
        );
    }
}
