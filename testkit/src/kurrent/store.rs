//! Events in memory, as KurrentDB orders and refuses them.
//!
//! Positions are places in a log of bytes: they have gaps, the first is not 0, and only the beginning of an event is a
//! place to read from. All from the server's source: `CheckCommit` of its index writer for expectations and
//! repetitions, `AllReader` for positions.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::watch;
use uuid::Uuid;

/// What the server's log has before each event: roughly its record header.
const OVERHEAD: u64 = 87;
/// Where the first event begins; the server's own events come first.
const BEGIN: u64 = 1_163;

/// How much the server takes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one event.
    pub event: usize,
    /// Bytes of one append.
    pub append: usize,
}

impl Default for Limits {
    /// The server's own.
    fn default() -> Self {
        Self { event: 16 * 1024 * 1024, append: 256 * 1024 * 1024 }
    }
}

/// An event as it was written.
#[derive(Debug)]
pub struct Written {
    /// Its place in `$all`, both halves of it.
    pub position: u64,
    /// Its id.
    pub id: Uuid,
    /// Its stream.
    pub stream: Arc<str>,
    /// Its place in the stream, from 0.
    pub revision: u64,
    /// Its type.
    pub event_type: String,
    /// Its content type.
    pub content_type: String,
    /// Its data.
    pub data: Bytes,
    /// Its metadata.
    pub metadata: Bytes,
    /// When it was written, in ticks of 100 ns since the Unix epoch.
    pub(super) created: u128,
}

/// An event that is to be written.
#[derive(Debug)]
pub(super) struct Proposed {
    pub(super) id: Uuid,
    pub(super) event_type: String,
    pub(super) content_type: String,
    pub(super) data: Bytes,
    pub(super) metadata: Bytes,
}

/// What a writer believes about a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Any,
    NoStream,
    Exists,
    Revision(u64),
}

/// What a write came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done {
        revision: Option<u64>,
        position: Option<u64>,
    },
    Wrong {
        current: Option<u64>,
    },
    EventTooLarge,
    AppendTooLarge,
    /// Some of it was written before, some not.
    Mixed,
}

/// Everything that was written.
#[derive(Debug)]
pub struct Store {
    log: RwLock<Log>,
    end: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Log {
    events: Vec<Arc<Written>>,
    streams: HashMap<Arc<str>, Vec<Arc<Written>>>,
    limits: Limits,
}

impl Default for Store {
    fn default() -> Self {
        Self { log: RwLock::default(), end: watch::Sender::new(BEGIN) }
    }
}

impl Store {
    /// Lets it take less or more than the server does by itself.
    pub fn limit(&self, limits: Limits) {
        self.log.write().limits = limits;
    }

    /// Everything, in order.
    pub fn events(&self) -> Vec<Arc<Written>> {
        self.log.read().events.clone()
    }

    /// Changes an event behind everybody's back.
    pub fn tamper(&self, position: u64, change: impl FnOnce(&mut Written)) {
        let mut log = self.log.write();
        let index = log.events.partition_point(|event| event.position < position);
        let old = Arc::clone(log.events.get(index).expect("there is an event at the position"));
        let mut new = Written {
            position: old.position,
            id: old.id,
            stream: Arc::clone(&old.stream),
            revision: old.revision,
            event_type: old.event_type.clone(),
            content_type: old.content_type.clone(),
            data: old.data.clone(),
            metadata: old.metadata.clone(),
            created: old.created,
        };
        change(&mut new);
        let new = Arc::new(new);
        let in_stream = log.streams.get_mut(&old.stream).into_iter().flatten();
        in_stream.filter(|event| event.position == position).for_each(|event| *event = Arc::clone(&new));
        log.events.iter_mut().filter(|event| event.position == position).for_each(|event| *event = Arc::clone(&new));
    }

    /// Takes the last events away, as restoring an older backup does.
    pub fn forget_last(&self, count: usize) {
        let mut log = self.log.write();
        for _ in 0..count {
            let Some(event) = log.events.pop() else { break };
            if let Some(stream) = log.streams.get_mut(&event.stream) {
                stream.pop();
                if stream.is_empty() {
                    log.streams.remove(&event.stream);
                }
            }
            self.end.send_replace(event.position);
        }
    }

    /// The end of the log, and how it moves.
    pub(super) fn end(&self) -> watch::Receiver<u64> {
        self.end.subscribe()
    }

