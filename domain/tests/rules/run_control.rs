//! Runs that are queued, paused, cancelled, or out of time.

use std::time::Duration;

use domain::limit::LimitScope;
use domain::run::{PauseClock, RunStatus, SlotsNeed, StepStatus, TaskEnd};
use domain::{Actor, Definition, LimitId, RunCommand, RunEvent, RunRefusal, SlotsId, Step};
use serde_json::json;

use super::fixtures::{at, definition, diamond, name, seconds, step, undone, wait, working};
use super::run::under_way;
use super::runs::{
    advance, asked, broken, cancel_requested, cancelled, claim, claimed, complete, cut_off, due, failed, given, pause,
    paused, pausing, request_cancel, resume, resumed, settle, started, step_cancelled, step_completed, step_failed,
    step_started, task, timed_out, undoing,
};

fn need() -> SlotsNeed {
    let key = "reports".parse().unwrap();
    SlotsNeed {
        slots: SlotsId::of(LimitId::from_key(&key), &LimitScope::Workflow(key.clone()), None),
        limit: key,
        partition: None,
        fairness: String::new(),
    }
}

fn queue() -> RunCommand {
    RunCommand::Queue { slots: vec![need()], now: at(0) }
}

fn queued() -> RunEvent {
    RunEvent::Queued { slots: vec![need()], at: at(0) }
}

#[test]
fn a_queued_run_starts_nothing_until_it_is_admitted() {
    let waiting = || vec![started(diamond()), queued()];
    given(vec![started(diamond())]).when(queue()).then_expect_events(vec![queued()]);
    given(vec![started(diamond())]).when(RunCommand::Queue { slots: vec![], now: at(0) }).then_expect_events(vec![]);
    given(waiting()).when(queue()).then_expect_events(vec![]);
    given(waiting()).when(advance(1)).then_expect_events(vec![]);
    given(waiting()).when(RunCommand::Admit).then_expect_events(vec![RunEvent::Admitted]);
    given(vec![started(diamond())]).when(RunCommand::Admit).then_expect_events(vec![]);
    let admitted = || [waiting(), vec![RunEvent::Admitted]].concat();
    given(admitted()).when(RunCommand::Admit).then_expect_events(vec![]);
    given(admitted()).when(queue()).then_expect_events(vec![]);
    given(admitted()).when(advance(1)).then_expect_events(vec![step_started("a", 1), step_started("b", 1)]);
    let run = asked(diamond(), vec![queue(), advance(1)]);
    assert!(run.state.is_queued() && run.state.is_untouched());
    assert_eq!(run.state.queue().unwrap().slots, [need()]);
}

#[test]
fn a_queued_run_can_be_paused_cancelled_and_be_too_late() {
    let short = Definition { timeout: Some(seconds(5)), ..diamond() };
    let mut run = asked(short, vec![queue(), advance(1), pause(2), resume(4), advance(6)]);
    assert_eq!(due(&run), Some(at(7)));
    run.ask(advance(7)).unwrap();
    assert_eq!(run.state.status(), RunStatus::Failing);
    assert!(matches!(run.ask(cut_off(7)).unwrap().as_slice(), [RunEvent::Failed { step: None, .. }]));
    let run = asked(diamond(), vec![queue(), request_cancel(1), cut_off(1)]);
    assert_eq!(run.state.status(), RunStatus::Cancelled);
}

#[test]
fn a_paused_run_starts_nothing_and_keeps_what_comes() {
    given(under_way()).when(pause(1)).then_expect_events(vec![paused(1)]);
    given(under_way()).and(vec![paused(1)]).when(pause(2)).then_expect_events(vec![]);
    given(under_way()).and(vec![paused(1)]).when(advance(2)).then_expect_events(vec![]);
    let half = || [under_way(), vec![paused(1), step_completed("a")]].concat();
    given(half()).when(complete("b")).then_expect_events(vec![step_completed("b")]);
    given(half()).and(vec![step_completed("b")]).when(resume(9)).then_expect_events(vec![resumed(9)]);
    given(half())
        .and(vec![step_completed("b"), resumed(9)])
        .when(advance(9))
        .then_expect_events(vec![step_started("c", 9)]);
    // A failure waits for the resumption, too.
    given(half()).when(settle(task("b"), broken(), 2)).then_expect_events(vec![step_failed("b")]);
    given(half()).and(vec![step_failed("b"), resumed(9)]).when(advance(9)).then_expect_events(vec![failed("b")]);
    given(under_way()).and(vec![paused(1)]).when(claim(5)).then_expect_events(vec![claimed(5, 1)]);
    let run = asked(diamond(), vec![advance(0), pause(1)]);
    assert_eq!(run.state.pause(), Some(&pausing(1, PauseClock::Frozen)));
    assert_eq!(due(&run), None);
}

