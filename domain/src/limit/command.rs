use super::LimitSettings;

/// What may be asked of a limit.
#[derive(Debug, Clone, PartialEq)]
pub enum LimitCommand {
    /// Sets it, or changes it when it exists. Equal settings change nothing.
    Set {
        /// All of it.
        settings: Box<LimitSettings>,
    },
    /// Takes it away; who waited for it goes on.
    Remove {
        /// Why.
        reason: String,
    },
}
