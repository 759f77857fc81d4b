//! Drives one run from claim to end.
//!
//! Invariants: an attempt is recorded before its platform is called, unless nobody outside could tell ([`early`]); what came back and what follows from it are one
//! append; every append names the revision that it is based on, so a driver that was replaced is refused; a driver
//! leaves only when its run has ended, belongs to another node, or waits for something that the engine will see.

mod budgets;
mod children;
mod early;
mod remains;
mod slots;
mod tasks;
mod turn;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use commands::{Commands, Surroundings};
use domain::run::{Activity, RunStatus, StepStatus};
use domain::task::Consumed;
use domain::{Actor, AttemptError, CommandId, ErrorKind, EventId, NodeId, Run, RunId, TaskId, Timestamp};
use journal::{Context, Executor, Journal, Loaded, ReadError};
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::ahead::Ahead;
use crate::call::Settled;
use crate::plan::Planner;
use crate::stage::Slot;
use crate::standing::Standing;

pub(crate) use early::AT_ONCE;
pub(crate) use turn::Ready;

use early::{Early, Open};
use remains::Remains;

/// What the drivers of one engine share.
pub(crate) struct Shared {
    pub(crate) commands: Commands,
    pub(crate) planner: Planner,
    pub(crate) standing: Standing,
    pub(crate) node: NodeId,
    pub(crate) drain: Duration,
    /// A driver whose run waits for longer than this, and for no call, leaves until then.
    pub(crate) park_after: Duration,
    pub(crate) shutdown: CancellationToken,
    /// Whoever looks at slots holds this until what it decided is recorded.
    pub(crate) slots: Arc<Mutex<()>>,
    /// Purses as appends under way will leave them.
    pub(crate) ahead: Ahead,
    /// Rights to go on before what was decided is recorded.
    pub(crate) early: Arc<Semaphore>,
}

/// Tells a driver that something happened that it did not do itself.
pub(crate) struct Look;

/// Why a driver is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The run has ended.
    Terminal,
    /// Another node owns the run.
    Replaced,
    /// The run waits, at the latest until then; `None` waits for an event alone.
    Parked {
        until: Option<Timestamp>,
        /// Whether it waits for slots of limits, which may change.
        queued: bool,
    },
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
    tasks: BTreeMap<TaskId, Slot>,
    calls: JoinSet<Settled>,
    aborts: BTreeMap<TaskId, Open>,
    /// What came back from platforms and is not recorded yet.
    pending: Vec<Settled>,
    /// Calls that were over as soon as they were made.
    done: Vec<Settled>,
    looks: mpsc::UnboundedReceiver<Look>,
    thread: Thread,
    /// Whether this node has the run.
    owned: bool,
    /// The node from which it may take the run.
    takes_from: Option<NodeId>,
    /// Whether others may have recorded something in the run's stream.
    unread: bool,
    /// Whether something may have happened to what the run waits for: other runs, slots, holds.
    look_around: bool,
    /// When slots may become free by time alone.
    poll_at: Option<Timestamp>,
    /// What appends may have left behind.
    remains: Remains,
    /// What is gone on from before it is recorded.
    early: Early,
}

