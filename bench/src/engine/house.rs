//! Everything that serves runs, in this process: journal, membership, engine, read models. The simulator answers at once,
//! so what is measured is HishamOS itself.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use ::engine::{Engine, Handle, Options};
use anyhow::Context;
use commands::{Commands, Request, StartRun};
use domain::budget::{BudgetScope, BudgetSettings, Unit, Window};
use domain::task::Form;
use domain::{Actor, NodeId, RunId};
use journal::postgres::{Membership, PostgresCheckpoints};
use journal::{Filter, Journal, Position};
use providers::{Platform, Registry, Simulator};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::flows;
use crate::store::{Database, OpenJournal};

/// Somebody who waits for the end of a run.
type Waiting = (RunId, oneshot::Sender<()>);

pub(crate) struct House {
    pub(super) open: OpenJournal,
    pub(super) commands: Commands,
    pub(super) engine: Handle,
    projections: projections::Handle,
    waiting: mpsc::UnboundedSender<Waiting>,
    shutdown: CancellationToken,
    running: JoinSet<()>,
}

impl House {
    pub(crate) async fn open(database: &Database) -> anyhow::Result<Self> {
        Self::with(database, Arc::new(Simulator::builder().build())).await
    }

    /// A house over a platform of the caller's choice.
    pub(crate) async fn with(database: &Database, platform: Arc<dyn Platform>) -> anyhow::Result<Self> {
        let open = database.open().await?;
        let journal: Arc<dyn Journal> = Arc::new(open.journal.clone());
        // No model is asked, so there is nothing to ask for beside the answer.
        let commands = Commands::new(Arc::clone(&journal)).with_form(Form::Text);
        let shutdown = CancellationToken::new();
        let mut running = JoinSet::new();
        let service =
            projections::Service::open(database.pool.clone(), Arc::clone(&journal), projections::Options::default())
                .await?;
        let projections = service.handle();
        running.spawn(service.run(shutdown.clone()));
        flows::register(&commands).await?;
        let options = journal::postgres::Options::from_url(&database.url)?;
        let (membership, members) = Membership::join(&options, NodeId::from_uuid(Uuid::now_v7())).await?;
        running.spawn(membership.run(shutdown.clone()));
        let registry = Registry::new(vec![platform], &[])?;
        let checkpoints = Arc::new(PostgresCheckpoints::new(database.pool.clone()));
        let (work, engine) = Engine::new(Options::default(), commands.clone(), registry, checkpoints, members);
        let stop = shutdown.clone();
        running.spawn(async move {
            if let Err(error) = work.run(stop).await {
                eprintln!("the engine failed: {error}");
            }
        });
        let (waiting, requests) = mpsc::unbounded_channel();
        running.spawn(tell_the_waiting(journal, requests, shutdown.clone()));
        let house = Self { open, commands, engine, projections, waiting, shutdown, running };
        while !house.engine.is_following() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(house)
    }

    /// Budgets that count every attempt: of the organisation, in tokens, and of the department, in money.
    pub(crate) async fn set_budgets(&self) -> anyhow::Result<()> {
        let budgets = [
            ("all", BudgetScope::Organisation, Unit::Tokens, None),
            ("bench", BudgetScope::Department("bench".to_owned()), Unit::Money, Some(1_000)),
        ];
        for (key, scope, unit, unpriced) in budgets {
            let settings = BudgetSettings {
                key: key.parse()?,
                description: String::new(),
                scope,
                unit,
                limit: u64::MAX / 4,
                window: Window::Month,
                warn_milli: Some(800),
                unpriced,
            };
            self.commands.set_budget(Request::by(Actor::system("bench")), settings).await?;
        }
        Ok(())
    }

    /// Starts a run and waits until its end is recorded.
    pub(super) async fn run(&self, workflow: &str) -> anyhow::Result<()> {
        self.run_with(workflow, json!({"text": "hello"})).await.map(drop)
    }

    /// The same with an input of its own.
    pub(crate) async fn run_with(&self, workflow: &str, input: Value) -> anyhow::Result<RunId> {
        run(self.commands.clone(), workflow, input, self.waiting.clone()).await
    }

    /// `count` runs of ten steps, at most `at_once` of them at the same time.
    pub(crate) async fn many(&self, count: usize, at_once: usize) -> anyhow::Result<()> {
        let mut running = JoinSet::new();
        for started in 0..count {
            if started >= at_once {
                running.join_next().await.context("a run is missing")???;
            }
            let input = json!({"text": "hello"});
            running.spawn(run(self.commands.clone(), flows::SEQ10, input, self.waiting.clone()));
        }
        while let Some(done) = running.join_next().await {
            done??;
        }
        Ok(())
    }

    /// Starts runs that wait, and waits for none; their ids.
    pub(crate) async fn start_all(
        &self,
        workflow: &'static str,
        inputs: Vec<Value>,
        at_once: usize,
    ) -> anyhow::Result<Vec<RunId>> {
        let mut starting: JoinSet<anyhow::Result<RunId>> = JoinSet::new();
        let mut started = Vec::with_capacity(inputs.len());
        for input in inputs {
            if starting.len() >= at_once {
                started.push(starting.join_next().await.context("a start is missing")???);
            }
            let commands = self.commands.clone();
            starting.spawn(async move { start(&commands, workflow, input).await });
        }
        while let Some(done) = starting.join_next().await {
            started.push(done??);
        }
        Ok(started)
    }

    /// Waits until the read models have taken in everything.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        let head = self.open.journal.head().await?;
        Ok(self.projections.queries().wait_for(head, Duration::from_secs(300)).await?)
    }

    pub(crate) async fn close(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended?;
        }
        self.open.close().await
    }

    /// Ends everything without a word, as if the process had been killed: connections break off, nothing is recorded.
    pub(super) async fn kill(mut self) {
        self.running.abort_all();
        while self.running.join_next().await.is_some() {}
        self.open.kill().await;
    }
}

async fn start(commands: &Commands, workflow: &str, input: Value) -> anyhow::Result<RunId> {
    let start = StartRun::new(workflow.parse()?, input);
    Ok(commands.start_run(Request::by(Actor::system("bench")), start).await?.run)
}

async fn run(
    commands: Commands,
    workflow: &str,
    input: Value,
    waiting: mpsc::UnboundedSender<Waiting>,
) -> anyhow::Result<RunId> {
    let run = start(&commands, workflow, input).await?;
    let (sender, ended) = oneshot::channel();
    waiting.send((run, sender)).ok().context("nobody follows the runs")?;
    ended.await?;
    Ok(run)
}

/// Follows the journal and tells whoever waits for a run that it has ended.
async fn tell_the_waiting(
    journal: Arc<dyn Journal>,
    mut requests: mpsc::UnboundedReceiver<Waiting>,
    shutdown: CancellationToken,
) {
    let types = ["run.completed", "run.failed", "run.cancelled"].map(str::to_owned).to_vec();
    let mut subscription = journal.subscribe(Position::START, Filter { types, ..Filter::default() }).quiet();
    let mut waiting: HashMap<RunId, oneshot::Sender<()>> = HashMap::new();
    let mut ended = HashSet::new();
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
