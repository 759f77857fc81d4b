//! Subscriptions to entities: what is told is as of its position, and goes on after any of them.

use std::time::Duration;

use async_graphql::futures_util::{Stream, StreamExt};
use domain::{NodeId, RunCommand};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{ACTIVATE, DRAFT, House};
use crate::live::all;

/// So many answers of a subscription.
async fn some(house: &House, query: &str, variables: Value, count: usize) -> Vec<Value> {
    let answers = house.schema.execute_stream(House::request(query, variables)).take(count);
    read(answers).await
}

async fn read(answers: impl Stream<Item = async_graphql::Response>) -> Vec<Value> {
    let answers = answers.map(|answer| serde_json::to_value(answer).unwrap()).collect::<Vec<_>>();
    tokio::time::timeout(Duration::from_secs(20), answers).await.expect("so many answers come")
}

fn positions(answers: &[Value], name: &str) -> Vec<u64> {
    let position = |answer: &Value| answer["data"][name]["position"].as_str().map(|text| text.parse().unwrap());
    answers.iter().map(|answer| position(answer).unwrap_or_else(|| panic!("no position in {answer}"))).collect()
}

const RUN: &str = "subscription($id: UUID!, $after: Position) { run(runId: $id, afterPosition: $after) {
    position run { status steps { name status task { status attempts { number status } } } } } }";

#[tokio::test]
async fn a_run_is_told_as_of_each_change_and_then_it_ends() {
    let house = House::furnished().await;
    let run = house.start().await;
    let stream = house.schema.execute_stream(House::request(RUN, json!({ "id": run })));
    let mut stream = std::pin::pin!(stream);
    let mut next = async || {
        let answer = tokio::time::timeout(Duration::from_secs(20), stream.next()).await.expect("an answer comes");
        answer.map(|answer| serde_json::to_value(answer).unwrap())
    };
    let mut told = vec![next().await.unwrap()];
    assert_eq!(told[0]["data"]["run"]["run"]["status"], "RUNNING");
    house.on_run(run, RunCommand::Claim { node: NodeId::from_uuid(Uuid::now_v7()) }).await;
    told.push(next().await.unwrap());
    house.advance(run).await;
    told.push(next().await.unwrap());
    house.begin_step(run, "outline").await;
    // Three events on the task's stream may be told together, or not.
    while told.last().unwrap()["data"]["run"]["run"]["steps"][0]["task"]["attempts"][0] == Value::Null {
        told.push(next().await.unwrap());
    }
    house.finish_step(run, "outline", 1).await;
    house.advance(run).await;
    house.begin_step(run, "draft").await;
    house.finish_step(run, "draft", 1).await;
    while let Some(answer) = next().await {
        told.push(answer);
    }
    let last = told.last().unwrap();
    assert_eq!(last["data"]["run"]["run"]["status"], "COMPLETED");
    assert_eq!(last["data"]["run"]["position"], house.head().await);
    let places = positions(&told, "run");
    assert!(places.is_sorted_by(|one, other| one < other), "{places:?}");
    // Each is what the same question about the past is answered.
    for answer in &told {
        let update = &answer["data"]["run"];
        let past = "query($id: UUID!, $at: Position) { run(id: $id, asOf: { position: $at }) {
            status steps { name status task { status attempts { number status } } } } }";
        let past = house.data(past, json!({ "id": run, "at": update["position"] })).await;
        assert_eq!(past["run"], update["run"]);
    }
    // Whoever comes later gets the rest from anywhere, and nothing after the end.
    for place in places {
        let rest = all(&house, RUN, json!({ "id": run, "after": place.to_string() })).await;
        assert!(positions(&rest, "run").iter().all(|position| *position > place));
        assert_eq!(rest.is_empty(), place.to_string() == house.head().await);
    }
}

const LIST: &str = "subscription($after: Position, $filter: RunFilter) { runs(afterPosition: $after, filter: $filter) {
    position runId listed run { status } } }";

#[tokio::test]
async fn a_list_tells_who_is_in_it_and_who_leaves_it() {
    let house = House::furnished().await;
    let (one, other) = (house.start().await, house.start().await);
    house.advance(one).await;
    let now = commands::now();
    for run in [one, other] {
        let cancel = RunCommand::RequestCancel { reason: "enough".to_owned(), now, grace: Duration::ZERO };
        house.on_run(run, cancel).await;
    }
    let running = json!({ "after": house.head().await, "filter": { "statuses": ["RUNNING"] } });
    let third = house.start().await;
    let mut stream = std::pin::pin!(house.schema.execute_stream(House::request(LIST, running)));
    let first = stream.next().await;
    let first = serde_json::to_value(first.unwrap()).unwrap();
    assert_eq!(first["data"]["runs"]["runId"], third.to_string());
    assert_eq!(
        (&first["data"]["runs"]["listed"], &first["data"]["runs"]["run"]["status"]),
        (&json!(true), &json!("RUNNING"))
    );
    let cancel = RunCommand::RequestCancel { reason: "enough".to_owned(), now: commands::now(), grace: Duration::ZERO };
    house.on_run(third, cancel).await;
    let left = serde_json::to_value(stream.next().await.unwrap()).unwrap();
    assert_eq!(left["data"]["runs"]["listed"], false);
    assert_ne!(left["data"]["runs"]["run"]["status"], "RUNNING");
    // From a position on, it is the same.
    let after = first["data"]["runs"]["position"].clone();
    let again = some(&house, LIST, json!({ "after": after, "filter": { "statuses": ["RUNNING"] } }), 1).await;
    assert_eq!(again[0], left);
}

