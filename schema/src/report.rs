//! What a run came to, as a document.

use async_graphql::{Context, Enum, Result};
use output::{Format, Report};

use crate::failure;
use crate::query::correlation;
use crate::words::Language;

/// How a document is written. Word documents come over REST and from the command line.
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
