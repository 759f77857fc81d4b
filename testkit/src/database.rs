//! A fresh, migrated database for each test, copied from one template.
//!
//! The server is the one that `HISHAMOS_TEST_DATABASE_URL` names, or else a private one per test process, started by
//! the first test that wants it. Many test processes may share a server: the template is made once, under a lock, and
//! its name follows from the migrations.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool};

use crate::server;

/// The migrations of the journal and the read models.
pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// One lock for all who make templates; the number has no meaning beyond being ours.
const TEMPLATE_LOCK: i64 = 0x6869_7368_616d;

/// Templates that this process knows to exist, by server.
static READY: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A database of its own for one test; gone when dropped.
#[derive(Debug)]
pub struct Database {
    url: String,
    name: String,
    server: String,
    pool: PgPool,
}

impl Database {
    /// Makes a fresh database with all migrations applied.
    ///
    /// # Panics
    /// When there is no server and none can be started.
    pub async fn create() -> Self {
        let server = server::shared_url().await;
        let template = template(&server).await;
        let name = unique_name();
        let mut admin = connect(&server).await;
        execute(&mut admin, format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        admin.close().await.expect("the connection closes");
        let url = with_database(&server, &name);
        let pool =
            PgPoolOptions::new().max_connections(10).connect_lazy(&url).expect("the test database's URL is valid");
        Self { url, name, server, pool }
    }

    /// Its connection URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Connections to it, opened as needed, at most ten.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Turns away, or lets in again, whoever connects from now on; those who are connected stay.
    ///
    /// # Panics
    /// When the server cannot be reached.
    pub async fn accept_connections(&self, accept: bool) {
        let mut admin = connect(&self.server).await;
        execute(&mut admin, format!("ALTER DATABASE {} ALLOW_CONNECTIONS {accept}", self.name)).await;
        admin.close().await.expect("the connection closes");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // The test's own runtime may be ending, so the work gets one of its own.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async {
                let mut admin = options(&server).connect().await.ok()?;
                let statement = AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
                sqlx::raw_sql(statement).execute(&mut admin).await.ok()
            })
        });
        // What is left over does no harm beyond its space on a server for tests.
        let _ = dropping.join();
    }
}

/// Makes the template on a server unless it is there, and names it.
async fn template(server: &str) -> String {
    let name = format!("hishamos_template_{:016x}", fingerprint());
    let key = format!("{server} {name}");
    if READY.lock().unwrap_or_else(PoisonError::into_inner).contains(&key) {
        return name;
    }
    let mut admin = connect(server).await;
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut admin)
        .await
        .expect("the lock is given");
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(&name)
        .fetch_one(&mut admin)
        .await
        .expect("the list of databases can be read");
    if !exists {
        // Under another name until it is complete, so that a killed test leaves no half template.
        let unfinished = format!("{name}_unfinished");
        execute(&mut admin, format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)")).await;
        execute(&mut admin, format!("CREATE DATABASE {unfinished}")).await;
        let mut target = connect(&with_database(server, &unfinished)).await;
        MIGRATOR.run(&mut target).await.expect("the migrations apply to an empty database");
        target.close().await.expect("the connection closes");
        execute(&mut admin, format!("ALTER DATABASE {unfinished} RENAME TO {name}")).await;
    }
    // Closing the connection gives the lock back.
    admin.close().await.expect("the connection closes");
    READY.lock().unwrap_or_else(PoisonError::into_inner).push(key);
    name
}

/// A number that changes with any migration (FNV-1a over their checksums).
fn fingerprint() -> u64 {
    MIGRATOR
        .iter()
        .flat_map(|migration| migration.checksum.iter())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("hishamos_test_{}_{count}_{}", std::process::id(), uuid::Uuid::new_v4().simple())
}

fn options(url: &str) -> PgConnectOptions {
    url.parse().unwrap_or_else(|error| panic!("`{url}` is no PostgreSQL URL: {error}"))
}

async fn connect(url: &str) -> PgConnection {
    options(url).connect().await.unwrap_or_else(|error| panic!("cannot connect to the test server {url}: {error}"))
}

async fn execute(connection: &mut PgConnection, statement: String) {
    // The statements are made of our own names only.
    sqlx::raw_sql(AssertSqlSafe(statement.clone()))
        .execute(connection)
        .await
        .unwrap_or_else(|error| panic!("`{statement}` failed: {error}"));
}

/// The same URL with another database name: what stands between the last `/` of the address and the `?`.
fn with_database(url: &str, name: &str) -> String {
    let (address, parameters) = url.split_once('?').map_or((url, None), |(address, rest)| (address, Some(rest)));
    let host_at = address.find("://").map_or(0, |at| at + 3);
    let base = match address.get(host_at..).and_then(|host| host.rfind('/')) {
        Some(slash) => address.get(..host_at + slash).unwrap_or(address),
        None => address,
    };
    parameters.map_or_else(|| format!("{base}/{name}"), |parameters| format!("{base}/{name}?{parameters}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_of_a_url_changes() {
        assert_eq!(
            with_database("postgres://u@localhost/dev?host=/tmp/x", "new"),
            "postgres://u@localhost/new?host=/tmp/x"
        );
        assert_eq!(with_database("postgres://u:p@host:5432/dev", "new"), "postgres://u:p@host:5432/new");
        assert_eq!(with_database("postgres://host", "new"), "postgres://host/new");
    }

    #[tokio::test]
    async fn databases_are_separate_and_gone_when_dropped() {
        let (one, two) = tokio::join!(Database::create(), Database::create());
        for database in [&one, &two] {
            sqlx::raw_sql("CREATE TABLE mine (n int)").execute(database.pool()).await.expect("a fresh database");
        }
        let (server, name) = (one.server.clone(), one.name.clone());
        drop(one);
        let left: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(name)
            .fetch_one(&mut connect(&server).await)
            .await
            .expect("the list of databases");
        assert!(!left);
    }
}
