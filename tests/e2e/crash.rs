//! The program is killed, or frozen, while PostgreSQL holds back each append of a workflow in turn, once so that the append
//! is lost and once so that it is recorded but nobody hears of it. Whatever the moment, another program ends the run in
//! the same state, and no finished work is done again; who wakes up from its frost writes nothing that is not its own
//! any more. One workflow is the welcome of every installation; the other has every kind of step.

use std::process::{Child, Command, Stdio};

use serde_json::Value;
use sqlx::{Connection, PgConnection, Row};
use testkit::Database;

use crate::corpus::{Corpus, EVERY_KIND, WELCOME, final_state};
use crate::program::{Home, Server, send, until};

/// The advisory lock that holds an append back.
const HOLD: i64 = 4_242;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// The server process that was to record it is gone.
    Lost,
    /// It is recorded after the program has died.
    Recorded,
}

/// A home whose program keeps everything in a database of the test server.
struct World {
    home: Home,
    database: Database,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let database = runtime.block_on(Database::create());
        Self { home: Home::new(), database, runtime }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        command.env("DATABASE_URL", self.database.url());
        command
    }

    fn serve(&self) -> Server {
        self.home.serve_by(self.command(&["serve", "--port", "0", "--json", "--simulate"]))
    }

    /// Another program on the same database, soon convinced that a silent one is dead.
    fn serve_beside(&self, home: &Home) -> Server {
        let mut command = home.command(&["serve", "--port", "0", "--json", "--simulate"]);
        command.env("DATABASE_URL", self.database.url()).env("HISHAMOS_ENGINE__TAKEOVER_SECONDS", "1");
        home.serve_by(command)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)))
    }

    fn number(&self, sql: &'static str) -> i64 {
        self.runtime.block_on(async {
            let mut connection = PgConnection::connect(self.database.url()).await.unwrap();
            let row = sqlx::query(sql).fetch_one(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            row.get(0)
        })
    }

    fn head(&self) -> i64 {
        self.number("SELECT position FROM journal.head")
    }

    /// Whether the run, which starts first, has ended.
    fn has_ended(&self) -> bool {
        let ended = self.number(
            "SELECT count(*) FROM journal.events WHERE event_type IN ('run.completed', 'run.failed', 'run.cancelled')
             AND stream = (SELECT stream FROM journal.events WHERE event_type = 'run.started' ORDER BY position LIMIT 1)",
        );
        assert!(ended <= 1, "a run ends once");
        ended == 1
    }

    /// Loads what the run needs.
    fn load(&self, corpus: &Corpus) {
        corpus.load(&self.home, |arguments| self.command(arguments));
    }

    fn start(&self, corpus: &Corpus) -> Command {
        corpus.start(|arguments| self.command(arguments))
    }

    fn final_state(&self) -> Value {
        final_state(|arguments| self.json(arguments))
    }
}

#[test]
fn a_kill_at_any_append_changes_nothing_in_the_end() {
    kill_everywhere(&WELCOME);
}

#[test]
fn a_kill_at_any_append_of_any_kind_of_step_changes_nothing_in_the_end() {
    kill_everywhere(&EVERY_KIND);
}

#[test]
fn a_frost_at_any_append_of_any_kind_of_step_changes_nothing_in_the_end() {
    everywhere(&EVERY_KIND, frozen_at);
}

fn kill_everywhere(corpus: &Corpus) {
    everywhere(corpus, killed_at);
}

fn everywhere(corpus: &Corpus, strike: fn(&Corpus, i64, Fate, &Value)) {
    let world = World::new();
    let server = world.serve();
    world.load(corpus);
    let base = world.head();
    let done = world.start(corpus).arg("--watch").output().unwrap();
    assert_eq!(done.status.success(), corpus.status == "COMPLETED", "{}", String::from_utf8_lossy(&done.stderr));
    let expected = world.final_state();
    assert_eq!(expected["status"], corpus.status, "{expected}");
    assert!(expected["steps"].as_array().is_some_and(|steps| steps.iter().any(|step| step["output"].is_object())));
    let appends = appends(&world, base);
    assert!(appends.len() >= corpus.appends, "{appends:?}");
    drop(server);
    // A few worlds at a time: each is a program of its own.
    let cases: Vec<(i64, Fate)> =
        appends.iter().flat_map(|offset| [(*offset, Fate::Lost), (*offset, Fate::Recorded)]).collect();
    for group in cases.chunks(3) {
        std::thread::scope(|scope| {
            for (offset, fate) in group {
                scope.spawn(|| strike(corpus, *offset, *fate, &expected));
            }
        });
    }
}

/// Where each append of the run begins, counted from `base`.
fn appends(world: &World, base: i64) -> Vec<i64> {
    world.runtime.block_on(async {
        let mut connection = PgConnection::connect(world.database.url()).await.unwrap();
        sqlx::query_scalar(
            "SELECT min(position - events + 1) - $1 FROM journal.parts WHERE position > $1 GROUP BY xmin::text ORDER BY 1",
        )
        .bind(base)
        .fetch_all(&mut connection)
        .await
        .unwrap()
    })
}

/// An append that PostgreSQL holds back, and the process in PostgreSQL that was to record it.
struct Held {
    holder: PgConnection,
    backend: i32,
    position: i64,
}

