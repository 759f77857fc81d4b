//! One journal, an engine, and as many reactors as a test wants.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use commands::{Commands, SeededSurroundings};
use domain::task::Form;
use domain::trigger::{Overlap, Schedule, TriggerKind, TriggerSettings};
use domain::workflow::{Wait, Work};
use domain::{
    Definition, Event, Expression, Key, NodeId, Run, RunEvent, RunId, Timestamp, Trigger, TriggerEvent, TriggerId,
};
use engine::{Engine, Options, triggers};
use journal::{Checkpoints, Filter, Journal, Members, MemoryCheckpoints, MemoryJournal, Position};
use providers::{Registry, Simulator};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::world::{Called, me, workflow, working};

pub(super) struct Stage {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) checkpoints: Arc<dyn Checkpoints>,
    pub(super) commands: Commands,
    origin: Instant,
}

/// A reactor that runs.
pub(super) struct Reactor {
    pub(super) handle: triggers::Handle,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Reactor {
    /// Stops it as an operator would.
    pub(super) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }

    /// Ends it without giving it a chance to record or save anything.
    pub(super) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

pub(super) const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn node(number: u128) -> NodeId {
    NodeId::from_uuid(Uuid::from_u128(number))
}

pub(super) fn key(text: &str) -> Key {
    text.parse().unwrap()
}

pub(super) fn hourly(overlap: Overlap) -> TriggerSettings {
    every("0 * * * *", "UTC", overlap)
}

pub(super) fn every(cron: &str, zone: &str, overlap: Overlap) -> TriggerSettings {
    let schedule = Schedule::new(cron.parse().unwrap(), zone.parse().unwrap());
    of_kind(TriggerKind::Schedule(schedule), overlap)
}

pub(super) fn of_kind(kind: TriggerKind, overlap: Overlap) -> TriggerSettings {
    TriggerSettings {
        key: key("t"),
        description: String::new(),
        workflow: key("long"),
        version: None,
        kind,
        input: [].into(),
        priority: 0,
        overlap,
        pause_after: None,
        enabled: true,
    }
}

pub(super) fn moment(text: &str) -> Timestamp {
    // Only whole hours of 2026-01-01 are needed.
    let hour: i64 = text.parse().unwrap();
    Timestamp::from_micros(1_767_225_600_000_000 + hour * 3_600_000_000)
}

/// A workflow that only waits.
fn waiting(name: &str, wait: Wait) -> Definition {
    workflow(vec![working("wait", &[], Work::Wait(wait))]).called(name)
}

impl Stage {
    /// With three workflows: `long` takes 90 minutes, `short` a second, `broken` fails.
    pub(super) async fn new() -> Self {
        let origin = Instant::now();
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
        let checkpoints: Arc<dyn Checkpoints> = Arc::new(MemoryCheckpoints::default());
        let commands = Self::commands_over(&journal, origin, 0);
        let stage = Self { journal, checkpoints, commands, origin };
        let broken: Expression = "'never'".parse().unwrap();
        for definition in [
            waiting("long", Wait::For(Duration::from_secs(5400))),
            waiting("short", Wait::For(Duration::from_secs(1))),
            waiting("broken", Wait::Until(broken)),
        ] {
            let key = definition.key.clone();
            stage.commands.draft_workflow(me(), definition).await.unwrap();
            stage.commands.activate_workflow(me(), &key, None).await.unwrap();
        }
        stage
    }

    /// The same with an engine.
    pub(super) async fn with_engine() -> Self {
        let stage = Self::new().await;
        let options = Options { adopt_after: 24 * HOUR, ..Options::default() };
        let registry = Registry::new(vec![Arc::new(Simulator::builder().build())], &[]).unwrap();
        let commands = Self::commands_over(&stage.journal, stage.origin, 1);
        let checkpoints = Arc::new(MemoryCheckpoints::default());
        let (engine, _) = Engine::new(options, commands, registry, checkpoints, Members::alone(node(100)));
        tokio::spawn(engine.run(CancellationToken::new()));
        stage
    }

