//! Runs: the whole tree, pages, freshness, and how many statements an answer takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::delivery::{Source, Subject, Trouble};
use domain::webhook::Topic;
use domain::{EventId, RunId, WebhookId};
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{House, steady};

const TREE: &str = "query($id: UUID!, $at: Position) { run(id: $id, minPosition: $at) {
    id runId workflowKey version status input output simulated failedStep node epoch actor position durationMs
    startedAt endedAt error { kind message } workflow { key name }
    steps { name title ordinal status taskId agentKey templateKey needs output simulated position
        agent { key } template { key }
        task { id taskId step templateVersion agentVersion assignReason parameters status attemptCount
            run { runId } agent { key } template { key }
            attempts { number platform model answeredBy status error { kind message } finishReason text simulated
                usage { inputTokens cachedInputTokens outputTokens reasoningTokens } cost costSource priceList platformDurationMs
                requestHash startedAt endedAt late } } }
    step(name: \"draft\") { name } missing: step(name: \"nowhere\") { name }
    explain { status next { kind } steps { step residency } } } }";

#[tokio::test]
async fn a_finished_run_shows_everything() {
    let house = House::furnished().await;
    let run = house.whole_run().await;
    let data = house.data(TREE, json!({ "id": run, "at": house.head().await })).await;
    assert_json_snapshot!(steady(&data));
    let metrics = "{ agent(key: \"writer\") { metrics { total completed failed successRate totalCost inputTokens
        outputTokens attemptsOfUnknownCost } } runCounts { status count } }";
    assert_json_snapshot!("metrics", steady(&house.data(metrics, json!({})).await));
}

#[tokio::test]
async fn a_waiting_run_says_why() {
    let house = House::furnished().await;
    let run = house.start().await;
    let ask = "query($id: UUID!, $at: Position) { run(id: $id, minPosition: $at) { status explain { runId status node
        next { kind platform attempt error steps } steps { step status cause { kind steps platform error } } } } }";
    let unclaimed = house.data(ask, json!({ "id": run, "at": house.head().await })).await;
    house.advance(run).await;
    let task = house.begin_step(run, "outline").await;
    let attempting = house.data(ask, json!({ "id": run, "at": house.head().await })).await;
    house.fail(task, 1).await;
    let waiting = house.data(ask, json!({ "id": run, "at": house.head().await })).await;
    let cancel = "mutation($id: UUID!) { cancelRun(input: { runId: $id, reason: \"enough\" }) {
        changed run { status cancelReason } } }";
    let cancelled = house.data(cancel, json!({ "id": run })).await;
    assert_json_snapshot!(steady(&json!([unclaimed, attempting, waiting, cancelled])));
}

#[tokio::test]
async fn a_run_is_started_once_per_command() {
    let house = House::furnished().await;
    let input = json!({ "input": { "clientMutationId": "00000000-0000-7000-8000-000000000007", "workflow": "letter",
        "input": { "file": "x" } } });
    let start = "mutation($input: StartRunInput!) { startRun(input: $input) { runId repeated changed revision } }";
    let first = house.data(start, input.clone()).await;
    let second = house.data(start, input).await;
    assert_eq!(first["startRun"]["runId"], second["startRun"]["runId"]);
    assert_eq!(second["startRun"]["repeated"], json!(true));
    let wrong = json!({ "input": { "workflow": "letter", "input": { "file": 7 } } });
    assert_eq!(house.refusal(start, wrong).await.0, "RUN_INPUT_INVALID");
}

