use serde::{Deserialize, Serialize};

use super::Profile;

/// What can happen to an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AgentEvent {
    /// It came to be, as version 1.
    Registered {
        /// The profile.
        profile: Box<Profile>,
    },
    /// Its profile changed.
    Revised {
        /// The new version.
        version: u32,
        /// The whole new profile.
        profile: Box<Profile>,
    },
    /// It may take work again.
    Enabled,
    /// It takes no new work.
    Disabled {
        /// Why.
        reason: String,
    },
}

impl AgentEvent {
    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Registered { .. } => "agent.registered",
            Self::Revised { .. } => "agent.revised",
            Self::Enabled => "agent.enabled",
            Self::Disabled { .. } => "agent.disabled",
        }
    }
}
