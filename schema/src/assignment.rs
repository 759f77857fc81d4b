//! Who has a task, and what that was decided from.

use async_graphql::{Enum, SimpleObject};
use domain::task::{self, AgentChoice, AgentReason, ConsideredAgent};

use crate::words::Capability;

/// Who has a task, straight from the journal.
#[derive(Debug, SimpleObject)]
pub(crate) struct Assignment {
    /// The agent's key.
    agent_key: String,
    /// The agent's version.
    agent_version: u32,
    /// Whether the workflow named it; otherwise it was chosen.
    named: bool,
    /// How it was chosen; null when it was named.
    choice: Option<RecordedChoice>,
}

/// How an agent was chosen: everything that it was decided from.
#[derive(Debug, SimpleObject)]
pub(crate) struct RecordedChoice {
    /// Why it was this one.
    reason: ChoiceReason,
    /// What the task needs; null when anybody can do it.
    capability: Option<Capability>,
    /// The language of the answer, where the task says.
    language: Option<String>,
    /// Below this score, 0 to 1, no specialist was good enough.
    minimum: f64,
    /// Of equals: how many there were. Of others null.
    equals: Option<u32>,
    /// Where no specialist was good enough: the best score.
    best: Option<f64>,
    /// All agents that were looked at: those that could be chosen first, by falling score.
    candidates: Vec<Candidate>,
}

/// Why it was this agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum ChoiceReason {
    /// Its score was the best.
    Best,
    /// Others had the same score, and it had the least to do.
    AmongEquals,
    /// No specialist's score reached the minimum, so a general-purpose agent took it.
    BelowMinimum,
    /// No specialist could do it, so a general-purpose agent took it.
    NoSpecialist,
    /// The task needs no specialist.
    AnybodyWill,
}

/// An agent that was looked at.
#[derive(Debug, SimpleObject)]
pub(crate) struct Candidate {
    /// Its key.
    agent_key: String,
    /// Its score, 0 to 1, made of the factors.
    score: f64,
    /// What the score was made of.
    factors: Factors,
    /// Tasks that it was doing.
    running: u32,
    /// For how many tasks its own history counted; 0 of an agent of which nothing was known.
    experience: f64,
    /// Why it could not be chosen for its capabilities; null when it could.
    excluded: Option<Exclusion>,
}

/// What a score is made of, each between 0 and 1.
#[derive(Debug, SimpleObject)]
#[graphql(name = "ChoiceFactors")]
pub(crate) struct Factors {
    /// How much of what is needed it is a specialist in; counts 40 %.
    capability: f64,
    /// The average quality of its results / 10; counts 25 %.
    quality: f64,
    /// 1, or 0.3 when it was busy or failing or its platform was down; counts 15 %.
    availability: f64,
    /// 1 − average cost / the acceptable maximum; counts 10 %.
    cost: f64,
    /// 1 − average time / the acceptable maximum; counts 10 %.
    speed: f64,
}

/// Why an agent could not be chosen for its capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ChoiceExclusion")]
pub(crate) enum Exclusion {
    /// It was switched off.
    Inactive,
    /// It has none of the capabilities that are needed.
    Incapable,
    /// It does not answer in the language that is wanted.
    Language,
    /// Whoever asked left it out.
    LeftOut,
}

impl From<commands::Assignment> for Assignment {
    fn from(assignment: commands::Assignment) -> Self {
        Self {
            agent_key: assignment.agent.as_str().to_owned(),
            agent_version: assignment.version,
            named: assignment.choice.is_none(),
            choice: assignment.choice.as_deref().map(RecordedChoice::from),
        }
    }
}

impl From<&AgentChoice> for RecordedChoice {
    fn from(choice: &AgentChoice) -> Self {
        let (mut equals, mut best) = (None, None);
        let reason = match choice.reason {
            AgentReason::Best => ChoiceReason::Best,
            AgentReason::AmongEquals { equals: count } => {
                equals = Some(count);
                ChoiceReason::AmongEquals
            }
            AgentReason::BelowMinimum { best: score } => {
                best = Some(score.as_f64());
                ChoiceReason::BelowMinimum
            }
            AgentReason::NoSpecialist => ChoiceReason::NoSpecialist,
            AgentReason::AnybodyWill => ChoiceReason::AnybodyWill,
        };
        Self {
            reason,
            capability: choice.capability.map(Capability::from),
            language: choice.language.clone(),
            minimum: choice.minimum.as_f64(),
            equals,
            best,
            candidates: choice.considered.iter().map(Candidate::from).collect(),
        }
    }
}

impl From<&ConsideredAgent> for Candidate {
    fn from(considered: &ConsideredAgent) -> Self {
        Self {
            agent_key: considered.agent.as_str().to_owned(),
            score: considered.score.as_f64(),
            factors: Factors {
                capability: considered.factors.capability.as_f64(),
                quality: considered.factors.quality.as_f64(),
                availability: considered.factors.availability.as_f64(),
                cost: considered.factors.cost.as_f64(),
                speed: considered.factors.speed.as_f64(),
            },
            running: considered.running,
            experience: f64::from(considered.experience_milli) / 1000.0,
            excluded: considered.excluded.map(|excluded| match excluded {
                task::AgentExclusion::Inactive => Exclusion::Inactive,
                task::AgentExclusion::Incapable => Exclusion::Incapable,
                task::AgentExclusion::Language => Exclusion::Language,
                task::AgentExclusion::LeftOut => Exclusion::LeftOut,
            }),
        }
    }
}
