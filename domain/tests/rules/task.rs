use std::sync::Arc;
use std::time::Duration;

use cqrs_es::test::TestFramework;
use domain::task::{AttemptStatus, Choice, Ending, Pacing, Purpose, TaskStatus};
use domain::{
    AgentId, AttemptError, ErrorKind, Refusal, RetryPolicy, RunId, Task, TaskCommand, TaskEvent, TaskRefusal,
    TemplateId, Timestamp,
};
use serde_json::json;

use super::drive::Driven;
use super::fixtures::{error, name, reply, uuid};

pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);
const START_BY: Timestamp = Timestamp::from_micros(1_000_000_000 + 30_000_000);
/// The whole pause, not half of it.
pub(crate) const PACING: Pacing = Pacing { now: NOW, jitter_milli: 1000 };

pub(crate) fn given(events: Vec<TaskEvent>) -> cqrs_es::test::AggregateTestExecutor<Task> {
    TestFramework::with(()).given(events)
}

pub(crate) fn create() -> TaskCommand {
    TaskCommand::Create {
        run: Some(RunId::from_uuid(uuid(1))),
        step: Some(name("a")),
        template: TemplateId::from_uuid(uuid(2)),
        template_version: 3,
        parameters: Arc::new(json!({ "topic": "moon" })),
        retry: RetryPolicy { max_attempts: 3, ..RetryPolicy::default() },
        attempt_timeout: Duration::from_secs(9),
        at: NOW,
        start_by: Some(START_BY),
    }
}

pub(crate) fn created() -> TaskEvent {
    TaskEvent::Created {
        run: Some(RunId::from_uuid(uuid(1))),
        step: Some(name("a")),
        template: TemplateId::from_uuid(uuid(2)),
        template_version: 3,
        parameters: Arc::new(json!({ "topic": "moon" })),
        retry: RetryPolicy { max_attempts: 3, ..RetryPolicy::default() },
        attempt_timeout: Duration::from_secs(9),
        at: NOW,
        start_by: Some(START_BY),
    }
}

pub(crate) fn assign() -> TaskCommand {
    TaskCommand::Assign {
        agent: AgentId::from_uuid(uuid(4)),
        agent_version: 5,
        reason: "named".to_owned(),
        choice: None,
    }
}

pub(crate) fn assigned() -> TaskEvent {
    TaskEvent::Assigned {
        agent: AgentId::from_uuid(uuid(4)),
        agent_version: 5,
        reason: "named".to_owned(),
        choice: None,
    }
}

pub(crate) fn start() -> TaskCommand {
    start_at("p")
}

pub(crate) fn start_at(platform: &str) -> TaskCommand {
    TaskCommand::StartAttempt {
        purpose: Purpose::Answer,
        platform: platform.parse().unwrap(),
        model: Some("m".to_owned()),
        request_hash: [7; 32],
        choice: Choice::first(),
        reserved: vec![],
        masked: vec![],
        kept: None,
    }
}

pub(crate) fn started(attempt: u32) -> TaskEvent {
    TaskEvent::AttemptStarted {
        attempt,
        purpose: Purpose::Answer,
        platform: "p".parse().unwrap(),
        model: Some("m".to_owned()),
        request_hash: [7; 32],
        choice: Some(Choice::first()),
        reserved: vec![],
        masked: vec![],
        kept: None,
    }
}

fn succeed(attempt: u32) -> TaskCommand {
    TaskCommand::SucceedAttempt { attempt, reply: reply("done"), ending: Some(Ending::default()) }
}

fn succeeded(attempt: u32) -> Vec<TaskEvent> {
    vec![
        TaskEvent::AttemptSucceeded { attempt, reply: Box::new(reply("done")) },
        TaskEvent::Completed { attempt, output: None, quality: None, review: None },
    ]
}

fn late(attempt: u32) -> TaskEvent {
    TaskEvent::AttemptLate { attempt, reply: Box::new(reply("done")) }
}

pub(crate) fn fail(attempt: u32, kind: ErrorKind) -> TaskCommand {
    fail_with(attempt, error(kind), false)
}

pub(crate) fn fail_with(attempt: u32, error: AttemptError, fallback: bool) -> TaskCommand {
    TaskCommand::FailAttempt { attempt, error, consumed: None, fallback, pacing: PACING }
}

pub(crate) fn failed(attempt: u32, kind: ErrorKind, retry_in: Option<Duration>) -> TaskEvent {
    let retry_at = retry_in.map(|pause| NOW.plus(pause));
    TaskEvent::AttemptFailed { attempt, error: error(kind), retry_at, consumed: None }
}

