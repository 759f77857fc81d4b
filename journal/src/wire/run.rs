//! Frozen events of runs.

use std::sync::Arc;

use domain::{Event, NodeId, RunEvent, RunId, TaskId, WorkflowId};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::values::{AttemptErrorV1, DefinitionV1, Id, JsonV1, checked};
use super::{Encoded, Thaw, write};

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct StartedV1<'a> {
    id: Id,
    workflow: Id,
    version: u32,
    #[serde(borrow)]
    definition: DefinitionV1<'a>,
    #[serde(borrow)]
    input: JsonV1<'a>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ClaimedV1 {
    node: Id,
    epoch: u64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct StepStartedV1<'a> {
    step: &'a str,
    task: Id,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct StepCompletedV1<'a> {
    step: &'a str,
    #[serde(borrow)]
    output: JsonV1<'a>,
    simulated: bool,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct StepFailedV1<'a> {
    step: &'a str,
    #[serde(borrow)]
    error: AttemptErrorV1<'a>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct StepCancelledV1<'a> {
    step: &'a str,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct CancelRequestedV1<'a> {
    reason: &'a str,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct CompletedV1<'a> {
    #[serde(borrow)]
    output: JsonV1<'a>,
    simulated: bool,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct FailedV1<'a> {
    #[serde(borrow)]
    step: Option<&'a str>,
    #[serde(borrow)]
    error: AttemptErrorV1<'a>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct CancelledV1<'a> {
    reason: &'a str,
}

pub(super) fn freeze(event: &RunEvent) -> Result<Encoded, String> {
    match event {
        RunEvent::Started { id, workflow, version, definition, input } => write(&StartedV1 {
            id: id.as_uuid().into_bytes(),
            workflow: workflow.as_uuid().into_bytes(),
            version: *version,
            definition: DefinitionV1::freeze(definition)?,
            input: JsonV1::freeze(input)?,
        }),
        RunEvent::Claimed { node, epoch } => write(&ClaimedV1 { node: node.as_uuid().into_bytes(), epoch: *epoch }),
        RunEvent::StepStarted { step, task } => {
            write(&StepStartedV1 { step: step.as_str(), task: task.as_uuid().into_bytes() })
        }
        RunEvent::StepCompleted { step, output, simulated } => {
            write(&StepCompletedV1 { step: step.as_str(), output: JsonV1::freeze(output)?, simulated: *simulated })
        }
        RunEvent::StepFailed { step, error } => {
            write(&StepFailedV1 { step: step.as_str(), error: AttemptErrorV1::freeze(error)? })
        }
        RunEvent::StepCancelled { step } => write(&StepCancelledV1 { step: step.as_str() }),
        RunEvent::CancelRequested { reason } => write(&CancelRequestedV1 { reason }),
        RunEvent::Completed { output, simulated } => {
            write(&CompletedV1 { output: JsonV1::freeze(output)?, simulated: *simulated })
        }
        RunEvent::Failed { step, error } => write(&FailedV1 {
            step: step.as_ref().map(domain::StepName::as_str),
            error: AttemptErrorV1::freeze(error)?,
        }),
        RunEvent::Cancelled { reason } => write(&CancelledV1 { reason }),
    }
}

impl Thaw for StartedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::Started {
            id: RunId::from_uuid(Uuid::from_bytes(self.id)),
            workflow: WorkflowId::from_uuid(Uuid::from_bytes(self.workflow)),
            version: self.version,
            definition: Arc::new(self.definition.thaw()?),
            input: Arc::new(self.input.thaw()?),
        }
        .into())
    }
}

impl Thaw for ClaimedV1 {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::Claimed { node: NodeId::from_uuid(Uuid::from_bytes(self.node)), epoch: self.epoch }.into())
    }
}

impl Thaw for StepStartedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        let task = TaskId::from_uuid(Uuid::from_bytes(self.task));
        Ok(RunEvent::StepStarted { step: checked(self.step)?, task }.into())
    }
}

impl Thaw for StepCompletedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        let output = Arc::new(self.output.thaw()?);
        Ok(RunEvent::StepCompleted { step: checked(self.step)?, output, simulated: self.simulated }.into())
    }
}

impl Thaw for StepFailedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::StepFailed { step: checked(self.step)?, error: self.error.thaw() }.into())
    }
}

impl Thaw for StepCancelledV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::StepCancelled { step: checked(self.step)? }.into())
    }
}

impl Thaw for CancelRequestedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::CancelRequested { reason: self.reason.to_owned() }.into())
    }
}

impl Thaw for CompletedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::Completed { output: Arc::new(self.output.thaw()?), simulated: self.simulated }.into())
    }
}

impl Thaw for FailedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::Failed { step: self.step.map(checked).transpose()?, error: self.error.thaw() }.into())
    }
}

impl Thaw for CancelledV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::Cancelled { reason: self.reason.to_owned() }.into())
    }
}
