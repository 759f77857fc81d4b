//! What the read models answer with: one struct per kind of row.
//!
//! Moments are microseconds since the Unix epoch, money is billionths of a US dollar, versions and attempts count
//! from 1, and status texts are the stable snake_case names of the domain. `None` means unknown or not yet, never
//! zero.

use domain::Definition;
use domain::agent::Profile;
use domain::template::TemplateBody;
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
    /// `running`, `cancelling`, `completed`, `failed` or `cancelled`.
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
    /// When it was started.
    pub started_at: i64,
    /// When it ended.
    pub ended_at: Option<i64>,
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
    /// The title that people read.
    pub title: String,
    /// Its place in the workflow's definition, from 0.
    pub ordinal: i32,
    /// `pending`, `running`, `completed`, `failed` or `cancelled`.
    pub status: String,
    /// Its task, once started.
    pub task_id: Option<Uuid>,
    /// The key of the agent that does it.
    pub agent_key: String,
    /// The key of the template that says what is done.
    pub template_key: String,
    /// The steps that must have completed first.
    pub needs: Vec<String>,
    /// Its output, once completed.
    pub output: Option<Value>,
    /// Whether its outcome was simulated.
    pub simulated: bool,
    /// The kind of the error that it failed with.
    pub error_kind: Option<String>,
    /// What happened, for a person.
    pub error_message: Option<String>,
    /// When its task was created.
    pub started_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
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
    /// From sending to the last byte, as measured by the platform's adapter.
    pub duration_ms: Option<i64>,
    /// BLAKE3 over the request, 32 bytes: equal requests have equal hashes.
    pub request_hash: Vec<u8>,
    /// When the platform was called.
    pub started_at: i64,
    /// When the outcome was recorded.
    pub ended_at: Option<i64>,
    /// Whether the answer came after the attempt had been given up; then it changed nothing, though it was paid.
    pub late: bool,
}

/// A workflow: its newest version's face, and which version takes new runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowRow {
    /// The workflow's id.
    pub id: Uuid,
    /// The key.
    pub key: String,
    /// The name that people read.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whose it is.
    pub department: String,
    /// Free words for finding it.
    pub tags: Vec<String>,
    /// `draft` while no version takes runs, else `active`.
    pub status: String,
    /// The newest version.
    pub newest_version: i32,
    /// The version that new runs use.
    pub active_version: Option<i32>,
    /// When version 1 was drafted.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// The position of its last event that the row reflects.
    pub position: i64,
}

/// One version of a workflow.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowVersionRow {
    /// The workflow's id.
    pub workflow_id: Uuid,
    /// The version.
    pub version: i32,
    /// The definition.
    pub definition: Definition,
    /// Who drafted it, as `kind:id`.
    pub drafted_by: String,
    /// When it was drafted.
    pub drafted_at: i64,
    /// When it last became the active version; `None` when it never was.
    pub activated_at: Option<i64>,
}

/// An agent, by its newest profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRow {
    /// The agent's id.
    pub id: Uuid,
    /// The key.
    pub key: String,
    /// The name that people read.
    pub name: String,
    /// Whose it is.
    pub department: String,
    /// The newest version.
    pub version: i32,
    /// Whether it takes new work.
    pub enabled: bool,
    /// Why it takes none.
    pub disabled_reason: Option<String>,
    /// The newest profile.
    pub profile: Profile,
    /// When it was registered.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// The position of its last event that the row reflects.
    pub position: i64,
}

/// One version of an agent: the history of its prompts and settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentVersionRow {
    /// The agent's id.
    pub agent_id: Uuid,
    /// The version.
    pub version: i32,
    /// The whole profile.
    pub profile: Profile,
    /// Who made it, as `kind:id`.
    pub revised_by: String,
    /// When it was made.
    pub revised_at: i64,
}

/// How an agent has done, over all its tasks that have ended. Averages are over what is known.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentMetricsRow {
    /// The agent's id.
    pub agent_id: Uuid,
    /// Tasks that were given to it, ended or not.
    pub total: i64,
    /// Tasks that completed.
    pub completed: i64,
    /// Tasks that failed for good.
    pub failed: i64,
    /// Completed among completed and failed, 0 to 1; `None` before the first end.
    pub success_rate: Option<f64>,
    /// The average duration of successful attempts, in milliseconds.
    pub average_duration_ms: Option<f64>,
    /// The average known cost of successful attempts, in billionths of a US dollar.
    pub average_cost_nano_usd: Option<f64>,
    /// The sum of all known costs, in billionths of a US dollar.
    pub total_cost_nano_usd: i64,
    /// Attempts whose cost is not known, such as lost ones.
    pub attempts_of_unknown_cost: i64,
    /// All prompt tokens that were reported.
    pub input_tokens: i64,
    /// All answer tokens that were reported.
    pub output_tokens: i64,
    /// When its last task was created.
    pub last_task_at: Option<i64>,
}

/// A template, by its newest body.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateRow {
    /// The template's id.
    pub id: Uuid,
    /// The key.
    pub key: String,
    /// The title that people read.
    pub title: String,
    /// Whose it is.
    pub department: String,
    /// The newest version.
    pub version: i32,
    /// The newest body.
    pub body: TemplateBody,
    /// When it was registered.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// The position of its last event that the row reflects.
    pub position: i64,
}

/// One version of a template.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateVersionRow {
    /// The template's id.
    pub template_id: Uuid,
    /// The version.
    pub version: i32,
    /// The whole body.
    pub body: TemplateBody,
    /// Who made it, as `kind:id`.
    pub revised_by: String,
    /// When it was made.
    pub revised_at: i64,
}

/// How many runs stand at one status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusCountRow {
    /// The status.
    pub status: String,
    /// How many.
    pub count: i64,
}

/// How far a projector is, as it was last written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointRow {
    /// The projector's name.
    pub name: String,
    /// `live`, or `next` for a read model that is being rebuilt.
    pub slot: String,
    /// The position that its rows reflect.
    pub position: i64,
    /// Counts the owners; who holds an older number can write no more.
    pub fence: i64,
    /// The projector's version that built the rows.
    pub version: i32,
    /// `running`, `rebuilding` or `poisoned`.
    pub status: String,
    /// What stopped it.
    pub error: Option<String>,
    /// When the row was last written.
    pub updated_at: i64,
}
