use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use domain::{Category, CommandId, StreamId, SubjectId};
use parking_lot::Mutex;

use super::{SubjectKey, Subjects};
use crate::chain::Entry;
use crate::subscription::Follow;
use crate::wire::{self, Keeping};
use crate::{
    Append, AppendError, Appended, Batch, Filter, Journal, Page, Position, ReadError, RecordedEvent, Several,
    Subscription, Turn,
};

/// How long a key stays in memory before it is asked for again, so that a destroyed one is soon unknown everywhere.
const REMEMBERED: Duration = Duration::from_secs(10);

/// A journal that seals what is personal on its way in, and opens on its way out what can still be opened.
#[derive(Clone)]
pub struct PrivateJournal {
    inner: Arc<dyn Journal>,
    ring: Arc<Ring>,
}

/// The keys that this process has seen lately.
struct Ring {
    subjects: Arc<dyn Subjects>,
    keys: Mutex<HashMap<SubjectId, (Instant, Option<SubjectKey>)>>,
}

impl Ring {
    async fn key(&self, subject: SubjectId) -> Result<Option<SubjectKey>, super::SubjectsError> {
        if let Some((since, key)) = self.keys.lock().get(&subject)
            && since.elapsed() < REMEMBERED
        {
            return Ok(key.clone());
        }
        let key = self.subjects.key(subject).await?;
        let mut keys = self.keys.lock();
        keys.retain(|_, (since, _)| since.elapsed() < REMEMBERED);
        keys.insert(subject, (Instant::now(), key.clone()));
        Ok(key)
    }

    /// Opens what can be opened. Shared events stay as they are, so that nothing readable outlives its key in them.
    async fn open(&self, events: &mut [Arc<RecordedEvent>]) -> Result<(), ReadError> {
        for event in events {
            if event.codec != wire::CODEC_SEALED {
                if event.stream.category == Category::Subject {
                    self.keys.lock().remove(&SubjectId::from_uuid(event.stream.id));
                }
                continue;
            }
            let damaged = |what: String| ReadError::Damaged { position: event.position, what };
            let subject = wire::subject(&event.payload).ok_or_else(|| damaged("it is sealed for nobody".to_owned()))?;
            let key = self.key(subject).await.map_err(|error| ReadError::Unavailable(Box::new(error)))?;
            if let Some(key) = key {
                let whole = event.opened(&key).map_err(|error| damaged(error.to_string()))?;
                *event = Arc::new(whole);
            }
        }
        Ok(())
    }
}

impl PrivateJournal {
    /// Over a journal, with the keys of this list.
    #[must_use]
    pub fn new(inner: Arc<dyn Journal>, subjects: Arc<dyn Subjects>) -> Self {
        Self { inner, ring: Arc::new(Ring { subjects, keys: Mutex::default() }) }
    }

    /// Gives an append that is about somebody their key.
    async fn seal(&self, append: &mut Append) -> Result<(), AppendError> {
        if let Some(subject) = append.context.subject {
            let key = self.ring.key(subject).await.map_err(|error| AppendError::Unavailable(Box::new(error)))?;
            append.context.keeping = Some(key.map_or(Keeping::Erased, Keeping::Sealed));
        }
        // Whoever records that a key was destroyed must not read with it from here on.
        for stream in append.streams.iter().filter(|part| part.stream.category == Category::Subject) {
            self.ring.keys.lock().remove(&SubjectId::from_uuid(stream.stream.id));
        }
        Ok(())
    }
}

#[async_trait]
impl Journal for PrivateJournal {
    async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
        self.seal(&mut append).await?;
        self.inner.append(append).await
    }

    async fn append_in_turn(&self, mut append: Append, turn: Turn) -> Result<Appended, AppendError> {
        self.seal(&mut append).await?;
        self.inner.append_in_turn(append, turn).await
    }

    fn takes_ahead(&self) -> bool {
        self.inner.takes_ahead()
    }

    async fn read_stream(
        &self,
        stream: StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        let mut events = self.inner.read_stream(stream, from, limit).await?;
        self.ring.open(&mut events).await?;
        Ok(events)
    }

    async fn read_streams(
        &self,
        streams: &[StreamId],
        until: Position,
        limit: usize,
    ) -> Result<Option<Vec<Arc<RecordedEvent>>>, ReadError> {
        let mut events = self.inner.read_streams(streams, until, limit).await?;
        if let Some(events) = &mut events {
            self.ring.open(events).await?;
        }
        Ok(events)
    }

    async fn read_each(&self, wanted: &[(StreamId, u64)], each: usize) -> Result<Several, ReadError> {
        let mut several = self.inner.read_each(wanted, each).await?;
        self.ring.open(&mut several.events).await?;
        Ok(several)
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        let mut page = self.inner.read_all(after, filter, limit).await?;
        self.ring.open(&mut page.events).await?;
        Ok(page)
    }

    async fn read_back(&self, before: Option<Position>, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        let mut page = self.inner.read_back(before, filter, limit).await?;
        self.ring.open(&mut page.events).await?;
        Ok(page)
    }

    async fn read_entries(&self, after: Position, limit: usize) -> Result<Vec<Entry>, ReadError> {
        self.inner.read_entries(after, limit).await
    }

    fn subscribe(&self, after: Position, filter: Filter) -> Subscription {
        let source = self.inner.subscribe(after, filter.clone()).into_source();
        Subscription::new(Arc::new(Opening { source, ring: Arc::clone(&self.ring) }), after, filter)
    }

    async fn head(&self) -> Result<Position, ReadError> {
        self.inner.head().await
    }

    fn seen(&self) -> Position {
        self.inner.seen()
    }

    fn gapless(&self) -> bool {
        self.inner.gapless()
    }

    async fn find_command(&self, command: CommandId) -> Result<Option<Appended>, ReadError> {
        self.inner.find_command(command).await
    }
}

/// Follows a journal, opening what it brings. Its own positions move only with what it has given, so an interrupted look
/// loses nothing.
struct Opening {
    source: Arc<dyn Follow>,
    ring: Arc<Ring>,
}

#[async_trait]
impl Follow for Opening {
    async fn next(&self, after: Position, filter: &Filter, limit: usize) -> Result<Batch, ReadError> {
        let mut batch = self.source.next(after, filter, limit).await?;
        self.ring.open(&mut batch.events).await?;
        Ok(batch)
    }

    async fn next_wanted(&self, after: Position, filter: &Filter, limit: usize) -> Result<Batch, ReadError> {
        let mut batch = self.source.next_wanted(after, filter, limit).await?;
        self.ring.open(&mut batch.events).await?;
        Ok(batch)
    }
}
