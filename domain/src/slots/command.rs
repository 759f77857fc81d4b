use super::{Capacity, Holder};
use crate::{Key, Timestamp};

/// What may be asked of slots. The capacity comes with every command, because it belongs to the limit and may change.
#[derive(Debug, Clone, PartialEq)]
pub enum SlotsCommand {
    /// Wants a slot. Who has one, or waits already, keeps its place.
    Request {
        /// Who.
        holder: Holder,
        /// The limit's key.
        limit: Key,
        /// The value that the limit counts apart.
        partition: Option<String>,
        /// Higher before lower.
        priority: i32,
        /// Among whom the limit is fair.
        fairness: String,
        /// How much there may be.
        capacity: Capacity,
        /// Now.
        now: Timestamp,
    },
    /// Gives a slot back, or does not want it any more.
    Release {
        /// Who.
        holder: Holder,
        /// How much there may be.
        capacity: Capacity,
        /// Now.
        now: Timestamp,
    },
    /// Gives what has become free by time, or by a changed limit.
    Poll {
        /// How much there may be.
        capacity: Capacity,
        /// Now.
        now: Timestamp,
    },
}
