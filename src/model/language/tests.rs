//! A small decoder on texts with a rule.

use super::*;
use crate::model::{Decay, Optimizer, Recipe, Schedule};
use crate::oracle::argmax;

mod invariance;

fn plan() -> Decoder {
    Decoder {
        vocabulary: 11,
        context: 12,
        layers: 2,
        heads: 2,
        width: 16,
        norm: NormRule::default(),
        positions: Positions::default(),
        bend: Bend::default(),
        dropout: 0.0,
        fresh: Fresh::default(),
        llama: None,
    }
}

/// The same with blocks of the Llama family: heads of their own width, some of which share keys.
fn llama(tied: bool) -> Decoder {
    let blocks =
        LlamaBlocks { key_heads: 2, head: 10, hidden: 24, base: 500.0, epsilon: 1e-6, tied };
    let (norm, bend) = (NormRule::Rms, Bend::Silu);
    Decoder { heads: 4, norm, bend, llama: Some(blocks), ..plan() }
}

/// Texts that count up from different starts, by one or by two.
fn counting(n: usize) -> Corpus {
    let token = |i: usize, at: usize| (i + at * (1 + i / 11 % 2)) % 11;
    let tokens = Array2::from_shape_fn((n, 12), |(i, at)| token(i, at) as u16);
    let next = Array2::from_shape_fn((n, 12), |(i, at)| match at {
        0 => -1, // nobody can know the step yet
        _ => token(i, at + 1) as i32,
    });
    Corpus { tokens, next }
}

fn recipe(steps: usize) -> Recipe {
    Recipe { steps, validation: 0.0, ..Recipe::default() }
}

#[test]
fn a_decoder_learns_a_rule_and_continues_by_it() {
    let fresh = Language::init(&plan(), Device::Cpu, Seed::new(1)).unwrap();
    let learned = fresh.fit(&counting(44), &recipe(400), Seed::new(2)).unwrap().last;
    let answers = learned.greedy(&[vec![3, 4], vec![5, 7, 9]], 5, None).unwrap();
    assert_eq!(answers, [vec![5, 6, 7, 8, 9], vec![0, 2, 4, 6, 8]]);
}

#[test]
fn every_parameter_of_a_decoder_moves() {
    let plain = [Positions::Rotary, Positions::Learnt];
    let plain = plain.map(|positions| Decoder { positions, dropout: 0.1, ..plan() });
    for plan in plain.into_iter().chain([llama(false), llama(true)]) {
        let fresh = Language::init(&plan, Device::Cpu, Seed::new(1)).unwrap();
        let after = fresh.fit(&counting(22), &recipe(2), Seed::new(2)).unwrap().last;
        for ((name, _, old), (_, _, new)) in fresh.weights().into_iter().zip(after.weights()) {
            assert_ne!(old, new, "{name} did not move");
        }
    }
}

#[test]
fn answers_one_by_one_agree_with_whole_texts() {
    for norm in [NormRule::Layer, NormRule::Rms] {
        let bend = if norm == NormRule::Rms { Bend::Silu } else { Bend::Gelu };
        let plan = Decoder { norm, bend, ..plan() };
        let model = Language::init(&plan, Device::Cpu, Seed::new(3)).unwrap();
        let model = model.fit(&counting(22), &recipe(30), Seed::new(2)).unwrap().last;
        let prompt = vec![4, 1, 7];
        let answer = model.greedy(&[vec![9], prompt.clone()], 40, None).unwrap().pop().unwrap();
        assert_eq!(answer.len(), 10, "until the context is full, and one beyond");
        let mut text = prompt;
        for token in answer {
            let mut padded = text.clone();
            padded.resize(12, 0);
            let padded = Array2::from_shape_vec((1, 12), padded).unwrap();
            let logits = model.logits(padded.view()).unwrap();
            assert_eq!(argmax(logits.row(text.len() - 1).iter()), usize::from(token));
            text.push(token);
        }
    }
}

#[test]
fn answers_agree_with_whole_texts_in_long_contexts() {
    // Two whole vectors of positions and a rest; heads wider than a vector, with a rest too.
    let plan = Decoder { context: 37, width: 48, ..plan() };
    for plan in [Decoder { context: 37, ..llama(true) }, plan] {
        answers_agree_with_whole_texts(&plan);
    }
}

