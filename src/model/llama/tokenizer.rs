//! Texts to tokens and back, by the tables that come with a model.

use std::path::Path;

use serde::Deserialize;
use tokenizers::decoders::byte_level::ByteLevel as Decoder;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, Tokenizer as Tables};

use super::chat::{ChatMl, Message, Piece};
use super::gguf::Gguf;
use crate::error::{Error, Result};

/// Texts to tokens and back.
#[derive(Clone)]
pub struct Tokenizer {
    /// Finds special tokens in a text.
    pub(super) tables: Tables,
    /// Takes them for ordinary text.
    plain: Tables,
    /// What a text begins with, where the model asks for it.
    begin: Option<u32>,
}

/// Numbers that GGUF files give to sorts of tokens.
const CONTROL: i64 = 3;
const OF_THE_USER: i64 = 4;

/// What merges must be; the library reads beyond its room for others.
const PAIRS: &str = "pairs of tokens that together are a token";

/// The first merge of which a part or the whole is no token.
fn not_merged(merges: &[(String, String)], known: impl Fn(&str) -> bool) -> Option<String> {
    let (a, b) = merges.iter().find(|(a, b)| {
        a.is_empty() || b.is_empty() || !known(a) || !known(b) || !known(&format!("{a}{b}"))
    })?;
    Some(format!("`{}`", format!("{a} {b}").escape_debug()))
}

/// The part of a `tokenizer.json` that is looked at before the library reads it.
#[derive(Deserialize)]
struct Outline {
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    dropout: Option<f64>,
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    vocab: serde_json::Value,
    #[serde(default)]
    merges: Vec<Merge>,
}

/// As old and new files write it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Text(String),
    Pair(String, String),
}

impl Model {
    fn check(self, file: &Path) -> Result<()> {
        let refuse = |key: &str, found: String, expected: &str| {
            Err(Error::data(file, format!("model.{key}"), found, expected))
        };
        if self.kind.as_deref() != Some("BPE") {
            let found = self.kind.unwrap_or_default().escape_debug().to_string();
            return refuse("type", format!("`{found}`"), "`BPE`");
        }
        if let Some(dropout) = self.dropout.filter(|&share| share != 0.0) {
            return refuse(
                "dropout",
                dropout.to_string(),
                "none: the same text has the same tokens",
            );
        }
        if self.continuing_subword_prefix.is_some_and(|prefix| !prefix.is_empty()) {
            return refuse("continuing_subword_prefix", "one".into(), "none");
        }
        let merges = self.merges.into_iter().map(|merge| match merge {
            Merge::Pair(a, b) => (a, b),
            Merge::Text(text) => {
                let (a, b) = text.split_once(' ').unwrap_or((&text, ""));
                (a.to_owned(), b.to_owned())
            }
        });
        match not_merged(&merges.collect::<Vec<_>>(), |token| self.vocab.get(token).is_some()) {
            Some(found) => refuse("merges", found, PAIRS),
            None => Ok(()),
        }
    }
}

/// Ways to cut a text before byte pairs are merged, as GGUF files name them.
const KNOWN_CUTS: &str = "`smollm` or `gpt-2`";

impl Tokenizer {
    /// Of the tables in a GGUF file.
    pub(super) fn of_gguf(gguf: &Gguf<'_>, vocabulary: usize) -> Result<Self> {
        let refuse = |key: &str, found: String, expected: &str| {
            Err(Error::data(gguf.file, format!("tokenizer.ggml.{key}"), found, expected))
        };
        let named = |found: Option<&str>| format!("`{}`", found.unwrap_or("none").escape_debug());
        let model = gguf.text("tokenizer.ggml.model")?;
        if model != Some("gpt2") {
            return refuse("model", named(model), "`gpt2`, byte pairs");
        }
        // A prefix space would change the first token of a text (`add_prefix_space` is false in both).
        let bytes = ByteLevel::new(false, true, true);
        let pre = gguf.text("tokenizer.ggml.pre")?;
        let cuts = match pre {
            Some("smollm") => vec![Digits::new(true).into(), bytes.into()],
            Some("gpt-2") => vec![bytes.into()],
            _ => return refuse("pre", named(pre), KNOWN_CUTS),
        };
        if gguf.truth("tokenizer.ggml.add_space_prefix")? == Some(true) {
            return refuse("add_space_prefix", "true".into(), "false");
        }
        let tokens = gguf.texts("tokenizer.ggml.tokens")?;
        if tokens.is_empty() || tokens.len() > vocabulary {
            let found = format!("{} tokens", tokens.len());
            return refuse(
                "tokens",
                found,
                &format!("1 to {vocabulary}, the rows of the embedding"),
            );
        }
        let table: Vocab = tokens.iter().cloned().zip(0..).collect();
        if table.len() != tokens.len() {
            let found = format!("{} different ones of {}", table.len(), tokens.len());
            return refuse("tokens", found, "each token once");
        }
        let merges = gguf.texts("tokenizer.ggml.merges")?.iter().map(|merge| {
            let (a, b) = merge.split_once(' ').unwrap_or((merge, ""));
            (a.to_owned(), b.to_owned())
        });
        let merges: Vec<(String, String)> = merges.collect();
        if let Some(found) = not_merged(&merges, |token| table.contains_key(token)) {
            return refuse("merges", found, PAIRS);
        }
        let wrong = |e: tokenizers::Error| {
            Error::data(gguf.file, "tokenizer.ggml", e.to_string(), "tables of byte pairs")
        };
        let mut tables =
            Tables::new(BPE::builder().vocab_and_merges(table, merges).build().map_err(wrong)?);
        tables.with_pre_tokenizer(Some(Sequence::new(cuts)));
        tables.with_decoder(Some(Decoder::new(false, true, true)));
        let sorts = gguf.wholes("tokenizer.ggml.token_type")?.unwrap_or_default();
        let added = tokens.iter().zip(sorts).filter_map(|(token, &sort)| match sort {
            CONTROL => Some(AddedToken::from(token.as_str(), true)),
            OF_THE_USER => Some(AddedToken::from(token.as_str(), false)),
            _ => None,
        });
        tables.add_tokens(added.filter(|token| !token.content.is_empty())).map_err(wrong)?;
        let begin = match gguf.truth("tokenizer.ggml.add_bos_token")? {
            Some(true) => gguf.whole("tokenizer.ggml.bos_token_id", vocabulary - 1)?,
            _ => None,
        };
        Ok(Self::of(tables, begin.map(|id| id as u32)))
    }

