use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::task::Form;
use crate::workflow::Assignee;
use crate::{
    Actor, AttemptError, Definition, HoldId, Key, NodeId, RunId, SlotsId, StepName, SubjectId, TaskId, Timestamp,
    TriggerId, WorkflowId,
};

/// What can happen to a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RunEvent {
    /// It was started.
    Started(Box<Start>),
    /// A node took it.
    Claimed {
        /// Which node.
        node: NodeId,
        /// Counts the claims, from 1.
        epoch: u64,
    },
    /// It waits for slots of limits before its first step may start. Recorded again, unchanged, with each further slot
    /// that it asks for.
    Queued {
        /// The slots that it needs.
        slots: Vec<SlotsNeed>,
        /// Since when.
        at: Timestamp,
    },
    /// It has all the slots that it waited for.
    Admitted,
    /// A step's task was created.
    StepStarted {
        /// Which step.
        step: StepName,
        /// Its task.
        task: TaskId,
        /// When.
        at: Timestamp,
        /// When the step fails if it has not ended.
        deadline: Option<Timestamp>,
    },
    /// A step over a list began; its elements follow one by one.
    ItemsPlanned {
        /// Which step.
        step: StepName,
        /// The list.
        items: Arc<Value>,
        /// When.
        at: Timestamp,
        /// When the step fails if it has not ended.
        deadline: Option<Timestamp>,
    },
    /// The task for one element was created.
    ItemStarted {
        /// Which step.
        step: StepName,
        /// Which element, from 0.
        item: u32,
        /// Its task.
        task: TaskId,
    },
    /// One element is done.
    ItemCompleted {
        /// Which step.
        step: StepName,
        /// Which element, from 0.
        item: u32,
        /// The task's result: `{"text": …, "json": …}`.
        result: Arc<Value>,
        /// Whether no model was asked.
        simulated: bool,
    },
    /// One element failed for good.
    ItemFailed {
        /// Which step.
        step: StepName,
        /// Which element, from 0.
        item: u32,
        /// Why.
        error: AttemptError,
    },
    /// People are asked to decide.
    ApprovalRequested {
        /// Which step.
        step: StepName,
        /// What they see.
        content: Arc<Value>,
        /// BLAKE3 over the content as compact JSON: a decision names the content that it is about.
        content_hash: [u8; 32],
        /// When.
        at: Timestamp,
        /// When it ends without the wanted decisions.
        expires_at: Option<Timestamp>,
        /// When the step fails if it has not ended.
        deadline: Option<Timestamp>,
    },
    /// One of them decided.
    ApprovalDecided {
        /// Which step.
        step: StepName,
        /// Who.
        by: Actor,
        /// Yes or no.
        approved: bool,
        /// In their words.
        comment: String,
        /// What they saw.
        content_hash: [u8; 32],
        /// When.
        at: Timestamp,
    },
    /// Nobody decided in time.
    ApprovalExpired {
        /// Which step.
        step: StepName,
    },
    /// A step waits for its time.
    TimerStarted {
        /// Which step.
        step: StepName,
        /// When it goes on.
        fires_at: Timestamp,
        /// When it began to wait.
        at: Timestamp,
        /// When the step fails if it has not ended.
        deadline: Option<Timestamp>,
    },
    /// A step waits for a signal.
    SignalAwaited {
        /// Which step.
        step: StepName,
        /// The signal's name.
        signal: StepName,
        /// Since when.
        at: Timestamp,
        /// When the step fails if it has not ended.
        deadline: Option<Timestamp>,
    },
    /// A signal came, whether or not a step waits for it yet.
    SignalReceived {
        /// Its name.
        signal: StepName,
        /// What it carries.
        payload: Arc<Value>,
        /// When.
        at: Timestamp,
    },
    /// A step started another run.
    ChildStarted {
        /// Which step.
        step: StepName,
        /// The other run.
        run: RunId,
        /// When.
        at: Timestamp,
        /// When the step fails if it has not ended.
        deadline: Option<Timestamp>,
    },
    /// The run that a step started is left alone: it goes on, and nobody waits for it.
    ChildAbandoned {
        /// Which step.
        step: StepName,
        /// The other run.
        run: RunId,
    },
    /// A step's condition was not met.
    StepSkipped {
        /// Which step.
        step: StepName,
        /// Why.
        reason: String,
    },
    /// A step completed.
    StepCompleted {
        /// Which step.
        step: StepName,
        /// Its output, as its mapping made it.
        output: Arc<Value>,
        /// Whether any part of it was simulated.
        simulated: bool,
    },
    /// A step failed for good.
    StepFailed {
        /// Which step.
        step: StepName,
        /// Why.
        error: AttemptError,
    },
    /// A running step was cut.
    StepCancelled {
        /// Which step.
        step: StepName,
    },
    /// Nothing new starts until somebody resumes it. What platforms answer meanwhile is recorded.
    Paused(Pause),
    /// It goes on.
    Resumed {
        /// Who resumed it.
        by: Actor,
        /// When. If the clock was frozen, everything that waited for a time waits longer by the length of the pause.
        at: Timestamp,
    },
    /// Somebody wants it to stop.
    CancelRequested {
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
        /// How long running attempts may go on before they are cut.
        grace: Duration,
    },
    /// It will fail, and not because of a step: its time is over, or its output cannot be made. What runs is cut.
    Failing {
        /// Why.
        error: AttemptError,
    },
    /// It was found with nothing to wait for, which must never happen; its owner read it again.
    Stalled {
        /// What was known about it.
        what: String,
        /// When.
        at: Timestamp,
    },
    /// A completed step is being undone.
    CompensationStarted {
        /// Which step.
        step: StepName,
        /// The task that undoes it.
        task: TaskId,
        /// When.
        at: Timestamp,
    },
    /// A completed step has been undone.
    CompensationCompleted {
        /// Which step.
        step: StepName,
        /// Whether no model was asked.
        simulated: bool,
    },
    /// A completed step could not be undone; the others still are.
    CompensationFailed {
        /// Which step.
        step: StepName,
        /// Why.
        error: AttemptError,
    },
    /// All steps completed or were skipped.
    Completed {
        /// The run's output.
        output: Arc<Value>,
        /// Whether any part of it was simulated.
        simulated: bool,
    },
    /// A step failed, and what ran beside it has ended.
    Failed {
        /// The first step that failed; `None` when the run's own output could not be made or its time was over.
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

/// How a run began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// Its id.
    pub id: RunId,
    /// Which workflow.
    pub workflow: WorkflowId,
    /// Which version.
    pub version: u32,
    /// The definition that it keeps whatever becomes of the workflow.
    pub definition: Arc<Definition>,
    /// The input.
    pub input: Arc<Value>,
    /// Who wanted it: the person at the beginning of the chain of causes, not the engine.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// When it fails if it has not ended.
    pub deadline: Option<Timestamp>,
    /// Which runs go first when a limit makes them wait: higher before lower, 0 is usual, -100 to 100.
    pub priority: i32,
    /// The run and step that started it.
    pub parent: Option<Parent>,
    /// The run whose history it takes over.
    pub lineage: Option<Lineage>,
    /// The trigger that started it.
    pub trigger: Option<Firing>,
    /// The person whom it is about.
    pub subject: Option<SubjectId>,
    /// How much of the output layer is asked for.
    pub form: Form,
    /// The task that it does again.
    pub again: Option<Again>,
}

