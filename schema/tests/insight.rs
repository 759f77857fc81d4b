//! Usage, search, differences between versions, timelines, and how far read models are.

use serde_json::{Value, json};

use crate::house::{DRAFT, House, workflow};

#[tokio::test]
async fn usage_is_rolled_up_by_what_is_asked() {
    let house = House::furnished().await;
    house.whole_run().await;
    house.whole_run().await;
    let query = "query($by: [UsageDimension!]!, $filter: UsageFilter, $at: Position) {
        usage(by: $by, filter: $filter, minPosition: $at) {
            groups { day agent template workflow platform person attempts succeeded failed tasks cost unknownCosts inputTokens }
            total { attempts cost } hasMore } }";
    let at = house.head().await;
    let by = json!(["TEMPLATE", "WORKFLOW", "AGENT"]);
    let usage = house.data(query, json!({ "by": by, "at": at })).await["usage"].take();
    assert_eq!(usage["total"], json!({ "attempts": 6, "cost": "6000" }));
    assert_eq!(usage["groups"].as_array().unwrap().len(), 2);
    let outline = usage["groups"].as_array().unwrap().iter().find(|group| group["template"] == "outline").unwrap();
    assert_eq!(outline["attempts"], 4);
    assert_eq!((&outline["succeeded"], &outline["failed"], &outline["tasks"]), (&json!(2), &json!(2), &json!(2)));
    assert_eq!(
        (&outline["cost"], &outline["unknownCosts"], &outline["agent"]),
        (&json!("3000"), &json!(2), &json!("writer"))
    );
    assert_eq!(outline["day"], json!(null));
    let days = house.data(query, json!({ "by": ["DAY", "PERSON"], "at": at })).await["usage"].take();
    assert_eq!(days["groups"][0]["person"], "person:tester");
    assert_eq!(days["groups"][0]["day"].as_str().unwrap().len(), 10);
    let none = json!({ "by": [], "filter": { "workflow": "another" }, "at": at });
    let none = house.data(query, none).await["usage"].take();
    assert_eq!((&none["groups"], &none["total"]), (&json!([]), &json!(null)));
}

#[tokio::test]
async fn what_was_found_leads_to_what_it_is() {
    let house = House::furnished().await;
    let run = house.whole_run().await;
    let query = "query($words: String!, $kinds: [SearchKind!]!, $at: Position) {
        search(words: $words, kinds: $kinds, minPosition: $at) { hasMore hits { kind nodeId label step excerpt
            run { runId } node { __typename id } } } }";
    let at = house.head().await;
    let found = house.data(query, json!({ "words": "letters", "kinds": ["WORKFLOW"], "at": at })).await;
    assert_eq!(found["search"]["hits"][0]["node"]["__typename"], "Workflow");
    let found = house.data(query, json!({ "words": "texts", "kinds": ["TASK_OUTPUT"], "at": at })).await;
    let hits = found["search"]["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 2);
    assert!(hits.iter().all(|hit| hit["run"]["runId"] == run.to_string() && hit["node"]["id"] == hit["nodeId"]));
    let found = house.data(query, json!({ "words": "dear sir", "kinds": ["RUN"], "at": at })).await;
    assert_eq!(found["search"]["hits"][0]["nodeId"], format!("run-{run}"));
    let long = json!({ "words": "a".repeat(501), "kinds": [], "at": at });
    assert_eq!(house.refusal(query, long).await.0, "ARGUMENT_INVALID");
}

