//! Keys of idempotency, on every endpoint that takes one.

use std::collections::BTreeSet;
use std::time::Duration;

use commands::Commands;
use domain::delivery::{Source, Subject, Trouble};
use domain::webhook::Topic;
use domain::{DeliveryId, EventId, NodeId, Run, RunCommand, RunId, WebhookId};
use journal::{Filter, Position};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::actions::{carry_out, context};
use crate::house::{AGENT, House, done, header};

/// A request that records something, and another one under the same key.
struct Case {
    method: &'static str,
    /// As the document names it.
    path: &'static str,
    /// What stands in the place of its names.
    names: Vec<String>,
    body: Option<String>,
    /// Another body; where there is none, another query is another request.
    other: Option<String>,
}

impl Case {
    fn new<const N: usize>(method: &'static str, path: &'static str, names: [&str; N]) -> Self {
        let names = names.into_iter().map(str::to_owned).collect();
        Self { method, path, names, body: None, other: None }
    }

    fn with(mut self, body: Value, other: Value) -> Self {
        (self.body, self.other) = (Some(body.to_string()), Some(other.to_string()));
        self
    }

    fn with_body(mut self, body: Value) -> Self {
        self.body = Some(body.to_string());
        self
    }

    fn url(&self, house: &House) -> String {
        let mut names = self.names.iter();
        let part = |part: &str| if part.starts_with('{') { names.next().unwrap().clone() } else { part.to_owned() };
        let parts: Vec<String> = self.path.split('/').map(part).collect();
        format!("{}{}", house.url, parts.join("/"))
    }

    async fn send(&self, house: &House, key: &str, is_other: bool) -> Response {
        let query = if is_other && self.other.is_none() { "?other=1" } else { "" };
        let method = Method::from_bytes(self.method.as_bytes()).unwrap();
        let request = house.http.request(method, format!("{}{query}", self.url(house)));
        let kind = if self.path.contains("/catalogue/") { "application/yaml" } else { "application/json" };
        let request = request.header("idempotency-key", key);
        let body = if is_other { self.other.as_ref().or(self.body.as_ref()) } else { self.body.as_ref() };
        let request = match body {
            Some(body) => request.header("content-type", kind).body(body.clone()),
            None => request,
        };
        request.send().await.unwrap()
    }
}

