//! Steering runs: pausing, resuming, stopping, signals, and new runs that take over a run's history.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Path, ServiceConfig};
use commands::{Branch, Changes, Commands, Outcome};
use domain::run::{Overrides, PauseClock, StepOverride};
use domain::workflow::Assignee;
use domain::{RunId, StepName};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problem::{Details, only};
use crate::run::{Run, shown};
use crate::start::{Accepted, answer, key};
use crate::{Answer, Call, Json, Problem};

/// The longest that running attempts may go on after somebody cancelled their run.
const MAX_GRACE_MS: u64 = 86_400_000;

pub(crate) fn routes(config: &mut ServiceConfig) {
    let post = |path: &str, route: actix_web::Route| web::resource(path).route(route).default_service(only("POST"));
    config
        .service(post("/runs/{id}/pause", web::post().to(pause)))
        .service(post("/runs/{id}/resume", web::post().to(resume)))
        .service(post("/runs/{id}/cancel", web::post().to(cancel)))
        .service(post("/runs/{id}/signals", web::post().to(signal)))
        .service(post("/runs/{id}/retry", web::post().to(retry)))
        .service(post("/runs/{id}/rerun", web::post().to(rerun)))
        .service(post("/runs/{id}/fork", web::post().to(fork)));
}

/// What happens to timers, deadlines and expiries during a pause.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Clock {
    /// They stand still.
    #[default]
    Frozen,
    /// They go on.
    Running,
}

/// A pause.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PauseBody {
    /// Why.
    #[serde(default)]
    reason: String,
    /// What happens to timers, deadlines and expiries.
    #[serde(default)]
    clock: Clock,
}

/// The end of a pause.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ResumeBody {}

/// A wish that a run stops.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CancelBody {
    /// Why.
    #[serde(default)]
    reason: String,
    /// How many milliseconds running attempts may go on before they are cut; 5 s when nothing is said.
    #[schema(maximum = 86400000)]
    grace_ms: Option<u64>,
}

/// A signal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SignalBody {
    /// Its name: 1 to 64 of a-z, 0-9 and `_`, starting with a letter.
    #[schema(pattern = "^[a-z][a-z0-9_]{0,63}$")]
    signal: String,
    /// What it carries.
    #[serde(default)]
    #[schema(required = false)]
    payload: Value,
}

/// What a new run does differently from the one whose history it takes over.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ChangesBody {
    /// Other input; steps that are kept have used the old one.
    #[schema(value_type = Option<Object>, required = false)]
    input: Option<Map<String, Value>>,
    /// Another version of the workflow.
    version: Option<u32>,
    /// The model for every task, whatever its agent names.
    model: Option<String>,
    /// Other agents or templates for single steps.
    #[serde(default)]
    steps: Vec<StepChange>,
}

/// Another agent or template for a step.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct StepChange {
    /// Which step.
    step: String,
    /// The key of its agent from now on; `auto` lets the best one be chosen.
    agent: Option<String>,
    /// The key of its template from now on.
    template: Option<String>,
}

/// A failed or cancelled run that is to be tried again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RetryBody {
    /// What is different this time.
    #[serde(default)]
    #[schema(required = false)]
    changes: Option<ChangesBody>,
}

/// A run that is to be done again from some steps on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RerunBody {
    /// The steps that are done again, with all that follow from them; at least one.
    #[schema(min_items = 1)]
    from: Vec<String>,
    /// What is different this time.
    #[serde(default)]
    #[schema(required = false)]
    changes: Option<ChangesBody>,
}

/// A run that is to branch off another at an event.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ForkBody {
    /// The `revision` of the last event that is taken over; steps that had completed by then are kept.
    revision: u64,
    /// What is different this time.
    #[serde(default)]
    #[schema(required = false)]
    changes: Option<ChangesBody>,
}

