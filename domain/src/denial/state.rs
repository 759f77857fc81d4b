use serde::{Deserialize, Serialize};

use super::DenialEvent;
use crate::{Category, DenialsId, StreamId, Timestamp};

/// What was refused on one day, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Denials {
    recorded: u64,
    counted: u64,
}

impl Denials {
    /// The stream of the day of a moment.
    #[must_use]
    pub fn stream(at: Timestamp) -> StreamId {
        StreamId { category: Category::Denial, id: DenialsId::of_day(at).as_uuid() }
    }

    /// How many are recorded one by one.
    #[must_use]
    pub fn recorded(&self) -> u64 {
        self.recorded
    }

    /// How many more were only counted.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.counted
    }

    pub(super) fn fold(&mut self, event: DenialEvent) {
        match event {
            DenialEvent::Recorded(_) => self.recorded = self.recorded.saturating_add(1),
            DenialEvent::Counted(more) => self.counted = self.counted.saturating_add(more.total()),
        }
    }
}
