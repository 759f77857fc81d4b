//! What the engine remembers between two events: the runs that have started and not ended, and the limits,
//! holds and budgets that are in force. All of it follows from events; a copy is saved now and then so that a start is quick.

use std::collections::{BTreeMap, HashMap};

use cqrs_es::Aggregate;
use domain::hold::Placed;
use domain::limit::LimitSettings;
use domain::{Actor, Budgets, Category, Event, HoldEvent, HoldId, Key, LimitEvent, NodeId, RunEvent, RunId};
use journal::{Checkpoint, Filter, Position, RecordedEvent};
use serde::{Deserialize, Serialize};

/// The events that tell the engine what there is to do.
const TYPES: [&str; 17] = [
    "run.started",
    "run.claimed",
    "run.approval_decided",
    "run.signal_received",
    "run.paused",
    "run.resumed",
    "run.cancel_requested",
    "run.completed",
    "run.failed",
    "run.cancelled",
    "slots.granted",
    "limit.set",
    "limit.removed",
    "hold.placed",
    "hold.lifted",
    "budget.set",
    "budget.removed",
];

/// The first byte of a saved copy; one with another is not read.
const FORMAT: u8 = 3;

/// A run that has started and not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Alive {
    /// Who drives it, when somebody does.
    pub(crate) owner: Option<NodeId>,
    /// The run that waits for it.
    pub(crate) parent: Option<RunId>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Known {
    #[serde(skip)]
    pub(crate) position: Position,
    pub(crate) runs: HashMap<RunId, Alive>,
    pub(crate) limits: BTreeMap<Key, LimitSettings>,
    pub(crate) holds: BTreeMap<HoldId, Placed>,
    /// Who lifted a hold last, for the runs that go on because of it.
    pub(crate) lifted: BTreeMap<HoldId, Actor>,
    pub(crate) budgets: Budgets,
}

impl Known {
    /// What the engine wants to see of the journal.
    pub(crate) fn filter() -> Filter {
        Filter {
            categories: vec![Category::Run, Category::Slots, Category::Limit, Category::Hold, Category::Budget],
            types: TYPES.iter().map(|name| (*name).to_owned()).collect(),
            ..Filter::default()
        }
    }

    /// Takes in an event; an unreadable one is left to whoever reads its stream.
    pub(crate) fn take_in(&mut self, recorded: &RecordedEvent) {
        let run = RunId::from_uuid(recorded.stream.id);
        match recorded.event() {
            Ok(Event::Run(RunEvent::Started(start))) => {
                let parent = start.parent.as_ref().map(|parent| parent.run);
                self.runs.insert(run, Alive { owner: None, parent });
            }
            Ok(Event::Run(RunEvent::Claimed { node, .. })) => {
                if let Some(alive) = self.runs.get_mut(&run) {
                    alive.owner = Some(*node);
                }
            }
            Ok(Event::Run(event)) if event.is_terminal() => {
                self.runs.remove(&run);
            }
            Ok(Event::Limit(LimitEvent::Set { settings })) => {
                self.limits.insert(settings.key.clone(), (**settings).clone());
            }
            Ok(Event::Limit(LimitEvent::Removed { .. })) => {
                self.limits.retain(|key, _| domain::LimitId::from_key(key).as_uuid() != recorded.stream.id);
            }
            Ok(Event::Hold(HoldEvent::Placed(placed))) => {
                self.holds.insert(placed.scope.id(), placed.clone());
            }
            Ok(Event::Hold(HoldEvent::Lifted { by, .. })) => {
                let id = HoldId::from_uuid(recorded.stream.id);
                self.holds.remove(&id);
                self.lifted.insert(id, by.clone());
            }
            Ok(Event::Budget(event)) => self.budgets.apply(event.clone()),
            Ok(_) | Err(_) => {}
        }
    }

    /// A copy to be saved.
    pub(crate) fn to_checkpoint(&self) -> Checkpoint {
        let state = postcard::to_extend(self, vec![FORMAT]).unwrap_or_else(|_| vec![0]);
        Checkpoint { position: self.position, state }
    }

    /// `None` when the copy is not of this format; then everything is read from the journal again.
    pub(crate) fn from_checkpoint(checkpoint: &Checkpoint) -> Option<Self> {
        let (format, state) = checkpoint.state.split_first()?;
        if *format != FORMAT {
            return None;
        }
        let (known, rest) = postcard::take_from_bytes::<Self>(state).ok()?;
        rest.is_empty().then_some(Self { position: checkpoint.position, ..known })
    }
}
