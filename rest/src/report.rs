//! What a run came to, as a document.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY};
use actix_web::web::{self, Path, ServiceConfig};
use domain::{RunId, StreamId};
use output::{Format, Outcome};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::problem::{Details, only};
use crate::{Answer, Call, Params, Problem};

pub(crate) fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/runs/{id}/output").route(web::get().to(document)).default_service(only("GET")));
}

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Wanted {
    /// CommonMark with tables.
    #[default]
    Md,
    /// One HTML page with nothing outside it.
    Html,
    /// The report as data.
    Json,
    /// A Word document.
    Docx,
    /// PDF.
    Pdf,
}

impl From<Wanted> for Format {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Md => Self::Markdown,
            Wanted::Html => Self::Html,
            Wanted::Json => Self::Json,
            Wanted::Docx => Self::Docx,
            Wanted::Pdf => Self::Pdf,
        }
    }
}

/// The language of a document's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    /// English.
    En,
    /// Arabic.
    Ar,
}

impl From<Language> for domain::Language {
    fn from(language: Language) -> Self {
        match language {
            Language::En => Self::English,
            Language::Ar => Self::Arabic,
        }
    }
}

/// Which document is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ShowOutput {
    /// How it is written; Markdown when nothing is said.
    #[param(inline)]
    format: Option<Wanted>,
    /// The language of the document's own words; when nothing is said, the one that most of it is written in.
    #[param(inline)]
    language: Option<Language>,
    /// The position that the answer has to reflect.
    min_position: Option<u64>,
}

/// Shows what a run came to, over all its steps, as a document that can be taken away.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/output", tag = "runs",
    params(("id" = Uuid, Path, description = "Which run."), ShowOutput),
    responses(
        (status = 200, description = "The document.", content(
            (String = "text/markdown; charset=utf-8"), (String = "text/html; charset=utf-8"), (Object = "application/json"),
            (Vec<u8> = "application/pdf"), (Vec<u8> = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        )),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn document(call: Call, id: Path<Uuid>, params: Params<ShowOutput>) -> Result<Answer, Problem> {
    let (id, Params(params)) = (id.into_inner(), params);
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let call = within;
            let failed = |error| Problem::read(call.correlation, &error);
            // Whatever is recorded of the run is in the document, whether the read model had it already or not.
            let stream = StreamId::from(RunId::from_uuid(id));
            let known = call.api.commands().executor().load::<domain::Run>(stream).await.map_err(failed)?;
            let Some(revision) = known.revision else { return Err(Problem::no_run(id)) };
            let last = call.api.journal().read_stream(stream, revision, 1).await.map_err(failed)?;
            let own = last.first().map_or(0, |event| event.position.as_u64());
            let position = call.fresh(Some(own.max(params.min_position.unwrap_or(0)))).await?;
            let report = call.api.queries().report(id).await;
            let report = report.map_err(|error| Problem::query(call.correlation, &error))?;
            let report = report.ok_or_else(|| Problem::no_run(id))?;
            let report = report.with_outcomes(outcomes(&call, id).await?);
            let format = Format::from(params.format.unwrap_or_default());
            let name = format!("{}-{id}.{}", report.workflow, format.name());
            let language = params.language.map(Into::into);
            let written = tokio::task::spawn_blocking(move || output::render(&report, format, language));
            let inside = |error: &(dyn std::error::Error + 'static)| Problem::internal(call.correlation, error);
            let body = written.await.map_err(|error| inside(&error))?.map_err(|error| inside(&error))?;
            let disposition = if format.is_text() { "inline" } else { "attachment" };
            let answer = Answer::text(StatusCode::OK, format.media_type(), body)
                .with(CONTENT_DISPOSITION, format!("{disposition}; filename=\"{name}\""))
                // The page holds what models wrote; it may neither run anything nor fetch anything.
                .with(CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; sandbox".to_owned());
            Ok(answer.at(position))
        })
        .await
}

/// What the tasks of a run have ended in.
async fn outcomes(call: &Call, run: Uuid) -> Result<Vec<Outcome>, Problem> {
    let tasks = call.api.queries().tasks_of_runs(&[run]).await;
    let tasks = tasks.map_err(|error| Problem::query(call.correlation, &error))?;
    let mut outcomes = Vec::new();
    for row in tasks.into_iter().filter(|row| row.status == "completed" && !row.undoes) {
        let ended = call.api.commands().ended_task(domain::TaskId::from_uuid(row.id)).await;
        let task = ended.map_err(|error| Problem::command(call.correlation, error))?;
        outcomes.extend(projections::outcome(&row, &task));
    }
    Ok(outcomes)
}
