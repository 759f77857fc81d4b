//! A task done again, as it was or changed.

use actix_web::web::{self, Path, ServiceConfig};
use commands::RunTaskAgain;
use domain::TaskId;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problem::{Details, only};
use crate::run::Run;
use crate::start::{Accepted, OutputForm, Patience, Wish, begun, key};
use crate::{Answer, Call, Json, Params, Problem};

pub(crate) fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/tasks/{id}/again").route(web::post().to(again)).default_service(only("POST")));
}

/// What is different this time; what is not given stays as it was.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AgainBody {
    /// The key of the agent that does it, in its newest version; `auto` lets the best one be chosen.
    agent: Option<String>,
    /// The model, whatever the agent names.
    model: Option<String>,
    /// The version of the template.
    template_version: Option<u32>,
    /// Takes the newest versions of template and agent where none is named, instead of those that there were.
    #[serde(default)]
    latest: bool,
    /// Parameters in the place of those of the same names; null takes one away.
    #[serde(default)]
    #[schema(value_type = Object, required = false)]
    parameters: Map<String, Value>,
    /// Which runs go first when a limit makes them wait: higher before lower, -100 to 100.
    #[serde(default)]
    priority: i32,
    /// How much of the output layer is asked for; as much as was asked for then when nothing is said.
    output: Option<OutputForm>,
}

/// Does a task again that has ended, as a run with a single step. A task that was a step's is done by itself, with the
/// parameters that the step had made for it.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/again", tag = "runs", request_body = AgainBody,
    params(("id" = Uuid, Path, description = "Which task."), Patience,
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
        min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 201, description = "The run; its output has `text` and `json`.", body = Run),
        (status = 202, description = "It is started and will show in a moment.", body = Accepted),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn again(
    call: Call,
    id: Path<Uuid>,
    params: Params<Patience>,
    body: Json<AgainBody>,
) -> Result<Answer, Problem> {
    let Json { value, bytes } = body;
    let asked = RunTaskAgain {
        task: TaskId::from_uuid(id.into_inner()),
        agent: value.agent.as_deref().map(|agent| key("agent", agent)).transpose()?.map(Into::into),
        model: value.model,
        template_version: value.template_version,
        latest: value.latest,
        parameters: value.parameters,
        priority: value.priority,
        form: value.output.map(Into::into),
    };
    begun(call, params.0.wait, bytes, Wish::Again(Box::new(asked))).await
}
