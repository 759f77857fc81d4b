use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use commands::{Commands, Surroundings};
use domain::task::AgentChoice;
use domain::template::TemplateBody;
use domain::{Event, HoldEvent, Key, LimitEvent, NodeId, RunEvent, RunId, SlotsEvent, Timestamp};
use journal::{AppendError, Checkpoints, Journal, Members, Position, ReadError, RecordedEvent};
use providers::Registry;
use providers::router::{BreakerOptions, PaceOptions};
use selection::Policy;
use tokio::sync::{Mutex, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ahead::Ahead;
use crate::cache::Cache;
use crate::dispatch::Dispatch;
use crate::driver::{AT_ONCE, Shared};
use crate::drivers::Drivers;
use crate::guard::Redaction;
use crate::health::{LineHealth, ProbeHealth};
use crate::known::Known;
use crate::launch::{Launching, Launchpad};
use crate::limits::Limits;
use crate::plan::Planner;
use crate::probes;
use crate::residency::Residency;
use crate::standing::Standing;
use crate::traffic::Traffic;

/// How the engine works.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long running attempts may go on after a shutdown was asked for, before they are recorded as interrupted.
    pub drain: Duration,
    /// After how many events about runs what the engine knows is saved, at least.
    pub checkpoint_every: usize,
    /// A run that waits for longer than this, and for no call, is put aside until then.
    pub park_after: Duration,
    /// How long a run that another node should take may stay untaken before this node takes it.
    pub adopt_after: Duration,
    /// When a platform that fails is left alone, and for how long.
    pub breakers: BreakerOptions,
    /// How often a platform that is left alone is asked whether it can be reached; never when not given.
    pub probe_every: Option<Duration>,
    /// How much may be under way at a platform.
    pub pace: PaceOptions,
    /// By what an agent is chosen for a task for which none is named.
    pub choice: Policy,
    /// What is masked before it leaves for a platform.
    pub redaction: Redaction,
    /// Which answers are kept and serve again.
    pub cache: Cache,
    /// Where data may go.
    pub residency: Residency,
    /// How much may go to platforms.
    pub limits: Limits,
}

impl Default for Options {
    /// 2 s of drain, a checkpoint every 5,000 events, runs put aside when they wait for more than 10 s, others' runs
    /// taken after 3 s, what the router takes for platforms and the choice for agents, no probes, nothing masked, no answer
    /// kept, no tag demanded and no limit of a platform.
    fn default() -> Self {
        Self {
            drain: Duration::from_secs(2),
            checkpoint_every: 5000,
            park_after: Duration::from_secs(10),
            adopt_after: Duration::from_secs(3),
            breakers: BreakerOptions::default(),
            probe_every: None,
            pace: PaceOptions::default(),
            choice: Policy::default(),
            redaction: Redaction::default(),
            cache: Cache::default(),
            residency: Residency::default(),
            limits: Limits::default(),
        }
    }
}

/// The engine failed and ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal could not be read.
    #[error("the engine cannot read the journal")]
    Read(#[from] ReadError),
    /// What the engine knows could not be saved.
    #[error("the engine cannot save its checkpoint")]
    Checkpoint(#[source] AppendError),
}

/// Sees how the engine is doing; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    status: watch::Receiver<Status>,
    traffic: Traffic,
    dispatch: Dispatch,
}

#[derive(Debug, Clone, Copy, Default)]
struct Status {
    following: bool,
    live: usize,
}

impl Handle {
    /// How many events are folded for a choice of the past at most, beyond what was saved of agents before it.
    pub const MAX_PAST_EVENTS: usize = 200_000;

    /// Whether the engine follows the journal and takes runs.
    #[must_use]
    pub fn is_following(&self) -> bool {
        self.status.borrow().following
    }

    /// How many runs this node works on, those that wait included.
    #[must_use]
    pub fn live_runs(&self) -> usize {
        self.status.borrow().live
    }

    /// How every model that this process has called is doing, by platform and model.
    #[must_use]
    pub fn platforms(&self) -> Vec<LineHealth> {
        self.traffic.lines()
    }

