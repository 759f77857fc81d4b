use super::BudgetSettings;
use crate::Key;

/// What may be asked of the budgets.
#[derive(Debug, Clone, PartialEq)]
pub enum BudgetCommand {
    /// Sets one, or changes it when it exists. Equal settings change nothing; what was spent stays spent.
    Set {
        /// All of it.
        settings: Box<BudgetSettings>,
    },
    /// Takes one away.
    Remove {
        /// Which one.
        key: Key,
        /// Why.
        reason: String,
    },
}
