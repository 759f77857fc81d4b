//! Platforms that stand in for each other, and platforms that are left alone for a while.

use std::time::Duration;

use commands::Cause;
use domain::agent::Profile;
use domain::run::RunStatus;
use domain::task::{Choice, Why};
use domain::{ErrorKind, Event, RunId, TaskEvent};
use providers::router::BreakerOptions;
use providers::{Behaviour, Capabilities, Failure, FailureKind, Simulator};
use serde_json::json;

use crate::world::{World, edit, me, step, worker, workflow};

/// A platform whose first calls fail.
fn failing(key: &str, times: u32, failure: Failure) -> Simulator {
    let calls = std::sync::atomic::AtomicU32::new(0);
    Simulator::builder()
        .key(key)
        .script(move |_, _| match calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            call if call < times => Behaviour::Fail(failure.clone()),
            _ => Behaviour::Answer,
        })
        .build()
}

fn down(key: &str) -> Simulator {
    failing(key, u32::MAX, Failure::new(FailureKind::PlatformFailure, format!("{key} is down")))
}

fn well(key: &str) -> Simulator {
    Simulator::builder().key(key).build()
}

/// Nobody is left alone before so many failures.
fn patient() -> BreakerOptions {
    BreakerOptions { threshold: 1000, pause: Duration::from_millis(1), ..BreakerOptions::default() }
}

async fn run(world: &World) -> RunId {
    world.start(workflow(vec![step("a", &[], "'x'")]), json!({})).await
}

/// Where each attempt went, and why.
async fn ways(world: &World) -> Vec<(String, Choice)> {
    let started = |event: Event| match event {
        Event::Task(TaskEvent::AttemptStarted { platform, choice, .. }) => {
            Some((platform.to_string(), choice.unwrap()))
        }
        _ => None,
    };
    world.events().await.into_iter().filter_map(started).collect()
}

fn names(ways: &[(String, Choice)]) -> Vec<&str> {
    ways.iter().map(|(platform, _)| &**platform).collect()
}

fn fallback(from: &str, after: ErrorKind) -> Choice {
    Choice { why: Why::Fallback { from: from.parse().unwrap(), after }, passed_over: vec![] }
}

async fn offer_agent(world: &World, profile: Profile) {
    world.commands.register_agent(me(), profile).await.unwrap();
}

/// A run whose only step is done by another agent than the usual one.
async fn run_by(world: &World, agent: &str) -> RunId {
    let mut only = step("a", &[], "'x'");
    edit(&mut only, |task| task.agent = agent.parse().unwrap());
    world.start(workflow(vec![only]), json!({})).await
}

#[tokio::test]
async fn the_next_in_order_takes_over_in_the_same_append_and_without_a_pause() {
    let limited = Failure::new(FailureKind::RateLimited, "slow down").after(Some(Duration::from_secs(600)));
    let world = World::over(&[&failing("north", 99, limited), &well("south")], patient()).await;
    let run = run(&world).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    let ways = ways(&world).await;
    assert_eq!(ways[0], ("north".to_owned(), Choice::first()));
    assert_eq!(ways[1], ("south".to_owned(), fallback("north", ErrorKind::RateLimited)));
    let names = world.names().await;
    let failed = names.iter().position(|name| name == "task.attempt_failed").unwrap();
    assert_eq!(names[failed + 1], "task.attempt_started", "what failed and what takes over are one append");
}

#[tokio::test]
async fn every_kind_but_a_wrong_request_is_taken_on() {
    for kind in FailureKind::ALL {
        let world = World::over(&[&failing("north", 99, Failure::new(kind, "no")), &well("south")], patient()).await;
        let run = run(&world).await;
        let run = world.finished(run).await;
        // Content that was refused is not taken to a platform that only the installation names.
        let stays = matches!(kind, FailureKind::InvalidRequest | FailureKind::ContentRefused);
        assert_eq!(run.status(), if stays { RunStatus::Failed } else { RunStatus::Completed }, "{kind:?}");
        assert_eq!(ways(&world).await.len(), if stays { 1 } else { 2 }, "{kind:?}");
    }
}

