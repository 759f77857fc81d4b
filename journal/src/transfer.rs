//! Moving a whole journal from one back end to another, while the first is in use.
//!
//! Invariants: what the target holds is always the beginning of the source, event by event and byte by byte but for the
//! positions; a target that holds anything else is refused before anything is written. So an interrupted transfer goes
//! on where it was. Every chain of the source is checked as it is read, and every chain of the target when all is
//! there; nothing that is damaged is copied.

use std::sync::Arc;

use crate::chain::{self, Entry, Report, Verifier};
use crate::{Import, ImportError, Journal, Position, ReadError};

/// How many events are read at a time.
const PAGE: usize = 2000;

/// A transfer under way.
pub struct Transfer {
    source: Arc<dyn Journal>,
    target: Arc<dyn Journal>,
    importer: Box<dyn Import>,
    verifier: Verifier,
    progress: Progress,
}

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// How many events the target had already; they are the same.
    pub compared: u64,
    /// How many were copied.
    pub copied: u64,
    /// Where the transfer is in the source.
    pub source: Position,
    /// Where the source ended when it was last looked at.
    pub source_head: Position,
    /// Where the target ends.
    pub target: Position,
}

/// Why a transfer does not go on.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The source cannot be read.
    #[error("the journal to copy from cannot be read")]
    Source(#[source] ReadError),
    /// The target cannot be read.
    #[error("the journal to copy to cannot be read")]
    Target(#[source] ReadError),
    /// The target cannot be written.
    #[error("the journal to copy to cannot be written")]
    Write(#[source] ImportError),
    /// The target is not the beginning of the source.
    #[error("the journal to copy to is not the beginning of the one to copy from: {0}")]
    NotPrefix(String),
    /// The source is damaged.
    #[error("the journal to copy from is damaged: {} faults, the first: {}", .0.faults, .0.findings.first().map_or_else(String::new, ToString::to_string))]
    Damaged(Box<Report>),
}

/// The bytes of an event without its place, which is the only thing that differs.
fn same(one: &Entry, two: &Entry) -> bool {
    let placeless = |entry: &Entry| Entry { position: Position::START, ..entry.clone() };
    placeless(one) == placeless(two)
}

fn name(entry: &Entry) -> String {
    format!("event {} at position {}", entry.id, entry.position)
}

impl Transfer {
    /// Begins, by comparing what the target holds already.
    ///
    /// # Errors
    /// When either cannot be read, or the target holds something else.
    pub async fn begin(
        source: Arc<dyn Journal>,
        target: Arc<dyn Journal>,
        importer: Box<dyn Import>,
        mut report: impl FnMut(&Progress) + Send,
    ) -> Result<Self, TransferError> {
        let verifier = Verifier::new(source.gapless());
        let mut transfer = Self { source, target, importer, verifier, progress: Progress::default() };
        loop {
            transfer.look().await?;
            let there =
                transfer.target.read_entries(transfer.progress.target, PAGE).await.map_err(TransferError::Target)?;
            let Some(last) = there.last() else { return Ok(transfer) };
            let end = last.position;
            let mut mine = Vec::with_capacity(there.len());
            while mine.len() < there.len() {
                let after = mine.last().map_or(transfer.progress.source, |entry: &Entry| entry.position);
                let page = transfer
                    .source
                    .read_entries(after, there.len() - mine.len())
                    .await
                    .map_err(TransferError::Source)?;
                if page.is_empty() {
                    break;
                }
                mine.extend(page);
            }
            for (index, theirs) in there.iter().enumerate() {
                match mine.get(index) {
                    Some(ours) if same(ours, theirs) => {}
                    Some(ours) => {
                        let (ours, theirs) = (name(ours), name(theirs));
                        return Err(TransferError::NotPrefix(format!("it has {theirs} where the other has {ours}")));
                    }
                    None => {
                        let theirs = name(theirs);
                        return Err(TransferError::NotPrefix(format!("it goes on with {theirs} where the other ends")));
                    }
                }
            }
            transfer.progress.compared += u64::try_from(there.len()).unwrap_or(u64::MAX);
            transfer.progress.target = end;
            transfer.take(mine)?;
            report(&transfer.progress);
        }
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress
    }

    async fn look(&mut self) -> Result<(), TransferError> {
        self.progress.source_head = self.source.head().await.map_err(TransferError::Source)?;
        Ok(())
    }

    /// Checks events of the source that the target has now.
    fn take(&mut self, entries: Vec<Entry>) -> Result<(), TransferError> {
        for entry in entries {
            self.progress.source = entry.position;
            self.verifier.check(entry);
        }
        if self.verifier.faults() == 0 {
            return Ok(());
        }
        let verifier = std::mem::take(&mut self.verifier);
        Err(TransferError::Damaged(Box::new(verifier.finish(self.progress.source))))
    }

    /// Copies the next events; whether there were any.
    ///
    /// # Errors
    /// When either side fails, the source is damaged, or somebody else writes to the target.
    pub async fn step(&mut self) -> Result<bool, TransferError> {
        self.look().await?;
        let page = self.source.read_entries(self.progress.source, PAGE).await.map_err(TransferError::Source)?;
        if page.is_empty() {
            return Ok(false);
        }
        // First checked, then written.
        let (count, kept) = (page.len(), page.clone());
        self.take(page)?;
        self.progress.target = self.importer.import(&kept).await.map_err(TransferError::Write)?;
        self.progress.copied += u64::try_from(count).unwrap_or(u64::MAX);
        Ok(true)
    }

    /// Checks every chain of the target, and that it has as many events; answers what was found on both sides.
    ///
    /// # Errors
    /// When the target cannot be read.
    pub async fn finish(self) -> Result<(Report, Report), TransferError> {
        let source = self.verifier.finish(self.progress.source);
        let target = chain::verify(&*self.target).await.map_err(TransferError::Target)?;
        if (source.events, source.streams) != (target.events, target.streams) {
            return Err(TransferError::NotPrefix(format!(
                "it has {} events in {} streams, the other {} in {}",
                target.events, target.streams, source.events, source.streams
            )));
        }
        Ok((source, target))
    }
}
