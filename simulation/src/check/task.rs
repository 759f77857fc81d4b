//! What may happen to a task.

use std::collections::{BTreeMap, BTreeSet};

use domain::slots::Holder;
use domain::task::Reserved;
use domain::{AttemptError, PurseId, RunId, SlotsId, StepName, TaskEvent, TaskId};
use serde_json::Value;

use super::{Checker, Seen};
use crate::catalog::prompt;
use crate::platforms::answer;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Open,
    Succeeded,
    Failed,
    Lost,
    Cancelled,
}

/// How a task ended.
#[derive(Debug, Clone)]
pub(super) enum Ending {
    Completed(String),
    Failed(AttemptError),
    Cancelled,
}

#[derive(Debug, Default)]
pub(super) struct TaskView {
    pub(super) run: Option<RunId>,
    pub(super) step: Option<StepName>,
    pub(super) parameters: Value,
    attempts: BTreeMap<u32, Attempt>,
    text: Option<String>,
    /// What was set aside for the last attempt.
    shares: Vec<Reserved>,
    /// Whether another attempt was promised.
    promised: bool,
    /// The slots that it may hold or wait for.
    slots: BTreeSet<SlotsId>,
    pub(super) ending: Option<Ending>,
}

impl TaskView {
    pub(super) fn finish(&self, id: TaskId, found: &mut Vec<String>) {
        if self.ending.is_none() {
            found.push(format!("at the end task {id} of step {:?} has not ended", self.step));
        }
        if let Some((number, _)) = self.attempts.iter().find(|(_, attempt)| **attempt == Attempt::Open) {
            found.push(format!("at the end attempt {number} of task {id} is open"));
        }
    }

    fn close(&mut self, number: u32, to: Attempt) -> Result<(), String> {
        match self.attempts.get_mut(&number) {
            Some(attempt) if *attempt == Attempt::Open => {
                *attempt = to;
                self.slots.clear();
                Ok(())
            }
            Some(attempt) => Err(format!("attempt {number} ends as {to:?}, but it was {attempt:?}")),
            None => Err(format!("attempt {number} ends and never began")),
        }
    }

    fn end(&mut self, ending: Ending) -> Result<(), String> {
        if let Some(number) = self.open() {
            if !matches!(ending, Ending::Cancelled) {
                return Err(format!("it ends while attempt {number} is open"));
            }
            self.attempts.insert(number, Attempt::Cancelled);
        }
        self.ending = Some(ending);
        self.slots.clear();
        Ok(())
    }

    /// Whether an attempt is under way, and pays so much from a purse.
    pub(super) fn pays(&self, attempt: u32, purse: PurseId, amount: u64) -> bool {
        self.open() == Some(attempt) && self.shares.iter().any(|share| (share.purse, share.amount) == (purse, amount))
    }

    /// What is set aside for the attempt that is under way.
    pub(super) fn shares(&self) -> impl Iterator<Item = (u32, &Reserved)> {
        let open = self.open();
        self.shares.iter().filter_map(move |share| Some((open?, share)))
    }

    /// Whether it may hold slots or wait for them.
    pub(super) fn wants_slots(&self) -> bool {
        !self.slots.is_empty()
    }

    fn open(&self) -> Option<u32> {
        self.attempts.iter().find(|(_, attempt)| **attempt == Attempt::Open).map(|(number, _)| *number)
    }

