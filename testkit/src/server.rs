//! PostgreSQL servers for tests: one that tests share, and ones that a test may kill.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;

use cluster::{Cluster, Options, State};
use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};
use tempfile::TempDir;

use crate::database::MIGRATOR;

/// Names the server whose databases tests use; without it each test process starts its own.
const SERVER_VARIABLE: &str = "HISHAMOS_TEST_DATABASE_URL";

/// The URL of the server that this process' tests share.
pub(crate) async fn shared_url() -> String {
    if let Ok(url) = std::env::var(SERVER_VARIABLE) {
        return url;
    }
    // Starting blocks, and other tests of this process wait for the same start.
    tokio::task::spawn_blocking(|| SHARED.get_or_init(Shared::start).url.clone()).await.expect("a server for the tests")
}

static SHARED: OnceLock<Shared> = OnceLock::new();

/// A server for the lifetime of this process; its end is noticed by the two child processes that hold a pipe.
struct Shared {
    url: String,
    _cleaner: Child,
}

impl Shared {
    fn start() -> Self {
        let dir = open_dir().keep();
        let cleaner = cleaner(&dir);
        let (send, receive) = std::sync::mpsc::channel();
        // A thread with a runtime of its own, because the runtimes of tests end with their tests.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let cluster = Cluster::start(fast_options(&dir)).await.unwrap_or_else(|error| panic!("{error}"));
                send.send(cluster.url()).expect("somebody waits for the server");
                std::future::pending::<()>().await;
            });
        });
        let url = receive.recv().expect("the private PostgreSQL for the tests starts");
        Self { url, _cleaner: cleaner }
    }
}

/// Nothing in there outlives the process, so it need not survive a power cut.
fn fast_options(dir: &Path) -> Options {
    ["fsync", "synchronous_commit", "full_page_writes"]
        .iter()
        .fold(Options::new(dir), |options, setting| options.with_setting(setting, "off"))
        .with_setting("max_connections", "300")
}

/// A directory that an unprivileged PostgreSQL may enter, too, when the tests run as root.
fn open_dir() -> TempDir {
    tempfile::Builder::new()
        .prefix("hishamos-test-")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir()
        .expect("a temporary directory")
}

/// Removes the directory when this process is gone and the server in it has ended.
fn cleaner(dir: &Path) -> Child {
    const SCRIPT: &str = r#"
        read -r _
        tries=0
        while [ -e "$1/postgres/pgdata/postmaster.pid" ] && [ "$tries" -lt 100 ]; do
            sleep 0.1
            tries=$((tries + 1))
        done
        rm -rf -- "$1"
    "#;
    std::process::Command::new("/bin/sh")
        .args(["-c", SCRIPT, "cleaner"])
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell")
}

/// A PostgreSQL of a test's own, as safe as the real one (fsync is on), that may be killed and stopped.
#[derive(Debug)]
pub struct PostgresServer {
    cluster: Option<Cluster>,
    url: String,
    // Declared last: the files go when the server has been told to end.
    dir: TempDir,
}

impl PostgresServer {
    /// Starts one with a migrated database.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start() -> Self {
        let dir = open_dir();
        let cluster = Cluster::start(Options::new(dir.path())).await.unwrap_or_else(|error| panic!("{error}"));
        let url = cluster.url();
        let options: PgConnectOptions = url.parse().expect("the cluster's URL is valid");
        let mut connection = options.connect().await.expect("the server takes connections");
        MIGRATOR.run(&mut connection).await.expect("the migrations apply to an empty database");
        connection.close().await.expect("the connection closes");
        Self { cluster: Some(cluster), url, dir }
    }

    /// The URL of its migrated database; it stays the same through every restart.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The data directory, as the program would have it.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Kills it with SIGKILL, as the machine's out-of-memory killer would, and waits until it has been started again
    /// by its keeper. Every connection is lost.
    ///
    /// # Panics
    /// When it is stopped, or does not come back.
    pub async fn kill(&self) {
        let mut state = self.cluster.as_ref().expect("the server runs").state();
        let State::Running { pid } = *state.borrow_and_update() else { panic!("the server is down already") };
        let killed = tokio::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().await;
        assert!(killed.is_ok_and(|status| status.success()), "process {pid} can be killed");
        let back = state.wait_for(|state| matches!(state, State::Running { pid: new } if *new != pid));
        back.await.expect("the server comes back");
    }

    /// Stops it; connections fail until [`PostgresServer::restart`].
    ///
    /// # Panics
    /// When it does not end.
    pub async fn stop(&mut self) {
        if let Some(cluster) = self.cluster.take() {
            cluster.stop().await.expect("the server ends");
        }
    }

    /// Starts it again on the same files.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn restart(&mut self) {
        self.stop().await;
        let started = Cluster::start(Options::new(self.dir.path())).await;
        self.cluster = Some(started.unwrap_or_else(|error| panic!("{error}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_killed_and_a_stopped_server_come_back_at_the_same_place() {
        let mut server = PostgresServer::start().await;
        let options: PgConnectOptions = server.url().parse().expect("a URL");
        server.kill().await;
        options.connect().await.expect("it is back");
        server.stop().await;
        options.connect().await.expect_err("it is gone");
        server.restart().await;
        options.connect().await.expect("it is back");
        server.stop().await;
    }
}
