//! The journal in KurrentDB, measured against the protocol double: what the back end and the official client cost, not
//! what a KurrentDB does. The double keeps everything in memory of this same process.

use std::sync::Arc;
use std::time::Instant;

use journal::kurrent::{KurrentJournal, Options};
use journal::{Filter, Journal, Position};
use testkit::kurrent::KurrentDouble;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::journal::{append, append_each};
use crate::report::{Report, per_second, quantile_ms};

const EVENTS: &str = "events/s (double)";
const MILLIS: &str = "ms (double)";

/// An open journal and its service.
struct Node {
    journal: KurrentJournal,
    shutdown: CancellationToken,
    service: JoinHandle<()>,
}

impl Node {
    async fn open(double: &KurrentDouble) -> anyhow::Result<Self> {
        let (journal, service) = KurrentJournal::open(Options::from_url(&double.url())?).await?;
        let shutdown = CancellationToken::new();
        let service = tokio::spawn(service.run(shutdown.clone()));
        Ok(Self { journal, shutdown, service })
    }

    async fn close(self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        Ok(self.service.await?)
    }
}

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    if report.wants("journal.kurrentdb.append.c256") || report.wants("journal.kurrentdb.replay") {
        many(report).await?;
    }
    if report.wants("journal.kurrentdb.append.c1") || report.wants("journal.kurrentdb.subscribe") {
        one(report).await?;
    }
    Ok(())
}

/// 256 callers, each waiting for its answer before it asks again; then the whole journal is read back.
async fn many(report: &mut Report) -> anyhow::Result<()> {
    const CALLERS: usize = 256;
    let double = KurrentDouble::start_unhurried().await;
    let node = Node::open(&double).await?;
    let journal: Arc<dyn Journal> = Arc::new(node.journal.clone());
    let each = report.rounds(200);
    append_each(&journal, CALLERS, each / 10 + 1).await?;
    let started = Instant::now();
    append_each(&journal, CALLERS, each).await?;
    if report.wants("journal.kurrentdb.append.c256") {
        report.add("journal.kurrentdb.append.c256", per_second(CALLERS * each, started.elapsed()), EVENTS, None);
    }
    node.close().await?;
    if report.wants("journal.kurrentdb.replay") {
        // A journal that was opened afresh has nothing in memory.
        let node = Node::open(&double).await?;
        let started = Instant::now();
        let (mut position, mut read) = (Position::START, 0);
        loop {
            let page = node.journal.read_all(position, &Filter::default(), 5000).await?;
            for event in &page.events {
                event.event()?;
            }
            read += page.events.len();
            if page.position == position {
                break;
            }
            position = page.position;
        }
        report.add("journal.kurrentdb.replay", per_second(read, started.elapsed()), EVENTS, None);
        node.close().await?;
    }
    Ok(())
}

/// One caller: how long one event takes to be recorded, and to reach a subscriber of another node.
async fn one(report: &mut Report) -> anyhow::Result<()> {
    let double = KurrentDouble::start_unhurried().await;
    let (writer, reader) = (Node::open(&double).await?, Node::open(&double).await?);
    let mut subscription = reader.journal.subscribe(Position::START, Filter::default());
    let rounds = report.rounds(1000);
    let (mut appended, mut arrived) = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    for round in 0..rounds + 100 {
        let append = append();
        let started = Instant::now();
        let done = writer.journal.append(append).await?;
        let took = started.elapsed();
        while subscription.position() < done.position {
            subscription.next().await?;
        }
        if round >= 100 {
            appended.push(took);
            arrived.push(started.elapsed());
        }
    }
    if report.wants("journal.kurrentdb.append.c1") {
        report.add("journal.kurrentdb.append.c1", quantile_ms(&mut appended, 0.5), MILLIS, None);
    }
    if report.wants("journal.kurrentdb.subscribe") {
        report.add("journal.kurrentdb.subscribe", quantile_ms(&mut arrived, 0.5), MILLIS, None);
    }
    writer.close().await?;
    reader.close().await
}
