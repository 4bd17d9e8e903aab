mod hostile;
mod real;
pub mod tiny;
mod tokens;
mod tune;

use std::path::Path;

use super::*;
use crate::model::language::Sampling;
use crate::seed::Seed;

fn gguf(tiny: &tiny::Tiny) -> Llama {
    let bytes = tiny.gguf(&tiny::values("smollm"));
    Llama::of_gguf(Path::new("tiny.gguf"), &bytes).unwrap()
}

#[test]
fn logits_of_small_models_are_those_of_transformers_from_both_kinds_of_files() {
    for tiny in tiny::all() {
        let dir = tiny::folder(if tiny.tied { "tied" } else { "untied" });
        tiny.write(&dir);
        let models = [gguf(&tiny), Llama::from_safetensors(&dir).unwrap()];
        assert_eq!(models.each_ref().map(|m| m.plan().pairs), [Pairs::Neighbours, Pairs::Halves]);
        for model in models {
            let logits = model.score(&tiny.tokens).unwrap();
            assert_eq!(logits.dim(), (tiny.tokens.len(), 264));
            for (row, expected) in logits.rows().into_iter().zip(&tiny.logits) {
                for (found, expected) in row.iter().zip(expected) {
                    assert!((found - expected).abs() < 2e-5, "{found} for {expected}");
                }
            }
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}

#[test]
fn a_text_is_read_alike_in_any_cut_and_on_any_number_of_threads() {
    let one = tiny::model();
    let tokens: Vec<u32> = (0..60).map(|i| i * 37 % 264).collect();
    let whole = one.score(&tokens).unwrap();
    for (threads, cut) in [(1, 1), (2, 60), (3, 7), (2, 2), (5, 3)] {
        let model = one.with_threads(threads).unwrap();
        let mut session = model.session();
        for (i, tokens) in tokens.chunks(cut).enumerate() {
            let logits = session.feed(tokens).unwrap();
            assert_eq!(logits, whole.row(i * cut + tokens.len() - 1).to_vec(), "cut {cut}");
        }
        assert_eq!(session.seen(), 60);
        assert_eq!(model.score(&tokens).unwrap(), whole, "{threads} threads");
    }
}

#[test]
fn sessions_that_part_do_not_disturb_each_other() {
    let model = tiny::model();
    let mut one = model.session();
    one.feed(&[5, 6, 7]).unwrap();
    let mut other = one.clone();
    other.feed(&[100, 101]).unwrap();
    assert_eq!(one.feed(&[8]).unwrap(), model.score(&[5, 6, 7, 8]).unwrap().row(3).to_vec());
}

#[test]
fn a_text_is_continued_alike_in_any_company() {
    let model = tiny::model();
    let prompts: Vec<Vec<u32>> = vec![vec![40], vec![7, 8, 9, 10, 11], vec![200, 3], vec![90; 30]];
    let streams: Vec<Seed> = (0..4).map(|i| Seed::new(3).nth("text", i)).collect();
    let hot = Sampling { temperature: 0.9, top_k: 50, top_p: 0.9 };
    let together = model.sample(&prompts, 20, &hot, &streams).unwrap();
    let greedy = model.greedy(&prompts, 20).unwrap();
    assert_ne!(together, greedy);
    let two = model.with_threads(2).unwrap();
    assert_eq!(two.sample(&prompts, 20, &hot, &streams).unwrap(), together);
    for (i, prompt) in prompts.iter().enumerate() {
        let alone = std::slice::from_ref(prompt);
        assert_eq!(model.sample(alone, 20, &hot, &streams[i..=i]).unwrap()[0], together[i]);
        assert_eq!(model.greedy(alone, 20).unwrap()[0], greedy[i]);
        let cold = Sampling { temperature: 0.0, ..hot };
        assert_eq!(model.sample(alone, 20, &cold, &streams[i..=i]).unwrap()[0], greedy[i]);
    }
    // Greedy by hand: every token is the most likely one of a fresh reading.
    let mut text = prompts[1].clone();
    for &token in &greedy[1] {
        let logits = model.score(&text).unwrap();
        let last = logits.row(text.len() - 1);
        assert!(last.iter().all(|&z| z <= last[token as usize]));
        text.push(token);
    }
}

#[test]
fn texts_end_with_a_stop_or_with_their_room() {
    let model = tiny::model();
    assert_eq!(model.stops(), [0, 2]);
    let prompts: Vec<Vec<u32>> = (10..40).map(|i| vec![i]).collect();
    let streams: Vec<Seed> = (0..30).map(|i| Seed::new(5).nth("text", i)).collect();
    let texts = model.sample(&prompts, 500, &Sampling::default(), &streams).unwrap();
    let (mut stopped, mut full) = (0, 0);
    for text in texts {
        let stop = text.iter().position(|t| model.stops().contains(t));
        match stop {
            Some(at) => assert_eq!(at + 1, text.len()),
            // 64 tokens are read; the 65th is not.
            None => assert_eq!(text.len() + 1, 65),
        }
        stopped += usize::from(stop.is_some());
        full += usize::from(stop.is_none());
    }
    assert!(stopped > 0 && full > 0, "{stopped} stopped, {full} full");
    assert_eq!(model.greedy(&prompts[..2], 0).unwrap(), [Vec::<u32>::new(), Vec::new()]);
}

#[test]
fn log_probabilities_are_those_of_the_logits() {
    let model = tiny::model();
    let tokens = [3, 17, 200, 17, 5, 263];
    let logits = model.score(&tokens).unwrap();
    let logs = model.log_probs(&tokens).unwrap();
    assert_eq!(logs.len(), 5);
    for (i, log) in logs.iter().enumerate() {
        let total: f64 = logits.row(i).iter().map(|&z| libm::exp(f64::from(z))).sum();
        let expected = f64::from(logits[(i, tokens[i + 1] as usize)]) - libm::log(total);
        assert!((log - expected).abs() < 1e-12, "{log} for {expected}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let model = tiny::model();
    let said = |error: crate::Error| error.to_string();
    assert!(said(model.score(&[1, 264]).unwrap_err()).contains("token 1 of a text: found 264"));
    assert!(said(model.score(&[]).unwrap_err()).contains("expected 1 to 64"));
    assert!(said(model.score(&[1; 65]).unwrap_err()).contains("found 65 after 0"));
    let mut session = model.session();
    session.feed(&[1; 64]).unwrap();
    assert!(said(session.feed(&[1]).unwrap_err()).contains("found 1 after 64"));
    assert!(said(model.greedy(&[vec![]], 3).unwrap_err()).contains("prompt 0"));
    assert!(said(model.with_threads(0).unwrap_err()).contains("1 to 256"));
    let few = model.sample(&[vec![1]], 1, &Sampling::default(), &[]).unwrap_err();
    assert!(said(few).contains("streams"));
}
