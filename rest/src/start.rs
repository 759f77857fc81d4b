//! Starting runs: of a workflow with an input, of a workflow with files, and of a single task.

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Path, ServiceConfig};
use commands::{Request, RunTaskAgain, StartRun, StartTask, Started};
use domain::Key;
use domain::template::TemplateBody;
use domain::workflow::Assignee;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::body::Body;
use crate::errand::{Asked, Reader};
use crate::problem::{Details, only};
use crate::run::{Run, list, shown};
use crate::upload;
use crate::watch::{ended, wait};
use crate::{Answer, Call, Json, Params, Problem};

/// How long a request may be that is read, in characters.
const LONGEST_REQUEST: usize = 2000;

pub(crate) fn routes(config: &mut ServiceConfig) {
    let runs = web::resource("/runs").route(web::get().to(list)).route(web::post().to(start));
    config
        .service(runs.default_service(only("GET, POST")))
        .service(web::resource("/workflows/{key}/runs").route(web::post().to(upload)).default_service(only("POST")))
        .service(web::resource("/tasks").route(web::post().to(task)).default_service(only("POST")));
}

/// A run to start.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct StartRunBody {
    /// The key of the workflow.
    #[schema(min_length = 1, max_length = 64)]
    workflow: String,
    /// Which version; the active one when nothing is said.
    version: Option<u32>,
    /// The input, an object that fits the workflow's schema.
    #[serde(default)]
    #[schema(value_type = Option<Object>, required = false)]
    input: Option<Map<String, Value>>,
    /// Which runs go first when a limit makes them wait: higher before lower.
    #[serde(default)]
    #[schema(minimum = -100, maximum = 100)]
    priority: i32,
    /// How much of the output layer is asked for; as much as is usual here when nothing is said: every part, unless the
    /// configuration says otherwise.
    output: Option<OutputForm>,
}

/// A task to carry out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct StartTaskBody {
    /// The key of the template that says what is done. When nothing is said it is `free-request`, or, with `read`, the one that
    /// fits the request best.
    #[schema(min_length = 1, max_length = 64)]
    template: Option<String>,
    /// What is wanted, in free words: the parameter `request` of the template, unless `read` says who reads it.
    #[schema(min_length = 1)]
    request: Option<String>,
    /// Who reads the template and its parameters out of `request`. What is required and nobody reads is a problem with all that
    /// is `missing`, and nothing is started then.
    read: Option<Reader>,
    /// The key of the agent that does it; the best one is chosen when nothing is said, or `auto`.
    #[schema(min_length = 1, max_length = 64)]
    agent: Option<String>,
    /// The template's other parameters.
    #[serde(default)]
    #[schema(value_type = Option<Object>, required = false)]
    parameters: Option<Map<String, Value>>,
    /// Which runs go first when a limit makes them wait: higher before lower.
    #[serde(default)]
    #[schema(minimum = -100, maximum = 100)]
    priority: i32,
    /// How much of the output layer is asked for; as much as is usual here when nothing is said: every part, unless the
    /// configuration says otherwise.
    output: Option<OutputForm>,
}

/// How much of the output layer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OutputForm {
    /// Answers as the templates ask for them.
    Text,
    /// Every part (summary, results, improvements, critique, alternatives, action items), of the steps on which no other
    /// step waits.
    Last,
    /// Every part, of every step.
    Every,
}

impl From<OutputForm> for domain::task::Form {
    fn from(form: OutputForm) -> Self {
        match form {
            OutputForm::Text => Self::Text,
            OutputForm::Last => Self::Last,
            OutputForm::Every => Self::Every,
        }
    }
}

/// Whether to wait for the result.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Patience {
    /// How long to wait for the run's end, such as `30s`, at most 60 s; the answer is the run as it stands then.
    #[param(pattern = "^([0-9]{1,4}ms|[1-5]?[0-9]s|60s|[01]m)$")]
    pub(crate) wait: Option<String>,
}

/// What an upload is for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Upload {
    /// How long to wait for the run's end, such as `30s`, at most 60 s; the answer is the run as it stands then.
    #[param(pattern = "^([0-9]{1,4}ms|[1-5]?[0-9]s|60s|[01]m)$")]
    wait: Option<String>,
    /// Which value of the input the text is, when the body is one text.
    r#as: Option<String>,
    /// Which version of the workflow; the active one when nothing is said.
    version: Option<u32>,
    /// How much of the output layer is asked for; as much as is usual here when nothing is said: every part, unless the
    /// configuration says otherwise.
    #[param(inline)]
    output: Option<OutputForm>,
}

/// A command was carried out, and the read model does not show its effect yet.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Accepted {
    /// The run.
    id: Uuid,
    /// Where the effect stands in the journal; ask for the run with it as `minPosition`.
    position: String,
}

impl Accepted {
    pub(crate) fn of(id: Uuid, position: journal::Position) -> Self {
        Self { id, position: position.to_string() }
    }
}

/// Starts a run of a workflow.
#[utoipa::path(
    post, path = "/api/v1/runs", tag = "runs", request_body = StartRunBody,
    params(Patience, ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
        min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 201, description = "The run.", body = Run),
        (status = 202, description = "It is started and will show in a moment.", body = Accepted),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn start(call: Call, params: Params<Patience>, body: Json<StartRunBody>) -> Result<Answer, Problem> {
    let Json { value, bytes } = body;
    let start = StartRun {
        workflow: key("workflow", &value.workflow)?,
        version: value.version,
        input: Value::Object(value.input.unwrap_or_default()),
        priority: value.priority,
        idempotency_key: None,
        subject: None,
        form: value.output.map(Into::into),
    };
    begun(call, params.0.wait, bytes, Wish::Run(start)).await
}

