//! Steps that are more than a task.

use std::collections::BTreeMap;
use std::time::Duration;

use commands::DecideApproval;
use domain::run::{RunStatus, StepStatus};
use domain::workflow::{Approval, Approver, ForEach, ParentClose, SignalWait, SubRun, Verdict, Wait, Work};
use domain::{Actor, ErrorKind, Event, RunEvent, RunId, Step};
use providers::{Behaviour, Failure, FailureKind, Simulator};
use serde_json::json;

use crate::world::{World, me, name, step, task, workflow, working};

fn echo() -> Simulator {
    Simulator::builder().script(|request, _| Behaviour::Say(request.user.clone())).build()
}

/// Fails for good whenever the prompt holds `bad`.
fn touchy() -> Simulator {
    Simulator::builder()
        .script(|request, _| match request.user.contains("bad") {
            true => Behaviour::Fail(Failure::new(FailureKind::InvalidRequest, "as scripted")),
            false => Behaviour::Say(request.user.clone()),
        })
        .build()
}

fn approval(quorum: u32) -> Approval {
    Approval {
        question: "Shall we?".into(),
        approvers: vec![Approver::Person("anna".to_owned()), Approver::Role("legal".to_owned())],
        quorum,
        content: BTreeMap::from([(name("draft"), "steps.a.text".parse().unwrap())]),
        own_run: false,
        on_rejection: Verdict::Fail,
        expires_after: None,
        on_expiry: Verdict::Fail,
    }
}

fn decision(run: RunId, approved: bool, roles: &[&str]) -> DecideApproval {
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    DecideApproval { run, step: name("ask"), approved, comment: "seen".to_owned(), content_hash: None, roles }
}

fn by(person: &str) -> commands::Request {
    commands::Request::by(Actor::person(person))
}

fn asking(approval: Approval) -> Vec<Step> {
    vec![step("a", &[], "'x'"), working("ask", &["a"], Work::Approval(approval)), step("b", &["ask"], "'y'")]
}

fn is_asked(event: &Event) -> bool {
    matches!(event, Event::Run(RunEvent::ApprovalRequested { .. }))
}

#[tokio::test]
async fn an_approval_waits_for_as_many_as_it_wants() {
    let world = World::with(echo()).await;
    let run = world.start(workflow(asking(approval(2))), json!({})).await;
    world.until(is_asked).await;
    let cause = world.commands.explain(run).await.unwrap().next;
    assert!(matches!(cause.as_slice(), [commands::Cause::Approval { quorum: 2, agreed: 0, .. }]), "{cause:?}");
    let refused = world.commands.decide_approval(by("bert"), decision(run, true, &[])).await.unwrap_err();
    assert_eq!(refused.code(), "APPROVAL_NOT_YOURS");
    let refused = world.commands.decide_approval(me(), decision(run, true, &["legal"])).await.unwrap_err();
    assert_eq!(refused.code(), "APPROVAL_OWN_RUN");
    let other = DecideApproval { content_hash: Some([0; 32]), ..decision(run, true, &[]) };
    let refused = world.commands.decide_approval(by("anna"), other).await.unwrap_err();
    assert_eq!(refused.code(), "APPROVAL_CONTENT_CHANGED");
    world.commands.decide_approval(by("anna"), decision(run, true, &[])).await.unwrap();
    let refused = world.commands.decide_approval(by("anna"), decision(run, true, &[])).await.unwrap_err();
    assert_eq!(refused.code(), "APPROVAL_REPEATED");
    world.commands.decide_approval(by("carl"), decision(run, true, &["legal"])).await.unwrap();
    let ended = world.finished(run).await;
    assert_eq!(ended.status(), RunStatus::Completed);
    let output = &ended.outputs()[&name("ask")];
    assert_eq!(output["approved"], json!(true));
    assert_eq!(output["decisions"].as_array().unwrap().len(), 2);
    assert!(output["content"]["draft"].as_str().unwrap().contains('x'));
}

#[tokio::test]
async fn a_no_ends_an_approval() {
    let world = World::with(echo()).await;
    let run = world.start(workflow(asking(approval(2))), json!({})).await;
    world.until(is_asked).await;
    world.commands.decide_approval(by("anna"), decision(run, false, &[])).await.unwrap();
    let ended = world.finished(run).await;
    assert_eq!(ended.status(), RunStatus::Failed);
    assert_eq!(ended.error().unwrap().kind, ErrorKind::Rejected);
    assert!(ended.error().unwrap().message.contains("person:anna said no: seen"), "{:?}", ended.error());
}

