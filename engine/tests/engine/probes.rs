//! Platforms that are left alone are asked whether they can be reached again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use domain::run::RunStatus;
use engine::{Handle, Options};
use providers::router::{BreakerOptions, Phase};
use providers::{
    Behaviour, Failure, FailureKind, Health, Platform, Registry, Reply, ReplyStream, Request, Simulator, Usage,
};
use serde_json::json;

use crate::world::{World, step, workflow};

const EVERY: Duration = Duration::from_millis(40);

/// A platform that can be reached or not, and whose models work or not.
#[derive(Clone)]
struct Flaky {
    simulator: Simulator,
    reachable: Arc<AtomicBool>,
    works: Arc<AtomicBool>,
    probes: Arc<AtomicU32>,
}

impl Flaky {
    fn new() -> Self {
        let works = Arc::new(AtomicBool::new(true));
        let answers = Arc::clone(&works);
        let script = move |_: &Request, _| match answers.load(Ordering::SeqCst) {
            true => Behaviour::Answer,
            false => Behaviour::Fail(Failure::new(FailureKind::Unreachable, "nobody is there")),
        };
        let simulator = Simulator::builder().key("flaky").script(script).build();
        Self { simulator, reachable: Arc::new(AtomicBool::new(true)), works, probes: Arc::default() }
    }

    fn set(&self, reachable: bool, works: bool) {
        self.reachable.store(reachable, Ordering::SeqCst);
        self.works.store(works, Ordering::SeqCst);
    }

    fn probes(&self) -> u32 {
        self.probes.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Platform for Flaky {
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

    fn can_be_probed(&self) -> bool {
        true
    }

    async fn probe(&self) -> Result<(), Failure> {
        self.probes.fetch_add(1, Ordering::SeqCst);
        match self.reachable.load(Ordering::SeqCst) {
            true => Ok(()),
            false => Err(Failure::new(FailureKind::Unreachable, "flaky: cannot connect")),
        }
    }
}

/// A world whose breakers open at the first failure, for so long.
async fn world(platform: &Flaky, cooldown: Duration, probe_every: Option<Duration>) -> (World, Handle) {
    let mut world = World::without_engine().await;
    let breakers = BreakerOptions { threshold: 1, cooldown, longest: cooldown, ..BreakerOptions::default() };
    let options = Options { drain: Duration::ZERO, breakers, probe_every, ..Options::default() };
    let registry = Registry::new(vec![Arc::new(platform.clone())], &[]).unwrap();
    let handle = world.start_engine_watched(registry, options);
    (world, handle)
}

async fn run(world: &World) -> domain::RunId {
    world.start(workflow(vec![step("a", &[], "'x'")]), json!({})).await
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what} did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn phase(handle: &Handle) -> Option<Phase> {
    handle.platforms().first().map(|line| line.phase)
}

fn rests(handle: &Handle) -> bool {
    handle.platforms().first().is_some_and(|line| line.resting.is_some())
}

#[tokio::test]
async fn what_was_down_and_is_up_again_may_be_called_at_once() {
    let platform = Flaky::new();
    let hour = Duration::from_secs(3600);
    let (world, handle) = world(&platform, hour, Some(EVERY)).await;
    tokio::time::sleep(3 * EVERY).await;
    assert_eq!(platform.probes(), 0, "nobody is asked while nothing rests");
    platform.set(false, false);
    run(&world).await;
    until("a rest", || rests(&handle)).await;
    until("a probe that fails", || handle.probes().first().is_some_and(|probe| probe.failure.is_some())).await;
    assert_eq!(handle.probes()[0].failure.as_deref(), Some("flaky: cannot connect"));
    assert!(rests(&handle));
    platform.set(true, true);
    until("the end of the rest", || !rests(&handle)).await;
    assert_eq!(handle.probes()[0].failure, None);
    let second = run(&world).await;
    assert_eq!(world.finished(second).await.status(), RunStatus::Completed);
    assert_eq!(phase(&handle), Some(Phase::Closed));
    let asked = platform.probes();
    tokio::time::sleep(3 * EVERY).await;
    assert_eq!(platform.probes(), asked, "nobody is asked any more");
}

#[tokio::test]
async fn one_that_answers_but_does_not_work_rests_as_long_as_ever() {
    let platform = Flaky::new();
    platform.set(true, false);
    let (world, handle) = world(&platform, Duration::from_secs(3600), Some(EVERY)).await;
    run(&world).await;
    until("three probes", || platform.probes() >= 3).await;
    assert!(rests(&handle), "its models may be what is wrong");
}

#[tokio::test]
async fn one_that_cannot_be_reached_is_not_called_in_vain() {
    let platform = Flaky::new();
    platform.set(false, false);
    let (world, handle) = world(&platform, Duration::from_millis(150), Some(EVERY)).await;
    run(&world).await;
    until("ten probes", || platform.probes() >= 10).await;
    assert!(rests(&handle), "its rest would have been over long ago");
    assert_eq!(platform.simulator.calls(), 1);
}

#[tokio::test]
async fn without_a_pace_nobody_is_asked() {
    let platform = Flaky::new();
    platform.set(false, false);
    let (world, handle) = world(&platform, Duration::from_secs(3600), None).await;
    run(&world).await;
    until("a rest", || rests(&handle)).await;
    tokio::time::sleep(3 * EVERY).await;
    assert!(platform.probes() == 0 && handle.probes().is_empty());
}
