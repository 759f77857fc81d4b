//! What is read straight from the journal is of its end, also on a node that has heard of nothing: what one node recorded is
//! there on every other at once, without `minPosition`.

use std::sync::Arc;

use journal::postgres::{Options, PostgresJournal};
use serde_json::{Value, json};
use testkit::Database;
use tokio_util::sync::CancellationToken;

use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn what_another_node_recorded_is_there_at_once() {
    let database = Database::create().await;
    let open = async || PostgresJournal::open(Options::from_url(database.url()).unwrap()).await.unwrap();
    let (journal, service) = open().await;
    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();
    tokio::spawn(service.run(stop));
    let writer = House::over(Arc::new(journal), Database::create().await).await.furnish().await;
    // Nobody listens here, so whatever this node knows of what comes it has read.
    let (deaf, _never_run) = open().await;
    let reader = House::over(Arc::new(deaf), Database::create().await).await;
    let run = writer.start().await;
    let ask = "query($id: UUID!, $key: String!) {
        budgets { nodes { key description } } budget(key: $key) { description }
        triggers { nodes { key description pause { reason } } } trigger(key: $key) { description }
        webhooks { nodes { webhookId description status } }
        savedSearches { nodes { name } } savedSearch(name: $key) { name }
        explainRun(id: $id) { status next { reason } } }";
    for round in 0..3 {
        let (key, round) = (format!("k{round}"), round.to_string());
        let budget =
            json!({ "key": key, "description": round, "scope": "ORGANISATION", "window": "DAY", "limit": "7" });
        writer.mutate("setBudget", budget, "changed").await;
        let trigger = json!({ "key": key, "description": round, "workflow": "letter",
            "event": { "types": ["run.failed"] }, "input": [{ "name": "file", "expression": "'Dear Sir'" }] });
        writer.mutate("setTrigger", trigger, "changed").await;
        let pause = json!({ "key": key, "reason": round });
        writer.mutate_as("pauseTrigger", "TriggerInput", pause, "changed").await;
        let hook = json!({ "url": format!("https://{key}.example/"), "description": round });
        let hook = writer.mutate("subscribeWebhook", hook, "webhookId").await["webhookId"].take();
        writer.mutate_as("pauseWebhook", "WebhookInput", json!({ "webhookId": hook }), "changed").await;
        writer.mutate("saveSearch", json!({ "name": key, "list": "RUNS" }), "changed").await;
        writer.mutate("pauseRun", json!({ "runId": run, "reason": round }), "changed").await;
        let seen = reader.data(ask, json!({ "id": run, "key": key })).await;
        let last = |list: &str| seen[list]["nodes"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(last("budgets"), json!({ "key": key, "description": round }));
        assert_eq!(seen["budget"]["description"], round);
        assert_eq!(last("triggers"), json!({ "key": key, "description": round, "pause": { "reason": round } }));
        assert_eq!(seen["trigger"]["description"], round);
        assert_eq!(last("webhooks"), json!({ "webhookId": hook, "description": round, "status": "PAUSED" }));
        assert_eq!((last("savedSearches"), &seen["savedSearch"]), (json!({ "name": key }), &json!({ "name": key })));
        let why: Vec<&Value> =
            seen["explainRun"]["next"].as_array().unwrap().iter().map(|next| &next["reason"]).collect();
        assert_eq!((&seen["explainRun"]["status"], why), (&json!("PAUSED"), vec![&json!(round)]));
        writer.mutate("resumeRun", json!({ "runId": run }), "changed").await;
    }
    // What is gone is gone.
    writer.mutate("removeBudget", json!({ "key": "k1" }), "changed").await;
    writer.mutate_as("removeTrigger", "TriggerInput", json!({ "key": "k1" }), "changed").await;
    let seen = reader.data(ask, json!({ "id": run, "key": "k1" })).await;
    for list in ["budgets", "triggers"] {
        let keys: Vec<&Value> = seen[list]["nodes"].as_array().unwrap().iter().map(|one| &one["key"]).collect();
        assert_eq!(keys, ["k0", "k2"], "{list}");
    }
    assert_eq!((&seen["budget"], &seen["trigger"]), (&Value::Null, &Value::Null));
}
