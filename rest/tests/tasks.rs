//! A task by itself, and its answer as it comes.

use serde_json::{Value, json};

use crate::house::{House, done, header, refused};

/// A run that has completed, and the task of its first step.
async fn task(house: &House) -> (Value, String) {
    let body = json!({ "workflow": "letter", "input": { "file": "Dear Sir" } });
    let run: Value = house.post("/runs?wait=30s", &body).send().await.unwrap().json().await.unwrap();
    assert_eq!(run["status"], "completed");
    let task = run["steps"][0]["task"].as_str().unwrap().to_owned();
    (run, task)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_shown_with_its_attempts_until_the_client_has_it() {
    let house = House::furnished().await;
    let _engine = house.engine();
    let (run, id) = task(&house).await;
    let path = format!("/tasks/{id}");

    let answer = house.get(&path).send().await.unwrap();
    assert!(header(&answer, "x-hishamos-position").unwrap().parse::<u64>().unwrap() > 0);
    let tag = header(&answer, "etag").unwrap();
    let shown: Value = answer.json().await.unwrap();
    assert_eq!((&shown["id"], &shown["run"], &shown["step"]), (&json!(id), &run["id"], &run["steps"][0]["name"]));
    assert_eq!((&shown["agent"], &shown["template"]), (&run["steps"][0]["agent"], &run["steps"][0]["template"]));
    assert_eq!(
        (&shown["status"], &shown["error"], &shown["undoes"]),
        (&json!("completed"), &Value::Null, &json!(false))
    );
    let attempts = shown["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!((&attempts[0]["number"], &attempts[0]["status"]), (&json!(1), &json!("succeeded")));
    assert_eq!((&attempts[0]["platform"], &attempts[0]["simulated"]), (&json!("simulator"), &json!(true)));

    let same = house.get(&path).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!((same.status().as_u16(), header(&same, "etag")), (304, Some(tag.clone())));
    // What people say of its answer is recorded of the task.
    done(house.post(&format!("{path}/ratings"), &json!({ "rating": 8 })), 200).await;
    let changed = house.get(&path).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(changed.status(), 200);
    assert_ne!(header(&changed, "etag"), Some(tag));

    assert_eq!(refused(house.get(&format!("/tasks/{}", uuid::Uuid::now_v7())), 404).await, "TASK_NOT_FOUND");
    assert_eq!(refused(house.get(&format!("{path}?wrong=1")), 400).await, "ARGUMENT_INVALID");
}

/// Id, name and data of each event of a task's answer.
async fn pieces(house: &House, task: &str, after: Option<&str>) -> Vec<(String, String, Value)> {
    let mut request = house.get(&format!("/tasks/{task}/output")).header("accept", "text/event-stream");
    if let Some(after) = after {
        request = request.header("last-event-id", after);
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    let piece = |event: &str| {
        let mut lines = event.lines();
        let mut field = |name: &str| lines.next().unwrap().strip_prefix(name).unwrap().to_owned();
        let (id, name, data) = (field("id: "), field("event: "), field("data: "));
        (id, name, serde_json::from_str(&data).unwrap())
    };
    text.split("\n\n").filter(|event| event.starts_with("id: ")).map(piece).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_goes_on_after_the_last_id_also_when_the_task_has_ended() {
    let house = House::furnished().await;
    let _engine = house.engine();
    let (_, id) = task(&house).await;
    let whole = done(house.get(&format!("/tasks/{id}/output")), 200).await;
    let text = whole["text"].as_str().unwrap();
    assert!(text.len() > 12, "{text}");

    let all = pieces(&house, &id, None).await;
    assert_eq!(all, [("end".to_owned(), "end".to_owned(), whole.clone())]);
    let rest = pieces(&house, &id, Some("1-12")).await;
    let expected = json!({ "attempt": 1, "offset": 12, "text": &text[12..], "end": "completed" });
    assert_eq!(rest, [("end".to_owned(), "end".to_owned(), expected)]);
    let nothing = pieces(&house, &id, Some(&format!("1-{}", text.len()))).await;
    assert_eq!((&nothing[0].2["text"], &nothing[0].2["offset"]), (&json!(""), &json!(text.len())));
    // Another attempt's answer, and what is longer than this one, are told anew.
    for other in ["2-3", &format!("1-{}", text.len() + 1)] {
        assert_eq!(pieces(&house, &id, Some(other)).await[0].2, whole, "after {other}");
    }
    let over = house.get(&format!("/tasks/{id}/output")).header("accept", "text/event-stream");
    assert_eq!(over.header("last-event-id", "end").send().await.unwrap().status(), 204);
    for wrong in ["7", "1-", "-1", "x-y"] {
        let asked = house.get(&format!("/tasks/{id}/output")).header("accept", "text/event-stream");
        assert_eq!(refused(asked.header("last-event-id", wrong), 400).await, "ARGUMENT_INVALID", "{wrong}");
    }
}
