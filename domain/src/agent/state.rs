use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{AgentEvent, Bilingual, Capability, Key, NanoUsd, PlatformTag};

/// Everything that makes an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The agent's key.
    pub key: Key,
    /// The name that people read.
    pub name: Bilingual,
    /// What it is for.
    pub description: Bilingual,
    /// What it is a specialist in; an agent without any is a general-purpose one.
    pub capabilities: Vec<Capability>,
    /// How it is told to work.
    pub system_prompt: String,
    /// What it must not do; the English texts are part of its prompt.
    pub constraints: Vec<Bilingual>,
    /// The platform that it prefers; `None` takes the configured default.
    pub platform: Option<Key>,
    /// Where to go when that one fails, in order.
    pub fallback_platforms: Vec<Key>,
    /// The model; `None` takes the platform's default.
    pub model: Option<String>,
    /// What every platform must be tagged with that anything of it is sent to, besides what the installation demands.
    #[serde(default)]
    pub residency: BTreeSet<PlatformTag>,
    /// Sampling temperature in thousandths, 0 to 2000.
    pub temperature_milli: Option<u16>,
    /// The longest answer, in tokens.
    pub max_tokens: Option<u32>,
    /// Nucleus sampling in thousandths, 1 to 1000.
    pub top_p_milli: Option<u16>,
    /// Penalty for frequent tokens in thousandths, -2000 to 2000.
    pub frequency_penalty_milli: Option<i16>,
    /// Penalty for present tokens in thousandths, -2000 to 2000.
    pub presence_penalty_milli: Option<i16>,
    /// How long one attempt of it may take, when the step does not say.
    pub timeout: Duration,
    /// The most that one task of it may cost; `None` sets no limit.
    pub cost_limit: Option<NanoUsd>,
    /// How many revisions its results may get before they count, 0 to 3; 0 is no self-review.
    pub review_rounds: u8,
    /// The model's context, in tokens.
    pub context_window: u32,
    /// Languages that it answers in, as BCP 47 tags.
    pub languages: Vec<String>,
    /// Whose it is.
    pub department: String,
    /// Free words for finding it.
    pub tags: Vec<String>,
}

impl Profile {
    /// The most revisions that an agent's results may get.
    pub const MAX_REVIEW_ROUNDS: u8 = 3;

    /// An agent with no more than an agent needs, and the defaults of catalogue files for the rest.
    #[must_use]
    pub fn new(key: Key, name: impl Into<Bilingual>, system_prompt: impl Into<String>) -> Self {
        Self {
            key,
            name: name.into(),
            description: Bilingual::default(),
            capabilities: Vec::new(),
            system_prompt: system_prompt.into(),
            constraints: Vec::new(),
            platform: None,
            fallback_platforms: Vec::new(),
            model: None,
            residency: BTreeSet::new(),
            temperature_milli: None,
            max_tokens: None,
            top_p_milli: None,
            frequency_penalty_milli: None,
            presence_penalty_milli: None,
            timeout: Duration::from_secs(300),
            cost_limit: None,
            review_rounds: 1,
            context_window: 8192,
            languages: Vec::new(),
            department: String::new(),
            tags: Vec::new(),
        }
    }

    /// What a model is told before anything else: the system prompt, and below it what the agent must not do.
    #[must_use]
    pub fn system_text(&self) -> String {
        let mut text = self.system_prompt.clone();
        if !self.constraints.is_empty() {
            text.push_str("\n\nRules that you keep to whatever you are asked:");
            for constraint in &self.constraints {
                text.push_str("\n- ");
                text.push_str(&constraint.en);
            }
        }
        text
    }
}

/// An agent: all its versions, and whether it takes work.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Agent {
    versions: Vec<Arc<Profile>>,
    disabled: bool,
}

impl Agent {
    /// The newest profile; `None` when the agent does not exist.
    #[must_use]
    pub fn profile(&self) -> Option<&Arc<Profile>> {
        self.versions.last()
    }

    /// The newest profile's version, from 1; 0 when the agent does not exist.
    #[must_use]
    pub fn version(&self) -> u32 {
        u32::try_from(self.versions.len()).unwrap_or(u32::MAX)
    }

    /// The profile as of a version.
    #[must_use]
    pub fn profile_at(&self, version: u32) -> Option<&Arc<Profile>> {
        self.versions.get(usize::try_from(version.checked_sub(1)?).ok()?)
    }

    /// Whether it takes new work.
    #[must_use]
    pub fn enabled(&self) -> bool {
        !self.versions.is_empty() && !self.disabled
    }

    pub(super) fn fold(&mut self, event: AgentEvent) {
        match event {
            AgentEvent::Registered { profile } | AgentEvent::Revised { profile, .. } => {
                self.versions.push(Arc::from(profile));
            }
            AgentEvent::Enabled => self.disabled = false,
            AgentEvent::Disabled { .. } => self.disabled = true,
        }
    }
}
