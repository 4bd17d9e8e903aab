//! Models of the Llama family from disk: to be asked and scored as they are ([`Llama`]), or to be trained
//! ([`Tunable`], a [`Language`](super::language::Language) of such blocks).
//!
//! A file of GGUF ([`Llama::from_gguf`]) brings everything along; a folder of Hugging Face
//! ([`Llama::from_safetensors`]) holds it in three files. Weights stay as small in memory as they are on disk; every
//! product is computed in 32 bits from the weights that the codes stand for, so answers are those of the de-quantised
//! model. A result depends neither on the number of threads, nor on the texts computed beside it, nor on how a
//! text was cut on its way: scoring a text gives the logits that generating it gave.

mod bytes;
mod chat;
mod from_gguf;
mod from_safetensors;
mod generate;
mod gguf;
mod kernel;
mod matrix;
mod pass;
mod plan;
mod quant;
mod tokenizer;
mod tune;

use std::sync::Arc;

use ndarray::Array2;

pub use chat::{ChatMl, Message, Role};
pub use plan::{Pairs, Plan};
pub use tokenizer::Tokenizer;
pub use tune::Tunable;

use crate::error::{Error, Result};
use matrix::Crew;
use pass::{Memory, Run};
use plan::Network;

/// A model from disk. Clones share their weights.
#[derive(Clone, Debug)]
pub struct Llama {
    model: Arc<Inside>,
    crew: Arc<Crew>,
}

#[derive(Debug)]
struct Inside {
    plan: Plan,
    network: Network,
    tokenizer: Tokenizer,
    form: Form,
    stops: Vec<u32>,
}

/// How conversations are written.
#[derive(Debug)]
enum Form {
    Known(ChatMl),
    /// The template's beginning.
    Other(String),
    None,
}

impl Form {
    fn of(template: Option<&str>) -> Self {
        match template.map(|template| (ChatMl::of_template(template), template)) {
            None => Self::None,
            Some((Some(form), _)) => Self::Known(form),
            Some((None, template)) => Self::Other(template.chars().take(60).collect()),
        }
    }
}

/// Tokens that end a text, whatever a file calls them: those of ChatML, of GPT-2, of Llama 2 and 3.
const ENDS: [&str; 5] = ["<|endoftext|>", "<|im_end|>", "</s>", "<|end_of_text|>", "<|eot_id|>"];

/// Rows of a pass: enough to make unpacking weights cheap, few enough to stay near.
const ROWS: usize = 128;

impl Llama {
    fn of(
        plan: Plan,
        network: Network,
        tokenizer: Tokenizer,
        template: Option<&str>,
        ends: impl IntoIterator<Item = u32>,
    ) -> Result<Self> {
        let ends = ends.into_iter().chain(ENDS.iter().filter_map(|end| tokenizer.id(end)));
        let mut stops: Vec<u32> = ends.collect();
        stops.sort_unstable();
        stops.dedup();
        let inside = Inside { plan, network, tokenizer, form: Form::of(template), stops };
        Ok(Self { model: Arc::new(inside), crew: Arc::new(Crew::of(1)?) })
    }

    /// The same model on so many threads, 1 to 256. They change no result.
    pub fn with_threads(&self, threads: usize) -> Result<Self> {
        if !(1..=256).contains(&threads) {
            return Err(Error::input("threads of a model", threads, "1 to 256"));
        }
        Ok(Self { model: Arc::clone(&self.model), crew: Arc::new(Crew::of(threads)?) })
    }

    /// Its sizes.
    pub fn plan(&self) -> &Plan {
        &self.model.plan
    }

