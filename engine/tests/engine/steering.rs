//! What people do to runs while they run and after, and limits.

use std::sync::Arc;
use std::time::Duration;

use commands::{Branch, Changes, StartRun};
use domain::hold::HoldScope;
use domain::limit::{LimitScope, LimitSettings};
use domain::run::{LineageKind, PauseClock, RunStatus, StepStatus};
use domain::slots::{Capacity, Rate};
use domain::task::Form;
use domain::workflow::{SignalWait, Wait, Work};
use domain::{Event, RunEvent, TaskEvent};
use providers::router::BreakerOptions;
use providers::{Behaviour, Failure, FailureKind, Request, Simulator};
use serde_json::json;

use crate::world::{World, me, name, step, workflow, working};

fn attempted(event: &Event) -> bool {
    matches!(event, Event::Task(TaskEvent::AttemptStarted { .. }))
}

#[tokio::test]
async fn a_paused_run_starts_nothing_until_it_is_resumed() {
    let world = World::with(Simulator::builder().latency(Duration::from_millis(20)).build()).await;
    let run = world.start(workflow(vec![step("a", &[], "'x'"), step("b", &["a"], "'x'")]), json!({})).await;
    world.until(attempted).await;
    world.commands.pause_run(me(), run, "lunch".to_owned(), PauseClock::Frozen).await.unwrap();
    world.until(|event| matches!(event, Event::Run(RunEvent::StepCompleted { .. }))).await;
    tokio::time::sleep(Duration::from_millis(40)).await;
    assert_eq!(world.count("task.created").await, 1, "the answer is recorded, and nothing follows from it");
    let cause = world.commands.explain(run).await.unwrap().next;
    assert!(matches!(cause.as_slice(), [commands::Cause::Paused { held: false, .. }]), "{cause:?}");
    world.commands.resume_run(me(), run).await.unwrap();
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    let refused = world.commands.resume_run(me(), run).await.unwrap_err();
    assert_eq!(refused.code(), "RUN_ENDED");
}

