//! Agents, templates and workflows as files: listed, read, written after validation, and exported as a whole.

use actix_web::http::StatusCode;
use actix_web::web::{self, Path, ServiceConfig};
use commands::catalog::{self, CatalogErrors};
use commands::{Outcome, Request};
use domain::{Agent, AgentId, CommandId, Key, StreamId, Template, TemplateId, Workflow, WorkflowId};
use journal::Position;
use projections::CatalogFilter;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::body::{Body, wrong_type};
use crate::problem::{Details, Fault, only};
use crate::run::text;
use crate::start::key;
use crate::{Answer, Call, Cursor, Params, Problem, page};

/// The type of a catalogue file.
const YAML: &str = "application/yaml";

pub(crate) fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/catalogue").route(web::get().to(export)).default_service(only("GET")));
    config.service(web::resource("/catalogue/{kind}").route(web::get().to(list)).default_service(only("GET")));
    let entry = web::resource("/catalogue/{kind}/{key}").route(web::get().to(show)).route(web::put().to(write));
    config.service(entry.default_service(only("GET, PUT")));
}

/// What a file describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Agents.
    Agents,
    /// Templates.
    Templates,
    /// Workflows.
    Workflows,
}

/// An entry of the catalogue in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EntryFace {
    /// Its key.
    key: String,
    /// What people call it.
    title: String,
    /// Whose it is.
    department: String,
    /// Its newest version.
    version: i32,
    /// Whether it takes new work: an agent that is enabled, a workflow with an active version.
    active: bool,
}

/// A page of entries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntryPage {
    /// The entries of this page.
    items: Vec<EntryFace>,
    /// Pass it as `after` for the next page; null when this is the last one.
    next: Option<String>,
}

/// An entry of the catalogue.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    /// Its key.
    key: String,
    /// Its newest version.
    version: u32,
    /// That version as a catalogue file, in YAML.
    file: String,
}

/// A file that could be written.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Checked {
    /// The key of what it describes.
    key: String,
    /// The file as it would be written, in YAML.
    file: String,
}

/// All that is registered, as files.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Export {
    /// The files; written into a directory, they are a catalogue.
    files: Vec<File>,
}

/// One file.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct File {
    /// Its name below the directory of the catalogue.
    name: String,
    /// What stands in it, in YAML.
    text: String,
}

/// Which entries are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListEntries {
    /// Only with this text in the key, name or title.
    text: Option<String>,
    /// Only of this department.
    department: Option<String>,
    /// How many, 50 when nothing is said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
    /// The position that the answer has to reflect.
    min_position: Option<u64>,
}

/// Lists agents, templates or workflows by key.
#[utoipa::path(
    get, path = "/api/v1/catalogue/{kind}", tag = "catalogue",
    params(("kind" = Kind, Path, description = "What is listed."), ListEntries),
    responses(
        (status = 200, description = "A page of entries.", body = EntryPage),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(call: Call, kind: Path<Kind>, params: Params<ListEntries>) -> Result<Answer, Problem> {
    let (kind, Params(params)) = (kind.into_inner(), params);
    let (search, department) = (text("text", params.text)?, text("department", params.department)?);
    let filter = CatalogFilter { text: search, department, ..CatalogFilter::default() };
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let call = within;
            let cursor = Cursor { limit: params.limit, after: params.after.as_deref(), reversed: false };
            let window = cursor.window::<String>()?;
            text("after", window.after.clone())?;
            let position = call.fresh(params.min_position).await?;
            let (queries, failed) = (call.api.queries(), |error| Problem::query(call.correlation, &error));
            let face = |key: String, title, department, version, active| {
                (key.clone(), EntryFace { key, title, department, version, active })
            };
            match kind {
                Kind::Agents => {
                    let found = queries.agents(&filter, &window).await.map_err(failed)?;
                    page(&call, cursor, found, position, |row| {
                        face(row.key, row.name, row.department, row.version, row.enabled)
                    })
                }
                Kind::Templates => {
                    let found = queries.templates(&filter, &window).await.map_err(failed)?;
                    page(&call, cursor, found, position, |row| {
                        face(row.key, row.title, row.department, row.version, true)
                    })
                }
                Kind::Workflows => {
                    let found = queries.workflows(&filter, &window).await.map_err(failed)?;
                    page(&call, cursor, found, position, |row| {
                        face(row.key, row.name, row.department, row.newest_version, row.active_version.is_some())
                    })
                }
            }
        })
        .await
}