#[tokio::test]
async fn an_approval_that_expires_means_what_its_workflow_says() {
    let world = World::with(echo()).await;
    let expires_after = Some(Duration::from_millis(20));
    let open = Approval { expires_after, on_expiry: Verdict::Reject, ..approval(1) };
    let run = world.start(workflow(asking(open)), json!({})).await;
    let ended = world.finished(run).await;
    assert_eq!(ended.status(), RunStatus::Completed);
    assert_eq!(ended.outputs()[&name("ask")]["approved"], json!(false));
}

#[tokio::test]
async fn a_wait_goes_on_when_its_time_has_come() {
    let world = World::with(echo()).await;
    let pause = working("pause", &["a"], Work::Wait(Wait::For(Duration::from_millis(30))));
    let past = working("past", &[], Work::Wait(Wait::Until("input.when".parse().unwrap())));
    let steps = vec![step("a", &[], "'x'"), pause, past, step("b", &["pause", "past"], "'y'")];
    let run = world.start(workflow(steps), json!({"when": "2020-01-01T00:00:00Z"})).await;
    let ended = world.finished(run).await;
    assert_eq!(ended.status(), RunStatus::Completed);
    assert_eq!(ended.outputs()[&name("past")]["until"], json!("2020-01-01T00:00:00Z"));
}

#[tokio::test]
async fn signals_come_early_or_late() {
    let world = World::with(echo()).await;
    let wait = |step: &str, needs: &[&str], signal: &str| {
        working(step, needs, Work::Signal(SignalWait { signal: name(signal) }))
    };
    let steps = vec![wait("first", &[], "go"), wait("second", &["first"], "on")];
    let run = world.start(workflow(steps), json!({})).await;
    world.commands.signal_run(me(), run, name("on"), json!({"n": 2})).await.unwrap();
    world.commands.signal_run(me(), run, name("go"), json!({"n": 1})).await.unwrap();
    let ended = world.finished(run).await;
    assert_eq!(ended.status(), RunStatus::Completed);
    assert_eq!(ended.outputs()[&name("first")]["payload"], json!({"n": 1}));
    assert_eq!(ended.outputs()[&name("second")]["payload"], json!({"n": 2}));
}

#[tokio::test]
async fn a_list_is_worked_through_by_so_many_at_a_time() {
    let world = World::with(Simulator::builder().latency(Duration::from_millis(5)).build()).await;
    let each = ForEach { over: "input.words".parse().unwrap(), max_parallel: 2, each: task("item") };
    let steps = vec![working("each", &[], Work::ForEach(each)), step("b", &["each"], "steps.each.items[0].text")];
    let run = world.start(workflow(steps), json!({"words": ["a", "b", "c", "d", "e"]})).await;
    let ended = world.finished(run).await;
    assert_eq!(ended.status(), RunStatus::Completed, "{:?}", ended.error());
    assert_eq!(ended.outputs()[&name("each")]["items"].as_array().unwrap().len(), 5);
    let mut running = 0_i32;
    for event in world.names().await {
        running += i32::from(event == "run.item_started") - i32::from(event == "run.item_completed");
        assert!(running <= 2, "at most two at a time");
    }
}

#[tokio::test]
async fn an_empty_list_is_done_at_once_and_no_list_fails() {
    let world = World::with(echo()).await;
    let each = || ForEach { over: "input.words".parse().unwrap(), max_parallel: 2, each: task("item") };
    let run = world.start(workflow(vec![working("each", &[], Work::ForEach(each()))]), json!({"words": []})).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    let run = world.start_again(&"flow".parse().unwrap(), json!({"words": "none"})).await;
    let ended = world.finished(run).await;
    assert_eq!(ended.status(), RunStatus::Failed);
    assert!(ended.error().unwrap().message.contains("gives a text, but for_each needs a list"), "{:?}", ended.error());
}

#[tokio::test]
async fn an_element_that_fails_fails_its_step() {
    let world = World::with(touchy()).await;
    let each = ForEach { over: "input.words".parse().unwrap(), max_parallel: 1, each: task("item") };
    let run =
        world.start(workflow(vec![working("each", &[], Work::ForEach(each))]), json!({"words": ["a", "bad", "c"]}));
    let ended = world.finished(run.await).await;
    assert_eq!(ended.status(), RunStatus::Failed);
    assert_eq!(world.count("run.item_started").await, 2, "what comes after the failure never starts");
}

#[tokio::test]
async fn a_step_whose_condition_is_not_met_is_skipped_and_the_rest_goes_on() {
    let world = World::with(echo()).await;
    let mut maybe = step("maybe", &["a"], "'x'");
    maybe.when = Some("input.wanted".parse().unwrap());
    let steps = vec![step("a", &[], "'x'"), maybe, step("b", &["maybe"], "steps.maybe.text || 'nothing'")];
    let run = world.start(workflow(steps), json!({"wanted": false})).await;
    let ended = world.finished(run).await;
    assert_eq!(ended.status(), RunStatus::Completed);
    assert_eq!(ended.steps()[&name("maybe")].status, StepStatus::Skipped);
    assert!(ended.output().unwrap()["b"]["text"].as_str().unwrap().ends_with("nothing"));
}

