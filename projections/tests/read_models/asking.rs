//! What the queries answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::task::{Checked, Choice, Consumed, Purpose, Quality, Score, Shift};
use domain::{
    Account, Actor, AgentCommand, AgentId, AttemptError, Capability, CostSource, ErrorKind, FinishReason, NanoUsd,
    Reply, RetryPolicy, StreamId, TaskEvent, TaskId, TemplateId, Timestamp, Usage, WorkflowId,
};
use projections::{CatalogFilter, MetricsKey, MetricsOf, Options, Past, Queries, RunFilter, RunRow, Window};
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use crate::fixtures;
use crate::world::{PATIENCE, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_shown_with_all_its_parts() {
    let world = World::new().await;
    let mut history = world.history(30);
    let running = world.start(Options::default()).await;
    let queries = running.queries();
    let definition = fixtures::diamond("bread");
    history.workflow(definition.clone()).await;
    let id = history.start(&definition).await.as_uuid();
    running.wait_for(history.position).await;
    let run = queries.run(id).await.unwrap().unwrap();
    assert_eq!((run.status.as_str(), run.workflow_key.as_str(), run.version), ("running", "bread", 1));
    assert_eq!(run.workflow_id, WorkflowId::from_key(&definition.key).as_uuid());
    assert_eq!((run.actor.as_str(), run.epoch, run.ended_at), ("person:tester", Some(1), None));
    assert_eq!(run.input["topic"], "bread\0");
    let steps = queries.steps_of_runs(&[id]).await.unwrap();
    let shown: Vec<_> = steps.iter().map(|step| (step.name.as_str(), step.status.as_str(), step.ordinal)).collect();
    assert_eq!(shown, [("first", "running", 0), ("second", "running", 1), ("third", "pending", 2)]);
    assert_eq!(steps[2].needs, ["first", "second"]);
    assert_eq!(
        (steps[2].definition.title.en.as_str(), steps[2].task_id, steps[2].position),
        ("Step third", None, None)
    );
    history.finish().await;
    running.wait_for(history.position).await;
    let run = queries.run(id).await.unwrap().unwrap();
    assert_eq!(run.status, "completed");
    assert!(run.ended_at.is_some() && run.output.unwrap()["third"]["text"].is_string());
    assert_eq!(run.position, i64::try_from(history.position.as_u64()).unwrap());
    let steps = queries.steps_of_runs(&[id]).await.unwrap();
    assert!(steps.iter().all(|step| step.status == "completed" && step.output.is_some()));
    let tasks = queries.tasks_of_runs(&[id]).await.unwrap();
    assert_eq!(tasks.len(), 3);
    let ids: Vec<Uuid> = tasks.iter().map(|task| task.id).collect();
    assert_eq!(queries.tasks_by_ids(&ids).await.unwrap().len(), 3);
    assert!(tasks.iter().all(|task| task.status == "completed" && task.attempts == 1 && task.run_id == Some(id)));
    let attempts = queries.attempts_of_tasks(&ids).await.unwrap();
    assert_eq!(attempts.len(), 3);
    for attempt in attempts {
        assert_eq!((attempt.status.as_str(), attempt.platform.as_str()), ("succeeded", "simulator"));
        assert!(attempt.text.unwrap().contains("Bread \u{2400} is"));
        assert_eq!(attempt.request_hash, [7; 32]);
        assert_eq!(attempt.cost_nano_usd.is_some(), attempt.input_tokens.is_some());
        assert_eq!(attempt.price_list.is_some(), attempt.cost_source.as_deref() == Some("listed"));
    }
    assert!(queries.run(Uuid::from_u128(5)).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_runs_are_complete_and_stable_in_both_directions() {
    let world = World::new().await;
    let mut history = world.history(31);
    let running = world.start(Options::default()).await;
    let queries = running.queries();
    for n in 0..57 {
        let id = history.start(&fixtures::diamond(if n % 3 == 0 { "bread" } else { "cake" })).await;
        assert!(history.runs.contains(&id));
    }
    running.wait_for(history.position).await;
    let all: Vec<RunRow> = queries.runs(&RunFilter::default(), &Window::first(1000)).await.unwrap().rows;
    assert_eq!(all.len(), 57);
    assert!(all.is_sorted_by(|one, next| (one.started_at, one.id) > (next.started_at, next.id)));
    let key = |row: &RunRow| (row.started_at, row.id);
    for limit in [1, 7, 56, 57, 58] {
        // Forwards; meanwhile newer runs appear, which a page after the first never shows.
        let (mut seen, mut window) = (Vec::new(), Window::first(limit));
        loop {
            let page = queries.runs(&RunFilter::default(), &window).await.unwrap();
            seen.extend(page.rows.iter().map(key));
            match page.rows.last() {
                Some(last) if page.has_more => window = window.after(key(last)),
                _ => break,
            }
        }
        assert_eq!(seen, all.iter().map(key).collect::<Vec<_>>());
        // Backwards.
        let (mut seen, mut window) = (Vec::new(), Window::last(limit));
        loop {
            let page = queries.runs(&RunFilter::default(), &window).await.unwrap();
            seen.splice(0..0, page.rows.iter().map(key));
            match page.rows.first() {
                Some(first) if page.has_more => window = window.before(key(first)),
                _ => break,
            }
        }
        assert_eq!(seen, all.iter().map(key).collect::<Vec<_>>());
    }
    let count = async |filter: RunFilter| queries.runs(&filter, &Window::first(1000)).await.unwrap().rows.len();
    let any = RunFilter::default;
    assert_eq!(count(RunFilter { workflow_key: Some("bread".to_owned()), ..any() }).await, 19);
    assert_eq!(count(RunFilter { statuses: vec!["completed".to_owned()], ..any() }).await, 0);
    assert_eq!(count(RunFilter { statuses: vec!["running".to_owned(), "failed".to_owned()], ..any() }).await, 57);
    assert_eq!(count(RunFilter { actor: Some("person:nobody".to_owned()), ..any() }).await, 0);
    assert_eq!(count(RunFilter { text: Some(all[3].id.to_string()[24..].to_uppercase()), ..any() }).await, 1);
    assert_eq!(count(RunFilter { text: Some("CAK".to_owned()), ..any() }).await, 38);
    let (oldest, newest) = (all[56].started_at, all[0].started_at);
    assert_eq!(count(RunFilter { started_from: Some(oldest), started_before: Some(newest + 1), ..any() }).await, 57);
    assert!(count(RunFilter { started_from: Some(oldest + 1), ..any() }).await < 57);
    assert!(count(RunFilter { started_before: Some(newest), ..any() }).await < 57);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_shows_every_version() {
    let world = World::new().await;
    let mut history = world.history(32);
    let running = world.start(Options::default()).await;
    let queries = running.queries();
    for key in ["bread", "cake", "pie"] {
        history.workflow(fixtures::diamond(key)).await;
        history.workflow(fixtures::chain(key, 2)).await;
        history.template(fixtures::body(key)).await;
        history.agent(key, AgentCommand::Register { profile: Box::new(fixtures::profile(key)) }).await;
    }
    let mut profile = fixtures::profile("cake");
    profile.capabilities.push(Capability::Research);
    history.agent("cake", AgentCommand::Register { profile: Box::new(profile.clone()) }).await;
    history.agent("cake", AgentCommand::Disable { reason: "tired".to_owned() }).await;
    running.wait_for(history.position).await;

    let workflow = queries.workflow("cake").await.unwrap().unwrap();
    assert_eq!((workflow.status.as_str(), workflow.newest_version, workflow.active_version), ("active", 2, Some(2)));
    assert_eq!(workflow.tags, ["text", "a \"quoted\" tag"]);
    let versions = queries.workflow_versions(&[workflow.id]).await.unwrap();
    assert_eq!(versions.iter().map(|row| row.version).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(versions[1].definition, fixtures::diamond("cake"));
    assert!(versions.iter().all(|row| row.activated_at.is_some() && row.drafted_by == "person:tester"));

    let agent = queries.agent("cake").await.unwrap().unwrap();
    assert_eq!((agent.enabled, agent.disabled_reason.as_deref(), agent.version), (false, Some("tired"), 2));
    assert_eq!(agent.profile, profile);
    assert_eq!(queries.agent_versions(&[agent.id]).await.unwrap()[1].profile, fixtures::profile("cake"));
    let template = queries.template("pie").await.unwrap().unwrap();
    assert_eq!(template.body, fixtures::body("pie"));
    assert_eq!(queries.template_versions(&[template.id]).await.unwrap().len(), 1);

    let keys = async |filter: CatalogFilter, window: Window<String>| -> Vec<String> {
        queries.agents(&filter, &window).await.unwrap().rows.into_iter().map(|row| row.key).collect()
    };
    let any = CatalogFilter::default;
    assert_eq!(keys(any(), Window::first(2)).await, ["bread", "cake"]);
    assert_eq!(keys(any(), Window::first(2).after("cake".to_owned())).await, ["pie"]);
    assert_eq!(keys(any(), Window::last(2)).await, ["cake", "pie"]);
    assert_eq!(keys(any(), Window::last(2).before("cake".to_owned())).await, ["bread"]);
    assert_eq!(keys(CatalogFilter { active: Some(false), ..any() }, Window::first(9)).await, ["cake"]);
    assert_eq!(
        keys(CatalogFilter { capability: Some(Capability::Research), ..any() }, Window::first(9)).await,
        ["cake"]
    );
    assert_eq!(keys(CatalogFilter { text: Some("AGENT P".to_owned()), ..any() }, Window::first(9)).await, ["pie"]);
    assert_eq!(keys(CatalogFilter { text: Some("وكيل c".to_owned()), ..any() }, Window::first(9)).await, ["cake"]);
    let templates = async |filter: CatalogFilter| -> Vec<String> {
        queries.templates(&filter, &Window::first(9)).await.unwrap().rows.into_iter().map(|row| row.key).collect()
    };
    assert_eq!(templates(CatalogFilter { text: Some("قالب p".to_owned()), ..any() }).await, ["pie"]);
    let wanted = CatalogFilter { capability: Some(Capability::Hr), ..any() };
    assert_eq!(templates(wanted.clone()).await, [""; 0]);
    let mut body = fixtures::body("pie");
    body.capability = Some(Capability::Hr);
    history.template(body).await;
    running.wait_for(history.position).await;
    assert_eq!(templates(wanted).await, ["pie"]);
    assert!(keys(CatalogFilter { tag: Some("none".to_owned()), ..any() }, Window::first(9)).await.is_empty());
    let filter = CatalogFilter { department: Some("editorial".to_owned()), active: Some(true), ..any() };
    assert_eq!(queries.workflows(&filter, &Window::first(9)).await.unwrap().rows.len(), 3);
    assert_eq!(queries.templates(&filter, &Window::first(1)).await.unwrap().rows.len(), 1);
    let ids: Vec<Uuid> = ["bread", "pie"].map(|key| AgentId::from_key(&key.parse().unwrap()).as_uuid()).into();
    assert_eq!(queries.agents_by_ids(&ids).await.unwrap().len(), 2);
    let keys = ["bread".to_owned(), "nobody".to_owned()];
    assert_eq!(queries.agents_by_keys(&keys).await.unwrap().len(), 1);
    assert_eq!(queries.templates_by_keys(&keys).await.unwrap().len(), 1);
    assert_eq!(queries.workflows_by_ids(&[workflow.id]).await.unwrap(), [workflow]);
    assert_eq!(queries.templates_by_ids(&[template.id]).await.unwrap()[0].key, template.key);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_has_done_is_summed_up() {
    let world = World::new().await;
    let mut history = world.history(33);
    let running = world.start(Options::default()).await;
    history.happen(400).await;
    history.finish().await;
    running.wait_for(history.position).await;
    let queries = running.queries();
    let writer = AgentId::from_key(&"writer".parse().unwrap()).as_uuid();
    queries.wait_for_one("usage", history.position, PATIENCE).await.unwrap();
    let rows = queries.metrics(&[writer, Uuid::from_u128(1)], None).await.unwrap();
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    let runs: Vec<Uuid> = history.runs.iter().map(|run| run.as_uuid()).collect();
    let tasks = queries.tasks_of_runs(&runs).await.unwrap();
    let ids: Vec<Uuid> = tasks.iter().map(|task| task.id).collect();
    let attempts = queries.attempts_of_tasks(&ids).await.unwrap();
    let count = |status: &str| i64::try_from(tasks.iter().filter(|task| task.status == status).count()).unwrap();
    assert_eq!(row.total, i64::try_from(tasks.len()).unwrap());
    assert_eq!((row.completed, row.failed), (count("completed"), count("failed")));
    assert!(row.failed > 0 && count("cancelled") > 0);
    assert_eq!(row.total_cost_nano_usd, attempts.iter().filter_map(|attempt| attempt.cost_nano_usd).sum::<i64>());
    assert_eq!(row.input_tokens, attempts.iter().filter_map(|attempt| attempt.input_tokens).sum::<i64>());
    assert_eq!(row.average_cost_nano_usd, Some(2500.0));
    let rate = row.success_rate.unwrap();
    assert!((rate - row.completed as f64 / (row.completed + row.failed) as f64).abs() < 1e-9);
    let statuses: BTreeSet<&str> = attempts.iter().map(|attempt| attempt.status.as_str()).collect();
    assert_eq!(statuses, BTreeSet::from(["cancelled", "failed", "lost", "succeeded"]));
    assert!(attempts.iter().any(|attempt| attempt.late && attempt.status == "cancelled" && attempt.text.is_some()));
    let known = queries.runs_by_status().await.unwrap();
    assert_eq!(known.iter().map(|row| row.count).sum::<i64>(), i64::try_from(runs.len()).unwrap());
    assert_eq!(queries.runs_by_ids(&runs).await.unwrap().len(), runs.len());
}

fn reply(millis: u64) -> Reply {
    Reply {
        text: "Bread".to_owned(),
        finish: FinishReason::Stop,
        model: "m-1".to_owned(),
        usage: Usage { input_tokens: Some(10), output_tokens: Some(1), ..Usage::default() },
        cost: Some(NanoUsd(1000)),
        duration: std::time::Duration::from_millis(millis),
        first_piece: None,
        simulated: false,
        account: None,
    }
}

/// A task of an agent that completed, with a mark, on a day.
fn task_on(day: i64, number: u128, agent: &str, mark: u16, millis: u64) -> (StreamId, Vec<domain::Event>) {
    let at = Timestamp::from_micros(day * 86_400_000_000 + 86_399_000_000);
    let reply = reply(millis);
    let checks = vec![Checked { item: None, what: "it is bread".to_owned(), holds: true }];
    let quality = Quality { score: Score::of_hundredths(mark).unwrap(), checks };
    let events = vec![
        TaskEvent::Created {
            run: None,
            step: None,
            template: TemplateId::from_key(&"bake".parse().unwrap()),
            template_version: 1,
            parameters: std::sync::Arc::new(serde_json::json!({})),
            retry: RetryPolicy::default(),
            attempt_timeout: std::time::Duration::from_secs(60),
            at,
            start_by: None,
        },
        TaskEvent::Assigned {
            agent: AgentId::from_key(&agent.parse().unwrap()),
            agent_version: 1,
            reason: "named".to_owned(),
            choice: None,
        },
        TaskEvent::AttemptStarted {
            attempt: 1,
            purpose: Purpose::Answer,
            platform: "simulator".parse().unwrap(),
            model: None,
            request_hash: [7; 32],
            choice: Some(Choice::first()),
            reserved: vec![],
            masked: vec![],
            kept: None,
        },
        TaskEvent::AttemptSucceeded { attempt: 1, reply: Box::new(reply) },
        TaskEvent::Completed { attempt: 1, output: None, quality: Some(Box::new(quality)), review: None },
    ];
    let stream = TaskId::from_uuid(Uuid::from_u128(number)).into();
    (stream, events.into_iter().map(Into::into).collect())
}

/// What an attempt had used before it failed, and what its answer, which came too late, says.
#[tokio::test(flavor = "multi_thread")]
async fn where_a_cost_comes_from_goes_with_the_cost() {
    let world = World::new().await;
    let mut history = world.history(38);
    let running = world.start(Options::default()).await;
    let listed = |list: &str| Some(CostSource::Listed(list.to_owned()));
    let (reported, unpriced) = (Some(CostSource::Reported), Some(CostSource::Unpriced));
    let cases = [
        // Nothing came too late.
        ((Some(70), listed("l-1")), None, (Some(70), Some("listed"), Some("l-1"))),
        ((None, unpriced.clone()), None, (None, Some("unpriced"), None)),
        ((Some(70), None), None, (Some(70), None, None)),
        // The answer knows better, or nothing of its cost.
        ((Some(70), listed("l-1")), Some((Some(90), reported.clone())), (Some(90), Some("reported"), None)),
        ((Some(70), listed("l-1")), Some((Some(90), listed("l-2"))), (Some(90), Some("listed"), Some("l-2"))),
        ((Some(70), listed("l-1")), Some((None, unpriced.clone())), (Some(70), Some("listed"), Some("l-1"))),
        ((Some(70), listed("l-1")), Some((Some(90), None)), (Some(90), None, None)),
        ((None, unpriced.clone()), Some((Some(90), reported)), (Some(90), Some("reported"), None)),
        ((None, unpriced.clone()), Some((None, None)), (None, Some("unpriced"), None)),
        ((Some(70), None), Some((None, unpriced)), (Some(70), None, None)),
    ];
    let account = |source: Option<CostSource>| source.map(|source| Box::new(Account::new(source, None)));
    let mut expected = Vec::new();
    for (number, (used, late, row)) in (1..).zip(cases) {
        // In one append, and in two that are read one after the other.
        for apart in [false, true] {
            let id = number * 2 + u128::from(apart);
            let (stream, begun) = task_on(100, id, "baker", 400, 10);
            let mut events: Vec<domain::Event> = begun.into_iter().take(3).collect();
            let error = AttemptError { kind: ErrorKind::MalformedReply, message: "cut".to_owned(), retry_after: None };
            let consumed =
                Some(Consumed { usage: Usage::default(), cost: used.0.map(NanoUsd), account: account(used.1.clone()) });
            events.push(TaskEvent::AttemptFailed { attempt: 1, error, retry_at: None, consumed }.into());
            let rest: Vec<domain::Event> = late
                .iter()
                .map(|(cost, source)| {
                    let reply = Reply { cost: cost.map(NanoUsd), account: account(source.clone()), ..reply(10) };
                    TaskEvent::AttemptLate { attempt: 1, reply: Box::new(reply) }.into()
                })
                .collect();
            if apart {
                history.force(stream, events).await;
                running.wait_for(history.position).await;
                if !rest.is_empty() {
                    history.force(stream, rest).await;
                }
            } else {
                events.extend(rest);
                history.force(stream, events).await;
            }
            expected.push((stream.id, row));
        }
    }
    running.wait_for(history.position).await;
    let ids: Vec<Uuid> = expected.iter().map(|(id, _)| *id).collect();
    let past = Past::new(Arc::clone(&world.journal), running.queries().clone(), history.position);
    let (rows, told) =
        (running.queries().attempts_of_tasks(&ids).await.unwrap(), past.attempts_of_tasks(&ids).await.unwrap());
    for (id, row) in expected {
        for (rows, which) in [(&rows, "kept"), (&told, "told")] {
            let found = rows.iter().find(|row| row.task_id == id).unwrap();
            let shown = (found.cost_nano_usd, found.cost_source.as_deref(), found.price_list.as_deref());
            assert_eq!(shown, row, "{which}, task {}", id.as_u128());
        }
    }
    world.assert_equal().await;
}

/// The first to tell what an attempt has cost is its end; an answer that comes too late knows better.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_costs_what_is_known_last_however_its_events_come() {
    let costs = |succeeded: i64, failed: i64, late: i64| {
        let reply = |cost| Box::new(Reply { cost: Some(NanoUsd(cost)), ..reply(10) });
        let error = AttemptError { kind: ErrorKind::MalformedReply, message: "cut".to_owned(), retry_after: None };
        let consumed = Some(Consumed { usage: Usage::default(), cost: Some(NanoUsd(failed)), account: None });
        [
            (1, TaskEvent::AttemptSucceeded { attempt: 1, reply: reply(succeeded) }),
            (2, TaskEvent::AttemptFailed { attempt: 1, error, retry_at: None, consumed }),
            (2, TaskEvent::AttemptLate { attempt: 1, reply: reply(late) }),
        ]
    };
    let (one, all) = (Options { linger: Duration::ZERO, batch: 1, ..Options::default() }, Options::default());
    for (options, seed) in [(one, 39), (all, 40)] {
        let world = World::new().await;
        let mut history = world.history(seed);
        let mut expected = Vec::new();
        for (number, (succeeded, failed, late)) in (1..).zip([(5, 70, 0), (0, 70, 90), (0, 0, 8), (5, 0, 0), (0, 0, 0)])
        {
            let run = history.start(&fixtures::diamond("bread")).await;
            for task in [1, 2] {
                let (stream, mut events) = task_on(100, number * 10 + task, "baker", 400, 10);
                if let Some(domain::Event::Task(TaskEvent::Created { run: of, .. })) = events.first_mut() {
                    *of = Some(run);
                }
                events.truncate(3);
                history.force(stream, events).await;
            }
            for (task, event) in costs(succeeded, failed, late) {
                history.force(TaskId::from_uuid(Uuid::from_u128(number * 10 + task)).into(), vec![event.into()]).await;
            }
            expected.push((run.as_uuid(), succeeded + late));
        }
        let running = world.start(options).await;
        running.queries().wait_for_one("usage", history.position, PATIENCE).await.unwrap();
        let runs: Vec<Uuid> = expected.iter().map(|(run, _)| *run).collect();
        let mut found = running.queries().costs_of_runs(&runs).await.unwrap();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
        world.assert_equal().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_window_of_metrics_is_a_sum_of_days() {
    let world = World::new().await;
    let mut history = world.history(34);
    let running = world.start(Options::default()).await;
    for key in ["baker", "miller"] {
        history.agent(key, AgentCommand::Register { profile: Box::new(fixtures::profile(key)) }).await;
    }
    history.template(fixtures::body("bake")).await;
    for (day, number, agent, mark, millis) in [
        (100, 1, "baker", 400, 100),
        (107, 2, "baker", 900, 300),
        (107, 3, "baker", 1000, 200),
        (107, 4, "miller", 500, 10),
    ] {
        let (stream, mut events) = task_on(day, number, agent, mark, millis);
        // In two appends, so that the day is taken off and added to.
        let rest = events.split_off(3);
        history.force(stream, events).await;
        history.force(stream, rest).await;
    }
    let queries = running.queries();
    queries.wait_for_one("usage", history.position, PATIENCE).await.unwrap();
    let id = |key: &str| AgentId::from_key(&key.parse().unwrap()).as_uuid();
    let template = TemplateId::from_key(&"bake".parse().unwrap()).as_uuid();
    let of = async |subject: Uuid, from: Option<i64>| {
        let row = queries.metrics(&[subject], from).await.unwrap().pop()?;
        Some((row.total, row.completed, row.average_quality, row.average_duration_ms, row.total_cost_nano_usd))
    };
    assert_eq!(of(id("baker"), None).await, Some((3, 3, Some(23.0 / 3.0), Some(200.0), 3000)));
    assert_eq!(of(id("baker"), Some(101)).await, Some((2, 2, Some(9.5), Some(250.0), 2000)));
    assert_eq!(of(id("baker"), Some(100)).await, of(id("baker"), None).await);
    assert_eq!(of(id("baker"), Some(108)).await, None);
    assert_eq!(of(template, Some(107)).await, Some((3, 3, Some(8.0), Some(170.0), 3000)));
    let keys = async |of, key| {
        let rows = queries.metrics_of_all(of, Some(101), key, 10).await.unwrap();
        rows.into_iter().map(|row| row.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(MetricsOf::Agents, MetricsKey::Tasks).await, ["baker", "miller"]);
    assert_eq!(keys(MetricsOf::Agents, MetricsKey::Quality).await, ["baker", "miller"]);
    assert_eq!(keys(MetricsOf::Agents, MetricsKey::SuccessRate).await, ["baker", "miller"]);
    assert_eq!(keys(MetricsOf::Agents, MetricsKey::Duration).await, ["baker", "miller"]);
    assert_eq!(keys(MetricsOf::Templates, MetricsKey::Cost).await, ["bake"]);
    assert_eq!(queries.metrics_of_all(MetricsOf::Agents, None, MetricsKey::Cost, 1).await.unwrap().len(), 1);

    // What people say counts instead of what a program says, on the day of the task.
    let mark = |hundredths| Score::of_hundredths(hundredths).unwrap();
    let completed_at = Timestamp::from_micros(108 * 86_400_000_000);
    let agent = AgentId::from_key(&"baker".parse().unwrap());
    let shift = Some(Shift { agent, completed_at, from: Some(mark(900)), to: mark(500) });
    let by = Actor::person("mona");
    let rated = TaskEvent::Rated { by, mark: mark(500), comment: String::new(), at: completed_at, shift };
    history.force(TaskId::from_uuid(Uuid::from_u128(2)).into(), vec![rated.into()]).await;
    queries.wait_for_one("usage", history.position, PATIENCE).await.unwrap();
    assert_eq!(of(id("baker"), Some(101)).await, Some((2, 2, Some(7.5), Some(250.0), 2000)));
    assert_eq!(of(template, None).await.and_then(|row| row.2), Some((4.0 + 5.0 + 10.0 + 5.0) / 4.0));
    world.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_is_given_up() {
    let world = World::new().await;
    let _running = world.start(Options::default()).await;
    let options = world.database.pool().connect_options().as_ref().clone().options([("statement_timeout", "200")]);
    let queries = Queries::new(PgPoolOptions::new().connect_with(options).await.unwrap());
    let mut holder = world.database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE read_runs.runs IN ACCESS EXCLUSIVE MODE").execute(&mut *holder).await.unwrap();
    let error = queries.runs(&RunFilter::default(), &Window::first(1)).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(error.code(), "TIMEOUT");
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%ORDER BY r.started_at%'";
    let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut *holder).await.unwrap();
    assert_eq!(waiting, 0, "PostgreSQL goes on with nothing");
    holder.rollback().await.unwrap();
    queries.runs(&RunFilter::default(), &Window::first(1)).await.unwrap();
}