    /// Whom the engine would choose for a task of this template now, and the choice as it would be recorded; whoever is in
    /// `without` is left out. Waits until all is known that has happened to agents.
    ///
    /// # Errors
    /// When the engine stops.
    pub async fn choose_agent(
        &self,
        task: &selection::Task,
        template: Option<&TemplateBody>,
        without: &BTreeSet<Key>,
        now: Timestamp,
    ) -> Result<(selection::Choice, Option<AgentChoice>), ReadError> {
        self.dispatch.ready().await?;
        let choice = self.dispatch.choose(task, template, without, now);
        let recorded = choice.recorded(task, self.dispatch.policy());
        Ok((choice, recorded))
    }

    /// Whom the engine would have chosen for a task when the journal ended with the event at `position`, which was at `moment`, by
    /// what had been recorded of agents and their tasks. How platforms were doing is recorded nowhere, so nobody counts as out
    /// of reach; by what is chosen is as now. `None` when more than [`MAX_PAST_EVENTS`](Self::MAX_PAST_EVENTS) would have to be
    /// folded.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn choose_agent_as_of(
        &self,
        journal: &Arc<dyn Journal>,
        task: &selection::Task,
        without: &BTreeSet<Key>,
        position: Position,
        moment: Timestamp,
    ) -> Result<Option<(selection::Choice, Option<AgentChoice>)>, ReadError> {
        let Some(roster) = self.dispatch.roster_as_of(&**journal, position, Self::MAX_PAST_EVENTS).await? else {
            return Ok(None);
        };
        let policy = self.dispatch.policy();
        let candidates: Vec<_> = roster.candidates(without, moment).into_iter().map(|(_, one)| one).collect();
        let choice = selection::choose(task, &candidates, policy, moment);
        let recorded = choice.recorded(task, policy);
        Ok(Some((choice, recorded)))
    }

    /// What the last probe of each platform has found that was left alone after failures.
    #[must_use]
    pub fn probes(&self) -> Vec<ProbeHealth> {
        self.traffic.probes()
    }

    /// Changes whenever what [`Self::platforms`] and [`Self::probes`] tell does, a rest that ends by itself excepted.
    #[must_use]
    pub fn watch_platforms(&self) -> watch::Receiver<u64> {
        self.traffic.watch()
    }
}

/// The engine.
pub struct Engine {
    options: Options,
    commands: Commands,
    platforms: Registry,
    checkpoints: Arc<dyn Checkpoints>,
    members: Members,
    status: watch::Sender<Status>,
    traffic: Traffic,
    dispatch: Dispatch,
}

impl Engine {
    /// Under which name its checkpoint is kept.
    pub const CHECKPOINT: &'static str = "engine";

    /// An engine that has yet to run, and the handle to watch it. It is the node that `members` calls itself.
    #[must_use]
    pub fn new(
        options: Options,
        commands: Commands,
        platforms: Registry,
        checkpoints: Arc<dyn Checkpoints>,
        members: Members,
    ) -> (Self, Handle) {
        let (status, handle) = watch::channel(Status::default());
        let traffic = Traffic::new(options.breakers, options.pace, options.limits.clone());
        let residency = Arc::new(options.residency.clone());
        let (choice, kept) = (options.choice.clone(), Arc::clone(&checkpoints));
        let dispatch = Dispatch::new(choice, platforms.clone(), residency, traffic.clone(), kept);
        let handle = Handle { status: handle, traffic: traffic.clone(), dispatch: dispatch.clone() };
        (Self { options, commands, platforms, checkpoints, members, status, traffic, dispatch }, handle)
    }

