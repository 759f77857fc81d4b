//! Steps in which people decide.

use std::sync::Arc;

use domain::run::{PauseClock, RunStatus, StepStatus};
use domain::workflow::{Approval, Approver, Verdict, Work};
use domain::{Actor, ActorKind, Definition, ErrorKind, Run, RunCommand, RunEvent, RunRefusal, Step};
use serde_json::{Value, json};

use super::drive::Driven;
use super::fixtures::{approval, at, definition, mapping, name, seconds, step, undone, working};
use super::runs::{
    advance, asked, complete, cut_off, due, given, pause, pausing, request_cancel, resume, started, step_cancelled,
    timed_out,
};

fn content() -> Value {
    json!({ "topic": "moon" })
}

fn hash() -> [u8; 32] {
    // Written down by another implementation: `printf '{"topic":"moon"}' | b3sum`.
    let hex = "3521233e06fa96915267f09c978630ee2731a8e571e9b7ca4fe663e0f63d9b46";
    std::array::from_fn(|place| u8::from_str_radix(&hex[2 * place..2 * place + 2], 16).unwrap())
}

fn of(approval: Approval) -> Definition {
    definition(vec![working("p", &[], Work::Approval(approval))])
}

fn requested(second: u64, expires_at: Option<u64>) -> RunEvent {
    RunEvent::ApprovalRequested {
        step: name("p"),
        content: Arc::new(content()),
        content_hash: hash(),
        at: at(second),
        expires_at: expires_at.map(at),
        deadline: None,
    }
}

fn person(called: &str) -> Actor {
    Actor::person(called)
}

fn key(called: &str) -> Actor {
    Actor { kind: ActorKind::ApiKey, id: called.to_owned() }
}

fn says(by: Actor, approved: bool, second: u64) -> RunCommand {
    RunCommand::DecideApproval {
        step: name("p"),
        by,
        roles: vec![],
        approved,
        comment: String::new(),
        content_hash: Some(hash()),
        now: at(second),
    }
}

fn said(by: Actor, approved: bool, second: u64) -> RunEvent {
    RunEvent::ApprovalDecided {
        step: name("p"),
        by,
        approved,
        comment: String::new(),
        content_hash: hash(),
        at: at(second),
    }
}

fn no_approval(why: &str) -> RunRefusal {
    RunRefusal::NoApproval { step: name("p"), why: why.to_owned() }
}

fn output(run: &Driven<Run>) -> Value {
    (**run.state.outputs().get(&name("p")).unwrap()).clone()
}

#[test]
fn people_are_asked_and_their_yes_completes_the_step() {
    given(vec![started(of(approval()))]).when(advance(0)).then_expect_events(vec![requested(0, None)]);
    given(vec![started(of(approval())), requested(0, None)])
        .when(says(person("noor"), true, 5))
        .then_expect_events(vec![said(person("noor"), true, 5)]);
    let run = asked(of(approval()), vec![advance(0), says(person("noor"), true, 5), advance(5)]);
    let decisions = json!([{ "by": "person:noor", "approved": true, "comment": "" }]);
    assert_eq!(output(&run), json!({ "approved": true, "decisions": decisions, "content": content() }));
    assert_eq!(run.state.status(), RunStatus::Completed);
}

#[test]
fn a_no_fails_the_step_or_completes_it_with_no() {
    let no = RunCommand::DecideApproval {
        step: name("p"),
        by: person("noor"),
        roles: vec![],
        approved: false,
        comment: "too long".to_owned(),
        content_hash: None,
        now: at(5),
    };
    let run = asked(of(approval()), vec![advance(0), no.clone(), advance(5)]);
    let error = run.state.error().unwrap();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Rejected, "person:noor said no: too long"));
    let soft = Approval { on_rejection: Verdict::Reject, ..approval() };
    let run = asked(of(soft), vec![advance(0), no, advance(5)]);
    assert_eq!(output(&run)["approved"], json!(false));
    assert_eq!(output(&run)["decisions"][0]["comment"], json!("too long"));
}

