//! How the events of a part lie in its row, one after the other.
//!
//! A part is what one append brings to one stream, and one row of `journal.parts`
//! ([decision 0026](../../../docs/decisions/0026-one-row-per-part.md)). The body has of each event: its id (16 bytes), the
//! version of its schema (2), its codec (1), the length of its payload (4), the payload; then its hash (32), which the next
//! event follows. The last event's hash has a column of its own. Numbers are big-endian, as PostgreSQL's own functions
//! write and read them. Invariants: every byte of a body belongs to exactly one event, and no fact is stored twice; so
//! whatever is changed in a row either makes no sense any more or changes what is hashed of an event.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use domain::{Category, EventId, StreamId, Timestamp};
use uuid::Uuid;

use crate::chain::Entry;
use crate::{Hash, MAX_APPEND_EVENTS, Position, ReadError, RecordedEvent, metadata};

/// How many bytes an event takes in a body besides its payload.
pub(super) const AROUND: usize = 16 + 2 + 1 + 4 + 32;

/// What one append brings to one stream, among the events of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// How many of the events; at least one.
    pub(super) events: usize,
    /// The command to remember with the last of them.
    pub(super) command: Option<Uuid>,
}

/// Positions and revisions are never negative, unless somebody has changed them.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Appends the body of a part to `out`.
pub(super) fn write(events: &[Arc<RecordedEvent>], out: &mut Vec<u8>) {
    let mut hash: Option<&Hash> = None;
    for event in events {
        if let Some(Hash(hash)) = hash {
            out.extend_from_slice(hash);
        }
        out.extend_from_slice(event.id.as_uuid().as_bytes());
        out.extend_from_slice(&event.schema_version.to_be_bytes());
        out.push(event.codec);
        // A body that long is far beyond what PostgreSQL takes, so it is refused and never stored.
        let length = u32::try_from(event.payload.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&event.payload);
        hash = Some(&event.hash);
    }
}

/// A row of `journal.parts`.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) position: i64,
    pub(super) revision: i64,
    pub(super) events: i32,
    pub(super) recorded_at: i64,
    pub(super) stream: Uuid,
    pub(super) command: Option<Uuid>,
    pub(super) category: String,
    pub(super) event_types: String,
    pub(super) previous_hash: Vec<u8>,
    pub(super) hash: Vec<u8>,
    pub(super) metadata: Bytes,
    pub(super) body: Bytes,
}

/// An event within a row.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) position: Position,
    pub(super) revision: u64,
    pub(super) event_type: &'a str,
    id: Uuid,
    schema_version: u16,
    codec: u8,
    previous_hash: &'a [u8],
    hash: &'a [u8],
    /// Where in the body.
    payload: Range<usize>,
}

/// The part of a body that is not read yet.
struct Rest<'a> {
    bytes: &'a [u8],
    length: usize,
}

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or("its body ends within an event")?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N)?.try_into().map_err(|_| "its body ends within an event".to_owned())
    }

    fn at(&self) -> usize {
        self.length - self.bytes.len()
    }
}

impl Row {
    /// The position before its first event.
    fn before(&self) -> i64 {
        self.position.saturating_sub(self.events.into())
    }

