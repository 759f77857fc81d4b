//! What people get from the built program over the network: questions over HTTP, subscriptions over WebSocket.
//!
//! The program is a process of its own on a database of the bench, and its clients are in this process; they share the
//! machine, and so does PostgreSQL. What happens is recorded by this process as by another node.

mod http;
mod live;
mod postgraphile;
mod run;
mod server;
mod socket;
mod subscribers;

use std::path::Path;
use std::sync::Arc;

use commands::Commands;
use domain::RunId;
use journal::Journal;
use serde_json::json;

use crate::engine::{DAY, House, LONG};
use crate::report::Report;
use crate::store::Store;
use server::Server;

/// How many elements each of the fifty lists of the long run has, so that its stream has more than a thousand events.
const ELEMENTS: usize = 10;

const RUN: [&str; 7] = [
    "answers.run",
    "answers.run.p50",
    "answers.run.p99",
    "answers.run.paced.p50",
    "answers.run.paced.p99",
    "answers.empty",
    "answers.empty.p99",
];
const SUBSCRIBE: [&str; 2] = ["answers.subscribe.p50", "answers.subscribe.p99"];
const AS_OF: [&str; 2] = ["answers.asof", "answers.asof.p99"];
const FRESHNESS: [&str; 4] =
    ["answers.freshness.load", "answers.freshness.p50", "answers.freshness.p99", "answers.freshness.query.p99"];
const SUBSCRIBERS: [&str; 8] = [
    "answers.subscribers",
    "answers.subscribers.events",
    "answers.subscribers.told",
    "answers.subscribers.lost",
    "answers.subscribers.p50",
    "answers.subscribers.p99",
    "answers.subscribers.rss",
    "answers.subscribers.rss.growth",
];

pub(crate) async fn measure(store: &Store, program: &Path, report: &mut Report) -> anyhow::Result<()> {
    let wants = |names: &[&str]| report.wants_one(names);
    let (run, subscribe, as_of, fresh) = (wants(&RUN), wants(&SUBSCRIBE), wants(&AS_OF), wants(&FRESHNESS));
    let subscribers = wants(&SUBSCRIBERS);
    if !(run || subscribe || as_of || fresh || subscribers) {
        return Ok(());
    }
    anyhow::ensure!(program.exists(), "{} is not built; run `cargo build --release` first", program.display());
    let database = store.database("answers").await?;
    // What was done before: runs of ten steps, a long one, and runs that wait for a day.
    let house = House::open(&database).await?;
    if run {
        house.many(report.rounds(2000), 100).await?;
    }
    let list: Vec<String> = (0..ELEMENTS).map(|number| format!("element {number}")).collect();
    let long = if as_of { Some(house.run_with(LONG, json!({ "list": list })).await?) } else { None };
    let followers = if subscribers { subscribers::most(report) } else { 1 };
    let waiting: Vec<RunId> = if subscribers || subscribe {
        house.start_all(DAY, vec![json!({}); followers], 500).await?
    } else {
        Vec::new()
    };
    house.settle().await?;
    house.close().await?;
    sqlx::raw_sql("VACUUM ANALYZE").execute(&database.pool).await?;

    let server = Server::start(program, &store.data, &database).await?;
    let open = database.open().await?;
    let measured = async {
        let journal: Arc<dyn Journal> = Arc::new(open.journal.clone());
        if run {
            run::measure(&server, &database, report).await?;
        }
        if subscribe {
            live::subscribe(&server, &journal, &waiting, report).await?;
        }
        if let Some(long) = long {
            live::as_of(&server, &database, long, report).await?;
        }
        if subscribers {
            subscribers::measure(&server, &database, &journal, &waiting, report).await?;
        }
        if fresh {
            live::freshness(&server, &Commands::new(journal), report).await?;
        }
        anyhow::Ok(())
    };
    let measured = measured.await;
    open.close().await?;
    server.stop().await?;
    measured
}