/// The driver cannot go on.
enum Stop {
    Ended(End),
    /// The store failed; nothing was recorded and another try is right.
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
    /// The journal does not take what was decided.
    Unrecordable(String),
    /// What was gone on from was not recorded after all.
    BeginAgain,
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
        Self {
            shared,
            id,
            run,
            tasks: BTreeMap::new(),
            calls: JoinSet::new(),
            aborts: BTreeMap::new(),
            pending: Vec::new(),
            early: Early::default(),
            done: Vec::new(),
            looks,
            thread,
            owned: false,
            takes_from: None,
            unread: false,
            look_around: true,
            poll_at: None,
            remains: Remains::default(),
        }
    }

    /// A driver that takes the run, if that node still has it.
    pub(crate) fn taking_from(self, owner: Option<NodeId>) -> Self {
        Self { takes_from: owner, ..self }
    }

    /// Drives the run until it ends, another node has it, it waits for long, or the engine stops.
    pub(crate) async fn drive(mut self) -> End {
        let (shutdown, drain) = (self.shared.shutdown.clone(), self.shared.drain);
        let cut_at = async move {
            shutdown.cancelled().await;
            tokio::time::sleep(drain).await;
        };
        tokio::pin!(cut_at);
        loop {
            self.pending.append(&mut self.done);
            match self.take_turn().await {
                Ok(()) => {}
                Err(Stop::Ended(end)) => return end,
                Err(Stop::BeginAgain) => continue,
                Err(Stop::Unrecordable(what)) if self.pending.iter().any(|settled| settled.outcome.is_ok()) => {
                    tracing::error!(run.id = %self.id, what, "answers cannot be recorded; their attempts fail");
                    let error = AttemptError { kind: ErrorKind::InvalidInput, message: what, retry_after: None };
                    for settled in &mut self.pending {
                        if let Ok(reply) = &settled.outcome {
                            settled.consumed = Some(Consumed::from(reply));
                        }
                        settled.outcome = Err(error.clone());
                    }
                    continue;
                }
                Err(Stop::Unrecordable(what)) => {
                    tracing::error!(run.id = %self.id, what, "a run cannot be recorded");
                    return End::Unreadable;
                }
                Err(Stop::Unavailable(error)) => {
                    tracing::warn!(run.id = %self.id, error = &*error as &dyn std::error::Error, "a run waits for the journal");
                    tokio::select! {
                        biased;
                        () = &mut cut_at => return End::Stopped,
                        () = tokio::time::sleep(Duration::from_millis(500)) => continue,
                    }
                }
            }
            match self.run.state.status() {
                status if status.is_terminal() => return End::Terminal,
                RunStatus::Cancelling | RunStatus::Failing if self.calls.is_empty() => continue,
                _ if !self.done.is_empty() => {
                    // Nothing is waited for; but who wants the program to stop is heard.
                    tokio::select! {
                        biased;
                        () = &mut cut_at => return self.stop().await,
                        () = std::future::ready(()) => continue,
                    }
                }
                _ => {}
            }
            let timer = self.next_timer();
            if self.calls.is_empty() {
                if !self.waits_for_something(timer) {
                    // Every live run has something to wait for; this one has not, so it is read again.
                    tracing::error!(run.id = %self.id, "a live run waits for nothing; reading it again");
                    metrics::counter!("hishamos_runs_without_cause_total").increment(1);
                    if let Err(Stop::Ended(end)) = self.record(turn::Turn::Stalled).await {
                        return end;
                    }
                    self.forget();
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
                if let Some(parked) = self.park(timer) {
                    return parked;
                }
            }
            let pause = timer.map(|at| at.since(self.now()));
            tokio::select! {
                biased;
                () = &mut cut_at => return self.stop().await,
                Some(Look) = self.looks.recv() => {
                    while self.looks.try_recv().is_ok() {}
                    (self.unread, self.look_around) = (true, true);
                }
                Some(done) = self.calls.join_next() => {
                    self.finished(done);
                    while let Some(done) = self.calls.try_join_next() {
                        self.finished(done);
                    }
                }
                () = sleep(pause) => {}
            }
        }
    }

    /// Takes the run, when it has not yet, and does what can be done. A run that nobody has taken yet is known whole
    /// from the event that started it; should that be wrong, the append says so.
    async fn take_turn(&mut self) -> Result<(), Stop> {
        if !self.owned {
            if self.run.revision != Some(0) {
                self.reload().await?;
            }
            if self.run.state.status().is_terminal() {
                return Err(Stop::Ended(End::Terminal));
            }
            // Who leaves a run alone for a while keeps it, unless another node has taken it meanwhile.
            let owner = self.run.state.lease().map(|lease| lease.node);
            self.owned = owner == Some(self.shared.node);
            if !self.owned && owner.is_some() && owner != self.takes_from {
                return Err(Stop::Ended(End::Replaced));
            }
            if !self.owned && self.run.revision.is_none() {
                return Err(Stop::Ended(End::Unreadable));
            }
        }
        // Until it is read nothing is decided: not every append names the run's revision.
        if self.owned && self.unread {
            self.confirm().await?;
            self.reload_owned().await?;
            self.forget_unrecorded();
        }
        self.record(turn::Turn::Go).await?;
        // As long as there are answers to go on with, nothing is waited for.
        if self.done.is_empty() { self.confirm().await } else { Ok(()) }
    }

    /// Leaves the run alone when it waits for long. What was sent to this driver before ends the wait at once; what is
    /// sent later is noticed by whoever sends it.
    fn park(&mut self, timer: Option<Timestamp>) -> Option<End> {
        let soon = self.now().plus(self.shared.park_after);
        if timer.is_some_and(|at| at <= soon) {
            return None;
        }
        self.looks.close();
        let until = if self.looks.try_recv().is_ok() { Some(self.now()) } else { timer };
        Some(End::Parked { until, queued: self.is_queued() })
    }

    fn is_queued(&self) -> bool {
        let waits = |slot: &Slot| !slot.task.state.slots().is_empty() && slot.task.state.running_attempt().is_none();
        self.run.state.is_queued() || self.tasks.values().any(waits)
    }

    /// Whether a live run has a next cause, apart from calls that are under way.
    fn waits_for_something(&self, timer: Option<Timestamp>) -> bool {
        let run = &self.run.state;
        let waiting = |activity: &Activity| {
            matches!(activity, Activity::Approval(_) | Activity::Signal { .. } | Activity::Child { .. })
        };
        timer.is_some()
            || run.status() == RunStatus::Paused
            || self.is_queued()
            || run.steps().values().any(|step| step.status == StepStatus::Running && waiting(&step.activity))
    }

    /// When something becomes due by itself. While a run is paused nothing does.
    fn next_timer(&self) -> Option<Timestamp> {
        let run = self.run.state.next_due();
        let tasks = match self.run.state.status() {
            RunStatus::Running | RunStatus::Compensating => {
                // A retry whose time has come and that waits for slots waits for nothing else.
                let now = self.now();
                let queued = |slot: &Slot| !slot.task.state.slots().is_empty();
                let retry = |slot: &Slot| slot.task.state.retry_at().filter(|at| *at > now || !queued(slot));
                let due = |slot: &Slot| [retry(slot), slot.task.state.start_by()];
                self.tasks.values().flat_map(due).flatten().chain(self.poll_at).min()
            }
            _ => None,
        };
        run.into_iter().chain(tasks).min()
    }

    /// Reads everything anew at the next turn.
    fn forget(&mut self) {
        self.run = Loaded::default();
        self.tasks.clear();
        self.owned = false;
        self.look_around = true;
    }

    /// The engine stops: cuts what is open and records it.
    async fn stop(&mut self) -> End {
        self.calls.shutdown().await;
        let mut stopped = self.record(turn::Turn::Interrupt).await;
        if matches!(stopped, Err(Stop::BeginAgain)) {
            stopped = match self.reload_owned().await {
                Ok(()) => self.record(turn::Turn::Interrupt).await,
                failed => failed,
            };
        }
        match stopped {
            Ok(()) => End::Stopped,
            Err(Stop::Ended(end)) => end,
            Err(Stop::Unavailable(_) | Stop::Unrecordable(_) | Stop::BeginAgain) => {
                tracing::warn!(run.id = %self.id, "open attempts could not be recorded as interrupted; the next start finds them lost");
                End::Stopped
            }
        }
    }

    /// Reads what was recorded by others; stops when another node has taken the run meanwhile.
    async fn reload_owned(&mut self) -> Result<(), Stop> {
        let before = self.run.state.lease();
        self.reload().await?;
        match self.run.state.lease() {
            Some(lease) if (self.owned || Some(lease) != before) && lease.node != self.shared.node => {
                tracing::warn!(run.id = %self.id, node = %lease.node, "another node has taken the run");
                Err(Stop::Ended(End::Replaced))
            }
            _ => Ok(()),
        }
    }

    /// Reads what was recorded by others; all of it or nothing, because whoever knows half of it would go on with a run
    /// that another node has.
    async fn reload(&mut self) -> Result<(), Stop> {
        let executor = self.executor().clone();
        let mut run = executor.catch_up(self.id.into(), self.run.clone()).await?;
        loop {
            let mut tasks = BTreeMap::new();
            for (place, id) in run.state.open_tasks() {
                let known = self.tasks.get(&id).map(|slot| slot.task.clone()).unwrap_or_default();
                let task = executor.catch_up(id.into(), known).await?;
                tasks.insert(id, Slot { place, task });
            }
            // A task may show what another node has done with it after the run was read.
            let revision = run.revision;
            if !tasks.is_empty() {
                run = executor.catch_up(self.id.into(), run).await?;
            }
            if run.revision == revision {
                (self.run, self.tasks) = (run, tasks);
                self.unread = false;
                break;
            }
        }
        Ok(())
    }

    fn finished(&mut self, done: Result<Settled, tokio::task::JoinError>) {
        // Calls that fail are settled too, so one without an answer was cut.
        let Ok(settled) = done else { return };
        if self.counts(&settled) {
            self.aborts.remove(&settled.task);
            self.pending.push(settled);
        }
    }

    fn context(&self) -> Context {
        let surroundings = self.surroundings();
        Context {
            command: CommandId::from_uuid(surroundings.new_id()),
            at: surroundings.now(),
            actor: Actor::system("engine"),
            tenant: commands::TENANT.to_owned(),
            correlation: self.thread.correlation,
            causation: self.thread.cause,
            subject: self.run.state.subject(),
            keeping: None,
        }
    }

    fn surroundings(&self) -> &Arc<dyn Surroundings> {
        self.shared.commands.surroundings()
    }

    fn now(&self) -> Timestamp {
        self.surroundings().now()
    }

    fn executor(&self) -> &Executor {
        self.shared.commands.executor()
    }

    fn journal(&self) -> &Arc<dyn Journal> {
        self.executor().journal()
    }
}

async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
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
