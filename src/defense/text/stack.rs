//! Text layers in order, and the path of a batch of prompts through them.

use std::collections::BTreeMap;

use super::canary::{Canary, Planted};
use super::watermark::{GreenList, Watermark};
use super::{Asked, DecodeLayer, Proxy, ReplyLayer, TextDefenseSpec, paraphrase::Paraphrase};
use super::{hide_logprobs, hide_scratchpad, summarise_scratchpad};
use crate::error::{Error, Result, expect_shape};
use crate::model::language::{Ask, Language, Reveal, Sampling, Steer, Text};
use crate::oracle::AccountId;
use crate::oracle::completion::{Completion, END};
use crate::seed::Seed;

/// Prompts that are asked together, in the order in which they came.
#[derive(Clone, Copy, Debug)]
pub struct TextBatch<'a> {
    /// Who asks each.
    pub accounts: &'a [AccountId],
    /// Their bytes.
    pub prompts: &'a [Vec<u8>],
    /// The stream that the answer to each is drawn from.
    pub streams: &'a [Seed],
    /// How tokens are to be chosen, as far as the defenses let it.
    pub sampling: Sampling,
    /// Most tokens of an answer.
    pub most: usize,
    /// Log-probabilities that the API gives, if any.
    pub reveal: Option<Reveal>,
}

/// A layer at its hook.
pub(super) enum Layer {
    Decode(Box<dyn DecodeLayer>),
    Reply(Box<dyn ReplyLayer>),
    /// A decode layer with a key that detectors need.
    Watermark(Watermark),
    /// A reply layer that keeps a book which is read later.
    Canary(Canary),
    /// Nothing at answer time: the teacher was trained so.
    Trained,
}

/// Layers, outermost first.
#[derive(Default)]
pub struct TextStack {
    layers: Vec<Layer>,
}

impl TextDefenseSpec {
    /// Builds the layer. `key` is the defender's own stream.
    pub(super) fn build(&self, key: Seed, proxy: Option<&Proxy>) -> Result<Layer> {
        fn decode(layer: impl DecodeLayer + 'static) -> Layer {
            Layer::Decode(Box::new(layer))
        }
        fn reply(layer: impl ReplyLayer + 'static) -> Layer {
            Layer::Reply(Box::new(layer))
        }
        Ok(match self {
            Self::Antidistillation(p) => {
                decode(p.build(proxy.ok_or_else(|| self.without_proxy())?)?)
            }
            Self::Canary(p) => Layer::Canary(p.build(key)?),
            Self::Doge(p) => {
                p.check()?;
                Layer::Trained
            }
            Self::HideLogprobs(_) => reply(hide_logprobs::HideLogprobs),
            Self::HideScratchpad(_) => reply(hide_scratchpad::HideScratchpad),
            Self::Paraphrase(_) => reply(Paraphrase { key }),
            Self::Poison(p) => reply(p.build(key)?),
            Self::RefusalFilter(p) => reply(p.build()?),
            Self::RoundLogprobs(p) => reply(p.build()?),
            Self::SummariseScratchpad(_) => reply(summarise_scratchpad::SummariseScratchpad),
            Self::TemperatureFloor(p) => decode(p.build()?),
            Self::TopKLogprobs(p) => reply(p.build()?),
            Self::Truncate(p) => reply(p.build()?),
            Self::Watermark(p) => Layer::Watermark(p.build(key)?),
        })
    }
}

impl TextDefenseSpec {
    fn without_proxy(&self) -> Error {
        let found = format!("`{}` and no proxy", self.kind());
        Error::config("kind", found, "a model in the place of the students, and its lessons")
    }
}

/// The stream of layer i.
fn own_key(key: Seed, i: usize, spec: &TextDefenseSpec) -> Seed {
    key.child(&format!("{i}/{}", spec.kind()))
}

impl TextStack {
    /// Builds a config's stack. Layer i draws from the stream `i/kind` of `key`; a proxy is needed by
    /// `antidistillation` alone. What layers do to the teacher's weights, [`TextStack::train`] does.
    pub fn build(specs: &[TextDefenseSpec], key: Seed, proxy: Option<&Proxy>) -> Result<Self> {
        let build = |(i, spec): (usize, &TextDefenseSpec)| spec.build(own_key(key, i, spec), proxy);
        Ok(Self { layers: specs.iter().enumerate().map(build).collect::<Result<_>>()? })
    }

