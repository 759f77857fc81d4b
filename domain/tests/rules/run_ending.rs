//! Undoing what had been done, and taking over what another run did.

use domain::run::{Lineage, LineageKind, Overrides, Place, RunStatus, Start, StepStatus, TaskEnd};
use domain::workflow::{Approval, Verdict, Work};
use domain::{Actor, Definition, Run, RunCommand, RunEvent, RunId, RunRefusal, Step, StepName, TaskId};
use serde_json::json;

use super::drive::Driven;
use super::fixtures::{
    approval, at, definition, expression, mapping, name, result, signal, step, undone, uuid, wait, working,
};
use super::runs::{
    advance, asked, beginning, broken, cancelled, claim, complete, cut_off, done, fail, failed, id, pause,
    request_cancel, send, settle, step_cancelled, step_completed, step_failed, undo, undoing, was_undone,
};

/// `a` then `b` beside `c`, all of which can be undone, then `d`.
fn undoable() -> Definition {
    let steps = [undone(step("a", &[])), undone(step("b", &["a"])), undone(step("c", &["a"])), step("d", &["b", "c"])];
    definition(steps.to_vec())
}

#[test]
fn after_a_failure_completed_steps_are_undone_one_by_one_in_reverse_order() {
    // `c` completed before `b`.
    let mut run = asked(undoable(), vec![advance(0), complete("a"), complete("c"), complete("b")]);
    assert_eq!(run.ask(fail("d")).unwrap(), vec![step_failed("d"), undoing("b", 1)]);
    assert_eq!(run.state.status(), RunStatus::Compensating);
    assert_eq!(run.state.open_tasks(), [(Place::Undo(name("b")), undo("b"))]);
    assert_eq!(run.ask(advance(2)).unwrap(), vec![], "one at a time");
    assert_eq!(run.ask(settle(undo("b"), done("gone"), 3)).unwrap(), vec![was_undone("b"), undoing("c", 3)]);
    assert_eq!(run.ask(settle(undo("c"), done("gone"), 4)).unwrap(), vec![was_undone("c"), undoing("a", 4)]);
    assert_eq!(run.ask(claim(5)).unwrap().len(), 1, "another node may go on with it");
    assert_eq!(run.ask(settle(undo("a"), done("gone"), 5)).unwrap(), vec![was_undone("a"), failed("d")]);
}

#[test]
fn what_cannot_be_undone_is_said_and_holds_up_no_other() {
    let mut run = asked(undoable(), vec![advance(0), complete("a"), complete("b"), fail("c")]);
    let end = run.ask(settle(undo("b"), broken(), 3)).unwrap();
    assert!(matches!(&end[0], RunEvent::CompensationFailed { step, .. } if *step == name("b")));
    assert_eq!(end[1], undoing("a", 3));
    let end = run.ask(settle(undo("a"), TaskEnd::Cancelled, 4)).unwrap();
    assert!(matches!(&end[0], RunEvent::CompensationFailed { .. }));
    assert_eq!(end[1], failed("c"));
    let state = run.state.steps()[&name("b")].undo.as_ref().unwrap();
    assert_eq!((state.status, state.error.is_some()), (StepStatus::Failed, true));
}

#[test]
fn a_cancelled_run_undoes_what_it_had_done() {
    let mut run = asked(undoable(), vec![advance(0), complete("a"), complete("b"), pause(2), request_cancel(3)]);
    assert_eq!(run.ask(cut_off(4)).unwrap(), vec![step_cancelled("c"), undoing("b", 4)]);
    let refused = RunRefusal::Ending { status: RunStatus::Compensating, wish: "cancelled" };
    assert_eq!(run.ask(request_cancel(5)), Err(refused));
    run.ask(settle(undo("b"), done("gone"), 6)).unwrap();
    assert_eq!(run.ask(settle(undo("a"), done("gone"), 7)).unwrap(), vec![was_undone("a"), cancelled()]);
}

