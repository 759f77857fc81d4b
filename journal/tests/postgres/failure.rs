//! Lost connections, a restarted server, a server that stays away, a shutdown.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use journal::postgres::PostgresJournal;
use journal::{AppendError, Expected, Filter, Journal, Position, ReadError};
use testkit::{Database, PostgresServer};
use tokio::task::JoinHandle;

use super::holds_exactly;
use crate::backend::Node;
use crate::conformance::positions;
use crate::sample::{agent, append, part, parts, text_of};

/// Callers that append until they are stopped; each expects to be right about its stream every time.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    callers: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(journal: &PostgresJournal) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let callers = (0..12)
            .map(|caller| {
                let (journal, stop, done) = (journal.clone(), Arc::clone(&stop), Arc::clone(&done));
                tokio::spawn(async move {
                    let (one, two) = (agent(), agent());
                    let mut accepted = Vec::new();
                    let mut round = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let expected = if round == 0 { Expected::NoStream } else { Expected::Exact(round - 1) };
                        let texts = [format!("{caller} {round} a"), format!("{caller} {round} b")];
                        // A failure or a conflict would be false: the stream is its own, and the server comes back.
                        journal
                            .append(parts(vec![part(one, expected, &[&texts[0]]), part(two, expected, &[&texts[1]])]))
                            .await
                            .unwrap();
                        accepted.extend(texts);
                        round += 1;
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    accepted
                })
            })
            .collect();
        Self { stop, done, callers }
    }

    /// Waits until it has gone on for some appends.
    async fn goes_on(&self) {
        let wanted = self.done.load(Ordering::Relaxed) + 30;
        while self.done.load(Ordering::Relaxed) < wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut accepted = Vec::new();
        for caller in self.callers {
            accepted.extend(caller.await.unwrap());
        }
        accepted
    }
}

/// Follows from the start until it has seen what it is told to.
fn follow(journal: &PostgresJournal, until: tokio::sync::oneshot::Receiver<u64>) -> JoinHandle<Vec<u64>> {
    let mut subscription = journal.subscribe(Position::START, Filter::default()).with_batch(100);
    tokio::spawn(async move {
        let mut seen = Vec::new();
        let mut until = until;
        let mut wanted = None;
        loop {
            tokio::select! {
                batch = subscription.next() => match batch {
                    Ok(batch) => seen.extend(positions(&batch.events)),
                    Err(ReadError::Unavailable(_)) => {}
                    Err(other) => panic!("{other}"),
                },
                end = &mut until, if wanted.is_none() => wanted = Some(end.unwrap()),
            }
            if wanted == Some(seen.len() as u64) {
                return seen;
            }
        }
    })
}

