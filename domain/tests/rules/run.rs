use std::sync::Arc;

use cqrs_es::test::TestFramework;
use domain::run::{RunStatus, StepStatus};
use domain::{
    Definition, ErrorKind, NodeId, Refusal, Run, RunCommand, RunEvent, RunId, RunRefusal, Step, TaskId, WorkflowId,
};
use serde_json::{Value, json};

use super::drive::Driven;
use super::fixtures::{definition, diamond, error, mapping, name, output, result, step, uuid};

fn id() -> RunId {
    RunId::from_uuid(uuid(1))
}

fn start(definition: Definition) -> RunCommand {
    RunCommand::Start {
        id: id(),
        workflow: WorkflowId::from_uuid(uuid(2)),
        version: 3,
        definition: Arc::new(definition),
        input: Arc::new(json!({ "topic": "moon" })),
    }
}

fn started(definition: Definition) -> RunEvent {
    RunEvent::Started {
        id: id(),
        workflow: WorkflowId::from_uuid(uuid(2)),
        version: 3,
        definition: Arc::new(definition),
        input: Arc::new(json!({ "topic": "moon" })),
    }
}

fn step_started(called: &str) -> RunEvent {
    RunEvent::StepStarted { step: name(called), task: TaskId::of_step(id(), &name(called)) }
}

fn complete(called: &str) -> RunCommand {
    RunCommand::CompleteStep { step: name(called), result: result(called), simulated: false }
}

fn step_completed(called: &str) -> RunEvent {
    RunEvent::StepCompleted { step: name(called), output: output(called), simulated: false }
}

fn fail(called: &str) -> RunCommand {
    RunCommand::FailStep { step: name(called), error: error(ErrorKind::Timeout) }
}

fn step_failed(called: &str) -> RunEvent {
    RunEvent::StepFailed { step: name(called), error: error(ErrorKind::Timeout) }
}

fn failed(called: &str) -> RunEvent {
    RunEvent::Failed { step: Some(name(called)), error: error(ErrorKind::Timeout) }
}

fn completed(output: Value) -> RunEvent {
    RunEvent::Completed { output: Arc::new(output), simulated: false }
}

fn request_cancel() -> RunCommand {
    RunCommand::RequestCancel { reason: "enough".to_owned() }
}

fn cancel_requested() -> RunEvent {
    RunEvent::CancelRequested { reason: "enough".to_owned() }
}

fn cancelled() -> RunEvent {
    RunEvent::Cancelled { reason: "enough".to_owned() }
}

fn claim(node: u128) -> RunCommand {
    RunCommand::Claim { node: NodeId::from_uuid(uuid(node)) }
}

fn claimed(node: u128, epoch: u64) -> RunEvent {
    RunEvent::Claimed { node: NodeId::from_uuid(uuid(node)), epoch }
}

/// The diamond with its first two steps running.
fn under_way() -> Vec<RunEvent> {
    vec![started(diamond()), step_started("a"), step_started("b")]
}

fn given(events: Vec<RunEvent>) -> cqrs_es::test::AggregateTestExecutor<Run> {
    TestFramework::with(()).given(events)
}

#[test]
fn it_starts_once() {
    given(vec![]).when(start(diamond())).then_expect_events(vec![started(diamond())]);
    given(vec![started(diamond())]).when(start(diamond())).then_expect_error(RunRefusal::AlreadyStarted);
    given(vec![started(diamond()), cancel_requested(), cancelled()])
        .when(start(diamond()))
        .then_expect_error(RunRefusal::AlreadyStarted);
}

fn all_but_start() -> Vec<RunCommand> {
    vec![claim(5), RunCommand::Advance, complete("a"), fail("a"), request_cancel(), RunCommand::FinishCancel]
}

#[test]
fn nothing_can_be_asked_of_a_run_that_does_not_exist() {
    for command in all_but_start() {
        given(vec![]).when(command).then_expect_error(RunRefusal::NotFound);
    }
}

#[test]
fn nothing_can_be_asked_of_a_run_that_has_ended() {
    let all_done = vec![step_completed("a"), step_completed("b"), step_started("c"), step_completed("c")];
    let ends = [
        (RunStatus::Completed, [under_way(), all_done, vec![completed(json!({}))]].concat()),
        (RunStatus::Failed, [under_way(), vec![step_failed("a"), step_completed("b"), failed("a")]].concat()),
        (RunStatus::Cancelled, [under_way(), vec![cancel_requested(), cancelled()]].concat()),
    ];
    for (status, history) in ends {
        for command in all_but_start() {
            given(history.clone()).when(command).then_expect_error(RunRefusal::Ended { status });
        }
    }
}

