//! Live events, straight from the journal.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_graphql::{Context, Error, Result, SimpleObject, Subscription};
use domain::{
    Category, Event as DomainEvent, RunEvent as DomainRunEvent, RunId, StepName, StreamId, TaskEvent, TaskId,
};
use futures_util::Stream;
use futures_util::stream::try_unfold;
use journal::{Journal, RecordedEvent, RunSubscription};
use uuid::Uuid;

use super::BATCH;
use crate::event::{Event, EventFilter, Wanted};
use crate::failure::{self, Caller};
use crate::progress::Progress;
use crate::scalar::Position;

/// An event of a run or of one of its tasks.
#[derive(Debug, SimpleObject)]
pub(crate) struct RunEvent {
    /// Its place in the whole journal; subscribe with it as `afterPosition` to go on after it.
    pub(super) position: Position,
    /// The step that it is about, when it is about one.
    step: Option<String>,
    /// Whether nothing happens to the run after this; the subscription then ends.
    pub(super) terminal: bool,
    /// The event itself.
    event: Event,
}

/// Events.
#[derive(Default)]
pub(super) struct FollowedEvents;

#[Subscription]
impl FollowedEvents {
    /// The events of a run and its tasks: what is recorded already, then what comes, each exactly once. Ends after
    /// the event that ends the run.
    async fn run_events(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Which run.")] run_id: Uuid,
        #[graphql(desc = "Where to go on; the run's start when nothing is said.")] after_position: Option<Position>,
    ) -> Result<impl Stream<Item = Result<RunEvent>> + use<>> {
        let correlation = Caller::of(context)?.correlation;
        let journal = Arc::clone(context.data::<Arc<dyn Journal>>()?);
        let after = after_position.map_or(journal::Position::START, |position| position.0);
        let run = RunId::from_uuid(run_id);
        let failed = |error: journal::ReadError| failure::read(correlation, &error);
        let head = journal.head().await.map_err(failed)?;
        let Some(followed) = Followed::of(&*journal, run).await.map_err(failed)? else {
            return Err(failure::refused("RUN_NOT_FOUND", format!("there is no run {run}")));
        };
        let over = followed.ended.is_some_and(|ended| ended <= after);
        let source = followed.from(&*journal, head, after).await.map_err(failed)?;
        let cursor = Cursor { source: Source::Run(source), waiting: VecDeque::new() };
        let progress = Progress::of(context);
        Ok(try_unfold((cursor, followed, over), move |(mut cursor, mut followed, over)| {
            let progress = progress.clone();
            async move {
                if over {
                    return Ok(None);
                }
                loop {
                    let recorded = cursor.next().await.map_err(|error| failure::read(correlation, &error))?;
                    if let Some(item) =
                        followed.item(recorded).map_err(|error| failure::internal_for(correlation, &error))?
                    {
                        let terminal = item.terminal;
                        progress.reach(item.position.0);
                        return Ok(Some((item, (cursor, followed, terminal))));
                    }
                }
            }
        }))
    }

    /// The journal's events as they are recorded, each exactly once.
    async fn journal(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Where to go on; `\"0\"` is the beginning, and the present when nothing is said.")]
        after_position: Option<Position>,
        #[graphql(desc = "Only these.")] filter: Option<EventFilter>,
    ) -> Result<impl Stream<Item = Result<Event>> + use<>> {
        let correlation = Caller::of(context)?.correlation;
        let journal = Arc::clone(context.data::<Arc<dyn Journal>>()?);
        let wanted = Arc::new(Wanted::of(filter)?);
        let after = match after_position {
            Some(position) => position.0,
            None => journal.head().await.map_err(|error| failure::read(correlation, &error))?,
        };
        let progress = Progress::of(context);
        let source = Source::All(journal.subscribe(after, wanted.selected.clone()).with_batch(BATCH).quiet());
        let cursor = Cursor { source, waiting: VecDeque::new() };
        Ok(try_unfold(cursor, move |mut cursor| {
            let (progress, wanted) = (progress.clone(), Arc::clone(&wanted));
            async move {
                loop {
                    let recorded = cursor.next().await.map_err(|error| failure::read(correlation, &error))?;
                    if wanted.has(&recorded) {
                        progress.reach(recorded.position);
                        return Ok::<_, Error>(Some((Event::from(recorded), cursor)));
                    }
                }
            }
        }))
    }
}

