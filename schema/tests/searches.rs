//! Saved searches.

use serde_json::{Value, json};

use crate::house::House;

const SAVE: &str = "mutation($input: SaveSearchInput!) { saveSearch(input: $input) {
    changed repeated revision name search { name list filter orderBy reversed words } } }";

async fn settle(house: &House) {
    let at = house.head().await;
    house.data("query($at: Position) { position(minPosition: $at) }", json!({ "at": at })).await;
}

#[tokio::test]
async fn a_search_is_saved_asked_changed_and_deleted() {
    let house = House::furnished().await;
    for _ in 0..3 {
        house.whole_run().await;
    }
    house.start().await;
    settle(&house).await;
    let done = json!({
        "name": "dear and done", "list": "RUNS", "filter": { "statuses": ["COMPLETED"] }, "orderBy": "COST"
    });
    let saved = house.data(SAVE, json!({ "input": done })).await["saveSearch"].take();
    assert_eq!((&saved["changed"], &saved["search"]["filter"]), (&json!(true), &json!({ "statuses": ["COMPLETED"] })));
    let again = house.data(SAVE, json!({ "input": done })).await["saveSearch"].take();
    assert_eq!((&again["changed"], &again["revision"]), (&json!(false), &saved["revision"]));

    let ask = "query($after: String) { savedSearch(name: \"dear and done\") { list tasks { edges { cursor } }
        runs(first: 2, after: $after) { edges { node { runId status } } pageInfo { endCursor hasNextPage } } } }";
    let first = house.data(ask, json!({})).await["savedSearch"].take();
    assert_eq!((&first["list"], &first["tasks"]), (&json!("RUNS"), &Value::Null));
    let page = &first["runs"]["pageInfo"];
    assert_eq!(page["hasNextPage"], true);
    let rest = house.data(ask, json!({ "after": page["endCursor"] })).await["savedSearch"].take();
    let edges = |of: &Value| of["runs"]["edges"].as_array().unwrap().clone();
    let found: Vec<Value> = edges(&first).into_iter().chain(edges(&rest)).collect();
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|edge| edge["node"]["status"] == "COMPLETED"));

    let under_way = json!({ "name": "dear and done", "list": "RUNS", "filter": { "statuses": ["RUNNING"] } });
    house.data(SAVE, json!({ "input": under_way })).await;
    let now = house.data(ask, json!({})).await["savedSearch"].take();
    assert_eq!(edges(&now).len(), 1);

    let delete = "mutation { deleteSearch(input: { name: \"dear and done\" }) { changed search { name } } }";
    assert_eq!(house.data(delete, json!({})).await["deleteSearch"], json!({ "changed": true, "search": null }));
    assert_eq!(house.data(ask, json!({})).await["savedSearch"], Value::Null);
    assert_eq!(house.refusal(delete, json!({})).await.0, "SEARCH_NOT_FOUND");
}

#[tokio::test]
async fn every_list_can_be_searched_and_everybody_has_their_own() {
    let house = House::furnished().await;
    house.whole_run().await;
    settle(&house).await;
    let searches = [
        ("runs", json!({ "workflow": "letter" }), "ENDED", 1),
        ("tasks", json!({ "agent": "writer", "statuses": ["COMPLETED"] }), "DURATION", 2),
        ("attempts", json!({ "statuses": ["FAILED"] }), "COST", 1),
        ("workflows", json!({ "active": true }), "UPDATED", 1),
        ("agents", json!({ "department": "office" }), "NAME", 1),
        ("templates", json!({ "text": "dra" }), "CREATED", 1),
        ("approvals", json!({ "roles": ["editor"] }), "EXPIRES", 0),
    ];
    for (list, filter, order, count) in searches {
        let input = json!({
            "name": list, "list": list.to_uppercase(), "filter": filter, "orderBy": order, "reversed": true
        });
        house.data(SAVE, json!({ "input": input })).await;
        let ask = format!("query($name: String!) {{ savedSearch(name: $name) {{ {list} {{ edges {{ cursor }} }} }} }}");
        let found = house.data(&ask, json!({ "name": list })).await;
        assert_eq!(found["savedSearch"][list]["edges"].as_array().unwrap().len(), count, "{list}");
    }
    let texts = json!({ "name": "texts", "list": "TEXTS", "words": "outline", "filter": { "kinds": ["TEMPLATE"] } });
    house.data(SAVE, json!({ "input": texts })).await;
    let at = house.head().await;
    let ask = "query($at: Position) { savedSearch(name: \"texts\") { hits(minPosition: $at) { hits { kind } } } }";
    let hits = house.data(ask, json!({ "at": at })).await["savedSearch"]["hits"]["hits"].take();
    assert_eq!(hits, json!([{ "kind": "TEMPLATE" }]));

    let list = "query { savedSearches(orderBy: SAVED) { nodes { name } pageInfo { hasNextPage } }
        some: savedSearches(filter: { text: \"TS\" }, reversed: true) { nodes { name } }
        one: savedSearches(filter: { list: AGENTS }) { nodes { name } } }";
    let mine = house.data(list, json!({})).await;
    assert_eq!(mine["savedSearches"]["nodes"].as_array().unwrap().len(), 8);
    assert_eq!(mine["savedSearches"]["nodes"][0], json!({ "name": "texts" }));
    let names = |list: &Value| -> Vec<String> {
        list["nodes"].as_array().unwrap().iter().map(|search| search["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&mine["some"]), ["texts", "attempts", "agents"]);
    assert_eq!(names(&mine["one"]), ["agents"]);
    let theirs = house.ask_as("somebody-else", list, json!({})).await;
    assert_eq!(theirs["data"]["savedSearches"]["nodes"], json!([]));
}

#[tokio::test]
async fn what_the_api_does_not_know_is_not_saved() {
    let house = House::furnished().await;
    let refused = async |input: Value| house.refusal(SAVE, json!({ "input": input })).await;
    for (input, why) in [
        (json!({ "name": "x", "list": "RUNS", "filter": { "colour": "red" } }), "colour"),
        (json!({ "name": "x", "list": "RUNS", "filter": { "statuses": ["DREAMING"] } }), "DREAMING"),
        (json!({ "name": "x", "list": "RUNS", "orderBy": "BEAUTY" }), "orderBy"),
        (json!({ "name": "x", "list": "TASKS", "filter": [] }), "filter"),
        (json!({ "name": "", "list": "RUNS" }), "name"),
        (json!({ "name": "x", "list": "TEXTS" }), "words"),
        (json!({ "name": "x", "list": "AGENTS", "words": "rent" }), "words"),
    ] {
        let (code, message) = refused(input.clone()).await;
        assert_eq!(code, "SEARCH_INVALID", "{input}");
        assert!(message.contains(why), "{message}");
    }
}
