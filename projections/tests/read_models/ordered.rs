//! Lists in every order: complete and stable in both directions, and read by an index where tables grow.

use std::collections::HashMap;
use std::fmt::Debug;
use std::time::Duration;

use projections::{
    ApprovalFilter, ApprovalKey, AttemptFilter, AttemptKey, CatalogFilter, CatalogKey, Error, Options, Page, Place,
    RunFilter, RunKey, TaskFilter, TaskKey, Window,
};
use uuid::Uuid;

use crate::fixtures;
use crate::history::History;
use crate::world::{PATIENCE, Running, World};

/// Reads a list forwards and backwards, page by page, and expects the same places as in one piece.
async fn read<T, R>(ask: impl AsyncFn(Window<Place<T>>) -> Result<Page<(Place<T>, R)>, Error>) -> Vec<(Place<T>, R)>
where
    T: Clone + PartialEq + Debug,
{
    let all = ask(Window::first(5000)).await.unwrap();
    assert!(!all.has_more);
    let places: Vec<Place<T>> = all.rows.iter().map(|(place, _)| place.clone()).collect();
    for limit in [1, 7] {
        let (mut forwards, mut window) = (Vec::new(), Window::first(limit));
        loop {
            let page = ask(window.clone()).await.unwrap();
            forwards.extend(page.rows.iter().map(|(place, _)| place.clone()));
            match page.rows.last() {
                Some((last, _)) if page.has_more => window = window.after(last.clone()),
                _ => break,
            }
        }
        assert_eq!(forwards, places);
        let (mut backwards, mut window) = (Vec::new(), Window::last(limit));
        loop {
            let page = ask(window.clone()).await.unwrap();
            backwards.splice(0..0, page.rows.iter().map(|(place, _)| place.clone()));
            match page.rows.first() {
                Some((first, _)) if page.has_more => window = window.before(first.clone()),
                _ => break,
            }
        }
        assert_eq!(backwards, places);
    }
    all.rows
}

