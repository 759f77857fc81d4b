//! The database: a private one that comes and goes with the program, or the one that the configuration names.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use cluster::Cluster;
use journal::postgres::{self, PostgresJournal};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::config::Config;

/// How many connections serve read models and checkpoints; the journal has its own.
const CONNECTIONS: u32 = 10;
/// How long a free connection may be waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// An open, migrated database with its journal.
pub(crate) struct Store {
    /// Connections for everything but the journal.
    pub(crate) pool: PgPool,
    /// The journal; it records only while its service runs.
    pub(crate) journal: Arc<PostgresJournal>,
    cluster: Option<Cluster>,
}

impl Store {
    /// Opens the store for the program itself: starts the private PostgreSQL unless the configuration names another,
    /// and brings the schema up to date.
    ///
    /// # Errors
    /// When PostgreSQL does not start or cannot be reached, or its schema cannot be brought up to date.
    pub(crate) async fn open(config: &Config) -> anyhow::Result<(Self, postgres::Service)> {
        let Some(url) = &config.database_url else {
            let cluster = Cluster::start(cluster_options(config)).await?;
            let url = cluster.url();
            return match connect(config, &url, "the private PostgreSQL").await {
                Ok((pool, journal, service)) => Ok((Self { pool, journal, cluster: Some(cluster) }, service)),
                Err(error) => {
                    cluster.stop().await?;
                    Err(error)
                }
            };
        };
        let (pool, journal, service) = connect(config, url.reveal(), &url.masked()).await?;
        Ok((Self { pool, journal, cluster: None }, service))
    }

    /// Opens the store beside the running program, or for itself when none runs.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub(crate) async fn attach(config: &Config) -> anyhow::Result<(Self, postgres::Service)> {
        if config.database_url.is_none()
            && let Some(running) = Cluster::running(&config.data_dir)?
        {
            let (pool, journal, service) = connect(config, &running.url(), "the running program's database").await?;
            return Ok((Self { pool, journal, cluster: None }, service));
        }
        Self::open(config).await
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

async fn connect(
    config: &Config,
    url: &str,
    shown: &str,
) -> anyhow::Result<(PgPool, Arc<PostgresJournal>, postgres::Service)> {
    let connect = PgConnectOptions::from_str(url).with_context(|| format!("{shown} is no PostgreSQL URL"))?;
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .connect_with(connect.clone().application_name("hishamos"))
        .await
        .with_context(|| format!("cannot connect to {shown}"))?;
    journal::postgres::migrate(&pool)
        .await
        .with_context(|| format!("cannot bring the schema of {shown} up to date"))?;
    let mut options = postgres::Options::new(connect);
    options.readers = config.journal.readers;
    options.patience = Duration::from_secs(config.journal.patience_seconds);
    let (journal, service) = PostgresJournal::open(options).await?;
    Ok((pool, Arc::new(journal), service))
}
