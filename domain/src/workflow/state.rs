use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Definition, WorkflowEvent};

/// Where a workflow stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkflowStatus {
    /// No version takes runs yet.
    #[default]
    Draft,
    /// One version takes new runs.
    Active,
}

/// A workflow: all its versions, and the one that new runs use.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Workflow {
    versions: Vec<Arc<Definition>>,
    active: Option<u32>,
}

impl Workflow {
    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> WorkflowStatus {
        if self.active.is_some() { WorkflowStatus::Active } else { WorkflowStatus::Draft }
    }

    /// The newest version's number; 0 when the workflow does not exist.
    #[must_use]
    pub fn newest(&self) -> u32 {
        u32::try_from(self.versions.len()).unwrap_or(u32::MAX)
    }

    /// The version that new runs use.
    #[must_use]
    pub fn active(&self) -> Option<u32> {
        self.active
    }

    /// A version's definition.
    #[must_use]
    pub fn version(&self, version: u32) -> Option<&Arc<Definition>> {
        self.versions.get(usize::try_from(version.checked_sub(1)?).ok()?)
    }

    pub(super) fn fold(&mut self, event: WorkflowEvent) {
        match event {
            WorkflowEvent::Drafted { definition, .. } => self.versions.push(Arc::from(definition)),
            WorkflowEvent::Activated { version } => self.active = Some(version),
        }
    }
}
