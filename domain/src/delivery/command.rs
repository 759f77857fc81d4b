use std::time::Duration;

use super::{Subject, Trouble};
use crate::{Actor, Timestamp};

/// What may be asked of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryCommand {
    /// Records an attempt. One that is not the next is somebody else's, and changes nothing.
    Settle {
        /// Who is told about what.
        subject: Subject,
        /// Which attempt.
        attempt: u32,
        /// The HTTP status with which it was taken, or what went wrong.
        result: Result<u16, Trouble>,
        /// How long it took.
        took: Duration,
        /// When it is tried again, when it failed.
        next_at: Option<Timestamp>,
        /// Now.
        now: Timestamp,
    },
    /// Delivers once more.
    Request {
        /// Who is told about what.
        subject: Subject,
        /// Who wants it.
        by: Actor,
        /// Now.
        now: Timestamp,
    },
}
