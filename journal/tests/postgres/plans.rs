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
    sqlx::raw_sql("ALTER TABLE journal.parts SET (autovacuum_enabled = off)").execute(database.pool()).await.unwrap();
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
            node.journal.read_each(&[(*stream, 1), (agent(), 0)], 10).await.unwrap();
            let of_type = Filter { types: vec!["agent.disabled".to_owned()], ..Filter::default() };
            for filter in [&filter, &of_type, &Filter::default()] {
                assert!(!node.journal.read_back(None, filter, 10).await.unwrap().events.is_empty());
            }
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

/// Every statement that reads a part of the journal or of a stream, as it was checked when the program was built, finds its
/// rows by an index, and walks no further than to the rows that are wanted; whoever reads back walks from the end.
#[tokio::test]
async fn what_is_read_in_part_is_found_by_an_index() {
    let database = Database::create().await;
    let node = Node::open(database.url()).await;
    let streams: Vec<_> = (0..1000).map(|_| agent()).collect();
    for round in 0..30 {
        let expected = if round == 0 { Expected::NoStream } else { Expected::Exact(round - 1) };
        let wish = streams.iter().map(|stream| part(*stream, expected, &["x"])).collect();
        node.journal.append(parts(wish)).await.unwrap();
    }
    node.stop().await;
    let mut connection = database.pool().acquire().await.unwrap();
    // As the journal's own connections are.
    for setting in [
        "VACUUM ANALYZE journal.parts",
        "SET plan_cache_mode = force_generic_plan",
        "SET jit = off",
        "SET enable_seqscan = off",
        "SET enable_bitmapscan = off",
    ] {
        sqlx::raw_sql(setting).execute(&mut *connection).await.unwrap();
    }
    let stream = streams[7].id;
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for (sql, arguments, index, most) in statements(stream) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("PREPARE asked AS {sql}"))).execute(&mut *connection).await.unwrap();
        let explain = format!("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked({arguments})");
        let row = sqlx::raw_sql(sqlx::AssertSqlSafe(explain)).fetch_one(&mut *connection).await.unwrap();
        sqlx::raw_sql("DEALLOCATE asked").execute(&mut *connection).await.unwrap();
        let plan: serde_json::Value = row.get(0);
        let mut node = &plan[0]["Plan"];
        while node["Node Type"] == "Limit" {
            // Beside it there may be a look for where the range ends, which is done once.
            let below = node["Plans"].as_array().unwrap();
            node = below.iter().find(|below| below["Parent Relationship"] == "Outer").unwrap();
        }
        let looked = node["Actual Rows"].as_f64().unwrap() + node["Rows Removed by Filter"].as_f64().unwrap_or(0.0);
        let condition = node["Index Cond"].as_str().unwrap_or_default();
        let direction = if sql.contains("DESC LIMIT $") || sql.ends_with("DESC") { "Backward" } else { "Forward" };
        let is_right = node["Node Type"] == "Index Scan"
            && node["Scan Direction"] == direction
            && node["Index Name"] == index
            && condition.contains(if index == "parts_stream" { "(stream = $1)" } else { "\"position\" >" })
            && (index == "parts_stream" || condition.contains("\"position\" <="))
            && looked <= most;
        if !is_right {
            wrong.push((sql, plan));
        }
        found.push((direction, index));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    found.sort_unstable();
    let wanted = [
        ("Backward", "parts_position"),
        ("Backward", "parts_position"),
        ("Backward", "parts_stream"),
        ("Forward", "parts_position"),
        ("Forward", "parts_position"),
        ("Forward", "parts_position"),
        ("Forward", "parts_stream"),
        ("Forward", "parts_stream"),
    ];
    assert_eq!(found, wanted, "the statements that read a part of the journal or of a stream");
}

/// Those statements: each with what it is asked, the index that it is to walk, and how many rows of it at most.
fn statements(stream: uuid::Uuid) -> Vec<(String, String, &'static str, f64)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../.sqlx");
    let files = std::fs::read_dir(folder).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let texts = files.map(|text| serde_json::from_str::<serde_json::Value>(&text).unwrap()["query"].take());
    let in_part = texts.filter_map(|query| {
        let sql = query.as_str().unwrap().to_owned();
        sql.starts_with("SELECT position, revision, events, recorded_at, stream, command,").then_some(sql)
    });
    let asked = |sql: String| {
        let back = sql.contains("DESC LIMIT $") || sql.ends_with("DESC");
        let (arguments, index, most) = match (sql.contains("stream = $1"), back) {
            (true, true) => (format!("'{stream}', 'agent', 30000, NULL, 10"), "parts_stream", 10.0),
            // From a revision on: one from the middle of the stream.
            (true, false) if sql.contains("revision < $4") => {
                (format!("'{stream}', 'agent', 12, 22"), "parts_stream", 10.0)
            }
            (true, false) => (format!("'{stream}', 'agent', 0, 30000, NULL, 10"), "parts_stream", 10.0),
            (false, back) if sql.contains("category = ANY") => {
                let range = if back { "10001, 30000" } else { "0, 20000" };
                (format!("{range}, ARRAY['agent'], ARRAY['agent.disabled'], 10"), "parts_position", 10.0)
            }
            (false, true) => ("29901, 30000".to_owned(), "parts_position", 100.0),
            (false, false) => ("5000, 5100".to_owned(), "parts_position", 100.0),
        };
        (sql, arguments, index, most)
    };
    in_part.map(asked).collect()
}

/// Rows read by scanning the table, and entries read from its indexes. Connections report when they end, or a second
/// after their last report; so the numbers before may lack a little, and those after the end of all of them do not.
async fn statistics(database: &Database) -> (i64, i64) {
    let row = sqlx::query(
        "SELECT t.seq_tup_read, (SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE relid = t.relid)
        FROM pg_stat_user_tables t WHERE t.schemaname = 'journal' AND t.relname = 'parts'",
    )
    .fetch_one(database.pool())
    .await
    .unwrap();
    (row.get(0), row.get(1))
}
