//! Steps over lists, steps that wait, and steps that start other runs.

use std::sync::Arc;

use domain::run::{Activity, Place, RunStatus, StepStatus, TaskEnd};
use domain::workflow::{ParentClose, Wait, Work};
use domain::{Definition, ErrorKind, Run, RunCommand, RunEvent, RunId, RunRefusal, Step};
use serde_json::{Value, json};

use super::drive::Driven;
use super::fixtures::{
    at, child, definition, each, error, expression, mapping, name, result, seconds, signal, step, task_work, wait,
    working,
};
use super::runs::{
    advance, asked, beginning, broken, complete, completed, completed_with, cut_off, done, due, id, item, pause,
    received, request_cancel, resume, send, settle, step_cancelled, step_failed, timed_out,
};

/// A run of `steps` whose topic is this.
fn on(topic: Value, steps: Vec<Step>) -> Driven<Run> {
    let mut run = Driven::new();
    let start = domain::run::Start { input: Arc::new(json!({ "topic": topic })), ..beginning(definition(steps)) };
    run.ask(RunCommand::Start(Box::new(start))).unwrap();
    run
}

fn list(max_parallel: u32) -> Step {
    working("l", &[], each("input.topic", max_parallel))
}

fn planned(items: Value, second: u64) -> RunEvent {
    RunEvent::ItemsPlanned { step: name("l"), items: Arc::new(items), at: at(second), deadline: None }
}

fn item_started(number: u32) -> RunEvent {
    RunEvent::ItemStarted { step: name("l"), item: number, task: item("l", number) }
}

fn item_completed(number: u32, text: &str) -> RunEvent {
    RunEvent::ItemCompleted { step: name("l"), item: number, result: Arc::new(result(text)), simulated: false }
}

fn item_failed(number: u32) -> RunEvent {
    RunEvent::ItemFailed { step: name("l"), item: number, error: error(ErrorKind::Timeout) }
}

#[test]
fn a_list_is_worked_through_with_so_many_at_once_and_keeps_its_order() {
    let mut run = on(json!(["x", "y", "z"]), vec![list(2)]);
    let first = run.ask(advance(0)).unwrap();
    assert_eq!(first, vec![planned(json!(["x", "y", "z"]), 0), item_started(0), item_started(1)]);
    let open: Vec<Place> = run.state.open_tasks().into_iter().map(|(place, _)| place).collect();
    assert_eq!(open, [Place::Item(name("l"), 0), Place::Item(name("l"), 1)]);
    assert_eq!(run.ask(settle(item("l", 1), done("Y"), 1)).unwrap(), vec![item_completed(1, "Y"), item_started(2)]);
    assert_eq!(run.ask(settle(item("l", 2), done("Z"), 1)).unwrap(), vec![item_completed(2, "Z")]);
    let output = json!({ "items": [result("X"), result("Y"), result("Z")] });
    assert_eq!(
        run.ask(settle(item("l", 0), done("X"), 1)).unwrap(),
        vec![item_completed(0, "X"), completed_with("l", &output), completed(json!({ "l": output }))]
    );
}

#[test]
fn an_element_knows_itself_and_its_number() {
    let run = on(json!([]), vec![step("a", &[])]);
    let work = task_work(mapping(&[("what", "item.name"), ("number", "index"), ("topic", "input.topic")]));
    let parameters = run.state.task_parameters(&work, Some((7, &json!({ "name": "x" })))).unwrap();
    assert_eq!(parameters, json!({ "what": "x", "number": 7, "topic": [] }));
}

#[test]
fn an_empty_list_is_done_at_once() {
    let mut run = on(json!([]), vec![list(2), step("b", &["l"])]);
    let output = json!({ "items": [] });
    let events = run.ask(advance(0)).unwrap();
    assert_eq!(events[..2], [planned(json!([]), 0), completed_with("l", &output)]);
    assert!(matches!(&events[2], RunEvent::StepStarted { step, .. } if *step == name("b")));
}

#[test]
fn what_is_no_list_or_too_long_a_list_fails_the_step() {
    let message = |topic| {
        let mut run = on(topic, vec![list(2)]);
        run.ask(advance(0)).unwrap();
        assert_eq!(run.state.status(), RunStatus::Failed);
        run.state.error().unwrap().message.clone()
    };
    assert_eq!(message(json!("moon")), "`input.topic` gives a text, but for_each needs a list");
    assert_eq!(message(Value::Null), "`input.topic` gives null, but for_each needs a list");
    assert_eq!(message(json!({})), "`input.topic` gives an object, but for_each needs a list");
    let long = message(json!(vec![0; 100_001]));
    assert_eq!(long, "`input.topic` gives a list of 100001 elements; at most 100000 are worked through");
}

