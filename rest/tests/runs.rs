//! Runs: started, watched, steered, decided upon.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::house::{FREE, House, done, header, refused};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_started_waited_for_and_read() {
    let house = House::furnished().await;
    let _engine = house.engine();
    let body = json!({ "workflow": "letter", "input": { "file": "Dear Sir" }, "priority": 3 });
    let answer = house.post("/runs?wait=30s", &body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let (location, tag) = (header(&answer, "location").unwrap(), header(&answer, "etag").unwrap());
    assert!(header(&answer, "x-hishamos-position").unwrap().parse::<u64>().unwrap() > 0);
    let run: Value = answer.json().await.unwrap();
    assert_eq!(run["status"], "completed");
    assert_eq!(run["simulated"], true);
    assert_eq!(run["actor"], "person:tester");
    assert_eq!((&run["priority"], &run["steps"][0]["status"]), (&json!(3), &json!("completed")));
    assert!(run["output"]["letter"].is_string());
    assert_eq!(location, format!("/api/v1/runs/{}", run["id"].as_str().unwrap()));

    // What the client has is not sent again.
    let path = location.strip_prefix("/api/v1").unwrap();
    let again = house.get(path).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    let read = done(house.get(path), 200).await;
    assert_eq!(read, run);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged_filtered_and_sorted_both_ways() {
    let house = House::furnished().await;
    let mut started = Vec::new();
    for _ in 0..3 {
        started.push(house.start().await);
    }
    for (sort, expected) in [("-startedAt", [2, 1, 0]), ("startedAt", [0, 1, 2])] {
        let mut seen = Vec::new();
        let mut path = format!("/runs?limit=2&workflow=letter&sort={sort}");
        loop {
            let answer = house.get(&path).send().await.unwrap();
            let links = header(&answer, "link").unwrap();
            let page: Value = answer.json().await.unwrap();
            seen.extend(page["items"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()));
            let next = links.split(", ").find_map(|link| link.strip_suffix(">; rel=\"next\""));
            assert_eq!(next.is_some(), page["next"].is_string());
            let Some(next) = next else { break };
            path = next.strip_prefix("</api/v1").unwrap().to_owned();
        }
        let expected: Vec<&String> = expected.iter().map(|at| &started[*at]).collect();
        assert_eq!(seen.iter().collect::<Vec<_>>(), expected, "{sort}");
    }
    let none = done(house.get("/runs?status=completed,failed"), 200).await;
    assert_eq!(none, json!({ "items": [], "next": null }));
    assert_eq!(refused(house.get("/runs?status=done"), 400).await, "ARGUMENT_INVALID");
    assert_eq!(refused(house.get("/runs?limit=0"), 400).await, "ARGUMENT_INVALID");
    assert_eq!(refused(house.get("/runs?after=strange"), 400).await, "ARGUMENT_INVALID");
    assert_eq!(refused(house.get("/runs?colour=red"), 400).await, "ARGUMENT_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_paused_resumed_cancelled_and_tried_again() {
    let house = House::furnished().await;
    let run = house.start().await;
    let paused = done(house.post(&format!("/runs/{run}/pause"), &json!({ "reason": "lunch" })), 200).await;
    assert_eq!(paused["status"], "paused");
    let why = done(house.get(&format!("/runs/{run}/explanation")), 200).await;
    assert_eq!((&why["next"][0]["kind"], &why["next"][0]["reason"]), (&json!("paused"), &json!("lunch")));
    let resumed = done(house.http.post(format!("{}/api/v1/runs/{run}/resume", house.url)), 200).await;
    assert_eq!(resumed["status"], "running");
    assert_eq!(refused(house.post(&format!("/runs/{run}/resume"), &json!({})), 409).await, "RUN_NOT_PAUSED");
    done(house.post(&format!("/runs/{run}/signals"), &json!({ "signal": "go", "payload": [1] })), 200).await;
    assert_eq!(refused(house.post(&format!("/runs/{run}/retry"), &json!({})), 409).await, "RUN_NOT_RETRYABLE");
    let fork = done(house.post(&format!("/runs/{run}/fork"), &json!({ "revision": 0 })), 201).await;
    assert_eq!((&fork["source"], &fork["lineage"]), (&json!(run), &json!("fork")));
    let _engine = house.engine();
    done(house.get(&format!("/runs/{run}?wait=30s")), 200).await;
    let rerun = done(house.post(&format!("/runs/{run}/rerun"), &json!({ "from": ["draft"] })), 201).await;
    assert_eq!((&rerun["source"], &rerun["lineage"]), (&json!(run), &json!("rerun")));
    assert_eq!(refused(house.post(&format!("/runs/{run}/cancel"), &json!({})), 409).await, "RUN_ENDED");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_decide_on_what_they_saw() {
    let house = House::furnished().await;
    let _engine = house.engine();
    let body = json!({ "workflow": "signed", "input": { "file": "Dear Sir" } });
    let run = done(house.post("/runs", &body), 201).await["id"].as_str().unwrap().to_owned();
    let approval = loop {
        let page = done(house.get(&format!("/approvals?run={run}")), 200).await;
        if let Some(approval) = page["items"].get(0) {
            break approval.clone();
        }
        // The next event of the run may be the one that asks.
        done(house.get(&format!("/runs/{run}?wait=50ms")), 200).await;
    };
    assert_eq!(approval["content"], json!({ "file": "Dear Sir" }));
    let wrong = json!({ "contentHash": "0".repeat(64) });
    let path = format!("/approvals/{run}/sign");
    assert_eq!(refused(house.post(&format!("{path}/approve"), &wrong), 409).await, "APPROVAL_CONTENT_CHANGED");
    assert_eq!(
        refused(house.post(&format!("{path}/approve"), &json!({ "contentHash": "x" })), 400).await,
        "ARGUMENT_INVALID"
    );
    let right = json!({ "contentHash": approval["contentHash"], "comment": "fine" });
    done(house.post(&format!("{path}/approve"), &right), 200).await;
    let ended = done(house.get(&format!("/runs/{run}?wait=30s")), 200).await;
    assert_eq!(ended["status"], "completed");
    assert_eq!(ended["output"]["sign"]["approved"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_told_once_and_goes_on_where_it_was() {
    let house = House::furnished().await;
    let run = house.start().await;
    let path = format!("/runs/{run}");
    let stream = house.get(&path).header("accept", "text/event-stream").send().await.unwrap();
    assert_eq!(header(&stream, "content-type").as_deref(), Some("text/event-stream"));
    let _engine = house.engine();
    let told = events(stream).await;
    assert_eq!(told.first().unwrap().1, "run.started");
    assert_eq!(told.last().unwrap().1, "run.completed");
    assert!(told.iter().any(|(_, kind, data)| kind == "task.attempt_succeeded" && data["step"] == "draft"));
    assert!(told.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order, and each once");

    // Whoever comes back hears the rest, and after the end nothing.
    let (middle, rest) = (told[2].0, &told[3..]);
    let accept = |after: u64| {
        house.get(&path).header("accept", "text/event-stream").header("last-event-id", after.to_string()).send()
    };
    assert_eq!(events(accept(middle).await.unwrap()).await, rest);
    assert_eq!(accept(told.last().unwrap().0).await.unwrap().status(), 204);

    let mut listed = Vec::new();
    let mut after = String::new();
    loop {
        let page = done(house.get(&format!("/runs/{run}/events?limit=2{after}")), 200).await;
        listed.extend(page["items"].as_array().unwrap().iter().map(|event| event["type"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(listed.first().unwrap(), "run.started");
    assert_eq!(listed.last().unwrap(), "run.completed");
}

/// Position, type and data of each event until the stream ends.
async fn events(stream: reqwest::Response) -> Vec<(u64, String, Value)> {
    let mut bytes = stream.bytes_stream();
    let mut text = String::new();
    let whole = async {
        while let Some(chunk) = bytes.next().await {
            text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(30), whole).await.expect("the stream ends with the run");
    let events = text.split("\n\n").filter(|event| event.starts_with("id: "));
    let event = |event: &str| {
        let mut lines = event.lines();
        let mut field = |name: &str| lines.next().unwrap().strip_prefix(name).unwrap().to_owned();
        (field("id: ").parse().unwrap(), field("event: "), serde_json::from_str(&field("data: ")).unwrap())
    };
    events.map(event).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_carried_out_by_itself() {
    let house = House::furnished().await;
    let _engine = house.engine();
    let body = json!({ "template": "draft", "agent": "writer", "parameters": { "text": "rain", "tone": "calm" } });
    let run = done(house.post("/tasks?wait=30s", &body), 201).await;
    assert_eq!((&run["status"], &run["workflow"]), (&json!("completed"), &json!("task.draft")));
    assert!(run["output"]["text"].is_string());
    // Free words go to the template that is for them, and to whoever is best.
    let put = house.put("/catalogue/templates/free-request").header("content-type", "application/yaml");
    done(put.body(FREE), 200).await;
    let body = json!({ "request": "Sing", "agent": "writer", "parameters": { "context": "of rain" } });
    let run = done(house.post("/tasks?wait=30s", &body), 201).await;
    assert_eq!((&run["status"], &run["workflow"]), (&json!("completed"), &json!("task.free-request")));
    assert_eq!(run["input"], json!({ "request": "Sing", "context": "of rain" }));
    let chosen = done(house.post("/tasks", &json!({ "request": "Sing" })), 201).await;
    assert_eq!(chosen["workflow"], "task.free-request");
    let refusal = |body: Value, status| refused(house.post("/tasks", &body), status);
    assert_eq!(refusal(json!({ "agent": "writer" }), 400).await, "ARGUMENT_INVALID");
    let twice = json!({ "request": "Sing", "parameters": { "request": "Dance" } });
    assert_eq!(refusal(twice, 400).await, "ARGUMENT_INVALID");
    let unfit = json!({ "template": "draft", "agent": "writer", "parameters": { "colour": "red" } });
    assert_eq!(refusal(unfit, 422).await, "RUN_INPUT_INVALID");
    let nobody = json!({ "template": "draft", "agent": "nobody", "parameters": { "text": "rain" } });
    assert_eq!(refusal(nobody, 404).await, "AGENT_NOT_FOUND");
    let nothing = json!({ "template": "nothing", "agent": "writer" });
    assert_eq!(refusal(nothing, 404).await, "TEMPLATE_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_are_uploaded_as_forms_and_texts() {
    let house = House::furnished().await;
    let upload = |query: &str| house.http.post(format!("{}/api/v1/workflows/letter/runs{query}", house.url));
    let form = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\ncontent-type: text/plain\r\n\r\n\
                Sehr geehrte\r\n--b\r\ncontent-disposition: form-data; name=\"pages\"\r\n\
                content-type: application/json\r\n\r\n2\r\n--b--\r\n";
    let typed = |query: &str, kind: &'static str| upload(query).header("content-type", kind);
    let run = done(typed("", "multipart/form-data; boundary=b").body(form), 201).await;
    assert_eq!(run["input"], json!({ "file": "Sehr geehrte", "pages": 2 }));
    let run = done(typed("?as=file", "text/markdown").body("# مرحبا"), 201).await;
    assert_eq!(run["input"], json!({ "file": "# مرحبا" }));
    let run = done(upload("").json(&json!({ "file": "x" })), 201).await;
    assert_eq!(run["input"], json!({ "file": "x" }));

    assert_eq!(refused(typed("", "text/plain").body("x"), 400).await, "ARGUMENT_INVALID");
    assert_eq!(refused(typed("?as=file", "text/plain").body(vec![0xff]), 400).await, "BODY_INVALID");
    assert_eq!(refused(typed("", "application/pdf").body("x"), 415).await, "CONTENT_TYPE_REFUSED");
    assert_eq!(refused(typed("", "multipart/form-data; boundary=b").body("--b\r\nno"), 400).await, "BODY_INVALID");
    let twice = form.replace("\"pages\"", "\"file\"");
    assert_eq!(refused(typed("", "multipart/form-data; boundary=b").body(twice), 400).await, "BODY_INVALID");
    assert_eq!(refused(upload("").json(&json!({ "pages": "two" })), 422).await, "RUN_INPUT_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_came_to_is_taken_away() {
    let house = House::furnished().await;
    let _engine = house.engine();
    let body = json!({ "workflow": "letter", "input": { "file": "Dear Sir" } });
    let run: Value = house.post("/runs?wait=30s", &body).send().await.unwrap().json().await.unwrap();
    let path = format!("/runs/{}/output", run["id"].as_str().unwrap());

    let answer = house.get(&path).send().await.unwrap();
    assert_eq!(header(&answer, "content-type").unwrap(), "text/markdown; charset=utf-8");
    assert!(header(&answer, "x-hishamos-position").unwrap().parse::<u64>().unwrap() > 0);
    let text = answer.text().await.unwrap();
    for said in ["## Results", "## Steps", "was simulated", "`letter`"] {
        assert!(text.contains(said), "{said}: {text}");
    }

    let page = house.get(&format!("{path}?format=html&language=ar")).send().await.unwrap();
    assert!(header(&page, "content-security-policy").unwrap().contains("sandbox"));
    assert!(page.text().await.unwrap().contains("<html lang=\"ar\" dir=\"rtl\">"));

    let report = done(house.get(&format!("{path}?format=json")), 200).await;
    assert_eq!((&report["status"], &report["simulated"]), (&json!("completed"), &json!(true)));
    assert_eq!(report["results"], run["output"]);

    let word = house.get(&format!("{path}?format=docx")).send().await.unwrap();
    let name = header(&word, "content-disposition").unwrap();
    assert!(name.starts_with("attachment; filename=\"letter-") && name.ends_with(".docx\""), "{name}");
    assert!(word.bytes().await.unwrap().starts_with(b"PK"));

    // Every part is asked for unless a run says otherwise. The simulator has nothing to say in any of them, and says so.
    let body = json!({ "workflow": "letter", "input": { "file": "Dear Sir" } });
    let full: Value = house.post("/runs?wait=30s", &body).send().await.unwrap().json().await.unwrap();
    let full = format!("/runs/{}/output", full["id"].as_str().unwrap());
    let report = done(house.get(&format!("{full}?format=json")), 200).await;
    let output = &report["outcomes"][0]["output"];
    for part in ["results", "summary", "critique"] {
        assert!(output[part].as_str().unwrap().starts_with("[simulated]"), "{report}");
    }
    assert_eq!((&output["actions"], &output["rating"]), (&json!([]), &Value::Null));
    let text = house.get(&full).send().await.unwrap().text().await.unwrap();
    assert!(text.contains("## Summary") && text.contains("**Not given by the model:**"), "{text}");

    let body = json!({ "workflow": "letter", "input": { "file": "Dear Sir" }, "output": "text" });
    let bare: Value = house.post("/runs?wait=30s", &body).send().await.unwrap().json().await.unwrap();
    let report = done(house.get(&format!("/runs/{}/output?format=json", bare["id"].as_str().unwrap())), 200).await;
    assert_eq!(report["outcomes"][0]["output"], Value::Null);

    assert_eq!(refused(house.get(&format!("{path}?format=odt")), 400).await, "ARGUMENT_INVALID");
    let nobody = "/runs/00000000-0000-7000-8000-000000000000/output";
    assert_eq!(refused(house.get(nobody), 404).await, "RUN_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_read_and_started_or_what_is_missing_is_told() {
    let house = House::furnished().await;
    let asked = |request: &str, key: &str, more: &[(&str, Value)]| {
        let mut body = json!({ "request": request, "read": "model", "agent": "writer" });
        for (name, value) in more {
            body[*name] = value.clone();
        }
        house.post("/tasks?wait=0s", &body).header("idempotency-key", key)
    };
    let answer = asked("a song", "one", &[]).send().await.unwrap();
    assert_eq!(answer.status(), 422);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!((&problem["code"], &problem["template"]), (&json!("PARAMETERS_MISSING"), &json!("draft")));
    let missing = json!([{ "name": "text", "type": "string", "title": "Text", "titleAr": "النص", "description": "",
        "descriptionAr": null, "choices": [], "examples": ["rain"] }]);
    assert_eq!(problem["missing"], missing);
    assert_eq!(refused(asked("for ever", "two", &[]), 503).await, "READING_UNDER_WAY");
    let rules = asked("for ever", "three", &[("read", json!("rules"))]);
    assert_eq!(refused(rules, 422).await, "PARAMETERS_MISSING", "rules ask no model");
    // Nothing was started, so the same key starts it once all is known; after that it is started, whatever is known.
    let started = done(asked("all of it", "four", &[]), 201).await;
    assert_eq!((&started["workflow"], &started["input"]["text"]), (&json!("task.draft"), &json!("all of it")));
    let again = done(asked("all of it", "four", &[]), 201).await;
    assert_eq!(again["id"], started["id"]);
    let given = asked("a song", "five", &[("parameters", json!({ "text": "rain" }))]);
    assert_eq!(done(given, 201).await["input"]["text"], "rain");
    for body in [
        json!({ "read": "rules" }),
        json!({ "read": "rules", "request": " " }),
        json!({ "read": "rules", "request": "x".repeat(2001) }),
    ] {
        assert_eq!(refused(house.post("/tasks", &body), 400).await, "ARGUMENT_INVALID");
    }
    assert_eq!(
        refused(house.post("/tasks", &json!({ "request": "x", "read": "a crystal ball" })), 400).await,
        "BODY_INVALID"
    );
}
