//! A Llama that can be trained: a folder of Hugging Face as a decoder of ours, and back.
//!
//! Files hold a matrix as `[outputs, inputs]`, and queries, keys and values, or gate and what it opens, apart. The
//! decoder has `[inputs, outputs]`, and what meets the same input side by side. Weights are computed with in 32 bits and
//! written so; names, shapes and settings are those that were read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use safetensors::tensor::{Dtype, TensorView};

use super::from_safetensors::{Folder, name, with_tensors};
use super::plan::{Inner, Part, Plan};
use super::tokenizer::Tokenizer;
use crate::error::{Error, Result};
use crate::model::language::{Bend, Decoder, Fresh, Language, LlamaBlocks, NormRule, Positions};
use crate::model::save::write_whole;

/// A model of the Llama family as a decoder that learns. Clones share their weights.
#[derive(Clone, Debug)]
pub struct Tunable {
    pub model: Language,
    pub tokenizer: Tokenizer,
    /// Tokens that end a text; the first of them is what a text is to be ended with.
    pub stops: Vec<u32>,
    plan: Plan,
    /// The files beside the weights, by name.
    files: Arc<BTreeMap<&'static str, Vec<u8>>>,
}

/// What a folder may hold beside weights.
const FILES: [&str; 5] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "special_tokens_map.json",
];

impl Tunable {
    /// Reads a folder (`config.json`, `tokenizer.json`, weights), for texts of up to `context` tokens.
    pub fn load(dir: &Path, context: usize) -> Result<Self> {
        let Folder { plan, tied, tokenizer, mut stops, .. } = Folder::open(dir)?;
        let refuse = |place: &str, found: String, expected: String| {
            Err(Error::data(dir.join("config.json"), place, found, expected))
        };
        if plan.context < context {
            let found = plan.context.to_string();
            return refuse("max_position_embeddings", found, format!("{context} or more"));
        }
        let decoder = decoder(&plan, context, tied);
        if let Err(Error::Config(e)) = decoder.check() {
            return refuse(&e.key, e.found.clone(), e.expected.clone());
        }
        stops.extend(super::ENDS.iter().filter_map(|end| tokenizer.id(end)));
        if stops.is_empty() {
            return refuse("eos_token_id", "none".into(), "a token that ends a text".into());
        }
        let params = with_tensors(dir, tied, |tensors| {
            let mut all = Vec::new();
            for piece in pieces(&plan, tied) {
                match piece {
                    Piece::Same(part, shape) => all.extend(tensors.numbers(part, &shape)?),
                    Piece::Turned(parts, inputs) => {
                        let read = |&(part, outputs)| tensors.numbers(part, &[outputs, inputs]);
                        let parts = parts.iter().map(read).collect::<Result<Vec<_>>>()?;
                        all.extend(beside(&parts, inputs));
                    }
                }
            }
            Ok(all)
        })?;
        let mut files = BTreeMap::new();
        for file in FILES {
            let path = dir.join(file);
            if path.exists() {
                files.insert(file, std::fs::read(&path).map_err(Error::io(&path))?);
            }
        }
        let model = Language::of(&decoder, params)?;
        Ok(Self { model, tokenizer, stops, plan, files: Arc::new(files) })
    }

    /// The same with other weights, such as a training gave; refuses a decoder of another plan.
    pub fn with(&self, model: Language) -> Result<Self> {
        match model.plan() == self.model.plan() {
            true => Ok(Self { model, ..self.clone() }),
            false => {
                let found = format!("{:?}", model.plan());
                Err(Error::input("plan of a decoder", found, format!("{:?}", self.model.plan())))
            }
        }
    }

    /// Writes a folder like the one that was read, which other programs can read too; makes it if it is not there. The
    /// weights come last, so that a folder with weights is whole.
    pub fn save(&self, dir: &Path) -> Result<()> {
        std::fs::create_dir_all(dir).map_err(Error::io(dir))?;
        for (file, bytes) in &*self.files {
            let path = dir.join(file);
            match *file {
                "config.json" => write_whole(&path, &in_full(&path, bytes)?)?,
                _ => write_whole(&path, bytes)?,
            }
        }
        write_whole(&dir.join("model.safetensors"), &self.tensors()?)
    }

