//! Runs, as they are read.

use actix_web::http::StatusCode;
use actix_web::web::{self, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Responder};
use commands::{Cause, Explanation};
use domain::{RunId, StreamId};
use projections::{RunFilter, RunRow, StepRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::event::Event;
use crate::problem::{Details, only};
use crate::watch::{ended, last_event, progress, wait};
use crate::{Answer, Call, Cursor, Params, Problem, page};

pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource("/runs/{id}").route(web::get().to(show)).default_service(only("GET")))
        .service(web::resource("/runs/{id}/events").route(web::get().to(events)).default_service(only("GET")))
        .service(web::resource("/runs/{id}/explanation").route(web::get().to(explain)).default_service(only("GET")));
}

/// A moment in RFC 3339.
pub(crate) fn moment(micros: i64) -> Option<String> {
    jiff::Timestamp::from_microsecond(micros).ok().map(|moment| moment.to_string())
}

pub(crate) fn moments(micros: Option<i64>) -> Option<String> {
    micros.and_then(moment)
}

/// One execution of one version of a workflow.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Run {
    /// Its id.
    id: Uuid,
    /// The key of the workflow; of a single task, `task.` and the template's key.
    workflow: String,
    /// The version of the workflow that the run follows, whatever becomes of the workflow later.
    version: i32,
    /// Where it stands: `running`, `paused`, `cancelling`, `failing`, `compensating`, `completed`, `failed` or
    /// `cancelled`.
    status: String,
    /// The input, completed with the defaults of the workflow's schema.
    input: Value,
    /// The output, once completed.
    output: Value,
    /// Whether any part of its outcome was simulated: then no model was asked for that.
    simulated: bool,
    /// Why it failed.
    error: Option<Failure>,
    /// Why somebody wanted it to stop.
    cancel_reason: Option<String>,
    /// Who started it, as `kind:id`.
    actor: String,
    /// The same for all that follows from the request that started it.
    correlation: Uuid,
    /// Which runs go first when a limit makes them wait: higher before lower.
    priority: i32,
    /// When it was started.
    #[schema(format = DateTime)]
    started_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// When it fails if it has not ended.
    #[schema(format = DateTime)]
    deadline: Option<String>,
    /// The run that started it as one of its steps.
    parent: Option<Uuid>,
    /// The run whose history it took over.
    source: Option<Uuid>,
    /// How it came from that run: `retry`, `rerun` or `fork`.
    lineage: Option<String>,
    /// Its steps, where one run is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    steps: Option<Vec<Step>>,
}

/// Why something failed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Failure {
    /// The kind of the error.
    kind: String,
    /// What happened, for a person.
    message: String,
    /// The step that failed first, of a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
}

/// One step of a run.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Step {
    /// Its name, unique in its run.
    name: String,
    /// `task`, `for_each`, `approval`, `wait`, `signal` or `run`.
    kind: String,
    /// `pending`, `running`, `completed`, `skipped`, `failed` or `cancelled`.
    status: String,
    /// The steps that must have completed, or been skipped, first.
    needs: Vec<String>,
    /// The key of the agent that does it, when an agent does.
    agent: Option<String>,
    /// The key of the template that says what is done, when an agent does it.
    template: Option<String>,
    /// Its output, once completed.
    output: Value,
    /// Whether its outcome was simulated.
    simulated: bool,
    /// Why it failed.
    error: Option<Failure>,
    /// Why it was skipped.
    skip_reason: Option<String>,
    /// The task that does it, once there is one, when an agent does it.
    task: Option<Uuid>,
    /// The run that it started.
    child: Option<Uuid>,
    /// When it started.
    #[schema(format = DateTime)]
    started_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
}

pub(crate) fn failure(kind: Option<String>, message: Option<String>, step: Option<String>) -> Option<Failure> {
    kind.map(|kind| Failure { kind, message: message.unwrap_or_default(), step })
}

impl Run {
    fn of(row: RunRow, steps: Option<Vec<StepRow>>) -> Self {
        Self {
            id: row.id,
            workflow: row.workflow_key,
            version: row.version,
            status: row.status,
            input: row.input,
            output: row.output.unwrap_or_default(),
            simulated: row.simulated,
            error: failure(row.error_kind, row.error_message, row.failed_step),
            cancel_reason: row.cancel_reason,
            actor: row.actor,
            correlation: row.correlation,
            priority: row.priority,
            started_at: moment(row.started_at),
            ended_at: moments(row.ended_at),
            deadline: moments(row.deadline),
            parent: row.parent_id,
            source: row.source_id,
            lineage: row.lineage_kind,
            steps: steps.map(|steps| steps.into_iter().map(Step::of).collect()),
        }
    }
}

