//! Frozen events of agents.

use std::time::Duration;

use domain::agent::Profile;
use domain::{AgentEvent, Event, Key, NanoUsd, PlatformTag};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::values::{borrowed, checked, keys, micros, owned, sorted};
use super::words::{BilingualV1, CapabilityV1};
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

/// Since there are two languages, a closed list of capabilities, constraints, self-review and a limit of cost.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ProfileV2<'a> {
    key: &'a str,
    #[serde(borrow)]
    name: BilingualV1<'a>,
    #[serde(borrow)]
    description: BilingualV1<'a>,
    capabilities: Vec<CapabilityV1>,
    system_prompt: &'a str,
    #[serde(borrow)]
    constraints: Vec<BilingualV1<'a>>,
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
    cost_limit_nano_usd: Option<i64>,
    self_review: bool,
    context_window: u32,
    #[serde(borrow)]
    languages: Vec<&'a str>,
    department: &'a str,
    #[serde(borrow)]
    tags: Vec<&'a str>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RegisteredV2<'a> {
    #[serde(borrow)]
    profile: ProfileV2<'a>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RevisedV2<'a> {
    version: u32,
    #[serde(borrow)]
    profile: ProfileV2<'a>,
}

impl<'a> From<ProfileV1<'a>> for ProfileV2<'a> {
    /// Capabilities were free words; those that are no capability today are kept as tags. Agents had no constraints and
    /// no limit of cost, and self-review is on unless somebody turns it off.
    fn from(old: ProfileV1<'a>) -> Self {
        let mut tags = old.tags;
        let mut capabilities = Vec::new();
        for word in old.capabilities {
            match CapabilityV1::of(word) {
                Some(capability) => capabilities.push(capability),
                None if tags.contains(&word) => {}
                None => tags.push(word),
            }
        }
        Self {
            key: old.key,
            name: BilingualV1::english(old.name),
            description: BilingualV1::english(old.description),
            capabilities,
            system_prompt: old.system_prompt,
            constraints: Vec::new(),
            platform: old.platform,
            fallback_platforms: old.fallback_platforms,
            model: old.model,
            temperature_milli: old.temperature_milli,
            max_tokens: old.max_tokens,
            top_p_milli: old.top_p_milli,
            frequency_penalty_milli: old.frequency_penalty_milli,
            presence_penalty_milli: old.presence_penalty_milli,
            timeout_micros: old.timeout_micros,
            cost_limit_nano_usd: None,
            self_review: true,
            context_window: old.context_window,
            languages: old.languages,
            department: old.department,
            tags,
        }
    }
}

impl<'a> From<RegisteredV1<'a>> for RegisteredV2<'a> {
    fn from(old: RegisteredV1<'a>) -> Self {
        Self { profile: old.profile.into() }
    }
}

impl<'a> From<RevisedV1<'a>> for RevisedV2<'a> {
    fn from(old: RevisedV1<'a>) -> Self {
        Self { version: old.version, profile: old.profile.into() }
    }
}

