//! A journal that counts what it is asked. In PostgreSQL each of these questions is one statement.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use domain::{CommandId, StreamId};
use journal::chain::Entry;
use journal::{
    Append, AppendError, Appended, Filter, Journal, MemoryJournal, Page, Position, ReadError, RecordedEvent, Several,
    Subscription, Turn,
};

/// Over a journal in memory. What the projectors follow is not counted.
#[derive(Clone)]
pub(crate) struct Counted {
    inner: MemoryJournal,
    reads: Arc<AtomicUsize>,
}

impl Counted {
    pub(crate) fn new() -> Self {
        Self { inner: MemoryJournal::new(), reads: Arc::default() }
    }

    /// How many questions there were.
    pub(crate) fn reads(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.reads)
    }

    fn asked(&self) -> &MemoryJournal {
        self.reads.fetch_add(1, Ordering::Relaxed);
        &self.inner
    }
}

#[async_trait]
impl Journal for Counted {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.inner.append(append).await
    }

    async fn append_in_turn(&self, append: Append, turn: Turn) -> Result<Appended, AppendError> {
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
        self.asked().read_stream(stream, from, limit).await
    }

    async fn read_streams(
        &self,
        streams: &[StreamId],
        until: Position,
        limit: usize,
    ) -> Result<Option<Vec<Arc<RecordedEvent>>>, ReadError> {
        self.asked().read_streams(streams, until, limit).await
    }

    async fn read_each(&self, wanted: &[(StreamId, u64)], each: usize) -> Result<Several, ReadError> {
        self.asked().read_each(wanted, each).await
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        self.asked().read_all(after, filter, limit).await
    }

    async fn read_back(&self, before: Option<Position>, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        self.asked().read_back(before, filter, limit).await
    }

    async fn read_entries(&self, after: Position, limit: usize) -> Result<Vec<Entry>, ReadError> {
        self.asked().read_entries(after, limit).await
    }

    fn subscribe(&self, after: Position, filter: Filter) -> Subscription {
        self.inner.subscribe(after, filter)
    }

    async fn head(&self) -> Result<Position, ReadError> {
        self.asked().head().await
    }

    fn seen(&self) -> Position {
        self.inner.seen()
    }

    fn gapless(&self) -> bool {
        self.inner.gapless()
    }

    async fn find_command(&self, command: CommandId) -> Result<Option<Appended>, ReadError> {
        self.asked().find_command(command).await
    }
}
