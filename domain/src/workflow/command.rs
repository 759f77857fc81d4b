use crate::Definition;

/// What may be asked of a workflow.
#[derive(Debug, Clone, PartialEq)]
pub enum WorkflowCommand {
    /// Adds the next version as a draft. A definition equal to the newest version changes nothing.
    Draft {
        /// The new version.
        definition: Box<Definition>,
    },
    /// Makes a version the one that new runs use.
    Activate {
        /// Which version.
        version: u32,
    },
}
