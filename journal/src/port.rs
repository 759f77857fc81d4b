use std::sync::Arc;

use async_trait::async_trait;
use domain::{CommandId, StreamId};
use futures_util::future::try_join_all;

use crate::chain::Entry;
use crate::{Append, AppendError, Appended, Filter, Position, RecordedEvent, Subscription, Turn};

/// How many events of a stream are read at a time where several streams cannot be read at once.
const STREAM_PAGE: usize = 1000;
/// How many streams are read beside each other there.
const STREAMS_AT_ONCE: usize = 16;
/// After how many events of several streams no further stream is read for the same answer.
pub(crate) const SEVERAL_EVENTS: usize = 20_000;

/// The event store, whatever keeps it.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Records the whole append or nothing.
    ///
    /// A back end that writes to one stream at a time finishes what it began, whatever happens to it; only when another
    /// process comes in between does what was written stay alone. Then the conflict names a later stream than the first,
    /// and who decides again has to be able to go on from any beginning of the append.
    ///
    /// # Errors
    /// See [`AppendError`]; after any error but [`AppendError::Unclear`], and that conflict, nothing of the append is
    /// recorded.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// The same, and lets others ask as soon as no append that is asked for later is recorded before this one, which may be long
    /// before it is recorded itself. Whoever then decides upon what it will leave behind names it, and is refused should it fail.
    ///
    /// # Errors
    /// As [`append`](Self::append), and [`AppendError::Unfounded`].
    async fn append_in_turn(&self, append: Append, turn: Turn) -> Result<Appended, AppendError> {
        // Here others wait until it is recorded. So what is not by now never will be, and what is cannot be undone.
        turn.check(&[])?;
        let done = self.append(append).await;
        turn.settle(&done);
        done
    }

    /// Whether an append is taken by [`append_in_turn`](Self::append_in_turn) that is based on one which is not recorded yet.
    /// Where it is not, such an append is refused.
    fn takes_ahead(&self) -> bool {
        false
    }

    /// Events of one stream with a revision of at least `from`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the store fails or what it holds cannot be read.
    async fn read_stream(
        &self,
        stream: StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, ReadError>;

    /// Everything that some streams held as of a position, in the order of the journal; nothing when that is more than
    /// `limit` events.
    ///
    /// # Errors
    /// When the store fails or what it holds cannot be read.
    async fn read_streams(
        &self,
        streams: &[StreamId],
        until: Position,
        limit: usize,
    ) -> Result<Option<Vec<Arc<RecordedEvent>>>, ReadError> {
        let mut events = Vec::new();
        for stream in streams {
            let mut next = 0;
            loop {
                let page = self.read_stream(*stream, next, STREAM_PAGE).await?;
                let (read, before) = (page.len(), events.len());
                events.extend(page.into_iter().take_while(|event| event.position <= until));
                if events.len() > limit {
                    return Ok(None);
                }
                if read < STREAM_PAGE || events.len() - before < read {
                    break;
                }
                next += u64::try_from(read).unwrap_or(u64::MAX);
            }
        }
        events.sort_unstable_by_key(|event| event.position);
        Ok(Some(events))
    }

    /// Events of several streams, of each those with a revision of at least the one beside it, at most `each`: stream after
    /// stream as they are named, the oldest first. Streams that would be too much for one answer are left to the next one;
    /// [`Several::streams`] says how many of them this one is about, at least one where any is named.
    ///
    /// Where streams can be read together that is one question to the store, however many they are.
    ///
    /// # Errors
    /// When the store fails or what it holds cannot be read.
    async fn read_each(&self, wanted: &[(StreamId, u64)], each: usize) -> Result<Several, ReadError> {
        let mut several = Several { events: Vec::new(), streams: 0 };
        for some in wanted.chunks(STREAMS_AT_ONCE) {
            let read = some.iter().map(|(stream, from)| self.read_stream(*stream, *from, each));
            several.events.extend(try_join_all(read).await?.into_iter().flatten());
            several.streams += some.len();
            if several.events.len() >= SEVERAL_EVENTS {
                break;
            }
        }
        Ok(several)
    }

    /// Events of all streams after a position, in the order of the journal.
    ///
    /// # Errors
    /// When the store fails or what it holds cannot be read.
    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, ReadError>;

    /// Events of all streams before a position, or from the end of the journal when none is named; the newest first.
    ///
    /// The position of the page says how far back it reaches: every wanted event from there on is in it. Reading goes on
    /// before that; it is the start of the journal when nothing earlier is wanted. A page may be short, or empty, where
    /// little is wanted.
    ///
    /// # Errors
    /// When the store fails or what it holds cannot be read.
    async fn read_back(&self, before: Option<Position>, filter: &Filter, limit: usize) -> Result<Page, ReadError>;

    /// The bytes of all events after a position as the store has them, damaged or not; for proving the journal.
    ///
    /// # Errors
    /// When the store fails.
    async fn read_entries(&self, after: Position, limit: usize) -> Result<Vec<Entry>, ReadError>;

    /// Everything after a position: what is there, then what comes, each exactly once. The subscription pulls, so a
    /// slow one costs the writer nothing and holds bounded memory.
    fn subscribe(&self, after: Position, filter: Filter) -> Subscription;

    /// The position of the last event.
    ///
    /// # Errors
    /// When the store fails.
    async fn head(&self) -> Result<Position, ReadError>;

    /// The highest position that this process has seen, without asking the store; it may lag behind what other
    /// processes record.
    fn seen(&self) -> Position;

    /// Whether positions have no gaps, so that a missing one means a missing event.
    fn gapless(&self) -> bool;

    /// The answer that a remembered command got.
    ///
    /// # Errors
    /// When the store fails.
    async fn find_command(&self, command: CommandId) -> Result<Option<Appended>, ReadError>;
}

/// Events of the first of several streams; see [`Journal::read_each`].
#[derive(Debug, Clone)]
pub struct Several {
    /// The events.
    pub events: Vec<Arc<RecordedEvent>>,
    /// Of how many of the streams, from the first on.
    pub streams: usize,
}

/// Part of the journal.
#[derive(Debug, Clone)]
pub struct Page {
    /// The wanted events.
    pub events: Vec<Arc<RecordedEvent>>,
    /// How far the page reaches: every wanted event up to here is in it. Reading goes on after this; equal to the
    /// position asked from when nothing further is there. See [`Journal::read_back`] for reading backwards.
    pub position: Position,
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store could not be reached or failed.
    #[error("the journal's store failed")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A row that is no event.
    #[error("the event at position {position} cannot be read: {what}")]
    Damaged {
        /// Where.
        position: Position,
        /// What is wrong with it.
        what: String,
    },
    /// The journal is shutting down.
    #[error("the journal is shutting down")]
    Closed,
}