pub(crate) fn cancel() -> TaskCommand {
    TaskCommand::Cancel { reason: "enough".to_owned() }
}

fn cancelled() -> TaskEvent {
    TaskEvent::Cancelled { reason: "enough".to_owned() }
}

pub(crate) fn reject() -> TaskCommand {
    TaskCommand::Reject { error: error(ErrorKind::UnknownPlatform) }
}

fn rejected() -> TaskEvent {
    TaskEvent::Failed { error: error(ErrorKind::UnknownPlatform) }
}

pub(crate) fn running() -> Vec<TaskEvent> {
    vec![created(), assigned(), started(1)]
}

pub(crate) fn waiting() -> Vec<TaskEvent> {
    [running(), vec![failed(1, ErrorKind::Timeout, Some(Duration::from_secs(2)))]].concat()
}

pub(crate) fn completed() -> Vec<TaskEvent> {
    [running(), succeeded(1)].concat()
}

/// A history for every status.
pub(crate) fn histories() -> Vec<(TaskStatus, Vec<TaskEvent>)> {
    vec![
        (TaskStatus::Absent, vec![]),
        (TaskStatus::Created, vec![created()]),
        (TaskStatus::Assigned, vec![created(), assigned()]),
        (TaskStatus::Running, running()),
        (TaskStatus::Waiting, waiting()),
        (TaskStatus::Completed, completed()),
        (TaskStatus::Failed, vec![created(), rejected()]),
        (TaskStatus::Cancelled, [running(), vec![cancelled()]].concat()),
    ]
}

/// What a command leads to in every status: events where it is allowed, else the refused wish.
pub(crate) fn in_every_status(
    command: impl Fn() -> TaskCommand,
    wish: &'static str,
    allowed: impl Fn(TaskStatus) -> Option<Vec<TaskEvent>>,
) {
    for (status, history) in histories() {
        let outcome = given(history).when(command());
        match allowed(status) {
            Some(events) => outcome.then_expect_events(events),
            None => outcome.then_expect_error(TaskRefusal::WrongStatus { status, wish }),
        }
    }
}

#[test]
fn the_histories_stand_where_they_say() {
    for (status, history) in histories() {
        let mut task = Driven::<Task>::new();
        task.history = history;
        assert_eq!(task.folded(usize::MAX).status(), status);
    }
}

#[test]
fn it_is_created_once() {
    for (status, history) in histories() {
        let outcome = given(history).when(create());
        match status {
            TaskStatus::Absent => outcome.then_expect_events(vec![created()]),
            _ => outcome.then_expect_error(TaskRefusal::AlreadyCreated),
        }
    }
}

#[test]
fn it_is_assigned_once() {
    in_every_status(assign, "assigned", |status| (status == TaskStatus::Created).then(|| vec![assigned()]));
}

#[test]
fn attempts_start_when_assigned_or_waiting() {
    in_every_status(start, "attempted", |status| match status {
        TaskStatus::Assigned => Some(vec![started(1)]),
        TaskStatus::Waiting => Some(vec![started(2)]),
        _ => None,
    });
}

#[test]
fn it_is_rejected_only_while_nothing_runs() {
    in_every_status(reject, "rejected", |status| match status {
        TaskStatus::Created | TaskStatus::Assigned | TaskStatus::Waiting => Some(vec![rejected()]),
        _ => None,
    });
}

#[test]
fn it_is_cancelled_unless_it_has_ended() {
    in_every_status(cancel, "cancelled", |status| match status {
        TaskStatus::Absent => None,
        status if status.is_terminal() => Some(vec![]),
        _ => Some(vec![cancelled()]),
    });
}

#[test]
fn a_reply_completes_the_task() {
    given(running()).when(succeed(1)).then_expect_events(succeeded(1));
    let mut task = Driven::<Task>::new();
    task.history = completed();
    let state = task.folded(usize::MAX);
    assert_eq!(state.reply().unwrap().text, "done");
    assert_eq!(state.agent(), Some((AgentId::from_uuid(uuid(4)), 5)));
    assert!(state.running_attempt().is_none() && state.error().is_none());
}

#[test]
fn a_late_reply_is_recorded_and_changes_nothing() {
    let retried = [waiting(), vec![started(2)]].concat();
    let histories = [
        waiting(),
        retried.clone(),
        [retried, succeeded(2)].concat(),
        [running(), vec![cancelled()]].concat(),
        [
            running(),
            vec![failed(1, ErrorKind::Unauthorized, None), TaskEvent::Failed { error: error(ErrorKind::Unauthorized) }],
        ]
        .concat(),
    ];
    for history in histories {
        given(history.clone()).when(succeed(1)).then_expect_events(vec![late(1)]);
        given(history.clone()).when(fail(1, ErrorKind::Timeout)).then_expect_events(vec![]);
        given(history.clone()).when(TaskCommand::LoseAttempt { attempt: 1, pacing: PACING }).then_expect_events(vec![]);
        let mut task = Driven::<Task>::new();
        task.history = [history, vec![late(1)]].concat();
        assert_eq!(task.folded(task.history.len()), task.folded(task.history.len() - 1));
    }
}

