//! Tasks under arbitrary commands.

use std::sync::Arc;
use std::time::Duration;

use domain::task::{AttemptStatus, Choice, Ending, Pacing, Purpose, TaskStatus};
use domain::{AgentId, AttemptError, ErrorKind, RetryPolicy, Task, TaskCommand, TaskEvent, TemplateId, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::drive::Driven;
use super::fixtures::{reply, uuid};

fn command() -> impl Strategy<Value = TaskCommand> {
    let attempt = || 0_u32..6;
    let pacing = || {
        (any::<i64>(), 0_u16..=1000)
            .prop_map(|(now, jitter_milli)| Pacing { now: Timestamp::from_micros(now), jitter_milli })
    };
    let error = || {
        (proptest::sample::select(ErrorKind::ALL.as_slice()), proptest::option::of(any::<u64>())).prop_map(
            |(kind, after)| AttemptError {
                kind,
                message: String::new(),
                retry_after: after.map(Duration::from_micros),
            },
        )
    };
    let budget = proptest::option::of(any::<u64>().prop_map(Duration::from_micros));
    let start_by = proptest::option::of(any::<i64>().prop_map(Timestamp::from_micros));
    prop_oneof![
        1 => (1_u32..5, budget, start_by).prop_map(|(max_attempts, budget, start_by)| TaskCommand::Create {
            run: None,
            step: None,
            template: TemplateId::from_uuid(uuid(1)),
            template_version: 1,
            parameters: Arc::new(json!({})),
            retry: RetryPolicy { max_attempts, budget, ..RetryPolicy::default() },
            attempt_timeout: Duration::from_secs(1),
            at: Timestamp::from_micros(0),
            start_by,
        }),
        2 => Just(TaskCommand::Assign {
            agent: AgentId::from_uuid(uuid(2)),
            agent_version: 1,
            reason: String::new(),
            choice: None
        }),
        8 => prop::sample::select(vec!["p", "q"]).prop_map(|platform| TaskCommand::StartAttempt {
            purpose: Purpose::Answer,
            platform: platform.parse().unwrap(),
            model: None,
            request_hash: [0; 32],
            choice: Choice::first(),
        reserved: vec![], masked: vec![], kept: None,
        }),
        1 => (any::<i64>(), error()).prop_map(|(until, error)| TaskCommand::Postpone {
            until: Timestamp::from_micros(until),
            passed_over: vec![],
            error,
        }),
        2 => attempt().prop_map(|attempt| TaskCommand::SucceedAttempt { attempt, reply: reply("x"), ending: Some(Ending::default()) }),
        8 => (attempt(), error(), any::<bool>(), pacing()).prop_map(|(attempt, error, fallback, pacing)| {
            TaskCommand::FailAttempt { attempt, error, consumed: None, fallback, pacing }
        }),
        3 => (attempt(), pacing()).prop_map(|(attempt, pacing)| TaskCommand::LoseAttempt { attempt, pacing }),
        1 => error().prop_map(|error| TaskCommand::Reject { error }),
        2 => any::<u64>().prop_map(|by| TaskCommand::Defer { by: Duration::from_micros(by) }),
        2 => Just(TaskCommand::Queue { slots: vec![] }),
        1 => Just(TaskCommand::Cancel { reason: String::new() }),
    ]
}

fn ends(event: &TaskEvent) -> bool {
    matches!(event, TaskEvent::Completed { .. } | TaskEvent::Failed { .. } | TaskEvent::Cancelled { .. })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_first_terminal_event_wins(commands in vec(command(), 0..60)) {
        let mut task = Driven::<Task>::new();
        for command in commands {
            let before = task.state.clone();
            match task.ask(command) {
                Err(_) => prop_assert_eq!(&task.state, &before),
                Ok(events) if before.status().is_terminal() => {
                    let late = events.iter().all(|event| matches!(event, TaskEvent::AttemptLate { .. }));
                    prop_assert!(late, "after the end only late answers are recorded");
                    prop_assert_eq!(&task.state, &before);
                }
                Ok(_) => {}
            }
            let running = task.state.running_attempt().is_some();
            prop_assert_eq!(task.state.status() == TaskStatus::Running, running);
            prop_assert_eq!(task.state.status() == TaskStatus::Waiting, task.state.retry_at().is_some());
            let begun = !task.state.attempts().is_empty() || task.state.status().is_terminal();
            prop_assert!(!begun || task.state.start_by().is_none(), "it has started or ended in time");
            prop_assert_eq!(task.state.status() == TaskStatus::Failed, task.state.error().is_some());
            prop_assert_eq!(task.state.status() == TaskStatus::Completed, task.state.reply().is_some());
        }
        prop_assert!(task.history.iter().filter(|event| ends(event)).count() <= 1);
        prop_assert_eq!(&task.state, &task.folded(usize::MAX));
    }

    #[test]
    fn attempts_are_counted_and_bounded(commands in vec(command(), 0..60)) {
        let mut task = Driven::<Task>::new();
        for command in commands {
            let _ = task.ask(command);
        }
        let attempts = task.state.attempts();
        for (place, attempt) in attempts.iter().enumerate() {
            prop_assert_eq!(attempt.number as usize, place + 1);
            let settled = attempt.status != AttemptStatus::Running;
            prop_assert!(settled || place + 1 == attempts.len(), "only the last attempt may be under way");
        }
        let counted = attempts.iter().filter(|attempt| !attempt.was_interrupted()).count();
        let allowed = task.state.order().map_or(0, |order| order.retry.max_attempts);
        // Of two platforms, each once too often by whoever does not go by the policy.
        prop_assert!(counted <= 2 * (allowed as usize + 1), "{counted} attempts, {allowed} allowed at each platform");
    }
}
