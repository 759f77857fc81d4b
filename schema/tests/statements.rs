//! How many statements an answer takes: as many for many entries as for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::budget::{BudgetScope, Unit, Window};
use domain::delivery::{Source, Subject, Trouble};
use domain::purse::{Payer, Terms};
use domain::webhook::Topic;
use domain::{EventId, Purse, PurseCommand, PurseId, RunId, TaskId, WebhookId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::House;

/// Counts the statements that sqlx reports.
#[derive(Clone, Default)]
struct Statements(Arc<AtomicUsize>);

impl tracing::Subscriber for Statements {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("sqlx::query")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn an_answer_takes_as_many_statements_for_many_runs_as_for_one() {
    let house = House::furnished().await;
    let ask = "query($n: Int, $at: Position) { runs(first: $n, minPosition: $at) { edges { node { runId
        workflow { key versions { version } } parent { runId } origin { run { runId } } pauses { by } signals { signal }
        stalls { what } seats { limit } quality { score } actionItems { nodes { id } } steps { agent { key metrics { total } } template { key }
        activity { ... on TaskActivity { task { seats { limit } } } ... on Approval { decisions { by } }
            ... on ItemsActivity { items { task { taskId } } } ... on ChildActivity { run { runId } } }
        undo { task { taskId } } task { run { runId } attempts { number } } } } } } }";
    for _ in 0..6 {
        house.whole_run().await;
    }
    let at = house.head().await;
    house.data(ask, json!({ "n": 6, "at": at })).await;
    // Whoever sorts by cost waits for the read model that knows it; not while statements are counted.
    house.data("query($at: Position) { usage(minPosition: $at) { hasMore } }", json!({ "at": at })).await;
    // Each by itself: what several questions of one request load beside each other is batched as it comes.
    let dear = "query($n: Int) { runs(first: $n, orderBy: COST) { edges { node { cost
        steps { task { attempts { cost task { taskId } } } } } } } }";
    let tasks =
        "query($n: Int) { tasks(first: $n, orderBy: DURATION) { edges { node { run { runId } agent { key } } } } }";
    let attempts =
        "query($n: Int) { attempts(first: $n, orderBy: COST) { edges { node { cost task { run { runId } } } } } }";
    // Of the catalogue, of what makes runs wait, and of what is found by its words.
    for name in ["a", "b", "c", "d", "e", "f"] {
        house.data(crate::house::REGISTER_AGENT, json!({ "input": crate::house::agent(name) })).await;
        house.data(crate::house::REGISTER_TEMPLATE, json!({ "input": crate::house::template(name) })).await;
        let limit = json!({ "key": name, "scope": "AGENT", "scopeKey": name, "maxRunning": 2 });
        house
            .data("mutation($input: SetLimitInput!) { setLimit(input: $input) { changed } }", json!({ "input": limit }))
            .await;
    }
    let catalogue = "query($n: Int) { agents(first: $n) { nodes { versions { version } metrics { total } } }
        templates(first: $n) { nodes { versions { version } metrics { total } } } }";
    let limits =
        "query($n: Int) { limits(first: $n) { nodes { slots { running holders { runId } queue { runId } } } } }";
    let texts = "query($n: Int) { search(words: \"dear sir\", first: $n) { hits { kind run { runId workflow { key } }
        node { id } } } }";
    let at = house.head().await;
    let found = "query($at: Position) { search(words: \"dear sir\", minPosition: $at) { hits { kind } }
        agents(first: 1, minPosition: $at) { nodes { key } } usage(minPosition: $at) { hasMore } }";
    let found = house.data(found, json!({ "at": at })).await;
    assert!(found["search"]["hits"].as_array().unwrap().len() >= 6, "{found}");
    counted_alike(&house, &[ask, dear, tasks, attempts, catalogue, limits, texts], [1, 6]).await;
}

