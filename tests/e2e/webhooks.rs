//! Webhooks in both directions, with the running program.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::webhooks::{HookReceiver, Reply, others_believe, signed_by_others};

use crate::program::{Home, Server, install_crypto, send, until, until_shown_ended};

const ON_POST: &str = r#"
key: paid
workflow: welcome
external: { name: order-paid, when: payload.paid }
input: { file: trigger.payload.text }
"#;

/// A program whose webhooks may be on this machine.
fn local(home: &Home) -> Command {
    let mut command = home.command(&["serve", "--port", "0", "--json", "--simulate"]);
    command
        .env("HISHAMOS_WEBHOOKS__INSECURE_HTTP", "true")
        .env("HISHAMOS_WEBHOOKS__NETWORKS", "[\"127.0.0.0/8\"]")
        .env("HISHAMOS_WEBHOOKS__RETRY_SECONDS", "[1, 1, 1]");
    command
}

fn started(home: &Home) -> Server {
    let server = home.serve_by(local(home));
    home.run(&["catalog", "load"]).expect(0);
    server
}

fn welcome(home: &Home) -> String {
    let run = home.run(&["run", "welcome", "--input", "file=@README.md", "--json"]).expect(0).json();
    run["runId"].as_str().or(run["id"].as_str()).unwrap().to_owned()
}

#[test]
fn a_run_is_told_from_its_start_to_its_end() {
    let home = Home::new();
    let server = started(&home);
    let receiver = HookReceiver::patient();
    let refused = home.run(&["webhook", "subscribe", "https://10.0.0.1/x"]).expect(2);
    assert!(refused.all().contains("open internet"), "{}", refused.all());
    let url = receiver.url("/in");
    let told =
        home.run(&["webhook", "subscribe", &url, "--event", "run.started", "--event", "run.completed", "--json"]);
    let told = told.expect(0).json();
    let (id, secret) = (told["webhookId"].as_str().unwrap().to_owned(), told["secret"].as_str().unwrap().to_owned());
    let run = welcome(&home);
    let mut got = [receiver.next(), receiver.next()];
    // No order is promised.
    got.sort_by_key(|got| got.json()["type"] != "run.started");
    let types: Vec<Value> = got.iter().map(|got| got.json()["type"].clone()).collect();
    assert_eq!(types, [json!("run.started"), json!("run.completed")]);
    for got in &got {
        assert_eq!(got.json()["data"]["run_id"], json!(run));
        assert!(others_believe(&secret, got));
    }
    let deliveries = until("the log", || {
        let list = home.run(&["webhook", "deliveries", &id, "--json"]).expect(0).json();
        let list = list.as_array().unwrap().clone();
        (list.len() == 2 && list.iter().all(|one| one["status"] == "DELIVERED")).then_some(list)
    });
    // What was told can be told once more, under its own id.
    let first = deliveries.last().unwrap()["deliveryId"].as_str().unwrap();
    home.run(&["webhook", "replay", first]).expect(0);
    assert_eq!(receiver.next().header("webhook-id"), got[0].header("webhook-id"));
    let rotated = home.run(&["webhook", "rotate", &id, "--json"]).expect(0).json();
    home.run(&["webhook", "test", &id]).expect(0);
    let test = receiver.next();
    assert_eq!(test.json()["type"], "webhook.test");
    assert!(others_believe(&secret, &test) && others_believe(rotated["secret"].as_str().unwrap(), &test));
    let shown = home.run(&["webhook", "list"]).expect(0).out();
    assert!(shown.contains(&id) && shown.contains(&url) && !shown.contains("whsec_"), "{shown}");
    home.run(&["webhook", "pause", &id, "--reason", "holiday"]).expect(0);
    home.run(&["webhook", "test", &id]).expect(2);
    home.run(&["webhook", "resume", &id]).expect(0);
    home.run(&["webhook", "delete", &id]).expect(0);
    home.run(&["webhook", "show", &id]).expect(2);
    let journal = home.run(&["audit", "verify", "--json"]).expect(0);
    drop(journal);
    let (_, log) = server.end("-TERM");
    assert!(!log.contains("whsec_"), "no secret is logged");
}

