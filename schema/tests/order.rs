//! Lists in every order, through the API.

use serde_json::{Value, json};

use crate::house::House;

fn nodes<'a>(list: &'a Value, field: &str) -> Vec<&'a Value> {
    list["edges"].as_array().unwrap().iter().map(|edge| &edge["node"][field]).collect()
}

/// Walks a list page by page in both directions and expects the same as in one piece, and the same reversed.
pub(crate) async fn walk(house: &House, list: &str, order: &str, field: &str) -> Vec<Value> {
    walk_through(house, list, "", order, field).await
}

/// The same with other arguments, each with a comma behind it.
pub(crate) async fn walk_through(house: &House, list: &str, arguments: &str, order: &str, field: &str) -> Vec<Value> {
    let ask = format!(
        "query($first: Int, $last: Int, $after: String, $before: String, $reversed: Boolean!) {{
            {list}({arguments} first: $first, last: $last, after: $after, before: $before, orderBy: {order}, reversed: $reversed) {{
                edges {{ cursor node {{ {field} }} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
    );
    let page = async |mut variables: Value| {
        variables["reversed"] = variables["reversed"].as_bool().unwrap_or_default().into();
        house.data(&ask, variables).await[list].take()
    };
    let all = page(json!({ "first": 200 })).await;
    let all: Vec<Value> = nodes(&all, field).into_iter().cloned().collect();
    let mut turned = all.clone();
    turned.reverse();
    for (reversed, expected) in [(false, &all), (true, &turned)] {
        let (mut seen, mut after) = (Vec::new(), Value::Null);
        loop {
            let found = page(json!({ "first": 2, "after": after, "reversed": reversed })).await;
            seen.extend(nodes(&found, field).into_iter().cloned());
            after = found["pageInfo"]["endCursor"].clone();
            if found["pageInfo"]["hasNextPage"] == json!(false) {
                break;
            }
        }
        assert_eq!(seen, *expected, "{list} by {order}, reversed: {reversed}");
        let (mut seen, mut before) = (Vec::new(), Value::Null);
        loop {
            let found = page(json!({ "last": 2, "before": before, "reversed": reversed })).await;
            seen.splice(0..0, nodes(&found, field).into_iter().cloned());
            before = found["pageInfo"]["startCursor"].clone();
            if found["pageInfo"]["hasPreviousPage"] == json!(false) {
                break;
            }
        }
        assert_eq!(seen, *expected, "{list} by {order} from its end, reversed: {reversed}");
    }
    all
}

#[tokio::test]
async fn every_list_comes_in_every_order_in_both_directions() {
    let house = House::furnished().await;
    for _ in 0..3 {
        house.whole_run().await;
    }
    for _ in 0..2 {
        house.start().await;
    }
    let at = house.head().await;
    house.data("query($at: Position) { position(minPosition: $at) }", json!({ "at": at })).await;
    for order in ["STARTED", "ENDED", "DURATION", "COST", "WORKFLOW"] {
        let ids = walk(&house, "runs", order, "runId").await;
        assert_eq!(ids.len(), 5, "{order}");
    }
    let costs = house.data("{ runs(orderBy: COST) { edges { node { cost endedAt } } } }", json!({})).await;
    assert_eq!(nodes(&costs["runs"], "cost"), ["3000", "3000", "3000", "0", "0"]);
    let ended = house.data("{ runs(orderBy: ENDED, reversed: true) { edges { node { endedAt } } } }", json!({})).await;
    assert_eq!(nodes(&ended["runs"], "endedAt").iter().filter(|at| at.is_null()).count(), 2);
    assert!(nodes(&ended["runs"], "endedAt")[..2].iter().all(|at| at.is_null()));
    for order in ["CREATED", "ENDED", "DURATION"] {
        assert_eq!(walk(&house, "tasks", order, "taskId").await.len(), 6, "{order}");
    }
    for order in ["STARTED", "COST", "DURATION"] {
        assert_eq!(walk(&house, "attempts", order, "taskId number").await.len(), 9, "{order}");
    }
    for order in ["KEY", "NAME", "DEPARTMENT", "CREATED", "UPDATED"] {
        assert_eq!(walk(&house, "templates", order, "key").await.len(), 2);
        assert_eq!(walk(&house, "agents", order, "key").await, [json!("writer")]);
        assert_eq!(walk(&house, "workflows", order, "key").await, [json!("letter")]);
    }
    for order in ["REQUESTED", "EXPIRES", "WORKFLOW"] {
        assert!(walk(&house, "approvals", order, "step").await.is_empty());
    }
    for order in ["EVENT", "CHANGED"] {
        assert!(walk(&house, "webhookDeliveries", order, "deliveryId").await.is_empty());
    }
    let lists = "{ limits(orderBy: SET) { edges { node { key } } }
        usage(by: [TEMPLATE], order: TOKENS, reversed: true) { groups { template inputTokens } } }";
    let lists = house.data(lists, json!({})).await;
    assert_eq!(lists["usage"]["groups"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn filters_narrow_tasks_attempts_and_what_is_folded() {
    let house = House::furnished().await;
    let run = house.whole_run().await;
    let at = house.head().await;
    house.data("query($at: Position) { position(minPosition: $at) }", json!({ "at": at })).await;
    let found = house
        .data(
            "query($run: UUID!) {
                all: tasks(filter: { run: $run, agent: \"writer\", statuses: [COMPLETED] }) { edges { node { step } } }
                drafts: tasks(filter: { template: \"draft\" }) { edges { node { step } } }
                none: tasks(filter: { agent: \"nobody\" }) { edges { node { step } } }
                failed: attempts(filter: { statuses: [FAILED] }) { edges { node { number task { step } } } }
                elsewhere: attempts(filter: { platform: \"openai\" }) { edges { node { number } } } }",
            json!({ "run": run }),
        )
        .await;
    assert_eq!(nodes(&found["all"], "step"), ["draft", "outline"]);
    assert_eq!(nodes(&found["drafts"], "step"), ["draft"]);
    assert!(nodes(&found["none"], "step").is_empty() && nodes(&found["elsewhere"], "number").is_empty());
    assert_eq!(found["failed"]["edges"][0]["node"], json!({ "number": 1, "task": { "step": "outline" } }));
    for (key, max) in [("calm", 3), ("narrow", 1)] {
        let limit = json!({ "input": { "key": key, "scope": "AGENT", "scopeKey": "writer", "maxRunning": max } });
        house.data("mutation($input: SetLimitInput!) { setLimit(input: $input) { key } }", limit).await;
    }
    let at = house.head().await;
    house.data("query($at: Position) { position(minPosition: $at) }", json!({ "at": at })).await;
    let limits = "{ limits(orderBy: SET, filter: { scope: AGENT }) { edges { node { key } } }
        some: limits(filter: { text: \"NARR\" }) { edges { node { key } } }
        none: limits(filter: { scope: WORKFLOW }) { edges { node { key } } } }";
    let limits = house.data(limits, json!({})).await;
    assert_eq!(nodes(&limits["limits"], "key"), ["narrow", "calm"]);
    assert_eq!(nodes(&limits["some"], "key"), ["narrow"]);
    assert!(nodes(&limits["none"], "key").is_empty());
}

#[tokio::test]
async fn a_cursor_of_another_order_is_refused_and_the_past_is_sorted_too() {
    let house = House::furnished().await;
    for _ in 0..3 {
        house.whole_run().await;
    }
    let at = house.head().await;
    let ask = "query($at: Position) { runs(first: 1, orderBy: DURATION, minPosition: $at) { pageInfo { endCursor } } }";
    let cursor = house.data(ask, json!({ "at": at })).await["runs"]["pageInfo"]["endCursor"].take();
    for order in ["ENDED", "STARTED"] {
        let ask = format!("query($after: String) {{ runs(after: $after, orderBy: {order}) {{ edges {{ cursor }} }} }}");
        let (code, message) = house.refusal(&ask, json!({ "after": cursor })).await;
        assert_eq!(code, "ARGUMENT_INVALID");
        assert!(message.contains("in this order"), "{message}");
    }
    let ids = "{ edges { cursor node { runId } } }";
    for order in ["DURATION", "COST"] {
        let both = format!(
            "query($at: Position!) {{ now: runs(orderBy: {order}, minPosition: $at) {ids}
                then: runs(orderBy: {order}, asOf: {{ position: $at }}) {ids} }}"
        );
        let both = house.data(&both, json!({ "at": at })).await;
        assert_eq!(both["now"], both["then"], "{order}");
    }
}

#[tokio::test]
async fn what_a_run_consists_of_is_narrowed_and_reversed() {
    let house = House::furnished().await;
    let run = house.start().await;
    house.advance(run).await;
    let task = house.begin_step(run, "outline").await;
    house.fail(task, 1).await;
    house.attempt(task).await;
    let ask = "query($id: UUID!, $at: Position) { run(id: $id, minPosition: $at) {
        running: steps(statuses: [RUNNING]) { name task { all: attempts { number } failed: attempts(statuses: [FAILED]) { number }
            newest: attempts(reversed: true) { number } } }
        tasks: steps(kinds: [TASK], reversed: true) { name }
        approvals: steps(kinds: [APPROVAL]) { name }
        timeline(types: [\"task.attempt_started\"]) { entries { event { type } } hasMore }
        first: timeline(first: 1, types: [\"task.attempt_started\", \"task.created\"]) { entries { event { type } } hasMore } } }";
    let found = house.data(ask, json!({ "id": run, "at": house.head().await })).await["run"].take();
    let numbers =
        |of: &Value| -> Vec<i64> { of.as_array().unwrap().iter().map(|one| one["number"].as_i64().unwrap()).collect() };
    let task = &found["running"][0]["task"];
    assert_eq!(found["running"].as_array().unwrap().len(), 1);
    assert_eq!(
        (numbers(&task["all"]), numbers(&task["failed"]), numbers(&task["newest"])),
        (vec![1, 2], vec![1], vec![2, 1])
    );
    assert_eq!(found["tasks"], json!([{ "name": "draft" }, { "name": "outline" }]));
    assert_eq!(found["approvals"], json!([]));
    let event = |name: &str| json!({ "event": { "type": name } });
    let started = event("task.attempt_started");
    assert_eq!(found["timeline"], json!({ "entries": [started, started], "hasMore": false }));
    assert_eq!(found["first"], json!({ "entries": [event("task.created")], "hasMore": true }));
}
