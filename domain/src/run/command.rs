use std::sync::Arc;

use serde_json::Value;

use crate::{AttemptError, Definition, NodeId, RunId, StepName, WorkflowId};

/// What may be asked of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum RunCommand {
    /// Starts it.
    Start {
        /// Its id, from which the ids of its tasks follow.
        id: RunId,
        /// Which workflow.
        workflow: WorkflowId,
        /// Which version.
        version: u32,
        /// That version's definition, which the run keeps.
        definition: Arc<Definition>,
        /// The input, already checked against the definition's schema.
        input: Arc<Value>,
    },
    /// Gives the run to a node, whoever had it before.
    Claim {
        /// The new owner.
        node: NodeId,
    },
    /// Starts every step that can start, or ends the run when nothing is left to do.
    Advance,
    /// A step's task completed.
    CompleteStep {
        /// Which step.
        step: StepName,
        /// The task's result: `{"text": …, "json": …}`.
        result: Value,
        /// Whether no model was asked.
        simulated: bool,
    },
    /// A step's task failed for good.
    FailStep {
        /// Which step.
        step: StepName,
        /// The last error.
        error: AttemptError,
    },
    /// Somebody wants it to stop.
    RequestCancel {
        /// Why.
        reason: String,
    },
    /// Whatever was running has been cut; the run ends.
    FinishCancel,
}
