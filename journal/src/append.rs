use domain::{Actor, CommandId, Event, EventId, StreamId, SubjectId, Timestamp};
use uuid::Uuid;

use crate::{Hash, Position};

/// What the caller believes about a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Any,
    /// It has no events.
    NoStream,
    /// It has at least one event.
    Exists,
    /// Its last event has this revision.
    Exact(u64),
}

/// New events for one stream.
#[derive(Debug, Clone)]
pub struct StreamAppend {
    /// Which stream.
    pub stream: StreamId,
    /// What the caller believes about it.
    pub expected: Expected,
    /// The events, in order; at least one.
    pub events: Vec<Event>,
}

/// Who asks for an append, when and why; it becomes the envelope of every event in it.
#[derive(Debug, Clone)]
pub struct Context {
    /// The command that was decided; the ids of its events follow from it.
    pub command: CommandId,
    /// Now.
    pub at: Timestamp,
    /// Who asks.
    pub actor: Actor,
    /// Whose data it is.
    pub tenant: String,
    /// The same for all that follows from one request.
    pub correlation: Uuid,
    /// The event that directly led to this one.
    pub causation: Option<EventId>,
    /// The person whom it is about: what is personal in its events is sealed under that subject's key.
    pub subject: Option<SubjectId>,
    /// How it is sealed; [`PrivateJournal`](crate::privacy::PrivateJournal) says so, nobody else.
    pub keeping: Option<crate::wire::Keeping>,
}

/// One atomic append: all of it is recorded, or nothing.
#[derive(Debug, Clone)]
pub struct Append {
    /// One entry per stream; a stream stands in it once. The last is the one that the answer speaks of.
    pub streams: Vec<StreamAppend>,
    /// The envelope.
    pub context: Context,
    /// Whether the journal remembers the command's id, so that a repetition gives the first answer. Needed for
    /// commands from outside; the engine's own are kept single by expected revisions.
    pub remember: bool,
}

/// What an append came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The position of the last event.
    pub position: Position,
    /// The revision of the last event of each stream, in the order of the request. A repeated command answers with
    /// its last stream alone.
    pub heads: Vec<(StreamId, u64)>,
    /// Whether the command had been recorded before, and this is that first answer.
    pub repeated: bool,
}

/// Why an append was not made.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A stream is not as the caller believed.
    #[error("stream {stream} is at {}, not as expected ({expected:?})", .actual.map_or("no revision".to_owned(), |at| format!("revision {at}")))]
    Conflict {
        /// Which stream.
        stream: StreamId,
        /// What was believed.
        expected: Expected,
        /// The revision of its last event; `None` when it has none.
        actual: Option<u64>,
    },
    /// An append that this one is based on was not recorded, or nobody knows whether it was. A conflict like the other, only that
    /// the stream may well have the expected revision: by an event of somebody else.
    #[error("what stream {stream} was expected to hold was not recorded")]
    Unfounded {
        /// Which stream.
        stream: StreamId,
    },
    /// An append without events, with a stream named twice, or with more than can be kept.
    #[error("the append cannot be recorded: {0}")]
    Invalid(String),
    /// The journal is shutting down.
    #[error("the journal is shutting down and takes no more events")]
    Closed,
    /// The store has no space left. Nothing was recorded; as soon as there is space, everything goes on.
    #[error("the journal's disk is full, so nothing was recorded; make space and try again")]
    Full,
    /// The store could not be reached or failed. Nothing was recorded: an unclear outcome is cleared up before.
    #[error("the journal's store failed")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The connection broke while the append was being recorded, and the store stayed away: whether it was recorded
    /// will be seen when the store is back. The only error that does not mean that nothing was.
    #[error("the journal's store went away before it said whether the append was recorded")]
    Unclear,
}

impl AppendError {
    /// The stream that is not as the caller believed, if that is why: who reads it again may decide again.
    #[must_use]
    pub fn conflict(&self) -> Option<StreamId> {
        match self {
            Self::Conflict { stream, .. } | Self::Unfounded { stream } => Some(*stream),
            _ => None,
        }
    }
}

/// The last event of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) revision: u64,
    pub(crate) hash: Hash,
}
