//! Subscriptions: every event once, resumable, and ending when there is nothing more to come.

use async_graphql::futures_util::StreamExt;
use domain::RunCommand;
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use std::time::Duration;

use crate::house::{House, steady};

pub(crate) const FOLLOW: &str =
    "subscription($id: UUID!, $after: Position) { runEvents(runId: $id, afterPosition: $after) {
    position step terminal event { type position stream revision actor category } } }";

/// Everything that a subscription that ends brings.
pub(crate) async fn all(house: &House, query: &str, variables: Value) -> Vec<Value> {
    let items = house.schema.execute_stream(House::request(query, variables)).collect::<Vec<_>>();
    let items = tokio::time::timeout(Duration::from_secs(10), items).await.expect("the subscription ends");
    items.into_iter().map(|item| serde_json::to_value(item).unwrap()).collect()
}

fn positions(items: &[Value]) -> Vec<u64> {
    items.iter().map(|item| item["data"]["runEvents"]["position"].as_str().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn a_finished_run_is_told_whole_and_then_it_ends() {
    let house = House::furnished().await;
    let other = house.start().await;
    let run = house.whole_run().await;
    house.advance(other).await;
    let items = all(&house, FOLLOW, json!({ "id": run })).await;
    assert_json_snapshot!(steady(&Value::from(items.clone())));
    // From anywhere, what comes is exactly the rest.
    let whole = positions(&items);
    for (index, after) in whole.iter().enumerate() {
        let rest = all(&house, FOLLOW, json!({ "id": run, "after": after.to_string() })).await;
        assert_eq!(positions(&rest), whole[index + 1..], "after {after}");
    }
}

#[tokio::test]
async fn a_running_run_is_told_as_it_happens() {
    let house = House::furnished().await;
    let run = house.start().await;
    let mut items = house.schema.execute_stream(House::request(FOLLOW, json!({ "id": run })));
    let mut next = async || {
        let item = tokio::time::timeout(Duration::from_secs(10), items.next()).await.expect("an event comes");
        item.map(|item| serde_json::to_value(item).unwrap()["data"]["runEvents"]["event"]["type"].take())
    };
    assert_eq!(next().await, Some(json!("run.started")));
    house.advance(run).await;
    assert_eq!(next().await, Some(json!("run.step_started")));
    house.begin_step(run, "outline").await;
    assert_eq!(next().await, Some(json!("task.created")));
    assert_eq!(next().await, Some(json!("task.assigned")));
    assert_eq!(next().await, Some(json!("task.attempt_started")));
    let now = commands::now();
    let cancel = RunCommand::RequestCancel { reason: "enough".to_owned(), now, grace: Duration::ZERO };
    house.on_run(run, cancel).await;
    assert_eq!(next().await, Some(json!("run.cancel_requested")));
    house.on_run(run, RunCommand::CutOff { now }).await;
    assert_eq!(next().await, Some(json!("run.step_cancelled")));
    assert_eq!(next().await, Some(json!("run.cancelled")));
    assert_eq!(next().await, None);
}

#[tokio::test]
async fn a_run_that_does_not_exist_is_refused() {
    let house = House::new().await;
    let items = all(&house, FOLLOW, json!({ "id": "00000000-0000-7000-8000-000000000001" })).await;
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["errors"][0]["extensions"]["code"], "RUN_NOT_FOUND");
}

#[tokio::test]
async fn the_journal_is_followed_from_the_present_or_from_a_position() {
    let house = House::furnished().await;
    let query =
        "subscription($after: Position, $filter: EventFilter) { journal(afterPosition: $after, filter: $filter) {
        position type } }";
    let mut live = house.schema.execute_stream(House::request(query, json!({})));
    // The first poll takes the present position; nothing is there yet.
    assert!(tokio::time::timeout(Duration::from_millis(50), live.next()).await.is_err());
    house.start().await;
    let item = serde_json::to_value(live.next().await.unwrap()).unwrap();
    assert_eq!(item["data"]["journal"]["type"], "run.started");
    let filter = json!({ "after": "0", "filter": { "categories": ["TEMPLATE", "AGENT"], "types": [] } });
    let past = house.schema.execute_stream(House::request(query, filter)).take(3).collect::<Vec<_>>().await;
    let types: Vec<Value> =
        past.into_iter().map(|item| serde_json::to_value(item).unwrap()["data"]["journal"]["type"].take()).collect();
    assert_eq!(types, ["agent.registered", "template.registered", "template.registered"]);
}

