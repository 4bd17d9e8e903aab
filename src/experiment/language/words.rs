//! What a model reads and writes. Everybody asks and answers in bytes; a model over other tokens cuts them itself, a
//! prompt and its completion each on its own.

use std::sync::Arc;

use super::lesson;
use crate::data::suite::END;
use crate::error::{Error, Result};
use crate::model::language::Corpus;
use crate::model::llama::Tokenizer;

/// The tokens of a decoder.
#[derive(Clone, Debug)]
pub enum Words {
    /// A token is a byte, and [`END`] one of them.
    Bytes,
    /// Those of a model from disk.
    Tables(Arc<Tables>),
}

/// Tables of tokens, and which of these end a text.
#[derive(Clone, Debug)]
pub struct Tables {
    tokenizer: Tokenizer,
    stops: Vec<u32>,
}

impl Tables {
    /// The first of `stops` is what a text is ended with.
    pub const fn new(tokenizer: Tokenizer, stops: Vec<u32>) -> Self {
        Self { tokenizer, stops }
    }

    /// Tokens of a prompt. Nothing in it is special.
    pub fn prompt(&self, text: &[u8]) -> Result<Vec<u32>> {
        self.tokenizer.prompt_bytes(text)
    }

    /// Tokens of a completion, which goes on from a prompt; [`END`] is the token that ends a text.
    pub fn completion(&self, text: &[u8]) -> Result<Vec<u32>> {
        let end = text.iter().position(|byte| *byte == END);
        let words = &text[..end.unwrap_or(text.len())];
        let mut tokens = self.tokenizer.encode_bytes(words)?;
        tokens.extend(self.stops.first().filter(|_| end.is_some()));
        Ok(tokens)
    }

    /// The bytes of a completion, up to [`END`] if a token ends it.
    pub fn bytes(&self, tokens: &[u32]) -> Result<Vec<u8>> {
        let end = tokens.iter().position(|token| self.stops.contains(token));
        let words = &tokens[..end.unwrap_or(tokens.len())];
        let mut text = self.tokenizer.decode_bytes(words)?;
        text.extend(end.map(|_| END));
        Ok(text)
    }
}

impl Words {
    /// Tokens of a prompt.
    pub fn prompt(&self, text: &[u8]) -> Result<Vec<u16>> {
        match self {
            Self::Bytes => Ok(super::tokens(text)),
            Self::Tables(tables) => narrow(&tables.prompt(text)?),
        }
    }

    /// Tokens of a completion.
    pub fn completion(&self, text: &[u8]) -> Result<Vec<u16>> {
        match self {
            Self::Bytes => Ok(super::tokens(text)),
            Self::Tables(tables) => narrow(&tables.completion(text)?),
        }
    }

    /// Bytes of a completion.
    pub fn bytes(&self, tokens: &[u16]) -> Result<Vec<u8>> {
        match self {
            Self::Bytes => Ok(super::bytes(tokens)),
            Self::Tables(tables) => {
                tables.bytes(&tokens.iter().map(|&token| u32::from(token)).collect::<Vec<_>>())
            }
        }
    }

    /// The token that ends a text.
    pub fn end(&self) -> u16 {
        match self {
            Self::Bytes => u16::from(END),
            Self::Tables(tables) => tables.stops.first().map_or(0, |&token| token as u16),
        }
    }

    /// Texts of `context` tokens to learn from: prompts, and the completions that are to be learnt.
    pub fn corpus<'a>(
        &self,
        pairs: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>,
        context: usize,
    ) -> Result<Corpus> {
        if let Self::Bytes = self {
            return lesson::corpus(pairs, context);
        }
        let cut = |(prompt, completion)| Ok((self.prompt(prompt)?, self.completion(completion)?));
        let pairs = pairs.map(cut).collect::<Result<Vec<(Vec<u16>, Vec<u16>)>>>()?;
        Corpus::of(pairs.iter().map(|(p, c)| (&p[..], &c[..])), context, self.end())
    }
}

/// Tokens of a decoder that numbers them in 16 bits.
fn narrow(tokens: &[u32]) -> Result<Vec<u16>> {
    let token = |&t: &u32| u16::try_from(t).map_err(|e| Error::Internal(format!("token {t}: {e}")));
    tokens.iter().map(token).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::llama::tests::tiny;

    fn tables() -> Tables {
        let model = tiny::model();
        // As files name it; the model's own list is in order of numbers.
        Tables::new(model.tokenizer().clone(), vec![2, 0])
    }

    #[test]
    fn completions_end_with_the_token_that_ends_a_text_and_come_back_as_bytes() {
        let tables = tables();
        let id = |token: &str| tiny::tokens().iter().position(|t| t == token).unwrap() as u32;
        let hello = [id("hell"), id("o")];
        assert_eq!(tables.prompt(b"hello").unwrap(), hello);
        assert_eq!(tables.completion(b"hello").unwrap(), hello);
        assert_eq!(tables.completion(b"hello\0").unwrap(), [hello[0], hello[1], 2]);
        assert_eq!(tables.completion(b"\0").unwrap(), [2]);
        assert_eq!(tables.bytes(&hello).unwrap(), b"hello");
        for stop in [0, 2] {
            assert_eq!(tables.bytes(&[hello[0], hello[1], stop, 77]).unwrap(), b"hello\0");
        }
        // What reads like a special token is text.
        let marks = tables.prompt(b"<|im_end|>").unwrap();
        assert!(marks.len() == 10 && marks.iter().all(|t| *t > 2), "{marks:?}");
        for text in ["37.0,80c9,59.4,1=1490", "pay(Mozuk,39)", "a b  c", "\u{e9}\u{4e2d}"] {
            let text = [text.as_bytes(), &[END]].concat();
            assert_eq!(tables.bytes(&tables.completion(&text).unwrap()).unwrap(), text);
        }
    }

    #[test]
    fn bytes_are_their_own_tokens() {
        let words = Words::Bytes;
        assert_eq!(words.prompt(b"A1+2>").unwrap(), words.completion(b"A1+2>").unwrap());
        assert_eq!(words.bytes(&words.completion(b"\xff=3\0").unwrap()).unwrap(), b"\xff=3\0");
        assert_eq!(words.end(), 0);
    }

    #[test]
    fn a_corpus_holds_prompts_and_completions_in_the_model_s_own_tokens() {
        let words = Words::Tables(Arc::new(tables()));
        let corpus = words.corpus([(&b"hell"[..], &b"12\0"[..])].into_iter(), 5).unwrap();
        let id = |token: &str| tiny::tokens().iter().position(|t| t == token).unwrap() as u16;
        // Digits stand alone before pairs are merged.
        let (one, two) = (id("1"), id("2"));
        assert_eq!(corpus.tokens.row(0).to_vec(), [id("hell"), one, two, 2, 2]);
        assert_eq!(corpus.next.row(0).to_vec(), [i32::from(one), i32::from(two), 2, -1, -1]);
        let long = words.corpus([(&b"a"[..], &b"bcdefg\0"[..])].into_iter(), 5);
        assert!(long.unwrap_err().to_string().contains("up to 6 tokens"));
    }
}