/// What people are asked and have to do, and what webhooks are told: each with all that hangs on it.
#[tokio::test]
async fn an_answer_takes_as_many_statements_for_many_of_what_people_see_as_for_one() {
    let house = House::furnished().await;
    house
        .data(
            crate::house::DRAFT,
            json!({ "input": {
        "key": "asking", "name": "Asking",
        "inputSchema": { "type": "object", "properties": { "file": { "type": "string" } } },
        "steps": [{ "name": "ask", "title": "Ask", "approval": {
            "question": "May it go out?", "approvers": ["anyone"], "quorum": 3, "ownRun": true } }],
    } }),
        )
        .await;
    house.data(crate::house::ACTIVATE, json!({ "input": { "key": "asking" } })).await;
    let subscribed =
        house.hook("subscribeWebhook", "SubscribeWebhookInput", json!({ "url": "https://x.example/" })).await;
    let webhook = WebhookId::from_uuid(subscribed["webhookId"].as_str().unwrap().parse().unwrap());
    for number in 0..6_u128 {
        crate::actions::asked(&house).await;
        let run = house.mutate("startRun", json!({ "workflow": "asking", "input": {} }), "runId").await;
        let run: RunId = run["runId"].as_str().unwrap().parse().unwrap();
        house.advance(run).await;
        let source = Source {
            event: EventId::from_uuid(Uuid::from_u128(100 + number)),
            stream: run.into(),
            revision: 0,
            position: 1,
            at: commands::now(),
        };
        let subject = Subject { webhook, topic: Topic::RunFailed, source };
        for attempt in 1..=2 {
            let trouble = Trouble { status: Some(503), what: "answered 503".to_owned() };
            let again = (attempt == 1).then(commands::now);
            house
                .commands
                .settle_delivery(subject.clone(), attempt, Err(trouble), Duration::ZERO, again)
                .await
                .unwrap();
        }
    }
    let open = "query($at: Position) { approvals(minPosition: $at) { nodes { runId contentHash } } }";
    let open = house.data(open, json!({ "at": house.head().await })).await["approvals"]["nodes"].take();
    assert_eq!(open.as_array().unwrap().len(), 6);
    for approval in open.as_array().unwrap() {
        let decision = json!({ "runId": approval["runId"], "step": "ask", "approve": true, "comment": "Well.",
            "contentHash": approval["contentHash"] });
        house.mutate("decideApproval", decision, "changed").await;
    }
    let approvals = "query($n: Int) { approvals(first: $n) { nodes { agreed decisions { by comment }
        run { runId workflow { key } } } } }";
    let deliveries =
        "query($n: Int) { webhookDeliveries(first: $n) { nodes { status attempts { attempt trouble } } } }";
    let changed =
        "query($n: Int) { webhookDeliveries(first: $n, orderBy: CHANGED) { nodes { attempts { attempt } } } }";
    let actions = "query($n: Int) { actionItems(first: $n) { nodes { what overdue run { runId workflow { key } }
        task { taskId agent { key } repetitions { nodes { runId } } } } } }";
    let found = "query($at: Position) { a: approvals(minPosition: $at) { nodes { decisions { by } } }
        w: webhookDeliveries { nodes { attempts { attempt } } } i: actionItems { nodes { run { runId } } } }";
    let found = house.data(found, json!({ "at": house.head().await })).await;
    assert_eq!(found["a"]["nodes"][0]["decisions"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["w"]["nodes"][0]["attempts"].as_array().unwrap().len(), 2, "{found}");
    for list in ["a", "w", "i"] {
        assert!(found[list]["nodes"].as_array().unwrap().len() >= 6, "{found}");
    }
    counted_alike(&house, &[approvals, deliveries, changed, actions], [1, 6]).await;
}

