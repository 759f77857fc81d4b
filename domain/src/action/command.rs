use super::{ActionState, Asked};
use crate::{Actor, Timestamp};

/// What may be asked of an action item.
#[derive(Debug, Clone, PartialEq)]
pub enum ActionCommand {
    /// Changes what is true of it; `None` leaves something as it is.
    Change {
        /// The item as its run asked for it.
        asked: Box<Asked>,
        /// How far it is.
        state: Option<ActionState>,
        /// Who does it; `Some(None)` says that nobody does.
        owner: Option<Option<String>>,
        /// The date by which it has to be done; `Some(None)` says that there is none.
        due: Option<Option<String>>,
        /// What there is to say about it; `Some(None)` takes it away.
        note: Option<Option<String>>,
        /// Who changes it.
        by: Actor,
        /// Now.
        now: Timestamp,
    },
}
