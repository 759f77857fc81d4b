//! Drives one run from claim to end.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use domain::run::{RunStatus, StepStatus};
use domain::task::{Pacing, TaskStatus};
use domain::{
    Actor, AttemptError, CommandId, ErrorKind, EventId, NodeId, Run, RunCommand, RunId, StepName, Task, TaskCommand,
    TaskId, Timestamp,
};
use journal::{AppendError, Context, Executor, Loaded, ReadError};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::call::Settled;
use crate::plan::{Planner, Unplannable};
use crate::stage::{Slot, Stage, consequence};

/// What the drivers of one engine share.
pub(crate) struct Shared {
    pub(crate) planner: Planner,
    pub(crate) node: NodeId,
    pub(crate) drain: Duration,
    pub(crate) shutdown: CancellationToken,
}

/// Tells a driver that its run's stream has events that it did not write.
pub(crate) struct Look;

/// Why a driver is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The run has ended.
    Terminal,
    /// Another node owns the run.
    Replaced,
    /// The engine is stopping; the run goes on when an engine starts again.
    Stopped,
    /// The journal holds something that this program cannot read. The run stands until it can.
    Unreadable,
}

/// Connects what the driver records to what led to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thread {
    pub(crate) correlation: Uuid,
    pub(crate) cause: Option<EventId>,
}

pub(crate) struct Driver {
    shared: Arc<Shared>,
    id: RunId,
    run: Loaded<Run>,
    tasks: BTreeMap<StepName, Slot>,
    calls: JoinSet<Settled>,
    aborts: BTreeMap<StepName, AbortHandle>,
    looks: mpsc::UnboundedReceiver<Look>,
    thread: Thread,
}

/// What an append is made for.
#[derive(Clone, Copy)]
enum Turn<'a> {
    Claim,
    Settle(&'a [Settled]),
    Cut,
    Interrupt,
}

