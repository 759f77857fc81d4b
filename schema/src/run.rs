//! Runs and their steps.

use async_graphql::{ComplexObject, Context, ID, Result, SimpleObject};
use projections::{RunRow, StepRow};
use uuid::Uuid;

use crate::agent::Agent;
use crate::explanation::Explanation;
use crate::loader::Loaders;
use crate::scalar::{Count, DateTime, Json, Position};
use crate::status::{ErrorKind, RunStatus, StepStatus};
use crate::task::Task;
use crate::template::Template;
use crate::workflow::Workflow;

/// Why something failed.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Failure {
    /// The kind of failure.
    kind: ErrorKind,
    /// What happened, for a person.
    message: String,
}

impl Failure {
    pub(crate) fn of(kind: Option<String>, message: Option<String>) -> Result<Option<Self>> {
        kind.map(|kind| Ok(Self { kind: ErrorKind::of(&kind)?, message: message.unwrap_or_default() })).transpose()
    }
}

/// One execution of one version of a workflow.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Run {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// The run's own id; version 7, so ids sort by time.
    run_id: Uuid,
    /// The key of the workflow.
    workflow_key: String,
    /// The version of the workflow that the run follows, whatever becomes of the workflow later.
    version: i32,
    /// Where it stands.
    status: RunStatus,
    /// The input, completed with the defaults of the workflow's schema.
    input: Json,
    /// The output, once completed.
    output: Option<Json>,
    /// Whether any part of its outcome was simulated: no model was asked for it.
    simulated: bool,
    /// Why it failed.
    error: Option<Failure>,
    /// The step that failed first; null also when the run's own output could not be made.
    failed_step: Option<String>,
    /// Why somebody wanted it to stop.
    cancel_reason: Option<String>,
    /// The node that claimed it last.
    node: Option<Uuid>,
    /// How often it was claimed; more than once means that another node, or the same after a restart, took over.
    epoch: Option<Count>,
    /// Who started it, as `kind:id`.
    actor: String,
    /// The same for all that follows from the request that started it.
    correlation: Uuid,
    /// When it was started.
    started_at: DateTime,
    /// When it ended.
    ended_at: Option<DateTime>,
    /// The position of the last event of the run itself that is reflected here.
    position: Position,
}

impl Run {
    pub(crate) fn of(row: RunRow) -> Result<Self> {
        Ok(Self {
            id: global_id(domain::Category::Run, row.id),
            run_id: row.id,
            workflow_key: row.workflow_key,
            version: row.version,
            status: RunStatus::of(&row.status)?,
            input: async_graphql::Json(row.input),
            output: row.output.map(async_graphql::Json),
            simulated: row.simulated,
            error: Failure::of(row.error_kind, row.error_message)?,
            failed_step: row.failed_step,
            cancel_reason: row.cancel_reason,
            node: row.node,
            epoch: row.epoch.map(Count::of),
            actor: row.actor,
            correlation: row.correlation,
            started_at: moment(row.started_at),
            ended_at: row.ended_at.map(moment),
            position: position(row.position),
        })
    }
}

#[ComplexObject]
impl Run {
    /// The workflow as it is now; what the run follows is its `version`.
    async fn workflow(&self, context: &Context<'_>) -> Result<Option<Workflow>> {
        Loaders::of(context)?.workflow(&self.workflow_key).await
    }

    /// Every step, in the order of the workflow's definition; those whose turn has not come are `PENDING`.
    #[graphql(complexity = "10 * child_complexity")]
    async fn steps(&self, context: &Context<'_>) -> Result<Vec<Step>> {
        Loaders::of(context)?.steps(self.run_id).await
    }

    /// One step by its name.
    async fn step(&self, context: &Context<'_>, name: String) -> Result<Option<Step>> {
        Ok(Loaders::of(context)?.steps(self.run_id).await?.into_iter().find(|step| step.name == name))
    }

    /// From start to end in milliseconds; null while it is under way.
    async fn duration_ms(&self) -> Option<Count> {
        between(self.started_at, self.ended_at)
    }

    /// Why the run stands where it stands, straight from the journal.
    #[graphql(complexity = "10 + child_complexity")]
    async fn explain(&self, context: &Context<'_>) -> Result<Explanation> {
        Explanation::of_run(context, domain::RunId::from_uuid(self.run_id)).await
    }
}

/// One step of a run.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Step {
    /// Its name, unique in its run.
    pub(crate) name: String,
    /// The title that people read.
    title: String,
    /// Its place in the workflow's definition, from 0.
    ordinal: i32,
    /// Where it stands.
    status: StepStatus,
    /// The id of its task, once started.
    task_id: Option<Uuid>,
    /// The key of the agent that does it.
    agent_key: String,
    /// The key of the template that says what is done.
    template_key: String,
    /// The steps that must have completed first.
    needs: Vec<String>,
    /// Its output, once completed.
    output: Option<Json>,
    /// Whether its outcome was simulated: no model was asked for it.
    simulated: bool,
    /// Why it failed.
    error: Option<Failure>,
    /// When its task was created.
    started_at: Option<DateTime>,
    /// When it ended.
    ended_at: Option<DateTime>,
    /// The position of the last event of the run that touched this step; null while it is pending.
    position: Option<Position>,
}

impl Step {
    pub(crate) fn of(row: StepRow) -> Result<Self> {
        Ok(Self {
            name: row.name,
            title: row.title,
            ordinal: row.ordinal,
            status: StepStatus::of(&row.status)?,
            task_id: row.task_id,
            agent_key: row.agent_key,
            template_key: row.template_key,
            needs: row.needs,
            output: row.output.map(async_graphql::Json),
            simulated: row.simulated,
            error: Failure::of(row.error_kind, row.error_message)?,
            started_at: row.started_at.map(moment),
            ended_at: row.ended_at.map(moment),
            position: row.position.map(position),
        })
    }
}

#[ComplexObject]
impl Step {
    /// Its task, once started.
    async fn task(&self, context: &Context<'_>) -> Result<Option<Task>> {
        match self.task_id {
            Some(id) => Loaders::of(context)?.task(id).await,
            None => Ok(None),
        }
    }

    /// The agent that does it, as it is now; the version that worked is in the task.
    async fn agent(&self, context: &Context<'_>) -> Result<Option<Agent>> {
        Loaders::of(context)?.agent(&self.agent_key).await
    }

    /// The template that says what is done, as it is now; the version that was used is in the task.
    async fn template(&self, context: &Context<'_>) -> Result<Option<Template>> {
        Loaders::of(context)?.template(&self.template_key).await
    }

    /// From start to end in milliseconds; null while it is pending or under way.
    async fn duration_ms(&self) -> Option<Count> {
        between(self.started_at?, self.ended_at)
    }
}

/// The id by which `node` finds an aggregate: the name of its stream.
pub(crate) fn global_id(category: domain::Category, id: Uuid) -> ID {
    ID(domain::StreamId { category, id }.to_string())
}

/// From a column that holds microseconds.
pub(crate) fn moment(micros: i64) -> DateTime {
    DateTime(domain::Timestamp::from_micros(micros))
}

/// From a column that holds a position.
pub(crate) fn position(number: i64) -> Position {
    Position(journal::Position::from_u64(u64::try_from(number).unwrap_or(0)))
}

/// Whole milliseconds from one moment to another.
pub(crate) fn between(start: DateTime, end: Option<DateTime>) -> Option<Count> {
    end.map(|end| Count(u64::try_from(end.0.since(start.0).as_millis()).unwrap_or(u64::MAX)))
}