/// Lists that are folded from the journal, with more entries than a page can have.
#[tokio::test]
async fn a_list_from_the_journal_takes_as_many_statements_for_a_whole_page_as_for_one_entry() {
    const MANY: usize = 250;
    const CHANGED: usize = 40;
    let house = House::furnished().await;
    let mut hooks = Vec::new();
    for number in 0..MANY {
        let key = format!("k{number:03}");
        let budget = json!({ "key": key, "scope": "DEPARTMENT", "of": key, "window": "DAY", "limit": "7" });
        house.mutate("setBudget", budget, "changed").await;
        let trigger = json!({ "key": key, "workflow": "letter", "event": { "types": ["run.failed"] },
            "input": [{ "name": "file", "expression": "'Dear Sir'" }] });
        house.mutate("setTrigger", trigger, "changed").await;
        let hook = json!({ "url": format!("https://{key}.example/") });
        hooks.push(house.mutate("subscribeWebhook", hook, "webhookId").await["webhookId"].take());
    }
    let budgets = "query($n: Int) { budgets(first: $n) { nodes { key purse { calls } } } }";
    let used = "query($n: Int) { budgets(last: $n, orderBy: USED) { nodes { key purse { calls } } } }";
    let triggers = "query($n: Int) { triggers(first: $n) { nodes { key pause { reason } waiting } } }";
    let next = "query($n: Int) { triggers(last: $n, orderBy: NEXT) { nodes { key } } }";
    let webhooks = "query($n: Int) { webhooks(first: $n) { nodes { webhookId status } } }";
    let all = [budgets, used, triggers, next, webhooks];
    counted_alike(&house, &all, [1, 200]).await;
    // A page takes no more when much has changed since the last one than when little has.
    let mut counts = Vec::new();
    for changed in [1, CHANGED] {
        for (number, hook) in hooks.iter().enumerate().take(changed) {
            let key = format!("k{number:03}");
            let call = PurseCommand::Reserve {
                payer: Payer { task: TaskId::from_uuid(Uuid::now_v7()), attempt: 1 },
                amount: 1,
                terms: Terms {
                    budget: key.parse().unwrap(),
                    partition: None,
                    unit: Unit::Money,
                    limit: 7,
                    window: Window::Day,
                    warn_at: None,
                },
                now: commands::now(),
            };
            let scope = BudgetScope::Department(key.clone());
            let purse = PurseId::of(&key.parse().unwrap(), &scope, Unit::Money, None);
            let executor = house.commands.executor();
            executor.execute::<Purse>(purse.into(), call, House::context(), false).await.unwrap();
            let pause = json!({ "key": key, "reason": format!("{changed}") });
            house.mutate_as("pauseTrigger", "TriggerInput", pause, "changed").await;
            let name = if changed == 1 { "pauseWebhook" } else { "resumeWebhook" };
            house.mutate_as(name, "WebhookInput", json!({ "webhookId": hook }), "changed").await;
        }
        for ask in all {
            house.reads.store(0, Ordering::Relaxed);
            let shown = house.data(ask, json!({ "n": 200 })).await;
            counts.push(house.reads.load(Ordering::Relaxed));
            let nodes = shown.as_object().unwrap().values().next().unwrap()["nodes"].as_array().unwrap().clone();
            assert_eq!(nodes.len(), 200);
            if ask == budgets || ask == triggers {
                let calls = |node: &Value| node["purse"]["calls"].as_u64().is_some_and(|calls| calls > 0);
                let is_changed = |node: &&Value| node["pause"].is_object() || calls(node);
                assert_eq!(nodes.iter().filter(is_changed).count(), changed, "{ask}");
            }
        }
    }
    assert_eq!(counts[..all.len()], counts[all.len()..]);
    assert!(counts.iter().all(|count| (1..=6).contains(count)), "{counts:?}");
}

