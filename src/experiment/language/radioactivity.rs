//! Has a model learnt from watermarked text? (Sander et al. 2024, arXiv:2402.14904.)
//!
//! Whoever learns from marked text prefers what was marked, and that shows in what it says next: of marked
//! text when its weights can be asked (open), of its own texts when it can only be asked to write (closed).
//! Three rules keep an innocent model innocent. A pair of context and token counts once over all texts. A
//! context counts only where it is met for the first time in a text, prompt included, because a model may
//! repeat what followed it there. And, if wanted, only contexts count that the marked texts held, because
//! nothing can have been learnt about others.

use std::collections::BTreeSet;

use ndarray::Array2;

use crate::defense::text::watermark::GreenList;
use crate::error::Result;
use crate::metric::{Green, Pairs};
use crate::model::language::{Language, Sampling};
use crate::oracle::argmax;
use crate::oracle::completion::END;
use crate::seed::Seed;

/// Texts that are read or continued together.
const BATCH: usize = 64;

/// A prompt and what was written after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub prompt: Vec<u16>,
    pub new: Vec<u16>,
}

/// How a detector scores.
#[derive(Clone, Copy, Debug)]
pub struct Detector<'a> {
    pub green: &'a GreenList,
    /// Different tokens of the models.
    pub vocabulary: usize,
    /// Contexts that the marked texts held, if only these are to count.
    pub known: Option<&'a BTreeSet<Vec<u16>>>,
}

impl Written {
    /// Prompt and continuation up to its end.
    fn text(&self) -> Vec<u16> {
        let end = self.new.iter().position(|t| *t == END).unwrap_or(self.new.len());
        [&self.prompt[..], &self.new[..end]].concat()
    }

    /// Places of the continuation whose context is met there for the first time.
    fn places(&self, text: &[u16], context: usize) -> Vec<usize> {
        let mut met = BTreeSet::new();
        let first = |at: &usize| met.insert(&text[at - context..*at]);
        (context..text.len()).filter(first).filter(|at| *at >= self.prompt.len()).collect()
    }
}

/// Every context of these texts.
pub fn contexts(texts: &[Written], green: &GreenList) -> BTreeSet<Vec<u16>> {
    let of = |written: &Written| {
        let windows = written.text();
        windows.windows(green.context()).map(<[u16]>::to_vec).collect::<Vec<_>>()
    };
    texts.iter().flat_map(of).collect()
}

