//! Webhooks through the API.

use std::time::Duration;

use domain::delivery::{Source, Subject, Trouble};
use domain::webhook::Topic;
use domain::{Category, EventId, StreamId, WebhookId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::House;

const WEBHOOK: &str = "webhookId url eventTypes description status reason since secretGeneration overlapUntil";

impl House {
    pub(crate) async fn hook(&self, name: &str, input_type: &str, input: Value) -> Value {
        let query = format!(
            "mutation($input: {input_type}!) {{ {name}(input: $input) {{ position changed repeated secret deliveryId webhookId \
             webhook {{ {WEBHOOK} }} }} }}"
        );
        self.data(&query, json!({ "input": input })).await[name].take()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_subscribed_steered_and_deleted() {
    let house = House::new().await;
    let url = "https://hooks.example/x";
    let wanted = json!({ "url": url, "eventTypes": ["run.failed"], "clientMutationId": Uuid::from_u128(7) });
    let made = house.hook("subscribeWebhook", "SubscribeWebhookInput", wanted.clone()).await;
    let again = house.hook("subscribeWebhook", "SubscribeWebhookInput", wanted).await;
    assert_eq!((&again["secret"], &again["repeated"]), (&made["secret"], &json!(true)));
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    let id = made["webhookId"].clone();
    let expected = json!({ "webhookId": id, "url": url, "eventTypes": ["run.failed"], "description": "", "status": "ACTIVE",
        "reason": null, "since": null, "secretGeneration": 1, "overlapUntil": null });
    assert_eq!(made["webhook"], expected);
    let everything =
        house.hook("subscribeWebhook", "SubscribeWebhookInput", json!({ "url": "https://y.example/" })).await;
    assert_eq!(everything["webhook"]["eventTypes"].as_array().unwrap().len(), Topic::ALL.len());
    let query = format!("query($filter: WebhookFilter) {{ webhooks(filter: $filter) {{ nodes {{ {WEBHOOK} }} }} }}");
    for (filter, count) in [
        (json!({ "url": url }), 1),
        (json!({ "eventType": "run.failed" }), 2),
        (json!({ "text": "HOOKS", "status": "ACTIVE" }), 1),
        (json!({ "text": "hooks", "status": "PAUSED" }), 0),
        (json!({ "eventType": "run.completed" }), 1),
        (json!(null), 2),
    ] {
        let found = house.data(&query, json!({ "filter": filter })).await;
        assert_eq!(found["webhooks"]["nodes"].as_array().unwrap().len(), count, "{filter}");
    }
    let found = house.data(&query, json!({ "filter": { "url": url } })).await;
    assert_eq!(found["webhooks"]["nodes"], json!([expected]));

    let change = json!({ "webhookId": id, "eventTypes": ["run.completed", "run.failed"] });
    let changed = house.hook("changeWebhook", "ChangeWebhookInput", change).await;
    assert_eq!(changed["webhook"]["eventTypes"], json!(["run.completed", "run.failed"]));
    assert_eq!(changed["webhook"]["url"], url);
    let on = json!({ "webhookId": id, "reason": "holiday" });
    let paused = house.hook("pauseWebhook", "WebhookInput", on.clone()).await;
    assert_eq!((&paused["webhook"]["status"], &paused["webhook"]["reason"]), (&json!("PAUSED"), &json!("holiday")));
    let resumed = house.hook("resumeWebhook", "WebhookInput", on.clone()).await;
    assert_eq!(resumed["webhook"]["status"], "ACTIVE");
    let tested = house.hook("testWebhook", "WebhookInput", on.clone()).await;
    assert!(tested["deliveryId"].is_string());
    let rotated = house.hook("rotateWebhookSecret", "RotateWebhookInput", json!({ "webhookId": id })).await;
    assert_ne!(rotated["secret"], made["secret"]);
    assert_eq!(rotated["webhook"]["secretGeneration"], 2);
    let deleted = house.hook("deleteWebhook", "WebhookInput", on.clone()).await;
    assert_eq!((&deleted["changed"], &deleted["webhook"]), (&json!(true), &Value::Null));
    assert_eq!(house.hook("deleteWebhook", "WebhookInput", on).await["changed"], false);
    let shown = house.data("query($id: UUID!) { webhook(id: $id) { url } }", json!({ "id": id })).await;
    assert_eq!(shown["webhook"], Value::Null);
    let subscribe = "mutation($input: SubscribeWebhookInput!) { subscribeWebhook(input: $input) { position } }";
    for (input, code) in [
        (json!({ "url": "http://x.example/" }), "WEBHOOK_INVALID"),
        (json!({ "url": url, "eventTypes": ["run.exploded"] }), "ARGUMENT_INVALID"),
    ] {
        assert_eq!(house.refusal(subscribe, json!({ "input": input })).await.0, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_is_listed_and_told_once_more() {
    let house = House::new().await;
    let made = house.hook("subscribeWebhook", "SubscribeWebhookInput", json!({ "url": "https://x.example/" })).await;
    let id: Uuid = made["webhookId"].as_str().unwrap().parse().unwrap();
    let source = Source {
        event: EventId::from_uuid(Uuid::from_u128(3)),
        stream: StreamId { category: Category::Run, id: Uuid::from_u128(4) },
        revision: 0,
        position: 1,
        at: commands::now(),
    };
    let subject = Subject { webhook: WebhookId::from_uuid(id), topic: Topic::RunFailed, source };
    let delivery = subject.id();
    let trouble = Trouble { status: Some(503), what: "answered 503".to_owned() };
    let took = Duration::from_millis(12);
    house.commands.settle_delivery(subject.clone(), 1, Err(trouble), took, None).await.unwrap();
    let head = house.journal.head().await.unwrap().as_u64().to_string();
    let query = "query($at: Position, $status: DeliveryStatus) { webhookDeliveries(status: $status, minPosition: $at) { nodes {
        deliveryId eventType status attemptsMade httpStatus trouble attempts { attempt succeeded httpStatus tookMs } taken: attempts(succeeded: true) { attempt } } } }";
    let listed = house.data(query, json!({ "at": head, "status": "GIVEN_UP" })).await;
    let expected = json!([{ "deliveryId": delivery.to_string(), "eventType": "run.failed", "status": "GIVEN_UP",
        "attemptsMade": 1, "httpStatus": 503, "trouble": "answered 503",
        "attempts": [{ "attempt": 1, "succeeded": false, "httpStatus": 503, "tookMs": 12 }], "taken": [] }]);
    assert_eq!(listed["webhookDeliveries"]["nodes"], expected);
    let replay = "mutation($input: ReplayDeliveryInput!) { replayWebhookDelivery(input: $input) { position changed } }";
    let input = json!({ "input": { "deliveryId": delivery.to_string() } });
    let replayed = house.data(replay, input).await;
    assert_eq!(replayed["replayWebhookDelivery"]["changed"], true);
    let one = "query($id: UUID!, $at: Position) { webhookDelivery(id: $id, minPosition: $at) { status } }";
    let at = &replayed["replayWebhookDelivery"]["position"];
    let shown = house.data(one, json!({ "id": delivery.to_string(), "at": at })).await;
    assert_eq!(shown["webhookDelivery"]["status"], "REQUESTED");
    let types = "{ webhookEventTypes { name description sample } back: webhookEventTypes(reversed: true) { name }
        some: webhookEventTypes(text: \"RUN.F\") { name } }";
    let types = house.data(types, json!({})).await;
    let names =
        |list: &Value| -> Vec<Value> { list.as_array().unwrap().iter().map(|known| known["name"].clone()).collect() };
    let mut all = names(&types["webhookEventTypes"]);
    assert_eq!(all.len(), Topic::ALL.len());
    all.reverse();
    assert_eq!(names(&types["back"]), all);
    assert_eq!(names(&types["some"]), ["run.failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_replay_is_answered_as_the_first_time() {
    let house = House::furnished().await;
    let made = house.hook("subscribeWebhook", "SubscribeWebhookInput", json!({ "url": "https://x.example/" })).await;
    house.start().await;
    let query = "mutation($input: ReplayDeliveriesInput!) { replayWebhookDeliveries(input: $input) { clientMutationId
        position repeated deliveryIds delivered open } }";
    let id = Uuid::from_u128(7);
    let wish = json!({ "clientMutationId": id, "webhookId": made["webhookId"], "from": "2026-01-01T00:00:00Z",
        "until": "2999-01-01T00:00:00Z" });
    let mut first = house.data(query, json!({ "input": wish })).await["replayWebhookDeliveries"].take();
    assert_eq!((&first["clientMutationId"], &first["repeated"]), (&json!(id), &json!(false)));
    let told = first["deliveryIds"].as_array().unwrap().len();
    assert!(told >= 1, "{first}");
    // What happens afterwards, within the same time, is not part of it.
    house.start().await;
    let head = house.head().await;
    let again = house.data(query, json!({ "input": wish })).await["replayWebhookDeliveries"].take();
    first["repeated"] = json!(true);
    assert_eq!(again, first);
    let mut other = wish.clone();
    other["deliveredToo"] = json!(true);
    assert_eq!(house.refusal(query, json!({ "input": other })).await.0, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(house.head().await, head, "nothing was recorded");
    other["clientMutationId"] = json!(Uuid::from_u128(8));
    let anew = house.data(query, json!({ "input": other })).await["replayWebhookDeliveries"].take();
    assert_eq!((&anew["open"], &anew["repeated"]), (&json!(told), &json!(false)));
}
