//! What this process knows of the end of the journal: the newest events in memory, and who waits for more.
//!
//! Invariants: the events in memory have consecutive positions and end at the head that was announced; everything
//! announced is committed; memory is bounded by events and bytes, and a reader that falls behind it goes on from the
//! database, so no reader ever holds up anybody.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::RwLock;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use tokio::sync::watch;

use super::failure::{self, Meaning};
use super::rows;
use super::waiting::Waiting;
use crate::subscription::Follow;
use crate::{Batch, Filter, Page, Position, ReadError, RecordedEvent};

/// How many events one look into memory goes through at most, so that the lock is held shortly.
const LOOK: usize = 4096;

pub(super) struct Feed {
    tail: RwLock<Tail>,
    seen: watch::Sender<Seen>,
    /// Those who wait for wanted events alone. Locked after the tail.
    waiting: Waiting,
    pool: PgPool,
    /// How many processes listen, as last heard.
    pub(super) listeners: AtomicI32,
    /// Whether this process is one of them.
    pub(super) listening: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    head: Position,
    closed: bool,
}

struct Tail {
    /// The position before the first event in memory.
    floor: u64,
    events: VecDeque<Arc<RecordedEvent>>,
    bytes: usize,
    max_events: usize,
    max_bytes: usize,
}

impl Tail {
    fn head(&self) -> u64 {
        self.floor + u64::try_from(self.events.len()).unwrap_or(u64::MAX)
    }

    fn reset(&mut self, floor: u64) {
        self.events.clear();
        self.bytes = 0;
        self.floor = floor;
    }

    fn push(&mut self, event: &Arc<RecordedEvent>) {
        let position = event.position.as_u64();
        if position <= self.head() {
            return;
        }
        if position != self.head() + 1 {
            self.reset(position - 1);
        }
        self.bytes += event.weight();
        self.events.push_back(Arc::clone(event));
        while self.events.len() > self.max_events || self.bytes > self.max_bytes {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.weight();
            self.floor += 1;
        }
    }