/// Runs that hang together, more of them than a page can have, and than were ever read at once.
#[tokio::test]
async fn a_lineage_is_read_page_by_page() {
    const FORKS: usize = 230;
    let house = House::furnished().await;
    let origin = house.whole_run().await.as_uuid();
    let mut runs = vec![json!(origin)];
    for _ in 0..FORKS {
        let fork = json!({ "runId": origin, "revision": 1 });
        runs.push(house.mutate("forkRun", fork, "runId").await["runId"].take());
    }
    let newest: Vec<Value> = runs.iter().rev().cloned().collect();
    house.data("query($at: Position) { position(minPosition: $at) }", json!({ "at": house.head().await })).await;
    for (order, expected) in [("PLACE", &runs), ("STARTED", &newest)] {
        for (reversed, size) in [(false, 100), (true, 97)] {
            let (mut seen, mut after) = (Vec::new(), Value::Null);
            loop {
                let ask = "query($id: UUID!, $n: Int, $after: String, $order: RelatedRunOrder!, $reversed: Boolean!) {
                    runLineage(id: $id, first: $n, after: $after, orderBy: $order, reversed: $reversed) {
                        nodes { runId } pageInfo { hasNextPage endCursor } } }";
                let page = json!({ "id": origin, "n": size, "after": after, "order": order, "reversed": reversed });
                let page = house.data(ask, page).await["runLineage"].take();
                seen.extend(page["nodes"].as_array().unwrap().iter().map(|one| one["runId"].clone()));
                after = page["pageInfo"]["endCursor"].clone();
                if page["pageInfo"]["hasNextPage"] == false {
                    break;
                }
            }
            if reversed {
                seen.reverse();
            }
            assert_eq!(&seen, expected, "{order}, reversed: {reversed}");
        }
    }
    let lists = ["PLACE", "STARTED", "STATUS"].map(|order| {
        format!(
            "query($n: Int) {{ runLineage(id: \"{origin}\", first: $n, orderBy: {order}) {{ nodes {{ distance
            run {{ status }} }} }} }}"
        )
    });
    let lists: Vec<&str> = lists.iter().map(String::as_str).collect();
    // No projector has anything left to write while statements are counted.
    let idle = "query($at: Position) { usage(minPosition: $at) { hasMore } search(words: \"sir\", minPosition: $at) { hasMore }
        judgeCalibration(minPosition: $at) { position } runs(first: 1, asOf: { time: \"2020-01-01T00:00:00Z\" }) { position } }";
    house.data(idle, json!({ "at": house.head().await })).await;
    counted_alike(&house, &lists, [1, 200]).await;
}

/// Expects each question to take as many statements, of the read models and of the journal, for the one number of entries,
/// `$n`, as for the other.
async fn counted_alike(house: &House, questions: &[&str], sizes: [usize; 2]) {
    let counted = Statements::default();
    // With a single subscriber, tracing asks the thread that meets a statement first whether anybody listens; tests
    // on other threads would answer for this one. With two it asks both.
    let _second = tracing::Dispatch::new(Statements::default());
    let guard = tracing::subscriber::set_default(counted.clone());
    tracing::callsite::rebuild_interest_cache();
    // What is asked for by several ways falls into one batch or two, as it comes; the fewest of some tries count.
    let mut counts = Vec::new();
    for ask in questions {
        let mut fewest = [usize::MAX; 2];
        for _ in 0..10 {
            for (fewest, n) in fewest.iter_mut().zip(sizes) {
                house.reads.store(0, Ordering::Relaxed);
                counted.0.store(0, Ordering::Relaxed);
                house.data(ask, json!({ "n": n })).await;
                let count = counted.0.load(Ordering::Relaxed) + house.reads.load(Ordering::Relaxed);
                *fewest = count.min(*fewest);
            }
            if fewest[0] == fewest[1] {
                break;
            }
        }
        counts.push(fewest);
    }
    drop(guard);
    for fewest in &counts {
        assert!(fewest[0] > 0, "nothing was counted");
        assert_eq!(fewest[0], fewest[1], "{counts:?}");
    }
}

/// The question that is asked most; naming the position of its answer costs the database nothing.
#[tokio::test]
async fn a_run_with_its_steps_and_tasks_takes_two_statements() {
    let house = House::furnished().await;
    let run = house.whole_run().await;
    let ask =
        "query($id: UUID!, $at: Position) { run(id: $id, minPosition: $at) { status steps { name task { status } } } }";
    house.data(ask, json!({ "id": run, "at": house.head().await })).await;
    let counted = Statements::default();
    let _second = tracing::Dispatch::new(Statements::default());
    let guard = tracing::subscriber::set_default(counted.clone());
    tracing::callsite::rebuild_interest_cache();
    // The projectors write beside it, as it comes; the fewest of some tries count.
    let mut fewest = usize::MAX;
    for _ in 0..10 {
        let answer = house.ask(ask, json!({ "id": run })).await;
        assert!(answer["extensions"]["position"].is_string(), "{answer}");
        fewest = counted.0.swap(0, Ordering::Relaxed).min(fewest);
    }
    drop(guard);
    assert_eq!(fewest, 2);
}