#[test]
fn a_step_that_did_not_complete_is_not_undone() {
    let mut run = asked(undoable(), vec![advance(0)]);
    assert_eq!(run.ask(fail("a")).unwrap(), vec![step_failed("a"), failed("a")]);
    let skipped = Step { when: Some(expression("`false`")), ..undone(step("s", &[])) };
    let mut run = asked(definition(vec![skipped, step("b", &[])]), vec![advance(0)]);
    assert_eq!(run.ask(fail("b")).unwrap(), vec![step_failed("b"), failed("b")]);
}

#[test]
fn a_run_that_completes_undoes_nothing_and_one_whose_output_cannot_be_made_undoes_all() {
    let all = || vec![advance(0), complete("a"), complete("b"), complete("c")];
    let mut run = asked(undoable(), all());
    assert_eq!(run.ask(complete("d")).unwrap().len(), 2);
    let wrong = Definition { output: mapping(&[("x", "abs(steps.a.text)")]), ..undoable() };
    let mut run = asked(wrong, all());
    let end = run.ask(complete("d")).unwrap();
    assert_eq!(end[0], step_completed("d"));
    assert!(matches!(&end[1], RunEvent::Failing { .. }));
    assert_eq!(end[2..], [undoing("c", 1)]);
    run.ask(settle(undo("c"), done("x"), 2)).unwrap();
    run.ask(settle(undo("b"), done("x"), 2)).unwrap();
    let end = run.ask(settle(undo("a"), done("x"), 2)).unwrap();
    assert!(matches!(&end[1], RunEvent::Failed { step: None, .. }));
}

#[test]
fn an_end_of_undoing_counts_once_and_only_while_it_goes_on() {
    let mut run = asked(undoable(), vec![advance(0), complete("a"), complete("b"), fail("c")]);
    assert_eq!(run.ask(settle(undo("a"), done("x"), 2)), Err(RunRefusal::TaskUnknown { task: undo("a") }));
    run.ask(settle(undo("b"), done("x"), 2)).unwrap();
    let again = run.ask(settle(undo("b"), done("x"), 2));
    assert_eq!(again, Err(RunRefusal::StepNotRunning { step: name("b") }));
    let end = TaskEnd::Completed { result: result("x"), simulated: true };
    run.ask(settle(undo("a"), end, 3)).unwrap();
    assert!(run.state.simulated(), "undoing may be simulated, too");
}

fn names(steps: &[&str]) -> Vec<StepName> {
    steps.iter().copied().map(name).collect()
}

/// A run that follows `definition` on the history of the first one.
fn onward(definition: Definition, kept: &[&str]) -> Start {
    let lineage =
        Lineage { run: id(), revision: 7, kind: LineageKind::Fork, kept: names(kept), overrides: Overrides::default() };
    Start { id: RunId::from_uuid(uuid(50)), at: at(100), lineage: Some(lineage), ..beginning(definition) }
}

/// The other run goes on as this one.
fn take_over(run: &Driven<Run>, definition: Definition, kept: &[&str]) -> Driven<Run> {
    let mut next = Driven { state: run.state.clone(), history: vec![] };
    next.ask(RunCommand::Start(Box::new(onward(definition, kept)))).unwrap();
    next
}

fn refused(run: &Driven<Run>, start: Start) -> RunRefusal {
    let mut next = Driven { state: run.state.clone(), history: vec![] };
    next.ask(RunCommand::Start(Box::new(start))).unwrap_err()
}

fn cannot_keep(step: &str, why: &str) -> RunRefusal {
    RunRefusal::CannotKeep { step: name(step), why: why.to_owned() }
}

/// `a`, `b` and `c` one after the other, nothing of which can be undone.
fn chain() -> Definition {
    definition(vec![step("a", &[]), step("b", &["a"]), step("c", &["b"])])
}