#[tokio::test]
async fn a_frozen_clock_moves_timers_by_the_length_of_the_pause() {
    for (clock, shortest) in [(PauseClock::Frozen, 150), (PauseClock::Running, 80)] {
        let world = World::with(Simulator::builder().build()).await;
        let wait = working("wait", &[], Work::Wait(Wait::For(Duration::from_millis(80))));
        let began = std::time::Instant::now();
        let run = world.start(workflow(vec![wait]), json!({})).await;
        world.until(|event| matches!(event, Event::Run(RunEvent::TimerStarted { .. }))).await;
        world.commands.pause_run(me(), run, String::new(), clock).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.commands.resume_run(me(), run).await.unwrap();
        assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
        assert!(began.elapsed() >= Duration::from_millis(shortest), "{clock:?}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_frozen_clock_moves_retries_too() {
    let fails = Simulator::builder()
        .script(|_, call| match call {
            1 => Behaviour::Fail(Failure::new(FailureKind::PlatformFailure, "as scripted")),
            _ => Behaviour::Answer,
        })
        .build();
    let world = World::with(fails).await;
    let mut only = step("a", &[], "'x'");
    crate::world::edit(&mut only, |task| {
        task.retry.first_backoff = Duration::from_secs(3600);
        task.retry.max_backoff = Duration::from_secs(3600);
    });
    let run = world.start(workflow(vec![only]), json!({})).await;
    world.until(|event| matches!(event, Event::Task(TaskEvent::AttemptFailed { .. }))).await;
    world.commands.pause_run(me(), run, String::new(), PauseClock::Frozen).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    world.commands.resume_run(me(), run).await.unwrap();
    assert_eq!(world.count("task.deferred").await, 1);
}

#[tokio::test]
async fn a_hold_pauses_what_runs_and_what_starts_until_it_is_lifted() {
    for scope in [HoldScope::Everything, HoldScope::Workflow("flow".parse().unwrap())] {
        let world = World::with(Simulator::builder().build()).await;
        let wait = working("wait", &[], Work::Signal(SignalWait { signal: name("go") }));
        let first = world.start(workflow(vec![wait]), json!({})).await;
        world.until(|event| matches!(event, Event::Run(RunEvent::SignalAwaited { .. }))).await;
        let reason = "maintenance".to_owned();
        world.commands.place_hold(me(), scope.clone(), reason, PauseClock::Frozen).await.unwrap();
        world.until(|event| matches!(event, Event::Run(RunEvent::Paused(_)))).await;
        let second = world.start_again(&"flow".parse().unwrap(), json!({})).await;
        while world.count("run.paused").await < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(world.count("run.signal_awaited").await, 1);
        world.commands.lift_hold(me(), &scope).await.unwrap();
        for run in [first, second] {
            world.commands.signal_run(me(), run, name("go"), json!(1)).await.unwrap();
            assert_eq!(world.finished(run).await.status(), RunStatus::Completed, "{scope}");
        }
        assert_eq!(world.commands.lift_hold(me(), &scope).await.unwrap_err().code(), "HOLD_NOT_PLACED");
    }
}

#[tokio::test]
async fn a_cancelled_run_gives_running_attempts_time_to_end() {
    let world = World::with(Simulator::builder().latency(Duration::from_millis(30)).build()).await;
    let run = world.start(workflow(vec![step("a", &[], "'x'"), step("b", &["a"], "'x'")]), json!({})).await;
    world.until(attempted).await;
    world.commands.cancel_run(me(), run, "enough".to_owned(), Duration::from_secs(20)).await.unwrap();
    let ended = world.finished(run).await;
    assert_eq!(ended.status(), RunStatus::Cancelled);
    assert_eq!(ended.steps()[&name("a")].status, StepStatus::Completed);
    assert_eq!(ended.steps()[&name("b")].status, StepStatus::Pending);
}

fn limit(scope: LimitScope, capacity: Capacity) -> LimitSettings {
    LimitSettings {
        key: "few".parse().unwrap(),
        description: "as few as possible".to_owned(),
        scope,
        by: None,
        capacity,
        fairness: None,
    }
}

#[tokio::test]
async fn limits_on_workflows_agents_and_platforms_hold() {
    let one = Capacity { max_running: Some(1), rate: None };
    let key = |key: &str| key.parse().unwrap();
    let scopes =
        [LimitScope::Workflow(key("flow")), LimitScope::Agent(key("worker")), LimitScope::Platform(key("simulator"))];
    for scope in scopes {
        let world = World::with(Simulator::builder().latency(Duration::from_millis(2)).build()).await;
        world.commands.set_limit(me(), limit(scope.clone(), one)).await.unwrap();
        world.settle().await;
        let steps = vec![step("a", &[], "'x'"), step("b", &[], "'x'"), step("c", &["a", "b"], "'x'")];
        let mut runs = vec![world.start(workflow(steps), json!({})).await];
        for _ in 0..9 {
            runs.push(world.start_again(&key("flow"), json!({})).await);
        }
        for run in runs {
            assert_eq!(world.finished(run).await.status(), RunStatus::Completed, "{scope}");
        }
        let (mut held, mut most) = (0_i32, 0);
        for event in world.names().await {
            held += i32::from(event == "slots.granted") - i32::from(event == "slots.released");
            most = most.max(held);
        }
        assert_eq!((held, most), (0, 1), "{scope}");
    }
}

/// The next attempt ran on the slot of the one before, which was given back under it; or waited for one that it had taken back
/// its wish for.
#[tokio::test]
async fn an_attempt_that_follows_another_needs_a_slot_of_its_own() {
    let one = Capacity { max_running: Some(1), rate: None };
    let slow = Rate { starts: 1, per: Duration::from_millis(5) };
    let patient = BreakerOptions { threshold: 1_000, ..BreakerOptions::default() };
    for (form, capacity) in [
        (Form::Text, one),
        (Form::Every, one),
        (Form::Every, Capacity { max_running: Some(1), rate: Some(slow) }),
        (Form::Every, Capacity { max_running: None, rate: Some(slow) }),
    ] {
        let failing = |_: &Request, _| Behaviour::Fail(Failure::new(FailureKind::Unreachable, "not now"));
        let away = Simulator::builder().key("away").script(failing).build();
        let there =
            Simulator::builder().latency(Duration::from_millis(1)).script(|_, _| Behaviour::Say("so".to_owned()));
        let mut world = World::without_engine().await;
        world.commands.set_limit(me(), limit(LimitScope::Agent("worker".parse().unwrap()), capacity)).await.unwrap();
        let steps = vec![step("a", &[], "'x'"), step("b", &[], "'y'"), step("c", &["a", "b"], "'z'")];
        world.offer(workflow(steps)).await;
        world.start_engine_on(vec![Arc::new(away), Arc::new(there.build())], patient);
        let mut runs = Vec::new();
        for _ in 0..2 {
            let start = StartRun { form: Some(form), ..StartRun::new("flow".parse().unwrap(), json!({})) };
            runs.push(world.commands.start_run(me(), start).await.unwrap().run);
        }
        for run in runs {
            let ended = tokio::time::timeout(Duration::from_secs(20), world.finished(run)).await;
            assert_eq!(ended.expect("it comes to an end").status(), RunStatus::Completed);
        }
        let (mut held, mut running) = (0_i32, 0_i32);
        for name in world.names().await {
            held += i32::from(name == "slots.granted") - i32::from(name == "slots.released");
            let ends = ["task.attempt_succeeded", "task.attempt_failed"].contains(&name.as_str());
            running += i32::from(name == "task.attempt_started") - i32::from(ends);
            if capacity.max_running.is_some() {
                assert!(running <= 1, "{form:?} {capacity:?}");
            }
        }
        assert_eq!((held, running), (0, 0), "{form:?} {capacity:?}");
    }
}

#[tokio::test]
async fn a_rate_lets_so_many_start_within_a_time() {
    let world = World::with(Simulator::builder().build()).await;
    let rate = Some(Rate { starts: 2, per: Duration::from_millis(60) });
    let scope = LimitScope::Workflow("flow".parse().unwrap());
    world.commands.set_limit(me(), limit(scope, Capacity { max_running: None, rate })).await.unwrap();
    world.settle().await;
    let began = std::time::Instant::now();
    let mut runs = vec![world.start(workflow(vec![step("a", &[], "'x'")]), json!({})).await];
    for _ in 0..4 {
        runs.push(world.start_again(&"flow".parse().unwrap(), json!({})).await);
    }
    for run in runs {
        assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    }
    assert!(began.elapsed() >= Duration::from_millis(120), "five starts need three windows: {:?}", began.elapsed());
}

#[tokio::test]
async fn who_waits_for_a_limit_is_told_so_and_goes_on_when_it_is_removed() {
    let world = World::with(Simulator::builder().build()).await;
    let one = Capacity { max_running: Some(1), rate: None };
    world.commands.set_limit(me(), limit(LimitScope::Workflow("flow".parse().unwrap()), one)).await.unwrap();
    world.settle().await;
    let wait = working("wait", &[], Work::Signal(SignalWait { signal: name("go") }));
    let first = world.start(workflow(vec![wait]), json!({})).await;
    let second = world.start_again(&"flow".parse().unwrap(), json!({})).await;
    while world.count("run.queued").await < 2 {
        tokio::task::yield_now().await;
    }
    let waits = [world.commands.explain(first).await.unwrap(), world.commands.explain(second).await.unwrap()];
    let told = |cause: &commands::Cause| matches!(cause, commands::Cause::Limit { holders, .. } if holders.len() == 1);
    assert_eq!(waits.iter().filter(|waits| waits.next.iter().any(told)).count(), 1, "{waits:?}");
    world.commands.remove_limit(me(), &"few".parse().unwrap(), "not needed".to_owned()).await.unwrap();
    for run in [first, second] {
        world.commands.signal_run(me(), run, name("go"), json!(1)).await.unwrap();
        assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    }
}

#[tokio::test]
async fn a_failed_run_is_retried_from_where_it_failed() {
    let fails_once = Simulator::builder()
        .script(|request, call| match request.user.contains("bad") && call <= 1 {
            true => Behaviour::Fail(Failure::new(FailureKind::InvalidRequest, "as scripted")),
            false => Behaviour::Say(request.user.clone()),
        })
        .build();
    let world = World::with(fails_once).await;
    let steps = vec![step("a", &[], "'x'"), step("b", &["a"], "'bad'"), step("c", &["a", "b"], "steps.a.text")];
    let failed = world.start(workflow(steps), json!({})).await;
    assert_eq!(world.finished(failed).await.status(), RunStatus::Failed);
    let retried = world.commands.branch_run(me(), failed, Branch::Retry, Changes::default()).await.unwrap().run;
    let ended = world.finished(retried).await;
    assert_eq!(ended.status(), RunStatus::Completed, "{:?}", ended.error());
    let lineage = ended.lineage().unwrap();
    assert_eq!((lineage.run, lineage.kind, lineage.kept.clone()), (failed, LineageKind::Retry, vec![name("a")]));
    assert!(ended.output().unwrap()["c"]["text"].as_str().unwrap().ends_with("Say: x"), "what was kept is there");
    assert_eq!(world.count("task.created").await, 2 + 2, "the first step is not done again");
    let refused = world.commands.branch_run(me(), retried, Branch::Retry, Changes::default()).await.unwrap_err();
    assert_eq!(refused.code(), "RUN_NOT_RETRYABLE");
}

#[tokio::test]
async fn a_run_is_done_again_from_a_step_or_branches_off_an_event() {
    let world =
        World::with(Simulator::builder().script(|request, _| Behaviour::Say(request.user.clone())).build()).await;
    let steps = vec![
        step("a", &[], "input.word"),
        step("b", &["a"], "steps.a.text"),
        step("c", &["b"], "join(' ', [steps.b.text, input.word])"),
    ];
    let first = world.start(workflow(steps), json!({"word": "one"})).await;
    let original = world.finished(first).await;
    let rerun = Branch::Rerun { from: vec![name("b")] };
    let changes = Changes { input: Some(json!({"word": "two"})), ..Changes::default() };
    let again = world.commands.branch_run(me(), first, rerun, changes.clone()).await.unwrap().run;
    let ended = world.finished(again).await;
    assert_eq!(ended.outputs()[&name("a")], original.outputs()[&name("a")]);
    assert!(ended.output().unwrap()["c"]["text"].as_str().unwrap().ends_with("two"));
    // A branch of a branch, off the event that started it: only what had been kept then is kept.
    let fork = world.commands.branch_run(me(), again, Branch::Fork { revision: 0 }, changes).await.unwrap().run;
    let ended = world.finished(fork).await;
    assert_eq!(ended.status(), RunStatus::Completed);
    assert_eq!(ended.lineage().unwrap().kept, [name("a")]);
    assert_eq!(ended.outputs()[&name("a")], original.outputs()[&name("a")]);
    let unknown = Branch::Fork { revision: 99 };
    let refused = world.commands.branch_run(me(), first, unknown, Changes::default()).await.unwrap_err();
    assert_eq!(refused.code(), "REVISION_UNKNOWN");
}

#[tokio::test]
async fn the_same_idempotency_key_is_the_same_run() {
    let world = World::with(Simulator::builder().build()).await;
    world.offer(workflow(vec![step("a", &[], "'x'")])).await;
    let start = |word: &str| commands::StartRun {
        idempotency_key: Some("order-7".to_owned()),
        ..commands::StartRun::new("flow".parse().unwrap(), json!({ "word": word }))
    };
    let first = world.commands.start_run(me(), start("one")).await.unwrap();
    world.finished(first.run).await;
    let second = world.commands.start_run(me(), start("one")).await.unwrap();
    assert_eq!((second.run, second.outcome.repeated), (first.run, true));
    assert_eq!(world.commands.start_run(me(), start("two")).await.unwrap_err().code(), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(world.count("run.started").await, 1);
}

#[tokio::test]
async fn a_start_and_its_first_steps_are_one_append_where_the_engine_is() {
    let world = World::together(Simulator::builder().build()).await;
    let run = world.start(workflow(vec![step("a", &[], "'x'")]), json!({})).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    let page = world.journal.read_all(journal::Position::START, &journal::Filter::default(), 1000).await.unwrap();
    let of = |name: &str| page.events.iter().rfind(|event| event.event_type == name).unwrap().metadata.command;
    assert_eq!(of("run.started"), of("task.attempt_started"));
    assert_ne!(of("run.started"), of("task.completed"));
}
