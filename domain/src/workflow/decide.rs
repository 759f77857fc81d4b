use crate::{DefinitionError, Refusal, Workflow, WorkflowCommand, WorkflowEvent};

/// Why a workflow refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkflowRefusal {
    /// The definition is wrong.
    #[error("the workflow definition is not valid: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    InvalidDefinition(Vec<DefinitionError>),
    /// There is no such version.
    #[error("there is no version {version}; the newest is {newest}")]
    NoSuchVersion {
        /// What was asked for.
        version: u32,
        /// What there is; 0 when the workflow does not exist.
        newest: u32,
    },
}

impl Refusal for WorkflowRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::InvalidDefinition(_) => "WORKFLOW_INVALID",
            Self::NoSuchVersion { .. } => "WORKFLOW_VERSION_UNKNOWN",
        }
    }
}

pub(super) fn decide(state: &Workflow, command: WorkflowCommand) -> Result<Vec<WorkflowEvent>, WorkflowRefusal> {
    match command {
        WorkflowCommand::Draft { definition } => {
            definition.validate().map_err(WorkflowRefusal::InvalidDefinition)?;
            let newest = state.newest();
            if state.version(newest).is_some_and(|known| **known == *definition) {
                return Ok(vec![]);
            }
            Ok(vec![WorkflowEvent::Drafted { version: newest + 1, definition }])
        }
        WorkflowCommand::Activate { version } => {
            if state.version(version).is_none() {
                return Err(WorkflowRefusal::NoSuchVersion { version, newest: state.newest() });
            }
            if state.active() == Some(version) {
                return Ok(vec![]);
            }
            Ok(vec![WorkflowEvent::Activated { version }])
        }
    }
}