#[tokio::test]
async fn when_all_fail_the_original_error_is_told_with_every_attempt() {
    let no = Failure::new(FailureKind::Unauthorized, "no such key");
    let world = World::over(&[&down("north"), &failing("south", 99, no), &down("west")], patient()).await;
    let run = run(&world).await;
    let run = world.finished(run).await;
    assert_eq!(run.status(), RunStatus::Failed);
    // Three rounds; who refused the key is asked once.
    let ways = ways(&world).await;
    assert_eq!(names(&ways), ["north", "south", "west", "north", "west", "north", "west"]);
    assert_eq!(ways[3].1.why, Why::Again);
    let error = run.error().unwrap();
    assert_eq!(error.kind, ErrorKind::PlatformFailure);
    assert!(error.message.starts_with("north is down; attempt 1 at north: platform_failure"), "{}", error.message);
    assert!(error.message.contains("attempt 2 at south: unauthorized (no such key)"), "{}", error.message);
    assert!(error.message.ends_with("attempt 7 at west: platform_failure (west is down)"), "{}", error.message);
}

#[tokio::test]
async fn an_agent_that_names_platforms_is_asked_there_and_nowhere_else() {
    let (north, south, west) = (well("north"), down("south"), down("west"));
    let world = World::over(&[&north, &south, &west], patient()).await;
    let named = |key: &str, platform: &str, fallbacks: &[&str]| Profile {
        key: key.parse().unwrap(),
        platform: Some(platform.parse().unwrap()),
        fallback_platforms: fallbacks.iter().map(|key| key.parse().unwrap()).collect(),
        ..worker()
    };
    offer_agent(&world, named("alone", "south", &[])).await;
    let alone = run_by(&world, "alone").await;
    assert_eq!(world.finished(alone).await.status(), RunStatus::Failed);
    assert_eq!((north.calls(), south.calls(), west.calls()), (0, 3, 0));
    offer_agent(&world, named("backed", "nowhere", &["west", "north", "west"])).await;
    let backed = run_by(&world, "backed").await;
    assert_eq!(world.finished(backed).await.status(), RunStatus::Completed);
    let ways = ways(&world).await;
    let last = &ways[ways.len() - 2..];
    assert_eq!(names(last), ["west", "north"]);
    let passed_over = &last[0].1.passed_over;
    assert_eq!((passed_over[0].platform.as_str(), &*passed_over[0].reason), ("nowhere", "it is not configured"));
}

#[tokio::test]
async fn refused_content_goes_where_the_agent_says() {
    let refused = Failure::new(FailureKind::ContentRefused, "not this");
    let world = World::over(&[&failing("north", 99, refused), &well("south")], patient()).await;
    let tolerant = Profile {
        key: "tolerant".parse().unwrap(),
        platform: Some("north".parse().unwrap()),
        fallback_platforms: vec!["south".parse().unwrap()],
        ..worker()
    };
    offer_agent(&world, tolerant).await;
    let run = run_by(&world, "tolerant").await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    assert_eq!(ways(&world).await[1].1, fallback("north", ErrorKind::ContentRefused));
}

#[tokio::test]
async fn who_cannot_hold_the_request_is_passed_over_and_named() {
    let small = Simulator::builder()
        .key("small")
        .capabilities(Capabilities { max_input: Some(1), ..Capabilities::default() })
        .build();
    let world = World::over(&[&small, &well("large")], patient()).await;
    let first = run(&world).await;
    assert_eq!(world.finished(first).await.status(), RunStatus::Completed);
    let ways = ways(&world).await;
    assert_eq!((names(&ways), small.calls()), (vec!["large"], 0));
    assert!(ways[0].1.passed_over[0].reason.contains("do not fit its context of 1"), "{ways:?}");

    let world = World::over(&[&small], patient()).await;
    let run = run(&world).await;
    let run = world.finished(run).await;
    assert_eq!(run.error().unwrap().kind, ErrorKind::ContextTooLong, "{:?}", run.error());
}

