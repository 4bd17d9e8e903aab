//! A Llama in a GGUF file.

use std::collections::BTreeSet;
use std::path::Path;

use super::Llama;
use super::gguf::{Entry, Gguf};
use super::matrix::Weights;
use super::plan::{Inner, MOST, Network, Pairs, Part, Plan, Source};
use super::tokenizer::Tokenizer;
use crate::error::{Error, Result};

impl Llama {
    /// Reads a GGUF file of architecture `llama`, for one thread. Rows of queries and keys lie there so that
    /// neighbours turn ([`Pairs::Neighbours`]).
    pub fn from_gguf(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        Self::of_gguf(path, &bytes)
    }

    /// Of the bytes of a file.
    pub(super) fn of_gguf(path: &Path, bytes: &[u8]) -> Result<Self> {
        let gguf = Gguf::read(path, bytes)?;
        let plan = plan(&gguf)?;
        plan.check(path)?;
        let mut source = Tensors { gguf: &gguf, used: BTreeSet::new() };
        let network = Network::read(&plan, &mut source)?;
        source.check_all_used()?;
        let tokenizer = Tokenizer::of_gguf(&gguf, plan.vocabulary)?;
        let mut ends = Vec::new();
        for key in ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"] {
            ends.extend(gguf.whole(key, plan.vocabulary - 1)?.map(|id| id as u32));
        }
        Self::of(plan, network, tokenizer, gguf.text("tokenizer.chat_template")?, ends)
    }
}

/// What the file says about sizes, and what it must not say.
fn plan(gguf: &Gguf<'_>) -> Result<Plan> {
    let refuse = |key: &str, found: String, expected: &str| {
        Err(Error::data(gguf.file, key, found, expected))
    };
    let architecture = gguf.text("general.architecture")?;
    if architecture != Some("llama") {
        let found = format!("`{}`", architecture.unwrap_or("none").escape_debug());
        return refuse("general.architecture", found, "`llama`");
    }
    if let Some(kind) = gguf.text("llama.rope.scaling.type")?.filter(|kind| *kind != "none") {
        let found = format!("`{}`", kind.escape_debug());
        return refuse("llama.rope.scaling.type", found, "positions that are not scaled");
    }
    if let Some(experts) = gguf.whole("llama.expert_count", usize::MAX)?.filter(|&n| n > 0) {
        return refuse("llama.expert_count", experts.to_string(), "no experts");
    }
    let size = |key: &str| gguf.size(&format!("llama.{key}"), MOST);
    let (width, heads) = (size("embedding_length")?, size("attention.head_count")?);
    let key_heads = match gguf.whole("llama.attention.head_count_kv", MOST)? {
        None => heads,
        Some(0) => return refuse("llama.attention.head_count_kv", "0".into(), "1 or more"),
        Some(n) => n,
    };
    if !width.is_multiple_of(heads) {
        let found = format!("{heads} for a width of {width}");
        return refuse("llama.attention.head_count", found, "a divisor of the width");
    }
    let head = width / heads;
    for key in
        ["llama.rope.dimension_count", "llama.attention.key_length", "llama.attention.value_length"]
    {
        if let Some(other) = gguf.whole(key, MOST)?.filter(|&n| n != head) {
            return refuse(key, other.to_string(), &format!("{head}, a head's numbers"));
        }
    }
    let rows = gguf.tensors.get(name(Part::Embedding).as_str()).and_then(|t| t.dimensions.get(1));
    Ok(Plan {
        vocabulary: match rows {
            Some(&rows) if (1..=MOST).contains(&rows) => rows,
            _ => {
                return refuse(
                    "tensor `token_embd.weight`",
                    "no such".into(),
                    "a row for each token",
                );
            }
        },
        context: size("context_length")?,
        layers: size("block_count")?,
        width,
        heads,
        key_heads,
        head,
        hidden: size("feed_forward_length")?,
        base: gguf.real("llama.rope.freq_base")?.unwrap_or(10_000.0),
        epsilon: match gguf.real("llama.attention.layer_norm_rms_epsilon")? {
            Some(epsilon) => epsilon as f32,
            None => {
                return refuse(
                    "llama.attention.layer_norm_rms_epsilon",
                    "nothing".into(),
                    "a number",
                );
            }
        },
        pairs: Pairs::Neighbours,
    })
}

fn name(part: Part) -> String {
    let inner = |inner| match inner {
        Inner::AttentionNorm => "attn_norm",
        Inner::Query => "attn_q",
        Inner::Key => "attn_k",
        Inner::Value => "attn_v",
        Inner::AttentionOut => "attn_output",
        Inner::ForwardNorm => "ffn_norm",
        Inner::Gate => "ffn_gate",
        Inner::Up => "ffn_up",
        Inner::Down => "ffn_down",
    };
    match part {
        Part::Embedding => "token_embd.weight".into(),
        Part::Norm => "output_norm.weight".into(),
        Part::Head => "output.weight".into(),
        Part::Of(block, part) => format!("blk.{block}.{}.weight", inner(part)),
    }
}

struct Tensors<'a> {
    gguf: &'a Gguf<'a>,
    used: BTreeSet<String>,
}

impl Tensors<'_> {
    /// The tensor of this shape, outputs first.
    fn entry(&mut self, part: Part, shape: &[usize]) -> Result<&Entry<'_>> {
        let name = name(part);
        let place = format!("tensor `{name}`");
        let expected = format!("shape {shape:?}");
        let Some(entry) = self.gguf.tensors.get(&name) else {
            return Err(Error::data(self.gguf.file, place, "nothing", expected));
        };
        self.used.insert(name);
        if entry.dimensions.iter().ne(shape.iter().rev()) {
            let found: Vec<usize> = entry.dimensions.iter().rev().copied().collect();
            return Err(Error::data(self.gguf.file, place, format!("{found:?}"), expected));
        }
        Ok(entry)
    }

    fn check_all_used(&self) -> Result<()> {
        match self.gguf.tensors.keys().find(|name| !self.used.contains(*name)) {
            None => Ok(()),
            Some(name) => {
                let place = format!("tensor `{}`", name.escape_debug());
                Err(Error::data(
                    self.gguf.file,
                    place,
                    "one more",
                    "only the tensors of a plain Llama",
                ))
            }
        }
    }
}

impl Source for Tensors<'_> {
    fn has(&self, part: Part) -> bool {
        self.gguf.tensors.contains_key(&name(part))
    }

    fn matrix(&mut self, part: Part, outputs: usize, inputs: usize) -> Result<Weights> {
        let entry = self.entry(part, &[outputs, inputs])?;
        Ok(entry.format.weights(outputs, inputs, entry.bytes))
    }

    fn vector(&mut self, part: Part, len: usize) -> Result<Vec<f32>> {
        let entry = self.entry(part, &[len])?;
        let (format, numbers) = (entry.format, entry.format.numbers(entry.bytes));
        let place = || format!("tensor `{}`", name(part));
        numbers.ok_or_else(|| {
            Error::data(
                self.gguf.file,
                place(),
                format!("{format:?}"),
                "F32, F16 or BF16 for a norm",
            )
        })
    }
}
