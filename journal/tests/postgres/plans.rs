//! Statements whose plans were made while the table was small must not scan it when it has grown.

use journal::{Expected, Filter, Journal, Position};
use sqlx::Row;
use testkit::Database;

use crate::backend::Node;
use crate::sample::{agent, append, part, parts, remembered};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans_of_a_small_table_do_no_harm_when_it_grows() {
    let database = Database::create().await;
    // Few streams are remembered, so that heads are looked up again and again.
    let node = Node::open_with(database.url(), |options| {
        options.heads = std::num::NonZeroUsize::MIN;
        options.readers = 1;
        options.tail_events = 1;
    })
    .await;
    // Nobody analyses behind our back: no plan is ever made anew.
    sqlx::raw_sql("ALTER TABLE journal.events SET (autovacuum_enabled = off)").execute(database.pool()).await.unwrap();
    let other = Node::open(database.url()).await;
    let all = async |streams: &[domain::StreamId]| {
        for stream in streams {
            let wish = remembered(append(*stream, Expected::Exists, &["x"]));
            node.journal.append(wish.clone()).await.unwrap();
            assert!(node.journal.append(wish).await.unwrap().repeated);
            node.journal.read_stream(*stream, 0, 10).await.unwrap();
            node.journal.read_streams(&[*stream, agent()], Position::from_u64(1 << 40), 10).await.unwrap();
            let filter = Filter { stream: Some(*stream), ..Filter::default() };
            node.journal.read_all(Position::START, &filter, 10).await.unwrap();
            // The way under the lock as well.
            other.journal.append(append(*stream, Expected::Any, &["y"])).await.unwrap();
        }
    };
    let some: Vec<_> = (0..12).map(|_| agent()).collect();
    for stream in &some {
        node.journal.append(append(*stream, Expected::NoStream, &["x"])).await.unwrap();
    }
    all(&some).await;
    // Thousands of streams, a thousand at a time.
    let mut many = Vec::new();
    for _ in 0..8 {
        let streams: Vec<_> = (0..1000).map(|_| agent()).collect();
        let wish = streams.iter().map(|stream| part(*stream, Expected::NoStream, &["x"])).collect();
        node.journal.append(parts(wish)).await.unwrap();
        many.push(streams[500]);
    }
    let before = statistics(&database).await;
    all(&many).await;
    node.stop().await;
    other.stop().await;
    let after = statistics(&database).await;
    let (scanned, fetched) = (after.0 - before.0, after.1 - before.1);
    assert_eq!(scanned, 0, "rows read by scanning the table");
    // The other node fetches the 8,000 events that it missed, once; then come eight streams with a handful of lookups
    // of a handful of rows each. A single lookup that reads the whole index would read 8,000 entries every time.
    assert!(fetched < 12_000, "{fetched} index entries were read");
}

/// Rows read by scanning the table, and entries read from its indexes. Connections report when they end, or a second
/// after their last report; so the numbers before may lack a little, and those after the end of all of them do not.
async fn statistics(database: &Database) -> (i64, i64) {
    let row = sqlx::query(
        "SELECT t.seq_tup_read, (SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE relid = t.relid)
        FROM pg_stat_user_tables t WHERE t.schemaname = 'journal' AND t.relname = 'events'",
    )
    .fetch_one(database.pool())
    .await
    .unwrap();
    (row.get(0), row.get(1))
}
