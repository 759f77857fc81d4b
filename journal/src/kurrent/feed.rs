//! What this process knows of the end of the journal: the newest events in memory, and who waits for more.
//!
//! Invariants: events come in from the subscription alone and therefore in the order of `$all`; everything after the
//! floor up to the head is in memory; memory is bounded by events and bytes, and a reader that falls behind it goes
//! on from the server, so no reader ever holds up anybody.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::watch;

use crate::{Filter, Page, Position, RecordedEvent};

/// How many events one look into memory goes through at most, so that the lock is held shortly.
const LOOK: usize = 4096;

pub(super) struct Feed {
    tail: RwLock<Tail>,
    seen: watch::Sender<Seen>,
}

/// How far this process has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// The last event that the subscription brought.
    pub(super) head: Position,
    /// The last event that is known to be recorded, because the subscription brought it or because the server said so
    /// when we appended.
    pub(super) recorded: Position,
    pub(super) closed: bool,
}

struct Tail {
    /// The position before the first event in memory.
    floor: Position,
    events: VecDeque<Arc<RecordedEvent>>,
    bytes: usize,
    max_events: usize,
    max_bytes: usize,
}

impl Tail {
    fn push(&mut self, event: Arc<RecordedEvent>) {
        self.bytes += event.weight();
        self.events.push_back(event);
        while self.events.len() > self.max_events || self.bytes > self.max_bytes {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.weight();
            self.floor = oldest.position;
        }
    }

    fn page(&self, after: Position, filter: &Filter, limit: usize) -> Option<Page> {
        if after < self.floor {
            return None;
        }
        let skipped = self.events.partition_point(|event| event.position <= after);
        let mut page = Page { events: Vec::new(), position: after };
        for event in self.events.range(skipped..).take(LOOK) {
            if page.events.len() == limit {
                break;
            }
            if filter.matches(event) {
                page.events.push(Arc::clone(event));
            }
            page.position = event.position;
        }
        Some(page)
    }
}

impl Feed {
    pub(super) fn new(head: Position, max_events: usize, max_bytes: usize) -> Self {
        let tail = Tail { floor: head, events: VecDeque::new(), bytes: 0, max_events, max_bytes };
        let seen = Seen { head, recorded: head, closed: false };
        Self { tail: RwLock::new(tail), seen: watch::Sender::new(seen) }
    }

    pub(super) fn seen(&self) -> Seen {
        *self.seen.borrow()
    }

    /// Takes the next event of the subscription; one that it has is skipped.
    pub(super) fn publish(&self, event: Arc<RecordedEvent>) {
        let position = event.position;
        let mut tail = self.tail.write();
        if position <= self.seen().head {
            return;
        }
        tail.push(event);
        self.reach(position);
    }

    /// An event that cannot be read: whoever reads past it from the server is told, memory does not hide it.
    pub(super) fn skip(&self, position: Position) {
        let mut tail = self.tail.write();
        if position > self.seen().head {
            tail.events.clear();
            tail.bytes = 0;
            tail.floor = position;
            self.reach(position);
        }
    }

    /// Called under the lock of the tail, so that heads are announced in order.
    fn reach(&self, head: Position) {
        self.seen.send_modify(|seen| {
            seen.head = head;
            seen.recorded = seen.recorded.max(head);
        });
        #[expect(clippy::cast_precision_loss, reason = "a gauge takes nothing else; it is exact up to 2^53")]
        metrics::gauge!("journal_head_position").set(head.as_u64() as f64);
    }

    /// The server says that this is recorded; the subscription will bring it.
    pub(super) fn recorded(&self, position: Position) {
        self.seen.send_if_modified(|seen| {
            let moved = seen.recorded < position;
            seen.recorded = seen.recorded.max(position);
            moved
        });
    }

    /// No more events will come.
    pub(super) fn close(&self) {
        self.seen.send_modify(|seen| seen.closed = true);
    }

    /// The wanted events after a position; `None` when memory does not reach back that far.
    pub(super) fn page(&self, after: Position, filter: &Filter, limit: usize) -> Option<Page> {
        self.tail.read().page(after, filter, limit)
    }

    /// Waits until the subscription has brought more than `after`; `None` when it never will.
    pub(super) async fn beyond(&self, after: Position) -> Option<Position> {
        let mut seen = self.seen.subscribe();
        // The sender is part of `self`, so waiting ends only with an answer.
        let now = *seen.wait_for(|seen| seen.closed || seen.head > after).await.ok()?;
        (now.head > after).then_some(now.head)
    }

    /// Waits until the subscription has brought everything that is known to be recorded.
    pub(super) async fn caught_up(&self) {
        let mut seen = self.seen.subscribe();
        // As above.
        let _ = seen.wait_for(|seen| seen.closed || seen.head >= seen.recorded).await;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::sync::OnceLock;

    use bytes::Bytes;
    use domain::{Actor, CommandId, EventId, StreamId, Timestamp};
    use uuid::Uuid;

    use super::*;
    use crate::{Hash, Metadata};

    fn event(position: u64, bytes: usize) -> Arc<RecordedEvent> {
        Arc::new(RecordedEvent {
            position: Position::from_u64(position),
            id: EventId::from_uuid(Uuid::nil()),
            stream: StreamId { category: domain::Category::Agent, id: Uuid::nil() },
            revision: position,
            schema_version: 1,
            codec: 1,
            recorded_at: Timestamp::from_micros(0),
            metadata: Arc::new(Metadata {
                actor: Actor::system("test"),
                tenant: String::new(),
                correlation: Uuid::nil(),
                causation: None,
                command: CommandId::from_uuid(Uuid::nil()),
            }),
            metadata_bytes: Bytes::new(),
            previous_hash: Hash::ZERO,
            hash: Hash::ZERO,
            decoded: OnceLock::new(),
            event_type: "".into(),
            payload: Bytes::from(vec![0; bytes]),
        })
    }

    #[test]
    fn memory_is_bounded_by_events_and_by_bytes() {
        let weight = event(1, 1000).weight();
        assert!(weight > 1000, "an event weighs more than its bytes");
        let seven = 8 * weight - 1;
        for (max_events, max_bytes, kept) in [(10, usize::MAX, 10), (usize::MAX, seven, 7), (3, seven, 3)] {
            let feed = Feed::new(Position::START, max_events, max_bytes);
            for position in 1..=100 {
                feed.publish(event(position, 1000));
                let tail = feed.tail.read();
                assert!(tail.events.len() <= kept && tail.bytes <= max_bytes, "{}", tail.events.len());
            }
            assert_eq!(feed.tail.read().events.len(), kept);
            // What is not in memory any more is read from the server; what is, is whole.
            let floor = feed.tail.read().floor;
            assert!(feed.page(Position::START, &Filter::default(), 1000).is_none());
            let page = feed.page(floor, &Filter::default(), 1000).unwrap();
            assert_eq!((page.events.len(), page.position), (kept, Position::from_u64(100)));
        }
    }

    #[test]
    fn what_comes_twice_is_taken_once() {
        let feed = Feed::new(Position::START, 10, usize::MAX);
        for position in [1, 2, 2, 1, 3] {
            feed.publish(event(position, 1));
        }
        let page = feed.page(Position::START, &Filter::default(), 10).unwrap();
        let positions: Vec<u64> = page.events.iter().map(|event| event.position.as_u64()).collect();
        assert_eq!(positions, [1, 2, 3]);
    }
}
