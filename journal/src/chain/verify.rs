//! One pass over a journal in its order; memory grows with the number of streams, not of events.

use std::collections::HashMap;

use domain::{Category, EventId, StreamId};
use uuid::Uuid;

use super::Entry;
use crate::{Hash, Journal, Position, ReadError, metadata, wire};

/// What is wrong with an event, or before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Something in the event was changed after it had been recorded.
    #[error("its hash is {recorded}, but its content hashes to {computed}: the event was changed")]
    WrongHash {
        /// As the store has it, in hexadecimal.
        recorded: String,
        /// As its content gives it.
        computed: Hash,
    },
    /// It does not follow the event that stands before it in its stream.
    #[error("it says that it follows {recorded}, but the stream's event before it is {expected}")]
    WrongPrevious {
        /// As the store has it, in hexadecimal.
        recorded: String,
        /// The hash of the event before it, in hexadecimal.
        expected: String,
    },
    /// Events of the stream are missing before it.
    #[error("its stream lacks the revisions from {expected} to the one before it")]
    MissingRevisions {
        /// The first missing one.
        expected: u64,
    },
    /// It stands after an event of the same stream with the same or a higher revision.
    #[error("it stands after revision {last} of its stream: repeated or out of order")]
    RevisionOrder {
        /// The highest revision before it.
        last: u64,
    },
    /// Positions are missing before it.
    #[error("the journal lacks the positions from {expected} to the one before it")]
    MissingPositions {
        /// The first missing one.
        expected: Position,
    },
    /// Its position is not after the one before it.
    #[error("it stands after position {last}: repeated or out of order")]
    PositionOrder {
        /// The position before it.
        last: Position,
    },
    /// Its bytes are no event that this program knows.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// The command that the store remembers is not the one that the event was recorded for.
    #[error("it is remembered under command {remembered}, but was recorded for another one")]
    WrongCommand {
        /// As the store has it.
        remembered: Uuid,
    },
    /// The journal ends elsewhere than its head says.
    #[error("it is the journal's last event, but the head is at position {head}")]
    WrongHead {
        /// Where the journal should end.
        head: Position,
    },
}

/// A fault, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {event} at position {position} (stream {category}-{stream}, revision {revision}): {fault}")]
pub struct Finding {
    /// Its place in the journal.
    pub position: Position,
    /// Its id.
    pub event: EventId,
    /// The category of its stream, as recorded.
    pub category: String,
    /// The id of its stream, as recorded.
    pub stream: Uuid,
    /// Its place in the stream, as recorded.
    pub revision: u64,
    /// What is wrong.
    pub fault: Fault,
}

impl Finding {
    fn of(entry: &Entry, fault: Fault) -> Self {
        Self {
            position: entry.position,
            event: entry.id,
            category: entry.category.clone(),
            stream: entry.stream,
            revision: entry.revision,
            fault,
        }
    }
}

/// What a pass came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// How many events were looked at.
    pub events: u64,
    /// How many streams they belong to.
    pub streams: u64,
    /// Where the pass ended.
    pub position: Position,
    /// How many faults there are.
    pub faults: u64,
    /// The first of them, at most [`Verifier::KEPT`].
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faults == 0
    }
}

/// The end of a stream, as far as the pass has come.
struct Tail {
    revision: u64,
    hash: Vec<u8>,
}

/// Takes the events of a journal in its order and says what is wrong with them.
#[derive(Default)]
pub struct Verifier {
    gapless: bool,
    streams: HashMap<(String, Uuid), Tail>,
    last: Option<Entry>,
    report: Report,
}

impl Verifier {
    /// How many findings a report keeps; beyond that it only counts.
    pub const KEPT: usize = 1000;

    /// A pass from the first event on. `gapless` says whether the store gives positions without gaps, so that a
    /// missing one is a fault.
    #[must_use]
    pub fn new(gapless: bool) -> Self {
        Self { gapless, ..Self::default() }
    }