/// The driver cannot go on.
enum Stop {
    Ended(End),
    /// The store failed; nothing was recorded and another try is right.
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
    /// The journal does not take what was decided.
    Unrecordable(String),
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Damaged { .. } => {
                tracing::error!(error = &error as &dyn std::error::Error, "a run cannot be read");
                Self::Ended(End::Unreadable)
            }
            ReadError::Closed => Self::Ended(End::Stopped),
            error @ ReadError::Unavailable(_) => Self::Unavailable(Box::new(error)),
        }
    }
}

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        id: RunId,
        run: Loaded<Run>,
        looks: mpsc::UnboundedReceiver<Look>,
        thread: Thread,
    ) -> Self {
        Self { shared, id, run, tasks: BTreeMap::new(), calls: JoinSet::new(), aborts: BTreeMap::new(), looks, thread }
    }

    /// Drives the run until it ends, another node has it, or the engine stops.
    pub(crate) async fn drive(mut self) -> End {
        let (shutdown, drain) = (self.shared.shutdown.clone(), self.shared.drain);
        let cut_at = async move {
            shutdown.cancelled().await;
            tokio::time::sleep(drain).await;
        };
        tokio::pin!(cut_at);
        let mut pending: Vec<Settled> = Vec::new();
        let mut claimed = false;
        loop {
            let done = if !claimed {
                self.take().await
            } else if self.run.state.status() == RunStatus::Cancelling {
                self.record(Turn::Cut).await
            } else {
                self.record(Turn::Settle(&pending)).await
            };
            match done {
                Ok(()) => {
                    claimed = true;
                    pending.clear();
                }
                Err(Stop::Ended(end)) => return end,
                Err(Stop::Unrecordable(what)) if pending.iter().any(|settled| settled.outcome.is_ok()) => {
                    tracing::error!(run.id = %self.id, what, "answers cannot be recorded; their attempts fail");
                    let error = AttemptError { kind: ErrorKind::InvalidInput, message: what, retry_after: None };
                    pending.iter_mut().for_each(|settled| settled.outcome = Err(error.clone()));
                    continue;
                }
                Err(Stop::Unrecordable(what)) => {
                    tracing::error!(run.id = %self.id, what, "a run cannot be recorded");
                    return End::Unreadable;
                }
                Err(Stop::Unavailable(error)) => {
                    tracing::warn!(run.id = %self.id, error = &*error as &dyn std::error::Error, "a run waits for the journal");
                    tokio::select! {
                        () = &mut cut_at => return End::Stopped,
                        () = tokio::time::sleep(Duration::from_millis(500)) => continue,
                    }
                }
            }
            if self.run.state.status().is_terminal() {
                return End::Terminal;
            }
            if self.run.state.status() == RunStatus::Cancelling {
                continue;
            }
            let timer = self.next_timer();
            if self.calls.is_empty() && timer.is_none() {
                // Every live run has something to wait for; this one has not, so its state is read again.
                tracing::error!(run.id = %self.id, "a live run waits for nothing; reading it again");
                metrics::counter!("hishamos_runs_without_cause_total").increment(1);
                tokio::time::sleep(Duration::from_secs(1)).await;
                self.run = Loaded::default();
                self.tasks.clear();
                claimed = false;
                continue;
            }
            tokio::select! {
                biased;
                () = &mut cut_at => return self.stop().await,
                Some(Look) = self.looks.recv() => {
                    while self.looks.try_recv().is_ok() {}
                    match self.reload_owned().await {
                        Ok(()) => {}
                        Err(Stop::Ended(end)) => return end,
                        // The next append finds the conflict and reads again.
                        Err(Stop::Unavailable(_) | Stop::Unrecordable(_)) => {}
                    }
                }
                Some(done) = self.calls.join_next() => {
                    pending.extend(self.finished(done));
                    while let Some(done) = self.calls.try_join_next() {
                        pending.extend(self.finished(done));
                    }
                }
                () = sleep_until(timer) => {}
            }
        }
    }

    /// Takes over the run as it stands in the journal. A run that nobody has taken yet is known whole from the event
    /// that started it; should that be wrong, the append says so.
    async fn take(&mut self) -> Result<(), Stop> {
        if self.run.revision != Some(0) {
            self.reload().await?;
        }
        if self.run.state.status().is_terminal() {
            return Err(Stop::Ended(End::Terminal));
        }
        self.record(Turn::Claim).await
    }

    /// Fills a stage with what this turn decides.
    async fn decide(&mut self, turn: Turn<'_>, stage: &mut Stage) -> Result<(), Stop> {
        match turn {
            Turn::Claim => self.claim(stage).await,
            Turn::Settle(pending) => self.settle(pending, stage).await,
            Turn::Cut => {
                self.cut(stage);
                Ok(())
            }
            Turn::Interrupt => {
                self.interrupt(stage);
                Ok(())
            }
        }
    }

    /// Takes the run, gives up attempts that a former owner left open, and starts what can start.
    async fn claim(&mut self, stage: &mut Stage) -> Result<(), Stop> {
        late(stage.decide_run(RunCommand::Claim { node: self.shared.node }));
        let running: Vec<(StepName, Slot)> =
            self.tasks.iter().map(|(step, slot)| (step.clone(), slot.clone())).collect();
        for (step, slot) in running {
            if let Some(attempt) = slot.task.state.running_attempt().map(|attempt| attempt.number) {
                let lose = TaskCommand::LoseAttempt { attempt, pacing: pacing() };
                tracing::warn!(run.id = %self.id, task.id = %slot.id, attempt, "an attempt was lost when its process ended");
                late(stage.decide_task(&step, || slot.clone(), lose).map(drop));
            }
            self.follow_up(stage, &step, &slot).await?;
        }
        self.advance(stage).await
    }

    /// Records what came back, what it leads to, and the attempts whose time has come.
    async fn settle(&mut self, pending: &[Settled], stage: &mut Stage) -> Result<(), Stop> {
        for settled in pending {
            let Some(slot) = self.tasks.get(&settled.step).cloned() else { continue };
            let attempt = settled.attempt;
            let command = match &settled.outcome {
                Ok(reply) => TaskCommand::SucceedAttempt { attempt, reply: reply.clone() },
                Err(error) => TaskCommand::FailAttempt { attempt, error: error.clone(), pacing: pacing() },
            };
            late(stage.decide_task(&settled.step, || slot.clone(), command).map(drop));
            self.follow_up(stage, &settled.step, &slot).await?;
        }
        self.give_up_uncalled(pending, stage);
        let now = commands::now();
        let due: Vec<(StepName, Slot)> = self
            .tasks
            .iter()
            .filter(|(_, slot)| slot.task.state.retry_at().is_some_and(|at| at <= now))
            .map(|(step, slot)| (step.clone(), slot.clone()))
            .collect();
        for (step, slot) in due {
            self.attempt(stage, &step, &slot).await?;
        }
        Ok(())
    }

    /// An attempt whose start was recorded although the journal could not say so was never called; it makes way for
    /// the next.
    fn give_up_uncalled(&self, pending: &[Settled], stage: &mut Stage) {
        for (step, slot) in &self.tasks {
            let called = self.aborts.contains_key(step) || pending.iter().any(|settled| settled.step == *step);
            if let (false, Some(attempt)) = (called, slot.task.state.running_attempt()) {
                let error = AttemptError {
                    kind: ErrorKind::Interrupted,
                    message: "the journal could not tell whether the attempt was recorded, so it was not made"
                        .to_owned(),
                    retry_after: None,
                };
                let fail = TaskCommand::FailAttempt { attempt: attempt.number, error, pacing: pacing() };
                late(stage.decide_task(step, || slot.clone(), fail).map(drop));
            }
        }
    }

    /// Ends a run that somebody wants to stop.
    fn cut(&self, stage: &mut Stage) {
        let reason = stage.run().cancel_reason().unwrap_or_default().to_owned();
        for (step, slot) in &self.tasks {
            if !slot.task.state.status().is_terminal() {
                let cancel = TaskCommand::Cancel { reason: reason.clone() };
                late(stage.decide_task(step, || slot.clone(), cancel).map(drop));
            }
        }
        late(stage.decide_run(RunCommand::FinishCancel));
    }

    /// Records open attempts as interrupted, so that the next engine goes on with them at once.
    fn interrupt(&self, stage: &mut Stage) {
        for (step, slot) in &self.tasks {
            let Some(attempt) = slot.task.state.running_attempt().map(|attempt| attempt.number) else { continue };
            let error = AttemptError {
                kind: ErrorKind::Interrupted,
                message: "HishamOS was stopped while the platform was being called".to_owned(),
                retry_after: None,
            };
            let fail = TaskCommand::FailAttempt { attempt, error, pacing: pacing() };
            late(stage.decide_task(step, || slot.clone(), fail).map(drop));
        }
    }

    /// The engine stops: cuts what is open and records it.
    async fn stop(&mut self) -> End {
        self.calls.shutdown().await;
        match self.record(Turn::Interrupt).await {
            Ok(()) => End::Stopped,
            Err(Stop::Ended(end)) => end,
            Err(Stop::Unavailable(_) | Stop::Unrecordable(_)) => {
                tracing::warn!(run.id = %self.id, "open attempts could not be recorded as interrupted; the next start finds them lost");
                End::Stopped
            }
        }
    }

    /// Decides, records, and calls what is to be called. On conflict everything is read again and decided again.
    async fn record(&mut self, turn: Turn<'_>) -> Result<(), Stop> {
        loop {
            let mut stage = Stage::new(self.id, &self.run);
            self.decide(turn, &mut stage).await?;
            if stage.is_empty() {
                return Ok(());
            }
            let context = self.context();
            let command = context.command;
            let append = stage.append(context);
            let events: usize = append.streams.iter().map(|stream| stream.events.len()).sum();
            match self.journal().append(append).await {
                Ok(appended) => {
                    let last = u32::try_from(events.saturating_sub(1)).unwrap_or(u32::MAX);
                    self.thread.cause = Some(journal::event_id(command, last));
                    let adopted = stage.adopt(&appended);
                    self.run = adopted.run;
                    self.tasks.extend(adopted.tasks);
                    self.tasks.retain(|_, slot| !slot.task.state.status().is_terminal());
                    for (step, attempt, call) in adopted.calls {
                        let abort = self.calls.spawn(call.make(step.clone(), attempt));
                        self.aborts.insert(step, abort);
                    }
                    return Ok(());
                }
                Err(AppendError::Conflict { .. }) => {
                    self.reload_owned().await?;
                    if self.run.state.status().is_terminal() {
                        return Err(Stop::Ended(End::Terminal));
                    }
                }
                Err(AppendError::Closed) => return Err(Stop::Ended(End::Stopped)),
                Err(AppendError::Invalid(what)) => return Err(Stop::Unrecordable(what)),
                // Whether it was recorded shows when the run is read again: at once, or when the next try conflicts.
                Err(error @ (AppendError::Unclear | AppendError::Full)) => {
                    return Err(Stop::Unavailable(Box::new(error)));
                }
                Err(AppendError::Unavailable(error)) => return Err(Stop::Unavailable(error)),
            }
        }
    }

    /// What a task's new state means: the run goes on, or an attempt follows.
    async fn follow_up(&mut self, stage: &mut Stage, step: &StepName, slot: &Slot) -> Result<(), Stop> {
        let Some(task) = stage.task(step).or(Some(&*slot.task.state)) else { return Ok(()) };
        match (consequence(step, task), task.status()) {
            (Some(command), _) => {
                let started = late(stage.decide_run(command)).unwrap_or_default();
                self.start(stage, started).await
            }
            (None, TaskStatus::Assigned | TaskStatus::Created) => self.attempt(stage, step, slot).await,
            _ => Ok(()),
        }
    }

    /// Starts every step that can start.
    async fn advance(&mut self, stage: &mut Stage) -> Result<(), Stop> {
        let started = late(stage.decide_run(RunCommand::Advance)).unwrap_or_default();
        self.start(stage, started).await
    }

    /// Creates the tasks of started steps, with their first attempts.
    async fn start(&mut self, stage: &mut Stage, started: Vec<(StepName, TaskId)>) -> Result<(), Stop> {
        for (name, id) in started {
            let slot = Slot { id, task: Loaded::default() };
            let Some(definition) = stage.run().definition().cloned() else { continue };
            let Some(step) = definition.step(&name) else { continue };
            match self.shared.planner.task(self.id, stage.run(), step).await {
                Ok(commands) => {
                    for command in commands {
                        late(stage.decide_task(&name, || slot.clone(), command).map(drop));
                    }
                    self.attempt(stage, &name, &slot).await?;
                }
                Err(Unplannable::Unavailable(error)) => return Err(error.into()),
                Err(Unplannable::Rejected(error)) => {
                    // No task can be made, so the step itself fails.
                    late(stage.decide_run(RunCommand::FailStep { step: name, error }));
                }
            }
        }
        Ok(())
    }

    /// Starts the next attempt of a task; one that cannot be made fails the task and its step.
    async fn attempt(&mut self, stage: &mut Stage, step: &StepName, slot: &Slot) -> Result<(), Stop> {
        let task = stage.task(step).unwrap_or(&slot.task.state).clone();
        match self.shared.planner.attempt(&task).await {
            Ok(planned) => {
                if late(stage.decide_task(step, || slot.clone(), planned.command).map(drop)).is_some() {
                    stage.call_after(step, planned.call);
                }
                Ok(())
            }
            Err(Unplannable::Unavailable(error)) => Err(error.into()),
            Err(Unplannable::Rejected(error)) => {
                late(stage.decide_task(step, || slot.clone(), TaskCommand::Reject { error: error.clone() }).map(drop));
                let started = late(stage.decide_run(RunCommand::FailStep { step: step.clone(), error }));
                debug_assert!(started.is_none_or(|started| started.is_empty()), "nothing starts after a failure");
                Ok(())
            }
        }
    }

    /// Reads what was recorded by others; stops when another node has taken the run meanwhile.
    async fn reload_owned(&mut self) -> Result<(), Stop> {
        let before = self.run.state.lease();
        self.reload().await?;
        match self.run.state.lease() {
            Some(lease) if Some(lease) != before && lease.node != self.shared.node => {
                tracing::warn!(run.id = %self.id, node = %lease.node, "another node has taken the run");
                Err(Stop::Ended(End::Replaced))
            }
            _ => Ok(()),
        }
    }

    /// Reads what was recorded by others.
    async fn reload(&mut self) -> Result<(), Stop> {
        let executor = self.executor().clone();
        self.run = executor.catch_up(self.id.into(), self.run.clone()).await?;
        let steps: Vec<(StepName, TaskId)> = self
            .run
            .state
            .steps()
            .iter()
            .filter(|(_, step)| step.status == StepStatus::Running)
            .filter_map(|(name, step)| Some((name.clone(), step.task?)))
            .collect();
        let mut tasks = BTreeMap::new();
        for (step, id) in steps {
            let known = self.tasks.get(&step).map(|slot| slot.task.clone()).unwrap_or_default();
            let task = executor.catch_up::<Task>(id.into(), known).await?;
            tasks.insert(step, Slot { id, task });
        }
        self.tasks = tasks;
        Ok(())
    }

    fn finished(&mut self, done: Result<Settled, tokio::task::JoinError>) -> Option<Settled> {
        match done {
            Ok(settled) => {
                self.aborts.remove(&settled.step);
                Some(settled)
            }
            Err(error) if error.is_cancelled() => None,
            Err(error) => {
                // A platform adapter panicked: its attempt ends like any other failure of the platform.
                let step =
                    self.aborts.iter().find(|(_, abort)| abort.id() == error.id()).map(|(step, _)| step.clone())?;
                self.aborts.remove(&step);
                let attempt = self.tasks.get(&step)?.task.state.running_attempt()?.number;
                let message = "the platform's adapter failed; the program's log has the reason".to_owned();
                let error = AttemptError { kind: ErrorKind::PlatformFailure, message, retry_after: None };
                Some(Settled { step, attempt, outcome: Err(error) })
            }
        }
    }

    fn next_timer(&self) -> Option<Timestamp> {
        self.tasks.values().filter_map(|slot| slot.task.state.retry_at()).min()
    }

    fn context(&self) -> Context {
        Context {
            command: CommandId::from_uuid(Uuid::now_v7()),
            at: commands::now(),
            actor: Actor::system("engine"),
            tenant: "default".to_owned(),
            correlation: self.thread.correlation,
            causation: self.thread.cause,
        }
    }

    fn executor(&self) -> &Executor {
        &self.shared.planner.executor
    }

    fn journal(&self) -> &Arc<dyn journal::Journal> {
        self.executor().journal()
    }
}

/// The engine decides only on states that it knows, so a refusal means that an event came late: it is logged, and the
/// rest of the stage stands.
fn late<T, R: std::error::Error + 'static>(decided: Result<T, R>) -> Option<T> {
    match decided {
        Ok(value) => Some(value),
        Err(refusal) => {
            tracing::debug!(refusal = &refusal as &dyn std::error::Error, "a late result changes nothing");
            None
        }
    }
}

fn pacing() -> Pacing {
    Pacing { now: commands::now(), jitter_milli: rand::random_range(0..=1000) }
}

fn sleep_until(at: Option<Timestamp>) -> impl Future<Output = ()> {
    let pause = at.map(|at| at.since(commands::now()));
    async move {
        match pause {
            Some(pause) => tokio::time::sleep(pause).await,
            None => std::future::pending().await,
        }
    }
}