#[test]
fn only_a_live_run_is_paused_and_only_a_paused_one_resumed() {
    let back = definition(vec![undone(step("a", &[])), step("b", &[])]);
    let begun = vec![started(back), step_started("a", 0), step_started("b", 0)];
    let undoing_a = [begun, vec![step_completed("a"), step_failed("b"), undoing("a", 1)]].concat();
    let failing = [under_way(), vec![RunEvent::Failing { error: timed_out("x") }]].concat();
    let endings = [
        (RunStatus::Cancelling, [under_way(), vec![cancel_requested(1)]].concat()),
        (RunStatus::Failing, failing),
        (RunStatus::Compensating, undoing_a),
    ];
    for (status, history) in endings {
        given(history.clone()).when(pause(2)).then_expect_error(RunRefusal::Ending { status, wish: "paused" });
        given(history.clone()).when(resume(2)).then_expect_error(RunRefusal::NotPaused { status });
        given(history.clone()).when(advance(2)).then_expect_events(vec![]);
        let again = given(history).when(request_cancel(2));
        match status {
            RunStatus::Cancelling => again.then_expect_events(vec![]),
            _ => again.then_expect_error(RunRefusal::Ending { status, wish: "cancelled" }),
        }
    }
    given(under_way()).when(resume(2)).then_expect_error(RunRefusal::NotPaused { status: RunStatus::Running });
}

/// Waits for 10 s, within 20 s, in a run of at most 30 s.
fn timed() -> Definition {
    let waits = Step { timeout: Some(seconds(20)), ..working("w", &[], wait(10)) };
    Definition { timeout: Some(seconds(30)), ..definition(vec![waits]) }
}

#[test]
fn a_frozen_clock_loses_no_time() {
    let mut run = asked(timed(), vec![advance(0)]);
    assert_eq!(due(&run), Some(at(10)));
    run.ask(pause(4)).unwrap();
    assert_eq!(run.state.frozen_for(at(104)), seconds(100));
    run.ask(resume(104)).unwrap();
    assert_eq!(run.state.frozen_for(at(105)), Duration::ZERO);
    assert_eq!(due(&run), Some(at(110)));
    assert_eq!(run.state.deadline(), Some(at(130)));
    assert_eq!(run.state.steps()[&name("w")].deadline, Some(at(120)));
    // Twice is the sum.
    run.ask(pause(105)).unwrap();
    run.ask(resume(205)).unwrap();
    assert_eq!(due(&run), Some(at(210)));
    assert_eq!(run.ask(advance(209)).unwrap(), vec![]);
    run.ask(advance(210)).unwrap();
    assert_eq!(run.state.status(), RunStatus::Completed);
}

#[test]
fn with_a_running_clock_what_became_due_takes_effect_afterwards() {
    let running = RunCommand::Pause(pausing(4, PauseClock::Running));
    let mut run = asked(timed(), vec![advance(0), running.clone(), resume(12)]);
    assert_eq!(due(&run), Some(at(10)));
    run.ask(advance(12)).unwrap();
    assert_eq!(run.state.status(), RunStatus::Completed);
    // The wait was over before the step's deadline, which is over now, too.
    let run = asked(timed(), vec![advance(0), running.clone(), resume(25), advance(25)]);
    assert_eq!(run.state.status(), RunStatus::Completed);
    let run = asked(timed(), vec![advance(0), running, resume(30), advance(30)]);
    assert_eq!(run.state.status(), RunStatus::Failing);
}

#[test]
fn cancelling_waits_for_what_runs() {
    given(under_way()).when(request_cancel(1)).then_expect_events(vec![cancel_requested(1)]);
    given(under_way()).and(vec![cancel_requested(1)]).when(request_cancel(2)).then_expect_events(vec![]);
    given(under_way()).when(cut_off(1)).then_expect_error(RunRefusal::NotCancelling);
    given(under_way()).and(vec![cancel_requested(1)]).when(cut_off(11)).then_expect_events(vec![
        step_cancelled("a"),
        step_cancelled("b"),
        cancelled(),
    ]);
    // What finishes in between is kept, and starts nothing.
    given(under_way())
        .and(vec![cancel_requested(1), step_completed("a")])
        .when(complete("b"))
        .then_expect_events(vec![step_completed("b")]);
    given(under_way())
        .and(vec![cancel_requested(1), step_completed("a")])
        .when(settle(task("b"), broken(), 2))
        .then_expect_events(vec![step_failed("b")]);
    given(under_way()).and(vec![cancel_requested(1)]).when(advance(2)).then_expect_events(vec![]);
    given(under_way()).and(vec![cancel_requested(1)]).when(claim(5)).then_expect_events(vec![claimed(5, 1)]);
    let run = asked(diamond(), vec![advance(0), request_cancel(1)]);
    assert_eq!(due(&run), Some(at(11)), "after the grace");
    assert_eq!(run.state.cancel().unwrap().reason, "enough");
}

