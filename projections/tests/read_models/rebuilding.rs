//! Rebuilding beside the live tables.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use journal::postgres::{Options as PostgresOptions, PostgresJournal};
use projections::{Error, Options, RunFilter, Window, rebuild};
use testkit::Database;
use tokio_util::sync::CancellationToken;

use crate::world::{Running, World};

#[tokio::test(flavor = "multi_thread")]
async fn rebuilding_under_load_fails_no_query_and_loses_nothing() {
    let world = Arc::new(World::new().await);
    let mut history = world.history(20);
    history.happen(1500).await;
    let running = Arc::new(world.start(Options::default()).await);
    running.wait_for(history.position).await;
    let done = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicUsize::new(0));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (queries, done, asked) = (running.queries().clone(), Arc::clone(&done), Arc::clone(&asked));
            tokio::spawn(async move {
                let mut least = journal::Position::START;
                while !done.load(Ordering::Relaxed) {
                    let position = queries.position().await.unwrap();
                    assert!(position >= least, "the position went back from {least} to {position}");
                    least = position;
                    let page = queries.runs(&RunFilter::default(), &Window::first(20)).await.unwrap();
                    assert_eq!(page.rows.len(), 20);
                    let ids: Vec<_> = page.rows.iter().map(|row| row.id).collect();
                    assert!(queries.steps_of_runs(&ids).await.unwrap().len() >= 60);
                    assert!(!queries.tasks_of_runs(&ids).await.unwrap().is_empty());
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let writer = {
        let done = Arc::clone(&done);
        tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                history.happen(1).await;
                tokio::task::yield_now().await;
            }
            history
        })
    };
    for _ in 0..3 {
        for name in projections::names() {
            let mut reports = 0;
            let rebuilt = running.handle.rebuild(name, &CancellationToken::new(), |_| reports += 1).await.unwrap();
            assert!(rebuilt.events > 0 && rebuilt.position >= rebuilt.head && reports > 0, "{rebuilt:?}");
        }
    }
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    let history = writer.await.unwrap();
    assert!(asked.load(Ordering::Relaxed) > 0);
    running.wait_for(history.position).await;
    world.assert_equal().await;
    let rows = running.queries().checkpoints().await.unwrap();
    assert!(rows.iter().all(|row| row.slot == "live" && row.status == "running"), "{rows:?}");
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'read\\_%\\_%'";
    let left: i64 = sqlx::query_scalar(left).fetch_one(world.database.pool()).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_is_made_again_at_start() {
    let world = World::new().await;
    let mut history = world.history(21);
    history.happen(200).await;
    let running = world.start(Options::default()).await;
    running.wait_for(history.position).await;
    let versions = async |running: &Running| -> Vec<i32> {
        running.queries().checkpoints().await.unwrap().iter().map(|row| row.version).collect()
    };
    let today = versions(&running).await;
    running.stop().await;
    // Tables of an older version, and wrong besides.
    let pool = world.database.pool();
    sqlx::query("UPDATE projections.checkpoints SET version = 0").execute(pool).await.unwrap();
    sqlx::query("UPDATE read_runs.runs SET status = 'wrong'").execute(pool).await.unwrap();
    let running = world.start(Options::default()).await;
    history.happen(50).await;
    running.wait_for(history.position).await;
    world.assert_equal().await;
    assert_eq!(versions(&running).await, today);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_is_found() {
    let world = World::new().await;
    let mut history = world.history(22);
    history.happen(100).await;
    let running = world.start(Options::default()).await;
    running.wait_for(history.position).await;
    let wrong =
        "UPDATE read_runs.attempts SET cost_nano_usd = 1 WHERE ctid = (SELECT min(ctid) FROM read_runs.attempts)";
    sqlx::query(wrong).execute(world.database.pool()).await.unwrap();
    let comparison = projections::compare(world.database.pool(), &*world.journal, "runs").await.unwrap();
    assert!(!comparison.is_equal());
    let table = comparison.tables.iter().find(|table| table.table == "attempts").unwrap();
    assert_eq!((table.only_live, table.only_rebuilt), (1, 1));
    // Rebuilding mends it.
    running.handle.rebuild("runs", &CancellationToken::new(), |_| {}).await.unwrap();
    running.wait_for(history.position).await;
    world.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_rebuild_leaves_no_trace_and_an_unknown_one_is_refused() {
    let world = World::new().await;
    let mut history = world.history(23);
    history.happen(100).await;
    let running = world.start(Options::default()).await;
    running.wait_for(history.position).await;
    // Where a read model stands that has nothing to do may be written down at any moment.
    let owners = async || -> Vec<_> {
        let rows = running.queries().checkpoints().await.unwrap();
        rows.into_iter().map(|row| (row.name, row.slot, row.fence, row.version, row.status)).collect()
    };
    let before = owners().await;
    let shutdown = CancellationToken::new();
    let (pool, journal) = (world.database.pool(), &*world.journal);
    let error = rebuild(pool, journal, "runs", &shutdown, |_| shutdown.cancel()).await.unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error:?}");
    assert_eq!(before, owners().await);
    let error = rebuild(pool, journal, "nobody", &CancellationToken::new(), |_| {}).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no read model `nobody`; there are actions, catalog, flow, moments, quality, runs, search, usage, webhooks"
    );
    history.happen(100).await;
    running.wait_for(history.position).await;
    world.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_in_postgres_feeds_them_as_well() {
    let database = Database::create().await;
    let options = PostgresOptions::from_url(database.url()).unwrap();
    let (journal, service) = PostgresJournal::open(options).await.unwrap();
    let shutdown = CancellationToken::new();
    let journaling = tokio::spawn(service.run(shutdown.clone()));
    let world = World { database, journal: Arc::new(journal) };
    let mut history = world.history(25);
    let running = world.start(Options::default()).await;
    history.happen(300).await;
    running.wait_for(history.position).await;
    world.assert_equal().await;
    // Read back from the tables of the journal, and decoded.
    for name in projections::names() {
        running.handle.rebuild(name, &CancellationToken::new(), |_| {}).await.unwrap();
    }
    history.finish().await;
    running.wait_for(history.position).await;
    world.assert_equal().await;
    running.stop().await;
    shutdown.cancel();
    journaling.await.unwrap();
}
