use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use commands::Commands;
use cqrs_es::Aggregate;
use domain::{Event, NodeId, Run, RunEvent, RunId};
use journal::{AppendError, Checkpoints, Journal, Loaded, ReadError, RecordedEvent};
use providers::Registry;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::driver::{Driver, End, Look, Shared, Thread};
use crate::live::LiveRuns;
use crate::plan::Planner;

/// How the engine works.
#[derive(Debug, Clone)]
pub struct Options {
    /// This process's life.
    pub node: NodeId,
    /// How long running attempts may go on after a shutdown was asked for, before they are recorded as interrupted.
    pub drain: Duration,
    /// After how many events about runs the set of live runs is saved.
    pub checkpoint_every: usize,
}

impl Default for Options {
    /// A new node, 2 s of drain, a checkpoint every 5,000 events.
    fn default() -> Self {
        Self { node: NodeId::from_uuid(Uuid::now_v7()), drain: Duration::from_secs(2), checkpoint_every: 5000 }
    }
}

/// The engine failed and ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal could not be read.
    #[error("the engine cannot read the journal")]
    Read(#[from] ReadError),
    /// The set of live runs could not be saved.
    #[error("the engine cannot save its checkpoint")]
    Checkpoint(#[source] AppendError),
}

/// Sees how the engine is doing; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    status: watch::Receiver<Status>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Status {
    following: bool,
    live: usize,
}

impl Handle {
    /// Whether the engine follows the journal and takes runs.
    #[must_use]
    pub fn is_following(&self) -> bool {
        self.status.borrow().following
    }

    /// How many runs it drives.
    #[must_use]
    pub fn live_runs(&self) -> usize {
        self.status.borrow().live
    }
}

/// The engine.
pub struct Engine {
    options: Options,
    commands: Commands,
    platforms: Registry,
    checkpoints: Arc<dyn Checkpoints>,
    status: watch::Sender<Status>,
}

impl Engine {
    /// Under which name its checkpoint is kept.
    pub const CHECKPOINT: &'static str = "engine";

    /// An engine that has yet to run, and the handle to watch it.
    #[must_use]
    pub fn new(
        options: Options,
        commands: Commands,
        platforms: Registry,
        checkpoints: Arc<dyn Checkpoints>,
    ) -> (Self, Handle) {
        let (status, handle) = watch::channel(Status::default());
        (Self { options, commands, platforms, checkpoints, status }, Handle { status: handle })
    }

    /// Drives runs until shutdown; then running attempts get the drain time, and what is still open is recorded as
    /// interrupted.
    ///
    /// # Errors
    /// When the journal cannot be read at start, or the checkpoint cannot be saved at the end.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let mut live = self.read_live_runs().await?;
        let shared = Arc::new(Shared {
            planner: Planner {
                executor: self.commands.executor().clone(),
                schemas: self.commands.schemas().clone(),
                platforms: self.platforms.clone(),
            },
            node: self.options.node,
            drain: self.options.drain,
            shutdown: shutdown.clone(),
        });
        let mut subscription = self.journal().subscribe(live.position, LiveRuns::filter());
        let mut drivers = Drivers { shared, senders: HashMap::new(), running: JoinSet::new(), runs: HashMap::new() };
        if !live.runs.is_empty() {
            tracing::info!(runs = live.runs.len(), "resuming runs");
        }
        for run in &live.runs {
            drivers.resume(*run);
        }
        let mut unsaved = 0;
        loop {
            self.report(true, &drivers);
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(ended) = drivers.running.join_next_with_id(), if !drivers.running.is_empty() => {
                    drivers.ended(ended, &live);
                }
                batch = subscription.next() => match batch {
                    Ok(batch) => {
                        for event in &batch.events {
                            live.take_in(event);
                            drivers.take_in(event);
                        }
                        live.position = batch.position;
                        unsaved += batch.events.len();
                        if unsaved >= self.options.checkpoint_every {
                            match self.save(&live).await {
                                Ok(()) => unsaved = 0,
                                // Only the next start gets slower by this.
                                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "the engine's checkpoint was not saved"),
                            }
                        }
                    }
                    Err(ReadError::Closed) => break,
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "the engine waits for the journal");
                        self.report(false, &drivers);
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                }
            }
        }
        self.report(false, &drivers);
        while drivers.running.join_next().await.is_some() {}
        // What the drivers recorded last is not in `live` yet; the next start reads it after the saved position.
        if unsaved > 0 {
            self.save(&live).await.map_err(Error::Checkpoint)?;
        }
        Ok(())
    }

    /// The runs that have started and not ended, as of the journal's head.
    async fn read_live_runs(&self) -> Result<LiveRuns, Error> {
        let saved = self.checkpoints.load(Self::CHECKPOINT).await?;
        let mut live = saved.as_ref().and_then(LiveRuns::from_checkpoint).unwrap_or_default();
        let filter = LiveRuns::filter();
        loop {
            let page = self.journal().read_all(live.position, &filter, 5000).await?;
            page.events.iter().for_each(|event| live.take_in(event));
            if page.position == live.position {
                return Ok(live);
            }
            live.position = page.position;
        }
    }

    async fn save(&self, live: &LiveRuns) -> Result<(), AppendError> {
        self.checkpoints.save(Self::CHECKPOINT, live.to_checkpoint()).await
    }

    fn journal(&self) -> &Arc<dyn Journal> {
        self.commands.executor().journal()
    }

    fn report(&self, following: bool, drivers: &Drivers) {
        let live = drivers.running.len();
        metrics::gauge!("hishamos_runs_live").set(u32::try_from(live).unwrap_or(u32::MAX));
        self.status.send_if_modified(|status| {
            let changed = status.following != following || status.live != live;
            *status = Status { following, live };
            changed
        });
    }
}

