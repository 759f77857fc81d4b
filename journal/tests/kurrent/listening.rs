//! Subscriptions that break, end, stall, repeat themselves or are slow.

use std::time::Duration;

use journal::{Expected, Filter, Journal, Position};
use testkit::kurrent::{KurrentDouble, ReadFault};

use crate::backend::KurrentNode;
use crate::conformance::{everything, positions};
use crate::sample::{agent, append};

async fn watchful(url: &str) -> KurrentNode {
    KurrentNode::open_with(url, |options| options.watch = Duration::from_millis(150)).await
}

/// Appends and follows while the subscriptions of the first seconds all go wrong.
async fn survives(faults: &[ReadFault]) {
    let double = KurrentDouble::start().await;
    for fault in faults {
        double.faults().subscription(*fault);
    }
    let node = watchful(&double.url()).await;
    let mut subscription = node.journal.subscribe(Position::START, Filter::default()).with_batch(9);
    let stream = agent();
    for _ in 0..20 {
        node.journal.append(append(stream, Expected::Any, &["x", "y", "z"])).await.unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 60 {
        let batch = tokio::time::timeout(Duration::from_secs(20), subscription.next()).await.expect("it is replaced");
        seen.extend(positions(&batch.unwrap().events));
    }
    assert_eq!(seen, positions(&everything(&node.journal).await), "{faults:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_subscription_goes_on_without_gap_or_repetition() {
    survives(&[ReadFault::Unavailable(0), ReadFault::Unavailable(7), ReadFault::Repeats, ReadFault::Unavailable(1)])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_ends_without_an_error_does_not_hang_the_client() {
    // The official client would go round in a circle for ever, on the thread of whoever asked.
    survives(&[ReadFault::Ends(0), ReadFault::Ends(5)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_stands_still_is_replaced() {
    survives(&[ReadFault::Stalls(4)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_finds_the_new_leader() {
    let double = KurrentDouble::start().await;
    let address = double.address();
    drop(double);
    survives(&[ReadFault::NotLeader(address), ReadFault::Unavailable(2)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_subscription_does_not_hold_up_writers_or_readers() {
    let double = KurrentDouble::start().await;
    double.faults().subscription(ReadFault::Slow(Duration::from_millis(100)));
    let node = KurrentNode::open(&double.url()).await;
    let stream = agent();
    let begun = std::time::Instant::now();
    for _ in 0..30 {
        node.journal.append(append(stream, Expected::Any, &["x"])).await.unwrap();
    }
    // What was recorded is read at once, also while the subscription is still far behind.
    assert_eq!(everything(&node.journal).await.len(), 30);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    node.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_reads_are_tried_again() {
    let double = KurrentDouble::start().await;
    let node = KurrentNode::open_with(&double.url(), |options| options.tail_events = 0).await;
    let stream = agent();
    for _ in 0..5 {
        node.journal.append(append(stream, Expected::Any, &["x", "y"])).await.unwrap();
    }
    for fault in [ReadFault::Unavailable(0), ReadFault::Unavailable(3), ReadFault::NotLeader(double.address())] {
        double.faults().read(fault);
        assert_eq!(node.journal.read_stream(stream, 0, 100).await.unwrap().len(), 10);
        double.faults().read(fault);
        assert_eq!(everything(&node.journal).await.len(), 10);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn journals_that_share_a_server_do_not_meet() {
    let double = KurrentDouble::start().await;
    let one = KurrentNode::open(&double.url()).await;
    let two = KurrentNode::open_with(&double.url(), |options| options.prefix = "hishamos2".to_owned()).await;
    assert_ne!(one.journal.identity(), two.journal.identity());
    let stream = agent();
    one.journal.append(append(stream, Expected::NoStream, &["one"])).await.unwrap();
    two.journal.append(append(stream, Expected::NoStream, &["two"])).await.unwrap();
    for node in [&one, &two] {
        assert_eq!(everything(&node.journal).await.len(), 1);
        assert_eq!(node.journal.subscribe(Position::START, Filter::default()).next().await.unwrap().events.len(), 1);
    }
    let again = KurrentNode::open(&double.url()).await;
    assert_eq!(again.journal.identity(), one.journal.identity());
    for node in [one, two, again] {
        node.stop().await;
    }
}