#[test]
fn so_many_must_agree_and_one_no_is_enough() {
    let three = Approval { quorum: 3, ..approval() };
    let yes = |called| says(person(called), true, 5);
    let mut run = asked(of(three), vec![advance(0), yes("a"), advance(5), yes("b"), advance(5)]);
    assert_eq!(run.state.status(), RunStatus::Running);
    let repeated = RunRefusal::AlreadyDecided { by: "person:b".to_owned(), step: name("p") };
    for approved in [true, false] {
        assert_eq!(run.ask(says(person("b"), approved, 6)), Err(repeated.clone()));
    }
    let mut other = Driven { state: run.state.clone(), history: run.history.clone() };
    run.ask(yes("c")).unwrap();
    run.ask(advance(7)).unwrap();
    assert_eq!(output(&run)["decisions"].as_array().unwrap().len(), 3);
    other.ask(says(person("c"), false, 6)).unwrap();
    other.ask(advance(7)).unwrap();
    assert_eq!(other.state.error().unwrap().message, "person:c said no");
}

#[test]
fn what_has_been_decided_stays_decided_although_it_has_not_taken_effect() {
    // As when the run is paused: the first decision that ends it counts, not the last.
    for first in [true, false] {
        let mut run = asked(of(approval()), vec![advance(0), pause(1), says(person("noor"), first, 2)]);
        for second in [true, false] {
            let late = run.ask(says(person("sami"), second, 3));
            assert_eq!(late, Err(no_approval("it has been decided")));
        }
        run.ask(resume(9)).unwrap();
        run.ask(advance(9)).unwrap();
        assert_eq!(run.state.status(), if first { RunStatus::Completed } else { RunStatus::Failed });
    }
}

#[test]
fn only_those_who_may_decide() {
    let named = vec![Approver::Person("noor".to_owned()), Approver::Role("lawyer".to_owned())];
    let strict = Approval { approvers: named, ..approval() };
    let asks = || vec![started(of(strict.clone())), requested(0, None)];
    let with_roles = |by: Actor, roles: &[&str]| match says(by, true, 5) {
        RunCommand::DecideApproval { step, by, approved, comment, content_hash, now, .. } => {
            let roles = roles.iter().map(ToString::to_string).collect();
            RunCommand::DecideApproval { step, by, roles, approved, comment, content_hash, now }
        }
        other => other,
    };
    for (by, roles) in [(person("noor"), &[][..]), (person("sami"), &["clerk", "lawyer"]), (key("k"), &["lawyer"])] {
        given(asks()).when(with_roles(by.clone(), roles)).then_expect_events(vec![said(by, true, 5)]);
    }
    // A key that is called like a person is not that person.
    for (by, roles) in [(person("sami"), &["clerk"][..]), (person("lawyer"), &[]), (key("noor"), &[])] {
        given(asks()).when(with_roles(by.clone(), roles)).then_expect_error(RunRefusal::NotApprover {
            by: by.to_string(),
            step: name("p"),
            approvers: "person:noor, role:lawyer".to_owned(),
        });
    }
}

#[test]
fn no_agent_schedule_or_part_of_the_system_decides() {
    let all = vec![Approver::Anyone, Approver::Person("x".to_owned()), Approver::Role("r".to_owned())];
    let open = Approval { approvers: all, own_run: true, ..approval() };
    for kind in [ActorKind::Agent, ActorKind::Schedule, ActorKind::System] {
        let by = Actor { kind, id: "x".to_owned() };
        let RunCommand::DecideApproval { step, by, approved, comment, content_hash, now, .. } = says(by, true, 5)
        else {
            panic!("another command")
        };
        let roles = vec!["r".to_owned()];
        let decide = RunCommand::DecideApproval { step, by, roles, approved, comment, content_hash, now };
        let mut run = asked(of(open.clone()), vec![advance(0)]);
        assert!(matches!(run.ask(decide), Err(RunRefusal::NotApprover { .. })), "{kind:?}");
    }
}