/// The drivers of this node, one per run.
struct Drivers {
    shared: Arc<Shared>,
    senders: HashMap<RunId, mpsc::UnboundedSender<Look>>,
    running: JoinSet<End>,
    runs: HashMap<Id, RunId>,
}

impl Drivers {
    /// Starts, wakes or leaves alone, as an event of a run demands.
    fn take_in(&mut self, event: &RecordedEvent) {
        let run = RunId::from_uuid(event.stream.id);
        match event.event() {
            Ok(Event::Run(started @ RunEvent::Started { .. })) if !self.senders.contains_key(&run) => {
                let mut state = Run::default();
                state.apply(started.clone());
                let thread = Thread { correlation: event.metadata.correlation, cause: Some(event.id) };
                self.spawn(run, Loaded { state: Arc::new(state), revision: Some(event.revision) }, thread);
            }
            Ok(Event::Run(RunEvent::CancelRequested { .. })) => self.look(run),
            Ok(Event::Run(RunEvent::Claimed { node, .. })) if *node != self.shared.node => self.look(run),
            Ok(_) => {}
            Err(error) => {
                tracing::error!(position = %event.position, error = &error as &dyn std::error::Error, "an event of a run cannot be read")
            }
        }
    }

    fn look(&self, run: RunId) {
        if let Some(sender) = self.senders.get(&run) {
            // A driver that has just ended needs no wake-up.
            let _ = sender.send(Look);
        }
    }

    /// Takes up a run of which only the id is known.
    fn resume(&mut self, run: RunId) {
        self.spawn(run, Loaded::default(), Thread { correlation: run.as_uuid(), cause: None });
    }

    fn spawn(&mut self, run: RunId, state: Loaded<Run>, thread: Thread) {
        let (sender, looks) = mpsc::unbounded_channel();
        self.senders.insert(run, sender);
        let driver = Driver::new(Arc::clone(&self.shared), run, state, looks, thread);
        let id = self.running.spawn(driver.drive()).id();
        self.runs.insert(id, run);
    }

    fn ended(&mut self, ended: Result<(Id, End), tokio::task::JoinError>, live: &LiveRuns) {
        let id = ended.as_ref().map_or_else(tokio::task::JoinError::id, |(id, _)| *id);
        let Some(run) = self.runs.remove(&id) else { return };
        self.senders.remove(&run);
        match ended {
            Ok((_, End::Terminal | End::Replaced | End::Stopped)) => {}
            Ok((_, End::Unreadable)) => {
                metrics::counter!("hishamos_runs_unreadable_total").increment(1);
            }
            Err(error) => {
                tracing::error!(run.id = %run, error = &error as &dyn std::error::Error, "the driver of a run failed; starting it again");
                if live.runs.contains(&run) {
                    self.resume(run);
                }
            }
        }
    }
}
