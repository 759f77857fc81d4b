//! Triggers through the API, with a real reactor and a real engine.

use std::sync::Arc;

use commands::Commands;
use domain::NodeId;
use journal::{Checkpoints, Members, MemoryCheckpoints};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::house::House;

const TRIGGER: &str = "key description workflowKey version kind schedule { cron zone jitterMs catchUpMs } eventTypes externalName
    when input { name expression } priority overlap pauseAfter enabled pause { by reason } nextAt running waiting failures";

impl House {
    pub(crate) async fn set(&self, input: Value) -> Value {
        let query = format!(
            "mutation($input: SetTriggerInput!) {{ setTrigger(input: $input) {{ changed repeated trigger {{ {TRIGGER} }} }} }}"
        );
        self.data(&query, json!({ "input": input })).await["setTrigger"].take()
    }

    async fn on_trigger(&self, name: &str) -> Value {
        let query = format!(
            "mutation {{ {name}(input: {{ key: \"orders\", reason: \"stocktaking\" }}) {{ changed trigger {{ {TRIGGER} }} }} }}"
        );
        self.data(&query, json!({})).await[name].take()
    }

    async fn post(&self, id: &str, amount: u64) -> Value {
        let query = "mutation($input: PostEventInput!) { postEvent(input: $input) { eventId changed } }";
        let input = json!({ "name": "order-paid", "id": id, "payload": { "amount": amount, "file": "Dear Sir" } });
        self.data(query, json!({ "input": input })).await["postEvent"].take()
    }

    /// Lets a real reactor decide about triggers. It stops when dropped.
    fn reactor(&self) -> DropGuard {
        let checkpoints: Arc<dyn Checkpoints> = Arc::new(MemoryCheckpoints::default());
        let (reactor, _) = engine::triggers::Service::new(
            engine::triggers::Options::default(),
            Commands::new(Arc::clone(&self.journal)),
            checkpoints,
            Members::alone(NodeId::from_uuid(Uuid::now_v7())),
        );
        let stop = CancellationToken::new();
        let shutdown = stop.clone();
        tokio::spawn(async move { reactor.run(shutdown).await });
        stop.drop_guard()
    }

    async fn firings(&self) -> usize {
        let query = "{ runs(first: 50) { nodes { firing { cause } } } }";
        let mut data = self.data(query, json!({})).await;
        let runs = data["runs"]["nodes"].take();
        runs.as_array().unwrap().iter().filter(|run| run["firing"].is_object()).count()
    }
}

fn orders() -> Value {
    json!({ "key": "orders", "description": "Thanks for large orders", "workflow": "letter",
        "external": { "name": "order-paid", "when": "payload.amount > `100`" },
        "input": [{ "name": "file", "expression": "trigger.payload.file" }], "priority": 5, "pauseAfter": 3 })
}

#[tokio::test]
async fn a_trigger_is_set_changed_paused_and_removed() {
    let house = House::furnished().await;
    let set = house.set(orders()).await;
    assert_eq!((&set["changed"], &set["trigger"]["kind"]), (&json!(true), &json!("EXTERNAL")));
    assert_eq!(set["trigger"]["overlap"], "ALLOW_ALL");
    assert_eq!(set["trigger"]["when"], "payload.amount > `100`");
    assert_eq!(house.set(orders()).await["changed"], false, "equal settings change nothing");

    assert_eq!(house.on_trigger("pauseTrigger").await["trigger"]["pause"]["reason"], "stocktaking");
    assert_eq!(house.on_trigger("pauseTrigger").await["changed"], false);
    assert_eq!(house.on_trigger("resumeTrigger").await["trigger"]["pause"], Value::Null);

    let nightly = json!({ "key": "nightly", "workflow": "letter", "overlap": "BUFFER_ONE",
        "schedule": { "cron": "30 2 * * MON-FRI", "zone": "Europe/Berlin", "jitterMs": 60_000 },
        "input": [{ "name": "file", "expression": "trigger.cause" }] });
    let nightly = house.set(nightly).await["trigger"].take();
    assert!(nightly["nextAt"].is_string(), "{nightly}");
    assert_eq!(nightly["schedule"]["catchUpMs"], 3_600_000);
    let next = "{ trigger(key: \"nightly\") { next(first: 3) { tick firesAt } } }";
    let next = house.data(next, json!({})).await;
    assert_eq!(next["trigger"]["next"].as_array().unwrap().len(), 3, "{next}");
    let all = house.data("{ triggers { nodes { key next { tick } } } }", json!({})).await;
    let keys: Vec<&Value> =
        all["triggers"]["nodes"].as_array().unwrap().iter().map(|trigger| &trigger["key"]).collect();
    assert_eq!(keys, ["nightly", "orders"]);

    assert_eq!(house.on_trigger("removeTrigger").await["trigger"], Value::Null);
    let gone = house.data("{ trigger(key: \"orders\") { key } }", json!({})).await;
    assert_eq!(gone["trigger"], Value::Null);
    let query = "mutation { pauseTrigger(input: { key: \"orders\" }) { changed } }";
    assert_eq!(house.refusal(query, json!({})).await.0, "TRIGGER_NOT_FOUND");
}

