//! The audit trail, from the first event to a bundle on another machine.

use serde_json::Value;

use crate::program::{Home, until};

/// The lines of an answer, each an object.
fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_happened_is_listed_explained_sealed_proved_exported_and_imported() {
    let home = Home::new();
    home.write("hishamos.toml", "[seals]\nwithin_seconds = 1\ncopy_to = \"seals.jsonl\"\n");
    let server = home.serve(&["--simulate"]);
    home.run(&["catalog", "load"]).expect(0);
    home.run(&["run", "welcome", "--input", "file=hello", "--watch"]).expect(0);

    // What happened.
    let started = lines(&home.run(&["audit", "log", "--type", "run.started", "--json"]).expect(0).out());
    assert_eq!(started.len(), 1);
    let run = started[0]["data"]["id"].as_str().unwrap().to_owned();
    let of_run = ["audit", "log", "--stream", &format!("run-{run}"), "--json"];
    let of_run = lines(&home.run(&of_run).expect(0).out());
    assert_eq!(of_run.last().unwrap()["type"], "run.completed");
    let table = home.run(&["audit", "log", "--actor", "person:operator", "--type", "run.*", "--csv"]).expect(0).out();
    assert!(table.starts_with("position,recorded_at,type,") && table.contains(",run.started,"), "{table}");
    let none = home.run(&["audit", "log", "--until", "2020-01-01T00:00:00Z"]).expect(0);
    assert_eq!(none.out(), "");
    let wrong = home.run(&["audit", "log", "--type", "run.begun"]).expect(2);
    assert!(wrong.err().contains("no event type `run.begun`"), "{}", wrong.all());
    let limited = home.run(&["audit", "log", "--limit", "3"]).expect(0);
    assert_eq!(limited.out().lines().count(), 3);
    let stats = home.run(&["audit", "stats", "--json"]).expect(0).json();
    assert_eq!(stats["eventsByType"]["run.started"], 1);

    // Why, and how.
    let last = of_run.last().unwrap();
    let why = home.run(&["audit", "why", last["event"].as_str().unwrap(), "--json"]).expect(0).json();
    assert_eq!(why["begunBy"], "person:operator", "{why}");
    assert!(why["chain"].as_array().unwrap().iter().any(|link| link["type"] == "run.started"), "{why}");
    let at = of_run[1]["position"].as_str().unwrap();
    let early = home.run(&["audit", "replay", &run, "--at", at, "--json"]).expect(0).json();
    let whole = home.run(&["audit", "replay", &run, "--json"]).expect(0).json();
    assert!(early.as_array().unwrap().len() < whole.as_array().unwrap().len());
    let changes = whole.as_array().unwrap().last().unwrap()["changes"].as_array().unwrap();
    assert!(changes.iter().any(|change| change["path"] == "status" && change["after"] == "completed"), "{changes:?}");
    // Two of them beside each other, as the server compares them.
    home.run(&["run", "welcome", "--input", "file=bye", "--watch"]).expect(0);
    let started = lines(&home.run(&["audit", "log", "--type", "run.started", "--json"]).expect(0).out());
    let other = started.last().unwrap()["data"]["id"].as_str().unwrap().to_owned();
    assert_ne!(other, run);
    let asked = home.run(&["diff", &run, &other, "--json"]).expect(0).json();
    let compared = |home: &Home| home.run(&["audit", "diff", &run, &other, "--json"]).expect(0).json();
    assert_eq!(compared(&home), asked);
    assert_eq!((&asked["sameInput"], &asked["a"]["run"]["status"]), (&Value::Bool(false), &"COMPLETED".into()));
    let shown = home.run(&["diff", &run, &other]).expect(0).out();
    assert_eq!(home.run(&["audit", "diff", &run, &other]).expect(0).out(), shown);
    let nobody = home.run(&["audit", "diff", &run, "00000000-0000-7000-8000-000000000000"]).expect(2);
    assert!(nobody.err().contains("there is no such run"), "{}", nobody.all());
    let told = home.run(&["audit", "replay", &run]).expect(0).out();
    assert!(told.contains("~ status: \"running\" → \"completed\""), "{told}");

    // What was refused: over HTTP, and beside the server.
    home.run(&["run", "no-such-flow"]).expect(2);
    home.run(&["trigger", "pause", "no-such-trigger", "--reason", "s3cr3t"]).expect(2);
    let refusals = until("two refusals", || {
        let told = home.run(&["audit", "refusals", "--actor", "person", "--json"]).expect(0).json();
        let told = told["refusals"].as_array()?.clone();
        (told.len() == 2).then_some(told)
    });
    let codes: Vec<&str> = refusals.iter().map(|refusal| refusal["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"WORKFLOW_NOT_FOUND") && codes.contains(&"TRIGGER_NOT_FOUND"), "{refusals:?}");
    let told = home.run(&["audit", "refusals", "--code", "WORKFLOW_NOT_FOUND"]).expect(0).out();
    assert!(told.contains("of no-such-flow  by person:operator"), "{told}");
    assert!(!home.run(&["audit", "log", "--type", "denial.*", "--json"]).expect(0).out().contains("s3cr3t"));

    // Sealed, by one key and then another.
    let position: u64 = last["position"].as_str().unwrap().parse().unwrap();
    let verify = |home: &Home| home.run(&["audit", "verify", "--json"]).expect(0).json();
    let sealed = |home: &Home| verify(home)["seals"]["sealedEvents"].as_u64().unwrap();
    until("a seal", || (sealed(&home) >= position).then_some(()));
    let keys = home.run(&["audit", "keys", "--json"]).expect(0).json();
    assert_eq!(keys["secretAtHand"], true);
    let first = keys["keys"][0]["key"].as_str().unwrap().to_owned();
    let rotated = home.run(&["audit", "rotate-key", "--json"]).expect(0).json();
    assert_eq!(rotated["retired"], first.as_str());
    until("a seal with the new key", || {
        let seals = verify(&home)["seals"].take();
        (seals["keys"].as_array()?.len() == 2 && seals["seals"].as_u64()? >= 2).then_some(())
    });

    // One event, to somebody who has nothing else.
    let proof = home.run(&["audit", "prove", &position.to_string()]).expect(0).out();
    home.write("proof.json", &proof);
    let elsewhere = Home::new();
    let file = elsewhere.write("proof.json", &proof);
    let file = file.to_str().unwrap();
    let proven = elsewhere.run(&["audit", "verify-proof", file, "--key", &first, "--json"]).expect(0).json();
    assert_eq!((&proven["holds"], &proven["type"]), (&Value::Bool(true), &"run.completed".into()));
    elsewhere.run(&["audit", "verify-proof", file, "--key", &"0".repeat(64)]).expect(1);
    let forged = elsewhere.write("forged.json", proof.replace("run.completed", "run.cancelled"));
    elsewhere.run(&["audit", "verify-proof", forged.to_str().unwrap()]).expect(1);

    let (status, log) = server.end("-TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    home.run(&["audit", "verify", "--seals", "seals.jsonl", "--key", &first]).expect(0);
    home.run(&["audit", "verify", "--key", &"0".repeat(64)]).expect(1);

    // All of it, on another machine.
    let bundle = elsewhere.path().join("journal.tar");
    let bundle = bundle.to_str().unwrap();
    let exported = home.run(&["audit", "export", bundle, "--json"]).expect(0).json();
    assert_eq!(exported["complete"], true);
    let checked = elsewhere.run(&["audit", "verify", bundle, "--key", &first, "--json"]).expect(0).json();
    assert_eq!(checked["events"], exported["events"]);
    assert!(!elsewhere.data().exists(), "no database was started for it");
    home.run(&["audit", "export", bundle]).expect(2);
    elsewhere.run(&["audit", "verify", "nothing.tar"]).expect(3);
    elsewhere.run(&["audit", "import", bundle]).expect(0);
    elsewhere.run(&["audit", "import", bundle]).expect(2);
    assert_eq!(verify(&elsewhere)["events"], exported["events"]);
    let again = elsewhere.run(&["audit", "replay", &run, "--json"]).expect(0).json();
    assert_eq!(again, whole, "positions and hashes are the same");
    // No server runs, here or there, and here no read model was ever made.
    assert_eq!(compared(&elsewhere), asked);
    assert_eq!(compared(&home), asked);

    // A damaged one.
    let mut bytes = std::fs::read(bundle).unwrap();
    // The layouts of the events name it too; they come first.
    let place = bytes.windows(13).rposition(|part| part == b"run.completed").unwrap();
    bytes[place] = b'x';
    let damaged = elsewhere.write("damaged.tar", bytes);
    let damaged = elsewhere.run(&["audit", "verify", damaged.to_str().unwrap()]).expect(1);
    assert!(damaged.out().contains("first bad event"), "{}", damaged.all());
}
