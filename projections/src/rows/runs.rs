use std::sync::Arc;

use domain::Step;
use serde_json::Value;
use uuid::Uuid;

/// One execution of a workflow version.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// The run's id; UUID version 7, so ids sort by time.
    pub id: Uuid,
    /// The workflow's id.
    pub workflow_id: Uuid,
    /// The workflow's key.
    pub workflow_key: String,
    /// The version that it follows.
    pub version: i32,
    /// `running`, `paused`, `cancelling`, `failing`, `compensating`, `completed`, `failed` or `cancelled`.
    pub status: String,
    /// The input.
    pub input: Value,
    /// The output, once completed.
    pub output: Option<Value>,
    /// Whether any part of its outcome was simulated.
    pub simulated: bool,
    /// The kind of the error that it failed with.
    pub error_kind: Option<String>,
    /// What happened, for a person.
    pub error_message: Option<String>,
    /// The step that failed first; `None` also when the run's own output could not be made.
    pub failed_step: Option<String>,
    /// Why somebody wanted it to stop.
    pub cancel_reason: Option<String>,
    /// The node that claimed it last.
    pub node: Option<Uuid>,
    /// How often it was claimed.
    pub epoch: Option<i64>,
    /// Who started it, as `kind:id`.
    pub actor: String,
    /// The same for all that follows from the request that started it.
    pub correlation: Uuid,
    /// Which runs go first when a limit makes them wait: higher before lower, 0 is usual.
    pub priority: i32,
    /// When it was started.
    pub started_at: i64,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// When it fails if it has not ended.
    pub deadline: Option<i64>,
    /// When what runs is cut, once somebody wants it to stop.
    pub cut_at: Option<i64>,
    /// The run that started it as one of its steps.
    pub parent_id: Option<Uuid>,
    /// The step of that run.
    pub parent_step: Option<String>,
    /// How many runs stand above it.
    pub depth: Option<i32>,
    /// The run whose history it took over.
    pub source_id: Option<Uuid>,
    /// The revision of the last event that it took over.
    pub source_revision: Option<i64>,
    /// `retry`, `rerun` or `fork`.
    pub lineage_kind: Option<String>,
    /// The steps that it took over as they were.
    pub kept: Option<Vec<String>>,
    /// The agents, templates and models that it uses instead, as recorded.
    pub overrides: Option<Value>,
    /// The trigger that started it.
    pub trigger_id: Option<Uuid>,
    /// What fired the trigger.
    pub trigger_cause: Option<String>,
    /// Since when it waited for limits before its first step.
    pub queued_at: Option<i64>,
    /// When it no longer had to.
    pub admitted_at: Option<i64>,
    /// Who paused it, while it is paused, as `kind:id`.
    pub paused_by: Option<String>,
    /// Why.
    pub pause_reason: Option<String>,
    /// Since when.
    pub paused_at: Option<i64>,
    /// `frozen` when what waits for a time waits longer by the pause, else `running`.
    pub pause_clock: Option<String>,
    /// The hold that it is paused by.
    pub hold_id: Option<Uuid>,
    /// The position of the last event of the run itself that the row reflects.
    pub position: i64,
}

