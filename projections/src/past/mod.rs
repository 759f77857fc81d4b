//! What was true as of a position, folded from the journal.
//!
//! The read models say which entities there are and in which order lists show them, because neither ever changes
//! once something is there, and what action items were when they came to be, which does not change either; everything else
//! comes from the streams of the entities, up to the position.
//!
//! Invariants: what is told here for a position is what the read models told when they stood there; no answer is cut:
//! a question that would cost too much is refused.

mod actions;
mod approvals;
mod attempts;
mod catalog;
mod flow;
mod relatives;
mod runs;
mod steps;
mod tasks;
mod usage;
mod work;

use std::collections::HashMap;
use std::sync::Arc;

use domain::{StreamId, Task};
use journal::wire::DecodeError;
use journal::{Filter, Journal, Position, RecordedEvent};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::projector::ApplyError;
use crate::runs::{Story, TaskStory};
use crate::{Error, Queries};

/// The read models as they were. What was read once is kept, so one of these is for one question.
pub struct Past {
    journal: Arc<dyn Journal>,
    queries: Queries,
    position: Position,
    /// The moment that was asked about, in microseconds since the Unix epoch, when it was one.
    moment: Option<i64>,
    /// Runs whose stories were told, by id and the position that they were told up to; a run that there was not yet
    /// has an empty one.
    stories: Mutex<HashMap<(Uuid, Position), Arc<Story>>>,
    tasks: Mutex<HashMap<Uuid, Option<Arc<TaskStory>>>>,
    /// Tasks with their outputs and all that was said of them.
    states: Mutex<HashMap<Uuid, Arc<Task>>>,
}

impl Past {
    /// How many events are folded for one part of an answer at most.
    pub const MAX_EVENTS: usize = 200_000;
    /// How many entries of a list are looked at for one page at most.
    pub const MAX_ENTRIES: usize = 5000;
    /// How many tasks are summed up at most.
    pub const MAX_TASKS: usize = 20_000;
    /// How many entries of a list are looked at at a time.
    const CHUNK: u32 = 200;

    /// As of a position, which the read models must have reached.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>, queries: Queries, position: Position) -> Self {
        let (stories, tasks, states) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { journal, queries, position, moment: None, stories, tasks, states }
    }

    /// The same, when it was asked for by a moment, in microseconds since the Unix epoch.
    #[must_use]
    pub fn as_of(self, micros: i64) -> Self {
        Self { moment: Some(micros), ..self }
    }

    /// The read models, which say what never changes.
    #[must_use]
    pub fn queries(&self) -> &Queries {
        &self.queries
    }

    /// As of which position.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The moment that it is of, in microseconds since the Unix epoch: the one that was asked about, or else the one at
    /// which the event at the position was recorded; `None` when there is no such event.
    ///
    /// # Errors
    /// When the journal fails.
    pub async fn moment(&self) -> Result<Option<i64>, Error> {
        if self.moment.is_some() {
            return Ok(self.moment);
        }
        let before = Position::from_u64(self.position.as_u64().saturating_sub(1));
        let page = self.journal.read_all(before, &Filter::default(), 1).await?;
        let last = page.events.first().filter(|event| event.position <= self.position);
        Ok(last.map(|event| event.recorded_at.as_micros()))
    }

    fn too_much(&self, what: impl Into<String>) -> Error {
        Error::TooMuchPast { position: self.position, what: what.into() }
    }

    fn unreadable(&self, error: &ApplyError) -> Error {
        Error::UnreadablePast { position: self.position, what: error.to_string() }
    }

    fn damaged(&self, error: &DecodeError) -> Error {
        Error::UnreadablePast { position: self.position, what: error.to_string() }
    }

    async fn read(&self, streams: &[StreamId], until: Position) -> Result<Vec<Arc<RecordedEvent>>, Error> {
        if streams.is_empty() {
            return Ok(vec![]);
        }
        let events = self.journal.read_streams(streams, until, Self::MAX_EVENTS).await?;
        events.ok_or_else(|| self.too_much(format!("more than {} events", Self::MAX_EVENTS)))
    }
}

/// Events by the entity that they happened to, in order.
fn by_stream(events: Vec<Arc<RecordedEvent>>) -> HashMap<Uuid, Vec<Arc<RecordedEvent>>> {
    let mut streams: HashMap<Uuid, Vec<Arc<RecordedEvent>>> = HashMap::new();
    for event in events {
        streams.entry(event.stream.id).or_default().push(event);
    }
    streams
}
