//! What few runs have: pauses, approvals, lists, other runs, histories that are taken over; and what makes runs wait.

use std::sync::Arc;
use std::time::Duration;

use domain::hold::{HoldScope, Placed};
use domain::limit::{LimitScope, LimitSettings};
use domain::run::{Lineage, LineageKind, Overrides, Parent, Pause, PauseClock, Start};
use domain::slots::{Capacity, Holder};
use domain::{
    Actor, Definition, Event, HoldEvent, LimitEvent, LimitId, RunEvent, RunId, SlotsEvent, SlotsId, StepName, TaskId,
    Timestamp, WorkflowId,
};
use projections::{
    ApprovalFilter, HoldFilter, HoldKey, ItemWindow, LimitFilter, Options, Queries, Relation, RelativeFilter,
    RelativeKey, RunFilter, Window,
};
use serde_json::json;
use uuid::Uuid;

use crate::fixtures;
use crate::history::History;
use crate::world::World;

const START: i64 = 1_700_000_000_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(START + seconds * 1_000_000)
}

fn micros(seconds: i64) -> i64 {
    at(seconds).as_micros()
}

fn name(text: &str) -> StepName {
    text.parse().unwrap()
}

fn start(id: RunId, definition: &Definition) -> Start {
    Start {
        id,
        workflow: WorkflowId::from_key(&definition.key),
        version: 1,
        definition: Arc::new(definition.clone()),
        input: Arc::new(json!({ "list": [1, 2, 3] })),
        by: Actor::person("tester"),
        at: at(0),
        deadline: Some(at(1000)),
        priority: 3,
        parent: None,
        lineage: None,
        trigger: None,
        subject: None,
        form: domain::task::Form::Text,
        again: None,
    }
}

fn run(number: u128) -> RunId {
    RunId::from_uuid(Uuid::from_u128(number))
}

async fn record(history: &mut History, run: RunId, events: Vec<RunEvent>) {
    history.force(run.into(), events.into_iter().map(Event::from).collect()).await;
}

