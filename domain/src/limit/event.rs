use serde::{Deserialize, Serialize};

use super::LimitSettings;

/// What can happen to a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum LimitEvent {
    /// It was set or changed.
    Set {
        /// All of it.
        settings: Box<LimitSettings>,
    },
    /// It was taken away.
    Removed {
        /// Why.
        reason: String,
    },
}

impl LimitEvent {
    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Set { .. } => "limit.set",
            Self::Removed { .. } => "limit.removed",
        }
    }
}
