//! A text API over a language model, asked for the token after a prompt, with what it keeps to itself.

use std::collections::BTreeMap;

use ndarray::Array2;

use crate::error::{Error, Result};
use crate::model::language::Language;
use crate::oracle::argmax;
use crate::student::projection::{Card, NextToken};

/// Largest bias on a token's logit, as in the API that most others imitate.
pub const MOST_BIAS: f64 = 100.0;

/// What a bias on logits changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BiasRule {
    /// There is no such option.
    Off,
    /// What is sampled, and not the log-probabilities that are told.
    Sampling,
    /// Both.
    Shown,
}

/// What an API reveals beside text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reveal {
    /// Every log-probability.
    pub whole: bool,
    /// Most likely tokens told with their log-probabilities; 0 for none.
    pub top: usize,
    /// Decimals of log-probabilities; all of them without.
    pub decimals: Option<u32>,
    pub bias: BiasRule,
}

impl Reveal {
    /// Text and nothing else.
    pub const TEXT: Self = Self { whole: false, top: 0, decimals: None, bias: BiasRule::Off };
}

/// The API. It answers equal questions equally and knows no budget; whoever asks counts.
pub struct LanguageApi<'a> {
    model: &'a Language,
    reveal: Reveal,
    /// Logits after prompts that were asked before.
    known: BTreeMap<Vec<u16>, Vec<f64>>,
}

impl<'a> LanguageApi<'a> {
    /// An API that reveals so much.
    pub fn new(model: &'a Language, reveal: Reveal) -> Self {
        Self { model, reveal, known: BTreeMap::new() }
    }

    /// The same model behind another API; what was computed is not computed again.
    pub fn revealing(self, reveal: Reveal) -> Self {
        Self { reveal, ..self }
    }

    /// Logits `[vocabulary]` after a prompt, with biases.
    fn logits(&mut self, prompt: &[u16], bias: &[(u16, f64)]) -> Result<Vec<f64>> {
        let mut logits = match self.known.get(prompt) {
            Some(logits) => logits.clone(),
            None => {
                let logits = after(self.model, prompt)?;
                self.known.insert(prompt.to_vec(), logits.clone());
                logits
            }
        };
        if !bias.is_empty() && self.reveal.bias == BiasRule::Off {
            return Err(Error::input("biases", bias.len(), "none, for this API takes no bias"));
        }
        for &(token, by) in bias {
            let Some(logit) = logits.get_mut(usize::from(token)) else {
                let most = self.model.plan().vocabulary;
                return Err(Error::input("token of a bias", token, format!("below {most}")));
            };
            if by.is_nan() || by.abs() > MOST_BIAS {
                let what = format!("bias of token {token}");
                return Err(Error::input(what, by, format!("-{MOST_BIAS} to {MOST_BIAS}")));
            }
            *logit += by;
        }
        Ok(logits)
    }

    /// Log-probabilities as they are told.
    fn told(&self, logits: &[f64]) -> Vec<f64> {
        let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|z| libm::exp(z - most)).sum();
        let shift = most + libm::log(sum);
        let round = |x: f64| match self.reveal.decimals {
            Some(decimals) => {
                let scale = 10_f64.powi(decimals.min(15) as i32);
                (x * scale).round() / scale
            }
            None => x,
        };
        logits.iter().map(|z| round(z - shift)).collect()
    }
}

