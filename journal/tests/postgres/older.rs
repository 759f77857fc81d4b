//! A journal of an older version, with a row for each event, becomes one with a row for each part.

use journal::chain::{Entry, verify};
use journal::postgres::{MIGRATOR, OpenError, Options, PostgresJournal, migrate};
use journal::{Expected, Journal, Position};
use sqlx::migrate::Migrator;
use testkit::Database;

use crate::backend::Node;
use crate::sample::{agent, append, part, parts, remembered, task};

/// The last version that had a row for each event.
const BEFORE: i64 = 6;

/// A database as that version left it, without events.
async fn older() -> Database {
    let database = Database::create().await;
    sqlx::raw_sql("DO $$ DECLARE s text; BEGIN FOR s IN SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' LOOP EXECUTE format('DROP SCHEMA %I CASCADE', s); END LOOP; END $$; CREATE SCHEMA public")
        .execute(database.pool())
        .await
        .unwrap();
    let known = MIGRATOR.iter().filter(|migration| migration.version <= BEFORE).cloned().collect();
    Migrator::with_migrations(known).run(database.pool()).await.unwrap();
    database
}

/// Writes events as that version did.
async fn write(database: &Database, entries: &[Entry]) {
    let mut transaction = database.pool().begin().await.unwrap();
    for entry in entries {
        sqlx::query("INSERT INTO journal.events VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)")
            .bind(i64::try_from(entry.position.as_u64()).unwrap())
            .bind(i64::try_from(entry.revision).unwrap())
            .bind(entry.recorded_at)
            .bind(entry.stream)
            .bind(entry.id.as_uuid())
            .bind(entry.command)
            .bind(i16::try_from(entry.schema_version).unwrap())
            .bind(i16::from(entry.codec))
            .bind(&entry.category)
            .bind(&entry.event_type)
            .bind(&entry.previous_hash)
            .bind(&entry.hash)
            .bind(&entry.metadata)
            .bind(&entry.payload)
            .execute(&mut *transaction)
            .await
            .unwrap();
    }
    let head = i64::try_from(entries.len()).unwrap();
    sqlx::query("UPDATE journal.head SET position = $1").bind(head).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_of_single_events_is_taken_over_byte_by_byte() {
    // What was recorded, by today's program, whose events are those of the older one.
    let database = Database::create().await;
    let node = Node::open(database.url()).await;
    let (one, two) = (agent(), task());
    let long = "long ".repeat(5000);
    let mut commands = Vec::new();
    for round in 0..20 {
        let text = format!("round {round}");
        let both = vec![part(one, Expected::Any, &[&text, "and more", ""]), part(two, Expected::Any, &[&text, &long])];
        let wish = if round % 2 == 0 { remembered(parts(both)) } else { parts(both) };
        commands.push(wish.context.command);
        node.journal.append(wish).await.unwrap();
    }
    let entries = node.journal.read_entries(Position::START, 1000).await.unwrap();
    assert_eq!(entries.len(), 100);
    let expected = crate::conformance::everything(&node.journal).await;
    node.stop().await;

    let older = older().await;
    write(&older, &entries).await;
    let opened = PostgresJournal::open(Options::from_url(older.url()).unwrap()).await;
    assert!(matches!(opened.err().unwrap(), OpenError::NotMigrated));
    migrate(older.pool()).await.unwrap();
    let rows = "SELECT count(*) FROM journal.parts WHERE events = 1";
    assert_eq!(sqlx::query_scalar::<_, i64>(rows).fetch_one(older.pool()).await.unwrap(), 100);
    let node = Node::open(older.url()).await;
    assert!(verify(&node.journal).await.unwrap().is_sound());
    assert_eq!(node.journal.read_entries(Position::START, 1000).await.unwrap(), entries);
    let found = crate::conformance::everything(&node.journal).await;
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(Entry::from(found.as_ref()), Entry::from(expected.as_ref()));
        assert_eq!(found.event().unwrap(), expected.event().unwrap());
    }
    for (round, command) in commands.iter().enumerate() {
        let found = node.journal.find_command(*command).await.unwrap();
        assert_eq!(found.map(|done| done.heads), (round % 2 == 0).then(|| vec![(two, round as u64 * 2 + 1)]));
    }

    // It goes on, from the ends that were there.
    node.journal.append(append(one, Expected::NoStream, &["no"])).await.unwrap_err();
    node.journal.append(append(one, Expected::Exact(58), &["no"])).await.unwrap_err();
    let wish = parts(vec![part(one, Expected::Exact(59), &["a", "b"]), part(two, Expected::Exists, &["c", "d", "e"])]);
    let done = node.journal.append(remembered(wish)).await.unwrap();
    assert_eq!(done.heads, [(one, 61), (two, 42)]);
    let across = node.journal.read_stream(one, 58, 3).await.unwrap();
    assert_eq!(across.iter().map(|event| event.revision).collect::<Vec<_>>(), [58, 59, 60]);
    crate::conformance::is_sound(&node.journal).await;
    node.stop().await;
}

/// The view shows what the program reads, whatever lies in one row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_view_of_single_events_shows_what_the_program_reads() {
    type Shown = (i64, i64, i64, uuid::Uuid, uuid::Uuid, Option<uuid::Uuid>, i32, i32);
    type Bytes = (String, String, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>);
    let database = Database::create().await;
    let node = Node::open(database.url()).await;
    let long = "long ".repeat(5000);
    for _ in 0..3 {
        let wish = vec![
            part(agent(), Expected::NoStream, &["a", &long, "", "b"]),
            part(task(), Expected::NoStream, &["c"]),
            part(agent(), Expected::NoStream, &["d", "e"]),
        ];
        node.journal.append(remembered(parts(wish))).await.unwrap();
    }
    let view = |columns: &str| format!("SELECT {columns} FROM journal.events ORDER BY position");
    let numbers = view("position, revision, recorded_at, stream, event_id, command, schema_version, codec");
    let numbers: Vec<Shown> = sqlx::query_as(sqlx::AssertSqlSafe(numbers)).fetch_all(database.pool()).await.unwrap();
    let bytes = view("category, event_type, metadata, payload, previous_hash, hash");
    let bytes: Vec<Bytes> = sqlx::query_as(sqlx::AssertSqlSafe(bytes)).fetch_all(database.pool()).await.unwrap();
    let shown: Vec<Entry> = numbers.into_iter().zip(bytes).map(|(numbers, bytes)| entry(numbers, bytes)).collect();
    assert_eq!(shown.len(), 21);
    assert_eq!(node.journal.read_entries(Position::START, 100).await.unwrap(), shown);
    node.stop().await;

    fn entry(numbers: Shown, bytes: Bytes) -> Entry {
        let (position, revision, recorded_at, stream, id, command, schema_version, codec) = numbers;
        let (category, event_type, metadata, payload, previous_hash, hash) = bytes;
        Entry {
            position: Position::from_u64(position.try_into().unwrap()),
            id: domain::EventId::from_uuid(id),
            category,
            stream,
            revision: revision.try_into().unwrap(),
            event_type,
            schema_version: schema_version.try_into().unwrap(),
            codec: codec.try_into().unwrap(),
            recorded_at,
            metadata,
            payload,
            previous_hash,
            hash,
            command,
        }
    }
}
