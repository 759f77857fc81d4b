use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{AttemptError, Definition, NodeId, RunId, StepName, TaskId, WorkflowId};

/// What can happen to a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RunEvent {
    /// It was started.
    Started {
        /// Its id.
        id: RunId,
        /// Which workflow.
        workflow: WorkflowId,
        /// Which version.
        version: u32,
        /// The definition that it keeps whatever becomes of the workflow.
        definition: Arc<Definition>,
        /// The input.
        input: Arc<Value>,
    },
    /// A node took it.
    Claimed {
        /// Which node.
        node: NodeId,
        /// Counts the claims, from 1.
        epoch: u64,
    },
    /// A step's task was created.
    StepStarted {
        /// Which step.
        step: StepName,
        /// Its task.
        task: TaskId,
    },
    /// A step completed.
    StepCompleted {
        /// Which step.
        step: StepName,
        /// Its output, as its mapping made it.
        output: Arc<Value>,
        /// Whether no model was asked.
        simulated: bool,
    },
    /// A step failed for good.
    StepFailed {
        /// Which step.
        step: StepName,
        /// Why.
        error: AttemptError,
    },
    /// A running step was cut because the run was cancelled.
    StepCancelled {
        /// Which step.
        step: StepName,
    },
    /// Somebody wants it to stop.
    CancelRequested {
        /// Why.
        reason: String,
    },
    /// All steps completed.
    Completed {
        /// The run's output.
        output: Arc<Value>,
        /// Whether any part of it was simulated.
        simulated: bool,
    },
    /// A step failed, and what ran beside it has ended.
    Failed {
        /// The first step that failed; `None` when the run's own output could not be made.
        step: Option<StepName>,
        /// Why.
        error: AttemptError,
    },
    /// It was cancelled.
    Cancelled {
        /// Why.
        reason: String,
    },
}

impl RunEvent {
    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "run.started",
            Self::Claimed { .. } => "run.claimed",
            Self::StepStarted { .. } => "run.step_started",
            Self::StepCompleted { .. } => "run.step_completed",
            Self::StepFailed { .. } => "run.step_failed",
            Self::StepCancelled { .. } => "run.step_cancelled",
            Self::CancelRequested { .. } => "run.cancel_requested",
            Self::Completed { .. } => "run.completed",
            Self::Failed { .. } => "run.failed",
            Self::Cancelled { .. } => "run.cancelled",
        }
    }

    /// Whether nothing can happen to the run after this.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed { .. } | Self::Failed { .. } | Self::Cancelled { .. })
    }
}
