//! One pass over a journal in its order; memory grows with the number of streams, not of events.

use std::collections::{BTreeMap, HashMap};

use domain::seal::PublicKey;
use domain::{Category, EventId, Seals, StreamId};
use uuid::Uuid;

use super::Entry;
use crate::seal::{Book, SealFault, tree};
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
    /// A seal is wrong, or does not fit what it covers.
    #[error("{0}")]
    Seal(SealFault),
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
    pub(crate) fn of(entry: &Entry, fault: Fault) -> Self {
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
    /// The first of them, at most [`Verifier::KEPT`], in the order of the journal.
    pub findings: Vec<Finding>,
    /// Events of types or versions that this program does not know, by type and version. Their chains and seals were
    /// checked; what they say was not.
    pub unknown: BTreeMap<(String, u16), Unknown>,
    /// What the seals came to.
    pub seals: SealReport,
}

/// Events that this program cannot read, though nothing says that they are damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown {
    /// How many.
    pub events: u64,
    /// Where the first of them is.
    pub first: Position,
}

/// What is known of the seals.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SealReport {
    /// How many seals there are.
    pub seals: u64,
    /// How many of them were compared with their events: all, unless the pass saw a part of the journal only.
    pub compared: u64,
    /// How many events these cover.
    pub sealed: u64,
    /// The keys, the first one first.
    pub keys: Vec<PublicKey>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faults == 0
    }

    /// Whether everything could be looked into.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.unknown.is_empty()
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
    /// Whether the pass began with the first event of the journal.
    from_start: bool,
    /// Streams, by the place of their category in `categories`.
    streams: HashMap<(usize, Uuid), Tail>,
    categories: Vec<String>,
    last: Option<Entry>,
    report: Report,
    seals: Sealing,
}

/// The seals that the pass compares.
#[derive(Default)]
struct Sealing {
    book: Book,
    /// The number of the last event that was looked at.
    number: u64,
    /// The range that comes next.
    next: usize,
    tree: tree::Tree,
    /// Whether a book was given.
    wanted: bool,
}

impl Verifier {
    /// How many findings a report keeps; beyond that it only counts.
    pub const KEPT: usize = 1000;

    /// A pass from the first event on. `gapless` says whether the store gives positions without gaps, so that a
    /// missing one is a fault.
    #[must_use]
    pub fn new(gapless: bool) -> Self {
        Self { gapless, from_start: true, ..Self::default() }
    }

    /// A pass that begins after a position, where `number` events came before. What came before is taken on trust: each
    /// stream may begin anywhere.
    #[must_use]
    pub fn after(position: Position, number: u64, gapless: bool) -> Self {
        let mut verifier = Self { gapless, from_start: number == 0, ..Self::default() };
        verifier.report.position = position;
        verifier.seals.number = number;
        verifier
    }

    /// The same pass, which compares the events with their seals too.
    #[must_use]
    pub fn with_seals(mut self, book: Book) -> Self {
        self.report.seals.seals = u64::try_from(book.ranges().len()).unwrap_or(u64::MAX);
        self.report.seals.keys = book.keys().to_vec();
        for finding in book.findings() {
            self.keep(finding.clone());
        }
        let before = self.seals.number;
        self.seals.next = book.ranges().iter().take_while(|range| range.first <= before).count();
        self.seals.book = book;
        self.seals.wanted = true;
        self
    }