    /// Drives runs until shutdown; then running attempts get the drain time, and what is still open is recorded as
    /// interrupted.
    ///
    /// # Errors
    /// When the journal cannot be read at start, or what is known cannot be saved at the end.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let known = self.read_known().await?;
        let node = self.members.me();
        let shared = Arc::new(Shared {
            commands: self.commands.clone(),
            planner: Planner {
                executor: self.commands.executor().clone(),
                schemas: self.commands.schemas().clone(),
                platforms: self.platforms.clone(),
                traffic: self.traffic.clone(),
                dispatch: self.dispatch.clone(),
                redaction: Arc::new(self.options.redaction.clone()),
                cache: self.options.cache.clone(),
                residency: Arc::new(self.options.residency.clone()),
            },
            standing: Standing::default(),
            early: Arc::new(Semaphore::new(AT_ONCE)),
            node,
            drain: self.options.drain,
            park_after: self.options.park_after,
            shutdown: shutdown.clone(),
            slots: Arc::new(Mutex::new(())),
            ahead: Ahead::default(),
        });
        shared.standing.set(&known);
        let mut beside = JoinSet::new();
        beside.spawn(self.dispatch.clone().follow(Arc::clone(self.journal()), shutdown.clone()));
        let (launched, mut launches) = mpsc::unbounded_channel();
        let launching = Launching::default();
        self.commands.launch_by(Arc::new(Launchpad {
            shared: Arc::clone(&shared),
            members: self.members.clone(),
            launching: launching.clone(),
            launched,
        }));
        let mut subscription = self.journal().subscribe(known.position, Known::filter()).quiet();
        let members = self.members.clone();
        let drivers = Drivers::new(shared);
        let mut desk = Desk { node, known, drivers, members, launching, unsaved: 0 };
        desk.take_over();
        let mut joins = self.members.clone();
        let mut check = tokio::time::interval(self.options.adopt_after);
        check.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let probing = probes::run(self.platforms.clone(), self.traffic.clone(), self.options.probe_every);
        tokio::pin!(probing);
        loop {
            self.report(true, &desk.drivers);
            let pause = desk.drivers.next_due().map(|at| at.since(self.surroundings().now()));
            // In a fixed order, so that the same world always goes the same way: what comes seldom first, so that what
            // comes all the time keeps nothing waiting.
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = sleep(pause) => desk.drivers.resume_due(self.surroundings().now()),
                _ = check.tick() => desk.reconcile(),
                () = joins.changed() => desk.take_over(),
                never = &mut probing => match never {},
                ended = desk.drivers.next_end() => desk.ended(ended),
                Some(launched) = launches.recv() => desk.adopt(launched),
                batch = subscription.next() => match batch {
                    Ok(batch) => {
                        batch.events.iter().for_each(|event| desk.take_in(event));
                        desk.known.position = batch.position;
                        self.save_now_and_then(&mut desk).await;
                    }
                    Err(ReadError::Closed) => break,
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "the engine waits for the journal");
                        self.report(false, &desk.drivers);
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                },
            }
        }
        self.report(false, &desk.drivers);
        desk.drivers.drain().await;
        beside.shutdown().await;
        // What the drivers recorded last is not known yet; the next start reads it after the saved position.
        if desk.unsaved > 0 {
            self.save(&desk.known).await.map_err(Error::Checkpoint)?;
        }
        Ok(())
    }

    /// Saving costs as much as there are live runs, so many of them are saved less often.
    async fn save_now_and_then(&self, desk: &mut Desk) {
        if desk.unsaved < self.options.checkpoint_every.max(desk.known.runs.len() / 2) {
            return;
        }
        match self.save(&desk.known).await {
            Ok(()) => desk.unsaved = 0,
            // Only the next start gets slower by this.
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the engine's checkpoint was not saved");
            }
        }
    }

    /// What there is to know, as of the journal's head.
    async fn read_known(&self) -> Result<Known, Error> {
        let saved = self.checkpoints.load(Self::CHECKPOINT).await?;
        let mut known = saved.as_ref().and_then(Known::from_checkpoint).unwrap_or_default();
        let filter = Known::filter();
        loop {
            let page = self.journal().read_all(known.position, &filter, 5000).await?;
            page.events.iter().for_each(|event| known.take_in(event));
            if page.position == known.position {
                return Ok(known);
            }
            known.position = page.position;
        }
    }

    async fn save(&self, known: &Known) -> Result<(), AppendError> {
        self.checkpoints.save(Self::CHECKPOINT, known.to_checkpoint()).await
    }

    fn journal(&self) -> &Arc<dyn Journal> {
        self.commands.executor().journal()
    }

    fn surroundings(&self) -> &Arc<dyn Surroundings> {
        self.commands.surroundings()
    }

    fn report(&self, following: bool, drivers: &Drivers) {
        let live = drivers.count();
        metrics::gauge!("hishamos_runs_live").set(u32::try_from(live).unwrap_or(u32::MAX));
        self.status.send_if_modified(|status| {
            let changed = status.following != following || status.live != live;
            *status = Status { following, live };
            changed
        });
    }
}