#[test]
fn nobody_decides_on_their_own_run_unless_it_is_allowed() {
    let asks = |own_run| vec![started(of(Approval { own_run, ..approval() })), requested(0, None)];
    given(asks(false))
        .when(says(person("mara"), true, 5))
        .then_expect_error(RunRefusal::OwnRun { by: "person:mara".to_owned(), step: name("p") });
    given(asks(true)).when(says(person("mara"), true, 5)).then_expect_events(vec![said(person("mara"), true, 5)]);
}

#[test]
fn a_decision_is_about_what_was_seen() {
    let asks = || vec![started(of(approval())), requested(0, None)];
    let about = |content_hash| match says(person("noor"), true, 5) {
        RunCommand::DecideApproval { step, by, roles, approved, comment, now, .. } => {
            RunCommand::DecideApproval { step, by, roles, approved, comment, content_hash, now }
        }
        other => other,
    };
    given(asks()).when(about(Some([0; 32]))).then_expect_error(RunRefusal::ContentChanged { step: name("p") });
    given(asks()).when(about(None)).then_expect_events(vec![said(person("noor"), true, 5)]);
}

#[test]
fn only_a_step_that_asks_takes_decisions() {
    let steps = || {
        let asks = working("p", &["a"], Work::Approval(approval()));
        definition(vec![step("a", &[]), asks, step("b", &["p"])])
    };
    let decide = |called: &str| match says(person("noor"), true, 5) {
        RunCommand::DecideApproval { by, roles, approved, comment, content_hash, now, .. } => {
            let step = name(called);
            RunCommand::DecideApproval { step, by, roles, approved, comment, content_hash, now }
        }
        other => other,
    };
    let mut run = asked(steps(), vec![advance(0)]);
    assert_eq!(run.ask(decide("ghost")), Err(RunRefusal::StepUnknown { step: name("ghost") }));
    let none = |called: &str, why: &str| Err(RunRefusal::NoApproval { step: name(called), why: why.to_owned() });
    assert_eq!(run.ask(decide("a")), none("a", "it is no approval"));
    assert_eq!(run.ask(decide("p")), none("p", "its turn has not come"));
    for command in [complete("a"), decide("p"), advance(5)] {
        run.ask(command).unwrap();
    }
    assert_eq!(run.ask(decide("p")), none("p", "it is completed"));
    let mut run = asked(steps(), vec![advance(0), complete("a"), request_cancel(4)]);
    let ending = |status| Err(RunRefusal::Ending { status, wish: "decided on" });
    assert_eq!(run.ask(decide("p")), ending(RunStatus::Cancelling));

    // While what had been done is being undone, the answer is no more than that.
    let asks = working("p", &["a"], Work::Approval(approval()));
    let back = definition(vec![undone(step("a", &[])), asks]);
    let mut run = asked(back, vec![advance(0), complete("a"), request_cancel(4), cut_off(4)]);
    assert_eq!(run.ask(decide("p")), ending(RunStatus::Compensating));
}

fn expiring(on_expiry: Verdict) -> Definition {
    of(Approval { quorum: 2, expires_after: Some(seconds(10)), on_expiry, ..approval() })
}

#[test]
fn an_approval_expires_as_it_says() {
    given(vec![started(expiring(Verdict::Fail))]).when(advance(3)).then_expect_events(vec![requested(3, Some(13))]);
    let one_yes = || vec![advance(0), says(person("noor"), true, 5), advance(5)];
    let mut run = asked(expiring(Verdict::Fail), one_yes());
    assert_eq!(due(&run), Some(at(10)));
    assert_eq!(run.ask(advance(9)).unwrap(), vec![]);
    let end = run.ask(advance(10)).unwrap();
    assert_eq!(end[0], RunEvent::ApprovalExpired { step: name("p") });
    assert_eq!(run.state.error().unwrap().message, "1 of 2 wanted approvals came in time");
    assert_eq!(run.state.error().unwrap().kind, ErrorKind::Rejected);
    for (verdict, approved) in [(Verdict::Reject, false), (Verdict::Approve, true)] {
        let mut run = asked(expiring(verdict), one_yes());
        run.ask(advance(10)).unwrap();
        assert_eq!(output(&run)["approved"], json!(approved));
        assert_eq!(run.state.status(), RunStatus::Completed);
    }
}

