//! How an event of the journal lies in KurrentDB, and back.
//!
//! The payload is the event's data; everything else that KurrentDB has no field for is its metadata: one byte for the
//! version of the layout, then postcard of the frozen struct of that version. KurrentDB's own event id is made from
//! the chain hash, so that the server takes a repetition for one only if it is the same event at the same place; the
//! event's id as HishamOS knows it is in the envelope.
//!
//! An append to several streams cannot be one write. Its first event therefore carries the rest of it ([`Part`]s), so
//! that whoever finds it half-written can finish it. Released structs never change: a new field is a new version.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use domain::{Category, EventId, StreamId, Timestamp};
use eventstore::EventData;
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use super::names::Names;
use crate::chain::Entry;
use crate::{Hash, Position, ReadError, RecordedEvent, metadata};

const VERSION_1: u8 = 1;
/// The type of the notes about commands.
const COMMAND: &str = "hishamos.command";

/// Version 1 of an event's metadata.
#[derive(Serialize, Deserialize)]
struct EnvelopeV1 {
    id: [u8; 16],
    schema_version: u16,
    codec: u8,
    recorded_at: i64,
    previous_hash: [u8; 32],
    hash: [u8; 32],
    metadata: Vec<u8>,
    /// Whether a note about the command leads to this event.
    remembered: bool,
    rest: Vec<PartV1>,
}

/// Version 1 of what is still to be written.
#[derive(Serialize, Deserialize)]
struct PartV1 {
    stream: String,
    next: u64,
    messages: Vec<MessageV1>,
}

/// Version 1 of an event that is still to be written.
#[derive(Serialize, Deserialize)]
struct MessageV1 {
    id: [u8; 16],
    event_type: String,
    metadata: Vec<u8>,
    payload: Vec<u8>,
}

/// Version 1 of a note about a command: the event by which it can be seen to be recorded, and what has to be written
/// for it. A random number makes it this writer's own.
#[derive(Serialize, Deserialize)]
struct CommandV1 {
    writer: [u8; 16],
    stream: String,
    revision: u64,
    id: [u8; 16],
    rest: Vec<PartV1>,
}

/// Events of one append for one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// The stream's name.
    pub(super) name: String,
    /// The revision of its first event.
    pub(super) next: u64,
    /// At least one.
    pub(super) messages: Vec<Message>,
}

/// One event as KurrentDB takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// KurrentDB's id of it.
    pub(super) id: Uuid,
    pub(super) event_type: String,
    pub(super) metadata: Bytes,
    pub(super) payload: Bytes,
}

/// A note about a command.
#[derive(Debug, Clone)]
pub(super) struct Note {
    /// The stream of its last event.
    pub(super) stream: String,
    pub(super) revision: u64,
    /// KurrentDB's id of its last event.
    pub(super) id: Uuid,
    pub(super) rest: Vec<Part>,
}

impl Message {
    fn bytes(&self) -> usize {
        self.metadata.len() + self.payload.len() + self.event_type.len()
    }

    fn data(&self) -> EventData {
        EventData::binary(&self.event_type, self.payload.clone()).id(self.id).metadata(self.metadata.clone())
    }
}

impl Part {
    /// How many bytes go to the server.
    pub(super) fn bytes(&self) -> usize {
        self.messages.iter().map(Message::bytes).sum()
    }

    /// What the client takes.
    pub(super) fn data(&self) -> Vec<EventData> {
        self.messages.iter().map(Message::data).collect()
    }

    /// The id of its last event.
    pub(super) fn last(&self) -> Option<Uuid> {
        self.messages.last().map(|message| message.id)
    }
}

impl From<&Part> for PartV1 {
    fn from(part: &Part) -> Self {
        let messages = part.messages.iter().map(|message| MessageV1 {
            id: message.id.into_bytes(),
            event_type: message.event_type.clone(),
            metadata: message.metadata.to_vec(),
            payload: message.payload.to_vec(),
        });
        Self { stream: part.name.clone(), next: part.next, messages: messages.collect() }
    }
}

impl From<PartV1> for Part {
    fn from(part: PartV1) -> Self {
        let messages = part.messages.into_iter().map(|message| Message {
            id: Uuid::from_bytes(message.id),
            event_type: message.event_type,
            metadata: message.metadata.into(),
            payload: message.payload.into(),
        });
        Self { name: part.stream, next: part.next, messages: messages.collect() }
    }
}

fn own(parts: Vec<PartV1>) -> Vec<Part> {
    parts.into_iter().map(Part::from).collect()
}

/// KurrentDB's id for an event with this chain hash.
pub(super) fn store_id(hash: &[u8]) -> Uuid {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash).for_each(|(to, from)| *to = *from);
    Builder::from_custom_bytes(bytes).into_uuid()
}

