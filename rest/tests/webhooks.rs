//! Webhooks as a resource; what they are told is tried elsewhere, by programs that are told.

use serde_json::json;

use crate::house::{House, done, header, refused};

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_subscribed_once_and_steered() {
    let house = House::new().await;
    let body = json!({ "targetUrl": "https://example.com/hook", "event": "run.completed", "zap": 1 });
    let subscribe = |body| house.post("/webhooks", &body).header("idempotency-key", "once");
    let answer = subscribe(body.clone()).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let place = header(&answer, "location").unwrap();
    let new: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert!(new["secret"].as_str().unwrap().starts_with("whsec_"));
    let id = new["id"].as_str().unwrap();
    assert_eq!(place, format!("/api/v1/webhooks/{id}"));
    let again = subscribe(body).send().await.unwrap();
    assert_eq!(header(&again, "idempotency-replayed").as_deref(), Some("true"));
    let other = json!({ "url": "https://example.com/other" });
    assert_eq!(refused(subscribe(other), 422).await, "IDEMPOTENCY_KEY_REUSED");

    let found = done(house.get("/webhooks?hookUrl=https://example.com/hook"), 200).await;
    assert_eq!((&found["webhooks"][0]["id"], found["webhooks"].as_array().unwrap().len()), (&new["id"], 1));
    assert!(found["webhooks"][0].get("secret").is_none(), "it is shown once");
    let paused = done(house.post(&format!("/webhooks/{id}/pause"), &json!({ "reason": "holidays" })), 200).await;
    assert_eq!((&paused["status"], &paused["reason"]), (&json!("paused"), &json!("holidays")));
    assert_eq!(refused(house.post(&format!("/webhooks/{id}/test"), &json!({})), 409).await, "WEBHOOK_NOT_ACTIVE");
    let resumed = done(house.post(&format!("/webhooks/{id}/resume"), &json!({})), 200).await;
    assert_eq!((&resumed["status"], &resumed["since"]), (&json!("active"), &json!(null)));
    let change = house.http.patch(format!("{}/api/v1/webhooks/{id}", house.url)).json(&json!({ "description": "a" }));
    assert_eq!(done(change, 200).await["event_types"], json!(["run.completed"]));
    let rotated = done(house.post(&format!("/webhooks/{id}/rotate"), &json!({ "overlap_seconds": 5 })), 200).await;
    assert_ne!(rotated["secret"], new["secret"]);
    let page = done(house.get(&format!("/webhooks/{id}/deliveries?status=given_up&limit=1")), 200).await;
    assert_eq!(page, json!({ "deliveries": [], "next_cursor": null }));

    let delete = |place: String| house.http.delete(format!("{}/api/v1/webhooks{place}", house.url));
    assert_eq!(delete(format!("/{id}")).send().await.unwrap().status(), 204);
    assert_eq!(delete(format!("/{id}")).send().await.unwrap().status(), 204);
    assert_eq!(refused(delete("?url=https://example.com/hook".to_owned()), 404).await, "WEBHOOK_NOT_FOUND");
    assert_eq!(refused(delete(String::new()), 400).await, "ARGUMENT_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_said() {
    let house = House::new().await;
    let missing = "/webhooks/01934c2e-8a00-7000-8000-5e6f7a8b9c0d";
    assert_eq!(refused(house.get(missing), 404).await, "WEBHOOK_NOT_FOUND");
    assert_eq!(refused(house.get("/webhooks/none"), 400).await, "ARGUMENT_INVALID");
    assert_eq!(refused(house.get(&format!("{missing}/deliveries?limit=0")), 400).await, "ARGUMENT_INVALID");
    assert_eq!(refused(house.get(&format!("{missing}/deliveries?cursor=x")), 400).await, "ARGUMENT_INVALID");
    assert_eq!(refused(house.get(&format!("{missing}/deliveries?status=x")), 400).await, "ARGUMENT_INVALID");
    assert_eq!(refused(house.get("/webhooks/samples?event=x"), 400).await, "ARGUMENT_INVALID");
    assert_eq!(refused(house.post("/webhooks", &json!({})), 400).await, "BODY_INVALID");
    let inside = json!({ "url": "http://10.1.2.3/" });
    assert_eq!(refused(house.post("/webhooks", &inside), 422).await, "WEBHOOK_INVALID");
    let when = json!({ "from": "yesterday" });
    assert_eq!(refused(house.post(&format!("{missing}/replay"), &when), 400).await, "BODY_INVALID");
    let unknown = format!("/webhooks/deliveries/{}/replay", &missing[10..]);
    assert_eq!(refused(house.post(&unknown, &json!({})), 404).await, "DELIVERY_NOT_FOUND");
    assert_eq!(refused(house.put("/webhooks"), 405).await, "METHOD_NOT_ALLOWED");
    let types = done(house.get("/webhooks/event-types"), 200).await;
    let samples = done(house.get("/webhooks/samples"), 200).await;
    assert_eq!(types["event_types"].as_array().unwrap().len(), samples.as_array().unwrap().len());
}
