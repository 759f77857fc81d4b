//! Appends to several streams that are recorded in part.
//!
//! Where a store writes to one stream at a time, another process may come in between two of the writes of an append. What
//! was written by then stays, and the one who appended is told of a conflict (docs/decisions/0008-journal-in-kurrentdb.md).
//! Here this happens to every append of a run in turn, at every stream of it. Whatever stayed, the run ends in the same
//! state, nothing is done twice in it, and what limits and budgets gave is given back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use commands::Commands;
use domain::budget::BudgetScope;
use domain::limit::{LimitScope, LimitSettings};
use domain::run::{PauseClock, RunStatus};
use domain::slots::Capacity;
use domain::trigger::{Overlap, Schedule, TriggerKind, TriggerSettings};
use domain::workflow::{ForEach, ParentClose, SignalWait, SubRun, Work};
use domain::{Category, CommandId, Event, LimitId, RunId, Slots, SlotsId, StreamId, TaskEvent, TriggerId};
use journal::chain::Entry;
use journal::{
    Append, AppendError, Appended, Expected, Filter, Journal, MemoryJournal, Page, Position, ReadError, RecordedEvent,
    Subscription,
};
use providers::router::BreakerOptions;
use providers::{Behaviour, Failure, FailureKind, Simulator};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::budgets::{adds_up, budget, dear};
use crate::world::{Called, World, edit, me, name, step, task, workflow, working};

/// A journal that records one of the appends to several streams in part.
struct Torn {
    inner: Arc<MemoryJournal>,
    /// The number of the append, from 0, and how many of its streams are written.
    at: Option<(usize, usize)>,
    then: Then,
    /// Whether it happened.
    happened: watch::Sender<bool>,
    /// How many streams each append had.
    seen: parking_lot::Mutex<Vec<usize>>,
    /// Appends count from here on.
    armed: AtomicUsize,
}

/// What happens right then.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Who appended is told of a conflict.
    Conflict,
    /// The same, and somebody else cancels the run.
    Cancel,
    /// Who appended is told nothing any more: its process is about to die.
    Silence,
}

impl Torn {
    fn new(at: Option<(usize, usize)>, then: Then) -> Arc<Self> {
        let (inner, seen) = (Arc::new(MemoryJournal::new()), parking_lot::Mutex::default());
        let happened = watch::Sender::new(false);
        Arc::new(Self { inner, at, then, happened, seen, armed: AtomicUsize::new(0) })
    }