#[test]
fn after_an_element_failed_no_other_starts_and_the_rest_is_let_finish() {
    let mut run = on(json!(["x", "y", "z"]), vec![list(2)]);
    run.ask(advance(0)).unwrap();
    assert_eq!(run.ask(settle(item("l", 0), broken(), 1)).unwrap(), vec![item_failed(0)]);
    let again = run.ask(settle(item("l", 0), done("X"), 1));
    assert_eq!(again, Err(RunRefusal::TaskUnknown { task: item("l", 0) }));
    let end = run.ask(settle(item("l", 1), done("Y"), 1)).unwrap();
    assert_eq!(end[..2], [item_completed(1, "Y"), step_failed("l")]);
    assert_eq!(run.state.status(), RunStatus::Failed);
}

#[test]
fn another_steps_failure_lets_running_elements_finish_and_starts_no_more() {
    let mut run = on(json!(["x", "y"]), vec![list(1), step("b", &[])]);
    run.ask(advance(0)).unwrap();
    assert_eq!(run.ask(settle(super::runs::task("b"), broken(), 1)).unwrap(), vec![step_failed("b")]);
    let end = run.ask(settle(item("l", 0), done("X"), 1)).unwrap();
    assert_eq!(end[..2], [item_completed(0, "X"), step_cancelled("l")]);
    assert_eq!(run.state.status(), RunStatus::Failed);
}

#[test]
fn a_paused_list_starts_no_element_and_goes_on_afterwards() {
    let mut run = on(json!(["x", "y"]), vec![list(1)]);
    run.ask(advance(0)).unwrap();
    run.ask(pause(1)).unwrap();
    assert_eq!(run.ask(settle(item("l", 0), done("X"), 2)).unwrap(), vec![item_completed(0, "X")]);
    run.ask(resume(3)).unwrap();
    assert_eq!(run.ask(advance(3)).unwrap(), vec![item_started(1)]);
}

#[test]
fn a_list_of_which_a_part_was_simulated_is_simulated() {
    let mut run = on(json!(["x", "y"]), vec![list(2)]);
    run.ask(advance(0)).unwrap();
    let simulated = TaskEnd::Completed { result: result("X"), simulated: true };
    run.ask(settle(item("l", 0), simulated, 1)).unwrap();
    let end = run.ask(settle(item("l", 1), done("Y"), 1)).unwrap();
    assert!(matches!(&end[1], RunEvent::StepCompleted { simulated: true, .. }));
    assert!(matches!(&end[2], RunEvent::Completed { simulated: true, .. }));
}

#[test]
fn elements_are_cut_with_their_run() {
    let mut run = on(json!(["x", "y", "z"]), vec![list(2)]);
    run.ask(advance(0)).unwrap();
    run.ask(request_cancel(1)).unwrap();
    run.ask(settle(item("l", 0), done("X"), 2)).unwrap();
    assert_eq!(run.state.open_tasks().len(), 1, "no third element started");
    assert_eq!(run.ask(cut_off(11)).unwrap()[0], step_cancelled("l"));
    assert!(run.state.open_tasks().is_empty());
    // An element whose task was cancelled alone fails the step, so that the run comes to an end.
    let mut run = on(json!(["x"]), vec![list(2)]);
    run.ask(advance(0)).unwrap();
    run.ask(settle(item("l", 0), TaskEnd::Cancelled, 1)).unwrap();
    assert_eq!(run.state.status(), RunStatus::Failed);
}

#[test]
fn a_wait_ends_when_its_time_has_come() {
    let mut run = asked(definition(vec![working("w", &[], wait(10))]), vec![advance(0)]);
    let Activity::Timer { fires_at } = run.state.steps()[&name("w")].activity else { panic!("it is no timer") };
    assert_eq!((fires_at, due(&run)), (at(10), Some(at(10))));
    assert_eq!(run.ask(advance(9)).unwrap(), vec![]);
    let output = json!({ "until": "2023-11-14T22:13:30Z" });
    assert_eq!(run.ask(advance(12)).unwrap(), vec![completed_with("w", &output), completed(json!({ "w": output }))]);
    let nothing = asked(definition(vec![working("w", &[], wait(0))]), vec![advance(0)]);
    assert_eq!(nothing.state.status(), RunStatus::Completed);
}