impl NextToken for LanguageApi<'_> {
    fn card(&self) -> Card {
        let Reveal { whole, top, bias, .. } = self.reveal;
        let most_bias = if bias == BiasRule::Off { 0.0 } else { MOST_BIAS };
        let vocabulary = self.model.plan().vocabulary;
        Card { vocabulary, whole, top: top.min(vocabulary), most_bias }
    }

    fn whole(&mut self, prompt: &[u16]) -> Result<Vec<f64>> {
        if !self.reveal.whole {
            let expected = "none, for this API does not tell them";
            return Err(Error::input("request for every log-probability", "one", expected));
        }
        let logits = self.logits(prompt, &[])?;
        Ok(self.told(&logits))
    }

    fn top(&mut self, prompt: &[u16], bias: &[(u16, f64)]) -> Result<Vec<(u16, f64)>> {
        if self.reveal.top == 0 {
            let expected = "none, for this API does not tell them";
            return Err(Error::input("request for the most likely tokens", "one", expected));
        }
        let mut logits = self.logits(prompt, bias)?;
        if self.reveal.bias == BiasRule::Sampling {
            logits = self.logits(prompt, &[])?;
        }
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
        let told = self.told(&logits);
        Ok(order.into_iter().take(self.reveal.top).map(|at| (at as u16, told[at])).collect())
    }

    fn first(&mut self, prompt: &[u16], bias: &[(u16, f64)]) -> Result<u16> {
        Ok(argmax(&self.logits(prompt, bias)?) as u16)
    }
}