    /// Looks at the next event.
    pub fn check(&mut self, entry: Entry) {
        self.check_position(&entry);
        self.check_chain(&entry);
        if let Err(fault) = readable(&entry) {
            self.found(&entry, fault);
        }
        let tail = Tail { revision: entry.revision, hash: entry.hash.clone() };
        let key = (entry.category.clone(), entry.stream);
        match self.streams.get_mut(&key) {
            // An event out of order does not move the end of its stream back.
            Some(known) if known.revision >= tail.revision => {}
            Some(known) => *known = tail,
            None => {
                self.report.streams += 1;
                self.streams.insert(key, tail);
            }
        }
        self.report.events += 1;
        self.report.position = entry.position;
        self.last = Some(entry);
    }

    /// How many faults it has found so far.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.report.faults
    }

    /// Ends the pass; `head` is where the store says that the journal ends.
    #[must_use]
    pub fn finish(mut self, head: Position) -> Report {
        if head != self.report.position {
            let fault = Fault::WrongHead { head };
            match self.last.take() {
                Some(last) => self.found(&last, fault),
                None => {
                    self.report.faults += 1;
                    self.report.findings.push(Finding {
                        position: Position::START,
                        event: EventId::from_uuid(Uuid::nil()),
                        category: "none".to_owned(),
                        stream: Uuid::nil(),
                        revision: 0,
                        fault,
                    });
                }
            }
        }
        self.report
    }

    fn check_position(&mut self, entry: &Entry) {
        let last = self.report.position;
        let fault = if entry.position <= last {
            Fault::PositionOrder { last }
        } else if self.gapless && entry.position.as_u64() != last.as_u64() + 1 {
            Fault::MissingPositions { expected: Position::from_u64(last.as_u64() + 1) }
        } else {
            return;
        };
        self.found(entry, fault);
    }

    fn check_chain(&mut self, entry: &Entry) {
        let computed = entry.computed_hash();
        if entry.hash != computed.0 {
            self.found(entry, Fault::WrongHash { recorded: hex(&entry.hash), computed });
        }
        let (next, previous) = match self.streams.get(&(entry.category.clone(), entry.stream)) {
            Some(tail) => (tail.revision.saturating_add(1), tail.hash.as_slice()),
            None => (0, Hash::ZERO.0.as_slice()),
        };
        let fault = if entry.revision > next {
            Fault::MissingRevisions { expected: next }
        } else if entry.revision < next {
            Fault::RevisionOrder { last: next - 1 }
        } else if entry.previous_hash != previous {
            Fault::WrongPrevious { recorded: hex(&entry.previous_hash), expected: hex(previous) }
        } else {
            return;
        };
        self.found(entry, fault);
    }

    fn found(&mut self, entry: &Entry, fault: Fault) {
        self.report.faults += 1;
        if self.report.findings.len() < Self::KEPT {
            self.report.findings.push(Finding::of(entry, fault));
        }
    }
}

/// Proves a whole journal.
///
/// # Errors
/// When the journal cannot be read, which says nothing about its soundness.
pub async fn verify(journal: &dyn Journal) -> Result<Report, ReadError> {
    const PAGE: usize = 2000;
    let head = journal.head().await?;
    let mut verifier = Verifier::new(journal.gapless());
    let mut after = Position::START;
    loop {
        let page = journal.read_entries(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(verifier.finish(head)) };
        // What was recorded after the pass had begun is left to the next one; what claims to lie beyond even that
        // is none of it.
        let recorded = if last.position > head { journal.head().await? } else { head };
        after = if last.position > head { last.position.max(recorded) } else { last.position };
        page.into_iter()
            .filter(|entry| entry.position <= head || entry.position > recorded)
            .for_each(|entry| verifier.check(entry));
    }
}

fn readable(entry: &Entry) -> Result<(), Fault> {
    let unreadable = |what: String| Fault::Unreadable(what);
    let category = entry.category.parse::<Category>().map_err(|error| unreadable(error.to_string()))?;
    let metadata = metadata::decode(&entry.metadata).map_err(unreadable)?;
    let event = wire::decode(&entry.event_type, entry.schema_version, entry.codec, &entry.payload)
        .map_err(|error| unreadable(error.to_string()))?;
    if crate::prepare::category_of(&event) != category {
        let stream = StreamId { category, id: entry.stream };
        return Err(unreadable(format!("`{}` does not belong into stream {stream}", entry.event_type)));
    }
    match entry.command {
        Some(remembered) if remembered != metadata.command.as_uuid() => Err(Fault::WrongCommand { remembered }),
        _ => Ok(()),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
