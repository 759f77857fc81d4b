//! The hash chain of a stream, and the pass over a journal that proves every chain.
//!
//! Each event carries the BLAKE3 hash of a canonical byte string, in which the hash of the stream's event before it
//! comes first. Whoever changes, removes, reorders or inserts an event therefore has to rewrite every later event of
//! the stream. Invariants: every variable part of the string has its length before it, so that no two different
//! events share a string; the position is not in it, because it is given after hashing.
//!
//! A chain alone does not stop somebody who can rewrite a whole stream or cut off its end; positions without gaps
//! show a cut in the middle of the journal.

mod verify;

use std::sync::LazyLock;

use blake3::Hasher;
use domain::EventId;
use uuid::Uuid;

use crate::{Hash, Position, RecordedEvent};

pub use verify::{Fault, Finding, Report, SealReport, Unknown, Verifier, verify, verify_against};

/// Separates these hashes from all others that anybody computes with BLAKE3; it belongs to the stored format.
const CONTEXT: &str = "hishamos 2026 journal event chain version 1";

/// Deriving a key costs a compression, so it is done once and the ready hasher is copied.
static KEYED: LazyLock<Hasher> = LazyLock::new(|| Hasher::new_derive_key(CONTEXT));

/// An event as its bytes lie in the store, read without understanding them, so that even a damaged one can be
/// hashed and named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the whole journal.
    pub position: Position,
    /// Its id.
    pub id: EventId,
    /// The name of its stream's category.
    pub category: String,
    /// The id of its stream within the category.
    pub stream: Uuid,
    /// Its place in the stream, from 0.
    pub revision: u64,
    /// The stable name of its type.
    pub event_type: String,
    /// Which frozen struct the payload is.
    pub schema_version: u16,
    /// How the payload is encoded.
    pub codec: u8,
    /// When it was recorded, in microseconds since the Unix epoch.
    pub recorded_at: i64,
    /// The encoded metadata.
    pub metadata: Vec<u8>,
    /// The encoded payload.
    pub payload: Vec<u8>,
    /// The hash of the stream's event before it, as recorded.
    pub previous_hash: Vec<u8>,
    /// The event's own hash, as recorded.
    pub hash: Vec<u8>,
    /// The command that the store remembers with it, if any.
    pub command: Option<Uuid>,
}

impl From<&RecordedEvent> for Entry {
    fn from(event: &RecordedEvent) -> Self {
        Self {
            position: event.position,
            id: event.id,
            category: event.stream.category.name().to_owned(),
            stream: event.stream.id,
            revision: event.revision,
            event_type: event.event_type.to_string(),
            schema_version: event.schema_version,
            codec: event.codec,
            recorded_at: event.recorded_at.as_micros(),
            metadata: event.metadata_bytes.to_vec(),
            payload: event.payload.to_vec(),
            previous_hash: event.previous_hash.0.to_vec(),
            hash: event.hash.0.to_vec(),
            command: None,
        }
    }
}

/// What is hashed of an event.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// The hash of the stream's event before it; [`Hash::ZERO`] for the first.
    pub previous: &'a [u8],
    /// Its id.
    pub id: Uuid,
    /// The name of its stream's category.
    pub category: &'a str,
    /// The id of its stream within the category.
    pub stream: Uuid,
    /// Its place in the stream, from 0.
    pub revision: u64,
    /// The stable name of its type.
    pub event_type: &'a str,
    /// Which frozen struct the payload is.
    pub schema_version: u16,
    /// How the payload is encoded.
    pub codec: u8,
    /// When it was recorded, in microseconds since the Unix epoch.
    pub recorded_at: i64,
    /// The encoded metadata.
    pub metadata: &'a [u8],
    /// The encoded payload.
    pub payload: &'a [u8],
}

impl Link<'_> {
    /// The event's hash: BLAKE3 in key derivation mode over, in this order, the previous hash, the event id, the
    /// category, the stream's id, the revision (u64), the type, the schema version (u16), the codec (u8), the time
    /// (i64), the metadata and the payload. Numbers are little-endian; the previous hash, category, type, metadata
    /// and payload have their length in bytes before them, as u64.
    #[must_use]
    pub fn hash(&self) -> Hash {
        let mut hasher = KEYED.clone();
        let sized = |bytes: &[u8], hasher: &mut Hasher| {
            hasher.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(bytes);
        };
        sized(self.previous, &mut hasher);
        hasher.update(self.id.as_bytes());
        sized(self.category.as_bytes(), &mut hasher);
        hasher.update(self.stream.as_bytes());
        hasher.update(&self.revision.to_le_bytes());
        sized(self.event_type.as_bytes(), &mut hasher);
        hasher.update(&self.schema_version.to_le_bytes());
        hasher.update(&[self.codec]);
        hasher.update(&self.recorded_at.to_le_bytes());
        sized(self.metadata, &mut hasher);
        sized(self.payload, &mut hasher);
        Hash(*hasher.finalize().as_bytes())
    }
}

impl Entry {
    /// What its hash should be, given what it says of itself.
    #[must_use]
    pub fn computed_hash(&self) -> Hash {
        Link {
            previous: &self.previous_hash,
            id: self.id.as_uuid(),
            category: &self.category,
            stream: self.stream,
            revision: self.revision,
            event_type: &self.event_type,
            schema_version: self.schema_version,
            codec: self.codec,
            recorded_at: self.recorded_at,
            metadata: &self.metadata,
            payload: &self.payload,
        }
        .hash()
    }
}
