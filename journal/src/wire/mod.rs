//! The codec: one frozen struct per event type and version, encoded with postcard.
//!
//! Invariants: a released struct never changes, a new shape is a new version with an upcast from the one before; only
//! the newest version is written, every version is read for ever; decoding consumes every byte or fails, never
//! panics, and never allocates much more than the payload is long. How to add an event or a version is told in
//! docs/extend/events.md.

mod action;
mod agent;
mod assigned;
mod attempt_failed;
mod budget;
mod definition;
mod delivery;
mod denial;
mod external;
mod failure;
mod hold;
mod limit;
mod output;
pub mod personal;
mod purse;
mod registry;
mod run;
mod seal;
mod sealed;
mod search;
mod slots;
mod subject;
mod task;
mod template;
#[cfg(test)]
mod tests;
mod trigger;
mod values;
mod verdict;
mod webhook;
mod words;
mod workflow;

use std::fmt;

use domain::Event;
use postcard_schema::schema::NamedType;
use postcard_schema::schema::owned::OwnedNamedType;
use serde::{Deserialize, Serialize};

/// The codec number of postcard.
pub const CODEC_POSTCARD: u8 = 1;

/// The codec number of postcard with something personal sealed in it.
pub const CODEC_SEALED: u8 = 2;

/// The longest payload, in bytes: 16 MiB. What is larger belongs beside the journal, not into it.
pub const MAX_PAYLOAD: usize = 16 * 1024 * 1024;

/// Bytes that are no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Nobody knows this type in this version.
    #[error("unknown event type `{event_type}` version {version}; a newer HishamOS may have written it")]
    Unknown {
        /// The type.
        event_type: String,
        /// The version.
        version: u16,
    },
    /// An encoding that this program does not have.
    #[error("unknown codec {0}")]
    UnknownCodec(u8),
    /// The bytes do not hold what they claim.
    #[error("the payload of `{event_type}` version {version} is damaged: {what}")]
    Damaged {
        /// The type.
        event_type: String,
        /// The version.
        version: u16,
        /// What is wrong.
        what: String,
    },
}

/// An encoded payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The stable name of the type.
    pub event_type: &'static str,
    /// Which frozen struct.
    pub schema_version: u16,
    /// How it is encoded: [`CODEC_POSTCARD`] or [`CODEC_SEALED`].
    pub codec: u8,
    /// The bytes.
    pub payload: Vec<u8>,
}

/// An event type and all its versions, oldest first; the last is the one that is written.
#[derive(Debug, Clone, Copy)]
pub struct EventType {
    /// The stable name, such as `run.started`.
    pub name: &'static str,
    /// The frozen structs.
    pub versions: &'static [Version],
}

/// One frozen struct.
#[derive(Clone, Copy)]
pub struct Version {
    /// Counts from 1 within the type.
    pub number: u16,
    /// The fingerprint of the struct's layout under the type's name; the schema lock holds every released one.
    pub key: [u8; 8],
    schema: &'static NamedType,
}

impl Version {
    /// The layout of the struct, for programs that read payloads without this one.
    #[must_use]
    pub fn schema(&self) -> OwnedNamedType {
        self.schema.into()
    }

    /// The fingerprint as 16 hexadecimal digits.
    #[must_use]
    pub fn key_hex(&self) -> String {
        self.key.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{} {}", self.number, self.key_hex())
    }
}

/// Every event type that this program knows.
#[must_use]
pub fn types() -> &'static [EventType] {
    registry::TYPES
}

/// Encodes an event in the newest version of its type.
///
/// Moments and durations are kept to the microsecond. JSON is kept as compact text with its keys in the order that
/// they have, because people and prompts see that order.
///
/// # Errors
/// When the payload would be longer than [`MAX_PAYLOAD`], when its JSON is nested deeper than 127 levels, or when a
/// duration exceeds 64 bits of microseconds: such bytes could not be read back.
pub fn encode(event: &Event) -> Result<Encoded, String> {
    match event {
        Event::Workflow(event) => workflow::freeze(event),
        Event::Run(event) => run::freeze(event),
        Event::Task(event) => task::freeze(event),
        Event::Agent(event) => agent::freeze(event),
        Event::Template(event) => template::freeze(event),
        Event::Limit(event) => limit::freeze(event),
        Event::Slots(event) => slots::freeze(event),
        Event::Budget(event) => budget::freeze(event),
        Event::Purse(event) => purse::freeze(event),
        Event::Hold(event) => hold::freeze(event),
        Event::Trigger(event) => trigger::freeze(event),
        Event::External(event) => external::freeze(event),
        Event::Seal(event) => seal::freeze(event),
        Event::Webhook(event) => webhook::freeze(event),
        Event::Delivery(event) => delivery::freeze(event),
        Event::Denial(event) => denial::freeze(event),
        Event::Search(event) => search::freeze(event),
        Event::Subject(event) => subject::freeze(event),
        Event::Action(event) => action::freeze(event),
    }
}

/// Decodes a payload of any released version, upcast to today's event; without what is personal in it, where that is sealed.
///
/// # Errors
/// Unless every byte is consumed and makes sense.
pub fn decode(event_type: &str, schema_version: u16, codec: u8, payload: &[u8]) -> Result<Event, DecodeError> {
    let decoded = match codec {
        CODEC_POSTCARD => registry::decode(event_type, schema_version, payload),
        CODEC_SEALED => sealed::decode_open(event_type, schema_version, payload),
        other => return Err(DecodeError::UnknownCodec(other)),
    };
    match decoded {
        Some(Ok(event)) => Ok(event),
        Some(Err(what)) => {
            Err(DecodeError::Damaged { event_type: event_type.to_owned(), version: schema_version, what })
        }
        None => Err(DecodeError::Unknown { event_type: event_type.to_owned(), version: schema_version }),
    }
}

pub use sealed::{Keeping, SubjectKey};
pub(crate) use sealed::{Place, encode as encode_for, open as open_sealed, subject};

/// A frozen struct's place in the registry.
trait Frozen {
    /// The stable name of the event type.
    const TYPE: &'static str;
    /// The version, from 1.
    const VERSION: u16;
}

/// The newest struct of a type turns into today's event; older ones turn into their successor by `From`.
trait Thaw {
    /// Rebuilds the event through the domain's checked constructors.
    fn thaw(self) -> Result<Event, String>;
}

fn write<T: Frozen + Serialize>(frozen: &T) -> Result<Encoded, String> {
    // Most payloads are identifiers and a few words; the longer ones grow.
    let payload = postcard::to_extend(frozen, Vec::with_capacity(128)).map_err(|error| error.to_string())?;
    if payload.len() > MAX_PAYLOAD {
        return Err(format!("a payload of {} bytes is too long; at most {MAX_PAYLOAD} are kept", payload.len()));
    }
    Ok(Encoded { event_type: T::TYPE, schema_version: T::VERSION, codec: CODEC_POSTCARD, payload })
}

fn read<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, String> {
    if payload.len() > MAX_PAYLOAD {
        return Err(format!("it has {} bytes, at most {MAX_PAYLOAD} are allowed", payload.len()));
    }
    match postcard::take_from_bytes(payload) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes are left over", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}
