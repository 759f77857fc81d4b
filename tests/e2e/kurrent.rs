//! The whole system with its journal in KurrentDB, which is here a protocol double.
//!
//! The program is killed while the double holds back each write of the welcome workflow in turn, once so that the write
//! is lost and once so that it is made but nobody hears of it. Whatever the moment, the next program ends the run in the
//! same state, and no finished work is done again.

use std::process::{Command, Stdio};

use serde_json::Value;
use testkit::Database;
use testkit::kurrent::KurrentDouble;

use crate::program::{Home, Server, until, until_shown_ended};

/// A home whose program keeps its journal in a double and its read models in a database of the test server.
struct World {
    home: Home,
    database: Database,
    double: KurrentDouble,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn new() -> Self {
        // The double answers while the test waits for the program.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (database, double) = runtime.block_on(async { (Database::create().await, KurrentDouble::start().await) });
        Self { home: Home::new(), database, double, runtime }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        command.env("DATABASE_URL", self.database.url()).env("HISHAMOS_JOURNAL", self.double.url());
        command
    }

    fn serve(&self) -> Server {
        self.home.serve_by(self.command(&["serve", "--port", "0", "--json", "--simulate"]))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        json(self.command(arguments))
    }

    /// How many events of a type there are.
    fn count(&self, event_type: &str) -> usize {
        self.double.store().events().iter().filter(|event| event.event_type == event_type).count()
    }

    fn ended_runs(&self) -> usize {
        ["run.completed", "run.failed", "run.cancelled"].iter().map(|event_type| self.count(event_type)).sum()
    }