async fn check(node: &Node, load: Load, end: tokio::sync::oneshot::Sender<u64>, follower: JoinHandle<Vec<u64>>) {
    let accepted = load.stop().await;
    let count = accepted.len() as u64;
    holds_exactly(&node.journal, accepted).await;
    end.send(count).unwrap();
    assert_eq!(follower.await.unwrap(), (1..=count).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_lose_and_double_nothing() {
    let database = Database::create().await;
    let node = Node::open_with(database.url(), |options| options.tail_events = 50).await;
    let (end, until) = tokio::sync::oneshot::channel();
    let follower = follow(&node.journal, until);
    let load = Load::start(&node.journal);
    for round in 0..25 {
        load.goes_on().await;
        let whose = if round % 3 == 2 { "hishamos journal %" } else { "hishamos journal writer" };
        sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE $1 AND datname = current_database()")
            .bind(whose)
            .execute(database.pool())
            .await
            .unwrap();
    }
    load.goes_on().await;
    check(&node, load, end, follower).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_and_restarted_server_loses_and_doubles_nothing() {
    let mut server = PostgresServer::start().await;
    let node = Node::open(server.url()).await;
    let (end, until) = tokio::sync::oneshot::channel();
    let follower = follow(&node.journal, until);
    let load = Load::start(&node.journal);
    load.goes_on().await;
    server.kill().await;
    load.goes_on().await;
    server.restart().await;
    load.goes_on().await;
    check(&node, load, end, follower).await;
    node.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_away_is_reported_and_nothing_is_recorded() {
    let mut server = PostgresServer::start().await;
    let node = Node::open_with(server.url(), |options| options.patience = Duration::from_millis(300)).await;
    let stream = agent();
    node.journal.append(append(stream, Expected::NoStream, &["before"])).await.unwrap();
    server.stop().await;
    let lost: Vec<_> = (0..5)
        .map(|_| {
            let journal = node.journal.clone();
            tokio::spawn(async move { journal.append(append(agent(), Expected::NoStream, &["lost"])).await })
        })
        .collect();
    for asked in lost {
        assert!(matches!(asked.await.unwrap().unwrap_err(), AppendError::Unavailable(_)));
    }
    assert!(matches!(node.journal.head().await.unwrap_err(), ReadError::Unavailable(_)));
    server.restart().await;
    node.journal.append(append(stream, Expected::Exact(0), &["after"])).await.unwrap();
    holds_exactly(&node.journal, vec!["before".to_owned(), "after".to_owned()]).await;
    node.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_commits_without_an_answer_is_not_repeated() {
    // The connection is cut while the batch waits for the head, which somebody else has locked: some batches commit
    // in the short time between, most do not, and in either case each append is there once.
    let database = Database::create().await;
    let node = Node::open(database.url()).await;
    let load = Load::start(&node.journal);
    for _ in 0..10 {
        load.goes_on().await;
        let mut lock = database.pool().begin().await.unwrap();
        sqlx::query("SELECT FROM journal.head FOR UPDATE").execute(&mut *lock).await.unwrap();
        // The writer now hangs; it is cut at the moment at which it may go on.
        let cut = sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hishamos journal writer' AND datname = current_database()",
        );
        let (unlocked, cut) = tokio::join!(lock.rollback(), cut.execute(database.pool()));
        unlocked.unwrap();
        cut.unwrap();
    }
    load.goes_on().await;
    let accepted = load.stop().await;
    holds_exactly(&node.journal, accepted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_records_what_was_handed_in_and_takes_no_more() {
    let database = Database::create().await;
    let node = Node::open(database.url()).await;
    let mut subscription = node.journal.subscribe(Position::START, Filter::default());
    let asking: Vec<_> = (0..200)
        .map(|index| {
            let journal = node.journal.clone();
            tokio::spawn(async move {
                let text = format!("{index}");
                journal.append(append(agent(), Expected::NoStream, &[&text])).await.map(|_| text)
            })
        })
        .collect();
    tokio::task::yield_now().await;
    node.begin_stop();
    let mut accepted = Vec::new();
    for asked in asking {
        match asked.await.unwrap() {
            Ok(text) => accepted.push(text),
            Err(AppendError::Closed) => {}
            Err(other) => panic!("{other}"),
        }
    }
    let late = node.journal.append(append(agent(), Expected::NoStream, &["late"])).await;
    assert!(matches!(late.unwrap_err(), AppendError::Closed));
    node.stop().await;
    // A subscription ends after the last event.
    let mut seen = Vec::new();
    let end = loop {
        match subscription.next().await {
            Ok(batch) => seen.extend(batch.events.iter().map(|event| text_of(event.event().unwrap()).to_owned())),
            Err(end) => break end,
        }
    };
    assert!(matches!(end, ReadError::Closed));
    seen.sort();
    let again = Node::open(database.url()).await;
    holds_exactly(&again.journal, seen.clone()).await;
    accepted.sort();
    assert_eq!(seen, accepted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_far_behind_cost_no_memory() {
    let database = Database::create().await;
    let node = Node::open_with(database.url(), |options| options.tail_events = 10).await;
    let mut slow = node.journal.subscribe(Position::START, Filter::default()).with_batch(5);
    let stream = agent();
    node.journal.append(append(stream, Expected::NoStream, &["first"])).await.unwrap();
    let first = slow.next().await.unwrap().events.remove(0);
    let held = Arc::downgrade(&first);
    drop(first);
    assert!(held.upgrade().is_some(), "the newest events are kept for readers");
    for _ in 0..20 {
        node.journal.append(append(stream, Expected::Any, &["x", "y"])).await.unwrap();
    }
    assert!(held.upgrade().is_none(), "an old event is still in memory though nobody holds it");
    let mut seen = vec![1];
    while seen.len() < 41 {
        let batch = slow.next().await.unwrap();
        assert!(batch.events.len() <= 5);
        seen.extend(positions(&batch.events));
    }
    assert_eq!(seen, (1..=41).collect::<Vec<_>>());
}