const COSTS: &str = "subscription($after: Position) { costs(afterPosition: $after) {
    position taskId attempt cost succeeded simulated usage { inputTokens outputTokens }
    task { status run { workflowKey } attempts { number platform cost } } } }";

#[tokio::test]
async fn every_attempt_says_once_what_it_cost() {
    let house = House::furnished().await;
    house.whole_run().await;
    let told = some(&house, COSTS, json!({ "after": "0" }), 3).await;
    let costs: Vec<_> = told.iter().map(|answer| answer["data"]["costs"]["cost"].clone()).collect();
    assert_eq!(costs, [Value::Null, json!("1500"), json!("1500")]);
    let second = &told[1]["data"]["costs"];
    assert_eq!(
        (&second["attempt"], &second["succeeded"], &second["usage"]["inputTokens"]),
        (&json!(2), &json!(true), &json!(12))
    );
    assert_eq!(second["task"]["run"]["workflowKey"], "letter");
    assert_eq!(second["task"]["attempts"][1]["cost"], "1500");
    let places = positions(&told, "costs");
    for (index, place) in places.iter().enumerate().take(2) {
        let rest = some(&house, COSTS, json!({ "after": place.to_string() }), 2 - index).await;
        assert_eq!(positions(&rest, "costs"), places[index + 1..]);
    }
}

const APPROVALS: &str = "subscription($after: Position, $filter: ApprovalFilter) {
    approvals(afterPosition: $after, filter: $filter) {
        position changes { waiting approval { step agreed status decisions { by approved } } } } }";

#[tokio::test]
async fn what_waits_for_people_is_told_until_it_no_longer_waits() {
    let house = House::furnished().await;
    let workflow = json!({
        "key": "release", "name": "Release", "inputSchema": { "type": "object" },
        "steps": [
            { "name": "ask", "approval": { "question": "Go?", "approvers": ["person:ada", "person:bob"], "quorum": 2,
              "ownRun": true, "content": [] } },
            { "name": "other", "approval": { "question": "Go?", "approvers": ["role:boss"], "content": [] } },
        ],
    });
    house.data(DRAFT, json!({ "input": workflow })).await;
    house.data(ACTIVATE, json!({ "input": { "key": "release" } })).await;
    let _engine = house.engine();
    let start = "mutation { startRun(input: { workflow: \"release\", input: {} }) { runId } }";
    let run: domain::RunId = house.data(start, json!({})).await["startRun"]["runId"].as_str().unwrap().parse().unwrap();
    house.until(run, "run.approval_requested", 2).await;
    let ada = json!({ "after": "0", "filter": { "person": "ada" } });
    let asked = some(&house, APPROVALS, ada.clone(), 1).await;
    let change = &asked[0]["data"]["approvals"]["changes"][0];
    assert_eq!((&change["waiting"], &change["approval"]["step"]), (&json!(true), &json!("ask")));
    let list =
        "query($at: Position) { approvals(filter: { person: \"ada\" }, minPosition: $at) { nodes { contentHash } } }";
    let list = house.data(list, json!({ "at": house.head().await })).await;
    let hash = list["approvals"]["nodes"][0]["contentHash"].clone();
    let decide = "mutation($input: DecideApprovalInput!) { decideApproval(input: $input) { changed } }";
    for person in ["ada", "bob"] {
        let input = json!({ "runId": run, "step": "ask", "approve": true, "contentHash": hash });
        let answer = house.ask_as(person, decide, json!({ "input": input })).await;
        assert_eq!(answer["data"]["decideApproval"]["changed"], true, "{answer}");
    }
    house.until(run, "run.step_completed", 1).await;
    let told = some(&house, APPROVALS, ada, 3).await;
    let agreed: Vec<_> = told
        .iter()
        .map(|answer| {
            let change = &answer["data"]["approvals"]["changes"][0];
            (change["waiting"].clone(), change["approval"]["agreed"].clone(), change["approval"]["step"].clone())
        })
        .collect();
    let is = |waiting: bool, agreed: u64| (json!(waiting), json!(agreed), json!("ask"));
    assert_eq!(agreed[..2], [is(true, 0), is(true, 1)]);
    assert_eq!(agreed[2].1, 2);
    // What is told as of a position shows the decisions of that position.
    assert_eq!(told[1]["data"]["approvals"]["changes"][0]["approval"]["decisions"].as_array().unwrap().len(), 1);
    // The other approval ends with the run.
    let cancel = RunCommand::RequestCancel { reason: "enough".to_owned(), now: commands::now(), grace: Duration::ZERO };
    house.on_run(run, cancel).await;
    let boss = json!({ "after": "0", "filter": { "roles": ["boss"] } });
    let told = some(&house, APPROVALS, boss, 2).await;
    let waiting: Vec<_> =
        told.iter().map(|answer| answer["data"]["approvals"]["changes"][0]["waiting"].clone()).collect();
    assert_eq!(waiting, [json!(true), json!(false)]);
}
