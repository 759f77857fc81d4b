use std::fmt::Write as _;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{Capabilities, Tier};

/// One dated list, as it stands in a file: JSON with one model a line, so that a change shows line by line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceList {
    /// The day from which it is valid, where a model says nothing else.
    pub date: Date,
    /// Where the figures come from, licence included.
    pub origin: String,
    /// The models.
    pub models: Vec<ModelPrices>,
}

/// What is known about one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelPrices {
    /// Who sells it: `openai`, `anthropic`, `gemini`.
    pub vendor: String,
    /// The model, as the vendor names it.
    pub model: String,
    /// The day from which the prices are valid, when it is not that of the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Date>,
    /// Tokens that fit in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_input: Option<u32>,
    /// Tokens that an answer can have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u32>,
    /// What it can do, as far as it is known. What is not named here it cannot do, when anything is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub can: Vec<Ability>,
    /// A search of the web, in nano-dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_search: Option<u64>,
    /// The prices: one entry for each tier, and one more for each threshold of its long contexts.
    pub rates: Vec<Rates>,
}

/// What a model can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ability {
    /// Call tools.
    Tools,
    /// Keep to a JSON Schema.
    Schema,
    /// Understand pictures.
    Images,
}

/// Prices of one tier, in pico-dollars per token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// The tier; standard when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierName>,
    /// For requests with more input tokens than this; the whole request is then billed so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<u64>,
    /// Input.
    pub input: u64,
    /// Input read from the cache; as input when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<u64>,
    /// Input written to a cache for 5 minutes, or for a time that is not told; unpriced when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<u64>,
    /// Input written to a cache for an hour; unpriced when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_1h: Option<u64>,
    /// Sound in; as input when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<u64>,
    /// Sound read from the cache; as other cached input when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_audio: Option<u64>,
    /// Pictures in; as input when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<u64>,
    /// Output.
    pub output: u64,
    /// Reasoning; as output when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
    /// Sound out; as output when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<u64>,
    /// Pictures out; as output when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_output: Option<u64>,
}

/// The tiers that are not the standard one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TierName {
    /// See [`Tier::Flex`].
    Flex,
    /// See [`Tier::Priority`].
    Priority,
    /// See [`Tier::Batch`].
    Batch,
}

impl Rates {
    /// The tier that these are the prices of.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        match self.tier {
            None => Tier::Standard,
            Some(TierName::Flex) => Tier::Flex,
            Some(TierName::Priority) => Tier::Priority,
            Some(TierName::Batch) => Tier::Batch,
        }
    }
}

/// Why a text is no list of prices.
#[derive(Debug, thiserror::Error)]
pub enum InvalidList {
    /// It is no JSON of this form.
    #[error("this is no list of prices: {0}")]
    Form(#[from] serde_json::Error),
    /// Two entries are about the same.
    #[error("{vendor}/{model} is there twice")]
    Twice {
        /// The vendor.
        vendor: String,
        /// The model.
        model: String,
    },
    /// A model has no standard price, or two for the same tier and threshold.
    #[error("the rates of {vendor}/{model} are wrong: {why}")]
    Rates {
        /// The vendor.
        vendor: String,
        /// The model.
        model: String,
        /// What is wrong.
        why: &'static str,
    },
}

impl PriceList {
    /// Reads a list.
    ///
    /// # Errors
    /// When it is none, or contradicts itself.
    pub fn parse(text: &str) -> Result<Self, InvalidList> {
        let list: Self = serde_json::from_str(text)?;
        let mut seen = std::collections::HashSet::new();
        for model in &list.models {
            let (vendor, name) = (model.vendor.clone(), model.model.clone());
            if !seen.insert((&model.vendor, &model.model, model.valid_from)) {
                return Err(InvalidList::Twice { vendor, model: name });
            }
            let wrong = |why| InvalidList::Rates { vendor: vendor.clone(), model: name.clone(), why };
            if !model.rates.iter().any(|rates| rates.tier.is_none() && rates.above.is_none()) {
                return Err(wrong("there is no standard price"));
            }
            let same = |a: &Rates, b: &Rates| a.tier == b.tier && a.above == b.above;
            let twice = model
                .rates
                .iter()
                .enumerate()
                .any(|(index, rates)| model.rates.iter().take(index).any(|earlier| same(earlier, rates)));
            if twice {
                return Err(wrong("a tier is there twice"));
            }
        }
        Ok(list)
    }

    /// The list as it is written: one model a line.
    ///
    /// # Errors
    /// Never in practice: everything in it can be written as JSON.
    pub fn render(&self) -> Result<String, serde_json::Error> {
        let mut text = String::from("{\n");
        let _ = writeln!(text, "\"date\": {},", serde_json::to_string(&self.date)?);
        let _ = writeln!(text, "\"origin\": {},\n\"models\": [", serde_json::to_string(&self.origin)?);
        for (index, model) in self.models.iter().enumerate() {
            let comma = if index + 1 < self.models.len() { "," } else { "" };
            let _ = writeln!(text, "{}{comma}", serde_json::to_string(model)?);
        }
        text.push_str("]\n}\n");
        Ok(text)
    }

    /// What the list is called: its day.
    #[must_use]
    pub fn version(&self) -> String {
        self.date.to_string()
    }
}

impl ModelPrices {
    /// What is known about the model's abilities.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        let can = |ability| (!self.can.is_empty()).then(|| self.can.contains(&ability));
        Capabilities {
            tools: can(Ability::Tools),
            schema: can(Ability::Schema),
            images: can(Ability::Images),
            max_input: self.max_input,
            max_output: self.max_output,
        }
    }
}
