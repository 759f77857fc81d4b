//! Whoever can write to the files of the database can change anything; the chains show it.

use journal::chain::{Fault, Report, verify};
use journal::{Expected, Filter, Journal, Position, ReadError};
use testkit::Database;

use crate::backend::Node;
use crate::sample::{agent, append, remembered, task};

/// A journal of 9 events: positions 1, 4, 7 are of one stream, 2, 5, 8 of another, 3, 6, 9 of a third.
async fn journal() -> (Database, Node) {
    let database = Database::create().await;
    let node = Node::open(database.url()).await;
    let streams = [agent(), task(), agent()];
    for round in 0..3 {
        for stream in streams {
            let text = format!("something of round {round}");
            node.journal.append(remembered(append(stream, Expected::Any, &[&text]))).await.unwrap();
        }
    }
    (database, node)
}

async fn tamper(database: &Database, statement: &str) {
    let mut transaction = database.pool().begin().await.unwrap();
    sqlx::raw_sql("ALTER TABLE journal.parts DISABLE TRIGGER ALL").execute(&mut *transaction).await.unwrap();
    let changed = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut *transaction).await.unwrap();
    assert_ne!(changed.rows_affected(), 0, "{statement}");
    sqlx::raw_sql("ALTER TABLE journal.parts ENABLE TRIGGER ALL").execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

/// Changes one byte of a column.
fn byte(column: &str, at: usize) -> String {
    format!("{column} = set_byte({column}, {at}, get_byte({column}, {at}) # 1)")
}

async fn columns(database: &Database, table: &str) -> Vec<String> {
    let columns =
        "SELECT column_name::text FROM information_schema.columns WHERE table_schema = 'journal' AND table_name = $1";
    sqlx::query_scalar(columns).bind(table).fetch_all(database.pool()).await.unwrap()
}

/// Keeps what is there, to be put back by [`restore`].
async fn keep(database: &Database) {
    sqlx::raw_sql("CREATE TABLE kept AS SELECT * FROM journal.parts").execute(database.pool()).await.unwrap();
}

