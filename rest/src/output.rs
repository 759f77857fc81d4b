//! The answer of a task, whole or as it comes.

use actix_web::http::StatusCode;
use actix_web::web::{self, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Responder};
use commands::FollowedTask;
use domain::TaskId;
use futures_util::FutureExt;
use futures_util::stream::try_unfold;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problem::{Details, only};
use crate::watch::{Failed, stream_to};
use crate::{Answer, Call, Problem};

pub(crate) fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/tasks/{id}/output").route(web::get().to(output)).default_service(only("GET")));
}

/// A piece of a task's answer, or all of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Output {
    /// The attempt that says it, from 1; 0 when none was begun.
    attempt: u32,
    /// Where it stands in the text of the attempt, in bytes of UTF-8. It follows on the piece before, or begins anew at 0.
    offset: usize,
    /// The text.
    text: String,
    /// How the task ended, once it has: `completed`, `failed` or `cancelled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<&'static str>,
}

impl From<commands::Output> for Output {
    fn from(output: commands::Output) -> Self {
        let commands::Output { piece, end } = output;
        Self {
            attempt: piece.attempt,
            offset: piece.offset,
            text: piece.text,
            end: end.map(domain::task::TaskStatus::name),
        }
    }
}

/// Shows what a task has answered: all of it once the task has ended; before, what its attempt has said on this node.
/// With `Accept: text/event-stream` it tells the answer as it is given, on whichever node that happens, in events `piece`
/// and at last `end`, each with an `Output`. The pieces are no events of the journal: a new stream begins at the beginning.
#[utoipa::path(
    get, path = "/api/v1/tasks/{id}/output", tag = "runs",
    params(("id" = Uuid, Path, description = "Which task.")),
    responses(
        (status = 200, description = "What the task has answered, or its answer in pieces.",
            content((Output = "application/json"), (String = "text/event-stream"))),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn output(call: Call, id: Path<Uuid>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = id.into_inner();
    let opening = call.clone();
    let opened = async move {
        let opened = FollowedTask::open(opening.api.commands(), TaskId::from_uuid(id)).await;
        opened.map_err(|error| Problem::read(opening.correlation, &error))?.ok_or_else(|| Problem::no_task(id))
    };
    if call.prefers("text/event-stream") {
        return stream_to(&call, async move {
            Ok(try_unfold(opened.await?, |mut followed| async move {
                let Some(output) = followed.next().await? else { return Ok::<_, Failed>(None) };
                let name = if output.end.is_some() { "end" } else { "piece" };
                // JSON has no line breaks in it, so one line of data is enough.
                let data = serde_json::to_string(&Output::from(output))?;
                Ok(Some((format!("event: {name}\ndata: {data}\n\n"), followed)))
            }))
        })
        .await;
    }
    let within = call.clone();
    let shown = call.api.run(call.correlation, async move {
        let mut followed = opened.await?;
        let said = if followed.has_ended() {
            followed.next().await.map(Some)
        } else {
            followed.next().now_or_never().transpose()
        };
        let said = said.map_err(|error| Problem::read(within.correlation, &error))?.flatten();
        let nothing = Output { attempt: 0, offset: 0, text: String::new(), end: None };
        Answer::json(&within, StatusCode::OK, &said.map_or(nothing, Output::from))
    });
    Ok(shown.await?.respond_to(&request))
}