#[test]
fn a_decision_in_time_counts_and_a_late_one_does_not_whenever_they_are_seen() {
    let yes = |called, second| says(person(called), true, second);
    let run = asked(expiring(Verdict::Fail), vec![advance(0), yes("a", 8), yes("b", 9), advance(15)]);
    assert_eq!(run.state.status(), RunStatus::Completed);
    let mut run = asked(expiring(Verdict::Fail), vec![advance(0), yes("a", 8)]);
    assert_eq!(run.ask(yes("b", 10)), Err(no_approval("its time is over")));
    run.ask(advance(15)).unwrap();
    assert_eq!(run.state.status(), RunStatus::Failed);
}

#[test]
fn a_pause_freezes_the_expiry_or_does_not() {
    let yes = |second| says(person("noor"), true, second);
    let one = || of(Approval { expires_after: Some(seconds(10)), ..approval() });
    let frozen = asked(one(), vec![advance(0), pause(4), yes(50), resume(60), advance(60)]);
    assert_eq!(frozen.state.status(), RunStatus::Completed);
    let mut frozen = asked(one(), vec![advance(0), pause(4), resume(60)]);
    assert_eq!(due(&frozen), Some(at(66)));
    frozen.ask(yes(65)).unwrap();
    let running = || RunCommand::Pause(pausing(4, PauseClock::Running));
    let mut run = asked(one(), vec![advance(0), running()]);
    assert_eq!(run.ask(yes(50)), Err(no_approval("its time is over")));
    for command in [resume(60), advance(60)] {
        run.ask(command).unwrap();
    }
    assert_eq!(run.state.status(), RunStatus::Failed);
    // Decided in time, while nobody could act on it.
    let run = asked(one(), vec![advance(0), running(), yes(9), resume(60), advance(60)]);
    assert_eq!(run.state.status(), RunStatus::Completed);
}

#[test]
fn a_step_that_asks_has_a_time_too() {
    let short = || {
        let asks = working("p", &[], Work::Approval(Approval { expires_after: Some(seconds(10)), ..approval() }));
        definition(vec![Step { timeout: Some(seconds(5)), ..asks }])
    };
    let mut run = asked(short(), vec![advance(0)]);
    assert_eq!(due(&run), Some(at(5)));
    assert_eq!(run.ask(says(person("noor"), true, 5)), Err(no_approval("its time is over")));
    run.ask(advance(20)).unwrap();
    let error = timed_out("the step took longer than the 5s that it may take");
    assert_eq!(run.state.error(), Some(&error), "its time was over before the approval's");
    let run = asked(short(), vec![advance(0), says(person("noor"), true, 4), advance(20)]);
    assert_eq!(run.state.status(), RunStatus::Completed);
}

#[test]
fn a_runs_time_ends_while_people_are_asked() {
    let short = Definition { timeout: Some(seconds(5)), ..of(approval()) };
    let mut run = asked(short, vec![advance(0), advance(5)]);
    assert_eq!(run.state.status(), RunStatus::Failing);
    let ending = RunRefusal::Ending { status: RunStatus::Failing, wish: "decided on" };
    assert_eq!(run.ask(says(person("noor"), true, 5)), Err(ending));
    let end = run.ask(cut_off(5)).unwrap();
    assert_eq!(end[0], step_cancelled("p"));
    assert!(matches!(end.as_slice(), [_, RunEvent::Failed { step: None, .. }]));
    assert_eq!(run.state.steps()[&name("p")].status, StepStatus::Cancelled);
}

#[test]
fn content_that_cannot_be_made_fails_the_step() {
    let wrong = Approval { content: mapping(&[("x", "abs(input.topic)")]), ..approval() };
    let run = asked(of(wrong), vec![advance(0)]);
    assert_eq!(run.state.error().unwrap().kind, ErrorKind::InvalidInput);
}
