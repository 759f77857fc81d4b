use serde::{Deserialize, Serialize};

use super::Placed;
use crate::{Actor, Timestamp};

/// What can happen to a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HoldEvent {
    /// It was placed.
    Placed(Placed),
    /// It was lifted.
    Lifted {
        /// Who.
        by: Actor,
        /// When.
        at: Timestamp,
    },
}

impl HoldEvent {
    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Placed(_) => "hold.placed",
            Self::Lifted { .. } => "hold.lifted",
        }
    }
}
