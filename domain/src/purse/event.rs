use serde::{Deserialize, Serialize};

use super::Payer;
use crate::{Key, Timestamp};

/// What can happen to a purse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PurseEvent {
    /// Something was set aside for an attempt.
    Reserved {
        /// Which attempt.
        payer: Payer,
        /// How much.
        amount: u64,
        /// The budget's key.
        budget: Key,
        /// The run, when the budget counts each run by itself.
        partition: Option<String>,
        /// When the window began in which it counts.
        window: Timestamp,
        /// When.
        at: Timestamp,
    },
    /// An attempt is over.
    Settled {
        /// Which attempt.
        payer: Payer,
        /// How much it has used.
        amount: u64,
        /// Whether that is known; what is not counts as all that was set aside.
        known: bool,
    },
    /// The budget comes to its end: told once in each window.
    Warned {
        /// How much is spent and set aside.
        used: u64,
        /// How much there may be.
        limit: u64,
    },
}

impl PurseEvent {
    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reserved { .. } => "purse.reserved",
            Self::Settled { .. } => "purse.settled",
            Self::Warned { .. } => "purse.warned",
        }
    }
}
