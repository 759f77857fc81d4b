//! A task by itself.

use actix_web::http::StatusCode;
use actix_web::web::{self, Path, ServiceConfig};
use domain::{StreamId, TaskId};
use projections::{AttemptRow, TaskRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::problem::{Details, only};
use crate::run::{Failure, failure, moment, moments};
use crate::{Answer, Call, Params, Problem};

pub(crate) fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/tasks/{id}").route(web::get().to(show)).default_service(only("GET")));
}

/// One unit of AI work done by an agent, for a step of a run.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Task {
    /// Its id.
    id: Uuid,
    /// The run that it was created in.
    run: Option<Uuid>,
    /// The name of the step that it belongs to.
    step: Option<String>,
    /// The element of the step's list that it is for, from 0.
    item: Option<i32>,
    /// Whether it undoes the step.
    undoes: bool,
    /// The key of the template that says what is done.
    template: Option<String>,
    /// That template's version.
    template_version: i32,
    /// The key of the agent that has it.
    agent: Option<String>,
    /// That agent's version.
    agent_version: Option<i32>,
    /// Why this agent.
    assign_reason: Option<String>,
    /// The template's parameters.
    parameters: Value,
    /// Where it stands: `created`, `assigned`, `running`, `waiting`, `completed`, `failed` or `cancelled`.
    status: String,
    /// When the next attempt starts, while it waits.
    #[schema(format = DateTime)]
    retry_at: Option<String>,
    /// Why it failed.
    error: Option<Failure>,
    /// Why it was cancelled.
    cancel_reason: Option<String>,
    /// When it was created.
    #[schema(format = DateTime)]
    created_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// Its attempts, oldest first.
    attempts: Vec<Attempt>,
}

/// One call to a platform for a task.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attempt {
    /// Counts from 1 within the task.
    number: i32,
    /// Which platform.
    platform: String,
    /// The model that was asked for; null is the platform's default.
    model: Option<String>,
    /// The model that answered, as the platform names it.
    answered_by: Option<String>,
    /// `running`, `succeeded`, `failed`, `lost` or `cancelled`.
    status: String,
    /// Why it failed.
    error: Option<Failure>,
    /// Whether no model was asked at all.
    simulated: bool,
    /// What it cost, in billionths of a US dollar; null means unknown, which is not free.
    cost_nano_usd: Option<i64>,
    /// Tokens of the prompt, cached ones included; null means not reported.
    input_tokens: Option<i64>,
    /// Tokens of the answer, reasoning included; null means not reported.
    output_tokens: Option<i64>,
    /// When it started.
    #[schema(format = DateTime)]
    started_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
}

impl From<AttemptRow> for Attempt {
    fn from(row: AttemptRow) -> Self {
        Self {
            number: row.number,
            platform: row.platform,
            model: row.model,
            answered_by: row.answered_by,
            status: row.status,
            error: failure(row.error_kind, row.error_message, None),
            simulated: row.simulated,
            cost_nano_usd: row.cost_nano_usd,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            started_at: moment(row.started_at),
            ended_at: moments(row.ended_at),
        }
    }
}

impl Task {
    fn of(row: TaskRow, template: Option<String>, agent: Option<String>, attempts: Vec<AttemptRow>) -> Self {
        Self {
            id: row.id,
            run: row.run_id,
            step: row.step,
            item: row.item,
            undoes: row.undoes,
            template,
            template_version: row.template_version,
            agent,
            agent_version: row.agent_version,
            assign_reason: row.assign_reason,
            parameters: row.parameters,
            status: row.status,
            retry_at: moments(row.retry_at),
            error: failure(row.error_kind, row.error_message, None),
            cancel_reason: row.cancel_reason,
            created_at: moment(row.created_at),
            ended_at: moments(row.ended_at),
            attempts: attempts.into_iter().map(Attempt::from).collect(),
        }
    }
}

/// How new the answer has to be.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ShowTask {
    /// The position that the answer has to reflect.
    min_position: Option<u64>,
}

/// Shows a task with its attempts. What it has answered is told by its `output`.
#[utoipa::path(
    get, path = "/api/v1/tasks/{id}", tag = "runs",
    params(("id" = Uuid, Path, description = "Which task."), ShowTask,
        ("If-None-Match" = Option<String>, Header, description = "The ETag that the client has.")),
    responses(
        (status = 200, description = "The task.", body = Task),
        (status = 304, description = "It is as the client knows it."),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(call: Call, id: Path<Uuid>, params: Params<ShowTask>) -> Result<Answer, Problem> {
    let (id, Params(params)) = (id.into_inner(), params);
    let within = call.clone();
    call.api.run(call.correlation, async move { shown(&within, id, params.min_position).await }).await
}

/// A task as it is now: whatever is recorded of it is in the answer, whether the read model had it already or not.
async fn shown(call: &Call, id: Uuid, min: Option<u64>) -> Result<Answer, Problem> {
    let failed = |error| Problem::read(call.correlation, &error);
    let queried = |error: projections::Error| Problem::query(call.correlation, &error);
    let stream = StreamId::from(TaskId::from_uuid(id));
    let known = call.api.commands().executor().load::<domain::Task>(stream).await.map_err(failed)?;
    let Some(revision) = known.revision else { return Err(Problem::no_task(id)) };
    if call.has(revision) {
        return Ok(Answer::empty(StatusCode::NOT_MODIFIED).revision(Some(revision)));
    }
    let last = call.api.journal().read_stream(stream, revision, 1).await.map_err(failed)?;
    let own = last.first().map_or(0, |event| event.position.as_u64());
    let position = call.fresh(Some(own.max(min.unwrap_or(0)))).await?;
    let queries = call.api.queries();
    let row = queries.tasks_by_ids(&[id]).await.map_err(queried)?.pop();
    let Some(row) = row else { return Err(Problem::no_task(id)) };
    let template = queries.templates_by_ids(&[row.template_id]).await.map_err(queried)?.pop();
    let agents: Vec<Uuid> = row.agent_id.into_iter().collect();
    let agent = queries.agents_by_ids(&agents).await.map_err(queried)?.pop();
    let attempts = queries.attempts_of_tasks(&[id]).await.map_err(queried)?;
    let task = Task::of(row, template.map(|row| row.key), agent.map(|row| row.key), attempts);
    Ok(Answer::json(call, StatusCode::OK, &task)?.revision(Some(revision)).at(position))
}
