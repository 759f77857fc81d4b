//! What was true as of a position, folded from the journal, against what the read models said when they stood there.

use std::fmt::Debug;
use std::sync::Arc;

use domain::Timestamp;
use journal::{Filter, Position};
use projections::{
    ActionFilter, ActionKey, ApprovalFilter, ApprovalKey, AttemptFilter, AttemptKey, CatalogFilter, CatalogKey, Error,
    HoldFilter, HoldKey, ItemWindow, LimitFilter, MetricsKey, MetricsOf, Options, Past, Queries, Relation,
    RelativeFilter, RelativeKey, RunFilter, RunKey, UsageFilter, UsageGroups, UsageKey, Window,
};
use uuid::Uuid;

use crate::fixtures;
use crate::world::World;

/// Everything that can be asked, of the present or of the past.
macro_rules! everything {
    ($source:expr, $runs:expr, $tasks:expr, $steps:expr, $today:expr) => {{
        let source = $source;
        let (all, few) = (Window::first(200), Window::last(3));
        let failed = RunFilter { statuses: vec!["failed".to_owned(), "paused".to_owned()], ..RunFilter::default() };
        let some = CatalogFilter { text: Some("ENTRY-1".to_owned()), ..CatalogFilter::default() };
        let on = CatalogFilter { active: Some(true), ..CatalogFilter::default() };
        let agents = source.agents(&CatalogFilter::default(), &Window::first(50)).await.unwrap();
        let agent_ids: Vec<Uuid> = agents.rows.iter().map(|row| row.id).collect();
        let workflows = source.workflows(&CatalogFilter::default(), &Window::first(50)).await.unwrap();
        let workflow_ids: Vec<Uuid> = workflows.rows.iter().map(|row| row.id).collect();
        let templates = source.templates(&CatalogFilter::default(), &Window::first(50)).await.unwrap();
        let template_ids: Vec<Uuid> = templates.rows.iter().map(|row| row.id).collect();
        let limits = source.limits(&LimitFilter::default(), &Window::first(50)).await.unwrap();
        let limit_ids: Vec<Uuid> = limits.rows.iter().map(|row| row.id).collect();
        let mut all_of_it = vec![
            shown(source.runs(&RunFilter::default(), &all).await.unwrap().rows),
            shown(source.runs(&failed, &few).await.unwrap()),
            shown(source.runs(&failed, &Window::first(2)).await.unwrap()),
            shown(source.agents(&on, &Window::last(2)).await.unwrap()),
            shown(source.workflows(&some, &Window::first(2)).await.unwrap()),
            shown(source.limits(&LimitFilter::default(), &Window::last(2)).await.unwrap()),
        ];
        for key in [RunKey::Ended, RunKey::Duration, RunKey::Workflow] {
            all_of_it.push(shown(source.runs_by(key, &RunFilter::default(), &Window::first(7)).await.unwrap()));
            all_of_it.push(shown(source.runs_by(key, &failed, &Window::last(2)).await.unwrap()));
        }
        for key in [CatalogKey::Name, CatalogKey::Department, CatalogKey::Created, CatalogKey::Updated] {
            all_of_it
                .push(shown(source.workflows_by(key, &CatalogFilter::default(), &Window::first(3)).await.unwrap()));
            all_of_it.push(shown(source.agents_by(key, &on, &Window::last(3)).await.unwrap()));
            all_of_it.push(shown(source.templates_by(key, &some, &Window::first(3)).await.unwrap()));
        }
        all_of_it.push(shown(source.limits_by_time(&LimitFilter::default(), &Window::first(2)).await.unwrap()));
        for key in [ActionKey::Opened, ActionKey::Changed, ActionKey::Due, ActionKey::Priority] {
            all_of_it.push(shown(source.actions(key, &ActionFilter::default(), &Window::first(5)).await.unwrap()));
            all_of_it.push(shown(source.actions(key, &ActionFilter::default(), &Window::last(3)).await.unwrap()));
        }
        all_of_it.extend(sorted(source.actions_of_runs($runs).await.unwrap()));
        all_of_it.extend(sorted(source.runs_by_ids($runs).await.unwrap()));
        all_of_it.extend(sorted(source.steps_of_runs($runs).await.unwrap()));
        all_of_it.extend(sorted(source.approvals_of_runs($runs).await.unwrap()));
        all_of_it.extend(sorted(source.decisions_of_runs($runs).await.unwrap()));
        all_of_it.extend(sorted(source.pauses_of_runs($runs).await.unwrap()));
        all_of_it.extend(sorted(source.signals_of_runs($runs).await.unwrap()));
        all_of_it.extend(sorted(source.stalls_of_runs($runs).await.unwrap()));
        all_of_it.extend(sorted(source.items_of_steps($steps, &ItemWindow::from(1, 2)).await.unwrap()));
        let some = ItemWindow { limit: 2, reversed: true, statuses: vec!["completed".to_owned()], from: Some(2) };
        all_of_it.extend(sorted(source.items_of_steps($steps, &some).await.unwrap()));
        all_of_it.extend(sorted(source.tasks_by_ids($tasks).await.unwrap()));
        all_of_it.extend(sorted(source.attempts_of_tasks($tasks).await.unwrap()));
        all_of_it.extend(sorted(source.agent_versions(&agent_ids).await.unwrap()));
        all_of_it.extend(sorted(source.workflow_versions(&workflow_ids).await.unwrap()));
        all_of_it.extend(sorted(source.template_versions(&template_ids).await.unwrap()));
        all_of_it.extend(sorted(source.agents_by_ids(&agent_ids).await.unwrap()));
        all_of_it.extend(sorted(source.workflows_by_ids(&workflow_ids).await.unwrap()));
        all_of_it.extend(sorted(source.templates_by_ids(&template_ids).await.unwrap()));
        all_of_it.extend(sorted(source.limits_by_ids(&limit_ids).await.unwrap()));
        let failures = AttemptFilter { statuses: vec!["failed".to_owned(), "lost".to_owned()], ..Default::default() };
        for key in [AttemptKey::Started, AttemptKey::Cost, AttemptKey::Duration] {
            all_of_it.push(shown(source.attempts(key, &AttemptFilter::default(), &Window::first(7)).await.unwrap()));
            all_of_it.push(shown(source.attempts(key, &failures, &Window::last(3)).await.unwrap()));
        }
        all_of_it.push(shown(source.runs_by(RunKey::Cost, &RunFilter::default(), &Window::first(7)).await.unwrap()));
        all_of_it.push(shown(source.runs_by_status().await.unwrap()));
        let (any, ended) = (
            RelativeFilter::default(),
            RelativeFilter {
                statuses: vec!["failed".to_owned(), "completed".to_owned(), "running".to_owned()],
                within: Some(2),
                ..RelativeFilter::default()
            },
        );
        let statuses = ["running", "completed", "failed", "paused"].map(str::to_owned).to_vec();
        for run in $runs.iter().step_by(5).take(4) {
            for relation in [Relation::Tree, Relation::Lineage] {
                for key in [RelativeKey::Place, RelativeKey::Started, RelativeKey::Status(statuses.clone())] {
                    for window in [Window::first(3), Window::last(2)] {
                        all_of_it.push(shown(source.relatives(relation, *run, &key, &any, &window).await.unwrap()));
                        all_of_it.push(shown(source.relatives(relation, *run, &key, &ended, &window).await.unwrap()));
                    }
                }
            }
        }
        for (of, key) in [
            (MetricsOf::Agents, MetricsKey::Tasks),
            (MetricsOf::Templates, MetricsKey::Cost),
            (MetricsOf::Templates, MetricsKey::Quality),
            (MetricsOf::Agents, MetricsKey::SuccessRate),
            (MetricsOf::Templates, MetricsKey::Duration),
        ] {
            all_of_it.push(shown(source.metrics_of_all(of, None, key, 20).await.unwrap()));
            all_of_it.push(shown(source.metrics_of_all(of, Some($today), key, 2).await.unwrap()));
        }
        for since in [None, Some($today * DAY), Some($today * DAY + DAY)] {
            all_of_it.push(shown(source.calibration(since).await.unwrap()));
        }
        let each = UsageGroups { day: true, agent: true, model: true, person: true, ..UsageGroups::default() };
        let rest = UsageGroups { department: true, platform: true, template: true, workflow: true, ..each };
        let late = UsageFilter { from: Some($today * DAY), before: Some($today * DAY + DAY / 2), ..Default::default() };
        let named = UsageFilter {
            platform: Some("simulator".to_owned()),
            model: Some("simulated".to_owned()),
            ..UsageFilter::default()
        };
        for key in [UsageKey::Group, UsageKey::Cost, UsageKey::Attempts, UsageKey::Tokens, UsageKey::Failed] {
            for reversed in [false, true] {
                for filter in [&UsageFilter::default(), &late, &named] {
                    all_of_it.push(shown(source.usage(each, filter, key, reversed, 7).await.unwrap()));
                    all_of_it.push(shown(source.usage(rest, filter, key, reversed, 500).await.unwrap()));
                }
            }
        }
        all_of_it.push(shown(source.usage(UsageGroups::default(), &late, UsageKey::Group, false, 1).await.unwrap()));
        let placed = HoldFilter { placed: true, ..HoldFilter::default() };
        let of_bread = HoldFilter {
            workflow_key: Some("bread".to_owned()),
            text: Some("A".to_owned()),
            placed_before: Some($today * DAY + DAY),
            ..HoldFilter::default()
        };
        for filter in [&HoldFilter::default(), &placed, &of_bread] {
            let page = source.holds(filter, &Window::first(3)).await.unwrap();
            let ids: Vec<(Uuid, i64)> = page.rows.iter().map(|row| (row.hold_id, row.number)).collect();
            all_of_it.push(shown(page));
            all_of_it.push(shown(source.holds(filter, &Window::last(2)).await.unwrap()));
            all_of_it.extend(sorted(source.holds_by_ids(&ids).await.unwrap()));
            for key in [HoldKey::Lifted, HoldKey::Workflow] {
                all_of_it.push(shown(source.holds_by(key, filter, &Window::first(3)).await.unwrap()));
                all_of_it.push(shown(source.holds_by(key, filter, &Window::last(3)).await.unwrap()));
            }
        }
        for pair in $runs.windows(2).take(10) {
            all_of_it.push(shown(source.compare_runs(pair[0], pair[1]).await.unwrap()));
            all_of_it.push(shown(source.compare_runs(pair[0], pair[0]).await.unwrap()));
        }
        let asked = ApprovalFilter { approvers: vec!["role:boss".to_owned()], ..ApprovalFilter::default() };
        for filter in [&ApprovalFilter::default(), &asked] {
            all_of_it.push(shown(source.open_approvals(filter, &Window::first(4)).await.unwrap()));
            all_of_it.push(shown(source.open_approvals(filter, &Window::last(2)).await.unwrap()));
            for key in [ApprovalKey::Expires, ApprovalKey::Workflow] {
                all_of_it.push(shown(source.open_approvals_by(key, filter, &Window::first(3)).await.unwrap()));
                all_of_it.push(shown(source.open_approvals_by(key, filter, &Window::last(3)).await.unwrap()));
            }
        }
        all_of_it.extend(sorted(source.repeats_of_runs($runs).await.unwrap()));
        all_of_it.extend(sorted(source.repeats_of_tasks($tasks).await.unwrap()));
        all_of_it.extend(sorted(source.costs_of_runs($runs).await.unwrap()));
        all_of_it.extend(sorted(source.qualities_of_runs($runs).await.unwrap()));
        all_of_it.push(shown(source.tasks_of_runs($runs).await.unwrap()));
        let of_tasks = source.tasks_by_ids($tasks).await.unwrap();
        let mut subjects: Vec<Uuid> =
            of_tasks.iter().flat_map(|row| [Some(row.template_id), row.agent_id]).flatten().collect();
        subjects.sort_unstable();
        subjects.dedup();
        let today = of_tasks.iter().map(|row| row.created_at / 86_400_000_000).max();
        all_of_it.extend(sorted(source.metrics(&subjects, None).await.unwrap()));
        all_of_it.extend(sorted(source.metrics(&subjects, today).await.unwrap()));
        let seats = source.seats_of_runs($runs).await.unwrap();
        all_of_it.push(shown(&seats));
        let mut keys: Vec<String> = limits.rows.into_iter().map(|row| row.key).collect();
        keys.extend(seats.into_iter().map(|seat| seat.limit_key));
        let slots = source.slots_of_limits(&keys).await.unwrap();
        all_of_it.push(shown(&slots));
        let slots: Vec<Uuid> = slots.into_iter().map(|row| row.slots_id).collect();
        all_of_it.push(shown(source.seats_of_slots(&slots, 2).await.unwrap()));
        all_of_it
    }};
}

