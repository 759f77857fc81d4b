//! What every answer says of itself, and every command can be told by.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::House;
use crate::stock::Stock;

/// How each question is asked: its arguments, and what is wanted of it.
fn questions(stock: &Stock) -> BTreeMap<&'static str, (String, &'static str)> {
    let (run, asked) = (format!("\"{}\"", stock.run), format!("\"{}\"", stock.asked));
    let id = |id: &dyn std::fmt::Display| format!("id: \"{id}\"");
    let text = str::to_owned;
    BTreeMap::from([
        ("journalHead", (text(""), "")),
        ("position", (text(""), "")),
        ("projectors", (text(""), "{ nodes { name } }")),
        ("node", (id(&format!("run-{}", stock.run)), "{ id }")),
        ("nodes", (format!("ids: [\"run-{}\"]", stock.run), "{ id }")),
        ("run", (id(&stock.run), "{ status steps { task { status } } }")),
        ("runs", (text(""), "{ nodes { status } }")),
        ("runCounts", (text(""), "{ count }")),
        ("task", (id(&stock.task), "{ status }")),
        ("tasks", (text(""), "{ nodes { status } }")),
        ("attempts", (text(""), "{ nodes { status } }")),
        ("workflow", (text("key: \"letter\""), "{ status }")),
        ("workflows", (text(""), "{ nodes { status } }")),
        ("agent", (text("key: \"writer\""), "{ enabled metrics { total } }")),
        ("agents", (text(""), "{ nodes { key } }")),
        ("template", (text("key: \"draft\""), "{ version }")),
        ("templates", (text(""), "{ nodes { key } }")),
        ("journal", (text(""), "{ position }")),
        ("explainRun", (id(&stock.run), "{ status }")),
        ("runTree", (id(&stock.run), "{ nodes { run { status } } }")),
        ("runLineage", (id(&stock.run), "{ nodes { run { status } } }")),
        ("compareRuns", (format!("a: {run}, b: {asked}"), "{ __typename }")),
        ("checkCompatibility", (text("workflow: \"letter\", version: 1"), "{ checked }")),
        ("approvals", (text(""), "{ nodes { step } }")),
        ("limit", (text("key: \"writers\""), "{ maxRunning }")),
        ("limits", (text(""), "{ nodes { key } }")),
        ("holds", (text(""), "{ nodes { reason } }")),
        ("previewBulk", (text("filter: {}"), "{ count }")),
        ("trigger", (text("key: \"hourly\""), "{ key }")),
        ("triggers", (text(""), "{ nodes { key } }")),
        ("budget", (text("key: \"all\""), "{ key }")),
        ("budgets", (text(""), "{ nodes { key } }")),
        ("usage", (text(""), "{ hasMore }")),
        ("metrics", (text("of: AGENTS"), "{ hasMore }")),
        ("judgeCalibration", (text(""), "{ position }")),
        ("search", (text("words: \"letter\""), "{ hits { kind } }")),
        ("webhook", (id(&stock.webhook), "{ url }")),
        ("webhooks", (text(""), "{ nodes { url } }")),
        ("webhookEventTypes", (text(""), "{ name }")),
        ("webhookDelivery", (id(&stock.delivery), "{ status }")),
        ("webhookDeliveries", (text(""), "{ nodes { status } }")),
        ("savedSearch", (text("name: \"what. is-late\""), "{ name list }")),
        ("savedSearches", (text(""), "{ nodes { name } }")),
        ("platform", (text("key: \"openai\""), "{ key }")),
        ("platforms", (text(""), "{ nodes { key } }")),
        ("platformModels", (text("key: \"openai\""), "{ models { name } }")),
        ("modelPrices", (text("named: \"large\""), "{ lists }")),
        ("agentChoice", (text("input: {}"), "{ agentKey agent { key } }")),
        ("findTemplates", (text("request: \"a letter\""), "{ templates { template { key } } }")),
        ("actionItem", (format!("id: \"{}.1\"", stock.task), "{ state }")),
        ("actionItems", (text(""), "{ nodes { state } }")),
    ])
}

/// The position that an answer names.
fn position(answer: &Value) -> u64 {
    let named = answer["extensions"]["position"].as_str();
    named.unwrap_or_else(|| panic!("no position in {answer:#}")).parse().unwrap()
}

async fn record(house: &House) -> u64 {
    let set = "mutation($input: SetLimitInput!) { setLimit(input: $input) { position } }";
    let input =
        json!({ "key": format!("l-{}", Uuid::now_v7()), "scope": "AGENT", "scopeKey": "writer", "maxRunning": 2 });
    let answer = house.ask(set, json!({ "input": input })).await;
    let recorded = answer["data"]["setLimit"]["position"].as_str().unwrap().parse().unwrap();
    assert_eq!(position(&answer), recorded, "an answer to a command names the position of what it recorded");
    recorded
}

