//! Files that lie, end early or were damaged.

use std::path::Path;

use super::tiny::{self, Value};
use crate::model::llama::Llama;

fn read(bytes: &[u8]) -> crate::Result<Llama> {
    Llama::of_gguf(Path::new("bad.gguf"), bytes)
}

fn refused(bytes: &[u8], said: &str) {
    let error = read(bytes).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains(said), "{error} should say {said}");
}

/// Where the data of the tiny file starts: it ends with all tensors, each a multiple of 32 bytes.
fn data_start(bytes: &[u8]) -> usize {
    let data: usize =
        tiny::all()[0].tensors.values().map(|(_, n)| (4 * n.len()).next_multiple_of(32)).sum();
    bytes.len() - data
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let bytes = tiny::all()[0].gguf(&tiny::values("smollm"));
    assert!(read(&bytes).is_ok());
    let start = data_start(&bytes);
    for len in (0..start).chain((start..bytes.len()).step_by(4099)).chain([bytes.len() - 65]) {
        let error = read(&bytes[..len]).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{len}: {error}");
    }
}

#[test]
fn damaged_bytes_never_panic() {
    let mut bytes = tiny::all()[0].gguf(&tiny::values("smollm"));
    let start = data_start(&bytes);
    for (step, at) in (0..start).enumerate() {
        let was = bytes[at];
        bytes[at] = [0, 0xff, was ^ 0x80, was ^ 1, was.wrapping_add(1)][step % 5];
        if let Err(error) = read(&bytes) {
            assert_eq!(error.exit_code(), 2, "{at}: {error}");
        }
        bytes[at] = was;
    }
}

#[test]
fn counts_beyond_the_file_are_refused_before_anything_is_made() {
    let bytes = tiny::all()[0].gguf(&tiny::values("smollm"));
    let patched = |at: usize, patch: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + patch.len()].copy_from_slice(patch);
        bytes
    };
    refused(b"GGML", "expected `GGUF`");
    refused(&patched(4, &9u32.to_le_bytes()), "version 9");
    refused(&patched(4, &3u32.to_be_bytes()), "big-endian");
    refused(&patched(8, &u64::MAX.to_le_bytes()), "tensors, expected at most");
    refused(&patched(16, &(1u64 << 40).to_le_bytes()), "values, expected at most");
    refused(&patched(24, &(1u64 << 60).to_le_bytes()), "bytes of text, expected at most");
    // The first tensor: a name of 22 bytes, 1 or 2 dimensions, a format, an offset.
    let find =
        |name: &[u8]| bytes.windows(name.len()).position(|w| w == name).unwrap() + name.len();
    let at = find(b"blk.0.ffn_down.weight");
    refused(&patched(at, &9u32.to_le_bytes()), "9 dimensions");
    refused(&patched(at + 4, &u64::MAX.to_le_bytes()), "inside the");
    refused(&patched(at + 4, &40u64.to_le_bytes()), "found [48, 40], expected shape [48, 80]");
    refused(&patched(at + 20, &200u32.to_le_bytes()), "format 200");
    refused(&patched(at + 20, &2u32.to_le_bytes()), "rows of 80, expected a multiple of 32");
    refused(&patched(at + 24, &7u64.to_le_bytes()), "at a multiple of 32");
    refused(&patched(at + 24, &(u64::MAX - 31).to_le_bytes()), "inside the");
    refused(&patched(at - 21, b"blk.0.attn_norm.weigh"), "tensor");
}

