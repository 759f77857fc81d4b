//! What the command line answers, for people and for machines.

use serde_json::Value;

use crate::program::Home;

/// Ids, moments, durations and hashes differ each time, and so does which field is known first; what stays is the shape.
fn settle(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.sort_keys();
    }
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| {
            let moving = name.ends_with("Id") || name.ends_with("At") || name.ends_with("Ms");
            let moving = moving || ["position", "hash", "endCursor", "node", "epoch"].contains(&&**name);
            if moving && !value.is_null() {
                *value = Value::String(format!("<{name}>"));
            } else {
                settle(value);
            }
        }),
        Value::Array(entries) => entries.iter_mut().for_each(settle),
        _ => {}
    }
}

#[test]
fn a_run_is_shown_in_every_way() {
    let home = Home::new();
    let server = home.serve(&["--simulate"]);
    let loaded = home.run(&["catalog", "load", "--json"]).expect(0).json();
    let entries = loaded["entries"].as_array().unwrap();
    assert!(entries.len() >= 21 && entries.iter().all(|entry| entry["change"] == "added"), "{loaded}");
    let again = home.run(&["catalog", "load"]).expect(0).out();
    assert_eq!(again, format!("{} unchanged\n", entries.len()));

    let mut ran = home.run(&["run", "welcome", "--input", "file=hello", "--watch", "--json"]).expect(0).json();
    let run = ran["runId"].as_str().unwrap().to_owned();
    settle(&mut ran);
    insta::assert_json_snapshot!("run", ran);

    let mut runs = home.run(&["runs", "--json"]).expect(0).json();
    settle(&mut runs);
    insta::assert_json_snapshot!("runs", runs);

    let mut explained = home.run(&["explain", &run, "--json"]).expect(0).json();
    settle(&mut explained);
    insta::assert_json_snapshot!("explain", explained);
    assert!(home.run(&["explain", &run]).expect(0).out().contains("nothing more will happen"));

    let shown = home.run(&["show", &run]).expect(0).out();
    for part in [&*run, "completed", "[simulated]", "key_points", "attempt 1  succeeded  simulator/", "\nbriefing\n"] {
        assert!(shown.contains(part), "`{part}` is missing: {shown}");
    }
    let document = home.run(&["output", &run]).expect(0).out();
    for part in ["## Results", "### briefing", "## Steps", "`welcome`", "no model was asked"] {
        assert!(document.contains(part), "`{part}` is missing: {document}");
    }
    assert_eq!(home.run(&["output", &run, "--json"]).expect(0).json()["run"], run.as_str());
    let file = home.path().join("brief.docx");
    let written = home.run(&["output", &run, "--out", file.to_str().unwrap(), "--json"]).expect(0).json();
    assert_eq!(written["format"], "docx");
    assert!(std::fs::read(&file).unwrap().starts_with(b"PK"));
    assert!(home.run(&["output", &run, "--format", "docx"]).expect(2).all().contains("--out"));
    assert!(home.run(&["output", &run, "--out", "brief.odt"]).expect(2).all().contains("--format takes md, html"));
    home.run(&["output", "00000000-0000-7000-8000-000000000000"]).expect(2);

    assert!(home.run(&["runs", "--status", "completed"]).expect(0).out().contains(&run));
    assert!(!home.run(&["runs", "--status", "failed"]).expect(0).out().contains(&run));

    let cancelled = home.run(&["cancel", &run, "--reason", "too late"]).expect(2);
    assert!(cancelled.err().contains("ended") || cancelled.err().contains("completed"), "{}", cancelled.all());

    let replayed = home.run(&["audit", "replay", &run, "--json"]).expect(0).json();
    let events = replayed.as_array().unwrap();
    assert_eq!(events[0]["type"], "task.created", "tasks that start with the run are recorded before it");
    assert!(events.iter().any(|event| event["type"] == "run.started"), "{replayed}");
    assert_eq!(events.last().unwrap()["type"], "run.completed");
    assert_eq!(events.last().unwrap()["state"]["status"], "completed");
    let positions: Vec<u64> = events.iter().map(|e| e["position"].as_str().unwrap().parse().unwrap()).collect();
    assert!(positions.is_sorted(), "{positions:?}");
    assert!(home.run(&["audit", "replay", &run]).expect(0).out().contains("state: completed"));

    let rebuilt = home.run(&["rebuild", "--all", "--json"]).expect(0).json();
    let events =
        |of: &str| rebuilt.as_array().unwrap().iter().find(|entry| entry["name"] == of).unwrap()["events"].as_u64();
    assert!(events("catalog") > Some(0) && events("runs") > Some(0) && events("flow") == Some(0), "{rebuilt}");
    let after = home.run(&["show", &run, "--json"]).expect(0).json();
    assert_eq!(after["status"], "COMPLETED", "the rebuilt read model answers");
    home.run(&["rebuild", "nothing"]).expect(2);
    drop(server);
}

#[test]
fn without_a_server_a_run_happens_in_the_process() {
    let home = Home::new();
    let arguments = ["run", "review-text", "--simulate", "--input", "text=Hello wrold.", "--json"];
    let ran = home.run(&arguments);
    // Whatever this workflow needs: it is either done or refused with a reason, never left over.
    assert!([0, 2].contains(&ran.code()), "{}", ran.all());
    let ran = home.run(&["run", "welcome", "--simulate", "--input", "file=@README.md"]).expect(0);
    assert!(ran.out().contains("✓ completed in"), "{}", ran.all());
    assert_eq!(home.postgres(), None);
}

#[test]
fn a_run_that_cannot_go_on_is_explained_and_cancelled() {
    let home = Home::new();
    // Nobody listens there.
    home.write(
        "hishamos.toml",
        "[platforms.dead]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:9/v1\"\nmodel = \"m\"\n",
    );
    let server = home.serve(&[]);
    home.run(&["catalog", "load"]).expect(0);
    let started = home.run(&["run", "welcome", "--input", "file=hello", "--json"]).expect(0).json();
    let run = started["runId"].as_str().unwrap();
    let explained = home.run(&["explain", run]).expect(0);
    assert!(explained.out().contains("is running"), "{}", explained.all());
    home.run(&["cancel", run, "--reason", "enough"]).expect(0);
    crate::program::until("the end of the run", || {
        let shown = home.run(&["show", run, "--json"]).expect(0).json();
        (shown["status"] == "CANCELLED").then_some(())
    });
    let shown = home.run(&["show", run]).expect(0).out();
    assert!(shown.contains("cancelled"), "{shown}");
    drop(server);
}

#[test]
fn the_configuration_is_shown_without_secrets() {
    let home = Home::new();
    home.write(
        "hishamos.toml",
        "database_url = \"postgres://u:hidden@h/d\"\n[platforms.x]\nkind = \"openai\"\napi_key = \"hidden\"\n",
    );
    let text = home.run(&["config"]).expect(0).out();
    assert!(text.contains("listen = \"127.0.0.1:7410\"") && !text.contains("hidden"), "{text}");
    let shown = home.run(&["config", "--json"]).expect(0).json();
    assert_eq!(shown["platforms"]["x"]["api_key"], "***");
}

#[test]
fn help_names_the_exit_codes() {
    let home = Home::new();
    assert!(home.run(&["--help"]).expect(0).out().contains("Exit codes:"));
    home.run(&["--version"]).expect(0);
    home.run(&["fly"]).expect(2);
}