    /// Of a `tokenizer.json`.
    pub(super) fn of_json(file: &Path, bytes: &[u8], vocabulary: usize) -> Result<Self> {
        let wrong = |e: String| {
            let found = e.escape_debug().to_string();
            Error::data(file, "tokenizer", found, "tables of the Hugging Face tokenizers")
        };
        let Outline { model } = serde_json::from_slice(bytes).map_err(|e| wrong(e.to_string()))?;
        model.check(file)?;
        let mut tables = Tables::from_bytes(bytes).map_err(|e| wrong(e.to_string()))?;
        // A text is never cut or filled up behind one's back.
        tables.with_truncation(None).map_err(|e| wrong(e.to_string()))?;
        tables.with_padding(None);
        let most = tables.get_vocab(true).values().max().map_or(0, |&id| id as usize);
        if most >= vocabulary {
            let expected = format!("below {vocabulary}, the rows of the embedding");
            return Err(Error::data(file, "vocabulary", format!("token {most}"), expected));
        }
        Ok(Self::of(tables, None))
    }

    fn of(tables: Tables, begin: Option<u32>) -> Self {
        let mut plain = tables.clone();
        plain.set_encode_special_tokens(true);
        Self { tables, plain, begin }
    }

    /// Tokens of a text. Special tokens are recognised by their text; nothing is put in front.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Self::ids(&self.tables, text)
    }

    /// Tokens of a text from outside: what reads like a special token is ordinary text.
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>> {
        Self::ids(&self.plain, text)
    }

    fn ids(tables: &Tables, text: &str) -> Result<Vec<u32>> {
        let encoding = tables.encode(text, false);
        let encoding =
            encoding.map_err(|e| Error::input("text to encode", e, "a text of its vocabulary"))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// A text for the model to continue: [`Self::encode`], after the token that the model wants first, if any.
    pub fn prompt(&self, text: &str) -> Result<Vec<u32>> {
        let ids = self.encode(text)?;
        Ok(self.begin.into_iter().chain(ids).collect())
    }

    /// The same of bytes from outside.
    pub fn prompt_bytes(&self, bytes: &[u8]) -> Result<Vec<u32>> {
        let ids = self.encode_bytes(bytes)?;
        Ok(self.begin.into_iter().chain(ids).collect())
    }

    /// Tokens of a conversation, for the model to answer if `reply`. The text of messages is encoded as from outside.
    pub fn chat(&self, form: &ChatMl, messages: &[Message], reply: bool) -> Result<Vec<u32>> {
        let mut ids: Vec<u32> = self.begin.into_iter().collect();
        for piece in form.pieces(messages, reply) {
            match piece {
                Piece::Mark(mark) => ids.push(self.id(mark).ok_or_else(|| {
                    Error::input(
                        "special tokens of ChatML",
                        format!("no `{mark}`"),
                        "in the vocabulary",
                    )
                })?),
                Piece::Text(text) => ids.extend(self.encode_plain(&text)?),
            }
        }
        Ok(ids)
    }

    /// The text of tokens, special ones among them. Bytes that are no UTF-8 become replacement characters.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let text = self.tables.decode(ids, false);
        text.map_err(|e| Error::input("tokens to decode", e, "tokens of its vocabulary"))
    }

    /// The number of a token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.tables.token_to_id(token)
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokenizer({} tokens)", self.tables.get_vocab_size(true))
    }
}
