use std::sync::{Arc, Mutex};

use domain::run::RunStatus;
use domain::{Event, NodeId, Run, RunCommand, TaskEvent};
use providers::{Behaviour, Failure, FailureKind, Simulator};
use serde_json::json;
use uuid::Uuid;

use crate::world::{World, edit, me, step, workflow};

fn hanging() -> Simulator {
    Simulator::builder().script(|_, _| Behaviour::Hang).build()
}

#[tokio::test]
async fn a_killed_engine_leaves_a_lost_attempt_and_the_next_goes_on() {
    let mut world = World::with(hanging()).await;
    let steps = vec![step("a", &[], "'x'"), step("b", &["a"], "'x'")];
    let run = world.start(workflow(steps), json!({})).await;
    world.until(|event| matches!(event, Event::Task(TaskEvent::AttemptStarted { .. }))).await;
    world.kill_engine().await;
    world.start_engine(Arc::new(Simulator::builder().build()));
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    assert_eq!(world.count("task.attempt_lost").await, 1);
    assert_eq!(world.count("task.created").await, 2);
    assert_eq!(world.count("run.claimed").await, 2);
}

#[tokio::test]
async fn a_stopped_engine_records_the_open_attempt_and_the_next_goes_on_at_once() {
    let mut world = World::with(hanging()).await;
    let mut only = step("a", &[], "'x'");
    edit(&mut only, |task| task.retry.max_attempts = 1);
    let run = world.start(workflow(vec![only]), json!({})).await;
    for _ in 0..3 {
        let started = world.count("task.attempt_started").await;
        if started == 0 {
            world.until(|event| matches!(event, Event::Task(TaskEvent::AttemptStarted { .. }))).await;
        }
        world.stop_engine().await;
        world.start_engine(Arc::new(hanging()));
        let wanted = world.count("task.attempt_failed").await + 1;
        while world.count("task.attempt_started").await < wanted {
            tokio::task::yield_now().await;
        }
    }
    world.stop_engine().await;
    world.start_engine(Arc::new(Simulator::builder().build()));
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed, "interruptions do not use up the policy");
    assert_eq!(world.count("task.attempt_lost").await, 0);
}

#[tokio::test]
async fn an_engine_takes_up_runs_that_were_started_while_none_was_there() {
    let mut world = World::with(Simulator::builder().build()).await;
    world.stop_engine().await;
    let run = world.start(workflow(vec![step("a", &[], "'x'")]), json!({})).await;
    world.start_engine(Arc::new(Simulator::builder().build()));
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
}

#[tokio::test]
async fn a_replaced_owner_is_refused() {
    let world = World::with(hanging()).await;
    let run = world.start(workflow(vec![step("a", &[], "'x'")]), json!({})).await;
    world.until(|event| matches!(event, Event::Task(TaskEvent::AttemptStarted { .. }))).await;
    let other = NodeId::from_uuid(Uuid::now_v7());
    world.join(other);
    let executor = world.commands.executor();
    let context = journal::Context {
        command: domain::CommandId::from_uuid(Uuid::now_v7()),
        at: commands::now(),
        actor: me().actor,
        tenant: "default".to_owned(),
        correlation: Uuid::now_v7(),
        causation: None,
        subject: None,
        keeping: None,
    };
    executor.execute::<Run>(run.into(), RunCommand::Claim { node: other }, context, false).await.unwrap();
    // The first owner sees the claim and lets go: it records nothing more.
    world.commands.cancel_run(me(), run, "to see who reacts".to_owned(), std::time::Duration::ZERO).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let state = world.run(run).await;
    assert_eq!(state.status(), RunStatus::Cancelling);
    assert_eq!(state.lease().unwrap().node, other);
}

#[tokio::test]
async fn what_was_lost_is_asked_for_by_the_same_token_and_nothing_else_is() {
    type Tokens = Arc<Mutex<Vec<Option<[u8; 16]>>>>;
    let tokens = Tokens::default();
    let platform = |then: Behaviour| {
        let (tokens, failed) = (Arc::clone(&tokens), Mutex::new(false));
        let script = move |request: &providers::Request, _| {
            tokens.lock().unwrap().push(request.token);
            // A failure comes once, and then an answer.
            let mut failed = failed.lock().unwrap();
            let again = std::mem::replace(&mut *failed, matches!(then, Behaviour::Fail(_)));
            if again { Behaviour::Answer } else { then.clone() }
        };
        Simulator::builder().script(script).build()
    };
    let mut world = World::with(platform(Behaviour::Hang)).await;
    let mut only = step("a", &[], "'x'");
    edit(&mut only, |task| task.retry.max_attempts = 5);
    let run = world.start(workflow(vec![only]), json!({})).await;
    let asked = |count: usize| {
        let tokens = Arc::clone(&tokens);
        async move {
            while tokens.lock().unwrap().len() < count {
                tokio::task::yield_now().await;
            }
        }
    };
    asked(1).await;
    world.kill_engine().await;
    world.start_engine(Arc::new(platform(Behaviour::Hang)));
    asked(2).await;
    world.kill_engine().await;
    let failure = Failure::new(FailureKind::PlatformFailure, "it broke");
    world.start_engine(Arc::new(platform(Behaviour::Fail(failure))));
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    assert_eq!(world.count("task.attempt_lost").await, 2);
    let other = world.start_again(&"flow".parse().unwrap(), json!({})).await;
    assert_eq!(world.finished(other).await.status(), RunStatus::Completed);
    let tokens = tokens.lock().unwrap().clone();
    assert_eq!(tokens.len(), 5, "{tokens:?}");
    assert!(tokens[0].is_some() && tokens[0] == tokens[1] && tokens[1] == tokens[2], "{tokens:?}");
    assert!(tokens[3] != tokens[2] && tokens[4] != tokens[2] && tokens[3] != tokens[4], "{tokens:?}");
}
