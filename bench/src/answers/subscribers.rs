//! Thousands of subscribers of one server, and that none of them misses an event.
//!
//! Each follows a run of its own (`runEvents`), as somebody does who has a page of it open; every thousandth follows the
//! whole journal. Meanwhile events come from another process on the same database, in the order of the clock and
//! spread over all runs. In the end everybody must have got exactly what the journal has, in its order.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use domain::RunId;
use journal::{Journal, Position};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::live::{FOLLOW, Told, signal};
use super::server::Server;
use super::socket::Socket;
use crate::report::{Report, per_second, quantile_ms};
use crate::store::Database;

/// How many subscribers there are to be.
pub(super) const SUBSCRIBERS: usize = 10_000;
/// One of so many follows the whole journal.
const WHOLE: usize = 1000;
/// How many events come in a second.
const RATE: u32 = 1000;
/// What else this process needs in open files.
const RESERVE: u64 = 500;
/// How long what was recorded may be on its way.
const PATIENCE: Duration = Duration::from_secs(60);

const JOURNAL: &str = "subscription($after: Position) { journal(afterPosition: $after) { position type recordedAt } }";

/// What one subscriber got.
struct Got {
    run: Option<RunId>,
    positions: Vec<u64>,
    delays: Vec<Duration>,
}

/// As many subscribers as this process may have connections.
pub(super) fn most(report: &Report) -> usize {
    let wanted = report.rounds(SUBSCRIBERS);
    let need = u64::try_from(wanted).unwrap_or(u64::MAX) + RESERVE;
    let now = getrlimit(Resource::Nofile);
    if now.current.is_some_and(|current| current < need) {
        let raised = now.maximum.map(|maximum| maximum.min(need)).or(Some(need));
        // What it came to is seen below.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: raised, maximum: now.maximum });
    }
    match getrlimit(Resource::Nofile).current {
        Some(current) if current < need => usize::try_from(current.saturating_sub(RESERVE)).unwrap_or(1),
        _ => wanted,
    }
}

