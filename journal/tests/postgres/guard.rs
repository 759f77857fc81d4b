//! What the database itself refuses, and what opening finds.

use journal::postgres::{OpenError, Options, PostgresJournal, migrate};
use journal::{Expected, Journal};
use testkit::Database;

use crate::backend::Node;
use crate::sample::{agent, append};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_can_be_neither_changed_nor_removed() {
    let database = Database::create().await;
    let node = Node::open(database.url()).await;
    node.journal.append(append(agent(), Expected::NoStream, &["a", "b"])).await.unwrap();
    for statement in [
        "UPDATE journal.parts SET recorded_at = 0",
        "UPDATE journal.parts SET recorded_at = 0 WHERE position = 99",
        "DELETE FROM journal.parts WHERE position = 2",
        "TRUNCATE journal.parts",
        "TRUNCATE journal.parts CASCADE",
        "DELETE FROM journal.head",
        "TRUNCATE journal.head",
        // Nor by pretending to be a replica.
        "SET session_replication_role = replica; DELETE FROM journal.parts",
    ] {
        let error = sqlx::raw_sql(statement).execute(database.pool()).await.expect_err(statement);
        let said = error.to_string();
        assert!(said.contains("is refused: what happened never changes"), "`{statement}`: {said}");
        assert_eq!(error.as_database_error().unwrap().code().unwrap(), "23001");
    }
    // The view of single events takes nothing either.
    for statement in [
        "UPDATE journal.events SET recorded_at = 0",
        "DELETE FROM journal.events WHERE position = 2",
        "TRUNCATE journal.events",
        "INSERT INTO journal.events SELECT * FROM journal.events",
    ] {
        sqlx::raw_sql(statement).execute(database.pool()).await.expect_err(statement);
    }
    let again =
        sqlx::query("INSERT INTO journal.head (position, listeners) VALUES (7, 0)").execute(database.pool()).await;
    again.expect_err("there is one head");
    crate::conformance::is_sound(&node.journal).await;
    assert_eq!(node.journal.head().await.unwrap().as_u64(), 2);
}

#[tokio::test]
async fn opening_finds_a_journal_that_does_not_end_where_it_says() {
    let database = Database::create().await;
    let options = || Options::from_url(database.url()).unwrap();
    sqlx::query("UPDATE journal.head SET position = 3").execute(database.pool()).await.unwrap();
    match PostgresJournal::open(options()).await.err().unwrap() {
        OpenError::HeadMismatch { head, last } => assert_eq!((head.as_u64(), last.as_u64()), (3, 0)),
        other => panic!("{other}"),
    }
    sqlx::raw_sql("DROP SCHEMA journal CASCADE").execute(database.pool()).await.unwrap();
    assert!(matches!(PostgresJournal::open(options()).await.err().unwrap(), OpenError::NotMigrated));
}

#[tokio::test]
async fn a_database_is_migrated_once_by_many() {
    let database = Database::create().await;
    sqlx::raw_sql("DROP SCHEMA journal CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        .execute(database.pool())
        .await
        .unwrap();
    sqlx::raw_sql("DO $$ DECLARE s text; BEGIN FOR s IN SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('information_schema', 'public') LOOP EXECUTE format('DROP SCHEMA %I CASCADE', s); END LOOP; END $$")
        .execute(database.pool())
        .await
        .unwrap();
    let (one, two, three) = tokio::join!(migrate(database.pool()), migrate(database.pool()), migrate(database.pool()));
    one.and(two).and(three).unwrap();
    Node::open(database.url()).await.stop().await;
}
