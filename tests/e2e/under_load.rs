//! Many runs at once, and a database that dies under them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::program::{Home, Server, install_crypto, send, until};

fn ask(server: &Server, query: &str, variables: Value) -> Option<Value> {
    let body = json!({ "query": query, "variables": variables });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        let answer = client.post(format!("{}/graphql", server.url)).json(&body).send().await.ok()?;
        let answer: Value = answer.json().await.ok()?;
        answer.get("errors").is_none().then(|| answer["data"].clone())
    })
}

const START: &str = "mutation($input: StartRunInput!) { startRun(input: $input) { runId repeated } }";

fn start(server: &Server, command: uuid::Uuid) -> Option<Value> {
    let input = json!({ "clientMutationId": command, "workflow": "welcome", "input": { "file": "hello" } });
    ask(server, START, json!({ "input": input }))
}

fn counts(server: &Server) -> Option<Vec<(String, u64)>> {
    let data = ask(server, "{ journalHead }", json!({}))?;
    let query = "query($position: Position) { runCounts(minPosition: $position) { status count } }";
    let data = ask(server, query, json!({ "position": data["journalHead"] }))?;
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0);
    let counts = data["runCounts"].as_array()?.iter();
    Some(counts.map(|entry| (entry["status"].as_str().unwrap().to_owned(), number(&entry["count"]))).collect())
}

fn all_completed(server: &Server, wanted: u64) -> Option<()> {
    (counts(server)? == [("COMPLETED".to_owned(), wanted)]).then_some(())
}

#[test]
fn a_hundred_runs_at_once_all_complete() {
    install_crypto();
    let home = Home::new();
    let server = home.serve(&["--simulate"]);
    home.run(&["catalog", "load"]).expect(0);
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| (0..10).for_each(|_| assert!(start(&server, uuid::Uuid::now_v7()).is_some())));
        }
    });
    until("100 completed runs", || all_completed(&server, 100));
}

/// Callers repeat their commands under the same ids until they get an answer; no run is lost, none comes twice.
#[test]
fn runs_survive_a_postgresql_that_is_killed_under_them() {
    install_crypto();
    let home = Home::new();
    let server = home.serve(&["--simulate"]);
    home.run(&["catalog", "load"]).expect(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let command = uuid::Uuid::now_v7();
                    until("an answer", || start(&server, command));
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..3 {
                std::thread::sleep(Duration::from_millis(400));
                let killed = home.postgres();
                if let Some(killed) = killed {
                    send("-KILL", killed);
                }
                until("another PostgreSQL", || home.postgres().filter(|pid| Some(*pid) != killed));
            }
        });
    });
    until("80 completed runs", || all_completed(&server, 80));
    let (status, log) = server.end("-TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    let verified = home.run(&["audit", "verify", "--json"]).expect(0).json();
    assert_eq!(verified["sound"], true, "{verified}");
}

/// As when the machine loses power: program and PostgreSQL are gone at the same moment, several times, in the middle of
/// the work. Whoever was told that a run has started finds it completed in the end.
#[test]
fn runs_survive_that_program_and_postgresql_are_killed_together() {
    install_crypto();
    let home = Home::new();
    let mut server = home.serve(&["--simulate"]);
    home.run(&["catalog", "load"]).expect(0);
    for round in 0..3 {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5).for_each(|_| assert!(start(&server, uuid::Uuid::now_v7()).is_some())));
            }
        });
        let postgres = home.postgres().unwrap();
        send("-KILL", server.id());
        send("-KILL", postgres);
        let (status, _) = server.end("-KILL");
        assert!(!status.success(), "round {round}");
        server = home.serve(&["--simulate"]);
    }
    until("60 completed runs", || all_completed(&server, 60));
    let (status, log) = server.end("-TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    let verified = home.run(&["audit", "verify", "--json"]).expect(0).json();
    assert_eq!(verified["sound"], true, "{verified}");
}