    fn run_welcome(&self) {
        let done = self.command(&["run", "welcome", "--input", "file=@README.md", "--watch"]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// What a finished run has to look like, whatever happened on the way.
    fn final_state(&self) -> Value {
        until_shown_ended(|| self.json(&["runs", "--json"]));
        let runs = self.json(&["runs", "--json"]);
        let run = runs["nodes"].as_array().unwrap_or_else(|| panic!("{runs}"));
        assert_eq!(run.len(), 1, "{runs}");
        let id = run[0]["runId"].as_str().unwrap_or_else(|| panic!("{runs}"));
        let shown = self.json(&["show", id, "--json"]);
        let steps: Vec<Value> = shown["steps"]
            .as_array()
            .unwrap_or_else(|| panic!("{shown}"))
            .iter()
            .map(|step| serde_json::json!({"name": step["name"], "status": step["status"], "output": step["output"]}))
            .collect();
        serde_json::json!({"status": shown["status"], "output": shown["output"], "steps": steps})
    }
}

fn json(mut command: Command) -> Value {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn everything_works_and_a_kill_at_any_write_changes_nothing_in_the_end() {
    let world = World::new();
    let server = world.serve();
    assert!(world.command(&["catalog", "load"]).output().unwrap().status.success());
    let before = world.double.store().events().len();
    let writes_before = world.double.faults().writes();
    world.run_welcome();
    let writes = world.double.faults().writes() - writes_before;
    let expected = world.final_state();
    assert_eq!(expected["status"], "COMPLETED", "{expected}");
    assert!(expected["output"]["briefing"].is_string() && expected["steps"][2]["output"].is_object(), "{expected}");
    assert!(world.double.store().events().len() > before);

    // The journal is nowhere else.
    let in_postgres: i64 = world.runtime.block_on(async {
        sqlx::query_scalar("SELECT count(*) FROM journal.events").fetch_one(world.database.pool()).await.unwrap()
    });
    assert_eq!(in_postgres, 0);
    let verified = world.json(&["audit", "verify", "--json"]);
    assert_eq!(verified["sound"], true, "{verified}");
    let info = world.json(&["journal", "info", "--json"]);
    assert_eq!((&info["backEnd"], &info["gapless"]), (&Value::from("KurrentDB"), &Value::from(false)), "{info}");
    assert_eq!(info["events"], verified["events"], "{info}");
    assert_eq!(info["behind"]["read model runs"], 0, "{info}");
    // What somebody changed is named, and the exit code tells damage.
    let event =
        world.double.store().events().into_iter().rev().find(|event| event.event_type == "run.completed").unwrap();
    world.double.store().tamper(event.position, |event| {
        event.data = [&event.data[..], b"x"].concat().into();
    });
    let damaged = world.command(&["audit", "verify"]).output().unwrap();
    assert_eq!(damaged.status.code(), Some(1));
    drop(server);

    assert!(writes >= 10, "the start with its note, the claim, and the settled steps: {writes}");
    // A few worlds at a time: each is a program of its own.
    let cases: Vec<(usize, bool)> = (0..writes).flat_map(|at| [(at, false), (at, true)]).collect();
    for group in cases.chunks(4) {
        std::thread::scope(|scope| {
            for (at, written) in group {
                scope.spawn(|| killed_at(*at, *written, &expected));
            }
        });
    }
}

fn killed_at(at: usize, written: bool, expected: &Value) {
    let world = World::new();
    let server = world.serve();
    assert!(world.command(&["catalog", "load"]).output().unwrap().status.success());
    let mut held = world.double.faults().hold(at, written);
    let mut asking = world
        .command(&["run", "welcome", "--input", "file=@README.md", "--watch"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let reached = world
        .runtime
        .block_on(async { tokio::time::timeout(std::time::Duration::from_secs(30), held.reached()).await.is_ok() });
    // Steps that run side by side may be settled together, with fewer writes.
    assert!(reached || world.ended_runs() == 1, "write {at} never came");
    server.end("-KILL");
    held.release(false);
    let _ = asking.kill();
    asking.wait().unwrap();

    let server = world.serve();
    if world.count("run.started") == 0 {
        // The start itself was lost: nobody was told that there is a run, and there is none.
        assert_eq!((at, written), (0, false));
        assert!(world.command(&["run", "welcome", "--input", "file=@README.md"]).output().unwrap().status.success());
    }
    until("the run's end", || (world.ended_runs() == 1).then_some(()));
    assert_eq!(world.final_state(), *expected, "write {at}, written: {written}");
    assert_eq!(world.count("task.created"), 3, "write {at}, written: {written}");
    assert_eq!(world.count("task.attempt_succeeded"), 3, "write {at}, written: {written}");
    assert_eq!(world.json(&["audit", "verify", "--json"])["sound"], true);
    drop(server);
}

#[test]
fn a_journal_moves_there_and_back() {
    let world = World::new();
    let url = world.double.url();
    let in_postgres = |arguments: &[&str]| {
        let mut command = world.command(arguments);
        command.env_remove("HISHAMOS_JOURNAL");
        command
    };
    let serve_postgres = || world.home.serve_by(in_postgres(&["serve", "--port", "0", "--json", "--simulate"]));
    let server = serve_postgres();
    assert!(in_postgres(&["catalog", "load"]).output().unwrap().status.success());
    world.run_welcome();
    // While the program runs.
    let copy: &[&str] = &["journal", "copy", "--from", "postgresql", "--to", &url, "--json"];
    let first = json(in_postgres(copy));
    assert_eq!((&first["sound"], &first["compared"]), (&Value::from(true), &Value::from(0)), "{first}");
    let count = first["copied"].as_u64().unwrap();
    assert!(count > 40 && first["to"]["events"] == count, "{first}");
    // It goes on where it was.
    world.run_welcome();
    let second = json(in_postgres(copy));
    assert_eq!(second["compared"], count, "{second}");
    assert!(second["copied"].as_u64().unwrap() > 10 && second["sound"] == true, "{second}");
    assert_eq!(json(in_postgres(copy))["copied"], 0);
    server.end("-TERM");

    // Read models that follow one journal do not follow another by accident.
    let refused = world.command(&["serve", "--port", "0", "--simulate"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("hishamos journal switch"), "{refused:?}");
    assert_eq!(world.json(&["journal", "switch", "--json"])["switched"], true);
    let server = world.serve();
    let refused = world.command(&["journal", "switch", "--json"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    world.run_welcome();
    let runs = world.json(&["runs", "--json"]);
    let runs = runs["nodes"].as_array().unwrap();
    assert_eq!(runs.len(), 3);
    assert!(runs.iter().all(|run| run["status"] == "COMPLETED"), "{runs:?}");
    server.end("-TERM");

    // Back into another PostgreSQL; a remembered command is still remembered.
    let other = world.runtime.block_on(Database::create());
    let back = world.json(&["journal", "copy", "--to", other.url(), "--json"]);
    assert_eq!((&back["sound"], &back["compared"]), (&Value::from(true), &Value::from(0)), "{back}");
    let commands: Vec<i64> = world.runtime.block_on(async {
        let mut counts = Vec::new();
        for pool in [world.database.pool(), other.pool()] {
            let count = sqlx::query_scalar("SELECT count(command) FROM journal.events").fetch_one(pool).await;
            counts.push(count.unwrap());
        }
        counts
    });
    assert!(commands[0] > 0 && commands[1] > commands[0], "{commands:?}");
    // The first PostgreSQL is now only a beginning, and what is no beginning is refused.
    let old = json(in_postgres(&["journal", "copy", "--from", &url, "--to", "postgresql", "--json"]));
    assert_eq!(old["compared"].as_u64(), Some(count + second["copied"].as_u64().unwrap()), "{old}");
    let foreign = World::new();
    let server = foreign.serve();
    assert!(foreign.command(&["catalog", "load"]).output().unwrap().status.success());
    server.end("-TERM");
    let target = foreign.double.url();
    let refused = world.command(&["journal", "copy", "--to", &target, "--json"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let said: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(said["error"]["code"], "JOURNAL_NOT_PREFIX", "{said}");
}

#[test]
fn a_kurrentdb_that_is_not_there_is_named_without_its_password() {
    let home = Home::new();
    let database = tokio::runtime::Runtime::new().unwrap().block_on(Database::create());
    let mut command = home.command(&["serve", "--port", "0", "--simulate"]);
    command.env("DATABASE_URL", database.url());
    command.env("HISHAMOS_JOURNAL", "kurrentdb://admin:hidden@127.0.0.1:9?tls=false&maxDiscoverAttempts=2");
    let refused = command.output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("127.0.0.1:9") && !said.contains("hidden"), "{said}");
}

#[test]
fn read_models_that_are_ahead_of_a_restored_journal_are_not_used() {
    let world = World::new();
    let server = world.serve();
    assert!(world.command(&["catalog", "load"]).output().unwrap().status.success());
    until("the read models", || {
        let info = world.json(&["journal", "info", "--json"]);
        info["behind"].as_object().unwrap().values().all(|behind| behind == 0).then_some(())
    });
    server.end("-TERM");
    // What was recorded after the backup is gone: all of it, because what had begun would be finished from its first
    // write.
    world.double.store().forget_last(usize::MAX);
    let refused = world.command(&["serve", "--port", "0", "--simulate"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("hishamos journal switch"), "{refused:?}");
    assert!(world.command(&["journal", "switch"]).output().unwrap().status.success());
    let server = world.serve();
    assert!(world.command(&["catalog", "load"]).output().unwrap().status.success());
    world.run_welcome();
    server.end("-TERM");
}
