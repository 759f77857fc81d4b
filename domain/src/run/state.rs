use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    AttemptError, Definition, ExpressionError, NodeId, Root, RunEvent, RunId, Step, StepName, TaskId, ValueTooLarge,
    check_size,
};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It does not exist.
    #[default]
    Absent,
    /// Under way.
    Running,
    /// Somebody wants it to stop, and what runs is being cut.
    Cancelling,
    /// All steps completed.
    Completed,
    /// A step failed for good.
    Failed,
    /// Stopped on request.
    Cancelled,
}

impl RunStatus {
    /// Whether the run has ended.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// The stable snake_case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// It waits for other steps.
    #[default]
    Pending,
    /// Its task is under way.
    Running,
    /// Its output is there.
    Completed,
    /// It failed for good.
    Failed,
    /// It was cut.
    Cancelled,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StepState {
    /// Where it stands.
    pub status: StepStatus,
    /// Its task, once started.
    pub task: Option<TaskId>,
    /// Why it failed.
    pub error: Option<AttemptError>,
}

/// Who owns a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The node.
    pub node: NodeId,
    /// Counts the claims, from 1.
    pub epoch: u64,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Run {
    pub(super) id: Option<RunId>,
    pub(super) version: u32,
    pub(super) definition: Option<Arc<Definition>>,
    pub(super) input: Arc<Value>,
    pub(super) status: RunStatus,
    pub(super) lease: Option<Lease>,
    pub(super) steps: BTreeMap<StepName, StepState>,
    pub(super) outputs: BTreeMap<StepName, Arc<Value>>,
    pub(super) first_failure: Option<(StepName, AttemptError)>,
    pub(super) cancel_reason: Option<String>,
    pub(super) simulated: bool,
    pub(super) output: Option<Arc<Value>>,
    pub(super) error: Option<AttemptError>,
}

impl Run {
    /// Its id; `None` when it does not exist.
    #[must_use]
    pub fn id(&self) -> Option<RunId> {
        self.id
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        self.status
    }

    /// The definition that it follows; `None` when it does not exist.
    #[must_use]
    pub fn definition(&self) -> Option<&Arc<Definition>> {
        self.definition.as_ref()
    }

    /// The version of the workflow that it follows.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Its input.
    #[must_use]
    pub fn input(&self) -> &Value {
        &self.input
    }

    /// Who owns it.
    #[must_use]
    pub fn lease(&self) -> Option<Lease> {
        self.lease
    }

    /// Every step, by name.
    #[must_use]
    pub fn steps(&self) -> &BTreeMap<StepName, StepState> {
        &self.steps
    }

    /// Outputs of completed steps.
    #[must_use]
    pub fn outputs(&self) -> &BTreeMap<StepName, Arc<Value>> {
        &self.outputs
    }

    /// The steps under way, with their tasks.
    pub fn running(&self) -> impl Iterator<Item = (&StepName, TaskId)> {
        self.steps
            .iter()
            .filter(|(_, step)| step.status == StepStatus::Running)
            .filter_map(|(name, step)| Some((name, step.task?)))
    }

    /// The run's output, once completed.
    #[must_use]
    pub fn output(&self) -> Option<&Arc<Value>> {
        self.output.as_ref()
    }

    /// Why it failed, once failed.
    #[must_use]
    pub fn error(&self) -> Option<&AttemptError> {
        self.error.as_ref()
    }

    /// Why somebody wants it to stop.
    #[must_use]
    pub fn cancel_reason(&self) -> Option<&str> {
        self.cancel_reason.as_deref()
    }

    /// Whether any step so far was simulated.
    #[must_use]
    pub fn simulated(&self) -> bool {
        self.simulated
    }

    /// The parameters of a step's template, by the step's input mapping. A `null` is left out, so that the
    /// template's schema decides whether the parameter may be missing.
    ///
    /// # Errors
    /// When an expression meets values that it cannot handle, or what it makes is too large to be kept.
    pub fn step_parameters(&self, step: &Step) -> Result<Value, MappingError> {
        let mut parameters = evaluate_all(step.input.iter(), &self.scope())?;
        parameters.retain(|_, value| !value.is_null());
        sized(Value::Object(parameters))
    }

    pub(super) fn scope(&self) -> [(&'static str, Root<'_>); 2] {
        [("input", Root::Value(&self.input)), ("steps", Root::Shared(&self.outputs))]
    }

    pub(super) fn fold(&mut self, event: RunEvent) {
        match event {
            RunEvent::Started { id, version, definition, input, .. } => {
                self.id = Some(id);
                self.version = version;
                self.steps = definition.steps.iter().map(|step| (step.name.clone(), StepState::default())).collect();
                self.definition = Some(definition);
                self.input = input;
                self.status = RunStatus::Running;
            }
            RunEvent::Claimed { node, epoch } => self.lease = Some(Lease { node, epoch }),
            RunEvent::StepStarted { step, task } => {
                self.steps.insert(step, StepState { status: StepStatus::Running, task: Some(task), error: None });
            }
            RunEvent::StepCompleted { step, output, simulated } => {
                self.set_status(&step, StepStatus::Completed);
                self.outputs.insert(step, output);
                self.simulated |= simulated;
            }
            RunEvent::StepFailed { step, error } => {
                self.set_status(&step, StepStatus::Failed);
                if let Some(state) = self.steps.get_mut(&step) {
                    state.error = Some(error.clone());
                }
                self.first_failure.get_or_insert((step, error));
            }
            RunEvent::StepCancelled { step } => self.set_status(&step, StepStatus::Cancelled),
            RunEvent::CancelRequested { reason } => {
                self.status = RunStatus::Cancelling;
                self.cancel_reason = Some(reason);
            }
            RunEvent::Completed { output, simulated } => {
                self.status = RunStatus::Completed;
                self.output = Some(output);
                self.simulated |= simulated;
            }
            RunEvent::Failed { error, .. } => {
                self.status = RunStatus::Failed;
                self.error = Some(error);
            }
            RunEvent::Cancelled { .. } => self.status = RunStatus::Cancelled,
        }
    }

    fn set_status(&mut self, step: &StepName, status: StepStatus) {
        if let Some(state) = self.steps.get_mut(step) {
            state.status = status;
        }
    }
}

/// Values that a mapping could not bring from one place to another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// An expression failed.
    #[error(transparent)]
    Expression(#[from] ExpressionError),
    /// What it made is too large.
    #[error("what the mapping makes {0}")]
    TooLarge(#[from] ValueTooLarge),
}

/// The value itself, if it is not too large to be kept.
pub(super) fn sized(value: Value) -> Result<Value, MappingError> {
    check_size(&value)?;
    Ok(value)
}

pub(super) fn evaluate_all<'a>(
    mapping: impl Iterator<Item = (&'a StepName, &'a crate::Expression)>,
    scope: &[(&str, Root<'_>)],
) -> Result<serde_json::Map<String, Value>, ExpressionError> {
    mapping.map(|(name, expression)| Ok((name.as_str().to_owned(), expression.evaluate(scope)?))).collect()
}
