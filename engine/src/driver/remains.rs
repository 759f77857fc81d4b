//! What an append leaves behind that was recorded in part.
//!
//! Where the store writes to one stream at a time, another process may come in between two streams of an append. What
//! was written by then stays, and the driver is told of a conflict at a later stream. It decides again, as after every
//! conflict; but what stayed may be a task that its run does not know of, and a task may be past the end of an attempt
//! whose slots and money were not given back. The same is found by whoever takes the run over from a driver that died
//! right then. Where appends are recorded whole, nothing of this is ever found.

use std::collections::BTreeMap;

use domain::{RunCommand, Task, TaskCommand, TaskId, Timestamp};
use journal::AppendError;

use super::{Driver, End, Stop, late, tasks};
use crate::ahead::UnderWay;
use crate::stage::{Slot, Stage};

#[derive(Default)]
pub(super) struct Remains {
    /// Tasks that are there although the run has not begun what they are for. Their calls were never made.
    strays: BTreeMap<TaskId, Slot>,
    /// Whether tasks may be past what was not recorded beside them.
    suspected: bool,
}

impl Remains {
    /// A task that is there already.
    pub(super) fn stray(&self, id: TaskId) -> Option<&Slot> {
        self.strays.get(&id)
    }

    /// Whether tasks may be past what was not recorded beside them.
    pub(super) fn suspected(&self) -> bool {
        self.suspected
    }

    /// Everything that was suspected is dealt with; these tasks are the run's now.
    pub(super) fn settle(&mut self, adopted: &BTreeMap<TaskId, Slot>) {
        self.suspected = false;
        self.strays.retain(|id, _| !adopted.contains_key(id));
    }
}

impl Driver {
    /// Looks what the append of a stage that met a conflict has left behind, or one before it.
    pub(super) async fn find_remains(&mut self, stage: &Stage) -> Result<(), Stop> {
        self.remains.suspected = true;
        let mut found = Vec::new();
        for (id, place) in stage.created() {
            let task = self.executor().load::<Task>(id.into()).await?;
            if task.revision.is_some() {
                found.push((id, Slot { place, task }));
            }
        }
        if !found.is_empty() {
            // Another node may have the run and have begun them.
            self.reload_owned().await?;
            found.retain(|(id, _)| !self.tasks.contains_key(id));
        }
        for (id, slot) in found {
            tracing::info!(run.id = %self.id, task.id = %id, "a task is there that its run does not know of yet");
            self.remains.strays.insert(id, slot);
        }
        // What was known of these may be old by now.
        let executor = self.executor().clone();
        for (id, slot) in &mut self.remains.strays {
            slot.task = executor.load::<Task>((*id).into()).await?;
        }
        Ok(())
    }

    /// Goes on with a task that is there already: what may have been recorded of an attempt was never called.
    pub(super) async fn take_in(
        &mut self,
        stage: &mut Stage,
        id: TaskId,
        slot: &Slot,
        now: Timestamp,
    ) -> Result<Option<RunCommand>, Stop> {
        let command = match slot.task.state.running_attempt() {
            Some(attempt) => self.cut_short(attempt.number, tasks::uncalled(), now),
            None => TaskCommand::Fence,
        };
        stage.give_back_again(id, &slot.task.state);
        late(stage.decide_task(id, || slot.clone(), command).map(drop));
        // Before it asks for anything anew.
        self.give_back(stage, now).await?;
        let task = stage.task(id).unwrap_or(&slot.task.state);
        if let Some(end) = tasks::end_of(task) {
            return Ok(Some(RunCommand::SettleTask { task: id, end, now }));
        }
        if task.retry_at().is_some_and(|at| at > now) {
            return Ok(None);
        }
        self.attempt(stage, id, slot, now).await
    }

    /// The run ends: tasks that it never came to know end with it.
    pub(super) fn cancel_strays(&self, stage: &mut Stage) {
        for (id, slot) in &self.remains.strays {
            if stage.task(*id).is_none() {
                let reason = "its run has ended before its step began".to_owned();
                stage.give_back_again(*id, &slot.task.state);
                late(stage.decide_task(*id, || slot.clone(), TaskCommand::Cancel { reason }).map(drop));
            }
        }
    }

    /// Somebody else has ended the run: no task that this driver began stays behind.
    pub(super) async fn clear_up(&mut self) -> Result<(), Stop> {
        while !self.remains.strays.is_empty() {
            let (mut stage, now) = (Stage::new(self.id, &self.run), self.now());
            self.cancel_strays(&mut stage);
            self.give_back(&mut stage, now).await?;
            if stage.is_empty() {
                break;
            }
            let append = stage.append(self.context(), false);
            match self.hand_in(append, &mut stage).await {
                Ok((_, under_way)) => {
                    under_way.into_iter().for_each(UnderWay::recorded);
                    break;
                }
                Err(AppendError::Conflict { stream, .. } | AppendError::Unfounded { stream }) => {
                    self.find_remains(&stage).await?;
                    self.read_shared(stream).await?;
                }
                Err(AppendError::Closed) => return Err(Stop::Ended(End::Stopped)),
                Err(error) => return Err(Stop::Unavailable(Box::new(error))),
            }
        }
        Ok(())
    }
}