impl ChangesBody {
    fn changes(changes: Option<Self>) -> Result<Changes, Problem> {
        let changes = changes.unwrap_or_default();
        let mut steps = Vec::new();
        for change in changes.steps {
            let keyed = |text: Option<String>| text.map(|text| key("changes.steps", &text)).transpose();
            let (agent, template) = (keyed(change.agent)?.map(Assignee::from), keyed(change.template)?);
            steps.push(StepOverride { step: step("changes.steps.step", &change.step)?, agent, template });
        }
        steps.sort_by(|one, other| one.step.cmp(&other.step));
        let overrides = Overrides { model: changes.model, steps };
        Ok(Changes { input: changes.input.map(Value::Object), version: changes.version, overrides })
    }
}

/// A name that is one.
pub(crate) fn step(name: &str, text: &str) -> Result<StepName, Problem> {
    text.parse().map_err(|error| Problem::invalid(format!("`{name}`: {error}")))
}

/// What is asked of one run.
enum Wish {
    Pause(String, PauseClock),
    Resume,
    Cancel(String, Duration),
    Signal(StepName, Value),
    Branch(Branch, Box<Changes>),
}

async fn steered(call: Call, id: Uuid, body: Bytes, wish: Wish) -> Result<Answer, Problem> {
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let (call, run) = (within, RunId::from_uuid(id));
            let request = call.begin(&body).await?;
            let (commands, asked) = (call.commands(), request.clone());
            let done = match wish {
                Wish::Pause(reason, clock) => commands.pause_run(asked, run, reason, clock).await,
                Wish::Resume => commands.resume_run(asked, run).await,
                Wish::Cancel(reason, grace) => commands.cancel_run(asked, run, reason, grace).await,
                Wish::Signal(signal, payload) => commands.signal_run(asked, run, signal, payload).await,
                Wish::Branch(branch, changes) => {
                    let started = commands.branch_run(asked, run, branch, *changes).await;
                    return answer(&call, &request, &started.map_err(|error| call.refused(error))?).await;
                }
            };
            let done = done.map_err(|error| call.refused(error))?;
            if done.repeated {
                call.same(&request).await?;
            }
            told(&call, id, &done).await
        })
        .await
}

/// What is answered about a run that something was asked of.
pub(crate) async fn told(call: &Call, id: Uuid, done: &Outcome) -> Result<Answer, Problem> {
    let answer = match shown(call, id, Some(done.position.as_u64()), StatusCode::OK).await {
        Err(problem) if problem.is_stale() => {
            let accepted = Accepted::of(id, done.position);
            Answer::json(call, StatusCode::ACCEPTED, &accepted)?.at(done.position)
        }
        answer => answer?,
    };
    Ok(answer.replayed(done.repeated))
}

