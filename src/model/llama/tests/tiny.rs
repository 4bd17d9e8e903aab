//! Small models in files, made from a closed form that `tests/vectors/llama-tiny.json` describes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value as Json, json};

use crate::model::llama::Llama;

/// A tensor's shape and numbers.
pub type Tensor = (Vec<usize>, Vec<f32>);

pub struct Tiny {
    pub tied: bool,
    pub config: Json,
    pub tensors: BTreeMap<String, Tensor>,
    pub tokens: Vec<u32>,
    /// `[tokens, vocabulary]`.
    pub logits: Vec<Vec<f32>>,
}

/// The models of the vectors: tied, then untied.
pub fn all() -> Vec<Tiny> {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/llama-tiny.json"));
    let file: Json = serde_json::from_str(text).unwrap();
    let cases = file["cases"].as_array().unwrap().iter();
    cases
        .map(|case| {
            let tensors = case["tensors"].as_array().unwrap().iter().enumerate();
            let tensors = tensors.map(|(t, named)| {
                let (name, shape): (String, Vec<usize>) =
                    serde_json::from_value(named.clone()).unwrap();
                let gain = name.ends_with("norm.weight");
                let number = |i: usize| {
                    let (t, f) = (t as f64, i as f64);
                    let v = libm::sin(1.7 * t + 0.61 * f + 0.013 * f * (i % 7) as f64);
                    (if gain { 1.0 + 0.2 * v } else { 0.3 * v }) as f32
                };
                let numbers = (0..shape.iter().product()).map(number).collect();
                (name, (shape, numbers))
            });
            Tiny {
                tied: case["tied"].as_bool().unwrap(),
                config: file["config"].clone(),
                tensors: tensors.collect(),
                tokens: serde_json::from_value(case["tokens"].clone()).unwrap(),
                logits: serde_json::from_value(case["logits"].clone()).unwrap(),
            }
        })
        .collect()
}

/// The tied one, read.
pub fn model() -> Llama {
    let bytes = all()[0].gguf(&values("smollm"));
    Llama::of_gguf(Path::new("tiny.gguf"), &bytes).unwrap()
}

/// A fresh folder.
pub fn folder(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("retort-llama-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Characters that stand for bytes in byte-level tables (Radford et al. 2019): printable ones for themselves, the
/// others from 256 on.
pub fn byte_characters() -> Vec<String> {
    let printable = |b: u32| matches!(b, 33..=126 | 161..=172 | 174..=255);
    let mut others = 256..;
    let mut code = |b: u32| if printable(b) { Some(b) } else { others.next() };
    let codes = (0..256).map(|b| code(b).and_then(char::from_u32).unwrap());
    codes.map(String::from).collect()
}

pub const SPECIAL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
pub const MERGES: [(&str, &str); 5] =
    [("h", "e"), ("l", "l"), ("he", "ll"), ("1", "2"), ("\u{120}", "a")];

/// 3 special tokens, 256 bytes, 5 pairs.
pub fn tokens() -> Vec<String> {
    let pairs = MERGES.iter().map(|(a, b)| format!("{a}{b}"));
    SPECIAL.iter().map(|s| s.to_string()).chain(byte_characters()).chain(pairs).collect()
}

/// A value of a GGUF file.
#[derive(Clone)]
pub enum Value {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    I32s(Vec<i32>),
}

pub type Values = Vec<(&'static str, Value)>;

/// What the tiny models say about themselves.
pub fn values(pre: &str) -> Values {
    let sorts = (0..264).map(|i| if i < 3 { 3 } else { 1 }).collect();
    let merges = MERGES.iter().map(|(a, b)| format!("{a} {b}")).collect();
    vec![
        ("general.architecture", Value::Text("llama".into())),
        ("llama.block_count", Value::U32(2)),
        ("llama.context_length", Value::U32(64)),
        ("llama.embedding_length", Value::U32(48)),
        ("llama.feed_forward_length", Value::U32(80)),
        ("llama.attention.head_count", Value::U32(4)),
        ("llama.attention.head_count_kv", Value::U32(2)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("llama.rope.freq_base", Value::F32(5000.0)),
        ("llama.rope.dimension_count", Value::U32(12)),
        ("tokenizer.ggml.model", Value::Text("gpt2".into())),
        ("tokenizer.ggml.pre", Value::Text(pre.into())),
        ("tokenizer.ggml.add_space_prefix", Value::Bool(false)),
        ("tokenizer.ggml.tokens", Value::Texts(tokens())),
        ("tokenizer.ggml.token_type", Value::I32s(sorts)),
        ("tokenizer.ggml.merges", Value::Texts(merges)),
        ("tokenizer.ggml.eos_token_id", Value::U32(2)),
        ("tokenizer.chat_template", Value::Text(super::tokens::TEMPLATE.into())),
    ]
}

impl Tiny {
    /// A GGUF file. Rows of queries and keys are put in its order: number i of half j of a head becomes 2i + j.
    pub fn gguf(&self, values: &Values) -> Vec<u8> {
        let tensors = self.tensors.iter().map(|(name, (shape, numbers))| {
            let heads = match name.rsplit('.').nth(1) {
                Some("q_proj") => Some(4),
                Some("k_proj") => Some(2),
                _ => None,
            };
            let mut numbers = numbers.clone();
            if let Some(heads) = heads {
                let (rows, half) = (numbers.clone(), shape[0] / (2 * heads));
                for (row, to) in numbers.chunks_exact_mut(shape[1]).enumerate() {
                    let (head, within) = (row / (2 * half), row % (2 * half));
                    let from = head * 2 * half + within % 2 * half + within / 2;
                    to.copy_from_slice(&rows[from * shape[1]..][..shape[1]]);
                }
            }
            (gguf_name(name), shape.clone(), numbers)
        });
        gguf(values, &tensors.collect::<Vec<_>>())
    }

    /// A folder as Hugging Face lays it out.
    pub fn write(&self, dir: &Path) {
        let mut config = self.config.clone();
        config["model_type"] = "llama".into();
        config["tie_word_embeddings"] = self.tied.into();
        config["eos_token_id"] = 2.into();
        std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
        std::fs::write(dir.join("tokenizer.json"), tokenizer_json().to_string()).unwrap();
        let bytes: Vec<Vec<u8>> = self
            .tensors
            .values()
            .map(|(_, numbers)| numbers.iter().flat_map(|n| n.to_le_bytes()).collect())
            .collect();
        let views = self.tensors.iter().zip(&bytes).map(|((name, (shape, _)), bytes)| {
            (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
        });
        let file = safetensors::serialize(views, None).unwrap();
        std::fs::write(dir.join("model.safetensors"), file).unwrap();
    }
}

fn tokenizer_json() -> Json {
    let added = SPECIAL.iter().enumerate().map(|(id, content)| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true})
    });
    let vocabulary: serde_json::Map<String, Json> =
        tokens().into_iter().enumerate().map(|(id, token)| (token, id.into())).collect();
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added.collect::<Vec<_>>(), "normalizer": null,
        "pre_tokenizer": {"type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": true}, bytes]},
        "post_processor": null, "decoder": bytes,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "vocab": vocabulary, "merges": MERGES.map(|(a, b)| [a, b])}
    })
}

