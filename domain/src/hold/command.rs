use super::Placed;
use crate::{Actor, Timestamp};

/// What may be asked of a hold.
#[derive(Debug, Clone, PartialEq)]
pub enum HoldCommand {
    /// Pauses what it covers. One that is placed already stays as it is.
    Place(Placed),
    /// Lets what it covers go on.
    Lift {
        /// Who.
        by: Actor,
        /// Now.
        now: Timestamp,
    },
}