#[test]
fn a_failed_run_goes_on_where_it_failed() {
    let run = asked(chain(), vec![advance(0), complete("a"), fail("b")]);
    assert_eq!(run.state.status(), RunStatus::Failed);
    assert_eq!(run.state.keepable(&chain(), &[]), names(&["a"]));
    let mut next = take_over(&run, chain(), &["a"]);
    let state = &next.state;
    assert_eq!((state.status(), state.id()), (RunStatus::Running, Some(RunId::from_uuid(uuid(50)))));
    assert!(state.error().is_none() && state.lease().is_none() && state.started_at() == Some(at(100)));
    assert_eq!(state.lineage().unwrap().kept, names(&["a"]));
    let started = next.ask(advance(100)).unwrap();
    let task = TaskId::of_step(RunId::from_uuid(uuid(50)), &name("b"));
    assert!(matches!(started.as_slice(), [RunEvent::StepStarted { task: made, .. }] if *made == task));
    next.ask(settle(task, done("B"), 101)).unwrap();
    assert_eq!(**next.state.outputs().get(&name("a")).unwrap(), json!({ "text": "a" }), "as it was");
}

#[test]
fn a_run_is_done_again_from_any_step_on() {
    let run = asked(chain(), vec![advance(0), complete("a"), complete("b"), complete("c")]);
    assert_eq!(run.state.keepable(&chain(), &[]), names(&["a", "b", "c"]));
    assert_eq!(run.state.keepable(&chain(), &names(&["b"])), names(&["a"]), "what comes after is done again");
    assert_eq!(run.state.keepable(&chain(), &names(&["a"])), names(&[]));
    let mut next = take_over(&run, chain(), &["a", "b", "c"]);
    assert!(matches!(next.ask(advance(100)).unwrap().as_slice(), [RunEvent::Completed { .. }]));
    // A new version in which `b` waits for something more.
    let wider = definition(vec![step("a", &[]), step("x", &[]), step("b", &["a", "x"]), step("c", &["b"])]);
    assert_eq!(run.state.keepable(&wider, &[]), names(&["a"]));
    let shorter = definition(vec![step("a", &[])]);
    assert_eq!(run.state.keepable(&shorter, &[]), names(&["a"]));
}

#[test]
fn nothing_is_taken_over_that_is_not_there() {
    let run = asked(chain(), vec![advance(0), complete("a")]);
    let all = run.state.keepable(&chain(), &[]);
    assert_eq!(all, names(&["a"]));
    assert_eq!(refused(&run, onward(chain(), &["a", "b"])), cannot_keep("b", "it had not ended well"));
    assert_eq!(refused(&run, onward(chain(), &["a", "c"])), cannot_keep("c", "it had not ended well"));
    let ghost = cannot_keep("ghost", "the definition has no such step");
    assert_eq!(refused(&run, onward(chain(), &["ghost"])), ghost);
    assert_eq!(
        ghost.to_string(),
        "step `ghost` cannot be taken over: the definition has no such step; leave it out, so that it runs again"
    );
    let run = asked(chain(), vec![advance(0), complete("a"), complete("b")]);
    assert_eq!(refused(&run, onward(chain(), &["b"])), cannot_keep("b", "it needs `a`, which is not kept"));
    // Only the run that is named, and no run on its own history.
    let other = Start { lineage: None, ..onward(chain(), &[]) };
    assert_eq!(refused(&run, other), RunRefusal::AlreadyStarted);
    let itself = Start { id: id(), ..onward(chain(), &["a"]) };
    assert_eq!(refused(&run, itself), RunRefusal::AlreadyStarted);
    let mut elsewhere = onward(chain(), &[]);
    elsewhere.lineage.as_mut().unwrap().run = RunId::from_uuid(uuid(60));
    assert_eq!(refused(&run, elsewhere), RunRefusal::AlreadyStarted);
}