#[test]
fn settings_that_do_not_fit_are_refused_by_key() {
    let with = |key: &'static str, value: Value| {
        let mut values = tiny::values("smollm");
        values.retain(|(k, _)| *k != key);
        values.push((key, value));
        tiny::all()[0].gguf(&values)
    };
    let text = |text: &str| Value::Text(text.into());
    for (key, value, said) in [
        ("general.architecture", text("qwen2"), "found `qwen2`, expected `llama`"),
        ("general.alignment", Value::U32(0), "a power of 2"),
        ("llama.block_count", Value::U32(0), "1 to"),
        (
            "llama.block_count",
            Value::U32(1 << 20),
            "tensor `blk.2.attn_norm.weight`: found nothing",
        ),
        ("llama.block_count", Value::U32(1), "tensor `blk.1.attn_k.weight`: found one more"),
        ("llama.context_length", text("long"), "context_length"),
        ("llama.embedding_length", Value::U32(96), "found 12, expected 24"),
        ("llama.attention.head_count", Value::U32(5), "a divisor of the width"),
        ("llama.attention.head_count", Value::U32(0), "1 to"),
        ("llama.attention.head_count_kv", Value::U32(3), "a divisor of the query heads"),
        ("llama.attention.head_count_kv", Value::U32(0), "1 or more"),
        ("llama.attention.head_count_kv", Value::U32(4), "attn_k.weight`: found [24, 48]"),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(f32::NAN), "a finite number"),
        ("llama.rope.freq_base", Value::F32(0.0), "a positive number"),
        ("llama.rope.scaling.type", text("yarn"), "not scaled"),
        ("llama.expert_count", Value::U32(8), "no experts"),
        ("llama.feed_forward_length", Value::U32(79), "found [80, 48], expected shape [79, 48]"),
    ] {
        refused(&with(key, value), said);
    }
}

#[test]
fn damaged_folders_are_refused() {
    let dir = tiny::folder("damaged");
    let tiny = &tiny::all()[1];
    tiny.write(&dir);
    assert!(Llama::from_safetensors(&dir).is_ok());
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let path = dir.join(name);
        let whole = std::fs::read(&path).unwrap();
        let header = whole.len().min(4000);
        for len in (0..header).step_by(97).chain((header..whole.len()).step_by(20_011)) {
            std::fs::write(&path, &whole[..len]).unwrap();
            let error = Llama::from_safetensors(&dir).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{name} cut at {len}: {error}");
        }
        for at in (0..header).step_by(61) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x15;
            std::fs::write(&path, damaged).unwrap();
            if let Err(error) = Llama::from_safetensors(&dir) {
                assert_eq!(error.exit_code(), 2, "{name} at {at}: {error}");
            }
        }
        std::fs::write(&path, &whole).unwrap();
    }
    let tables = std::fs::read_to_string(dir.join("tokenizer.json")).unwrap();
    for (from, to, said) in [
        ("\"dropout\":null", "\"dropout\":0.5", "dropout: found 0.5"),
        ("\"type\":\"BPE\"", "\"type\":\"WordLevel\"", "found `WordLevel`, expected `BPE`"),
        ("[\"h\",\"e\"]", "\"<|endoftext|> <|im_start|>\"", "pairs of tokens that together"),
        (
            "\"continuing_subword_prefix\":null",
            "\"continuing_subword_prefix\":\"##\"",
            "expected none",
        ),
    ] {
        assert!(tables.contains(from), "{from}");
        std::fs::write(dir.join("tokenizer.json"), tables.replacen(from, to, 1)).unwrap();
        let error = Llama::from_safetensors(&dir).unwrap_err();
        assert!(error.to_string().contains(said), "{error} should say {said}");
    }
    std::fs::write(dir.join("tokenizer.json"), &tables).unwrap();
    let config = std::fs::read_to_string(dir.join("config.json")).unwrap();
    let with = |from: &str, to: &str, said: &str| {
        assert!(config.contains(from), "{from} in {config}");
        std::fs::write(dir.join("config.json"), config.replace(from, to)).unwrap();
        let error = Llama::from_safetensors(&dir).unwrap_err();
        assert!(error.to_string().contains(said), "{error} should say {said}");
    };
    with("\"llama\"", "\"mamba\"", "found `mamba`, expected `llama`");
    with("\"vocab_size\":264", "\"vocab_size\":200", "token 263");
    with("\"vocab_size\":264", "\"vocab_size\":300", "expected shape [300, 48]");
    with("\"num_attention_heads\":4", "\"num_attention_heads\":0", "1 to");
    with("\"num_attention_heads\":4", "\"num_attention_heads\":5", "a divisor of hidden_size");
    with("\"model_type\"", "\"attention_bias\":true,\"model_type\"", "no biases");
    with("\"model_type\"", "\"rope_scaling\":{\"factor\":2},\"model_type\"", "not scaled");
    with("\"eos_token_id\":2", "\"eos_token_id\":[0,264]", "found 264, expected below 264");
    std::fs::remove_dir_all(&dir).unwrap();
}