#[tokio::test]
async fn pages_go_both_ways_without_gap_or_repetition() {
    let house = House::furnished().await;
    let mut started = Vec::new();
    for _ in 0..7 {
        started.push(house.start().await.to_string());
    }
    started.reverse();
    let at = house.head().await;
    let ask = "query($after: String, $before: String, $first: Int, $last: Int, $at: Position) {
        runs(after: $after, before: $before, first: $first, last: $last, minPosition: $at) {
            edges { cursor node { runId } } position
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";
    let ids = |page: &Value| -> Vec<String> {
        let edges = page["runs"]["edges"].as_array().unwrap();
        edges.iter().map(|edge| edge["node"]["runId"].as_str().unwrap().to_owned()).collect()
    };
    let (mut seen, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = house.data(ask, json!({ "first": 3, "after": after, "at": at })).await;
        seen.extend(ids(&page));
        let info = &page["runs"]["pageInfo"];
        assert_eq!(info["hasPreviousPage"], json!(!after.is_null()));
        after = info["endCursor"].clone();
        if info["hasNextPage"] == json!(false) {
            break;
        }
    }
    assert_eq!(seen, started);
    let (mut seen, mut before) = (Vec::new(), Value::Null);
    loop {
        let page = house.data(ask, json!({ "last": 3, "before": before })).await;
        seen.splice(0..0, ids(&page));
        before = page["runs"]["pageInfo"]["startCursor"].clone();
        if page["runs"]["pageInfo"]["hasPreviousPage"] == json!(false) {
            break;
        }
    }
    assert_eq!(seen, started);
    let filtered = "query($text: String) { runs(filter: { statuses: [RUNNING], workflow: \"letter\", text: $text,
        actor: \"person:tester\", startedFrom: \"2020-01-01T00:00:00Z\" }) { edges { node { runId } } } }";
    assert_eq!(ids(&house.data(filtered, json!({ "text": started[2] })).await), [started[2].clone()]);
    let (code, _) = house.refusal(ask, json!({ "first": 201 })).await;
    assert_eq!(code, "ARGUMENT_INVALID");
    let (code, _) = house.refusal(ask, json!({ "after": "nonsense" })).await;
    assert_eq!(code, "ARGUMENT_INVALID");
}

#[tokio::test]
async fn everything_is_found_by_its_global_id() {
    let house = House::furnished().await;
    let run = house.whole_run().await;
    let data = house.data(TREE, json!({ "id": run, "at": house.head().await })).await;
    let ask = "query($id: ID!) { node(id: $id) { __typename id ... on Run { status } ... on Task { status } } }";
    let find = async |id: &Value| house.data(ask, json!({ "id": id })).await["node"].take();
    let run_id = &data["run"]["id"];
    assert_eq!(find(run_id).await, json!({ "__typename": "Run", "id": run_id, "status": "COMPLETED" }));
    let task = &data["run"]["steps"][0]["task"]["id"];
    assert_eq!(find(task).await["__typename"], "Task");
    let others = house.data(
        "{ workflow(key: \"letter\") { id } agent(key: \"writer\") { id } template(key: \"draft\") { id } }",
        json!({}),
    );
    for (name, found) in others.await.as_object().unwrap() {
        let node = find(&found["id"]).await;
        assert_eq!(node["__typename"].as_str().unwrap().to_lowercase(), *name);
    }
    assert_eq!(find(&json!("run-00000000-0000-7000-8000-000000000001")).await, Value::Null);
    assert_eq!(house.refusal(ask, json!({ "id": "nothing" })).await.0, "ARGUMENT_INVALID");
}

#[tokio::test]
async fn an_answer_that_cannot_be_new_enough_is_refused() {
    let house = House::furnished().await;
    house.projectors.abort();
    // Whatever the projectors had not written by now never comes.
    while !house.projectors.is_finished() {
        tokio::task::yield_now().await;
    }
    let (code, message) = house.refusal("{ position(minPosition: \"99999\") }", json!({})).await;
    assert_eq!(code, "READ_MODEL_STALE");
    assert!(message.contains("99999"), "{message}");
}

#[tokio::test]
async fn failures_of_the_database_say_nothing_but_an_id() {
    let house = House::furnished().await;
    let run = house.start().await;
    house.data(TREE, json!({ "id": run, "at": house.head().await })).await;
    house.database.pool().close().await;
    for query in ["{ runs { edges { cursor } } }", "{ run(id: \"00000000-0000-7000-8000-000000000001\") { status } }"] {
        let answer = house.ask(query, json!({})).await;
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], "INTERNAL", "{answer:#}");
        assert_eq!(error["extensions"]["kind"], "INFRASTRUCTURE");
        assert!(error["extensions"]["correlation"].as_str().unwrap().parse::<uuid::Uuid>().is_ok());
        assert!(!answer.to_string().contains("pool"), "{answer:#}");
    }
}

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
    counted_alike(&house, &[ask, dear, tasks, attempts, catalogue, limits, texts]).await;
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
        let key = format!("b{number}");
        house
            .mutate(
                "setBudget",
                json!({ "key": key, "scope": "ORGANISATION", "window": "DAY", "limit": "7" }),
                "changed",
            )
            .await;
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
    // Budgets are folded from the journal; what is asked beside them shows that something is counted.
    let budgets = "query($n: Int) { budgets(first: $n) { nodes { key purse { calls } } } limits { nodes { key } } }";
    let found = "query($at: Position) { a: approvals(minPosition: $at) { nodes { decisions { by } } }
        w: webhookDeliveries { nodes { attempts { attempt } } } i: actionItems { nodes { run { runId } } }
        b: budgets { nodes { key } } }";
    let found = house.data(found, json!({ "at": house.head().await })).await;
    assert_eq!(found["a"]["nodes"][0]["decisions"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["w"]["nodes"][0]["attempts"].as_array().unwrap().len(), 2, "{found}");
    for (list, least) in [("a", 6), ("w", 6), ("i", 6), ("b", 6)] {
        assert!(found[list]["nodes"].as_array().unwrap().len() >= least, "{found}");
    }
    counted_alike(&house, &[approvals, deliveries, changed, actions, budgets]).await;
}

/// Expects each question to take as many statements for six entries, `$n`, as for one.
async fn counted_alike(house: &House, questions: &[&str]) {
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
            for (fewest, n) in fewest.iter_mut().zip([1, 6]) {
                house.data(ask, json!({ "n": n })).await;
                *fewest = counted.0.swap(0, Ordering::Relaxed).min(*fewest);
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

#[tokio::test]
async fn an_answer_that_was_not_asked_for_in_parts_is_an_output_with_results_alone() {
    let house = House::furnished().await;
    house.whole_run().await;
    let ask = "query($at: Position) { runs(first: 1, minPosition: $at) { edges { node { steps { task {
        status output { results summary critique } attempts { text } } } } } } }";
    let data = house.data(ask, json!({ "at": house.head().await })).await;
    let steps = data.pointer("/runs/edges/0/node/steps").and_then(|steps| steps.as_array().cloned()).unwrap();
    let completed: Vec<_> = steps.iter().filter(|step| step["task"]["status"] == "COMPLETED").collect();
    assert!(!completed.is_empty(), "{steps:?}");
    for step in completed {
        let (output, attempts) = (&step["task"]["output"], step["task"]["attempts"].as_array().unwrap());
        assert_eq!(output["results"], attempts.last().unwrap()["text"]);
        assert!(output["summary"].is_null() && output["critique"].is_null(), "{output}");
    }
}