    /// The weights as a file of tensors.
    fn tensors(&self) -> Result<Vec<u8>> {
        let internal = |e: safetensors::SafeTensorError| Error::Internal(e.to_string());
        let mut tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
        let mut add = |part: Part, shape: Vec<usize>, numbers: &[f32]| {
            let bytes = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
            tensors.insert(name(part), (shape, bytes));
        };
        for (piece, (_, _, values)) in
            pieces(&self.plan, self.tied()).into_iter().zip(self.model.weights())
        {
            match piece {
                Piece::Same(part, shape) => add(part, shape, &values),
                Piece::Turned(parts, inputs) => {
                    let row = parts.iter().map(|(_, outputs)| outputs).sum();
                    let mut first = 0;
                    for (part, outputs) in parts {
                        let own = apart(&values, row, first..first + outputs);
                        add(part, vec![outputs, inputs], &own);
                        first += outputs;
                    }
                }
            }
        }
        let mut views = Vec::new();
        for (name, (shape, bytes)) in &tensors {
            views
                .push((name, TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(internal)?));
        }
        // Readers of such files ask for this entry.
        let metadata = Some([("format".to_owned(), "pt".to_owned())].into_iter().collect());
        safetensors::serialize(views, metadata).map_err(internal)
    }

    fn tied(&self) -> bool {
        self.model.plan().llama.is_some_and(|blocks| blocks.tied)
    }
}

/// The decoder of these sizes, for texts of up to `context` tokens.
fn decoder(plan: &Plan, context: usize, tied: bool) -> Decoder {
    let Plan { vocabulary, layers, heads, width, key_heads, head, hidden, base, .. } = *plan;
    let epsilon = f64::from(plan.epsilon);
    Decoder {
        vocabulary,
        context,
        layers,
        heads,
        width,
        norm: NormRule::Rms,
        positions: Positions::Rotary,
        bend: Bend::Silu,
        dropout: 0.0,
        fresh: Fresh::Gpt2,
        llama: Some(LlamaBlocks { key_heads, head, hidden, base, epsilon, tied }),
    }
}

/// A parameter of the decoder among the tensors of files.
enum Piece {
    /// A tensor of this shape as it is.
    Same(Part, Vec<usize>),
    /// Matrices of so many outputs each over as many inputs, turned and side by side.
    Turned(Vec<(Part, usize)>, usize),
}

/// Every parameter of the decoder, in order.
fn pieces(plan: &Plan, tied: bool) -> Vec<Piece> {
    let Plan { vocabulary, width, hidden, .. } = *plan;
    let (queries, keys) = (plan.heads * plan.head, plan.key_heads * plan.head);
    let mut all = vec![Piece::Same(Part::Embedding, vec![vocabulary, width])];
    for block in 0..plan.layers {
        let of = |inner| Part::Of(block, inner);
        let heads = [(Inner::Query, queries), (Inner::Key, keys), (Inner::Value, keys)];
        let gate = [(Inner::Gate, hidden), (Inner::Up, hidden)];
        let turned = |parts: &[(Inner, usize)], inputs| {
            Piece::Turned(
                parts.iter().map(|&(inner, outputs)| (of(inner), outputs)).collect(),
                inputs,
            )
        };
        all.extend([
            Piece::Same(of(Inner::AttentionNorm), vec![width]),
            turned(&heads, width),
            turned(&[(Inner::AttentionOut, width)], queries),
            Piece::Same(of(Inner::ForwardNorm), vec![width]),
            turned(&gate, width),
            turned(&[(Inner::Down, width)], hidden),
        ]);
    }
    all.push(Piece::Same(Part::Norm, vec![width]));
    if !tied {
        all.push(Piece::Turned(vec![(Part::Head, vocabulary)], width));
    }
    all
}

/// Matrices `[outputs, inputs]` turned and side by side: `[inputs, all outputs]`.
fn beside(parts: &[Vec<f32>], inputs: usize) -> Vec<f32> {
    let mut all = Vec::with_capacity(parts.iter().map(Vec::len).sum());
    for input in 0..inputs {
        for part in parts {
            all.extend(part[input..].iter().step_by(inputs));
        }
    }
    all
}

/// The columns of a matrix of rows of `row` numbers, turned.
fn apart(all: &[f32], row: usize, columns: std::ops::Range<usize>) -> Vec<f32> {
    columns.flat_map(|column| all[column..].iter().step_by(row).copied()).collect()
}

/// Settings that say of weights what is true of those that are written: 32 bits.
fn in_full(path: &Path, bytes: &[u8]) -> Result<Vec<u8>> {
    let wrong = |e: serde_json::Error| Error::data(path, "settings", e.to_string(), "JSON");
    let mut settings: serde_json::Value = serde_json::from_slice(bytes).map_err(wrong)?;
    for key in ["torch_dtype", "dtype"] {
        if let Some(kind) = settings.get_mut(key) {
            *kind = "float32".into();
        }
    }
    serde_json::to_vec_pretty(&settings).map_err(wrong)
}
