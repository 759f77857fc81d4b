//! What is personal about somebody can be given out and erased, and the record still holds.

use cluster::Cluster;
use serde_json::Value;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use crate::program::{Home, install_crypto, until};

const NAME: &str = "Ada Lovelace";
const MARK: &str = "zq7-vienna";

/// Whether a file, or any file in a folder, holds some bytes.
fn holds(path: &std::path::Path, wanted: &str) -> bool {
    if path.is_dir() {
        return std::fs::read_dir(path).unwrap().any(|entry| holds(&entry.unwrap().path(), wanted));
    }
    std::fs::read(path).unwrap().windows(wanted.len()).any(|part| part == wanted.as_bytes())
}

/// Every table of the database with a row that holds some text, also as bytes.
fn tables_with(home: &Home, wanted: &str) -> Vec<String> {
    install_crypto();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = Cluster::running(&home.data()).unwrap().unwrap().url();
        let mut database = PgConnection::connect(&url).await.unwrap();
        let tables = "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
                      WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE'";
        let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut database).await.unwrap();
        assert!(tables.iter().any(|table| table == "journal.parts") && tables.len() > 10, "{tables:?}");
        let bytes: String = wanted.bytes().map(|byte| format!("{byte:02x}")).collect();
        let mut found = Vec::new();
        for table in tables {
            let query = format!("SELECT count(*) FROM {table} AS t WHERE t::text LIKE $1 OR t::text LIKE $2");
            let query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(query));
            let rows = query.bind(format!("%{wanted}%")).bind(format!("%{bytes}%")).fetch_one(&mut database).await;
            if rows.unwrap() > 0 {
                found.push(table);
            }
        }
        found
    })
}

