//! Taking in another journal's events as they are.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use domain::{Category, StreamId, Timestamp};
use uuid::Uuid;

use super::options::{OpenError, Options};
use super::parts::Part;
use super::session::{Session, record};
use super::{failure, rows};
use crate::chain::Entry;
use crate::import::{Import, ImportError};
use crate::{AppendError, Hash, MAX_APPEND_EVENTS, Position, RecordedEvent, metadata};

/// How many bytes go into one statement, unless one event alone has more.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Writes events into a journal that nobody else writes to.
pub struct Importer {
    session: Session,
    head: Position,
}

impl Importer {
    /// For the journal in a migrated database.
    ///
    /// # Errors
    /// When the database cannot be reached or holds no journal.
    pub async fn open(options: &Options) -> Result<Self, OpenError> {
        let mut session = Session::open(&options.settings("importer"), None).await?;
        let head = rows::head(&mut session.connection).await?;
        Ok(Self { session, head })
    }
}

#[async_trait]
impl Import for Importer {
    async fn import(&mut self, entries: &[Entry]) -> Result<Position, ImportError> {
        let mut rest = entries;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take_while(|entry| {
                bytes += entry.payload.len() + entry.metadata.len();
                bytes <= BATCH_BYTES
            });
            let (batch, after) = rest.split_at(fits.count().clamp(1, rest.len()));
            rest = after;
            let mut events = Vec::with_capacity(batch.len());
            let mut position = self.head.as_u64();
            for entry in batch {
                position += 1;
                events.push(Arc::new(event(entry, Position::from_u64(position)).map_err(AppendError::Invalid)?));
            }
            let parts = parts(batch);
            let connection = &mut self.session.connection;
            match record(connection, self.head, &events, &parts, Uuid::new_v4(), 0).await {
                Ok(Some(_)) => self.head = Position::from_u64(position),
                Ok(None) => return Err(ImportError::Diverged("its head was moved".to_owned())),
                Err(error) if failure::meaning(&error) == failure::Meaning::Taken => {
                    return Err(ImportError::Diverged("it has an event of the same stream and revision".to_owned()));
                }
                Err(error) => return Err(ImportError::Append(failure::unavailable(&Arc::new(error)))),
            }
        }
        Ok(self.head)
    }
}

/// Divides entries into parts. Where one append ended and the next one began is not known any more; but for the command,
/// which only the last event of a part has, it does not matter.
fn parts(entries: &[Entry]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut before: Option<&Entry> = None;
    for entry in entries {
        match parts.last_mut() {
            Some(part) if part.events < MAX_APPEND_EVENTS && before.is_some_and(|before| goes_on(before, entry)) => {
                part.events += 1;
                part.command = entry.command;
            }
            _ => parts.push(Part { events: 1, command: entry.command }),
        }
        before = Some(entry);
    }
    parts
}

/// Whether two events that follow on one another may be of one part.
fn goes_on(before: &Entry, entry: &Entry) -> bool {
    before.command.is_none()
        && (entry.stream, &entry.category) == (before.stream, &before.category)
        && entry.revision == before.revision + 1
        && entry.previous_hash == before.hash
        && entry.recorded_at == before.recorded_at
        && entry.metadata == before.metadata
}

fn event(entry: &Entry, position: Position) -> Result<RecordedEvent, String> {
    let hash = |bytes: &[u8]| Hash::try_from(bytes).map_err(|what| format!("of event {}, {what}", entry.id));
    let category: Category = entry.category.parse().map_err(|error| format!("{error}"))?;
    // The names of a part's types are told apart by spaces.
    if entry.event_type.contains(' ') {
        return Err(format!(
            "event {} is of type `{}`, and no type has a space in its name",
            entry.id, entry.event_type
        ));
    }
    Ok(RecordedEvent {
        position,
        id: entry.id,
        stream: StreamId { category, id: entry.stream },
        revision: entry.revision,
        event_type: entry.event_type.clone().into(),
        schema_version: entry.schema_version,
        codec: entry.codec,
        recorded_at: Timestamp::from_micros(entry.recorded_at),
        metadata: Arc::new(metadata::decode(&entry.metadata)?),
        metadata_bytes: Bytes::from(entry.metadata.clone()),
        payload: Bytes::from(entry.payload.clone()),
        previous_hash: hash(&entry.previous_hash)?,
        hash: hash(&entry.hash)?,
        decoded: OnceLock::new(),
    })
}