/// A task that a run does again, and by what that was done which the definition does not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// Which task.
    pub task: TaskId,
    /// The version of the template.
    pub template_version: u32,
    /// The version of the agent; `None` takes the newest.
    pub agent_version: Option<u32>,
    /// The model, whatever the agent names; `None` takes the agent's.
    pub model: Option<String>,
}

/// The run that started a run as one of its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// Which run.
    pub run: RunId,
    /// Which step of it.
    pub step: StepName,
    /// How many runs stand above it, at least 1.
    pub depth: u32,
}

/// Where a run's history comes from: everything that had happened in another run up to and including one event.
/// Steps that had completed or been skipped stay so, unless they are begun anew; all others start again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// The other run.
    pub run: RunId,
    /// The revision of the last event that is taken over.
    pub revision: u64,
    /// Why.
    pub kind: LineageKind,
    /// Steps that are taken over as they were.
    pub kept: Vec<StepName>,
    /// Agents and models that are used instead of what the workflow and the agents name.
    pub overrides: Overrides,
}

/// Why a run takes over another's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineageKind {
    /// A failed or cancelled run is tried again from where it failed.
    Retry,
    /// It is run again from chosen steps on.
    Rerun,
    /// It branches off at an event.
    Fork,
}

impl LineageKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Retry, Self::Rerun, Self::Fork];

    /// The stable snake_case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Rerun => "rerun",
            Self::Fork => "fork",
        }
    }
}

