//! Tasks: creating them, their attempts, what came back, and what follows for the run.

use std::collections::{BTreeSet, VecDeque};

use domain::purse::Payer;
use domain::run::{Place, TaskEnd};
use domain::task::{Attempt, Ending, Pacing, PassedOver, Purpose, TaskStatus};
use domain::{AttemptError, ErrorKind, Key, RunCommand, Task, TaskCommand, TaskId, Timestamp};
use journal::Loaded;

use super::{Driver, Stop, late};
use crate::call::Settled;
use crate::plan::{Planned, PlannedAttempt, Unplannable};
use crate::review::Next;
use crate::stage::{Begun, Slot, Stage};
use crate::way;

impl Driver {
    /// Attempts that a former owner left open are lost: nobody knows what became of them. Tasks that wait are kept from
    /// it, because it may not know yet that it was replaced, and an attempt touches no other stream than its task's.
    pub(super) fn take_tasks(&self, stage: &mut Stage, now: Timestamp) {
        for (id, slot) in &self.tasks {
            let Some(attempt) = slot.task.state.running_attempt().map(|attempt| attempt.number) else {
                late(stage.decide_task(*id, || slot.clone(), TaskCommand::Fence).map(drop));
                continue;
            };
            let lose = TaskCommand::LoseAttempt { attempt, pacing: self.pacing(now) };
            tracing::warn!(run.id = %self.id, task.id = %id, attempt, "an attempt was lost when its process ended");
            late(stage.decide_task(*id, || slot.clone(), lose).map(drop));
        }
    }

    /// Records what came back from platforms.
    pub(super) async fn take_results(&self, stage: &mut Stage, now: Timestamp) -> Result<(), Stop> {
        for settled in &self.pending {
            let attempt = settled.attempt;
            let slot = match self.tasks.get(&settled.task) {
                Some(slot) => slot.clone(),
                // The task ended while the answer was on its way. The answer is recorded as late.
                None if settled.outcome.is_ok() => {
                    let task = self.executor().load::<Task>(settled.task.into()).await?;
                    let place = stage.run().place_of(settled.task);
                    let Some(place) = place else { continue };
                    Slot { place, task }
                }
                None => continue,
            };
            let command = match &settled.outcome {
                Ok(reply) => {
                    let (task, run) = (&slot.task.state, stage.run());
                    let newest = Some((attempt, reply));
                    let next = self.shared.planner.follows(task, newest, run, &slot.place, now).await?;
                    let ending = match next {
                        Some(Next::Enough(counts, ending)) => Some(Ending { counts: Some(counts), ..*ending }),
                        Some(Next::More(_)) => None,
                        None => Some(Ending::default()),
                    };
                    TaskCommand::SucceedAttempt { attempt, reply: reply.clone(), ending }
                }
                Err(error) => {
                    let (task, run) = (&slot.task.state, stage.run());
                    let taken = self.shared.planner.can_take_over(task, run, &slot.place, error).await;
                    let fallback = match taken {
                        Ok(fallback) => fallback,
                        Err(Unplannable::Unavailable(error)) => return Err(error.into()),
                        Err(Unplannable::Rejected(_)) => false,
                    };
                    let (error, consumed) = (error.clone(), settled.consumed.clone());
                    TaskCommand::FailAttempt { attempt, error, consumed, fallback, pacing: self.pacing(now) }
                }
            };
            late(stage.decide_task(settled.task, || slot, command).map(drop));
        }
        Ok(())
    }

    /// An attempt whose start was recorded although the journal could not say so was never called; it makes way for
    /// the next.
    pub(super) fn give_up_uncalled(&self, stage: &mut Stage, now: Timestamp) {
        if !self.owned {
            return;
        }
        for (id, slot) in &self.tasks {
            let Some(attempt) = slot.task.state.running_attempt() else { continue };
            // What came back from the attempt before it does not mean that this one was called.
            let came_back = |settled: &Settled| (settled.task, settled.attempt) == (*id, attempt.number);
            if !self.aborts.contains_key(id) && !self.pending.iter().any(came_back) {
                let fail = self.cut_short(attempt.number, uncalled(), now);
                late(stage.decide_task(*id, || slot.clone(), fail).map(drop));
            }
        }
    }

