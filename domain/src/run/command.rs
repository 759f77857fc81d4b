use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::SlotsNeed;
use super::event::{Pause, Start};
use crate::{Actor, AttemptError, NodeId, StepName, TaskId, Timestamp};

/// What may be asked of a run. Commands that may start something carry the moment from which deadlines count.
#[derive(Debug, Clone, PartialEq)]
pub enum RunCommand {
    /// Starts it. The input has been checked against the definition's schema; with a lineage, the state that decides
    /// is the other run's as of the revision named there.
    Start(Box<Start>),
    /// Gives the run to a node, whoever had it before.
    Claim {
        /// The new owner.
        node: NodeId,
    },
    /// The run needs slots of limits before it may begin.
    Queue {
        /// Which ones; with none it begins at once.
        slots: Vec<SlotsNeed>,
        /// Now.
        now: Timestamp,
    },
    /// It has them all.
    Admit,
    /// Something is recorded elsewhere in the name of a run that waits for slots; only its owner may do that.
    Fence,
    /// Lets what is due take effect, starts every step that can start, or ends the run when nothing is left to do.
    Advance {
        /// Now.
        now: Timestamp,
    },
    /// A task of the run ended: of a step, of an element, or one that undoes a step.
    SettleTask {
        /// Which task.
        task: TaskId,
        /// How it ended.
        end: TaskEnd,
        /// Now.
        now: Timestamp,
    },
    /// The run that a step started has ended; or it has begun, and the step does not wait for more.
    SettleChild {
        /// Which step.
        step: StepName,
        /// The other run's output, or why it has none; nothing when the step does not wait for it.
        end: Result<(Value, bool), AttemptError>,
        /// Now.
        now: Timestamp,
    },
    /// A step cannot begin, or not go on.
    FailStep {
        /// Which step.
        step: StepName,
        /// Why.
        error: AttemptError,
        /// Now.
        now: Timestamp,
    },
    /// Somebody decides on an approval.
    DecideApproval {
        /// Which step.
        step: StepName,
        /// Who.
        by: Actor,
        /// Their roles.
        roles: Vec<String>,
        /// Yes or no.
        approved: bool,
        /// In their words.
        comment: String,
        /// The content that they saw; `None` takes what is there, for callers that cannot show it.
        content_hash: Option<[u8; 32]>,
        /// Now.
        now: Timestamp,
    },
    /// A signal comes.
    Signal {
        /// Its name.
        signal: StepName,
        /// What it carries.
        payload: Arc<Value>,
        /// Now.
        now: Timestamp,
    },
    /// Somebody wants nothing new to start.
    Pause(Pause),
    /// Somebody lets it go on.
    Resume {
        /// Who.
        by: Actor,
        /// Now.
        now: Timestamp,
    },
    /// Somebody wants it to stop.
    RequestCancel {
        /// Why.
        reason: String,
        /// Now.
        now: Timestamp,
        /// How long running attempts may go on before they are cut.
        grace: Duration,
    },
    /// Its owner finds nothing that it waits for.
    ReportStall {
        /// What is known about it.
        what: String,
        /// Now.
        now: Timestamp,
    },
    /// What ran has been cut, or has ended: undoes what is to be undone, or ends the run.
    CutOff {
        /// Now.
        now: Timestamp,
    },
}

/// How a task of a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskEnd {
    /// With a result.
    Completed {
        /// `{"text": …, "json": …}`.
        result: Value,
        /// Whether no model was asked.
        simulated: bool,
    },
    /// For good, without one.
    Failed(AttemptError),
    /// It was cut.
    Cancelled,
}