#[test]
fn claims_are_counted() {
    given(vec![started(diamond())]).when(claim(5)).then_expect_events(vec![claimed(5, 1)]);
    given(vec![started(diamond()), claimed(5, 1)]).when(claim(6)).then_expect_events(vec![claimed(6, 2)]);
    // The same node after a pause: whatever it held before is over.
    given(vec![started(diamond()), claimed(5, 1)]).when(claim(5)).then_expect_events(vec![claimed(5, 2)]);
}

#[test]
fn everything_that_can_start_starts_at_once() {
    given(vec![started(diamond())])
        .when(RunCommand::Advance)
        .then_expect_events(vec![step_started("a"), step_started("b")]);
    given(under_way()).when(RunCommand::Advance).then_expect_events(vec![]);
}

#[test]
fn a_completed_step_starts_those_that_waited_for_it() {
    given(under_way()).when(complete("a")).then_expect_events(vec![step_completed("a")]);
    given(under_way())
        .and(vec![step_completed("a")])
        .when(complete("b"))
        .then_expect_events(vec![step_completed("b"), step_started("c")]);
}

#[test]
fn the_last_step_completes_the_run() {
    given(under_way())
        .and(vec![step_completed("a"), step_completed("b"), step_started("c")])
        .when(complete("c"))
        .then_expect_events(vec![step_completed("c"), completed(json!({ "c": { "text": "c" } }))]);
}

#[test]
fn without_a_mapping_the_output_holds_every_step_that_nobody_needs() {
    let mut run = Driven::<Run>::new();
    let steps = vec![step("a", &[]), step("b", &["a"]), step("z", &[])];
    for command in [start(definition(steps)), RunCommand::Advance, complete("z"), complete("a"), complete("b")] {
        run.ask(command).unwrap();
    }
    assert_eq!(**run.state.output().unwrap(), json!({ "b": { "text": "b" }, "z": { "text": "z" } }));
}

#[test]
fn simulation_anywhere_marks_the_whole_run() {
    let mut run = Driven::<Run>::new();
    run.ask(start(diamond())).unwrap();
    run.ask(RunCommand::Advance).unwrap();
    run.ask(RunCommand::CompleteStep { step: name("a"), result: result("a"), simulated: true }).unwrap();
    run.ask(complete("b")).unwrap();
    let end = run.ask(complete("c")).unwrap();
    assert!(matches!(end.last(), Some(RunEvent::Completed { simulated: true, .. })));
    assert!(run.state.simulated());
}

#[test]
fn after_a_failure_nothing_new_starts_and_the_run_fails_when_all_is_quiet() {
    given(under_way()).when(fail("a")).then_expect_events(vec![step_failed("a")]);
    given(under_way())
        .and(vec![step_failed("a")])
        .when(complete("b"))
        .then_expect_events(vec![step_completed("b"), failed("a")]);
    // The first failure is the run's.
    let second = RunCommand::FailStep { step: name("b"), error: error(ErrorKind::Unauthorized) };
    let second_failed = RunEvent::StepFailed { step: name("b"), error: error(ErrorKind::Unauthorized) };
    given(under_way()).and(vec![step_failed("a")]).when(second).then_expect_events(vec![second_failed, failed("a")]);
}

#[test]
fn a_step_that_is_not_running_takes_no_result() {
    let refusal = |called| RunRefusal::StepNotRunning { step: name(called) };
    for called in ["c", "unknown"] {
        given(under_way()).when(complete(called)).then_expect_error(refusal(called));
        given(under_way()).when(fail(called)).then_expect_error(refusal(called));
    }
    for settled in [step_completed("a"), step_failed("a"), RunEvent::StepCancelled { step: name("a") }] {
        given(under_way()).and(vec![settled.clone()]).when(complete("a")).then_expect_error(refusal("a"));
        given(under_way()).and(vec![settled]).when(fail("a")).then_expect_error(refusal("a"));
    }
}

