use crate::{Actor, Timestamp};

/// What may be asked of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectCommand {
    /// Records that its key was destroyed. A second time changes nothing.
    Erase {
        /// Who wanted it.
        by: Actor,
        /// Now.
        now: Timestamp,
    },
}
