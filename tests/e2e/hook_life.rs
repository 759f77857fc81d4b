//! The life of a webhook as Zapier's REST hooks, Make's attached webhooks and n8n's trigger nodes lead it, by the
//! requests that their documentation and templates make (docs/integrate).

use reqwest::Method;
use serde_json::{Value, json};
use testkit::webhooks::{HookReceiver, Reply, others_believe};
use tokio::runtime::Runtime;

use crate::program::{Home, Server, install_crypto, until};

/// A program whose webhooks may be on this machine, and a client of its API.
struct Api {
    server: Server,
    runtime: Runtime,
    client: reqwest::Client,
}

impl Api {
    fn of(home: &Home) -> Self {
        let mut command = home.command(&["serve", "--port", "0", "--json", "--simulate"]);
        command
            .env("HISHAMOS_WEBHOOKS__INSECURE_HTTP", "true")
            .env("HISHAMOS_WEBHOOKS__NETWORKS", "[\"127.0.0.0/8\"]")
            .env("HISHAMOS_WEBHOOKS__RETRY_SECONDS", "[1, 1]");
        let server = home.serve_by(command);
        home.run(&["catalog", "load"]).expect(0);
        install_crypto();
        Self { server, runtime: Runtime::new().unwrap(), client: reqwest::Client::new() }
    }

    fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> (u16, Value) {
        let mut request = self.client.request(method, format!("{}/api/v1/webhooks{path}", self.server.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        self.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            let bytes = answer.bytes().await.unwrap();
            (status, if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() })
        })
    }

    fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask(Method::GET, path, &[], None);
        assert_eq!(status, 200, "{answer}");
        answer
    }

    fn delete(&self, path: &str) -> u16 {
        self.ask(Method::DELETE, path, &[], None).0
    }
}

fn run(home: &Home) -> Value {
    home.run(&["run", "welcome", "--input", "file=@README.md", "--json"]).expect(0).json()["runId"].clone()
}

