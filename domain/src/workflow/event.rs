use serde::{Deserialize, Serialize};

use crate::Definition;

/// What can happen to a workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum WorkflowEvent {
    /// A new version was drafted.
    Drafted {
        /// Counts from 1.
        version: u32,
        /// The definition, for ever.
        definition: Box<Definition>,
    },
    /// A version became the one that new runs use.
    Activated {
        /// Which version.
        version: u32,
    },
}

impl WorkflowEvent {
    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Drafted { .. } => "workflow.drafted",
            Self::Activated { .. } => "workflow.activated",
        }
    }
}