#[tokio::test]
async fn what_is_wrong_with_a_trigger_is_said() {
    let house = House::furnished().await;
    let query = "mutation($input: SetTriggerInput!) { setTrigger(input: $input) { changed } }";
    for (change, code, part) in [
        (json!({ "external": null }), "ARGUMENT_INVALID", "exactly one"),
        (json!({ "event": { "types": ["run.failed"] } }), "ARGUMENT_INVALID", "exactly one"),
        (json!({ "external": null, "schedule": { "cron": "61 * * * *" } }), "ARGUMENT_INVALID", "cron"),
        (
            json!({ "external": null, "schedule": { "cron": "1 * * * *", "zone": "Berlin" } }),
            "ARGUMENT_INVALID",
            "IANA",
        ),
        (json!({ "external": null, "event": { "types": ["run.flown"] } }), "TRIGGER_INVALID", "no event of that type"),
        (json!({ "workflow": "nowhere" }), "WORKFLOW_NOT_FOUND", "nowhere"),
        (json!({ "priority": 101 }), "TRIGGER_INVALID", "priority"),
    ] {
        let mut input = orders();
        for (name, value) in change.as_object().unwrap() {
            input[name] = value.clone();
        }
        let (found, message) = house.refusal(query, json!({ "input": input })).await;
        assert!(found == code && message.contains(part), "{change}: {found} {message}");
    }
}

#[tokio::test]
async fn what_is_posted_starts_a_run_once() {
    let house = House::furnished().await;
    house.set(orders()).await;
    let (_engine, _reactor) = (house.engine(), house.reactor());
    let posted = house.post("order-1", 250).await;
    assert_eq!(posted["changed"], true);
    let again = house.post("order-1", 250).await;
    assert_eq!((&again["changed"], &again["eventId"]), (&json!(false), &posted["eventId"]));
    house.post("order-2", 5).await;
    let now = "mutation { runTriggerNow(input: { key: \"orders\" }) { runId repeated } }";
    let (code, message) = house.refusal(now, json!({})).await;
    assert_eq!(code, "RUN_INPUT_INVALID", "by hand there is no payload: {message}");
    let begun = std::time::Instant::now();
    while house.firings().await < 1 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "the post starts a run");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(house.firings().await, 1, "the small order starts none, and the repeated post no second one");
}

#[tokio::test]
async fn a_post_that_is_sent_again_under_its_id_is_the_same_event() {
    let house = House::new().await;
    let post =
        "mutation($input: PostEventInput!) { postEvent(input: $input) { clientMutationId eventId changed position } }";
    let id = "0198c2f0-0000-7000-8000-000000000001";
    let input = json!({ "input": { "clientMutationId": id, "name": "order-paid", "payload": { "amount": 1 } } });
    let first = house.data(post, input.clone()).await["postEvent"].take();
    assert_eq!((&first["clientMutationId"], &first["changed"]), (&json!(id), &json!(true)));
    let again = house.data(post, input).await["postEvent"].take();
    assert_eq!((&again["eventId"], &again["changed"]), (&first["eventId"], &json!(false)));
    let other = json!({ "input": { "name": "order-paid", "payload": { "amount": 1 } } });
    assert_ne!(house.data(post, other).await["postEvent"]["eventId"], first["eventId"]);
}

