//! What the reactor knows: the triggers as they are, the runs that they started, and what has happened that they have
//! not decided upon.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use cqrs_es::Aggregate;
use domain::trigger::{EventRef, RunEnd, TriggerKind, TriggerSettings};
use domain::{
    Category, Event, Expression, ExternalEvent, RunEvent, RunId, Timestamp, Trigger, TriggerEvent, TriggerId,
};
use journal::{Checkpoint, Filter, Loaded, Position, RecordedEvent};
use serde::{Deserialize, Serialize};

/// The first byte of a saved copy; one with another is not read.
const FORMAT: u8 = 1;

/// What every reactor follows.
const TYPES: [&str; 9] = [
    "trigger.set",
    "trigger.removed",
    "trigger.paused",
    "trigger.resumed",
    "trigger.fired",
    "trigger.skipped",
    "trigger.missed",
    "trigger.buffered",
    "trigger.run_ended",
];
/// What a reactor follows once there is a trigger; before, runs end without anybody here looking.
const ENDS: [&str; 3] = ["run.completed", "run.failed", "run.cancelled"];
const POSTED: &str = "external.posted";

/// An event that a trigger waits for, and that it has not decided upon.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Candidate {
    pub(super) event: EventRef,
    /// The condition that held when it happened.
    pub(super) when: Option<Expression>,
    /// Whether the condition is met, once that has been looked at; `Err` says why it cannot be said.
    pub(super) verdict: Option<Result<(), String>>,
}

/// A trigger, and what it has not decided upon.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) trigger: Arc<Trigger>,
    revision: Option<u64>,
    /// Its runs that have ended.
    pub(super) ended: Vec<(RunId, RunEnd)>,
    /// In the order of the journal.
    pub(super) events: VecDeque<Candidate>,
    /// When its schedule fires next.
    pub(super) wakes_at: Option<Timestamp>,
    /// After a failure, nothing is tried before this; see [`Known::retry_due`].
    #[serde(skip)]
    pub(super) retry_at: Option<Timestamp>,
}

impl Entry {
    pub(super) fn loaded(&self) -> Loaded<Trigger> {
        Loaded { state: Arc::clone(&self.trigger), revision: self.revision }
    }

    /// Takes over a state that may be newer than what the journal has brought so far.
    pub(super) fn adopt(&mut self, newer: &Loaded<Trigger>) {
        if newer.revision > self.revision {
            self.trigger = Arc::clone(&newer.state);
            self.revision = newer.revision;
            self.refresh();
        }
    }

    fn fold(&mut self, revision: u64, event: TriggerEvent) {
        if self.revision.is_none_or(|known| revision > known) {
            Arc::make_mut(&mut self.trigger).apply(event);
            self.revision = Some(revision);
            self.refresh();
        }
    }

    /// Forgets what has been decided upon, or does not count any more.
    fn refresh(&mut self) {
        let trigger = &self.trigger;
        self.ended.retain(|(run, _)| trigger.running().contains(run));
        if trigger.acting().is_none() {
            self.events.clear();
        }
        self.events.retain(|candidate| !trigger.has_noticed(candidate.event.position));
        self.wakes_at = trigger.wakes_at();
    }

    /// Whether there is something to decide.
    pub(super) fn has_work(&self, now: Timestamp) -> bool {
        self.retry_at.is_none()
            && (!self.ended.is_empty()
                || self.events.front().is_some_and(|candidate| candidate.verdict.is_some())
                || self.trigger.next_waiting().is_some()
                || self.wakes_at.is_some_and(|at| at <= now))
    }

    /// When there will be something to decide, if nothing happens before.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        match self.retry_at {
            Some(at) => Some(at),
            None => self.wakes_at,
        }
    }
}

/// A run that a trigger started and that has not ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Started {
    trigger: TriggerId,
    /// How many triggers stand before it in the chain of causes.
    depth: u32,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Known {
    #[serde(skip)]
    pub(super) position: Position,
    pub(super) triggers: HashMap<TriggerId, Entry>,
    runs: HashMap<RunId, Started>,
    /// The types of event that triggers have ever waited for, the ends of their runs included.
    types: BTreeSet<String>,
}

impl Known {
    /// What the reactor wants to see of the journal.
    pub(super) fn filter(&self) -> Filter {
        let types = TYPES.iter().map(|name| (*name).to_owned()).chain(self.types.iter().cloned());
        Filter { types: types.collect::<BTreeSet<_>>().into_iter().collect(), ..Filter::default() }
    }

    /// Lets those try again whose time for it has come.
    pub(super) fn retry_due(&mut self, now: Timestamp) {
        for entry in self.triggers.values_mut() {
            entry.retry_at = entry.retry_at.filter(|at| *at > now);
        }
    }