async fn eventful(world: &World, seed: u64) -> (History, Running) {
    let mut history = world.history(seed);
    let running = world.start(Options::default()).await;
    history.happen(400).await;
    running.wait_for(history.position).await;
    running.queries().wait_for_one("usage", history.position, PATIENCE).await.unwrap();
    (history, running)
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_come_in_any_order() {
    let world = World::new().await;
    let (_, running) = eventful(&world, 80).await;
    let queries = running.queries();
    let filter = RunFilter::default();
    let known = queries.runs(&filter, &Window::first(5000)).await.unwrap().rows;
    let ids: Vec<Uuid> = known.iter().map(|run| run.id).collect();
    let costs: HashMap<Uuid, i64> = queries.costs_of_runs(&ids).await.unwrap().into_iter().collect();
    assert!(known.iter().any(|run| run.ended_at.is_none()) && known.iter().any(|run| run.ended_at.is_some()));
    for key in [RunKey::Ended, RunKey::Duration, RunKey::Cost, RunKey::Workflow] {
        let rows = read(async |window| queries.runs_by(key, &filter, &window).await).await;
        assert_eq!(rows.len(), known.len(), "{key:?}");
        let mut expected = known.clone();
        expected.sort_by_key(|run| {
            let number = match key {
                RunKey::Ended => run.ended_at.unwrap_or(-1),
                RunKey::Duration => run.ended_at.map_or(-1, |ended| ended - run.started_at),
                RunKey::Cost => costs[&run.id],
                RunKey::Workflow => 0,
            };
            let text = if key == RunKey::Workflow { run.workflow_key.clone() } else { String::new() };
            (number, text, run.id)
        });
        if key.descends() {
            expected.reverse();
        }
        let found: Vec<Uuid> = rows.iter().map(|(_, run)| run.id).collect();
        assert_eq!(found, expected.iter().map(|run| run.id).collect::<Vec<_>>(), "{key:?}");
    }
    let some = RunFilter { statuses: vec!["completed".to_owned()], ..RunFilter::default() };
    let rows = read(async |window| queries.runs_by(RunKey::Duration, &some, &window).await).await;
    assert!(!rows.is_empty() && rows.iter().all(|(_, run)| run.status == "completed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_and_attempts_come_in_any_order() {
    let world = World::new().await;
    let (_, running) = eventful(&world, 81).await;
    let queries = running.queries();
    let all = read(async |window| queries.tasks(TaskKey::Created, &TaskFilter::default(), &window).await).await;
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM read_runs.tasks").fetch_one(world.database.pool()).await.unwrap();
    assert_eq!(all.len(), usize::try_from(count).unwrap());
    assert!(all.is_sorted_by(|(_, one), (_, next)| (one.created_at, one.id) > (next.created_at, next.id)));
    let ended = read(async |window| queries.tasks(TaskKey::Ended, &TaskFilter::default(), &window).await).await;
    assert_eq!(ended.len(), all.len());
    assert!(ended.is_sorted_by_key(|(_, task)| std::cmp::Reverse(task.ended_at)));
    let took = read(async |window| queries.tasks(TaskKey::Duration, &TaskFilter::default(), &window).await).await;
    assert!(took.is_sorted_by_key(|(_, task)| std::cmp::Reverse(task.ended_at.map(|at| at - task.created_at))));
    let (run, agent) = (all[0].1.run_id, all[0].1.agent_id);
    let some = TaskFilter { run_id: run, agent_id: agent, ..TaskFilter::default() };
    let found = read(async |window| queries.tasks(TaskKey::Created, &some, &window).await).await;
    assert_eq!(found.len(), all.iter().filter(|(_, task)| task.run_id == run && task.agent_id == agent).count());
    let done = TaskFilter { statuses: vec!["completed".to_owned()], ..TaskFilter::default() };
    let found = read(async |window| queries.tasks(TaskKey::Ended, &done, &window).await).await;
    assert_eq!(found.len(), all.iter().filter(|(_, task)| task.status == "completed").count());

    let any = AttemptFilter::default();
    let all = read(async |window| queries.attempts(AttemptKey::Started, &any, &window).await).await;
    assert!(all.is_sorted_by_key(|(_, attempt)| std::cmp::Reverse((
        attempt.started_at,
        attempt.task_id,
        attempt.number
    ))));
    let dear = read(async |window| queries.attempts(AttemptKey::Cost, &any, &window).await).await;
    assert!(dear.is_sorted_by_key(|(_, attempt)| std::cmp::Reverse(attempt.cost_nano_usd)));
    assert!(dear.last().unwrap().1.cost_nano_usd.is_none() && dear[0].1.cost_nano_usd.is_some());
    let long = read(async |window| queries.attempts(AttemptKey::Duration, &any, &window).await).await;
    assert!(long.is_sorted_by_key(|(_, attempt)| std::cmp::Reverse(attempt.duration_ms)));
    assert_eq!((dear.len(), long.len()), (all.len(), all.len()));
    let failed = AttemptFilter { statuses: vec!["failed".to_owned()], ..AttemptFilter::default() };
    let found = read(async |window| queries.attempts(AttemptKey::Cost, &failed, &window).await).await;
    assert_eq!(found.len(), all.iter().filter(|(_, attempt)| attempt.status == "failed").count());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_and_approvals_come_in_any_order() {
    let world = World::new().await;
    let (mut history, running) = eventful(&world, 82).await;
    for n in 0..12 {
        history.workflow(fixtures::diamond(&format!("extra-{n}"))).await;
        history.template(fixtures::body(&format!("extra-{}", 11 - n))).await;
    }
    running.wait_for(history.position).await;
    let queries = running.queries();
    let any = CatalogFilter::default();
    let known = queries.workflows(&any, &Window::first(5000)).await.unwrap().rows.len();
    for key in [CatalogKey::Name, CatalogKey::Department, CatalogKey::Created, CatalogKey::Updated] {
        let workflows = read(async |window| queries.workflows_by(key, &any, &window).await).await;
        assert_eq!(workflows.len(), known);
        let _ = read(async |window| queries.agents_by(key, &any, &window).await).await;
        let templates = read(async |window| queries.templates_by(key, &any, &window).await).await;
        match key {
            CatalogKey::Name => assert!(templates.is_sorted_by_key(|(_, row)| row.title.to_lowercase())),
            CatalogKey::Department => assert!(workflows.is_sorted_by_key(|(_, row)| row.department.clone())),
            CatalogKey::Created => assert!(templates.is_sorted_by_key(|(_, row)| std::cmp::Reverse(row.created_at))),
            CatalogKey::Updated => assert!(workflows.is_sorted_by_key(|(_, row)| std::cmp::Reverse(row.updated_at))),
        }
    }
    let filter = ApprovalFilter::default();
    let open = queries.open_approvals(&filter, &Window::first(5000)).await.unwrap().rows;
    for key in [ApprovalKey::Expires, ApprovalKey::Workflow] {
        let rows = read(async |window| queries.open_approvals_by(key, &filter, &window).await).await;
        assert_eq!(rows.len(), open.len());
        assert!(rows.is_sorted_by_key(|(_, row)| match key {
            ApprovalKey::Expires => (row.expires_at.unwrap_or(i64::MAX), String::new()),
            ApprovalKey::Workflow => (0, row.workflow_key.clone()),
        }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn growing_tables_are_read_by_an_index() {
    let world = World::new().await;
    let (_, running) = eventful(&world, 83).await;
    running.stop().await;
    let mut connection = world.database.pool().acquire().await.unwrap();
    sqlx::query("SET enable_seqscan = off").execute(&mut *connection).await.unwrap();
    sqlx::query("SET enable_sort = off").execute(&mut *connection).await.unwrap();
    for (table, key, ties) in [
        ("read_runs.runs", "coalesce(ended_at, -1)", "id"),
        ("read_runs.runs", "coalesce(ended_at - started_at, -1)", "id"),
        ("read_runs.runs", "workflow_key COLLATE \"C\"", "id"),
        ("read_usage.run_origins", "cost_nano_usd", "id"),
        ("read_runs.tasks", "created_at", "id"),
        ("read_runs.attempts", "started_at", "task_id, number"),
        ("read_webhooks.deliveries", "changed_at", "id"),
    ] {
        let sql = format!("EXPLAIN SELECT {ties} FROM {table} ORDER BY {key}, {ties} LIMIT 5");
        let plan: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql.clone())).fetch_all(&mut *connection).await.unwrap();
        let plan = plan.join("\n");
        assert!(plan.contains("Index") && !plan.contains("Sort"), "{sql}\n{plan}");
    }
    drop(connection);
    tokio::time::timeout(Duration::from_secs(60), world.assert_equal()).await.unwrap();
}
