use super::status::RunStatus;
use crate::{Refusal, StepName, TaskId};

/// Why a run refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunRefusal {
    /// There is no such run.
    #[error("the run does not exist")]
    NotFound,
    /// It was started before.
    #[error("the run exists already")]
    AlreadyStarted,
    /// It has ended.
    #[error("the run has ended: it is {}", .status.name())]
    Ended {
        /// How it ended.
        status: RunStatus,
    },
    /// It is on its way to its end.
    #[error("the run is {}, so it cannot be {wish}", .status.name())]
    Ending {
        /// Where it stands.
        status: RunStatus,
        /// What was wanted.
        wish: &'static str,
    },
    /// It is not paused.
    #[error("the run is not paused: it is {}", .status.name())]
    NotPaused {
        /// Where it stands.
        status: RunStatus,
    },
    /// The step is not under way, so its result comes late.
    #[error("step `{step}` is not running")]
    StepNotRunning {
        /// Which step.
        step: StepName,
    },
    /// The workflow has no such step.
    #[error("the run's workflow has no step `{step}`")]
    StepUnknown {
        /// Which step.
        step: StepName,
    },
    /// What the step did in the other run is not there to be taken over.
    #[error("step `{step}` cannot be taken over: {why}; leave it out, so that it runs again")]
    CannotKeep {
        /// Which step.
        step: StepName,
        /// Why not.
        why: String,
    },
    /// Nobody is asked to decide there.
    #[error("step `{step}` does not wait for a decision: {why}")]
    NoApproval {
        /// Which step.
        step: StepName,
        /// Why not.
        why: String,
    },
    /// Somebody else has to decide.
    #[error("{by} may not decide on step `{step}`; those who may: {approvers}")]
    NotApprover {
        /// Who wanted to.
        by: String,
        /// Which step.
        step: StepName,
        /// Who may.
        approvers: String,
    },
    /// It is their own run.
    #[error("{by} started this run and so cannot decide on step `{step}`; somebody else has to")]
    OwnRun {
        /// Who wanted to.
        by: String,
        /// Which step.
        step: StepName,
    },
    /// They have decided before.
    #[error("{by} has already decided on step `{step}`")]
    AlreadyDecided {
        /// Who wanted to.
        by: String,
        /// Which step.
        step: StepName,
    },
    /// What they saw is not what there is to decide on.
    #[error("step `{step}` asks about other content now; look at it again and decide on what you see")]
    ContentChanged {
        /// Which step.
        step: StepName,
    },
    /// Too many signals that no step uses.
    #[error("{count} signals wait for a step to use them; more are not kept")]
    TooManySignals {
        /// How many there are.
        count: usize,
    },
    /// The run has no such task under way.
    #[error("the run has no task {task} under way")]
    TaskUnknown {
        /// Which task.
        task: TaskId,
    },
    /// Nobody asked for it to be cancelled, and its time is not over.
    #[error("nobody asked to cancel the run")]
    NotCancelling,
}

impl Refusal for RunRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "RUN_NOT_FOUND",
            Self::AlreadyStarted => "RUN_EXISTS",
            Self::Ended { .. } => "RUN_ENDED",
            Self::Ending { .. } => "RUN_ENDING",
            Self::NotPaused { .. } => "RUN_NOT_PAUSED",
            Self::StepNotRunning { .. } => "STEP_NOT_RUNNING",
            Self::StepUnknown { .. } => "STEP_UNKNOWN",
            Self::CannotKeep { .. } => "STEP_CANNOT_BE_KEPT",
            Self::NoApproval { .. } => "APPROVAL_NOT_PENDING",
            Self::NotApprover { .. } => "APPROVAL_NOT_YOURS",
            Self::OwnRun { .. } => "APPROVAL_OWN_RUN",
            Self::AlreadyDecided { .. } => "APPROVAL_REPEATED",
            Self::ContentChanged { .. } => "APPROVAL_CONTENT_CHANGED",
            Self::TooManySignals { .. } => "SIGNALS_FULL",
            Self::TaskUnknown { .. } => "TASK_NOT_RUNNING",
            Self::NotCancelling => "RUN_NOT_CANCELLING",
        }
    }
}
