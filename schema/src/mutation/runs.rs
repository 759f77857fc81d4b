//! Runs.

use async_graphql::{Context, Object, Result};
use commands::{Branch, Changes, Commands, StartRun, StartTask};
use domain::RunId;
use uuid::Uuid;

use super::{RunPayload, commands, request};
use crate::choosing::chooser;
use crate::errand::{PrepareTaskInput, PreparedTask};
use crate::failure;
use crate::input::{
    CancelRunInput, ChangesInput, DecideApprovalInput, ForkRunInput, PauseRunInput, RerunRunInput, ResumeRunInput,
    RetryRunInput, RunTaskAgainInput, SignalRunInput, StartRunInput, StartTaskInput, duration, key, parse,
};
use crate::query::journal;
use crate::reflected::recorded;
use crate::scalar::Count;

/// The longest that running attempts may go on after somebody cancelled their run.
const MAX_GRACE_MS: u64 = 86_400_000;

/// Runs.
#[derive(Default)]
pub(super) struct Runs;

#[Object]
impl Runs {
    /// Starts a run of a workflow.
    async fn start_run(&self, context: &Context<'_>, input: StartRunInput) -> Result<RunPayload> {
        let request = request(context, input.client_mutation_id)?;
        let start = StartRun {
            workflow: key(&input.workflow)?,
            version: input.version,
            input: input.input.0,
            priority: input.priority,
            idempotency_key: input.idempotency_key,
            subject: input.subject,
            form: input.output.map(Into::into),
        };
        let started = commands(context)?.start_run(request.clone(), start).await;
        let started = started.map_err(|error| failure::command(context, error))?;
        RunPayload::of(context, &request, started.run.as_uuid(), started.outcome)
    }

    /// Carries out one template, as a run with a single step called `task`, whose output has `text` and `json`.
    async fn start_task(&self, context: &Context<'_>, input: StartTaskInput) -> Result<RunPayload> {
        let request = request(context, input.client_mutation_id)?;
        let task = StartTask {
            template: key(&input.template)?,
            agent: key(&input.agent)?.into(),
            parameters: input.parameters.0,
            priority: input.priority,
            form: input.output.map(Into::into),
        };
        let started = commands(context)?.start_task(request.clone(), task).await;
        let started = started.map_err(|error| failure::command(context, error))?;
        RunPayload::of(context, &request, started.run.as_uuid(), started.outcome)
    }

    /// Makes a request in free words ready for `startTask`: finds the template that does it, reads the template's parameters
    /// out of the request by rules that do not guess, and has a model read what they cannot, where that is wanted. Only that
    /// last part is recorded, as a run of its own; the task itself is not started.
    #[graphql(complexity = "50 + child_complexity")]
    async fn prepare_task(&self, context: &Context<'_>, input: PrepareTaskInput) -> Result<PreparedTask> {
        let (id, request) = (input.client_mutation_id, request(context, input.client_mutation_id)?);
        let errand = chooser(context)?.prepare(request, input.into_wish()?).await;
        let errand = errand.map_err(|error| failure::command(context, error))?;
        if errand.reading.as_ref().is_some_and(|reading| reading.run.is_some()) {
            recorded(context, journal(context)?.seen());
        }
        Ok(PreparedTask::of(id, errand))
    }

    /// Does a task again that has ended, as it was or changed, as a run with a single step called `task`. A task that was a
    /// step's is done by itself, with the parameters that the step had made for it.
    async fn run_task_again(&self, context: &Context<'_>, input: RunTaskAgainInput) -> Result<RunPayload> {
        let request = request(context, input.client_mutation_id)?;
        let started = commands(context)?.run_task_again(request.clone(), input.into_again()?).await;
        let started = started.map_err(|error| failure::command(context, error))?;
        RunPayload::of(context, &request, started.run.as_uuid(), started.outcome)
    }

    /// Asks a run to stop. Nothing new starts; running attempts get `graceMs` to end, then they are cut; then what the
    /// workflow wants undone is undone.
    async fn cancel_run(&self, context: &Context<'_>, input: CancelRunInput) -> Result<RunPayload> {
        let request = request(context, input.client_mutation_id)?;
        let (run, grace) = (RunId::from_uuid(input.run_id), grace(input.grace_ms)?);
        let cancelled = commands(context)?.cancel_run(request.clone(), run, input.reason, grace).await;
        RunPayload::of(context, &request, input.run_id, cancelled.map_err(|error| failure::command(context, error))?)
    }