#[test]
fn what_was_delivered_but_not_recorded_is_told_again_after_kill_9() {
    let home = Home::new();
    let server = started(&home);
    // The first request gets no answer for long, so nobody can have recorded it.
    let receiver = HookReceiver::start(|got| Reply {
        after: if got.number == 0 { Duration::from_secs(3600) } else { Duration::ZERO },
        ..Reply::status(200)
    });
    let url = receiver.url("/");
    let told = home.run(&["webhook", "subscribe", &url, "--event", "run.started", "--json"]).expect(0).json();
    welcome(&home);
    let first = receiver.next();
    send("-KILL", server.id());
    drop(server);
    let server = home.serve_by(local(&home));
    let second = receiver.next();
    assert_eq!((first.header("webhook-id"), &first.body), (second.header("webhook-id"), &second.body));
    assert!(others_believe(told["secret"].as_str().unwrap(), &second), "the key is the same after a restart");
    drop(server);
}

#[test]
fn what_is_posted_and_signed_starts_a_run_once() {
    let home = Home::new();
    home.write("paid.yaml", ON_POST);
    home.write("hishamos.toml", "[hooks.pushed]\nscheme = \"github\"\nsecret = \"It's a Secret to Everybody\"\n");
    home.write("pushed.yaml", ON_POST.replace("key: paid", "key: pushed").replace("order-paid", "push"));
    let server = started(&home);
    home.run(&["trigger", "set", "paid.yaml"]).expect(0);
    home.run(&["trigger", "set", "pushed.yaml"]).expect(0);
    let hook = home.run(&["trigger", "hook", "paid", "--json"]).expect(0).json();
    assert_eq!(hook["path"], "/hooks/paid");
    let secret = hook["secret"].as_str().unwrap();
    install_crypto();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = reqwest::Client::new();
    let post = |path: &str, headers: &[(&str, &str)], body: &str| {
        let mut request = client.post(format!("{}{path}", server.url)).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        runtime.block_on(async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        })
    };
    let code = |answer: &Value| answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned();
    let body = r#"{"paid": true, "text": "thanks"}"#;
    let signed = signed_by_others(secret, "msg_1", body);
    let headers: Vec<(&str, &str)> = signed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (status, first) = post("/hooks/paid", &headers, body);
    assert_eq!((status, &first["repeated"]), (202, &json!(false)), "{first}");
    let (status, again) = post("/hooks/paid", &headers, body);
    assert_eq!((status, &again["repeated"], &again["event_id"]), (202, &json!(true), &first["event_id"]));
    // Nothing that was changed is believed, and whoever cannot sign learns nothing.
    let (status, changed) = post("/hooks/paid", &headers, r#"{"paid": true, "text": "more"}"#);
    assert_eq!((status, code(&changed).as_str()), (401, "HOOK_SIGNATURE_REFUSED"));
    let (status, nobody) = post("/hooks/nobody", &headers, body);
    assert_eq!((status, code(&nobody).as_str()), (401, "HOOK_SIGNATURE_REFUSED"));
    assert_eq!(post("/hooks/paid", &[], body).0, 401);
    let old: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, if *name == "webhook-timestamp" { "1600000000" } else { value }))
        .collect();
    assert_eq!(post("/hooks/paid", &old, body).0, 401);

    // As GitHub signs; this is the example of its documentation, whose body is no JSON.
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let github = [("x-hub-signature-256", signature), ("x-github-delivery", "d-1")];
    let (status, refused) = post("/hooks/pushed", &github, "Hello, World!");
    assert_eq!((status, code(&refused).as_str()), (400, "BODY_INVALID"), "believed, and then read");
    let hidden = home.run(&["trigger", "hook", "pushed", "--json"]).expect(0).json();
    assert_eq!(hidden["secret"], Value::Null, "a configured secret is not shown");

    let runs = || home.run(&["runs", "--json"]).expect(0).json();
    until("the run", || (!runs()["nodes"].as_array().unwrap().is_empty()).then_some(()));
    until_shown_ended(runs);
    assert_eq!(runs()["nodes"].as_array().unwrap().len(), 1, "two posts of one message start one run");
    drop(server);
}
