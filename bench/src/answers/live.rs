//! How soon what happens is told, and what happened long ago.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use commands::Commands;
use domain::{Actor, CommandId, Event, RunEvent, RunId, StepName, Timestamp};
use journal::{Append, Context, Expected, Journal, Position, StreamAppend};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::http::Client;
use super::server::Server;
use super::socket::Socket;
use crate::engine::{DAY, SEQ10};
use crate::report::{Report, quantile_ms};
use crate::store::Database;

/// How many runs of ten steps begin in a second while answers are to be fresh; each brings 73 events.
const RUNS_PER_SECOND: u32 = 28;

pub(super) const FOLLOW: &str =
    "subscription($run: UUID!, $after: Position) { runEvents(runId: $run, afterPosition: $after) {
        position event { type recordedAt } } }";
const START: &str = "mutation($input: StartRunInput!) { startRun(input: $input) { runId position } }";

/// A signal that a run gets: one event, as somebody outside brings it about.
pub(super) fn signal(run: RunId, signal: &StepName, payload: &Arc<Value>) -> Append {
    let at = commands::now();
    let event = RunEvent::SignalReceived { signal: signal.clone(), payload: Arc::clone(payload), at };
    Append {
        streams: vec![StreamAppend { stream: run.into(), expected: Expected::Exists, events: vec![Event::Run(event)] }],
        context: context(at),
        remember: false,
    }
}

fn context(at: Timestamp) -> Context {
    Context {
        command: CommandId::from_uuid(Uuid::now_v7()),
        at,
        actor: Actor::system("bench"),
        tenant: "default".to_owned(),
        correlation: Uuid::now_v7(),
        causation: None,
        subject: None,
        keeping: None,
    }
}

/// From the beginning of an append in another process to its arrival at a subscriber.
pub(super) async fn subscribe(
    server: &Server,
    journal: &Arc<dyn Journal>,
    runs: &[RunId],
    report: &mut Report,
) -> anyhow::Result<()> {
    let rounds = report.rounds(2000);
    let run = *runs.first().context("no run to follow")?;
    let after = journal.head().await?;
    let mut socket =
        Socket::subscribe(&server.address, FOLLOW, &json!({ "run": run, "after": after.to_string() })).await?;
    let (name, payload) = ("bench".parse()?, Arc::new(json!({ "text": "hello" })));
    let mut times = Vec::with_capacity(rounds);
    for round in 0..rounds + 100 {
        let append = signal(run, &name, &payload);
        let started = Instant::now();
        let done = journal.append(append).await?;
        loop {
            let text = tokio::time::timeout(Duration::from_secs(10), socket.text()).await.context("nothing came")??;
            let position = Told::of(&text)?.position;
            anyhow::ensure!(position <= done.position, "an event was skipped: {text}");
            if position == done.position {
                break;
            }
        }
        if round >= 100 {
            times.push(started.elapsed());
        }
    }
    report.add("answers.subscribe.p50", quantile_ms(&mut times, 0.5), "ms", None);
    report.add("answers.subscribe.p99", quantile_ms(&mut times, 0.99), "ms", None);
    Ok(())
}

/// What a message of a subscription tells.
pub(super) struct Told {
    pub(super) position: Position,
    /// In microseconds since 1970.
    pub(super) recorded_at: i64,
}

impl Told {
    /// Of a run, or of the whole journal.
    pub(super) fn of(text: &str) -> anyhow::Result<Self> {
        let read = || {
            let message: Value = serde_json::from_str(text).ok()?;
            let data = message.get("payload")?.get("data")?;
            let (position, event) = match data.get("runEvents") {
                Some(told) => (told.get("position")?, told.get("event")?),
                None => (data.get("journal")?.get("position")?, data.get("journal")?),
            };
            let position = Position::from_u64(position.as_str()?.parse().ok()?);
            let at: jiff::Timestamp = event.get("recordedAt")?.as_str()?.parse().ok()?;
            Some(Self { position, recorded_at: at.as_microsecond() })
        };
        read().with_context(|| format!("no event in {text}"))
    }
}

