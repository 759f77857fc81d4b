//! A request in free words on its way to a task: the template that does it, and what the request says of its parameters.
//! Whoever builds the API says who finds and reads; this room only starts what came of it.

use std::time::Duration;

use actix_web::http::StatusCode;
use commands::{Request, StartTask};
use domain::template::TemplateBody;
use domain::workflow::Assignee;
use domain::{Bilingual, CommandId, Key};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::call::id;
use crate::{Call, Problem};

/// How long a model is waited for when nobody says how long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Finds templates and reads requests, as GraphQL's `prepareTask` does.
pub trait Errands: Send + Sync + 'static {
    /// Makes a request ready, as far as it says what is needed.
    ///
    /// # Errors
    /// `TEMPLATE_NOT_FOUND`, whatever refuses the task by which a model is asked, or the journal's failure.
    fn prepare(&self, request: Request, wish: ErrandWish) -> BoxFuture<'_, Result<Errand, commands::Error>>;
}

/// What somebody wants done.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrandWish {
    /// In their words.
    pub request: String,
    /// The template that does it; `None` takes the one that fits best, or the one for free requests where none does.
    pub template: Option<Key>,
    /// How long a model is waited for that reads what the rules cannot; `None` asks no model.
    pub model: Option<Duration>,
    /// Parameters that are given.
    pub parameters: Map<String, Value>,
}

/// What has become of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Errand {
    /// The template that does it.
    pub template: Key,
    /// All parameters that are known.
    pub parameters: Map<String, Value>,
    /// What has to be asked back.
    pub missing: Vec<MissingParameter>,
    /// The run in which a model still reads.
    pub reads: Option<Uuid>,
}

/// A parameter that is required, has no default and is not known.
#[derive(Debug, Clone, PartialEq)]
pub struct MissingParameter {
    /// Its name.
    pub name: String,
    /// Its type in JSON Schema; `any` when the schema does not say.
    pub kind: String,
    /// What people call it.
    pub title: Bilingual,
    /// What belongs there.
    pub description: Bilingual,
    /// The values among which it must be, when there are only some.
    pub choices: Vec<Value>,
    /// Values that somebody might give.
    pub examples: Vec<Value>,
}

/// A parameter that has to be given, because the request does not say it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Lacking {
    /// Its name.
    name: String,
    /// Its type in JSON Schema, such as `string`; `any` when the schema does not say.
    r#type: String,
    /// What people call it.
    title: String,
    /// The same in Arabic.
    title_ar: Option<String>,
    /// What belongs there.
    description: String,
    /// The same in Arabic.
    description_ar: Option<String>,
    /// The values among which it must be, when there are only some.
    choices: Vec<Value>,
    /// Values that somebody might give.
    examples: Vec<Value>,
}

impl From<MissingParameter> for Lacking {
    fn from(missing: MissingParameter) -> Self {
        let MissingParameter { name, kind, title, description, choices, examples } = missing;
        Self {
            name,
            r#type: kind,
            title: title.en,
            title_ar: title.ar,
            description: description.en,
            description_ar: description.ar,
            choices,
            examples,
        }
    }
}

/// Who reads a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reader {
    /// Rules that do not guess.
    Rules,
    /// Rules, and then a model for what is required and they cannot read. That is a run of its own.
    Model,
}

/// A request that is read before it is started.
pub(crate) struct Asked {
    pub(crate) request: String,
    pub(crate) template: Option<Key>,
    pub(crate) reader: Reader,
    pub(crate) parameters: Map<String, Value>,
    pub(crate) agent: Assignee,
    pub(crate) priority: i32,
    pub(crate) form: Option<domain::task::Form>,
}

impl Asked {
    /// The task that it comes to.
    ///
    /// # Errors
    /// `PARAMETERS_MISSING` with what has to be given, `READING_UNDER_WAY` while a model reads, or why it cannot be prepared.
    pub(crate) async fn task(
        self,
        call: &Call,
        request: &Request,
        patience: Option<Duration>,
    ) -> Result<StartTask, Problem> {
        let Self { request: text, template, reader, parameters, agent, priority, form } = self;
        let task = |template, parameters| StartTask { template, agent, parameters, priority, form };
        if let Some(command) = request.command {
            let found = call.api.journal().find_command(command).await;
            if found.map_err(|error| Problem::read(call.correlation, &error))?.is_some() {
                // It is started already, and whoever starts it again gets the first answer whatever is asked.
                let any = crate::start::key("template", TemplateBody::FREE_REQUEST)?;
                return Ok(task(any, Value::Object(parameters)));
            }
        }
        // The reading is a command of its own, and one for each idempotency key.
        let reading = |command: CommandId| {
            let own = command.as_uuid();
            let parts = std::iter::once(own.as_bytes().as_slice());
            CommandId::from_uuid(id("hishamos 2026 command id of the reading of a request", parts))
        };
        let reading = Request { command: request.command.map(reading), ..request.clone() };
        let model = (reader == Reader::Model).then(|| patience.unwrap_or(PATIENCE));
        let wish = ErrandWish { request: text, template, model, parameters };
        let errand = call.api.errands().prepare(reading, wish).await.map_err(|error| call.refused(error))?;
        if let Some(run) = errand.reads {
            let detail =
                format!("a model still reads the request in run {run}; ask again with the same Idempotency-Key");
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "READING_UNDER_WAY", detail).after(2));
        }
        if !errand.missing.is_empty() {
            let names: Vec<&str> = errand.missing.iter().map(|missing| missing.name.as_str()).collect();
            let (template, names) = (&errand.template, names.join(", "));
            let detail = format!("template `{template}` needs more, so nothing was started; give {names}");
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "PARAMETERS_MISSING", detail);
            let missing = errand.missing.into_iter().map(Lacking::from).collect();
            return Err(problem.lacking(&errand.template, missing));
        }
        Ok(task(errand.template, Value::Object(errand.parameters)))
    }
}
