//! The output layer: what a run came to, compiled over its steps, as a document that people take away.
//!
//! A [`Report`] is data, made from what is recorded. [`render`] writes it as Markdown, HTML, JSON, Word or PDF; all but
//! JSON are written from the same structured text, so none of them says more than another.
//!
//! Invariants: no I/O, no clock and no chance: the same report gives the same bytes. Nothing is invented: what a run does
//! not have is absent or said to be absent, and what was simulated says so. Nothing that a model wrote becomes markup, and
//! no document fetches anything. Right-to-left texts go from right to left in every format that can say so.

mod ask;
mod compile;
mod compose;
mod direction;
mod docx;
mod html;
mod markdown;
mod marks;
mod pdf;
mod prose;
mod read;
mod report;
mod score;
mod words;

pub use ask::{Lacks, repair, request, revise, schema};
pub use compile::{Compiled, Outcome, Point, Said, Todo};
pub use direction::Direction;
pub use marks::{Mark, RunQuality, Sources};
pub use read::{Reading, read, read_data};
pub use report::{Failure, Part, Report};
pub use score::{Answer, quality};

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// CommonMark with tables.
    Markdown,
    /// One HTML page with nothing outside it.
    Html,
    /// The report as data.
    Json,
    /// A Word document (Office Open XML).
    Docx,
    /// PDF.
    Pdf,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Markdown, Self::Html, Self::Json, Self::Docx, Self::Pdf];

    /// How it is asked for, and how its files end.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Markdown => "md",
            Self::Html => "html",
            Self::Json => "json",
            Self::Docx => "docx",
            Self::Pdf => "pdf",
        }
    }

    /// The format of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// As HTTP names it.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Pdf => "application/pdf",
        }
    }

    /// Whether it is text that a terminal can show.
    #[must_use]
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Markdown | Self::Html | Self::Json)
    }
}

/// Why a document could not be written. Whatever a report holds can be written, so this is a failure of the program.
#[derive(Debug, thiserror::Error)]
#[error("the report of run {run} could not be written as {}", .format.name())]
pub struct Error {
    /// Of which run.
    pub run: String,
    /// As what.
    pub format: Format,
    /// What failed.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Writes a report. Its own words are in `language`; when none is named, in the one in which most of it is written.
///
/// # Errors
/// When the program fails at it.
pub fn render(report: &Report, format: Format, language: Option<domain::Language>) -> Result<Vec<u8>, Error> {
    let document = || compose::compose(report, language);
    let written: Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> = match format {
        Format::Markdown => markdown::write(&document()).map(String::into_bytes),
        Format::Html => Ok(html::write(&document()).into_bytes()),
        Format::Json => serde_json::to_vec_pretty(report).map_err(Into::into),
        Format::Docx => docx::write(&document()),
        Format::Pdf => pdf::write(&document()),
    };
    written.map_err(|source| Error { run: report.run.clone(), format, source })
}
