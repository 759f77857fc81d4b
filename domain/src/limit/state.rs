use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::slots::Capacity;
use crate::{Expression, Key, LimitEvent, LimitId};

/// What a limit counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitScope {
    /// Runs of a workflow, from their first step to their end.
    Workflow(Key),
    /// Attempts of an agent's tasks.
    Agent(Key),
    /// Attempts on a platform.
    Platform(Key),
}

impl LimitScope {
    /// The stable snake_case name of the kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Workflow(_) => "workflow",
            Self::Agent(_) => "agent",
            Self::Platform(_) => "platform",
        }
    }

    /// The key of the workflow, agent or platform.
    #[must_use]
    pub const fn key(&self) -> &Key {
        match self {
            Self::Workflow(key) | Self::Agent(key) | Self::Platform(key) => key,
        }
    }
}

impl fmt::Display for LimitScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind(), self.key())
    }
}

/// Everything that makes a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LimitSettings {
    /// Its key.
    pub key: Key,
    /// What it is for.
    pub description: String,
    /// What it counts.
    pub scope: LimitScope,
    /// Counts for each value of this expression over `input` apart; only for runs of a workflow.
    pub by: Option<Expression>,
    /// How much there may be.
    pub capacity: Capacity,
    /// Among whom it is fair, an expression over the run's `input`: of those who wait with the same priority, the
    /// value goes first of which the least is running.
    pub fairness: Option<Expression>,
}

/// A limit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Limit {
    settings: Option<Arc<LimitSettings>>,
}

impl Limit {
    /// What it is; `None` when it does not exist, or was removed.
    #[must_use]
    pub fn settings(&self) -> Option<&Arc<LimitSettings>> {
        self.settings.as_ref()
    }

    /// Its id; `None` when it does not exist.
    #[must_use]
    pub fn id(&self) -> Option<LimitId> {
        self.settings.as_ref().map(|settings| LimitId::from_key(&settings.key))
    }

    pub(super) fn fold(&mut self, event: LimitEvent) {
        match event {
            LimitEvent::Set { settings } => self.settings = Some(Arc::from(settings)),
            LimitEvent::Removed { .. } => self.settings = None,
        }
    }
}
