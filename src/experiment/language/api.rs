//! A text API over a language model, asked for the token after a prompt, with what it keeps to itself.

use std::collections::BTreeMap;

use ndarray::Array2;

use crate::error::{Error, Result};
use crate::model::language::Language;
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
    /// Prompts that were asked before.
    known: BTreeMap<Vec<u16>, Next>,
}

/// What the model says of the token after a prompt.
struct Next {
    /// `[vocabulary]`
    logits: Vec<f64>,
    /// Tokens by falling logit, ties by number.
    order: Vec<usize>,
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

    fn next(&mut self, prompt: &[u16]) -> Result<&Next> {
        if !self.known.contains_key(prompt) {
            let logits = after(self.model, prompt)?;
            let order = falling(&logits);
            self.known.insert(prompt.to_vec(), Next { logits, order });
        }
        Ok(&self.known[prompt])
    }

    /// Refuses biases that the API does not take.
    fn check(&self, bias: &[(u16, f64)]) -> Result<()> {
        if !bias.is_empty() && self.reveal.bias == BiasRule::Off {
            return Err(Error::input("biases", bias.len(), "none, for this API takes no bias"));
        }
        let most = self.model.plan().vocabulary;
        for &(token, by) in bias {
            if usize::from(token) >= most {
                return Err(Error::input("token of a bias", token, format!("below {most}")));
            }
            if by.is_nan() || by.abs() > MOST_BIAS {
                let what = format!("bias of token {token}");
                return Err(Error::input(what, by, format!("-{MOST_BIAS} to {MOST_BIAS}")));
            }
        }
        Ok(())
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
        let logits = self.next(prompt)?.logits.clone();
        Ok(self.told(&logits))
    }

    fn top(&mut self, prompt: &[u16], bias: &[(u16, f64)]) -> Result<Vec<(u16, f64)>> {
        if self.reveal.top == 0 {
            let expected = "none, for this API does not tell them";
            return Err(Error::input("request for the most likely tokens", "one", expected));
        }
        self.check(bias)?;
        let shown = if self.reveal.bias == BiasRule::Shown { bias } else { &[] };
        let Next { logits, order } = self.next(prompt)?;
        let (mut logits, mut order) = (logits.clone(), order.clone());
        if !shown.is_empty() {
            shown.iter().for_each(|&(token, by)| logits[usize::from(token)] += by);
            order = falling(&logits);
        }
        let told = self.told(&logits);
        Ok(order.into_iter().take(self.reveal.top).map(|at| (at as u16, told[at])).collect())
    }

    fn first(&mut self, prompt: &[u16], bias: &[(u16, f64)]) -> Result<u16> {
        self.check(bias)?;
        let Next { logits, order } = self.next(prompt)?;
        let lift = |at: usize| {
            let own = bias.iter().filter(|(token, _)| usize::from(*token) == at);
            logits[at] + own.map(|(_, by)| by).sum::<f64>()
        };
        // Only the first of those without a bias can still win.
        let biased = |at: &usize| bias.iter().any(|(token, _)| usize::from(*token) == *at);
        let unmoved = order.iter().copied().find(|at| !biased(at));
        let moved = bias.iter().map(|(token, _)| usize::from(*token));
        let first = unmoved
            .into_iter()
            .chain(moved)
            .max_by(|&a, &b| lift(a).total_cmp(&lift(b)).then(b.cmp(&a)));
        first.map(|at| at as u16).ok_or_else(|| Error::Internal("a vocabulary of nothing".into()))
    }
}

/// Places by falling value, ties by number.
fn falling(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    order
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
            llama: None,
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
    fn the_first_token_under_biases_is_the_most_likely_one_told() {
        let model = decoder(16, NormRule::Layer);
        let mut api = LanguageApi::new(&model, OPEN);
        let mut rng = Seed::new(7).rng();
        for prompt in prompts(60) {
            let mut bias = || (below(&mut rng, VOCABULARY) as u16, below(&mut rng, 9) as f64 / 2.0);
            let biases: Vec<(u16, f64)> = (0..5).map(|_| bias()).collect();
            for bias in [&biases[..], &biases[..1], &[]] {
                assert_eq!(api.first(&prompt, bias).unwrap(), api.top(&prompt, bias).unwrap()[0].0);
            }
        }
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