#[test]
fn what_is_personal_is_sealed_exported_and_erased_and_every_seal_holds() {
    let home = Home::new();
    home.write("hishamos.toml", "[seals]\nwithin_seconds = 1\n");
    let server = home.serve(&["--simulate"]);
    home.run(&["catalog", "load"]).expect(0);
    let letter = format!("file=A letter of {MARK}");
    let about = ["run", "welcome", "--input", &letter, "--subject", NAME, "--watch", "--json"];
    let run = home.run(&about).expect(0).json()["runId"].as_str().unwrap().to_owned();
    home.run(&["run", "welcome", "--input", "file=about nobody", "--watch"]).expect(0);
    home.run(&["run", "welcome", "--input", &letter, "--subject", " "]).expect(2);

    // Everybody who may read, reads it; the journal itself does not show it.
    assert!(home.run(&["show", &run, "--json"]).expect(0).out().contains(MARK));
    assert!(home.run(&["audit", "replay", &run, "--json"]).expect(0).out().contains(MARK));
    let known = home.run(&["privacy", "list", "--json"]).expect(0).json();
    assert_eq!(known["subjects"][0]["name"], NAME);
    let kept = home.run(&["privacy", "export", NAME]).expect(0).json();
    assert_eq!(kept["runs"], serde_json::json!([run]));
    let types: Vec<&str> =
        kept["events"].as_array().unwrap().iter().filter_map(|event| event["type"].as_str()).collect();
    for wanted in ["run.started", "task.created", "task.attempt_succeeded", "run.step_completed", "run.completed"] {
        assert!(types.contains(&wanted), "{wanted} is not among {types:?}");
    }
    assert!(kept.to_string().contains(MARK));
    let bundle = home.path().join("before.tar");
    home.run(&["audit", "export", bundle.to_str().unwrap()]).expect(0);
    assert!(!holds(&bundle, MARK) && !holds(&bundle, NAME), "nothing personal is in a bundle");
    assert!(holds(&bundle, "about nobody"));
    home.run(&["audit", "verify"]).expect(0);
    let readable = tables_with(&home, MARK);
    assert!(!readable.is_empty() && readable.iter().all(|table| table.starts_with("read_")), "{readable:?}");
    assert_eq!(tables_with(&home, NAME), ["privacy.subjects"]);
    assert!(tables_with(&home, "about nobody").contains(&"journal.parts".to_owned()));

    // Erased, everywhere.
    let asked = home.run(&["privacy", "erase", NAME]).expect(2);
    assert!(asked.err().contains("--yes"), "{}", asked.all());
    home.run(&["privacy", "erase", NAME, "--yes"]).expect(0);
    home.run(&["privacy", "export", NAME]).expect(2);
    let reads = |home: &Home| {
        let shown = home.run(&["show", &run, "--json"]).expect(0);
        assert!(!shown.out().contains(MARK) && shown.out().contains("[erased]"), "{}", shown.out());
        let replayed = home.run(&["audit", "replay", &run, "--json"]).expect(0);
        assert!(!replayed.out().contains(MARK) && replayed.out().contains("[erased]"), "{}", replayed.out());
        let log = home.run(&["audit", "log", "--json"]).expect(0).out();
        assert!(!log.contains(MARK) && !log.contains(NAME) && log.contains("subject.erased"));
        home.run(&["audit", "verify"]).expect(0);
    };
    reads(&home);
    for gone in [MARK, NAME] {
        assert_eq!(tables_with(&home, gone), Vec::<String>::new(), "{gone}");
    }
    assert!(home.run(&["runs", "--json"]).expect(0).out().contains(&run), "the run itself is still listed");

    // Also after a restart, and the same name is somebody new.
    let (status, log) = server.end("-TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    let server = home.serve(&["--simulate"]);
    reads(&home);
    let again = home.run(&about).expect(0).json()["runId"].as_str().unwrap().to_owned();
    let kept = home.run(&["privacy", "export", NAME]).expect(0).json();
    assert_eq!(kept["runs"], serde_json::json!([again]));
    let known = home.run(&["privacy", "list", "--json"]).expect(0).json();
    let names: Vec<&Value> = known["subjects"].as_array().unwrap().iter().map(|known| &known["name"]).collect();
    assert_eq!(names, [&Value::from(NAME), &Value::Null]);
    let (status, log) = server.end("-TERM");
    assert_eq!(status.code(), Some(0), "{log}");
}

/// Steps of every kind, each with something personal in it.
const FLOW: &str = r#"
key: personal-matter
name: A personal matter
description: Holds something personal in steps of every kind.
department: operations
input_schema:
  type: object
  required: [secret]
  properties: { secret: { type: string }, nothing: { type: string } }
steps:
  - name: listed
    title: Do it for each
    agent: analyst
    template: list-key-points
    for_each: { over: "[input.secret, input.secret]" }
    input: { document: item }
  - name: skipped
    title: Not this time
    when: "input.nothing"
    agent: analyst
    template: list-key-points
    input: { document: input.secret }
  - name: asked
    title: May it go on?
    needs: [listed, skipped]
    approval: { question: May it go on?, approvers: [anyone], own_run: true, content: { text: input.secret } }
  - name: told
    title: Wait for word
    needs: [asked]
    signal: word
  - name: other
    title: Another run
    needs: [told]
    run: { workflow: welcome, input: { file: input.secret } }
"#;

#[test]
fn whatever_happens_in_a_run_about_somebody_is_sealed() {
    let home = Home::new();
    home.write("own/workflows/personal-matter.yaml", FLOW);
    let server = home.serve(&["--simulate"]);
    home.run(&["catalog", "load"]).expect(0);
    home.run(&["catalog", "load", "own"]).expect(0);
    let input = format!("secret={MARK} is the word");
    let start = || {
        let about = ["run", "personal-matter", "--input", &input, "--subject", NAME, "--json"];
        home.run(&about).expect(0).json()["runId"].as_str().unwrap().to_owned()
    };
    let asks = |run: &str| {
        until("an approval", || home.run(&["approvals", "--json"]).expect(0).out().contains(run).then_some(()));
    };
    let run = start();
    asks(&run);
    home.run(&["pause", &run, "--reason", MARK]).expect(0);
    home.run(&["resume", &run]).expect(0);
    home.run(&["approve", &run, "--comment", MARK]).expect(0);
    home.run(&["signal", &run, "word", &format!("{{\"text\": \"{MARK}\"}}")]).expect(0);
    let ended = |run: &str| {
        until("the end of the run", || {
            let status = home.run(&["show", run, "--json"]).expect(0).json()["status"].as_str()?.to_lowercase();
            ["completed", "failed", "cancelled"].contains(&&*status).then_some(status)
        })
    };
    assert_eq!(ended(&run), "completed");
    let branch = home.run(&["rerun", &run, "--from", "asked", "--json"]).expect(0).json();
    let branch = branch["runId"].as_str().unwrap().to_owned();
    asks(&branch);
    let refused = home.run(&["privacy", "erase", NAME, "--yes"]).expect(2);
    assert!(refused.err().contains(&branch), "{}", refused.all());
    home.run(&["cancel", &branch, "--reason", MARK]).expect(0);
    assert_eq!(ended(&branch), "cancelled");
    let rejected = start();
    asks(&rejected);
    home.run(&["reject", &rejected, "--comment", MARK]).expect(0);
    assert_eq!(ended(&rejected), "failed");

    // Three, and the run within the first.
    let kept = home.run(&["privacy", "export", NAME]).expect(0).json();
    assert_eq!(kept["runs"].as_array().unwrap().len(), 4, "{}", kept["runs"]);
    let kinds: std::collections::BTreeSet<&str> =
        kept["events"].as_array().unwrap().iter().filter_map(|event| event["type"].as_str()).collect();
    for kind in [
        "run.items_planned",
        "run.item_completed",
        "run.step_skipped",
        "run.approval_requested",
        "run.approval_decided",
        "run.signal_received",
        "run.paused",
        "run.cancel_requested",
        "run.cancelled",
        "run.step_failed",
        "run.failed",
    ] {
        assert!(kinds.contains(kind), "{kind} is not among {kinds:?}");
    }
    let readable = tables_with(&home, MARK);
    assert!(!readable.is_empty() && readable.iter().all(|table| table.starts_with("read_")), "{readable:?}");
    home.run(&["privacy", "erase", NAME, "--yes"]).expect(0);
    assert_eq!(tables_with(&home, MARK), Vec::<String>::new());
    for run in [&run, &branch, &rejected] {
        assert!(!home.run(&["audit", "replay", run, "--json"]).expect(0).out().contains(MARK));
        home.run(&["show", run]).expect(0);
    }
    home.run(&["audit", "verify"]).expect(0);
    let (status, log) = server.end("-TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains(MARK), "{log}");
}