    /// Takes in an event; an unreadable one is left to whoever reads its stream. Says whether the filter is wider now,
    /// so that what comes after this event has to be read anew.
    #[must_use]
    pub(super) fn take_in(&mut self, recorded: &RecordedEvent) -> bool {
        let Ok(event) = recorded.event() else { return false };
        self.offer(recorded, event);
        match event {
            Event::Trigger(event) => return self.take_in_trigger(recorded, event),
            Event::Run(event) => {
                let end = match event {
                    RunEvent::Completed { .. } => RunEnd::Completed,
                    RunEvent::Failed { .. } => RunEnd::Failed,
                    RunEvent::Cancelled { .. } => RunEnd::Cancelled,
                    _ => return false,
                };
                let run = RunId::from_uuid(recorded.stream.id);
                let Some(started) = self.runs.remove(&run) else { return false };
                if let Some(entry) = self.triggers.get_mut(&started.trigger) {
                    entry.ended.push((run, end));
                    entry.refresh();
                }
            }
            _ => {}
        }
        false
    }

    fn take_in_trigger(&mut self, recorded: &RecordedEvent, event: &TriggerEvent) -> bool {
        let id = TriggerId::from_uuid(recorded.stream.id);
        match event {
            TriggerEvent::Fired { cause, run, .. } => {
                self.runs.insert(*run, Started { trigger: id, depth: cause.depth() });
            }
            TriggerEvent::Removed { .. } => self.runs.retain(|_, started| started.trigger != id),
            _ => {}
        }
        self.triggers.entry(id).or_default().fold(recorded.revision, event.clone());
        let TriggerEvent::Set { settings, .. } = event else { return false };
        let before = self.types.len();
        self.types.extend(ENDS.map(str::to_owned));
        match &settings.kind {
            TriggerKind::Schedule(_) => {}
            TriggerKind::Event { types, .. } => self.types.extend(types.iter().cloned()),
            TriggerKind::External { .. } => {
                self.types.insert(POSTED.to_owned());
            }
        }
        self.types.len() > before
    }

    /// Gives an event to the triggers that wait for it.
    fn offer(&mut self, recorded: &RecordedEvent, event: &Event) {
        if !self.types.contains(&*recorded.event_type) {
            return;
        }
        // Whatever follows from a run that a trigger started has that run for its correlation.
        let chain = self.runs.get(&RunId::from_uuid(recorded.metadata.correlation));
        let chain = chain.or_else(|| match recorded.stream.category {
            Category::Run => self.runs.get(&RunId::from_uuid(recorded.stream.id)),
            _ => None,
        });
        let depth = chain.map_or(0, |started| started.depth.saturating_add(1));
        for entry in self.triggers.values_mut() {
            let Some(when) = entry.trigger.acting().and_then(|settings| condition(settings, recorded, event)) else {
                continue;
            };
            let position = recorded.position.as_u64();
            if entry.trigger.has_noticed(position) {
                continue;
            }
            let verdict = when.is_none().then_some(Ok(()));
            let event = EventRef {
                id: recorded.id,
                stream: recorded.stream,
                revision: recorded.revision,
                position,
                at: recorded.recorded_at,
                depth,
            };
            entry.events.push_back(Candidate { event, when, verdict });
        }
    }

    /// A copy to be saved.
    pub(super) fn to_checkpoint(&self) -> Checkpoint {
        let state = postcard::to_extend(self, vec![FORMAT]).unwrap_or_else(|_| vec![0]);
        Checkpoint { position: self.position, state }
    }

    /// `None` when the copy is not of this format; then everything is read from the journal again.
    pub(super) fn from_checkpoint(checkpoint: &Checkpoint) -> Option<Self> {
        let (format, state) = checkpoint.state.split_first()?;
        if *format != FORMAT {
            return None;
        }
        let (known, rest) = postcard::take_from_bytes::<Self>(state).ok()?;
        rest.is_empty().then_some(Self { position: checkpoint.position, ..known })
    }
}

/// The condition under which settings wait for an event; the outer `None` when they do not wait for it at all.
#[expect(clippy::option_option, reason = "whether it waits, and whether there is a condition, are two questions")]
fn condition(settings: &TriggerSettings, recorded: &RecordedEvent, event: &Event) -> Option<Option<Expression>> {
    match (&settings.kind, event) {
        (TriggerKind::Event { types, when }, _) if recorded.is_of(types) => Some(when.clone()),
        (TriggerKind::External { name, when }, Event::External(ExternalEvent::Posted(posted)))
            if posted.name == *name =>
        {
            Some(when.clone())
        }
        _ => None,
    }
}
