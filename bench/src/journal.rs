//! The journal alone: appends by many and by one, and reading everything back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Actor, CommandId, Event, NodeId, StreamId, TaskEvent, TaskId, Timestamp};
use journal::{
    Append, Context, Executor, Expected, Filter, Journal, Members, MemoryCheckpoints, Page, Position, StreamAppend,
    seal,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::raw;
use crate::report::{Report, per_second, quantile_ms};
use crate::store::{Database, Store};

/// One event of ordinary size for a stream of its own.
pub(crate) fn append() -> Append {
    of(vec![events(stream(), None, 1)])
}

fn stream() -> StreamId {
    TaskId::from_uuid(Uuid::now_v7()).into()
}

fn events(stream: StreamId, last: Option<u64>, count: usize) -> StreamAppend {
    let event = Event::Task(TaskEvent::Cancelled { reason: "x".repeat(180) });
    let expected = last.map_or(Expected::NoStream, Expected::Exact);
    StreamAppend { stream, expected, events: vec![event; count] }
}

fn of(streams: Vec<StreamAppend>) -> Append {
    Append {
        streams,
        context: Context {
            command: CommandId::from_uuid(Uuid::now_v7()),
            at: Timestamp::from_micros(1_800_000_000_000_000),
            actor: Actor::system("bench"),
            tenant: "default".to_owned(),
            correlation: Uuid::now_v7(),
            causation: None,
            subject: None,
            keeping: None,
        },
        remember: false,
    }
}

pub(crate) async fn measure(store: &Store, report: &mut Report) -> anyhow::Result<()> {
    if report.wants_one(&["journal.append.c256", "journal.replay", "answers.verify"]) {
        many(store, report).await?;
    }
    if report.wants("journal.append.c1") {
        one(store, report).await?;
    }
    if report.wants("journal.append.step") {
        steps(store, report).await?;
    }
    if report.wants("journal.subscribe") {
        follow(store, report).await?;
    }
    Ok(())
}

/// One caller: how long one event takes to reach a subscriber of another node.
async fn follow(store: &Store, report: &mut Report) -> anyhow::Result<()> {
    let database = store.database("subscribe").await?;
    let (writer, reader) = (database.open().await?, database.open().await?);
    let mut subscription = reader.journal.subscribe(Position::START, Filter::default());
    let rounds = report.rounds(500);
    let mut arrived = Vec::with_capacity(rounds);
    for round in 0..rounds + 50 {
        let append = append();
        let started = Instant::now();
        let done = writer.journal.append(append).await?;
        while subscription.position() < done.position {
            subscription.next().await?;
        }
        if round >= 50 {
            arrived.push(started.elapsed());
        }
    }
    report.add("journal.subscribe", quantile_ms(&mut arrived, 0.5), "ms", None);
    writer.close().await?;
    reader.close().await
}

/// 256 callers, each waiting for its answer before it asks again; then the whole journal is read back.
async fn many(store: &Store, report: &mut Report) -> anyhow::Result<()> {
    const CALLERS: usize = 256;
    let database = store.database("append").await?;
    let open = database.open().await?;
    let journal: Arc<dyn Journal> = Arc::new(open.journal.clone());
    let each = report.rounds(1200);
    append_each(&journal, CALLERS, each / 10 + 1).await?;
    let before = journal.head().await?;
    let started = Instant::now();
    append_each(&journal, CALLERS, each).await?;
    let took = started.elapsed();
    let count = CALLERS * each;
    if report.wants("journal.append.c256") {
        let batches = sqlx::query_scalar!(
            r#"SELECT count(DISTINCT xmin::text::bigint) AS "batches!" FROM journal.parts WHERE position > $1"#,
            i64::try_from(before.as_u64())?
        )
        .fetch_one(&database.pool)
        .await?;
        let batch = count / usize::try_from(batches.max(1))?;
        let reference = raw::inserts_per_second(&database, batch.max(1), count).await?;
        report.add("journal.append.c256", per_second(count, took), "events/s", Some(reference));
    }
    open.close().await?;
    if report.wants("journal.replay") {
        // A journal that was opened afresh has nothing in memory.
        let open = database.open().await?;
        let started = Instant::now();
        let mut read = 0;
        let mut page = open.journal.read_all(Position::START, &Filter::default(), 5000).await?;
        while !page.events.is_empty() {
            let Page { events, position } = page;
            read += events.len();
            // The next page comes while this one is decoded.
            let decoding =
                tokio::task::spawn_blocking(move || events.iter().try_for_each(|event| event.event().map(|_| ())));
            let filter = Filter::default();
            let (next, decoded) = tokio::join!(open.journal.read_all(position, &filter, 5000), decoding);
            decoded??;
            page = next?;
        }
        report.add("journal.replay", per_second(read, started.elapsed()), "events/s", None);
        open.close().await?;
    }
    if report.wants("answers.verify") {
        verify(&database, report).await?;
    }
    Ok(())
}

/// The whole proof: every chain, every payload and every seal.
async fn verify(database: &Database, report: &mut Report) -> anyhow::Result<()> {
    let open = database.open().await?;
    let journal: Arc<dyn Journal> = Arc::new(open.journal.clone());
    let folder = tempfile::tempdir()?;
    let options = seal::Options::new(seal::KeyFile::new(folder.path().join("seal.key")));
    let members = Members::alone(NodeId::from_uuid(Uuid::now_v7()));
    let checkpoints = Arc::new(MemoryCheckpoints::default());
    let (sealer, handle) = seal::Service::new(
        seal::Options { within: Duration::from_millis(100), ..options },
        Executor::new(Arc::clone(&journal)),
        checkpoints,
        members,
    );
    let wanted = journal.head().await?.as_u64();
    let stop = CancellationToken::new();
    let sealing = tokio::spawn(sealer.run(stop.clone()));
    while handle.status().sealed < wanted {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    sealing.await?;
    open.close().await?;
    // A journal that was opened afresh has nothing in memory.
    let open = database.open().await?;
    let started = Instant::now();
    let proved = journal::chain::verify(&open.journal).await?;
    let took = started.elapsed();
    anyhow::ensure!(proved.is_sound() && proved.seals.sealed >= wanted, "the journal is not sound: {proved:?}");
    report.add("answers.verify", per_second(usize::try_from(proved.events)?, took), "events/s", None);
    open.close().await
}

pub(crate) async fn append_each(journal: &Arc<dyn Journal>, callers: usize, each: usize) -> anyhow::Result<()> {
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let journal = Arc::clone(journal);
        running.spawn(async move {
            for _ in 0..each {
                journal.append(append()).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(())
}

/// One caller: how long one event takes.
async fn one(store: &Store, report: &mut Report) -> anyhow::Result<()> {
    let database = store.database("single").await?;
    let open = database.open().await?;
    let rounds = report.rounds(2000);
    let mut times = Vec::with_capacity(rounds);
    for round in 0..rounds + 200 {
        let append = append();
        let started = Instant::now();
        open.journal.append(append).await?;
        if round >= 200 {
            times.push(started.elapsed());
        }
    }
    open.close().await?;
    let reference = raw::commit_ms(&database, rounds, 1).await?;
    report.add("journal.append.c1", quantile_ms(&mut times, 0.5), "ms", Some(reference));
    Ok(())
}

/// One caller that appends what a step of a run does: two events end a task, three begin another, two are the run's.
async fn steps(store: &Store, report: &mut Report) -> anyhow::Result<()> {
    // The streams that it goes to; each gets a row.
    const PARTS: usize = 3;
    let database = store.database("step").await?;
    let open = database.open().await?;
    let rounds = report.rounds(2000);
    let mut times = Vec::with_capacity(rounds);
    let (run, mut task) = (stream(), stream());
    open.journal.append(of(vec![events(task, None, 3), events(run, None, 2)])).await?;
    for round in 0..rounds + 200 {
        let next = stream();
        let last = u64::try_from(round * 2 + 1)?;
        let append = of(vec![events(task, Some(2), 2), events(next, None, 3), events(run, Some(last), 2)]);
        let started = Instant::now();
        open.journal.append(append).await?;
        if round >= 200 {
            times.push(started.elapsed());
        }
        task = next;
    }
    open.close().await?;
    let reference = raw::commit_ms(&database, rounds, PARTS).await?;
    report.add("journal.append.step", quantile_ms(&mut times, 0.5), "ms", Some(reference));
    Ok(())
}
