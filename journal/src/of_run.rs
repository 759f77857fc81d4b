//! Following one run with its tasks, whatever else happens meanwhile.
//!
//! Invariants: every event of the run and of its tasks is brought exactly once, in the order of the journal, and no
//! event of others. What others do costs nothing while there is nothing to bring, as far as the back end can tell.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use domain::{Category, Event, RunId, StreamId, TaskEvent};

use crate::{Filter, Journal, Position, ReadError, RecordedEvent, Subscription};

/// How many events are pulled at a time; what a slow reader makes wait in memory.
const BATCH: usize = 100;
/// How many events of what happened before are read at once; a longer story is read page by page.
const MOST_AT_ONCE: usize = 10_000;
/// The event by which a task comes to be.
const CREATED: &str = "task.created";

/// Which run, and which of its tasks are known already. A task that is not known yet is recognised by its first event,
/// which says for which run it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfRun {
    pub(crate) run: RunId,
    pub(crate) tasks: Arc<HashSet<StreamId>>,
}

impl OfRun {
    /// Whether an event is of the run, of a known task, or the first of another of its tasks.
    pub(crate) fn matches(&self, event: &RecordedEvent) -> bool {
        match event.stream.category {
            Category::Run => event.stream.id == self.run.as_uuid(),
            Category::Task => self.tasks.contains(&event.stream) || run_of(event) == Some(self.run),
            _ => false,
        }
    }
}

/// For which run an event creates a task.
pub(crate) fn run_of(event: &RecordedEvent) -> Option<RunId> {
    if event.revision != 0 || event.event_type != CREATED {
        return None;
    }
    match event.event() {
        Ok(Event::Task(TaskEvent::Created { run, .. })) => *run,
        _ => None,
    }
}

/// Follows one run and its tasks.
pub struct RunSubscription {
    run: RunId,
    /// What was recorded before following began.
    past: VecDeque<Arc<RecordedEvent>>,
    subscription: Subscription,
}

impl RunSubscription {
    /// Follows a run after a position. `tasks` are the tasks that its stream names, read after `head` was the end of the
    /// journal.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn open(
        journal: &dyn Journal,
        run: RunId,
        tasks: impl IntoIterator<Item = StreamId>,
        head: Position,
        after: Position,
    ) -> Result<Self, ReadError> {
        let tasks: HashSet<StreamId> = tasks.into_iter().collect();
        let mut past = VecDeque::new();
        let mut begin = after;
        // A task and the run's event that names it are recorded together, so what is known as of the head is complete.
        // Where an append may be seen half, the task may come first; then everything is looked through.
        if after < head && journal.gapless() {
            let mut streams: Vec<StreamId> = tasks.iter().copied().collect();
            streams.push(run.into());
            if let Some(events) = journal.read_streams(&streams, head, MOST_AT_ONCE).await? {
                past.extend(events.into_iter().filter(|event| event.position > after));
                begin = head;
            }
        }
        let filter = Filter {
            of_run: Some(OfRun { run, tasks: Arc::new(tasks) }),
            ..Filter::categories([Category::Run, Category::Task])
        };
        Ok(Self { run, past, subscription: journal.subscribe(begin, filter).with_batch(BATCH).quiet() })
    }

    /// The next events; waits for them. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the store fails; calling again goes on from the same place.
    pub async fn next(&mut self) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        if !self.past.is_empty() {
            let count = self.past.len().min(BATCH);
            return Ok(self.past.drain(..count).collect());
        }
        let mut events = self.subscription.next().await?.events;
        let new =
            events.iter().position(|event| run_of(event) == Some(self.run) && !self.subscription.knows(event.stream));
        if let Some(index) = new {
            // What comes after the beginning of a task was looked through without knowing of it, so once more.
            events.truncate(index + 1);
            if let Some(created) = events.last() {
                self.subscription.learn(created.stream, created.position);
            }
        }
        Ok(events)
    }
}
