//! What must not change what a decoder learns: how a batch is cut, how far a text is padded, what company it keeps.

use super::*;
use crate::Error;

/// A recipe of one step of plain descent on all texts at once.
fn step(rate: f64, texts: usize, shards: usize) -> Recipe {
    let optimizer = Optimizer::Sgd { lr: rate, momentum: 0.0, weight_decay: 0.0 };
    Recipe { optimizer, schedule: Schedule::Constant, batch: texts, shards, ..recipe(1) }
}

fn fresh(plan: &Decoder) -> Language {
    Language::init(plan, Device::Cpu, Seed::new(1)).unwrap()
}

/// All numbers of a model, or of a gradient, by parameter.
type Numbers = Vec<(String, Vec<f64>)>;

/// The gradient of the mean loss of all texts: what one step at a rate of 1 takes off.
fn gradient(model: &Language, corpus: &Corpus, shards: usize) -> Numbers {
    let after = model.fit(corpus, &step(1.0, corpus.tokens.nrows(), shards), Seed::new(2)).unwrap();
    let pairs = model.weights().into_iter().zip(after.last.weights());
    let difference = |a: &[f32], b: &[f32]| {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) - f64::from(b)).collect()
    };
    pairs.map(|((name, _, old), (_, _, new))| (name, difference(&old, &new))).collect()
}

/// The sum of gradients, each times its weight.
fn sum(parts: &[(f64, &Numbers)]) -> Numbers {
    let mut all = parts[0].1.clone();
    for (i, (name, values)) in all.iter_mut().enumerate() {
        for (at, value) in values.iter_mut().enumerate() {
            *value = parts.iter().map(|(weight, part)| weight * part[i].1[at]).sum();
        }
        assert!(parts.iter().all(|(_, part)| part[i].0 == *name));
    }
    all
}

/// Equal up to the rounding of 32 bits; the longer of two parameters may have zeros at its end.
fn assert_close(found: &Numbers, expected: &Numbers, what: &str) {
    for ((name, found), (_, expected)) in found.iter().zip(expected) {
        // Sums of 32 bits err in proportion to the largest, not to what is left of it.
        let size = expected.iter().fold(1.0, |a: f64, v| a.max(v.abs()));
        for at in 0..found.len().max(expected.len()) {
            let [a, b] = [found, expected].map(|values| values.get(at).copied().unwrap_or(0.0));
            assert!((a - b).abs() < 2e-6 * size, "{what}: {name}[{at}] is {a}, expected {b}");
        }
    }
    let longest = found.iter().flat_map(|(_, values)| values).fold(0.0, |a: f64, v| a.max(v.abs()));
    assert!(longest > 1e-3, "{what}: a gradient of nothing");
}

/// Texts of these many learnt tokens, the last ones of each text, with different content.
fn texts(learnt: &[usize]) -> Corpus {
    let token = |i: usize, at: usize| (i * i + 3 * at + at * at * (i + 1)) % 11;
    let size = (learnt.len(), 12);
    Corpus {
        tokens: Array2::from_shape_fn(size, |(i, at)| token(i, at) as u16),
        next: Array2::from_shape_fn(size, |(i, at)| match at + learnt[i] < 12 {
            true => -1,
            false => token(i, at + 1) as i32,
        }),
    }
}

fn only(corpus: &Corpus, text: usize) -> Corpus {
    let row = |i: usize| i..=i;
    Corpus {
        tokens: corpus.tokens.slice(ndarray::s![row(text), ..]).to_owned(),
        next: corpus.next.slice(ndarray::s![row(text), ..]).to_owned(),
    }
}

/// Mean of -log q(next) over all tokens that count, from the logits that anyone sees.
fn loss(model: &Language, corpus: &Corpus) -> f64 {
    let logits = model.logits(corpus.tokens.view()).unwrap();
    let (mut nats, mut counted) = (0.0, 0.0);
    for (row, &next) in logits.rows().into_iter().zip(&corpus.next) {
        let Ok(next) = usize::try_from(next) else { continue };
        let sum: f64 = row.iter().map(|&z| f64::from(z).exp()).sum();
        nats += sum.ln() - f64::from(row[next]);
        counted += 1.0;
    }
    nats / counted
}

