//! A Llama in a folder as Hugging Face lays it out: `config.json`, `tokenizer.json`, and `model.safetensors` or the
//! pieces that `model.safetensors.index.json` lists. `generation_config.json` and `tokenizer_config.json` are read where
//! they are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Llama;
use super::matrix::Weights;
use super::plan::{Inner, MOST, Network, Pairs, Part, Plan, Source};
use super::quant::Format;
use super::tokenizer::Tokenizer;
use crate::error::{Error, Result};

/// `config.json`, as far as it matters.
#[derive(Deserialize)]
struct Config {
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    max_position_embeddings: usize,
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    rope_scaling: Option<serde_json::Value>,
    /// What newer versions of transformers write instead of the two above.
    rope_parameters: Option<Rope>,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default = "silu")]
    hidden_act: String,
    eos_token_id: Option<Ends>,
}

#[derive(Deserialize)]
struct Rope {
    rope_type: Option<String>,
    rope_theta: Option<f64>,
}

fn silu() -> String {
    "silu".into()
}

/// One token or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Ends {
    One(u32),
    Many(Vec<u32>),
}

impl Ends {
    fn tokens(self) -> Vec<u32> {
        match self {
            Self::One(token) => vec![token],
            Self::Many(tokens) => tokens,
        }
    }
}

#[derive(Deserialize)]
struct Generation {
    eos_token_id: Option<Ends>,
}

#[derive(Deserialize)]
struct Templates {
    chat_template: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Llama {
    /// Reads a folder, for one thread. Weights keep their 16 or 32 bits.
    pub fn from_safetensors(dir: &Path) -> Result<Self> {
        let Folder { plan, tied, tokenizer, template, stops } = Folder::open(dir)?;
        let network = with_tensors(dir, tied, |tensors| Network::read(&plan, tensors))?;
        Self::of(plan, network, tokenizer, template.as_deref(), stops)
    }
}

/// What a folder says beside its weights.
pub(super) struct Folder {
    pub plan: Plan,
    /// Whether the embedding serves as output layer.
    pub tied: bool,
    pub tokenizer: Tokenizer,
    template: Option<String>,
    /// Tokens that end a text, as far as the files name them, in their order.
    pub stops: Vec<u32>,
}

impl Folder {
    /// Reads all files of a folder but those of weights.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let file = dir.join("config.json");
        let config: Config = json(&file)?;
        let plan = config.plan(&file)?;
        let ends = |ends: Option<Ends>| ends.map_or(Vec::new(), Ends::tokens);
        let mut stops = ends(config.eos_token_id);
        let generation: Option<Generation> = optional(&dir.join("generation_config.json"))?;
        stops.extend(ends(generation.and_then(|g| g.eos_token_id)));
        if let Some(stop) = stops.iter().find(|&&stop| stop as usize >= plan.vocabulary) {
            let expected = format!("below {}", plan.vocabulary);
            return Err(Error::data(dir, "eos_token_id", stop.to_string(), expected));
        }
        let file = dir.join("tokenizer.json");
        let bytes = std::fs::read(&file).map_err(Error::io(&file))?;
        let tokenizer = Tokenizer::of_json(&file, &bytes, plan.vocabulary)?;
        let templates: Option<Templates> = optional(&dir.join("tokenizer_config.json"))?;
        let template = templates.and_then(|t| t.chat_template);
        let template = template.map(|t| t.as_str().unwrap_or("a list of templates").to_owned());
        Ok(Self { plan, tied: config.tie_word_embeddings, tokenizer, template, stops })
    }
}

fn json<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let bytes = std::fs::read(file).map_err(Error::io(file))?;
    serde_json::from_slice(&bytes).map_err(|e| {
        let place = format!("line {}, column {}", e.line(), e.column());
        Error::data(file, place, e.to_string(), "the settings of a Llama")
    })
}

fn optional<T: DeserializeOwned>(file: &Path) -> Result<Option<T>> {
    match file.exists() {
        true => json(file).map(Some),
        false => Ok(None),
    }
}

impl Config {
    fn plan(&self, file: &Path) -> Result<Plan> {
        let refuse = |key: &str, found: &str, expected: &str| {
            Err(Error::data(file, key, format!("`{}`", found.escape_debug()), expected))
        };
        if self.model_type != "llama" {
            return refuse("model_type", &self.model_type, "`llama`");
        }
        if self.hidden_act != "silu" {
            return refuse("hidden_act", &self.hidden_act, "`silu`");
        }
        if self.attention_bias || self.mlp_bias {
            return refuse("attention_bias, mlp_bias", "true", "no biases");
        }
        let scaling = self.rope_scaling.as_ref().filter(|scaling| !scaling.is_null());
        let kind = self.rope_parameters.as_ref().and_then(|rope| rope.rope_type.as_deref());
        let plain = kind.is_none_or(|kind| kind == "default");
        if scaling.is_some() || !plain {
            let found = kind.unwrap_or("a scaling of positions");
            return refuse("rope_scaling", found, "positions that are not scaled");
        }
        let heads = self.num_attention_heads;
        for (key, size) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", heads),
            ("num_key_value_heads", self.num_key_value_heads.unwrap_or(heads)),
            ("head_dim", self.head_dim.unwrap_or(1)),
            ("max_position_embeddings", self.max_position_embeddings),
        ] {
            if !(1..=MOST).contains(&size) {
                return refuse(key, &size.to_string(), &format!("1 to {MOST}"));
            }
        }
        if self.head_dim.is_none() && !self.hidden_size.is_multiple_of(heads) {
            return refuse("num_attention_heads", &heads.to_string(), "a divisor of hidden_size");
        }
        let base = self.rope_parameters.as_ref().and_then(|rope| rope.rope_theta);
        let plan = Plan {
            vocabulary: self.vocab_size,
            context: self.max_position_embeddings,
            layers: self.num_hidden_layers,
            width: self.hidden_size,
            heads,
            key_heads: self.num_key_value_heads.unwrap_or(heads),
            head: self.head_dim.unwrap_or(self.hidden_size / heads),
            hidden: self.intermediate_size,
            base: base.or(self.rope_theta).unwrap_or(10_000.0),
            epsilon: self.rms_norm_eps as f32,
            pairs: Pairs::Halves,
        };
        plan.check(file)?;
        Ok(plan)
    }
}

