//! The whole system with its journal in KurrentDB, which is here a protocol double.
//!
//! The program is killed while the double holds back each write of a workflow in turn, once so that the write is lost and
//! once so that it is made but nobody hears of it. Whatever the moment, the next program ends the run in the same state,
//! and no finished work is done again; or it is frozen, and another takes the run over. The workflows are those that it is killed in over PostgreSQL: the welcome of every
//! installation, and one with every kind of step.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use testkit::Database;
use testkit::kurrent::{Authority, Held, KurrentDouble, Security, Written};

use crate::corpus::{Corpus, EVERY_KIND, WELCOME, final_state};
use crate::program::{Home, Server, send, until};

/// A home whose program keeps its journal in a double and its read models in a database of the test server.
pub(crate) struct World {
    pub(crate) home: Home,
    database: Database,
    pub(crate) double: KurrentDouble,
    runtime: tokio::runtime::Runtime,
}

impl World {
    pub(crate) fn new() -> Self {
        // The double answers while the test waits for the program.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (database, double) = runtime.block_on(async { (Database::create().await, KurrentDouble::start().await) });
        Self { home: Home::new(), database, double, runtime }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(&self.home, arguments)
    }

    /// The same from another home.
    pub(crate) fn command_of(&self, home: &Home, arguments: &[&str]) -> Command {
        let mut command = home.command(arguments);
        command.env("DATABASE_URL", self.database.url()).env("HISHAMOS_JOURNAL", self.double.url());
        command
    }

    pub(crate) fn serve(&self) -> Server {
        self.home.serve_by(self.command(&["serve", "--port", "0", "--json", "--simulate"]))
    }

    /// A program of another home on the same journal and read models, soon convinced that a silent one is dead.
    pub(crate) fn serve_beside(&self, home: &Home) -> Server {
        let mut command = self.command_of(home, &["serve", "--port", "0", "--json", "--simulate"]);
        command.env("HISHAMOS_ENGINE__TAKEOVER_SECONDS", "1");
        home.serve_by(command)
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        json(self.command(arguments))
    }

    /// How many events of a type there are.
    pub(crate) fn count(&self, event_type: &str) -> usize {
        self.double.store().events().iter().filter(|event| event.event_type == event_type).count()
    }

    /// The last events, for the message of a failed assertion.
    fn last_events(&self) -> Vec<String> {
        let events = self.double.store().events();
        events.iter().rev().take(12).rev().map(|event| format!("{} {}", event.stream, event.event_type)).collect()
    }

    /// Whether the run, which starts first, has ended.
    fn has_ended(&self) -> bool {
        let events = self.double.store().events();
        let Some(run) = events.iter().find(|event| event.event_type == "run.started") else { return false };
        let ends = ["run.completed", "run.failed", "run.cancelled"];
        let ended = |event: &&Arc<Written>| event.stream == run.stream && ends.contains(&event.event_type.as_str());
        let count = events.iter().filter(ended).count();
        assert!(count <= 1, "a run ends once");
        count == 1
    }

    pub(crate) fn load(&self, corpus: &Corpus) {
        corpus.load(&self.home, |arguments| self.command(arguments));
    }

    fn start(&self, corpus: &Corpus) -> Command {
        corpus.start(|arguments| self.command(arguments))
    }

