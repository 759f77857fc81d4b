//! Numbers of definitions at both ends of their ranges.

use std::time::Duration;

use domain::workflow::{Approval, Approver, TaskWork, Verdict, Wait, Work};
use domain::{Definition, DefinitionError, Step};

use super::fixtures::{approval, definition, each, name, seconds, step, task_of, undone, working};

const YEAR: Duration = Duration::from_secs(366 * 86_400);
const MS: Duration = Duration::from_millis(1);
const MICRO: Duration = Duration::from_micros(1);

fn check(step: Step, wrong: Option<&'static str>) {
    let found = definition(vec![step]).validate();
    match wrong {
        None => assert_eq!(found, Ok(())),
        Some(what) => assert_eq!(found, Err(vec![DefinitionError::OutOfRange { step: name("a"), what }])),
    }
}

/// The same ranges hold for a step's task, for the task of each element, and for the one that undoes.
#[test]
fn every_range_of_a_task_is_checked_at_both_ends() {
    type Change = fn(&mut TaskWork);
    let attempts = "retry.max_attempts must be 1 to 100";
    let multiplier = "retry.multiplier must be 1 to 10";
    let timeout = "timeout must be more than zero and at most one day";
    let start = "start_timeout must be 1 ms to 366 days";
    let budget = "retry.budget must be 1 ms to 366 days";
    let first = "retry.first_backoff must not exceed retry.max_backoff";
    let cases: [(Change, Option<&'static str>); 23] = [
        (|task| task.retry.max_attempts = 1, None),
        (|task| task.retry.max_attempts = 100, None),
        (|task| task.retry.max_attempts = 0, Some(attempts)),
        (|task| task.retry.max_attempts = 101, Some(attempts)),
        (|task| task.retry.multiplier_milli = 1000, None),
        (|task| task.retry.multiplier_milli = 10_000, None),
        (|task| task.retry.multiplier_milli = 999, Some(multiplier)),
        (|task| task.retry.multiplier_milli = 10_001, Some(multiplier)),
        (|task| task.retry.max_backoff = seconds(86_400), None),
        (|task| task.retry.max_backoff = seconds(86_401), Some("retry.max_backoff must be at most one day")),
        (|task| task.retry.first_backoff = seconds(60), None),
        (|task| task.retry.first_backoff = seconds(61), Some(first)),
        (|task| task.retry.budget = Some(MS), None),
        (|task| task.retry.budget = Some(YEAR), None),
        (|task| task.retry.budget = Some(MS - MICRO), Some(budget)),
        (|task| task.retry.budget = Some(YEAR + MICRO), Some(budget)),
        (|task| task.attempt_timeout = seconds(86_400), None),
        (|task| task.attempt_timeout = Duration::ZERO, Some(timeout)),
        (|task| task.attempt_timeout = seconds(86_401), Some(timeout)),
        (|task| task.start_timeout = Some(MS), None),
        (|task| task.start_timeout = Some(YEAR), None),
        (|task| task.start_timeout = Some(Duration::ZERO), Some(start)),
        (|task| task.start_timeout = Some(YEAR + MICRO), Some(start)),
    ];
    for (change, wrong) in cases {
        let mut alone = step("a", &[]);
        change(task_of(&mut alone));
        check(alone, wrong);
        let mut over = working("a", &[], each("input.topic", 3));
        if let Work::ForEach(each) = &mut over.work {
            change(&mut each.each);
        }
        check(over, wrong);
        let mut back = undone(step("a", &[]));
        back.compensation.as_deref_mut().into_iter().for_each(change);
        check(back, wrong);
    }
}

#[test]
fn every_step_and_every_workflow_may_have_a_timeout() {
    for (timeout, good) in [(MS, true), (YEAR, true), (MS - MICRO, false), (YEAR + MICRO, false)] {
        let wrong = (!good).then_some("step_timeout must be 1 ms to 366 days");
        check(Step { timeout: Some(timeout), ..step("a", &[]) }, wrong);
        let whole = Definition { timeout: Some(timeout), ..definition(vec![step("a", &[])]) };
        let what = "timeout must be 1 ms to 366 days";
        let errors = (!good).then(|| vec![DefinitionError::WorkflowOutOfRange { what }]);
        assert_eq!(whole.validate().err(), errors);
    }
    let late = DefinitionError::WorkflowOutOfRange { what: "timeout must be 1 ms to 366 days" };
    assert_eq!(late.to_string(), "the workflow's timeout must be 1 ms to 366 days");
}

#[test]
fn a_list_is_worked_through_by_one_to_a_thousand() {
    for (parallel, good) in [(1, true), (1000, true), (0, false), (1001, false)] {
        let wrong = (!good).then_some("for_each.max_parallel must be 1 to 1000");
        check(working("a", &[], each("input.topic", parallel)), wrong);
    }
}

#[test]
fn an_approval_can_be_reached() {
    type Change = fn(&mut Approval);
    let people = || vec![Approver::Person("mara".to_owned()), Approver::Person("noor".to_owned())];
    let quorum = "approval.quorum must be 1 to 100";
    let few = "approval.quorum must not be more than the persons who may decide";
    let expiry = "approval.expires_after must be 1 ms to 366 days";
    let cases: [(Change, Option<&'static str>); 12] = [
        (|approval| approval.quorum = 1, None),
        (|approval| approval.quorum = 100, None),
        (|approval| approval.quorum = 0, Some(quorum)),
        (|approval| approval.quorum = 101, Some(quorum)),
        (|approval| approval.approvers.clear(), Some("approval.approvers must name at least one")),
        (|approval| approval.on_rejection = Verdict::Reject, None),
        (|approval| approval.on_rejection = Verdict::Approve, Some("approval.on_rejection must be fail or reject")),
        (|approval| approval.on_expiry = Verdict::Approve, None),
        (|approval| approval.expires_after = Some(MS), None),
        (|approval| approval.expires_after = Some(YEAR), None),
        (|approval| approval.expires_after = Some(MS - MICRO), Some(expiry)),
        (|approval| approval.expires_after = Some(YEAR + MICRO), Some(expiry)),
    ];
    for (change, wrong) in cases {
        let mut asked = approval();
        change(&mut asked);
        check(working("a", &[], Work::Approval(asked)), wrong);
    }
    // Two people never agree three times, and one who is named twice is one.
    let role = Approver::Role("lawyer".to_owned());
    for (approvers, quorum, wrong) in [
        (people(), 2, None),
        (people(), 3, Some(few)),
        ([people(), people()].concat(), 3, Some(few)),
        ([people(), vec![role]].concat(), 3, None),
    ] {
        check(working("a", &[], Work::Approval(Approval { approvers, quorum, ..approval() })), wrong);
    }
}

#[test]
fn a_wait_has_a_longest_time() {
    for (time, good) in [(Duration::ZERO, true), (YEAR, true), (YEAR + MICRO, false)] {
        let wrong = (!good).then_some("wait.for must be at most 366 days");
        check(working("a", &[], Work::Wait(Wait::For(time))), wrong);
    }
}

#[test]
fn approvers_are_read_and_written() {
    let known = [
        ("anyone", Approver::Anyone),
        ("person:mara", Approver::Person("mara".to_owned())),
        ("role:head:legal", Approver::Role("head:legal".to_owned())),
    ];
    for (text, approver) in known {
        assert_eq!(text.parse::<Approver>().unwrap(), approver);
        assert_eq!(approver.to_string(), text);
        assert_eq!(serde_json::to_value(&approver).unwrap(), text);
    }
    for wrong in ["", "person", "person:", "role:", "anyone:", "group:x", "Anyone"] {
        let error = wrong.parse::<Approver>().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`{wrong}` names no approver; write `anyone`, `person:NAME` or `role:NAME`")
        );
        assert!(serde_json::from_value::<Approver>(wrong.into()).is_err());
    }
}
