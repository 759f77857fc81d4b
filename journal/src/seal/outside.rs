//! The copy of all statements outside of the journal: in a file that is only ever appended to, one JSON object a line, or
//! in whatever else is an [`Outside`].
//!
//! Invariant: what is there are the statements of the stream from its first on, without gaps; one that could not be
//! written is written before the next.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use domain::{Event, SealEvent, Seals};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::{Journal, ReadError};

/// A place outside of the journal that keeps statements.
#[async_trait]
pub trait Outside: Debug + Send + Sync + 'static {
    /// The place in the stream of seals of the first statement that is not there.
    ///
    /// # Errors
    /// When the place cannot be looked at.
    async fn next(&self) -> Result<u64, OutsideError>;

    /// Keeps statements that follow on what is there. One that is there already may come again.
    ///
    /// # Errors
    /// When not all of them could be kept; the first ones may have been.
    async fn keep(&self, statements: &[Kept]) -> Result<(), OutsideError>;
}

/// A statement as it is kept; a line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The statement's place in the stream of seals.
    pub revision: u64,
    /// The statement.
    pub statement: SealEvent,
}

/// The copy could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    /// The file failed.
    #[error("the outside copy of the seals, {}, cannot be read or written", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line is no statement.
    #[error("line {line} of {} is no statement of a seal: {what}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// Another place failed.
    #[error("the outside copy of the seals at {place} cannot be kept: {what}")]
    Place {
        /// Which place, without secrets.
        place: String,
        /// Why.
        what: String,
    },
    /// The journal failed.
    #[error("the seals cannot be read")]
    Journal(#[from] ReadError),
}

/// Brings a place up to date, and remembers how far it is.
#[derive(Debug)]
pub(super) struct Copying {
    place: Arc<dyn Outside>,
    /// The next revision to keep; unknown until the place was looked at, and after a failure.
    next: Option<u64>,
}

impl Copying {
    /// How many statements are read at a time.
    const PAGE: usize = 1000;

    pub(super) fn to(place: Arc<dyn Outside>) -> Self {
        Self { place, next: None }
    }

    /// Keeps what the stream of seals has and the place does not.
    ///
    /// # Errors
    /// When the place or the journal fails; the next call goes on where this one ended.
    pub(super) async fn catch_up(&mut self, journal: &dyn Journal) -> Result<(), OutsideError> {
        let mut next = match self.next.take() {
            Some(next) => next,
            None => self.place.next().await?,
        };
        loop {
            let page = journal.read_stream(Seals::STREAM, next, Self::PAGE).await?;
            let statements: Vec<Kept> = page
                .iter()
                .filter_map(|event| match event.event() {
                    Ok(Event::Seal(statement)) => Some(Kept { revision: event.revision, statement: statement.clone() }),
                    _ => None,
                })
                .collect();
            if let Some(last) = statements.last() {
                self.place.keep(&statements).await?;
                next = last.revision + 1;
            }
            if page.len() < Self::PAGE {
                self.next = Some(next);
                return Ok(());
            }
        }
    }
}

/// A file, one statement a line.
#[derive(Debug)]
pub struct OutsideFile {
    path: PathBuf,
}

impl OutsideFile {
    /// At a path; nothing is read yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Everything in a file, in its order. A last line that was cut off by a crash does not count.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something else.
    pub async fn read(path: &Path) -> Result<Vec<Kept>, OutsideError> {
        let failed = |source| OutsideError::File { path: path.to_owned(), source };
        let file = tokio::fs::File::open(path).await.map_err(failed)?;
        let mut reader = BufReader::new(file);
        let (mut kept, mut line) = (Vec::new(), String::new());
        for number in 1.. {
            line.clear();
            let read = reader.read_line(&mut line).await.map_err(failed)?;
            if read == 0 || !line.ends_with('\n') {
                break;
            }
            let parsed = serde_json::from_str(&line);
            kept.push(parsed.map_err(|error| OutsideError::Line {
                path: path.to_owned(),
                line: number,
                what: error.to_string(),
            })?);
        }
        Ok(kept)
    }

    async fn append(&self, lines: &[u8]) -> std::io::Result<()> {
        let mut file = tokio::fs::OpenOptions::new().append(true).create(true).open(&self.path).await?;
        file.write_all(lines).await?;
        file.flush().await?;
        file.sync_data().await
    }

    fn failed(&self, source: std::io::Error) -> OutsideError {
        OutsideError::File { path: self.path.clone(), source }
    }
}

#[async_trait]
impl Outside for OutsideFile {
    /// Where the file ends; half a line at its end, which a crash left, is cut off.
    async fn next(&self) -> Result<u64, OutsideError> {
        let kept = match Self::read(&self.path).await {
            Ok(kept) => kept,
            Err(OutsideError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let text = tokio::fs::read(&self.path).await.map_err(|error| self.failed(error))?;
        if text.last().is_some_and(|last| *last != b'\n') {
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
            let file = tokio::fs::OpenOptions::new().write(true).open(&self.path).await;
            let file = file.map_err(|error| self.failed(error))?;
            let length = u64::try_from(whole).unwrap_or(0);
            file.set_len(length).await.map_err(|error| self.failed(error))?;
        }
        Ok(kept.last().map_or(0, |last| last.revision + 1))
    }

    async fn keep(&self, statements: &[Kept]) -> Result<(), OutsideError> {
        let mut lines = Vec::new();
        for kept in statements {
            serde_json::to_writer(&mut lines, kept).map_err(|error| self.failed(error.into()))?;
            lines.push(b'\n');
        }
        self.append(&lines).await.map_err(|error| self.failed(error))
    }
}
