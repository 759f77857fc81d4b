//! A house in which there is one of everything.

use std::time::Duration;

use domain::delivery::{Source, Subject};
use domain::webhook::Topic;
use domain::{Category, EventId, RunId, StreamId, TaskId, WebhookId};
use serde_json::json;
use uuid::Uuid;

use crate::actions::{asking, end};
use crate::house::{ACTIVATE, DRAFT, House};

/// The house, and what tests ask for by their own ids.
pub(crate) struct Stock {
    pub(crate) house: House,
    /// A run that has ended, with two steps, three attempts and action items.
    pub(crate) run: RunId,
    /// A run in which people are asked.
    pub(crate) asked: RunId,
    pub(crate) task: TaskId,
    pub(crate) webhook: Uuid,
    pub(crate) delivery: Uuid,
}

impl Stock {
    pub(crate) async fn new() -> Self {
        let house = House::furnished().await;
        let asked = ask_people(&house).await;
        let run = asking(&house).await;
        end(&house, run).await;
        let hourly = json!({ "key": "hourly", "workflow": "letter", "schedule": { "cron": "0 * * * *" },
            "input": [{ "name": "file", "expression": "trigger.cause" }] });
        let made = [
            ("setTrigger", hourly),
            ("setLimit", json!({ "key": "writers", "scope": "AGENT", "scopeKey": "writer", "maxRunning": 2 })),
            ("setBudget", json!({ "key": "all", "scope": "ORGANISATION", "window": "MONTH", "limit": "5000" })),
            ("placeHold", json!({ "workflow": "letter", "reason": "audit" })),
            ("liftHold", json!({ "workflow": "letter" })),
            ("placeHold", json!({ "workflow": "letter", "reason": "audit again" })),
            ("saveSearch", json!({ "name": "what. is-late", "list": "RUNS" })),
        ];
        for (name, input) in made {
            let kind = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
            let query = format!("mutation($input: {kind}!) {{ {name}(input: $input) {{ changed }} }}");
            assert_eq!(house.data(&query, json!({ "input": input })).await[name]["changed"], true, "{name}");
        }
        let (webhook, delivery) = told(&house).await;
        let task = TaskId::of_step(run, &"outline".parse().unwrap());
        Self { house, run, asked, task, webhook, delivery }
    }
}

/// A run that waits for people.
async fn ask_people(house: &House) -> RunId {
    let release = json!({ "key": "release", "name": "Release", "inputSchema": { "type": "object" }, "steps": [
        { "name": "ask", "title": "Ask", "approval": { "question": "May it go out?", "approvers": ["anyone"] } } ] });
    house.data(DRAFT, json!({ "input": release })).await;
    house.data(ACTIVATE, json!({ "input": { "key": "release" } })).await;
    let start = "mutation($input: StartRunInput!) { startRun(input: $input) { runId } }";
    let started = house.data(start, json!({ "input": { "workflow": "release", "input": {} } })).await;
    let run: RunId = started["startRun"]["runId"].as_str().unwrap().parse().unwrap();
    let engine = house.engine();
    house.until(run, "run.approval_requested", 1).await;
    drop(engine);
    run
}

/// A webhook that was told something.
async fn told(house: &House) -> (Uuid, Uuid) {
    let subscribe = "mutation($input: SubscribeWebhookInput!) { subscribeWebhook(input: $input) { webhookId } }";
    let made = house.data(subscribe, json!({ "input": { "url": "https://x.example/" } })).await;
    let webhook: Uuid = made["subscribeWebhook"]["webhookId"].as_str().unwrap().parse().unwrap();
    let source = Source {
        event: EventId::from_uuid(Uuid::from_u128(3)),
        stream: StreamId { category: Category::Run, id: Uuid::from_u128(4) },
        revision: 0,
        position: 1,
        at: commands::now(),
    };
    let subject = Subject { webhook: WebhookId::from_uuid(webhook), topic: Topic::RunFailed, source };
    let delivery = subject.id().as_uuid();
    house.commands.settle_delivery(subject, 1, Ok(204), Duration::from_millis(12), None).await.unwrap();
    (webhook, delivery)
}