#[test]
fn a_wait_until_a_moment_reads_it_from_anywhere_and_waits_for_none_that_has_passed() {
    let until = || working("w", &[], Work::Wait(Wait::Until(expression("input.topic"))));
    let mut run = on(json!("2023-11-14T23:13:30+01:00"), vec![until()]);
    run.ask(advance(0)).unwrap();
    assert_eq!(due(&run), Some(at(10)));
    let mut run = on(json!("1999-01-01T00:00:00Z"), vec![until()]);
    run.ask(advance(0)).unwrap();
    assert_eq!(run.state.status(), RunStatus::Completed);
    for wrong in [json!("tomorrow"), json!(12), Value::Null, json!("2023-11-14")] {
        let mut run = on(wrong.clone(), vec![until()]);
        run.ask(advance(0)).unwrap();
        let expected = format!("`input.topic` gives {wrong}, which is no moment in RFC 3339");
        assert_eq!(run.state.error().unwrap().message, expected);
    }
}

#[test]
fn a_signal_may_come_late_early_or_twice() {
    let waits = |called: &str, needs: &[&str]| working(called, needs, signal("go"));
    let output = |payload: i32| json!({ "payload": payload });
    let mut run = asked(definition(vec![waits("s", &[])]), vec![advance(0), advance(5)]);
    assert!(matches!(&run.history[1], RunEvent::SignalAwaited { signal, .. } if *signal == name("go")));
    assert_eq!(run.ask(send("other", json!(0), 6)).unwrap(), vec![received("other", json!(0), 6)]);
    assert_eq!(run.ask(advance(6)).unwrap(), vec![]);
    assert_eq!(run.ask(send("go", json!(7), 7)).unwrap(), vec![received("go", json!(7), 7)]);
    assert_eq!(run.ask(advance(7)).unwrap()[0], completed_with("s", &output(7)));

    // Early, and one more than is wanted: the oldest is used, and each only once.
    let two = definition(vec![step("a", &[]), waits("s", &["a"]), waits("t", &["s"])]);
    let early = vec![advance(0), send("go", json!(1), 1), send("go", json!(2), 2), send("go", json!(3), 3)];
    let mut run = asked(two, early);
    run.ask(complete("a")).unwrap();
    assert_eq!(run.state.status(), RunStatus::Completed);
    assert_eq!(**run.state.outputs().get(&name("s")).unwrap(), output(1));
    assert_eq!(**run.state.outputs().get(&name("t")).unwrap(), output(2));

    // Two steps that wait for one name need two signals.
    let beside = definition(vec![waits("s", &[]), waits("t", &[])]);
    let mut run = asked(beside, vec![advance(0), send("go", json!(1), 1), advance(1)]);
    assert_eq!(run.state.running().count(), 1);
    run.ask(send("go", json!(2), 2)).unwrap();
    run.ask(advance(2)).unwrap();
    assert_eq!(run.state.status(), RunStatus::Completed);
}

#[test]
fn signals_that_nobody_wants_are_bounded_and_keep_none_out_that_is_waited_for() {
    let run = || {
        let mut run = asked(definition(vec![working("s", &[], signal("go"))]), vec![advance(0)]);
        for second in 0..1000 {
            run.ask(send("noise", json!(null), second)).unwrap();
        }
        run
    };
    let full = Err(RunRefusal::TooManySignals { count: 1000 });
    assert_eq!(run().ask(send("noise", json!(null), 1)), full);
    let mut run = run();
    run.ask(send("go", json!(1), 2)).unwrap();
    assert_eq!(run.ask(send("go", json!(2), 2)), Err(RunRefusal::TooManySignals { count: 1001 }));
    run.ask(advance(2)).unwrap();
    assert_eq!(run.state.status(), RunStatus::Completed);
}

#[test]
fn a_signal_that_came_in_time_counts_although_it_is_seen_late() {
    let waits = || definition(vec![Step { timeout: Some(seconds(10)), ..working("s", &[], signal("go")) }]);
    let run = asked(waits(), vec![advance(0), send("go", json!(1), 9), advance(12)]);
    assert_eq!(run.state.status(), RunStatus::Completed);
    let run = asked(waits(), vec![advance(0), send("go", json!(1), 11), advance(12)]);
    assert_eq!(run.state.error(), Some(&timed_out("the step took longer than the 10s that it may take")));
    // The sender's clock is ahead of ours.
    let run = asked(waits(), vec![advance(0), send("go", json!(1), 3), advance(2)]);
    assert_eq!(run.state.status(), RunStatus::Completed);
}

fn other() -> RunId {
    RunId::of_step(id(), &name("r"))
}

fn child_ends(end: Result<(Value, bool), ErrorKind>, second: u64) -> RunCommand {
    RunCommand::SettleChild { step: name("r"), end: end.map_err(error), now: at(second) }
}

fn child_started() -> RunEvent {
    RunEvent::ChildStarted { step: name("r"), run: other(), at: at(0), deadline: None }
}

