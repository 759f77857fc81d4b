//! Global ids: everything that has one is found by it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::stock::Stock;

/// For each type with a global id, a question whose answer has one, and where.
const EXAMPLES: [(&str, &str, &str); 19] = [
    ("Run", "{ run(id: $run) { id } }", "/run/id"),
    ("Step", "{ run(id: $run) { steps { id } } }", "/run/steps/1/id"),
    ("Approval", "{ approvals { nodes { id } } }", "/approvals/nodes/0/id"),
    ("Task", "{ task(id: $task) { id } }", "/task/id"),
    ("Attempt", "{ task(id: $task) { attempts { id } } }", "/task/attempts/0/id"),
    ("TrackedAction", "{ actionItems { nodes { id } } }", "/actionItems/nodes/0/id"),
    ("Workflow", "{ workflow(key: \"letter\") { id } }", "/workflow/id"),
    ("Agent", "{ agent(key: \"writer\") { id } }", "/agent/id"),
    ("Template", "{ template(key: \"draft\") { id } }", "/template/id"),
    ("Trigger", "{ trigger(key: \"hourly\") { id } }", "/trigger/id"),
    ("Limit", "{ limit(key: \"writers\") { id } }", "/limit/id"),
    ("Hold", "{ holds(filter: { placed: true }) { nodes { id } } }", "/holds/nodes/0/id"),
    ("Budget", "{ budget(key: \"all\") { id } }", "/budget/id"),
    ("Webhook", "{ webhooks { nodes { id } } }", "/webhooks/nodes/0/id"),
    ("WebhookDelivery", "{ webhookDeliveries { nodes { id } } }", "/webhookDeliveries/nodes/0/id"),
    ("SavedSearch", "{ savedSearches { nodes { id } } }", "/savedSearches/nodes/0/id"),
    ("Platform", "{ platforms { nodes { id } } }", "/platforms/nodes/0/id"),
    ("Projector", "{ projectors { nodes { id } } }", "/projectors/nodes/2/id"),
    ("Event", "{ journal { events { id } } }", "/journal/events/5/id"),
];

/// What can be told of the past.
const OF_THE_PAST: [&str; 12] = [
    "Run",
    "Step",
    "Approval",
    "Task",
    "Attempt",
    "TrackedAction",
    "Workflow",
    "Agent",
    "Template",
    "Limit",
    "Hold",
    "Event",
];

async fn examples(stock: &Stock) -> BTreeMap<String, Value> {
    let house = &stock.house;
    house.data("query($at: Position) { position(minPosition: $at) }", json!({ "at": house.head().await })).await;
    let mut ids = BTreeMap::new();
    for (name, ask, place) in EXAMPLES {
        let ask = ask.replace("$run", &format!("\"{}\"", stock.run)).replace("$task", &format!("\"{}\"", stock.task));
        let found = house.data(&ask, json!({})).await;
        let id = found.pointer(place).unwrap_or_else(|| panic!("{name} has no example: {found:#}"));
        ids.insert(name.to_owned(), id.clone());
    }
    ids
}

