//! The registry of text defenses: what a config can name, and what is known of each kind before it runs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::prompt::Scope;
use super::{
    Changes, Hook, antidistillation, canary, doge, hide_logprobs, hide_scratchpad, paraphrase,
    poison, refusal_filter, round_logprobs, summarise_scratchpad, temperature_floor,
    top_k_logprobs, truncate, watermark,
};
use crate::error::Result;
use crate::seed::Seed;

/// One layer, as configs write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TextDefenseSpec {
    /// Words that make whoever learns from them worse; needs a proxy student.
    Antidistillation(antidistillation::Params),
    /// Planted odd answers, different for each account.
    Canary(canary::Params),
    /// An output layer that students learn little from; needs a proxy student.
    Doge(doge::Params),
    /// Tokens and nothing else.
    HideLogprobs(hide_logprobs::Params),
    /// Results without the way to them.
    HideScratchpad(hide_scratchpad::Params),
    /// The same said otherwise.
    Paraphrase(paraphrase::Params),
    /// Wrong results for a share of the prompts.
    Poison(poison::Params),
    /// Marked prompts are refused.
    RefusalFilter(refusal_filter::Params),
    /// Log-probabilities to a number of decimals.
    RoundLogprobs(round_logprobs::Params),
    /// What each step came to, and not how.
    SummariseScratchpad(summarise_scratchpad::Params),
    /// No answer is drawn with less chance than this.
    TemperatureFloor(temperature_floor::Params),
    /// The k largest log-probabilities of each place.
    TopKLogprobs(top_k_logprobs::Params),
    /// Answers cut to a number of tokens.
    Truncate(truncate::Params),
    /// A mark in the choice of words, found with a key.
    Watermark(watermark::Params),
}

/// What listings show.
pub struct TextDefenseCard {
    /// `kind` in a config.
    pub kind: &'static str,
    /// An example, as a config writes it.
    pub example: TextDefenseSpec,
    /// Where it works.
    pub hook: Hook,
    /// Where it comes from.
    pub paper: &'static str,
}

/// One example of each kind.
pub fn cards() -> Vec<TextDefenseCard> {
    let card = |example: TextDefenseSpec| {
        let (kind, hook, paper) = (example.kind(), example.hook(), example.paper());
        TextDefenseCard { kind, example, hook, paper }
    };
    TextDefenseSpec::examples().into_iter().map(card).collect()
}

impl TextDefenseSpec {
    /// One value of each kind, with usual settings.
    pub fn examples() -> Vec<Self> {
        let words = vec!["arson".to_string()];
        vec![
            Self::Antidistillation(antidistillation::Params { lambda: 0.1, epsilon: 0.01 }),
            Self::Canary(canary::Params { count: 20, one_in: 4, scope: Scope::Text }),
            Self::Doge(doge::Params { c: 1e-3, steps: 200, lr: 5e-4 }),
            Self::HideLogprobs(hide_logprobs::Params {}),
            Self::HideScratchpad(hide_scratchpad::Params {}),
            Self::Paraphrase(paraphrase::Params {}),
            Self::Poison(poison::Params { share: 0.2 }),
            Self::RefusalFilter(refusal_filter::Params { words, letters: "W".into() }),
            Self::RoundLogprobs(round_logprobs::Params { digits: 1 }),
            Self::SummariseScratchpad(summarise_scratchpad::Params {}),
            Self::TemperatureFloor(temperature_floor::Params { t: 1.5 }),
            Self::TopKLogprobs(top_k_logprobs::Params { k: 5 }),
            Self::Truncate(truncate::Params { tokens: 16 }),
            Self::Watermark(watermark::Params::default()),
        ]
    }

    /// Its kind with its parameters: `poison(share=0.2)`.
    pub fn label(&self) -> String {
        crate::defense::spec::label(self.kind(), self)
    }

    /// True if it needs a model in the place of the students that are expected.
    pub const fn needs_proxy(&self) -> bool {
        matches!(self, Self::Antidistillation(_) | Self::Doge(_))
    }