/// What a run with a thousand events was, in the middle of it.
pub(super) async fn as_of(server: &Server, database: &Database, run: RunId, report: &mut Report) -> anyhow::Result<()> {
    const QUERY: &str = "query($run: UUID!, $at: Position!) { run(id: $run, asOf: { position: $at }) {
        runId status startedAt position steps { name status startedAt endedAt output } } }";
    let positions: Vec<i64> =
        sqlx::query_scalar("SELECT position FROM journal.events WHERE stream = $1 AND category = 'run' ORDER BY 1")
            .bind(run.as_uuid())
            .fetch_all(&database.pool)
            .await?;
    anyhow::ensure!(positions.len() >= 1000, "the run has only {} events", positions.len());
    let last = positions.get(999).copied().unwrap_or_default();
    let mut client = Client::open(&server.address).await?;
    let rounds = report.rounds(500);
    let mut times = Vec::with_capacity(rounds);
    for round in 0..rounds + 20 {
        let variables = json!({ "run": run, "at": last.to_string() });
        let started = Instant::now();
        let answer = client.ask(QUERY, variables).await?;
        let took = started.elapsed();
        let told = answer.get("run").and_then(|run| run.get("position")).and_then(Value::as_str);
        anyhow::ensure!(told == Some(&last.to_string()), "another moment was told: {answer}");
        if round >= 20 {
            times.push(took);
        }
    }
    report.add("answers.asof", quantile_ms(&mut times, 0.5), "ms", None);
    report.add("answers.asof.p99", quantile_ms(&mut times, 0.99), "ms", None);
    Ok(())
}

/// From a command to an answer that shows it, while runs are carried out.
pub(super) async fn freshness(server: &Server, commands: &Commands, report: &mut Report) -> anyhow::Result<()> {
    const SHOW: &str = "query($id: UUID!, $at: Position) { run(id: $id, minPosition: $at) { status } }";
    let journal = commands.executor().journal();
    let seconds = if report.quick { 5 } else { 30 };
    let begun = Instant::now();
    let address = server.address.clone();
    let mut load = JoinSet::new();
    load.spawn(async move {
        let mut client = Client::open(&address).await?;
        let mut pulse = tokio::time::interval(Duration::from_secs(1) / RUNS_PER_SECOND);
        loop {
            pulse.tick().await;
            let input = json!({ "input": { "workflow": SEQ10, "input": { "text": "hello" } } });
            let done: anyhow::Result<Value> = client.ask(START, input).await;
            if let Err(error) = done {
                return anyhow::Result::<()>::Err(error);
            }
        }
    });
    // Until it runs evenly.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (from, since) = (journal.head().await?, Instant::now());
    let mut client = Client::open(&server.address).await?;
    let (mut shown, mut behind) = (Vec::new(), Vec::new());
    while begun.elapsed() < Duration::from_secs(seconds) {
        let input = json!({ "input": { "workflow": DAY, "input": {} } });
        let started = Instant::now();
        let done = client.ask(START, input).await?;
        let answered = Instant::now();
        let payload = done.get("startRun").context("no answer")?;
        let variables = json!({ "id": payload.get("runId"), "at": payload.get("position") });
        let answer = client.ask(SHOW, variables).await?;
        anyhow::ensure!(answer.get("run").is_some_and(Value::is_object), "the run is not shown: {answer}");
        shown.push(started.elapsed());
        behind.push(answered.elapsed());
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
    let events = journal.head().await?.as_u64() - from.as_u64();
    let took = since.elapsed();
    if let Some(ended) = load.try_join_next() {
        ended??;
    }
    load.abort_all();
    report.add("answers.freshness.load", crate::report::per_second(usize::try_from(events)?, took), "events/s", None);
    report.add("answers.freshness.p50", quantile_ms(&mut shown, 0.5), "ms", None);
    report.add("answers.freshness.p99", quantile_ms(&mut shown, 0.99), "ms", None);
    report.add("answers.freshness.query.p99", quantile_ms(&mut behind, 0.99), "ms", None);
    Ok(())
}