impl Step {
    fn of(row: StepRow) -> Self {
        Self {
            name: row.name,
            kind: row.kind,
            status: row.status,
            needs: row.needs,
            agent: row.agent_key,
            template: row.template_key,
            output: row.output.unwrap_or_default(),
            simulated: row.simulated,
            error: failure(row.error_kind, row.error_message, None),
            skip_reason: row.skip_reason,
            task: row.task_id,
            child: row.child_id,
            started_at: moments(row.started_at),
            ended_at: moments(row.ended_at),
        }
    }
}

/// A page of runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunPage {
    /// The runs of this page.
    items: Vec<Run>,
    /// Pass it as `after` for the next page; null when this is the last one.
    next: Option<String>,
}

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventPage {
    /// The events of this page.
    items: Vec<Event>,
    /// Pass it as `after` for the next page; null when nothing further is recorded.
    next: Option<String>,
}

/// The order of a list of runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub(crate) enum Sort {
    /// Newest first.
    #[default]
    #[serde(rename = "-startedAt")]
    Newest,
    /// Oldest first.
    #[serde(rename = "startedAt")]
    Oldest,
}

/// Which runs are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListRuns {
    /// Only of the workflow with this key.
    workflow: Option<String>,
    /// Only at these statuses, separated by commas.
    status: Option<String>,
    /// Only started by this actor, as `kind:id`.
    actor: Option<String>,
    /// Only started at or after this moment, in RFC 3339.
    #[param(format = DateTime)]
    started_from: Option<String>,
    /// Only started before this moment, in RFC 3339.
    #[param(format = DateTime)]
    started_before: Option<String>,
    /// Only with this text in the id or the workflow's key.
    text: Option<String>,
    /// Only those that a step of this run started.
    parent: Option<Uuid>,
    /// Only those that took over this run's history.
    source: Option<Uuid>,
    /// In which order.
    #[param(inline)]
    sort: Option<Sort>,
    /// How many, 50 when nothing is said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
    /// The position that the answer has to reflect.
    min_position: Option<u64>,
}

/// Lists runs.
#[utoipa::path(
    get, path = "/api/v1/runs", tag = "runs", params(ListRuns),
    responses(
        (status = 200, description = "A page of runs.", body = RunPage),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(call: Call, params: Params<ListRuns>) -> Result<Answer, Problem> {
    let Params(params) = params;
    let from = |name: &str, text: Option<String>| {
        let wrong = |error: jiff::Error| Problem::invalid(format!("`{name}` is no moment in RFC 3339: {error}"));
        text.map(|text| text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_microsecond).map_err(wrong)).transpose()
    };
    let statuses = params.status.as_deref().unwrap_or_default().split(',').filter(|status| !status.is_empty());
    let statuses: Vec<String> = statuses.map(str::to_owned).collect();
    let known = |status: &str| domain::run::RunStatus::ALL.iter().any(|known| known.name() == status);
    if let Some(strange) = statuses.iter().find(|status| !known(status)) {
        let names = domain::run::RunStatus::ALL.map(domain::run::RunStatus::name).join(", ");
        return Err(Problem::invalid(format!("`{strange}` is no status of a run; there are {names}")));
    }
    let filter = RunFilter {
        workflow_key: text("workflow", params.workflow)?,
        statuses,
        actor: text("actor", params.actor)?,
        started_from: from("startedFrom", params.started_from)?,
        started_before: from("startedBefore", params.started_before)?,
        text: text("text", params.text)?,
        parent_id: params.parent,
        source_id: params.source,
        trigger_id: None,
    };
    let (limit, after) = (params.limit, params.after);
    let reversed = params.sort.unwrap_or_default() == Sort::Oldest;
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let call = within;
            let cursor = Cursor { limit, after: after.as_deref(), reversed };
            let window = cursor.window::<(i64, Uuid)>()?;
            let position = call.fresh(params.min_position).await?;
            let found = call.api.queries().runs(&filter, &window).await;
            let found = found.map_err(|error| Problem::query(call.correlation, &error))?;
            page(&call, cursor, found, position, |row| ((row.started_at, row.id), Run::of(row, None)))
        })
        .await
}

/// A text that the database can look for.
pub(crate) fn text(name: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if text.contains('\0') => Err(Problem::invalid(format!("`{name}` must not hold a zero byte"))),
        text => Ok(text),
    }
}