impl Detector<'_> {
    /// The score of texts themselves: whether they are marked.
    pub fn texts(&self, texts: &[Written]) -> Green {
        let (mut pairs, context) = (Pairs::default(), self.green.context());
        for written in texts {
            let text = written.text();
            for at in written.places(&text, context) {
                pairs.add(&text[at - context..at], text[at]);
            }
        }
        self.score(&pairs)
    }

    /// What the suspect takes for most likely after each context of marked texts.
    pub fn open(&self, suspect: &Language, marked: &[Written]) -> Result<Green> {
        let (mut pairs, context) = (Pairs::default(), self.green.context());
        let limit = suspect.plan().context;
        for batch in marked.chunks(BATCH) {
            let mut tokens = Array2::zeros((batch.len(), limit));
            let texts: Vec<Vec<u16>> = batch.iter().map(Written::text).collect();
            for (mut row, text) in tokens.rows_mut().into_iter().zip(&texts) {
                row.iter_mut().zip(text).for_each(|(to, &token)| *to = token);
            }
            let logits = suspect.logits(tokens.view())?;
            for (i, (written, text)) in batch.iter().zip(&texts).enumerate() {
                for at in written.places(text, context).into_iter().filter(|at| *at <= limit) {
                    let token = argmax(logits.row(i * limit + at - 1).iter()) as u16;
                    pairs.add(&text[at - context..at], token);
                }
            }
        }
        Ok(self.score(&pairs))
    }

    /// What the suspect writes after prompts that are not marked, a stream for each.
    pub fn closed(
        &self,
        suspect: &Language,
        prompts: &[Vec<u16>],
        sampling: &Sampling,
        streams: &[Seed],
    ) -> Result<Green> {
        let end = (usize::from(END) < self.vocabulary).then_some(END);
        let most = suspect.plan().context;
        let mut texts = Vec::with_capacity(prompts.len());
        for (prompts, streams) in prompts.chunks(BATCH).zip(streams.chunks(BATCH)) {
            let answers = suspect.sample(prompts, most, end, sampling, streams)?;
            let written = prompts.iter().cloned().zip(answers);
            texts.extend(written.map(|(prompt, new)| Written { prompt, new }));
        }
        Ok(self.texts(&texts))
    }

    fn score(&self, pairs: &Pairs) -> Green {
        let Self { green, vocabulary, known } = *self;
        let counts = |context: &[u16]| known.is_none_or(|known| known.contains(context));
        let is_green = |context: &[u16], token| green.is_green(context, token, vocabulary);
        pairs.score(green.share(vocabulary), counts, is_green)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defense::text::DecodeLayer;
    use crate::defense::text::prompt::Scope;
    use crate::defense::text::watermark::{Params, Watermark};
    use crate::model::language::{Ask, Corpus, Decoder, Steer};
    use crate::model::{Device, Optimizer, Recipe};

    const TOKENS: usize = 40;

    fn fresh(seed: u64) -> Language {
        let plan = r#"{ "vocabulary": 40, "context": 24, "layers": 1, "heads": 2, "width": 32 }"#;
        let plan: Decoder = serde_json::from_str(plan).unwrap();
        Language::init(&plan, Device::Cpu, Seed::new(seed)).unwrap()
    }

    fn mark(key: u64) -> Watermark {
        let params = Params { context: 1, delta: 4.0, scope: Scope::All, ..Params::default() };
        params.build(Seed::new(key)).unwrap()
    }

    /// Texts of a teacher without any preference, but for its mark. Token 0 would end them.
    fn texts(steer: Option<&mut (dyn Steer + '_)>, seed: u64) -> Vec<Written> {
        let prompts: Vec<Vec<u16>> = (0..600).map(|i| vec![1 + i % 39]).collect();
        let streams: Vec<Seed> = (0..600).map(|i| Seed::new(seed).nth("text", i)).collect();
        let (sampling, most, reveal) = (Sampling::default(), 23, None);
        let ask = Ask { prompts: &prompts, most, end: None, sampling, streams: &streams, reveal };
        let answers = fresh(1).complete(&ask, steer).unwrap();
        let written = prompts.iter().cloned().zip(answers);
        written.map(|(prompt, answer)| Written { prompt, new: answer.tokens }).collect()
    }

    /// A student of these texts.
    fn student(texts: &[Written]) -> Language {
        let text = |i: usize| [&texts[i].prompt[..], &texts[i].new].concat();
        let tokens = Array2::from_shape_fn((texts.len(), 24), |(i, at)| text(i)[at]);
        let next = Array2::from_shape_fn((texts.len(), 24), |(i, at)| {
            text(i).get(at + 1).map_or(-1, |&token| i32::from(token))
        });
        let optimizer = Optimizer::AdamW { lr: 5e-3, weight_decay: 0.0, betas: [0.9, 0.99] };
        let recipe =
            Recipe { optimizer, steps: 500, validation: 0.0, batch: 40, ..Recipe::default() };
        fresh(2).fit(&Corpus { tokens, next }, &recipe, Seed::new(3)).unwrap().last
    }

    #[test]
    fn a_student_of_marked_text_is_told_from_one_of_clean_text_open_and_closed() {
        let (mark, sampling) = (mark(5), Sampling::default());
        let marked = texts(mark.steer(&sampling).as_deref_mut(), 6);
        let detector = Detector { green: mark.green(), vocabulary: TOKENS, known: None };
        let (guilty, innocent) = (student(&marked), student(&texts(None, 7)));
        let prompts: Vec<Vec<u16>> = (0..100).map(|i| vec![1 + i % 39]).collect();
        let streams: Vec<Seed> = (0..100).map(|i| Seed::new(8).nth("text", i)).collect();
        let cold = Sampling { temperature: 0.3, ..sampling };
        let scores = |suspect: &Language, detector: &Detector<'_>| {
            let open = detector.open(suspect, &marked).unwrap();
            let closed = detector.closed(suspect, &prompts, &cold, &streams).unwrap();
            [open, closed]
        };
        for score in scores(&guilty, &detector) {
            assert!(score.p.p < 1e-5 && score.scored <= score.distinct, "{score:?}");
        }
        for score in scores(&innocent, &detector) {
            assert!(score.p.p > 1e-3, "{score:?}");
        }
        let other = super::tests::mark(50);
        let wrong_key = Detector { green: other.green(), ..detector };
        for score in scores(&guilty, &wrong_key) {
            assert!(score.p.p > 1e-3, "{score:?}");
        }
    }

    #[test]
    fn a_context_counts_once_in_a_text_and_only_if_it_is_known() {
        let green = *Params::default().build(Seed::new(1)).unwrap().green();
        let text =
            |prompt: &[u16], new: &[u16]| Written { prompt: prompt.to_vec(), new: new.to_vec() };
        let texts = [text(&[1, 2], &[3, 1, 2, 5, 0, 9])];
        let detector = Detector { green: &green, vocabulary: 256, known: None };
        // After (1,2): 3, after (2,3): 1, after (3,1): 2; the second (1,2) is left out, and 0 ends the text.
        let score = detector.texts(&texts);
        assert_eq!((score.windows, score.scored), (3, 3));
        let twice = [texts[0].clone(), texts[0].clone(), text(&[7, 1, 2], &[3])];
        let score = detector.texts(&twice);
        assert_eq!((score.windows, score.scored), (7, 3), "the same pairs again");
        let known = BTreeSet::from([vec![2, 3]]);
        let score = Detector { known: Some(&known), ..detector }.texts(&twice);
        assert_eq!((score.distinct, score.scored), (3, 1));
        assert!(contexts(&texts, &green).contains(&vec![2, 5]));
    }
}
