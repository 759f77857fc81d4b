//! Runs that take over other runs' histories.

use std::sync::Arc;

use domain::run::{Lineage, LineageKind, Overrides, Start, StepStatus};
use domain::workflow::{SignalWait, Work};
use domain::{Actor, Definition, Run, RunEvent, RunId, Step, StepName, StreamId, Timestamp, WorkflowId};
use journal::{Append, Executor, Expected, Journal, Loaded, Position, ReadError, StreamAppend};
use serde_json::json;
use uuid::Uuid;

use super::conformance;
use crate::sample;

conformance!(
    loads_a_state_as_of_a_revision,
    loads_what_was_taken_over,
    follows_a_chain_of_runs,
    refuses_what_it_cannot_follow,
);

fn name(text: &str) -> StepName {
    text.parse().unwrap()
}

fn definition() -> Definition {
    let step = |step: &str| Step {
        name: name(step),
        title: "".into(),
        needs: vec![],
        when: None,
        work: Work::Signal(SignalWait { signal: name(step) }),
        output: [].into(),
        timeout: None,
        compensation: None,
    };
    Definition {
        key: "waits".parse().unwrap(),
        name: "".into(),
        description: "".into(),
        department: String::new(),
        tags: vec![],
        input_schema: json!({ "type": "object" }),
        steps: vec![step("one"), step("two")],
        output: [].into(),
        timeout: None,
    }
}

fn started(id: RunId, of: Option<(RunId, u64)>) -> RunEvent {
    let lineage = of.map(|(run, revision)| Lineage {
        run,
        revision,
        kind: LineageKind::Fork,
        kept: vec![name("one"), name("two")],
        overrides: Overrides::default(),
    });
    let definition = definition();
    RunEvent::Started(Box::new(Start {
        id,
        workflow: WorkflowId::from_key(&definition.key),
        version: 1,
        definition: Arc::new(definition),
        input: Arc::new(json!({})),
        by: Actor::person("ada"),
        at: Timestamp::from_micros(0),
        deadline: None,
        priority: 0,
        parent: None,
        lineage,
        trigger: None,
        subject: None,
        form: domain::task::Form::Text,
        again: None,
    }))
}

fn completed(step: &str, output: u64) -> RunEvent {
    RunEvent::StepCompleted { step: name(step), output: Arc::new(json!(output)), simulated: false }
}

async fn record(journal: &dyn Journal, run: RunId, events: Vec<RunEvent>) {
    let events = events.into_iter().map(Into::into).collect();
    let streams = vec![StreamAppend { stream: run.into(), expected: Expected::Any, events }];
    journal.append(Append { streams, context: sample::context(), remember: false }).await.unwrap();
}

fn run() -> RunId {
    RunId::from_uuid(Uuid::now_v7())
}

fn status(run: &Run, step: &str) -> StepStatus {
    run.steps()[&name(step)].status
}

async fn loads_a_state_as_of_a_revision(journal: Arc<dyn Journal>) {
    let executor = Executor::new(Arc::clone(&journal));
    let id = run();
    let stream = StreamId::from(id);
    record(&*journal, id, vec![started(id, None), completed("one", 1), completed("two", 2)]).await;
    let at = async |revision| executor.load_at::<Run>(stream, revision).await.unwrap();
    let (first, second, last, beyond) = (at(0).await, at(1).await, at(2).await, at(9).await);
    assert_eq!((first.revision, second.revision, last.revision, beyond.revision), (Some(0), Some(1), Some(2), Some(2)));
    assert_eq!((status(&first.state, "one"), status(&first.state, "two")), (StepStatus::Pending, StepStatus::Pending));
    assert_eq!(
        (status(&second.state, "one"), status(&second.state, "two")),
        (StepStatus::Completed, StepStatus::Pending)
    );
    let whole: Loaded<Run> = executor.load(stream).await.unwrap();
    assert_eq!((whole.revision, &whole.state), (last.revision, &last.state));
    assert_eq!(beyond.state, last.state);
    // The same by the position of the journal's last event.
    let events = journal.read_stream(stream, 0, 10).await.unwrap();
    let as_of = async |position: Position| executor.load_as_of::<Run>(stream, position).await.unwrap();
    for (event, folded) in events.iter().zip([&first, &second, &last]) {
        let then = as_of(event.position).await;
        assert_eq!((then.revision, &then.state), (folded.revision, &folded.state), "as of {}", event.position);
    }
    let before = Position::from_u64(events[0].position.as_u64() - 1);
    assert_eq!(as_of(before).await.revision, None);
    assert_eq!(as_of(Position::from_u64(events[2].position.as_u64() + 100)).await.state, last.state);
    // An earlier state does not take the place of the one that is kept.
    at(0).await;
    assert_eq!(executor.load_cached::<Run>(stream).await.unwrap().revision, Some(2));
    let absent = executor.load_at::<Run>(run().into(), 3).await.unwrap();
    assert_eq!((absent.revision, absent.state.id()), (None, None));
}

