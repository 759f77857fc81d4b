//! Several programs on one database: they share the runs, one that is killed or frozen is followed by another, and what
//! a frozen one finds when it wakes up is not its own any more.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, Row};
use testkit::Database;

use crate::program::{Home, Server, send, until};

/// How long the others wait until a silent node counts as dead.
const TAKEOVER: &str = "1";

const FLOW: &str = r#"
key: flow
name: Flow
description: Five steps, one after the other.
input_schema: { type: object, properties: { word: { type: string } } }
steps:
  - { name: a, title: A, agent: generalist, template: draft-text, input: { subject: input.word } }
  - { name: b, title: B, agent: generalist, template: draft-text, needs: [a], input: { subject: input.word } }
  - { name: c, title: C, agent: generalist, template: draft-text, needs: [b], input: { subject: input.word } }
  - { name: d, title: D, agent: generalist, template: draft-text, needs: [c], input: { subject: input.word } }
  - { name: e, title: E, agent: generalist, template: draft-text, needs: [d], input: { subject: input.word } }
"#;

/// Two homes over one database of the test server.
struct Cluster {
    homes: [Home; 2],
    database: Database,
    runtime: tokio::runtime::Runtime,
}

impl Cluster {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let database = runtime.block_on(Database::create());
        Self { homes: [Home::new(), Home::new()], database, runtime }
    }

    fn command(&self, node: usize, arguments: &[&str]) -> Command {
        let mut command = self.homes[node].command(arguments);
        command
            .env("DATABASE_URL", self.database.url())
            .env("HISHAMOS_ENGINE__TAKEOVER_SECONDS", TAKEOVER)
            .env("HISHAMOS_PLATFORMS__SLOW__KIND", "simulator")
            .env("HISHAMOS_PLATFORMS__SLOW__LATENCY_MS", "150");
        command
    }

    fn serve(&self, node: usize) -> Server {
        self.homes[node].serve_by(self.command(node, &["serve", "--port", "0", "--json"]))
    }

    /// The workflow is there, and so are both nodes.
    fn open(&self) -> [Server; 2] {
        let first = self.serve(0);
        assert!(self.command(0, &["catalog", "load"]).output().unwrap().status.success());
        self.homes[0].write("catalog/workflows/flow.yaml", FLOW);
        let loaded = self.command(0, &["catalog", "load", "catalog"]).output().unwrap();
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
        [first, self.serve(1)]
    }

    fn start_runs(&self, node: usize, count: usize) {
        for _ in 0..count {
            let started = self.command(node, &["run", "flow", "--input", "word=hello", "--json"]).output().unwrap();
            assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        }
    }

    fn number(&self, sql: &'static str) -> i64 {
        self.runtime.block_on(async {
            let mut connection = PgConnection::connect(self.database.url()).await.unwrap();
            let row = sqlx::query(sql).fetch_one(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            row.get(0)
        })
    }

    fn count(&self, event: &str) -> i64 {
        self.runtime.block_on(async {
            let mut connection = PgConnection::connect(self.database.url()).await.unwrap();
            let row = sqlx::query("SELECT count(*) FROM journal.events WHERE event_type = $1")
                .bind(event)
                .fetch_one(&mut connection)
                .await
                .unwrap();
            connection.close().await.unwrap();
            row.get(0)
        })
    }

    /// Every run has completed, once, and no step was done twice.
    fn prove(&self, runs: i64, node: usize) {
        until("the ends of the runs", || (self.count("run.completed") >= runs).then_some(()));
        assert_eq!(self.count("run.completed"), runs);
        assert_eq!(self.count("run.failed"), 0);
        assert_eq!(self.count("run.stalled"), 0);
        assert_eq!(self.count("task.created"), runs * 5);
        assert_eq!(self.count("task.completed"), runs * 5);
        let verified = self.command(node, &["audit", "verify", "--json"]).output().unwrap();
        let verified: Value = serde_json::from_slice(&verified.stdout).unwrap();
        assert_eq!(verified["sound"], json!(true), "{verified}");
    }
}

#[test]
fn two_programs_share_the_runs() {
    let cluster = Cluster::new();
    let servers = cluster.open();
    cluster.start_runs(0, 12);
    cluster.prove(12, 0);
    let sharing = cluster.number(
        "SELECT count(DISTINCT substring(payload from 1 for 16)) FROM journal.events WHERE event_type = 'run.claimed'",
    );
    assert_eq!(sharing, 2, "both have taken runs");
    drop(servers);
}

#[test]
fn the_runs_of_a_killed_program_go_on_at_another() {
    let cluster = Cluster::new();
    let [first, second] = cluster.open();
    cluster.start_runs(1, 10);
    let before = cluster.count("run.claimed");
    let killed = Instant::now();
    drop(first.end("-KILL"));
    until("a takeover", || (cluster.count("run.claimed") > before).then_some(()));
    let took = killed.elapsed();
    assert!(took < Duration::from_secs(5), "the others take over within 5 s: {took:?}");
    cluster.prove(10, 1);
    drop(second);
}

#[test]
fn a_frozen_program_that_wakes_up_writes_nothing_that_is_not_its_own() {
    let cluster = Cluster::new();
    let [first, second] = cluster.open();
    cluster.start_runs(1, 10);
    let before = cluster.count("run.claimed");
    send("-STOP", first.id());
    until("a takeover", || (cluster.count("run.claimed") > before).then_some(()));
    until("the ends of the runs", || (cluster.count("run.completed") == 10).then_some(()));
    send("-CONT", first.id());
    // It works again, with new runs.
    cluster.start_runs(0, 6);
    cluster.prove(16, 1);
    let (status, log) = first.end("-TERM");
    assert!(status.success(), "{log}");
    drop(second);
}

#[test]
fn a_rolling_restart_drops_nothing() {
    let cluster = Cluster::new();
    let [mut first, mut second] = cluster.open();
    for _ in 0..2 {
        cluster.start_runs(1, 3);
        assert!(first.end("-TERM").0.success());
        cluster.start_runs(1, 2);
        first = cluster.serve(0);
        cluster.start_runs(0, 3);
        assert!(second.end("-TERM").0.success());
        cluster.start_runs(0, 2);
        second = cluster.serve(1);
    }
    cluster.prove(20, 0);
    assert_eq!(cluster.count("task.attempt_lost"), 0, "who stops in order says so");
    drop((first, second));
}