#[tokio::test]
async fn the_journal_is_read_page_by_page() {
    let house = House::furnished().await;
    let run = house.whole_run().await;
    let query = "query($after: Position, $filter: EventFilter) { journalHead journal(after: $after, first: 3, filter: $filter) {
        position events { position id: eventId stream category aggregateId revision type schemaVersion recordedAt actor tenant
            correlation causation command previousHash hash payload } } }";
    let first = house.data(query, json!({})).await;
    assert_json_snapshot!(steady(&first));
    let (mut after, mut seen) = (json!("0"), Vec::new());
    loop {
        let page = house.data(query, json!({ "after": after, "filter": { "stream": format!("run-{run}") } })).await;
        let events = page["journal"]["events"].as_array().unwrap();
        seen.extend(events.iter().map(|event| event["revision"].as_u64().unwrap()));
        if page["journal"]["position"] == after {
            break;
        }
        after = page["journal"]["position"].clone();
    }
    let length = u64::try_from(house.revision(run).await).unwrap();
    assert_eq!(seen, (0..length).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_answer_goes_on_after_what_was_told_of_it() {
    let house = House::furnished().await;
    let run = house.start().await;
    house.advance(run).await;
    let task = house.begin_step(run, "outline").await;
    let follow = "subscription($id: UUID!, $after: OutputPlace) { taskOutput(taskId: $id, after: $after) {
        attempt offset text end } }";
    let listen =
        |after: Value| house.schema.execute_stream(House::request(follow, json!({ "id": task, "after": after })));
    let speech = house.commands.live().speak(task, 1);
    speech.say("text ");
    let told = async |answers: &mut async_graphql::futures_util::stream::BoxStream<'_, async_graphql::Response>| {
        let next = tokio::time::timeout(Duration::from_secs(10), answers.next()).await.expect("a piece comes");
        serde_json::to_value(next.unwrap()).unwrap()["data"]["taskOutput"].take()
    };
    let mut first = listen(Value::Null);
    assert_eq!(told(&mut first).await, json!({ "attempt": 1, "offset": 0, "text": "text ", "end": null }));
    speech.say("of ");
    let mut second = listen(json!({ "attempt": 1, "offset": 5 }));
    assert_eq!(told(&mut second).await, json!({ "attempt": 1, "offset": 5, "text": "of ", "end": null }));
    // The end of another attempt's answer is no place in this one.
    let mut third = listen(json!({ "attempt": 0, "offset": 8 }));
    assert_eq!(told(&mut third).await, json!({ "attempt": 1, "offset": 0, "text": "text of ", "end": null }));
    house.finish_step(run, "outline", 1).await;
    let rest = json!({ "attempt": 1, "offset": 8, "text": "outline", "end": "COMPLETED" });
    assert_eq!(told(&mut second).await, rest);
    drop((first, second, third, speech));
    // The task has ended, and nobody speaks any more: it goes on in the recorded answer.
    assert_eq!(told(&mut listen(json!({ "attempt": 1, "offset": 8 }))).await, rest);
    let nothing = json!({ "attempt": 1, "offset": 15, "text": "", "end": "COMPLETED" });
    assert_eq!(told(&mut listen(json!({ "attempt": 1, "offset": 15 }))).await, nothing);
    // What is no place in it begins anew, and says so.
    let whole = json!({ "attempt": 1, "offset": 0, "text": "text of outline", "end": "COMPLETED" });
    for (attempt, offset) in [(2, 8), (0, 0), (1, 16)] {
        let after = json!({ "attempt": attempt, "offset": offset });
        assert_eq!(told(&mut listen(after)).await, whole, "after {offset} bytes of attempt {attempt}");
    }
    let refused = all(&house, follow, json!({ "id": task, "after": { "attempt": -1, "offset": 0 } })).await;
    assert_eq!(refused[0]["errors"][0]["extensions"]["code"], "ARGUMENT_INVALID");
}

#[tokio::test]
async fn the_journal_is_narrowed_to_who_did_it_and_when() {
    let house = House::furnished().await;
    let run = house.whole_run().await;
    let ask = "query($after: Position, $first: Int, $filter: EventFilter) {
        journal(after: $after, first: $first, filter: $filter) { position events { type actor recordedAt position } } }";
    let all = house.data(ask, json!({ "first": 200 })).await["journal"]["events"].take();
    let all = all.as_array().unwrap();
    let of = |kind: &str| -> Vec<Value> {
        all.iter().filter(|event| event["actor"].as_str().unwrap().starts_with(kind)).cloned().collect()
    };
    let (people, engine) = (of("person:tester"), of("system:engine"));
    assert!(people.len() > 4 && engine.len() > 4, "{run}: {all:?}");
    for (actor, expected) in [("person:tester", &people), ("person", &people), ("system", &engine), ("nobody", &vec![])]
    {
        let (mut after, mut seen) = (json!("0"), Vec::new());
        loop {
            let page =
                house.data(ask, json!({ "after": after, "first": 3, "filter": { "actor": actor } })).await["journal"]
                    .take();
            assert!(page["events"].as_array().unwrap().len() <= 3);
            seen.extend(page["events"].as_array().unwrap().iter().cloned());
            if page["position"] == after {
                break;
            }
            after = page["position"].clone();
        }
        assert_eq!(seen, *expected, "{actor}");
    }
    // Within a time, of a type and by somebody.
    let middle = &all[all.len() / 2]["recordedAt"];
    let count = async |filter: Value| {
        let page = house.data(ask, json!({ "first": 200, "filter": filter })).await;
        page["journal"]["events"].as_array().unwrap().len()
    };
    let early = count(json!({ "recordedBefore": middle })).await;
    assert!(early > 0 && early < all.len());
    assert_eq!(early + count(json!({ "recordedFrom": middle })).await, all.len());
    assert_eq!(count(json!({ "actor": "system:engine", "types": ["agent.registered"] })).await, 0);
    let follow = "subscription($filter: EventFilter) { journal(afterPosition: \"0\", filter: $filter) {
        type actor recordedAt position } }";
    let filter = json!({ "filter": { "actor": "system:engine" } });
    let told = house.schema.execute_stream(House::request(follow, filter)).take(engine.len()).collect::<Vec<_>>();
    let told = tokio::time::timeout(Duration::from_secs(10), told).await.expect("all of them come");
    let told: Vec<Value> =
        told.into_iter().map(|item| serde_json::to_value(item).unwrap()["data"]["journal"].take()).collect();
    assert_eq!(told, engine);
}