    fn arm(&self) {
        self.armed.store(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl Journal for Torn {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.streams.len() == 1 || self.armed.load(Ordering::Relaxed) == 0 {
            return self.inner.append(append).await;
        }
        let number = {
            let mut seen = self.seen.lock();
            seen.push(append.streams.len());
            seen.len() - 1
        };
        match self.at {
            Some((at, written)) if at == number && is_shared(&append, written) => {
                let mut first = Append { remember: false, ..append };
                let rest = first.streams.split_off(written);
                self.inner.append(first).await?;
                let run = rest.iter().find(|part| part.stream.category == Category::Run);
                if let Some(run) = run.filter(|_| self.then == Then::Cancel).map(|run| RunId::from_uuid(run.stream.id))
                {
                    let commands = Commands::new(Arc::clone(&self.inner) as Arc<dyn Journal>);
                    // It may just be ending.
                    let _ = commands.cancel_run(me(), run, "enough".to_owned(), Duration::ZERO).await;
                }
                self.happened.send_replace(true);
                if self.then == Then::Silence {
                    return std::future::pending().await;
                }
                let (stream, expected) = (rest[0].stream, rest[0].expected);
                let there = self.inner.read_stream(stream, 0, usize::MAX).await.unwrap();
                Err(AppendError::Conflict { stream, expected, actual: there.last().map(|event| event.revision) })
            }
            _ => self.inner.append(append).await,
        }
    }

    async fn read_stream(
        &self,
        stream: StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        self.inner.read_stream(stream, from, limit).await
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        self.inner.read_all(after, filter, limit).await
    }

    async fn read_back(&self, before: Option<Position>, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        self.inner.read_back(before, filter, limit).await
    }

    async fn read_entries(&self, after: Position, limit: usize) -> Result<Vec<Entry>, ReadError> {
        self.inner.read_entries(after, limit).await
    }

    fn subscribe(&self, after: Position, filter: Filter) -> Subscription {
        self.inner.subscribe(after, filter)
    }

    async fn head(&self) -> Result<Position, ReadError> {
        self.inner.head().await
    }

    fn seen(&self) -> Position {
        self.inner.seen()
    }

    fn gapless(&self) -> bool {
        self.inner.gapless()
    }

    async fn find_command(&self, command: CommandId) -> Result<Option<Appended>, ReadError> {
        self.inner.find_command(command).await
    }
}

/// Whether somebody else may write to this stream of an append: nobody else begins its tasks and runs.
fn is_shared(append: &Append, stream: usize) -> bool {
    append.streams.get(stream).is_some_and(|part| {
        let own = [Category::Run, Category::Task].contains(&part.stream.category);
        !(own && part.expected == Expected::NoStream)
    })
}

const LIMIT: u64 = 1_000_000;

fn limit(key: &str, scope: LimitScope) -> LimitSettings {
    let capacity = Capacity { max_running: Some(2), rate: None };
    LimitSettings { key: key.parse().unwrap(), description: String::new(), scope, by: None, capacity, fairness: None }
}

fn scopes() -> [(&'static str, LimitScope); 2] {
    [("calls", LimitScope::Agent("worker".parse().unwrap())), ("runs", LimitScope::Workflow("flow".parse().unwrap()))]
}

/// Says what it was asked; fails the first time for who asks so.
fn touchy() -> Simulator {
    Simulator::builder()
        .script(|request, call| match request.user.contains("once more") && call == 1 {
            true => Behaviour::Fail(Failure::new(FailureKind::PlatformFailure, "as scripted")),
            false => Behaviour::Say(request.user.clone()),
        })
        .build()
}

/// A step of one kind after the other, with a limit on runs, one on attempts, and a budget.
async fn begin(journal: Arc<Torn>, together: bool) -> (World, RunId) {
    let mut world = World::upon(Arc::clone(&journal) as Arc<dyn Journal>).await;
    for (key, scope) in scopes() {
        world.commands.set_limit(me(), limit(key, scope)).await.unwrap();
    }
    world.commands.set_budget(me(), budget("all", BudgetScope::Organisation, LIMIT)).await.unwrap();
    let inner = SubRun {
        workflow: "inner".parse().unwrap(),
        version: None,
        input: BTreeMap::new(),
        wait: true,
        on_parent_close: ParentClose::Cancel,
    };
    let each = ForEach { over: "input.words".parse().unwrap(), max_parallel: 2, each: task("item") };
    let mut again = step("again", &[], "'once more'");
    edit(&mut again, |task| task.retry.max_attempts = 9);
    let steps = vec![
        again,
        working("each", &["again"], Work::ForEach(each)),
        working("inner", &["each"], Work::Run(inner)),
        step("last", &["inner"], "'last'"),
    ];
    world.offer(workflow(vec![step("only", &[], "'inside'")]).called("inner")).await;
    world.offer(workflow(steps)).await;
    if together {
        world.start_together(vec![dear(touchy())], BreakerOptions::default()).await;
    } else {
        world.start_engine_on(vec![dear(touchy())], BreakerOptions::default());
        world.settle().await;
    }
    journal.arm();
    let run = world.start_again(&"flow".parse().unwrap(), json!({"words": ["one", "two", "three"]})).await;
    (world, run)
}

async fn live(journal: Arc<Torn>, together: bool) -> (World, Value) {
    let (world, run) = begin(journal, together).await;
    let ended = world.finished(run).await;
    assert_eq!(ended.status(), RunStatus::Completed, "{:?}", ended.error());
    let outputs: BTreeMap<String, Value> = ended
        .outputs()
        .iter()
        .map(|(step, output)| {
            let mut output = Value::clone(output);
            if let Some(run) = output.get_mut("run") {
                *run = Value::Null;
            }
            (step.to_string(), output)
        })
        .collect();
    (world, json!(outputs))
}

/// Nothing is done twice, and nobody has what he should have given back.
async fn is_tidy(world: &World, tasks: usize, what: &str) {
    let (mut created, mut completed) = (BTreeMap::new(), 0);
    for event in world.events().await {
        match event {
            Event::Task(TaskEvent::Created { run, step, .. }) => {
                *created.entry((run, step)).or_insert(0) += 1;
            }
            Event::Task(TaskEvent::Completed { .. }) => completed += 1,
            _ => {}
        }
    }
    assert_eq!((created.values().sum::<usize>(), completed), (tasks, tasks), "{what}: {created:?}");
    is_given_back(world, what).await;
}

/// Tasks that have not ended.
async fn open_tasks(world: &World) -> BTreeSet<StreamId> {
    let page = world.journal.read_all(Position::START, &Filter::default(), 100_000).await.unwrap();
    let mut open = BTreeSet::new();
    for event in &page.events {
        match event.event().unwrap() {
            Event::Task(TaskEvent::Created { .. }) => {
                open.insert(event.stream);
            }
            Event::Task(TaskEvent::Completed { .. } | TaskEvent::Failed { .. } | TaskEvent::Cancelled { .. }) => {
                open.remove(&event.stream);
            }
            _ => {}
        }
    }
    open
}

async fn is_given_back(world: &World, what: &str) {
    adds_up(world, LIMIT).await;
    for (key, scope) in scopes() {
        let id = SlotsId::of(LimitId::from_key(&key.parse().unwrap()), &scope, None);
        let slots = world.commands.executor().load::<Slots>(id.into()).await.unwrap().state;
        assert_eq!((slots.holders().len(), slots.waiting().len()), (0, 0), "{what}: {key}");
    }
}

async fn every_append_in_part(together: bool) {
    let whole = Torn::new(None, Then::Conflict);
    let (world, expected) = live(Arc::clone(&whole), together).await;
    let seen = whole.seen.lock().clone();
    let tasks = world.count("task.created").await;
    is_tidy(&world, tasks, "whole").await;
    assert!(expected["last"].is_object() && seen.len() >= 6 && seen.iter().any(|streams| *streams >= 4), "{seen:?}");
    for (number, streams) in seen.into_iter().enumerate() {
        for written in 1..streams {
            let what = format!("append {number}, {written} of {streams} streams");
            let torn = Torn::new(Some((number, written)), Then::Conflict);
            let living = tokio::time::timeout(Duration::from_secs(30), live(torn, together));
            let (world, outputs) = living.await.unwrap_or_else(|_| panic!("{what}: it does not end"));
            assert_eq!(outputs, expected, "{what}");
            is_tidy(&world, tasks, &what).await;
        }
    }
}

/// Somebody cancels the run between two streams of an append of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_cancelled_between_two_streams_leaves_nothing_behind() {
    let mut found = 0;
    for number in 0..8 {
        for written in 1..5 {
            let what = format!("append {number}, {written} streams");
            let (world, run) = begin(Torn::new(Some((number, written)), Then::Cancel), false).await;
            let ended = world.finished(run).await;
            if ended.status() == RunStatus::Completed {
                // So many streams it did not have, or nobody else writes there.
                continue;
            }
            // It fails when it was the inner run that was cancelled.
            assert!(matches!(ended.status(), RunStatus::Cancelled | RunStatus::Failed), "{what}: {:?}", ended.status());
            found += 1;
            // The engine clears up after the run's end.
            let cleared = tokio::time::timeout(Duration::from_secs(10), async {
                while !open_tasks(&world).await.is_empty() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
            cleared.await.unwrap_or_else(|_| panic!("{what}: a task stays open"));
            is_given_back(&world, &what).await;
        }
    }
    assert!(found >= 8, "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_is_recorded_in_part_changes_nothing_in_the_end() {
    every_append_in_part(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_is_recorded_in_part_changes_nothing_in_the_end() {
    every_append_in_part(true).await;
}

/// The process dies with the append, and another one takes the run over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_is_recorded_in_part_by_a_process_that_dies_changes_nothing_in_the_end() {
    let mut found = 0;
    for number in 0..14 {
        for written in 1..5 {
            let what = format!("append {number}, {written} streams");
            let torn = Torn::new(Some((number, written)), Then::Silence);
            let mut happened = torn.happened.subscribe();
            let (mut world, run) = begin(torn, false).await;
            let torn = tokio::select! {
                _ = happened.wait_for(|happened| *happened) => true,
                _ = world.finished(run) => false,
            };
            if !torn {
                continue;
            }
            found += 1;
            world.kill_engine().await;
            world.start_engine_on(vec![dear(touchy())], BreakerOptions::default());
            let ended = world.finished(run).await;
            assert_eq!(ended.status(), RunStatus::Completed, "{what}: {:?}", ended.error());
            let tasks = world.count("task.created").await;
            is_tidy(&world, tasks, &what).await;
        }
    }
    assert!(found >= 14, "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_firing_that_is_recorded_in_part_starts_its_run() {
    for written in 1..3 {
        let torn = Torn::new(Some((0, written)), Then::Conflict);
        let world = World::upon(Arc::clone(&torn) as Arc<dyn Journal>).await;
        world.offer(workflow(vec![working("wait", &[], Work::Signal(SignalWait { signal: name("go") }))])).await;
        let schedule = Schedule::new("* * * * * *".parse().unwrap(), "UTC".parse().unwrap());
        let settings = TriggerSettings {
            key: "t".parse().unwrap(),
            description: String::new(),
            workflow: "flow".parse().unwrap(),
            version: None,
            kind: TriggerKind::Schedule(schedule),
            input: BTreeMap::new(),
            priority: 0,
            overlap: Overlap::TerminateOther,
            pause_after: None,
            enabled: true,
        };
        let key = settings.key.clone();
        world.commands.set_trigger(me(), settings).await.unwrap();
        let trigger = TriggerId::from_key(&key);
        let fired = async |than: Option<RunId>| loop {
            world.commands.tick_trigger(trigger).await.unwrap();
            let running = world.commands.trigger(&key).await.unwrap().running().clone();
            if let Some(run) = running.into_iter().find(|run| Some(*run) != than) {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let first = fired(None).await;
        torn.arm();
        let second = fired(Some(first)).await;
        assert_eq!(torn.seen.lock().first(), Some(&3), "the run that ends, the trigger, the run that starts");
        assert_ne!(first, second);
        assert_eq!(world.run(second).await.status(), RunStatus::Running, "{written}");
        assert!(matches!(world.run(first).await.status(), RunStatus::Cancelling), "{written}");
        let trigger = world.commands.trigger(&key).await.unwrap();
        assert!(trigger.running().contains(&second), "{written}: the trigger knows its run");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resume_that_is_recorded_in_part_moves_times_once() {
    let torn = Torn::new(Some((0, 1)), Then::Conflict);
    let mut world = World::upon(Arc::clone(&torn) as Arc<dyn Journal>).await;
    let fails = Simulator::builder()
        .script(|_, _| Behaviour::Fail(Failure::new(FailureKind::PlatformFailure, "as scripted")))
        .build();
    let mut only = step("a", &[], "'x'");
    edit(&mut only, |task| {
        task.retry.first_backoff = Duration::from_secs(3600);
        task.retry.max_backoff = Duration::from_secs(3600);
    });
    world.start_engine(Arc::new(fails));
    let run = world.start(workflow(vec![only]), json!({})).await;
    world.until(|event| matches!(event, Event::Task(TaskEvent::AttemptFailed { .. }))).await;
    world.commands.pause_run(me(), run, String::new(), PauseClock::Frozen).await.unwrap();
    torn.arm();
    world.commands.resume_run(me(), run).await.unwrap();
    assert_eq!(world.run(run).await.status(), RunStatus::Running);
    assert!(*torn.happened.borrow());
    assert_eq!((world.count("task.deferred").await, world.count("run.resumed").await), (1, 1));
}
