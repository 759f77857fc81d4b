//! Action items as a resource.

use std::sync::Arc;
use std::time::Duration;

use commands::Commands;
use domain::run::TaskEnd;
use domain::task::{ActionItem, Choice, Ending, Output, Purpose};
use domain::{
    Actor, AgentId, CommandId, FinishReason, NodeId, Reply, RetryPolicy, Run, RunCommand, RunId, Task, TaskCommand,
    TaskId, TemplateId, Usage,
};
use journal::Context;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{House, done, header, refused};

pub(crate) fn context() -> Context {
    let command = Uuid::now_v7();
    Context {
        command: CommandId::from_uuid(command),
        at: commands::now(),
        actor: Actor::system("engine"),
        tenant: "default".to_owned(),
        correlation: command,
        causation: None,
        subject: None,
        keeping: None,
    }
}

/// Carries a run of the letter out, as the engine would; its task asks for two things.
pub(crate) async fn carry_out(house: &House, run: RunId) -> TaskId {
    let commands = Commands::new(Arc::clone(&house.journal));
    let step: domain::StepName = "draft".parse().unwrap();
    let task = TaskId::of_step(run, &step);
    let on_run =
        async |command| commands.executor().execute::<Run>(run.into(), command, context(), false).await.unwrap();
    let on_task =
        async |command| commands.executor().execute::<Task>(task.into(), command, context(), false).await.unwrap();
    on_run(RunCommand::Claim { node: NodeId::from_uuid(Uuid::now_v7()) }).await;
    on_run(RunCommand::Advance { now: commands::now() }).await;
    on_task(TaskCommand::Create {
        run: Some(run),
        step: Some(step),
        template: TemplateId::from_key(&"draft".parse().unwrap()),
        template_version: 1,
        parameters: Arc::new(json!({ "text": "Dear Sir" })),
        retry: RetryPolicy::default(),
        attempt_timeout: Duration::from_secs(60),
        at: commands::now(),
        start_by: None,
    })
    .await;
    let agent = AgentId::from_key(&"writer".parse().unwrap());
    on_task(TaskCommand::Assign { agent, agent_version: 1, reason: "named".to_owned(), choice: None }).await;
    on_task(TaskCommand::StartAttempt {
        purpose: Purpose::Answer,
        platform: "simulator".parse().unwrap(),
        model: None,
        request_hash: [7; 32],
        choice: Choice::first(),
        reserved: vec![],
        masked: vec![],
        kept: None,
    })
    .await;
    let item = |what: &str, due: Option<&str>| ActionItem {
        what: what.to_owned(),
        owner: Some("Tester".to_owned()),
        due: due.map(str::to_owned),
        priority: None,
    };
    let actions = Some(vec![item("Ask finance", Some("2020-01-31")), item("File it", None)]);
    let output = Output { results: "Dear Sir".to_owned(), actions, ..Output::default() };
    let reply = Reply {
        text: "Dear Sir".to_owned(),
        finish: FinishReason::Stop,
        model: "simulated".to_owned(),
        usage: Usage::default(),
        cost: None,
        duration: Duration::from_millis(40),
        first_piece: None,
        simulated: true,
        account: None,
    };
    let ending = Some(Ending { output: Some(output), ..Ending::default() });
    on_task(TaskCommand::SucceedAttempt { attempt: 1, reply, ending }).await;
    let end = TaskEnd::Completed { result: json!({ "text": "Dear Sir", "json": null }), simulated: true };
    on_run(RunCommand::SettleTask { task, end, now: commands::now() }).await;
    task
}

