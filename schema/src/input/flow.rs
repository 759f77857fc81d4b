//! Limits and holds.

use async_graphql::{InputObject, Result};
use domain::hold::HoldScope;
use domain::limit::{LimitScope as Scope, LimitSettings};
use domain::slots::{Capacity, Rate};
use domain::{Expression, Key};
use uuid::Uuid;

use super::{duration, parse};
use crate::scalar::Count;
use crate::status::{LimitScope, PauseClock};

/// A limit to set; one with this key is changed.
#[derive(Debug, InputObject)]
pub(crate) struct SetLimitInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// The limit's key: 1 to 64 of a-z, 0-9, `-`, `_` and `.`, starting with a letter or digit.
    key: String,
    /// What it is for.
    #[graphql(default)]
    description: String,
    /// What it counts.
    scope: LimitScope,
    /// The key of the workflow, agent or platform.
    scope_key: String,
    /// Counts for each value of this expression over the run's `input` apart; only for runs of a workflow.
    by: Option<String>,
    /// How many at the same time.
    max_running: Option<u32>,
    /// How many starts within a time.
    rate: Option<RateInput>,
    /// Among whom it is fair, an expression over the run's `input`: of those who wait with the same priority, the value
    /// goes first of which the least is running.
    fairness: Option<String>,
}

/// So many starts within so much time, counted over a sliding window.
#[derive(Debug, InputObject)]
pub(crate) struct RateInput {
    /// How many starts, 1 to 1000.
    starts: u32,
    /// Within how many milliseconds.
    per_ms: Count,
}

impl SetLimitInput {
    pub(crate) fn into_settings(self) -> Result<LimitSettings> {
        let scope_key: Key = parse("scopeKey", &self.scope_key)?;
        let expression = |field: &str, text: Option<String>| -> Result<Option<Expression>> {
            text.map(|text| parse(field, &text)).transpose()
        };
        Ok(LimitSettings {
            key: parse("key", &self.key)?,
            description: self.description,
            scope: match self.scope {
                LimitScope::Workflow => Scope::Workflow(scope_key),
                LimitScope::Agent => Scope::Agent(scope_key),
                LimitScope::Platform => Scope::Platform(scope_key),
            },
            by: expression("by", self.by)?,
            capacity: Capacity {
                max_running: self.max_running,
                rate: self.rate.map(|rate| Rate { starts: rate.starts, per: duration(rate.per_ms) }),
            },
            fairness: expression("fairness", self.fairness)?,
        })
    }
}

/// A limit to take away.
#[derive(Debug, InputObject)]
pub(crate) struct RemoveLimitInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which limit.
    pub(crate) key: String,
    /// Why.
    #[graphql(default)]
    pub(crate) reason: String,
}

/// What is to be held.
#[derive(Debug, InputObject)]
pub(crate) struct PlaceHoldInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// The key of the workflow whose runs are paused; null pauses every run.
    pub(crate) workflow: Option<String>,
    /// Why.
    #[graphql(default)]
    pub(crate) reason: String,
    /// What happens to timers, deadlines and expiries.
    #[graphql(default_with = "PauseClock::Frozen")]
    pub(crate) clock: PauseClock,
}

/// What is no longer to be held.
#[derive(Debug, InputObject)]
pub(crate) struct LiftHoldInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// The key of the workflow whose runs go on; null lifts the hold on everything.
    pub(crate) workflow: Option<String>,
}

/// The scope that a workflow's key, or none, stands for.
pub(crate) fn hold_scope(workflow: Option<&str>) -> Result<HoldScope> {
    Ok(match workflow {
        None => HoldScope::Everything,
        Some(key) => HoldScope::Workflow(parse("workflow", key)?),
    })
}