fn starts(workflow: &str, wait: bool, on_parent_close: ParentClose) -> Work {
    let input = BTreeMap::from([(name("word"), "input.word".parse().unwrap())]);
    Work::Run(SubRun { workflow: workflow.parse().unwrap(), version: None, input, wait, on_parent_close })
}

#[tokio::test]
async fn a_run_can_be_a_step_of_another() {
    let world = World::with(touchy()).await;
    let mut inner = workflow(vec![step("a", &[], "input.word")]);
    inner.key = "inner".parse().unwrap();
    world.offer(inner).await;
    let steps = vec![working("sub", &[], starts("inner", true, ParentClose::Cancel)), step("b", &["sub"], "'y'")];
    let run = world.start(workflow(steps), json!({"word": "good"})).await;
    let ended = world.finished(run).await;
    assert_eq!(ended.status(), RunStatus::Completed, "{:?}", ended.error());
    assert!(ended.outputs()[&name("sub")]["output"]["a"]["text"].as_str().unwrap().ends_with("good"));
    let child = world.run(RunId::of_step(run, &name("sub"))).await;
    assert_eq!(child.parent().unwrap().run, run);
    let run = world.start_again(&"flow".parse().unwrap(), json!({"word": "bad"})).await;
    let ended = world.finished(run).await;
    assert_eq!(ended.error().unwrap().kind, ErrorKind::RunFailed);
}

#[tokio::test]
async fn a_run_that_is_not_waited_for_ends_with_its_parent_unless_it_is_abandoned() {
    for (policy, wanted) in [(ParentClose::Cancel, RunStatus::Cancelled), (ParentClose::Abandon, RunStatus::Running)] {
        let world = World::with(echo()).await;
        let wait = working("wait", &[], Work::Signal(SignalWait { signal: name("never") }));
        let mut inner = workflow(vec![wait]);
        inner.key = "inner".parse().unwrap();
        world.offer(inner).await;
        let run = world.start(workflow(vec![working("sub", &[], starts("inner", false, policy))]), json!({})).await;
        assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
        let child = RunId::of_step(run, &name("sub"));
        if policy == ParentClose::Cancel {
            world.finished(child).await;
        }
        assert_eq!(world.run(child).await.status(), wanted, "{policy:?}");
    }
}

#[tokio::test]
async fn what_had_been_done_is_undone_in_reverse_order() {
    let world = World::with(touchy()).await;
    let undoing = |name: &str, needs: &[&str]| {
        let undo = Some(Box::new(task("steps.a.text")));
        Step { compensation: undo, ..step(name, needs, "'x'") }
    };
    let steps = vec![undoing("a", &[]), undoing("b", &["a"]), step("c", &["b"], "'bad'")];
    let run = world.start(workflow(steps), json!({})).await;
    let ended = world.finished(run).await;
    assert_eq!(ended.status(), RunStatus::Failed);
    assert_eq!(ended.error().unwrap().message, "as scripted");
    let undone: Vec<String> = world
        .events()
        .await
        .into_iter()
        .filter_map(|event| match event {
            Event::Run(RunEvent::CompensationStarted { step, .. }) => Some(step.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(undone, ["b", "a"]);
    assert_eq!(world.count("run.compensation_completed").await, 2);
}

#[tokio::test]
async fn a_step_and_a_run_end_when_their_time_is_over() {
    let world = World::with(Simulator::builder().script(|_, _| Behaviour::Hang).build()).await;
    let slow = Step { timeout: Some(Duration::from_millis(20)), ..step("a", &[], "'x'") };
    let run = world.start(workflow(vec![slow]), json!({})).await;
    let ended = world.finished(run).await;
    assert_eq!((ended.status(), ended.error().unwrap().kind), (RunStatus::Failed, ErrorKind::Timeout));
    assert_eq!(world.count("task.cancelled").await, 1, "the call is cut with its step");

    let wait = working("wait", &[], Work::Signal(SignalWait { signal: name("never") }));
    let limited =
        domain::Definition { timeout: Some(Duration::from_millis(20)), ..workflow(vec![wait, step("a", &[], "'x'")]) };
    let run = world.start(limited, json!({})).await;
    let ended = world.finished(run).await;
    assert_eq!((ended.status(), ended.error().unwrap().kind), (RunStatus::Failed, ErrorKind::Timeout));
    assert_eq!(world.count("run.failing").await, 1);
}
