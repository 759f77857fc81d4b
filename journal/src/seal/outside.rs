//! The copy of all statements outside of the journal: a file that is only ever appended to, one JSON object a line.
//!
//! Invariant: the lines are the statements of the stream from its first on, without gaps; one that could not be written
//! is written before the next.

use std::path::{Path, PathBuf};

use domain::{Event, SealEvent, Seals};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::{Journal, ReadError};

/// A line of the file.
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
    /// The journal failed.
    #[error("the seals cannot be read")]
    Journal(#[from] ReadError),
}

/// The file, and how much of the stream it holds.
#[derive(Debug)]
pub struct Outside {
    path: PathBuf,
    /// The next revision to write; unknown until the file was looked at.
    next: Option<u64>,
}

impl Outside {
    /// How many statements are read at a time.
    const PAGE: usize = 1000;

    /// At a path; nothing is read yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), next: None }
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

    /// Appends what the stream of seals has and the file does not.
    ///
    /// # Errors
    /// When the file or the journal fails; the next call goes on where this one ended.
    pub async fn catch_up(&mut self, journal: &dyn Journal) -> Result<(), OutsideError> {
        let mut next = match self.next {
            Some(next) => next,
            None => self.look().await?,
        };
        loop {
            let page = journal.read_stream(Seals::STREAM, next, Self::PAGE).await?;
            let mut lines = Vec::new();
            for event in &page {
                let Ok(Event::Seal(statement)) = event.event() else { continue };
                let kept = Kept { revision: event.revision, statement: statement.clone() };
                serde_json::to_writer(&mut lines, &kept).map_err(|error| self.failed(error.into()))?;
                lines.push(b'\n');
                next = event.revision + 1;
            }
            if !lines.is_empty() {
                self.next = None;
                self.append(&lines).await.map_err(|error| self.failed(error))?;
            }
            self.next = Some(next);
            if page.len() < Self::PAGE {
                return Ok(());
            }
        }
    }

    /// Where the file ends; half a line at its end, which a crash left, is cut off.
    async fn look(&self) -> Result<u64, OutsideError> {
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
