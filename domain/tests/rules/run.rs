use cqrs_es::test::TestFramework;
use domain::run::{RunStatus, StepStatus, TaskEnd};
use domain::{Actor, Definition, ErrorKind, Refusal, Run, RunCommand, RunEvent, RunRefusal, Step, TaskId};
use serde_json::json;

use super::drive::Driven;
use super::fixtures::{
    at, definition, diamond, error, expression, mapping, name, reading, result, step, task_of, uuid,
};
use super::runs::{
    advance, asked, cancel_requested, cancelled, claim, claimed, complete, completed, cut_off, done, fail, failed,
    given, id, pause, request_cancel, resume, send, settle, start, started, step_cancelled, step_completed,
    step_failed, step_started, task,
};

/// The diamond with its first two steps running.
pub(crate) fn under_way() -> Vec<RunEvent> {
    vec![started(diamond()), step_started("a", 0), step_started("b", 0)]
}

fn fail_step(called: &str) -> RunCommand {
    RunCommand::FailStep { step: name(called), error: error(ErrorKind::Timeout), now: at(1) }
}

#[test]
fn it_starts_once() {
    given(vec![]).when(start(diamond())).then_expect_events(vec![started(diamond())]);
    given(vec![started(diamond())]).when(start(diamond())).then_expect_error(RunRefusal::AlreadyStarted);
    given(vec![started(diamond()), cancel_requested(0), cancelled()])
        .when(start(diamond()))
        .then_expect_error(RunRefusal::AlreadyStarted);
}

fn report_stall() -> RunCommand {
    RunCommand::ReportStall { what: "no task".to_owned(), now: at(1) }
}

fn all_but_start() -> Vec<RunCommand> {
    vec![
        claim(5),
        RunCommand::Queue { slots: vec![], now: at(1) },
        RunCommand::Admit,
        advance(1),
        complete("a"),
        RunCommand::SettleChild { step: name("a"), end: Ok((json!({}), false)), now: at(1) },
        fail_step("a"),
        RunCommand::DecideApproval {
            step: name("a"),
            by: Actor::person("noor"),
            roles: vec![],
            approved: true,
            comment: String::new(),
            content_hash: None,
            now: at(1),
        },
        send("go", json!(1), 1),
        pause(1),
        resume(1),
        request_cancel(1),
        report_stall(),
        cut_off(1),
    ]
}

#[test]
fn nothing_can_be_asked_of_a_run_that_does_not_exist() {
    for command in all_but_start() {
        given(vec![]).when(command).then_expect_error(RunRefusal::NotFound);
    }
}