#[test]
fn what_was_undone_is_done_again_with_all_that_came_after() {
    let mut steps = chain().steps;
    steps[0] = undone(step("a", &[]));
    let back = definition(steps);
    let mut run = asked(back.clone(), vec![advance(0), complete("a"), complete("b"), fail("c")]);
    assert_eq!(run.state.keepable(&back, &[]), names(&[]), "undoing has begun");
    run.ask(settle(undo("a"), done("gone"), 2)).unwrap();
    assert_eq!(run.state.status(), RunStatus::Failed);
    assert_eq!(run.state.keepable(&back, &[]), names(&[]));
    assert_eq!(refused(&run, onward(back, &["a", "b"])), cannot_keep("a", "it was undone"));
}

#[test]
fn a_fork_undoes_kept_steps_in_the_order_in_which_they_completed() {
    let run = asked(undoable(), vec![advance(0), complete("a"), complete("c"), complete("b")]);
    let mut fork = take_over(&run, undoable(), &["a", "b", "c"]);
    fork.ask(advance(100)).unwrap();
    fork.ask(request_cancel(101)).unwrap();
    let mut order = Vec::new();
    let mut events = fork.ask(cut_off(101)).unwrap();
    while let Some(RunEvent::CompensationStarted { step, task, .. }) = events.last() {
        order.push(step.to_string());
        events = fork.ask(settle(*task, done("gone"), 102)).unwrap();
    }
    assert_eq!(order, ["b", "c", "a"]);
    assert_eq!(events.last(), Some(&cancelled()));
}

#[test]
fn a_fork_of_a_paused_cancelled_or_failed_run_is_a_live_run() {
    let waits = || {
        let asks = Approval { on_rejection: Verdict::Reject, ..approval() };
        let steps = [step("a", &[]), working("s", &["a"], signal("go")), working("w", &["a"], wait(10))];
        definition([&steps[..], &[working("p", &["a"], Work::Approval(asks))]].concat())
    };
    let begun = || vec![advance(0), complete("a"), send("later", json!(1), 1)];
    let ends = [
        vec![pause(2)],
        vec![request_cancel(2)],
        vec![request_cancel(2), cut_off(3)],
        vec![RunCommand::FailStep { step: name("s"), error: super::runs::timed_out("x"), now: at(2) }],
    ];
    for end in ends {
        let run = asked(waits(), [begun(), end].concat());
        let mut fork = take_over(&run, waits(), &["a"]);
        let state = &fork.state;
        assert_eq!((state.status(), state.pause(), state.cancel()), (RunStatus::Running, None, None));
        let started = fork.ask(advance(100)).unwrap();
        assert_eq!(started.len(), 3, "everything that waited waits anew: {started:?}");
        assert_eq!(fork.state.next_due(), Some(at(110)));
        let says = RunCommand::DecideApproval {
            step: name("p"),
            by: Actor::person("noor"),
            roles: vec![],
            approved: true,
            comment: String::new(),
            content_hash: None,
            now: at(101),
        };
        for command in [says, send("go", json!(2), 101), advance(110)] {
            fork.ask(command).unwrap();
        }
        assert_eq!(fork.state.status(), RunStatus::Completed);
    }
}

#[test]
fn a_signal_that_no_step_had_used_is_taken_over() {
    let waits = definition(vec![step("a", &[]), working("s", &["a"], signal("go"))]);
    let run = asked(waits.clone(), vec![advance(0), send("go", json!(1), 1)]);
    let mut fork = take_over(&run, waits, &[]);
    let task = TaskId::of_step(RunId::from_uuid(uuid(50)), &name("a"));
    fork.ask(advance(100)).unwrap();
    fork.ask(settle(task, done("A"), 101)).unwrap();
    assert_eq!(fork.state.status(), RunStatus::Completed);
    let event = RunEvent::Started(Box::new(onward(chain(), &["a"])));
    assert_eq!(event.lineage().unwrap().run, id());
    assert!(RunEvent::Admitted.lineage().is_none());
    assert_eq!(LineageKind::ALL.map(LineageKind::name), ["retry", "rerun", "fork"]);
}