fn encode<T: Serialize>(frozen: &T) -> Result<Bytes, String> {
    let bytes = postcard::to_extend(frozen, vec![VERSION_1]);
    bytes.map(Bytes::from).map_err(|error| format!("the envelope cannot be encoded: {error}"))
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    match bytes.split_first() {
        Some((&VERSION_1, rest)) => match postcard::take_from_bytes::<T>(rest) {
            Ok((frozen, [])) => Ok(frozen),
            Ok((_, more)) => Err(format!("the envelope is damaged: {} bytes too many", more.len())),
            Err(error) => Err(format!("the envelope is damaged: {error}")),
        },
        Some((version, _)) => Err(format!("the envelope is damaged: unknown version {version}")),
        None => Err("the envelope is missing: HishamOS did not write this event".to_owned()),
    }
}

/// An event as KurrentDB takes it.
pub(super) fn message(event: &RecordedEvent, remembered: bool, rest: &[Part]) -> Result<Message, String> {
    let envelope = EnvelopeV1 {
        id: event.id.as_uuid().into_bytes(),
        schema_version: event.schema_version,
        codec: event.codec,
        recorded_at: event.recorded_at.as_micros(),
        previous_hash: event.previous_hash.0,
        hash: event.hash.0,
        metadata: event.metadata_bytes.to_vec(),
        remembered,
        rest: rest.iter().map(PartV1::from).collect(),
    };
    Ok(Message {
        id: store_id(&event.hash.0),
        event_type: event.event_type.to_string(),
        metadata: encode(&envelope)?,
        payload: event.payload.clone(),
    })
}

/// The bytes of an event of another journal as KurrentDB takes them.
pub(super) fn message_of_entry(entry: &Entry) -> Result<Message, String> {
    let hash = |bytes: &[u8]| Hash::try_from(bytes).map(|hash| hash.0);
    let envelope = EnvelopeV1 {
        id: entry.id.as_uuid().into_bytes(),
        schema_version: entry.schema_version,
        codec: entry.codec,
        recorded_at: entry.recorded_at,
        previous_hash: hash(&entry.previous_hash)?,
        hash: hash(&entry.hash)?,
        metadata: entry.metadata.clone(),
        remembered: entry.command.is_some(),
        rest: Vec::new(),
    };
    Ok(Message {
        id: store_id(&entry.hash),
        event_type: entry.event_type.clone(),
        metadata: encode(&envelope)?,
        payload: Bytes::from(entry.payload.clone()),
    })
}

/// The note about a command, for a stream of its own. It is like no other, so that the server never takes one writer's
/// note for the repetition of another's.
pub(super) fn note(name: String, next: u64, note: &Note) -> Result<Part, String> {
    let frozen = CommandV1 {
        writer: Uuid::new_v4().into_bytes(),
        stream: note.stream.clone(),
        revision: note.revision,
        id: note.id.into_bytes(),
        rest: note.rest.iter().map(PartV1::from).collect(),
    };
    let payload = encode(&frozen)?;
    let message = Message { id: Uuid::new_v4(), event_type: COMMAND.to_owned(), metadata: Bytes::new(), payload };
    Ok(Part { name, next, messages: vec![message] })
}

/// Reads a note about a command.
pub(super) fn read_note(event: &eventstore::RecordedEvent) -> Result<Note, ReadError> {
    let frozen: CommandV1 = decode(&event.data).map_err(|what| damaged(event, what))?;
    Ok(Note {
        stream: frozen.stream,
        revision: frozen.revision,
        id: Uuid::from_bytes(frozen.id),
        rest: own(frozen.rest),
    })
}

/// What an event says is still to be written of its append.
pub(super) fn rest(event: &eventstore::RecordedEvent) -> Vec<Part> {
    let parts = if event.event_type == COMMAND {
        decode::<CommandV1>(&event.data).map(|note| note.rest)
    } else {
        decode::<EnvelopeV1>(&event.custom_metadata).map(|envelope| envelope.rest)
    };
    // A damaged envelope is named by whoever reads the event; here it only means that nothing can be finished.
    own(parts.unwrap_or_default())
}

fn damaged(event: &eventstore::RecordedEvent, what: String) -> ReadError {
    ReadError::Damaged { position: position(event), what }
}

/// Where an event stands in the journal.
pub(super) fn position(event: &eventstore::RecordedEvent) -> Position {
    Position::from_u64(event.position.commit)
}

/// A position of the journal stands for both halves of one of KurrentDB. They differ only in transactions of a protocol
/// that HishamOS does not speak.
fn one_position(position: eventstore::Position) -> Result<(), String> {
    if position.commit == position.prepare {
        return Ok(());
    }
    Err("it was written in a transaction, which HishamOS never does".to_owned())
}

