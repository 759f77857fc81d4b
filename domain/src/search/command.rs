use super::SavedSearch;
use crate::{Actor, Timestamp};

/// What may be asked of somebody's saved searches.
#[derive(Debug, Clone, PartialEq)]
pub enum SearchCommand {
    /// Saves a search, or changes the one of this name. An equal one changes nothing.
    Save {
        /// All of it.
        search: Box<SavedSearch>,
        /// Whose it is.
        by: Actor,
        /// Now.
        now: Timestamp,
    },
    /// Takes a search away.
    Delete {
        /// Its name.
        name: String,
    },
}