/// One step of a run. Steps that have not started are there too, as `pending`.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRow {
    /// The run.
    pub run_id: Uuid,
    /// The step's name, unique in its run.
    pub name: String,
    /// Its place in the workflow's definition, from 0.
    pub ordinal: i32,
    /// `task`, `for_each`, `approval`, `wait`, `signal` or `run`.
    pub kind: String,
    /// `pending`, `running`, `completed`, `skipped`, `failed` or `cancelled`.
    pub status: String,
    /// Its task, once started, when it is a single one.
    pub task_id: Option<Uuid>,
    /// The key of the agent that does it, when an agent does.
    pub agent_key: Option<String>,
    /// The key of the template that says what is done, when an agent does it.
    pub template_key: Option<String>,
    /// The steps that must have completed, or been skipped, first.
    pub needs: Vec<String>,
    /// The step as its author wrote it.
    pub definition: Arc<Step>,
    /// Its output, once completed.
    pub output: Option<Value>,
    /// Whether its outcome was simulated.
    pub simulated: bool,
    /// The kind of the error that it failed with.
    pub error_kind: Option<String>,
    /// What happened, for a person.
    pub error_message: Option<String>,
    /// Why it was skipped.
    pub skip_reason: Option<String>,
    /// When it fails if it has not ended.
    pub deadline: Option<i64>,
    /// When it started.
    pub started_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// Of a wait: when it goes on.
    pub fires_at: Option<i64>,
    /// Of a step that waits for a signal: the signal's name.
    pub signal: Option<String>,
    /// Of a step that starts a run: that run.
    pub child_id: Option<Uuid>,
    /// Whether that run was left alone.
    pub abandoned: bool,
    /// Of a step over a list: how many elements there are.
    pub items: Option<i32>,
    /// How many of them are under way.
    pub items_running: i64,
    /// How many of them have completed.
    pub items_completed: i64,
    /// How many of them have failed.
    pub items_failed: i64,
    /// The task that undoes it, once that has started.
    pub undo_task_id: Option<Uuid>,
    /// `running`, `completed` or `failed`.
    pub undo_status: Option<String>,
    /// The kind of the error with which undoing it failed.
    pub undo_error_kind: Option<String>,
    /// What happened, for a person.
    pub undo_error_message: Option<String>,
    /// When undoing it started.
    pub undo_started_at: Option<i64>,
    /// When undoing it ended.
    pub undo_ended_at: Option<i64>,
    /// The position of the last event of the run that touched this step; `None` while pending.
    pub position: Option<i64>,
}

/// One unit of AI work.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRow {
    /// The task's id.
    pub id: Uuid,
    /// The run that it belongs to.
    pub run_id: Option<Uuid>,
    /// The step that it belongs to.
    pub step: Option<String>,
    /// The element of the step's list that it is for, from 0.
    pub item: Option<i32>,
    /// Whether it undoes the step.
    pub undoes: bool,
    /// What is done.
    pub template_id: Uuid,
    /// That template's version.
    pub template_version: i32,
    /// The agent that has it.
    pub agent_id: Option<Uuid>,
    /// That agent's version.
    pub agent_version: Option<i32>,
    /// Why this agent.
    pub assign_reason: Option<String>,
    /// The template's parameters.
    pub parameters: Value,
    /// `created`, `assigned`, `running`, `waiting`, `completed`, `failed` or `cancelled`.
    pub status: String,
    /// When the next attempt starts, while waiting.
    pub retry_at: Option<i64>,
    /// The kind of the error that it failed with.
    pub error_kind: Option<String>,
    /// What happened, for a person.
    pub error_message: Option<String>,
    /// Why it was cancelled.
    pub cancel_reason: Option<String>,
    /// When it was created.
    pub created_at: i64,
    /// When it fails if no attempt has started by then; counts only until the first one starts.
    pub start_by: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// How many attempts were started.
    pub attempts: i32,
    /// The position of its last event that the row reflects.
    pub position: i64,
}

/// One call to a platform.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRow {
    /// The task.
    pub task_id: Uuid,
    /// Counts from 1 within the task.
    pub number: i32,
    /// Which platform.
    pub platform: String,
    /// The model that was asked for; `None` is the platform's default.
    pub model: Option<String>,
    /// The model that answered, as the platform names it.
    pub answered_by: Option<String>,
    /// `running`, `succeeded`, `failed`, `lost` or `cancelled`.
    pub status: String,
    /// The kind of the error.
    pub error_kind: Option<String>,
    /// What happened, for a person.
    pub error_message: Option<String>,
    /// Why the model stopped: `stop`, `length`, `content_filter` or the platform's own word.
    pub finish_reason: Option<String>,
    /// The answer.
    pub text: Option<String>,
    /// Whether no model was asked at all.
    pub simulated: bool,
    /// Tokens of the prompt, cached ones included.
    pub input_tokens: Option<i64>,
    /// Of these, read from the platform's cache.
    pub cached_input_tokens: Option<i64>,
    /// Tokens of the answer, reasoning included.
    pub output_tokens: Option<i64>,
    /// Of these, spent on reasoning.
    pub reasoning_tokens: Option<i64>,
    /// What it cost, in billionths of a US dollar; `None` means unknown, which is not free.
    pub cost_nano_usd: Option<i64>,
    /// Where the cost comes from, of an answer or of what a failed attempt had used: `reported` by the platform, computed from a
    /// list of prices (`listed`), `unpriced` or `free`; `None` while nothing was used, of an answer that served again, and of what
    /// was recorded before that was kept.
    pub cost_source: Option<String>,
    /// The list of prices that it was computed from.
    pub price_list: Option<String>,
    /// From sending to the last byte, as measured by the platform's adapter.
    pub duration_ms: Option<i64>,
    /// From sending to the first piece of text; `None` when the answer did not come in pieces.
    pub first_piece_ms: Option<i64>,
    /// BLAKE3 over the request, 32 bytes: equal requests have equal hashes.
    pub request_hash: Vec<u8>,
    /// When the kept answer was given that served instead of a call; `None` when the platform was called.
    pub kept_at: Option<i64>,
    /// What the call had cost that a kept answer saved; `None` where that is unknown, and where none served.
    pub saved_nano_usd: Option<i64>,
    /// When the platform was called.
    pub started_at: i64,
    /// When the outcome was recorded.
    pub ended_at: Option<i64>,
    /// Whether the answer came after the attempt had been given up; then it changed nothing, though it was paid.
    pub late: bool,
}

