//! The journal in memory, for tests: everything that the port promises except surviving the process.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use domain::{CommandId, StreamId};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::append::Head;
use crate::chain::Entry;
use crate::prepare::{self, Prepared};
use crate::subscription::Follow;
use crate::{
    Append, AppendError, Appended, Batch, Filter, Journal, Page, Position, ReadError, RecordedEvent, Subscription, Turn,
};

/// A journal that lives as long as its process.
#[derive(Clone)]
pub struct MemoryJournal {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    head: watch::Sender<Position>,
}

#[derive(Default)]
struct State {
    events: Vec<Arc<RecordedEvent>>,
    streams: HashMap<StreamId, Vec<Arc<RecordedEvent>>>,
    heads: HashMap<StreamId, Head>,
    commands: HashMap<CommandId, Appended>,
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryJournal {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::default(), head: watch::Sender::new(Position::START) }) }
    }

    fn record(&self, append: Append, turn: Option<&Turn>) -> Result<Appended, AppendError> {
        let prepared = prepare::prepare(append)?;
        let mut state = self.shared.state.lock();
        let done = state.record(prepared, turn)?;
        self.shared.head.send_replace(state.head());
        Ok(done)
    }
}

impl State {
    fn record(&mut self, mut prepared: Prepared, turn: Option<&Turn>) -> Result<Appended, AppendError> {
        if prepared.remember
            && let Some(first) = self.commands.get(&prepared.command)
        {
            return Ok(first.again());
        }
        for part in &prepared.streams {
            prepare::check(part.stream, part.expected, self.heads.get(&part.stream).copied())?;
        }
        turn.map_or(Ok(()), |turn| turn.check(&[]))?;
        let first = self.events.len();
        let done = prepared.stamp(self.head(), &mut self.heads, &mut self.events);
        for event in self.events.iter().skip(first) {
            self.streams.entry(event.stream).or_default().push(Arc::clone(event));
        }
        if prepared.remember {
            self.commands.insert(prepared.command, done.clone());
        }
        Ok(done)
    }

    fn head(&self) -> Position {
        self.events.last().map_or(Position::START, |event| event.position)
    }

    fn page(&self, after: Position, filter: &Filter, limit: usize) -> Page {
        let mut page = Page { events: Vec::new(), position: after };
        let first = usize::try_from(after.as_u64()).unwrap_or(usize::MAX);
        for event in self.events.iter().skip(first) {
            if page.events.len() == limit {
                break;
            }
            if filter.matches(event) {
                page.events.push(Arc::clone(event));
            }
            page.position = event.position;
        }
        page
    }

    fn page_back(&self, before: Option<Position>, filter: &Filter, limit: usize) -> Page {
        let mut events = Vec::new();
        for event in self.events.iter().rev().skip_while(|event| before.is_some_and(|before| event.position >= before))
        {
            if events.len() == limit {
                let reached = events.last().map(|event: &Arc<RecordedEvent>| event.position);
                return Page { events, position: reached.or(before).unwrap_or_else(|| self.head()) };
            }
            if filter.matches(event) {
                events.push(Arc::clone(event));
            }
        }
        Page { events, position: Position::START }
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.record(append, None)
    }

    async fn append_in_turn(&self, append: Append, turn: Turn) -> Result<Appended, AppendError> {
        let done = self.record(append, Some(&turn));
        turn.settle(&done);
        done
    }

    fn takes_ahead(&self) -> bool {
        true
    }

    async fn read_stream(
        &self,
        stream: StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        let state = self.shared.state.lock();
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        Ok(state.streams.get(&stream).into_iter().flatten().skip(from).take(limit).cloned().collect())
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        Ok(self.shared.state.lock().page(after, filter, limit))
    }

    async fn read_back(&self, before: Option<Position>, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        Ok(self.shared.state.lock().page_back(before, filter, limit))
    }

    async fn read_entries(&self, after: Position, limit: usize) -> Result<Vec<Entry>, ReadError> {
        let page = self.shared.state.lock().page(after, &Filter::default(), limit);
        Ok(page.events.iter().map(|event| Entry::from(event.as_ref())).collect())
    }

    fn subscribe(&self, after: Position, filter: Filter) -> Subscription {
        let source: Arc<dyn Follow> = Arc::clone(&self.shared) as _;
        Subscription::new(source, after, filter)
    }

    async fn head(&self) -> Result<Position, ReadError> {
        Ok(self.shared.state.lock().head())
    }

    fn seen(&self) -> Position {
        *self.shared.head.borrow()
    }

    fn gapless(&self) -> bool {
        true
    }

    async fn find_command(&self, command: CommandId) -> Result<Option<Appended>, ReadError> {
        Ok(self.shared.state.lock().commands.get(&command).map(Appended::again))
    }
}

#[async_trait]
impl Follow for Shared {
    async fn next(&self, after: Position, filter: &Filter, limit: usize) -> Result<Batch, ReadError> {
        let mut head = self.head.subscribe();
        // The sender is part of `self`, so waiting cannot fail.
        let _ = head.wait_for(|head| *head > after).await;
        let state = self.state.lock();
        let Page { events, position } = state.page(after, filter, limit);
        Ok(Batch { events, position, caught_up: position == state.head() })
    }
}
