//! Ratings of answers.

use serde_json::{Value, json};

use crate::house::{House, done, refused};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_rated_once_per_key_and_read() {
    let house = House::furnished().await;
    let _engine = house.engine();
    let body = json!({ "workflow": "letter", "input": { "file": "Dear Sir" } });
    let run: Value = house.post("/runs?wait=30s", &body).send().await.unwrap().json().await.unwrap();
    assert_eq!(run["status"], "completed");
    let step = run["steps"][0]["name"].as_str().unwrap().parse().unwrap();
    let run: domain::RunId = run["id"].as_str().unwrap().parse().unwrap();
    let task = domain::TaskId::of_step(run, &step).as_uuid();
    let path = format!("/tasks/{task}/ratings");

    let before = done(house.get(&path), 200).await;
    assert_eq!((&before["quality"], &before["ratings"], &before["average"]), (&Value::Null, &json!([]), &Value::Null));
    let rate = |rating: i64| house.post(&path, &json!({ "rating": rating, "comment": "fine" }));
    let rated = done(rate(8).header("idempotency-key", "first"), 200).await;
    assert_eq!((&rated["quality"], &rated["source"], &rated["average"]), (&json!(8.0), &json!("people"), &json!(8.0)));
    assert_eq!(
        (&rated["ratings"][0]["by"], &rated["ratings"][0]["comment"]),
        (&json!("person:tester"), &json!("fine"))
    );
    let again = rate(8).header("idempotency-key", "first").send().await.unwrap();
    assert_eq!(crate::house::header(&again, "idempotency-replayed").as_deref(), Some("true"));
    assert_eq!(refused(rate(7).header("idempotency-key", "first"), 422).await, "IDEMPOTENCY_KEY_REUSED");
    let other = done(rate(2).header("x-hishamos-person", "bob"), 200).await;
    assert_eq!((&other["quality"], &other["parts"][0]["spread"]), (&json!(5.0), &json!(6.0)));
    assert_eq!(done(house.get(&path), 200).await, other);

    assert_eq!(refused(rate(11), 422).await, "TASK_RATING_INVALID");
    let nowhere = format!("/tasks/{}/ratings", uuid::Uuid::now_v7());
    assert_eq!(refused(house.post(&nowhere, &json!({ "rating": 5 })), 404).await, "TASK_NOT_FOUND");
    assert_eq!(refused(house.get(&nowhere), 404).await, "TASK_NOT_FOUND");
    assert_eq!(refused(house.post(&path, &json!({ "rating": 5, "mark": 5 })), 400).await, "BODY_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_as_good_as_people_say_once_they_do() {
    let house = House::furnished().await;
    let _engine = house.engine();
    let body = json!({ "workflow": "letter", "input": { "file": "Dear Sir" } });
    let run: Value = house.post("/runs?wait=30s", &body).send().await.unwrap().json().await.unwrap();
    assert_eq!(run["status"], "completed");
    let id: domain::RunId = run["id"].as_str().unwrap().parse().unwrap();
    let step = run["steps"][0]["name"].as_str().unwrap().parse().unwrap();
    let task = domain::TaskId::of_step(id, &step).as_uuid();
    let path = format!("/runs/{id}/quality");
    let before = done(house.get(&path), 200).await;
    let nothing =
        json!({ "run": id.to_string(), "quality": null, "sources": { "people": 0, "judge": 0, "checks": 0 } });
    assert_eq!(before, nothing);
    for (person, rating) in [("ada", 9), ("bob", 4)] {
        let rate = house.post(&format!("/tasks/{task}/ratings"), &json!({ "rating": rating }));
        done(rate.header("x-hishamos-person", person), 200).await;
    }
    let head = house.journal.head().await.unwrap();
    let after = done(house.get(&format!("{path}?minPosition={head}")), 200).await;
    assert_eq!(after["quality"], 6.5);
    assert_eq!(after["sources"], json!({ "people": 1, "judge": 0, "checks": 0 }));
    let document = done(house.get(&format!("/runs/{id}/output?format=json")), 200).await;
    assert_eq!(document["compiled"]["quality"], 650);
    assert_eq!(document["compiled"]["qualitySources"], after["sources"]);
    let nowhere = format!("/runs/{}/quality", uuid::Uuid::now_v7());
    assert_eq!(refused(house.get(&nowhere), 404).await, "RUN_NOT_FOUND");
}