#[tokio::test]
async fn every_answer_names_its_position() {
    let stock = Stock::new().await;
    let house = &stock.house;
    let asked = questions(&stock);
    let fields = house.data("{ __schema { queryType { fields { name args { name } } } } }", json!({})).await;
    for field in fields["__schema"]["queryType"]["fields"].as_array().unwrap() {
        let name = field["name"].as_str().unwrap();
        let (arguments, wanted) = asked.get(name).unwrap_or_else(|| panic!("say how `{name}` is asked"));
        let waits = field["args"].as_array().unwrap().iter().any(|argument| argument["name"] == "minPosition");
        let recorded = record(house).await;
        let mut arguments = arguments.clone();
        if waits {
            arguments += &format!(" minPosition: \"{recorded}\"");
        }
        let arguments = if arguments.is_empty() { arguments } else { format!("({arguments})") };
        let answer = house.ask(&format!("{{ {name}{arguments} {wanted} }}"), json!({})).await;
        assert!(answer.get("errors").is_none(), "{answer:#}");
        assert!(answer["data"].as_object().unwrap().values().all(|value| !value.is_null()), "{answer:#}");
        assert!(position(&answer) >= recorded, "{name} reflects {}, not {recorded}", position(&answer));
    }
}

#[tokio::test]
async fn an_answer_reflects_no_more_than_its_least_part() {
    let stock = Stock::new().await;
    let house = &stock.house;
    let recorded = record(house).await;
    let run = stock.run;
    let ask = format!(
        "{{ then: run(id: \"{run}\", asOf: {{ position: \"3\" }}) {{ status }} journalHead
            now: run(id: \"{run}\", minPosition: \"{recorded}\") {{ status cost quality {{ score }} }} }}"
    );
    assert_eq!(position(&house.ask(&ask, json!({})).await), 3);
    // What nobody has waited for may be behind, but never ahead of what it says.
    let both = format!(
        "{{ waited: runs(minPosition: \"{recorded}\") {{ position }} taken: runs {{ position }} usage {{ position }} }}"
    );
    let answer = house.ask(&both, json!({})).await;
    let parts = answer["data"].as_object().unwrap().values();
    let least = parts.map(|part| part["position"].as_str().unwrap().parse::<u64>().unwrap()).min().unwrap();
    assert_eq!(position(&answer), least, "{answer:#}");
    // Several commands in one request: the last word.
    let two = "mutation { a: disableAgent(input: { key: \"writer\", reason: \"tired\" }) { position }
        b: enableAgent(input: { key: \"writer\" }) { position } }";
    let answer = house.ask(two, json!({})).await;
    assert_eq!(answer["data"]["b"]["position"], answer["extensions"]["position"]);
    // Nothing was asked, or nothing was recorded.
    assert!(house.ask("{ nothing }", json!({})).await.get("extensions").is_none());
    let refused = "mutation { enableAgent(input: { key: \"nobody\" }) { position } }";
    assert!(house.ask(refused, json!({})).await.get("extensions").is_none());
}

/// Every command can be repeated without being carried out twice.
#[tokio::test]
async fn every_command_takes_an_id_of_its_own() {
    let house = House::new().await;
    let of_type = "name ofType { name ofType { name } }";
    let ask = format!(
        "{{ __schema {{ mutationType {{ fields {{ name args {{ name type {{ {of_type} }} }} type {{ {of_type} }} }} }}
            types {{ name inputFields {{ name }} fields {{ name }} }} }} }}"
    );
    let schema = house.data(&ask, json!({})).await["__schema"].take();
    let members = |kind: &Value, of: &str| -> Vec<String> {
        let named = [&kind["name"], &kind["ofType"]["name"], &kind["ofType"]["ofType"]["name"]];
        let named = named.into_iter().find_map(Value::as_str).unwrap();
        let found = schema["types"].as_array().unwrap().iter().find(|other| other["name"] == named).unwrap();
        let members = found[of].as_array().into_iter().flatten();
        members.map(|member| member["name"].as_str().unwrap().to_owned()).collect()
    };
    let id = "clientMutationId";
    for field in schema["mutationType"]["fields"].as_array().unwrap() {
        let arguments = field["args"].as_array().unwrap();
        let takes = arguments.iter().any(|argument| {
            argument["name"] == id || members(&argument["type"], "inputFields").iter().any(|member| member == id)
        });
        assert!(takes, "{} takes no {id}", field["name"]);
        assert!(members(&field["type"], "fields").iter().any(|member| member == id), "{} has no {id}", field["name"]);
    }
}