/// Since self-review is done: how many revisions it may ask for, where it was only a wish.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ProfileV3<'a> {
    key: &'a str,
    #[serde(borrow)]
    name: BilingualV1<'a>,
    #[serde(borrow)]
    description: BilingualV1<'a>,
    capabilities: Vec<CapabilityV1>,
    system_prompt: &'a str,
    #[serde(borrow)]
    constraints: Vec<BilingualV1<'a>>,
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
    cost_limit_nano_usd: Option<i64>,
    review_rounds: u8,
    context_window: u32,
    #[serde(borrow)]
    languages: Vec<&'a str>,
    department: &'a str,
    #[serde(borrow)]
    tags: Vec<&'a str>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RegisteredV3<'a> {
    #[serde(borrow)]
    profile: ProfileV3<'a>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RevisedV3<'a> {
    version: u32,
    #[serde(borrow)]
    profile: ProfileV3<'a>,
}

impl<'a> From<ProfileV2<'a>> for ProfileV3<'a> {
    /// Self-review was a wish that nothing acted upon; whoever registered an agent then has never agreed to what it costs.
    fn from(old: ProfileV2<'a>) -> Self {
        Self {
            key: old.key,
            name: old.name,
            description: old.description,
            capabilities: old.capabilities,
            system_prompt: old.system_prompt,
            constraints: old.constraints,
            platform: old.platform,
            fallback_platforms: old.fallback_platforms,
            model: old.model,
            temperature_milli: old.temperature_milli,
            max_tokens: old.max_tokens,
            top_p_milli: old.top_p_milli,
            frequency_penalty_milli: old.frequency_penalty_milli,
            presence_penalty_milli: old.presence_penalty_milli,
            timeout_micros: old.timeout_micros,
            cost_limit_nano_usd: old.cost_limit_nano_usd,
            review_rounds: 0,
            context_window: old.context_window,
            languages: old.languages,
            department: old.department,
            tags: old.tags,
        }
    }
}

impl<'a> From<RegisteredV2<'a>> for RegisteredV3<'a> {
    fn from(old: RegisteredV2<'a>) -> Self {
        Self { profile: old.profile.into() }
    }
}

impl<'a> From<RevisedV2<'a>> for RevisedV3<'a> {
    fn from(old: RevisedV2<'a>) -> Self {
        Self { version: old.version, profile: old.profile.into() }
    }
}

/// Since an agent may say which tags platforms must have.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ProfileV4<'a> {
    key: &'a str,
    #[serde(borrow)]
    name: BilingualV1<'a>,
    #[serde(borrow)]
    description: BilingualV1<'a>,
    capabilities: Vec<CapabilityV1>,
    system_prompt: &'a str,
    #[serde(borrow)]
    constraints: Vec<BilingualV1<'a>>,
    #[serde(borrow)]
    platform: Option<&'a str>,
    #[serde(borrow)]
    fallback_platforms: Vec<&'a str>,
    #[serde(borrow)]
    model: Option<&'a str>,
    #[serde(borrow)]
    residency: Vec<&'a str>,
    temperature_milli: Option<u16>,
    max_tokens: Option<u32>,
    top_p_milli: Option<u16>,
    frequency_penalty_milli: Option<i16>,
    presence_penalty_milli: Option<i16>,
    timeout_micros: u64,
    cost_limit_nano_usd: Option<i64>,
    review_rounds: u8,
    context_window: u32,
    #[serde(borrow)]
    languages: Vec<&'a str>,
    department: &'a str,
    #[serde(borrow)]
    tags: Vec<&'a str>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RegisteredV4<'a> {
    #[serde(borrow)]
    profile: ProfileV4<'a>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RevisedV4<'a> {
    version: u32,
    #[serde(borrow)]
    profile: ProfileV4<'a>,
}

impl<'a> From<ProfileV3<'a>> for ProfileV4<'a> {
    /// Agents demanded nothing; only the installation did.
    fn from(old: ProfileV3<'a>) -> Self {
        Self {
            key: old.key,
            name: old.name,
            description: old.description,
            capabilities: old.capabilities,
            system_prompt: old.system_prompt,
            constraints: old.constraints,
            platform: old.platform,
            fallback_platforms: old.fallback_platforms,
            model: old.model,
            residency: Vec::new(),
            temperature_milli: old.temperature_milli,
            max_tokens: old.max_tokens,
            top_p_milli: old.top_p_milli,
            frequency_penalty_milli: old.frequency_penalty_milli,
            presence_penalty_milli: old.presence_penalty_milli,
            timeout_micros: old.timeout_micros,
            cost_limit_nano_usd: old.cost_limit_nano_usd,
            review_rounds: old.review_rounds,
            context_window: old.context_window,
            languages: old.languages,
            department: old.department,
            tags: old.tags,
        }
    }
}

impl<'a> From<RegisteredV3<'a>> for RegisteredV4<'a> {
    fn from(old: RegisteredV3<'a>) -> Self {
        Self { profile: old.profile.into() }
    }
}

