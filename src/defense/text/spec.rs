//! The registry of text defenses: what a config can name, and what is known of each kind before it runs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::prompt::Scope;
use super::{
    Changes, Hook, canary, hide_logprobs, hide_scratchpad, paraphrase, poison, refusal_filter,
    round_logprobs, summarise_scratchpad, temperature_floor, top_k_logprobs, truncate,
};
use crate::error::Result;
use crate::seed::Seed;

/// One layer, as configs write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TextDefenseSpec {
    /// Planted odd answers, different for each account.
    Canary(canary::Params),
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
            Self::Canary(canary::Params { count: 20, one_in: 4, scope: Scope::Text }),
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
        ]
    }

    /// Its `kind` in a config.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Canary(_) => "canary",
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
        }
    }

    /// Where it works.
    pub const fn hook(&self) -> Hook {
        match self {
            Self::TemperatureFloor(_) => Hook::Decode,
            _ => Hook::Reply,
        }
    }

    /// Where it comes from.
    pub const fn paper(&self) -> &'static str {
        match self {
            Self::Canary(_) => {
                "Carlini et al. 2019 (arXiv:1802.08232), section 4; per account ours"
            }
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
            Self::TopKLogprobs(_) => "Carlini et al. 2024 (arXiv:2403.06634), section 8",
            Self::Truncate(_) => "a limit of tokens, as APIs have",
        }
    }

    /// What it may change.
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
            Self::Poison(_) | Self::RefusalFilter(_) => {
                Changes { tokens: true, results: true, logprobs: true, ..nothing }
            }
            Self::TemperatureFloor(_) | Self::Truncate(_) => {
                Changes { tokens: true, results: true, ..nothing }
            }
        }
    }

    /// Refuses settings out of range.
    pub fn check(&self) -> Result<()> {
        self.build(Seed::new(0)).map(drop)
    }
}

impl TextDefenseSpec {
    /// Its kind with its parameters: `poison(share=0.2)`.
    pub fn label(&self) -> String {
        crate::defense::spec::label(self.kind(), self)
    }
}