    fn run_welcome(&self) {
        let done = self.start(&WELCOME).arg("--watch").output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn final_state(&self) -> Value {
        final_state(|arguments| self.json(arguments))
    }
}

fn json(mut command: Command) -> Value {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn everything_works() {
    let world = World::new();
    let server = world.serve();
    world.load(&WELCOME);
    let before = world.double.store().events().len();
    world.run_welcome();
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
    assert_eq!((&info["events"], &info["streams"]), (&verified["events"], &verified["streams"]), "{info}");
    assert_eq!(info["head"], verified["position"], "{info}");
    assert_eq!(info["behind"]["read model runs"], 0, "{info}");
    assert!(info["bytes"].as_u64() > Some(10_000), "{info}");
    assert_eq!(info["streamsByCategory"]["run"], 1, "{info}");
    let told = world.command(&["journal", "info"]).output().unwrap();
    let told = String::from_utf8_lossy(&told.stdout);
    for word in ["KurrentDB: kurrentdb://", "head", "events", "streams", "size", "behind    read model runs: 0 events"]
    {
        assert!(told.contains(word), "{word}: {told}");
    }
    // What somebody changed is named, and the exit code tells damage.
    let event =
        world.double.store().events().into_iter().rev().find(|event| event.event_type == "run.completed").unwrap();
    world.double.store().tamper(event.position, |event| {
        event.data = [&event.data[..], b"x"].concat().into();
    });
    let damaged = world.command(&["audit", "verify"]).output().unwrap();
    assert_eq!(damaged.status.code(), Some(1));
    drop(server);
}

#[test]
fn a_kill_at_any_write_changes_nothing_in_the_end() {
    // The start with its note, the claim, and the settled steps.
    kill_everywhere(&WELCOME, 10);
}

#[test]
fn a_kill_at_any_write_of_any_kind_of_step_changes_nothing_in_the_end() {
    kill_everywhere(&EVERY_KIND, 20);
}

#[test]
fn a_frost_at_any_write_of_any_kind_of_step_changes_nothing_in_the_end() {
    everywhere(&EVERY_KIND, 20, |at| vec![(at, at % 2 == 0)], frozen_at);
}

/// Kills the program at every write of a run, of which there are at least so many. Whether the write is made alternates,
/// unless both are asked for: each world takes seconds.
fn kill_everywhere(corpus: &Corpus, at_least: usize) {
    let cases: fn(usize) -> Vec<(usize, bool)> = match std::env::var_os("HISHAMOS_TEST_EVERY_FATE") {
        Some(_) => |at| vec![(at, false), (at, true)],
        None => |at| vec![(at, at % 2 == 1)],
    };
    everywhere(corpus, at_least, cases, killed_at);
}

fn everywhere(
    corpus: &Corpus,
    at_least: usize,
    cases: fn(usize) -> Vec<(usize, bool)>,
    strike: fn(&Corpus, usize, bool, &Value),
) {
    let world = World::new();
    let server = world.serve();
    world.load(corpus);
    let before = world.double.faults().writes();
    let done = world.start(corpus).arg("--watch").output().unwrap();
    assert_eq!(done.status.success(), corpus.status == "COMPLETED", "{}", String::from_utf8_lossy(&done.stderr));
    let expected = world.final_state();
    assert_eq!(expected["status"], corpus.status, "{expected}");
    let writes = world.double.faults().writes() - before;
    drop(server);
    assert!(writes >= at_least, "{writes}");
    // A few worlds at a time: each is a program of its own.
    let cases: Vec<(usize, bool)> = (0..writes).flat_map(cases).collect();
    for group in cases.chunks(4) {
        std::thread::scope(|scope| {
            for (at, written) in group {
                scope.spawn(|| strike(corpus, *at, *written, &expected));
            }
        });
    }
}

/// A write that the double holds back, while the run waits for it.
struct Struck {
    held: Held,
    asking: Child,
    what: String,
}

impl Struck {
    /// Lets the run go as far as its write number `at`, which is made already when `written`.
    fn at(world: &World, corpus: &Corpus, at: usize, written: bool) -> Self {
        let mut held = world.double.faults().hold(at, written);
        let mut command = world.start(corpus);
        let asking = command.arg("--watch").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Steps that run side by side may be settled together, with fewer writes.
        let reached = world.runtime.block_on(async {
            loop {
                if tokio::time::timeout(Duration::from_millis(500), held.reached()).await.is_ok() {
                    return true;
                }
                if world.has_ended() {
                    return false;
                }
            }
        });
        let what = format!("write {at}, written: {written}, reached: {reached}");
        Self { held, asking, what }
    }
}

fn killed_at(corpus: &Corpus, at: usize, written: bool, expected: &Value) {
    let world = World::new();
    let server = world.serve();
    world.load(corpus);
    let Struck { held, mut asking, what } = Struck::at(&world, corpus, at, written);
    server.end("-KILL");
    held.release(false);
    let _ = asking.kill();
    asking.wait().unwrap();

    let server = world.serve();
    if world.count("run.started") == 0 {
        // The start itself was lost: nobody was told that there is a run, and there is none.
        assert_eq!((at, written), (0, false), "{what}; the last events: {:?}", world.last_events());
        assert!(world.start(corpus).output().unwrap().status.success());
    }
    until("the run's end", || world.has_ended().then_some(()));
    prove(&world, corpus, expected, &what);
    drop(server);
}

/// Of two programs, the one with the run is frozen; the other takes the run and ends it; then the first wakes up.
fn frozen_at(corpus: &Corpus, at: usize, written: bool, expected: &Value) {
    let (world, beside) = (World::new(), Home::new());
    let server = world.serve_beside(&world.home);
    world.load(corpus);
    let Struck { held, mut asking, what } = Struck::at(&world, corpus, at, written);
    send("-STOP", server.id());
    held.release(false);
    let other = world.serve_beside(&beside);
    if world.count("run.started") == 0 {
        // The start itself was lost, and whoever asked for it still waits for the frozen program, which tries again.
        assert_eq!((at, written), (0, false), "{what}");
        send("-CONT", server.id());
    }
    until("the run's end", || world.has_ended().then_some(()));
    send("-CONT", server.id());
    // It answers again, which it does from the tables that the other has filled meanwhile.
    prove(&world, corpus, expected, &what);
    let _ = asking.kill();
    asking.wait().unwrap();
    for server in [server, other] {
        let (status, log) = server.end("-TERM");
        assert!(status.success(), "{log}");
        assert!(!log.contains("what was written of it stays"), "{what}: {log}");
    }
    let ended: usize = ["run.completed", "run.failed", "run.cancelled"].iter().map(|end| world.count(end)).sum();
    assert_eq!(
        ended,
        world.count("run.started"),
        "each run ends once, also after the frozen program has woken up: {what}"
    );
    assert_eq!(world.count("task.created"), usize::try_from(corpus.tasks.0).unwrap(), "{what}");
}

/// The run has ended as it should, with nothing done twice.
fn prove(world: &World, corpus: &Corpus, expected: &Value, what: &str) {
    assert_eq!(world.final_state(), *expected, "{what}");
    let (tasks, answers) = corpus.tasks;
    for (event_type, count) in [("task.created", tasks), ("task.completed", answers), ("run.stalled", 0)] {
        assert_eq!(world.count(event_type), usize::try_from(count).unwrap(), "{event_type}: {what}");
    }
    assert_eq!(world.json(&["audit", "verify", "--json"])["sound"], true, "{what}");
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
fn a_copy_follows_until_it_is_ended_and_goes_on_after_a_kill() {
    let world = World::new();
    let url = world.double.url();
    let in_postgres = |arguments: &[&str]| {
        let mut command = world.command(arguments);
        command.env_remove("HISHAMOS_JOURNAL");
        command
    };
    let server = world.home.serve_by(in_postgres(&["serve", "--port", "0", "--json", "--simulate"]));
    assert!(in_postgres(&["catalog", "load"]).output().unwrap().status.success());
    let copy: &[&str] = &["journal", "copy", "--from", "postgresql", "--to", &url, "--json"];
    // Killed in the middle of a write, whether that is made or not, it is a beginning.
    for (at, written) in [(20, false), (20, true)] {
        let mut held = world.double.faults().hold(at, written);
        let mut copying = in_postgres(copy).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        world.runtime.block_on(held.reached());
        copying.kill().unwrap();
        copying.wait().unwrap();
        held.release(false);
    }
    let there = world.count("agent.registered");
    assert!(there > 10, "{there}");
    let mut follow = in_postgres(&[copy, &["--follow"]].concat());
    let following = follow.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    until("the catalogue in the copy", || (world.count("trigger.set") > 0).then_some(()));
    // What happens meanwhile comes after.
    world.run_welcome();
    until("the run in the copy", || world.has_ended().then_some(()));
    let (status, log) = server.end("-TERM");
    assert!(status.success(), "{log}");
    send("-INT", following.id());
    let done = following.wait_with_output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let done: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&done["sound"], &done["from"]["events"]), (&Value::from(true), &done["to"]["events"]), "{done}");
    assert!(done["compared"].as_u64() > Some(10) && done["copied"].as_u64() > Some(100), "{done}");
    assert!(done["eventsPerSecond"].as_f64() > Some(0.0), "{done}");
    let again = json(in_postgres(copy));
    assert_eq!((&again["copied"], &again["compared"]), (&Value::from(0), &done["to"]["events"]), "{again}");
    // Once more for people, who are told what is there; and whoever interrupts a copy is told that it can go on.
    let told = in_postgres(&copy[..copy.len() - 1]).output().unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("events/s") && told.contains("every chain holds on both sides"), "{told}");
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
    assert!(said.contains("127.0.0.1:9: cannot be reached") && !said.contains("hidden"), "{said}");
}

