//! The drivers of this node, one for each run that it works on, and the runs that it has left alone for a while.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use cqrs_es::Aggregate;
use domain::{Event, EventId, NodeId, Run, RunEvent, RunId, Timestamp};
use journal::{Loaded, RecordedEvent};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};

use crate::driver::{Driver, End, Look, Shared, Thread};

/// A driver that took its first turn elsewhere, see [`launch`](crate::launch).
pub(crate) struct Launched {
    pub(crate) run: RunId,
    pub(crate) driver: Driver,
    pub(crate) looks: mpsc::UnboundedSender<Look>,
}

pub(crate) struct Drivers {
    pub(crate) shared: Arc<Shared>,
    senders: HashMap<RunId, mpsc::UnboundedSender<Look>>,
    running: JoinSet<End>,
    runs: HashMap<Id, RunId>,
    parked: HashMap<RunId, Parked>,
    /// Parked runs by the time at which they go on.
    due: BTreeMap<Timestamp, BTreeSet<RunId>>,
    /// Runs whose driver had just left when something happened.
    missed: HashSet<RunId>,
    /// Runs whose journal this program cannot read; they stand until it can.
    unreadable: HashSet<RunId>,
}

#[derive(Clone, Copy)]
struct Parked {
    until: Option<Timestamp>,
    queued: bool,
}

