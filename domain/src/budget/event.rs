use serde::{Deserialize, Serialize};

use super::BudgetSettings;
use crate::Key;

/// What can happen to the budgets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum BudgetEvent {
    /// One was set or changed.
    Set {
        /// All of it.
        settings: Box<BudgetSettings>,
    },
    /// One was taken away.
    Removed {
        /// Which one.
        key: Key,
        /// Why.
        reason: String,
    },
}

impl BudgetEvent {
    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Set { .. } => "budget.set",
            Self::Removed { .. } => "budget.removed",
        }
    }
}
