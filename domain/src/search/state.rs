use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{SavedSearch, SearchEvent};
use crate::Timestamp;

/// A search that is saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// What it asks.
    pub search: SavedSearch,
    /// When it was saved first.
    pub created_at: Timestamp,
    /// When it was saved last.
    pub saved_at: Timestamp,
}

/// Somebody's saved searches.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Searches {
    known: BTreeMap<String, Arc<Kept>>,
}

impl Searches {
    /// The search of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Kept>> {
        self.known.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Kept>> {
        self.known.values()
    }

    pub(super) fn fold(&mut self, event: SearchEvent) {
        match event {
            SearchEvent::Saved { search, at, .. } => {
                let created_at = self.get(&search.name).map_or(at, |known| known.created_at);
                let kept = Kept { search: *search, created_at, saved_at: at };
                self.known.insert(kept.search.name.clone(), Arc::new(kept));
            }
            SearchEvent::Deleted { name } => {
                self.known.remove(&name);
            }
        }
    }
}