impl<'a> From<RevisedV3<'a>> for RevisedV4<'a> {
    fn from(old: RevisedV3<'a>) -> Self {
        Self { version: old.version, profile: old.profile.into() }
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct EnabledV1 {}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct DisabledV1<'a> {
    reason: &'a str,
}

pub(super) fn freeze(event: &AgentEvent) -> Result<Encoded, String> {
    match event {
        AgentEvent::Registered { profile } => write(&RegisteredV4 { profile: ProfileV4::freeze(profile)? }),
        AgentEvent::Revised { version, profile } => {
            write(&RevisedV4 { version: *version, profile: ProfileV4::freeze(profile)? })
        }
        AgentEvent::Enabled => write(&EnabledV1 {}),
        AgentEvent::Disabled { reason } => write(&DisabledV1 { reason }),
    }
}

impl<'a> ProfileV4<'a> {
    fn freeze(profile: &'a Profile) -> Result<Self, String> {
        let Profile {
            key,
            name,
            description,
            capabilities,
            system_prompt,
            constraints,
            platform,
            fallback_platforms,
            model,
            residency,
            temperature_milli,
            max_tokens,
            top_p_milli,
            frequency_penalty_milli,
            presence_penalty_milli,
            timeout,
            cost_limit,
            review_rounds,
            context_window,
            languages,
            department,
            tags,
        } = profile;
        Ok(Self {
            key: key.as_str(),
            name: BilingualV1::freeze(name),
            description: BilingualV1::freeze(description),
            capabilities: capabilities.iter().copied().map(CapabilityV1::freeze).collect(),
            system_prompt,
            constraints: constraints.iter().map(BilingualV1::freeze).collect(),
            platform: platform.as_ref().map(Key::as_str),
            fallback_platforms: fallback_platforms.iter().map(Key::as_str).collect(),
            model: model.as_deref(),
            residency: residency.iter().map(PlatformTag::as_str).collect(),
            temperature_milli: *temperature_milli,
            max_tokens: *max_tokens,
            top_p_milli: *top_p_milli,
            frequency_penalty_milli: *frequency_penalty_milli,
            presence_penalty_milli: *presence_penalty_milli,
            timeout_micros: micros(*timeout)?,
            cost_limit_nano_usd: cost_limit.map(|limit| limit.0),
            review_rounds: *review_rounds,
            context_window: *context_window,
            languages: borrowed(languages),
            department,
            tags: borrowed(tags),
        })
    }

    fn thaw(self) -> Result<Box<Profile>, String> {
        Ok(Box::new(Profile {
            key: checked(self.key)?,
            name: self.name.thaw(),
            description: self.description.thaw(),
            capabilities: self.capabilities.into_iter().map(CapabilityV1::thaw).collect(),
            system_prompt: self.system_prompt.to_owned(),
            constraints: self.constraints.iter().map(BilingualV1::thaw).collect(),
            platform: self.platform.map(checked).transpose()?,
            fallback_platforms: keys(&self.fallback_platforms)?,
            model: self.model.map(str::to_owned),
            residency: sorted(&self.residency)?,
            temperature_milli: self.temperature_milli,
            max_tokens: self.max_tokens,
            top_p_milli: self.top_p_milli,
            frequency_penalty_milli: self.frequency_penalty_milli,
            presence_penalty_milli: self.presence_penalty_milli,
            timeout: Duration::from_micros(self.timeout_micros),
            cost_limit: self.cost_limit_nano_usd.map(NanoUsd),
            review_rounds: self.review_rounds,
            context_window: self.context_window,
            languages: owned(self.languages),
            department: self.department.to_owned(),
            tags: owned(self.tags),
        }))
    }
}

impl Thaw for RegisteredV4<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(AgentEvent::Registered { profile: self.profile.thaw()? }.into())
    }
}

impl Thaw for RevisedV4<'_> {
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
