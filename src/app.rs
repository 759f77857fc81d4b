//! Puts the rooms together, watches over them, and takes them down in the right order.
//!
//! Invariants: a room that ends although nobody asked ends the whole program, so nothing lives on by halves; on the
//! way down each room outlives those that depend on it: server, engine, projections, journal, database.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use commands::Commands;
use domain::Actor;
use engine::Engine;
use futures_util::future::select_all;
use journal::Journal;
use journal::postgres::{PostgresCheckpoints, PostgresSnapshots};
use journal::seal::{self, KeyFile};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::choosing::Chooser;
use crate::config::Config;
use crate::platform_health::PlatformHealth;
use crate::relay::Relay;
use crate::seals;
use crate::server::health::Check;
use crate::server::{self, Server};
use crate::store::Store;
use crate::{announce, platforms, webhooks};

/// How long a room may take to end beyond what it promises itself.
const LONGEST_STOP: Duration = Duration::from_secs(60);

/// One long-running part.
struct Room {
    name: &'static str,
    stop: CancellationToken,
    task: JoinSet<anyhow::Result<()>>,
}

impl Room {
    fn open<F>(name: &'static str, start: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(start(stop.clone()));
        Self { name, stop, task }
    }

    async fn ended(&mut self) -> anyhow::Error {
        let name = self.name;
        match self.task.join_next().await {
            Some(Ok(Err(error))) => error.context(format!("the {name} ended with an error")),
            Some(Err(error)) => anyhow!(error).context(format!("the {name} broke off")),
            Some(Ok(Ok(()))) | None => anyhow!("the {name} ended although nobody asked it to"),
        }
    }

    async fn close(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        let name = self.name;
        match tokio::time::timeout(LONGEST_STOP, self.task.join_next()).await {
            Ok(Some(Ok(result))) => result.with_context(|| format!("the {name} did not end well")),
            Ok(Some(Err(error))) => Err(anyhow!(error).context(format!("the {name} broke off"))),
            Ok(None) => Ok(()),
            Err(_) => Err(anyhow!("the {name} did not end within {} s", LONGEST_STOP.as_secs())),
        }
    }
}

/// The running program.
pub(crate) struct App {
    /// In the order in which they are closed.
    rooms: Vec<Room>,
    commands: Commands,
    url: String,
    store: Store,
    data_dir: PathBuf,
}

impl App {
    /// Starts everything; when it returns, the server answers and runs go on where they were.
    ///
    /// # Errors
    /// When a room cannot start; what had been started is stopped again.
    pub(crate) async fn start(config: &Config, metrics: Option<PrometheusHandle>) -> anyhow::Result<Self> {
        let registry = platforms::build(config)?;
        // Asked before the database is started, because then the answer comes at once.
        if config.listen.port() != 0 {
            probe(config.listen)?;
        }
        let (store, service) = Store::open(config).await?;
        let journal_room = Room::open("journal", |stop| async move {
            Box::pin(service.run(stop)).await;
            Ok(())
        });
        let mut rooms = vec![journal_room];
        match Self::open_rooms(config, metrics, registry, &store, &mut rooms).await {
            Ok((commands, url)) => {
                rooms.reverse();
                let data_dir = config.data_dir.clone();
                announce::write(&data_dir, &url)?;
                Ok(Self { rooms, commands, url, store, data_dir })
            }
            Err(error) => {
                rooms.reverse();
                close_all(rooms, store).await.unwrap_or_else(|second| tracing::error!(error = %format!("{second:#}")));
                Err(error)
            }
        }
    }

