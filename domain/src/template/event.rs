use serde::{Deserialize, Serialize};

use super::TemplateBody;

/// What can happen to a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TemplateEvent {
    /// It came to be, as version 1.
    Registered {
        /// The body.
        body: Box<TemplateBody>,
    },
    /// Its body changed.
    Revised {
        /// The new version.
        version: u32,
        /// The whole new body.
        body: Box<TemplateBody>,
    },
}

impl TemplateEvent {
    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Registered { .. } => "template.registered",
            Self::Revised { .. } => "template.revised",
        }
    }
}
