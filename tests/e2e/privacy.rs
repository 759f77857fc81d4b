//! What is personal about somebody can be given out and erased, and the record still holds.

use serde_json::Value;

use crate::program::Home;

const NAME: &str = "Ada Lovelace";
const MARK: &str = "zq7-vienna";

/// Whether a file, or any file in a folder, holds some bytes.
fn holds(path: &std::path::Path, wanted: &str) -> bool {
    if path.is_dir() {
        return std::fs::read_dir(path).unwrap().any(|entry| holds(&entry.unwrap().path(), wanted));
    }
    std::fs::read(path).unwrap().windows(wanted.len()).any(|part| part == wanted.as_bytes())
}

#[test]
fn what_is_personal_is_sealed_exported_and_erased_and_every_seal_holds() {
    let home = Home::new();
    home.write("hishamos.toml", "[seals]\nwithin_seconds = 1\n");
    let server = home.serve(&["--simulate"]);
    home.run(&["catalog", "load"]).expect(0);
    let letter = format!("file=A letter of {MARK}");
    let about = ["run", "welcome", "--input", &letter, "--subject", NAME, "--watch", "--json"];
    let run = home.run(&about).expect(0).json()["id"].as_str().unwrap().to_owned();
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
    let found = home.run(&["runs", "--json"]).expect(0).json();
    assert_eq!(found.as_array().map_or_else(|| found["runs"].as_array().map_or(0, Vec::len), Vec::len), 2);

    // Also after a restart, and the same name is somebody new.
    let (status, log) = server.end("-TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    let server = home.serve(&["--simulate"]);
    reads(&home);
    let again = home.run(&about).expect(0).json()["id"].as_str().unwrap().to_owned();
    let kept = home.run(&["privacy", "export", NAME]).expect(0).json();
    assert_eq!(kept["runs"], serde_json::json!([again]));
    let known = home.run(&["privacy", "list", "--json"]).expect(0).json();
    let names: Vec<&Value> = known["subjects"].as_array().unwrap().iter().map(|known| &known["name"]).collect();
    assert_eq!(names, [&Value::from(NAME), &Value::Null]);
    let (status, log) = server.end("-TERM");
    assert_eq!(status.code(), Some(0), "{log}");
}
