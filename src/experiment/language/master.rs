//! Who teaches: a decoder over bytes, or a model from disk behind the same API of bytes.
//!
//! A model from disk goes on from the bytes of a prompt, in its own tokens and without a form of conversation. Its
//! answers are cut to what fits a text, and are bytes as all answers are; log-probabilities, where they are told, are
//! those of its own tokens.

use std::path::Path;
use std::sync::Arc;

use super::CONTEXT;
use super::exam::Candidate;
use super::words::Tables;
use crate::defense::text::{Asked, TextBatch, TextStack};
use crate::error::{Error, Result};
use crate::model::language::{Language, Reveal, Sampling};
use crate::model::llama::Llama;
use crate::oracle::completion::{Completion, TokenProbs};
use crate::seed::Seed;

/// Who teaches.
#[derive(Clone, Debug)]
pub enum Master {
    Bytes(Arc<Language>),
    Disk(Arc<Disk>),
}

impl Master {
    /// Answers behind all layers of a stack.
    pub fn answer(&self, stack: &mut TextStack, batch: &TextBatch<'_>) -> Result<Vec<Completion>> {
        let teacher = match self {
            Self::Bytes(teacher) => return stack.answer(teacher, batch),
            Self::Disk(teacher) => teacher,
        };
        let answers = teacher.answer(batch)?;
        let asked = batch.accounts.iter().zip(batch.prompts);
        let asked = asked.map(|(&account, prompt)| Asked { account, prompt });
        Ok(asked.zip(answers).map(|(asked, answer)| stack.reply(&asked, answer)).collect())
    }
}

impl Candidate for Master {
    fn write(&self, prompts: &[Vec<u8>], most: usize) -> Result<Vec<Vec<u8>>> {
        match self {
            Self::Bytes(teacher) => teacher.write(prompts, most),
            Self::Disk(teacher) => teacher.write(prompts, most),
        }
    }

    fn log_prob(&self, pairs: &[(&[u8], &[u8])]) -> Result<f64> {
        match self {
            Self::Bytes(teacher) => teacher.log_prob(pairs),
            Self::Disk(teacher) => teacher.log_prob(pairs),
        }
    }
}

/// A model of the Llama family from disk.
#[derive(Debug)]
pub struct Disk {
    llama: Llama,
    tables: Tables,
}

impl Disk {
    /// Reads a file of GGUF or a folder of Hugging Face; keys of errors are relative to the teacher. One that is to tell
    /// log-probabilities numbers its tokens in 16 bits.
    pub fn open(path: &Path, tells: bool) -> Result<Self> {
        let read = if path.is_dir() { Llama::from_safetensors } else { Llama::from_gguf };
        let llama = read(path).map_err(|e| {
            let expected = "a GGUF file, or a folder with `config.json`, `tokenizer.json` \
                and `model.safetensors`, of a Llama";
            Error::config("path", e.to_string(), expected)
        })?;
        let (context, vocabulary) = (llama.plan().context, llama.plan().vocabulary);
        if context < CONTEXT {
            let found = format!("a model with a context of {context}");
            return Err(Error::config("path", found, format!("{CONTEXT} or more")));
        }
        if tells && vocabulary > MOST_TOLD {
            let found = format!("a model of {vocabulary} tokens");
            let expected = format!("up to {MOST_TOLD}, where `api.top-logprobs` is not 0");
            return Err(Error::config("path", found, expected));
        }
        let tables = Tables::new(llama.tokenizer().clone(), llama.stops().to_vec());
        Ok(Self { llama, tables })
    }

    fn cut(&self, prompts: &[Vec<u8>]) -> Result<Vec<Vec<u32>>> {
        prompts.iter().map(|prompt| self.tables.prompt(prompt)).collect()
    }

    fn answer(&self, batch: &TextBatch<'_>) -> Result<Vec<Completion>> {
        let TextBatch { prompts, streams, most, reveal, sampling, .. } = *batch;
        let cut = self.cut(prompts)?;
        let answers = match reveal {
            None => {
                let texts = self.llama.sample(&cut, most, &sampling, streams)?;
                texts.into_iter().map(|tokens| (tokens, None)).collect()
            }
            Some(Reveal::Own { k } | Reveal::Steered { k }) => {
                let texts = self.llama.sample_told(&cut, most, &sampling, streams, k)?;
                texts.into_iter().map(|(tokens, told)| (tokens, Some(told))).collect::<Vec<_>>()
            }
        };
        let fit = |(prompt, (tokens, told)): (&Vec<u8>, (Vec<u32>, Option<TokenProbs>))| {
            let (text, kept) = self.fitting(&tokens, prompt.len())?;
            let logprobs = told.map(|told| told.select(&(0..kept).collect::<Vec<_>>()));
            Ok(Completion { tokens: super::tokens(&text), logprobs })
        };
        prompts.iter().zip(answers).map(fit).collect()
    }

