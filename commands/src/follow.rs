//! The events of one run and of its tasks, as they are recorded.
//!
//! Invariants: each event is told exactly once, in the order of the journal; following again after the last position
//! that was told goes on without gap or repetition. Events are pulled, so a slow reader slows only itself.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use domain::{Category, Event, RunEvent, RunId, StepName, StreamId, TaskEvent, TaskId};
use journal::{Journal, Position, ReadError, RecordedEvent, RunSubscription};

/// How many events of the run's stream are read at a time.
const PAGE: usize = 1000;

/// What is told of one event.
#[derive(Debug, Clone)]
pub struct Told {
    /// The event.
    pub recorded: Arc<RecordedEvent>,
    /// The step that it is about, when it is of one of its tasks.
    pub step: Option<String>,
    /// Whether nothing happens to the run after this.
    pub terminal: bool,
}

/// A run whose events are told.
pub struct FollowedRun {
    run: RunId,
    /// The tasks that were created for the run, and their steps.
    tasks: HashMap<StreamId, String>,
    subscription: RunSubscription,
    waiting: VecDeque<Arc<RecordedEvent>>,
    over: bool,
}

/// What a run's stream says when following begins.
pub(crate) struct Known {
    pub(crate) tasks: HashMap<StreamId, String>,
    /// Where its first event stands. Tasks that start with the run stand before its start.
    first: Position,
    pub(crate) ended: Option<Position>,
}

impl FollowedRun {
    /// Follows a run from its beginning, or from after a position; nothing when there is no such run.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn open(journal: &dyn Journal, run: RunId, after: Option<Position>) -> Result<Option<Self>, ReadError> {
        let head = journal.head().await?;
        let Some(Known { tasks, first, ended }) = known(journal, run).await? else { return Ok(None) };
        let after = after.unwrap_or(Position::START);
        // Nothing of the run stands before its first event, so the journal before it need not be read.
        let begin = Position::from_u64(first.as_u64().saturating_sub(1)).max(after);
        let streams: Vec<StreamId> = tasks.keys().copied().collect();
        Ok(Some(Self {
            run,
            tasks,
            subscription: RunSubscription::open(journal, run, streams, head, begin).await?,
            waiting: VecDeque::new(),
            over: ended.is_some_and(|ended| ended <= after),
        }))
    }

    /// Whether nothing is left to tell.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The next event; waits for it, and is nothing after the one that ended the run.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn next(&mut self) -> Result<Option<Told>, ReadError> {
        while !self.over {
            let Some(recorded) = self.waiting.pop_front() else {
                self.waiting.extend(self.subscription.next().await?);
                continue;
            };
            if let Some(told) = self.told(recorded)? {
                self.over = told.terminal;
                return Ok(Some(told));
            }
        }
        Ok(None)
    }

    /// What is told of an event; nothing when it belongs to another run.
    fn told(&mut self, recorded: Arc<RecordedEvent>) -> Result<Option<Told>, ReadError> {
        if recorded.stream == StreamId::from(self.run) {
            let terminal = matches!(decoded(&recorded)?, Event::Run(event) if event.is_terminal());
            let step = match decoded(&recorded)? {
                Event::Run(event) => task_of(event).map(|(_, step)| step.as_str().to_owned()),
                _ => None,
            };
            return Ok(Some(Told { recorded, step, terminal }));
        }
        // A task says in its first event for which run it is.
        if recorded.stream.category == Category::Task
            && recorded.revision == 0
            && let Event::Task(TaskEvent::Created { run: Some(run), step: Some(step), .. }) = decoded(&recorded)?
            && *run == self.run
        {
            self.tasks.insert(recorded.stream, step.as_str().to_owned());
        }
        let Some(step) = self.tasks.get(&recorded.stream).cloned() else { return Ok(None) };
        Ok(Some(Told { recorded, step: Some(step), terminal: false }))
    }
}

/// Reads what is known of a run.
pub(crate) async fn known(journal: &dyn Journal, run: RunId) -> Result<Option<Known>, ReadError> {
    let stream = StreamId::from(run);
    let (mut found, mut start, mut at_once, mut next) = (None::<Known>, None, Vec::new(), 0);
    loop {
        let page = journal.read_stream(stream, next, PAGE).await?;
        for recorded in &page {
            next = recorded.revision + 1;
            let Event::Run(event) = decoded(recorded)? else { continue };
            if let RunEvent::Started(_) = event {
                start = Some(recorded.metadata.command);
                found = Some(Known { tasks: HashMap::new(), first: recorded.position, ended: None });
            }
            let Some(found) = &mut found else { continue };
            if let Some((task, step)) = task_of(event) {
                found.tasks.insert(task.into(), step.as_str().to_owned());
                if start == Some(recorded.metadata.command) {
                    at_once.push(StreamId::from(task));
                }
            }
            if event.is_terminal() {
                found.ended = Some(recorded.position);
            }
        }
        if page.len() < PAGE {
            break;
        }
    }
    if let Some(found) = &mut found {
        for task in at_once {
            let created = journal.read_stream(task, 0, 1).await?;
            found.first = created.iter().map(|event| event.position).fold(found.first, Position::min);
        }
    }
    Ok(found)
}

pub(crate) fn decoded(recorded: &RecordedEvent) -> Result<&Event, ReadError> {
    recorded.event().map_err(|error| ReadError::Damaged { position: recorded.position, what: error.to_string() })
}

/// The task that an event of a run creates, and its step.
fn task_of(event: &RunEvent) -> Option<(TaskId, &StepName)> {
    match event {
        RunEvent::StepStarted { step, task, .. }
        | RunEvent::ItemStarted { step, task, .. }
        | RunEvent::CompensationStarted { step, task, .. } => Some((*task, step)),
        _ => None,
    }
}