#[tokio::test]
async fn versions_runs_and_read_models_tell_their_history() {
    let house = House::furnished().await;
    let run = house.whole_run().await;
    let mut second = workflow();
    second["name"] = json!("Long letter");
    second["steps"][1]["retry"]["maxAttempts"] = json!(9);
    house.data(DRAFT, json!({ "input": second })).await;
    let query = "query($id: UUID!, $at: Position, $middle: Position) {
        workflow(key: \"letter\", minPosition: $at) {
            diff(from: 1, to: 2) { fields { path from to } steps { name change fields { path from to } } }
            same: diff(from: 1, to: 1) { fields { path } steps { name } }
            none: diff(from: 1, to: 7) { from } }
        run(id: $id, minPosition: $at) {
            timeline(first: 200) { hasMore entries { position step terminal event { type } } }
            start: timeline(first: 2) { hasMore entries { position event { type } } }
            rest: timeline(first: 200, after: $middle) { entries { position } }
            back: timeline(first: 200, reversed: true) { hasMore entries { position } }
            end: timeline(first: 1, reversed: true, types: [\"run.completed\", \"run.started\"]) { hasMore entries { terminal } }
            early: timeline(first: 200, before: $middle, reversed: true) { entries { position } } }
        projectors { nodes { name slot lag } } }";
    let first = house.journal.read_stream(run.into(), 0, 1).await.unwrap()[0].position;
    let variables = json!({ "id": run, "at": house.head().await, "middle": first.to_string() });
    let data = house.data(query, variables).await;
    let diff = &data["workflow"]["diff"];
    assert_eq!(diff["fields"], json!([{ "path": "name.en", "from": "Letter", "to": "Long letter" }]));
    assert_eq!((&diff["steps"][0]["name"], &diff["steps"][0]["change"]), (&json!("draft"), &json!("CHANGED")));
    assert_eq!(diff["steps"][0]["fields"][0]["to"], 9);
    assert_eq!(data["workflow"]["same"], json!({ "fields": [], "steps": [] }));
    assert_eq!(data["workflow"]["none"], json!(null));
    let entries = data["run"]["timeline"]["entries"].as_array().unwrap();
    assert_eq!(entries[0]["event"]["type"], "run.started");
    assert_eq!(entries.last().unwrap()["terminal"], true);
    assert!(entries.iter().any(|entry| entry["event"]["type"] == "task.attempt_failed" && entry["step"] == "outline"));
    assert_eq!(data["run"]["start"]["hasMore"], true);
    assert_eq!(data["run"]["rest"]["entries"].as_array().unwrap().len(), entries.len() - 1);
    let positions = |shown: &Value| -> Vec<Value> {
        shown["entries"].as_array().unwrap().iter().map(|entry| entry["position"].clone()).collect()
    };
    let mut back = positions(&data["run"]["timeline"]);
    back.reverse();
    assert_eq!(positions(&data["run"]["back"]), back);
    assert_eq!(data["run"]["end"], json!({ "hasMore": true, "entries": [{ "terminal": true }] }));
    assert!(positions(&data["run"]["early"]).is_empty(), "nothing of a run comes before its start");
    let projectors = data["projectors"]["nodes"].as_array().unwrap();
    assert_eq!(projectors.len(), 9);
    assert!(projectors.iter().all(|projector| projector["lag"].is_u64()), "{projectors:?}");
}

#[tokio::test]
async fn lists_are_read_in_the_opposite_order_too() {
    let house = House::furnished().await;
    for _ in 0..5 {
        house.start().await;
    }
    let at = house.head().await;
    let query = "query($after: String, $before: String, $first: Int, $last: Int, $reversed: Boolean!, $at: Position, $asOf: AsOf) {
        runs(after: $after, before: $before, first: $first, last: $last, reversed: $reversed, minPosition: $at, asOf: $asOf) {
            nodes { runId } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";
    for past in [json!(null), json!({ "position": at })] {
        let ask = async |variables: Value| {
            let mut variables = variables;
            variables["at"] = json!(at);
            variables["asOf"] = past.clone();
            house.data(query, variables).await["runs"].take()
        };
        let ids = |page: &Value| -> Vec<String> {
            page["nodes"].as_array().unwrap().iter().map(|run| run["runId"].to_string()).collect()
        };
        let usual = ids(&ask(json!({ "first": 10, "reversed": false })).await);
        let mut expected = usual.clone();
        expected.reverse();
        assert_eq!(ids(&ask(json!({ "first": 10, "reversed": true })).await), expected);
        let first = ask(json!({ "first": 2, "reversed": true })).await;
        assert_eq!((ids(&first), &first["pageInfo"]["hasNextPage"]), (expected[..2].to_vec(), &json!(true)));
        let after = &first["pageInfo"]["endCursor"];
        let rest = ask(json!({ "first": 10, "after": after, "reversed": true })).await;
        assert_eq!((ids(&rest), &rest["pageInfo"]["hasNextPage"]), (expected[2..].to_vec(), &json!(false)));
        let last = ask(json!({ "last": 2, "reversed": true })).await;
        assert_eq!((ids(&last), &last["pageInfo"]["hasPreviousPage"]), (expected[3..].to_vec(), &json!(true)));
        let before = &last["pageInfo"]["startCursor"];
        let front = ask(json!({ "last": 2, "before": before, "reversed": true })).await;
        assert_eq!(ids(&front), expected[1..3]);
    }
    let agents = "{ a: templates { nodes { key } } b: templates(reversed: true) { nodes { key } } }";
    let agents = house.data(agents, json!({})).await;
    assert_eq!(agents["b"]["nodes"], json!([{ "key": "outline" }, { "key": "draft" }]));
    assert_eq!(agents["a"]["nodes"], json!([{ "key": "draft" }, { "key": "outline" }]));
}