/// Shows an entry as it is in the journal. With `Accept: application/yaml` the answer is its catalogue file.
#[utoipa::path(
    get, path = "/api/v1/catalogue/{kind}/{key}", tag = "catalogue",
    params(("kind" = Kind, Path, description = "What it is."), ("key" = String, Path, description = "Its key."),
        ("If-None-Match" = Option<String>, Header, description = "The ETag that the client has.")),
    responses(
        (status = 200, description = "The entry.", content((Entry = "application/json"), (String = "application/yaml"))),
        (status = 304, description = "It is as the client knows it."),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(call: Call, at: Path<(Kind, String)>) -> Result<Answer, Problem> {
    let (kind, name) = at.into_inner();
    let name = key("key", &name)?;
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let head = within.api.journal().head().await;
            let head = head.map_err(|error| Problem::read(within.correlation, &error))?;
            shown(&within, kind, &name, head).await
        })
        .await
}

async fn shown(call: &Call, kind: Kind, key: &Key, position: Position) -> Result<Answer, Problem> {
    let executor = call.api.commands().executor();
    let failed = |error| Problem::read(call.correlation, &error);
    let (revision, version, written) = match kind {
        Kind::Agents => {
            let loaded = executor.load::<Agent>(StreamId::from(AgentId::from_key(key))).await.map_err(failed)?;
            (
                loaded.revision,
                loaded.state.version(),
                loaded.state.profile().map(|profile| catalog::agent_to_yaml(profile)),
            )
        }
        Kind::Templates => {
            let loaded = executor.load::<Template>(StreamId::from(TemplateId::from_key(key))).await.map_err(failed)?;
            (loaded.revision, loaded.state.version(), loaded.state.body().map(|body| catalog::template_to_yaml(body)))
        }
        Kind::Workflows => {
            let loaded = executor.load::<Workflow>(StreamId::from(WorkflowId::from_key(key))).await.map_err(failed)?;
            let newest = loaded.state.newest();
            let definition = loaded.state.version(newest);
            (loaded.revision, newest, definition.map(|definition| catalog::workflow_to_yaml(definition)))
        }
    };
    let (Some(revision), Some(written)) = (revision, written) else { return Err(missing(kind, key)) };
    if call.has(revision) {
        return Ok(Answer::empty(StatusCode::NOT_MODIFIED).revision(Some(revision)));
    }
    let file = written.map_err(|error| Problem::internal(call.correlation, &error))?;
    let answer = if call.prefers(YAML) {
        Answer::text(StatusCode::OK, YAML, file.into_bytes())
    } else {
        Answer::json(call, StatusCode::OK, &Entry { key: key.to_string(), version, file })?
    };
    Ok(answer.revision(Some(revision)).at(position))
}

fn missing(kind: Kind, key: &Key) -> Problem {
    let (code, what) = match kind {
        Kind::Agents => ("AGENT_NOT_FOUND", "agent"),
        Kind::Templates => ("TEMPLATE_NOT_FOUND", "template"),
        Kind::Workflows => ("WORKFLOW_NOT_FOUND", "workflow"),
    };
    Problem::new(StatusCode::NOT_FOUND, code, format!("there is no {what} `{key}`"))
}

/// What is done with a file.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WriteEntry {
    /// Only looks whether the file is right; records nothing. Whether the agents and templates of a workflow exist is
    /// looked at when it is written.
    #[serde(default)]
    #[param(required = false)]
    check: bool,
    /// Whether new runs use this version of the workflow from now on; yes when nothing is said. Agents and templates
    /// do not care.
    activate: Option<bool>,
}

/// Writes an agent, a template or a workflow from its catalogue file, in YAML or JSON. A file that says what is there
/// already changes nothing.
#[utoipa::path(
    put, path = "/api/v1/catalogue/{kind}/{key}", tag = "catalogue",
    request_body(description = "The catalogue file.", content((String = "application/yaml"), (Object = "application/json"))),
    params(("kind" = Kind, Path, description = "What it is."), ("key" = String, Path, description = "Its key."), WriteEntry,
        ("If-Match" = Option<String>, Header, description = "The ETag of the entry that was changed."),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 200, description = "The entry, or what was checked.",
            content((Entry = "application/json"), (String = "application/yaml"))),
        (status = "default", description = "A problem; `errors` says each thing that is wrong with the file, and where.",
            body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn write(
    call: Call,
    at: Path<(Kind, String)>,
    params: Params<WriteEntry>,
    body: Body,
) -> Result<Answer, Problem> {
    let ((kind, name), Params(params)) = (at.into_inner(), params);
    let name = key("key", &name)?;
    if !matches!(
        body.media_type.as_str(),
        "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml" | "application/json"
    ) {
        return Err(wrong_type("application/yaml or application/json"));
    }
    let file = std::str::from_utf8(&body.bytes).map_err(|error| {
        let detail = format!("the file is not UTF-8; the first wrong byte is byte {}", error.valid_up_to());
        Problem::new(StatusCode::BAD_REQUEST, "BODY_INVALID", detail)
    })?;
    let described = Described::read(kind, &format!("{name}.yaml"), file)?;
    if *described.key() != name {
        let key = described.key();
        return Err(Problem::invalid(format!("the file describes `{key}`, but the path says `{name}`")));
    }
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let call = within;
            if params.check {
                let file = described.yaml().map_err(|error| Problem::internal(call.correlation, &error))?;
                return Answer::json(&call, StatusCode::OK, &Checked { key: name.to_string(), file });
            }
            let request = call.begin(&body.bytes).await?;
            let activate = params.activate.unwrap_or(true);
            let done = described.record(&call, request.clone(), activate).await.map_err(|error| call.refused(error))?;
            if done.repeated {
                call.same(&request).await?;
            }
            Ok(shown(&call, kind, &name, done.position).await?.replayed(done.repeated))
        })
        .await
}

