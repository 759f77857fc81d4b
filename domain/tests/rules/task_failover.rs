//! Tasks whose attempts go to several platforms.

use std::time::Duration;

use domain::task::{PassedOver, TaskStatus};
use domain::{AttemptError, ErrorKind, RetryPolicy, Task, TaskCommand, TaskEvent};

use super::drive::Driven;
use super::fixtures::{error, seconds};
use super::task::{NOW, assign, assigned, create, created, fail_with, given, in_every_status, running, start_at};

fn begun() -> Driven<Task> {
    let mut task = Driven::<Task>::new();
    for command in [create(), assign()] {
        task.ask(command).unwrap();
    }
    task
}

/// Starts the next attempt and lets it fail; answers with the time of the next one.
fn fails(task: &mut Driven<Task>, platform: &str, error: AttemptError, fallback: bool) -> Option<Duration> {
    task.ask(start_at(platform)).unwrap();
    let number = u32::try_from(task.state.attempts().len()).unwrap();
    let events = task.ask(fail_with(number, error, fallback)).unwrap();
    match &events[0] {
        TaskEvent::AttemptFailed { retry_at, .. } => {
            assert_eq!(retry_at.is_none(), events.len() == 2, "without another attempt it ends");
            retry_at.map(|at| at.since(NOW))
        }
        other => panic!("{other:?}"),
    }
}

fn says(kind: ErrorKind, message: &str, after: Option<u64>) -> AttemptError {
    AttemptError { kind, message: message.to_owned(), retry_after: after.map(Duration::from_secs) }
}

#[test]
fn a_fallback_starts_at_once_and_does_not_use_up_the_policy() {
    let mut task = begun();
    let limited = || says(ErrorKind::RateLimited, "slow down", Some(30));
    let down = || says(ErrorKind::PlatformFailure, "we are down", None);
    for pause in [2, 4] {
        assert_eq!(fails(&mut task, "p", limited(), true), Some(Duration::ZERO));
        // The round is over: the policy's pause, because `q` has not asked for a longer one.
        assert_eq!(fails(&mut task, "q", down(), false), Some(seconds(pause)));
    }
    assert_eq!(fails(&mut task, "p", limited(), true), Some(Duration::ZERO));
    assert_eq!(fails(&mut task, "q", down(), false), None, "each has had its three attempts");
    let error = task.state.error().unwrap();
    assert_eq!((error.kind, error.retry_after), (ErrorKind::RateLimited, Some(seconds(30))));
    assert!(
        error.message.starts_with("slow down; attempt 1 at p: rate_limited (slow down); attempt 2 at q: "),
        "{error:?}"
    );
    assert!(error.message.ends_with("; attempt 6 at q: platform_failure (we are down)"), "{error:?}");
}

#[test]
fn a_kind_that_ends_one_platform_does_not_end_the_others() {
    for kind in [ErrorKind::Unauthorized, ErrorKind::ContextTooLong, ErrorKind::ContentRefused] {
        let mut task = begun();
        assert_eq!(fails(&mut task, "p", error(kind), true), Some(Duration::ZERO));
        assert_eq!(fails(&mut task, "q", error(ErrorKind::Timeout), false), Some(seconds(2)), "only q is left");
        assert_eq!(fails(&mut task, "q", error(kind), false), None);
        assert_eq!(task.state.error().unwrap().kind, kind);
    }
    // A wrong request is wrong everywhere, whoever says that somebody can take over.
    let mut task = begun();
    assert_eq!(fails(&mut task, "p", error(ErrorKind::InvalidRequest), true), None);
    assert_eq!(task.state.error().unwrap(), &error(ErrorKind::InvalidRequest), "one platform is no list");
}

#[test]
fn what_is_never_repeated_is_not_taken_elsewhere_and_the_budget_holds_for_fallbacks_too() {
    let with = |retry: RetryPolicy| {
        let mut task = Driven::<Task>::new();
        let TaskCommand::Create { run, step, template, template_version, parameters, attempt_timeout, at, .. } =
            create()
        else {
            unreachable!()
        };
        let create = TaskCommand::Create {
            run,
            step,
            template,
            template_version,
            parameters,
            retry,
            attempt_timeout,
            at,
            start_by: None,
        };
        task.ask(create).unwrap();
        task.ask(assign()).unwrap();
        task
    };
    let mut task = with(RetryPolicy { never: vec![ErrorKind::Timeout], ..RetryPolicy::default() });
    assert_eq!(fails(&mut task, "p", error(ErrorKind::Timeout), true), None);

    let mut task = with(RetryPolicy { budget: Some(seconds(5)), ..RetryPolicy::default() });
    assert_eq!(fails(&mut task, "p", error(ErrorKind::Timeout), true), Some(Duration::ZERO));
    let postpone = |until: u64| TaskCommand::Postpone {
        until: NOW.plus(seconds(until)),
        passed_over: vec![],
        error: error(ErrorKind::PlatformFailure),
    };
    assert_eq!(task.ask(postpone(5)).unwrap().len(), 1);
    let end = task.ask(postpone(6)).unwrap();
    assert_eq!(end, vec![TaskEvent::Failed { error: error(ErrorKind::Timeout) }], "it fails with what was tried");
}

#[test]
fn it_waits_until_somebody_may_be_asked_again() {
    let passed_over =
        || vec![PassedOver { platform: "p".parse().unwrap(), model: None, reason: "it rests".to_owned() }];
    let until = NOW.plus(seconds(9));
    let postpone =
        || TaskCommand::Postpone { until, passed_over: passed_over(), error: error(ErrorKind::PlatformFailure) };
    let postponed = || TaskEvent::Postponed { until, passed_over: passed_over() };
    in_every_status(postpone, "postponed", |status| {
        matches!(status, TaskStatus::Assigned | TaskStatus::Waiting).then(|| vec![postponed()])
    });
    given(vec![created(), assigned(), postponed()]).when(postpone()).then_expect_events(vec![]);
    let mut task = Driven::<Task>::new();
    task.history = vec![created(), assigned(), postponed()];
    let state = task.folded(usize::MAX);
    assert_eq!((state.status(), state.retry_at()), (TaskStatus::Waiting, Some(until)));
    assert_eq!(state.passed_over(), passed_over());
    task.history.extend(running().split_off(2));
    let state = task.folded(usize::MAX);
    assert!(state.passed_over().is_empty() && state.retry_at().is_none());
}
