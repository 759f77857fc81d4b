//! What arrives, when it is tried again, and when a webhook is given up.

use std::time::{Duration, Instant};

use commands::webhooks::{Reach, ReplayRange};
use domain::webhook::{DisabledBecause, Topic};
use domain::{DeliveryEvent, RunEvent, Timestamp};
use integrations::webhooks::Options;
use testkit::webhooks::{HookReceiver, Reply, others_believe};

use crate::stage::{Stage, failed, hasty, me, settings, succeeded};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_told_signed_and_recorded() {
    let stage = Stage::new();
    let (receiver, other) = (HookReceiver::patient(), HookReceiver::patient());
    let hook = stage.subscribe(receiver.url("/in?x=1"), &[Topic::RunStarted]).await;
    stage.subscribe(other.url("/"), &[Topic::RunFailed]).await;
    let reactor = stage.alone();
    let run = stage.start_run().await;
    let got = receiver.next();
    assert_eq!(got.path, "/in?x=1");
    let body = got.json();
    assert_eq!((&body["type"], &body["data"]["run_id"]), (&"run.started".into(), &run.to_string().into()));
    assert!(body["timestamp"].as_str().unwrap().ends_with('Z'));
    assert!(others_believe(&hook.secret.reveal(), &got), "the library of other authors believes it");
    let mut changed = got.clone();
    changed.body = changed.body.replace("run.started", "run.stopped");
    assert!(!others_believe(&hook.secret.reveal(), &changed), "and it looks");
    let done = stage.until("the record", |all| succeeded(all) == 1).await;
    assert!(matches!(&done[..], [DeliveryEvent::Succeeded { attempt: 1, status: 204, .. }]), "{done:#?}");
    assert!(other.within(Duration::from_millis(200)).is_none(), "who wants something else is told nothing");
    reactor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_tried_again_with_the_same_id_and_a_new_time() {
    let stage = Stage::new();
    let receiver = HookReceiver::start(|got| Reply::status([500, 302, 429, 200][got.number.min(3)]));
    let hook = stage.subscribe(receiver.url("/"), &[Topic::RunStarted]).await;
    let _reactor = stage.alone();
    stage.start_run().await;
    let all: Vec<_> = (0..4).map(|_| receiver.next()).collect();
    assert!(all.iter().all(|got| got.header("webhook-id") == all[0].header("webhook-id")));
    assert!(all.iter().all(|got| got.body == all[0].body && others_believe(&hook.secret.reveal(), got)));
    let done = stage.until("the end", |all| succeeded(all) == 1).await;
    let told: Vec<_> = done
        .iter()
        .map(|event| match event {
            DeliveryEvent::Failed { attempt, trouble, next_at, .. } => (*attempt, trouble.status, next_at.is_some()),
            DeliveryEvent::Succeeded { attempt, status, .. } => (*attempt, Some(*status), false),
            DeliveryEvent::Requested { .. } => panic!("nobody asked"),
        })
        .collect();
    assert_eq!(told, [(1, Some(500), true), (2, Some(302), true), (3, Some(429), true), (4, Some(200), false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_last_attempt_it_is_given_up_and_a_replay_begins_anew() {
    let stage = Stage::new();
    let receiver = HookReceiver::start(|got| Reply::status(if got.number < 4 { 503 } else { 200 }));
    stage.subscribe(receiver.url("/"), &[Topic::RunStarted]).await;
    let _reactor = stage.alone();
    stage.start_run().await;
    let done = stage.until("four failures", |all| failed(all) == 4).await;
    let DeliveryEvent::Failed { attempt: 4, next_at: None, subject, .. } = &done[3] else { panic!("{done:#?}") };
    let first = receiver.next();
    stage.commands.replay_delivery(me(), subject.id()).await.unwrap();
    let done = stage.until("the replay", |all| succeeded(all) == 1).await;
    assert!(matches!(done.last(), Some(DeliveryEvent::Succeeded { attempt: 1, .. })));
    let last = (0..4).map(|_| receiver.next()).last().unwrap();
    assert_eq!(first.header("webhook-id"), last.header("webhook-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_asks_for_a_pause_gets_it() {
    let stage = Stage::new();
    let receiver = HookReceiver::start(|got| Reply {
        headers: vec!["Retry-After: 1".to_owned()],
        ..Reply::status(if got.number == 0 { 503 } else { 200 })
    });
    stage.subscribe(receiver.url("/"), &[Topic::RunStarted]).await;
    let _reactor = stage.alone();
    stage.start_run().await;
    let _ = receiver.next();
    let began = Instant::now();
    let _ = receiver.next();
    assert!(began.elapsed() >= Duration::from_millis(800), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn gone_disables_at_once_and_resuming_begins_again() {
    let stage = Stage::new();
    let receiver = HookReceiver::start(|got| Reply::status(if got.number == 0 { 410 } else { 200 }));
    let hook = stage.subscribe(receiver.url("/"), &[Topic::RunStarted]).await;
    let _reactor = stage.alone();
    stage.start_run().await;
    assert_eq!(stage.until_disabled(hook.id).await, DisabledBecause::Gone);
    let _ = receiver.next();
    stage.start_run().await;
    assert!(receiver.within(Duration::from_millis(300)).is_none(), "it is told nothing");
    stage.commands.resume_webhook(me(), hook.id).await.unwrap();
    let run = stage.start_run().await;
    assert_eq!(receiver.next().json()["data"]["run_id"], run.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_for_too_long_disables() {
    let stage = Stage::new();
    let receiver = HookReceiver::start(|_| Reply::status(500));
    let hook = stage.subscribe(receiver.url("/"), &[Topic::RunStarted]).await;
    let options = Options { disable_after: Duration::from_millis(60), ..hasty() };
    let _reactor = stage.reactor(journal::Members::alone(crate::stage::node(1)), options);
    stage.start_run().await;
    assert!(matches!(stage.until_disabled(hook.id).await, DisabledBecause::Failing { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_receiver_holds_up_nobody_else() {
    let stage = Stage::new();
    let slow = HookReceiver::start(|_| Reply { after: Duration::from_secs(4), ..Reply::status(200) });
    let quick = HookReceiver::patient();
    stage.subscribe(slow.url("/"), &[Topic::RunStarted]).await;
    stage.subscribe(quick.url("/"), &[Topic::RunStarted]).await;
    let _reactor = stage.alone();
    let began = Instant::now();
    for _ in 0..20 {
        stage.start_run().await;
    }
    (0..20).for_each(|_| drop(quick.next()));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let at_the_slow_one = std::iter::from_fn(|| slow.within(Duration::from_millis(100))).count();
    assert_eq!(at_the_slow_one, Options::default().per_webhook, "no more than it may have at a time");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_secrets_sign_while_one_takes_over() {
    let stage = Stage::new();
    let receiver = HookReceiver::patient();
    let hook = stage.subscribe(receiver.url("/"), &[Topic::RunStarted]).await;
    let _reactor = stage.alone();
    let (new, _) = stage.commands.rotate_webhook(me(), hook.id, Duration::from_secs(3600)).await.unwrap();
    stage.start_run().await;
    let got = receiver.next();
    assert_eq!(got.header("webhook-signature").split(' ').count(), 2);
    assert!(others_believe(&hook.secret.reveal(), &got) && others_believe(&new.reveal(), &got));
    let (newest, _) = stage.commands.rotate_webhook(me(), hook.id, Duration::ZERO).await.unwrap();
    stage.start_run().await;
    let got = receiver.next();
    assert!(others_believe(&newest.reveal(), &got) && !others_believe(&new.reveal(), &got));
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_addresses_are_never_connected_to() {
    let receiver = HookReceiver::patient();
    let url = receiver.url("/");
    // The name is looked up when it is sent, and then it is found to lead to this machine.
    let named = url.replace("127.0.0.1", "localhost");
    let stage = Stage::reaching(Reach { insecure_http: true, networks: vec![] });
    let refused = stage.commands.subscribe_webhook(me(), settings(url, &[Topic::RunStarted])).await.unwrap_err();
    assert_eq!(refused.code(), "WEBHOOK_INVALID");
    stage.subscribe(named, &[Topic::RunStarted]).await;
    let _reactor = stage.alone();
    stage.start_run().await;
    let done = stage.until("a failure", |all| failed(all) >= 1).await;
    let DeliveryEvent::Failed { trouble, .. } = &done[0] else { panic!("{done:#?}") };
    assert!(trouble.what.contains("not an address of the open internet"), "{}", trouble.what);
    assert!(receiver.within(Duration::from_millis(300)).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_not_followed() {
    let stage = Stage::new();
    let inner = HookReceiver::patient();
    let target = format!("Location: {}", inner.url("/secret"));
    let receiver = HookReceiver::start(move |_| Reply { headers: vec![target.clone()], ..Reply::status(307) });
    stage.subscribe(receiver.url("/"), &[Topic::RunStarted]).await;
    let _reactor = stage.alone();
    stage.start_run().await;
    let done = stage.until("a failure", |all| failed(all) >= 1).await;
    let DeliveryEvent::Failed { trouble, .. } = &done[0] else { panic!("{done:#?}") };
    assert!(trouble.what.contains("redirects are not followed"), "{}", trouble.what);
    assert!(inner.within(Duration::from_millis(300)).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_during_a_pause_can_be_told_later() {
    let stage = Stage::new();
    let receiver = HookReceiver::patient();
    let hook = stage.subscribe(receiver.url("/"), &[Topic::RunStarted, Topic::RunCancelled]).await;
    let _reactor = stage.alone();
    let first = stage.start_run().await;
    assert_eq!(receiver.next().json()["data"]["run_id"], first.to_string());
    stage.until("the first", |all| succeeded(all) == 1).await;
    stage.commands.pause_webhook(me(), hook.id, "holiday".to_owned()).await.unwrap();
    let second = stage.start_run().await;
    stage.record(second.into(), RunEvent::Cancelled { reason: "secret words".to_owned() }).await;
    assert!(receiver.within(Duration::from_millis(300)).is_none());
    stage.commands.resume_webhook(me(), hook.id).await.unwrap();
    assert!(receiver.within(Duration::from_millis(300)).is_none(), "nothing is told by itself");
    let range = ReplayRange { from: Timestamp::from_micros(0), until: commands::now(), delivered_too: false };
    let done = stage.commands.replay_deliveries(me(), hook.id, range).await.unwrap();
    assert_eq!((done.requested.len(), done.delivered), (2, 1));
    let told = [receiver.next(), receiver.next()];
    assert!(told.iter().all(|got| got.json()["data"]["run_id"] == second.to_string()));
    assert!(told.iter().all(|got| !got.body.contains("secret words")), "reasons of people are not told");
    stage.until("both", |all| succeeded(all) == 3).await;
    let all = ReplayRange { delivered_too: true, ..range };
    assert_eq!(stage.commands.replay_deliveries(me(), hook.id, all).await.unwrap().requested.len(), 3);
    stage.until("all again", |all| succeeded(all) == 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_known_by_its_id_and_goes_on_where_it_was_interrupted() {
    let stage = Stage::new();
    let hook = stage.subscribe("https://hooks.example/x".to_owned(), &[Topic::RunStarted]).await;
    let mut ends = Vec::new();
    for _ in 0..3 {
        stage.start_run().await;
        ends.push(commands::now());
    }
    let wish = |id: u128, asked: &str| {
        let command = Some(domain::CommandId::from_uuid(uuid::Uuid::from_u128(id)));
        commands::Request { command, ..me() }.asking(&[asked.as_bytes()])
    };
    let range = |until| ReplayRange { from: Timestamp::from_micros(0), until, delivered_too: false };
    let go = async |request, until| stage.commands.replay_deliveries(request, hook.id, range(until)).await;
    // As if the same wish had ended after its first two deliveries.
    let begun = go(wish(1, "a"), ends[1]).await.unwrap();
    assert_eq!((begun.requested.len(), begun.open, begun.repeated), (2, 0, false));
    let whole = go(wish(1, "a"), ends[2]).await.unwrap();
    assert_eq!((&whole.requested[..2], whole.requested.len(), whole.open), (&begun.requested[..], 3, 0));
    // Whatever becomes of the webhook and of what it is told, the same wish has the same answer.
    stage.start_run().await;
    stage.commands.pause_webhook(me(), hook.id, "holiday".to_owned()).await.unwrap();
    let head = stage.commands.executor().journal().head().await.unwrap();
    let again = go(wish(1, "a"), ends[2]).await.unwrap();
    assert_eq!(again, commands::webhooks::Replayed { repeated: true, ..whole });
    assert_eq!(go(wish(1, "b"), ends[2]).await.unwrap_err().code(), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(go(wish(2, "a"), ends[2]).await.unwrap_err().code(), "WEBHOOK_NOT_ACTIVE");
    assert_eq!(stage.commands.executor().journal().head().await.unwrap(), head);
}
