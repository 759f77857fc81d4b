use super::Payer;
use crate::budget::{BudgetSettings, Unit, Window};
use crate::{Key, Timestamp};

/// What holds for a purse now. It belongs to the budget and may change, so it comes with every reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The budget's key.
    pub budget: Key,
    /// The run, when the budget counts each run by itself.
    pub partition: Option<String>,
    /// What it counts.
    pub unit: Unit,
    /// How much there may be within a window.
    pub limit: u64,
    /// Within which time.
    pub window: Window,
    /// From how much on it is told that it comes to its end.
    pub warn_at: Option<u64>,
}

impl Terms {
    /// Those of a budget.
    #[must_use]
    pub fn of(settings: &BudgetSettings, partition: Option<String>) -> Self {
        Self {
            budget: settings.key.clone(),
            partition,
            unit: settings.unit,
            limit: settings.limit,
            window: settings.window,
            warn_at: settings.warn_at(),
        }
    }
}

/// What may be asked of a purse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PurseCommand {
    /// Sets aside what a call may use at most.
    Reserve {
        /// For which attempt.
        payer: Payer,
        /// How much.
        amount: u64,
        /// What holds now.
        terms: Terms,
        /// Now.
        now: Timestamp,
    },
    /// The call is over.
    Settle {
        /// Which attempt.
        payer: Payer,
        /// How much it has used; `None` when nobody knows, and then all that was set aside counts as used.
        amount: Option<u64>,
    },
}