fn gguf_name(name: &str) -> String {
    let inner = [
        ("input_layernorm", "attn_norm"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("post_attention_layernorm", "ffn_norm"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
        ("model.layers.", "blk."),
    ];
    inner.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to))
}

/// Bytes of a GGUF file of these values and tensors of 32 bits.
pub fn gguf(values: &Values, tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    let long = |out: &mut Vec<u8>, n: usize| out.extend((n as u64).to_le_bytes());
    let text = |out: &mut Vec<u8>, text: &str| {
        long(out, text.len());
        out.extend(text.as_bytes());
    };
    out.extend(3u32.to_le_bytes());
    long(&mut out, tensors.len());
    long(&mut out, values.len());
    for (key, value) in values {
        text(&mut out, key);
        let kind: u32 = match value {
            Value::U32(_) => 4,
            Value::F32(_) => 6,
            Value::Bool(_) => 7,
            Value::Text(_) => 8,
            Value::Texts(_) | Value::I32s(_) => 9,
        };
        out.extend(kind.to_le_bytes());
        match value {
            Value::U32(n) => out.extend(n.to_le_bytes()),
            Value::F32(x) => out.extend(x.to_le_bytes()),
            Value::Bool(b) => out.push(u8::from(*b)),
            Value::Text(s) => text(&mut out, s),
            Value::Texts(all) => {
                out.extend(8u32.to_le_bytes());
                long(&mut out, all.len());
                all.iter().for_each(|s| text(&mut out, s));
            }
            Value::I32s(all) => {
                out.extend(5u32.to_le_bytes());
                long(&mut out, all.len());
                all.iter().for_each(|n| out.extend(n.to_le_bytes()));
            }
        }
    }
    let mut offset = 0usize;
    for (name, shape, numbers) in tensors {
        text(&mut out, name);
        out.extend((shape.len() as u32).to_le_bytes());
        shape.iter().rev().for_each(|&d| long(&mut out, d));
        out.extend(0u32.to_le_bytes());
        long(&mut out, offset);
        offset = (offset + 4 * numbers.len()).next_multiple_of(32);
    }
    out.resize(out.len().next_multiple_of(32), 0);
    for (_, _, numbers) in tensors {
        out.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
        out.resize(out.len().next_multiple_of(32), 0);
    }
    out
}
