//! A task done again, by a real engine.

use domain::RunId;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{House, REGISTER_AGENT, REGISTER_TEMPLATE, agent, template};

const AGAIN: &str = "mutation($input: RunTaskAgainInput!) { runTaskAgain(input: $input) { runId repeated } }";
const SHOW: &str = "query($id: UUID!, $at: Position) { run(id: $id, minPosition: $at) { status workflowKey actor
    againOf { taskId } steps { name task { taskId templateVersion agentVersion parameters agent { key }
    againOf { taskId step run { runId } } repetitions { nodes { runId } } attempts { model status } } } } }";

async fn again(house: &House, input: Value) -> Value {
    let started = house.data(AGAIN, json!({ "input": input })).await["runTaskAgain"].take();
    let run: RunId = started["runId"].as_str().unwrap().parse().unwrap();
    house.until(run, "run.completed", 1).await;
    shown(house, run).await
}

async fn shown(house: &House, run: RunId) -> Value {
    house.data(SHOW, json!({ "id": run, "at": house.head().await })).await["run"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_done_again_as_it_was_or_changed() {
    let house = House::furnished().await;
    let engine = house.engine();
    let first = house.start().await;
    house.until(first, "run.completed", 1).await;
    let before = shown(&house, first).await;
    let task = &before["steps"][1]["task"];
    assert_eq!((&before["steps"][1]["name"], &before["againOf"]), (&json!("draft"), &Value::Null));
    let id = task["taskId"].as_str().unwrap();

    // What the task was done by has new versions since.
    let mut newer = template("draft");
    newer["instructions"] = json!("Work hard on {{ text }}{% if tone is defined %}, {{ tone }}{% endif %}");
    newer["parameters"]["properties"]["tone"] = json!({ "type": "string" });
    house.data(REGISTER_TEMPLATE, json!({ "input": newer })).await;
    let mut polite = agent("writer");
    polite["systemPrompt"] = json!("You write politely.");
    house.data(REGISTER_AGENT, json!({ "input": polite })).await;
    house.data(REGISTER_AGENT, json!({ "input": agent("poet") })).await;

    let as_it_was = again(&house, json!({ "taskId": id })).await;
    let told = &as_it_was["steps"][0]["task"];
    assert_eq!((&as_it_was["workflowKey"], &as_it_was["actor"]), (&json!("task.draft"), &json!("person:tester")));
    assert_eq!((&told["templateVersion"], &told["agentVersion"]), (&json!(1), &json!(1)));
    assert_eq!((&told["parameters"], &told["agent"]["key"]), (&task["parameters"], &json!("writer")));
    assert_eq!(told["againOf"], json!({ "taskId": id, "step": "draft", "run": { "runId": first.to_string() } }));
    assert_eq!(as_it_was["againOf"]["taskId"], id);

    let newest = again(&house, json!({ "taskId": id, "latest": true, "model": "m-9" })).await;
    let told = &newest["steps"][0]["task"];
    assert_eq!((&told["templateVersion"], &told["agentVersion"]), (&json!(2), &json!(2)));
    assert_eq!(told["attempts"][0]["model"], "m-9");

    let changed = json!({ "taskId": id, "agent": "poet", "templateVersion": 2, "parameters": { "tone": "warm" } });
    let changed = again(&house, changed).await;
    let told = &changed["steps"][0]["task"];
    assert_eq!((&told["templateVersion"], &told["agent"]["key"]), (&json!(2), &json!("poet")));
    assert_eq!(told["parameters"], json!({ "text": task["parameters"]["text"], "tone": "warm" }));

    // Again of an again: as that was, and linked to it.
    let next = again(&house, json!({ "taskId": told["taskId"], "parameters": { "tone": null } })).await;
    let next = &next["steps"][0]["task"];
    assert_eq!((&next["againOf"]["taskId"], &next["templateVersion"]), (&told["taskId"], &json!(2)));
    assert_eq!(next["parameters"], task["parameters"]);

    let after = shown(&house, first).await;
    assert_eq!(after["steps"][1]["task"]["repetitions"]["nodes"].as_array().unwrap().len(), 3);
    drop(engine);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_again_is_refused() {
    let house = House::furnished().await;
    let run = house.start().await;
    house.advance(run).await;
    let running = house.begin_step(run, "outline").await;
    let refused = async |input: Value| house.refusal(AGAIN, json!({ "input": input })).await.0;
    let id = running.to_string();
    assert_eq!(refused(json!({ "taskId": id })).await, "TASK_NOT_ENDED");
    assert_eq!(refused(json!({ "taskId": Uuid::nil() })).await, "TASK_NOT_FOUND");
    house.finish_step(run, "outline", 1).await;
    assert_eq!(refused(json!({ "taskId": id, "templateVersion": 2 })).await, "TEMPLATE_VERSION_UNKNOWN");
    assert_eq!(refused(json!({ "taskId": id, "templateVersion": 0 })).await, "TEMPLATE_VERSION_UNKNOWN");
    assert_eq!(refused(json!({ "taskId": id, "agent": "nobody" })).await, "AGENT_NOT_FOUND");
    assert_eq!(refused(json!({ "taskId": id, "parameters": { "text": null } })).await, "RUN_INPUT_INVALID");
    assert_eq!(refused(json!({ "taskId": id, "parameters": [] })).await, "ARGUMENT_INVALID");
    assert_eq!(refused(json!({ "taskId": id, "priority": 101 })).await, "RUN_PRIORITY_INVALID");
    // The same command is one run.
    let command = Uuid::now_v7();
    let input = json!({ "input": { "taskId": id, "clientMutationId": command } });
    let first = house.data(AGAIN, input.clone()).await["runTaskAgain"].take();
    let second = house.data(AGAIN, input).await["runTaskAgain"].take();
    assert_eq!((&first["runId"], &second["repeated"]), (&second["runId"], &json!(true)));
}
