//! What is asked of runs.

use async_graphql::{Enum, InputObject, Result};
use commands::{Branch, Changes, DecideApproval, RunTaskAgain};
use domain::run::{Overrides, StepOverride};
use domain::{RunId, TaskId};
use uuid::Uuid;

use super::parse;
use crate::failure::invalid;
use crate::query::RunFilter;
use crate::scalar::{Count, Json};
use crate::status::PauseClock;

/// A run to start.
#[derive(Debug, InputObject)]
pub(crate) struct StartRunInput {
    /// The command's own id: a repetition gets the first answer, so that a run is not started twice.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// The key of the workflow.
    pub(crate) workflow: String,
    /// Which version; null takes the active one.
    pub(crate) version: Option<u32>,
    /// The input, an object that fits the workflow's schema.
    #[graphql(default_with = "async_graphql::Json(serde_json::json!({}))")]
    pub(crate) input: Json,
    /// Which runs go first when a limit makes them wait: higher before lower, -100 to 100.
    #[graphql(default)]
    pub(crate) priority: i32,
    /// Your name for this run, 1 to 255 bytes: the same key always means the same run, however often and by whomever it
    /// is asked for. Unlike `clientMutationId` it is refused when workflow or input differ.
    pub(crate) idempotency_key: Option<String>,
    /// The person whom it is about, by any name that you use for them: what is personal in it is sealed under that
    /// person's key, and can be erased.
    pub(crate) subject: Option<String>,
    /// How much of the output layer is asked for; null for as much as is usual here: every part, unless the configuration
    /// says otherwise.
    pub(crate) output: Option<OutputForm>,
}

/// How much of the output layer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::task::Form")]
pub(crate) enum OutputForm {
    /// Answers as the templates ask for them.
    Text,
    /// Every part (summary, results, improvements, critique, alternatives, action items), of the steps on which no other
    /// step waits.
    Last,
    /// Every part, of every step.
    Every,
}

/// A task to carry out.
#[derive(Debug, InputObject)]
pub(crate) struct StartTaskInput {
    /// The command's own id: a repetition gets the first answer, so that a task is not started twice.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// The key of the template that says what is done.
    pub(crate) template: String,
    /// The key of the agent that does it; `auto` lets the best one be chosen.
    #[graphql(default_with = "domain::workflow::Assignee::AUTO.to_owned()")]
    pub(crate) agent: String,
    /// The template's parameters.
    #[graphql(default_with = "async_graphql::Json(serde_json::json!({}))")]
    pub(crate) parameters: Json,
    /// Which runs go first when a limit makes them wait: higher before lower, -100 to 100.
    #[graphql(default)]
    pub(crate) priority: i32,
    /// How much of the output layer is asked for; null for as much as is usual here: every part, unless the configuration
    /// says otherwise.
    pub(crate) output: Option<OutputForm>,
}

/// A task that is to be done again; what is not given stays as it was.
#[derive(Debug, InputObject)]
pub(crate) struct RunTaskAgainInput {
    /// The command's own id: a repetition gets the first answer, so that a task is not started twice.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which task; it has ended.
    task_id: Uuid,
    /// The key of the agent that does it, in its newest version; `auto` lets the best one be chosen. Null takes the agent that
    /// did it, in the version that it had.
    agent: Option<String>,
    /// The model, whatever the agent names.
    model: Option<String>,
    /// The version of the template; null takes the one that the task had.
    template_version: Option<u32>,
    /// Takes the newest versions of template and agent where none is named.
    #[graphql(default)]
    latest: bool,
    /// Parameters in the place of those of the same names, an object; null in it takes one away.
    #[graphql(default_with = "async_graphql::Json(serde_json::json!({}))")]
    parameters: Json,
    /// Which runs go first when a limit makes them wait: higher before lower, -100 to 100.
    #[graphql(default)]
    priority: i32,
    /// How much of the output layer is asked for; null asks for as much as was asked for then.
    output: Option<OutputForm>,
}

impl RunTaskAgainInput {
    pub(crate) fn into_again(self) -> Result<RunTaskAgain> {
        let serde_json::Value::Object(parameters) = self.parameters.0 else {
            return Err(invalid("`parameters` must be an object"));
        };
        Ok(RunTaskAgain {
            task: TaskId::from_uuid(self.task_id),
            agent: self.agent.map(|agent| parse("agent", &agent)).transpose()?,
            model: self.model,
            template_version: self.template_version,
            latest: self.latest,
            parameters,
            priority: self.priority,
            form: self.output.map(Into::into),
        })
    }
}

/// A run to stop.
#[derive(Debug, InputObject)]
pub(crate) struct CancelRunInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which run.
    pub(crate) run_id: Uuid,
    /// Why.
    #[graphql(default)]
    pub(crate) reason: String,
    /// How many milliseconds running attempts may go on before they are cut, at most one day; null takes 5 s.
    pub(crate) grace_ms: Option<Count>,
}

/// A run of which nothing new is to start.
#[derive(Debug, InputObject)]
pub(crate) struct PauseRunInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which run.
    pub(crate) run_id: Uuid,
    /// Why.
    #[graphql(default)]
    pub(crate) reason: String,
    /// What happens to timers, deadlines and expiries.
    #[graphql(default_with = "PauseClock::Frozen")]
    pub(crate) clock: PauseClock,
}

/// A run that is to go on.
#[derive(Debug, InputObject)]
pub(crate) struct ResumeRunInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which run.
    pub(crate) run_id: Uuid,
}

