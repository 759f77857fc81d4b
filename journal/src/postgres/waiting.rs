//! Those who wait for wanted events alone.
//!
//! Invariant: whoever waits for a stream or a run is found by it, so that an event costs as much as there are people who
//! want it, and not as much as there are people. Who stops waiting is forgotten at once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use domain::{RunId, StreamId};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::of_run::run_of;
use crate::{Filter, Position, RecordedEvent};

/// A run with more tasks than this is looked for among everything that happens.
const MOST_STREAMS: usize = 100;

/// Who waits, and for what.
#[derive(Default)]
pub(super) struct Waiting(Mutex<Register>);

#[derive(Default)]
struct Register {
    next: u64,
    waiting: HashMap<u64, Quiet>,
    places: HashMap<Place, HashSet<u64>>,
}

/// Somebody who waits, and has seen everything up to `after`.
struct Quiet {
    filter: Filter,
    after: Position,
    /// Takes the position up to which nothing was wanted.
    wake: oneshot::Sender<Position>,
}

/// Where an event looks for those who want it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Stream(StreamId),
    /// The beginnings of tasks of a run.
    TasksOf(RunId),
    Anywhere,
}

fn places(filter: &Filter) -> Vec<Place> {
    match (filter.stream, &filter.of_run) {
        (Some(stream), _) => vec![Place::Stream(stream)],
        (None, Some(of_run)) if of_run.tasks.len() <= MOST_STREAMS => {
            let mut places = vec![Place::Stream(of_run.run.into()), Place::TasksOf(of_run.run)];
            places.extend(of_run.tasks.iter().copied().map(Place::Stream));
            places
        }
        _ => vec![Place::Anywhere],
    }
}

impl Register {
    fn remove(&mut self, number: u64) -> Option<Quiet> {
        let quiet = self.waiting.remove(&number)?;
        for place in places(&quiet.filter) {
            if let Some(there) = self.places.get_mut(&place) {
                there.remove(&number);
                if there.is_empty() {
                    self.places.remove(&place);
                }
            }
        }
        Some(quiet)
    }

    fn at(&self, place: Place, event: &RecordedEvent, found: &mut Vec<u64>) {
        let there = self.places.get(&place).into_iter().flatten();
        let wants = |number: &&u64| self.waiting.get(number).is_some_and(|quiet| quiet.filter.matches(event));
        found.extend(there.filter(wants));
    }
}

impl Waiting {
    /// Waits for what a filter wants, from `after` on. Nothing may be told meanwhile: the caller holds the lock of the
    /// events.
    pub(super) fn enter(&self, filter: &Filter, after: Position) -> Seat<'_> {
        let (wake, woken) = oneshot::channel();
        let mut register = self.0.lock();
        let number = register.next;
        register.next += 1;
        for place in places(filter) {
            register.places.entry(place).or_default().insert(number);
        }
        register.waiting.insert(number, Quiet { filter: filter.clone(), after, wake });
        Seat { waiting: self, number, woken }
    }

    /// Wakes those who want one of these events; everything before them was seen by whoever waits.
    pub(super) fn tell(&self, events: &[Arc<RecordedEvent>], before: Position) {
        let mut register = self.0.lock();
        let mut found = Vec::new();
        for event in events.iter().filter(|event| event.position > before) {
            if register.waiting.is_empty() {
                return;
            }
            register.at(Place::Anywhere, event, &mut found);
            register.at(Place::Stream(event.stream), event, &mut found);
            if let Some(run) = run_of(event) {
                register.at(Place::TasksOf(run), event, &mut found);
            }
            for number in found.drain(..) {
                if let Some(quiet) = register.remove(number) {
                    // Who has gone away needs no waking.
                    let _ = quiet.wake.send(quiet.after.max(before));
                }
            }
        }
    }

    /// Wakes everybody, to look for themselves.
    pub(super) fn wake_all(&self) {
        let mut register = self.0.lock();
        register.places.clear();
        for (_, quiet) in register.waiting.drain() {
            let _ = quiet.wake.send(quiet.after);
        }
    }

    /// Nobody will be woken any more.
    pub(super) fn close(&self) {
        let mut register = self.0.lock();
        register.places.clear();
        register.waiting.clear();
    }
}

/// Somebody's place among those who wait; given up when dropped.
pub(super) struct Seat<'a> {
    waiting: &'a Waiting,
    number: u64,
    woken: oneshot::Receiver<Position>,
}

impl Seat<'_> {
    /// The position up to which nothing was wanted, once there is more; nothing when no more will come.
    pub(super) async fn woken(mut self) -> Option<Position> {
        (&mut self.woken).await.ok()
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.waiting.0.lock().remove(self.number);
    }
}