/// What a fork does differently.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Overrides {
    /// The model for every task, whatever its agent names.
    pub model: Option<String>,
    /// Other agents and templates for single steps, sorted by step.
    pub steps: Vec<StepOverride>,
}

/// Another agent or template for a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepOverride {
    /// Which step.
    pub step: StepName,
    /// Its agent from now on.
    pub agent: Option<Assignee>,
    /// Its template from now on.
    pub template: Option<Key>,
}

/// What made a trigger start a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firing {
    /// Which trigger.
    pub trigger: TriggerId,
    /// What fired it: the tick of a schedule in RFC 3339, an event's id, or a caller's key.
    pub cause: String,
}

/// That nothing new starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who paused it.
    pub by: Actor,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// What happens to what waits for a time.
    pub clock: PauseClock,
    /// The hold on all runs, or on those of one workflow, that it belongs to.
    pub hold: Option<HoldId>,
}

/// What a pause does to timers, deadlines and expiries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseClock {
    /// Time stands still: all of them move by the length of the pause.
    #[default]
    Frozen,
    /// Time goes on; what became due takes effect when the run is resumed.
    Running,
}

impl PauseClock {
    /// Every policy.
    pub const ALL: [Self; 2] = [Self::Frozen, Self::Running];

    /// The stable snake_case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frozen => "frozen",
            Self::Running => "running",
        }
    }
}

/// A slot that is needed, and of which limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotsNeed {
    /// Where the slot is given.
    pub slots: SlotsId,
    /// The limit's key.
    pub limit: Key,
    /// The value that the limit counts apart.
    pub partition: Option<String>,
    /// Among whom the limit is fair; the empty text when it makes no difference.
    pub fairness: String,
}

impl RunEvent {
    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started(_) => "run.started",
            Self::Claimed { .. } => "run.claimed",
            Self::Queued { .. } => "run.queued",
            Self::Admitted => "run.admitted",
            Self::StepStarted { .. } => "run.step_started",
            Self::ItemsPlanned { .. } => "run.items_planned",
            Self::ItemStarted { .. } => "run.item_started",
            Self::ItemCompleted { .. } => "run.item_completed",
            Self::ItemFailed { .. } => "run.item_failed",
            Self::ApprovalRequested { .. } => "run.approval_requested",
            Self::ApprovalDecided { .. } => "run.approval_decided",
            Self::ApprovalExpired { .. } => "run.approval_expired",
            Self::TimerStarted { .. } => "run.timer_started",
            Self::SignalAwaited { .. } => "run.signal_awaited",
            Self::SignalReceived { .. } => "run.signal_received",
            Self::ChildStarted { .. } => "run.child_started",
            Self::ChildAbandoned { .. } => "run.child_abandoned",
            Self::StepSkipped { .. } => "run.step_skipped",
            Self::StepCompleted { .. } => "run.step_completed",
            Self::StepFailed { .. } => "run.step_failed",
            Self::StepCancelled { .. } => "run.step_cancelled",
            Self::Paused(_) => "run.paused",
            Self::Resumed { .. } => "run.resumed",
            Self::CancelRequested { .. } => "run.cancel_requested",
            Self::Failing { .. } => "run.failing",
            Self::Stalled { .. } => "run.stalled",
            Self::CompensationStarted { .. } => "run.compensation_started",
            Self::CompensationCompleted { .. } => "run.compensation_completed",
            Self::CompensationFailed { .. } => "run.compensation_failed",
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
