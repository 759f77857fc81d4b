use serde::{Deserialize, Serialize};

use super::SavedSearch;
use crate::{Actor, Timestamp};

/// What can happen to somebody's saved searches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SearchEvent {
    /// A search was saved, or changed.
    Saved {
        /// All of it.
        search: Box<SavedSearch>,
        /// Whose it is.
        by: Actor,
        /// When.
        at: Timestamp,
    },
    /// A search was taken away.
    Deleted {
        /// Its name.
        name: String,
    },
}

impl SearchEvent {
    /// The stable name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Saved { .. } => "search.saved",
            Self::Deleted { .. } => "search.deleted",
        }
    }
}
