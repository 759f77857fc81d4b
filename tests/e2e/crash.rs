//! The program is killed while PostgreSQL holds back each append of the welcome workflow in turn, once so that the
//! append is lost and once so that it is recorded but nobody hears of it. Whatever the moment, the next program ends
//! the run in the same state, and no finished work is done again.

use std::process::{Command, Stdio};

use serde_json::Value;
use sqlx::{Connection, PgConnection, Row};
use testkit::Database;

use crate::program::{Home, until};

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

    fn serve(&self) -> crate::program::Server {
        self.home.serve_by(self.command(&["serve", "--port", "0", "--json", "--simulate"]))
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

    fn ended_runs(&self) -> i64 {
        self.number(
            "SELECT count(*) FROM journal.events WHERE event_type IN ('run.completed', 'run.failed', 'run.cancelled')",
        )
    }

    /// What a finished run has to look like, whatever happened on the way.
    fn final_state(&self) -> Value {
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

#[test]
fn a_kill_at_any_append_changes_nothing_in_the_end() {
    let world = World::new();
    let server = world.serve();
    assert!(world.command(&["catalog", "load"]).output().unwrap().status.success());
    let base = world.head();
    let done = world.command(&["run", "welcome", "--input", "file=@README.md", "--watch"]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let expected = world.final_state();
    assert_eq!(expected["status"], "COMPLETED", "{expected}");
    assert!(expected["output"]["briefing"].is_string() && expected["steps"][2]["output"].is_object(), "{expected}");
    let appends = appends(&world, base);
    // The two steps that run side by side may be settled together.
    assert!(appends.len() >= 4, "the start, the claim, and the settled steps: {appends:?}");
    drop(server);
    // A few worlds at a time: each is a program of its own.
    let cases: Vec<(i64, Fate)> =
        appends.iter().flat_map(|offset| [(*offset, Fate::Lost), (*offset, Fate::Recorded)]).collect();
    for group in cases.chunks(3) {
        std::thread::scope(|scope| {
            for (offset, fate) in group {
                scope.spawn(|| killed_at(*offset, *fate, &expected));
            }
        });
    }
}

/// Where each append of the run begins, counted from `base`.
fn appends(world: &World, base: i64) -> Vec<i64> {
    world.runtime.block_on(async {
        let mut connection = PgConnection::connect(world.database.url()).await.unwrap();
        sqlx::query_scalar(
            "SELECT min(position) - $1 FROM journal.events WHERE position > $1 GROUP BY xmin::text ORDER BY 1",
        )
        .bind(base)
        .fetch_all(&mut connection)
        .await
        .unwrap()
    })
}

fn killed_at(offset: i64, fate: Fate, expected: &Value) {
    let world = World::new();
    let server = world.serve();
    assert!(world.command(&["catalog", "load"]).output().unwrap().status.success());
    let base = world.head();
    let mut holder = world.runtime.block_on(async {
        let mut holder = PgConnection::connect(world.database.url()).await.unwrap();
        sqlx::query("SELECT pg_advisory_lock($1)").bind(HOLD).execute(&mut holder).await.unwrap();
        let trigger = format!(
            "CREATE FUNCTION hold_back() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN PERFORM pg_advisory_xact_lock({HOLD}); RETURN NEW; END $$;
             CREATE TRIGGER hold_back BEFORE INSERT ON journal.events
                 FOR EACH ROW WHEN (NEW.position = {}) EXECUTE FUNCTION hold_back();",
            base + offset
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(trigger)).execute(&mut holder).await.unwrap();
        holder
    });
    let mut asking = world
        .command(&["run", "welcome", "--input", "file=@README.md", "--watch"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let held: i32 = until("the held append", || {
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
    server.end("-KILL");
    let _ = asking.kill();
    asking.wait().unwrap();
    world.runtime.block_on(async {
        if fate == Fate::Lost {
            sqlx::query("SELECT pg_terminate_backend($1, 10000)").bind(held).execute(&mut holder).await.unwrap();
        }
        sqlx::query("SELECT pg_advisory_unlock($1)").bind(HOLD).execute(&mut holder).await.unwrap();
    });
    if fate == Fate::Recorded {
        until("the append to be recorded", || (world.head() >= base + offset).then_some(()));
    }
    world.runtime.block_on(async {
        sqlx::raw_sql("DROP TRIGGER hold_back ON journal.events").execute(&mut holder).await.unwrap();
    });
    assert_eq!(world.head() >= base + offset, fate == Fate::Recorded, "{offset} {fate:?}");

    let server = world.serve();
    if world.head() == base {
        // The start itself was lost: nobody was told that there is a run, and there is none.
        assert_eq!((offset, fate), (1, Fate::Lost));
        assert!(world.command(&["run", "welcome", "--input", "file=@README.md"]).output().unwrap().status.success());
    }
    until("the run's end", || (world.ended_runs() == 1).then_some(()));
    assert_eq!(world.final_state(), *expected, "append at {offset}, {fate:?}");
    assert_eq!(world.number("SELECT count(*) FROM journal.events WHERE event_type = 'task.created'"), 3);
    assert_eq!(world.number("SELECT count(*) FROM journal.events WHERE event_type = 'task.attempt_succeeded'"), 3);
    assert_eq!(
        world.number("SELECT count(DISTINCT stream) FROM journal.events WHERE event_type = 'task.attempt_succeeded'"),
        3
    );
    assert_eq!(world.json(&["audit", "verify", "--json"])["sound"], true);
    drop(server);
}
