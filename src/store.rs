//! The databases: PostgreSQL, private or named by the configuration, for read models and checkpoints; and the journal,
//! in the same PostgreSQL or in a KurrentDB.
//!
//! Invariant: read models and checkpoints follow one journal. A program whose configuration names another one is
//! refused, until somebody says that the journal was moved (`hishamos journal switch`).

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use cluster::Cluster;
use domain::NodeId;
use journal::kurrent::{self, KurrentJournal};
use journal::postgres::{self, Membership, PostgresCheckpoints, PostgresJournal, PostgresSnapshots};
use journal::privacy::{PostgresSubjects, PrivateJournal, Subjects};
use journal::{Checkpoint, Checkpoints, Journal, Members, Position};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::Config;

/// How many connections serve read models and checkpoints; the journal has its own.
const CONNECTIONS: u32 = 10;
/// How long a free connection may be waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a statement may take before PostgreSQL gives it up: as long as the question that it is for.
const LONGEST_STATEMENT: Duration = Duration::from_secs(30);
/// Under which name the checkpoints say which journal they follow.
const SOURCE: &str = "journal.source";
/// The source of whatever follows the journal in its own PostgreSQL.
const BESIDE: &str = "postgresql";

/// An open, migrated database with its journal.
pub(crate) struct Store {
    /// Connections for everything but the journal.
    pub(crate) pool: PgPool,
    /// The journal; it records only while its service runs.
    pub(crate) journal: Arc<dyn Journal>,
    /// The people whom runs are about, with the keys under which the journal seals what is personal.
    pub(crate) subjects: Arc<dyn Subjects>,
    /// Which journal that is, in words that never change.
    source: String,
    /// Where the nodes meet: always in PostgreSQL, wherever the journal is.
    nodes: postgres::Options,
    cluster: Option<Cluster>,
}

/// The journal's own work, whatever keeps it.
pub(crate) enum JournalService {
    /// In PostgreSQL.
    Postgres(Box<postgres::Service>),
    /// In KurrentDB.
    Kurrent(Box<kurrent::Service>),
}

impl JournalService {
    /// Works until `shutdown`; what was handed in by then is recorded.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        match self {
            Self::Postgres(service) => Box::pin(service.run(shutdown)).await,
            Self::Kurrent(service) => Box::pin(service.run(shutdown)).await,
        }
    }
}

/// The read models and checkpoints follow another journal than the configured one.
#[derive(Debug, thiserror::Error)]
#[error(
    "the read models and checkpoints of this database follow another journal ({known}) than the configuration names \
     ({configured}); configure that one, or, if the journal was moved, run `hishamos journal switch`"
)]
pub(crate) struct OtherJournal {
    known: String,
    configured: String,
}

impl Store {
    /// Opens the store for the program itself: starts the private PostgreSQL unless the configuration names another,
    /// and brings the schema up to date.
    ///
    /// # Errors
    /// When PostgreSQL does not start or cannot be reached, its schema cannot be brought up to date, the journal cannot
    /// be opened, or the read models follow another one.
    pub(crate) async fn open(config: &Config) -> anyhow::Result<(Self, JournalService)> {
        let (store, service) = Self::open_any(config, false).await?;
        match store.own().await {
            Ok(()) => Ok((store, service)),
            Err(error) => {
                store.close().await?;
                Err(error)
            }
        }
    }

