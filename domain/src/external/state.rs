use serde::{Deserialize, Serialize};

use super::{ExternalEvent, Posted};

/// An external event.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct External {
    posted: Option<Posted>,
}

impl External {
    /// What was posted, if it was.
    #[must_use]
    pub fn posted(&self) -> Option<&Posted> {
        self.posted.as_ref()
    }

    pub(super) fn fold(&mut self, event: ExternalEvent) {
        match event {
            ExternalEvent::Posted(posted) => self.posted = Some(posted),
        }
    }
}