    /// Lets nothing new of a run start until somebody resumes it. What platforms answer meanwhile is recorded.
    async fn pause_run(&self, context: &Context<'_>, input: PauseRunInput) -> Result<RunPayload> {
        let request = request(context, input.client_mutation_id)?;
        let (run, clock) = (RunId::from_uuid(input.run_id), input.clock.domain());
        let paused = commands(context)?.pause_run(request.clone(), run, input.reason, clock).await;
        RunPayload::of(context, &request, input.run_id, paused.map_err(|error| failure::command(context, error))?)
    }

    /// Lets a paused run go on.
    async fn resume_run(&self, context: &Context<'_>, input: ResumeRunInput) -> Result<RunPayload> {
        let request = request(context, input.client_mutation_id)?;
        let resumed = commands(context)?.resume_run(request.clone(), RunId::from_uuid(input.run_id)).await;
        RunPayload::of(context, &request, input.run_id, resumed.map_err(|error| failure::command(context, error))?)
    }

    /// Gives a run a signal; a step that waits for it, now or later, goes on with its payload.
    async fn signal_run(&self, context: &Context<'_>, input: SignalRunInput) -> Result<RunPayload> {
        let request = request(context, input.client_mutation_id)?;
        let (run, signal) = (RunId::from_uuid(input.run_id), parse("signal", &input.signal)?);
        let signalled = commands(context)?.signal_run(request.clone(), run, signal, input.payload.0).await;
        RunPayload::of(context, &request, input.run_id, signalled.map_err(|error| failure::command(context, error))?)
    }

    /// Decides on an approval.
    async fn decide_approval(&self, context: &Context<'_>, input: DecideApprovalInput) -> Result<RunPayload> {
        let request = request(context, input.client_mutation_id)?;
        let run = input.run_id;
        let decided = commands(context)?.decide_approval(request.clone(), input.into_decision()?).await;
        RunPayload::of(context, &request, run, decided.map_err(|error| failure::command(context, error))?)
    }

    /// Tries a failed or cancelled run again in a new run: what had completed is kept, the rest is done.
    async fn retry_run(&self, context: &Context<'_>, input: RetryRunInput) -> Result<RunPayload> {
        let changes = ChangesInput::into_changes(input.changes)?;
        branch(context, input.client_mutation_id, input.run_id, Branch::Retry, changes).await
    }

    /// Does a run again from some steps on, in a new run: these and all that follow from them are done again, other
    /// completed steps are kept.
    async fn rerun_run(&self, context: &Context<'_>, input: RerunRunInput) -> Result<RunPayload> {
        let from = input.branch()?;
        let changes = ChangesInput::into_changes(input.changes)?;
        branch(context, input.client_mutation_id, input.run_id, from, changes).await
    }

    /// Starts a new run that branches off another at an event: what had happened up to then is taken over.
    async fn fork_run(&self, context: &Context<'_>, input: ForkRunInput) -> Result<RunPayload> {
        let changes = ChangesInput::into_changes(input.changes)?;
        let fork = Branch::Fork { revision: input.revision.0 };
        branch(context, input.client_mutation_id, input.run_id, fork, changes).await
    }
}

async fn branch(
    context: &Context<'_>,
    command: Option<Uuid>,
    run: Uuid,
    branch: Branch,
    changes: Changes,
) -> Result<RunPayload> {
    let request = request(context, command)?;
    let started = commands(context)?.branch_run(request.clone(), RunId::from_uuid(run), branch, changes).await;
    let started = started.map_err(|error| failure::command(context, error))?;
    RunPayload::of(context, &request, started.run.as_uuid(), started.outcome)
}

/// How long running attempts may go on.
pub(super) fn grace(asked: Option<Count>) -> Result<std::time::Duration> {
    match asked {
        None => Ok(Commands::GRACE),
        Some(asked) if asked.0 <= MAX_GRACE_MS => Ok(duration(asked)),
        Some(_) => Err(failure::invalid(format!("`graceMs` must be 0 to {MAX_GRACE_MS}"))),
    }
}