/// A signal for a run.
#[derive(Debug, InputObject)]
pub(crate) struct SignalRunInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new signal.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which run.
    pub(crate) run_id: Uuid,
    /// The signal's name: 1 to 64 of a-z, 0-9 and `_`, starting with a letter.
    pub(crate) signal: String,
    /// What it carries.
    #[graphql(default_with = "async_graphql::Json(serde_json::Value::Null)")]
    pub(crate) payload: Json,
}

/// A decision on an approval.
#[derive(Debug, InputObject)]
pub(crate) struct DecideApprovalInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which run.
    pub(crate) run_id: Uuid,
    /// The name of the step that asks.
    step: String,
    /// Yes or no.
    approve: bool,
    /// In the words of who decides.
    #[graphql(default)]
    comment: String,
    /// The `contentHash` of the approval as it was seen: the decision is refused when the content is another by now.
    content_hash: String,
    /// The roles of who decides. Until there is access control the server believes them: whoever reaches it may do
    /// everything.
    #[graphql(default)]
    roles: Vec<String>,
}

impl DecideApprovalInput {
    pub(crate) fn into_decision(self) -> Result<DecideApproval> {
        Ok(DecideApproval {
            run: RunId::from_uuid(self.run_id),
            step: parse("step", &self.step)?,
            approved: self.approve,
            comment: self.comment,
            content_hash: Some(hash(&self.content_hash)?),
            roles: self.roles,
        })
    }
}

/// The 32 bytes behind 64 hexadecimal digits.
fn hash(text: &str) -> Result<[u8; 32]> {
    let wrong = || invalid("`contentHash` must be the 64 hexadecimal digits that the approval shows");
    if text.len() != 64 || !text.is_ascii() {
        return Err(wrong());
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
    }
    Ok(bytes)
}

/// What a new run does differently from the one whose history it takes over.
#[derive(Debug, Default, InputObject)]
pub(crate) struct ChangesInput {
    /// Other input; steps that are kept have used the old one.
    input: Option<Json>,
    /// Another version of the workflow.
    version: Option<u32>,
    /// The model for every task, whatever its agent names.
    model: Option<String>,
    /// Other agents or templates for single steps.
    #[graphql(default)]
    steps: Vec<StepOverrideInput>,
}

/// Another agent or template for a step.
#[derive(Debug, InputObject)]
pub(crate) struct StepOverrideInput {
    /// Which step.
    step: String,
    /// The key of its agent from now on; `auto` lets the best one be chosen.
    agent: Option<String>,
    /// The key of its template from now on.
    template: Option<String>,
}

impl ChangesInput {
    pub(crate) fn into_changes(changes: Option<Self>) -> Result<Changes> {
        let changes = changes.unwrap_or_default();
        let mut steps = Vec::new();
        for change in changes.steps {
            steps.push(StepOverride {
                step: parse("changes.steps.step", &change.step)?,
                agent: change.agent.map(|key| parse("changes.steps.agent", &key)).transpose()?,
                template: change.template.map(|key| parse("changes.steps.template", &key)).transpose()?,
            });
        }
        steps.sort_by(|a, b| a.step.cmp(&b.step));
        Ok(Changes {
            input: changes.input.map(|input| input.0),
            version: changes.version,
            overrides: Overrides { model: changes.model, steps },
        })
    }
}

/// A failed or cancelled run that is to be tried again.
#[derive(Debug, InputObject)]
pub(crate) struct RetryRunInput {
    /// The command's own id: a repetition gets the first answer, so that a run is not started twice.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which run.
    pub(crate) run_id: Uuid,
    /// What is different this time.
    pub(crate) changes: Option<ChangesInput>,
}

/// A run that is to be done again from some steps on.
#[derive(Debug, InputObject)]
pub(crate) struct RerunRunInput {
    /// The command's own id: a repetition gets the first answer, so that a run is not started twice.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which run.
    pub(crate) run_id: Uuid,
    /// The steps that are done again, with all that follow from them; at least one.
    from: Vec<String>,
    /// What is different this time.
    pub(crate) changes: Option<ChangesInput>,
}

impl RerunRunInput {
    pub(crate) fn branch(&self) -> Result<Branch> {
        if self.from.is_empty() {
            return Err(invalid("`from` must name at least one step"));
        }
        let from = self.from.iter().map(|step| parse("from", step)).collect::<Result<_>>()?;
        Ok(Branch::Rerun { from })
    }
}

/// A run that is to branch off another at an event.
#[derive(Debug, InputObject)]
pub(crate) struct ForkRunInput {
    /// The command's own id: a repetition gets the first answer, so that a run is not started twice.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which run.
    pub(crate) run_id: Uuid,
    /// The `revision` of the last event of the run's stream that is taken over; steps that had completed by then are
    /// kept.
    pub(crate) revision: Count,
    /// What is different this time.
    pub(crate) changes: Option<ChangesInput>,
}

/// Many runs to act on at once.
#[derive(Debug, InputObject)]
pub(crate) struct BulkInput {
    /// The command's own id: repeating it carries out on each run what has not been carried out on it. Without one,
    /// every call is new.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which runs, as for `runs`; an empty filter means all.
    pub(crate) filter: RunFilter,
    /// The count that `previewBulk` gave. When the filter hits another number of runs by now, nothing is done.
    pub(crate) expected_count: Count,
}