/// A subscription, event by event.
struct Cursor {
    source: Source,
    waiting: VecDeque<Arc<RecordedEvent>>,
}

enum Source {
    All(journal::Subscription),
    Run(RunSubscription),
}

impl Cursor {
    async fn next(&mut self) -> Result<Arc<RecordedEvent>, journal::ReadError> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Ok(event);
            }
            self.waiting.extend(match &mut self.source {
                Source::All(subscription) => subscription.next().await?.events,
                Source::Run(subscription) => subscription.next().await?,
            });
        }
    }
}

/// A run whose events are told.
pub(super) struct Followed {
    run: RunId,
    /// The tasks that were created for the run, and their steps.
    tasks: HashMap<StreamId, String>,
    /// Where its first event stands. Tasks that start with the run stand before its start.
    first: journal::Position,
    pub(super) ended: Option<journal::Position>,
}

impl Followed {
    /// How many events of the run's stream are read at a time.
    const PAGE: usize = 1000;

    /// Reads what is known of a run; nothing when there is no such run.
    pub(super) async fn of(journal: &dyn Journal, run: RunId) -> Result<Option<Self>, journal::ReadError> {
        let stream = StreamId::from(run);
        let mut found: Option<Self> = None;
        let mut start = None;
        let mut at_once = Vec::new();
        let mut next = 0;
        loop {
            let page = journal.read_stream(stream, next, Self::PAGE).await?;
            for recorded in &page {
                next = recorded.revision + 1;
                let DomainEvent::Run(event) = decoded(recorded)? else { continue };
                if let DomainRunEvent::Started(_) = event {
                    start = Some(recorded.metadata.command);
                    found = Some(Self { run, tasks: HashMap::new(), first: recorded.position, ended: None });
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
            if page.len() < Self::PAGE {
                break;
            }
        }
        if let Some(found) = &mut found {
            for task in at_once {
                let created = journal.read_stream(task, 0, 1).await?;
                found.first = created.iter().map(|event| event.position).fold(found.first, journal::Position::min);
            }
        }
        Ok(found)
    }

    /// Follows the run after a position; `head` was the end of the journal before this was read.
    pub(super) async fn from(
        &self,
        journal: &dyn Journal,
        head: journal::Position,
        after: journal::Position,
    ) -> Result<RunSubscription, journal::ReadError> {
        // Nothing of the run stands before its first event, so the journal before it need not be read.
        let before_start = journal::Position::from_u64(self.first.as_u64().saturating_sub(1));
        let tasks: Vec<StreamId> = self.tasks.keys().copied().collect();
        RunSubscription::open(journal, self.run, tasks, head, after.max(before_start)).await
    }

    /// What is told of an event; nothing when it belongs to another run.
    pub(super) fn item(&mut self, recorded: Arc<RecordedEvent>) -> Result<Option<RunEvent>, journal::ReadError> {
        if recorded.stream == StreamId::from(self.run) {
            let (step, terminal) = match decoded(&recorded)? {
                DomainEvent::Run(event) => (step_of(event).map(|step| step.as_str().to_owned()), event.is_terminal()),
                _ => (None, false),
            };
            return Ok(Some(RunEvent { position: recorded.position.into(), step, terminal, event: recorded.into() }));
        }
        // A task says in its first event for which run it is.
        if recorded.stream.category == Category::Task
            && recorded.revision == 0
            && let DomainEvent::Task(TaskEvent::Created { run: Some(run), step: Some(step), .. }) = decoded(&recorded)?
            && *run == self.run
        {
            self.tasks.insert(recorded.stream, step.as_str().to_owned());
        }
        let Some(step) = self.tasks.get(&recorded.stream).cloned() else { return Ok(None) };
        let position = recorded.position.into();
        Ok(Some(RunEvent { position, step: Some(step), terminal: false, event: recorded.into() }))
    }
}

/// Part of what happened to a run.
#[derive(Debug, SimpleObject)]
pub(crate) struct Timeline {
    /// What happened, in order, or the newest first.
    entries: Vec<RunEvent>,
    /// Whether there is more; ask on after the position of the last entry, or before it when reversed.
    has_more: bool,
}

/// How many events of a run and its tasks are looked through for its timeline at most.
const LONGEST_TIMELINE: usize = 200_000;

/// What happened to a run and its tasks between two positions, up to the moment that the question is about; of all types when
/// none is named.
pub(crate) async fn timeline(
    context: &Context<'_>,
    run: RunId,
    (after, before): (Option<journal::Position>, Option<journal::Position>),
    reversed: bool,
    limit: usize,
    types: &[String],
) -> Result<Timeline> {
    let correlation = Caller::of(context)?.correlation;
    let journal = crate::query::journal(context)?;
    let failed = |error: journal::ReadError| failure::read(correlation, &error);
    let until = match crate::as_of::above(context).and_then(|loaders| loaders.past().map(|past| past.position())) {
        Some(position) => position,
        None => journal.head().await.map_err(failed)?,
    };
    let Some(mut followed) = Followed::of(&**journal, run).await.map_err(failed)? else {
        return Ok(Timeline { entries: vec![], has_more: false });
    };
    let mut streams: Vec<StreamId> = followed.tasks.keys().copied().collect();
    streams.push(run.into());
    let events = journal.read_streams(&streams, until, LONGEST_TIMELINE).await.map_err(failed)?;
    let Some(events) = events else {
        let message = format!("the run has more than {LONGEST_TIMELINE} events; ask `journal` for them by stream");
        return Err(failure::refused("AS_OF_TOO_MUCH", message));
    };
    let wanted = |event: &RecordedEvent| {
        after.is_none_or(|after| event.position > after)
            && before.is_none_or(|before| event.position < before)
            && (types.is_empty() || event.is_of(types))
    };
    let mut events: Vec<_> = events.into_iter().filter(|event| wanted(event)).collect();
    if reversed {
        events.reverse();
    }
    let has_more = events.len() > limit;
    events.truncate(limit);
    let mut entries = Vec::new();
    for event in events {
        entries.extend(followed.item(event).map_err(failed)?);
    }
    Ok(Timeline { entries, has_more })
}

fn decoded(recorded: &RecordedEvent) -> Result<&DomainEvent, journal::ReadError> {
    recorded
        .event()
        .map_err(|error| journal::ReadError::Damaged { position: recorded.position, what: error.to_string() })
}

/// The task that an event of a run creates, and its step.
fn task_of(event: &DomainRunEvent) -> Option<(TaskId, &StepName)> {
    match event {
        DomainRunEvent::StepStarted { step, task, .. }
        | DomainRunEvent::ItemStarted { step, task, .. }
        | DomainRunEvent::CompensationStarted { step, task, .. } => Some((*task, step)),
        _ => None,
    }
}

/// The step that an event of a run is about.
fn step_of(event: &DomainRunEvent) -> Option<&StepName> {
    match event {
        DomainRunEvent::StepStarted { step, .. }
        | DomainRunEvent::ItemsPlanned { step, .. }
        | DomainRunEvent::ItemStarted { step, .. }
        | DomainRunEvent::ItemCompleted { step, .. }
        | DomainRunEvent::ItemFailed { step, .. }
        | DomainRunEvent::ApprovalRequested { step, .. }
        | DomainRunEvent::ApprovalDecided { step, .. }
        | DomainRunEvent::ApprovalExpired { step }
        | DomainRunEvent::TimerStarted { step, .. }
        | DomainRunEvent::SignalAwaited { step, .. }
        | DomainRunEvent::ChildStarted { step, .. }
        | DomainRunEvent::ChildAbandoned { step, .. }
        | DomainRunEvent::StepSkipped { step, .. }
        | DomainRunEvent::StepCompleted { step, .. }
        | DomainRunEvent::StepFailed { step, .. }
        | DomainRunEvent::StepCancelled { step }
        | DomainRunEvent::CompensationStarted { step, .. }
        | DomainRunEvent::CompensationCompleted { step, .. }
        | DomainRunEvent::CompensationFailed { step, .. }
        | DomainRunEvent::Failed { step: Some(step), .. } => Some(step),
        DomainRunEvent::Started(_)
        | DomainRunEvent::Claimed { .. }
        | DomainRunEvent::Queued { .. }
        | DomainRunEvent::Admitted
        | DomainRunEvent::SignalReceived { .. }
        | DomainRunEvent::Paused(_)
        | DomainRunEvent::Resumed { .. }
        | DomainRunEvent::CancelRequested { .. }
        | DomainRunEvent::Failing { .. }
        | DomainRunEvent::Stalled { .. }
        | DomainRunEvent::Completed { .. }
        | DomainRunEvent::Failed { step: None, .. }
        | DomainRunEvent::Cancelled { .. } => None,
    }
}
