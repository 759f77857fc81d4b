//! What every back end does with an append before it looks at the store: check its shape, encode its events, give
//! them their ids.
//!
//! Invariants: it happens in the caller's task, never in the writer's; an event's id follows from its command and
//! its place in the append, so that an append sent twice has the same ids.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, OnceLock};

use blake3::Hasher;
use bytes::Bytes;
use domain::{Category, CommandId, Event, EventId, StreamId, Timestamp};
use uuid::{Builder, Uuid};

use crate::append::Head;
use crate::chain::Link;
use crate::{
    Append, AppendError, Appended, Context, Expected, Hash, Metadata, Position, RecordedEvent, metadata, wire,
};

/// The largest payload of one event, in bytes.
pub const MAX_PAYLOAD: usize = 1024 * 1024;
/// The most that one append may bring, payloads and metadata together, in bytes.
pub const MAX_APPEND_BYTES: usize = 8 * 1024 * 1024;
/// The most events that one append may bring.
pub const MAX_APPEND_EVENTS: usize = 10_000;

/// An append ready to be recorded.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) streams: Vec<PreparedStream>,
    pub(crate) command: CommandId,
    pub(crate) remember: bool,
    /// How many events there are, at least one.
    pub(crate) count: usize,
    /// Payloads and metadata, in bytes.
    pub(crate) bytes: usize,
    at: Timestamp,
    metadata: Arc<Metadata>,
    metadata_bytes: Bytes,
}

/// The part of an append that goes to one stream.
#[derive(Debug)]
pub(crate) struct PreparedStream {
    pub(crate) stream: StreamId,
    pub(crate) expected: Expected,
    events: Vec<PreparedEvent>,
}

impl PreparedStream {
    /// How many events it has.
    pub(crate) fn count(&self) -> usize {
        self.events.len()
    }
}

#[derive(Debug)]
struct PreparedEvent {
    id: EventId,
    event_type: &'static str,
    schema_version: u16,
    codec: u8,
    payload: Bytes,
    /// Goes into the first recorded event made from this; one made again decodes the payload when asked.
    decoded: Option<Event>,
}

/// Checks and encodes.
pub(crate) fn prepare(append: Append) -> Result<Prepared, AppendError> {
    let Append { streams, context, remember } = append;
    let invalid = |what: String| Err(AppendError::Invalid(what));
    let count = streams.iter().map(|stream| stream.events.len()).sum();
    if count == 0 {
        return invalid("it holds no events".to_owned());
    }
    if count > MAX_APPEND_EVENTS {
        return invalid(format!("it holds {count} events; at most {MAX_APPEND_EVENTS} go into one append"));
    }
    let mut seen = HashSet::with_capacity(streams.len());
    for stream in &streams {
        if stream.events.is_empty() {
            return invalid(format!("it brings no events for stream {}", stream.stream));
        }
        if !seen.insert(stream.stream) {
            return invalid(format!("it names stream {} twice", stream.stream));
        }
    }
    let Context { command, at, actor, tenant, correlation, causation, subject, keeping } = context;
    if subject.is_some() && keeping.is_none() {
        // Rather nothing than something personal in clear.
        return invalid("it is about a person, and this journal has no keys to seal what is personal".to_owned());
    }
    let metadata = Metadata { actor, tenant, correlation, causation, command };
    let metadata_bytes = Bytes::from(metadata::encode(&metadata).map_err(AppendError::Invalid)?);
    let mut bytes = metadata_bytes.len() * count;
    let mut index = 0;
    let mut prepared = Vec::with_capacity(streams.len());
    for stream in streams {
        let mut events = Vec::with_capacity(stream.events.len());
        for event in stream.events {
            let event = encode(stream.stream, event, event_id(command, index), keeping.as_ref())?;
            bytes += event.payload.len();
            index += 1;
            events.push(event);
        }
        prepared.push(PreparedStream { stream: stream.stream, expected: stream.expected, events });
    }
    if bytes > MAX_APPEND_BYTES {
        return invalid(format!("it holds {bytes} bytes; at most {MAX_APPEND_BYTES} go into one append"));
    }
    let metadata = Arc::new(metadata);
    Ok(Prepared { streams: prepared, command, remember, count, bytes, at, metadata, metadata_bytes })
}

fn encode(
    stream: StreamId,
    event: Event,
    id: EventId,
    keeping: Option<&wire::Keeping>,
) -> Result<PreparedEvent, AppendError> {
    if category_of(&event) != stream.category {
        return Err(AppendError::Invalid(format!("`{}` does not belong into stream {stream}", event.name())));
    }
    let encoded = match keeping {
        None => wire::encode(&event),
        Some(keeping) => wire::encode_for(&event, keeping, id, stream),
    };
    let encoded =
        encoded.map_err(|what| AppendError::Invalid(format!("`{}` of stream {stream}: {what}", event.name())))?;
    if encoded.payload.len() > MAX_PAYLOAD {
        return Err(AppendError::Invalid(format!(
            "`{}` of stream {stream} has {} bytes; at most {MAX_PAYLOAD} go into one event",
            event.name(),
            encoded.payload.len(),
        )));
    }
    Ok(PreparedEvent {
        id,
        event_type: encoded.event_type,
        schema_version: encoded.schema_version,
        codec: encoded.codec,
        payload: encoded.payload.into(),
        // What is sealed, or left out, is read anew, so that nothing readable stays in memory.
        decoded: keeping.is_none().then_some(event),
    })
}