/// Where events are sorted: which run this node works on, and whom an event concerns.
struct Desk {
    node: NodeId,
    known: Known,
    drivers: Drivers,
    members: Members,
    launching: Launching,
    /// Events since what is known was saved.
    unsaved: usize,
}

impl Desk {
    fn take_in(&mut self, recorded: &RecordedEvent) {
        self.unsaved += 1;
        let run = RunId::from_uuid(recorded.stream.id);
        let cause = Some(recorded.id);
        let parent = self.known.runs.get(&run).and_then(|alive| alive.parent);
        self.known.take_in(recorded);
        match recorded.event() {
            Ok(Event::Run(event)) => match event {
                RunEvent::Started(_) => {
                    let here = self.members.owner(run.as_uuid()) == self.node;
                    if here && !self.drivers.has(run) && !self.launching.contains(run) {
                        self.drivers.begin(run, recorded);
                    }
                }
                RunEvent::Claimed { node, .. } if *node != self.node => self.drivers.look(run, cause),
                event if event.is_terminal() => {
                    self.drivers.over(run);
                    if let Some(parent) = parent {
                        self.drivers.look(parent, cause);
                    }
                }
                RunEvent::Claimed { .. } => {}
                _ => self.drivers.look(run, cause),
            },
            Ok(Event::Slots(SlotsEvent::Granted { holder, .. })) => self.drivers.look(holder.run, cause),
            Ok(Event::Limit(LimitEvent::Set { .. } | LimitEvent::Removed { .. })) => {
                self.drivers.shared.standing.set(&self.known);
                self.drivers.look_everywhere(true);
            }
            Ok(Event::Budget(_)) => self.drivers.shared.standing.set(&self.known),
            Ok(Event::Hold(HoldEvent::Placed(_) | HoldEvent::Lifted { .. })) => {
                self.drivers.shared.standing.set(&self.known);
                self.drivers.look_everywhere(false);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(position = %recorded.position, error = &error as &dyn std::error::Error, "an event of a run cannot be read");
            }
        }
    }

    fn adopt(&mut self, launched: crate::drivers::Launched) {
        let run = launched.run;
        self.drivers.adopt(launched);
        self.launching.remove(run);
    }

    fn ended(&mut self, ended: crate::drivers::Ended) {
        let alive = ended.run.is_some_and(|run| self.known.runs.contains_key(&run));
        self.drivers.ended(ended, alive);
    }

    /// Takes the runs whose owner is gone, and those that nobody has taken and that are this node's to take.
    fn take_over(&mut self) {
        if self.members.isolated() {
            return;
        }
        let alive = self.members.now();
        let orphaned = self.known.runs.iter().filter(|(run, state)| {
            state.owner.is_none_or(|owner| !alive.contains(&owner) || owner == self.node)
                && Members::owner_among(&alive, run.as_uuid()) == Some(self.node)
        });
        let taken = orphaned.map(|(run, state)| (*run, state.owner)).collect();
        self.take_all(taken, "resuming runs");
    }

    /// Whatever the members say, no run is left alone: one that this node has, and does not work on, is taken up again,
    /// and so is one that nobody has taken although somebody should have.
    fn reconcile(&mut self) {
        if self.known.runs.len() == self.drivers.count() || self.members.isolated() {
            return;
        }
        let alive = self.members.now();
        let left = self.known.runs.iter().filter(|(_, state)| match state.owner {
            Some(owner) => owner == self.node || !alive.contains(&owner),
            None => true,
        });
        let taken = left.map(|(run, state)| (*run, state.owner)).collect();
        self.take_all(taken, "taking up runs that nobody works on");
    }

    fn take_all(&mut self, mut runs: Vec<(RunId, Option<NodeId>)>, why: &str) {
        runs.retain(|(run, _)| !self.drivers.has(*run) && !self.launching.contains(*run));
        if !runs.is_empty() {
            tracing::info!(runs = runs.len(), "{why}");
        }
        // Oldest first: ids sort by time.
        runs.sort_unstable();
        for (run, owner) in runs {
            self.drivers.take(run, owner);
        }
    }
}

async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}
