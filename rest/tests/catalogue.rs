//! Agents, templates and workflows as files.

use serde_json::{Value, json};

use crate::house::{House, LETTER, done, header, refused};

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_listed_read_and_changed() {
    let house = House::furnished().await;
    let agents = done(house.get("/catalogue/agents"), 200).await;
    let writer = json!({ "key": "writer", "title": "Writer", "department": "office", "version": 1, "active": true });
    assert_eq!(agents, json!({ "items": [writer], "next": null }));
    let page = done(house.get("/catalogue/workflows?limit=1"), 200).await;
    assert_eq!(page["items"][0]["key"], "letter");
    let next = page["next"].as_str().unwrap();
    let page = done(house.get(&format!("/catalogue/workflows?limit=1&after={next}")), 200).await;
    assert_eq!((&page["items"][0]["key"], &page["next"]), (&json!("signed"), &Value::Null));

    let seen = house.get("/catalogue/workflows/letter").header("accept", "application/yaml").send().await.unwrap();
    assert_eq!(header(&seen, "content-type").as_deref(), Some("application/yaml"));
    let (tag, file) = (header(&seen, "etag").unwrap(), seen.text().await.unwrap());
    let put = |file: String, tag: &str| {
        let put = house.put("/catalogue/workflows/letter").header("content-type", "application/yaml");
        put.header("if-match", tag).body(file)
    };
    let changed = done(put(file.replace("name: Letter", "name: A letter"), &tag), 200).await;
    assert_eq!(changed["version"], 2);
    assert!(changed["file"].as_str().unwrap().contains("A letter"));
    let late = put(file.replace("name: Letter", "name: Another letter"), &tag);
    assert_eq!(refused(late, 412).await, "PRECONDITION_FAILED");
    let export = done(house.get("/catalogue"), 200).await;
    let names: Vec<&str> =
        export["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["agents/writer.yaml", "templates/draft.yaml", "workflows/letter.yaml", "workflows/signed.yaml"]);
    assert_eq!(refused(house.get("/catalogue/agents/nobody"), 404).await, "AGENT_NOT_FOUND");
    assert_eq!(refused(house.get("/catalogue/plants"), 400).await, "ARGUMENT_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_files_are_refused_with_each_place() {
    let house = House::furnished().await;
    let put = |path: &str, file: String| house.put(path).header("content-type", "application/yaml").body(file);
    let wrong = LETTER.replace("needs: []", "").replace("    agent: writer\n", "    agnet: writer\n");
    let answer = put("/catalogue/workflows/letter", wrong).send().await.unwrap();
    assert_eq!(answer.status(), 422);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["code"], "CATALOG_INVALID");
    let error = &problem["errors"][0];
    assert!(error["line"].as_u64().is_some_and(|line| line >= 10), "{problem}");
    assert!(error["message"].as_str().unwrap().contains("agnet"), "{problem}");

    let unknown = LETTER.replace("agent: writer", "agent: nobody").replace("key: letter", "key: other");
    assert_eq!(refused(put("/catalogue/workflows/other", unknown.clone()), 422).await, "WORKFLOW_UNKNOWN_AGENT");
    assert_eq!(refused(put("/catalogue/workflows/letter", unknown), 400).await, "ARGUMENT_INVALID");
    // Looking at a file records nothing.
    let new = LETTER.replace("key: letter", "key: new");
    let checked = done(put("/catalogue/workflows/new?check=true", new.clone()), 200).await;
    assert_eq!(checked["key"], "new");
    assert_eq!(refused(house.get("/catalogue/workflows/new"), 404).await, "WORKFLOW_NOT_FOUND");
    // A draft takes no runs.
    let draft = done(put("/catalogue/workflows/new?activate=false", new), 200).await;
    assert_eq!(draft["version"], 1);
    let run = house.post("/runs", &json!({ "workflow": "new", "input": { "file": "x" } }));
    assert_eq!(refused(run, 409).await, "WORKFLOW_NOT_ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_as_good_as_yaml() {
    let house = House::new().await;
    let agent = json!({ "key": "reader", "name": "Reader", "description": "Reads.", "system_prompt": "You read.", "department": "office" });
    let entry = done(house.put("/catalogue/agents/reader").json(&agent), 200).await;
    assert_eq!(entry["version"], 1);
    // What is there already is no new version, and a key answers as it did.
    let put = || house.put("/catalogue/agents/reader").json(&agent).header("idempotency-key", "once");
    assert_eq!(done(put(), 200).await["version"], 1);
    assert_eq!(done(put(), 200).await["version"], 1);
}