#[test]
fn the_same_reply_twice_is_no_news() {
    given(completed()).when(succeed(1)).then_expect_events(vec![]);
    given(completed()).when(fail(1, ErrorKind::Timeout)).then_expect_events(vec![]);
}

#[test]
fn an_attempt_that_never_started_is_refused() {
    let commands: [fn(u32) -> TaskCommand; 3] = [
        succeed,
        |attempt| fail(attempt, ErrorKind::Timeout),
        |attempt| TaskCommand::LoseAttempt { attempt, pacing: PACING },
    ];
    for command in commands {
        for attempt in [0, 2, u32::MAX] {
            given(running()).when(command(attempt)).then_expect_error(TaskRefusal::NoSuchAttempt { attempt });
        }
        given(vec![]).when(command(1)).then_expect_error(TaskRefusal::NoSuchAttempt { attempt: 1 });
    }
}

#[test]
fn errors_that_may_pass_are_retried_and_others_end_the_task() {
    for kind in ErrorKind::ALL {
        let pause = if kind == ErrorKind::Interrupted { Duration::ZERO } else { Duration::from_secs(2) };
        let expected = if kind.retryable() {
            vec![failed(1, kind, Some(pause))]
        } else {
            vec![failed(1, kind, None), TaskEvent::Failed { error: error(kind) }]
        };
        given(running()).when(fail(1, kind)).then_expect_events(expected);
    }
}

#[test]
fn the_policys_last_attempt_ends_the_task() {
    let kind = ErrorKind::PlatformFailure;
    let mut task = Driven::<Task>::new();
    for command in [create(), assign(), start()] {
        task.ask(command).unwrap();
    }
    assert_eq!(task.ask(fail(1, kind)).unwrap(), vec![failed(1, kind, Some(Duration::from_secs(2)))]);
    task.ask(start()).unwrap();
    assert_eq!(task.ask(fail(2, kind)).unwrap(), vec![failed(2, kind, Some(Duration::from_secs(4)))]);
    assert_eq!(task.state.retry_at(), Some(NOW.plus(Duration::from_secs(4))));
    task.ask(start()).unwrap();
    assert_eq!(task.state.retry_at(), None);
    assert_eq!(task.ask(fail(3, kind)).unwrap(), vec![failed(3, kind, None), TaskEvent::Failed { error: error(kind) }]);
    assert_eq!(task.state.error(), Some(&error(kind)));
    assert_eq!(task.state.attempts().len(), 3);
}

#[test]
fn a_platform_may_ask_for_a_longer_pause_but_not_for_a_shorter() {
    for (asked, granted) in [(30, 30), (1, 2), (100_000, 100_000)] {
        let error = AttemptError { retry_after: Some(Duration::from_secs(asked)), ..error(ErrorKind::RateLimited) };
        let expected = TaskEvent::AttemptFailed {
            attempt: 1,
            error: error.clone(),
            retry_at: Some(NOW.plus(Duration::from_secs(granted))),
            consumed: None,
        };
        given(running()).when(fail_with(1, error, false)).then_expect_events(vec![expected]);
    }
}

#[test]
fn a_lost_attempt_counts_and_is_retried() {
    let lose = |attempt| TaskCommand::LoseAttempt { attempt, pacing: PACING };
    let retry_at = Some(NOW.plus(Duration::from_secs(2)));
    given(running()).when(lose(1)).then_expect_events(vec![TaskEvent::AttemptLost { attempt: 1, retry_at }]);

    let mut task = Driven::<Task>::new();
    for command in [create(), assign(), start(), lose(1), start(), lose(2), start()] {
        task.ask(command).unwrap();
    }
    assert_eq!(task.state.attempts()[0].status, AttemptStatus::Lost);
    let end = task.ask(lose(3)).unwrap();
    assert_eq!(end[0], TaskEvent::AttemptLost { attempt: 3, retry_at: None });
    assert!(matches!(&end[1], TaskEvent::Failed { error } if error.kind == ErrorKind::Lost));
    assert_eq!(task.state.last_error().unwrap().kind, ErrorKind::Lost);
}