impl Held {
    /// Lets the run go as far as the append that begins `offset` positions after now.
    fn at(world: &World, corpus: &Corpus, offset: i64) -> (Self, Child) {
        let position = world.head() + offset;
        let mut holder = world.runtime.block_on(async {
            let mut holder = PgConnection::connect(world.database.url()).await.unwrap();
            sqlx::query("SELECT pg_advisory_lock($1)").bind(HOLD).execute(&mut holder).await.unwrap();
            let trigger = format!(
                "CREATE FUNCTION hold_back() RETURNS trigger LANGUAGE plpgsql AS $$
                 BEGIN PERFORM pg_advisory_xact_lock({HOLD}); RETURN NEW; END $$;
                 CREATE TRIGGER hold_back BEFORE INSERT ON journal.parts
                     FOR EACH ROW WHEN (NEW.position - NEW.events + 1 = {position}) EXECUTE FUNCTION hold_back();"
            );
            sqlx::raw_sql(sqlx::AssertSqlSafe(trigger)).execute(&mut holder).await.unwrap();
            holder
        });
        let asking = world.start(corpus).arg("--watch").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let backend = until("the held append", || {
            world.runtime.block_on(async {
                sqlx::query_scalar(
                    "SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database
                     WHERE locktype = 'advisory' AND objid = $1 AND NOT granted AND datname = current_database()",
                )
                .bind(sqlx::postgres::types::Oid(u32::try_from(HOLD).unwrap()))
                .fetch_optional(&mut holder)
                .await
                .unwrap()
            })
        });
        (Self { holder, backend, position }, asking)
    }

    /// Lets its fate happen.
    fn release(mut self, world: &World, fate: Fate) {
        world.runtime.block_on(async {
            if fate == Fate::Lost {
                let kill = sqlx::query("SELECT pg_terminate_backend($1, 10000)").bind(self.backend);
                kill.execute(&mut self.holder).await.unwrap();
            }
            sqlx::query("SELECT pg_advisory_unlock($1)").bind(HOLD).execute(&mut self.holder).await.unwrap();
        });
        if fate == Fate::Recorded {
            until("the append to be recorded", || (world.head() >= self.position).then_some(()));
        }
        world.runtime.block_on(async {
            sqlx::raw_sql("DROP TRIGGER hold_back ON journal.parts").execute(&mut self.holder).await.unwrap();
        });
    }
}

fn killed_at(corpus: &Corpus, offset: i64, fate: Fate, expected: &Value) {
    let world = World::new();
    let server = world.serve();
    world.load(corpus);
    let base = world.head();
    let (held, mut asking) = Held::at(&world, corpus, offset);
    server.end("-KILL");
    let _ = asking.kill();
    asking.wait().unwrap();
    held.release(&world, fate);
    assert_eq!(world.head() >= base + offset, fate == Fate::Recorded, "{offset} {fate:?}");

    let server = world.serve();
    if world.head() == base {
        // The start itself was lost: nobody was told that there is a run, and there is none.
        assert_eq!((offset, fate), (1, Fate::Lost));
        assert!(world.start(corpus).output().unwrap().status.success());
    }
    until("the run's end", || world.has_ended().then_some(()));
    prove(&world, corpus, offset, fate, expected);
    drop(server);
}

/// Of two programs, the one with the run is frozen; the other takes the run and ends it; then the first wakes up.
fn frozen_at(corpus: &Corpus, offset: i64, fate: Fate, expected: &Value) {
    let (world, beside) = (World::new(), Home::new());
    let server = world.serve_beside(&world.home);
    world.load(corpus);
    let base = world.head();
    let (held, mut asking) = Held::at(&world, corpus, offset);
    send("-STOP", server.id());
    held.release(&world, fate);
    let other = world.serve_beside(&beside);
    if offset == 1 && fate == Fate::Lost {
        // The start itself was lost, and whoever asked for it still waits for the frozen program, which tries again.
        send("-CONT", server.id());
    }
    until("the run's end", || (world.head() > base && world.has_ended()).then_some(()));
    send("-CONT", server.id());
    // It answers again, which it does from the tables that the other has filled meanwhile.
    prove(&world, corpus, offset, fate, expected);
    let _ = asking.kill();
    asking.wait().unwrap();
    let (status, log) = server.end("-TERM");
    assert!(status.success(), "{log}");
    let (status, log) = other.end("-TERM");
    assert!(status.success(), "{log}");
    let ended = world.number(
        "SELECT count(*) FROM journal.events WHERE event_type IN ('run.completed', 'run.failed', 'run.cancelled')",
    );
    let started = world.number("SELECT count(*) FROM journal.events WHERE event_type = 'run.started'");
    assert_eq!(ended, started, "each run ends once, also after the frozen program has woken up");
}

/// The run has ended as it should, with nothing done twice.
fn prove(world: &World, corpus: &Corpus, offset: i64, fate: Fate, expected: &Value) {
    assert_eq!(world.final_state(), *expected, "append at {offset}, {fate:?}");
    let (tasks, answers) = corpus.tasks;
    assert_eq!(world.number("SELECT count(*) FROM journal.events WHERE event_type = 'task.created'"), tasks);
    assert_eq!(world.number("SELECT count(*) FROM journal.events WHERE event_type = 'task.completed'"), answers);
    assert_eq!(
        world.number("SELECT count(DISTINCT stream) FROM journal.events WHERE event_type = 'task.completed'"),
        answers
    );
    assert_eq!(world.number("SELECT count(*) FROM journal.events WHERE event_type = 'run.stalled'"), 0);
    assert_eq!(world.json(&["audit", "verify", "--json"])["sound"], true);
}