/// What `read` makes of the tensors of a folder; refuses a folder that holds more than it took.
pub(super) fn with_tensors<R>(
    dir: &Path,
    tied: bool,
    read: impl FnOnce(&mut Tensors<'_>) -> Result<R>,
) -> Result<R> {
    let index = dir.join("model.safetensors.index.json");
    let names: Vec<PathBuf> = match optional::<Index>(&index)? {
        None => vec![dir.join("model.safetensors")],
        Some(Index { weight_map }) => {
            let names: BTreeSet<String> = weight_map.into_values().collect();
            let outside = |name: &&String| Path::new(name).file_name() != Some(name.as_ref());
            if let Some(name) = names.iter().find(outside) {
                let found = format!("`{}`", name.escape_debug());
                return Err(Error::data(&index, "weight_map", found, "names of files beside it"));
            }
            names.iter().map(|name| dir.join(name)).collect()
        }
    };
    let load = |file: PathBuf| {
        let bytes = std::fs::read(&file).map_err(Error::io(&file))?;
        Ok((file, bytes))
    };
    let files = names.into_iter().map(load).collect::<Result<Vec<_>>>()?;
    let mut source = Tensors { dir, tied, tensors: BTreeMap::new() };
    for (file, bytes) in &files {
        let open = SafeTensors::deserialize(bytes).map_err(|e| {
            Error::data(file, "header", e.to_string(), "the header of a whole safetensors file")
        })?;
        for (name, view) in open.tensors() {
            let place = || format!("tensor `{}`", name.escape_debug());
            if source.tensors.contains_key(&name) {
                return Err(Error::data(file, place(), "a second one", "each name once"));
            }
            source.tensors.insert(name, (file, view));
        }
    }
    let made = read(&mut source)?;
    // Angles that old versions kept, and a copy of what is tied, may lie in a file without use.
    let idle =
        |name: &&String| !name.ends_with("rotary_emb.inv_freq") && **name != self::name(Part::Head);
    match source.tensors.keys().find(idle) {
        None => Ok(made),
        Some(name) => {
            let place = format!("tensor `{}`", name.escape_debug());
            Err(Error::data(dir, place, "one more", "only the tensors of a plain Llama"))
        }
    }
}

/// What a tensor is called.
pub(super) fn name(part: Part) -> String {
    let inner = |inner| match inner {
        Inner::AttentionNorm => "input_layernorm",
        Inner::Query => "self_attn.q_proj",
        Inner::Key => "self_attn.k_proj",
        Inner::Value => "self_attn.v_proj",
        Inner::AttentionOut => "self_attn.o_proj",
        Inner::ForwardNorm => "post_attention_layernorm",
        Inner::Gate => "mlp.gate_proj",
        Inner::Up => "mlp.up_proj",
        Inner::Down => "mlp.down_proj",
    };
    match part {
        Part::Embedding => "model.embed_tokens.weight".into(),
        Part::Norm => "model.norm.weight".into(),
        Part::Head => "lm_head.weight".into(),
        Part::Of(block, part) => format!("model.layers.{block}.{}.weight", inner(part)),
    }
}

/// The tensors of a folder.
pub(super) struct Tensors<'a> {
    dir: &'a Path,
    tied: bool,
    /// Those not used yet, with their file.
    tensors: BTreeMap<String, (&'a PathBuf, TensorView<'a>)>,
}

impl<'a> Tensors<'a> {
    fn take(&mut self, part: Part, shape: &[usize]) -> Result<(Format, TensorView<'a>)> {
        let name = name(part);
        let (place, expected) = (format!("tensor `{name}`"), format!("shape {shape:?}"));
        let Some((file, view)) = self.tensors.remove(&name) else {
            return Err(Error::data(self.dir, place, "nothing", expected));
        };
        if view.shape() != shape {
            return Err(Error::data(file, place, format!("{:?}", view.shape()), expected));
        }
        let format = match view.dtype() {
            Dtype::F32 => Format::F32,
            Dtype::F16 => Format::F16,
            Dtype::BF16 => Format::Bf16,
            other => {
                return Err(Error::data(file, place, format!("{other:?}"), "F32, F16 or BF16"));
            }
        };
        Ok((format, view))
    }

    /// Numbers of a tensor of exactly this shape.
    pub(super) fn numbers(&mut self, part: Part, shape: &[usize]) -> Result<Vec<f32>> {
        let (format, view) = self.take(part, shape)?;
        Ok(format.numbers(view.data()).unwrap_or_default())
    }
}

impl Source for Tensors<'_> {
    fn has(&self, part: Part) -> bool {
        part != Part::Head || !self.tied
    }

    fn matrix(&mut self, part: Part, outputs: usize, inputs: usize) -> Result<Weights> {
        let (format, view) = self.take(part, &[outputs, inputs])?;
        Ok(format.weights(outputs, inputs, view.data()))
    }

    fn vector(&mut self, part: Part, len: usize) -> Result<Vec<f32>> {
        self.numbers(part, &[len])
    }
}