    /// Records open attempts as interrupted, so that the next engine goes on with them at once.
    pub(super) fn interrupt(&self, stage: &mut Stage) {
        let now = self.now();
        for (id, slot) in &self.tasks {
            let Some(attempt) = slot.task.state.running_attempt().map(|attempt| attempt.number) else { continue };
            let error = AttemptError {
                kind: ErrorKind::Interrupted,
                message: "HishamOS was stopped while the platform was being called".to_owned(),
                retry_after: None,
            };
            let fail = self.cut_short(attempt, error, now);
            late(stage.decide_task(*id, || slot.clone(), fail).map(drop));
        }
    }

    /// What the ends of tasks mean for the run: of those that this turn ended, and, when the run was just taken, of
    /// those whose end was recorded without its consequence.
    pub(super) async fn follow_up_all(&mut self, stage: &mut Stage, now: Timestamp) -> Result<(), Stop> {
        let mut ended: Vec<(TaskId, TaskEnd)> =
            stage.touched().filter_map(|(id, task)| Some((id, end_of(task)?))).collect();
        let touched: BTreeSet<TaskId> = ended.iter().map(|(id, _)| *id).collect();
        let known = self.tasks.iter().filter(|(id, _)| !touched.contains(id));
        ended.extend(known.filter_map(|(id, slot)| Some((*id, end_of(stage.task(*id).unwrap_or(&slot.task.state))?))));
        // Failures first, so that nothing starts that would not have started a moment later.
        ended.sort_by_key(|(_, end)| !matches!(end, TaskEnd::Failed(_)));
        for (task, end) in ended {
            let begun = late(stage.decide_run(RunCommand::SettleTask { task, end, now })).unwrap_or_default();
            self.begin(stage, begun, now).await?;
        }
        Ok(())
    }