/// The event of the journal that lies here.
pub(super) fn recorded(names: &Names, event: eventstore::RecordedEvent) -> Result<RecordedEvent, ReadError> {
    let fail = |what: String| ReadError::Damaged { position: position(&event), what };
    one_position(event.position).map_err(fail)?;
    let (category, id) = names
        .parse(event.stream_id())
        .ok_or_else(|| fail(format!("its stream `{}` has no name of ours", event.stream_id())))?;
    let category: Category = category.parse().map_err(|error| fail(format!("{error}")))?;
    let envelope: EnvelopeV1 = decode(&event.custom_metadata).map_err(fail)?;
    Ok(RecordedEvent {
        position: position(&event),
        id: EventId::from_uuid(Uuid::from_bytes(envelope.id)),
        stream: StreamId { category, id },
        revision: event.revision,
        schema_version: envelope.schema_version,
        codec: envelope.codec,
        recorded_at: Timestamp::from_micros(envelope.recorded_at),
        metadata: Arc::new(metadata::decode(&envelope.metadata).map_err(fail)?),
        metadata_bytes: Bytes::from(envelope.metadata),
        previous_hash: Hash(envelope.previous_hash),
        hash: Hash(envelope.hash),
        decoded: OnceLock::new(),
        event_type: event.event_type.into(),
        payload: event.data,
    })
}

/// The bytes of an event as they are, damaged or not.
pub(super) fn entry(names: &Names, event: eventstore::RecordedEvent) -> Entry {
    let (category, stream) = match names.parse(event.stream_id()) {
        Some((category, stream)) => (category.to_owned(), stream),
        None => (event.stream_id().to_owned(), Uuid::nil()),
    };
    let position = position(&event);
    let envelope = decode::<EnvelopeV1>(&event.custom_metadata).unwrap_or_else(|_| EnvelopeV1 {
        id: event.id.into_bytes(),
        schema_version: 0,
        codec: 0,
        recorded_at: 0,
        previous_hash: [0; 32],
        hash: [0; 32],
        metadata: event.custom_metadata.to_vec(),
        remembered: false,
        rest: Vec::new(),
    });
    let command = metadata::decode(&envelope.metadata).ok().filter(|_| envelope.remembered);
    Entry {
        position,
        id: EventId::from_uuid(Uuid::from_bytes(envelope.id)),
        category,
        stream,
        revision: event.revision,
        event_type: event.event_type,
        schema_version: envelope.schema_version,
        codec: envelope.codec,
        recorded_at: envelope.recorded_at,
        command: command.map(|metadata| metadata.command.as_uuid()),
        metadata: envelope.metadata,
        payload: event.data.to_vec(),
        previous_hash: envelope.previous_hash.to_vec(),
        hash: envelope.hash.to_vec(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn version_1_keeps_its_bytes() {
        let part = Part {
            name: "s".to_owned(),
            next: 3,
            messages: vec![Message {
                id: Uuid::from_u128(1),
                event_type: "t".to_owned(),
                metadata: Bytes::from_static(b"m"),
                payload: Bytes::from_static(b"p"),
            }],
        };
        let envelope = EnvelopeV1 {
            id: [1; 16],
            schema_version: 2,
            codec: 1,
            recorded_at: -1,
            previous_hash: [2; 32],
            hash: [3; 32],
            metadata: b"meta".to_vec(),
            remembered: true,
            rest: vec![PartV1::from(&part)],
        };
        let bytes = encode(&envelope).unwrap();
        let expected = [
            &[1][..],
            &[1; 16],
            &[2, 1, 1],
            &[2; 32],
            &[3; 32],
            &[4],
            b"meta",
            &[1],
            &[1, 1],
            b"s",
            &[3, 1],
            &Uuid::from_u128(1).into_bytes(),
            &[1],
            b"t",
            &[1],
            b"m",
            &[1],
            b"p",
        ]
        .concat();
        assert_eq!(bytes, expected);
        let back: EnvelopeV1 = decode(&bytes).unwrap();
        assert_eq!(own(back.rest), [part]);
    }

    #[test]
    fn both_halves_of_a_position_are_one() {
        assert!(one_position(eventstore::Position { commit: 7, prepare: 7 }).is_ok());
        assert!(one_position(eventstore::Position { commit: 9, prepare: 7 }).unwrap_err().contains("transaction"));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert!(decode::<EnvelopeV1>(&[]).err().unwrap().contains("missing"));
        assert!(decode::<EnvelopeV1>(&[9, 1]).err().unwrap().contains("unknown version 9"));
        assert!(decode::<CommandV1>(&[1, 1]).is_err());
    }
}
