//! What holds for every resource: keys of idempotency, preconditions, limits, problems.

use std::time::Duration;

use rest::Rate;
use serde_json::{Value, json};

use crate::house::{House, done, header, refused};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_means_one_request_for_ever() {
    let house = House::furnished().await;
    let body = json!({ "workflow": "letter", "input": { "file": "Dear Sir" } });
    let start = |body: &Value| house.post("/runs", body).header("idempotency-key", "\"key-1\"");
    let first = start(&body).send().await.unwrap();
    assert_eq!(header(&first, "idempotency-replayed"), None);
    let first: Value = first.json().await.unwrap();
    let again = start(&body).send().await.unwrap();
    assert_eq!(again.status(), 201);
    assert_eq!(header(&again, "idempotency-replayed").as_deref(), Some("true"));
    assert_eq!(again.json::<Value>().await.unwrap()["id"], first["id"]);
    let other = json!({ "workflow": "letter", "input": { "file": "Dear Madam" } });
    assert_eq!(refused(start(&other), 422).await, "IDEMPOTENCY_KEY_REUSED");
    // Another resource is another request, and another person has keys of their own.
    let pause = format!("/runs/{}/pause", first["id"].as_str().unwrap());
    let reused = house.post(&pause, &json!({})).header("idempotency-key", "key-1");
    assert_eq!(refused(reused, 422).await, "IDEMPOTENCY_KEY_REUSED");
    let anna = done(start(&other).header("x-hishamos-person", "anna"), 201).await;
    assert_ne!(anna["id"], first["id"]);
    assert_eq!(anna["actor"], "person:anna");

    let paused = house.post(&pause, &json!({})).header("idempotency-key", "key-2").send().await.unwrap();
    assert_eq!(paused.status(), 200);
    let again = house.post(&pause, &json!({})).header("idempotency-key", "key-2").send().await.unwrap();
    assert_eq!(header(&again, "idempotency-replayed").as_deref(), Some("true"));
    let empty = house.post(&pause, &json!({})).header("idempotency-key", "");
    assert_eq!(refused(empty, 400).await, "IDEMPOTENCY_KEY_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_seen_is_changed() {
    let house = House::furnished().await;
    let run = house.start().await;
    let seen = house.get(&format!("/runs/{run}")).send().await.unwrap();
    let tag = header(&seen, "etag").unwrap();
    let post = |what: &str, tag: &str| house.post(&format!("/runs/{run}/{what}"), &json!({})).header("if-match", tag);
    done(post("pause", &tag), 200).await;
    assert_eq!(refused(post("resume", &tag), 412).await, "PRECONDITION_FAILED");
    assert_eq!(refused(post("cancel", &tag), 412).await, "PRECONDITION_FAILED");
    assert_eq!(refused(post("cancel", "W/\"1\""), 412).await, "PRECONDITION_FAILED");
    done(post("resume", "*"), 200).await;
    let seen = house.get(&format!("/runs/{run}")).send().await.unwrap();
    let tag = header(&seen, "etag").unwrap();
    done(post("pause", &tag), 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_is_a_problem() {
    let house = House::furnished().await;
    let nobody = "/runs/0198c2f0-0000-7000-8000-000000000001";
    assert_eq!(refused(house.get(nobody), 404).await, "RUN_NOT_FOUND");
    assert_eq!(refused(house.get(&format!("{nobody}/events")), 404).await, "RUN_NOT_FOUND");
    assert_eq!(refused(house.get(&format!("{nobody}/explanation")), 404).await, "RUN_NOT_FOUND");
    assert_eq!(refused(house.get(nobody).header("accept", "text/event-stream"), 404).await, "RUN_NOT_FOUND");
    assert_eq!(refused(house.post(&format!("{nobody}/pause"), &json!({})), 404).await, "RUN_NOT_FOUND");
    assert_eq!(refused(house.get("/runs/seven"), 400).await, "ARGUMENT_INVALID");
    assert_eq!(refused(house.get("/nothing"), 404).await, "NOT_FOUND");
    assert_eq!(refused(house.get("/runs?minPosition=99999999"), 400).await, "ARGUMENT_INVALID");
    assert_eq!(refused(house.get("/runs").header("accept", "image/png"), 406).await, "NOT_ACCEPTABLE");
    assert_eq!(refused(house.get("/runs").header("x-hishamos-person", "a b"), 400).await, "ARGUMENT_INVALID");
    let delete = house.http.delete(format!("{}/api/v1/runs", house.url)).send().await.unwrap();
    assert_eq!((delete.status().as_u16(), header(&delete, "allow").as_deref()), (405, Some("GET, POST")));
    let post = |body: &'static str, kind: &str| {
        house.http.post(format!("{}/api/v1/runs", house.url)).header("content-type", kind).body(body)
    };
    assert_eq!(refused(post("{}", "text/plain"), 415).await, "CONTENT_TYPE_REFUSED");
    assert_eq!(refused(post("{", "application/json"), 400).await, "BODY_INVALID");
    assert_eq!(refused(post("{}", "application/json"), 400).await, "BODY_INVALID");
    assert_eq!(refused(post(r#"{"workflow":"letter","colour":1}"#, "application/json"), 400).await, "BODY_INVALID");
    assert_eq!(refused(post(r#"{"workflow":"nothing"}"#, "application/json"), 404).await, "WORKFLOW_NOT_FOUND");
    assert_eq!(refused(post(r#"{"workflow":"letter"}"#, "application/json"), 422).await, "RUN_INPUT_INVALID");
    assert_eq!(refused(post(r#"{"workflow":"A b"}"#, "application/json"), 400).await, "ARGUMENT_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_is_refused() {
    let rate = Rate { requests: 3, window: Duration::from_secs(3600) };
    let house = House::with(|options| (options.rate, options.max_body) = (Some(rate), 100)).await;
    let large = json!({ "workflow": "x".repeat(200) });
    assert_eq!(refused(house.post("/runs", &large), 413).await, "BODY_TOO_LARGE");
    let second = house.get("/runs").send().await.unwrap();
    assert_eq!(header(&second, "ratelimit-policy").as_deref(), Some("\"default\";q=3;w=3600"));
    assert!(header(&second, "ratelimit").unwrap().starts_with("\"default\";r=1;t="));
    done(house.get("/runs"), 200).await;
    let fourth = house.get("/runs").send().await.unwrap();
    let after: u64 = header(&fourth, "retry-after").unwrap().parse().unwrap();
    assert!((1100..=1200).contains(&after), "{after}");
    assert_eq!(refused(house.get("/runs"), 429).await, "RATE_LIMITED");
    done(house.get("/runs").header("x-hishamos-person", "anna"), 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_and_its_page_are_in_the_program() {
    let house = House::new().await;
    let served = done(house.get("/openapi.json"), 200).await;
    assert_eq!(served, serde_json::to_value(rest::openapi()).unwrap());
    let page = house.get("/docs").send().await.unwrap();
    assert_eq!(page.url().path(), "/api/v1/docs/");
    let text = page.text().await.unwrap();
    assert!(text.contains("swagger-ui-bundle.js"), "{text}");
    assert!(!text.contains("http://") && !text.contains("https://"), "nothing is fetched from elsewhere: {text}");
    let script = house.get("/docs/swagger-initializer.js").send().await.unwrap().text().await.unwrap();
    assert!(script.contains("/api/v1/openapi.json"), "{script}");
    assert_eq!(house.get("/docs/swagger-ui-bundle.js").send().await.unwrap().status(), 200);
    assert_eq!(refused(house.get("/docs/nothing.js"), 404).await, "NOT_FOUND");
}