#[tokio::test]
async fn an_open_breaker_is_passed_over_at_once() {
    let north = down("north");
    let breakers = BreakerOptions { threshold: 2, ..BreakerOptions::default() };
    let world = World::over(&[&north, &well("south")], breakers).await;
    world.offer(workflow(vec![step("a", &[], "'x'")])).await;
    for _ in 0..4 {
        let run = world.start_again(&"flow".parse().unwrap(), json!({})).await;
        assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    }
    let ways = ways(&world).await;
    assert_eq!(names(&ways), ["north", "south", "north", "south", "south", "south"]);
    assert_eq!(north.calls(), 2);
    let Choice { why, passed_over } = &ways[5].1;
    assert_eq!(*why, Why::First);
    assert_eq!((passed_over[0].platform.as_str(), &*passed_over[0].reason), ("north", "it is resting after failures"));
}

#[tokio::test]
async fn when_everybody_rests_the_run_waits_and_says_so() {
    let asks = Failure::new(FailureKind::RateLimited, "slow down").after(Some(Duration::from_millis(700)));
    let only = failing("north", 1, asks);
    let world = World::over(&[&only], BreakerOptions::default()).await;
    let mut once = step("a", &[], "'x'");
    edit(&mut once, |task| task.retry.max_attempts = 1);
    let first = world.start(workflow(vec![once]), json!({})).await;
    assert_eq!(world.finished(first).await.status(), RunStatus::Failed);
    let second = world.start_again(&"flow".parse().unwrap(), json!({})).await;
    world.until(|event| matches!(event, Event::Task(TaskEvent::Postponed { .. }))).await;
    let explained = world.commands.explain(second).await.unwrap();
    let Cause::Resting { passed_over, .. } = &explained.next[0] else { panic!("{explained:?}") };
    assert_eq!(passed_over[0].platform.as_str(), "north");
    assert_eq!(only.calls(), 1, "nobody is called while it rests");
    assert_eq!(world.finished(second).await.status(), RunStatus::Completed);
    assert_eq!(only.calls(), 2);
}

#[tokio::test]
async fn a_refused_key_is_told_at_once_again_when_there_is_nobody_else() {
    let only = failing("north", 99, Failure::new(FailureKind::Unauthorized, "no such key"));
    let world = World::over(&[&only], BreakerOptions::default()).await;
    world.offer(workflow(vec![step("a", &[], "'x'")])).await;
    for _ in 0..2 {
        let run = world.start_again(&"flow".parse().unwrap(), json!({})).await;
        let run = world.finished(run).await;
        assert_eq!(run.error().unwrap().message, "no such key");
    }
    assert_eq!(only.calls(), 2);
}

#[tokio::test]
async fn one_probe_goes_before_the_others() {
    // The second call is slow, so that the others come while it is under way.
    let calls = std::sync::atomic::AtomicU32::new(0);
    let only = Simulator::builder()
        .key("north")
        .latency(Duration::from_millis(150))
        .script(move |_, _| match calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Behaviour::Fail(Failure::new(FailureKind::RateLimited, "x").after(Some(Duration::from_millis(300)))),
            _ => Behaviour::Answer,
        })
        .build();
    let world = World::over(&[&only], BreakerOptions::default()).await;
    let mut patient_step = step("a", &[], "'x'");
    edit(&mut patient_step, |task| task.retry.max_attempts = 1);
    world.offer(workflow(vec![patient_step])).await;
    let key = "flow".parse().unwrap();
    let first = world.start_again(&key, json!({})).await;
    assert_eq!(world.finished(first).await.status(), RunStatus::Failed);
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(world.start_again(&key, json!({})).await);
    }
    for run in runs {
        assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    }
    assert_eq!(only.calls(), 4);
    // All three waited for the rest, two of them once more for the probe.
    assert_eq!(world.count("task.postponed").await, 5);
}

#[tokio::test]
async fn a_lost_fallback_is_asked_again_where_it_was() {
    let south = Simulator::builder()
        .key("south")
        .script(|_, call| if call == 1 { Behaviour::Hang } else { Behaviour::Answer })
        .build();
    let mut world = World::over(&[&down("north"), &south], patient()).await;
    let run = run(&world).await;
    world
        .until(|event| {
            matches!(event, Event::Task(TaskEvent::AttemptStarted { platform, .. }) if platform.as_str() == "south")
        })
        .await;
    world.kill_engine().await;
    world.start_engine_with(&[&well("north"), &south], patient());
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    let ways = ways(&world).await;
    assert_eq!(names(&ways), ["north", "south", "south"]);
    assert_eq!(ways[2].1.why, Why::Again);
}