    /// Creates tasks and runs that were begun, with everything that begins because of them.
    pub(super) async fn begin(&mut self, stage: &mut Stage, begun: Vec<Begun>, now: Timestamp) -> Result<(), Stop> {
        let mut begun = VecDeque::from(begun);
        while let Some(next) = begun.pop_front() {
            let failed = match next {
                Begun::Task(place, id) => self.create(stage, place, id, now).await?,
                Begun::Child(step, run) => self.start_child(stage, step, run, now).await?,
            };
            if let Some(command) = failed {
                begun.extend(late(stage.decide_run(command)).unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Creates a task with its first attempt; answers with what its failure means for the run, when it cannot be made.
    async fn create(
        &mut self,
        stage: &mut Stage,
        place: Place,
        id: TaskId,
        now: Timestamp,
    ) -> Result<Option<RunCommand>, Stop> {
        if let Some(stray) = self.remains.stray(id) {
            let slot = Slot { place, task: stray.task.clone() };
            return self.take_in(stage, id, &slot, now).await;
        }
        let slot = Slot { place, task: Loaded::default() };
        match self.shared.planner.task(self.id, stage.run(), id, &slot.place, now).await {
            Ok(commands) => {
                for command in commands {
                    late(stage.decide_task(id, || slot.clone(), command).map(drop));
                }
                self.attempt(stage, id, &slot, now).await
            }
            Err(Unplannable::Unavailable(error)) => Err(error.into()),
            // No task can be made, so what it was for fails.
            Err(Unplannable::Rejected(error)) => {
                Ok(Some(RunCommand::SettleTask { task: id, end: TaskEnd::Failed(error), now }))
            }
        }
    }

    /// Starts the next attempt of a task, unless a limit makes it wait; one that cannot be made fails the task.
    pub(super) async fn attempt(
        &mut self,
        stage: &mut Stage,
        id: TaskId,
        slot: &Slot,
        now: Timestamp,
    ) -> Result<Option<RunCommand>, Stop> {
        let mut unaffordable: Vec<(Key, String)> = Vec::new();
        loop {
            let task = stage.task(id).unwrap_or(&slot.task.state).clone();
            let planner = &self.shared.planner;
            let purpose = match planner.follows(&task, None, stage.run(), &slot.place, now).await? {
                None => Purpose::Answer,
                Some(Next::More(purpose)) if may_better(&task) => purpose,
                Some(_) => return self.make_do(stage, id, slot, now).await,
            };
            let planned = planner.attempt(id, &task, stage.run(), &slot.place, purpose, &unaffordable, now).await;
            let planned = match planned {
                Ok(Planned::Attempt(planned)) => *planned,
                // A better answer is not worth waiting for, nor does the task fail without it.
                Ok(Planned::Rest { .. }) | Err(Unplannable::Rejected(_)) if task.answer().is_some() => {
                    return self.make_do(stage, id, slot, now).await;
                }
                Ok(Planned::Rest { pause, passed_over }) => {
                    let postponed = postpone(&task, now.plus(pause), passed_over);
                    let task = late(stage.decide_task(id, || slot.clone(), postponed));
                    return Ok(task.and_then(end_of).map(|end| RunCommand::SettleTask { task: id, end, now }));
                }
                Err(Unplannable::Unavailable(error)) => return Err(error.into()),
                Err(Unplannable::Rejected(error)) => return Ok(self.reject(stage, id, slot, error, now)),
            };
            let attempt = u32::try_from(task.attempts().len()).unwrap_or(u32::MAX).saturating_add(1);
            let payer = Payer { task: id, attempt };
            // Before it asks for slots: who cannot be paid anyway needs none, and would give back what the next one needs.
            let shares = match self.afford(stage, payer, &planned, now).await? {
                Ok(shares) => shares,
                Err(why) => {
                    unaffordable.push((planned.start.platform, why));
                    continue;
                }
            };
            let needs = self.shared.standing.of_attempt(stage.run(), &planned.agent, &planned.start.platform);
            if !needs.is_empty() || !task.slots().is_empty() {
                late(stage.decide_task(id, || slot.clone(), TaskCommand::Queue { slots: needs.clone() }).map(drop));
                // Before it asks for those that it needs now: what it held until now, or waited for, is not its own any more.
                if stage.has_given_up_slots(id) {
                    self.give_back(stage, now).await?;
                }
                if !self.acquire(stage, Some(id), &needs, now).await? {
                    return Ok(None);
                }
            }
            let reserved = match Self::set_aside(stage, payer, shares, now) {
                Ok(reserved) => reserved,
                Err(why) => {
                    unaffordable.push((planned.start.platform, why));
                    continue;
                }
            };
            let PlannedAttempt { start, call, .. } = planned;
            match late(stage.decide_task(id, || slot.clone(), start.command(reserved.clone())).map(drop)) {
                Some(()) => stage.call_after(id, call),
                None => Self::unreserve(stage, payer, &reserved),
            }
            return Ok(None);
        }
    }

    /// Ends a task with the best answer that it has: nothing better is to be had.
    async fn make_do(
        &self,
        stage: &mut Stage,
        id: TaskId,
        slot: &Slot,
        now: Timestamp,
    ) -> Result<Option<RunCommand>, Stop> {
        let task = stage.task(id).unwrap_or(&slot.task.state).clone();
        let Some((attempt, ending)) = self.shared.planner.best(&task, stage.run(), &slot.place).await? else {
            return Ok(None);
        };
        let complete = TaskCommand::Complete { attempt, ending };
        let task = late(stage.decide_task(id, || slot.clone(), complete));
        Ok(task.and_then(end_of).map(|end| RunCommand::SettleTask { task: id, end, now }))
    }

    fn reject(
        &self,
        stage: &mut Stage,
        id: TaskId,
        slot: &Slot,
        error: AttemptError,
        now: Timestamp,
    ) -> Option<RunCommand> {
        late(stage.decide_task(id, || slot.clone(), TaskCommand::Reject { error: error.clone() }).map(drop));
        Some(RunCommand::SettleTask { task: id, end: TaskEnd::Failed(error), now })
    }

    /// Starts the attempts whose time has come or whose slots may be there, and fails tasks that waited too long for
    /// their first one.
    pub(super) async fn attempt_due(&mut self, stage: &mut Stage, now: Timestamp) -> Result<(), Stop> {
        let known: Vec<(TaskId, Slot)> = self.tasks.iter().map(|(id, slot)| (*id, slot.clone())).collect();
        for (id, slot) in known {
            let task = stage.task(id).unwrap_or(&slot.task.state);
            let waits = matches!(task.status(), TaskStatus::Created | TaskStatus::Assigned | TaskStatus::Waiting);
            if !waits || stage.run().place_of(id).is_none() {
                continue;
            }
            let failed = if task.start_by().is_some_and(|at| at <= now) {
                let message = "the task waited longer for its first attempt than its step allows".to_owned();
                let error = AttemptError { kind: ErrorKind::Timeout, message, retry_after: None };
                self.reject(stage, id, &slot, error, now)
            } else if task.retry_at().is_none_or(|at| at <= now) {
                self.attempt(stage, id, &slot, now).await?
            } else {
                None
            };
            if let Some(command) = failed {
                let begun = late(stage.decide_run(command)).unwrap_or_default();
                self.begin(stage, begun, now).await?;
            }
        }
        Ok(())
    }

    /// Cancels the tasks of steps that are over.
    pub(super) fn retire(&self, stage: &mut Stage) {
        if !stage.ended_something() {
            return;
        }
        let open: BTreeSet<TaskId> = stage.run().open_tasks().into_iter().map(|(_, id)| id).collect();
        let staged = stage.touched().map(|(id, _)| id);
        let all: BTreeSet<TaskId> = self.tasks.keys().copied().chain(staged).collect();
        for id in all.difference(&open) {
            let ended = |task: &Task| task.status().is_terminal() || task.status() == TaskStatus::Absent;
            let known = self.tasks.get(id);
            if stage.task(*id).or(known.map(|slot| &*slot.task.state)).is_none_or(ended) {
                continue;
            }
            let Some(slot) = known.cloned().or_else(|| stage.slot(*id)) else { continue };
            let reason = stage.run().cancel().map_or_else(|| "its step has ended".to_owned(), |by| by.reason.clone());
            late(stage.decide_task(*id, || slot, TaskCommand::Cancel { reason }).map(drop));
        }
    }

    /// An attempt that ends because of this side; no other platform would help.
    pub(super) fn cut_short(&self, attempt: u32, error: AttemptError, now: Timestamp) -> TaskCommand {
        let pacing = self.pacing(now);
        TaskCommand::FailAttempt { attempt, error, consumed: None, fallback: false, pacing }
    }

    fn pacing(&self, now: Timestamp) -> Pacing {
        Pacing { now, jitter_milli: self.surroundings().chance_milli() }
    }
}

/// Whether a task that has an answer may ask for a better one: right after an answer. What fails is not tried again.
fn may_better(task: &Task) -> bool {
    let interrupted = |attempt: &&Attempt| !attempt.was_interrupted();
    let last = task.attempts().iter().rev().find(interrupted).map(|attempt| attempt.number);
    last.is_some_and(|last| task.has_succeeded(last))
}

/// Whoever could be asked rests. Without any attempt it fails with that, should it be too late then.
fn postpone(task: &Task, until: Timestamp, passed_over: Vec<PassedOver>) -> TaskCommand {
    let error = task.last_error().unwrap_or_else(|| AttemptError {
        kind: ErrorKind::PlatformFailure,
        message: format!("no platform could be asked in time: {}", way::listed(&passed_over)),
        retry_after: None,
    });
    TaskCommand::Postpone { until, passed_over, error }
}

/// What an attempt fails with that was recorded and never made.
pub(super) fn uncalled() -> AttemptError {
    AttemptError {
        kind: ErrorKind::Interrupted,
        message: "the journal could not tell whether the attempt was recorded, so it was not made".to_owned(),
        retry_after: None,
    }
}

/// How a task ended; `None` while it has not.
pub(super) fn end_of(task: &Task) -> Option<TaskEnd> {
    match task.status() {
        TaskStatus::Completed => {
            let simulated = task.reply()?.simulated;
            Some(TaskEnd::Completed { result: commands::result_of(task)?, simulated })
        }
        TaskStatus::Failed => {
            let unknown = || AttemptError {
                kind: ErrorKind::PlatformFailure,
                message: "the task failed".to_owned(),
                retry_after: None,
            };
            Some(TaskEnd::Failed(task.error().cloned().unwrap_or_else(unknown)))
        }
        TaskStatus::Cancelled => Some(TaskEnd::Cancelled),
        _ => None,
    }
}
