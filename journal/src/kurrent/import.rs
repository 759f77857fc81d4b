//! Taking in another journal's events as they are.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::envelope::{self, Note, Part};
use super::names::Names;
use super::writer::Core;
use super::{OpenError, Options};
use crate::chain::Entry;
use crate::import::{Import, ImportError};
use crate::{AppendError, Position, ReadError};

/// How many events of one stream go into one write.
const RUN: usize = 500;
/// How many bytes these have at most, unless one alone has more.
const RUN_BYTES: usize = 4 * 1024 * 1024;

/// Writes events into a journal that nobody else writes to.
pub struct Importer {
    core: Arc<Core>,
}

impl Importer {
    /// For the journal of these options, whose cluster has to be reachable.
    ///
    /// # Errors
    /// When the cluster cannot be reached.
    pub async fn open(mut options: Options) -> Result<Self, OpenError> {
        let names = Names::new(&options.prefix).ok_or_else(|| OpenError::Prefix(options.prefix.clone()))?;
        options.patience = options.patience.min(Duration::from_secs(30));
        let (connection, head) = super::connected(&options, &names).await?;
        Ok(Self { core: Arc::new(Core::new(options, names, connection, head)) })
    }
}

#[async_trait]
impl Import for Importer {
    async fn import(&mut self, entries: &[Entry]) -> Result<Position, ImportError> {
        let mut position = Position::START;
        let mut rest = entries;
        while let Some(first) = rest.first() {
            let run = rest
                .iter()
                .take(RUN)
                .take_while(|entry| entry.stream == first.stream && entry.category == first.category)
                .scan(0, |bytes, entry| {
                    *bytes += entry.payload.len() + entry.metadata.len();
                    Some((*bytes, entry))
                })
                .take_while(|(bytes, entry)| *bytes <= RUN_BYTES || entry.revision == first.revision)
                .count();
            let (run, after) = rest.split_at(run.max(1));
            rest = after;
            position = self.write(first, run).await?;
        }
        Ok(position)
    }
}

impl Importer {
    async fn write(&self, first: &Entry, run: &[Entry]) -> Result<Position, ImportError> {
        let core = &self.core;
        let name = core.names.named(&first.category, first.stream);
        // Notes first, as in every append: a note that leads nowhere is nothing.
        for entry in run {
            let Some(command) = entry.command else { continue };
            let note = Note {
                stream: name.clone(),
                revision: entry.revision,
                id: envelope::store_id(&entry.hash),
                rest: Vec::new(),
            };
            let name = core.names.command(command);
            let part = envelope::note(name.clone(), 0, &note).map_err(invalid)?;
            if core.place(&part).await?.is_none() {
                // An import that was interrupted may have written it.
                let there = core.connection.read(&name, 0, 1).await.map_err(super::unavailable).map_err(unreadable)?;
                let there = there.first().map(envelope::read_note).transpose().map_err(unreadable)?;
                if !there.is_some_and(|there| {
                    (there.stream, there.revision, there.id) == (note.stream, note.revision, note.id)
                }) {
                    return Err(ImportError::Diverged(format!("command {command} led to something else there")));
                }
            }
        }
        let messages = run.iter().map(envelope::message_of_entry).collect::<Result<_, _>>().map_err(invalid)?;
        self.place(&Part { name, next: first.revision, messages }).await
    }

    async fn place(&self, part: &Part) -> Result<Position, ImportError> {
        match self.core.place(part).await? {
            Some(position) => Ok(position),
            None => Err(ImportError::Diverged(format!(
                "its stream {} holds something else at revision {}",
                part.name, part.next
            ))),
        }
    }
}

fn unreadable(error: ReadError) -> ImportError {
    ImportError::Append(AppendError::Unavailable(Box::new(error)))
}

fn invalid(what: String) -> ImportError {
    ImportError::Append(AppendError::Invalid(what))
}
