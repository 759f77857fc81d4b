//! Whoever can write to the files of the database can change anything; the chains show it.

use journal::chain::{Fault, verify};
use journal::{Expected, Journal};
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
    sqlx::raw_sql("ALTER TABLE journal.events DISABLE TRIGGER ALL").execute(&mut *transaction).await.unwrap();
    let changed = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut *transaction).await.unwrap();
    assert_ne!(changed.rows_affected(), 0, "{statement}");
    sqlx::raw_sql("ALTER TABLE journal.events ENABLE TRIGGER ALL").execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_byte_in_any_column_is_named() {
    let bytes = |column: &str| format!("{column} = set_byte({column}, 3, get_byte({column}, 3) # 1)");
    let id = |column: &str| format!("{column} = (overlay({column}::text placing '00' from 20 for 2))::uuid");
    let changes = [
        ("position", "position = 100".to_owned(), 100),
        ("revision", "revision = 9".to_owned(), 4),
        ("recorded_at", "recorded_at = recorded_at # 1".to_owned(), 4),
        ("stream", id("stream"), 4),
        ("event_id", id("event_id"), 4),
        ("command", id("command"), 4),
        ("schema_version", "schema_version = schema_version # 2".to_owned(), 4),
        ("codec", "codec = codec # 2".to_owned(), 4),
        ("category", "category = 'bgent'".to_owned(), 4),
        ("event_type", "event_type = 'agent.disableb'".to_owned(), 4),
        ("previous_hash", bytes("previous_hash"), 4),
        ("hash", bytes("hash"), 4),
        ("metadata", bytes("metadata"), 4),
        ("payload", bytes("payload"), 4),
    ];
    let columns: Vec<String> = {
        let (database, _node) = journal().await;
        sqlx::query_scalar("SELECT column_name::text FROM information_schema.columns WHERE table_schema = 'journal' AND table_name = 'events'")
            .fetch_all(database.pool())
            .await
            .unwrap()
    };
    for column in columns {
        assert!(changes.iter().any(|(tried, ..)| *tried == column), "column {column} is not tried");
    }
    for (column, change, named) in changes {
        let (database, node) = journal().await;
        assert!(verify(&node.journal).await.unwrap().is_sound());
        tamper(&database, &format!("UPDATE journal.events SET {change} WHERE position = 4")).await;
        let report = verify(&node.journal).await.unwrap();
        assert!(
            report.findings.iter().any(|finding| finding.position.as_u64() == named),
            "{column}: {:#?}",
            report.findings
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removed_exchanged_and_inserted_events_are_named() {
    type IsFault = fn(&Fault) -> bool;
    let tries: [(&str, IsFault, u64); 5] = [
        ("DELETE FROM journal.events WHERE position = 4", |fault| matches!(fault, Fault::MissingPositions { .. }), 5),
        ("DELETE FROM journal.events WHERE position = 4", |fault| matches!(fault, Fault::MissingRevisions { .. }), 7),
        ("DELETE FROM journal.events WHERE position = 9", |fault| matches!(fault, Fault::WrongHead { .. }), 8),
        (
            "UPDATE journal.events SET revision = 3 WHERE position = 4",
            |fault| matches!(fault, Fault::MissingRevisions { .. }),
            4,
        ),
        (
            "INSERT INTO journal.events SELECT 10, 3, recorded_at, stream, event_id, NULL, schema_version, codec,
            category, event_type, previous_hash, hash, metadata, payload FROM journal.events WHERE position = 4",
            |fault| matches!(fault, Fault::WrongHash { .. }),
            10,
        ),
    ];
    for (statement, fault, named) in tries {
        let (database, node) = journal().await;
        tamper(&database, statement).await;
        let report = verify(&node.journal).await.unwrap();
        let found = report.findings.iter().any(|finding| finding.position.as_u64() == named && fault(&finding.fault));
        assert!(found, "{statement}: {:#?}", report.findings);
        assert_eq!(report.faults, report.findings.len() as u64);
    }
}