    fn apply(&mut self, event: &TaskEvent, revision: u64) -> Result<(), String> {
        let late = matches!(event, TaskEvent::AttemptLate { .. });
        let said =
            matches!(event, TaskEvent::Rated { .. } | TaskEvent::Judged { .. } | TaskEvent::JudgingFailed { .. });
        if said {
            return match self.ending {
                Some(Ending::Completed(_)) => Ok(()),
                _ => Err(format!("`{}` without an answer", event.name())),
            };
        }
        if self.ending.is_some() && !late {
            return Err(format!("`{}` after its end", event.name()));
        }
        if (revision == 0) != matches!(event, TaskEvent::Created { .. }) {
            return Err(format!("`{}` at revision {revision}", event.name()));
        }
        match event {
            TaskEvent::Created { run, step, parameters, .. } => {
                self.run = *run;
                self.step.clone_from(step);
                self.parameters = Value::clone(parameters);
                Ok(())
            }
            TaskEvent::AttemptStarted { attempt, reserved, .. } => {
                self.shares.clone_from(reserved);
                if let Some(open) = self.open() {
                    return Err(format!("attempt {attempt} starts while attempt {open} is open"));
                }
                if self.attempts.insert(*attempt, Attempt::Open).is_some()
                    || usize::try_from(*attempt).is_ok_and(|number| number != self.attempts.len())
                {
                    return Err(format!("attempt {attempt} is not the next"));
                }
                if *attempt > 1 && !self.promised {
                    return Err(format!("attempt {attempt} starts and was not promised"));
                }
                self.promised = false;
                Ok(())
            }
            TaskEvent::AttemptSucceeded { attempt, reply } => {
                let text = self.parameters.get("text").and_then(Value::as_str).unwrap_or_default();
                let expected = answer(&prompt(text));
                if reply.text != expected {
                    return Err(format!("it got `{}`, but the platform says `{expected}` to it", reply.text));
                }
                // What has no parts may be asked for once more, where they were asked for.
                self.promised = self.text.is_none();
                self.text = Some(reply.text.clone());
                self.close(*attempt, Attempt::Succeeded)
            }
            TaskEvent::AttemptFailed { attempt, retry_at, .. } => {
                self.promised = retry_at.is_some();
                self.close(*attempt, Attempt::Failed)
            }
            TaskEvent::AttemptLost { attempt, retry_at } => {
                self.promised = retry_at.is_some();
                self.close(*attempt, Attempt::Lost)
            }
            TaskEvent::AttemptLate { attempt, .. } => match self.attempts.get(attempt) {
                Some(Attempt::Open) => Err(format!("attempt {attempt} is called late while it is open")),
                Some(_) => Ok(()),
                None => Err(format!("attempt {attempt} is late and never began")),
            },
            TaskEvent::Completed { .. } => match self.text.clone() {
                Some(text) => self.end(Ending::Completed(text)),
                None => Err("it completes without an answer".to_owned()),
            },
            TaskEvent::Failed { error } => self.end(Ending::Failed(error.clone())),
            TaskEvent::Cancelled { .. } => self.end(Ending::Cancelled),
            TaskEvent::Queued { slots } => {
                self.slots = slots.iter().map(|need| need.slots).collect();
                Ok(())
            }
            TaskEvent::Postponed { .. } => match self.open() {
                Some(open) => Err(format!("it waits for platforms while attempt {open} is open")),
                None => Ok(()),
            },
            TaskEvent::Assigned { .. }
            | TaskEvent::Deferred { .. }
            | TaskEvent::Rated { .. }
            | TaskEvent::Judged { .. }
            | TaskEvent::JudgingFailed { .. } => Ok(()),
        }
    }
}

impl Checker {
    /// An attempt that is under way holds every slot that its task was queued for.
    pub(super) fn check_attempt(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get(&id) else { return };
        let (Some(attempt), Some(run)) = (task.open(), task.run) else { return };
        let holder = Holder { run, task: Some(id) };
        let holds = |slots: &&SlotsId| self.slots.get(slots).is_some_and(|slots| slots.holds(holder));
        if let Some(slots) = task.slots.iter().find(|slots| !holds(slots)) {
            self.blame(format!("attempt {attempt} of {holder} is under way without a slot of {slots}"));
        }
    }

    pub(super) fn take_task(&mut self, id: TaskId, seen: &Seen<'_>, event: &TaskEvent) {
        if let TaskEvent::AttemptStarted { request_hash, .. } = event {
            self.calls.entry(*request_hash).or_default().0 += 1;
        }
        let task = self.tasks.entry(id).or_default();
        if let Err(wrong) = task.apply(event, seen.recorded.revision) {
            let (run, step) = (task.run, task.step.clone());
            self.blame(format!("task {id} of step {step:?} of run {run:?}: {wrong}"));
        }
    }
}
