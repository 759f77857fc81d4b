//! Lists: those that are kept as a whole come in pages, those of what belongs to one entry can be narrowed and turned, and
//! the schema has no list that cannot.

use std::collections::{BTreeMap, BTreeSet};

use schema::{LineState, PlatformState};
use serde_json::{Value, json};

use crate::house::House;
use crate::order::{walk, walk_through};

/// Lists of objects that are no connections, and connections that want a word; see the file.
const RULES: &str = include_str!("lists.txt");

#[tokio::test]
async fn what_is_kept_as_a_whole_comes_in_pages_in_every_order() {
    let house = House::furnished().await;
    for (number, key) in ["c", "a", "b"].into_iter().enumerate() {
        let schedule = json!({ "cron": format!("{number} 2 * * *"), "zone": "UTC" });
        let text = json!([{ "name": "file", "expression": "trigger.cause" }]);
        house.set(json!({ "key": key, "workflow": "letter", "schedule": schedule, "input": text })).await;
        let window = ["DAY", "EVER", "HOUR"][number];
        let budget = json!({ "key": key, "scope": "ORGANISATION", "window": window, "limit": "7" });
        house.mutate("setBudget", budget, "changed").await;
        let hook = json!({ "url": format!("https://{key}.example/") });
        house.hook("subscribeWebhook", "SubscribeWebhookInput", hook).await;
        house.mutate("saveSearch", json!({ "name": key, "list": "RUNS" }), "changed").await;
    }
    house.platforms.change(|platforms| {
        let named = |key: &str, order| PlatformState { key: key.to_owned(), order, ..PlatformState::default() };
        platforms.push(PlatformState { unusable: Some("no key".to_owned()), ..named("mistral", None) });
        platforms.push(PlatformState { lines: vec![LineState::default()], ..named("acme", Some(2)) });
    });
    for (list, order, field, expected) in [
        ("triggers", "KEY", "key", ["a", "b", "c"]),
        ("triggers", "WORKFLOW", "key", ["a", "b", "c"]),
        ("triggers", "FAILURES", "key", ["a", "b", "c"]),
        ("budgets", "KEY", "key", ["a", "b", "c"]),
        ("budgets", "USED", "key", ["a", "b", "c"]),
        ("budgets", "RESETS", "key", ["b", "c", "a"]),
        ("webhooks", "SUBSCRIBED", "url", ["https://c.example/", "https://a.example/", "https://b.example/"]),
        ("webhooks", "URL", "url", ["https://a.example/", "https://b.example/", "https://c.example/"]),
        ("savedSearches", "NAME", "name", ["a", "b", "c"]),
        ("savedSearches", "SAVED", "name", ["b", "a", "c"]),
        ("platforms", "KEY", "key", ["acme", "mistral", "openai"]),
        ("platforms", "HEALTH", "key", ["mistral", "acme", "openai"]),
        ("platforms", "PLACE", "key", ["openai", "acme", "mistral"]),
    ] {
        assert_eq!(walk(&house, list, order, field).await, expected, "{list} by {order}");
    }
    let next = walk(&house, "triggers", "NEXT", "nextAt").await;
    assert!(next.len() == 3 && next.is_sorted_by_key(|at| at.as_str()), "{next:?}");
    assert_eq!(walk(&house, "projectors", "NAME", "name").await.len(), 9);
    // How far they are changes from page to page.
    let projectors = "{ lag: projectors(orderBy: LAG, reversed: true) { nodes { lag } }
        updated: projectors(orderBy: UPDATED, reversed: true) { nodes { updatedAt } } }";
    let projectors = house.data(projectors, json!({})).await;
    let moment = |at: &Value| at.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(projectors["lag"]["nodes"].as_array().unwrap().is_sorted_by_key(|one| one["lag"].as_u64()));
    assert!(projectors["updated"]["nodes"].as_array().unwrap().is_sorted_by_key(|one| moment(&one["updatedAt"])));
    let narrowed = "{ triggers(filter: { text: \"A\", kind: SCHEDULE, paused: false }) { nodes { key } position }
        budgets(filter: { window: EVER, scope: ORGANISATION }) { nodes { key } position }
        platforms(filter: { health: [UNUSABLE, WELL] }, orderBy: HEALTH) { nodes { key } position }
        webhooks(filter: { text: \"C.EX\" }) { nodes { url } position }
        projectors(filter: { text: \"us\", statuses: [\"running\"] }) { nodes { name } position }
        none: projectors(filter: { statuses: [\"poisoned\"] }) { nodes { name } position } }";
    let found = house.data(narrowed, json!({})).await;
    for (list, expected) in [
        ("triggers", json!([{ "key": "a" }])),
        ("budgets", json!([{ "key": "a" }])),
        ("platforms", json!([{ "key": "mistral" }, { "key": "acme" }])),
        ("webhooks", json!([{ "url": "https://c.example/" }])),
        ("projectors", json!([{ "name": "usage" }])),
        ("none", json!([])),
    ] {
        assert_eq!(found[list]["nodes"], expected, "{list}");
        assert_eq!(found[list]["position"], json!(house.head().await), "{list}");
    }
    // Of another order, and of another list.
    let cursor = "{ triggers(first: 1) { pageInfo { endCursor } } }";
    let cursor = house.data(cursor, json!({})).await["triggers"]["pageInfo"]["endCursor"].take();
    for wrong in ["triggers(after: $after, orderBy: NEXT)", "budgets(after: $after, orderBy: USED)"] {
        let ask = format!("query($after: String) {{ {wrong} {{ nodes {{ key }} }} }}");
        assert_eq!(house.refusal(&ask, json!({ "after": cursor })).await.0, "ARGUMENT_INVALID", "{wrong}");
    }
    assert_eq!(house.refusal("{ budgets(first: 201) { nodes { key } } }", json!({})).await.0, "ARGUMENT_INVALID");
    let behind = "{ projectors(filter: { behind: true }, orderBy: LAG) { nodes { lag } }
        level: projectors(filter: { behind: false }) { nodes { lag } } }";
    let behind = house.data(behind, json!({})).await;
    assert!(behind["projectors"]["nodes"].as_array().unwrap().iter().all(|one| one["lag"].as_u64().unwrap() > 0));
    assert!(behind["level"]["nodes"].as_array().unwrap().iter().all(|one| one["lag"] == 0));
}

#[tokio::test]
async fn runs_that_hang_together_come_in_pages() {
    let house = House::furnished().await;
    let first = house.whole_run().await;
    let mut line = vec![first.to_string()];
    for _ in 0..3 {
        let input = json!({ "runId": line.last().unwrap(), "from": ["draft"] });
        let again = house.mutate("rerunRun", input, "runId").await["runId"].take();
        let run = again.as_str().unwrap().parse().unwrap();
        house.advance(run).await;
        line.push(run.to_string());
    }
    house.data("query($at: Position) { position(minPosition: $at) }", json!({ "at": house.head().await })).await;
    let id = format!("id: \"{}\",", line[1]);
    assert_eq!(walk_through(&house, "runLineage", &id, "PLACE", "runId").await, line);
    let newest: Vec<_> = line.iter().rev().cloned().collect();
    assert_eq!(walk_through(&house, "runLineage", &id, "STARTED", "runId").await, newest);
    let by_status = walk_through(&house, "runLineage", &id, "STATUS", "runId").await;
    assert_eq!(by_status.last(), Some(&json!(line[0])), "those under way stand before those that have completed");
    let some =
        "query($id: UUID!) { near: runLineage(id: $id, filter: { within: 1 }) { nodes { runId distance } position }
        done: runLineage(id: $id, filter: { statuses: [COMPLETED], workflow: \"letter\" }) { nodes { runId } }
        tree: runTree(id: $id) { nodes { runId distance run { status } } }
        none: runTree(id: $id, filter: { workflow: \"other\" }) { nodes { runId } }
        counts: runCounts(filter: { workflow: \"letter\" }, orderBy: COUNT) { status count }
        turned: runCounts(reversed: true) { status } nobody: runCounts(filter: { workflow: \"other\" }) { count } }";
    let some = house.data(some, json!({ "id": line[1] })).await;
    let ids = |list: &Value| -> Vec<String> {
        list["nodes"].as_array().unwrap().iter().map(|one| one["runId"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&some["near"]), line[..3]);
    assert_eq!(ids(&some["done"]), line[..1]);
    assert_eq!(some["tree"]["nodes"], json!([{ "runId": line[1], "distance": 0, "run": { "status": "RUNNING" } }]));
    assert!(ids(&some["none"]).is_empty());
    assert_eq!(some["counts"], json!([{ "status": "RUNNING", "count": 3 }, { "status": "COMPLETED", "count": 1 }]));
    assert_eq!(some["turned"], json!([{ "status": "COMPLETED" }, { "status": "RUNNING" }]));
    assert_eq!(some["nobody"], json!([]));
}

#[tokio::test]
async fn holds_come_in_every_order_and_narrowed() {
    let house = House::furnished().await;
    house.mutate("placeHold", json!({ "workflow": "letter", "reason": "Audit" }), "changed").await;
    house.mutate("liftHold", json!({ "workflow": "letter" }), "changed").await;
    house.mutate("placeHold", json!({ "reason": "fire" }), "changed").await;
    house.mutate("placeHold", json!({ "workflow": "letter", "reason": "second audit" }), "changed").await;
    house.data("query($at: Position) { position(minPosition: $at) }", json!({ "at": house.head().await })).await;
    for (order, expected) in
        [("PLACED", ["second audit", "fire", "Audit"]), ("WORKFLOW", ["fire", "Audit", "second audit"])]
    {
        assert_eq!(walk(&house, "holds", order, "reason").await, expected, "{order}");
    }
    let lifted = walk(&house, "holds", "LIFTED", "reason").await;
    assert_eq!((lifted.len(), &lifted[0]), (3, &json!("Audit")));
    for (filter, count) in [
        (json!({ "placed": true }), 2),
        (json!({ "text": "AUDIT" }), 2),
        (json!({ "text": "audit", "placed": true, "workflow": "letter", "actor": "person:tester" }), 1),
        (json!({ "actor": "person:nobody" }), 0),
        (json!({ "placedBefore": "2020-01-01T00:00:00Z" }), 0),
        (json!({ "placedFrom": "2020-01-01T00:00:00Z" }), 3),
    ] {
        for order in ["PLACED", "LIFTED", "WORKFLOW"] {
            let ask = "query($filter: HoldFilter, $order: HoldOrder!) { holds(filter: $filter, orderBy: $order) { nodes { reason } } }";
            let found = house.data(ask, json!({ "filter": filter, "order": order })).await;
            assert_eq!(found["holds"]["nodes"].as_array().unwrap().len(), count, "{filter} by {order}");
        }
    }
}

#[tokio::test]
async fn what_belongs_to_one_entry_is_narrowed_and_turned() {
    let house = House::furnished().await;
    let run = house.start().await;
    for signal in ["one", "two", "one"] {
        house.mutate("signalRun", json!({ "runId": run, "signal": signal, "payload": {} }), "changed").await;
    }
    house.mutate("pauseRun", json!({ "runId": run, "reason": "first" }), "changed").await;
    house.mutate("resumeRun", json!({ "runId": run }), "changed").await;
    house.mutate("pauseRun", json!({ "runId": run, "reason": "second" }), "changed").await;
    let mut second = crate::house::agent("writer");
    second["systemPrompt"] = json!("You write well.");
    house.data(crate::house::REGISTER_AGENT, json!({ "input": second })).await;
    let asked = crate::actions::asked(&house).await;
    let ask = "query($id: UUID!, $asked: UUID!, $at: Position) { run(id: $id, minPosition: $at) {
            all: signals { signal } ones: signals(names: [\"one\"], reversed: true) { signal }
            pauses(reversed: true) { reason } lasting: pauses(lasting: true) { reason } held: pauses(held: true) { reason }
            seats(waiting: true) { limit } stalls(text: \"x\", reversed: true) { what } }
        agent(key: \"writer\", minPosition: $at) { versions(reversed: true) { version }
            second: versions(numbers: [2, 9]) { version } }
        asked: run(id: $asked, minPosition: $at) {
            actionItems { nodes { what } position } last: actionItems(last: 1) { nodes { what } pageInfo { hasPreviousPage } }
            done: actionItems(filter: { states: [DONE] }) { nodes { what } }
            back: actionItems(orderBy: DUE, reversed: true) { nodes { what } } } }";
    let shown = house.data(ask, json!({ "id": run, "asked": asked, "at": house.head().await })).await;
    let of = |list: &Value, field: &str| -> Vec<Value> {
        list.as_array().unwrap().iter().map(|one| one[field].clone()).collect()
    };
    let (shown, agent, asked) = (&shown["run"], &shown["agent"], &shown["asked"]);
    assert_eq!(of(&shown["all"], "signal"), ["one", "two", "one"]);
    assert_eq!(of(&shown["ones"], "signal"), ["one", "one"]);
    assert_eq!(of(&shown["pauses"], "reason"), ["second", "first"]);
    assert_eq!(of(&shown["lasting"], "reason"), ["second"]);
    assert_eq!((&shown["held"], &shown["seats"], &shown["stalls"]), (&json!([]), &json!([]), &json!([])));
    assert_eq!(of(&agent["versions"], "version"), [1, 2]);
    assert_eq!(of(&agent["second"], "version"), [2]);
    assert_eq!(of(&asked["actionItems"]["nodes"], "what"), ["Ask finance", "File it"]);
    assert!(asked["actionItems"]["position"].is_string());
    assert_eq!(asked["last"], json!({ "nodes": [{ "what": "File it" }], "pageInfo": { "hasPreviousPage": true } }));
    assert_eq!(asked["done"]["nodes"], json!([]));
    assert_eq!(of(&asked["back"]["nodes"], "what"), ["File it", "Ask finance"]);
}

#[tokio::test]
async fn the_journal_is_read_from_its_end_too() {
    let house = House::furnished().await;
    house.whole_run().await;
    let ask = "query($after: Position, $before: Position, $first: Int, $reversed: Boolean!, $filter: EventFilter) {
        journal(after: $after, before: $before, first: $first, reversed: $reversed, filter: $filter) {
            position events { position type actor } } }";
    let whole = json!({ "first": 200, "reversed": false });
    let all = house.data(ask, whole).await["journal"]["events"].take();
    let all = all.as_array().unwrap();
    let number = |position: &Value| position.as_str().unwrap().parse::<u64>().unwrap();
    for (filter, wanted) in [
        (json!(null), all.iter().collect::<Vec<_>>()),
        (json!({ "types": ["task.created"] }), all.iter().filter(|event| event["type"] == "task.created").collect()),
        (json!({ "actor": "person" }), all.iter().filter(|event| event["actor"] == "person:tester").collect()),
    ] {
        let newest: Vec<&Value> = wanted.iter().rev().copied().collect();
        assert!(newest.len() > 1, "{filter}");
        let (mut seen, mut before) = (Vec::new(), Value::Null);
        loop {
            let page = json!({ "before": before, "first": 2, "reversed": true, "filter": filter });
            let page = house.data(ask, page).await["journal"].take();
            seen.extend(page["events"].as_array().unwrap().iter().cloned());
            before = page["position"].clone();
            if before == "0" {
                break;
            }
        }
        assert_eq!(seen.iter().collect::<Vec<_>>(), newest, "{filter}");
        // Between two positions, both ways.
        let (low, high) = (number(&all[1]["position"]), number(&all[all.len() - 2]["position"]));
        for reversed in [false, true] {
            let mut expected: Vec<&Value> = wanted.clone();
            expected.retain(|event| number(&event["position"]) > low && number(&event["position"]) < high);
            if reversed {
                expected.reverse();
            }
            let between = json!({ "after": low.to_string(), "before": high.to_string(), "first": 200,
                "reversed": reversed, "filter": filter });
            let page = house.data(ask, between).await["journal"].take();
            assert_eq!(page["events"].as_array().unwrap().iter().collect::<Vec<_>>(), expected, "{filter}");
            assert_eq!(number(&page["position"]), if reversed { low } else { high }, "{filter}");
        }
    }
}

/// What a field gives, without what says that it is not null.
fn bare(of: &Value) -> &Value {
    if of["kind"] == "NON_NULL" { bare(&of["ofType"]) } else { of }
}

const SCHEMA: &str = "{ __schema { types { kind name fields { name args { name } type { ...T } } } } }
    fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";

/// The rules of the file, by field.
fn rules(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(' ').unwrap())
        .map(|(field, rule)| (field, rule.split_once(' ').map_or(rule, |(kind, _)| kind)))
        .collect()
}

/// What is wrong with the lists of a schema.
fn faults(types: &[Value], rules: &BTreeMap<&str, &str>) -> Vec<String> {
    let connected: BTreeSet<&str> =
        types.iter().filter_map(|known| known["name"].as_str()?.strip_suffix("Connection")).collect();
    let (mut wrong, mut met) = (Vec::new(), BTreeSet::new());
    for known in types {
        let owner = known["name"].as_str().unwrap();
        if owner.starts_with("__") || owner.ends_with("Connection") || owner.ends_with("Edge") {
            continue;
        }
        for field in known["fields"].as_array().into_iter().flatten() {
            let name = format!("{owner}.{}", field["name"].as_str().unwrap());
            let rule = rules.get_key_value(name.as_str()).map(|(name, rule)| {
                met.insert(*name);
                *rule
            });
            wrong.extend(fault(owner, field, rule, &connected).map(|what| format!("{name} {what}")));
        }
    }
    wrong.extend(rules.keys().filter(|name| !met.contains(*name)).map(|name| format!("{name} is not there any more")));
    wrong
}

fn fault(owner: &str, field: &Value, rule: Option<&str>, connected: &BTreeSet<&str>) -> Option<String> {
    let args: BTreeSet<&str> =
        field["args"].as_array().unwrap().iter().map(|arg| arg["name"].as_str().unwrap()).collect();
    // What says which part is wanted, or of which moment, narrows nothing.
    let others = ["first", "last", "after", "before", "from", "orderBy", "reversed", "minPosition", "asOf", "id"];
    let narrows = args.iter().any(|arg| !others.contains(arg));
    let given = bare(&field["type"]);
    if given["name"].as_str().is_some_and(|name| name.ends_with("Connection")) {
        if !["first", "last", "after", "before"].iter().all(|arg| args.contains(arg)) {
            return Some("is a connection that does not take first, last, after and before".to_owned());
        }
        return match rule {
            Some("saved") => None,
            Some("one-order") if args.contains("reversed") && narrows => None,
            None if args.contains("reversed") && args.contains("orderBy") && narrows => None,
            _ => Some("is a connection without an order, `reversed` or a filter".to_owned()),
        };
    }
    let of = bare(&given["ofType"]);
    if given["kind"] != "LIST" || !["OBJECT", "INTERFACE", "UNION"].contains(&of["kind"].as_str().unwrap()) {
        return None;
    }
    let entity = connected.contains(of["name"].as_str().unwrap());
    match rule {
        Some("record") if args.contains("reversed") && narrows => None,
        Some("record") => Some("grows, and takes no `reversed` or no filter".to_owned()),
        Some("answer") => None,
        Some("part") if !entity && owner != "Query" => None,
        Some(rule) => Some(format!("cannot be `{rule}`")),
        None => Some("is a plain list; make it a connection, or name it in lists.txt".to_owned()),
    }
}

/// The rule of docs/use/graphql.md: what the API has many of comes as a connection that pages, sorts and narrows; a plain
/// list of objects is one of those that are named in `lists.txt`, and those that grow can be narrowed and turned.
#[tokio::test]
async fn every_list_of_the_schema_keeps_the_rule() {
    let house = House::new().await;
    let data = house.data(SCHEMA, json!({})).await;
    let wrong = faults(data["__schema"]["types"].as_array().unwrap(), &rules(RULES));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_list_that_breaks_the_rule_is_found() {
    let of = |name: &str| json!({ "kind": "NON_NULL", "ofType": { "kind": "OBJECT", "name": name } });
    let many = |name: &str| json!({ "kind": "NON_NULL", "ofType": { "kind": "LIST", "ofType": of(name) } });
    let field = |name: &str, args: &[&str], given: Value| {
        let args: Vec<Value> = args.iter().map(|arg| json!({ "name": arg })).collect();
        json!({ "name": name, "args": args, "type": given })
    };
    let all = ["first", "last", "after", "before", "orderBy", "reversed", "filter"];
    let types = |field: Value| vec![json!({ "name": "Query", "fields": [field] }), json!({ "name": "RunConnection" })];
    let wrong = |list: Value, text: &str| faults(&types(list), &rules(text)).len();
    assert_eq!(wrong(field("runs", &all, of("RunConnection")), ""), 0);
    for missing in all {
        let args: Vec<&str> = all.into_iter().filter(|arg| *arg != missing).collect();
        assert_eq!(wrong(field("runs", &args, of("RunConnection")), ""), 1, "{missing}");
    }
    assert_eq!(wrong(field("runs", &all[..6], of("RunConnection")), "Query.runs saved"), 0);
    assert_eq!(wrong(field("runs", &["reversed", "filter"], many("Run")), ""), 1, "a plain list that is not named");
    assert_eq!(wrong(field("runs", &["reversed", "filter"], many("Run")), "Query.runs record"), 0);
    assert_eq!(wrong(field("runs", &["reversed", "id"], many("Run")), "Query.runs record"), 1, "no filter");
    assert_eq!(wrong(field("runs", &[], many("Run")), "Query.runs part"), 1, "runs are nobody's part");
    assert_eq!(wrong(field("name", &[], of("Name")), "Query.names part"), 1, "named, but gone");
}
