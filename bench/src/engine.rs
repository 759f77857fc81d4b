//! Whole runs of ten sequential steps, with everything that a real program has switched on: journal, engine,
//! projections. The simulator answers at once, so what is measured is HishamOS itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::engine::{Engine, Options};
use anyhow::Context;
use commands::{Commands, Request, StartRun};
use domain::agent::Profile;
use domain::template::TemplateBody;
use domain::{Actor, Definition, RetryPolicy, RunId, Step};
use journal::postgres::PostgresCheckpoints;
use journal::{Filter, Journal, Position};
use providers::{Registry, Simulator};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::report::{Report, per_second, quantile_ms};
use crate::store::{Database, OpenJournal, Store};
use crate::{cpu, raw};

const STEPS: usize = 10;

pub(crate) async fn measure(store: &Store, report: &mut Report) -> anyhow::Result<()> {
    if ["engine.seq10.single", "engine.seq10.single.p99"].into_iter().any(|name| report.wants(name)) {
        single(store, report).await?;
    }
    if ["engine.seq10.c100", "engine.seq10.cpu"].into_iter().any(|name| report.wants(name)) {
        hundred(store, report).await?;
    }
    Ok(())
}

async fn single(store: &Store, report: &mut Report) -> anyhow::Result<()> {
    let database = store.database("engine_single").await?;
    let house = House::open(&database).await?;
    for _ in 0..30 {
        house.run().await?;
    }
    let rounds = report.rounds(300);
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let started = Instant::now();
        house.run().await?;
        times.push(started.elapsed());
    }
    house.close().await?;
    let commit = raw::commit_ms(&database, report.rounds(1000)).await?;
    #[expect(clippy::cast_precision_loss, reason = "ten")]
    let reference = commit * STEPS as f64;
    let p50 = quantile_ms(&mut times, 0.5);
    report.add("engine.seq10.single", p50, "ms", Some(reference));
    report.add("engine.seq10.single.p99", quantile_ms(&mut times, 0.99), "ms", Some(reference));
    Ok(())
}

async fn hundred(store: &Store, report: &mut Report) -> anyhow::Result<()> {
    let runs = report.rounds(2000);
    let database = store.database(LARGE).await?;
    let house = House::open(&database).await?;
    house.many(100, 100).await?;
    let (own, server) = (cpu::own(), cpu::server(&store.data));
    let started = Instant::now();
    house.many(runs, 100).await?;
    let took = started.elapsed();
    // Whatever the program still owes, such as rows of read models, is part of the bill.
    house.settle().await?;
    let used = (cpu::own() - own) + (cpu::server(&store.data) - server);
    report.add("engine.seq10.c100", per_second(runs * STEPS, took), "steps/s", None);
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    report.add("engine.seq10.cpu", used.as_secs_f64() * 1000.0 / runs as f64, "ms/run", None);
    house.close().await
}

/// The database that [`hundred`] leaves behind, full of finished runs.
pub(crate) const LARGE: &str = "engine_many";

/// Everything that serves runs, in this process.
pub(crate) struct House {
    open: OpenJournal,
    commands: Commands,
    projections: projections::Handle,
    waiting: mpsc::UnboundedSender<(RunId, oneshot::Sender<()>)>,
    shutdown: CancellationToken,
    running: JoinSet<()>,
}

impl House {
    pub(crate) async fn open(database: &Database) -> anyhow::Result<Self> {
        let open = database.open().await?;
        let journal: Arc<dyn Journal> = Arc::new(open.journal.clone());
        let commands = Commands::new(Arc::clone(&journal));
        let shutdown = CancellationToken::new();
        let mut running = JoinSet::new();
        let service =
            projections::Service::open(database.pool.clone(), Arc::clone(&journal), projections::Options::default())
                .await?;
        let projections = service.handle();
        running.spawn(service.run(shutdown.clone()));
        catalog(&commands).await?;
        let registry = Registry::new(vec![Arc::new(Simulator::builder().build())], &[])?;
        let checkpoints = Arc::new(PostgresCheckpoints::new(database.pool.clone()));
        let (engine, _) = Engine::new(Options::default(), commands.clone(), registry, checkpoints);
        let stop = shutdown.clone();
        running.spawn(async move {
            if let Err(error) = engine.run(stop).await {
                eprintln!("the engine failed: {error}");
            }
        });
        let (waiting, requests) = mpsc::unbounded_channel();
        running.spawn(tell_the_waiting(journal, requests, shutdown.clone()));
        Ok(Self { open, commands, projections, waiting, shutdown, running })
    }

