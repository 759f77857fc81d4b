//! duroxide on PostgreSQL: an orchestration of ten activities that do nothing; runtime, activities and driver share
//! this process. Requests and answers are those of `../seq10/serve.py`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use duroxide::providers::Provider;
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::runtime::{Runtime, RuntimeOptions};
use duroxide::{ActivityContext, Client, OrchestrationContext, OrchestrationRegistry, OrchestrationStatus};
use duroxide_pg::PostgresProvider;
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const STEPS: usize = 10;
/// More dispatchers only cost CPU: they all pick the same oldest row.
const DISPATCHERS: usize = 2;
/// How soon an idle dispatcher looks again; the default of 100 ms would be most of the latency.
const POLL: Duration = Duration::from_millis(1);
const LIMIT: Duration = Duration::from_secs(300);

#[derive(Deserialize)]
struct Request {
    runs: usize,
    at_once: usize,
}

/// Who waits for the last turn of which run.
#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<HashMap<String, oneshot::Sender<()>>>>);

impl Waiting {
    fn wait_for(&self, run: &str) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(run.to_owned(), sender);
        receiver
    }

    fn tell(&self, run: &str) {
        if let Some(sender) = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(run) {
            let _ = sender.send(());
        }
    }
}

struct Driver {
    client: Client,
    waiting: Waiting,
}

impl Driver {
    /// Starts a run; returns once the store calls it completed. The client's own wait polls every 5 to 100 ms, so the
    /// last turn wakes us, and only the commit after it is polled for.
    async fn run(&self, number: usize) -> anyhow::Result<()> {
        let id = number.to_string();
        let last_turn = self.waiting.wait_for(&id);
        self.client.start_orchestration(&id, "seq10", "").await.context("the run did not start")?;
        tokio::time::timeout(LIMIT, last_turn).await.context("the run did not end in time")??;
        let mut pause = Duration::from_millis(1);
        loop {
            match self.client.get_orchestration_status(&id).await.context("no status")? {
                OrchestrationStatus::Running { .. } => tokio::time::sleep(pause).await,
                OrchestrationStatus::Completed { output, .. } if output == STEPS.to_string() => return Ok(()),
                other => bail!("run {id} ended with {other:?}"),
            }
            pause = (pause * 2).min(Duration::from_millis(16));
        }
    }
}

async fn serve(driver: Arc<Driver>) -> anyhow::Result<()> {
    println!("{}", json!({ "ready": true }));
    let next = Arc::new(AtomicUsize::new(0));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let request: Request = serde_json::from_str(&line)?;
        let end = next.load(Ordering::Relaxed) + request.runs;
        let begun = Instant::now();
        let mut lanes = JoinSet::new();
        for _ in 0..request.at_once {
            let (driver, next) = (Arc::clone(&driver), Arc::clone(&next));
            lanes.spawn(async move {
                let mut times = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= end {
                        return anyhow::Ok(times);
                    }
                    let begun = Instant::now();
                    driver.run(number).await?;
                    times.push(begun.elapsed().as_secs_f64() * 1000.0);
                }
            });
        }
        let mut times = Vec::with_capacity(request.runs);
        while let Some(lane) = lanes.join_next().await {
            times.extend(lane??);
        }
        println!("{}", json!({ "seconds": begun.elapsed().as_secs_f64(), "ms": times }));
    }
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("PEER_URL").context("PEER_URL is missing")?;
    let store: Arc<dyn Provider> = Arc::new(PostgresProvider::new(&url).await?);
    let waiting = Waiting::default();
    let activities = ActivityRegistry::builder()
        .register("step", |_: ActivityContext, _: String| async { Ok("1".to_owned()) })
        .build();
    let ended = waiting.clone();
    let orchestrations = OrchestrationRegistry::builder()
        .register("seq10", move |context: OrchestrationContext, _: String| {
            let ended = ended.clone();
            async move {
                let mut sum = 0;
                for _ in 0..STEPS {
                    let one: usize =
                        context.schedule_activity("step", "").await?.parse().map_err(|_| "not a number")?;
                    sum += one;
                }
                ended.tell(&context.instance_id());
                Ok(sum.to_string())
            }
        })
        .build();
    let options = RuntimeOptions {
        orchestration_concurrency: DISPATCHERS,
        worker_concurrency: DISPATCHERS,
        dispatcher_min_poll_interval: POLL,
        ..RuntimeOptions::default()
    };
    let runtime = Runtime::start_with_options(Arc::clone(&store), activities, orchestrations, options).await;
    let served = serve(Arc::new(Driver { client: Client::new(store), waiting })).await;
    runtime.shutdown(Some(1000)).await;
    served
}
