//! What a run came to, as a document.

use async_graphql::{Context, Enum, Result};
use output::{Format, Outcome, Report};
use uuid::Uuid;

use crate::failure;
use crate::mutation::commands;
use crate::query::{correlation, queries};
use crate::words::Language;

/// How a document is written. Word documents and PDF come over REST and from the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Enum)]
pub(crate) enum DocumentFormat {
    /// CommonMark with tables.
    #[default]
    Markdown,
    /// One HTML page with nothing outside it.
    Html,
    /// The report as data.
    Json,
}

impl From<DocumentFormat> for Format {
    fn from(format: DocumentFormat) -> Self {
        match format {
            DocumentFormat::Markdown => Self::Markdown,
            DocumentFormat::Html => Self::Html,
            DocumentFormat::Json => Self::Json,
        }
    }
}

/// Writes a report; a long one takes a while, in which others are answered.
pub(crate) async fn write(
    context: &Context<'_>,
    report: Report,
    format: DocumentFormat,
    language: Option<Language>,
) -> Result<String> {
    let language = language.map(Into::into);
    let written = tokio::task::spawn_blocking(move || output::render(&report, format.into(), language));
    let inside = |error: &(dyn std::error::Error + 'static)| failure::internal_for(correlation(context), error);
    let bytes = written.await.map_err(|error| inside(&error))?.map_err(|error| inside(&error))?;
    String::from_utf8(bytes).map_err(|error| inside(&error))
}

/// What the tasks of a run have ended in.
pub(crate) async fn outcomes(context: &Context<'_>, run: Uuid) -> Result<Vec<Outcome>> {
    let queried = |error: projections::Error| failure::query(context, &error);
    if let Some(past) = crate::as_of::past_above(context) {
        return past.outcomes(run).await.map_err(queried);
    }
    let tasks = queries(context)?.tasks_of_runs(&[run]).await.map_err(queried)?;
    let mut outcomes = Vec::new();
    for row in tasks.into_iter().filter(|row| row.status == "completed" && !row.undoes) {
        let ended = commands(context)?.ended_task(domain::TaskId::from_uuid(row.id)).await;
        let task = ended.map_err(|error| failure::command(context, error))?;
        outcomes.extend(projections::outcome(&row, &task));
    }
    Ok(outcomes)
}
