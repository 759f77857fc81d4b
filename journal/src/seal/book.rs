//! All statements of a journal, checked one after another.

use cqrs_es::Aggregate;
use domain::seal::{Digest, PublicKey};
use domain::{Decide, Event, SealCommand, SealEvent, Seals};

use super::statement::{self, StatementFault};
use crate::chain::{Entry, Fault, Finding};
use crate::{Hash, Journal, Position, ReadError, wire};

/// What is wrong with a seal, or with what it covers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    /// Taken alone.
    #[error("the statement is forged: {0}")]
    Statement(#[from] StatementFault),
    /// In the place that it has.
    #[error("the statement does not follow the one before it: a seal was removed, exchanged or put in")]
    Order,
    /// Its bytes are no statement.
    #[error("the statement cannot be read: {0}")]
    Unreadable(String),
    /// What it covers is not what it covered.
    #[error(
        "seal {number} does not fit events {first} to {last}: at least one of them was changed, removed, put in or moved after it had been sealed"
    )]
    Root {
        /// Which seal.
        number: u64,
        /// The first event that it covers.
        first: u64,
        /// The last.
        last: u64,
    },
    /// The events that it covers are not all there.
    #[error("seal {number} covers events up to {last}, but the journal ends before: its end was cut off")]
    Cut {
        /// Which seal.
        number: u64,
        /// The last event that it covers.
        last: u64,
    },
    /// The event says that it is a seal, but the list of seals has another one in its place.
    #[error("the seal is not the one that stands in its place in the list of seals")]
    Unlisted,
    /// The first key is not the one that it should be.
    #[error("the first key is {found}, but should be {wanted}: whoever wrote this journal had another key")]
    Foreign {
        /// As it should be.
        wanted: PublicKey,
        /// As it is.
        found: PublicKey,
    },
    /// A statement that was kept outside is not in the journal.
    #[error("statement {revision} was kept outside of the journal with digest {kept}, but the journal has {}", found.map_or("none there".to_owned(), |found| found.to_string()))]
    Outside {
        /// Its place in the stream of seals.
        revision: u64,
        /// The digest that was kept.
        kept: Digest,
        /// The digest in the journal.
        found: Option<Digest>,
    },
}

/// A range of events under one seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Which seal.
    pub number: u64,
    /// The first event, counted from 1.
    pub first: u64,
    /// The last event.
    pub last: u64,
    /// The root that was signed.
    pub root: Digest,
    /// The seal's own event.
    pub(crate) entry: Entry,
}

/// The statements of a journal in their order, and what is wrong with them.
#[derive(Debug, Clone, Default)]
pub struct Book {
    state: Seals,
    next: u64,
    ranges: Vec<Range>,
    statements: Vec<(Hash, SealEvent)>,
    keys: Vec<PublicKey>,
    findings: Vec<Finding>,
}

impl Book {
    /// How many statements are read at a time.
    const PAGE: usize = 1000;

    /// Reads the statements of a journal, up to one of its positions.
    ///
    /// # Errors
    /// When the journal cannot be read. A seal whose row is damaged is a finding.
    pub async fn read(journal: &dyn Journal, until: Position) -> Result<Self, ReadError> {
        let mut book = Self::default();
        let mut from = 0;
        loop {
            let page = match journal.read_stream(Seals::STREAM, from, Self::PAGE).await {
                Ok(page) => page,
                Err(ReadError::Damaged { position, what }) => {
                    book.damaged(position, &what);
                    return Ok(book);
                }
                Err(error) => return Err(error),
            };
            let full = page.len() == Self::PAGE;
            for event in page {
                from = event.revision + 1;
                if event.position <= until {
                    book.take(Entry::from(&*event));
                }
            }
            if !full {
                return Ok(book);
            }
        }
    }

