//! The question that everybody asks: one run with its steps and their tasks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::http::{Client, body};
use super::postgraphile::PostGraphile;
use super::server::Server;
use crate::report::{Report, per_second, quantile_ms};
use crate::store::Database;

/// How many ask at the same time.
const CLIENTS: usize = 200;
/// How many requests of all clients together come in a second when they take their time.
const PACE: u32 = 1000;
/// The steps of each run.
const STEPS: usize = 10;

const OURS: &str = "query Run($id: UUID!) { run(id: $id) { runId workflowKey version status simulated actor
    startedAt endedAt input output steps { name status startedAt endedAt output task { taskId status agentId
    templateId createdAt endedAt attemptCount parameters } } } }";
const THEIRS: &str = "query Run($id: UUID!) { runById(id: $id) { id workflowKey version status simulated actor
    startedAt endedAt input output stepsByRunIdList { step status startedAt endedAt output taskByTaskId { id
    status agentId templateId createdAt endedAt attempts parameters } } } }";

/// The least that can be asked: no statement, and an answer of a few bytes.
const NOTHING: &str = "{ __typename }";

/// What many clients saw.
struct Seen {
    requests: f64,
    times: Vec<Duration>,
}

pub(super) async fn measure(server: &Server, database: &Database, report: &mut Report) -> anyhow::Result<()> {
    let runs: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM read_runs.runs WHERE status = 'completed' ORDER BY id")
        .fetch_all(&database.pool)
        .await?;
    anyhow::ensure!(!runs.is_empty(), "there are no runs to ask for");
    let questions = |query: &str| -> Vec<Bytes> { runs.iter().map(|id| body(query, &json!({ "id": id }))).collect() };
    let path = ["run", "steps", "task"];
    let mut ours = ask(&server.address, questions(OURS), Some(&path), report, None).await?;
    let mut paced = ask(&server.address, questions(OURS), Some(&path), report, Some(PACE)).await?;
    let mut empty = ask(&server.address, vec![body(NOTHING, &json!({}))], None, report, None).await?;
    let theirs = match PostGraphile::start(database).await {
        Ok(peer) => {
            let path = ["runById", "stepsByRunIdList", "taskByTaskId"];
            let seen = ask(&peer.address, questions(THEIRS), Some(&path), report, None).await;
            let slowly = ask(&peer.address, questions(THEIRS), Some(&path), report, Some(PACE)).await;
            peer.stop().await?;
            Some((seen?, slowly?))
        }
        Err(error) => {
            eprintln!("answers.run has no reference: {error:#}");
            None
        }
    };
    let (mut theirs, mut theirs_paced) = theirs.unzip();
    report.add("answers.run", ours.requests, "requests/s", theirs.as_ref().map(|theirs| theirs.requests));
    for (name, quantile, paced_too) in
        [("answers.run.p50", 0.5, "answers.run.paced.p50"), ("answers.run.p99", 0.99, "answers.run.paced.p99")]
    {
        let reference = theirs.as_mut().map(|theirs| quantile_ms(&mut theirs.times, quantile));
        report.add(name, quantile_ms(&mut ours.times, quantile), "ms", reference);
        let reference = theirs_paced.as_mut().map(|theirs| quantile_ms(&mut theirs.times, quantile));
        report.add(paced_too, quantile_ms(&mut paced.times, quantile), "ms", reference);
    }
    report.add("answers.empty", empty.requests, "requests/s", None);
    report.add("answers.empty.p99", quantile_ms(&mut empty.times, 0.99), "ms", None);
    Ok(())
}

/// Every client asks one question after the other; with a pace, at set times, and what is late counts from when it
/// should have been asked. With a path, the first answer has to have a run there with all its steps and tasks.
async fn ask(
    address: &str,
    bodies: Vec<Bytes>,
    path: Option<&[&str; 3]>,
    report: &Report,
    pace: Option<u32>,
) -> anyhow::Result<Seen> {
    let bodies = Arc::new(bodies);
    let first = bodies.first().cloned().context("no questions")?;
    let mut one = Client::open(address).await?;
    let answer = one.post(first).await?;
    let size = answer.len();
    path.map_or(Ok(()), |path| is_whole(&answer, path))?;
    let warm = Duration::from_secs(if report.quick { 1 } else { 5 });
    let whole = warm + Duration::from_secs(if report.quick { 2 } else { 15 });
    let begun = Instant::now();
    let mut clients: JoinSet<anyhow::Result<Vec<Duration>>> = JoinSet::new();
    let (turns, mut due): (Vec<_>, Vec<_>) =
        (0..CLIENTS).map(|_| mpsc::unbounded_channel()).map(|(turn, due)| (turn, pace.map(|_| due))).unzip();
    for (number, due) in due.iter_mut().enumerate() {
        let mut client = Client::open(address).await?;
        let bodies = Arc::clone(&bodies);
        let mut due = due.take();
        clients.spawn(async move {
            let mut times = Vec::new();
            let mut next = number * 7919;
            while begun.elapsed() < whole {
                let started = match &mut due {
                    Some(due) => match due.recv().await {
                        Some(due) => due,
                        None => break,
                    },
                    None => Instant::now(),
                };
                next += 1;
                let body = bodies.get(next % bodies.len()).cloned().unwrap_or_default();
                let answer = client.post(body).await?;
                // All answers are about as long as the first, which was looked at.
                anyhow::ensure!(
                    answer.len() * 10 > size * 9 && answer.len() * 10 < size * 11,
                    "an answer is another: {}",
                    String::from_utf8_lossy(&answer)
                );
                if begun.elapsed() >= warm {
                    times.push(started.elapsed());
                }
            }
            Ok(times)
        });
    }
    if let Some(pace) = pace {
        tokio::task::spawn_blocking(move || call_up(&turns, pace, whole)).await?;
    }
    let mut times = Vec::new();
    while let Some(done) = clients.join_next().await {
        times.extend(done??);
    }
    Ok(Seen { requests: per_second(times.len(), whole - warm), times })
}

/// Tells one client after the other when it is due. By the system's own clock: the runtime's is right to a millisecond only, which
/// would be a part of every time that is measured.
fn call_up(turns: &[mpsc::UnboundedSender<Instant>], pace: u32, whole: Duration) {
    let begun = Instant::now();
    for (number, turn) in (0..).zip(turns.iter().cycle()) {
        let after = Duration::from_secs(1) / pace * number;
        if after >= whole {
            return;
        }
        std::thread::sleep(after.saturating_sub(begun.elapsed()));
        // Who is done does not want to know.
        let _ = turn.send(begun + after);
    }
}

/// Whether an answer has a run with all its steps and all their tasks.
fn is_whole(answer: &[u8], [run, steps, task]: &[&str; 3]) -> anyhow::Result<()> {
    let answer: Value = serde_json::from_slice(answer)?;
    let found = answer.get("data").and_then(|data| data.get(run)).and_then(|run| run.get(steps));
    let found = found.and_then(Value::as_array).context(format!("no steps in {answer}"))?;
    let tasks = found.iter().filter(|step| step.get(task).is_some_and(Value::is_object)).count();
    anyhow::ensure!(tasks == STEPS, "{tasks} of {STEPS} tasks in {answer}");
    Ok(())
}