/// Logits `[vocabulary]` after a prompt.
fn after(model: &Language, prompt: &[u16]) -> Result<Vec<f64>> {
    let context = model.plan().context;
    if !(1..=context).contains(&prompt.len()) {
        return Err(Error::input("tokens of a prompt", prompt.len(), format!("1 to {context}")));
    }
    let mut text = prompt.to_vec();
    text.resize(context, 0); // what follows changes nothing before it
    let text = Array2::from_shape_vec((1, context), text);
    let logits = model.logits(text.map_err(|e| Error::Internal(e.to_string()))?.view())?;
    Ok(logits.row(prompt.len() - 1).mapv(f64::from).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Device;
    use crate::model::language::{Decoder, Fresh, NormRule};
    use crate::seed::{Seed, below};
    use crate::student::projection::{Answers, Asker, Way, read};

    const VOCABULARY: usize = 48;

    fn decoder(width: usize, norm: NormRule) -> Language {
        let plan = Decoder {
            vocabulary: VOCABULARY,
            context: 6,
            layers: 1,
            heads: 2,
            width,
            norm,
            positions: Default::default(),
            bend: Default::default(),
            dropout: 0.0,
            fresh: Fresh::FanIn,
        };
        Language::init(&plan, Device::Cpu, Seed::new(5)).unwrap()
    }

    fn prompts(n: usize) -> Vec<Vec<u16>> {
        let mut rng = Seed::new(6).rng();
        let mut token = || below(&mut rng, VOCABULARY) as u16;
        (0..n).map(|i| (0..=i % 6).map(|_| token()).collect()).collect()
    }

    const OPEN: Reveal = Reveal { whole: false, top: 9, decimals: None, bias: BiasRule::Shown };

    #[test]
    fn every_api_form_shows_the_width_that_the_norm_leaves() {
        let prompts = prompts(96);
        for (width, norm, seen) in
            [(16, NormRule::Layer, 15), (16, NormRule::Rms, 16), (24, NormRule::Layer, 23)]
        {
            let model = decoder(width, norm);
            let forms = [
                (Reveal { whole: true, ..Reveal::TEXT }, Way::Whole),
                (Reveal { whole: true, decimals: Some(3), ..Reveal::TEXT }, Way::Whole),
                (OPEN, Way::Biased),
                (Reveal { bias: BiasRule::Sampling, ..OPEN }, Way::Flips),
                (Reveal { bias: BiasRule::Shown, ..Reveal::TEXT }, Way::Flips),
            ];
            let mut api = LanguageApi::new(&model, Reveal::TEXT);
            for (reveal, way) in forms {
                api = api.revealing(reveal);
                let reading = read(&mut Asker::new(&mut api), &prompts, 1e-4).unwrap().unwrap();
                let spectrum = Answers::new(reading.logits).centred().spectrum().unwrap();
                let width = spectrum.width().unwrap();
                assert_eq!((reading.way, width.numbers), (way, seen), "{norm:?} {reveal:?}");
                assert!(width.is_clear(), "{norm:?} {reveal:?}: {width:?}");
            }
            api = api.revealing(Reveal::TEXT);
            assert_eq!(read(&mut Asker::new(&mut api), &prompts, 1e-4).unwrap(), None);
        }
    }

    #[test]
    fn answers_are_the_log_softmax_of_the_model_as_far_as_they_are_told() {
        let model = decoder(16, NormRule::Layer);
        let mut text = vec![3_u16, 9, 40];
        let whole = |reveal: Reveal, prompt: &[u16]| {
            LanguageApi::new(&model, Reveal { whole: true, ..reveal }).whole(prompt).unwrap()
        };
        let exact = whole(Reveal::TEXT, &text);
        let sum: f64 = exact.iter().map(|&x| libm::exp(x)).sum();
        assert!((sum - 1.0).abs() < 1e-12);
        let greedy = model.greedy(&[text.clone()], 1, None).unwrap()[0][0];
        let mut api = LanguageApi::new(&model, OPEN);
        let told = api.top(&text, &[]).unwrap();
        assert_eq!((told.len(), told[0].0), (9, greedy));
        assert!(told.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        assert!(told.iter().all(|&(token, x)| x == exact[usize::from(token)]));
        assert_eq!(api.first(&text, &[]).unwrap(), greedy);
        let rounded = whole(Reveal { decimals: Some(1), ..Reveal::TEXT }, &text);
        for (x, r) in exact.iter().zip(&rounded) {
            assert!((x - r).abs() <= 0.05 + 1e-12 && (r * 10.0 - (r * 10.0).round()).abs() < 1e-9);
        }
        text.push(7);
        assert_ne!(whole(Reveal::TEXT, &text), exact);
    }

    #[test]
    fn a_bias_does_what_the_rule_says() {
        let model = decoder(16, NormRule::Layer);
        let prompt = [3_u16, 9];
        let exact =
            LanguageApi::new(&model, Reveal { whole: true, ..OPEN }).whole(&prompt).unwrap();
        let least = crate::oracle::argmax(&exact.iter().map(|x| -x).collect::<Vec<_>>());
        let bias = [(least as u16, 2.5)];
        let told = |rule| {
            let mut api = LanguageApi::new(&model, Reveal { bias: rule, top: VOCABULARY, ..OPEN });
            let told: BTreeMap<u16, f64> = api.top(&prompt, &bias)?.into_iter().collect();
            let lifted = api.first(&prompt, &[(least as u16, 100.0)])?;
            Ok::<_, Error>((told[&(least as u16)], lifted))
        };
        // p e^b / (1 - p + p e^b)
        let p = libm::exp(exact[least]);
        let lifted = p * libm::exp(2.5) / (1.0 - p + p * libm::exp(2.5));
        let (shown, first) = told(BiasRule::Shown).unwrap();
        assert!((shown - libm::log(lifted)).abs() < 1e-9 && usize::from(first) == least);
        let (sampled, first) = told(BiasRule::Sampling).unwrap();
        assert!(sampled == exact[least] && usize::from(first) == least);
        assert!(told(BiasRule::Off).unwrap_err().to_string().contains("takes no bias"));
    }

    #[test]
    fn what_an_api_does_not_offer_is_an_error() {
        let model = decoder(16, NormRule::Layer);
        let mut api = LanguageApi::new(&model, OPEN);
        for result in [
            api.whole(&[1]).map(|_| ()),
            api.top(&[], &[]).map(|_| ()),
            api.top(&[1; 7], &[]).map(|_| ()),
            api.first(&[48], &[]).map(|_| ()),
            api.first(&[1], &[(48, 1.0)]).map(|_| ()),
            api.first(&[1], &[(4, 100.5)]).map(|_| ()),
            LanguageApi::new(&model, Reveal::TEXT).top(&[1], &[]).map(|_| ()),
        ] {
            assert_eq!(result.unwrap_err().exit_code(), 2);
        }
    }
}
