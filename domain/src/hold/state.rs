use std::fmt;

use serde::{Deserialize, Serialize};

use crate::run::{Pause, PauseClock};
use crate::{Actor, HoldEvent, HoldId, Key, Timestamp};

/// What a hold covers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldScope {
    /// Every run.
    Everything,
    /// Every run of a workflow.
    Workflow(Key),
}

impl HoldScope {
    /// The hold that covers this: there is one for each scope.
    #[must_use]
    pub fn id(&self) -> HoldId {
        HoldId::of(match self {
            Self::Everything => None,
            Self::Workflow(key) => Some(key),
        })
    }

    /// Whether a workflow's runs are covered.
    #[must_use]
    pub fn covers(&self, workflow: &Key) -> bool {
        match self {
            Self::Everything => true,
            Self::Workflow(key) => key == workflow,
        }
    }
}

impl fmt::Display for HoldScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("everything"),
            Self::Workflow(key) => write!(f, "workflow `{key}`"),
        }
    }
}

/// A hold that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// What it covers.
    pub scope: HoldScope,
    /// Who placed it.
    pub by: Actor,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// What happens to what waits for a time.
    pub clock: PauseClock,
}

impl Placed {
    /// The pause that it means for a run, from a moment on.
    #[must_use]
    pub fn pause(&self, at: Timestamp) -> Pause {
        let hold = Some(self.scope.id());
        Pause { by: self.by.clone(), reason: self.reason.clone(), at, clock: self.clock, hold }
    }
}

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hold {
    placed: Option<Placed>,
}

impl Hold {
    /// What it is, while it is in force.
    #[must_use]
    pub fn placed(&self) -> Option<&Placed> {
        self.placed.as_ref()
    }

    pub(super) fn fold(&mut self, event: HoldEvent) {
        match event {
            HoldEvent::Placed(placed) => self.placed = Some(placed),
            HoldEvent::Lifted { .. } => self.placed = None,
        }
    }
}
