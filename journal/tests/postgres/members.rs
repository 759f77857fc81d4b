//! Nodes that come, go, die and freeze, on one database.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use domain::NodeId;
use journal::Members;
use journal::postgres::{Membership, Options};
use testkit::{Database, PostgresServer};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Short, so that tests are; a beat is a third of it.
const SILENCE: Duration = Duration::from_millis(900);
/// Longer than anything takes that is going to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what nothing tells of.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// One process' place among the nodes.
struct Node {
    members: Members,
    shutdown: CancellationToken,
    freezer: Arc<Freezer>,
    service: JoinHandle<()>,
}

impl Node {
    async fn join(url: &str) -> Self {
        Self::join_with(url, SILENCE).await
    }

    async fn join_with(url: &str, silence: Duration) -> Self {
        let mut options = Options::from_url(url).unwrap();
        options.silence = silence;
        let (membership, members) = Membership::join(&options, NodeId::from_uuid(Uuid::now_v7())).await.unwrap();
        let (shutdown, freezer) = (CancellationToken::new(), Arc::new(Freezer::default()));
        let service =
            tokio::spawn(Frozen { work: Box::pin(membership.run(shutdown.clone())), freezer: Arc::clone(&freezer) });
        Self { members, shutdown, freezer, service }
    }

    fn id(&self) -> NodeId {
        self.members.me()
    }

    /// Waits until it sees exactly these nodes.
    async fn sees<const N: usize>(&self, nodes: [NodeId; N]) {
        let wanted = BTreeSet::from(nodes);
        let mut members = self.members.clone();
        let waiting = async {
            while *members.now() != wanted {
                members.changed().await;
            }
        };
        let seen = tokio::time::timeout(PATIENCE, waiting).await;
        seen.unwrap_or_else(|_| panic!("{} sees {:?}, not {wanted:?}", self.id(), self.members.now()));
    }

    /// Ends it as a program does.
    async fn stop(self) {
        self.shutdown.cancel();
        self.service.await.unwrap();
    }

    /// Ends it as a killed process does: its connection closes, and nobody says goodbye.
    fn kill(self) {
        self.service.abort();
    }
}

/// Stops a task as SIGSTOP stops a process: it is not polled, and its connection stays open.
#[derive(Default)]
struct Freezer {
    frozen: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Freezer {
    fn freeze(&self) {
        self.frozen.store(true, Ordering::SeqCst);
    }

    fn thaw(&self) {
        self.frozen.store(false, Ordering::SeqCst);
        if let Some(waker) = self.waker.lock().unwrap().take() {
            waker.wake();
        }
    }
}

struct Frozen {
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
    freezer: Arc<Freezer>,
}

impl Future for Frozen {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        *self.freezer.waker.lock().unwrap() = Some(context.waker().clone());
        if self.freezer.frozen.load(Ordering::SeqCst) { Poll::Pending } else { self.work.as_mut().poll(context) }
    }
}

async fn rows(database: &Database) -> BTreeSet<NodeId> {
    let rows: Vec<Uuid> =
        sqlx::query_scalar("SELECT node FROM journal.nodes").fetch_all(database.pool()).await.unwrap();
    rows.into_iter().map(NodeId::from_uuid).collect()
}

