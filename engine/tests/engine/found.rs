//! What the simulation found wrong, each as small as it can be made with one node; docs/reliability.md has the list.

use std::collections::BTreeMap;
use std::time::Duration;

use commands::Request;
use domain::limit::{LimitScope, LimitSettings};
use domain::run::{PauseClock, RunStatus};
use domain::slots::Capacity;
use domain::workflow::{ParentClose, SignalWait, SubRun, Work};
use domain::{CommandId, Definition, ErrorKind, Event, LimitId, RunEvent, Slots, SlotsId, TaskEvent};
use providers::{Behaviour, Simulator};
use serde_json::json;

use crate::world::{World, me, name, step, workflow, working};

fn one(key: &str, scope: LimitScope) -> LimitSettings {
    LimitSettings {
        key: key.parse().unwrap(),
        description: String::new(),
        scope,
        by: None,
        capacity: Capacity { max_running: Some(1), rate: None },
        fairness: None,
    }
}

#[tokio::test]
async fn a_run_that_waits_for_a_limit_fails_when_its_time_is_over() {
    let world = World::with(Simulator::builder().build()).await;
    let scope = LimitScope::Workflow("flow".parse().unwrap());
    world.commands.set_limit(me(), one("few", scope)).await.unwrap();
    world.settle().await;
    let wait = || working("wait", &[], Work::Signal(SignalWait { signal: name("go") }));
    let first = world.start(workflow(vec![wait()]), json!({})).await;
    world.until(|event| matches!(event, Event::Run(RunEvent::SignalAwaited { .. }))).await;
    let short = Definition { timeout: Some(Duration::from_millis(30)), ..workflow(vec![wait()]) };
    let second = world.start(short, json!({})).await;
    let ended = world.finished(second).await;
    assert_eq!((ended.status(), ended.error().unwrap().kind), (RunStatus::Failed, ErrorKind::Timeout));
    world.commands.signal_run(me(), first, name("go"), json!(1)).await.unwrap();
    assert_eq!(world.finished(first).await.status(), RunStatus::Completed);
    assert_eq!(world.count("slots.requested").await, world.count("slots.released").await, "nobody waits any more");
}

#[tokio::test]
async fn a_step_fails_when_the_run_that_it_does_not_wait_for_cannot_begin() {
    let world = World::with(Simulator::builder().build()).await;
    let nowhere = SubRun {
        workflow: "nowhere".parse().unwrap(),
        version: None,
        input: BTreeMap::new(),
        wait: false,
        on_parent_close: ParentClose::Abandon,
    };
    let run = world.start(workflow(vec![working("sub", &[], Work::Run(nowhere))]), json!({})).await;
    let ended = world.finished(run).await;
    assert_eq!(ended.status(), RunStatus::Failed);
    assert!(ended.error().unwrap().message.contains("there is no workflow `nowhere`"), "{:?}", ended.error());
}

#[tokio::test]
async fn a_repeated_resume_gets_the_first_answer() {
    let world = World::with(Simulator::builder().build()).await;
    let wait = working("wait", &[], Work::Signal(SignalWait { signal: name("go") }));
    let run = world.start(workflow(vec![wait]), json!({})).await;
    world.until(|event| matches!(event, Event::Run(RunEvent::SignalAwaited { .. }))).await;
    world.commands.pause_run(me(), run, String::new(), PauseClock::Frozen).await.unwrap();
    let again = || Request { command: Some(CommandId::from_uuid(uuid::Uuid::from_u128(7))), ..me() };
    let first = world.commands.resume_run(again(), run).await.unwrap();
    let second = world.commands.resume_run(again(), run).await.unwrap();
    assert_eq!((first.repeated, second.repeated), (false, true));
    assert_eq!((first.revision, first.position), (second.revision, second.position));
    assert_eq!(world.count("run.resumed").await, 1);
}

#[tokio::test]
async fn a_task_leaves_the_queue_of_a_limit_that_does_not_concern_it_any_more() {
    let world = World::with(Simulator::builder().script(|_, _| Behaviour::Hang).build()).await;
    let agent = LimitScope::Agent("worker".parse().unwrap());
    let platform = LimitScope::Platform("simulator".parse().unwrap());
    world.commands.set_limit(me(), one("few", agent.clone())).await.unwrap();
    world.offer(workflow(vec![step("a", &[], "'x'")])).await;
    let key = "flow".parse().unwrap();
    let first = world.start_again(&key, json!({})).await;
    world.until(|event| matches!(event, Event::Task(TaskEvent::AttemptStarted { .. }))).await;
    let second = world.start_again(&key, json!({})).await;
    while world.count("task.queued").await < 2 {
        tokio::task::yield_now().await;
    }
    // The same limit counts something else from now on, which nobody has yet.
    world.commands.set_limit(me(), one("few", platform.clone())).await.unwrap();
    while world.count("task.attempt_started").await < 2 {
        tokio::task::yield_now().await;
    }
    for run in [first, second] {
        world.commands.cancel_run(me(), run, "enough".to_owned(), Duration::ZERO).await.unwrap();
        assert_eq!(world.finished(run).await.status(), RunStatus::Cancelled);
    }
    for scope in [agent, platform] {
        let id = SlotsId::of(LimitId::from_key(&"few".parse().unwrap()), &scope, None);
        let slots = world.commands.executor().load::<Slots>(id.into()).await.unwrap().state;
        assert_eq!((slots.holders().len(), slots.waiting().len()), (0, 0), "{scope}");
    }
}