fn answers_agree_with_whole_texts(plan: &Decoder) {
    let model = Language::init(plan, Device::Cpu, Seed::new(3)).unwrap();
    let prompts: Vec<Vec<u16>> = (0..20).map(|i| vec![i % 11, 1, 7, (3 * i) % 11]).collect();
    let answers = model.greedy(&prompts, 33, None).unwrap();
    for (prompt, answer) in prompts.iter().zip(&answers) {
        let text = [&prompt[..], answer].concat();
        let whole = Array2::from_shape_vec((1, 37), text).unwrap();
        let logits = model.logits(whole.view()).unwrap();
        for (at, &token) in answer.iter().enumerate() {
            let row = logits.row(prompt.len() - 1 + at);
            assert_eq!(argmax(row.iter()), usize::from(token), "token {at}");
        }
        assert_eq!(
            &model.greedy(std::slice::from_ref(prompt), 33, None).unwrap()[0],
            answer,
            "alone"
        );
    }
}

#[test]
fn weights_depend_on_shards_but_not_on_threads() {
    let fresh = Language::init(&plan(), Device::Cpu, Seed::new(1)).unwrap();
    let train = |shards, threads| {
        let recipe = Recipe { shards, threads, ..recipe(5) };
        fresh.fit(&counting(44), &recipe, Seed::new(2)).unwrap().last.weights()
    };
    assert_eq!(train(4, 1), train(4, 2));
    assert_eq!(train(4, 1), train(4, 4));
}

#[test]
fn weights_do_not_depend_on_threads_under_the_recipe_of_the_suite() {
    let plan = Decoder { fresh: Fresh::FanIn, ..plan() };
    let fresh = Language::init(&plan, Device::Cpu, Seed::new(1)).unwrap();
    let optimizer = Optimizer::AdamW { lr: 1.5e-3, weight_decay: 0.05, betas: [0.9, 0.99] };
    let schedule = Schedule::WarmCosine { steps: 3, floor: 0.05 };
    let suite =
        Recipe { optimizer, schedule, decay: Decay::Matrices, clip: 0.1, shards: 4, ..recipe(8) };
    let train =
        |recipe: Recipe| fresh.fit(&counting(44), &recipe, Seed::new(2)).unwrap().last.weights();
    let one = train(suite.clone());
    assert_eq!(train(Recipe { threads: 2, ..suite.clone() }), one);
    assert_ne!(train(Recipe { clip: 0.0, ..suite.clone() }), one);
    assert_ne!(train(Recipe { decay: Decay::All, ..suite }), one);
}

#[test]
fn a_stream_ends_at_its_end_token_and_others_go_on() {
    let fresh = Language::init(&plan(), Device::Cpu, Seed::new(1)).unwrap();
    let learned = fresh.fit(&counting(44), &recipe(400), Seed::new(2)).unwrap().last;
    let prompts = [vec![3, 4], vec![5, 7, 9], vec![7, 8]];
    let answers = learned.greedy(&prompts, 5, Some(7)).unwrap();
    let expected = [vec![5, 6, 7], vec![0, 2, 4, 6, 8], vec![9, 10, 0, 1, 2]];
    assert_eq!(answers, expected, "a prompt's own tokens end nothing");
    assert!(learned.greedy(&prompts, usize::MAX, Some(7)).unwrap().iter().all(|a| a.len() <= 11));
}

/// Root of the mean square of each fresh parameter.
fn sizes(fresh: Fresh, positions: Positions) -> Vec<(String, f64)> {
    let plan = Decoder { vocabulary: 64, width: 64, positions, fresh, ..plan() };
    let model = Language::init(&plan, Device::Cpu, Seed::new(1)).unwrap();
    let size = |values: &[f32]| {
        let squares = values.iter().map(|&v| f64::from(v) * f64::from(v));
        (squares.sum::<f64>() / values.len() as f64).sqrt()
    };
    model.weights().into_iter().map(|(name, _, values)| (name, size(&values))).collect()
}

#[test]
fn fresh_weights_have_the_deviation_of_their_rule() {
    // Layers of 64 inputs, but 256 for `forward.out`; two blocks put a half into the way.
    let fan_in = |name: &str| match name {
        "embed.weight" | "embed.places" => 0.05,
        name if name.ends_with("attention.out.weight") => 0.125 / 2.0,
        name if name.ends_with("forward.out.weight") => 0.0625 / 2.0,
        _ => 0.125,
    };
    let gpt2 = |name: &str| if name.ends_with("out.weight") { 0.01 } else { 0.02 };
    for positions in [Positions::Rotary, Positions::Learnt] {
        for (fresh, rule) in [(Fresh::FanIn, &fan_in as &dyn Fn(&str) -> f64), (Fresh::Gpt2, &gpt2)]
        {
            for (name, size) in sizes(fresh, positions) {
                let expected = match &name[..] {
                    name if name.ends_with("bias") => 0.0,
                    name if name.ends_with("norm.weight") => 1.0,
                    name => rule(name),
                };
                assert!((size - expected).abs() <= 0.05 * expected, "{fresh:?} {name}: {size}");
            }
        }
    }
}

