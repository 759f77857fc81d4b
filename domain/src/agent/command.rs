use super::Profile;

/// What may be asked of an agent.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentCommand {
    /// Registers it, or revises it when it exists. An equal profile changes nothing.
    Register {
        /// The whole profile.
        profile: Box<Profile>,
    },
    /// Lets it take work again.
    Enable,
    /// Gives it no new work.
    Disable {
        /// Why.
        reason: String,
    },
}