    /// The bytes of as many tokens of a completion as fit a text with a prompt of so many bytes, and how many tokens
    /// these are.
    fn fitting(&self, tokens: &[u32], prompt: usize) -> Result<(Vec<u8>, usize)> {
        let room = (CONTEXT + 1).saturating_sub(prompt);
        let mut kept = tokens.len();
        loop {
            let text = self.tables.bytes(&tokens[..kept])?;
            if text.len() <= room || kept == 0 {
                return Ok((text, kept));
            }
            kept -= 1;
        }
    }
}

/// Most tokens of a model that tells log-probabilities.
const MOST_TOLD: usize = 1 << 16;

impl Candidate for Disk {
    fn write(&self, prompts: &[Vec<u8>], most: usize) -> Result<Vec<Vec<u8>>> {
        let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
        // Nothing is drawn.
        let streams = vec![Seed::new(0); prompts.len()];
        let given = self.llama.sample(&self.cut(prompts)?, most, &sampling, &streams)?;
        let fit = |(prompt, tokens): (&Vec<u8>, &Vec<u32>)| self.fitting(tokens, prompt.len());
        prompts.iter().zip(&given).map(|pair| Ok(fit(pair)?.0)).collect()
    }

    fn log_prob(&self, pairs: &[(&[u8], &[u8])]) -> Result<f64> {
        let mut sum = 0.0;
        for (prompt, completion) in pairs {
            let mut tokens = self.tables.prompt(prompt)?;
            let first = tokens.len();
            tokens.extend(self.tables.completion(completion)?);
            // The first log-probability is that of the second token.
            sum += self.llama.log_probs(&tokens)?[first - 1..].iter().sum::<f64>();
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::llama::tests::tiny;
    use crate::oracle::AccountId;

    fn disk() -> Disk {
        let llama = tiny::model();
        let tables = Tables::new(llama.tokenizer().clone(), llama.stops().to_vec());
        Disk { llama, tables }
    }

    #[test]
    fn answers_are_the_model_s_own_in_bytes_as_far_as_they_fit() {
        let disk = disk();
        let prompts: Vec<Vec<u8>> = (1..30)
            .map(|i| b"hello 12 and a".iter().cycle().take(2 * i).copied().collect())
            .collect();
        let streams: Vec<Seed> = (0..29).map(|i| Seed::new(3).nth("answer", i)).collect();
        let accounts = vec![AccountId(0); 29];
        let batch = TextBatch {
            accounts: &accounts,
            prompts: &prompts,
            streams: &streams,
            sampling: Sampling::default(),
            most: CONTEXT,
            reveal: Some(Reveal::Own { k: 5 }),
        };
        let told = disk.answer(&batch).unwrap();
        let plain = disk.answer(&TextBatch { reveal: None, ..batch }).unwrap();
        let cut = disk.cut(&prompts).unwrap();
        let texts = disk.llama.sample(&cut, CONTEXT, &Sampling::default(), &streams).unwrap();
        let mut ended = 0;
        for (i, (told, plain)) in told.iter().zip(&plain).enumerate() {
            assert_eq!(told.tokens, plain.tokens);
            let text: Vec<u8> = told.tokens.iter().map(|&byte| byte as u8).collect();
            assert!(disk.tables.bytes(&texts[i]).unwrap().starts_with(&text));
            assert!(prompts[i].len() + text.len() <= CONTEXT + 1);
            let probs = told.logprobs.as_ref().unwrap();
            assert_eq!((probs.vocabulary, probs.k()), (264, 5));
            let kept = &texts[i][..probs.len()];
            assert_eq!(disk.tables.bytes(kept).unwrap(), text);
            // What is told at each place is what scoring the text gives.
            let whole = [&cut[i][..], kept].concat();
            let logits = disk.llama.score(&whole).unwrap();
            let rows = logits.rows().into_iter().skip(cut[i].len() - 1).take(kept.len());
            let rows: Vec<f32> = rows.flat_map(|row| row.to_vec()).collect();
            assert_eq!(probs, &TokenProbs::of_logits(&rows, 264, 5));
            ended += usize::from(text.ends_with(&[0]));
        }
        assert!(ended > 0 && ended < 29, "{ended}");
    }

    #[test]
    fn the_log_probability_of_a_text_is_that_of_its_tokens() {
        let disk = disk();
        let pairs: [(&[u8], &[u8]); 2] = [(b"hell", b"o 12\0"), (b"a", b"b")];
        let expected: f64 = pairs
            .iter()
            .map(|(prompt, completion)| {
                let prompt = disk.tables.prompt(prompt).unwrap();
                let text = [&prompt[..], &disk.tables.completion(completion).unwrap()].concat();
                let logs = disk.llama.log_probs(&text).unwrap();
                logs.iter().skip(prompt.len() - 1).sum::<f64>()
            })
            .sum();
        assert!((disk.log_prob(&pairs).unwrap() - expected).abs() < 1e-12);
        // Five tokens of `o 12` with its end, one of `b`: at about log 264 each.
        assert!((-60.0..-15.0).contains(&expected), "{expected}");
    }
}
