//! What tasks wait for: slots, their time, and an end to both.

use std::time::Duration;

use domain::limit::LimitScope;
use domain::run::SlotsNeed;
use domain::task::TaskStatus;
use domain::{ErrorKind, LimitId, RetryPolicy, SlotsId, Task, TaskCommand, TaskEvent, Timestamp};

use super::drive::Driven;
use super::fixtures::{error, seconds};
use super::task::{
    NOW, PACING, assign, assigned, cancel, create, created, fail, failed, given, in_every_status, reject, running,
    start, started, waiting,
};

fn need(limit: &str) -> SlotsNeed {
    let key = limit.parse().unwrap();
    SlotsNeed {
        slots: SlotsId::of(LimitId::from_key(&key), &LimitScope::Agent(key.clone()), None),
        limit: key,
        partition: None,
        fairness: String::new(),
    }
}

fn queue(limits: &[&str]) -> TaskCommand {
    TaskCommand::Queue { slots: limits.iter().copied().map(need).collect() }
}

fn queued(limits: &[&str]) -> TaskEvent {
    TaskEvent::Queued { slots: limits.iter().copied().map(need).collect() }
}

fn defer(count: u64) -> TaskCommand {
    TaskCommand::Defer { by: seconds(count) }
}

fn in_time(count: u64) -> Timestamp {
    NOW.plus(seconds(count))
}

#[test]
fn it_waits_for_slots_between_attempts() {
    in_every_status(
        || queue(&["gpu"]),
        "queued",
        |status| matches!(status, TaskStatus::Assigned | TaskStatus::Waiting).then(|| vec![queued(&["gpu"])]),
    );
    given(vec![created(), assigned(), queued(&["gpu"])]).when(queue(&["gpu"])).then_expect_events(vec![]);
    given(vec![created(), assigned(), queued(&["gpu"])])
        .when(queue(&["gpu", "writer"]))
        .then_expect_events(vec![queued(&["gpu", "writer"])]);
    // A limit that was taken away is waited for no longer.
    given(vec![created(), assigned(), queued(&["gpu"])]).when(queue(&[])).then_expect_events(vec![queued(&[])]);
    given(vec![created(), assigned()]).when(queue(&[])).then_expect_events(vec![]);
}

#[test]
fn slots_are_held_by_one_attempt_and_go_with_every_end() {
    let mut task = Driven::<Task>::new();
    for command in [create(), assign(), queue(&["gpu"]), start()] {
        task.ask(command).unwrap();
        assert_eq!(task.state.slots().is_empty(), task.history.len() < 3);
    }
    task.ask(fail(1, ErrorKind::Timeout)).unwrap();
    assert!(task.state.slots().is_empty(), "the next attempt asks anew");
    let held = [created(), assigned(), queued(&["gpu"]), started(1)];
    let waits = [created(), assigned(), queued(&["gpu"])];
    let lost = TaskCommand::LoseAttempt { attempt: 1, pacing: PACING };
    for (history, end) in [
        (held.to_vec(), cancel()),
        (held.to_vec(), lost),
        (held.to_vec(), fail(1, ErrorKind::Unauthorized)),
        (waits.to_vec(), cancel()),
        (waits.to_vec(), reject()),
    ] {
        let mut task = Driven::<Task> { state: Task::default(), history };
        task.state = task.folded(usize::MAX);
        assert_eq!(task.state.slots(), [need("gpu")]);
        task.ask(end).unwrap();
        assert!(task.state.slots().is_empty());
    }
}