#[test]
fn an_interrupted_attempt_does_not_use_up_the_policy() {
    let mut task = Driven::<Task>::new();
    for command in [create(), assign(), start()] {
        task.ask(command).unwrap();
    }
    for attempt in 1..=5 {
        let event = failed(attempt, ErrorKind::Interrupted, Some(Duration::ZERO));
        assert_eq!(task.ask(fail(attempt, ErrorKind::Interrupted)).unwrap(), vec![event]);
        task.ask(start()).unwrap();
    }
    // The first attempt that counts has the first pause, and there are still two more.
    for (attempt, seconds) in [(6, 2), (7, 4)] {
        let event = failed(attempt, ErrorKind::Timeout, Some(Duration::from_secs(seconds)));
        assert_eq!(task.ask(fail(attempt, ErrorKind::Timeout)).unwrap(), vec![event]);
        task.ask(start()).unwrap();
    }
    assert_eq!(task.ask(fail(8, ErrorKind::Timeout)).unwrap().len(), 2);
    assert_eq!(task.state.status(), TaskStatus::Failed);
}

#[test]
fn cancelling_cuts_the_running_attempt_and_the_pause() {
    let mut task = Driven::<Task>::new();
    task.history = [running(), vec![cancelled()]].concat();
    assert_eq!(task.folded(usize::MAX).attempts()[0].status, AttemptStatus::Cancelled);
    task.history = [waiting(), vec![cancelled()]].concat();
    let state = task.folded(usize::MAX);
    assert_eq!((state.status(), state.retry_at()), (TaskStatus::Cancelled, None));
    assert_eq!(state.attempts()[0].status, AttemptStatus::Failed(error(ErrorKind::Timeout)));
}

#[test]
fn codes_and_words_are_stable() {
    let wrong = TaskRefusal::WrongStatus { status: TaskStatus::Completed, wish: "assigned" };
    assert_eq!(wrong.to_string(), "the task is completed, so it cannot be assigned");
    assert_eq!(wrong.code(), "TASK_WRONG_STATUS");
    assert_eq!(TaskRefusal::AlreadyCreated.code(), "TASK_EXISTS");
    assert_eq!(TaskRefusal::NoSuchAttempt { attempt: 2 }.code(), "ATTEMPT_UNKNOWN");
}

/// An answer that was not good enough.
fn unsatisfied() -> Vec<TaskEvent> {
    [running(), vec![TaskEvent::AttemptSucceeded { attempt: 1, reply: Box::new(reply("done")) }]].concat()
}

fn make_do(attempt: u32) -> TaskCommand {
    TaskCommand::Complete { attempt, ending: Ending::default() }
}

#[test]
fn an_answer_that_is_not_good_enough_is_followed_by_another_attempt() {
    let unsatisfying = TaskCommand::SucceedAttempt { attempt: 1, reply: reply("done"), ending: None };
    given(running()).when(unsatisfying).then_expect_events(unsatisfied().split_off(3));
    given(unsatisfied()).when(start()).then_expect_events(vec![started(2)]);
    let second = [unsatisfied(), vec![started(2)]].concat();
    given(second).when(succeed(2)).then_expect_events(succeeded(2));
}

#[test]
fn a_task_with_an_answer_does_not_fail() {
    let second = || [unsatisfied(), vec![started(2)]].concat();
    let given_up = failed(2, ErrorKind::InvalidRequest, None);
    given(second()).when(fail(2, ErrorKind::InvalidRequest)).then_expect_events(vec![given_up.clone()]);
    given(second()).when(fail(2, ErrorKind::Interrupted)).then_expect_events(vec![failed(
        2,
        ErrorKind::Interrupted,
        Some(Duration::ZERO),
    )]);
    let lost = TaskEvent::AttemptLost { attempt: 2, retry_at: None };
    given(second()).when(TaskCommand::LoseAttempt { attempt: 2, pacing: PACING }).then_expect_events(vec![lost]);
    let ended = TaskEvent::Completed { attempt: 1, output: None, quality: None, review: None };
    given([second(), vec![given_up]].concat()).when(make_do(1)).then_expect_events(vec![ended]);
}

#[test]
fn a_task_ends_only_with_an_answer_that_it_has() {
    given(unsatisfied()).when(make_do(2)).then_expect_error(TaskRefusal::NoSuchAttempt { attempt: 2 });
    given(waiting()).when(make_do(1)).then_expect_error(TaskRefusal::NoSuchAttempt { attempt: 1 });
    let wrong = TaskRefusal::WrongStatus { status: TaskStatus::Running, wish: "completed" };
    given(running()).when(make_do(1)).then_expect_error(wrong);
}