#[test]
fn a_zap_is_switched_on_and_off() {
    let home = Home::new();
    let api = Api::of(&home);
    // While the Zap is made, its editor shows samples, in the shape of what will come.
    let samples = api.get("/samples?event_type=run.completed");
    let sample = &samples.as_array().unwrap()[0];
    // Switching it on: performSubscribe.
    let zapier = HookReceiver::start(|got| Reply::status(if got.number == 0 { 200 } else { 410 }));
    let wanted = json!({ "targetUrl": zapier.url("/hooks/standard/1/abc/"), "event": "run.completed" });
    let (status, subscribed) = api.ask(Method::POST, "", &[], Some(wanted));
    assert_eq!(status, 201, "{subscribed}");
    run(&home);
    let got = zapier.next();
    let fields = |value: &Value| value["data"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!((got.json()["type"].clone(), fields(&got.json())), (sample["type"].clone(), fields(sample)));
    assert!(others_believe(subscribed["secret"].as_str().unwrap(), &got));
    // A Zap that is gone answers 410, and is told no more.
    let id = subscribed["id"].as_str().unwrap();
    run(&home);
    until("it is disabled", || (api.get(&format!("/{id}"))["status"] == "disabled").then_some(()));
    assert_eq!(api.get(&format!("/{id}"))["reason"], "gone");
    // Switching it off: performUnsubscribe. Zapier may do it twice.
    assert_eq!(api.delete(&format!("/{id}")), 204);
    assert_eq!(api.delete(&format!("/{id}")), 204);
    assert_eq!(api.get("")["webhooks"], json!([]));
}

#[test]
fn make_attaches_and_detaches() {
    let home = Home::new();
    let api = Api::of(&home);
    let make = HookReceiver::patient();
    // attach: the body is a template, `{"url": "{{webhook.url}}", …}`; the answer's id is kept as externalHookId.
    let wanted = json!({ "url": make.url("/abc"), "event_types": ["run.started"], "description": "Make" });
    let key = [("idempotency-key", "attach-1")];
    let (status, attached) = api.ask(Method::POST, "", &key, Some(wanted.clone()));
    assert_eq!(status, 201);
    let (_, again) = api.ask(Method::POST, "", &key, Some(wanted));
    assert_eq!((&again["id"], &again["secret"]), (&attached["id"], &attached["secret"]), "a repeated request is one");
    let started = run(&home);
    assert_eq!(make.next().json()["data"]["run_id"], started);
    let id = attached["id"].as_str().unwrap();
    let log = until("the log", || {
        let log = api.get(&format!("/{id}/deliveries?limit=1"));
        (log["deliveries"][0]["status"] == "delivered").then_some(log)
    });
    let delivery = log["deliveries"][0]["id"].as_str().unwrap();
    let (status, _) = api.ask(Method::POST, &format!("/deliveries/{delivery}/replay"), &[], None);
    assert_eq!((status, &make.next().json()["data"]["run_id"]), (202, &started));
    until("the second record", || {
        let again = api.get(&format!("/{id}/deliveries"));
        let (before, now) = (&log["deliveries"][0], &again["deliveries"][0]);
        (now["status"] == "delivered" && now["changed_at"] != before["changed_at"]).then_some(())
    });
    let range = json!({ "from": "2020-01-01T00:00:00Z", "delivered_too": true });
    let (status, replayed) = api.ask(Method::POST, &format!("/{id}/replay"), &[], Some(range));
    assert_eq!((status, replayed["delivery_ids"].as_array().unwrap().len()), (202, 1), "{replayed}");
    assert_eq!(make.next().header("webhook-id"), log["deliveries"][0]["message_id"]);
    // detach.
    assert_eq!(api.delete(&format!("/{id}")), 204);
}

#[test]
fn n8n_checks_creates_and_deletes() {
    let home = Home::new();
    let api = Api::of(&home);
    let n8n = HookReceiver::patient();
    let url = n8n.url("/webhook/0f9e/hishamos");
    // checkExists: is there one with this node's URL?
    let exists = || api.get(&format!("?url={url}"))["webhooks"].as_array().unwrap().clone();
    assert!(exists().is_empty());
    // create.
    let (status, created) = api.ask(Method::POST, "", &[], Some(json!({ "url": url, "event_types": ["run.started"] })));
    assert_eq!(status, 201);
    assert_eq!(exists()[0]["id"], created["id"]);
    assert_eq!(exists()[0]["event_types"], json!(["run.started"]));
    let id = created["id"].as_str().unwrap();
    let (status, _) = api.ask(Method::POST, &format!("/{id}/test"), &[], None);
    assert_eq!((status, n8n.next().json()["type"].as_str()), (202, Some("webhook.test")));
    // A changed node: other events at the same URL.
    let change = json!({ "event_types": ["run.completed"] });
    let (status, changed) = api.ask(Method::PATCH, &format!("/{id}"), &[], Some(change));
    assert_eq!((status, &changed["event_types"]), (200, &json!(["run.completed"])));
    let started = run(&home);
    let got = n8n.next().json();
    assert_eq!((got["type"].as_str(), &got["data"]["run_id"]), (Some("run.completed"), &started));
    let (_, rotated) = api.ask(Method::POST, &format!("/{id}/rotate"), &[], Some(json!({ "overlap_seconds": 60 })));
    assert_ne!(rotated["secret"], created["secret"]);
    // delete, by the URL.
    assert_eq!(api.delete(&format!("?url={url}")), 204);
    assert_eq!(api.delete(&format!("?url={url}")), 404);
    assert!(exists().is_empty());

    let refused = |body: Value| {
        let (status, problem) = api.ask(Method::POST, "", &[], Some(body));
        (status, problem["code"].as_str().unwrap().to_owned())
    };
    assert_eq!(refused(json!({ "url": "ftp://x/" })), (422, "WEBHOOK_INVALID".to_owned()));
    assert_eq!(refused(json!({ "url": url, "event_types": ["run.exploded"] })), (400, "ARGUMENT_INVALID".to_owned()));
    assert_eq!(refused(json!({})), (400, "BODY_INVALID".to_owned()));
    let types = api.get("/event-types");
    assert_eq!(types["event_types"].as_array().unwrap().len(), api.get("/samples").as_array().unwrap().len());
    assert_eq!(api.ask(Method::GET, &format!("/{id}"), &[], None).0, 404);
}
