use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use domain::{Actor, Category, CommandId, Event, EventId, StreamId, SubjectId, Timestamp};
use uuid::Uuid;

use crate::of_run::OfRun;
use crate::wire;

/// A place in the whole journal: opaque and ordered, never assumed dense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Position(u64);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);

    /// From its number, as stored or sent.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// Its number, for storing and sending.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A BLAKE3 hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What the first event of a stream has for a previous hash.
    pub const ZERO: Self = Self([0; 32]);
}

impl TryFrom<&[u8]> for Hash {
    type Error = String;

    fn try_from(bytes: &[u8]) -> Result<Self, String> {
        bytes.try_into().map(Self).map_err(|_| format!("a hash has {} bytes, not 32", bytes.len()))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const fn digit(number: u8) -> u8 {
            if number < 10 { b'0' + number } else { b'a' + number - 10 }
        }
        // At once, because every event that is told has two of them.
        let mut hex = [0; 64];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        f.write_str(std::str::from_utf8(&hex).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who and what caused an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Who caused it.
    pub actor: Actor,
    /// Whose data it is.
    pub tenant: String,
    /// The same for all that follows from one request.
    pub correlation: Uuid,
    /// The event that directly led to this one.
    pub causation: Option<EventId>,
    /// The command that was decided.
    pub command: CommandId,
}

/// An event as it is in the journal: the envelope and its payload.
#[derive(Debug)]
pub struct RecordedEvent {
    /// Its place in the whole journal.
    pub position: Position,
    /// Its id.
    pub id: EventId,
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream, from 0.
    pub revision: u64,
    /// The stable name of its type, such as `run.started`.
    pub event_type: Cow<'static, str>,
    /// Which frozen struct the payload is, from 1.
    pub schema_version: u16,
    /// How the payload is encoded; 1 is postcard, 2 the same with something personal sealed in it.
    pub codec: u8,
    /// When it was recorded, by the clock of the node that decided.
    pub recorded_at: Timestamp,
    /// Who and what caused it; shared by all events of an append.
    pub metadata: Arc<Metadata>,
    /// The bytes of the metadata, as hashed.
    pub metadata_bytes: Bytes,
    /// The bytes of the payload, as hashed.
    pub payload: Bytes,
    /// The hash of the stream's event before it.
    pub previous_hash: Hash,
    /// The hash of this event; [`crate::chain`] says of what.
    pub hash: Hash,
    /// The decoded payload, once somebody wanted it. An event recorded by this process has it from the start.
    pub(crate) decoded: OnceLock<Event>,
}

impl RecordedEvent {
    /// How much memory it takes, roughly: itself, its bytes, and as much again for what is decoded of them as texts and
    /// lists of their own.
    pub(crate) fn weight(&self) -> usize {
        /// What the allocator and the counters around it cost.
        const AROUND: usize = 128;
        size_of::<Self>() + 2 * (self.payload.len() + self.metadata_bytes.len()) + AROUND
    }

    /// The decoded payload; decoded at most once, whoever asks.
    ///
    /// # Errors
    /// When type or version are unknown, or the bytes are damaged.
    pub fn event(&self) -> Result<&Event, wire::DecodeError> {
        if let Some(event) = self.decoded.get() {
            return Ok(event);
        }
        let event = wire::decode(&self.event_type, self.schema_version, self.codec, &self.payload)?;
        Ok(self.decoded.get_or_init(|| event))
    }

    /// Whether its type is among these.
    #[must_use]
    pub fn is_of(&self, types: &[String]) -> bool {
        types.iter().any(|name| *name == self.event_type)
    }

    /// The same event with what is sealed in it open.
    pub(crate) fn opened(&self, key: &wire::SubjectKey) -> Result<Self, wire::DecodeError> {
        let place = wire::Place {
            event: self.id,
            stream: self.stream,
            event_type: &self.event_type,
            schema_version: self.schema_version,
        };
        let event = wire::open_sealed(&self.payload, key, place)?;
        Ok(Self {
            position: self.position,
            id: self.id,
            stream: self.stream,
            revision: self.revision,
            event_type: self.event_type.clone(),
            schema_version: self.schema_version,
            codec: self.codec,
            recorded_at: self.recorded_at,
            metadata: Arc::clone(&self.metadata),
            metadata_bytes: self.metadata_bytes.clone(),
            payload: self.payload.clone(),
            previous_hash: self.previous_hash,
            hash: self.hash,
            decoded: OnceLock::from(event),
        })
    }

    /// Whom it is about, where something personal is sealed in it.
    #[must_use]
    pub fn subject(&self) -> Option<SubjectId> {
        (self.codec == wire::CODEC_SEALED).then(|| wire::subject(&self.payload)).flatten()
    }
}

/// Which events somebody wants; the empty filter wants all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only of these categories; empty means any.
    pub categories: Vec<Category>,
    /// Only of these types; empty means any.
    pub types: Vec<String>,
    /// Only of this stream.
    pub stream: Option<StreamId>,
    /// Only of this run and its tasks.
    pub of_run: Option<OfRun>,
}

impl Filter {
    /// Whether an event is wanted.
    #[must_use]
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        (self.categories.is_empty() || self.categories.contains(&event.stream.category))
            && (self.types.is_empty() || event.is_of(&self.types))
            && self.stream.is_none_or(|stream| stream == event.stream)
            && self.of_run.as_ref().is_none_or(|of_run| of_run.matches(event))
    }

    /// Everything of these categories.
    #[must_use]
    pub fn categories(categories: impl Into<Vec<Category>>) -> Self {
        Self { categories: categories.into(), ..Self::default() }
    }
}