/// A run whose first step is done and all others under way.
fn under_way(id: RunId, definition: &Definition) -> Vec<RunEvent> {
    let deadline = Some(at(500));
    let task = TaskId::of_step(id, &name("first"));
    vec![
        RunEvent::Started(Box::new(start(id, definition))),
        RunEvent::StepStarted { step: name("first"), task, at: at(0), deadline },
        RunEvent::StepCompleted { step: name("first"), output: Arc::new(json!({ "text": "x" })), simulated: true },
        RunEvent::StepSkipped { step: name("skipped"), reason: "no\0thing".to_owned() },
        RunEvent::TimerStarted { step: name("pause"), fires_at: at(60), at: at(0), deadline },
        RunEvent::ApprovalRequested {
            step: name("ask"),
            content: Arc::new(json!({ "n": 1 })),
            content_hash: [5; 32],
            at: at(0),
            expires_at: Some(at(600)),
            deadline: None,
        },
        RunEvent::SignalAwaited { step: name("ping"), signal: name("go"), at: at(0), deadline: None },
        RunEvent::ItemsPlanned {
            step: name("each"),
            items: Arc::new(json!(["a\0", { "b": 2 }, null])),
            at: at(0),
            deadline: None,
        },
        RunEvent::ItemStarted { step: name("each"), item: 0, task: TaskId::of_item(id, &name("each"), 0) },
        RunEvent::ItemStarted { step: name("each"), item: 1, task: TaskId::of_item(id, &name("each"), 1) },
        RunEvent::ItemCompleted {
            step: name("each"),
            item: 0,
            result: Arc::new(json!({ "text": "y", "json": null })),
            simulated: false,
        },
        RunEvent::ChildStarted { step: name("sub"), run: run(99), at: at(0), deadline: None },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_steps_consist_of_is_shown() {
    let world = World::new().await;
    let mut history = world.history(60);
    let running = world.start(Options::default()).await;
    let queries = running.queries();
    let definition = fixtures::motley("motley");
    record(&mut history, run(1), under_way(run(1), &definition)).await;
    let decided = |by: &str, approved| RunEvent::ApprovalDecided {
        step: name("ask"),
        by: Actor::person(by),
        approved,
        comment: "fi\0ne".to_owned(),
        content_hash: [5; 32],
        at: at(2),
    };
    let received = RunEvent::SignalReceived { signal: name("other"), payload: Arc::new(json!("\0")), at: at(3) };
    let stalled = RunEvent::Stalled { what: "nothing".to_owned(), at: at(4) };
    record(&mut history, run(1), vec![decided("ada", true), received, stalled]).await;
    running.wait_for(history.position).await;
    let id = run(1).as_uuid();

    let shown = queries.run(id).await.unwrap().unwrap();
    assert_eq!((shown.priority, shown.deadline, shown.parent_id), (3, Some(micros(1000)), None));
    assert_eq!(shown.position, i64::try_from(history.position.as_u64()).unwrap());
    let steps = queries.steps_of_runs(&[id]).await.unwrap();
    let kinds: Vec<_> =
        steps.iter().map(|step| (step.name.as_str(), step.kind.as_str(), step.status.as_str())).collect();
    assert_eq!(
        kinds,
        [
            ("first", "task", "completed"),
            ("skipped", "task", "skipped"),
            ("pause", "wait", "running"),
            ("ask", "approval", "running"),
            ("ping", "signal", "running"),
            ("each", "for_each", "running"),
            ("sub", "run", "running"),
            ("last", "task", "pending"),
        ]
    );
    assert_eq!(steps[1].skip_reason.as_deref(), Some("no\u{2400}thing"));
    assert_eq!((steps[2].fires_at, steps[2].deadline), (Some(micros(60)), Some(micros(500))));
    assert_eq!((steps[4].signal.as_deref(), steps[6].child_id), (Some("go"), Some(run(99).as_uuid())));
    let items = (steps[5].items, steps[5].items_running, steps[5].items_completed, steps[5].items_failed);
    assert_eq!(items, (Some(3), 1, 1, 0));
    assert_eq!((steps[3].agent_key.as_deref(), steps[0].agent_key.as_deref()), (None, Some("writer")));

    let list = [(id, "each".to_owned())];
    let items = queries.items_of_steps(&list, &ItemWindow::from(0, 10)).await.unwrap();
    let shown: Vec<_> = items.iter().map(|item| (item.item, item.status.as_str(), item.element.clone())).collect();
    assert_eq!(shown, [(0, "completed", json!("a\0")), (1, "running", json!({ "b": 2 })), (2, "pending", json!(null))]);
    assert_eq!(items[1].task_id, Some(TaskId::of_item(run(1), &name("each"), 1).as_uuid()));
    assert_eq!(queries.items_of_steps(&list, &ItemWindow::from(1, 1)).await.unwrap().len(), 1);

    for (window, wanted) in [
        (ItemWindow { limit: 2, reversed: true, ..ItemWindow::default() }, vec![2, 1]),
        (ItemWindow { from: Some(1), limit: 9, reversed: true, statuses: vec![] }, vec![1, 0]),
        (
            ItemWindow {
                limit: 1,
                statuses: vec!["pending".to_owned(), "running".to_owned()],
                ..ItemWindow::default()
            },
            vec![1],
        ),
        (
            ItemWindow { from: Some(1), limit: 9, statuses: vec!["completed".to_owned()], ..ItemWindow::default() },
            vec![],
        ),
    ] {
        let found = queries.items_of_steps(&list, &window).await.unwrap();
        assert_eq!(found.iter().map(|item| item.item).collect::<Vec<_>>(), wanted, "{window:?}");
    }

    let open = |approvers: &[&str]| ApprovalFilter {
        approvers: approvers.iter().map(|&one| one.to_owned()).collect(),
        ..ApprovalFilter::default()
    };
    let waiting = queries.open_approvals(&open(&["role:boss"]), &Window::first(5)).await.unwrap();
    assert_eq!((waiting.rows.len(), waiting.rows[0].agreed, waiting.rows[0].expires_at), (1, 1, Some(micros(600))));
    assert_eq!((waiting.rows[0].content_hash.as_slice(), &waiting.rows[0].content), (&[5; 32][..], &json!({ "n": 1 })));
    assert!(queries.open_approvals(&open(&["role:clerk"]), &Window::first(5)).await.unwrap().rows.is_empty());
    let decisions = queries.decisions_of_runs(&[id]).await.unwrap();
    assert_eq!((decisions[0].decided_by.as_str(), decisions[0].comment.as_str()), ("person:ada", "fi\u{2400}ne"));
    assert_eq!(queries.signals_of_runs(&[id]).await.unwrap()[0].payload, json!("\0"));
    assert_eq!(queries.stalls_of_runs(&[id]).await.unwrap()[0].at, micros(4));

    let expired = RunEvent::ApprovalExpired { step: name("ask") };
    let cancel = RunEvent::CancelRequested { reason: "eno\0ugh".to_owned(), at: at(9), grace: Duration::from_secs(5) };
    let cut = |step: &str| RunEvent::StepCancelled { step: name(step) };
    let undo = RunEvent::CompensationStarted {
        step: name("first"),
        task: TaskId::of_compensation(run(1), &name("first")),
        at: at(10),
    };
    let abandoned = RunEvent::ChildAbandoned { step: name("sub"), run: run(99) };
    let events = vec![expired, cancel, cut("each"), abandoned, cut("sub"), cut("ask"), undo];
    record(&mut history, run(1), events).await;
    running.wait_for(history.position).await;
    let shown = queries.run(id).await.unwrap().unwrap();
    assert_eq!((shown.status.as_str(), shown.cut_at), ("compensating", Some(micros(14))));
    let steps = queries.steps_of_runs(&[id]).await.unwrap();
    assert_eq!(
        (steps[0].undo_status.as_deref(), steps[6].abandoned, steps[5].items_running),
        (Some("running"), true, 0)
    );
    assert_eq!(queries.items_of_steps(&list, &ItemWindow::from(1, 1)).await.unwrap()[0].status, "cancelled");
    let done = RunEvent::CompensationFailed { step: name("first"), error: fixtures::error() };
    record(&mut history, run(1), vec![done, RunEvent::Cancelled { reason: "enough".to_owned() }]).await;
    running.wait_for(history.position).await;
    let steps = queries.steps_of_runs(&[id]).await.unwrap();
    assert_eq!((steps[0].undo_status.as_deref(), steps[0].undo_ended_at.is_some()), (Some("failed"), true));
    world.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_clock_moves_what_waits_and_nothing_that_came_later() {
    for apart in [false, true] {
        let world = World::new().await;
        let mut history = world.history(61);
        let definition = fixtures::motley("motley");
        let pause = |clock, from| {
            let (by, reason) = (Actor::person("boss"), "lunch".to_owned());
            RunEvent::Paused(Pause { by, reason, at: at(from), clock, hold: None })
        };
        let resume = |to| RunEvent::Resumed { by: Actor::person("boss"), at: at(to) };
        let later =
            RunEvent::TimerStarted { step: name("last"), fires_at: at(200), at: at(150), deadline: Some(at(900)) };
        let parts = vec![
            under_way(run(1), &definition),
            vec![pause(PauseClock::Frozen, 10), resume(40), later],
            vec![pause(PauseClock::Running, 160), resume(170), pause(PauseClock::Frozen, 180)],
        ];
        // All in one batch, or each event in one of its own.
        let running = if apart { Some(world.start(Options::default()).await) } else { None };
        for part in parts {
            for event in part {
                record(&mut history, run(1), vec![event]).await;
                if let Some(running) = &running {
                    running.wait_for(history.position).await;
                }
            }
        }
        let running = match running {
            Some(running) => running,
            None => world.start(Options::default()).await,
        };
        running.wait_for(history.position).await;
        let (queries, id) = (running.queries(), run(1).as_uuid());
        let shown = queries.run(id).await.unwrap().unwrap();
        assert_eq!((shown.status.as_str(), shown.deadline), ("paused", Some(micros(1030))));
        assert_eq!((shown.paused_by.as_deref(), shown.paused_at), (Some("person:boss"), Some(micros(180))));
        let steps = queries.steps_of_runs(&[id]).await.unwrap();
        assert_eq!((steps[2].fires_at, steps[2].deadline), (Some(micros(90)), Some(micros(530))), "apart: {apart}");
        assert_eq!((steps[7].fires_at, steps[7].deadline), (Some(micros(200)), Some(micros(900))));
        assert_eq!(steps[0].deadline, Some(micros(500)), "what has ended does not move");
        let approvals = queries.approvals_of_runs(&[id]).await.unwrap();
        assert_eq!(approvals[0].expires_at, Some(micros(630)));
        let pauses = queries.pauses_of_runs(&[id]).await.unwrap();
        let until: Vec<_> = pauses.iter().map(|pause| (pause.clock.as_str(), pause.until)).collect();
        assert_eq!(until, [("frozen", Some(micros(40))), ("running", Some(micros(170))), ("frozen", None)]);
        world.assert_equal().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_takes_over_another_shows_all_of_it() {
    let world = World::new().await;
    let mut history = world.history(62);
    let definition = fixtures::motley("motley");
    let kept = vec![name("first"), name("skipped"), name("each"), name("ask"), name("sub")];
    record(&mut history, run(1), under_way(run(1), &definition)).await;
    let completed = |step: &str| RunEvent::StepCompleted {
        step: name(step),
        output: Arc::new(json!({ "of": step })),
        simulated: false,
    };
    let decided = RunEvent::ApprovalDecided {
        step: name("ask"),
        by: Actor::person("ada"),
        approved: true,
        comment: String::new(),
        content_hash: [5; 32],
        at: at(2),
    };
    record(&mut history, run(1), vec![decided, completed("each"), completed("ask"), completed("sub")]).await;
    let branch = |to: RunId, from: RunId| {
        let overrides = Overrides { model: Some("m-2".to_owned()), steps: vec![] };
        let lineage = Lineage { run: from, revision: 15, kind: LineageKind::Fork, kept: kept.clone(), overrides };
        let parent = Parent { run: run(1), step: name("sub"), depth: 1 };
        let start = Start { lineage: Some(lineage), parent: Some(parent), ..start(to, &definition) };
        RunEvent::Started(Box::new(start))
    };
    record(&mut history, run(2), vec![branch(run(2), run(1))]).await;
    // One upon the other, in the same batch; and what is undone there is not undone here.
    record(&mut history, run(3), vec![branch(run(3), run(2))]).await;
    let undo = RunEvent::CompensationStarted { step: name("first"), task: TaskId::from_uuid(Uuid::nil()), at: at(9) };
    record(&mut history, run(1), vec![undo]).await;
    let running = world.start(Options::default()).await;
    running.wait_for(history.position).await;
    let queries = running.queries();
    let (first, last) = (run(1).as_uuid(), run(3).as_uuid());
    let shown = queries.run(last).await.unwrap().unwrap();
    assert_eq!((shown.source_id, shown.lineage_kind.as_deref()), (Some(run(2).as_uuid()), Some("fork")));
    assert_eq!((shown.kept.unwrap().len(), shown.overrides.unwrap()["model"].as_str()), (5, Some("m-2")));
    assert_eq!((shown.parent_id, shown.parent_step.as_deref(), shown.depth), (Some(first), Some("sub"), Some(1)));
    let steps = queries.steps_of_runs(&[last]).await.unwrap();
    let statuses: Vec<_> = steps.iter().map(|step| step.status.as_str()).collect();
    assert_eq!(
        statuses,
        ["completed", "skipped", "pending", "completed", "pending", "completed", "completed", "pending"]
    );
    assert_eq!(steps[0].task_id, Some(TaskId::of_step(run(1), &name("first")).as_uuid()));
    assert_eq!((steps[0].undo_status.as_deref(), steps[6].child_id), (None, Some(run(99).as_uuid())));
    assert_eq!(queries.items_of_steps(&[(last, "each".to_owned())], &ItemWindow::from(0, 9)).await.unwrap().len(), 3);
    assert_eq!(queries.decisions_of_runs(&[last]).await.unwrap().len(), 1);
    assert_eq!(queries.approvals_of_runs(&[last]).await.unwrap()[0].content, json!({ "n": 1 }));

    let relatives = async |relation, of: RunId| {
        let (any, window) = (RelativeFilter::default(), Window::first(10));
        let page = queries.relatives(relation, of.as_uuid(), &RelativeKey::Place, &any, &window).await.unwrap();
        let found = page.rows.into_iter().map(|(_, row)| (row.run_id.as_u128(), row.distance));
        found.collect::<Vec<_>>()
    };
    assert_eq!(relatives(Relation::Lineage, run(2)).await, [(1, -1), (2, 0), (3, 1)]);
    let mut tree = relatives(Relation::Tree, run(1)).await;
    // Both began at the same time, or one of them before the other by a clock that stepped back.
    tree.sort_unstable();
    assert_eq!(tree, [(1, 0), (2, 1), (3, 1)]);
    let filter = RunFilter { source_id: Some(first), ..RunFilter::default() };
    assert_eq!(queries.run_ids(&filter, 10).await.unwrap(), [run(2).as_uuid()]);
    let filter = RunFilter { parent_id: Some(first), ..RunFilter::default() };
    assert_eq!(queries.count_runs(&filter).await.unwrap()[0].count, 2);

    let compared = queries.compare_runs(first, last).await.unwrap().unwrap();
    let same: Vec<_> = compared.steps.iter().filter(|step| step.same).map(|step| step.name.as_str()).collect();
    assert_eq!(same, ["first", "skipped", "ask", "each", "sub", "last"]);
    assert!(compared.same_input && !compared.same_output);
    assert!(compared.steps[0].b.as_ref().unwrap().kept && !compared.steps[0].a.as_ref().unwrap().kept);
    assert!(queries.compare_runs(first, Uuid::nil()).await.unwrap().is_none());
    world.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_slots_and_holds_are_shown() {
    let world = World::new().await;
    let mut history = world.history(63);
    let running = world.start(Options::default()).await;
    let queries = running.queries();
    let key: domain::Key = "two".parse().unwrap();
    let limit = LimitId::from_key(&key);
    let settings = LimitSettings {
        key: key.clone(),
        description: "at most two".to_owned(),
        scope: LimitScope::Agent("writer".parse().unwrap()),
        by: None,
        capacity: Capacity { max_running: Some(2), rate: None },
        fairness: None,
    };
    history.force(limit.into(), vec![LimitEvent::Set { settings: Box::new(settings) }.into()]).await;
    let slots = SlotsId::of(limit, &LimitScope::Agent("writer".parse().unwrap()), None);
    let holder =
        |number| Holder { run: run(number), task: (number > 1).then(|| TaskId::from_uuid(Uuid::from_u128(7))) };
    let request = |number| {
        let (holder, fairness) = (holder(number), String::new());
        SlotsEvent::Requested { holder, limit: key.clone(), partition: None, priority: 0, fairness, at: at(1) }.into()
    };
    let grant = |number| SlotsEvent::Granted { holder: holder(number), at: at(2) }.into();
    let release = |number| SlotsEvent::Released { holder: holder(number) }.into();
    history.force(slots.into(), vec![request(1), request(2), request(3), grant(1), grant(2), release(2)]).await;
    running.wait_for(history.position).await;
    history.force(slots.into(), vec![grant(3), request(4)]).await;
    let hold = HoldScope::Workflow("bread".parse().unwrap());
    let placed = |from| {
        let (by, reason) = (Actor::person("boss"), "audit".to_owned());
        HoldEvent::Placed(Placed { scope: hold.clone(), by, reason, at: at(from), clock: PauseClock::Running }).into()
    };
    let lifted = |to| HoldEvent::Lifted { by: Actor::person("ada"), at: at(to) }.into();
    history.force(hold.id().into(), vec![placed(1)]).await;
    running.wait_for(history.position).await;
    history.force(hold.id().into(), vec![lifted(2), placed(3), lifted(4), placed(5)]).await;
    running.wait_for(history.position).await;

    let limits = queries.limits(&LimitFilter::default(), &Window::first(5)).await.unwrap().rows;
    assert_eq!((limits.len(), limits[0].max_running, limits[0].scope_key.as_str()), (1, Some(2), "writer"));
    let counted = queries.slots_of_limits(&["two".to_owned()]).await.unwrap();
    assert_eq!((counted[0].running, counted[0].waiting), (2, 1));
    let seats = queries.seats_of_slots(&[slots.as_uuid()], 5).await.unwrap();
    let seats: Vec<_> = seats.iter().map(|seat| (seat.run_id.as_u128(), seat.granted_at.is_some())).collect();
    assert_eq!(seats, [(1, true), (3, true), (4, false)]);
    let own = queries.seats_of_runs(&[run(1).as_uuid(), run(4).as_uuid()]).await.unwrap();
    assert_eq!((own[0].task_id, own[1].task_id), (None, Some(Uuid::from_u128(7))));
    let holds = queries.holds(&HoldFilter::default(), &Window::first(5)).await.unwrap().rows;
    let times: Vec<_> = holds.iter().map(|hold| (hold.placed_at, hold.lifted_at)).collect();
    assert_eq!(times, [(micros(5), None), (micros(3), Some(micros(4))), (micros(1), Some(micros(2)))]);
    assert_eq!(
        queries
            .holds(&HoldFilter { placed: true, ..HoldFilter::default() }, &Window::first(5))
            .await
            .unwrap()
            .rows
            .len(),
        1
    );
    held_in_every_order(queries).await;
    history.force(limit.into(), vec![LimitEvent::Removed { reason: "no need".to_owned() }.into()]).await;
    running.wait_for(history.position).await;
    assert!(queries.limits(&LimitFilter::default(), &Window::first(5)).await.unwrap().rows.is_empty());
    let known = queries.limits_by_ids(&[limit.as_uuid()]).await.unwrap();
    assert_eq!(known[0].removed_reason.as_deref(), Some("no need"));
    world.assert_equal().await;
}

/// Three holds: placed at 1, 3 and 5, the first lifted at 2, the second at 4.
async fn held_in_every_order(queries: &Queries) {
    let all = HoldFilter::default();
    for (key, wanted) in [(HoldKey::Lifted, [3, 1, 5]), (HoldKey::Workflow, [1, 3, 5])] {
        for reversed in [false, true] {
            let mut wanted = wanted.map(micros);
            if reversed {
                wanted.reverse();
            }
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let window = Window { after, ..Window::first(1) };
                let page = queries.holds_by(key, &all, &window.turned(reversed)).await.unwrap().turned(reversed);
                seen.extend(page.rows.iter().map(|(_, hold)| hold.placed_at));
                after = page.rows.last().map(|(place, _)| place.clone());
                if !page.has_more {
                    break;
                }
            }
            assert_eq!(seen, wanted, "{key:?} reversed: {reversed}");
            let last = queries.holds_by(key, &all, &Window::last(2).turned(reversed)).await.unwrap().turned(reversed);
            let last: Vec<_> = last.rows.iter().map(|(_, hold)| hold.placed_at).collect();
            assert_eq!(last, wanted[1..], "the end of {key:?} reversed: {reversed}");
        }
    }
    let filters = [
        (HoldFilter { placed_by: Some("person:boss".to_owned()), ..all.clone() }, vec![5, 3, 1]),
        (HoldFilter { placed_by: Some("person:ada".to_owned()), ..all.clone() }, vec![]),
        (HoldFilter { text: Some("AUD".to_owned()), placed_from: Some(micros(3)), ..all.clone() }, vec![5, 3]),
        (HoldFilter { placed_before: Some(micros(3)), ..all.clone() }, vec![1]),
        (HoldFilter { text: Some("fire".to_owned()), ..all.clone() }, vec![]),
    ];
    for (filter, wanted) in filters {
        let mut wanted: Vec<i64> = wanted.into_iter().map(micros).collect();
        let usual = queries.holds(&filter, &Window::first(5)).await.unwrap().rows;
        assert_eq!(usual.iter().map(|hold| hold.placed_at).collect::<Vec<_>>(), wanted, "{filter:?}");
        let by = queries.holds_by(HoldKey::Workflow, &filter, &Window::first(5)).await.unwrap().rows;
        wanted.sort_unstable();
        assert_eq!(by.iter().map(|(_, hold)| hold.placed_at).collect::<Vec<_>>(), wanted, "{filter:?}");
    }
}

/// An ordinary run costs no more for what other runs have.
#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_run_has_no_rows_but_its_own() {
    let world = World::new().await;
    let mut history = world.history(64);
    for _ in 0..5 {
        history.start(&fixtures::chain("chain", 10)).await;
    }
    history.finish().await;
    let running = world.start(Options::default()).await;
    running.wait_for(history.position).await;
    let tables: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_schema::text, table_name::text FROM information_schema.tables
         WHERE table_schema IN ('read_runs', 'read_flow')",
    )
    .fetch_all(world.database.pool())
    .await
    .unwrap();
    for (schema, table) in tables {
        let count = format!("SELECT count(*) FROM {schema}.{table}");
        let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(world.database.pool()).await.unwrap();
        let expected = match table.as_str() {
            "runs" => 5,
            "steps" | "tasks" | "attempts" => 50,
            "plans" => 10,
            _ => 0,
        };
        assert_eq!(count, expected, "{table}");
    }
}