#[tokio::test(flavor = "multi_thread")]
async fn action_items_are_listed_shown_and_changed() {
    let house = House::furnished().await;
    let body = json!({ "workflow": "letter", "input": { "file": "Dear Sir" }, "output": "every" });
    let started = done(house.post("/runs", &body), 201).await;
    let run: RunId = started["id"].as_str().unwrap().parse().unwrap();
    let task = carry_out(&house, run).await;
    let at = house.journal.head().await.unwrap();

    let list = async |query: &str| {
        let page = done(house.get(&format!("/action-items?minPosition={at}&{query}")), 200).await;
        page["items"].as_array().unwrap().clone()
    };
    let all = list("order=due").await;
    let told: Vec<_> = all.iter().map(|item| (item["what"].as_str().unwrap(), item["overdue"] == true)).collect();
    assert_eq!(told, [("Ask finance", true), ("File it", false)]);
    let id = format!("{task}.1");
    assert_eq!((&all[0]["id"], &all[0]["state"]), (&json!(id), &json!("open")));
    assert_eq!(list("mine=true&overdue=true").await.len(), 1);
    assert_eq!(list("owner=somebody").await.len(), 0);
    assert_eq!(list(&format!("run={run}&state=open,done&text=file")).await.len(), 1);
    let first = done(house.get(&format!("/action-items?limit=1&minPosition={at}")), 200).await;
    let next = first["next"].as_str().unwrap();
    let second = done(house.get(&format!("/action-items?limit=1&after={next}")), 200).await;
    assert_ne!(first["items"][0]["id"], second["items"][0]["id"]);

    // The task is done again, as it was or changed; nobody carries it out here.
    let again = async |body: Value| done(house.post(&format!("/tasks/{task}/again"), &body), 201).await;
    let second = again(json!({})).await;
    assert_eq!((&second["workflow"], &second["input"]), (&json!("task.draft"), &json!({ "text": "Dear Sir" })));
    let changed = again(json!({ "parameters": { "tone": "warm" }, "agent": "auto" })).await;
    assert_eq!(changed["input"], json!({ "text": "Dear Sir", "tone": "warm" }));
    let nobody = house.post(&format!("/tasks/{}/again", Uuid::nil()), &json!({}));
    assert_eq!(refused(nobody, 404).await, "TASK_NOT_FOUND");

    // How the agent and the template have done is told beside it.
    let metrics = async |path: &str| done(house.get(&format!("/metrics/{path}")), 200).await["items"].take();
    let then = format!("agents?window=7d&asOf={at}");
    for path in ["agents?window=7d", "agents", "templates?order=cost&window=30d", then.as_str()] {
        let told = metrics(path).await;
        let [one] = told.as_array().unwrap().as_slice() else { panic!("{path}: {told}") };
        let key = if path.starts_with("agents") { "writer" } else { "draft" };
        assert_eq!((&one["key"], &one["total"], &one["completed"]), (&json!(key), &json!(1), &json!(1)));
        assert_eq!((&one["successRate"], &one["attemptsOfUnknownCost"]), (&json!(1.0), &json!(1)));
        assert_eq!((&one["averageDurationMs"], &one["averageQuality"]), (&json!(40.0), &json!(null)));
    }
    assert_eq!(metrics("agents?asOf=1").await, json!([]), "nobody had done anything then");
    for wrong in ["window=8d", "asOf=99999999", "asOf=yesterday"] {
        let wrong = house.get(&format!("/metrics/agents?{wrong}"));
        assert_eq!(refused(wrong, 400).await, "ARGUMENT_INVALID");
    }

    let place = format!("/action-items/{id}");
    let patch = |body: &Value| house.http.patch(format!("{}/api/v1{place}", house.url)).json(body);
    let change = json!({ "state": "in_progress", "due": "2999-01-31", "note": "by phone" });
    let keyed = || patch(&change).header("idempotency-key", "one");
    let changed = done(keyed(), 200).await;
    let told = (&changed["state"], &changed["overdue"], &changed["changedBy"], &changed["owner"]);
    assert_eq!(told, (&json!("in_progress"), &json!(false), &json!("person:tester"), &json!("Tester")));
    let again = keyed().send().await.unwrap();
    assert_eq!(header(&again, "idempotency-replayed").as_deref(), Some("true"));
    let bare = done(patch(&json!({ "note": null, "owner": null })), 200).await;
    assert_eq!((&bare["note"], &bare["owner"], &bare["due"]), (&json!(null), &json!(null), &json!("2999-01-31")));
    assert_eq!(done(house.get(&place), 200).await, bare);

    assert_eq!(refused(patch(&json!({ "due": "soon" })), 422).await, "ACTION_INVALID");
    assert_eq!(refused(patch(&json!({ "colour": "red" })), 400).await, "BODY_INVALID");
    assert_eq!(refused(house.get(&format!("/action-items/{task}.7")), 404).await, "ACTION_NOT_FOUND");
    assert_eq!(refused(house.get("/action-items/seven"), 400).await, "ARGUMENT_INVALID");
    assert_eq!(refused(house.get("/action-items?state=asleep"), 400).await, "ARGUMENT_INVALID");
    assert_eq!(refused(house.get("/action-items?mine=true&owner=ada"), 400).await, "ARGUMENT_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_to_be_done_then_is_told() {
    let house = House::furnished().await;
    let before = house.journal.head().await.unwrap();
    let body = json!({ "workflow": "letter", "input": { "file": "Dear Sir" }, "output": "every" });
    let started = done(house.post("/runs", &body), 201).await;
    let task = carry_out(&house, started["id"].as_str().unwrap().parse().unwrap()).await;
    let id = format!("{task}.1");
    let at = house.journal.head().await.unwrap();
    let patch = house.http.patch(format!("{}/api/v1/action-items/{id}", house.url));
    done(patch.json(&json!({ "state": "done" })), 200).await;
    let moment = jiff::Timestamp::from_microsecond(commands::now().as_micros()).unwrap().to_string();
    let list = async |query: &str| {
        let page = done(house.get(&format!("/action-items?{query}")), 200).await;
        page["items"].as_array().unwrap().iter().map(|item| item["state"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(list(&format!("asOf={at}&order=due")).await, ["open", "open"]);
    assert_eq!(list(&format!("asOf={at}&state=done")).await, [] as [Value; 0]);
    assert_eq!(list(&format!("asOf={at}&overdue=true")).await, ["open"]);
    assert_eq!(list(&format!("asOf={moment}&order=due")).await, ["done", "open"]);
    assert_eq!(list(&format!("asOf={before}")).await, [] as [Value; 0]);
    let then = house.get(&format!("/action-items/{id}?asOf={at}")).send().await.unwrap();
    assert_eq!(header(&then, "x-hishamos-position"), Some(at.to_string()));
    assert_eq!(then.json::<Value>().await.unwrap()["state"], "open");
    assert_eq!(refused(house.get(&format!("/action-items/{id}?asOf={before}")), 404).await, "ACTION_NOT_FOUND");
    for wrong in ["999999999", "yesterday", "2999-01-01T00:00:00Z", ""] {
        assert_eq!(
            refused(house.get(&format!("/action-items?asOf={wrong}")), 400).await,
            "ARGUMENT_INVALID",
            "{wrong}"
        );
    }
}
