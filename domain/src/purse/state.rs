use std::fmt;

use serde::{Deserialize, Serialize};

use super::reserved::Reserved;
use crate::budget::Window;
use crate::{Key, PurseEvent, TaskId, Timestamp};

/// An attempt of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "(TaskId, u32)", from = "(TaskId, u32)")]
pub struct Payer {
    /// The task.
    pub task: TaskId,
    /// The attempt, from 1.
    pub attempt: u32,
}

impl From<Payer> for (TaskId, u32) {
    fn from(payer: Payer) -> Self {
        (payer.task, payer.attempt)
    }
}

impl From<(TaskId, u32)> for Payer {
    fn from((task, attempt): (TaskId, u32)) -> Self {
        Self { task, attempt }
    }
}

impl fmt::Display for Payer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt {} of task {}", self.attempt, self.task)
    }
}

/// What is set aside for an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// How much.
    pub amount: u64,
    /// When the window began in which it counts.
    pub window: Timestamp,
}

/// A budget's purse, or that of one run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Purse {
    budget: Option<Key>,
    partition: Option<String>,
    window: Option<Timestamp>,
    spent: u64,
    reserved: Reserved,
    warned: bool,
}

impl Purse {
    /// The budget's key; `None` when nothing was ever set aside.
    #[must_use]
    pub fn budget(&self) -> Option<&Key> {
        self.budget.as_ref()
    }

    /// The run, when the budget counts each run by itself.
    #[must_use]
    pub fn partition(&self) -> Option<&str> {
        self.partition.as_deref()
    }

    /// What is spent in the window that holds a moment.
    #[must_use]
    pub fn spent(&self, window: Window, now: Timestamp) -> u64 {
        if self.window.is_some_and(|known| known >= window.start(now)) { self.spent } else { 0 }
    }

    /// What is set aside, also by calls that began in an earlier window and are still under way.
    #[must_use]
    pub fn reserved(&self) -> u64 {
        self.reserved.sum()
    }

    /// For how many attempts something is set aside.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.reserved.len()
    }

    /// What is set aside for an attempt.
    #[must_use]
    pub fn reservation(&self, payer: Payer) -> Option<Reservation> {
        self.reserved.get(payer)
    }

    /// When the last known window began.
    pub(super) fn window(&self) -> Option<Timestamp> {
        self.window
    }

    /// Whether it was told in a window that the budget comes to its end.
    pub(super) fn warned(&self, window: Timestamp) -> bool {
        self.warned && self.window == Some(window)
    }

    pub(super) fn fold(&mut self, event: PurseEvent) {
        match event {
            PurseEvent::Reserved { payer, amount, budget, partition, window, .. } => {
                self.budget = Some(budget);
                self.partition = partition;
                if self.window != Some(window) {
                    (self.window, self.spent, self.warned) = (Some(window), 0, false);
                }
                self.reserved.put(payer, Reservation { amount, window });
            }
            PurseEvent::Settled { payer, amount, .. } => {
                // What was set aside in an earlier window is no part of this one.
                if self.reserved.take(payer).map(|reservation| reservation.window) == self.window {
                    self.spent = self.spent.saturating_add(amount);
                }
            }
            PurseEvent::Warned { .. } => self.warned = true,
        }
    }
}
