//! Appends that are based on others, with other processes about and connections that break.

use std::time::Duration;

use domain::StreamId;
use journal::postgres::PostgresJournal;
use journal::{Append, AppendError, Appended, Expected, Journal, Ticket, Turn};
use sqlx::{Postgres, Transaction};
use testkit::Database;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::holds_exactly;
use crate::backend::Node;
use crate::sample::{agent, append, part, parts, task};

/// While this is held nobody appends.
async fn lock(database: &Database) -> Transaction<'static, Postgres> {
    let mut lock = database.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM journal.head FOR UPDATE").execute(&mut *lock).await.unwrap();
    lock
}

/// Waits until so many writers wait for the head.
async fn until_stuck(database: &Database, wanted: i64) {
    let stuck = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hishamos journal writer' AND datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(stuck).fetch_one(database.pool()).await.unwrap() != wanted {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

type Asked = JoinHandle<Result<Appended, AppendError>>;

/// Hands an append in; when this answers, it has its place.
async fn put(journal: &PostgresJournal, append: Append, based_on: &[(StreamId, &Ticket)]) -> (Ticket, Asked) {
    let (held, placed) = oneshot::channel::<()>();
    let mut turn = Turn::new().holding(held);
    for (stream, ticket) in based_on {
        turn = turn.based_on(*stream, (*ticket).clone());
    }
    let (journal, ticket) = (journal.clone(), turn.ticket());
    let asked = tokio::spawn(async move { journal.append_in_turn(append, turn).await });
    assert!(placed.await.is_err(), "it is dropped, not sent");
    (ticket, asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_based_on_what_is_under_way_shares_its_commit() {
    let database = Database::create().await;
    let node = Node::open(database.url()).await;
    let stream = agent();
    node.journal.append(append(stream, Expected::NoStream, &["before"])).await.unwrap();
    let lock = lock(&database).await;
    // While the writer waits with this one, the others come together.
    let (_, stuck) = put(&node.journal, append(agent(), Expected::NoStream, &["stuck"]), &[]).await;
    until_stuck(&database, 1).await;
    let (mut asked, mut refused) = (vec![stuck], Vec::new());
    let both =
        |expected, text: &str| parts(vec![part(task(), Expected::NoStream, &["own"]), part(stream, expected, &[text])]);
    let (mut last, first) = put(&node.journal, both(Expected::Exact(0), "0"), &[]).await;
    asked.push(first);
    let mut accepted: Vec<String> = ["before", "stuck", "own", "0"].map(str::to_owned).to_vec();
    for revision in 1..10 {
        let text = revision.to_string();
        let wish = both(Expected::Exact(revision), &text);
        let (ticket, next) = put(&node.journal, wish, &[(stream, &last)]).await;
        asked.push(next);
        last = ticket;
        accepted.extend(["own".to_owned(), text]);
        // One that fails comes in between, and takes nobody with it who is not based on it.
        let (_, wrong) = put(&node.journal, append(stream, Expected::Exact(77), &["wrong"]), &[]).await;
        refused.push(wrong);
    }
    lock.rollback().await.unwrap();
    for asked in asked {
        asked.await.unwrap().unwrap();
    }
    for refused in refused {
        assert!(matches!(refused.await.unwrap(), Err(AppendError::Conflict { .. })));
    }
    let commits = "SELECT count(DISTINCT xmin::text) FROM journal.parts WHERE stream = $1 AND revision > 0";
    let commits: i64 = sqlx::query_scalar(commits).bind(stream.id).fetch_one(database.pool()).await.unwrap();
    assert_eq!(commits, 1, "all in one commit");
    holds_exactly(&node.journal, accepted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_processs_event_is_no_basis() {
    let database = Database::create().await;
    let nodes = [Node::open(database.url()).await, Node::open(database.url()).await];
    let stream = agent();
    nodes[0].journal.append(append(stream, Expected::NoStream, &["before"])).await.unwrap();
    let mut accepted = vec!["before".to_owned()];
    for round in 0..20 {
        // The first process expects what was true a moment ago, and goes on from there.
        nodes[1].journal.append(append(stream, Expected::Exact(round), &["foreign"])).await.unwrap();
        let (first, lost) = put(&nodes[0].journal, append(stream, Expected::Exact(round), &["lost"]), &[]).await;
        let next = append(stream, Expected::Exact(round + 1), &["no"]);
        let (_, refused) = put(&nodes[0].journal, next, &[(stream, &first)]).await;
        assert!(matches!(lost.await.unwrap(), Err(AppendError::Conflict { .. })));
        assert!(matches!(refused.await.unwrap(), Err(AppendError::Unfounded { stream: at }) if at == stream));
        accepted.push("foreign".to_owned());
    }
    holds_exactly(&nodes[0].journal, accepted).await;
}

/// The process that asked was told nothing certain of the first append; meanwhile another one takes its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_knows_the_outcome_of_is_no_basis() {
    const PATIENCE: Duration = Duration::from_secs(2);
    let database = Database::create().await;
    let node = Node::open_with(database.url(), |options| options.patience = PATIENCE).await;
    let other = Node::open(database.url()).await;
    let stream = agent();
    node.journal.append(append(stream, Expected::NoStream, &["before"])).await.unwrap();
    let lock = lock(&database).await;
    let (first, unclear) = put(&node.journal, append(stream, Expected::Exact(0), &["lost"]), &[]).await;
    until_stuck(&database, 1).await;
    let (_, foreign) = put(&other.journal, append(stream, Expected::Exact(0), &["foreign"]), &[]).await;
    until_stuck(&database, 2).await;
    tokio::time::sleep(PATIENCE).await;
    // This one has just been asked for, and outlives the break of the connection.
    let next = append(stream, Expected::Exact(1), &["no"]);
    let (_, refused) = put(&node.journal, next, &[(stream, &first)]).await;
    // Nor is it decided before the other process has appended.
    database.accept_connections(false).await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE application_name = 'hishamos journal writer' AND datname = current_database() AND NOT granted ORDER BY query_start LIMIT 1";
    sqlx::query(cut).execute(database.pool()).await.unwrap();
    let told = unclear.await.unwrap();
    assert!(matches!(told, Err(AppendError::Unclear | AppendError::Unavailable(_))), "{told:?}");
    lock.rollback().await.unwrap();
    foreign.await.unwrap().unwrap();
    database.accept_connections(true).await;
    let told = refused.await.unwrap();
    assert!(matches!(told, Err(AppendError::Unfounded { .. })), "{told:?}");
    holds_exactly(&other.journal, vec!["before".to_owned(), "foreign".to_owned()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_part_nothing_from_its_basis() {
    let database = Database::create().await;
    let nodes = [Node::open(database.url()).await, Node::open(database.url()).await];
    let stream = agent();
    nodes[0].journal.append(append(stream, Expected::NoStream, &["0 0"])).await.unwrap();
    let (mut accepted, mut revision, mut together) = (vec!["0 0".to_owned()], 0, 0);
    for round in 1..40 {
        let foreign = nodes[1].journal.clone();
        let foreign = tokio::spawn(async move {
            foreign.append(append(stream, Expected::Exact(revision), &[&format!("foreign {round}")])).await
        });
        let (mut asked, mut last) = (Vec::new(), None::<Ticket>);
        for number in 0..5 {
            let wish = append(stream, Expected::Exact(revision + number), &[&format!("{round} {number}")]);
            let based_on: Vec<_> = last.iter().map(|ticket| (stream, ticket)).collect();
            let (ticket, next) = put(&nodes[0].journal, wish, &based_on).await;
            asked.push(next);
            last = Some(ticket);
        }
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hishamos journal writer' AND datname = current_database()";
        sqlx::query(cut).execute(database.pool()).await.unwrap();
        let foreign = foreign.await.unwrap();
        let mut done = Vec::new();
        for asked in asked {
            done.push(asked.await.unwrap());
        }
        // One of the two was first, and then all of them are there, or none.
        assert!(done.iter().all(|one| one.is_ok() != foreign.is_ok()), "{foreign:?} {done:?}");
        if foreign.is_ok() {
            accepted.push(format!("foreign {round}"));
            revision += 1;
        } else {
            accepted.extend((0..5).map(|number| format!("{round} {number}")));
            (revision, together) = (revision + 5, together + 1);
        }
    }
    assert!(together > 0);
    holds_exactly(&nodes[1].journal, accepted).await;
}
