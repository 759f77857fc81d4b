//! Runs that go on before their steps are recorded, where nobody outside could tell.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use domain::agent::Profile;
use domain::run::RunStatus;
use domain::workflow::Assignee;
use domain::{Definition, Event, TaskEvent};
use journal::{Append, Filter, Journal, MemoryJournal, Position};
use proptest::prelude::*;
use providers::{Failure, Health, Platform, Reply, ReplyStream, Request, Simulator, Usage};
use serde_json::json;

use crate::ahead::{Hand, InTurn};
use crate::world::{World, edit, me, step, worker, workflow};

/// A platform outside, which looks at the journal whenever it is called.
struct Outside {
    simulator: Simulator,
    journal: Arc<MemoryJournal>,
    calls: AtomicUsize,
}

impl Outside {
    fn over(journal: &Arc<MemoryJournal>) -> Arc<Self> {
        let simulator = Simulator::builder().key("outside").build();
        Arc::new(Self { simulator, journal: Arc::clone(journal), calls: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Platform for Outside {
    fn key(&self) -> &str {
        self.simulator.key()
    }

    fn default_model(&self) -> Option<&str> {
        self.simulator.default_model()
    }

    fn simulated(&self) -> bool {
        true
    }

    fn unusable(&self) -> Option<String> {
        None
    }

    async fn execute(&self, request: Request) -> Result<Reply, Failure> {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let page = self.journal.read_all(Position::START, &Filter::default(), usize::MAX).await.unwrap();
        let hash = request.hash();
        let recorded = page.events.iter().filter(|event| {
            matches!(event.event(), Ok(Event::Task(TaskEvent::AttemptStarted { request_hash, .. })) if *request_hash == hash)
        });
        assert!(recorded.count() > 0, "call {calls} is made before its attempt is recorded");
        self.simulator.execute(request).await
    }

    async fn stream(&self, request: Request) -> Result<ReplyStream, Failure> {
        self.simulator.stream(request).await
    }

    fn cost(&self, model: &str, usage: &Usage) -> Option<i64> {
        self.simulator.cost(model, usage)
    }

    async fn health(&self) -> Health {
        self.simulator.health().await
    }
}

fn any_append(_: &Append) -> bool {
    true
}

/// So many steps one after the other; those of these numbers are done outside.
fn chain(steps: usize, outside: &BTreeSet<usize>) -> Definition {
    let steps = (0..steps).map(|number| {
        let needs = number.checked_sub(1).map(|before| format!("s{before}"));
        let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
        let mut made = step(&format!("s{number}"), &needs, &format!("'{number}'"));
        if outside.contains(&number) {
            edit(&mut made, |task| task.agent = Assignee::Agent("away".parse().unwrap()));
        }
        made
    });
    workflow(steps.collect())
}

/// Lives through one run over a journal with this hand; answers with how many of its appends were under way at once.
async fn live(steps: usize, outside: &BTreeSet<usize>, hand: Hand) -> usize {
    let inner = Arc::new(MemoryJournal::new());
    let way = InTurn::new(&inner, hand);
    let mut world = World::upon(Arc::clone(&inner) as Arc<dyn Journal>).await;
    let away = Profile { key: "away".parse().unwrap(), platform: Some("outside".parse().unwrap()), ..worker() };
    world.commands.register_agent(me(), away).await.unwrap();
    let platform = Outside::over(&inner);
    let platforms =
        vec![Arc::new(Simulator::default()) as Arc<dyn Platform>, Arc::clone(&platform) as Arc<dyn Platform>];
    world.start_engine_upon(Arc::clone(&way) as Arc<dyn Journal>, platforms);
    let run = world.start(chain(steps, outside), json!({})).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    world.stop_engine().await;
    // However often it had to begin again: each step is created, tried and completed once, in order.
    let told: Vec<Event> = world.events().await;
    let count = |wanted: fn(&TaskEvent) -> bool| {
        told.iter().filter(|event| matches!(event, Event::Task(event) if wanted(event))).count()
    };
    assert_eq!(count(|event| matches!(event, TaskEvent::Created { .. })), steps);
    assert_eq!(count(|event| matches!(event, TaskEvent::Completed { .. })), steps);
    assert_eq!(count(|event| matches!(event, TaskEvent::AttemptSucceeded { .. })), steps);
    assert!(journal::chain::verify(&*inner).await.unwrap().is_sound());
    way.together.load(Ordering::Relaxed)
}

fn slow(failing: &[usize]) -> Hand {
    let failing = failing.iter().copied().collect();
    Hand { pauses: vec![50], together: usize::MAX, counts: any_append, failing }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_on_before_its_steps_are_recorded() {
    let together = live(12, &BTreeSet::new(), slow(&[])).await;
    assert!(together > 5, "{together} at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_outside_is_recorded_first() {
    let everywhere = (0..8).collect();
    assert_eq!(live(8, &everywhere, slow(&[])).await, 1, "a step that is done outside waits for its commit");
    let now_and_then = BTreeSet::from([1, 2, 5, 9]);
    assert!(live(12, &now_and_then, slow(&[])).await > 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_one_is_not_recorded_a_run_begins_again() {
    let nowhere = BTreeSet::new();
    let lived = tokio::time::timeout(Duration::from_secs(60), live(12, &nowhere, slow(&[2, 3, 4, 9, 15])));
    lived.await.expect("the run came to its end");
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 40, ..ProptestConfig::with_cases(24) })]

    /// Whichever steps are done outside, however slow the journal is, and whatever is not recorded: every step is done once.
    #[test]
    fn every_step_is_done_once(
        steps in 1..14_usize,
        outside in proptest::collection::btree_set(0..14_usize, 0..6),
        pauses in proptest::collection::vec(0..40_u64, 1..8),
        together in 1..12_usize,
        failing in proptest::collection::btree_set(1..30_usize, 0..5),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let hand = Hand { pauses, together, counts: any_append, failing };
        runtime.block_on(async {
            let lived = tokio::time::timeout(Duration::from_secs(60), live(steps, &outside, hand));
            lived.await.expect("the run came to its end");
        });
    }
}
