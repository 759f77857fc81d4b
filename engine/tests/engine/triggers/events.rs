use std::time::Duration;

use commands::{PostEvent, StartRun};
use domain::Actor;
use domain::trigger::{MAX_CHAIN, Overlap, TriggerKind, TriggerSettings};
use serde_json::{Value, json};

use super::stage::{Stage, key, of_kind};
use crate::world::me;

fn on(types: &[&str], when: Option<&str>) -> TriggerSettings {
    let types = types.iter().map(|name| (*name).to_owned()).collect();
    of_kind(TriggerKind::Event { types, when: when.map(|when| when.parse().unwrap()) }, Overlap::AllowAll)
}

fn on_post(name: &str, when: Option<&str>) -> TriggerSettings {
    let when = when.map(|when| when.parse().unwrap());
    of_kind(TriggerKind::External { name: key(name), when }, Overlap::AllowAll)
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

async fn post(stage: &Stage, name: &str, payload: Value, id: Option<&str>) -> Result<bool, commands::Error> {
    let event = PostEvent { name: key(name), payload, id: id.map(str::to_owned) };
    Ok(stage.commands.post_event(me(), event).await?.1.changed)
}

#[tokio::test(start_paused = true)]
async fn an_event_of_a_run_starts_another_for_the_same_person() {
    let stage = Stage::with_engine().await;
    let input = [
        ("failed".parse().unwrap(), "trigger.event.run".parse().unwrap()),
        ("why".parse().unwrap(), "trigger.event.data.error.kind".parse().unwrap()),
    ];
    let settings = on(&["run.failed"], Some("event.workflow == 'broken'"));
    let reactor = stage.alone(1);
    pass(1).await;
    // Set while the reactor runs: it has to widen what it follows.
    stage.set(TriggerSettings { input: input.into(), ..settings }).await;
    let failed = stage.commands.start_run(me(), StartRun::new(key("broken"), json!({}))).await.unwrap().run;
    stage.commands.start_run(me(), StartRun::new(key("short"), json!({}))).await.unwrap();
    pass(10).await;
    reactor.stop().await;
    let [(run, _)] = &stage.runs().await[..] else { panic!("one run: {:?}", stage.story().await) };
    let run = stage.run(*run).await;
    assert_eq!(run.input()["failed"], json!(failed.to_string()));
    assert_eq!(run.input()["why"], json!("invalid_input"));
    assert_eq!(run.by(), Some(&Actor::person("tester")));
}

#[tokio::test(start_paused = true)]
async fn events_that_came_while_nobody_looked_are_decided_upon_once() {
    let stage = Stage::with_engine().await;
    stage.set(on(&["run.completed"], Some("event.workflow == 'short'"))).await;
    for _ in 0..3 {
        stage.commands.start_run(me(), StartRun::new(key("short"), json!({}))).await.unwrap();
    }
    pass(10).await;
    for number in 1..=3 {
        let reactor = stage.alone(number);
        pass(10).await;
        reactor.kill().await;
        assert_eq!(stage.runs().await.len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn triggers_that_start_one_another_come_to_an_end() {
    let stage = Stage::with_engine().await;
    let settings = TriggerSettings { workflow: key("short"), ..on(&["run.completed"], None) };
    stage.set(settings.clone()).await;
    stage.set(TriggerSettings { key: key("u"), ..settings }).await;
    let reactor = stage.alone(1);
    stage.commands.start_run(me(), StartRun::new(key("short"), json!({}))).await.unwrap();
    pass(600).await;
    reactor.stop().await;
    // Two triggers double the runs at each turn.
    let runs = stage.runs().await.len();
    assert_eq!(runs, (1..=MAX_CHAIN).map(|turn| 2_usize.pow(turn)).sum::<usize>());
    assert!(stage.story().await.iter().any(|line| line.ends_with("skipped: chain_too_long")));
}

#[tokio::test(start_paused = true)]
async fn what_is_posted_from_outside_starts_a_run_with_its_payload() {
    let stage = Stage::new().await;
    stage.set(on_post("order-paid", Some("payload.paid"))).await;
    let reactor = stage.alone(1);
    let order = |paid| json!({"order": 7, "paid": paid});
    assert!(post(&stage, "order-paid", order(true), Some("a")).await.unwrap());
    assert!(!post(&stage, "order-paid", order(true), Some("a")).await.unwrap());
    assert!(post(&stage, "order-paid", order(false), Some("b")).await.unwrap());
    assert!(post(&stage, "order-lost", order(true), Some("a")).await.unwrap());
    let reused = post(&stage, "order-paid", order(false), Some("a")).await.unwrap_err();
    assert_eq!(reused.code(), "EVENT_ID_REUSED");
    assert_eq!(post(&stage, "order-paid", order(true), Some("")).await.unwrap_err().code(), "EVENT_ID_INVALID");
    pass(1).await;
    let runs = stage.runs().await;
    assert_eq!(runs.len(), 1, "{:?}", stage.story().await);
    let run = stage.run(runs[0].0).await;
    assert_eq!(**run.input(), order(true));
    assert_eq!(run.by(), Some(&Actor::person("tester")));
    // Without an id, each is another one.
    post(&stage, "order-paid", order(true), None).await.unwrap();
    post(&stage, "order-paid", order(true), None).await.unwrap();
    pass(1).await;
    reactor.stop().await;
    assert_eq!(stage.runs().await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_fails_is_recorded_and_a_pause_hears_nothing() {
    let stage = Stage::new().await;
    stage.set(on_post("ping", Some("length(payload.list) > `1`"))).await;
    let reactor = stage.alone(1);
    post(&stage, "ping", json!({"list": 7}), None).await.unwrap();
    pass(1).await;
    assert_eq!(stage.story().await, ["0:00 skipped: condition_failed"]);
    stage.commands.pause_trigger(me(), &key("t"), "quiet".to_owned()).await.unwrap();
    post(&stage, "ping", json!({"list": [1, 2]}), None).await.unwrap();
    pass(1).await;
    stage.commands.resume_trigger(me(), &key("t")).await.unwrap();
    pass(1).await;
    assert_eq!(stage.runs().await.len(), 0);
    post(&stage, "ping", json!({"list": [1, 2]}), None).await.unwrap();
    pass(1).await;
    reactor.stop().await;
    assert_eq!(stage.runs().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_waits_reads_its_own_event_when_it_starts() {
    let stage = Stage::with_engine().await;
    let serial = TriggerSettings { workflow: key("short"), overlap: Overlap::BufferAll, ..on_post("ping", None) };
    stage.set(serial).await;
    let reactor = stage.alone(1);
    for number in 0..4 {
        post(&stage, "ping", json!({"number": number}), None).await.unwrap();
    }
    pass(20).await;
    reactor.stop().await;
    let mut numbers = Vec::new();
    for (run, _) in stage.runs().await {
        numbers.push(stage.run(run).await.input()["number"].clone());
    }
    assert_eq!(numbers, [0, 1, 2, 3].map(Value::from));
}