/// Plans with both sorts of positions, and one of the Llama family.
fn plans() -> [Decoder; 3] {
    let plain = |positions| Decoder { positions, ..plan() };
    [plain(Positions::Rotary), plain(Positions::Learnt), llama(true)]
        .map(|plan| Decoder { fresh: Fresh::FanIn, ..plan })
}

#[test]
fn a_gradient_is_the_mean_over_tokens_however_the_batch_is_cut() {
    for plan in plans() {
        let model = fresh(&plan);
        // Three and one: the token of the short text weighs as much as each of the long one.
        let two = texts(&[3, 1]);
        let [long, short] = [0, 1].map(|i| gradient(&model, &only(&two, i), 1));
        let expected = sum(&[(0.75, &long), (0.25, &short)]);
        for shards in [1, 2, 4] {
            assert_close(&gradient(&model, &two, shards), &expected, "three tokens and one");
        }
        let eight = texts(&[12, 1, 7, 2, 1, 11, 1, 4]);
        let whole = gradient(&model, &eight, 1);
        for shards in [2, 3, 4, 8] {
            assert_close(&gradient(&model, &eight, shards), &whole, "eight ragged texts");
        }
    }
}

#[test]
fn a_small_step_lowers_the_mean_loss_over_tokens_by_the_square_of_its_gradient() {
    for plan in plans() {
        let (model, corpus) = (fresh(&plan), texts(&[12, 1, 7, 2]));
        let squares = gradient(&model, &corpus, 1);
        let squares: f64 = squares.iter().flat_map(|(_, v)| v).map(|v| v * v).sum();
        let slope = |rate: f64| {
            let after = model.fit(&corpus, &step(rate, 4, 2), Seed::new(2)).unwrap().last;
            (loss(&model, &corpus) - loss(&after, &corpus)) / rate
        };
        // Two rates take the curvature out.
        let found = 2.0 * slope(1e-4) - slope(2e-4);
        assert!((found / squares - 1.0).abs() < 0.01, "{found}, expected {squares}");
    }
}

#[test]
fn a_text_padded_to_a_longer_context_has_the_same_loss_and_gradient() {
    for short in plans() {
        let long = Decoder { context: 29, ..short.clone() };
        let corpus = texts(&[12, 3, 1]);
        let padded = |with: u16| {
            let mut tokens = Array2::from_elem((3, 29), with);
            let mut next = Array2::from_elem((3, 29), -1);
            tokens.slice_mut(ndarray::s![.., ..12]).assign(&corpus.tokens);
            next.slice_mut(ndarray::s![.., ..12]).assign(&corpus.next);
            Corpus { tokens, next }
        };
        let (model, wide) = (fresh(&short), fresh(&long));
        assert!((loss(&model, &corpus) - loss(&wide, &padded(0))).abs() < 1e-6);
        let expected = gradient(&model, &corpus, 1);
        for shards in [1, 3] {
            assert_close(&gradient(&wide, &padded(0), shards), &expected, "padded");
        }
        assert_eq!(gradient(&wide, &padded(0), 1), gradient(&wide, &padded(7), 1), "with what");
    }
}

#[test]
fn texts_without_a_learnt_token_weigh_nothing() {
    for plan in plans() {
        let model = fresh(&plan);
        let some = texts(&[5, 2]);
        let expected = gradient(&model, &some, 1);
        let with_empty = texts(&[5, 2, 0, 0]);
        // With four shards two of them have nothing to learn, wherever the order puts them.
        for shards in [1, 2, 4] {
            assert_close(&gradient(&model, &with_empty, shards), &expected, "two empty texts");
        }
        for shards in [1, 2] {
            let after = model.fit(&texts(&[0, 0]), &step(1.0, 2, shards), Seed::new(2)).unwrap();
            assert_eq!(after.last.weights(), model.weights(), "a batch of nothing");
        }
    }
}

