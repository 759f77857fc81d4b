//! The private PostgreSQL against the real programs: its life, its death, and what others leave behind.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use cluster::{Cluster, Endpoint, Error, Options, Programs, State};
use tempfile::TempDir;
use tokio::process::Command;

/// A directory that an unprivileged PostgreSQL may enter, too, when the tests run as root.
fn open_dir() -> TempDir {
    tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap()
}

async fn query(endpoint: &Endpoint, sql: &str) -> Result<String, String> {
    let psql = Programs::find(None).await.unwrap().path("psql");
    let answer = Command::new(psql).args(["-XAtc", sql]).arg(endpoint.url()).output().await.unwrap();
    if answer.status.success() {
        Ok(String::from_utf8(answer.stdout).unwrap().trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&answer.stderr).into_owned())
    }
}

async fn signal(pid: impl ToString, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().await.unwrap().success());
}

fn pid_in(data_dir: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(data_dir.join("postgres/pgdata/postmaster.pid")).ok()?;
    text.lines().next()?.trim().parse().ok()
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..1500 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited in vain for {what}");
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let dir = open_dir();
    let cluster = Cluster::start(Options::new(dir.path())).await.unwrap();
    assert_eq!(query(cluster.endpoint(), "SHOW listen_addresses").await.unwrap(), "");
    assert_eq!(query(cluster.endpoint(), "SHOW synchronous_commit").await.unwrap(), "on");
    query(cluster.endpoint(), "CREATE TABLE kept AS SELECT 'grüße' AS word").await.unwrap();
    assert_eq!(Cluster::running(dir.path()).unwrap().as_ref(), Some(cluster.endpoint()));

    let second = Cluster::start(Options::new(dir.path())).await.unwrap_err();
    assert!(matches!(second, Error::Locked { pid: Some(pid), .. } if pid == std::process::id()), "{second}");
    cluster.stop().await.unwrap();
    assert_eq!(pid_in(dir.path()), None);
    assert_eq!(Cluster::running(dir.path()).unwrap(), None);

    let cluster = Cluster::start(Options::new(dir.path()).with_setting("work_mem", "5MB")).await.unwrap();
    assert_eq!(query(cluster.endpoint(), "SELECT word FROM kept").await.unwrap(), "grüße");
    assert_eq!(query(cluster.endpoint(), "SHOW work_mem").await.unwrap(), "5MB");
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_server_is_started_again_and_loses_nothing() {
    let dir = open_dir();
    let cluster = Cluster::start(Options::new(dir.path())).await.unwrap();
    query(cluster.endpoint(), "CREATE TABLE kept AS SELECT 1 AS number").await.unwrap();
    // A process in the middle of a statement outlives its server for a while and holds on to its memory.
    let endpoint = cluster.endpoint().clone();
    let busy = tokio::spawn(async move { query(&endpoint, "SELECT pg_sleep(60)").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut state = cluster.state();
    let State::Running { pid } = *state.borrow_and_update() else { panic!("not running") };
    signal(pid, "-KILL").await;
    let again = state.wait_for(|state| matches!(state, State::Running { pid: new } if *new != pid));
    tokio::time::timeout(Duration::from_secs(20), again).await.unwrap().unwrap();
    assert_eq!(query(cluster.endpoint(), "SELECT number FROM kept").await.unwrap(), "1");
    assert!(busy.await.unwrap().is_err());
    cluster.stop().await.unwrap();
    assert_eq!(pid_in(dir.path()), None);
}

#[tokio::test]
async fn the_server_ends_when_its_owner_is_gone() {
    let dir = open_dir();
    let cluster = Cluster::start(Options::new(dir.path())).await.unwrap();
    assert!(pid_in(dir.path()).is_some());
    drop(cluster);
    until("the end of the server", || pid_in(dir.path()).is_none()).await;
}

#[tokio::test]
async fn a_server_that_was_left_behind_is_taken_over() {
    let dir = open_dir();
    let cluster = Cluster::start(Options::new(dir.path())).await.unwrap();
    query(cluster.endpoint(), "CREATE TABLE kept AS SELECT 1 AS number").await.unwrap();
    // Without its leash, as if that had been killed together with the program.
    let leashes = Command::new("pgrep").args(["-f", &format!("leash {}$", pid_in(dir.path()).unwrap())]).output();
    let leashes = String::from_utf8(leashes.await.unwrap().stdout).unwrap();
    signal(leashes.trim(), "-KILL").await;
    drop(cluster);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let left = pid_in(dir.path()).expect("the server still runs");

    let cluster = Cluster::start(Options::new(dir.path())).await.unwrap();
    assert_ne!(pid_in(dir.path()), Some(left));
    assert_eq!(query(cluster.endpoint(), "SELECT number FROM kept").await.unwrap(), "1");
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_process_id_that_went_to_a_stranger_does_not_stand_in_the_way() {
    let dir = open_dir();
    Cluster::start(Options::new(dir.path())).await.unwrap().stop().await.unwrap();
    let mut stranger = Command::new("sleep").arg("60").kill_on_drop(true).spawn().unwrap();
    let pgdata = dir.path().join("postgres/pgdata");
    let stale = format!("{}\n{}\n1700000000\n5432\n\n\n  1 1\nready   \n", stranger.id().unwrap(), pgdata.display());
    std::fs::write(pgdata.join("postmaster.pid"), &stale).unwrap();
    std::fs::write(dir.path().join("postgres/socket/.s.PGSQL.5432.lock"), stale).unwrap();
    let cluster = Cluster::start(Options::new(dir.path())).await.unwrap();
    assert_eq!(query(cluster.endpoint(), "SELECT 1").await.unwrap(), "1");
    cluster.stop().await.unwrap();
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger was left alone");
}

#[tokio::test]
async fn an_interrupted_first_start_is_begun_anew() {
    let dir = open_dir();
    let unfinished = dir.path().join("postgres/pgdata.new");
    std::fs::create_dir_all(&unfinished).unwrap();
    std::fs::write(unfinished.join("PG_VERSION"), "15\n").unwrap();
    std::fs::set_permissions(dir.path().join("postgres"), PermissionsExt::from_mode(0o777)).unwrap();
    let cluster = Cluster::start(Options::new(dir.path())).await.unwrap();
    assert_eq!(query(cluster.endpoint(), "SELECT 1").await.unwrap(), "1");
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_setting_that_is_none_is_reported_with_the_servers_words() {
    let dir = open_dir();
    let error = Cluster::start(Options::new(dir.path()).with_setting("no_such_setting", "1")).await.unwrap_err();
    assert!(matches!(error, Error::StartFailed { .. }));
    assert!(error.to_string().contains("unrecognized configuration parameter \"no_such_setting\""), "{error}");
}

/// Root's directories are closed to the user that PostgreSQL runs as.
#[tokio::test]
async fn a_closed_directory_of_root_keeps_a_link_instead() {
    if std::fs::metadata("/proc/self").map_or(1, |own| std::os::unix::fs::MetadataExt::uid(&own)) != 0 {
        return;
    }
    let dir = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir().unwrap();
    let cluster = Cluster::start(Options::new(dir.path())).await.unwrap();
    assert_eq!(query(cluster.endpoint(), "SELECT 1").await.unwrap(), "1");
    let target = std::fs::read_link(dir.path().join("postgres")).unwrap();
    cluster.stop().await.unwrap();
    let cluster = Cluster::start(Options::new(dir.path())).await.unwrap();
    cluster.stop().await.unwrap();
    assert_eq!(std::fs::read_link(dir.path().join("postgres")).unwrap(), target, "the second start finds the first's");
    std::fs::remove_dir_all(target).unwrap();
}