    fn commands_over(journal: &Arc<dyn Journal>, origin: Instant, seed: u64) -> Commands {
        Commands::within(Arc::clone(journal), Arc::new(SeededSurroundings::new(origin, seed))).with_form(Form::Text)
    }

    /// Another process: caches of its own, and its own opinion about who is there.
    pub(super) fn reactor(&self, members: Members) -> Reactor {
        let seed = u64::try_from(members.me().as_uuid().as_u128() + 10).unwrap();
        let commands = Self::commands_over(&self.journal, self.origin, seed);
        let options = triggers::Options::default();
        let (service, handle) = triggers::Service::new(options, commands, Arc::clone(&self.checkpoints), members);
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let task = tokio::spawn(async move { service.run(stop).await.unwrap() });
        Reactor { handle, shutdown, task }
    }

    pub(super) fn alone(&self, number: u128) -> Reactor {
        self.reactor(Members::alone(node(number)))
    }

    pub(super) fn members(me: u128, alive: &watch::Sender<Arc<BTreeSet<NodeId>>>) -> Members {
        Members::simulated(node(me), alive.subscribe())
    }

    pub(super) async fn set(&self, settings: TriggerSettings) {
        self.commands.set_trigger(me(), settings).await.unwrap();
    }

    /// Lets time pass, up to a little after so many hours since the beginning.
    pub(super) async fn until_hour(&self, hour: u32) {
        let at = self.origin + HOUR * hour + Duration::from_secs(10);
        tokio::time::sleep_until(at).await;
    }

    pub(super) async fn trigger(&self) -> Arc<Trigger> {
        let stream = TriggerId::from_key(&key("t")).into();
        self.commands.executor().load::<Trigger>(stream).await.unwrap().state
    }

    async fn all(&self) -> Vec<Event> {
        let page = self.journal.read_all(Position::START, &Filter::default(), 100_000).await.unwrap();
        page.events.iter().map(|event| event.event().unwrap().clone()).collect()
    }

    /// What happened to triggers, in short: the hour since the beginning at which a decision was made, and which.
    pub(super) async fn story(&self) -> Vec<String> {
        let told = |at: Timestamp, what: String| {
            let minutes = at.since(moment("0")).as_secs() / 60;
            format!("{}:{:02} {what}", minutes / 60, minutes % 60)
        };
        let mut story = Vec::new();
        for event in self.all().await {
            let Event::Trigger(event) = event else { continue };
            story.push(match event {
                TriggerEvent::Fired { cause, at, ends, .. } if ends.is_empty() => {
                    told(at, format!("fired by {}", cause.kind()))
                }
                TriggerEvent::Fired { cause, at, ends, .. } => {
                    told(at, format!("fired by {}, ending {}", cause.kind(), ends.len()))
                }
                TriggerEvent::Skipped { reason, at, .. } => told(at, format!("skipped: {}", reason.name())),
                TriggerEvent::Buffered { at, .. } => told(at, "buffered".to_owned()),
                TriggerEvent::Missed { count, at, .. } => told(at, format!("missed {count}")),
                TriggerEvent::RunEnded { end, at, .. } => told(at, format!("run {}", end.name())),
                TriggerEvent::Paused { by, at, .. } => told(at, format!("paused by {by}")),
                TriggerEvent::Set { .. } | TriggerEvent::Removed { .. } | TriggerEvent::Resumed { .. } => continue,
            });
        }
        story
    }

    /// The runs that triggers started, in order, with the names of their causes.
    pub(super) async fn runs(&self) -> Vec<(RunId, String)> {
        let mut runs = Vec::new();
        for event in self.all().await {
            if let Event::Run(RunEvent::Started(start)) = event
                && let Some(firing) = start.trigger
            {
                runs.push((start.id, firing.cause));
            }
        }
        runs
    }

    pub(super) async fn run(&self, run: RunId) -> Arc<Run> {
        self.commands.executor().load::<Run>(run.into()).await.unwrap().state
    }
}