async fn loads_what_was_taken_over(journal: Arc<dyn Journal>) {
    let executor = Executor::new(Arc::clone(&journal));
    let (first, fork) = (run(), run());
    record(&*journal, first, vec![started(first, None), completed("one", 1), completed("two", 2)]).await;
    record(&*journal, fork, vec![started(fork, Some((first, 1)))]).await;
    let loaded: Loaded<Run> = executor.load(fork.into()).await.unwrap();
    assert_eq!((loaded.state.id(), loaded.revision), (Some(fork), Some(0)));
    assert_eq!(status(&loaded.state, "one"), StepStatus::Completed);
    assert_eq!(loaded.state.outputs()[&name("one")], json!(1).into());
    // What the other run did after that is not taken over.
    assert_eq!(status(&loaded.state, "two"), StepStatus::Pending);

    record(&*journal, fork, vec![completed("two", 22)]).await;
    let after: Loaded<Run> = executor.load(fork.into()).await.unwrap();
    let anew: Loaded<Run> = Executor::new(Arc::clone(&journal)).load(fork.into()).await.unwrap();
    assert_eq!(after.state, anew.state);
    assert_eq!(after.state.outputs().values().cloned().collect::<Vec<_>>(), [json!(1).into(), json!(22).into()]);
    let before = executor.load_at::<Run>(fork.into(), 0).await.unwrap();
    assert_eq!(before.state, loaded.state);
    let own = journal.read_stream(fork.into(), 0, 1).await.unwrap();
    let then = executor.load_as_of::<Run>(fork.into(), own[0].position).await.unwrap();
    assert_eq!(then.state, loaded.state);
}

/// Runs of which each takes over the one before; the first completes `one`.
async fn chain(journal: &dyn Journal, length: usize) -> RunId {
    let mut last = run();
    record(journal, last, vec![started(last, None), completed("one", 7)]).await;
    let mut revision = 1;
    for _ in 0..length {
        let next = run();
        record(journal, next, vec![started(next, Some((last, revision)))]).await;
        (last, revision) = (next, 0);
    }
    last
}

async fn follows_a_chain_of_runs(journal: Arc<dyn Journal>) {
    let executor = Executor::new(Arc::clone(&journal));
    let last = chain(&*journal, 32).await;
    let loaded: Loaded<Run> = executor.load(last.into()).await.unwrap();
    assert_eq!(loaded.state.id(), Some(last));
    assert_eq!(loaded.state.outputs()[&name("one")], json!(7).into());

    let last = chain(&*journal, 33).await;
    match executor.load::<Run>(last.into()).await {
        Err(ReadError::Damaged { what, .. }) => assert!(what.starts_with("more than 32 streams"), "{what}"),
        other => panic!("{other:?}"),
    }
}

async fn refuses_what_it_cannot_follow(journal: Arc<dyn Journal>) {
    let executor = Executor::new(Arc::clone(&journal));
    let (first, early, lost, circle) = (run(), run(), run(), run());
    record(&*journal, first, vec![started(first, None)]).await;
    record(&*journal, early, vec![started(early, Some((first, 1)))]).await;
    record(&*journal, lost, vec![started(lost, Some((run(), 0)))]).await;
    record(&*journal, circle, vec![started(circle, Some((circle, 0)))]).await;
    for (run, why) in [(early, "which is not there"), (lost, "which is not there"), (circle, "more than 32 streams")] {
        match executor.load::<Run>(run.into()).await {
            Err(ReadError::Damaged { what, .. }) => assert!(what.contains(why), "{what}"),
            other => panic!("{other:?}"),
        }
    }
}