#[test]
fn a_frozen_clock_moves_what_is_waited_for() {
    let deferred = |retry_at, start_by| vec![TaskEvent::Deferred { retry_at, start_by }];
    given(vec![created()]).when(defer(5)).then_expect_events(deferred(None, Some(in_time(35))));
    given(vec![created(), assigned()]).when(defer(5)).then_expect_events(deferred(None, Some(in_time(35))));
    given(waiting()).when(defer(5)).then_expect_events(deferred(Some(in_time(7)), None));
    given(waiting())
        .and(deferred(Some(in_time(7)), None))
        .when(defer(1))
        .then_expect_events(deferred(Some(in_time(8)), None));
    // Nothing waits for a time while a platform is being called, nor after the end.
    given(running()).when(defer(5)).then_expect_events(vec![]);
    given(vec![]).when(defer(5)).then_expect_events(vec![]);
    given(vec![created()]).when(defer(0)).then_expect_events(vec![]);
    for end in [TaskEvent::Cancelled { reason: String::new() }, TaskEvent::Failed { error: error(ErrorKind::Lost) }] {
        for history in [vec![created()], vec![created(), assigned()], waiting()] {
            given(history).and(vec![end.clone()]).when(defer(5)).then_expect_events(vec![]);
        }
    }
}

#[test]
fn a_task_is_to_start_in_time_until_it_has_started_or_ended() {
    let start_by = |commands: Vec<TaskCommand>| {
        let mut task = Driven::<Task>::new();
        for command in commands {
            task.ask(command).unwrap();
        }
        task.state.start_by()
    };
    assert_eq!(start_by(vec![create()]), Some(in_time(30)));
    assert_eq!(start_by(vec![create(), assign(), defer(3)]), Some(in_time(33)));
    assert_eq!(start_by(vec![create(), assign(), start()]), None);
    assert_eq!(start_by(vec![create(), assign(), start(), fail(1, ErrorKind::Timeout)]), None);
    assert_eq!(start_by(vec![create(), cancel()]), None, "nothing of an ended task is due");
    assert_eq!(start_by(vec![create(), assign(), reject()]), None);
}

/// A first failure, now, of a task that was created so many seconds ago.
fn first_failure(retry: RetryPolicy, ago: u64, kind: ErrorKind) -> Vec<TaskEvent> {
    let mut task = Driven::<Task>::new();
    let TaskCommand::Create { run, step, template, template_version, parameters, attempt_timeout, .. } = create()
    else {
        panic!("another command")
    };
    let at = Timestamp::from_micros(NOW.as_micros() - i64::try_from(ago * 1_000_000).unwrap());
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
    for command in [create, assign(), start()] {
        task.ask(command).unwrap();
    }
    task.ask(fail(1, kind)).unwrap()
}

#[test]
fn a_retry_stays_within_its_budget() {
    let budget = |count| RetryPolicy { budget: Some(seconds(count)), ..RetryPolicy::default() };
    let kind = ErrorKind::Timeout;
    let goes_on = vec![failed(1, kind, Some(seconds(2)))];
    let ends = vec![failed(1, kind, None), TaskEvent::Failed { error: error(kind) }];
    assert_eq!(first_failure(budget(10), 8, kind), goes_on, "the pause of two seconds just fits");
    assert_eq!(first_failure(budget(10), 9, kind), ends);
    assert_eq!(first_failure(RetryPolicy::default(), 1000, kind), goes_on);
    // What HishamOS cut itself is repeated whatever the budget.
    let cut = vec![failed(1, ErrorKind::Interrupted, Some(Duration::ZERO))];
    assert_eq!(first_failure(budget(10), 100, ErrorKind::Interrupted), cut);
}

#[test]
fn kinds_that_are_never_repeated_end_the_task() {
    let never = RetryPolicy { never: vec![ErrorKind::Timeout, ErrorKind::Lost], ..RetryPolicy::default() };
    let kind = ErrorKind::Timeout;
    let ends = vec![failed(1, kind, None), TaskEvent::Failed { error: error(kind) }];
    assert_eq!(first_failure(never.clone(), 0, kind), ends);
    let other = ErrorKind::RateLimited;
    assert_eq!(first_failure(never, 0, other), vec![failed(1, other, Some(seconds(2)))]);
}

#[test]
fn a_task_that_waits_can_be_touched_without_changing() {
    in_every_status(
        || TaskCommand::Fence,
        "touched",
        |status| match status {
            TaskStatus::Created | TaskStatus::Assigned | TaskStatus::Waiting => {
                Some(vec![TaskEvent::Queued { slots: vec![] }])
            }
            _ => Some(vec![]),
        },
    );
}
