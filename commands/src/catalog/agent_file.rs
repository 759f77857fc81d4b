//! The file of an agent, and its conversion to the domain and back.

use std::time::Duration;

use domain::agent::Profile;
use domain::{Bilingual, Capability, Key, NanoUsd};
use serde::{Deserialize, Serialize};

use super::scalar::{Dollars, Human, Thousandths};
use super::text::{Text, prose};

fn default_timeout() -> Human {
    // Generous for a local model, short for a person.
    Human(Duration::from_secs(300))
}

fn default_context() -> u32 {
    8192
}

fn default_languages() -> Vec<String> {
    vec!["en".to_owned()]
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

/// An agent as its author writes it; docs/use/catalogue.md describes the fields.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentFile {
    key: Key,
    name: Text,
    description: Text,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    department: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    capabilities: Vec<Capability>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    system_prompt: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    constraints: Vec<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    platform: Option<Key>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fallback_platforms: Vec<Key>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    temperature: Option<Thousandths>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    top_p: Option<Thousandths>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<Thousandths>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<Thousandths>,
    #[serde(default = "default_timeout")]
    timeout: Human,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cost_limit_usd: Option<Dollars>,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    self_review: bool,
    #[serde(default = "default_context")]
    context_window: u32,
    #[serde(default = "default_languages")]
    languages: Vec<String>,
}

impl From<AgentFile> for Profile {
    fn from(file: AgentFile) -> Self {
        Self {
            key: file.key,
            name: file.name.0,
            description: file.description.0,
            capabilities: file.capabilities,
            system_prompt: prose(&file.system_prompt),
            constraints: file.constraints.into_iter().map(|text| text.0).collect(),
            platform: file.platform,
            fallback_platforms: file.fallback_platforms,
            model: file.model,
            temperature_milli: file.temperature.map(|value| value.fit(u16::MAX)),
            max_tokens: file.max_tokens,
            top_p_milli: file.top_p.map(|value| value.fit(u16::MAX)),
            frequency_penalty_milli: file.frequency_penalty.map(|value| value.fit(i16::MAX)),
            presence_penalty_milli: file.presence_penalty.map(|value| value.fit(i16::MAX)),
            timeout: file.timeout.0,
            cost_limit: file.cost_limit_usd.map(|limit| NanoUsd(limit.0)),
            self_review: file.self_review,
            context_window: file.context_window,
            languages: file.languages,
            department: file.department,
            tags: file.tags,
        }
    }
}

impl From<&Profile> for AgentFile {
    fn from(profile: &Profile) -> Self {
        let text = |text: &Bilingual| Text(text.clone());
        let decimal = |value: i16| Thousandths(i64::from(value));
        Self {
            key: profile.key.clone(),
            name: text(&profile.name),
            description: text(&profile.description),
            department: profile.department.clone(),
            capabilities: profile.capabilities.clone(),
            tags: profile.tags.clone(),
            system_prompt: profile.system_prompt.clone(),
            constraints: profile.constraints.iter().map(text).collect(),
            platform: profile.platform.clone(),
            fallback_platforms: profile.fallback_platforms.clone(),
            model: profile.model.clone(),
            temperature: profile.temperature_milli.map(|value| Thousandths(i64::from(value))),
            max_tokens: profile.max_tokens,
            top_p: profile.top_p_milli.map(|value| Thousandths(i64::from(value))),
            frequency_penalty: profile.frequency_penalty_milli.map(decimal),
            presence_penalty: profile.presence_penalty_milli.map(decimal),
            timeout: Human(profile.timeout),
            cost_limit_usd: profile.cost_limit.map(|limit| Dollars(limit.0)),
            self_review: profile.self_review,
            context_window: profile.context_window,
            languages: profile.languages.clone(),
        }
    }
}