/// What a file says.
enum Described {
    Agent(Box<domain::agent::Profile>),
    Template(Box<domain::template::TemplateBody>),
    Workflow(Box<domain::Definition>),
}

impl Described {
    fn read(kind: Kind, name: &str, file: &str) -> Result<Self, Problem> {
        let read = match kind {
            Kind::Agents => catalog::parse_agent(name, file).map(|profile| Self::Agent(Box::new(profile))),
            Kind::Templates => catalog::parse_template(name, file).map(|body| Self::Template(Box::new(body))),
            Kind::Workflows => {
                catalog::parse_workflow(name, file).map(|definition| Self::Workflow(Box::new(definition)))
            }
        };
        read.map_err(|errors| faulty(&errors))
    }

    fn key(&self) -> &Key {
        match self {
            Self::Agent(profile) => &profile.key,
            Self::Template(body) => &body.key,
            Self::Workflow(definition) => &definition.key,
        }
    }

    fn yaml(&self) -> Result<String, impl std::error::Error + 'static> {
        match self {
            Self::Agent(profile) => catalog::agent_to_yaml(profile),
            Self::Template(body) => catalog::template_to_yaml(body),
            Self::Workflow(definition) => catalog::workflow_to_yaml(definition),
        }
    }

    async fn record(self, call: &Call, request: Request, activate: bool) -> Result<Outcome, commands::Error> {
        let commands = call.commands();
        match self {
            Self::Agent(profile) => commands.register_agent(request, *profile).await,
            Self::Template(body) => commands.register_template(request, *body).await,
            Self::Workflow(definition) => {
                let key = definition.key.clone();
                let (version, drafted) = commands.draft_workflow(request.clone(), *definition).await?;
                if !activate {
                    return Ok(drafted);
                }
                let command = request.command.map(second);
                let request = Request { command, ..request };
                // The draft has moved it on from what the caller has seen.
                let (_, activated) = call.api.commands().activate_workflow(request, &key, Some(version)).await?;
                Ok(Outcome { repeated: drafted.repeated, ..activated })
            }
        }
    }
}

/// The id of the second command of a request, the same whenever the first is the same.
fn second(command: CommandId) -> CommandId {
    let mixed = command.as_uuid().as_u128().rotate_left(61);
    CommandId::from_uuid(uuid::Builder::from_custom_bytes(mixed.to_be_bytes()).into_uuid())
}

fn faulty(errors: &CatalogErrors) -> Problem {
    let faults = errors.as_slice().iter().map(|error| Fault {
        message: error.fault.to_string(),
        field: error.field.clone(),
        line: error.place.map(|place| place.line),
        column: error.place.map(|place| place.column),
    });
    let detail = format!("the file is wrong: {errors}");
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "CATALOG_INVALID", detail).with_errors(faults.collect())
}

/// Exports everything that is registered, as catalogue files. Reads the journal from its beginning.
#[utoipa::path(
    get, path = "/api/v1/catalogue", tag = "catalogue",
    responses(
        (status = 200, description = "The files.", body = Export),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn export(call: Call) -> Result<Answer, Problem> {
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let head = within.api.journal().head().await;
            let head = head.map_err(|error| Problem::read(within.correlation, &error))?;
            let registered = within.api.commands().registered().await.map_err(|error| within.refused(error))?;
            let files = registered
                .into_iter()
                .map(|entry| File { name: format!("{}/{}.yaml", entry.kind.folder(), entry.key), text: entry.yaml });
            Ok(Answer::json(&within, StatusCode::OK, &Export { files: files.collect() })?.at(head))
        })
        .await
}
