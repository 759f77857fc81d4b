//! Folds a batch of events into the changes of rows.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use domain::limit::LimitSettings;
use domain::{Event, HoldEvent, LimitEvent, SlotsEvent};
use journal::RecordedEvent;
use uuid::Uuid;

use crate::projector::{ApplyError, number, storable};

/// What a batch does.
#[derive(Debug, Default)]
pub(super) struct Fold<'a> {
    pub(super) limits: BTreeMap<Uuid, Set<'a>>,
    pub(super) removed: BTreeMap<Uuid, Removed<'a>>,
    /// Where somebody wants a slot: of which limit, and of which value that it counts apart.
    pub(super) slots: BTreeMap<Uuid, (&'a str, Option<Cow<'a, str>>)>,
    /// By slots, run and task.
    pub(super) seats: BTreeMap<(Uuid, Uuid, Uuid), Seat<'a>>,
    /// By hold and revision.
    pub(super) placed: BTreeMap<(Uuid, i64), Placed<'a>>,
    /// Holds that were placed in an earlier batch, and are lifted now.
    pub(super) lifted: BTreeMap<Uuid, Lifted>,
}

/// A limit was set.
#[derive(Debug)]
pub(super) struct Set<'a> {
    pub(super) settings: &'a LimitSettings,
    pub(super) by: String,
    pub(super) at: i64,
    pub(super) position: i64,
}

/// A limit was taken away.
#[derive(Debug)]
pub(super) struct Removed<'a> {
    pub(super) reason: Cow<'a, str>,
    pub(super) at: i64,
    pub(super) position: i64,
}

/// What becomes of somebody's place at a limit.
#[derive(Debug)]
pub(super) enum Seat<'a> {
    /// It is new, or new again.
    Taken(Taken<'a>),
    /// Who waited since an earlier batch has a slot.
    Granted(i64),
    /// It is free.
    Left,
}

/// A place at a limit.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    pub(super) limit: &'a str,
    pub(super) partition: Option<Cow<'a, str>>,
    pub(super) priority: i32,
    pub(super) fairness: Cow<'a, str>,
    pub(super) requested_at: i64,
    pub(super) granted_at: Option<i64>,
    /// Whether there was no such place before the batch.
    new: bool,
}

/// A hold was placed.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    pub(super) workflow: Option<&'a str>,
    pub(super) by: String,
    pub(super) reason: Cow<'a, str>,
    pub(super) at: i64,
    pub(super) clock: &'static str,
    pub(super) lifted: Option<Lifted>,
    pub(super) position: i64,
}

/// A hold was lifted.
#[derive(Debug)]
pub(super) struct Lifted {
    pub(super) by: String,
    pub(super) at: i64,
    pub(super) position: i64,
}

/// Folds events in the order of the journal.
pub(super) fn fold(events: &[Arc<RecordedEvent>]) -> Result<Fold<'_>, ApplyError> {
    let mut fold = Fold::default();
    for recorded in events {
        match recorded.event().map_err(|error| ApplyError::Indigestible(error.to_string()))? {
            Event::Limit(event) => fold.limit(recorded, event),
            Event::Slots(event) => fold.slots(recorded.stream.id, event),
            Event::Hold(event) => fold.hold(recorded, event),
            _ => {}
        }
    }
    Ok(fold)
}

impl<'a> Fold<'a> {
    fn limit(&mut self, recorded: &'a RecordedEvent, event: &'a LimitEvent) {
        let id = recorded.stream.id;
        let (at, position) = (recorded.recorded_at.as_micros(), number(recorded.position));
        match event {
            LimitEvent::Set { settings } => {
                let by = storable(&recorded.metadata.actor.to_string()).into_owned();
                self.limits.insert(id, Set { settings, by, at, position });
                self.removed.remove(&id);
            }
            LimitEvent::Removed { reason } => {
                self.removed.insert(id, Removed { reason: storable(reason), at, position });
            }
        }
    }

    fn slots(&mut self, slots: Uuid, event: &'a SlotsEvent) {
        let key = |holder: &domain::slots::Holder| {
            (slots, holder.run.as_uuid(), holder.task.map_or(Uuid::nil(), domain::TaskId::as_uuid))
        };
        match event {
            SlotsEvent::Requested { holder, limit, partition, priority, fairness, at } => {
                let key = key(holder);
                let partition = partition.as_deref().map(storable);
                self.slots.entry(slots).or_insert_with(|| (limit.as_str(), partition.clone()));
                let taken = Taken {
                    limit: limit.as_str(),
                    partition,
                    priority: *priority,
                    fairness: storable(fairness),
                    requested_at: at.as_micros(),
                    granted_at: None,
                    new: !self.seats.contains_key(&key),
                };
                self.seats.insert(key, Seat::Taken(taken));
            }
            SlotsEvent::Granted { holder, at } => {
                let seat = self.seats.entry(key(holder)).or_insert(Seat::Granted(at.as_micros()));
                if let Seat::Taken(taken) = seat {
                    taken.granted_at = Some(at.as_micros());
                }
            }
            SlotsEvent::Released { holder } => {
                let key = key(holder);
                match self.seats.get(&key) {
                    // It came and went within the batch.
                    Some(Seat::Taken(taken)) if taken.new => {
                        self.seats.remove(&key);
                    }
                    _ => {
                        self.seats.insert(key, Seat::Left);
                    }
                }
            }
        }
    }

    fn hold(&mut self, recorded: &'a RecordedEvent, event: &'a HoldEvent) {
        let id = recorded.stream.id;
        let position = number(recorded.position);
        match event {
            HoldEvent::Placed(placed) => {
                let revision = i64::try_from(recorded.revision).unwrap_or(i64::MAX);
                let placed = Placed {
                    workflow: match &placed.scope {
                        domain::hold::HoldScope::Everything => None,
                        domain::hold::HoldScope::Workflow(key) => Some(key.as_str()),
                    },
                    by: storable(&placed.by.to_string()).into_owned(),
                    reason: storable(&placed.reason),
                    at: placed.at.as_micros(),
                    clock: placed.clock.name(),
                    lifted: None,
                    position,
                };
                self.placed.insert((id, revision), placed);
            }
            HoldEvent::Lifted { by, at } => {
                let by = storable(&by.to_string()).into_owned();
                let lifted = Lifted { by, at: at.as_micros(), position };
                match self.placed.range_mut((id, 0)..=(id, i64::MAX)).next_back() {
                    Some((_, placed)) => placed.lifted = Some(lifted),
                    None => {
                        self.lifted.insert(id, lifted);
                    }
                }
            }
        }
    }
}