    /// The wanted events after a position; `None` when memory does not reach back that far.
    fn page(&self, after: Position, filter: &Filter, limit: usize) -> Option<Page> {
        let skipped = usize::try_from(after.as_u64().checked_sub(self.floor)?).ok()?;
        let mut page = Page { events: Vec::new(), position: after };
        for event in self.events.range(skipped.min(self.events.len())..).take(LOOK) {
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
    /// How many events of others are fetched before it is better to forget the tail.
    pub(super) const CATCH_UP: u64 = 10_000;

    pub(super) fn new(pool: PgPool, head: Position, max_events: usize, max_bytes: usize) -> Self {
        let tail = Tail { floor: head.as_u64(), events: VecDeque::new(), bytes: 0, max_events, max_bytes };
        Self {
            tail: RwLock::new(tail),
            seen: watch::Sender::new(Seen { head, closed: false }),
            waiting: Waiting::default(),
            pool,
            listeners: AtomicI32::new(1),
            listening: AtomicBool::new(false),
        }
    }

    /// The last position that this process knows to be committed.
    pub(super) fn head(&self) -> Position {
        self.seen.borrow().head
    }

    /// Takes committed events, in order; those that it has are skipped.
    pub(super) fn publish(&self, events: &[Arc<RecordedEvent>]) {
        let mut tail = self.tail.write();
        let before = tail.head();
        events.iter().for_each(|event| tail.push(event));
        self.announce(tail.head());
        match events.iter().find(|event| event.position.as_u64() > before) {
            Some(event) if event.position.as_u64() > before + 1 => self.waiting.wake_all(),
            _ => self.waiting.tell(events, Position::from_u64(before)),
        }
    }

    /// Forgets what is in memory and goes on after `head`.
    pub(super) fn skip_to(&self, head: Position) {
        let mut tail = self.tail.write();
        if head.as_u64() > tail.head() {
            tail.reset(head.as_u64());
            self.announce(tail.head());
            self.waiting.wake_all();
        }
    }

    /// Called under the lock of the tail, so that heads are announced in order.
    fn announce(&self, head: u64) {
        let head = Position::from_u64(head);
        self.seen.send_if_modified(|seen| {
            let moved = seen.head < head;
            seen.head = seen.head.max(head);
            moved
        });
        // A gauge takes nothing else; it is exact up to 2^53.
        metrics::gauge!("journal_head_position").set(head.as_u64() as f64);
    }

    /// No more events will come.
    pub(super) fn close(&self) {
        // Nobody takes a place meanwhile who has not seen that it is closed.
        let _tail = self.tail.write();
        self.seen.send_modify(|seen| seen.closed = true);
        self.waiting.close();
    }

    /// All events after a position, when they are in memory.
    pub(super) fn since(&self, after: Position) -> Option<Vec<Arc<RecordedEvent>>> {
        let tail = self.tail.read();
        let skipped = usize::try_from(after.as_u64().checked_sub(tail.floor)?).ok()?;
        Some(tail.events.range(skipped.min(tail.events.len())..).cloned().collect())
    }

    pub(super) fn page(&self, after: Position, filter: &Filter, limit: usize) -> Option<Page> {
        self.tail.read().page(after, filter, limit)
    }

    /// Fetches what others have recorded up to `head`, which is committed.
    pub(super) async fn catch_up(&self, connection: &mut sqlx::PgConnection, head: Position) -> Result<(), ReadError> {
        loop {
            let known = self.head();
            if known >= head {
                return Ok(());
            }
            if head.as_u64() - known.as_u64() > Self::CATCH_UP {
                self.skip_to(head);
                return Ok(());
            }
            match rows::page(connection, known, head, &Filter::default(), LOOK).await {
                Ok(page) if page.events.is_empty() => {
                    tracing::error!(after = %known, %head, "events are missing from the journal");
                    self.skip_to(head);
                }
                Ok(page) => self.publish(&page.events),
                Err(error @ ReadError::Damaged { .. }) => {
                    tracing::error!(%error, "a recorded event cannot be read");
                    self.skip_to(head);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads from the database over a borrowed connection; that one died in the pool, or that the database is being
    /// restarted, is not the reader's concern. (The pool tests what comes back to it.)
    pub(super) async fn read<T, F, R>(&self, read: F) -> Result<T, ReadError>
    where
        F: Fn(PoolConnection<Postgres>) -> R + Send,
        R: Future<Output = Result<T, ReadError>> + Send,
    {
        let mut pause = Duration::from_millis(20);
        loop {
            let failed = match self.pool.acquire().await {
                Ok(connection) => match read(connection).await {
                    Err(ReadError::Unavailable(error)) => error,
                    done => return done,
                },
                Err(error) => match error.into() {
                    ReadError::Unavailable(error) => error,
                    other => return Err(other),
                },
            };
            let broken = failed.downcast_ref::<sqlx::Error>().map(failure::meaning) == Some(Meaning::Broken);
            if !broken || pause > Duration::from_secs(2) {
                return Err(ReadError::Unavailable(failed));
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}

#[async_trait]
impl Follow for Feed {
    async fn next(&self, after: Position, filter: &Filter, limit: usize) -> Result<Batch, ReadError> {
        let mut seen = self.seen.subscribe();
        // The sender is part of `self`, so waiting ends only with an answer.
        let now =
            seen.wait_for(|seen| seen.closed || seen.head > after).await.map_err(|_| ReadError::Closed)?.to_owned();
        if now.head <= after {
            return Err(ReadError::Closed);
        }
        let Page { events, position } = match self.page(after, filter, limit) {
            Some(page) => page,
            None => {
                self.read(
                    |mut connection| async move { rows::page(&mut connection, after, now.head, filter, limit).await },
                )
                .await?
            }
        };
        Ok(Batch { events, position, caught_up: position >= self.head() })
    }

    async fn next_wanted(&self, mut after: Position, filter: &Filter, limit: usize) -> Result<Batch, ReadError> {
        if after > self.head() {
            // The database knew of more than this process has heard of yet.
            let mut seen = self.seen.subscribe();
            let now = *seen.wait_for(|seen| seen.closed || seen.head >= after).await.map_err(|_| ReadError::Closed)?;
            if now.head < after {
                return Err(ReadError::Closed);
            }
        }
        loop {
            let seat = {
                // Nothing is published meanwhile.
                let tail = self.tail.read();
                let page = tail.page(after, filter, limit);
                let head = Position::from_u64(tail.head());
                match page {
                    Some(page) if page.events.is_empty() && page.position == head && !self.seen.borrow().closed => {
                        self.waiting.enter(filter, head)
                    }
                    Some(page) if page.events.is_empty() && page.position == head => return Err(ReadError::Closed),
                    Some(Page { events, position }) => {
                        return Ok(Batch { events, position, caught_up: position == head });
                    }
                    // Memory does not reach back that far.
                    None => break,
                }
            };
            after = seat.woken().await.ok_or(ReadError::Closed)?;
        }
        self.next(after, filter, limit).await
    }
}
