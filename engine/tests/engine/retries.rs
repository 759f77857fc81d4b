use domain::run::RunStatus;
use providers::{Behaviour, Failure, FailureKind, Simulator};
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
    assert_eq!(world.count("task.completed").await, 1);
    assert_eq!(world.count("task.created").await, 2);
}