#[test]
fn another_run_is_waited_for() {
    let waits = || definition(vec![working("r", &[], child(true, ParentClose::Cancel))]);
    let mut run = asked(waits(), vec![]);
    assert_eq!(run.ask(advance(0)).unwrap(), vec![child_started()]);
    assert_eq!(run.state.children().collect::<Vec<_>>(), [(&name("r"), other())]);
    assert_eq!(
        run.state.child_input(&mapping(&[("x", "input.topic"), ("y", "input.z")])).unwrap(),
        json!({ "x": "moon" })
    );
    let end = run.ask(child_ends(Ok((json!({ "ok": 1 }), true)), 9)).unwrap();
    let output = json!({ "run": other().to_string(), "output": { "ok": 1 } });
    assert!(matches!(&end[0], RunEvent::StepCompleted { output: made, simulated: true, .. } if **made == output));
    assert_eq!(run.state.status(), RunStatus::Completed);

    let mut run = asked(waits(), vec![advance(0)]);
    run.ask(child_ends(Err(ErrorKind::RunFailed), 9)).unwrap();
    assert_eq!(run.state.error().unwrap().kind, ErrorKind::RunFailed);
    let mut run = asked(definition(vec![step("r", &[])]), vec![advance(0)]);
    assert_eq!(run.ask(child_ends(Err(ErrorKind::RunFailed), 9)), Err(RunRefusal::StepNotRunning { step: name("r") }));
}

#[test]
fn another_run_that_is_not_waited_for_goes_its_way() {
    let mut run = asked(definition(vec![working("r", &[], child(false, ParentClose::Cancel))]), vec![]);
    assert_eq!(run.ask(advance(0)).unwrap(), vec![child_started()]);
    // It has begun, in the same append.
    let output = json!({ "run": other().to_string() });
    let expected = vec![completed_with("r", &output), completed(json!({ "r": output }))];
    assert_eq!(run.ask(child_ends(Ok((Value::Null, false)), 0)).unwrap(), expected);
}

#[test]
fn another_run_that_may_go_on_alone_is_left_alone_whatever_ends_the_step() {
    let left = RunEvent::ChildAbandoned { step: name("r"), run: other() };
    for (policy, abandoned) in [(ParentClose::Abandon, vec![left]), (ParentClose::Cancel, vec![])] {
        let steps = || {
            let waits = Step { timeout: Some(seconds(20)), ..working("r", &[], child(true, policy)) };
            Definition { timeout: Some(seconds(30)), ..definition(vec![waits, step("b", &[])]) }
        };
        // The run is cancelled.
        let mut run = asked(steps(), vec![advance(0), complete("b"), request_cancel(1)]);
        let end = run.ask(cut_off(2)).unwrap();
        assert_eq!(end[..end.len() - 1], [abandoned.clone(), vec![step_cancelled("r")]].concat());
        // The step's time is over.
        let mut run = asked(steps(), vec![advance(0), complete("b")]);
        let error = timed_out("the step took longer than the 20s that it may take");
        let end = run.ask(advance(20)).unwrap();
        let over = RunEvent::StepFailed { step: name("r"), error };
        assert_eq!(end[..end.len() - 1], [abandoned.clone(), vec![over]].concat());
        // The run's time is over.
        let mut run = asked(steps(), vec![advance(0), complete("b"), advance(30)]);
        let end = run.ask(cut_off(30)).unwrap();
        assert_eq!(end[..end.len() - 1], [abandoned.clone(), vec![step_cancelled("r")]].concat());
        // Another step failed: a run that stands below this one is let finish.
        let mut run = asked(steps(), vec![advance(0)]);
        let end = run.ask(settle(super::runs::task("b"), broken(), 1)).unwrap();
        assert_eq!(run.state.status().is_terminal(), policy == ParentClose::Abandon);
        if policy == ParentClose::Abandon {
            assert_eq!(end[1..3], [abandoned, vec![step_cancelled("r")]].concat());
        } else {
            run.ask(child_ends(Ok((json!({}), false)), 2)).unwrap();
            assert_eq!(run.state.status(), RunStatus::Failed);
        }
        assert_eq!(run.state.children().count(), 0);
    }
}

#[test]
fn waits_are_given_up_when_another_step_failed() {
    let steps = vec![
        step("b", &[]),
        working("s", &[], signal("go")),
        working("w", &[], wait(10)),
        working("p", &[], Work::Approval(super::fixtures::approval())),
    ];
    let mut run = asked(definition(steps), vec![advance(0)]);
    let end = run.ask(settle(super::runs::task("b"), broken(), 1)).unwrap();
    assert_eq!(end[..4], [step_failed("b"), step_cancelled("p"), step_cancelled("s"), step_cancelled("w")]);
    assert_eq!(run.state.status(), RunStatus::Failed);
    assert!(run.state.steps().values().all(|step| step.status != StepStatus::Running));
}