    fn pieces<'a>(&'a self, found: &mut Vec<Piece<'a>>) -> Result<(), String> {
        let mut rest = Rest { bytes: &self.body, length: self.body.len() };
        let mut types = self.event_types.split(' ');
        let mut previous_hash = self.previous_hash.as_slice();
        for number in 1..=self.events {
            let event_type = types.next().ok_or("it has more events than types")?;
            let id = Uuid::from_bytes(rest.array()?);
            let schema_version = u16::from_be_bytes(rest.array()?);
            let [codec] = rest.array()?;
            let length = usize::try_from(u32::from_be_bytes(rest.array()?)).map_err(|error| error.to_string())?;
            let begin = rest.at();
            rest.take(length)?;
            let payload = begin..rest.at();
            let hash = if number == self.events { self.hash.as_slice() } else { rest.take(32)? };
            let place = i64::from(number);
            found.push(Piece {
                position: Position::from_u64(unsigned(self.before().saturating_add(place))),
                revision: unsigned(self.revision.saturating_add(place - 1)),
                event_type,
                id,
                schema_version,
                codec,
                previous_hash,
                hash,
                payload,
            });
            previous_hash = hash;
        }
        if self.events < 1 {
            return Err("it says that it has no events".to_owned());
        }
        if types.next().is_some() {
            return Err("it has more types than events".to_owned());
        }
        match rest.bytes.len() {
            0 => Ok(()),
            more => Err(format!("its body has {more} bytes too many")),
        }
    }

    /// Its events, in order, as far as they make sense; and what is wrong with the next one, if anything is. That one
    /// may be the last: what is too much belongs to no other.
    fn take_apart(&self) -> (Vec<Piece<'_>>, Result<(), String>) {
        let mut pieces = Vec::new();
        let whole = self.pieces(&mut pieces);
        if whole.is_err() {
            pieces.truncate(usize::try_from(self.events).unwrap_or(0).saturating_sub(1));
        }
        (pieces, whole)
    }

    /// Those of its events that are wanted, in order.
    ///
    /// # Errors
    /// When the row makes no sense.
    pub(super) fn read(&self, wanted: impl Fn(&Piece<'_>) -> bool) -> Result<Vec<RecordedEvent>, ReadError> {
        let (pieces, whole) = self.take_apart();
        let damaged = |position: Position| move |what: String| ReadError::Damaged { position, what };
        let first = self.before().saturating_add(1);
        let next = first.saturating_add(i64::try_from(pieces.len()).unwrap_or(i64::MAX)).min(self.position);
        whole.map_err(damaged(Position::from_u64(unsigned(next))))?;
        let first = Position::from_u64(unsigned(first));
        let category: Category = self.category.parse().map_err(|error| damaged(first)(format!("{error}")))?;
        let metadata = Arc::new(metadata::decode(&self.metadata).map_err(damaged(first))?);
        let mut events = Vec::with_capacity(pieces.len());
        for piece in pieces.into_iter().filter(|piece| wanted(piece)) {
            let hash = |bytes: &[u8]| Hash::try_from(bytes).map_err(damaged(piece.position));
            events.push(RecordedEvent {
                position: piece.position,
                id: EventId::from_uuid(piece.id),
                stream: StreamId { category, id: self.stream },
                revision: piece.revision,
                event_type: piece.event_type.to_owned().into(),
                schema_version: piece.schema_version,
                codec: piece.codec,
                recorded_at: Timestamp::from_micros(self.recorded_at),
                metadata: Arc::clone(&metadata),
                metadata_bytes: self.metadata.clone(),
                previous_hash: hash(piece.previous_hash)?,
                hash: hash(piece.hash)?,
                payload: self.body.slice(piece.payload),
                decoded: OnceLock::new(),
            });
        }
        Ok(events)
    }

    /// The bytes of its events as they are. From the first event on that makes no sense there are entries whose hashes show
    /// that they are damaged: one for each event, so that the first is named, as long as their number may be true.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let (pieces, whole) = self.take_apart();
        let entry = |piece: &Piece<'_>| Entry {
            position: piece.position,
            id: EventId::from_uuid(piece.id),
            category: self.category.clone(),
            stream: self.stream,
            revision: piece.revision,
            event_type: piece.event_type.to_owned(),
            schema_version: piece.schema_version,
            codec: piece.codec,
            recorded_at: self.recorded_at,
            metadata: self.metadata.to_vec(),
            payload: self.body.get(piece.payload.clone()).unwrap_or_default().to_vec(),
            previous_hash: piece.previous_hash.to_vec(),
            hash: piece.hash.to_vec(),
            command: None,
        };
        let mut entries: Vec<Entry> = pieces.iter().map(&entry).collect();
        if whole.is_err() {
            let count = usize::try_from(self.events).ok().filter(|count| (1..=MAX_APPEND_EVENTS).contains(count));
            let unread = count.map_or(1, |count| count - pieces.len());
            for until_last in (0..unread).rev() {
                // The bytes are told once.
                let payload = if until_last + 1 == unread { 0..self.body.len() } else { 0..0 };
                let until_last = i64::try_from(until_last).unwrap_or(i64::MAX);
                let last = self.revision.saturating_add(i64::from(self.events).saturating_sub(1).max(0));
                entries.push(entry(&Piece {
                    position: Position::from_u64(unsigned(self.position.saturating_sub(until_last))),
                    revision: unsigned(last.saturating_sub(until_last)),
                    event_type: &self.event_types,
                    id: Uuid::nil(),
                    schema_version: 0,
                    codec: 0,
                    previous_hash: pieces.last().map_or(self.previous_hash.as_slice(), |piece| piece.hash),
                    hash: &self.hash,
                    payload,
                }));
            }
        }
        if let Some(last) = entries.last_mut() {
            last.command = self.command;
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
    use domain::{Actor, CommandId};
    use proptest::prelude::*;

    use super::*;
    use crate::Metadata;
    use crate::chain::Verifier;

    /// Events at the positions from 8 and the revisions from 3 on, with true hashes.
    fn events(payloads: &[Vec<u8>]) -> Vec<Arc<RecordedEvent>> {
        let metadata = Arc::new(Metadata {
            actor: Actor::person("ada"),
            tenant: "acme".to_owned(),
            correlation: Uuid::from_u128(1),
            causation: None,
            command: CommandId::from_uuid(Uuid::from_u128(2)),
        });
        let metadata_bytes = Bytes::from(metadata::encode(&metadata).unwrap());
        let mut previous_hash = Hash([7; 32]);
        let mut events = Vec::new();
        for (number, payload) in (0..).zip(payloads) {
            let mut event = RecordedEvent {
                position: Position::from_u64(8 + number),
                id: EventId::from_uuid(Uuid::from_u128(u128::from(number) << 64 | 3)),
                stream: StreamId { category: Category::Agent, id: Uuid::from_u128(4) },
                revision: 3 + number,
                event_type: format!("agent.number_{number}").into(),
                schema_version: 258,
                codec: 1,
                recorded_at: Timestamp::from_micros(1_800_000_000_123_456),
                metadata: Arc::clone(&metadata),
                metadata_bytes: metadata_bytes.clone(),
                payload: Bytes::from(payload.clone()),
                previous_hash,
                hash: Hash::ZERO,
                decoded: OnceLock::new(),
            };
            event.hash = Entry::from(&event).computed_hash();
            previous_hash = event.hash;
            events.push(Arc::new(event));
        }
        events
    }

    fn row(events: &[Arc<RecordedEvent>]) -> Row {
        let (first, last) = (&events[0], &events[events.len() - 1]);
        let mut body = Vec::new();
        write(events, &mut body);
        Row {
            position: signed(last.position.as_u64()),
            revision: signed(first.revision),
            events: i32::try_from(events.len()).unwrap(),
            recorded_at: first.recorded_at.as_micros(),
            stream: first.stream.id,
            command: Some(Uuid::from_u128(2)),
            category: first.stream.category.name().to_owned(),
            event_types: events.iter().map(|event| event.event_type.clone()).collect::<Vec<_>>().join(" "),
            previous_hash: first.previous_hash.0.to_vec(),
            hash: last.hash.0.to_vec(),
            metadata: first.metadata_bytes.clone(),
            body: Bytes::from(body),
        }
    }

    fn sample() -> Row {
        row(&events(&[b"one".to_vec(), Vec::new(), b"three".to_vec()]))
    }

    fn damaged_at(row: &Row) -> Option<u64> {
        match row.read(|_| true) {
            Ok(_) => None,
            Err(ReadError::Damaged { position, .. }) => Some(position.as_u64()),
            Err(other) => panic!("{other}"),
        }
    }

    /// Whether a pass over the journal says that something is wrong with one of these events.
    fn is_found(entries: Vec<Entry>) -> bool {
        let mut verifier = Verifier::new(false);
        entries.into_iter().for_each(|entry| verifier.check(entry));
        let report = verifier.finish(Position::from_u64(10));
        // That the stream does not begin here is nothing.
        report.findings.iter().any(|finding| matches!(finding.fault, crate::chain::Fault::WrongHash { .. }))
    }

    #[test]
    fn the_body_has_its_layout_for_ever() {
        let events = events(&[b"one".to_vec(), b"2".to_vec()]);
        let expected = [
            events[0].id.as_uuid().as_bytes(),
            &[1, 2, 1, 0, 0, 0, 3][..],
            b"one",
            &events[0].hash.0,
            events[1].id.as_uuid().as_bytes(),
            &[1, 2, 1, 0, 0, 0, 1],
            b"2",
        ]
        .concat();
        assert_eq!(row(&events).body, expected);
    }

    #[test]
    fn what_is_not_wanted_is_left_out() {
        let row = sample();
        let positions = |wanted: &dyn Fn(&Piece<'_>) -> bool| -> Vec<u64> {
            row.read(wanted).unwrap().iter().map(|event| event.position.as_u64()).collect()
        };
        assert_eq!(positions(&|piece| piece.position.as_u64() > 8), [9, 10]);
        assert_eq!(positions(&|piece| piece.revision < 4), [8]);
        assert_eq!(positions(&|piece| piece.event_type == "agent.number_1"), [9]);
        assert!(positions(&|_| false).is_empty());
    }

    #[test]
    fn every_truncation_and_every_byte_too_many_is_an_error() {
        let whole = sample();
        assert!(!is_found(whole.entries()));
        for length in 0..whole.body.len() {
            let cut = Row { body: whole.body.slice(..length), ..whole.clone() };
            let position = damaged_at(&cut).unwrap();
            assert!((8..=10).contains(&position), "{length}: {position}");
            assert!(is_found(cut.entries()), "{length}");
            let positions: Vec<u64> = cut.entries().iter().map(|entry| entry.position.as_u64()).collect();
            assert_eq!(positions, [8, 9, 10]);
            let sound = |entry: &&Entry| entry.computed_hash().0.as_slice() == entry.hash;
            assert_eq!(cut.entries().iter().take_while(sound).count(), usize::try_from(position).unwrap() - 8);
        }
        for more in [1, 32, 55] {
            let longer = Row { body: [whole.body.as_ref(), &vec![0; more]].concat().into(), ..whole.clone() };
            assert_eq!(damaged_at(&longer), Some(10), "{more}");
            assert!(is_found(longer.entries()), "{more}");
        }
    }

    #[test]
    fn every_flipped_bit_of_a_body_is_an_error_or_found_by_its_hash() {
        let whole = sample();
        for at in 0..whole.body.len() * 8 {
            let mut body = whole.body.to_vec();
            body[at / 8] ^= 1 << (at % 8);
            let changed = Row { body: body.into(), ..whole.clone() };
            damaged_at(&changed);
            assert!(is_found(changed.entries()), "bit {at}");
        }
    }

    #[test]
    fn a_count_that_does_not_fit_is_an_error() {
        let whole = sample();
        for events in [i32::MIN, -1, 0, 1, 2, 4, i32::MAX] {
            let changed = Row { events, ..whole.clone() };
            let position = damaged_at(&changed).unwrap();
            assert!(position <= 10, "{events}: {position}");
            assert!(is_found(changed.entries()), "{events}");
            assert_eq!(changed.entries().last().unwrap().position.as_u64(), 10);
        }
        for (position, revision) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (0, -3)] {
            let changed = Row { position, revision, ..whole.clone() };
            assert!(is_found(changed.entries()), "{position} {revision}");
        }
        let types = |event_types: &str| Row { event_types: event_types.to_owned(), ..whole.clone() };
        for types in ["", "a.b", "a.b a.b", "a.b a.b a.b a.b"].map(types) {
            assert!(damaged_at(&types).is_some() && is_found(types.entries()), "{types:?}");
        }
        let short = Row { hash: vec![0; 31], ..whole.clone() };
        assert_eq!(damaged_at(&short), Some(10));
        let empty = Row { metadata: Bytes::new(), ..whole };
        assert_eq!(damaged_at(&empty), Some(8));
    }

    proptest! {
        #[test]
        fn events_come_back_as_they_went(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..40)) {
            let went = events(&payloads);
            let row = row(&went);
            let right: Vec<Entry> = went.iter().map(|event| Entry::from(event.as_ref())).collect();
            let read = row.read(|_| true).unwrap();
            prop_assert!(read.iter().zip(&went).all(|(read, went)| read.metadata == went.metadata));
            prop_assert_eq!(&read.iter().map(Entry::from).collect::<Vec<_>>(), &right);
            let mut entries = row.entries();
            prop_assert_eq!(entries.last_mut().unwrap().command.take(), row.command);
            prop_assert_eq!(entries, right);
        }

        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..300), events in any::<i32>(), position: i64, revision: i64) {
            let row = Row { body: body.into(), events, position, revision, ..sample() };
            damaged_at(&row);
            prop_assert!(is_found(row.entries()));
        }
    }
}
