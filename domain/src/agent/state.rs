use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{AgentEvent, Key};

/// Everything that makes an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The agent's key.
    pub key: Key,
    /// The name that people read.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it can do, such as `coding` or `legal`.
    pub capabilities: Vec<String>,
    /// How it is told to work.
    pub system_prompt: String,
    /// The platform that it prefers; `None` takes the configured default.
    pub platform: Option<Key>,
    /// Where to go when that one fails, in order.
    pub fallback_platforms: Vec<Key>,
    /// The model; `None` takes the platform's default.
    pub model: Option<String>,
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
    /// The model's context, in tokens.
    pub context_window: u32,
    /// Languages that it answers in, as BCP 47 tags.
    pub languages: Vec<String>,
    /// Whose it is.
    pub department: String,
    /// Free words for finding it.
    pub tags: Vec<String>,
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
