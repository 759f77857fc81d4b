use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Key, RunId, SlotsEvent, TaskId, Timestamp};

/// The most starts that a rate can count; so many moments are remembered.
pub const MAX_RATE: u32 = 1000;

/// How much there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Capacity {
    /// At the same time; `None` does not count.
    pub max_running: Option<u32>,
    /// Within a time; `None` does not count.
    pub rate: Option<Rate>,
}

/// So many starts within so much time, counted over a sliding window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many starts, 1 to [`MAX_RATE`].
    pub starts: u32,
    /// Within how much time.
    pub per: Duration,
}

/// Who has a slot or waits for one: a run, or an attempt of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "(RunId, Option<TaskId>)", from = "(RunId, Option<TaskId>)")]
pub struct Holder {
    /// The run.
    pub run: RunId,
    /// Its task, when the slot is for an attempt.
    pub task: Option<TaskId>,
}

impl From<Holder> for (RunId, Option<TaskId>) {
    fn from(holder: Holder) -> Self {
        (holder.run, holder.task)
    }
}

impl From<(RunId, Option<TaskId>)> for Holder {
    fn from((run, task): (RunId, Option<TaskId>)) -> Self {
        Self { run, task }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.task {
            Some(task) => write!(f, "task {task} of run {}", self.run),
            None => write!(f, "run {}", self.run),
        }
    }
}

/// Somebody who waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Who.
    pub holder: Holder,
    /// Higher before lower.
    pub priority: i32,
    /// Among whom the limit is fair.
    pub fairness: String,
    /// Since when.
    pub at: Timestamp,
}

/// The slots of a limit, or of one partition of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Slots {
    limit: Option<Key>,
    partition: Option<String>,
    /// In the order in which they got it.
    holders: Vec<(Holder, String)>,
    waiting: Vec<Waiting>,
    /// The last grants, oldest first.
    grants: VecDeque<Timestamp>,
    /// When each value of the fairness got its last slot, as long as somebody of it has one or waits.
    served: BTreeMap<String, Timestamp>,
}

impl Slots {
    /// The limit's key; `None` when nobody ever wanted a slot.
    #[must_use]
    pub fn limit(&self) -> Option<&Key> {
        self.limit.as_ref()
    }

    /// The value that the limit counts apart.
    #[must_use]
    pub fn partition(&self) -> Option<&str> {
        self.partition.as_deref()
    }

    /// Who has a slot, in the order in which they got it.
    pub fn holders(&self) -> impl ExactSizeIterator<Item = Holder> {
        self.holders.iter().map(|(holder, _)| *holder)
    }

    /// Who waits, oldest first.
    #[must_use]
    pub fn waiting(&self) -> &[Waiting] {
        &self.waiting
    }

    /// Whether somebody has a slot.
    #[must_use]
    pub fn has(&self, holder: Holder) -> bool {
        self.holders.iter().any(|(known, _)| *known == holder)
    }

    /// Whether somebody waits.
    #[must_use]
    pub fn awaits(&self, holder: Holder) -> bool {
        self.waiting.iter().any(|known| known.holder == holder)
    }

    /// When the rate lets the next one start; `None` when it does not stand in the way now.
    #[must_use]
    pub fn next_start(&self, capacity: Capacity, now: Timestamp) -> Option<Timestamp> {
        let rate = capacity.rate?;
        let back = usize::try_from(rate.starts).ok()?;
        let oldest = *self.grants.get(self.grants.len().checked_sub(back)?)?;
        Some(oldest.plus(rate.per)).filter(|free| *free > now)
    }

    /// Whether one more may start now.
    pub(super) fn has_room(&self, capacity: Capacity, now: Timestamp) -> bool {
        let count = u32::try_from(self.holders.len()).unwrap_or(u32::MAX);
        capacity.max_running.is_none_or(|max| count < max) && self.next_start(capacity, now).is_none()
    }

    /// When the last slot was given.
    pub(super) fn last_grant(&self) -> Option<Timestamp> {
        self.grants.back().copied()
    }

    /// How many of each value of the fairness have a slot.
    pub(super) fn running(&self) -> BTreeMap<&str, usize> {
        let mut running = BTreeMap::new();
        for (_, fairness) in &self.holders {
            *running.entry(fairness.as_str()).or_default() += 1;
        }
        running
    }

    /// When a value of the fairness got its last slot.
    pub(super) fn served(&self, fairness: &str) -> Option<Timestamp> {
        self.served.get(fairness).copied()
    }

    pub(super) fn fold(&mut self, event: SlotsEvent) {
        match event {
            SlotsEvent::Requested { holder, limit, partition, priority, fairness, at } => {
                self.limit = Some(limit);
                self.partition = partition;
                self.waiting.push(Waiting { holder, priority, fairness, at });
            }
            SlotsEvent::Granted { holder, at } => {
                let place = self.waiting.iter().position(|known| known.holder == holder);
                let fairness = place.map(|place| self.waiting.remove(place).fairness).unwrap_or_default();
                self.served.insert(fairness.clone(), at);
                self.holders.push((holder, fairness));
                self.grants.push_back(at);
                if self.grants.len() > usize::try_from(MAX_RATE).unwrap_or(usize::MAX) {
                    self.grants.pop_front();
                }
            }
            SlotsEvent::Released { holder } => {
                self.holders.retain(|(known, _)| *known != holder);
                self.waiting.retain(|known| known.holder != holder);
                let (holders, waiting) = (&self.holders, &self.waiting);
                self.served.retain(|value, _| {
                    holders.iter().any(|(_, known)| known == value)
                        || waiting.iter().any(|known| known.fairness == *value)
                });
            }
        }
    }
}