/// How many runs stand at one status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusCountRow {
    /// The status.
    pub status: String,
    /// How many.
    pub count: i64,
}

/// One element of a step's list.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemRow {
    /// The run.
    pub run_id: Uuid,
    /// The step.
    pub step: String,
    /// Its place in the list, from 0.
    pub item: i32,
    /// The element.
    pub element: Value,
    /// `pending`, `running`, `completed`, `failed` or `cancelled`.
    pub status: String,
    /// Its task, once started.
    pub task_id: Option<Uuid>,
    /// The task's result, once completed: `{"text": …, "json": …}`.
    pub result: Option<Value>,
    /// Whether no model was asked.
    pub simulated: bool,
    /// The kind of the error that it failed with.
    pub error_kind: Option<String>,
    /// What happened, for a person.
    pub error_message: Option<String>,
    /// When its task was created.
    pub started_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
}

/// What people are asked in a step.
#[derive(Debug, Clone, PartialEq)]
pub struct ApprovalRow {
    /// The run.
    pub run_id: Uuid,
    /// The workflow's key.
    pub workflow_key: String,
    /// Who started the run, as `kind:id`.
    pub actor: String,
    /// Where the run stands.
    pub run_status: String,
    /// The step.
    pub step: String,
    /// The step as its author wrote it; its work is an approval.
    pub definition: Step,
    /// Where the step stands.
    pub status: String,
    /// What is shown to those who decide.
    pub content: Value,
    /// BLAKE3 over it, 32 bytes: a decision names the content that it is about.
    pub content_hash: Vec<u8>,
    /// When it was asked.
    pub requested_at: i64,
    /// When it ends without the wanted decisions.
    pub expires_at: Option<i64>,
    /// Whether it has.
    pub expired: bool,
    /// How many have agreed.
    pub agreed: i64,
}

/// What one person said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRow {
    /// The run.
    pub run_id: Uuid,
    /// The step.
    pub step: String,
    /// Who, as `kind:id`.
    pub decided_by: String,
    /// Yes or no.
    pub approved: bool,
    /// In their words.
    pub comment: String,
    /// BLAKE3 over what they saw, 32 bytes.
    pub content_hash: Vec<u8>,
    /// When.
    pub at: i64,
}

/// A pause of a run, over or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseRow {
    /// The run.
    pub run_id: Uuid,
    /// Who paused it, as `kind:id`.
    pub paused_by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: i64,
    /// `frozen` or `running`.
    pub clock: String,
    /// The hold that it belongs to.
    pub hold_id: Option<Uuid>,
    /// Until when; `None` while it lasts.
    pub until: Option<i64>,
    /// Who resumed it; `None` also when the run was cancelled while it was paused.
    pub resumed_by: Option<String>,
}

/// A signal that a run received.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalRow {
    /// The run.
    pub run_id: Uuid,
    /// Its name.
    pub signal: String,
    /// What it carries.
    pub payload: Value,
    /// When it came.
    pub at: i64,
}

/// A run that was found with nothing to wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StallRow {
    /// The run.
    pub run_id: Uuid,
    /// What is known about it.
    pub what: String,
    /// When.
    pub at: i64,
}

/// How a run is related to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelativeRow {
    /// The run.
    pub run_id: Uuid,
    /// How far away: in a lineage negative for those whose history was taken over, in a tree the depth below the root.
    pub distance: i32,
    /// When it started.
    pub started_at: i64,
}

/// That a run does a task again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepeatRow {
    /// The run.
    pub run_id: Uuid,
    /// The task.
    pub task_id: Uuid,
}
