//! A private cluster with one fresh database per part, so that no part slows the next.

use std::path::{Path, PathBuf};

use anyhow::Context;
use cluster::Cluster;
use journal::postgres::{Options, PostgresJournal};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct Store {
    cluster: Cluster,
    pub(crate) data: PathBuf,
}

/// A migrated database.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) pool: PgPool,
}

/// An open journal and its service.
pub(crate) struct OpenJournal {
    pub(crate) journal: PostgresJournal,
    shutdown: CancellationToken,
    service: JoinHandle<()>,
}

impl Store {
    pub(crate) async fn start(directory: &Path) -> anyhow::Result<Self> {
        let data = directory.join("postgres");
        let cluster =
            Cluster::start(cluster::Options::new(&data)).await.context("the private PostgreSQL did not start")?;
        Ok(Self { cluster, data })
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        Ok(self.cluster.stop().await?)
    }

    /// A fresh, migrated database; one of the same name from an earlier run is dropped.
    pub(crate) async fn database(&self, name: &str) -> anyhow::Result<Database> {
        let admin = PgPool::connect(&self.cluster.url()).await?;
        let name = format!("bench_{name}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")))
            .execute(&admin)
            .await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&admin).await?;
        admin.close().await;
        let url = self.cluster.endpoint().url_of(&name);
        let pool = PgPool::connect(&url).await?;
        journal::postgres::migrate(&pool).await?;
        Ok(Database { url, pool })
    }
}

impl Database {
    pub(crate) async fn open(&self) -> anyhow::Result<OpenJournal> {
        let (journal, service) = PostgresJournal::open(Options::from_url(&self.url)?).await?;
        let shutdown = CancellationToken::new();
        let service = tokio::spawn(service.run(shutdown.clone()));
        Ok(OpenJournal { journal, shutdown, service })
    }
}

impl OpenJournal {
    /// Ends it without a word.
    pub(crate) async fn kill(self) {
        self.service.abort();
        // It was aborted, so it does not end well.
        let _ = self.service.await;
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        Ok(self.service.await?)
    }
}