    /// A stream from a revision on, or back from one; `None` when there is no such stream.
    pub(super) fn stream(&self, name: &str) -> Option<Vec<Arc<Written>>> {
        self.log.read().streams.get(name).cloned()
    }

    /// Whether an event begins here, or the log ends.
    pub(super) fn is_place(&self, position: u64) -> bool {
        let log = self.log.read();
        position == 0
            || position >= *self.end.borrow()
            || log.events.binary_search_by_key(&position, |event| event.position).is_ok()
    }

    /// Up to `limit` events from a position on, that one included.
    pub(super) fn from(&self, position: u64, limit: usize) -> Vec<Arc<Written>> {
        let log = self.log.read();
        let index = log.events.partition_point(|event| event.position < position);
        log.events.iter().skip(index).take(limit).cloned().collect()
    }

    /// Everything before a position, newest first.
    pub(super) fn before(&self, position: u64) -> Vec<Arc<Written>> {
        let log = self.log.read();
        let index = log.events.partition_point(|event| event.position < position);
        log.events.iter().take(index).rev().cloned().collect()
    }

    pub(super) fn append(&self, stream: &str, expected: Expected, proposed: Vec<Proposed>) -> Outcome {
        let mut log = self.log.write();
        let size = |event: &Proposed| event.data.len() + event.metadata.len() + event.event_type.len();
        if proposed.iter().any(|event| size(event) > log.limits.event) {
            return Outcome::EventTooLarge;
        }
        if proposed.iter().map(size).sum::<usize>() > log.limits.append {
            return Outcome::AppendTooLarge;
        }
        let there = log.streams.get(stream).map(Vec::as_slice).unwrap_or_default();
        let current = there.last().map(|event| event.revision);
        match judge(there, expected, &proposed) {
            Verdict::New => {}
            Verdict::Repeated(last) => {
                return Outcome::Done { revision: Some(last.revision), position: Some(last.position) };
            }
            Verdict::Wrong => return Outcome::Wrong { current },
            Verdict::Mixed => return Outcome::Mixed,
        }
        let name: Arc<str> = there.first().map_or_else(|| Arc::from(stream), |event| Arc::clone(&event.stream));
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() / 100);
        let mut end = *self.end.borrow();
        let next = current.map_or(0, |current| current + 1);
        let mut last = Outcome::Done { revision: current, position: None };
        for (revision, event) in (next..).zip(proposed) {
            let length = u64::try_from(size(&event)).unwrap_or(u64::MAX) + OVERHEAD;
            let written = Arc::new(Written {
                position: end,
                id: event.id,
                stream: Arc::clone(&name),
                revision,
                event_type: event.event_type,
                content_type: event.content_type,
                data: event.data,
                metadata: event.metadata,
                created,
            });
            last = Outcome::Done { revision: Some(revision), position: Some(end) };
            end += length;
            log.events.push(Arc::clone(&written));
            log.streams.entry(Arc::clone(&name)).or_default().push(written);
        }
        drop(log);
        self.end.send_replace(end);
        last
    }
}

enum Verdict<'a> {
    New,
    Repeated(&'a Written),
    Wrong,
    Mixed,
}

/// Whether a write fits, or was made before.
fn judge<'a>(there: &'a [Arc<Written>], expected: Expected, proposed: &[Proposed]) -> Verdict<'a> {
    let current = there.last().map(|event| event.revision);
    let met = match expected {
        Expected::Any => true,
        Expected::Exists => current.is_some(),
        Expected::NoStream => current.is_none(),
        Expected::Revision(revision) => current == Some(revision),
    };
    let place = match expected {
        // Without a place, the first id says where the repetition would be.
        Expected::Any | Expected::Exists => {
            let first = proposed.first().and_then(|event| there.iter().position(|known| known.id == event.id));
            match first {
                Some(first) => first,
                None if met => return Verdict::New,
                None => return Verdict::Wrong,
            }
        }
        _ if met => return Verdict::New,
        Expected::NoStream => 0,
        Expected::Revision(revision) => usize::try_from(revision).unwrap_or(usize::MAX).saturating_add(1),
    };
    let known = there.get(place..).unwrap_or_default();
    let same = known.iter().zip(proposed).take_while(|(known, event)| known.id == event.id).count();
    match known.get(same.saturating_sub(1)) {
        Some(last) if same > 0 && same == proposed.len() => Verdict::Repeated(last),
        _ if same == 0 || place >= there.len() => Verdict::Wrong,
        _ => Verdict::Mixed,
    }
}