    /// Starts a run and waits until its end is recorded.
    async fn run(&self) -> anyhow::Result<()> {
        run(self.commands.clone(), self.waiting.clone()).await
    }

    /// `count` runs, at most `at_once` of them at the same time.
    pub(crate) async fn many(&self, count: usize, at_once: usize) -> anyhow::Result<()> {
        let mut running = JoinSet::new();
        for started in 0..count {
            if started >= at_once {
                running.join_next().await.context("a run is missing")???;
            }
            running.spawn(run(self.commands.clone(), self.waiting.clone()));
        }
        while let Some(done) = running.join_next().await {
            done??;
        }
        Ok(())
    }

    /// Waits until the read models have taken in everything.
    async fn settle(&self) -> anyhow::Result<()> {
        let head = self.open.journal.head().await?;
        Ok(self.projections.queries().wait_for(head, Duration::from_secs(60)).await?)
    }

    pub(crate) async fn close(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended?;
        }
        self.open.close().await
    }
}

async fn run(commands: Commands, waiting: mpsc::UnboundedSender<(RunId, oneshot::Sender<()>)>) -> anyhow::Result<()> {
    let start = StartRun { workflow: "seq10".parse()?, version: None, input: json!({"text": "hello"}) };
    let started = commands.start_run(Request::by(Actor::system("bench")), start).await?;
    let (sender, ended) = oneshot::channel();
    waiting.send((started.run, sender)).ok().context("nobody follows the runs")?;
    Ok(ended.await?)
}

/// Follows the journal and tells whoever waits for a run that it has ended.
async fn tell_the_waiting(
    journal: Arc<dyn Journal>,
    mut requests: mpsc::UnboundedReceiver<(RunId, oneshot::Sender<()>)>,
    shutdown: CancellationToken,
) {
    let types = ["run.completed", "run.failed", "run.cancelled"].map(str::to_owned).to_vec();
    let mut subscription = journal.subscribe(Position::START, Filter { types, ..Filter::default() });
    let mut waiting: HashMap<RunId, oneshot::Sender<()>> = HashMap::new();
    let mut ended = std::collections::HashSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            Some((run, sender)) = requests.recv() => {
                if ended.remove(&run) {
                    let _ = sender.send(());
                } else {
                    waiting.insert(run, sender);
                }
            }
            batch = subscription.next() => {
                let Ok(batch) = batch else { return };
                for event in batch.events {
                    let run = RunId::from_uuid(event.stream.id);
                    match waiting.remove(&run) {
                        Some(sender) => {
                            let _ = sender.send(());
                        }
                        None => {
                            ended.insert(run);
                        }
                    }
                }
            }
        }
    }
}

async fn catalog(commands: &Commands) -> anyhow::Result<()> {
    let request = || Request::by(Actor::system("bench"));
    let profile = Profile {
        timeout: Duration::from_secs(60),
        department: "bench".to_owned(),
        ..Profile::new("worker".parse()?, "Worker", "You work.")
    };
    commands.register_agent(request(), profile).await?;
    let parameters = json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]});
    let body = TemplateBody::new("pass-on".parse()?, "Pass on", parameters, "{{ text[:40] }}");
    commands.register_template(request(), body).await?;
    let mut steps: Vec<Step> = Vec::new();
    for number in 0..STEPS {
        let before = steps.last().map(|step| step.name.clone());
        let text = before.as_ref().map_or("input.text".to_owned(), |before| format!("steps.{before}.text"));
        steps.push(Step {
            name: format!("s{number}").parse()?,
            title: String::new(),
            agent: "worker".parse()?,
            template: "pass-on".parse()?,
            input: BTreeMap::from([("text".parse()?, text.parse()?)]),
            output: BTreeMap::new(),
            needs: before.into_iter().collect(),
            retry: RetryPolicy::default(),
            attempt_timeout: Duration::from_secs(60),
        });
    }
    let definition = Definition {
        key: "seq10".parse()?,
        name: "Ten steps".to_owned(),
        description: String::new(),
        department: "bench".to_owned(),
        tags: vec![],
        input_schema: json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}),
        steps,
        output: BTreeMap::new(),
    };
    let key = definition.key.clone();
    commands.draft_workflow(request(), definition).await?;
    commands.activate_workflow(request(), &key, None).await?;
    Ok(())
}
