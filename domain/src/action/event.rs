use serde::{Deserialize, Serialize};

use super::ActionState;
use crate::{Actor, RunId, TaskId, Timestamp};

/// What can happen to an action item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActionEvent {
    /// Somebody changed what is true of it.
    Changed {
        /// The run that asked for it.
        run: RunId,
        /// The task that asked for it first.
        task: TaskId,
        /// Its number among what that task asks for, from 1.
        number: u32,
        /// How far it is from now on.
        state: ActionState,
        /// Who does it from now on.
        owner: Option<String>,
        /// Until when, from now on.
        due: Option<String>,
        /// What there is to say about it from now on.
        note: Option<String>,
        /// Who changed it.
        by: Actor,
        /// When.
        at: Timestamp,
    },
}

impl ActionEvent {
    /// The stable name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "action.changed",
        }
    }
}
