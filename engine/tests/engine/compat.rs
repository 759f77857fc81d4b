use commands::Difference;
use domain::run::{RunStatus, StepStatus};
use domain::workflow::{SignalWait, Work};
use providers::{Behaviour, Simulator};
use serde_json::json;

use crate::world::{World, me, name, step, workflow, working};

#[tokio::test]
async fn another_version_is_played_with_what_was_recorded() {
    let world =
        World::with(Simulator::builder().script(|request, _| Behaviour::Say(request.user.clone())).build()).await;
    let first = || vec![step("a", &[], "input.word"), step("b", &["a"], "steps.a.text")];
    let run = world.start(workflow(first()), json!({"word": "one"})).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    let key = "flow".parse().unwrap();
    let found = world.commands.check_compatibility(&key, 1, &[run]).await.unwrap();
    assert_eq!(found[0].differences, [], "its own version changes nothing");
    let calls = world.count("task.attempt_started").await;

    let mut second = first();
    crate::world::edit(&mut second[1], |task| {
        task.input.insert(name("text"), "'constant'".parse().unwrap());
    });
    let mut skipped = step("c", &["b"], "'x'");
    skipped.when = Some("`false`".parse().unwrap());
    second.extend([skipped, step("d", &["b"], "'x'")]);
    world.commands.draft_workflow(me(), workflow(second)).await.unwrap();
    let found = world.commands.check_compatibility(&key, 2, &[run]).await.unwrap();
    let differences = &found[0].differences;
    assert!(matches!(&differences[0], Difference::Parameters { step, .. } if *step == name("b")), "{differences:?}");
    assert!(differences.contains(&Difference::StepAdded { step: name("c") }), "{differences:?}");
    assert!(differences.contains(&Difference::StepAdded { step: name("d") }), "{differences:?}");
    let status = Difference::Status { was: RunStatus::Completed, would_be: RunStatus::Running };
    assert!(differences.contains(&status), "the new step has no recorded answer: {differences:?}");
    assert_eq!(world.count("task.attempt_started").await, calls, "nothing is called");

    world.commands.draft_workflow(me(), workflow(vec![step("a", &[], "input.word")])).await.unwrap();
    let found = world.commands.check_compatibility(&key, 3, &[run]).await.unwrap();
    assert!(found[0].differences.contains(&Difference::StepRemoved { step: name("b") }), "{found:?}");
    let unknown = world.commands.check_compatibility(&key, 9, &[run]).await.unwrap_err();
    assert_eq!(unknown.code(), "WORKFLOW_VERSION_UNKNOWN");
}

#[tokio::test]
async fn a_run_under_way_is_played_as_far_as_it_has_come() {
    let world = World::with(Simulator::builder().build()).await;
    let wait = |signal: &str| working("wait", &["a"], Work::Signal(SignalWait { signal: name(signal) }));
    let run = world.start(workflow(vec![step("a", &[], "'x'"), wait("go")]), json!({})).await;
    while world.run(run).await.steps()[&name("wait")].status != StepStatus::Running {
        tokio::task::yield_now().await;
    }
    let mut conditional = wait("go");
    conditional.when = Some("`false`".parse().unwrap());
    world.commands.draft_workflow(me(), workflow(vec![step("a", &[], "'x'"), conditional])).await.unwrap();
    let found = world.commands.check_compatibility(&"flow".parse().unwrap(), 2, &[run]).await.unwrap();
    let skipped =
        Difference::StepStatus { step: name("wait"), was: StepStatus::Running, would_be: StepStatus::Skipped };
    assert_eq!(found[0].differences, [skipped]);
    assert_eq!(world.run(run).await.version(), 1, "it stays on its version");
}