/// Whoever adds a type to the interface gives an example of it here, and a way to find it.
#[tokio::test]
async fn everything_with_a_global_id_is_found_by_it() {
    let stock = Stock::new().await;
    let house = &stock.house;
    let types = house.data("{ __type(name: \"Node\") { possibleTypes { name } } }", json!({})).await;
    let mut types: Vec<&str> = types["__type"]["possibleTypes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| kind["name"].as_str().unwrap())
        .collect();
    types.sort_unstable();
    let ids = examples(&stock).await;
    assert_eq!(types, ids.keys().map(String::as_str).collect::<Vec<_>>(), "types that are nodes, and examples");

    let one = "query($id: ID!, $asOf: AsOf) { node(id: $id, asOf: $asOf) { __typename id } }";
    for (name, id) in &ids {
        let found = house.data(one, json!({ "id": id })).await;
        assert_eq!(found["node"], json!({ "__typename": name, "id": id }), "{name}");
        let then = json!({ "id": id, "asOf": { "position": house.head().await } });
        if OF_THE_PAST.contains(&name.as_str()) {
            assert_eq!(house.data(one, then).await["node"], json!({ "__typename": name, "id": id }), "{name}");
            let first = json!({ "id": id, "asOf": { "position": "0" } });
            assert_eq!(house.data(one, first).await["node"], Value::Null, "{name}");
        } else {
            assert_eq!(house.refusal(one, then).await.0, "AS_OF_UNSUPPORTED", "{name}");
        }
    }

    // All of them at once, in any order, with what is not there in between.
    let many = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }";
    let mut wanted: Vec<Value> = ids.values().rev().cloned().collect();
    wanted.insert(3, json!(format!("run-{}", stock.task)));
    let found = house.data(many, json!({ "ids": wanted })).await["nodes"].take();
    let mut expected: Vec<Value> = ids.iter().rev().map(|(name, id)| json!({ "__typename": name, "id": id })).collect();
    expected.insert(3, Value::Null);
    assert_eq!(found, json!(expected));
    let too_many = vec![wanted[0].clone(); 201];
    assert_eq!(house.refusal(many, json!({ "ids": too_many })).await.0, "ARGUMENT_INVALID");
}

#[tokio::test]
async fn ids_tell_everything_from_everything_else() {
    let stock = Stock::new().await;
    let house = &stock.house;
    let ids = examples(&stock).await;
    let text = |name: &str| ids[name].as_str().unwrap().to_owned();
    // What is told by a number or a name is told by all of it, and by nothing that only looks like it.
    let none = [
        text("Attempt").replace(".1", ".9"),
        text("Step") + "x",
        text("Approval") + "x",
        text("Event").replace('.', "7."),
        text("Hold") + "1",
        text("Budget") + "x",
        text("Platform") + "x",
        text("Projector").replace("live", "next"),
        format!("hold-{}", stock.run),
        format!("slots-{}", stock.run),
        format!("webhook-{}", stock.delivery),
        format!("delivery-{}", stock.webhook),
        format!("trigger-{}", stock.run),
        format!("approval-{}.outline", stock.run),
    ];
    let one = "query($id: ID!) { node(id: $id) { __typename id } }";
    for id in &none {
        let answer = house.ask(one, json!({ "id": id })).await;
        let code = &answer["errors"][0]["extensions"]["code"];
        assert!(answer["data"]["node"].is_null() && (code.is_null() || code == "ARGUMENT_INVALID"), "{id}: {answer:#}");
    }
    for id in ["", "walk-7", "run-7", "attempt-7.1"] {
        assert_eq!(house.refusal(one, json!({ "id": id })).await.0, "ARGUMENT_INVALID", "{id}");
    }
    // Everybody's searches are their own.
    let search = json!({ "id": ids["SavedSearch"] });
    assert_eq!(house.ask_as("somebody", one, search).await["data"]["node"], Value::Null);
    // The plain keys are there under their own names.
    let keys = "query($run: UUID!, $asked: UUID!) { run(id: $run) { runId actionItems { nodes { id actionId } } }
        asked: run(id: $asked) { steps { id name activity { ... on Approval { id runId step } } } }
        journal(first: 1) { events { id eventId stream revision } } holds { nodes { id holdId } } }";
    let keys = house.data(keys, json!({ "run": stock.run, "asked": stock.asked })).await;
    let item = &keys["run"]["actionItems"]["nodes"][0];
    assert_eq!(item["id"], format!("action-{}", item["actionId"].as_str().unwrap()));
    let step = &keys["asked"]["steps"][0];
    assert_eq!((&step["id"], &step["activity"]["id"]), (&json!(format!("step-{}.ask", stock.asked)), &ids["Approval"]));
    let event = &keys["journal"]["events"][0];
    assert_eq!(event["id"], format!("event-{}.{}", event["stream"].as_str().unwrap(), event["revision"]));
    assert!(event["eventId"].as_str().unwrap().parse::<uuid::Uuid>().is_ok());
    let holds = keys["holds"]["nodes"].as_array().unwrap();
    assert_eq!(holds.len(), 2);
    assert!(holds[0]["id"] != holds[1]["id"] && holds[0]["holdId"] == holds[1]["holdId"]);
}
