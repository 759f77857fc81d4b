//! Several processes on one database.

use std::time::Duration;

use journal::{AppendError, Expected, Filter, Journal, Position};
use testkit::Database;

use super::holds_exactly;
use crate::backend::Node;
use crate::conformance::positions;
use crate::sample::{agent, append, event, parts, remembered};

async fn listeners(database: &Database) -> i32 {
    sqlx::query_scalar("SELECT listeners FROM journal.head").fetch_one(database.pool()).await.unwrap()
}

/// Waits until so many processes listen; the only thing that a test cannot wait for by a position.
async fn until_listening(database: &Database, wanted: i32) {
    while listeners(database).await != wanted {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn follow(node: &Node, wanted: usize) -> Vec<u64> {
    let mut seen = Vec::new();
    let mut subscription = node.journal.subscribe(Position::START, Filter::default()).with_batch(50);
    while seen.len() < wanted {
        seen.extend(positions(&subscription.next().await.unwrap().events));
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_write_and_follow_each_other() {
    const APPENDS: usize = 150;
    let database = Database::create().await;
    let nodes = [Node::open(database.url()).await, Node::open(database.url()).await];
    until_listening(&database, 2).await;
    let shared = [agent(), agent()];
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let journal = nodes[writer % 2].journal.clone();
            tokio::spawn(async move {
                let own = agent();
                let mut accepted = Vec::new();
                for round in 0..APPENDS / 3 {
                    // One stream of its own, expecting exactly; one that all share, whatever it holds; and one where
                    // most expectations are wrong.
                    let texts = [0, 1, 2].map(|kind| format!("{writer} {round} {kind}"));
                    let expected = (round as u64).checked_sub(1).map_or(Expected::NoStream, Expected::Exact);
                    journal.append(append(own, expected, &[&texts[0]])).await.unwrap();
                    journal.append(append(shared[0], Expected::Any, &[&texts[1]])).await.unwrap();
                    accepted.extend([texts[0].clone(), texts[1].clone()]);
                    let head = journal.read_stream(shared[1], 0, 10_000).await.unwrap().len() as u64;
                    let expected = head.checked_sub(1).map_or(Expected::NoStream, Expected::Exact);
                    match journal.append(append(shared[1], expected, &[&texts[2]])).await {
                        Ok(_) => accepted.push(texts[2].clone()),
                        Err(AppendError::Conflict { stream, actual, .. }) => {
                            assert_eq!(stream, shared[1]);
                            assert!(actual.unwrap() >= head, "the conflict is real: {actual:?} but {head} were read");
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
                accepted
            })
        })
        .collect();
    let mut accepted = Vec::new();
    for writer in writers {
        accepted.extend(writer.await.unwrap());
    }
    let count = accepted.len();
    let wanted: Vec<u64> = (1..=count as u64).collect();
    for node in &nodes {
        assert_eq!(follow(node, count).await, wanted);
        assert_eq!(node.journal.head().await.unwrap().as_u64(), count as u64);
    }
    holds_exactly(&nodes[0].journal, accepted).await;
    let [one, two] = nodes;
    one.stop().await;
    assert_eq!(listeners(&database).await, 1);
    two.stop().await;
    assert_eq!(listeners(&database).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_node_hears_of_another_ones_events() {
    let database = Database::create().await;
    let (writer, reader) = (Node::open(database.url()).await, Node::open(database.url()).await);
    until_listening(&database, 2).await;
    let mut subscription = reader.journal.subscribe(Position::START, Filter::default());
    for round in 1..=20 {
        let (batch, done) =
            tokio::join!(subscription.next(), writer.journal.append(append(agent(), Expected::NoStream, &["hear"])));
        assert_eq!(batch.unwrap().position, done.unwrap().position);
        assert_eq!(reader.journal.seen().as_u64(), round);
    }
    // Without a word from the listener, an explicit question sees the newest as well.
    assert_eq!(reader.journal.head().await.unwrap().as_u64(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_away_reads_what_it_missed() {
    let database = Database::create().await;
    let writer = Node::open(database.url()).await;
    let reader = Node::open(database.url()).await;
    until_listening(&database, 2).await;
    let mut subscription = reader.journal.subscribe(Position::START, Filter::default());
    writer.journal.append(append(agent(), Expected::NoStream, &["before"])).await.unwrap();
    assert_eq!(positions(&subscription.next().await.unwrap().events), [1]);
    // Both listening connections are cut; what is recorded before they are back must reach the reader all the same.
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hishamos journal listener' AND datname = current_database()")
        .execute(database.pool())
        .await
        .unwrap();
    let mut seen = vec![];
    let stream = agent();
    for _ in 0..50 {
        writer.journal.append(append(stream, Expected::Any, &["meanwhile"])).await.unwrap();
    }
    while seen.len() < 50 {
        seen.extend(positions(&subscription.next().await.unwrap().events));
    }
    assert_eq!(seen, (2..=51).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_far_behind_goes_on_after_what_it_missed() {
    let database = Database::create().await;
    let (busy, late) = (Node::open(database.url()).await, Node::open(database.url()).await);
    until_listening(&database, 2).await;
    let stream = agent();
    late.journal.append(append(stream, Expected::NoStream, &["mine"])).await.unwrap();
    // More than a node fetches into memory, in few statements.
    for _ in 0..3 {
        busy.journal.append(append(stream, Expected::Exists, &["x"; 5000])).await.unwrap();
    }
    let done = late.journal.append(append(stream, Expected::Exact(15_000), &["mine"])).await.unwrap();
    assert_eq!(done.position.as_u64(), 15_002);
    assert_eq!(follow(&late, 15_002).await, (1..=15_002).collect::<Vec<_>>());
    match late.journal.append(append(stream, Expected::Exact(0), &["no"])).await.unwrap_err() {
        AppendError::Conflict { actual, .. } => assert_eq!(actual, Some(15_001)),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_belief_is_never_a_conflict() {
    let database = Database::create().await;
    // Without the listener's help: what another node recorded shows only when appending.
    let nodes = [Node::open(database.url()).await, Node::open(database.url()).await];
    let stream = agent();
    for round in 0..40 {
        let expected = (round as u64).checked_sub(1).map_or(Expected::NoStream, Expected::Exact);
        // Whoever appends last knew of the stream by an older revision, or not at all.
        let node = &nodes[usize::from(round % 3 == 0)];
        let done = node.journal.append(append(stream, expected, &["turn"])).await.unwrap();
        assert_eq!(done.heads, [(stream, round as u64)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_decided_once_by_all_nodes_together() {
    let database = Database::create().await;
    let nodes = [Node::open(database.url()).await, Node::open(database.url()).await];
    for expected in [Expected::Any, Expected::NoStream] {
        let stream = agent();
        let mut wish = parts(vec![]);
        wish.streams.push(journal::StreamAppend { stream, expected, events: vec![event(stream, "once")] });
        let wish = remembered(wish);
        let asking: Vec<_> = (0..20)
            .map(|index| {
                let (journal, wish) = (nodes[index % 2].journal.clone(), wish.clone());
                tokio::spawn(async move { journal.append(wish).await.unwrap() })
            })
            .collect();
        let mut firsts = 0;
        for asked in asking {
            firsts += usize::from(!asked.await.unwrap().repeated);
        }
        assert_eq!(firsts, 1);
        assert_eq!(nodes[0].journal.read_stream(stream, 0, 10).await.unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_leaves_the_others_working() {
    let database = Database::create().await;
    let (killed, left) = (Node::open(database.url()).await, Node::open(database.url()).await);
    until_listening(&database, 2).await;
    killed.journal.append(append(agent(), Expected::NoStream, &["a"])).await.unwrap();
    killed.kill();
    left.journal.append(append(agent(), Expected::NoStream, &["b"])).await.unwrap();
    // Too high until somebody counts again.
    assert!(listeners(&database).await >= 1);
    let third = Node::open(database.url()).await;
    until_listening(&database, 2).await;
    third.journal.append(append(agent(), Expected::NoStream, &["c"])).await.unwrap();
    assert_eq!(follow(&left, 3).await, [1, 2, 3]);
}

/// Whoever has asked the database for the end of the journal may know of more than the process has heard of. One thread
/// does everything here, so a subscription that does not wait for the news keeps them from coming.
#[tokio::test]
async fn goes_on_after_what_the_process_has_not_heard_of_yet() {
    let database = Database::create().await;
    let nodes = [Node::open(database.url()).await, Node::open(database.url()).await];
    until_listening(&database, 2).await;
    for round in 0..30 {
        let (stream, text) = (agent(), round.to_string());
        let done = nodes[0].journal.append(append(stream, Expected::NoStream, &["before", &text])).await.unwrap();
        let filter = Filter { stream: Some(stream), ..Filter::default() };
        let mut subscription = nodes[1].journal.subscribe(done.position, filter).quiet();
        let append = nodes[0].journal.append(append(stream, Expected::Exists, &["after"]));
        let (batch, done) = tokio::join!(subscription.next(), append);
        let (mut batch, done) = (batch.unwrap(), done.unwrap());
        while batch.events.is_empty() {
            batch = subscription.next().await.unwrap();
        }
        assert_eq!(positions(&batch.events), [done.position.as_u64()]);
    }
}
