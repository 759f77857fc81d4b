use domain::run::RunStatus;
use domain::task::Consumed;
use domain::{Account, Event, NanoUsd, TaskEvent, Usage};
use providers::{Behaviour, CostSource, Failure, FailureKind, Simulator};
use serde_json::json;
use std::time::Duration;

use crate::world::{World, edit, step, workflow};

fn failing(times: u32, kind: FailureKind) -> Simulator {
    Simulator::builder()
        .script(move |_, call| match call {
            call if call <= times => Behaviour::Fail(Failure::new(kind, "as scripted")),
            _ => Behaviour::Answer,
        })
        .build()
}

#[tokio::test]
async fn passing_trouble_is_tried_again() {
    let world = World::with(failing(2, FailureKind::PlatformFailure)).await;
    let run = world.start(workflow(vec![step("a", &[], "'x'")]), json!({})).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    assert_eq!(world.count("task.attempt_failed").await, 2);
    assert_eq!(world.count("task.attempt_started").await, 3);
}

/// A platform that had counted something before it broke off.
#[tokio::test]
async fn what_a_failed_attempt_had_used_is_kept_with_the_platforms_own_figures() {
    let figures = json!({ "input_tokens": 200, "cache_read_input_tokens": 1000, "output_tokens": 9 });
    let raw = figures.clone();
    let cut = move |cost, cost_source: CostSource, raw_usage| {
        let usage = providers::Usage { input: Some(1200), output: Some(9), ..Default::default() };
        let consumed =
            providers::Consumed { usage, raw_usage, text_bytes: 30, model: Some("m".to_owned()), cost, cost_source };
        let failure = Failure::new(FailureKind::MalformedReply, "the stream broke off");
        Behaviour::Fail(Failure { consumed: Some(Box::new(consumed)), ..failure })
    };
    let platform = Simulator::builder().script(move |_, call| match call {
        1 => cut(Some(7_000), CostSource::Listed { version: "2026-11-25".to_owned() }, Some(raw.clone())),
        2 => cut(None, CostSource::Unpriced, Some(json!("x".repeat(Account::MAX_BYTES)))),
        _ => Behaviour::Answer,
    });
    let world = World::with(platform.build()).await;
    let run = world.start(workflow(vec![step("a", &[], "'x'")]), json!({})).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    let mut used = Vec::new();
    for event in world.events().await {
        if let Event::Task(TaskEvent::AttemptFailed { consumed, .. }) = event {
            used.push(consumed.unwrap());
        }
    }
    let usage = Usage { input_tokens: Some(1200), output_tokens: Some(9), ..Usage::default() };
    let listed = Account { source: domain::CostSource::Listed("2026-11-25".to_owned()), usage: Some(figures) };
    // Figures that are larger than anybody's should be are not kept.
    let unpriced = Account { source: domain::CostSource::Unpriced, usage: None };
    let expected = [(Some(NanoUsd(7_000)), listed), (None, unpriced)];
    assert_eq!(used, expected.map(|(cost, account)| Consumed { usage, cost, account: Some(Box::new(account)) }));
}

#[tokio::test]
async fn an_answer_that_is_too_long_to_be_kept_is_paid_for() {
    let long = Behaviour::Say("x".repeat(domain::MAX_VALUE_BYTES + 1));
    let platform = Simulator::builder().script(move |_, call| if call == 1 { long.clone() } else { Behaviour::Answer });
    let world = World::with(platform.build()).await;
    let run = world.start(workflow(vec![step("a", &[], "'x'")]), json!({})).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    let used = world.events().await.into_iter().find_map(|event| match event {
        Event::Task(TaskEvent::AttemptFailed { consumed, .. }) => consumed,
        _ => None,
    });
    assert_eq!(used.unwrap().account.unwrap().source, domain::CostSource::Free, "the simulator costs nothing");
}

#[tokio::test]
async fn the_policy_ends_the_tries() {
    let world = World::with(failing(99, FailureKind::RateLimited)).await;
    let steps = vec![step("a", &[], "'x'"), step("b", &["a"], "'x'")];
    let run = world.start(workflow(steps), json!({})).await;
    let run = world.finished(run).await;
    assert_eq!(run.status(), RunStatus::Failed);
    assert_eq!(run.error().unwrap().message, "as scripted");
    assert_eq!(world.count("task.attempt_started").await, 3);
    assert_eq!(world.count("task.created").await, 1, "what needs the failed step never starts");
}

#[tokio::test]
async fn a_wrong_request_is_not_tried_again() {
    let world = World::with(failing(99, FailureKind::InvalidRequest)).await;
    let run = world.start(workflow(vec![step("a", &[], "'x'")]), json!({})).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Failed);
    assert_eq!(world.count("task.attempt_started").await, 1);
}

#[tokio::test]
async fn an_attempt_that_hangs_ends_at_its_timeout() {
    let hangs_once =
        Simulator::builder().script(|_, call| if call == 1 { Behaviour::Hang } else { Behaviour::Answer }).build();
    let world = World::with(hangs_once).await;
    let mut only = step("a", &[], "'x'");
    edit(&mut only, |task| task.attempt_timeout = Duration::from_millis(30));
    let run = world.start(workflow(vec![only]), json!({})).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    assert_eq!(world.count("task.attempt_failed").await, 1);
}

#[tokio::test]
async fn a_failure_lets_what_runs_beside_it_finish() {
    let one_fails = Simulator::builder()
        .latency(Duration::from_millis(20))
        .script(|request, _| match request.user.contains("bad") {
            true => Behaviour::Fail(Failure::new(FailureKind::InvalidRequest, "as scripted")),
            false => Behaviour::Answer,
        })
        .build();
    let world = World::with(one_fails).await;
    let steps = vec![step("a", &[], "'bad'"), step("b", &[], "'good'"), step("c", &["b"], "'good'")];
    let run = world.start(workflow(steps), json!({})).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Failed);
    // Which of the two answers comes first is not said; but nothing starts after the failure.
    let created = world.count("task.created").await;
    assert_eq!(world.count("task.completed").await, created - 1);
    let names = world.names().await;
    let after = names.iter().skip_while(|name| *name != "run.step_failed");
    assert!(after.clone().count() > 0);
    assert_eq!(after.filter(|name| *name == "task.created").count(), 0);
}