impl Drivers {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            senders: HashMap::new(),
            running: JoinSet::new(),
            runs: HashMap::new(),
            parked: HashMap::new(),
            due: BTreeMap::new(),
            missed: HashSet::new(),
            unreadable: HashSet::new(),
        }
    }

    /// How many runs this node works on, those that wait included.
    pub(crate) fn count(&self) -> usize {
        self.senders.len() + self.parked.len()
    }

    /// Whether this node works on a run.
    pub(crate) fn has(&self, run: RunId) -> bool {
        self.senders.contains_key(&run) || self.parked.contains_key(&run) || self.unreadable.contains(&run)
    }

    /// Works on a run that has just started, which is known whole from that one event.
    pub(crate) fn begin(&mut self, run: RunId, event: &RecordedEvent) {
        let thread = Thread { correlation: event.metadata.correlation, cause: Some(event.id) };
        match event.event() {
            // What came before is in another stream.
            Ok(Event::Run(started @ RunEvent::Started(_))) if started.lineage().is_none() => {
                let mut state = Run::default();
                state.apply(started.clone());
                self.spawn(run, Loaded { state: Arc::new(state), revision: Some(event.revision) }, thread);
            }
            _ => self.spawn(run, Loaded::default(), thread),
        }
    }

    /// Goes on with a run that this node has; if another node has taken it meanwhile, it is left to that one.
    pub(crate) fn resume(&mut self, run: RunId, cause: Option<EventId>) {
        self.unpark(run);
        self.spawn(run, Loaded::default(), Thread { correlation: run.as_uuid(), cause });
    }

    /// Takes a run, if that node still has it.
    pub(crate) fn take(&mut self, run: RunId, owner: Option<NodeId>) {
        self.unpark(run);
        let (sender, looks) = mpsc::unbounded_channel();
        let thread = Thread { correlation: run.as_uuid(), cause: None };
        let driver = Driver::new(Arc::clone(&self.shared), run, Loaded::default(), looks, thread);
        self.drive(run, driver.taking_from(owner), sender);
    }

    /// Goes on with a run whose first turn has been taken.
    pub(crate) fn adopt(&mut self, launched: Launched) {
        let Launched { run, driver, looks } = launched;
        self.drive(run, driver, looks);
    }

    /// Something happened that the run's driver did not do.
    pub(crate) fn look(&mut self, run: RunId, cause: Option<EventId>) {
        if self.parked.contains_key(&run) {
            self.resume(run, cause);
        } else if self.senders.get(&run).is_some_and(|sender| sender.send(Look).is_err()) {
            self.missed.insert(run);
        }
    }

    /// Limits or holds changed.
    pub(crate) fn look_everywhere(&mut self, queued_only: bool) {
        let mut waiting: Vec<RunId> =
            self.parked.iter().filter(|(_, parked)| parked.queued || !queued_only).map(|(run, _)| *run).collect();
        // Oldest first, and in the same order wherever this is done: ids sort by time.
        waiting.sort_unstable();
        for run in waiting {
            self.resume(run, None);
        }
        let mut working: Vec<RunId> = self.senders.keys().copied().collect();
        working.sort_unstable();
        for run in working {
            if self.senders.get(&run).is_some_and(|sender| sender.send(Look).is_err()) {
                self.missed.insert(run);
            }
        }
    }

    /// When the next parked run goes on.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first_key_value().map(|(at, _)| *at)
    }

    /// Goes on with the parked runs whose time has come.
    pub(crate) fn resume_due(&mut self, now: Timestamp) {
        while let Some(entry) = self.due.first_entry().filter(|entry| *entry.key() <= now) {
            for run in entry.remove() {
                self.parked.remove(&run);
                self.resume(run, None);
            }
        }
    }

    /// The next driver that ends; pending while there is none.
    pub(crate) async fn next_end(&mut self) -> Ended {
        let ended = match self.running.join_next_with_id().await {
            Some(ended) => ended,
            None => std::future::pending().await,
        };
        let id = ended.as_ref().map_or_else(tokio::task::JoinError::id, |(id, _)| *id);
        let run = self.runs.remove(&id);
        match ended {
            Ok((_, end)) => Ended { run, end: Some(end) },
            Err(error) => {
                tracing::error!(?run, error = &error as &dyn std::error::Error, "the driver of a run failed");
                Ended { run, end: None }
            }
        }
    }

    /// Draws the consequence of a driver's end; `alive` says whether the run still is.
    pub(crate) fn ended(&mut self, ended: Ended, alive: bool) {
        let Some(run) = ended.run else { return };
        self.senders.remove(&run);
        let missed = self.missed.remove(&run);
        match ended.end {
            Some(End::Parked { .. }) if missed => self.resume(run, None),
            Some(End::Parked { until, queued }) => self.park(run, until, queued),
            Some(End::Unreadable) => {
                metrics::counter!("hishamos_runs_unreadable_total").increment(1);
                self.unreadable.insert(run);
            }
            Some(End::Terminal | End::Replaced | End::Stopped) => {}
            None if alive => self.resume(run, None),
            None => {}
        }
    }

    /// Waits until every driver has ended.
    pub(crate) async fn drain(&mut self) {
        while self.running.join_next().await.is_some() {}
    }

    /// A run that is over needs nothing any more.
    pub(crate) fn over(&mut self, run: RunId) {
        self.unpark(run);
        self.unreadable.remove(&run);
    }

    fn park(&mut self, run: RunId, until: Option<Timestamp>, queued: bool) {
        self.parked.insert(run, Parked { until, queued });
        if let Some(at) = until {
            self.due.entry(at).or_default().insert(run);
        }
    }

    fn unpark(&mut self, run: RunId) {
        let Some(at) = self.parked.remove(&run).and_then(|parked| parked.until) else { return };
        if let Some(runs) = self.due.get_mut(&at) {
            runs.remove(&run);
            if runs.is_empty() {
                self.due.remove(&at);
            }
        }
    }

    fn spawn(&mut self, run: RunId, state: Loaded<Run>, thread: Thread) {
        let (sender, looks) = mpsc::unbounded_channel();
        let driver = Driver::new(Arc::clone(&self.shared), run, state, looks, thread);
        self.drive(run, driver, sender);
    }

    fn drive(&mut self, run: RunId, driver: Driver, looks: mpsc::UnboundedSender<Look>) {
        self.senders.insert(run, looks);
        let id = self.running.spawn(driver.drive()).id();
        self.runs.insert(id, run);
    }
}

/// A driver that has ended.
pub(crate) struct Ended {
    pub(crate) run: Option<RunId>,
    /// How; `None` when it failed.
    end: Option<End>,
}