/// When the sessions of the members began their last statements.
async fn last_statements(database: &Database) -> Vec<(i32, String)> {
    sqlx::query_as(
        "SELECT pid, coalesce(query_start::text, '') FROM pg_stat_activity
        WHERE application_name = 'hishamos journal members' AND datname = current_database() ORDER BY pid",
    )
    .fetch_all(database.pool())
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_see_each_other_come_and_go() {
    let database = Database::create().await;
    let one = Node::join(database.url()).await;
    assert_eq!(*one.members.now(), [one.id()].into());
    let two = Node::join(database.url()).await;
    // Whoever comes knows the others before it does anything.
    assert_eq!(*two.members.now(), [one.id(), two.id()].into());
    one.sees([one.id(), two.id()]).await;
    let three = Node::join(database.url()).await;
    assert_eq!(*three.members.now(), [one.id(), two.id(), three.id()].into());
    for node in [&one, &two] {
        node.sees([one.id(), two.id(), three.id()]).await;
    }
    assert_eq!(rows(&database).await, [one.id(), two.id(), three.id()].into());
    let (first, second) = (one.id(), two.id());
    three.stop().await;
    assert_eq!(rows(&database).await, [first, second].into());
    one.sees([first, second]).await;
    two.stop().await;
    one.sees([first]).await;
    one.stop().await;
    assert!(rows(&database).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_in_order_is_noticed_at_once() {
    let database = Database::create().await;
    let one = Node::join_with(database.url(), 3 * PATIENCE).await;
    let mut quickest = PATIENCE;
    for _ in 0..5 {
        // It can only be heard of: alone, nobody looks.
        let two = Node::join_with(database.url(), 3 * PATIENCE).await;
        one.sees([one.id(), two.id()]).await;
        let begun = Instant::now();
        two.stop().await;
        one.sees([one.id()]).await;
        quickest = quickest.min(begun.elapsed());
    }
    // The next look would have been a second later.
    assert!(quickest < Duration::from_millis(500), "{quickest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_is_noticed_by_its_lock_and_its_row_removed() {
    let database = Database::create().await;
    // With a silence so long that silence cannot be what tells.
    let one = Node::join_with(database.url(), 3 * PATIENCE).await;
    let two = Node::join_with(database.url(), 3 * PATIENCE).await;
    one.sees([one.id(), two.id()]).await;
    two.kill();
    one.sees([one.id()]).await;
    // The row goes in the same breath, just after.
    until("its row is removed", async || rows(&database).await == [one.id()].into()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_node_is_dead_after_its_silence_and_alive_when_it_goes_on() {
    let database = Database::create().await;
    let one = Node::join(database.url()).await;
    let two = Node::join(database.url()).await;
    let three = Node::join(database.url()).await;
    let all = [one.id(), two.id(), three.id()];
    one.sees(all).await;
    two.sees(all).await;
    let frozen = Instant::now();
    two.freezer.freeze();
    one.sees([one.id(), three.id()]).await;
    three.sees([one.id(), three.id()]).await;
    // Two thirds of the silence have passed for certain, because it may have beaten a third before.
    assert!(frozen.elapsed() > SILENCE * 2 / 3, "{:?}", frozen.elapsed());
    // It knows by its own clock that it knows nothing.
    tokio::time::sleep_until(frozen + 2 * SILENCE).await;
    assert!(two.members.isolated() && !one.members.isolated());
    assert_eq!(*two.members.now(), all.into());
    assert_eq!(rows(&database).await, all.into(), "it holds its lock");
    two.freezer.thaw();
    one.sees(all).await;
    three.sees(all).await;
    // And it never took the others for dead.
    two.sees(all).await;
    until("it is in contact again", async || !two.members.isolated()).await;
    assert_eq!(*two.members.now(), all.into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_connection_is_cut_comes_back() {
    let database = Database::create().await;
    let one = Node::join(database.url()).await;
    let two = Node::join(database.url()).await;
    one.sees([one.id(), two.id()]).await;
    for all in [false, true] {
        let before = last_statements(&database).await;
        let cut = &before[usize::from(!all)..];
        for (pid, _) in cut {
            sqlx::query("SELECT pg_terminate_backend($1)").bind(pid).execute(database.pool()).await.unwrap();
        }
        until("there are two sessions again, of which these are not", async || {
            let now = last_statements(&database).await;
            now.len() == 2 && cut.iter().all(|(old, _)| now.iter().all(|(new, _)| new != old))
        })
        .await;
        until("both are known", async || rows(&database).await == [one.id(), two.id()].into()).await;
        one.sees([one.id(), two.id()]).await;
        two.sees([one.id(), two.id()]).await;
    }
    // What lives on is known by its new locks.
    let last = one.id();
    two.kill();
    one.sees([last]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alone_nothing_is_sent() {
    let database = Database::create().await;
    let one = Node::join(database.url()).await;
    let two = Node::join(database.url()).await;
    one.sees([one.id(), two.id()]).await;
    // Beats are seen as the statements that they are.
    let before = last_statements(&database).await;
    tokio::time::sleep(SILENCE).await;
    let after = last_statements(&database).await;
    assert_eq!((before.len(), after.len()), (2, 2));
    assert!(before.iter().zip(&after).all(|(before, after)| before != after), "{before:?} {after:?}");
    two.kill();
    one.sees([one.id()]).await;
    // Its last look may still go on, and one more makes sure.
    tokio::time::sleep(SILENCE).await;
    let before = last_statements(&database).await;
    assert_eq!(before.len(), 1);
    tokio::time::sleep(2 * SILENCE).await;
    assert_eq!(last_statements(&database).await, before);
    assert!(!one.members.isolated());
    // And it still hears.
    let three = Node::join(database.url()).await;
    one.sees([one.id(), three.id()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_left_is_ignored_and_removed() {
    let database = Database::create().await;
    let dead = Uuid::now_v7();
    sqlx::query("INSERT INTO journal.nodes (node, name, version) VALUES ($1, 'elsewhere', '0.0.1')")
        .bind(dead)
        .execute(database.pool())
        .await
        .unwrap();
    let one = Node::join(database.url()).await;
    assert_eq!(*one.members.now(), [one.id()].into());
    assert_eq!(rows(&database).await, [one.id()].into());
    let (name, version): (String, String) =
        sqlx::query_as("SELECT name, version FROM journal.nodes").fetch_one(database.pool()).await.unwrap();
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    assert!(!name.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_nobody_is_taken_for_dead_and_nobody_is_known() {
    let mut server = PostgresServer::start().await;
    let one = Node::join(server.url()).await;
    let two = Node::join(server.url()).await;
    let all = [one.id(), two.id()];
    one.sees(all).await;
    two.sees(all).await;
    server.stop().await;
    until("both know that they know nothing", async || one.members.isolated() && two.members.isolated()).await;
    assert_eq!(*one.members.now(), all.into());
    assert_eq!(*two.members.now(), all.into());
    // Who waits for a change is told of the end of the isolation, and whoever is back first does not take the other
    // for dead.
    let mut members = one.members.clone();
    let told = tokio::spawn(async move {
        while members.isolated() {
            members.changed().await;
        }
        members.now()
    });
    server.restart().await;
    assert_eq!(*tokio::time::timeout(PATIENCE, told).await.unwrap().unwrap(), all.into());
    two.sees(all).await;
    tokio::time::sleep(2 * SILENCE).await;
    assert_eq!(*one.members.now(), all.into());
    assert_eq!(*two.members.now(), all.into());
    // One that does not come back after the next stop is dead after all.
    let last = one.id();
    server.stop().await;
    two.kill();
    server.restart().await;
    one.sees([last]).await;
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_taken_for_dead_when_the_database_is_killed() {
    let server = PostgresServer::start().await;
    let one = Node::join(server.url()).await;
    let two = Node::join(server.url()).await;
    let all = [one.id(), two.id()];
    one.sees(all).await;
    two.sees(all).await;
    let watching = [&one, &two].map(|node| {
        let mut members = node.members.clone();
        tokio::spawn(async move {
            loop {
                assert_eq!(*members.now(), all.into());
                members.changed().await;
            }
        })
    });
    for _ in 0..3 {
        server.kill().await;
        tokio::time::sleep(2 * SILENCE).await;
    }
    until("both are in contact", async || !one.members.isolated() && !two.members.isolated()).await;
    for watching in watching {
        assert!(!watching.is_finished(), "{:?}", watching.await);
        watching.abort();
    }
}
