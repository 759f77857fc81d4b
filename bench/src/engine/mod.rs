//! Whole runs, with everything that a real program has switched on: journal, membership, engine, read models.

mod flows;
mod house;
mod outside;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::run::RunStatus;
use domain::{Run, RunId};
use journal::{Executor, Filter, Journal, MemorySnapshots, Position, Snapshots};
use providers::{Behaviour, Platform, Simulator};
use serde_json::{Value, json};

use crate::report::{Report, per_second, quantile_ms};
use crate::store::Store;
use crate::{cpu, raw};

pub(crate) use flows::{DAY, LONG, ONE, SEQ10};
pub(crate) use house::House;
use outside::Outside;

const STEPS: usize = 10;

/// Where the answers of a bench come from.
struct Source {
    /// The beginning of the names of its figures.
    name: &'static str,
    platform: fn() -> Arc<dyn Platform>,
}

/// The simulator: a run need not wait until a step is recorded.
const WITHIN: Source = Source { name: "engine.seq10", platform: || Arc::new(Simulator::builder().build()) };

/// As quick, but each attempt is recorded before it is made.
const OUTSIDE: Source =
    Source { name: "engine.seq10.outside", platform: || Arc::new(Outside(Simulator::builder().build())) };

pub(crate) async fn measure(store: &Store, report: &mut Report) -> anyhow::Result<()> {
    if report.wants_one(&["engine.seq10.single", "engine.seq10.single.p99"]) {
        single(store, report, &WITHIN).await?;
    }
    if report.wants_one(&["engine.seq10.outside.single", "engine.seq10.outside.single.p99"]) {
        single(store, report, &OUTSIDE).await?;
    }
    if report.wants_one(&["engine.seq10.c100", "engine.seq10.cpu"]) {
        at_once(store, report, &WITHIN, LARGE, 100).await?;
    }
    if report.wants_one(&["engine.seq10.c1000", "engine.seq10.c1000.cpu"]) {
        at_once(store, report, &WITHIN, "engine_thousand", 1000).await?;
    }
    if report.wants_one(&["engine.seq10.outside.c100", "engine.seq10.outside.cpu"]) {
        at_once(store, report, &OUTSIDE, "engine_outside", 100).await?;
    }
    if report.wants_one(&["engine.seq10.nodes3", "engine.seq10.nodes3.cpu"]) {
        on_three_nodes(store, report).await?;
    }
    for (name, flow, rounds) in [("engine.flow40", flows::FLOW40, 100), ("engine.fan100", flows::FAN100, 50)] {
        if report.wants(name) {
            alone(store, report, name, flow, rounds).await?;
        }
    }
    if report.wants_any(&["engine.long"]) {
        long(store, report).await?;
    }
    if report.wants_one(&["engine.timers", "engine.timers.p50"]) {
        timers(store, report).await?;
    }
    if report.wants("engine.recover") {
        recover(store, report).await?;
    }
    if report.wants("engine.takeover") {
        takeover(store, report).await?;
    }
    Ok(())
}

/// One run of ten steps at a time.
async fn single(store: &Store, report: &mut Report, source: &Source) -> anyhow::Result<()> {
    let database = store.database("engine_single").await?;
    let house = House::with(&database, (source.platform)()).await?;
    let mut times = one_by_one(&house, flows::SEQ10, report.rounds(300)).await?;
    house.close().await?;
    let commit = raw::commit_ms(&database, report.rounds(1000), 1).await?;
    #[expect(clippy::cast_precision_loss, reason = "ten")]
    let reference = commit * STEPS as f64;
    let p50 = quantile_ms(&mut times, 0.5);
    report.add(&format!("{}.single", source.name), p50, "ms", Some(reference));
    report.add(&format!("{}.single.p99", source.name), quantile_ms(&mut times, 0.99), "ms", Some(reference));
    Ok(())
}

/// One run of another workflow at a time.
async fn alone(store: &Store, report: &mut Report, name: &str, flow: &str, rounds: usize) -> anyhow::Result<()> {
    let database = store.database("engine_alone").await?;
    let house = House::open(&database).await?;
    let mut times = one_by_one(&house, flow, report.rounds(rounds)).await?;
    house.close().await?;
    report.add(name, quantile_ms(&mut times, 0.5), "ms", None);
    Ok(())
}

async fn one_by_one(house: &House, flow: &str, rounds: usize) -> anyhow::Result<Vec<Duration>> {
    for _ in 0..rounds.min(30) {
        house.run(flow).await?;
    }
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let started = Instant::now();
        house.run(flow).await?;
        times.push(started.elapsed());
    }
    Ok(times)
}

