//! Three nodes: which one is chosen, and what happens when it stops leading.

use std::time::Duration;

use journal::{Expected, Filter, Journal, Position};
use testkit::kurrent::{KurrentCluster, KurrentDouble, Security};

use super::failure::{Load, hasty};
use super::holds_exactly;
use crate::backend::KurrentNode;
use crate::sample::{agent, append};

async fn cluster() -> KurrentCluster {
    KurrentCluster::start(3, Security::default()).await
}

/// The writes that each node was asked for.
fn writes(cluster: &KurrentCluster) -> [usize; 3] {
    [0, 1, 2].map(|index| cluster.node(index).faults().writes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_found_by_gossip() {
    let cluster = cluster().await;
    for leader in 0..3 {
        cluster.lead(Some(leader));
        let before = writes(&cluster);
        let node = KurrentNode::open(&cluster.url("")).await;
        node.journal.append(append(agent(), Expected::NoStream, &["x"])).await.unwrap();
        node.stop().await;
        let after = writes(&cluster);
        for index in 0..3 {
            assert_eq!(after[index] > before[index], index == leader, "{leader}: {before:?} {after:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_name_that_is_to_be_discovered_leads_to_the_leader() {
    let cluster = cluster().await;
    cluster.lead(Some(2));
    // The client resolves the name as any other, and asks who answers there for the rest.
    let url = format!("kurrentdb+discover://localhost:{}?tls=false", cluster.node(0).address().port());
    let node = KurrentNode::open(&url).await;
    node.journal.append(append(agent(), Expected::NoStream, &["x"])).await.unwrap();
    assert_eq!((writes(&cluster)[0], writes(&cluster)[1]), (0, 0));
    node.stop().await;
    // A single node answers for itself.
    let double = KurrentDouble::start().await;
    let url = format!("esdb+discover://localhost:{}?tls=false", double.address().port());
    let node = KurrentNode::open(&url).await;
    node.journal.append(append(agent(), Expected::NoStream, &["x"])).await.unwrap();
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_named_alone_sends_to_the_leader() {
    let cluster = cluster().await;
    cluster.lead(Some(1));
    let node = KurrentNode::open(&cluster.node(0).url()).await;
    node.journal.append(append(agent(), Expected::NoStream, &["x"])).await.unwrap();
    assert_eq!(writes(&cluster)[0], 0);
    holds_exactly(&node.journal, vec!["x".to_owned()]).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_the_leader_lose_and_double_nothing() {
    let cluster = cluster().await;
    let node = KurrentNode::open(&cluster.url("")).await;
    let mut subscription = node.journal.subscribe(Position::START, Filter::default());
    let load = Load::start(&node.journal);
    for leader in [1, 2, 0, 1] {
        load.goes_on().await;
        // For a while there is none.
        cluster.lead(None);
        tokio::time::sleep(Duration::from_millis(150)).await;
        cluster.lead(Some(leader));
    }
    load.goes_on().await;
    // And at once, without an election in between.
    cluster.lead(Some(2));
    load.goes_on().await;
    let recorded = holds_exactly(&node.journal, load.stop().await).await;
    let mut seen = Vec::new();
    while seen.len() < recorded.len() {
        seen.extend(subscription.next().await.unwrap().events.iter().map(|event| event.id));
    }
    assert_eq!(seen, recorded.iter().map(|event| event.id).collect::<Vec<_>>());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_dies_is_replaced_by_the_next() {
    let mut cluster = cluster().await;
    let node = KurrentNode::open(&cluster.url("")).await;
    let load = Load::start(&node.journal);
    for (dies, next) in [(0, 1), (1, 2), (2, 0)] {
        load.goes_on().await;
        cluster.kill(dies).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        cluster.lead(Some(next));
        load.goes_on().await;
        cluster.restart(dies).await;
    }
    load.goes_on().await;
    holds_exactly(&node.journal, load.stop().await).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_leader_nothing_is_recorded_and_the_caller_is_told() {
    let cluster = cluster().await;
    let node = hasty(&cluster.url("")).await;
    cluster.lead(None);
    node.journal.append(append(agent(), Expected::NoStream, &["lost"])).await.unwrap_err();
    cluster.lead(Some(1));
    node.journal.append(append(agent(), Expected::NoStream, &["there"])).await.unwrap();
    holds_exactly(&node.journal, vec!["there".to_owned()]).await;
    node.stop().await;
}