    /// Looks at the next event.
    pub fn check(&mut self, mut entry: Entry) {
        self.check_position(&entry);
        let category = self.category(&entry);
        self.check_chain(&entry, category);
        match readable(&entry) {
            Ok(()) => {}
            Err(Unreadable::Unknown) => {
                let place = (entry.event_type.clone(), entry.schema_version);
                let first = entry.position;
                self.report.unknown.entry(place).or_insert(Unknown { events: 0, first }).events += 1;
            }
            Err(Unreadable::Fault(fault)) => self.found(&entry, fault),
        }
        self.check_seals(&entry);
        let tail = Tail { revision: entry.revision, hash: std::mem::take(&mut entry.hash) };
        match self.streams.get_mut(&(category, entry.stream)) {
            // An event out of order does not move the end of its stream back.
            Some(known) if known.revision >= tail.revision => {}
            Some(known) => *known = tail,
            None => {
                self.report.streams += 1;
                self.streams.insert((category, entry.stream), tail);
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

    /// The position of the last event that was looked at.
    #[must_use]
    pub fn position(&self) -> Position {
        self.report.position
    }

    /// Ends the pass; `head` is where the store says that the journal ends.
    #[must_use]
    pub fn finish(mut self, head: Position) -> Report {
        self.finish_seals();
        if head != self.report.position {
            let fault = Fault::WrongHead { head };
            match self.last.take() {
                Some(last) => self.found(&last, fault),
                None => self.keep(Finding {
                    position: Position::START,
                    event: EventId::from_uuid(Uuid::nil()),
                    category: "none".to_owned(),
                    stream: Uuid::nil(),
                    revision: 0,
                    fault,
                }),
            }
        }
        self.report.findings.sort_by_key(|finding| finding.position);
        self.report
    }

    /// The place of a category's name, so that it is kept once and not with each stream.
    fn category(&mut self, entry: &Entry) -> usize {
        match self.categories.iter().position(|known| *known == entry.category) {
            Some(place) => place,
            None => {
                self.categories.push(entry.category.clone());
                self.categories.len() - 1
            }
        }
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

    fn check_chain(&mut self, entry: &Entry, category: usize) {
        let computed = entry.computed_hash();
        if entry.hash != computed.0 {
            self.found(entry, Fault::WrongHash { recorded: hex(&entry.hash), computed });
        }
        let (next, previous) = match self.streams.get(&(category, entry.stream)) {
            Some(tail) => (tail.revision.saturating_add(1), tail.hash.as_slice()),
            // What came before the pass is not known.
            None if !self.from_start && entry.revision > 0 => return,
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

    fn check_seals(&mut self, entry: &Entry) {
        if !self.seals.wanted {
            return;
        }
        if entry.stream == Seals::STREAM.id
            && entry.category == Seals::STREAM.category.name()
            && !self.seals.book.lists(entry.revision, &entry.hash)
        {
            self.found(entry, Fault::Seal(SealFault::Unlisted));
        }
        // Where positions number the events, a missing one spoils its own seal and no later one.
        let number = if self.gapless { entry.position.as_u64() } else { self.seals.number.saturating_add(1) };
        self.seals.number = self.seals.number.max(number);
        self.close_ranges(number.saturating_sub(1));
        let Some(range) = self.seals.book.ranges().get(self.seals.next) else { return };
        if number < range.first {
            return;
        }
        self.seals.tree.push(tree::leaf(&entry.hash));
        self.close_ranges(number);
    }

    /// Compares the ranges that end at or before an event.
    fn close_ranges(&mut self, number: u64) {
        while let Some(range) = self.seals.book.ranges().get(self.seals.next)
            && range.last <= number
        {
            let sealed = range.last.saturating_sub(range.first).saturating_add(1);
            let tree = std::mem::take(&mut self.seals.tree);
            let matches = tree.size() == sealed && tree.root() == range.root;
            let fault = SealFault::Root { number: range.number, first: range.first, last: range.last };
            let finding = (!matches).then(|| Finding::of(&range.entry, Fault::Seal(fault)));
            self.report.seals.compared += 1;
            self.report.seals.sealed += sealed;
            self.seals.next += 1;
            finding.into_iter().for_each(|finding| self.keep(finding));
        }
    }

    /// Ranges that the pass did not come to the end of.
    fn finish_seals(&mut self) {
        let head = self.report.position;
        let cut: Vec<Finding> = {
            let left = self.seals.book.ranges().iter().skip(self.seals.next);
            // A seal stands after what it covers; one beyond the end of the pass may cover what the pass has not seen.
            let left = left.filter(|range| range.entry.position <= head);
            left.map(|range| {
                let fault = SealFault::Cut { number: range.number, last: range.last };
                Finding::of(&range.entry, Fault::Seal(fault))
            })
            .collect()
        };
        cut.into_iter().for_each(|finding| self.keep(finding));
    }

    fn keep(&mut self, finding: Finding) {
        self.report.faults += 1;
        if self.report.findings.len() < Self::KEPT {
            self.report.findings.push(finding);
        }
    }

    fn found(&mut self, entry: &Entry, fault: Fault) {
        self.keep(Finding::of(entry, fault));
    }
}

/// Proves a whole journal with its seals.
///
/// # Errors
/// When the journal cannot be read, which says nothing about its soundness.
pub async fn verify(journal: &dyn Journal) -> Result<Report, ReadError> {
    verify_against(journal, |_| {}).await
}

/// The same; what is known of the seals from elsewhere is compared by `expect`.
///
/// # Errors
/// As [`verify`].
pub async fn verify_against(journal: &dyn Journal, expect: impl FnOnce(&mut Book)) -> Result<Report, ReadError> {
    const PAGE: usize = 4000;
    let head = journal.head().await?;
    let mut book = Book::read(journal, head).await?;
    expect(&mut book);
    let mut verifier = Verifier::new(journal.gapless()).with_seals(book);
    let mut after = Position::START;
    let mut page = journal.read_entries(after, PAGE).await?;
    loop {
        let Some(last) = page.last().map(|entry| entry.position) else { return Ok(verifier.finish(head)) };
        // What was recorded after the pass had begun is left to the next one; what claims to lie beyond even that
        // is none of it.
        let recorded = if last > head { journal.head().await? } else { head };
        after = if last > head { last.max(recorded) } else { last };
        // The next page comes while this one is looked at.
        let checking = tokio::task::spawn_blocking(move || {
            page.into_iter()
                .filter(|entry| entry.position <= head || entry.position > recorded)
                .for_each(|entry| verifier.check(entry));
            verifier
        });
        let (next, checked) = tokio::join!(journal.read_entries(after, PAGE), checking);
        page = next?;
        verifier = checked.map_err(|error| ReadError::Unavailable(Box::new(error)))?;
    }
}

/// Why an event cannot be read.
enum Unreadable {
    /// Nobody here knows its type in this version.
    Unknown,
    Fault(Fault),
}

fn readable(entry: &Entry) -> Result<(), Unreadable> {
    let unreadable = |what: String| Unreadable::Fault(Fault::Unreadable(what));
    let metadata = metadata::decode(&entry.metadata).map_err(unreadable)?;
    if let Some(remembered) = entry.command.filter(|remembered| *remembered != metadata.command.as_uuid()) {
        return Err(Unreadable::Fault(Fault::WrongCommand { remembered }));
    }
    let decoded = wire::decode(&entry.event_type, entry.schema_version, entry.codec, &entry.payload);
    let event = match decoded {
        Ok(event) => event,
        Err(wire::DecodeError::Unknown { .. }) => return Err(Unreadable::Unknown),
        Err(error) => return Err(unreadable(error.to_string())),
    };
    let category = entry.category.parse::<Category>().map_err(|error| unreadable(error.to_string()))?;
    if crate::prepare::category_of(&event) != category {
        let stream = StreamId { category, id: entry.stream };
        return Err(unreadable(format!("`{}` does not belong into stream {stream}", entry.event_type)));
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