    /// Checks the next statement.
    pub fn take(&mut self, entry: Entry) {
        let fault = |book: &mut Self, fault: SealFault| book.findings.push(Finding::of(&entry, Fault::Seal(fault)));
        let event = match wire::decode(&entry.event_type, entry.schema_version, entry.codec, &entry.payload) {
            Ok(Event::Seal(event)) => event,
            Ok(other) => return fault(self, SealFault::Unreadable(format!("`{}` is no statement", other.name()))),
            Err(error) => return fault(self, SealFault::Unreadable(error.to_string())),
        };
        if entry.computed_hash().0 != *entry.hash || entry.revision != self.next {
            fault(self, SealFault::Order);
        }
        self.next = entry.revision.saturating_add(1);
        if let Err(wrong) = statement::check(&event) {
            fault(self, SealFault::Statement(wrong));
        }
        let command = match event.clone() {
            SealEvent::KeyIntroduced(introduced) => SealCommand::Introduce(introduced),
            SealEvent::KeyRotated(rotated) => SealCommand::Rotate(rotated),
            SealEvent::Sealed(sealed) => SealCommand::Seal(sealed),
        };
        if self.state.decide(command).is_ok_and(|events| events == [event.clone()]) {
            self.state.apply(event.clone());
        } else {
            fault(self, SealFault::Order);
            self.state.apply(event.clone());
        }
        let hash = entry.hash.as_slice().try_into().map_or(Hash::ZERO, Hash);
        match &event {
            SealEvent::KeyIntroduced(introduced) => self.keys.push(introduced.key),
            SealEvent::KeyRotated(rotated) => self.keys.push(rotated.key),
            SealEvent::Sealed(sealed) => {
                let (number, first, last, root) = (sealed.number, sealed.first, sealed.last(), sealed.root);
                self.ranges.push(Range { number, first, last, root, entry });
            }
        }
        self.statements.push((hash, event));
    }

    fn damaged(&mut self, position: Position, what: &str) {
        let fault = Fault::Seal(SealFault::Unreadable(what.to_owned()));
        self.findings.push(Finding {
            position,
            event: domain::EventId::from_uuid(uuid::Uuid::nil()),
            category: Seals::STREAM.category.name().to_owned(),
            stream: Seals::STREAM.id,
            revision: self.next,
            fault,
        });
    }

    /// Compares the first key with the one that it should be.
    pub fn expect_key(&mut self, wanted: PublicKey) {
        if let Some(found) = self.keys.first().copied()
            && found != wanted
        {
            self.foreign(SealFault::Foreign { wanted, found });
        }
    }

    /// Compares the journal with statements that were kept outside of it, by their place in the stream of seals.
    pub fn expect(&mut self, kept: &[(u64, SealEvent)]) {
        for (revision, event) in kept {
            let place = usize::try_from(*revision).unwrap_or(usize::MAX);
            let found = self.statements.get(place).map(|(_, event)| event.digest());
            let digest = statement::digest(event);
            if found != Some(digest) {
                self.foreign(SealFault::Outside { revision: *revision, kept: digest, found });
            }
        }
    }

    fn foreign(&mut self, fault: SealFault) {
        self.findings.push(Finding {
            position: Position::START,
            event: domain::EventId::from_uuid(uuid::Uuid::nil()),
            category: Seals::STREAM.category.name().to_owned(),
            stream: Seals::STREAM.id,
            revision: 0,
            fault: Fault::Seal(fault),
        });
    }

    /// The statements, by their place in their stream.
    pub fn statements(&self) -> impl Iterator<Item = &SealEvent> {
        self.statements.iter().map(|(_, event)| event)
    }

    /// The sealed ranges, in order.
    #[must_use]
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// The keys, the one that signs now last.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// What is wrong with the statements themselves.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether the statement at a place in the stream is the one with this hash.
    pub(crate) fn lists(&self, revision: u64, hash: &[u8]) -> bool {
        let place = usize::try_from(revision).unwrap_or(usize::MAX);
        self.statements.get(place).is_some_and(|(known, _)| known.0 == *hash)
    }
}