/// The id of the event at `index` in the append of `command`: the leading 48 bits of the command's id, which are the
/// time in version 7, then BLAKE3 over the command's id and the index; marked as UUID version 8.
pub fn event_id(command: CommandId, index: u32) -> EventId {
    static KEYED: LazyLock<Hasher> = LazyLock::new(|| Hasher::new_derive_key("hishamos 2026 id of an event"));
    let mut hasher = KEYED.clone();
    hasher.update(command.as_uuid().as_bytes());
    hasher.update(&index.to_le_bytes());
    let mut bytes = [0; 16];
    let (time, rest) = bytes.split_at_mut(6);
    hasher.finalize_xof().fill(rest);
    time.iter_mut().zip(command.as_uuid().as_bytes()).for_each(|(to, from)| *to = *from);
    EventId::from_uuid(Builder::from_custom_bytes(bytes).into_uuid())
}

/// The category of the streams that an event goes into.
pub(crate) fn category_of(event: &Event) -> Category {
    match event {
        Event::Workflow(_) => Category::Workflow,
        Event::Run(_) => Category::Run,
        Event::Task(_) => Category::Task,
        Event::Agent(_) => Category::Agent,
        Event::Template(_) => Category::Template,
        Event::Limit(_) => Category::Limit,
        Event::Slots(_) => Category::Slots,
        Event::Budget(_) => Category::Budget,
        Event::Purse(_) => Category::Purse,
        Event::Webhook(_) => Category::Webhook,
        Event::Delivery(_) => Category::Delivery,
        Event::Hold(_) => Category::Hold,
        Event::Trigger(_) => Category::Trigger,
        Event::External(_) => Category::External,
        Event::Seal(_) => Category::Seal,
        Event::Denial(_) => Category::Denial,
        Event::Search(_) => Category::Search,
        Event::Subject(_) => Category::Subject,
        Event::Action(_) => Category::Action,
    }
}

/// Whether a stream is as expected.
pub(crate) fn check(stream: StreamId, expected: Expected, head: Option<Head>) -> Result<(), AppendError> {
    let actual = head.map(|head| head.revision);
    let met = match expected {
        Expected::Any => true,
        Expected::NoStream => actual.is_none(),
        Expected::Exists => actual.is_some(),
        Expected::Exact(revision) => actual == Some(revision),
    };
    if met { Ok(()) } else { Err(AppendError::Conflict { stream, expected, actual }) }
}

impl Prepared {
    /// Makes the events as they will be recorded after `position`, given where its streams end, and moves those ends
    /// on in `heads`. The expectations have been checked.
    pub(crate) fn stamp(
        &mut self,
        position: Position,
        heads: &mut HashMap<StreamId, Head>,
        out: &mut Vec<Arc<RecordedEvent>>,
    ) -> Appended {
        let mut position = position.as_u64();
        let mut ends = Vec::with_capacity(self.streams.len());
        for PreparedStream { stream, events, .. } in &mut self.streams {
            let mut head = heads.get(stream).copied();
            for event in events {
                position += 1;
                let revision = head.map_or(0, |head| head.revision + 1);
                let previous_hash = head.map_or(Hash::ZERO, |head| head.hash);
                let hash = Link {
                    previous: &previous_hash.0,
                    id: event.id.as_uuid(),
                    category: stream.category.name(),
                    stream: stream.id,
                    revision,
                    event_type: event.event_type,
                    schema_version: event.schema_version,
                    codec: event.codec,
                    recorded_at: self.at.as_micros(),
                    metadata: &self.metadata_bytes,
                    payload: &event.payload,
                }
                .hash();
                head = Some(Head { revision, hash });
                out.push(Arc::new(RecordedEvent {
                    position: Position::from_u64(position),
                    id: event.id,
                    stream: *stream,
                    revision,
                    event_type: Cow::Borrowed(event.event_type),
                    schema_version: event.schema_version,
                    codec: event.codec,
                    recorded_at: self.at,
                    metadata: Arc::clone(&self.metadata),
                    metadata_bytes: self.metadata_bytes.clone(),
                    payload: event.payload.clone(),
                    previous_hash,
                    hash,
                    decoded: event.decoded.take().map_or_else(OnceLock::new, OnceLock::from),
                }));
            }
            if let Some(head) = head {
                ends.push((*stream, head.revision));
                heads.insert(*stream, head);
            }
        }
        Appended { position: Position::from_u64(position), heads: ends, repeated: false }
    }

    /// The id that the store remembers, if it is to.
    pub(crate) fn remembered(&self) -> Option<Uuid> {
        self.remember.then(|| self.command.as_uuid())
    }
}

impl Appended {
    /// The same answer, given once more.
    pub(crate) fn again(&self) -> Self {
        let last = self.heads.last().copied();
        Self { position: self.position, heads: last.into_iter().collect(), repeated: true }
    }
}
