use std::sync::Arc;
use std::time::Duration;

use domain::{Event, RetryPolicy, RunEvent, RunId, StreamId, TaskEvent, TaskId, TemplateId, Timestamp};
use journal::{Append, Expected, Journal, Position, RunSubscription, StreamAppend};
use serde_json::json;
use uuid::Uuid;

use super::{conformance, everything, positions};
use crate::sample::{event, parts};

conformance!(follows_one_run_among_many_without_gap_or_repetition, wakes_only_for_the_run_that_is_followed);

const RUNS: usize = 5;
const ROUNDS: usize = 30;

fn run() -> RunId {
    RunId::from_uuid(Uuid::new_v4())
}

fn task() -> StreamId {
    TaskId::from_uuid(Uuid::new_v4()).into()
}

fn created(task: StreamId, run: RunId) -> StreamAppend {
    let event = TaskEvent::Created {
        run: Some(run),
        step: Some("draft".parse().unwrap()),
        template: TemplateId::from_uuid(Uuid::nil()),
        template_version: 1,
        parameters: json!({}).into(),
        retry: RetryPolicy::default(),
        attempt_timeout: Duration::from_secs(1),
        at: Timestamp::from_micros(1),
        start_by: None,
    };
    StreamAppend { stream: task, expected: Expected::NoStream, events: vec![event.into(), self::event(task, "soon")] }
}

fn signalled(run: RunId) -> StreamAppend {
    let at = Timestamp::from_micros(1);
    let event = RunEvent::SignalReceived { signal: "go".parse().unwrap(), payload: json!(1).into(), at };
    StreamAppend { stream: run.into(), expected: Expected::Any, events: vec![Event::Run(event)] }
}

fn later(task: StreamId) -> Append {
    parts(vec![StreamAppend { stream: task, expected: Expected::Exists, events: vec![event(task, "later")] }])
}

/// Something happens to all runs at the same time: tasks come to be and go on.
async fn live(journal: &Arc<dyn Journal>, runs: &[RunId]) -> Vec<Vec<StreamId>> {
    let living: Vec<_> = runs
        .iter()
        .map(|run| {
            let (journal, run) = (Arc::clone(journal), *run);
            tokio::spawn(async move {
                let mut tasks = Vec::new();
                for round in 0..ROUNDS {
                    journal.append(parts(vec![signalled(run)])).await.unwrap();
                    if round % 3 == 0 {
                        let task = task();
                        journal.append(parts(vec![created(task, run), signalled(run)])).await.unwrap();
                        tasks.push(task);
                    }
                    journal.append(later(tasks[round % tasks.len()])).await.unwrap();
                }
                tasks
            })
        })
        .collect();
    let mut all = Vec::new();
    for tasks in living {
        all.push(tasks.await.unwrap());
    }
    all
}

fn follow(mut subscription: RunSubscription, wanted: usize) -> tokio::task::JoinHandle<Vec<u64>> {
    tokio::spawn(async move {
        let mut seen = Vec::new();
        while seen.len() < wanted {
            let more = tokio::time::timeout(Duration::from_secs(60), subscription.next()).await;
            seen.extend(positions(&more.unwrap_or_else(|_| panic!("only {} of {wanted}", seen.len())).unwrap()));
        }
        seen
    })
}

async fn follows_one_run_among_many_without_gap_or_repetition(journal: Arc<dyn Journal>) {
    // A round is a signal and a task's event; every third begins a task with two events, and a signal besides.
    const EACH: usize = ROUNDS * 2 + ROUNDS / 3 * 3;
    let runs: Vec<RunId> = (0..RUNS).map(|_| run()).collect();
    let mut early = Vec::new();
    for run in &runs {
        let head = journal.head().await.unwrap();
        let opened = RunSubscription::open(&*journal, *run, [], head, Position::START).await.unwrap();
        early.push(follow(opened, 2 * EACH));
    }
    let tasks = live(&journal, &runs).await;
    let head = journal.head().await.unwrap();
    let (mut whole, mut rest) = (Vec::new(), Vec::new());
    for (run, tasks) in runs.iter().zip(&tasks) {
        let of = |after| RunSubscription::open(&*journal, *run, tasks.clone(), head, after);
        whole.push(follow(of(Position::START).await.unwrap(), 2 * EACH));
        rest.push(follow(of(head).await.unwrap(), EACH));
    }
    let more = live(&journal, &runs).await;
    let recorded = everything(&*journal).await;
    for (index, (early, (whole, rest))) in early.into_iter().zip(whole.into_iter().zip(rest)).enumerate() {
        let own: Vec<StreamId> =
            tasks[index].iter().chain(&more[index]).copied().chain([StreamId::from(runs[index])]).collect();
        let expected: Vec<u64> =
            recorded.iter().filter(|event| own.contains(&event.stream)).map(|event| event.position.as_u64()).collect();
        assert_eq!(early.await.unwrap(), expected);
        assert_eq!(whole.await.unwrap(), expected);
        let after = expected.iter().filter(|position| **position > head.as_u64());
        assert_eq!(rest.await.unwrap(), after.copied().collect::<Vec<_>>());
    }
}

async fn wakes_only_for_the_run_that_is_followed(journal: Arc<dyn Journal>) {
    let (mine, other) = (run(), run());
    let head = journal.head().await.unwrap();
    let mut subscription = RunSubscription::open(&*journal, mine, [], head, head).await.unwrap();
    // Given up and taken up again, while others do something.
    for _ in 0..20 {
        assert!(
            tokio::time::timeout(Duration::from_millis(1), subscription.next())
                .await
                .map_or(true, |events| { events.unwrap().is_empty() })
        );
        journal.append(parts(vec![created(task(), other), signalled(other)])).await.unwrap();
    }
    let done = journal.append(parts(vec![signalled(mine)])).await.unwrap();
    loop {
        let events = tokio::time::timeout(Duration::from_secs(60), subscription.next()).await.unwrap().unwrap();
        if !events.is_empty() {
            assert_eq!(positions(&events), [done.position.as_u64()]);
            break;
        }
    }
}
