use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Cause, RunEnd, SkipReason, TriggerEvent, TriggerSettings};
use crate::{Actor, RunId, Timestamp, TriggerId};

/// That a trigger does not fire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerPause {
    /// Who paused it.
    pub by: Actor,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// A trigger.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Trigger {
    settings: Option<Arc<TriggerSettings>>,
    pause: Option<TriggerPause>,
    /// Every tick up to here has been decided on, or does not count.
    ticked: Option<Timestamp>,
    /// Every event up to this position has been decided on.
    noticed: Option<u64>,
    running: BTreeSet<RunId>,
    waiting: VecDeque<Cause>,
    failures: u32,
}

impl Trigger {
    /// What it is; `None` when it does not exist, or was removed.
    #[must_use]
    pub fn settings(&self) -> Option<&Arc<TriggerSettings>> {
        self.settings.as_ref()
    }

    /// Its id; `None` when it does not exist.
    #[must_use]
    pub fn id(&self) -> Option<TriggerId> {
        self.settings.as_ref().map(|settings| TriggerId::from_key(&settings.key))
    }

    /// Since when, by whom and why it is paused, if it is.
    #[must_use]
    pub fn pause(&self) -> Option<&TriggerPause> {
        self.pause.as_ref()
    }

    /// Its settings, if it fires by itself: it is enabled and not paused.
    #[must_use]
    pub fn acting(&self) -> Option<&Arc<TriggerSettings>> {
        self.settings.as_ref().filter(|settings| settings.enabled && self.pause.is_none())
    }

    /// The runs that it started and that have not ended.
    #[must_use]
    pub fn running(&self) -> &BTreeSet<RunId> {
        &self.running
    }

    /// What waits until the running runs have ended, the first first.
    #[must_use]
    pub fn waiting(&self) -> &VecDeque<Cause> {
        &self.waiting
    }

    /// How many of its runs have failed since the last one that completed.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The moment up to which every tick has been decided on.
    #[must_use]
    pub fn ticked(&self) -> Option<Timestamp> {
        self.ticked
    }

    /// Whether an event at this position of the journal has been decided on.
    #[must_use]
    pub fn has_noticed(&self, position: u64) -> bool {
        self.noticed.is_some_and(|noticed| position <= noticed)
    }

    /// When its schedule fires next, jitter included; `None` when it does not fire by itself.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Timestamp> {
        let settings = self.acting()?;
        let (schedule, ticked) = (settings.schedule()?, self.ticked?);
        Some(schedule.fires_at(TriggerId::from_key(&settings.key), schedule.next_after(ticked)?))
    }

    /// What can start now of all that waits. What a person asked for goes on while the trigger is paused.
    #[must_use]
    pub fn next_waiting(&self) -> Option<&Cause> {
        if !self.running.is_empty() || self.settings.is_none() {
            return None;
        }
        let asked = |cause: &&Cause| matches!(cause, Cause::Backfill { .. } | Cause::Manual { .. });
        match self.acting() {
            Some(_) => self.waiting.front(),
            None => self.waiting.iter().find(asked),
        }
    }

    pub(super) fn fold(&mut self, event: TriggerEvent) {
        match event {
            TriggerEvent::Set { settings, at } => {
                let before = self.acting().and_then(|known| known.schedule());
                if before.is_none() || before != settings.schedule() {
                    self.advance(at);
                }
                self.failures = 0;
                self.settings = Some(Arc::from(settings));
            }
            // Whatever still runs is nobody's concern any more, also when the trigger is set again.
            TriggerEvent::Removed { .. } => *self = Self { noticed: self.noticed, ..Self::default() },
            TriggerEvent::Paused { by, reason, at } => self.pause = Some(TriggerPause { by, reason, at }),
            TriggerEvent::Resumed { at, .. } => {
                self.pause = None;
                self.failures = 0;
                self.advance(at);
            }
            TriggerEvent::Fired { cause, run, .. } => {
                self.decided(&cause);
                self.running.insert(run);
            }
            TriggerEvent::Skipped { cause, reason, .. } => {
                self.decided(&cause);
                if matches!(reason, SkipReason::CannotStart { .. }) {
                    self.failures = self.failures.saturating_add(1);
                }
            }
            TriggerEvent::Missed { until, .. } => {
                self.advance(Timestamp::from_micros(until.as_micros().saturating_sub(1)));
            }
            TriggerEvent::Buffered { cause, .. } => {
                self.decided(&cause);
                self.waiting.push_back(cause);
            }
            TriggerEvent::RunEnded { run, end, .. } => {
                self.running.remove(&run);
                match end {
                    RunEnd::Completed => self.failures = 0,
                    RunEnd::Failed => self.failures = self.failures.saturating_add(1),
                    RunEnd::Cancelled => {}
                }
            }
        }
    }

    /// Nothing is decided about this cause again.
    fn decided(&mut self, cause: &Cause) {
        self.waiting.retain(|waiting| waiting != cause);
        match cause {
            Cause::Tick { at } => self.advance(*at),
            Cause::Event(event) => self.noticed = self.noticed.max(Some(event.position)),
            Cause::Backfill { .. } | Cause::Manual { .. } => {}
        }
    }

    fn advance(&mut self, to: Timestamp) {
        self.ticked = self.ticked.max(Some(to));
    }
}
