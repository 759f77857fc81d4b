use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Actor, Key, Timestamp};

/// What can happen to an external event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ExternalEvent {
    /// It was posted.
    Posted(Posted),
}

/// Something that happened outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Posted {
    /// What kind of thing.
    pub name: Key,
    /// What is known about it.
    pub payload: Arc<Value>,
    /// Who posted it.
    pub by: Actor,
    /// When it was posted.
    pub at: Timestamp,
}

impl ExternalEvent {
    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Posted(_) => "external.posted",
        }
    }
}
