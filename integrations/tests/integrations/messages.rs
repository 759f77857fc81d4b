//! What is told is what was promised: the fields of every message are those of its documented example.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::budget::{BudgetScope, Unit};
use domain::purse::Payer;
use domain::webhook::Topic;
use domain::{Actor, AttemptError, ErrorKind, PurseEvent, PurseId, RunEvent, TaskEvent, TaskId, TemplateId, Timestamp};
use serde_json::{Value, json};
use testkit::webhooks::HookReceiver;

use crate::stage::{Stage, me};

fn names(value: &Value) -> BTreeSet<&String> {
    value.as_object().unwrap().keys().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_has_the_fields_of_its_example() {
    let stage = Stage::new();
    let receiver = HookReceiver::patient();
    let hook = stage.subscribe(receiver.url("/"), &Topic::ALL).await;
    let _reactor = stage.alone();
    let run = stage.start_run().await;
    let step = || "wait".parse().unwrap();
    let (by, at) = (Actor::person("grace"), commands::now());
    let error = |kind| AttemptError { kind, message: "secret words".to_owned(), retry_after: None };
    for event in [
        RunEvent::ApprovalRequested {
            step: step(),
            content: Arc::new(json!("secret words")),
            content_hash: [0; 32],
            at,
            expires_at: Some(at),
            deadline: None,
        },
        RunEvent::ApprovalDecided {
            step: step(),
            by,
            approved: true,
            comment: "secret words".to_owned(),
            content_hash: [0; 32],
            at,
        },
        RunEvent::ApprovalExpired { step: step() },
        RunEvent::Completed { output: Arc::new(json!("secret words")), simulated: false },
        RunEvent::Failed { step: Some(step()), error: error(ErrorKind::Timeout) },
        RunEvent::Cancelled { reason: "secret words".to_owned() },
    ] {
        stage.record(run.into(), event).await;
    }
    let task = TaskId::of_step(run, &step());
    let created = TaskEvent::Created {
        run: Some(run),
        step: Some(step()),
        template: TemplateId::from_key(&"t".parse().unwrap()),
        template_version: 1,
        parameters: Arc::new(json!({})),
        retry: domain::RetryPolicy::default(),
        attempt_timeout: Duration::from_secs(1),
        at,
        start_by: None,
    };
    stage.record(task.into(), created).await;
    stage.record(task.into(), TaskEvent::Failed { error: error(ErrorKind::BudgetExhausted) }).await;
    stage.record(TaskId::of_item(run, &step(), 1).into(), TaskEvent::Failed { error: error(ErrorKind::Timeout) }).await;
    let budget = "all".parse().unwrap();
    let purse = PurseId::of(&budget, &BudgetScope::Organisation, Unit::Money, None);
    let payer = Payer { task, attempt: 1 };
    let window = Timestamp::from_micros(0);
    let reserved = PurseEvent::Reserved { payer, amount: 8, budget, partition: None, window, at };
    stage.record(purse.into(), reserved).await;
    stage.record(purse.into(), PurseEvent::Warned { used: 8, limit: 10 }).await;
    stage.commands.test_webhook(me(), hook.id).await.unwrap();

    let mut told = BTreeSet::new();
    for _ in 0..=Topic::ALL.len() {
        let got = receiver.next();
        let body = got.json();
        let topic: Topic = body["type"].as_str().unwrap().parse().unwrap();
        assert!(!got.body.contains("secret words"), "{}", got.body);
        assert!(got.body.len() < 1000, "a message is small: {}", got.body);
        let example = topic.message(at, topic.sample());
        assert_eq!(names(&body), names(&example), "{topic}");
        assert_eq!(names(&body["data"]), names(&example["data"]), "{topic}");
        assert!(told.insert(topic), "{topic} came twice");
    }
    assert!(receiver.within(Duration::from_millis(200)).is_none(), "a task that fails for another reason is not told");
}