/// Two thousand runs of ten steps, so many of them at the same time.
async fn at_once(
    store: &Store,
    report: &mut Report,
    source: &Source,
    database: &str,
    count: usize,
) -> anyhow::Result<()> {
    let runs = report.rounds(2000).max(count);
    let database = store.database(database).await?;
    let house = House::with(&database, (source.platform)()).await?;
    house.many(100, 100).await?;
    let (own, server) = (cpu::own(), cpu::server(&store.data));
    let started = Instant::now();
    house.many(runs, count).await?;
    let took = started.elapsed();
    // Whatever the program still owes, such as rows of read models, is part of the bill.
    house.settle().await?;
    let used = (cpu::own() - own) + (cpu::server(&store.data) - server);
    let name = source.name;
    report.add(&format!("{name}.c{count}"), per_second(runs * STEPS, took), "steps/s", None);
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let each = used.as_secs_f64() * 1000.0 / runs as f64;
    let of_whom = if count == 100 { String::new() } else { format!(".c{count}") };
    report.add(&format!("{name}{of_whom}.cpu"), each, "ms/run", None);
    house.close().await
}

/// As [`at_once`] with a thousand, on three nodes that share the database; each counts its own share.
async fn on_three_nodes(store: &Store, report: &mut Report) -> anyhow::Result<()> {
    const NODES: usize = 3;
    let database = store.database("engine_nodes").await?;
    let houses = [House::open(&database).await?, House::open(&database).await?, House::open(&database).await?];
    let [one, two, three] = &houses;
    let (share, at_once) = (report.rounds(2001) / NODES, 1000 / NODES);
    tokio::try_join!(one.many(100, 100), two.many(100, 100), three.many(100, 100))?;
    let (own, server) = (cpu::own(), cpu::server(&store.data));
    let started = Instant::now();
    tokio::try_join!(one.many(share, at_once), two.many(share, at_once), three.many(share, at_once))?;
    let took = started.elapsed();
    for house in &houses {
        house.settle().await?;
    }
    let used = (cpu::own() - own) + (cpu::server(&store.data) - server);
    report.add("engine.seq10.nodes3", per_second(share * NODES * STEPS, took), "steps/s", None);
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let each = used.as_secs_f64() * 1000.0 / (share * NODES) as f64;
    report.add("engine.seq10.nodes3.cpu", each, "ms/run", None);
    let runs = NODES * (100 + share);
    for (event, wanted) in [("run.started", runs), ("run.completed", runs), ("task.completed", runs * STEPS)] {
        let counted: i64 = sqlx::query_scalar("SELECT count(*) FROM journal.events WHERE event_type = $1")
            .bind(event)
            .fetch_one(&database.pool)
            .await?;
        anyhow::ensure!(usize::try_from(counted)? == wanted, "{counted} events {event} instead of {wanted}");
    }
    for house in houses {
        house.close().await?;
    }
    Ok(())
}

/// The database that a hundred runs at once leave behind, full of finished runs.
pub(crate) const LARGE: &str = "engine_many";

/// One run that records more than a hundred thousand events of its own, and what it takes to read it back.
async fn long(store: &Store, report: &mut Report) -> anyhow::Result<()> {
    let elements = report.rounds(1000);
    let database = store.database("engine_long").await?;
    let house = House::open(&database).await?;
    house.many(100, 10).await?;
    let from = house.open.journal.head().await?;
    let before = cpu::peak_mb(true)?;
    let started = Instant::now();
    let list: Vec<String> = (0..elements).map(|number| format!("element {number}")).collect();
    let run = house.run_with(flows::LONG, json!({ "list": list })).await?;
    let took = started.elapsed();
    let events = house.open.journal.head().await?.as_u64() - from.as_u64();
    report.add("engine.long", per_second(usize::try_from(events)?, took), "events/s", None);
    report.add("engine.long.memory", cpu::peak_mb(false)? - before, "MB", None);

    let journal: Arc<dyn Journal> = Arc::new(house.open.journal.clone());
    let snapshots: Arc<dyn Snapshots> = Arc::new(MemorySnapshots::default());
    let mut times = Vec::new();
    for _ in 0..2 {
        let executor = Executor::new(Arc::clone(&journal)).with_snapshots(Arc::clone(&snapshots));
        let started = Instant::now();
        let state = executor.load::<Run>(run.into()).await?.state;
        times.push(started.elapsed().as_secs_f64() * 1000.0);
        anyhow::ensure!(state.status() == RunStatus::Completed, "the long run is {:?}", state.status());
    }
    if let [folded, kept] = times.as_slice() {
        report.add("engine.long.load", *folded, "ms", None);
        report.add("engine.long.load.snapshot", *kept, "ms", None);
    }
    house.close().await
}