#[test]
fn a_kurrentdb_that_lets_nobody_in_says_why_at_the_edge() {
    let home = Home::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let authority = Authority::new("The cluster's authority");
    let login = Some(("admin".to_owned(), "right h#rse".to_owned()));
    let security = Security { identity: Some(authority.certify(&["127.0.0.1"])), login, ..Security::default() };
    let (database, double) =
        runtime.block_on(async { (Database::create().await, KurrentDouble::start_secured(security).await) });
    home.write("ca.crt", authority.certificate());
    home.write("other.crt", Authority::new("Somebody else").certificate());
    home.write("none.crt", "nothing\n");
    let command = |arguments: &[&str], login: &str, file: &str| {
        let mut command = home.command(arguments);
        let file = home.path().join(file);
        let url =
            format!("kurrentdb://{login}@{}?maxDiscoverAttempts=2&tlsCaFile={}", double.address(), file.display());
        command.env("DATABASE_URL", database.url()).env("HISHAMOS_JOURNAL", url);
        command
    };
    for (login, file, why) in [
        ("admin:right%20h%23rse", "other.crt", "was not issued by an authority in"),
        ("admin:right%20h%23rse", "none.crt", "it holds no certificate"),
        ("admin:wrong%20h%23rse", "ca.crt", "the user or the password is wrong"),
    ] {
        for arguments in [&["serve", "--port", "0", "--simulate"][..], &["journal", "info"]] {
            let refused = command(arguments, login, file).output().unwrap();
            let said = String::from_utf8_lossy(&refused.stderr);
            assert_eq!(refused.status.code(), Some(3), "{said}");
            assert!(said.contains(why) && !said.contains("rse@") && !said.contains("h#rse"), "{why}: {said}");
        }
    }
    let mut misspelt = home.command(&["journal", "info", "--url", "kurrentdb://a:s3cret@127.0.0.1:9?tlsCa=x"]);
    let refused = misspelt.env("DATABASE_URL", database.url()).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("`tlsCa`") && said.contains("tlsCaFile") && !said.contains("s3cret"), "{said}");
    // And with everything right, it works.
    let server =
        home.serve_by(command(&["serve", "--port", "0", "--json", "--simulate"], "admin:right%20h%23rse", "ca.crt"));
    assert!(command(&["catalog", "load"], "admin:right%20h%23rse", "ca.crt").output().unwrap().status.success());
    server.end("-TERM");
    let info = json(command(&["journal", "info", "--json"], "admin:right%20h%23rse", "ca.crt"));
    assert!(info["events"].as_u64() > Some(100) && !info.to_string().contains("h%23rse"), "{info}");
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