async fn restore(database: &Database) {
    tamper(database, "DELETE FROM journal.parts").await;
    tamper(database, "INSERT INTO journal.parts SELECT * FROM kept").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_byte_in_any_column_is_named() {
    let id = |column: &str| format!("{column} = (overlay({column}::text placing '00' from 20 for 2))::uuid");
    // First the column, or what of an event the byte of the body is.
    let changes = [
        ("position", "position = 100".to_owned(), 100),
        ("revision", "revision = 9".to_owned(), 4),
        ("events", "events = 2".to_owned(), 4),
        ("events", "events = 0".to_owned(), 4),
        ("events", "events = -1".to_owned(), 4),
        ("events", "events = 2147483647".to_owned(), 4),
        ("recorded_at", "recorded_at = recorded_at # 1".to_owned(), 4),
        ("stream", id("stream"), 4),
        ("command", id("command"), 4),
        ("category", "category = 'bgent'".to_owned(), 4),
        ("event_types", "event_types = 'agent.disableb'".to_owned(), 4),
        ("event_types", "event_types = event_types || ' ' || event_types".to_owned(), 4),
        ("event_types", "event_types = ''".to_owned(), 4),
        ("previous_hash", byte("previous_hash", 3), 4),
        ("previous_hash", "previous_hash = ''".to_owned(), 4),
        ("hash", byte("hash", 3), 4),
        ("hash", "hash = substring(hash FOR 31)".to_owned(), 4),
        ("metadata", byte("metadata", 3), 4),
        ("body: event_id", byte("body", 3), 4),
        ("body: schema_version", byte("body", 17), 4),
        ("body: codec", byte("body", 18), 4),
        ("body: length of the payload", byte("body", 22), 4),
        ("body: payload", byte("body", 26), 4),
        ("body: cut", "body = substring(body FOR octet_length(body) - 1)".to_owned(), 4),
        ("body: longer", "body = body || '\\x00'::bytea".to_owned(), 4),
        ("body: empty", "body = ''".to_owned(), 4),
    ];
    let (database, node) = journal().await;
    let (table, view) = (columns(&database, "parts").await, columns(&database, "events").await);
    for column in table {
        let is_tried = changes.iter().any(|(tried, ..)| *tried == column || tried.starts_with(&format!("{column}: ")));
        assert!(is_tried, "column {column} is not tried");
    }
    for column in view.iter().map(|column| column.replace("event_type", "event_types")) {
        let is_tried = changes.iter().any(|(tried, ..)| *tried == column || *tried == format!("body: {column}"));
        assert!(is_tried, "column {column} of the view is not tried");
    }
    keep(&database).await;
    for (column, change, named) in changes {
        restore(&database).await;
        assert!(verify(&node.journal).await.unwrap().is_sound());
        tamper(&database, &format!("UPDATE journal.parts SET {change} WHERE position = 4")).await;
        let report = verify(&node.journal).await.unwrap();
        assert!(
            report.findings.iter().any(|finding| finding.position.as_u64() == named),
            "{column}: {change}: {:#?}",
            report.findings
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removed_exchanged_and_inserted_events_are_named() {
    type IsFault = fn(&Fault) -> bool;
    let tries: [(&str, IsFault, u64); 5] = [
        ("DELETE FROM journal.parts WHERE position = 4", |fault| matches!(fault, Fault::MissingPositions { .. }), 5),
        ("DELETE FROM journal.parts WHERE position = 4", |fault| matches!(fault, Fault::MissingRevisions { .. }), 7),
        ("DELETE FROM journal.parts WHERE position = 9", |fault| matches!(fault, Fault::WrongHead { .. }), 8),
        (
            "UPDATE journal.parts SET revision = 3 WHERE position = 4",
            |fault| matches!(fault, Fault::MissingRevisions { .. }),
            4,
        ),
        (
            "INSERT INTO journal.parts SELECT 10, 3, events, recorded_at, stream, NULL, category, event_types,
            previous_hash, hash, metadata, body FROM journal.parts WHERE position = 4",
            |fault| matches!(fault, Fault::WrongHash { .. }),
            10,
        ),
    ];
    for (statement, fault, named) in tries {
        let (database, node) = journal().await;
        tamper(&database, statement).await;
        let report = is_named(&node, statement, fault, named).await;
        assert_eq!(report.faults, report.findings.len() as u64);
    }
}

/// After this statement the fault is found at this position.
async fn is_named(node: &Node, statement: &str, fault: impl Fn(&Fault) -> bool, named: u64) -> Report {
    let report = verify(&node.journal).await.unwrap();
    let found = report.findings.iter().any(|finding| finding.position.as_u64() == named && fault(&finding.fault));
    assert!(found, "{statement}: {:#?}", report.findings);
    report
}

/// Parts of three events: positions 1 to 3, 7 to 9 and 13 to 15 are of one stream, the others of another.
async fn journal_of_parts() -> (Database, Node) {
    let database = Database::create().await;
    let node = Node::open_with(database.url(), |options| options.tail_events = 1).await;
    let streams = [agent(), task()];
    for round in 0..3 {
        for stream in streams {
            let texts = [0, 1, 2].map(|number| format!("event {number} of round {round}"));
            let texts = texts.each_ref().map(String::as_str);
            node.journal.append(remembered(append(stream, Expected::Any, &texts))).await.unwrap();
        }
    }
    (database, node)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_any_event_of_a_part_is_named() {
    let (database, node) = journal_of_parts().await;
    let sizes = "SELECT DISTINCT octet_length(payload) FROM journal.events";
    let size: i32 = sqlx::query_scalar(sizes).fetch_one(database.pool()).await.unwrap();
    let payload = usize::try_from(size).unwrap();
    // An event in the middle, with the hash that stands behind it.
    let event = 23 + payload + 32;
    let block = |number: usize| format!("substring(body FROM {} FOR {event})", number * event + 1);
    let changes = [
        ("position = 100".to_owned(), 100),
        ("revision = revision + 1".to_owned(), 7),
        ("events = 2".to_owned(), 9),
        ("events = 4".to_owned(), 9),
        ("recorded_at = recorded_at + 1".to_owned(), 7),
        ("command = gen_random_uuid()".to_owned(), 9),
        ("event_types = 'agent.disabled agent.disableb agent.disabled'".to_owned(), 8),
        ("event_types = 'agent.disabled agent.disabled'".to_owned(), 9),
        ("event_types = event_types || ' '".to_owned(), 9),
        (byte("previous_hash", 0), 7),
        (byte("hash", 31), 9),
        (byte("metadata", 5), 8),
        (byte("body", event), 8),
        (byte("body", event + 16), 8),
        (byte("body", event + 18), 8),
        (byte("body", event + 19), 8),
        (byte("body", event + 22), 8),
        (byte("body", event + 25), 8),
        // The hash of the event in the middle: its own, and what the next one follows.
        (byte("body", 2 * event - 1), 8),
        (byte("body", 2 * event - 1), 9),
        (byte("body", event - 1), 7),
        (byte("body", 2 * event + 23), 9),
        ("body = substring(body FOR octet_length(body) - 1)".to_owned(), 9),
        ("body = substring(body FROM 2)".to_owned(), 7),
        ("body = body || '\\x00'::bytea".to_owned(), 9),
        // Two exchanged, one left out, one twice.
        (format!("body = {} || {} || substring(body FROM {})", block(1), block(0), 2 * event + 1), 7),
        (
            format!(
                "events = 2, event_types = 'agent.disabled agent.disabled', body = {} || substring(body FROM {})",
                block(0),
                2 * event + 1
            ),
            9,
        ),
        (
            format!(
                "events = 4, position = 10, event_types = event_types || ' agent.disabled', body = {} || body",
                block(0)
            ),
            8,
        ),
    ];
    keep(&database).await;
    for (change, named) in changes {
        restore(&database).await;
        assert!(verify(&node.journal).await.unwrap().is_sound());
        if change.contains("position = 10,") {
            // Its place is taken by the next part.
            tamper(&database, "UPDATE journal.parts SET position = position + 1000 WHERE position > 9").await;
        }
        tamper(&database, &format!("UPDATE journal.parts SET {change} WHERE position = 9")).await;
        let report = verify(&node.journal).await.unwrap();
        assert!(
            report.findings.iter().any(|finding| finding.position.as_u64() == named),
            "{change}: {:#?}",
            report.findings
        );
        // Whatever reads it answers, with or without an error.
        let mut pages = 0;
        let mut after = Position::START;
        while let Ok(page) = node.journal.read_all(after, &Filter::default(), 2).await {
            if page.position == after {
                break;
            }
            (after, pages) = (page.position, pages + 1);
        }
        assert!(pages >= 3, "what lies before the damage is read");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_makes_no_sense_is_an_error_to_its_readers_alone() {
    let (database, node) = journal_of_parts().await;
    let all = crate::conformance::everything(&node.journal).await;
    node.stop().await;
    tamper(&database, "UPDATE journal.parts SET body = substring(body FOR 30) WHERE position = 9").await;
    // Nothing that a process remembers may hide it.
    let node = Node::open(database.url()).await;
    let filter = |index: usize| Filter { stream: Some(all[index].stream), ..Filter::default() };
    match node.journal.read_all(Position::START, &Filter::default(), 100).await.unwrap_err() {
        ReadError::Damaged { position, .. } => assert_eq!(position.as_u64(), 7),
        other => panic!("{other}"),
    }
    let before = node.journal.read_all(Position::START, &Filter::default(), 6).await.unwrap();
    let behind = node.journal.read_all(Position::from_u64(9), &Filter::default(), 100).await.unwrap();
    assert_eq!((before.events.len(), behind.events.len()), (6, 9));
    assert!(node.journal.read_all(Position::START, &filter(0), 100).await.is_err());
    assert_eq!(node.journal.read_all(Position::START, &filter(3), 100).await.unwrap().events.len(), 9);
    // The stream goes on, because its end is known without it.
    let done = node.journal.append(append(all[0].stream, Expected::Exact(8), &["on"])).await.unwrap();
    assert_eq!(done.heads, [(all[0].stream, 9)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removed_parts_are_named() {
    type IsFault = fn(&Fault) -> bool;
    let tries: [(&str, IsFault, u64); 3] = [
        ("DELETE FROM journal.parts WHERE position = 9", |fault| matches!(fault, Fault::MissingPositions { .. }), 10),
        ("DELETE FROM journal.parts WHERE position = 9", |fault| matches!(fault, Fault::MissingRevisions { .. }), 13),
        ("DELETE FROM journal.parts WHERE position = 18", |fault| matches!(fault, Fault::WrongHead { .. }), 15),
    ];
    for (statement, fault, named) in tries {
        let (database, node) = journal_of_parts().await;
        tamper(&database, statement).await;
        is_named(&node, statement, fault, named).await;
    }
}
