//! `hishamos output`: what a run came to, as a document.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use output::{Format, Report};
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::Client;
use super::failure::Failure;
use super::terminal::Terminal;

const OUTPUT: &str = "query($run: UUID!) { run(id: $run) { document(format: JSON) } }";

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wanted {
    /// Markdown
    Md,
    /// One HTML page
    Html,
    /// The report as data
    Json,
    /// A Word document
    Docx,
    /// PDF
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// English
    En,
    /// Arabic
    Ar,
}

/// Which document is wanted, and where it goes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Ask {
    /// The run's id
    run: Uuid,
    /// How it is written (default: by the ending of the file, else md)
    #[arg(long, value_enum)]
    format: Option<Wanted>,
    /// The file that it is written to, in place of one that is there; `-` for standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The language of the document's own words (default: the one that most of it is written in)
    #[arg(long, value_enum)]
    language: Option<Language>,
}

impl Ask {
    /// The format that was asked for, or that the file's name says; with `--json` alone, data.
    fn format(&self, as_json: bool) -> Result<Format, Failure> {
        if let Some(wanted) = self.format {
            return Ok(wanted.into());
        }
        let Some(file) = self.file() else { return Ok(if as_json { Format::Json } else { Format::Markdown }) };
        let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
        Format::named(&ending).ok_or_else(|| {
            let known = Format::ALL.map(Format::name).join(", ");
            Failure::usage(format!("`{}` does not say which format it is; --format takes {known}", file.display()))
        })
    }

    fn file(&self) -> Option<&Path> {
        self.out.as_deref().filter(|file| *file != Path::new("-"))
    }
}

/// `hishamos output`.
pub(crate) async fn output(client: &Client, terminal: &mut Terminal, as_json: bool, ask: Ask) -> Result<(), Failure> {
    let format = ask.format(as_json)?;
    if !format.is_text() && ask.out.is_none() {
        let message = format!("a {} file is no text; say where it goes with --out FILE", format.name());
        return Err(Failure::usage(message));
    }
    let report = fetch(client, ask.run).await?;
    let language = ask.language.map(|language| match language {
        Language::En => domain::Language::English,
        Language::Ar => domain::Language::Arabic,
    });
    let bytes = output::render(&report, format, language).context("the document could not be written")?;
    let Some(file) = ask.file() else {
        // A closed pipe on the other side is no error of ours.
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(&bytes).and_then(|()| out.flush());
        return Ok(());
    };
    std::fs::write(file, &bytes).with_context(|| format!("{} could not be written", file.display()))?;
    if as_json {
        terminal.json(&json!({ "file": file, "format": format.name(), "bytes": bytes.len() }));
    } else {
        terminal.line(format!("wrote {}", file.display()));
    }
    Ok(())
}

async fn fetch(client: &Client, run: Uuid) -> Result<Report, Failure> {
    let data = client.ask(OUTPUT, json!({ "run": run })).await?;
    match data.pointer("/run/document").and_then(Value::as_str) {
        Some(text) => Ok(serde_json::from_str(text).context("the server's report cannot be read")?),
        None => Err(Failure::Refused { code: "RUN_NOT_FOUND".to_owned(), message: format!("there is no run {run}") }),
    }
}