/// Starts a run of a workflow with files: as a form whose parts are the values of the input, as one text, or as JSON.
#[utoipa::path(
    post, path = "/api/v1/workflows/{key}/runs", tag = "runs",
    request_body(description = "The input.", content(
        (Object = "application/json"), (Object = "multipart/form-data"), (String = "text/plain"), (String = "text/markdown"))),
    params(("key" = String, Path, description = "The key of the workflow."), Upload,
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
        min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 201, description = "The run.", body = Run),
        (status = 202, description = "It is started and will show in a moment.", body = Accepted),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn upload(
    call: Call,
    workflow: Path<String>,
    params: Params<Upload>,
    body: Body,
) -> Result<Answer, Problem> {
    let Params(Upload { wait, r#as, version, output }) = params;
    let bytes = body.bytes.clone();
    let workflow = key("workflow", &workflow)?;
    let input = upload::input(body, r#as.as_deref()).await?;
    let form = output.map(Into::into);
    let start = StartRun { workflow, version, input, priority: 0, idempotency_key: None, subject: None, form };
    begun(call, wait, bytes, Wish::Run(start)).await
}

/// Carries out one template, or a request in free words, by one agent, as a run with a single step.
#[utoipa::path(
    post, path = "/api/v1/tasks", tag = "runs", request_body = StartTaskBody,
    params(Patience, ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
        min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 201, description = "The run; its output has `text` and `json`.", body = Run),
        (status = 202, description = "It is started and will show in a moment.", body = Accepted),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn task(call: Call, params: Params<Patience>, body: Json<StartTaskBody>) -> Result<Answer, Problem> {
    let Json { value, bytes } = body;
    if value.template.is_none() && value.request.is_none() {
        return Err(Problem::invalid("`template` or `request` must say what is to be done"));
    }
    let mut parameters = value.parameters.unwrap_or_default();
    let agent = key("agent", value.agent.as_deref().unwrap_or(Assignee::AUTO))?.into();
    if let Some(reader) = value.read {
        let request = value.request.filter(|text| !text.trim().is_empty() && text.chars().count() <= LONGEST_REQUEST);
        let asked = Asked {
            request: request.ok_or_else(|| {
                Problem::invalid(format!("with `read`, `request` must have 1 to {LONGEST_REQUEST} characters"))
            })?,
            template: value.template.as_deref().map(|text| key("template", text)).transpose()?,
            reader,
            parameters,
            agent,
            priority: value.priority,
            form: value.output.map(Into::into),
        };
        return begun(call, params.0.wait, bytes, Wish::Asked(Box::new(asked))).await;
    }
    if let Some(request) = value.request
        && parameters.insert("request".to_owned(), request.into()).is_some()
    {
        return Err(Problem::invalid("`request` and the parameter of this name are the same; give one of them"));
    }
    let task = StartTask {
        template: key("template", value.template.as_deref().unwrap_or(TemplateBody::FREE_REQUEST))?,
        agent,
        parameters: Value::Object(parameters),
        priority: value.priority,
        form: value.output.map(Into::into),
    };
    begun(call, params.0.wait, bytes, Wish::Task(task)).await
}

/// What is to be started.
pub(crate) enum Wish {
    Run(StartRun),
    Task(StartTask),
    Again(Box<RunTaskAgain>),
    Asked(Box<Asked>),
}

pub(crate) async fn begun(call: Call, patience: Option<String>, body: Bytes, wish: Wish) -> Result<Answer, Problem> {
    let patience = patience.as_deref().map(wait).transpose()?;
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let call = within;
            let request = call.begin(&body).await?;
            let started = match wish {
                Wish::Run(start) => call.api.commands().start_run(request.clone(), start).await,
                Wish::Task(task) => call.api.commands().start_task(request.clone(), task).await,
                Wish::Asked(asked) => {
                    let task = asked.task(&call, &request, patience).await?;
                    call.api.commands().start_task(request.clone(), task).await
                }
                Wish::Again(again) => call.api.commands().run_task_again(request.clone(), *again).await,
            };
            let started = started.map_err(|error| call.refused(error))?;
            if let Some(patience) = patience {
                ended(&call, started.run, patience).await?;
            }
            answer(&call, &request, &started).await
        })
        .await
}

/// What is answered about a run that was started now, or by the same request before.
pub(crate) async fn answer(call: &Call, request: &Request, started: &Started) -> Result<Answer, Problem> {
    let repeated = started.outcome.repeated;
    if repeated {
        call.same(request).await?;
    }
    let (run, position) = (started.run.as_uuid(), started.outcome.position);
    let answer = match shown(call, run, Some(position.as_u64()), StatusCode::CREATED).await {
        // It is started all the same; who hears of an error would start it again.
        Err(problem) if problem.is_stale() => {
            let accepted = Accepted::of(run, position);
            Answer::json(call, StatusCode::ACCEPTED, &accepted)?.at(position)
        }
        answer => answer?,
    };
    Ok(answer.location(format!("{}/runs/{run}", crate::PREFIX)).replayed(repeated))
}

/// A key that is one.
pub(crate) fn key(name: &str, text: &str) -> Result<Key, Problem> {
    text.parse().map_err(|error| Problem::invalid(format!("`{name}`: {error}")))
}
