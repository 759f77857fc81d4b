//! The files of a catalogue as their authors write them, and their conversion to the domain. docs/use/workflows.md
//! describes the format; unknown fields are refused, so that a misspelt one cannot be lost.

use std::time::Duration;

use domain::Key;
use domain::agent::Profile;
use domain::template::TemplateBody;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::scalar::{Human, Thousandths};

/// How long one attempt may take when a file does not say: generous for a local model, short for a person.
const ATTEMPT_TIMEOUT: Human = Human(Duration::from_secs(300));

fn default_timeout() -> Human {
    ATTEMPT_TIMEOUT
}

fn default_context() -> u32 {
    8192
}

fn default_languages() -> Vec<String> {
    vec!["en".to_owned()]
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentFile {
    key: Key,
    name: String,
    description: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    department: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    capabilities: Vec<String>,
    system_prompt: String,
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
    #[serde(default = "default_context")]
    context_window: u32,
    #[serde(default = "default_languages")]
    languages: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TemplateFile {
    key: Key,
    title: String,
    description: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    department: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capability: Option<String>,
    parameters: Value,
    instructions: String,
}

/// Prose as people mean it: a YAML block ends with a line break that is no part of the text.
pub(super) fn prose(text: &str) -> String {
    text.trim_end().to_owned()
}

impl From<AgentFile> for Profile {
    fn from(file: AgentFile) -> Self {
        Self {
            key: file.key,
            name: file.name,
            description: prose(&file.description),
            capabilities: file.capabilities,
            system_prompt: prose(&file.system_prompt),
            platform: file.platform,
            fallback_platforms: file.fallback_platforms,
            model: file.model,
            temperature_milli: file.temperature.map(|value| value.fit(u16::MAX)),
            max_tokens: file.max_tokens,
            top_p_milli: file.top_p.map(|value| value.fit(u16::MAX)),
            frequency_penalty_milli: file.frequency_penalty.map(|value| value.fit(i16::MAX)),
            presence_penalty_milli: file.presence_penalty.map(|value| value.fit(i16::MAX)),
            timeout: file.timeout.0,
            context_window: file.context_window,
            languages: file.languages,
            department: file.department,
            tags: file.tags,
        }
    }
}

impl From<&Profile> for AgentFile {
    fn from(profile: &Profile) -> Self {
        let decimal = |value: i16| Thousandths(i64::from(value));
        Self {
            key: profile.key.clone(),
            name: profile.name.clone(),
            description: profile.description.clone(),
            department: profile.department.clone(),
            tags: profile.tags.clone(),
            capabilities: profile.capabilities.clone(),
            system_prompt: profile.system_prompt.clone(),
            platform: profile.platform.clone(),
            fallback_platforms: profile.fallback_platforms.clone(),
            model: profile.model.clone(),
            temperature: profile.temperature_milli.map(|value| Thousandths(i64::from(value))),
            max_tokens: profile.max_tokens,
            top_p: profile.top_p_milli.map(|value| Thousandths(i64::from(value))),
            frequency_penalty: profile.frequency_penalty_milli.map(decimal),
            presence_penalty: profile.presence_penalty_milli.map(decimal),
            timeout: Human(profile.timeout),
            context_window: profile.context_window,
            languages: profile.languages.clone(),
        }
    }
}

impl From<TemplateFile> for TemplateBody {
    fn from(file: TemplateFile) -> Self {
        Self {
            key: file.key,
            title: file.title,
            description: prose(&file.description),
            department: file.department,
            capability: file.capability,
            tags: file.tags,
            parameters: file.parameters,
            instructions: prose(&file.instructions),
        }
    }
}

impl From<&TemplateBody> for TemplateFile {
    fn from(body: &TemplateBody) -> Self {
        Self {
            key: body.key.clone(),
            title: body.title.clone(),
            description: body.description.clone(),
            department: body.department.clone(),
            tags: body.tags.clone(),
            capability: body.capability.clone(),
            parameters: body.parameters.clone(),
            instructions: body.instructions.clone(),
        }
    }
}