/// How late waits end while very many others are pending.
async fn timers(store: &Store, report: &mut Report) -> anyhow::Result<()> {
    let pending = report.rounds(100_000);
    let database = store.database("engine_timers").await?;
    let house = House::open(&database).await?;
    house.start_all(flows::DAY, vec![json!({}); pending], 500).await?;
    house.settle().await?;
    // They fire one after the other, ten milliseconds apart, once all of them wait.
    let fire = report.rounds(1000);
    let begin = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(5);
    let moments: Vec<jiff::Timestamp> = (0..fire)
        .map(|number| begin + jiff::SignedDuration::from_millis(10 * i64::try_from(number).unwrap_or(0)))
        .collect();
    let from = house.open.journal.seen();
    let inputs: Vec<Value> = moments.iter().map(|moment| json!({ "until": moment.to_string() })).collect();
    let started = house.start_all(flows::MOMENT, inputs, 500).await?;
    let mut due: HashMap<RunId, i64> = HashMap::new();
    let filter =
        Filter { types: vec!["run.timer_started".to_owned(), "run.completed".to_owned()], ..Filter::default() };
    let mut subscription = house.open.journal.subscribe(from, filter);
    let mut lags = Vec::with_capacity(fire);
    while lags.len() < started.len() {
        for event in subscription.next().await?.events {
            let run = RunId::from_uuid(event.stream.id);
            match event.event()? {
                domain::Event::Run(domain::RunEvent::TimerStarted { fires_at, .. }) => {
                    due.insert(run, fires_at.as_micros());
                }
                _ => {
                    let lag = due.get(&run).map_or(0, |due| event.recorded_at.as_micros() - due);
                    lags.push(Duration::from_micros(u64::try_from(lag).unwrap_or(0)));
                }
            }
        }
    }
    report.add("engine.timers", quantile_ms(&mut lags, 0.99), "ms", None);
    report.add("engine.timers.p50", quantile_ms(&mut lags, 0.5), "ms", None);
    house.close().await
}

/// From the start of the engine until every open run of a former process is claimed.
async fn recover(store: &Store, report: &mut Report) -> anyhow::Result<()> {
    let open = report.rounds(10_000);
    let database = store.database("engine_recover").await?;
    let house = House::open(&database).await?;
    house.start_all(flows::DAY, vec![json!({}); open], 500).await?;
    house.settle().await?;
    let head = house.open.journal.seen();
    house.kill().await;
    let started = Instant::now();
    let house = House::open(&database).await?;
    wait_for(&house, head, "run.claimed", open).await?;
    report.add("engine.recover", started.elapsed().as_secs_f64(), "s", None);
    house.close().await
}

/// From the death of a node until its runs go on at another.
async fn takeover(store: &Store, report: &mut Report) -> anyhow::Result<()> {
    let mut times = Vec::new();
    for _ in 0..report.rounds(50).clamp(1, 5) {
        let database = store.database("engine_takeover").await?;
        let hanging = || Simulator::builder().script(|_, _| Behaviour::Hang).build();
        let dying = House::with(&database, Arc::new(hanging())).await?;
        let heir = House::open(&database).await?;
        let runs = dying.start_all(flows::SEQ10, vec![json!({ "text": "hello" }); 40], 40).await?;
        let head = dying.open.journal.head().await?;
        let mine = runs.len();
        dying.kill().await;
        let killed = Instant::now();
        anyhow::ensure!(mine > 0, "nothing was started");
        wait_for(&heir, head, "task.attempt_lost", 1).await?;
        wait_for(&heir, head, "task.attempt_started", 1).await?;
        times.push(killed.elapsed());
        heir.close().await?;
    }
    report.add("engine.takeover", quantile_ms(&mut times, 0.5) / 1000.0, "s", None);
    Ok(())
}

/// Waits until so many events of a type have been recorded after a position.
async fn wait_for(house: &House, after: Position, name: &str, count: usize) -> anyhow::Result<()> {
    let filter = Filter { types: vec![name.to_owned()], ..Filter::default() };
    let mut subscription = house.open.journal.subscribe(after, filter);
    let mut seen = 0;
    while seen < count {
        seen += subscription.next().await?.events.len();
    }
    Ok(())
}