    /// The teacher as those layers train it that work at [`Hook::Train`](super::Hook::Train), innermost first;
    /// the same teacher without any. A stack is to answer with the teacher that this gives.
    pub fn train(
        specs: &[TextDefenseSpec],
        teacher: &Language,
        key: Seed,
        proxy: Option<&Proxy>,
    ) -> Result<Language> {
        let mut teacher = teacher.clone();
        for (i, spec) in specs.iter().enumerate().rev() {
            if let TextDefenseSpec::Doge(p) = spec {
                let proxy = proxy.ok_or_else(|| spec.without_proxy())?;
                teacher = p.train(&teacher, proxy, own_key(key, i, spec))?;
            }
        }
        Ok(teacher)
    }

    /// Has the teacher answer behind all layers. Results do not depend on how prompts are cut into batches.
    pub fn answer(&mut self, teacher: &Language, batch: &TextBatch<'_>) -> Result<Vec<Completion>> {
        let TextBatch { accounts, prompts, streams, most, reveal, .. } = *batch;
        expect_shape("accounts of prompts", &[accounts.len()], &[prompts.len()])?;
        let (mut sampling, mut chain) = (batch.sampling, Chain(Vec::new()));
        for layer in self.decode_layers() {
            sampling = layer.sampling(sampling);
        }
        chain.0.extend(self.decode_layers().rev().filter_map(|layer| layer.steer(&sampling)));
        let tokens: Vec<Vec<u16>> =
            prompts.iter().map(|p| p.iter().map(|&byte| u16::from(byte)).collect()).collect();
        let ask = Ask { prompts: &tokens, most, end: Some(END), sampling, streams, reveal };
        let steer: Option<&mut dyn Steer> =
            if chain.0.is_empty() { None } else { Some(&mut chain) };
        let answers = teacher.complete(&ask, steer)?;
        drop(chain);
        let asked = accounts.iter().zip(prompts);
        let asked = asked.map(|(&account, prompt)| Asked { account, prompt });
        Ok(asked.zip(answers).map(|(asked, answer)| self.reply(&asked, answer)).collect())
    }

    /// What the reply layers make of an answer.
    pub fn reply(&mut self, asked: &Asked<'_>, answer: Completion) -> Completion {
        self.layers.iter_mut().rev().fold(answer, |answer, layer| match layer {
            Layer::Reply(layer) => layer.reply(asked, answer),
            Layer::Canary(layer) => layer.reply(asked, answer),
            Layer::Decode(_) | Layer::Watermark(_) | Layer::Trained => answer,
        })
    }

    /// The canaries of each account, of the outermost layer that plants any.
    pub fn planted(&self) -> Option<&BTreeMap<AccountId, Vec<Planted>>> {
        self.layers.iter().find_map(|layer| match layer {
            Layer::Canary(layer) => Some(layer.planted()),
            _ => None,
        })
    }

    /// Which tokens the outermost watermark marks.
    pub fn green(&self) -> Option<&GreenList> {
        self.layers.iter().find_map(|layer| match layer {
            Layer::Watermark(layer) => Some(layer.green()),
            _ => None,
        })
    }

    /// Outermost first.
    fn decode_layers(&self) -> impl DoubleEndedIterator<Item = &dyn DecodeLayer> {
        self.layers.iter().filter_map(|layer| match layer {
            Layer::Decode(layer) => Some(&**layer),
            Layer::Watermark(layer) => Some(layer as &dyn DecodeLayer),
            _ => None,
        })
    }
}

/// Those who steer, innermost first.
struct Chain<'a>(Vec<Box<dyn Steer + 'a>>);

impl Steer for Chain<'_> {
    fn steer(&mut self, texts: &[Text<'_>], logits: &mut [f32]) -> Result<()> {
        self.0.iter_mut().try_for_each(|steer| steer.steer(texts, logits))
    }
}
