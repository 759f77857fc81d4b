use std::time::Duration;

use super::Profile;
use crate::workflow::Assignee;
use crate::{Agent, AgentCommand, AgentEvent, Bilingual, Refusal};

/// Why an agent refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentRefusal {
    /// The profile is wrong.
    #[error("the agent's profile is not valid: {what}")]
    InvalidProfile {
        /// What is out of range, and the range.
        what: &'static str,
    },
    /// There is no such agent.
    #[error("the agent does not exist; register it first")]
    NotFound,
}

impl Refusal for AgentRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::InvalidProfile { .. } => "AGENT_INVALID",
            Self::NotFound => "AGENT_NOT_FOUND",
        }
    }
}

pub(super) fn decide(state: &Agent, command: AgentCommand) -> Result<Vec<AgentEvent>, AgentRefusal> {
    match command {
        AgentCommand::Register { profile } => {
            check(&profile)?;
            Ok(match state.profile() {
                None => vec![AgentEvent::Registered { profile }],
                Some(known) if **known == *profile => vec![],
                Some(_) => vec![AgentEvent::Revised { version: state.version() + 1, profile }],
            })
        }
        AgentCommand::Enable | AgentCommand::Disable { .. } if state.profile().is_none() => Err(AgentRefusal::NotFound),
        AgentCommand::Enable if state.enabled() => Ok(vec![]),
        AgentCommand::Enable => Ok(vec![AgentEvent::Enabled]),
        AgentCommand::Disable { .. } if !state.enabled() => Ok(vec![]),
        AgentCommand::Disable { reason } => Ok(vec![AgentEvent::Disabled { reason }]),
    }
}

fn check(profile: &Profile) -> Result<(), AgentRefusal> {
    let in_range = |value: Option<i16>| value.is_none_or(|value| (-2000..=2000).contains(&value));
    let rules = [
        (profile.key.as_str() != Assignee::AUTO, "key must not be `auto`, which lets the best agent be chosen"),
        (!profile.name.is_blank(), "name must not be empty"),
        (!profile.system_prompt.trim().is_empty(), "system_prompt must not be empty"),
        (profile.temperature_milli.is_none_or(|value| value <= 2000), "temperature must be 0 to 2"),
        (
            profile.top_p_milli.is_none_or(|value| (1..=1000).contains(&value)),
            "top_p must be more than 0 and at most 1",
        ),
        (in_range(profile.frequency_penalty_milli), "frequency_penalty must be -2 to 2"),
        (in_range(profile.presence_penalty_milli), "presence_penalty must be -2 to 2"),
        (!profile.constraints.iter().any(Bilingual::is_blank), "constraints must not hold an empty text"),
        (profile.cost_limit.is_none_or(|limit| limit.0 > 0), "cost_limit_usd must be more than zero"),
        (
            profile.review_rounds <= Profile::MAX_REVIEW_ROUNDS,
            "self_review must be true, false or a number of rounds from 0 to 3",
        ),
        (profile.max_tokens != Some(0), "max_tokens must be at least 1"),
        (profile.context_window > 0, "context_window must be at least 1"),
        (
            !profile.timeout.is_zero() && profile.timeout <= Duration::from_secs(86_400),
            "timeout must be more than zero and at most one day",
        ),
    ];
    match rules.into_iter().find(|(holds, _)| !holds) {
        Some((_, what)) => Err(AgentRefusal::InvalidProfile { what }),
        None => Ok(()),
    }
}