/// Every plan that differs in kind, on as few tokens and places as there can be.
fn variants() -> Vec<Decoder> {
    let mut all = Vec::new();
    for norm in [NormRule::Layer, NormRule::Rms] {
        for positions in [Positions::Rotary, Positions::Learnt] {
            for bend in [Bend::Gelu, Bend::Silu] {
                for fresh in [Fresh::Gpt2, Fresh::FanIn] {
                    for dropout in [0.0, 0.1] {
                        all.push(Decoder { norm, positions, bend, fresh, dropout, ..plan() });
                    }
                }
            }
        }
    }
    all
}

#[test]
fn every_number_of_every_plan_has_a_gradient_and_two_steps_move_it() {
    let corpus = texts(&[12; 16]);
    for plan in variants() {
        let model = fresh(&plan);
        // A rate at which even small gradients leave a trace in 32 bits.
        let after = model.fit(&corpus, &step(100.0, 16, 2), Seed::new(2)).unwrap().last;
        for ((name, _, old), (_, _, new)) in model.weights().into_iter().zip(after.weights()) {
            let still: Vec<usize> = (0..old.len()).filter(|&i| old[i] == new[i]).collect();
            // The softmax does not feel what all its keys share; a turned key shares nothing.
            let keys = name.ends_with("attention.in.bias") && plan.positions == Positions::Learnt;
            let may_stay = |i: &usize| keys && (16..32).contains(i);
            assert!(still.iter().all(may_stay), "{plan:?}: {name} has no gradient at {still:?}");
            let largest = (16..32).map(|i| (old[i % old.len()] - new[i % old.len()]).abs());
            assert!(!keys || largest.fold(0.0, f32::max) < 1e-4, "{plan:?}: keys' shared part");
        }
        let moved = model.fit(&corpus, &Recipe { batch: 8, ..recipe(2) }, Seed::new(2)).unwrap();
        for ((name, _, old), (_, _, new)) in model.weights().into_iter().zip(moved.last.weights()) {
            assert!(old.iter().zip(&new).all(|(a, b)| a != b), "{plan:?}: {name} did not move");
        }
    }
}

#[test]
fn each_text_keeps_its_own_answer_through_shuffled_epochs() {
    // The answer to a number of two digits, below 64, is two digits that no rule gives.
    let answer = |i: usize| (i * 37 + 11) % 64;
    let tokens = Array2::from_shape_fn((64, 12), |(i, at)| match at {
        0 => (i / 8) as u16,
        1 => (i % 8) as u16,
        2 => (answer(i) / 8) as u16,
        _ => 10,
    });
    let next = Array2::from_shape_fn((64, 12), |(i, at)| match at {
        1 => (answer(i) / 8) as i32,
        2 => (answer(i) % 8) as i32,
        _ => -1,
    });
    let corpus = Corpus { tokens, next };
    let recipe = Recipe { batch: 7, shards: 2, ..recipe(1200) };
    let plan = Decoder { fresh: Fresh::FanIn, ..plan() };
    let learned = fresh(&plan).fit(&corpus, &recipe, Seed::new(2)).unwrap().last;
    let prompts: Vec<Vec<u16>> = (0..64).map(|i| vec![i / 8, i % 8]).collect();
    let answers = learned.greedy(&prompts, 2, None).unwrap();
    let right = |(i, given): &(usize, Vec<u16>)| {
        usize::from(given[0]) * 8 + usize::from(given[1]) == answer(*i)
    };
    assert_eq!(answers.into_iter().enumerate().filter(right).count(), 64);
}

#[test]
fn an_absurd_learning_rate_ends_as_diverged() {
    for shards in [1, 2] {
        let result = fresh(&plan()).fit(&texts(&[12; 4]), &step(1e30, 4, shards), Seed::new(1));
        let Err(Error::Diverged { step, last_loss }) = result else { panic!("it went on") };
        assert!(step <= 1 && last_loss.is_some_and(|l| l < 10.0), "{step}, {last_loss:?}");
    }
}
