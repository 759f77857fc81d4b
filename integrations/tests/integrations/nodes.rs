//! Nodes that die, restart, and believe things of each other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::NodeId;
use domain::webhook::Topic;
use journal::Members;
use testkit::webhooks::{HookReceiver, Reply};
use tokio::sync::watch;

use crate::stage::{Stage, failed, hasty, me, node, succeeded};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_and_not_recorded_is_sent_again_with_the_same_id() {
    let stage = Stage::new();
    let receiver = HookReceiver::start(|got| Reply {
        after: if got.number == 0 { Duration::from_secs(600) } else { Duration::ZERO },
        ..Reply::status(200)
    });
    stage.subscribe(receiver.url("/"), &[Topic::RunStarted]).await;
    let reactor = stage.alone();
    stage.start_run().await;
    let first = receiver.next();
    // It was delivered, and nobody can have recorded it.
    reactor.kill().await;
    assert_eq!(stage.deliveries().await.len(), 0);
    let reactor = stage.alone();
    let second = receiver.next();
    assert_eq!((first.header("webhook-id"), &first.body), (second.header("webhook-id"), &second.body));
    stage.until("the record", |all| succeeded(all) == 1).await;
    reactor.stop().await;
    // From the checkpoint, nothing is sent once more.
    let _reactor = stage.alone();
    assert!(receiver.within(Duration::from_millis(300)).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_keeps_its_time_over_a_restart() {
    let stage = Stage::new();
    let receiver = HookReceiver::start(|got| Reply::status(if got.number == 0 { 500 } else { 200 }));
    stage.subscribe(receiver.url("/"), &[Topic::RunStarted]).await;
    let options =
        || integrations::webhooks::Options { schedule: vec![Duration::ZERO, Duration::from_secs(2)], ..hasty() };
    let reactor = stage.reactor(Members::alone(node(1)), options());
    stage.start_run().await;
    let _ = receiver.next();
    stage.until("the failure", |all| failed(all) == 1).await;
    reactor.stop().await;
    let began = std::time::Instant::now();
    let reactor = stage.reactor(Members::alone(node(2)), options());
    let _ = receiver.next();
    assert!(began.elapsed() > Duration::from_secs(1), "not before its time: {:?}", began.elapsed());
    let done = stage.until("the end", |all| succeeded(all) == 1).await;
    assert_eq!(done.len(), 2);
    reactor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_sends_and_who_takes_over_has_missed_nothing() {
    let stage = Stage::new();
    let receiver = HookReceiver::patient();
    let hook = stage.subscribe(receiver.url("/"), &[Topic::RunStarted]).await;
    let both: BTreeSet<NodeId> = [node(1), node(2)].into();
    let (alive, seen) = watch::channel(Arc::new(both.clone()));
    let owner = Members::owner_among(&both, hook.id.as_uuid()).unwrap();
    let other = if owner == node(1) { node(2) } else { node(1) };
    let idle = stage.reactor(Members::simulated(other, seen), hasty());
    stage.start_run().await;
    assert!(receiver.within(Duration::from_millis(300)).is_none(), "it is not the owner's");
    assert_eq!(idle.handle.own_webhooks(), 0);
    alive.send_replace(Arc::new([other].into()));
    let _ = receiver.next();
    stage.until("the record", |all| succeeded(all) == 1).await;
    // Both believe it theirs for a moment: it may arrive twice, and is recorded once.
    let _third = stage.reactor(Members::alone(owner), hasty());
    stage.start_run().await;
    stage.until("the record", |all| succeeded(all) == 2).await;
    let ids: BTreeSet<String> = std::iter::from_fn(|| receiver.within(Duration::from_millis(300)))
        .map(|got| got.header("webhook-id").to_owned())
        .collect();
    assert_eq!((ids.len(), stage.deliveries().await.len()), (1, 2));
    stage.commands.delete_webhook(me(), hook.id).await.unwrap();
    stage.start_run().await;
    assert!(receiver.within(Duration::from_millis(300)).is_none());
    assert!(idle.handle.is_following());
}