/// How long to wait, and for what.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ShowRun {
    /// How long to wait for the run's end, such as `30s`, at most 60 s; the answer is the run as it stands then.
    #[param(pattern = "^([0-9]{1,4}ms|[1-5]?[0-9]s|60s|[01]m)$")]
    pub(crate) wait: Option<String>,
    /// The position that the answer has to reflect.
    min_position: Option<u64>,
}

/// Shows a run with its steps and outputs. With `Accept: text/event-stream` it tells the run's events as they happen.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}", tag = "runs",
    params(("id" = Uuid, Path, description = "Which run."), ShowRun,
        ("If-None-Match" = Option<String>, Header, description = "The ETag that the client has."),
        ("Last-Event-ID" = Option<u64>, Header, description = "Of events: where to go on.")),
    responses(
        (status = 200, description = "The run, or its events.",
            content((Run = "application/json"), (String = "text/event-stream"))),
        (status = 204, description = "Of events: there will be no more."),
        (status = 304, description = "It is as the client knows it."),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    call: Call,
    id: Path<Uuid>,
    params: Params<ShowRun>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (id, Params(params)) = (id.into_inner(), params);
    if call.prefers("text/event-stream") {
        return progress(call, RunId::from_uuid(id), last_event(request.headers())?, &request).await;
    }
    let patience = params.wait.as_deref().map(wait).transpose()?;
    let within = call.clone();
    let answer = call.api.run(call.correlation, async move {
        if let Some(patience) = patience {
            ended(&within, RunId::from_uuid(id), patience).await?;
        }
        shown(&within, id, params.min_position, StatusCode::OK).await
    });
    Ok(answer.await?.respond_to(&request))
}

/// A run as it is now: whatever is recorded of it is in the answer, whether the read model had it already or not.
pub(crate) async fn shown(call: &Call, id: Uuid, min: Option<u64>, status: StatusCode) -> Result<Answer, Problem> {
    let failed = |error| Problem::read(call.correlation, &error);
    let queried = |error: projections::Error| Problem::query(call.correlation, &error);
    let stream = StreamId::from(RunId::from_uuid(id));
    let known = call.api.commands().executor().load::<domain::Run>(stream).await.map_err(failed)?;
    let Some(revision) = known.revision else { return Err(Problem::no_run(id)) };
    if status == StatusCode::OK && call.has(revision) {
        return Ok(Answer::empty(StatusCode::NOT_MODIFIED).revision(Some(revision)));
    }
    let last = call.api.journal().read_stream(stream, revision, 1).await.map_err(failed)?;
    let own = last.first().map_or(0, |event| event.position.as_u64());
    let position = call.fresh(Some(own.max(min.unwrap_or(0)))).await?;
    let queries = call.api.queries();
    let Some(row) = queries.run(id).await.map_err(queried)? else { return Err(Problem::no_run(id)) };
    let steps = queries.steps_of_runs(&[id]).await.map_err(queried)?;
    Ok(Answer::json(call, status, &Run::of(row, Some(steps)))?.revision(Some(revision)).at(position))
}

/// Which events are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListEvents {
    /// How many, 50 when nothing is said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// Lists the events of a run's own stream, oldest first, straight from the journal.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/events", tag = "runs",
    params(("id" = Uuid, Path, description = "Which run."), ListEvents),
    responses(
        (status = 200, description = "A page of events.", body = EventPage),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn events(call: Call, id: Path<Uuid>, params: Params<ListEvents>) -> Result<Answer, Problem> {
    let (id, Params(params)) = (id.into_inner(), params);
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let call = within;
            let cursor = Cursor { limit: params.limit, after: params.after.as_deref(), reversed: false };
            let window = cursor.window::<u64>()?;
            let failed = |error| Problem::read(call.correlation, &error);
            let journal = call.api.journal();
            let head = journal.head().await.map_err(failed)?;
            let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
            let from = window.after.map_or(0, |last| last.saturating_add(1));
            let stream = StreamId::from(RunId::from_uuid(id));
            let rows = journal.read_stream(stream, from, limit.saturating_add(1)).await.map_err(failed)?;
            if rows.is_empty() && journal.read_stream(stream, 0, 1).await.map_err(failed)?.is_empty() {
                return Err(Problem::no_run(id));
            }
            let has_more = rows.len() > limit;
            let events = rows.iter().take(limit).map(|row| Ok((row.revision, Event::of(row)?)));
            let events = events.collect::<Result<Vec<_>, Box<dyn std::error::Error + Send + Sync>>>();
            let rows = events.map_err(|error| Problem::internal(call.correlation, &*error))?;
            page(&call, cursor, projections::Page { rows, has_more }, head, |row| row)
        })
        .await
}