fn shown(rows: impl Debug) -> String {
    format!("{rows:#?}")
}

fn sorted<R: Debug>(rows: Vec<R>) -> Vec<String> {
    let mut shown: Vec<String> = rows.iter().map(shown).collect();
    shown.sort();
    shown
}

/// What the present says, and of what it was asked.
struct Witness {
    position: Position,
    runs: Vec<Uuid>,
    tasks: Vec<Uuid>,
    steps: Vec<(Uuid, String)>,
    said: Vec<String>,
    /// A day, counted from 1970-01-01, on which something had happened.
    today: i64,
}

/// How long a day is, in microseconds.
const DAY: i64 = 86_400_000_000;

async fn witness(queries: &Queries, position: Position) -> Witness {
    for name in ["usage", "quality"] {
        queries.wait_for_one(name, position, crate::world::PATIENCE).await.unwrap();
    }
    let runs: Vec<Uuid> =
        queries.runs(&RunFilter::default(), &Window::first(200)).await.unwrap().rows.iter().map(|row| row.id).collect();
    let tasks: Vec<Uuid> = queries.tasks_of_runs(&runs).await.unwrap().iter().map(|row| row.id).collect();
    let steps = queries.steps_of_runs(&runs).await.unwrap();
    let steps: Vec<_> = steps.into_iter().map(|step| (step.run_id, step.name)).collect();
    let latest = queries.tasks_of_runs(&runs).await.unwrap().iter().map(|row| row.created_at).max();
    let today = latest.unwrap_or_default() / DAY;
    let said = everything!(queries, &runs, &tasks, &steps, today);
    Witness { position, runs, tasks, steps, said, today }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_of_a_position_is_what_was_said_there() {
    for seed in [60, 61, 62] {
        let world = World::new().await;
        let mut history = world.history(seed);
        let running = world.start(Options::default()).await;
        let mut witnesses = Vec::new();
        for _ in 0..25 {
            let ticks = usize::try_from(history.below(12)).unwrap() + 1;
            history.happen(ticks).await;
            running.wait_for(history.position).await;
            witnesses.push(witness(running.queries(), history.position).await);
        }
        history.finish().await;
        running.wait_for(history.position).await;
        witnesses.push(witness(running.queries(), history.position).await);
        for Witness { position, runs, tasks, steps, said, today } in witnesses {
            let past = Past::new(Arc::clone(&world.journal), running.queries().clone(), position);
            let told = everything!(&past, &runs, &tasks, &steps, today);
            assert_eq!(told.len(), said.len(), "seed {seed}, position {position}");
            for (told, said) in told.iter().zip(&said) {
                assert!(told == said, "seed {seed}, position {position}: told\n{told}\nbut it was said\n{said}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_of_what_came_later() {
    let world = World::new().await;
    let mut history = world.history(63);
    let running = world.start(Options::default()).await;
    let definition = fixtures::diamond("bread");
    let before = history.position;
    history.workflow(definition.clone()).await;
    let run = history.start(&definition).await.as_uuid();
    history.finish().await;
    running.wait_for(history.position).await;
    let past = Past::new(Arc::clone(&world.journal), running.queries().clone(), before);
    assert!(past.runs_by_ids(&[run]).await.unwrap().is_empty());
    assert!(past.steps_of_runs(&[run]).await.unwrap().is_empty());
    assert!(past.runs(&RunFilter::default(), &Window::first(10)).await.unwrap().rows.is_empty());
    assert!(past.workflows(&CatalogFilter::default(), &Window::first(10)).await.unwrap().rows.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_stands_for_an_exact_position_even_where_clocks_differ() {
    let world = World::new().await;
    let mut history = world.history(64);
    let running = world.start(Options::default()).await;
    // Hundreds of events within seconds, with clocks that step back.
    history.happen(400).await;
    running.queries().wait_for_one("moments", history.position, std::time::Duration::from_secs(60)).await.unwrap();
    let page = world.journal.read_all(Position::START, &Filter::default(), 100_000).await.unwrap();
    let events: Vec<(Position, Timestamp)> =
        page.events.iter().map(|event| (event.position, event.recorded_at)).collect();
    let mut moments: Vec<i64> = events.iter().map(|(_, at)| at.as_micros()).collect();
    moments.extend(events.iter().flat_map(|(_, at)| [at.as_micros() - 1, at.as_micros() + 1]));
    moments.extend([0, i64::MAX]);
    let first = moments.iter().copied().min().unwrap();
    moments.extend((0..20).map(|n| first + n * 1_000_000));
    for moment in moments {
        let beyond = events.iter().position(|(_, at)| at.as_micros() > moment).unwrap_or(events.len());
        let exact = beyond.checked_sub(1).map_or(Position::START, |last| events[last].0);
        let found = running.queries().position_at(&*world.journal, moment).await.unwrap();
        assert_eq!(found, exact, "as of {moment}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_long_a_search_is_refused_and_not_cut() {
    let world = World::new().await;
    let mut history = world.history(65);
    let running = world.start(Options::default()).await;
    let definition = fixtures::diamond("bread");
    history.workflow(definition.clone()).await;
    let run = history.start(&definition).await.as_uuid();
    running.wait_for(history.position).await;
    // As many runs as would have to be looked at; what they are does not matter.
    let copies = format!(
        "INSERT INTO read_runs.runs SELECT gen_random_uuid(), workflow_id, workflow_key, version, status, input, output,
            simulated, error_kind, error_message, failed_step, cancel_reason, node, epoch, actor, correlation, priority,
            started_at, started_position, ended_at, deadline, cut_at, position
         FROM read_runs.runs, generate_series(1, {}) LIMIT {}",
        Past::MAX_ENTRIES + 1000,
        Past::MAX_ENTRIES + 1000
    );
    sqlx::query(sqlx::AssertSqlSafe(copies)).execute(world.database.pool()).await.unwrap();
    let past = Past::new(Arc::clone(&world.journal), running.queries().clone(), history.position);
    let none = RunFilter { statuses: vec!["cancelled".to_owned()], ..RunFilter::default() };
    let error = past.runs(&none, &Window::first(10)).await.unwrap_err();
    assert!(matches!(error, Error::TooMuchPast { .. }), "{error:?}");
    assert_eq!(error.code(), "AS_OF_TOO_MUCH");
    // None of them has changed since, so they are counted without being looked at; when all have, it is too much.
    let counted: i64 = past.runs_by_status().await.unwrap().iter().map(|row| row.count).sum();
    assert!(counted > i64::try_from(Past::MAX_ENTRIES).unwrap(), "{counted}");
    let later = "UPDATE read_runs.runs SET position = $1";
    let later = sqlx::query(later).bind(history.position.as_u64().cast_signed() + 1);
    later.execute(world.database.pool()).await.unwrap();
    assert_eq!(past.runs_by_status().await.unwrap_err().code(), "AS_OF_TOO_MUCH");
    // As many tasks as would have to be summed up.
    let template = Uuid::from_u128(7);
    let tasks =
        "INSERT INTO read_runs.tasks (id, run_id, template_id, template_version, parameters, status, created_at,
            attempts, position)
         SELECT gen_random_uuid(), $1, $2, 1, '{}', 'created', 0, 0, 0 FROM generate_series(1, $3)";
    let tasks = sqlx::query(tasks).bind(run).bind(template).bind(i64::try_from(Past::MAX_TASKS).unwrap() + 1);
    tasks.execute(world.database.pool()).await.unwrap();
    assert_eq!(past.costs_of_runs(&[run]).await.unwrap_err().code(), "AS_OF_TOO_MUCH");
    assert_eq!(past.metrics(&[template], None).await.unwrap_err().code(), "AS_OF_TOO_MUCH");
    assert!(past.metrics(&[template], Some(20_000)).await.unwrap().is_empty(), "none of them is of these days");
    // The same of all, and of what their attempts have cost.
    let none = past.metrics_of_all(MetricsOf::Templates, None, MetricsKey::Tasks, 10).await.unwrap();
    assert!(none.is_empty(), "that read model knows of no task");
    for statement in [
        "INSERT INTO read_usage.task_origins (id, run_id, template_id, created_at)
         SELECT id, run_id, template_id, created_at FROM read_runs.tasks WHERE template_id = $1",
        "INSERT INTO read_usage.costs (task_id, number, platform, model, started_at, status, simulated, kept)
         SELECT id, 1, 'simulator', '', 0, 'running', false, false FROM read_runs.tasks WHERE template_id = $1",
    ] {
        sqlx::query(statement).bind(template).execute(world.database.pool()).await.unwrap();
    }
    let all = past.metrics_of_all(MetricsOf::Templates, None, MetricsKey::Tasks, 10).await;
    assert_eq!(all.unwrap_err().code(), "AS_OF_TOO_MUCH");
    let late = past.metrics_of_all(MetricsOf::Templates, Some(20_000), MetricsKey::Tasks, 10).await.unwrap();
    assert!(late.is_empty(), "none of them is of these days");
    let usage =
        async |filter: &UsageFilter| past.usage(UsageGroups::default(), filter, UsageKey::Group, false, 1).await;
    assert_eq!(usage(&UsageFilter::default()).await.unwrap_err().code(), "AS_OF_TOO_MUCH");
    let late = UsageFilter { from: Some(20_000 * DAY), ..UsageFilter::default() };
    assert!(usage(&late).await.unwrap().is_empty(), "none of them is of these days");
}