    /// Opens the store beside the running program, or for itself when none runs.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub(crate) async fn attach(config: &Config) -> anyhow::Result<(Self, JournalService)> {
        let (store, service) = Self::open_any(config, true).await?;
        match store.own().await {
            Ok(()) => Ok((store, service)),
            Err(error) => {
                store.close().await?;
                Err(error)
            }
        }
    }

    /// The same, whatever journal the read models follow.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub(crate) async fn open_any(config: &Config, beside: bool) -> anyhow::Result<(Self, JournalService)> {
        let (url, shown, cluster) = match &config.database_url {
            Some(url) => (url.reveal().to_owned(), url.masked(), None),
            None => match Cluster::running(&config.data_dir)?.filter(|_| beside) {
                Some(running) => (running.url(), "the running program's database".to_owned(), None),
                None => {
                    let cluster = Cluster::start(cluster_options(config)).await?;
                    (cluster.url(), "the private PostgreSQL".to_owned(), Some(cluster))
                }
            },
        };
        match connect(config, &url, &shown).await {
            Ok(Opened { pool, journal, service, source, nodes }) => {
                let subjects: Arc<dyn Subjects> = Arc::new(PostgresSubjects::new(pool.clone(), config.privacy_key()));
                let journal = Arc::new(PrivateJournal::new(journal, Arc::clone(&subjects)));
                Ok((Self { pool, journal, subjects, source, nodes, cluster }, service))
            }
            Err(error) => {
                if let Some(cluster) = cluster {
                    cluster.stop().await?;
                }
                Err(error)
            }
        }
    }

    /// Makes sure that read models and checkpoints follow this journal; new ones do from now on.
    async fn own(&self) -> anyhow::Result<()> {
        let checkpoints = PostgresCheckpoints::new(self.pool.clone());
        let known = match checkpoints.load(SOURCE).await? {
            Some(known) => Some(String::from_utf8_lossy(&known.state).into_owned()),
            // Before it was written down, there was only one possibility.
            None => projections::is_used(&self.pool).await?.then(|| BESIDE.to_owned()),
        };
        match known {
            Some(known) if known == self.source => self.check_restored().await,
            Some(known) => Err(OtherJournal { known, configured: self.source.clone() }.into()),
            None => self.claim().await,
        }
    }

    /// Two databases can be restored to different moments. One that is ahead of its journal shows it.
    async fn check_restored(&self) -> anyhow::Result<()> {
        // In this order: beside a running program both move on, and a read model never before its journal.
        let checkpoints = projections::Queries::new(self.pool.clone()).checkpoints().await?;
        let head = self.journal.head().await?;
        for checkpoint in checkpoints {
            let position = Position::from_u64(u64::try_from(checkpoint.position).unwrap_or(0));
            anyhow::ensure!(
                position <= head,
                "the read model `{}` is at position {position}, but the journal ends at {head}; if the journal was \
                 restored to an older state, run `hishamos journal switch`",
                checkpoint.name
            );
        }
        Ok(())
    }

    async fn claim(&self) -> anyhow::Result<()> {
        let checkpoint = Checkpoint { position: Position::START, state: self.source.clone().into_bytes() };
        Ok(PostgresCheckpoints::new(self.pool.clone()).save(SOURCE, checkpoint).await?)
    }

    /// Makes this process one of the nodes that share the work.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub(crate) async fn join(&self) -> anyhow::Result<(Membership, Members)> {
        let node = NodeId::from_uuid(Uuid::now_v7());
        Membership::join(&self.nodes, node).await.context("cannot meet the other nodes in the database")
    }

    /// Forgets everything that followed another journal: read models, checkpoints and snapshots begin anew with this one.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn switch(&self) -> anyhow::Result<()> {
        projections::forget(&self.pool).await?;
        PostgresCheckpoints::new(self.pool.clone()).forget().await?;
        PostgresSnapshots::new(self.pool.clone()).forget().await?;
        self.claim().await
    }

    /// Closes the connections and stops the private PostgreSQL. The journal's service must have ended.
    ///
    /// # Errors
    /// When PostgreSQL does not end.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.pool.close().await;
        match self.cluster {
            Some(cluster) => Ok(cluster.stop().await?),
            None => Ok(()),
        }
    }
}

fn cluster_options(config: &Config) -> cluster::Options {
    let mut options = cluster::Options::new(&config.data_dir);
    options.bin_dir.clone_from(&config.postgres.bin_dir);
    options.settings = config.postgres.settings.clone().into_iter().collect();
    options
}

/// What a connection brings.
struct Opened {
    pool: PgPool,
    journal: Arc<dyn Journal>,
    service: JournalService,
    source: String,
    nodes: postgres::Options,
}

async fn connect(config: &Config, url: &str, shown: &str) -> anyhow::Result<Opened> {
    let connect = PgConnectOptions::from_str(url).with_context(|| format!("{shown} is no PostgreSQL URL"))?;
    let settings = connect.clone().application_name("hishamos");
    // On a connection of its own, which may take its time.
    let migrating = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(PATIENCE)
        .connect_with(settings.clone())
        .await
        .with_context(|| format!("cannot connect to {shown}"))?;
    let migrated = journal::postgres::migrate(&migrating).await;
    migrating.close().await;
    migrated.with_context(|| format!("cannot bring the schema of {shown} up to date"))?;
    let longest = LONGEST_STATEMENT.as_millis().to_string();
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .connect_with(settings.options([("statement_timeout", longest)]))
        .await
        .with_context(|| format!("cannot connect to {shown}"))?;
    let patience = Duration::from_secs(config.journal.patience_seconds);
    let mut nodes = postgres::Options::new(connect);
    nodes.readers = config.journal.readers;
    nodes.patience = patience;
    nodes.silence = Duration::from_secs(config.engine.takeover_seconds);
    if let Some(url) = &config.journal.url {
        let mut options = kurrent::Options::from_url(url.reveal())?;
        options.prefix.clone_from(&config.journal.prefix);
        options.patience = patience;
        let (journal, service) = KurrentJournal::open(options)
            .await
            .with_context(|| format!("cannot open the journal in {}", url.masked()))?;
        let source = format!("kurrentdb {}", journal.identity());
        let service = JournalService::Kurrent(Box::new(service));
        return Ok(Opened { pool, journal: Arc::new(journal), service, source, nodes });
    }
    let (journal, service) = PostgresJournal::open(nodes.clone()).await?;
    let service = JournalService::Postgres(Box::new(service));
    Ok(Opened { pool, journal: Arc::new(journal), service, source: BESIDE.to_owned(), nodes })
}
