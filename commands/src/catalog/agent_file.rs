//! The file of an agent, and its conversion to the domain and back.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use domain::agent::Profile;
use domain::{Bilingual, Capability, Key, NanoUsd, PlatformTag};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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

/// `true` for one round, `false` for none, or a map that says how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SelfReview {
    rounds: u8,
}

impl Default for SelfReview {
    fn default() -> Self {
        Self { rounds: 1 }
    }
}

impl SelfReview {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl Serialize for SelfReview {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.rounds {
            0 => serializer.serialize_bool(false),
            1 => serializer.serialize_bool(true),
            rounds => serializer.collect_map([("rounds", rounds)]),
        }
    }
}

impl<'de> Deserialize<'de> for SelfReview {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = SelfReview;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or { rounds: 0 to 3 }")
            }

            fn visit_bool<E>(self, on: bool) -> Result<SelfReview, E> {
                Ok(SelfReview { rounds: u8::from(on) })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SelfReview, A::Error> {
                let mut rounds = None;
                while let Some(name) = map.next_key::<String>()? {
                    if name != "rounds" {
                        return Err(A::Error::unknown_field(&name, &["rounds"]));
                    }
                    if rounds.replace(map.next_value::<u8>()?).is_some() {
                        return Err(A::Error::duplicate_field("rounds"));
                    }
                }
                Ok(SelfReview { rounds: rounds.ok_or_else(|| A::Error::missing_field("rounds"))? })
            }
        }

        deserializer.deserialize_any(Reader)
    }
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
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    residency: BTreeSet<PlatformTag>,
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
    #[serde(default, skip_serializing_if = "SelfReview::is_usual")]
    self_review: SelfReview,
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
            residency: file.residency,
            temperature_milli: file.temperature.map(|value| value.fit(u16::MAX)),
            max_tokens: file.max_tokens,
            top_p_milli: file.top_p.map(|value| value.fit(u16::MAX)),
            frequency_penalty_milli: file.frequency_penalty.map(|value| value.fit(i16::MAX)),
            presence_penalty_milli: file.presence_penalty.map(|value| value.fit(i16::MAX)),
            timeout: file.timeout.0,
            cost_limit: file.cost_limit_usd.map(|limit| NanoUsd(limit.0)),
            review_rounds: file.self_review.rounds,
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
            residency: profile.residency.clone(),
            temperature: profile.temperature_milli.map(|value| Thousandths(i64::from(value))),
            max_tokens: profile.max_tokens,
            top_p: profile.top_p_milli.map(|value| Thousandths(i64::from(value))),
            frequency_penalty: profile.frequency_penalty_milli.map(decimal),
            presence_penalty: profile.presence_penalty_milli.map(decimal),
            timeout: Human(profile.timeout),
            cost_limit_usd: profile.cost_limit.map(|limit| Dollars(limit.0)),
            self_review: SelfReview { rounds: profile.review_rounds },
            context_window: profile.context_window,
            languages: profile.languages.clone(),
        }
    }
}