#[test]
fn a_plan_is_written_without_what_it_leaves_as_usual() {
    let text = |plan: &Decoder| serde_json::to_string(plan).unwrap();
    assert!(!text(&plan()).contains("fresh"), "{}", text(&plan()));
    let other = Decoder { fresh: Fresh::FanIn, ..plan() };
    assert!(text(&other).contains(r#""fresh":"fan-in""#), "{}", text(&other));
    assert!(!text(&plan()).contains("llama"), "{}", text(&plan()));
    for plan in [plan(), other, llama(true)] {
        assert_eq!(serde_json::from_str::<Decoder>(&text(&plan)).unwrap(), plan);
    }
}

#[test]
fn plans_and_texts_that_cannot_work_are_refused() {
    let heads = Decoder { heads: 3, ..plan() }.check().unwrap_err().to_string();
    assert!(heads.contains("model.heads: found 3 heads for a width of 16"), "{heads}");
    assert!(Decoder { layers: 0, ..plan() }.check().is_err());
    assert!(Decoder { dropout: 1.0, ..plan() }.check().is_err());
    let blocks = llama(true).llama.unwrap();
    for (blocks, key) in [
        (LlamaBlocks { key_heads: 3, ..blocks }, "llama.key_heads: found 3 for 4 query heads"),
        (LlamaBlocks { head: 5, ..blocks }, "llama.head: found 5"),
        (LlamaBlocks { hidden: 0, ..blocks }, "llama.hidden: found 0"),
        (LlamaBlocks { base: f64::NAN, ..blocks }, "llama.base: found NaN"),
        (LlamaBlocks { epsilon: -1.0, ..blocks }, "llama.epsilon: found -1"),
    ] {
        let refused = Decoder { llama: Some(blocks), ..llama(true) }.check().unwrap_err();
        assert!(refused.to_string().contains(key), "{refused}");
    }
    let refused = Decoder { bend: Bend::Gelu, ..llama(true) }.check().unwrap_err().to_string();
    assert!(refused.contains("expected RMS norms, rotary positions and SiLU"), "{refused}");
    let model = Language::init(&plan(), Device::Cpu, Seed::new(1)).unwrap();
    assert!(model.greedy(&[vec![]], 1, None).is_err());
    assert!(model.greedy(&[vec![11]], 1, None).is_err());
    assert!(model.greedy(&[vec![0; 13]], 1, None).is_err());
    assert!(model.greedy(&[vec![0]], 1, Some(11)).is_err());
    let mut corpus = counting(4);
    corpus.next[[1, 2]] = 11;
    let error = model.fit(&corpus, &recipe(1), Seed::new(1)).unwrap_err().to_string();
    assert!(error.contains("next token of text 1, position 2"), "{error}");
}

#[test]
fn a_sampled_text_depends_on_its_own_stream_and_a_cold_one_is_greedy() {
    let model = Language::init(&plan(), Device::Cpu, Seed::new(1)).unwrap();
    let prompts: Vec<Vec<u16>> = (0..6).map(|i| vec![i, 10 - i]).collect();
    let seeds: Vec<Seed> = (0..6).map(|i| Seed::new(5).nth("text", i)).collect();
    let sampling = Sampling::default();
    let all = model.sample(&prompts, 8, None, &sampling, &seeds).unwrap();
    for (i, text) in all.iter().enumerate() {
        let alone = model.sample(&prompts[i..=i], 8, None, &sampling, &seeds[i..=i]).unwrap();
        assert_eq!(&alone[0], text);
    }
    let others: Vec<Seed> = (0..6).map(|i| Seed::new(6).nth("text", i)).collect();
    assert_ne!(model.sample(&prompts, 8, None, &sampling, &others).unwrap(), all);
    let cold = Sampling { temperature: 0.0, ..sampling };
    let greedy = model.greedy(&prompts, 8, None).unwrap();
    assert_eq!(model.sample(&prompts, 8, None, &cold, &seeds).unwrap(), greedy);
    assert!(model.sample(&prompts, 8, None, &sampling, &seeds[1..]).is_err());
}