#[test]
fn nothing_can_be_asked_of_a_run_that_has_ended() {
    let all_done = vec![step_completed("a"), step_completed("b"), step_started("c", 1), step_completed("c")];
    let ends = [
        (RunStatus::Completed, [under_way(), all_done, vec![completed(json!({}))]].concat()),
        (RunStatus::Failed, [under_way(), vec![step_failed("a"), step_completed("b"), failed("a")]].concat()),
        (RunStatus::Cancelled, [under_way(), vec![cancel_requested(0), cancelled()]].concat()),
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
        .when(advance(0))
        .then_expect_events(vec![step_started("a", 0), step_started("b", 0)]);
    given(under_way()).when(advance(5)).then_expect_events(vec![]);
}

#[test]
fn a_completed_step_starts_those_that_waited_for_it() {
    given(under_way()).when(complete("a")).then_expect_events(vec![step_completed("a")]);
    given(under_way())
        .and(vec![step_completed("a")])
        .when(complete("b"))
        .then_expect_events(vec![step_completed("b"), step_started("c", 1)]);
}

#[test]
fn the_last_step_completes_the_run() {
    given(under_way())
        .and(vec![step_completed("a"), step_completed("b"), step_started("c", 1)])
        .when(complete("c"))
        .then_expect_events(vec![step_completed("c"), completed(json!({ "c": { "text": "c" } }))]);
}

#[test]
fn without_a_mapping_the_output_holds_every_step_that_nobody_needs() {
    let steps = vec![step("a", &[]), step("b", &["a"]), step("z", &[])];
    let run = asked(definition(steps), vec![advance(0), complete("z"), complete("a"), complete("b")]);
    assert_eq!(**run.state.output().unwrap(), json!({ "b": { "text": "b" }, "z": { "text": "z" } }));
}

#[test]
fn simulation_anywhere_marks_the_whole_run() {
    let mut run = asked(diamond(), vec![advance(0)]);
    let simulated = TaskEnd::Completed { result: result("a"), simulated: true };
    run.ask(settle(task("a"), simulated, 1)).unwrap();
    run.ask(complete("b")).unwrap();
    let end = run.ask(complete("c")).unwrap();
    assert!(matches!(end.last(), Some(RunEvent::Completed { simulated: true, .. })));
    assert!(run.state.simulated());
}

#[test]
fn after_a_failure_nothing_new_starts_and_the_run_fails_when_all_is_quiet() {
    for fail in [fail("a"), fail_step("a")] {
        given(under_way()).when(fail).then_expect_events(vec![step_failed("a")]);
    }
    given(under_way())
        .and(vec![step_failed("a")])
        .when(complete("b"))
        .then_expect_events(vec![step_completed("b"), failed("a")]);
    // The first failure is the run's.
    let second = TaskEnd::Failed(error(ErrorKind::Unauthorized));
    let second_failed = RunEvent::StepFailed { step: name("b"), error: error(ErrorKind::Unauthorized) };
    given(under_way())
        .and(vec![step_failed("a")])
        .when(settle(task("b"), second, 1))
        .then_expect_events(vec![second_failed, failed("a")]);
}

#[test]
fn a_step_whose_task_was_cancelled_fails_unless_the_run_is_ending() {
    // Otherwise the run would have nothing more to do, and never end.
    let cut = settle(task("a"), TaskEnd::Cancelled, 1);
    let mut run = asked(diamond(), vec![advance(0), complete("b")]);
    let events = run.ask(cut.clone()).unwrap();
    assert!(matches!(&events[0], RunEvent::StepFailed { error, .. } if error.kind == ErrorKind::Interrupted));
    assert_eq!(run.state.status(), RunStatus::Failed);
    given(under_way()).and(vec![cancel_requested(0)]).when(cut.clone()).then_expect_events(vec![step_cancelled("a")]);
    given(under_way()).and(vec![step_failed("b")]).when(cut).then_expect_events(vec![step_cancelled("a"), failed("b")]);
}

#[test]
fn a_step_that_is_not_running_takes_no_result() {
    let refusal = |called| RunRefusal::StepNotRunning { step: name(called) };
    for called in ["c", "unknown"] {
        let unknown = RunRefusal::TaskUnknown { task: task(called) };
        given(under_way()).when(complete(called)).then_expect_error(unknown);
        given(under_way()).when(fail_step(called)).then_expect_error(refusal(called));
    }
    for settled in [step_completed("a"), step_failed("a"), step_cancelled("a")] {
        given(under_way()).and(vec![settled.clone()]).when(complete("a")).then_expect_error(refusal("a"));
        given(under_way()).and(vec![settled.clone()]).when(fail("a")).then_expect_error(refusal("a"));
        given(under_way()).and(vec![settled]).when(fail_step("a")).then_expect_error(refusal("a"));
    }
    // A task is no run.
    let child = RunCommand::SettleChild { step: name("a"), end: Ok((json!({}), false)), now: at(1) };
    given(under_way()).when(child).then_expect_error(refusal("a"));
    let other = TaskId::from_uuid(uuid(99));
    given(under_way()).when(settle(other, done("x"), 1)).then_expect_error(RunRefusal::TaskUnknown { task: other });
}

#[test]
fn mappings_carry_values_from_input_to_output() {
    let a = Step { output: mapping(&[("words", "length(result.text)"), ("text", "result.text")]), ..step("a", &[]) };
    let mut b = reading("b", &["a"], &[("topic", "input.topic"), ("words", "steps.a.words"), ("tone", "input.tone")]);
    let definition = Definition { output: mapping(&[("report", "steps.b.text")]), ..definition(vec![a, b.clone()]) };
    definition.validate().unwrap_err();
    let mut run = asked(definition, vec![advance(0), complete("a")]);
    assert_eq!(**run.state.outputs().get(&name("a")).unwrap(), json!({ "text": "a", "words": 1 }));
    // `input.tone` is not there, so the parameter is left out instead of being null.
    let parameters = run.state.task_parameters(task_of(&mut b), None).unwrap();
    assert_eq!(parameters, json!({ "topic": "moon", "words": 1 }));
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
    let mut run = asked(definition(vec![of_output]), vec![advance(0)]);
    assert!(invalid(&run.ask(complete("a")).unwrap()));
    assert_eq!(run.state.steps()[&name("a")].status, StepStatus::Failed);

    let of_condition = Step { when: Some(expression("abs(input.topic)")), ..step("a", &[]) };
    let mut run = asked(definition(vec![of_condition]), vec![]);
    assert!(invalid(&run.ask(advance(0)).unwrap()));

    let mut of_input = reading("a", &[], &[("words", "abs(input.topic)")]);
    let run = asked(definition(vec![of_input.clone()]), vec![advance(0)]);
    assert!(run.state.task_parameters(task_of(&mut of_input), None).is_err(), "the engine fails the step");

    let of_run = Definition { output: mapping(&[("words", "abs(steps.a.text)")]), ..definition(vec![step("a", &[])]) };
    let mut run = asked(of_run, vec![advance(0)]);
    let end = run.ask(complete("a")).unwrap();
    assert!(invalid(&end) && matches!(end.last(), Some(RunEvent::Failed { step: None, .. })));
    assert!(matches!(&end[1], RunEvent::Failing { .. }));
    assert_eq!(run.state.status(), RunStatus::Failed);
}

#[test]
fn a_condition_that_is_not_met_skips_the_step_and_holds_up_nobody() {
    let when = |source: &str| Step { when: Some(expression(source)), ..step("b", &["a"]) };
    let with = |source: &str| definition(vec![step("a", &[]), when(source), step("c", &["b"])]);
    for not_met in ["`false`", "`null`", "input.tone", "`[]`", "`{}`", "`\"\"`", "steps.a.text == 'z'"] {
        let mut run = asked(with(not_met), vec![advance(0)]);
        let skipped = RunEvent::StepSkipped { step: name("b"), reason: format!("`{not_met}` is not true") };
        assert_eq!(run.ask(complete("a")).unwrap(), [step_completed("a"), skipped, step_started("c", 1)]);
        assert_eq!(run.state.steps()[&name("b")].skipped, Some(format!("`{not_met}` is not true")));
        run.ask(complete("c")).unwrap();
        assert_eq!(run.state.status(), RunStatus::Completed);
    }
    for met in ["`true`", "`0`", "input.topic", "`[0]`", "steps.a.text == 'a'"] {
        let mut run = asked(with(met), vec![advance(0)]);
        assert_eq!(run.ask(complete("a")).unwrap()[1], step_started("b", 1), "{met}");
    }
    // A run of which every step is skipped is done.
    let alone = definition(vec![Step { when: Some(expression("`false`")), ..step("a", &[]) }]);
    let run = asked(alone, vec![advance(0)]);
    assert_eq!(**run.state.output().unwrap(), json!({}));
}

#[test]
fn a_stall_is_told_once_until_something_happens() {
    let stalled = || RunEvent::Stalled { what: "no task".to_owned(), at: at(1) };
    given(under_way()).when(report_stall()).then_expect_events(vec![stalled()]);
    given(under_way()).and(vec![stalled()]).when(report_stall()).then_expect_events(vec![]);
    given(under_way())
        .and(vec![stalled(), step_completed("a")])
        .when(report_stall())
        .then_expect_events(vec![stalled()]);
    // It changes nothing else.
    given(under_way()).and(vec![stalled()]).when(complete("a")).then_expect_events(vec![step_completed("a")]);
}

#[test]
fn the_state_tells_how_it_began() {
    let run = asked(diamond(), vec![advance(0), claim(5)]);
    let state = &run.state;
    assert_eq!((state.id(), state.version(), state.priority()), (Some(id()), 3, 0));
    assert_eq!((state.by(), state.started_at()), (Some(&Actor::person("mara")), Some(at(0))));
    assert_eq!(state.lease().unwrap().epoch, 1);
    assert_eq!(**state.input(), json!({ "topic": "moon" }));
    assert!(state.parent().is_none() && state.lineage().is_none() && state.deadline().is_none());
    assert_eq!(state.open_tasks().len(), 2);
    let written = serde_json::to_string(state).unwrap();
    assert_eq!(serde_json::from_str::<Run>(&written).unwrap(), *state, "a snapshot is the state");
    assert!(TestFramework::<Run>::with(()).given_no_previous_events().when(claim(1)).inspect_result().is_err());
    assert!(Driven::<Run>::new().state.open_tasks().is_empty());
}

#[test]
fn codes_are_stable() {
    let step = || name("a");
    let refusals = [
        (RunRefusal::NotFound, "RUN_NOT_FOUND"),
        (RunRefusal::AlreadyStarted, "RUN_EXISTS"),
        (RunRefusal::Ended { status: RunStatus::Failed }, "RUN_ENDED"),
        (RunRefusal::Ending { status: RunStatus::Cancelling, wish: "paused" }, "RUN_ENDING"),
        (RunRefusal::NotPaused { status: RunStatus::Running }, "RUN_NOT_PAUSED"),
        (RunRefusal::StepNotRunning { step: step() }, "STEP_NOT_RUNNING"),
        (RunRefusal::StepUnknown { step: step() }, "STEP_UNKNOWN"),
        (RunRefusal::CannotKeep { step: step(), why: String::new() }, "STEP_CANNOT_BE_KEPT"),
        (RunRefusal::NoApproval { step: step(), why: String::new() }, "APPROVAL_NOT_PENDING"),
        (RunRefusal::NotApprover { by: String::new(), step: step(), approvers: String::new() }, "APPROVAL_NOT_YOURS"),
        (RunRefusal::OwnRun { by: String::new(), step: step() }, "APPROVAL_OWN_RUN"),
        (RunRefusal::AlreadyDecided { by: String::new(), step: step() }, "APPROVAL_REPEATED"),
        (RunRefusal::ContentChanged { step: step() }, "APPROVAL_CONTENT_CHANGED"),
        (RunRefusal::TooManySignals { count: 1 }, "SIGNALS_FULL"),
        (RunRefusal::TaskUnknown { task: task("a") }, "TASK_NOT_RUNNING"),
        (RunRefusal::NotCancelling, "RUN_NOT_CANCELLING"),
    ];
    for (refusal, code) in refusals {
        assert_eq!(refusal.code(), code);
    }
    assert_eq!(RunRefusal::Ended { status: RunStatus::Failed }.to_string(), "the run has ended: it is failed");
    let ending = RunRefusal::Ending { status: RunStatus::Compensating, wish: "paused" };
    assert_eq!(ending.to_string(), "the run is compensating, so it cannot be paused");
}