    async fn open_rooms(
        config: &Config,
        metrics: Option<PrometheusHandle>,
        registry: providers::Registry,
        store: &Store,
        rooms: &mut Vec<Room>,
    ) -> anyhow::Result<(Commands, String)> {
        let journal: Arc<dyn Journal> = Arc::clone(&store.journal);
        let head = journal.head().await?;
        let snapshots = Arc::new(PostgresSnapshots::new(store.pool.clone()));
        let checkpoints = Arc::new(PostgresCheckpoints::new(store.pool.clone()));
        let setup = webhooks::setup(config)?;
        let hooks = webhooks::Hooks::new(config, setup.keys.clone())?;
        let commands = Commands::new(Arc::clone(&journal)).with_snapshots(snapshots).with_webhooks(setup);
        let commands = commands.with_subjects(Arc::clone(&store.subjects)).with_form(config.output.default);
        let commands = commands.with_checkpoints(Arc::clone(&checkpoints) as _);

        let (membership, members) = store.join().await?;
        rooms.push(Room::open("membership", |stop| async move {
            membership.run(stop).await;
            Ok(())
        }));

        let relay = Relay::new(store.pool.clone(), commands.live().clone(), members.me());
        rooms.push(Room::open("relay of outputs", |stop| async move {
            relay.run(stop).await;
            Ok(())
        }));

        let mut options = projections::Options::default();
        if !journal.gapless() {
            // Positions are bytes of a log there, about a thousand to an event.
            options.unwritten = options.unwritten.saturating_mul(1024);
        }
        let service =
            projections::Service::open(store.pool.clone(), Arc::clone(&journal), options).await?.among(&members);
        let queries = service.handle().queries().clone();
        rooms.push(Room::open("projections", |stop| async move {
            service.run(stop).await;
            Ok(())
        }));

        let forgetting = commands.clone();
        rooms.push(Room::open("follower of erasures", |stop| async move {
            forgetting.follow_erasures(head, stop).await;
            Ok(())
        }));

        let follower = commands.clone();
        rooms.push(Room::open("library follower", |stop| async move {
            follower.follow_library(head, stop).await;
            Ok(())
        }));

        // Opened before whoever refuses, and so closed after them.
        let (recorder, denials) = commands::denials::Service::new(Default::default(), commands.clone());
        rooms.push(Room::open("record of refusals", |stop| async move {
            recorder.run(stop).await;
            Ok(())
        }));

        let redaction = config.redaction().map_err(|error| anyhow!(error))?;
        let cache = config.cache.opened()?;
        let residency = config.residency.compiled().map_err(|error| anyhow!(error))?;
        let options = engine::Options {
            drain: config.engine.drain(),
            choice: config.agents.policy(),
            probe_every: config.engine.probe_every(),
            redaction,
            cache,
            residency,
            limits: config.limits(&registry)?,
            ..engine::Options::default()
        };
        let (triggers, _) = engine::triggers::Service::new(
            engine::triggers::Options::default(),
            commands.clone(),
            Arc::clone(&checkpoints) as _,
            members.clone(),
        );
        if config.seals.enabled {
            let mut options = seal::Options::new(KeyFile::new(config.seal_key()));
            options.every = config.seals.every_events;
            options.within = Duration::from_secs(config.seals.within_seconds);
            options.outside = seals::outside(&config.seals, Arc::clone(&checkpoints) as _)?;
            let executor = commands.executor().clone();
            let (sealer, _) = seal::Service::new(options, executor, Arc::clone(&checkpoints) as _, members.clone());
            rooms.push(Room::open("sealer", |stop| async move {
                sealer.run(stop).await;
                Ok(())
            }));
        }
        rooms.push(Room::open("triggers", |stop| async move { Ok(triggers.run(stop).await?) }));
        if let Some(options) = config.judge.options() {
            let judge = engine::judge::Service::new(options, commands.clone(), Arc::clone(&checkpoints) as _);
            rooms.push(Room::open("judge", |stop| async move { Ok(judge.run(stop).await?) }));
        }
        let (telling, _) = integrations::webhooks::Service::new(
            webhooks::options(config),
            commands.clone(),
            Arc::clone(&checkpoints) as _,
            members.clone(),
        )?;
        rooms.push(Room::open("webhooks", |stop| async move { Ok(telling.run(stop).await?) }));
        let node = members.me();
        let (engine, handle) = Engine::new(options, commands.clone(), registry.clone(), checkpoints, members);
        let health = PlatformHealth::new(config, registry, handle.clone(), node)?;
        rooms.push(Room::open("engine", |stop| async move { Ok(engine.run(stop).await?) }));

        let health: Arc<dyn schema::Platforms> = Arc::new(health);
        let chooser = Arc::new(Chooser::new(config, commands.clone(), handle.clone(), Arc::clone(&health)));
        let parts = schema::Parts {
            journal: Arc::clone(&journal),
            commands: commands.clone(),
            queries: queries.clone(),
            platforms: Arc::clone(&health),
            choosing: Arc::clone(&chooser) as _,
        };
        let following = Check::new("engine", move || {
            let handle = handle.clone();
            async move {
                if handle.is_following() {
                    Ok(format!("drives {} runs", handle.live_runs()))
                } else {
                    Err("does not follow the journal yet".to_owned())
                }
            }
        });
        let hooks = Some(server::Hooks { commands: commands.clone(), hooks });
        let checks = vec![Check::journal(Arc::clone(&journal)), Check::projections(queries, journal), following];
        let documents = &config.graphql;
        let documents = server::Documents::load(documents.documents.as_deref(), documents.only_listed)?;
        let schema = schema::build(parts.clone(), &schema::Limits::default());
        let errands: Arc<dyn rest::Errands> = chooser;
        let parts =
            server::Parts { schema, house: parts, errands, documents, checks, metrics, hooks, denials: Some(denials) };
        let options = server::Options {
            rate: config.rest.rate(),
            max_sockets: server::files::make_room(config.graphql.max_connections),
            ..server::Options::new(config.listen, Actor::person(&config.person))
        };
        let server = Server::bind(options, parts)?;
        let url = format!("http://{}", server.address());
        rooms.push(Room::open("server", |stop| async move { Ok(server.run(stop).await?) }));
        Ok((commands, url))
    }

    /// Where the server is reached.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The write side.
    pub(crate) fn commands(&self) -> &Commands {
        &self.commands
    }

    /// Waits until a room ends by itself, and says why.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        let waiting = self.rooms.iter_mut().map(|room| Box::pin(room.ended()));
        select_all(waiting).await.0
    }

    /// Stops everything in order; what was accepted is finished or recorded as unfinished.
    ///
    /// # Errors
    /// The first thing that did not end well; the rest is stopped nevertheless.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        announce::remove(&self.data_dir);
        close_all(self.rooms, self.store).await
    }
}

async fn close_all(rooms: Vec<Room>, store: Store) -> anyhow::Result<()> {
    let mut first = Ok(());
    for room in rooms {
        let closed = room.close().await;
        if first.is_ok() {
            first = closed;
        }
    }
    let closed = store.close().await;
    first.and(closed)
}

/// Whether the port is free right now; the server itself has the last word.
fn probe(listen: SocketAddr) -> anyhow::Result<()> {
    match std::net::TcpListener::bind(listen) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Err(server::Error::PortTaken { address: listen }.into())
        }
        _ => Ok(()),
    }
}