#[test]
fn cancelling_waits_for_what_runs() {
    given(under_way()).when(request_cancel()).then_expect_events(vec![cancel_requested()]);
    given(under_way()).and(vec![cancel_requested()]).when(request_cancel()).then_expect_events(vec![]);
    given(under_way()).when(RunCommand::FinishCancel).then_expect_error(RunRefusal::NotCancelling);
    given(under_way()).and(vec![cancel_requested()]).when(RunCommand::FinishCancel).then_expect_events(vec![
        RunEvent::StepCancelled { step: name("a") },
        RunEvent::StepCancelled { step: name("b") },
        cancelled(),
    ]);
    // What finishes in between is kept, and starts nothing.
    given(under_way())
        .and(vec![cancel_requested(), step_completed("a")])
        .when(complete("b"))
        .then_expect_events(vec![step_completed("b")]);
    given(under_way()).and(vec![cancel_requested()]).when(RunCommand::Advance).then_expect_events(vec![]);
    given(under_way()).and(vec![cancel_requested()]).when(claim(5)).then_expect_events(vec![claimed(5, 1)]);
}

#[test]
fn mappings_carry_values_from_input_to_output() {
    let a = Step { output: mapping(&[("words", "length(result.text)"), ("text", "result.text")]), ..step("a", &[]) };
    let b = Step {
        input: mapping(&[("topic", "input.topic"), ("words", "steps.a.words"), ("tone", "input.tone")]),
        ..step("b", &["a"])
    };
    let definition = Definition { output: mapping(&[("report", "steps.b.text")]), ..definition(vec![a, b.clone()]) };
    definition.validate().unwrap_err();
    let mut run = Driven::<Run>::new();
    for command in [start(definition), RunCommand::Advance, complete("a")] {
        run.ask(command).unwrap();
    }
    assert_eq!(**run.state.outputs().get(&name("a")).unwrap(), json!({ "text": "a", "words": 1 }));
    // `input.tone` is not there, so the parameter is left out instead of being null.
    assert_eq!(run.state.step_parameters(&b).unwrap(), json!({ "topic": "moon", "words": 1 }));
    run.ask(complete("b")).unwrap();
    assert_eq!(**run.state.output().unwrap(), json!({ "report": "b" }));
}

#[test]
fn a_mapping_that_cannot_be_evaluated_fails_the_step_or_the_run() {
    let invalid = |events: &[RunEvent]| {
        events
            .iter()
            .any(|event| matches!(event, RunEvent::Failed { error, .. } if error.kind == ErrorKind::InvalidInput))
    };
    let of_output = Step { output: mapping(&[("words", "length(result.json)")]), ..step("a", &[]) };
    let mut run = Driven::<Run>::new();
    run.ask(start(definition(vec![of_output]))).unwrap();
    run.ask(RunCommand::Advance).unwrap();
    assert!(invalid(&run.ask(complete("a")).unwrap()));
    assert_eq!(run.state.steps()[&name("a")].status, StepStatus::Failed);

    let of_input = Step { input: mapping(&[("words", "abs(input.topic)")]), ..step("a", &[]) };
    let mut run = Driven::<Run>::new();
    run.ask(start(definition(vec![of_input]))).unwrap();
    assert!(invalid(&run.ask(RunCommand::Advance).unwrap()));

    let of_run = Definition { output: mapping(&[("words", "abs(steps.a.text)")]), ..definition(vec![step("a", &[])]) };
    let mut run = Driven::<Run>::new();
    run.ask(start(of_run)).unwrap();
    run.ask(RunCommand::Advance).unwrap();
    let end = run.ask(complete("a")).unwrap();
    assert!(invalid(&end) && matches!(end.last(), Some(RunEvent::Failed { step: None, .. })));
    assert_eq!(run.state.status(), RunStatus::Failed);
}

#[test]
fn codes_are_stable() {
    let refusals = [
        (RunRefusal::NotFound, "RUN_NOT_FOUND"),
        (RunRefusal::AlreadyStarted, "RUN_EXISTS"),
        (RunRefusal::Ended { status: RunStatus::Failed }, "RUN_ENDED"),
        (RunRefusal::StepNotRunning { step: name("a") }, "STEP_NOT_RUNNING"),
        (RunRefusal::NotCancelling, "RUN_NOT_CANCELLING"),
    ];
    for (refusal, code) in refusals {
        assert_eq!(refusal.code(), code);
    }
    assert_eq!(RunRefusal::Ended { status: RunStatus::Failed }.to_string(), "the run has ended: it is failed");
}
