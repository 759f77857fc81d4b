use serde::{Deserialize, Serialize};

use crate::{Actor, Timestamp};

/// What can happen to a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubjectEvent {
    /// Its key was destroyed: nothing personal of it can be read any more.
    Erased {
        /// Who wanted it.
        by: Actor,
        /// When.
        at: Timestamp,
    },
}

impl SubjectEvent {
    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Erased { .. } => "subject.erased",
        }
    }
}