/// Why a run stands where it stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explained {
    /// Which run.
    run: Uuid,
    /// Where it stands.
    status: String,
    /// What has to happen next for the run to go on; empty only when it has ended.
    next: Vec<Waiting>,
    /// Each step that has not completed, in the order of the definition.
    steps: Vec<ExplainedStep>,
}

/// Why a step stands where it stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExplainedStep {
    /// Which step.
    step: String,
    /// Where it stands.
    status: String,
    /// What it waits for.
    cause: Waiting,
}

/// What something waits for.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Waiting {
    /// The kind of cause, such as `attempt`, `retry`, `approval`, `timer`, `limit` or `paused`.
    kind: String,
    /// The step that it is about.
    step: Option<String>,
    /// The platform that is being called.
    platform: Option<String>,
    /// The limit that makes it wait.
    limit: Option<String>,
    /// The other run that it waits for.
    run: Option<Uuid>,
    /// Since when it waits.
    #[schema(format = DateTime)]
    since: Option<String>,
    /// When it goes on, or is over.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// Why, in words: of a pause its reason, of a retry the error.
    reason: Option<String>,
}

impl Waiting {
    fn of(cause: &Cause) -> Self {
        let tagged = serde_json::to_value(cause).unwrap_or_default();
        let kind = tagged.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        let at = |moment: domain::Timestamp| moment.as_micros();
        let (mut since, mut until) = (None, None);
        let mut waiting = Self { kind, ..Self::default() };
        match cause {
            Cause::Paused { reason, since: paused, .. } => {
                waiting.reason = Some(reason.clone());
                since = Some(at(*paused));
            }
            Cause::Limit { limit, next_start, since: queued, .. } => {
                waiting.limit = Some(limit.to_string());
                (since, until) = (queued.map(at), next_start.map(at));
            }
            Cause::Attempt { platform, since: started, .. } => {
                waiting.platform = Some(platform.clone());
                since = started.map(at);
            }
            Cause::Retry { at: next, error, .. } => {
                waiting.reason = Some(error.clone());
                until = Some(at(*next));
            }
            Cause::Resting { at: next, .. } => until = Some(at(*next)),
            Cause::Approval { step, since: asked, expires_at, .. } => {
                waiting.step = Some(step.to_string());
                (since, until) = (asked.map(at), expires_at.map(at));
            }
            Cause::Timer { step, at: fires, since: started } => {
                waiting.step = Some(step.to_string());
                (since, until) = (started.map(at), Some(at(*fires)));
            }
            Cause::Signal { step, since: started, .. } => {
                waiting.step = Some(step.to_string());
                since = started.map(at);
            }
            Cause::Child { step, run, since: started, .. } => {
                (waiting.step, waiting.run) = (Some(step.to_string()), Some(run.as_uuid()));
                since = started.map(at);
            }
            Cause::Grace { until: cut } => until = Some(at(*cut)),
            Cause::Undo { step, .. } => waiting.step = Some(step.to_string()),
            _ => {}
        }
        Self { since: moments(since), at: moments(until), ..waiting }
    }
}

/// Explains why a run stands where it stands, straight from the journal.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/explanation", tag = "runs",
    params(("id" = Uuid, Path, description = "Which run.")),
    responses(
        (status = 200, description = "Why it stands there.", body = Explained),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn explain(call: Call, id: Path<Uuid>) -> Result<Answer, Problem> {
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let head = within.api.journal().head().await;
            let head = head.map_err(|error| Problem::read(within.correlation, &error))?;
            let explained = within.api.commands().explain(RunId::from_uuid(id.into_inner())).await;
            let Explanation { run, status, next, steps, .. } = explained.map_err(|error| within.refused(error))?;
            let steps = steps.into_iter().map(|step| ExplainedStep {
                step: step.step.to_string(),
                status: step.status.name().to_owned(),
                cause: Waiting::of(&step.cause),
            });
            let explained = Explained {
                run: run.as_uuid(),
                status: status.name().to_owned(),
                next: next.iter().map(Waiting::of).collect(),
                steps: steps.collect(),
            };
            Ok(Answer::json(&within, StatusCode::OK, &explained)?.at(head))
        })
        .await
}