#[test]
fn a_paused_run_can_be_cancelled() {
    let mut run = asked(timed(), vec![advance(0), pause(4), request_cancel(6)]);
    assert_eq!((run.state.status(), run.state.pause()), (RunStatus::Cancelling, None));
    assert_eq!(run.ask(resume(7)), Err(RunRefusal::NotPaused { status: RunStatus::Cancelling }));
    assert_eq!(run.ask(cut_off(7)).unwrap(), vec![step_cancelled("w"), cancelled()]);
}

#[test]
fn a_failed_run_that_is_cancelled_before_its_end_is_cancelled() {
    let mut run = asked(diamond(), vec![advance(0), settle(task("a"), broken(), 1), request_cancel(2)]);
    assert_eq!(run.ask(cut_off(3)).unwrap(), vec![step_cancelled("b"), cancelled()]);
}

#[test]
fn a_step_has_a_time() {
    let short = || definition(vec![Step { timeout: Some(seconds(5)), ..step("a", &[]) }, step("b", &[])]);
    let mut run = asked(short(), vec![advance(0)]);
    assert_eq!(due(&run), Some(at(5)));
    assert_eq!(run.ask(advance(4)).unwrap(), vec![]);
    let error = timed_out("the step took longer than the 5s that it may take");
    assert_eq!(run.ask(advance(7)).unwrap(), vec![RunEvent::StepFailed { step: name("a"), error: error.clone() }]);
    assert_eq!(run.ask(complete("a")), Err(RunRefusal::StepNotRunning { step: name("a") }), "it comes too late");
    assert_eq!(
        run.ask(complete("b")).unwrap(),
        vec![step_completed("b"), RunEvent::Failed { step: Some(name("a")), error }]
    );
    // A result that comes before anybody looked at the clock counts.
    let run = asked(short(), vec![advance(0), settle(task("a"), super::runs::done("a"), 6)]);
    assert_eq!(run.state.steps()[&name("a")].status, StepStatus::Completed);
}

#[test]
fn a_run_has_a_time_and_then_what_runs_is_cut() {
    let short = Definition { timeout: Some(seconds(5)), ..definition(vec![undone(step("a", &[])), step("b", &[])]) };
    let mut run = asked(short, vec![advance(0), complete("a")]);
    assert_eq!(due(&run), Some(at(5)));
    let error = timed_out("the run took longer than its workflow `report` allows");
    assert_eq!(run.ask(advance(5)).unwrap(), vec![RunEvent::Failing { error: error.clone() }]);
    assert_eq!(run.ask(advance(6)).unwrap(), vec![]);
    assert_eq!(run.ask(cut_off(6)).unwrap(), vec![step_cancelled("b"), undoing("a", 6)]);
    assert_eq!(run.ask(cut_off(7)), Err(RunRefusal::NotCancelling));
    assert_eq!(due(&run), None, "undoing takes the time that it takes");
    let end = run.ask(settle(super::runs::undo("a"), super::runs::done("gone"), 60)).unwrap();
    assert_eq!(end[1], RunEvent::Failed { step: None, error });
}

#[test]
fn what_ends_between_the_runs_last_moment_and_the_cut_is_kept() {
    let short = Definition { timeout: Some(seconds(5)), ..definition(vec![step("a", &[]), step("b", &["a"])]) };
    let mut run = asked(short, vec![advance(0), advance(5), complete("a")]);
    assert_eq!(run.state.steps()[&name("a")].status, StepStatus::Completed);
    assert!(matches!(run.ask(cut_off(6)).unwrap().as_slice(), [RunEvent::Failed { step: None, .. }]));
}

#[test]
fn a_cut_task_ends_only_its_step() {
    let mut run = asked(diamond(), vec![advance(0), request_cancel(1)]);
    for called in ["a", "b"] {
        let events = run.ask(settle(task(called), TaskEnd::Cancelled, 2)).unwrap();
        assert_eq!(events, vec![step_cancelled(called)]);
    }
    assert_eq!(run.state.running().count(), 0);
    assert_eq!(run.ask(cut_off(2)).unwrap(), vec![cancelled()]);
    assert_eq!(run.state.by(), Some(&Actor::person("mara")));
    assert_eq!(json!(run.state.status()), json!("cancelled"));
}

#[test]
fn a_run_that_waits_for_slots_can_be_touched_without_changing() {
    let mut run = asked(definition(vec![step("a", &[])]), vec![queue()]);
    let before = run.state.clone();
    assert_eq!(run.ask(RunCommand::Fence).unwrap(), vec![RunEvent::Queued { slots: vec![need()], at: at(0) }]);
    assert_eq!(run.state, before);
    run.ask(RunCommand::Admit).unwrap();
    assert_eq!(run.ask(RunCommand::Fence).unwrap(), vec![]);
}
