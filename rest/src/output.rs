//! The answer of a task, whole or as it comes.

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
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

/// What was told of a task's answer before; the id of an event says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// So many bytes of an attempt, as `ATTEMPT-BYTES`.
    UpTo { attempt: u32, offset: usize },
    /// Everything, and how the task ended, as `end`.
    All,
}

impl Told {
    /// Where a client wants to go on.
    fn last(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(given) = headers.get("last-event-id") else { return Ok(None) };
        let told = given.to_str().ok().and_then(|text| Self::parse(text.trim()));
        let wrong = "Last-Event-ID must be the id of an event of this stream, or must not be there";
        told.map(Some).ok_or_else(|| Problem::invalid(wrong))
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "end" {
            return Some(Self::All);
        }
        let (attempt, offset) = text.split_once('-')?;
        Some(Self::UpTo { attempt: attempt.parse().ok()?, offset: offset.parse().ok()? })
    }
}

/// A piece as a server-sent event.
fn message(output: commands::Output) -> Result<String, Failed> {
    let (name, id) = match output.end {
        Some(_) => ("end", "end".to_owned()),
        None => ("piece", format!("{}-{}", output.piece.attempt, output.piece.offset + output.piece.text.len())),
    };
    // JSON has no line breaks in it, so one line of data is enough.
    let data = serde_json::to_string(&Output::from(output))?;
    Ok(format!("id: {id}\nevent: {name}\ndata: {data}\n\n"))
}

/// Shows what a task has answered: all of it once the task has ended; before, what its attempt has said on this node.
/// With `Accept: text/event-stream` it tells the answer as it is given, on whichever node that happens, in events `piece`
/// and at last `end`, each with an `Output`. Whoever comes back with the last id goes on after it, on the same node or another,
/// also when the task has ended meanwhile; it begins anew, with an `offset` of 0, when another attempt speaks or counts by then.
#[utoipa::path(
    get, path = "/api/v1/tasks/{id}/output", tag = "runs",
    params(("id" = Uuid, Path, description = "Which task."),
        ("Last-Event-ID" = Option<String>, Header, description = "Of pieces: where to go on.")),
    responses(
        (status = 200, description = "What the task has answered, or its answer in pieces.",
            content((Output = "application/json"), (String = "text/event-stream"))),
        (status = 204, description = "Of pieces: there will be no more."),
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
        let last = Told::last(request.headers())?;
        if last == Some(Told::All) {
            return Ok(Answer::empty(StatusCode::NO_CONTENT).respond_to(&request));
        }
        return stream_to(&call, async move {
            let followed = match (opened.await?, last) {
                (followed, Some(Told::UpTo { attempt, offset })) => followed.after(attempt, offset),
                (followed, _) => followed,
            };
            Ok(try_unfold(followed, |mut followed| async move {
                let Some(output) = followed.next().await? else { return Ok::<_, Failed>(None) };
                Ok(Some((message(output)?, followed)))
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
