use domain::run::RunStatus;
use providers::{Behaviour, Simulator};
use serde_json::json;
use std::time::Duration;

use crate::world::{World, name, step, workflow};

#[tokio::test]
async fn a_chain_runs_in_order_and_passes_outputs_on() {
    let world =
        World::with(Simulator::builder().script(|request, _| Behaviour::Say(request.user.clone())).build()).await;
    let steps =
        vec![step("a", &[], "input.word"), step("b", &["a"], "steps.a.text"), step("c", &["b"], "steps.b.text")];
    let run = world.start(workflow(steps), json!({"word": "hello"})).await;
    let run = world.finished(run).await;
    assert_eq!(run.status(), RunStatus::Completed);
    let text = run.output().unwrap()["c"]["text"].as_str().unwrap().to_owned();
    assert_eq!(text.matches("Say: ").count(), 3, "{text}");
    assert!(text.ends_with("hello"), "{text}");
    assert!(run.simulated());
}

#[tokio::test]
async fn one_step_is_one_append() {
    let world = World::with(Simulator::builder().build()).await;
    let steps = vec![step("a", &[], "'x'"), step("b", &["a"], "'x'"), step("c", &["b"], "'x'")];
    let run = world.start(workflow(steps), json!({})).await;
    world.finished(run).await;
    let page = world.journal.read_all(journal::Position::START, &journal::Filter::default(), 1000).await.unwrap();
    let mut appends: Vec<_> = page
        .events
        .iter()
        .filter(|event| event.metadata.actor == domain::Actor::system("engine"))
        .map(|event| event.metadata.command)
        .collect();
    appends.dedup();
    // The claim starts the first step; each settled step starts the next; the last one ends the run.
    assert_eq!(appends.len(), 1 + 3, "{page:#?}");
}

#[tokio::test]
async fn independent_steps_run_at_the_same_time() {
    let world = World::with(Simulator::builder().latency(Duration::from_millis(20)).build()).await;
    let last = step("d", &["a", "b", "c"], "steps.a.text");
    let steps = vec![step("a", &[], "'x'"), step("b", &[], "'x'"), step("c", &[], "'x'"), last];
    let run = world.start(workflow(steps), json!({})).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    let names = world.names().await;
    let started: Vec<usize> = places(&names, "task.attempt_started");
    let succeeded: Vec<usize> = places(&names, "task.attempt_succeeded");
    assert!(started[2] < succeeded[0], "all three are asked before the first has answered: {names:?}");
    assert!(started[3] > succeeded[2], "the last waits for all three: {names:?}");
}

fn places(names: &[String], wanted: &str) -> Vec<usize> {
    names.iter().enumerate().filter(|(_, name)| *name == wanted).map(|(place, _)| place).collect()
}

#[tokio::test]
async fn a_failing_expression_fails_its_step_and_the_run() {
    let world = World::with(Simulator::builder().build()).await;
    let steps = vec![step("a", &[], "abs(input.word)")];
    let run = world.start(workflow(steps), json!({"word": "not a number"})).await;
    let run = world.finished(run).await;
    assert_eq!(run.status(), RunStatus::Failed);
    assert!(run.error().unwrap().message.contains("abs"), "{:?}", run.error());
}

#[tokio::test]
async fn a_missing_parameter_fails_the_step_without_a_call() {
    let world = World::with(Simulator::builder().build()).await;
    let run = world.start(workflow(vec![step("a", &[], "input.nothing")]), json!({})).await;
    let run = world.finished(run).await;
    assert_eq!(run.status(), RunStatus::Failed);
    assert!(run.error().unwrap().message.contains("text"), "{:?}", run.error());
    assert_eq!(world.count("task.attempt_started").await, 0);
}

#[tokio::test]
async fn a_hundred_runs_at_once_all_finish() {
    let world = World::with(Simulator::builder().build()).await;
    let steps = vec![step("a", &[], "'x'"), step("b", &[], "'x'"), step("c", &["a", "b"], "steps.a.text")];
    let first = world.start(workflow(steps), json!({})).await;
    let mut runs = vec![first];
    for _ in 1..100 {
        runs.push(world.start_again(&"flow".parse().unwrap(), json!({})).await);
    }
    for run in runs {
        assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    }
    assert_eq!(world.count("task.completed").await, 300);
}

#[tokio::test]
async fn an_answer_of_json_can_be_taken_apart() {
    let world = World::with(Simulator::builder().echo_json().build()).await;
    let mut only = step("a", &[], "'x'");
    only.output = [(name("asked"), "result.json.user".parse().unwrap())].into();
    let run = world.start(workflow(vec![only]), json!({})).await;
    let run = world.finished(run).await;
    assert_eq!(*run.outputs()[&name("a")], json!({"asked": "Say: x"}));
}

#[tokio::test]
async fn an_output_that_grows_too_large_fails_its_step() {
    let half = "x".repeat(300_000);
    let world = World::with(Simulator::builder().script(move |_, _| Behaviour::Say(half.clone())).build()).await;
    let mut only = step("a", &[], "'x'");
    only.output = [(name("twice"), "[result.text, result.text]".parse().unwrap())].into();
    let run = world.start(workflow(vec![only]), json!({})).await;
    let run = world.finished(run).await;
    assert_eq!(run.status(), RunStatus::Failed);
    assert!(run.error().unwrap().message.contains("more than 524288 bytes"), "{:?}", run.error());
}
