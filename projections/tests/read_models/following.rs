//! Keeping up with the journal: batches, crashes, fences, poison, freshness.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::{AttemptError, Category, ErrorKind, Event, NodeId, RunEvent, RunId, StepName, StreamId, WorkflowEvent};
use journal::{Filter, Members, Position};
use projections::{Error, Options, Queries, StepRow};
use sqlx::{Connection, PgConnection};
use tokio::sync::watch;
use uuid::Uuid;

use crate::fixtures;
use crate::world::{PATIENCE, World};

/// Batches of one event, so that everything happens in several transactions.
fn tiny() -> Options {
    Options { linger: Duration::ZERO, batch: 1, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_the_batches_fall_the_rows_are_the_same() {
    for (seed, batch) in [(1, 1), (2, 2), (3, 7), (4, 5000)] {
        let world = World::new().await;
        let mut history = world.history(seed);
        let running = world.start(Options { linger: Duration::ZERO, batch, ..Options::default() }).await;
        history.happen(300).await;
        running.wait_for(history.position).await;
        // Compared with a fold of the whole history in one batch.
        world.assert_equal().await;
        history.finish().await;
        running.wait_for(history.position).await;
        world.assert_equal().await;
        let open = running.queries().runs_by_status().await.unwrap();
        assert!(open.iter().all(|row| ["completed", "failed", "cancelled"].contains(&row.status.as_str())), "{open:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_batch_changes_nothing() {
    let world = World::new().await;
    let mut history = world.history(5);
    for _ in 0..25 {
        let running = world.start(Options { linger: Duration::ZERO, batch: 3, ..Options::default() }).await;
        history.happen(20).await;
        // Killed somewhere on the way, whenever the other half of the work happens to be done.
        let _ = running.queries().wait_for(history.position, Duration::from_millis(5)).await;
        running.kill().await;
    }
    let running = world.start(Options::default()).await;
    running.wait_for(history.position).await;
    world.assert_equal().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_waits_and_takes_over() {
    let world = World::new().await;
    let mut history = world.history(6);
    let first = world.start(tiny()).await;
    history.happen(30).await;
    first.wait_for(history.position).await;
    let second = world.start(tiny()).await;
    history.happen(30).await;
    // The second does not run the projectors, and still knows how far they are.
    second.wait_for(history.position).await;
    assert!(second.handle.positions().iter().all(|(_, position)| position.is_none()));
    first.stop().await;
    history.happen(30).await;
    second.wait_for(history.position).await;
    assert!(second.handle.positions().iter().all(|(_, position)| position.is_some()));
    world.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_writes_nothing() {
    let world = World::new().await;
    let mut history = world.history(7);
    let running = world.start(tiny()).await;
    history.happen(30).await;
    running.wait_for(history.position).await;
    // Somebody takes the checkpoint over behind the runner's back, and is one event further already.
    let taken = "UPDATE projections.checkpoints SET fence = fence + 1";
    sqlx::query(taken).execute(world.database.pool()).await.unwrap();
    history.happen(30).await;
    running.wait_for(history.position).await;
    // The runner noticed, took it back, and counted nothing twice.
    let fences: Vec<i64> = running.queries().checkpoints().await.unwrap().iter().map(|row| row.fence).collect();
    assert!(fences.iter().any(|fence| *fence >= 3), "{fences:?}");
    world.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_event_stops_its_projector_only_and_is_named() {
    let world = World::new().await;
    let mut history = world.history(8);
    history.happen(50).await;
    history.workflow(fixtures::diamond("bread")).await;
    let before = history.position;
    // Another stream claims the same key: the rules forbid it, so only a broken program could have recorded it.
    let stream = StreamId { category: Category::Workflow, id: Uuid::from_u128(1) };
    let definition = Box::new(fixtures::diamond("bread"));
    history.force(stream, vec![Event::Workflow(WorkflowEvent::Drafted { version: 1, definition })]).await;
    let poison = history.position;
    history.template(fixtures::body("after")).await;
    history.happen(50).await;
    let running = world.start(Options::default()).await;
    let error = running.queries().wait_for(history.position, PATIENCE).await.unwrap_err();
    let Error::Poisoned { projector: "catalog", position, what } = &error else { panic!("{error:?}") };
    assert_eq!(*position, poison);
    assert!(what.contains("workflows_key_key"), "{what}");
    // All before it has been applied, nothing after it, and the others go on.
    assert!(running.queries().workflow("bread").await.unwrap().is_some());
    assert!(running.queries().template("after").await.unwrap().is_none());
    let runs = world.journal.read_all(Position::START, &Filter::categories([Category::Run]), 10_000).await.unwrap();
    let started = runs.events.iter().filter(|event| event.event_type == "run.started").count();
    let reached = |rows: Vec<projections::StatusCountRow>| rows.iter().map(|row| row.count).sum::<i64>();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while reached(running.queries().runs_by_status().await.unwrap()) < i64::try_from(started).unwrap() {
        assert!(tokio::time::Instant::now() < deadline, "the other projector stands still");
        tokio::task::yield_now().await;
    }
    let rows = running.queries().checkpoints().await.unwrap();
    let row = rows.iter().find(|row| row.name == "catalog").unwrap();
    assert_eq!(row.status, "poisoned");
    assert!(row.error.as_ref().unwrap().contains(&poison.to_string()));
    assert!(row.position >= i64::try_from(before.as_u64()).unwrap());
    assert!(row.position < i64::try_from(poison.as_u64()).unwrap());
    // Somebody who is told by the row alone learns it too.
    let elsewhere = Queries::new(world.database.pool().clone());
    let error = elsewhere.wait_for(history.position, PATIENCE).await.unwrap_err();
    assert!(matches!(error, Error::Poisoned { .. }), "{error:?}");
    // Trying again finds it again.
    running.handle.resume("catalog").unwrap();
    let error = running.queries().wait_for(history.position, PATIENCE).await.unwrap_err();
    assert!(matches!(error, Error::Poisoned { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_served_at_once_and_who_waits_for_the_future_is_told() {
    let world = World::new().await;
    let mut history = world.history(9);
    let hour = Duration::from_secs(3600);
    let running = world.start(Options { linger: hour, ..Options::default() }).await;
    for _ in 0..20 {
        history.happen(3).await;
        // The linger of an hour is cut short.
        running.wait_for(history.position).await;
        assert!(running.queries().position().await.unwrap() >= history.position);
    }
    let future = Position::from_u64(history.position.as_u64() + 1);
    let error = running.queries().wait_for(future, Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, Error::Stale { .. }), "{error:?}");
    assert_eq!(error.code(), "READ_MODEL_STALE");
    running.stop().await;
    world.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_projector_is_silent_and_writes_its_place_down_once() {
    let world = World::new().await;
    let mut history = world.history(10);
    let running = world.start(Options::default()).await;
    for _ in 0..40 {
        history.catalog_tick().await;
    }
    running.wait_for(history.position).await;
    // The projector of runs had nothing to write; after a quiet second its row says where it is.
    let elsewhere = Queries::new(world.database.pool().clone());
    elsewhere.wait_for(history.position, PATIENCE).await.unwrap();
    let active = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'hishamos projector' AND state <> 'idle'";
    let last = "SELECT max(query_start)::text FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'hishamos projector'";
    let last = async || -> String { sqlx::query_scalar(last).fetch_one(world.database.pool()).await.unwrap() };
    // Each read model writes its place down by itself, the last one a moment after the first.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (written, before) = (running.queries().checkpoints().await.unwrap(), last().await);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(before, last().await);
    let busy: i64 = sqlx::query_scalar(active).fetch_one(world.database.pool()).await.unwrap();
    assert_eq!(busy, 0);
    assert_eq!(written, running.queries().checkpoints().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_database_connection_is_made_again() {
    let world = World::new().await;
    let mut history = world.history(11);
    let running = world.start(tiny()).await;
    for _ in 0..5 {
        history.happen(20).await;
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
            AND application_name = 'hishamos projector'";
        sqlx::query(cut).execute(world.database.pool()).await.unwrap();
        history.happen(20).await;
        running.wait_for(history.position).await;
    }
    world.assert_equal().await;
}

/// A process that is frozen keeps its connections, and with them the lock; it is cut off as soon as the others hold it for
/// dead, and not before.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_process_is_cut_off_when_it_counts_as_dead() {
    let world = World::new().await;
    let mut history = world.history(12);
    world.start(Options::default()).await.stop().await;
    let (me, frozen) = (node(), node());
    let name = format!("hishamos projector {frozen}");
    let connect = (*world.database.pool().connect_options()).clone().application_name(&name);
    let mut connection = PgConnection::connect_with(&connect).await.unwrap();
    for projector in projections::names() {
        sqlx::query("SELECT pg_advisory_lock(hashtextextended('hishamos projector ' || $1, 0))")
            .bind(projector)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let (alive, seen) = watch::channel(Arc::new(BTreeSet::from([me, frozen])));
    let running = world.start_among(&Members::simulated(me, seen)).await;
    history.happen(20).await;
    let early = running.queries().wait_for(history.position, Duration::from_secs(7)).await;
    assert!(matches!(early, Err(Error::Stale { .. })), "{early:?}");
    alive.send_replace(Arc::new(BTreeSet::from([me])));
    running.wait_for(history.position).await;
    assert!(sqlx::query("SELECT 1").execute(&mut connection).await.is_err(), "the frozen one is cut off");
    running.stop().await;
    world.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_stands_where_it_does_however_its_events_come() {
    let world = World::new().await;
    let mut history = world.history(88);
    let named = |name: &str| name.parse::<StepName>().unwrap();
    // The first three start with their run, the others never.
    let steps = ["done", "cut", "broken"].map(|name| fixtures::step(name, &[]));
    let never = ["unfit", "left"].map(|name| fixtures::step(name, &["done"]));
    let definition = fixtures::definition("steps", steps.into_iter().chain(never).collect());
    let error =
        || AttemptError { kind: ErrorKind::MalformedReply, message: "no such thing".to_owned(), retry_after: None };
    let output = Arc::new(serde_json::json!({ "text": "bread" }));
    let ends = [
        RunEvent::StepCompleted { step: named("done"), output, simulated: true },
        RunEvent::StepCancelled { step: named("cut") },
        RunEvent::StepFailed { step: named("broken"), error: error() },
        RunEvent::StepFailed { step: named("unfit"), error: error() },
        RunEvent::StepSkipped { step: named("left"), reason: "nobody wants it".to_owned() },
    ];
    // All in one batch, because nobody reads yet.
    let together = history.start(&definition).await;
    for end in &ends {
        history.force(together.into(), vec![end.clone().into()]).await;
    }
    let running = world.start(Options::default()).await;
    let apart = history.start(&definition).await;
    for end in ends {
        running.wait_for(history.position).await;
        history.force(apart.into(), vec![end.into()]).await;
    }
    running.wait_for(history.position).await;
    let stand = async |run: RunId| {
        let rows = running.queries().steps_of_runs(&[run.as_uuid()]).await.unwrap();
        let row = |row: StepRow| {
            let times = (row.started_at.is_some(), row.ended_at.is_some());
            (row.name, row.status, times, row.output, row.simulated, row.error_kind, row.skip_reason)
        };
        rows.into_iter().map(row).collect::<Vec<_>>()
    };
    let rows = stand(apart).await;
    assert_eq!(rows, stand(together).await);
    let rows: Vec<_> = rows.iter().map(|(name, status, times, ..)| (name.as_str(), status.as_str(), *times)).collect();
    let expected = [
        ("done", "completed", (true, true)),
        ("cut", "cancelled", (true, true)),
        ("broken", "failed", (true, true)),
        ("unfit", "failed", (false, true)),
        ("left", "skipped", (false, true)),
    ];
    assert_eq!(rows, expected);
    world.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_step_that_never_started_is_not_swallowed() {
    let world = World::new().await;
    let mut history = world.history(89);
    let run = history.start(&fixtures::chain("steps", 2)).await;
    let completed = RunEvent::StepCompleted {
        step: "s1".parse().unwrap(),
        output: Arc::new(serde_json::json!({})),
        simulated: false,
    };
    history.force(run.into(), vec![completed.into()]).await;
    let running = world.start(Options::default()).await;
    let error = running.queries().wait_for_one("runs", history.position, PATIENCE).await.unwrap_err();
    assert!(matches!(&error, Error::Poisoned { what, .. } if what.contains("1 steps changed")), "{error:?}");
}

fn node() -> NodeId {
    NodeId::from_uuid(Uuid::now_v7())
}
