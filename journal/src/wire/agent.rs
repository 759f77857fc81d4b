//! Frozen events of agents.

use std::time::Duration;

use domain::agent::Profile;
use domain::{AgentEvent, Event, Key};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::values::{borrowed, checked, keys, micros, owned};
use super::{Encoded, Thaw, write};

/// Everything that makes an agent.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ProfileV1<'a> {
    key: &'a str,
    name: &'a str,
    description: &'a str,
    #[serde(borrow)]
    capabilities: Vec<&'a str>,
    system_prompt: &'a str,
    #[serde(borrow)]
    platform: Option<&'a str>,
    #[serde(borrow)]
    fallback_platforms: Vec<&'a str>,
    #[serde(borrow)]
    model: Option<&'a str>,
    temperature_milli: Option<u16>,
    max_tokens: Option<u32>,
    top_p_milli: Option<u16>,
    frequency_penalty_milli: Option<i16>,
    presence_penalty_milli: Option<i16>,
    timeout_micros: u64,
    context_window: u32,
    #[serde(borrow)]
    languages: Vec<&'a str>,
    department: &'a str,
    #[serde(borrow)]
    tags: Vec<&'a str>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RegisteredV1<'a> {
    #[serde(borrow)]
    profile: ProfileV1<'a>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RevisedV1<'a> {
    version: u32,
    #[serde(borrow)]
    profile: ProfileV1<'a>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct EnabledV1 {}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct DisabledV1<'a> {
    reason: &'a str,
}

pub(super) fn freeze(event: &AgentEvent) -> Result<Encoded, String> {
    match event {
        AgentEvent::Registered { profile } => write(&RegisteredV1 { profile: ProfileV1::freeze(profile)? }),
        AgentEvent::Revised { version, profile } => {
            write(&RevisedV1 { version: *version, profile: ProfileV1::freeze(profile)? })
        }
        AgentEvent::Enabled => write(&EnabledV1 {}),
        AgentEvent::Disabled { reason } => write(&DisabledV1 { reason }),
    }
}

impl<'a> ProfileV1<'a> {
    fn freeze(profile: &'a Profile) -> Result<Self, String> {
        let Profile {
            key,
            name,
            description,
            capabilities,
            system_prompt,
            platform,
            fallback_platforms,
            model,
            temperature_milli,
            max_tokens,
            top_p_milli,
            frequency_penalty_milli,
            presence_penalty_milli,
            timeout,
            context_window,
            languages,
            department,
            tags,
        } = profile;
        Ok(Self {
            key: key.as_str(),
            name,
            description,
            capabilities: borrowed(capabilities),
            system_prompt,
            platform: platform.as_ref().map(Key::as_str),
            fallback_platforms: fallback_platforms.iter().map(Key::as_str).collect(),
            model: model.as_deref(),
            temperature_milli: *temperature_milli,
            max_tokens: *max_tokens,
            top_p_milli: *top_p_milli,
            frequency_penalty_milli: *frequency_penalty_milli,
            presence_penalty_milli: *presence_penalty_milli,
            timeout_micros: micros(*timeout)?,
            context_window: *context_window,
            languages: borrowed(languages),
            department,
            tags: borrowed(tags),
        })
    }

    fn thaw(self) -> Result<Box<Profile>, String> {
        Ok(Box::new(Profile {
            key: checked(self.key)?,
            name: self.name.to_owned(),
            description: self.description.to_owned(),
            capabilities: owned(self.capabilities),
            system_prompt: self.system_prompt.to_owned(),
            platform: self.platform.map(checked).transpose()?,
            fallback_platforms: keys(&self.fallback_platforms)?,
            model: self.model.map(str::to_owned),
            temperature_milli: self.temperature_milli,
            max_tokens: self.max_tokens,
            top_p_milli: self.top_p_milli,
            frequency_penalty_milli: self.frequency_penalty_milli,
            presence_penalty_milli: self.presence_penalty_milli,
            timeout: Duration::from_micros(self.timeout_micros),
            context_window: self.context_window,
            languages: owned(self.languages),
            department: self.department.to_owned(),
            tags: owned(self.tags),
        }))
    }
}

impl Thaw for RegisteredV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(AgentEvent::Registered { profile: self.profile.thaw()? }.into())
    }
}

impl Thaw for RevisedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(AgentEvent::Revised { version: self.version, profile: self.profile.thaw()? }.into())
    }
}

impl Thaw for EnabledV1 {
    fn thaw(self) -> Result<Event, String> {
        Ok(AgentEvent::Enabled.into())
    }
}

impl Thaw for DisabledV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(AgentEvent::Disabled { reason: self.reason.to_owned() }.into())
    }
}
