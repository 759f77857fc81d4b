use domain::run::{RunStatus, StepStatus};
use domain::{Event, TaskEvent};
use providers::{Behaviour, Simulator};
use serde_json::json;

use std::time::Duration;

use crate::world::{World, me, name, step, workflow};

#[tokio::test]
async fn a_cancelled_run_stops_at_once() {
    let world = World::with(Simulator::builder().script(|_, _| Behaviour::Hang).build()).await;
    let steps = vec![step("a", &[], "'x'"), step("b", &["a"], "'x'")];
    let run = world.start(workflow(steps), json!({})).await;
    world.until(|event| matches!(event, Event::Task(TaskEvent::AttemptStarted { .. }))).await;
    world.commands.cancel_run(me(), run, "changed my mind".to_owned(), Duration::ZERO).await.unwrap();
    let ended = world.finished(run).await;
    assert_eq!(ended.status(), RunStatus::Cancelled);
    assert_eq!(ended.steps()[&name("a")].status, StepStatus::Cancelled);
    assert_eq!(ended.steps()[&name("b")].status, StepStatus::Pending);
    assert_eq!(world.count("task.cancelled").await, 1);
    let refused = world.commands.cancel_run(me(), run, "again".to_owned(), Duration::ZERO).await.unwrap_err();
    assert_eq!(refused.code(), "RUN_ENDED");
}

#[tokio::test]
async fn explain_names_what_a_run_waits_for() {
    let world = World::with(Simulator::builder().script(|_, _| Behaviour::Hang).build()).await;
    let steps = vec![step("a", &[], "'x'"), step("b", &["a"], "'x'")];
    let run = world.start(workflow(steps), json!({})).await;
    world.until(|event| matches!(event, Event::Task(TaskEvent::AttemptStarted { .. }))).await;
    let explanation = world.commands.explain(run).await.unwrap();
    assert!(matches!(explanation.next.as_slice(), [commands::Cause::Attempt { attempt: 1, .. }]), "{explanation:?}");
    assert_eq!(explanation.steps[1].cause, commands::Cause::Needs { steps: vec![name("a")] });
}