    /// Its tables of tokens.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.model.tokenizer
    }

    /// Tokens that end a text, in order.
    pub fn stops(&self) -> &[u32] {
        &self.model.stops
    }

    /// How it reads conversations. A model without a template, or with one that is not known here, is refused.
    pub fn chat(&self) -> Result<&ChatMl> {
        let refuse = |found: String| {
            let expected = "a form of ChatML: render the prompt yourself, or use a ChatML value";
            Err(Error::input("chat template", found, expected))
        };
        match &self.model.form {
            Form::Known(form) => Ok(form),
            Form::Other(text) => refuse(format!("`{}...`", text.escape_debug())),
            Form::None => refuse("none in the model's files".into()),
        }
    }

    /// Tokens of a conversation, the assistant's turn begun if `reply`. What messages say cannot end a turn.
    pub fn conversation(&self, messages: &[Message], reply: bool) -> Result<Vec<u32>> {
        self.model.tokenizer.chat(self.chat()?, messages, reply)
    }

    /// A text to be continued, nothing read yet.
    pub fn session(&self) -> Session<'_> {
        Session { llama: self, memory: Memory::of(&self.model.plan) }
    }

    /// Logits `[n, vocabulary]` for the token after each of n tokens.
    pub fn score(&self, tokens: &[u32]) -> Result<Array2<f32>> {
        let mut all = Vec::with_capacity(tokens.len() * self.model.plan.vocabulary);
        self.session().read(tokens, |logits| all.extend_from_slice(logits))?;
        Array2::from_shape_vec((tokens.len(), self.model.plan.vocabulary), all)
            .map_err(|e| Error::Internal(e.to_string()))
    }

    /// Log-probabilities `[n - 1]` of the second to the last of n tokens, each given those before it, in 64 bits.
    pub fn log_probs(&self, tokens: &[u32]) -> Result<Vec<f64>> {
        let mut next = tokens.iter().skip(1);
        let mut logs = Vec::with_capacity(tokens.len());
        self.session().read(tokens, |logits| {
            for (row, &token) in logits.chunks_exact(self.model.plan.vocabulary).zip(&mut next) {
                let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let weights = row.iter().map(|&z| libm::exp(f64::from(z) - f64::from(most)));
                let total = libm::log(weights.sum::<f64>());
                logs.push(f64::from(row[token as usize]) - f64::from(most) - total);
            }
        })?;
        Ok(logs)
    }

    fn check_tokens(&self, what: &str, tokens: &[u32]) -> Result<()> {
        let most = self.model.plan.vocabulary;
        match tokens.iter().position(|&t| t as usize >= most) {
            Some(at) => {
                let what = format!("token {at} of {what}");
                Err(Error::input(what, tokens[at], format!("below {most}")))
            }
            None => Ok(()),
        }
    }

    /// What enters the head for the new tokens of some texts, `[rows, width]`.
    fn pass(&self, runs: &mut [Run<'_>]) -> Vec<f32> {
        self.crew.run(|| self.model.network.pass(&self.model.plan, &self.crew, runs))
    }

    /// Logits of rows `[rows, width]` that enter the head.
    fn logits(&self, x: &[f32]) -> Vec<f32> {
        let rows = x.len() / self.model.plan.width;
        self.crew.run(|| self.model.network.logits(&self.crew, rows, x))
    }
}

/// A text that a model has read so far. Clones go their own ways.
#[derive(Clone, Debug)]
pub struct Session<'a> {
    llama: &'a Llama,
    memory: Memory,
}

impl Session<'_> {
    /// Tokens read.
    pub const fn seen(&self) -> usize {
        self.memory.seen
    }

    /// Reads on, one token or more, and gives the logits `[vocabulary]` for the token after the last.
    pub fn feed(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        self.check(tokens)?;
        Ok(self.llama.logits(&self.advance(tokens)))
    }

    /// Reads on and hands over logits `[some, vocabulary]` after every token, some at a time.
    fn read(&mut self, tokens: &[u32], mut take: impl FnMut(&[f32])) -> Result<()> {
        self.check(tokens)?;
        for tokens in tokens.chunks(ROWS) {
            let x = self.llama.pass(&mut [Run { memory: &mut self.memory, tokens }]);
            take(&self.llama.logits(&x));
        }
        Ok(())
    }

    /// Reads on and gives what enters the head after the last token, `[width]`.
    fn advance(&mut self, tokens: &[u32]) -> Vec<f32> {
        let mut last = Vec::new();
        for tokens in tokens.chunks(ROWS) {
            last = self.llama.pass(&mut [Run { memory: &mut self.memory, tokens }]);
        }
        last.split_off(last.len().saturating_sub(self.llama.model.plan.width))
    }

    fn check(&self, tokens: &[u32]) -> Result<()> {
        let (seen, most) = (self.memory.seen, self.llama.model.plan.context);
        if tokens.is_empty() || seen + tokens.len() > most {
            let found = format!("{} after {seen}", tokens.len());
            return Err(Error::input("tokens of a text", found, format!("1 to {most} together")));
        }
        self.llama.check_tokens("a text", tokens)
    }
}

#[cfg(test)]
pub(crate) mod tests;
