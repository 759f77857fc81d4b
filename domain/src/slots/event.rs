use serde::{Deserialize, Serialize};

use super::Holder;
use crate::{Key, Timestamp};

/// What can happen to slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SlotsEvent {
    /// Somebody wants one.
    Requested {
        /// Who.
        holder: Holder,
        /// The limit's key.
        limit: Key,
        /// The value that the limit counts apart.
        partition: Option<String>,
        /// Higher before lower.
        priority: i32,
        /// Among whom the limit is fair.
        fairness: String,
        /// When.
        at: Timestamp,
    },
    /// Somebody has one.
    Granted {
        /// Who.
        holder: Holder,
        /// When.
        at: Timestamp,
    },
    /// Somebody gave it back, or does not want it any more.
    Released {
        /// Who.
        holder: Holder,
    },
}

impl SlotsEvent {
    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Requested { .. } => "slots.requested",
            Self::Granted { .. } => "slots.granted",
            Self::Released { .. } => "slots.released",
        }
    }
}