    /// Its `kind` in a config.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Antidistillation(_) => "antidistillation",
            Self::Canary(_) => "canary",
            Self::Doge(_) => "doge",
            Self::HideLogprobs(_) => "hide-logprobs",
            Self::HideScratchpad(_) => "hide-scratchpad",
            Self::Paraphrase(_) => "paraphrase",
            Self::Poison(_) => "poison",
            Self::RefusalFilter(_) => "refusal-filter",
            Self::RoundLogprobs(_) => "round-logprobs",
            Self::SummariseScratchpad(_) => "summarise-scratchpad",
            Self::TemperatureFloor(_) => "temperature-floor",
            Self::TopKLogprobs(_) => "top-k-logprobs",
            Self::Truncate(_) => "truncate",
            Self::Watermark(_) => "watermark",
        }
    }

    /// Where it works.
    pub const fn hook(&self) -> Hook {
        match self {
            Self::Antidistillation(_) | Self::TemperatureFloor(_) | Self::Watermark(_) => {
                Hook::Decode
            }
            Self::Doge(_) => Hook::Train,
            _ => Hook::Reply,
        }
    }

    /// Where it comes from.
    pub const fn paper(&self) -> &'static str {
        match self {
            Self::Antidistillation(_) => "Savani et al. 2025 (arXiv:2504.13146)",
            Self::Canary(_) => "Carlini et al. 2019 (arXiv:1802.08232); per account ours",
            Self::Doge(_) => "Li et al. 2025 (arXiv:2505.19504)",
            Self::HideLogprobs(_) => "Kim and Rush 2016 (arXiv:1606.07947): what is left to learn",
            Self::HideScratchpad(_) => "DistillGuard (arXiv:2603.07835): reasoning hidden",
            Self::Paraphrase(_) => "DistillGuard (arXiv:2603.07835): answers paraphrased",
            Self::Poison(_) => "DistillGuard (arXiv:2603.07835): answers poisoned",
            Self::RefusalFilter(_) => "guardrails in front of a model; form ours",
            Self::RoundLogprobs(_) => "Tramer et al. 2016, section 7",
            Self::SummariseScratchpad(_) => {
                "trace inversion (arXiv:2603.07267): what it starts from"
            }
            Self::TemperatureFloor(_) => "baseline of antidistillation sampling (arXiv:2504.13146)",
            Self::TopKLogprobs(_) => "Carlini et al. 2024 (arXiv:2403.06634), defenses",
            Self::Truncate(_) => "a limit of tokens, as APIs have",
            Self::Watermark(_) => "Kirchenbauer et al. 2023 (arXiv:2301.10226), algorithm 2",
        }
    }

    /// What it may change. Log-probabilities are those of the teacher's own distribution.
    pub const fn changes(&self) -> Changes {
        let nothing = Changes { tokens: false, results: false, logprobs: false, stateful: false };
        match self {
            Self::Canary(p) => {
                let results = matches!(p.scope, Scope::All);
                Changes { tokens: true, results, logprobs: true, stateful: true }
            }
            Self::HideLogprobs(_) | Self::RoundLogprobs(_) | Self::TopKLogprobs(_) => {
                Changes { logprobs: true, ..nothing }
            }
            Self::HideScratchpad(_) | Self::SummariseScratchpad(_) => {
                Changes { tokens: true, ..nothing }
            }
            Self::Paraphrase(_) => Changes { tokens: true, logprobs: true, ..nothing },
            Self::Doge(_) | Self::Poison(_) | Self::RefusalFilter(_) => {
                Changes { tokens: true, results: true, logprobs: true, ..nothing }
            }
            Self::Antidistillation(_) | Self::TemperatureFloor(_) | Self::Truncate(_) => {
                Changes { tokens: true, results: true, ..nothing }
            }
            Self::Watermark(p) => {
                Changes { tokens: true, results: matches!(p.scope, Scope::All), ..nothing }
            }
        }
    }

    /// Refuses settings out of range.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Antidistillation(p) => p.check(),
            _ => self.build(Seed::new(0), None).map(drop),
        }
    }
}