/// Lets nothing new of a run start until somebody resumes it.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/pause", tag = "runs", request_body = PauseBody,
    params(("id" = Uuid, Path, description = "Which run."),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the run that was decided upon.")),
    responses(
        (status = 200, description = "The run.", body = Run),
        (status = 202, description = "It is done and will show in a moment.", body = Accepted),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn pause(call: Call, id: Path<Uuid>, body: Json<PauseBody>) -> Result<Answer, Problem> {
    let Json { value, bytes } = body;
    let clock = match value.clock {
        Clock::Frozen => PauseClock::Frozen,
        Clock::Running => PauseClock::Running,
    };
    steered(call, id.into_inner(), bytes, Wish::Pause(value.reason, clock)).await
}

/// Lets a paused run go on.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/resume", tag = "runs", request_body = ResumeBody,
    params(("id" = Uuid, Path, description = "Which run."),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the run that was decided upon.")),
    responses(
        (status = 200, description = "The run.", body = Run),
        (status = 202, description = "It is done and will show in a moment.", body = Accepted),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn resume(call: Call, id: Path<Uuid>, body: Json<ResumeBody>) -> Result<Answer, Problem> {
    let Json { value, bytes } = body;
    let ResumeBody {} = value;
    steered(call, id.into_inner(), bytes, Wish::Resume).await
}

/// Asks a run to stop: nothing new starts, and running attempts get some time to end.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/cancel", tag = "runs", request_body = CancelBody,
    params(("id" = Uuid, Path, description = "Which run."),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the run that was decided upon.")),
    responses(
        (status = 200, description = "The run.", body = Run),
        (status = 202, description = "It is done and will show in a moment.", body = Accepted),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn cancel(call: Call, id: Path<Uuid>, body: Json<CancelBody>) -> Result<Answer, Problem> {
    let Json { value, bytes } = body;
    let grace = match value.grace_ms {
        None => Commands::GRACE,
        Some(grace) if grace <= MAX_GRACE_MS => Duration::from_millis(grace),
        Some(_) => return Err(Problem::invalid(format!("`graceMs` must be 0 to {MAX_GRACE_MS}"))),
    };
    steered(call, id.into_inner(), bytes, Wish::Cancel(value.reason, grace)).await
}

/// Gives a run a signal; a step that waits for it, now or later, goes on with its payload.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/signals", tag = "runs", request_body = SignalBody,
    params(("id" = Uuid, Path, description = "Which run."),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the run that was decided upon.")),
    responses(
        (status = 200, description = "The run.", body = Run),
        (status = 202, description = "It is done and will show in a moment.", body = Accepted),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn signal(call: Call, id: Path<Uuid>, body: Json<SignalBody>) -> Result<Answer, Problem> {
    let Json { value, bytes } = body;
    let signal = step("signal", &value.signal)?;
    steered(call, id.into_inner(), bytes, Wish::Signal(signal, value.payload)).await
}

/// Tries a failed or cancelled run again in a new run: what had completed is kept.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/retry", tag = "runs", request_body = RetryBody,
    params(("id" = Uuid, Path, description = "Which run."),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 201, description = "The new run.", body = Run),
        (status = 202, description = "It is done and will show in a moment.", body = Accepted),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn retry(call: Call, id: Path<Uuid>, body: Json<RetryBody>) -> Result<Answer, Problem> {
    let Json { value, bytes } = body;
    let changes = Box::new(ChangesBody::changes(value.changes)?);
    steered(call, id.into_inner(), bytes, Wish::Branch(Branch::Retry, changes)).await
}

/// Does a run again from some steps on, in a new run.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/rerun", tag = "runs", request_body = RerunBody,
    params(("id" = Uuid, Path, description = "Which run."),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 201, description = "The new run.", body = Run),
        (status = 202, description = "It is done and will show in a moment.", body = Accepted),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn rerun(call: Call, id: Path<Uuid>, body: Json<RerunBody>) -> Result<Answer, Problem> {
    let Json { value, bytes } = body;
    if value.from.is_empty() {
        return Err(Problem::invalid("`from` must name at least one step"));
    }
    let from = value.from.iter().map(|name| step("from", name)).collect::<Result<_, _>>()?;
    let changes = Box::new(ChangesBody::changes(value.changes)?);
    steered(call, id.into_inner(), bytes, Wish::Branch(Branch::Rerun { from }, changes)).await
}

/// Starts a new run that branches off another at an event: what had happened up to then is taken over.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/fork", tag = "runs", request_body = ForkBody,
    params(("id" = Uuid, Path, description = "Which run."),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 201, description = "The new run.", body = Run),
        (status = 202, description = "It is done and will show in a moment.", body = Accepted),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn fork(call: Call, id: Path<Uuid>, body: Json<ForkBody>) -> Result<Answer, Problem> {
    let Json { value, bytes } = body;
    let changes = Box::new(ChangesBody::changes(value.changes)?);
    let branch = Branch::Fork { revision: value.revision };
    steered(call, id.into_inner(), bytes, Wish::Branch(branch, changes)).await
}
