//! What would be chosen, as GraphQL says it.

use serde_json::json;

use crate::house::{House, REGISTER_AGENT, agent};

const CHOICE: &str = "query($input: AgentChoiceInput!) { agentChoice(input: $input) { agentKey told agent { key }
    choice { reason capability language minimum equals }
    candidates { agentKey score running experience excluded factors { capability quality availability cost speed } } } }";
const FIND: &str = "query($request: String!, $first: Int) { findTemplates(request: $request, first: $first) { byMeaning
    templates { key score words meaning matches } missing { name type title arabic: title(language: AR) examples } } }";

#[tokio::test]
async fn who_would_be_chosen_is_told_with_everything_it_is_decided_from() {
    let house = House::new().await;
    let input = json!({ "capability": "LEGAL", "language": "ar", "without": ["drafter"] });
    let answer = house.data(CHOICE, json!({ "input": input })).await;
    let choice = &answer["agentChoice"];
    assert_eq!((&choice["agentKey"], &choice["told"]), (&json!("reviewer"), &json!("1 were left out")));
    assert_eq!(choice["agent"], json!(null), "no such agent is registered here");
    let told = json!({ "reason": "BEST", "capability": "LEGAL", "language": "ar", "minimum": 0.6, "equals": null });
    assert_eq!(choice["choice"], told);
    let first = json!({
        "agentKey": "drafter", "score": 0.8125, "running": 2, "experience": 1.5, "excluded": "LEFT_OUT",
        "factors": { "capability": 1.0, "quality": 0.6, "availability": 0.3, "cost": 0.0, "speed": 0.5 },
    });
    assert_eq!(choice["candidates"][0], first);
    let nobody = json!({ "without": ["drafter", "reviewer"] });
    let answer = house.data(CHOICE, json!({ "input": nobody })).await;
    assert_eq!((&answer["agentChoice"]["agentKey"], &answer["agentChoice"]["choice"]), (&json!(null), &json!(null)));
    let (code, _) = house.refusal(CHOICE, json!({ "input": { "without": ["The Drafter"] } })).await;
    assert_eq!(code, "ARGUMENT_INVALID");
}

#[tokio::test]
async fn who_would_have_been_chosen_is_told_of_that_moment_with_everything_beneath() {
    const THEN: &str = "query($at: AsOf) { agentChoice(input: {}, asOf: $at) { agentKey told
        agent { version enabled profile { temperature } } } }";
    let house = House::new().await;
    let ask = async |at| house.data(THEN, json!({ "at": at })).await["agentChoice"].take();
    let before = house.head().await;
    let mut drafter = agent("drafter");
    house.data(REGISTER_AGENT, json!({ "input": drafter })).await;
    let registered = house.head().await;
    drafter["temperature"] = json!(0.1);
    house.data(REGISTER_AGENT, json!({ "input": drafter })).await;
    let told =
        |at: &str, agent| json!({ "agentKey": "drafter", "told": format!("0 were left out{at}"), "agent": agent });
    let old = json!({ "version": 1, "enabled": true, "profile": { "temperature": 0.7 } });
    assert_eq!(ask(json!({ "position": registered })).await, told(&format!(" as of {registered}"), old));
    assert_eq!(ask(json!({ "position": before })).await, told(&format!(" as of {before}"), json!(null)));
    let head = house.head().await;
    let wait = "query($at: Position) { position(minPosition: $at) }";
    house.data(wait, json!({ "at": head })).await;
    let new = json!({ "version": 2, "enabled": true, "profile": { "temperature": 0.1 } });
    assert_eq!(ask(json!(null)).await, told("", new));
    let answer = house.ask(THEN, json!({ "at": { "position": registered } })).await;
    assert_eq!(answer["extensions"]["position"], json!(registered));
    let (code, _) = house.refusal(THEN, json!({ "at": { "position": "9999" } })).await;
    assert_eq!(code, "ARGUMENT_INVALID");
}

#[tokio::test]
async fn templates_are_found_with_what_has_to_be_asked_back() {
    let house = House::new().await;
    let answer = house.data(FIND, json!({ "request": "a text on rain" })).await;
    let expected = json!({ "findTemplates": {
        "byMeaning": false,
        "templates": [{ "key": "draft", "score": 0.75, "words": 0.5, "meaning": null, "matches": ["a", "text", "on", "rain"] }],
        "missing": [{ "name": "topic", "type": "string", "title": "Topic", "arabic": "الموضوع", "examples": ["rain"] }],
    } });
    assert_eq!(answer, expected);
    for (request, first) in [("  ".to_owned(), 5), ("x".repeat(2001), 5), ("x".to_owned(), 0), ("x".to_owned(), 51)] {
        let (code, _) = house.refusal(FIND, json!({ "request": request, "first": first })).await;
        assert_eq!(code, "ARGUMENT_INVALID");
    }
}

#[tokio::test]
async fn a_request_is_made_ready_and_a_model_reads_by_the_callers_command() {
    const PREPARE: &str =
        "mutation($input: PrepareTaskInput!) { prepareTask(input: $input) { clientMutationId templateKey
        fallback byMeaning templates { key } read { name } reading { runId ended why leftOut run { status } } parameters
        missing { name type } } }";
    let house = House::new().await;
    let id = uuid::Uuid::now_v7();
    let input = json!({ "clientMutationId": id, "request": "a text", "model": true, "fallback": false,
        "parameters": { "tone": "dry" } });
    let told = house.data(PREPARE, json!({ "input": input })).await["prepareTask"].take();
    let expected = json!({
        "clientMutationId": id, "templateKey": "draft", "fallback": false, "byMeaning": false,
        "templates": [{ "key": "draft" }], "read": [],
        "reading": { "runId": id, "ended": false, "why": null, "leftOut": 1, "run": null },
        "parameters": { "tone": "dry" }, "missing": [{ "name": "topic", "type": "string" }],
    });
    assert_eq!(told, expected);
    let told = house.data(PREPARE, json!({ "input": { "request": "a text" } })).await["prepareTask"].take();
    assert_eq!((&told["reading"], &told["fallback"], &told["parameters"]), (&json!(null), &json!(true), &json!({})));
    let refused = async |input| house.refusal(PREPARE, json!({ "input": input })).await.0;
    assert_eq!(refused(json!({ "request": " " })).await, "ARGUMENT_INVALID");
    assert_eq!(refused(json!({ "request": "x".repeat(2001) })).await, "ARGUMENT_INVALID");
    assert_eq!(refused(json!({ "request": "x", "template": "nothing" })).await, "TEMPLATE_NOT_FOUND");
}

#[tokio::test]
async fn a_task_says_who_has_it_and_that_the_workflow_named_it() {
    const TASK: &str = "query($run: UUID!) { run(id: $run) { steps { task { assignment {
        agentKey agentVersion named choice { reason } } } } explain { steps { step assignment { agentKey named } } } } }";
    let house = House::furnished().await;
    let run = house.start().await;
    house.advance(run).await;
    house.begin_step(run, "outline").await;
    let position = house.head().await;
    let wait = "query($run: UUID!, $position: Position) { run(id: $run, minPosition: $position) { status } }";
    house.data(wait, json!({ "run": run, "position": position })).await;
    let answer = house.data(TASK, json!({ "run": run })).await;
    let assignment = json!({ "agentKey": "writer", "agentVersion": 1, "named": true, "choice": null });
    assert_eq!(answer["run"]["steps"][0]["task"]["assignment"], assignment);
    let explained = json!({ "agentKey": "writer", "named": true });
    assert_eq!(answer["run"]["explain"]["steps"][0]["assignment"], explained);
}
