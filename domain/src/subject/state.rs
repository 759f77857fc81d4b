use serde::{Deserialize, Serialize};

use super::SubjectEvent;

/// A subject, as far as the journal knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Subject {
    erased: bool,
}

impl Subject {
    /// Whether its key was destroyed.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        self.erased
    }

    pub(super) fn fold(&mut self, event: SubjectEvent) {
        match event {
            SubjectEvent::Erased { .. } => self.erased = true,
        }
    }
}
