//! Small models from disk that learn.

use std::path::PathBuf;

use ndarray::Array2;

use super::tiny::{self, Tiny};
use crate::Seed;
use crate::model::language::{Corpus, Language};
use crate::model::llama::{Llama, Tunable};
use crate::model::{Optimizer, Recipe};

/// Texts of the models' context are as long as the files allow.
const CONTEXT: usize = 64;

/// Both models of the vectors in folders, tied and untied.
fn folders(of: &str) -> Vec<(Tiny, PathBuf)> {
    let each = tiny::all().into_iter().map(|tiny| {
        let dir = tiny::folder(&format!("{of}-{}", if tiny.tied { "tied" } else { "untied" }));
        tiny.write(&dir);
        (tiny, dir)
    });
    each.collect()
}

/// Logits at each place of a text.
fn logits(model: &Language, text: &[u32]) -> Array2<f32> {
    let token = |(_, at): (usize, usize)| text.get(at).map_or(0, |&t| t as u16);
    let padded = Array2::from_shape_fn((1, CONTEXT), token);
    model.logits(padded.view()).unwrap()
}

fn close(found: &Array2<f32>, expected: &Array2<f32>) {
    for (found, expected) in found.rows().into_iter().zip(expected.rows()) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 2e-5, "{found} for {expected}");
        }
    }
}

#[test]
fn logits_are_those_of_transformers_and_of_the_pass_that_only_answers() {
    for (tiny, dir) in folders("same") {
        let tuned = Tunable::load(&dir, CONTEXT).unwrap();
        assert_eq!(tuned.stops[0], 2);
        let found = logits(&tuned.model, &tiny.tokens);
        for (found, expected) in found.rows().into_iter().zip(&tiny.logits) {
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 2e-5, "{found} for {expected}");
            }
        }
        let text: Vec<u32> = (0..60).map(|i| i * 37 % 264).collect();
        let llama = Llama::from_safetensors(&dir).unwrap();
        close(&logits(&tuned.model, &text), &llama.score(&text).unwrap());
        let prompts: Vec<Vec<u32>> = (0..5).map(|i| vec![i * 31 + 4, 90, i]).collect();
        let narrow: Vec<Vec<u16>> =
            prompts.iter().map(|p| p.iter().map(|&t| t as u16).collect()).collect();
        // One end for ours; theirs has two, so that texts agree up to the first.
        let ours = tuned.model.greedy(&narrow, 20, Some(2)).unwrap();
        for (ours, theirs) in ours.iter().zip(llama.greedy(&prompts, 20).unwrap()) {
            assert!(ours.iter().zip(&theirs).all(|(a, b)| u32::from(*a) == *b));
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}

#[test]
fn what_is_written_is_what_was_read_and_what_was_learnt_is_read_by_others() {
    for (tiny, dir) in folders("written") {
        let tuned = Tunable::load(&dir, CONTEXT).unwrap();
        let out = dir.join("out");
        tuned.save(&out).unwrap();
        let file = |dir: &std::path::Path| std::fs::read(dir.join("model.safetensors")).unwrap();
        let bytes = file(&out);
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(tensors.len(), tiny.tensors.len());
        for (name, (shape, numbers)) in &tiny.tensors {
            let view = tensors.tensor(name).unwrap();
            let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
            assert_eq!((view.shape(), view.data()), (&shape[..], &bytes[..]), "{name}");
        }
        let tables = |dir: &std::path::Path| std::fs::read(dir.join("tokenizer.json")).unwrap();
        assert_eq!(tables(&out), tables(&dir));

        let text = |i: usize| -> Vec<u16> { (0..8).map(|at| ((i + at) % 9 + 40) as u16).collect() };
        let texts: Vec<Vec<u16>> = (0..18).map(text).collect();
        let corpus = Corpus::of(texts.iter().map(|t| t.split_at(2)), CONTEXT, 2).unwrap();
        let optimizer = Optimizer::adamw(3e-3, 0.0);
        let recipe =
            Recipe { steps: 40, validation: 0.0, batch: 9, optimizer, ..Recipe::default() };
        let learned = tuned.model.fit(&corpus, &recipe, Seed::new(3)).unwrap().last;
        for ((name, _, old), (_, _, new)) in tuned.model.weights().iter().zip(learned.weights()) {
            assert_ne!(*old, new, "{name} did not move");
        }
        let mean = |model: &Language| {
            let logs = model.log_probs(&corpus).unwrap();
            -logs.iter().sum::<f64>() / logs.len() as f64
        };
        assert!(mean(&learned) < 0.5 * mean(&tuned.model), "{}", mean(&learned));
        let after = tuned.with(learned).unwrap();
        after.save(&out).unwrap();
        let llama = Llama::from_safetensors(&out).unwrap();
        let text: Vec<u32> = vec![40, 41, 42, 43, 44, 45, 46];
        close(&logits(&after.model, &text), &llama.score(&text).unwrap());
        let again = Tunable::load(&out, CONTEXT).unwrap();
        assert_eq!(again.model.weights(), after.model.weights());
        std::fs::remove_dir_all(dir).unwrap();
    }
}

#[test]
fn folders_that_cannot_be_trained_are_refused() {
    let (_, dir) = folders("refused").remove(0);
    let refused = |context| Tunable::load(&dir, context).unwrap_err();
    let error = refused(65);
    assert!(
        error.to_string().contains("max_position_embeddings: found 64, expected 65"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 2);
    let config = std::fs::read_to_string(dir.join("config.json")).unwrap();
    let large = config.replace("\"vocab_size\":264", "\"vocab_size\":70000");
    std::fs::write(dir.join("config.json"), large).unwrap();
    let error = refused(64).to_string();
    assert!(error.contains("model.vocabulary: found 70000, expected 1 to 65536"), "{error}");
    std::fs::remove_file(dir.join("config.json")).unwrap();
    let error = refused(64);
    assert_eq!(error.exit_code(), 2, "{error}");
    assert!(error.to_string().contains("config.json"), "{error}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn weights_of_another_plan_are_refused() {
    let (_, tied) = folders("plans").remove(0);
    let (long, short) = (Tunable::load(&tied, 64).unwrap(), Tunable::load(&tied, 32).unwrap());
    assert!(long.with(short.model).unwrap_err().to_string().contains("plan of a decoder"));
    std::fs::remove_dir_all(tied).unwrap();
}
