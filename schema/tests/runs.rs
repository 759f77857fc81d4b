//! Runs: the whole tree, pages and freshness.

use insta::assert_json_snapshot;
use serde_json::{Value, json};

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
async fn steps_asked_for_twice_are_told_to_both() {
    let house = House::furnished().await;
    let run = house.whole_run().await;
    let ask = "query($id: UUID!, $at: Position) { run(id: $id, minPosition: $at) {
        completed: steps(statuses: [COMPLETED], reversed: true) { name } steps { name task { status } } } }";
    let data = house.data(ask, json!({ "id": run, "at": house.head().await })).await;
    let done = |name| json!({ "name": name, "task": { "status": "COMPLETED" } });
    let told = json!({ "completed": [{ "name": "draft" }, { "name": "outline" }],
        "steps": [done("outline"), done("draft")] });
    assert_eq!(data["run"], told);
    let nowhere = house.data(ask, json!({ "id": uuid::Uuid::nil(), "at": house.head().await })).await;
    assert_eq!(nowhere, json!({ "run": null }));
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