pub(super) async fn measure(
    server: &Server,
    database: &Database,
    journal: &Arc<dyn Journal>,
    runs: &[RunId],
    report: &mut Report,
) -> anyhow::Result<()> {
    let wanted = report.rounds(SUBSCRIBERS);
    let count = runs.len();
    if count < wanted {
        eprintln!("only {count} of {wanted} subscribers: the system allows no more open files");
    }
    let base = journal.head().await?;
    let idle = server.rss_mb();
    let (received, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let gate = Arc::new(Semaphore::new(64));
    let (ready, mut opened) = tokio::sync::mpsc::channel::<()>(1024);
    let begun = Instant::now();
    let mut subscribers: JoinSet<anyhow::Result<Got>> = JoinSet::new();
    for (number, run) in runs.iter().copied().enumerate() {
        let run = (number % WHOLE != 0).then_some(run);
        let (address, gate) = (server.address.clone(), Arc::clone(&gate));
        let (received, stop) = (Arc::clone(&received), Arc::clone(&stop));
        let ready = ready.clone();
        subscribers.spawn(async move {
            let permit = gate.acquire_owned().await?;
            let after = base.to_string();
            let mut socket = match run {
                Some(run) => Socket::subscribe(&address, FOLLOW, &json!({ "run": run, "after": after })).await?,
                None => Socket::subscribe(&address, JOURNAL, &json!({ "after": after })).await?,
            };
            drop(permit);
            ready.send(()).await?;
            drop(ready);
            let mut got = Got { run, positions: Vec::new(), delays: Vec::new() };
            while !stop.load(Ordering::Relaxed) {
                // The end is looked for now and then.
                let Ok(text) = tokio::time::timeout(Duration::from_secs(2), socket.text()).await else { continue };
                let told = Told::of(&text?)?;
                let delay = commands::now().as_micros() - told.recorded_at;
                got.delays.push(Duration::from_micros(u64::try_from(delay).unwrap_or(0)));
                got.positions.push(told.position.as_u64());
                received.fetch_add(1, Ordering::Relaxed);
            }
            Ok(got)
        });
    }
    drop(ready);
    for _ in 0..count {
        tokio::select! {
            Some(()) = opened.recv() => {}
            Some(ended) = subscribers.join_next() => {
                ended??;
                anyhow::bail!("a subscriber ended before anything happened");
            }
        }
    }
    let took = begun.elapsed();
    let open = server.rss_mb();
    eprintln!(
        "{count} subscribers after {:.1} s; the server has {open:.0} MB, {idle:.0} MB before",
        took.as_secs_f64()
    );

    let seconds: u32 = if report.quick { 10 } else { 60 };
    let (generated, rss) =
        tokio::join!(generate(journal, runs, RATE * seconds), watch(server, Duration::from_secs(seconds.into())));
    let (sent, lasted) = generated?;
    let head = journal.head().await?;
    let expected = expected(database, base, head).await?;
    let all: usize = expected.values().map(Vec::len).sum::<usize>();
    let journal_followers = runs.len().div_ceil(WHOLE);
    let of_followed: usize = runs
        .iter()
        .enumerate()
        .filter(|(number, _)| number % WHOLE != 0)
        .filter_map(|(_, run)| expected.get(&run.as_uuid()).map(Vec::len))
        .sum();
    let whole = usize::try_from(head.as_u64() - base.as_u64())?;
    let due = u64::try_from(of_followed + whole * journal_followers)?;
    let waiting = Instant::now();
    while received.load(Ordering::Relaxed) < due && waiting.elapsed() < PATIENCE {
        if let Some(ended) = subscribers.try_join_next() {
            ended??;
            anyhow::bail!("a subscriber ended before it had everything");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let late = waiting.elapsed();
    stop.store(true, Ordering::Relaxed);
    let everything: Vec<u64> = (base.as_u64() + 1..=head.as_u64()).collect();
    let (mut lost_of_runs, mut lost_of_journal, mut delays) = (0, 0, Vec::new());
    while let Some(ended) = subscribers.join_next().await {
        let got = ended??;
        match got.run {
            Some(run) => {
                let of_run = expected.get(&run.as_uuid()).map_or(&[][..], Vec::as_slice);
                lost_of_runs += missing(&got.positions, of_run, head)?;
            }
            None => lost_of_journal += missing(&got.positions, &everything, head)?,
        }
        delays.extend(got.delays);
    }
    eprintln!(
        "{sent} events in {:.1} s on {all} places of runs; {due} messages, the last {:.1} s later; {} MB at most",
        lasted.as_secs_f64(),
        late.as_secs_f64(),
        rss.most
    );
    anyhow::ensure!(
        lost_of_runs + lost_of_journal == 0,
        "not told were {lost_of_runs} events of runs and {lost_of_journal} of the whole journal"
    );
    let events = per_second(usize::try_from(sent)?, lasted);
    anyhow::ensure!(report.quick || events > f64::from(RATE) * 0.98, "only {events:.0} events/s could be recorded");
    #[expect(clippy::cast_precision_loss, reason = "a count of subscribers")]
    report.add("answers.subscribers", count as f64, "subscribers", None);
    report.add("answers.subscribers.events", events, "events/s", None);
    report.add("answers.subscribers.told", per_second(usize::try_from(due)?, lasted + late), "messages/s", None);
    report.add("answers.subscribers.lost", 0.0, "events", None);
    report.add("answers.subscribers.p50", quantile_ms(&mut delays, 0.5), "ms", None);
    report.add("answers.subscribers.p99", quantile_ms(&mut delays, 0.99), "ms", None);
    report.add("answers.subscribers.rss", rss.most, "MB", None);
    report.add("answers.subscribers.rss.growth", rss.growth, "MB", None);
    Ok(())
}

/// Records so many events, evenly, one run after the other.
async fn generate(journal: &Arc<dyn Journal>, runs: &[RunId], count: u32) -> anyhow::Result<(u64, Duration)> {
    let (name, payload) = ("bench".parse()?, Arc::new(json!({ "text": "hello" })));
    let started = tokio::time::Instant::now();
    let mut appending: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let mut sent = 0;
    for number in 0..count {
        tokio::time::sleep_until(started + Duration::from_secs(1) * number / RATE).await;
        let index = usize::try_from(number)? % runs.len();
        let append = signal(*runs.get(index).context("no runs")?, &name, &payload);
        let journal = Arc::clone(journal);
        appending.spawn(async move {
            journal.append(append).await?;
            Ok(())
        });
        while let Some(done) = appending.try_join_next() {
            done??;
        }
        sent += 1;
    }
    while let Some(done) = appending.join_next().await {
        done??;
    }
    Ok((sent, started.elapsed()))
}

/// The server's memory meanwhile.
struct Memory {
    most: f64,
    /// From a sixth of the time on, when everything has got going, to the end.
    growth: f64,
}

async fn watch(server: &Server, time: Duration) -> Memory {
    tokio::time::sleep(time / 6).await;
    let early = server.rss_mb();
    let mut memory = Memory { most: early, growth: 0.0 };
    for _ in 0..20 {
        tokio::time::sleep(time * 5 / 6 / 20).await;
        let now = server.rss_mb();
        memory.most = memory.most.max(now);
        memory.growth = now - early;
    }
    memory
}

/// The positions of what happened to each run, in order.
async fn expected(database: &Database, base: Position, head: Position) -> anyhow::Result<HashMap<Uuid, Vec<u64>>> {
    let rows: Vec<(Uuid, i64)> = sqlx::query_as(
        "SELECT stream, position FROM journal.events
         WHERE position > $1 AND position <= $2 AND category = 'run' ORDER BY position",
    )
    .bind(i64::try_from(base.as_u64())?)
    .bind(i64::try_from(head.as_u64())?)
    .fetch_all(&database.pool)
    .await?;
    let mut of_runs: HashMap<Uuid, Vec<u64>> = HashMap::new();
    for (run, position) in rows {
        of_runs.entry(run).or_default().push(position.cast_unsigned());
    }
    Ok(of_runs)
}

/// How many events somebody did not get. What was told twice, out of order, or never happened is an error.
fn missing(told: &[u64], expected: &[u64], head: Position) -> anyhow::Result<usize> {
    let told: Vec<u64> = told.iter().copied().filter(|position| *position <= head.as_u64()).collect();
    anyhow::ensure!(told.is_sorted_by(|one, next| one < next), "events were told twice or out of order");
    let found = told.iter().filter(|position| expected.binary_search(position).is_ok()).count();
    anyhow::ensure!(found == told.len(), "events were told that are not of this run");
    Ok(expected.len() - found)
}