/// The cases, in an order in which each of them records something.
async fn cases(house: &House) -> Vec<Case> {
    let commands = Commands::new(std::sync::Arc::clone(&house.journal));
    let on_run = async |run: RunId, command| {
        commands.executor().execute::<Run>(run.into(), command, context(), false).await.unwrap();
    };
    let subscribe = async |url: &str| {
        let hook = done(house.post("/webhooks", &json!({ "url": url })), 201).await;
        hook["id"].as_str().unwrap().to_owned()
    };
    let (hook, quiet, gone) = (
        subscribe("https://one.example/").await,
        subscribe("https://two.example/").await,
        subscribe("https://three.example/").await,
    );
    // A run that has completed, one that was cancelled, one that is going on, and one that waits for people.
    let body = json!({ "workflow": "letter", "input": { "file": "Dear Sir" }, "output": "every" });
    let ended = done(house.post("/runs", &body), 201).await["id"].as_str().unwrap().to_owned();
    let task = carry_out(house, ended.parse().unwrap()).await;
    let cancelled = house.start().await;
    done(house.post(&format!("/runs/{cancelled}/cancel"), &json!({ "graceMs": 0 })), 200).await;
    let (cancelled_id, node) = (cancelled.parse().unwrap(), NodeId::from_uuid(Uuid::now_v7()));
    on_run(cancelled_id, RunCommand::Claim { node }).await;
    on_run(cancelled_id, RunCommand::CutOff { now: commands::now() }).await;
    let going = house.start().await;
    let mut asking = Vec::new();
    for _ in 0..2 {
        let body = json!({ "workflow": "signed", "input": { "file": "Dear Sir" } });
        let run = done(house.post("/runs", &body), 201).await["id"].as_str().unwrap().to_owned();
        on_run(run.parse().unwrap(), RunCommand::Claim { node }).await;
        on_run(run.parse().unwrap(), RunCommand::Advance { now: commands::now() }).await;
        asking.push(run);
    }
    let at = house.journal.head().await.unwrap();
    let open = done(house.get(&format!("/approvals?minPosition={at}")), 200).await;
    let hash = open["items"][0]["contentHash"].clone();
    // A delivery that was given up.
    let source = Source {
        event: EventId::from_uuid(Uuid::now_v7()),
        stream: ended.parse::<RunId>().unwrap().into(),
        revision: 0,
        position: 1,
        at: commands::now(),
    };
    let webhook = WebhookId::from_uuid(quiet.parse().unwrap());
    let delivery = DeliveryId::of(webhook, source.event).as_uuid().to_string();
    let subject = Subject { webhook, topic: Topic::RunCompleted, source };
    let trouble = Trouble { status: Some(503), what: "answered 503".to_owned() };
    commands.settle_delivery(subject, 1, Err(trouble), Duration::ZERO, None).await.unwrap();

    let run = |file: &str| json!({ "workflow": "letter", "input": { "file": file } });
    let text = |text: &str| json!({ "template": "draft", "parameters": { "text": text } });
    let reason = |reason: &str| json!({ "reason": reason });
    let model = |model: &str| json!({ "changes": { "model": model } });
    let decision = |comment: &str| json!({ "contentHash": hash, "comment": comment });
    let from = |from: &str| json!({ "from": from });
    let item = format!("{task}.1");
    let task = task.to_string();
    let mut revised = Case::new("PUT", "/api/v1/catalogue/{kind}/{key}", ["agents", "writer"]);
    revised.body = Some(AGENT.replace("You write.", "You write well."));
    revised.other = Some(AGENT.replace("You write.", "You write badly."));
    vec![
        Case::new("POST", "/api/v1/runs", []).with(run("a"), run("b")),
        Case::new("POST", "/api/v1/workflows/{key}/runs", ["letter"])
            .with(json!({ "file": "a" }), json!({ "file": "b" })),
        Case::new("POST", "/api/v1/tasks", []).with(text("a"), text("b")),
        Case::new("POST", "/api/v1/tasks/{id}/again", [&task]).with(json!({ "model": "a" }), json!({ "model": "b" })),
        Case::new("POST", "/api/v1/tasks/{id}/ratings", [&task]).with(json!({ "rating": 3 }), json!({ "rating": 4 })),
        Case::new("POST", "/api/v1/runs/{id}/pause", [&going]).with(reason("a"), reason("b")),
        Case::new("POST", "/api/v1/runs/{id}/resume", [&going]).with_body(json!({})),
        Case::new("POST", "/api/v1/runs/{id}/signals", [&going])
            .with(json!({ "signal": "a" }), json!({ "signal": "b" })),
        Case::new("POST", "/api/v1/runs/{id}/cancel", [&going]).with(reason("a"), reason("b")),
        Case::new("POST", "/api/v1/runs/{id}/retry", [&cancelled]).with(model("a"), model("b")),
        Case::new("POST", "/api/v1/runs/{id}/rerun", [&ended])
            .with(json!({ "from": ["draft"] }), json!({ "from": ["draft"], "changes": { "model": "b" } })),
        Case::new("POST", "/api/v1/runs/{id}/fork", [&ended])
            .with(json!({ "revision": 1 }), json!({ "revision": 1, "changes": { "model": "b" } })),
        Case::new("POST", "/api/v1/approvals/{run}/{step}/approve", [&asking[0], "sign"])
            .with(decision("a"), decision("b")),
        Case::new("POST", "/api/v1/approvals/{run}/{step}/reject", [&asking[1], "sign"])
            .with(decision("a"), decision("b")),
        Case::new("PATCH", "/api/v1/action-items/{id}", [&item])
            .with(json!({ "state": "done" }), json!({ "state": "dismissed" })),
        revised,
        Case::new("POST", "/api/v1/webhooks", [])
            .with(json!({ "url": "https://a.example/" }), json!({ "url": "https://b.example/" })),
        Case::new("PATCH", "/api/v1/webhooks/{id}", [&hook])
            .with(json!({ "description": "a" }), json!({ "description": "b" })),
        Case::new("POST", "/api/v1/webhooks/{id}/pause", [&hook]).with(reason("a"), reason("b")),
        Case::new("POST", "/api/v1/webhooks/{id}/resume", [&hook]),
        Case::new("POST", "/api/v1/webhooks/{id}/rotate", [&hook])
            .with(json!({ "overlap_seconds": 5 }), json!({ "overlap_seconds": 6 })),
        Case::new("POST", "/api/v1/webhooks/{id}/test", [&hook]),
        Case::new("POST", "/api/v1/webhooks/{id}/replay", [&hook])
            .with(from("2020-01-01T00:00:00Z"), from("2020-01-02T00:00:00Z")),
        Case::new("POST", "/api/v1/webhooks/deliveries/{id}/replay", [&delivery]),
        Case::new("DELETE", "/api/v1/webhooks/{id}", [&gone]),
    ]
}

/// Everything that was recorded.
async fn recorded(house: &House) -> usize {
    house.journal.read_all(Position::START, &Filter::default(), 100_000).await.unwrap().events.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_means_one_request_wherever_it_is_taken() {
    let house = House::furnished().await;
    let cases = cases(&house).await;
    let mut met = BTreeSet::new();
    for case in &cases {
        let what = format!("{} {}", case.method, case.path);
        met.insert(what.clone());
        let before = recorded(&house).await;
        let first = case.send(&house, &what, false).await;
        let (status, replayed) = (first.status(), header(&first, "idempotency-replayed"));
        let first = first.text().await.unwrap();
        assert!(status.is_success(), "{what}: {first}");
        assert_eq!(replayed, None, "{what}");
        let after = recorded(&house).await;
        assert!(after > before, "{what} records nothing");

        let again = case.send(&house, &what, false).await;
        assert_eq!(
            (again.status(), header(&again, "idempotency-replayed").as_deref()),
            (status, Some("true")),
            "{what}"
        );
        assert_eq!(again.text().await.unwrap(), first, "{what}");
        assert_eq!(recorded(&house).await, after, "{what} was done twice");

        let other = case.send(&house, &what, true).await;
        assert_eq!(other.status(), 422, "{what}");
        let other: Value = other.json().await.unwrap();
        assert_eq!(other["code"], "IDEMPOTENCY_KEY_REUSED", "{what}");
        assert_eq!(recorded(&house).await, after, "{what} was done for another request");
    }
    assert_eq!(met, taking_keys(), "whoever takes a key is tried here");
}

/// The endpoints that take a key, by the document.
fn taking_keys() -> BTreeSet<String> {
    let document = serde_json::to_value(rest::openapi()).unwrap();
    let mut taking = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            if parameters.into_iter().any(|parameter| parameter["name"] == "Idempotency-Key") {
                taking.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    taking
}
