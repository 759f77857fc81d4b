//! Frozen forms of who was given a task, and what that was decided from.

use domain::task::{AgentChoice, AgentExclusion, AgentFactors, AgentReason, ConsideredAgent, Share};
use domain::{AgentId, Event, TaskEvent};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Thaw;
use super::values::{Id, checked};
use super::words::CapabilityV1;

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AssignedV1<'a> {
    agent: Id,
    agent_version: u32,
    reason: &'a str,
}

/// Says what the agent was chosen from, where none was named.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AssignedV2<'a> {
    agent: Id,
    agent_version: u32,
    reason: &'a str,
    #[serde(borrow)]
    choice: Option<AgentChoiceV1<'a>>,
}

impl<'a> From<AssignedV1<'a>> for AssignedV2<'a> {
    fn from(old: AssignedV1<'a>) -> Self {
        Self { agent: old.agent, agent_version: old.agent_version, reason: old.reason, choice: None }
    }
}

/// Shares of one are in millionths.
#[derive(Debug, Serialize, Deserialize, Schema)]
struct AgentChoiceV1<'a> {
    reason: AgentReasonV1,
    capability: Option<CapabilityV1>,
    language: Option<&'a str>,
    minimum: u32,
    #[serde(borrow)]
    considered: Vec<ConsideredAgentV1<'a>>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
enum AgentReasonV1 {
    Best,
    AmongEquals { equals: u32 },
    BelowMinimum { best: u32 },
    NoSpecialist,
    AnybodyWill,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
struct ConsideredAgentV1<'a> {
    agent: &'a str,
    score: u32,
    capability: u32,
    quality: u32,
    availability: u32,
    cost: u32,
    speed: u32,
    running: u32,
    experience_milli: u32,
    excluded: Option<AgentExclusionV1>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
enum AgentExclusionV1 {
    Inactive,
    Incapable,
    Language,
    LeftOut,
}

impl<'a> AssignedV2<'a> {
    pub(super) fn freeze(agent: AgentId, agent_version: u32, reason: &'a str, choice: Option<&'a AgentChoice>) -> Self {
        let choice = choice.map(AgentChoiceV1::freeze);
        Self { agent: agent.as_uuid().into_bytes(), agent_version, reason, choice }
    }
}

impl Thaw for AssignedV2<'_> {
    fn thaw(self) -> Result<Event, String> {
        let agent = AgentId::from_uuid(Uuid::from_bytes(self.agent));
        let choice = self.choice.map(|choice| choice.thaw().map(Box::new)).transpose()?;
        let (agent_version, reason) = (self.agent_version, self.reason.to_owned());
        Ok(TaskEvent::Assigned { agent, agent_version, reason, choice }.into())
    }
}

impl<'a> AgentChoiceV1<'a> {
    fn freeze(choice: &'a AgentChoice) -> Self {
        let AgentChoice { reason, capability, language, minimum, considered } = choice;
        Self {
            reason: match *reason {
                AgentReason::Best => AgentReasonV1::Best,
                AgentReason::AmongEquals { equals } => AgentReasonV1::AmongEquals { equals },
                AgentReason::BelowMinimum { best } => AgentReasonV1::BelowMinimum { best: best.millionths() },
                AgentReason::NoSpecialist => AgentReasonV1::NoSpecialist,
                AgentReason::AnybodyWill => AgentReasonV1::AnybodyWill,
            },
            capability: capability.map(CapabilityV1::freeze),
            language: language.as_deref(),
            minimum: minimum.millionths(),
            considered: considered.iter().map(ConsideredAgentV1::freeze).collect(),
        }
    }

    fn thaw(self) -> Result<AgentChoice, String> {
        Ok(AgentChoice {
            reason: match self.reason {
                AgentReasonV1::Best => AgentReason::Best,
                AgentReasonV1::AmongEquals { equals } => AgentReason::AmongEquals { equals },
                AgentReasonV1::BelowMinimum { best } => AgentReason::BelowMinimum { best: share(best)? },
                AgentReasonV1::NoSpecialist => AgentReason::NoSpecialist,
                AgentReasonV1::AnybodyWill => AgentReason::AnybodyWill,
            },
            capability: self.capability.map(CapabilityV1::thaw),
            language: self.language.map(str::to_owned),
            minimum: share(self.minimum)?,
            considered: self.considered.into_iter().map(ConsideredAgentV1::thaw).collect::<Result<_, _>>()?,
        })
    }
}

impl<'a> ConsideredAgentV1<'a> {
    fn freeze(considered: &'a ConsideredAgent) -> Self {
        let ConsideredAgent { agent, score, factors, running, experience_milli, excluded } = considered;
        let AgentFactors { capability, quality, availability, cost, speed } = factors;
        Self {
            agent: agent.as_str(),
            score: score.millionths(),
            capability: capability.millionths(),
            quality: quality.millionths(),
            availability: availability.millionths(),
            cost: cost.millionths(),
            speed: speed.millionths(),
            running: *running,
            experience_milli: *experience_milli,
            excluded: excluded.map(|excluded| match excluded {
                AgentExclusion::Inactive => AgentExclusionV1::Inactive,
                AgentExclusion::Incapable => AgentExclusionV1::Incapable,
                AgentExclusion::Language => AgentExclusionV1::Language,
                AgentExclusion::LeftOut => AgentExclusionV1::LeftOut,
            }),
        }
    }

    fn thaw(self) -> Result<ConsideredAgent, String> {
        Ok(ConsideredAgent {
            agent: checked(self.agent)?,
            score: share(self.score)?,
            factors: AgentFactors {
                capability: share(self.capability)?,
                quality: share(self.quality)?,
                availability: share(self.availability)?,
                cost: share(self.cost)?,
                speed: share(self.speed)?,
            },
            running: self.running,
            experience_milli: self.experience_milli,
            excluded: self.excluded.map(|excluded| match excluded {
                AgentExclusionV1::Inactive => AgentExclusion::Inactive,
                AgentExclusionV1::Incapable => AgentExclusion::Incapable,
                AgentExclusionV1::Language => AgentExclusion::Language,
                AgentExclusionV1::LeftOut => AgentExclusion::LeftOut,
            }),
        })
    }
}

/// A share that is none was never written.
fn share(millionths: u32) -> Result<Share, String> {
    if millionths > Share::WHOLE {
        return Err(format!("{millionths} millionths are more than the whole"));
    }
    Ok(Share::of_millionths(millionths))
}