#[tokio::test]
async fn a_past_range_is_made_up_for() {
    let house = House::furnished().await;
    let hourly = json!({ "key": "hourly", "workflow": "letter", "overlap": "ALLOW_ALL",
        "schedule": { "cron": "0 * * * *" }, "input": [{ "name": "file", "expression": "trigger.cause" }] });
    house.set(hourly).await;
    let query =
        "mutation { backfillTrigger(input: { key: \"hourly\", overlap: ALLOW_ALL, from: \"2026-01-01T00:00:00Z\",
        until: \"2026-01-01T02:30:00Z\" }) { position started { tick runId } waiting skipped known } }";
    let done = house.data(query, json!({})).await["backfillTrigger"].take();
    let shown = "query($id: UUID!, $at: Position) { run(id: $id, minPosition: $at) { firing { cause } } }";
    let shown = house.data(shown, json!({ "id": done["started"][2]["runId"], "at": done["position"] })).await;
    assert!(shown["run"]["firing"].is_object(), "{shown}");
    let ticks: Vec<&Value> = done["started"].as_array().unwrap().iter().map(|one| &one["tick"]).collect();
    assert_eq!(ticks, ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z"]);
    let again = house.data(query, json!({})).await["backfillTrigger"].take();
    assert_eq!((&again["started"], again["known"].as_array().unwrap().len()), (&json!([]), 3));
}

#[tokio::test]
async fn a_repeated_backfill_is_answered_as_the_first_time() {
    let house = House::furnished().await;
    let hourly = json!({ "key": "hourly", "workflow": "letter", "overlap": "ALLOW_ALL",
        "schedule": { "cron": "0 * * * *" }, "input": [{ "name": "file", "expression": "trigger.cause" }] });
    house.set(hourly).await;
    let query =
        "mutation($input: BackfillTriggerInput!) { backfillTrigger(input: $input) { clientMutationId position repeated
        started { tick runId } waiting skipped known } }";
    let id = Uuid::from_u128(7);
    let input = |id: Uuid, until: &str, overlap: &str| {
        json!({ "input": { "clientMutationId": id, "key": "hourly", "overlap": overlap, "from": "2026-01-01T00:00:00Z",
            "until": until } })
    };
    let wish = input(id, "2026-01-01T02:30:00Z", "BUFFER_ALL");
    let mut first = house.data(query, wish.clone()).await["backfillTrigger"].take();
    assert_eq!((&first["clientMutationId"], &first["repeated"]), (&json!(id), &json!(false)));
    assert_eq!((first["started"].as_array().unwrap().len(), first["waiting"].as_array().unwrap().len()), (1, 2));
    let head = house.head().await;
    assert_eq!(first["position"], head);
    let again = house.data(query, wish).await["backfillTrigger"].take();
    first["repeated"] = json!(true);
    assert_eq!(again, first);
    for other in [input(id, "2026-01-01T03:30:00Z", "BUFFER_ALL"), input(id, "2026-01-01T02:30:00Z", "SKIP")] {
        assert_eq!(house.refusal(query, other).await.0, "IDEMPOTENCY_KEY_REUSED");
    }
    assert_eq!(house.head().await, head, "nothing was recorded");
    // Another command's id is not free either, and another id is another command.
    let pause = json!({ "input": { "clientMutationId": Uuid::from_u128(8), "key": "hourly" } });
    house.data("mutation($input: TriggerInput!) { pauseTrigger(input: $input) { changed } }", pause).await;
    let taken = house.refusal(query, input(Uuid::from_u128(8), "2026-01-01T02:30:00Z", "BUFFER_ALL")).await;
    assert_eq!(taken.0, "IDEMPOTENCY_KEY_REUSED");
    let anew = house.data(query, input(Uuid::from_u128(9), "2026-01-01T02:30:00Z", "BUFFER_ALL")).await;
    assert_eq!(anew["backfillTrigger"]["known"].as_array().unwrap().len(), 3);
}
