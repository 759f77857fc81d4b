//! What several streams share, with the journal in KurrentDB: limits and budgets of two programs, the causes of runs, and
//! the audit trail.

use serde_json::{Value, json};

use crate::corpus::WELCOME;
use crate::kurrent::World;
use crate::program::{Answer, Home, until};

#[test]
fn two_programs_that_share_limits_and_a_budget_end_every_run() {
    const RUNS: usize = 16;
    let (world, beside) = (World::new(), Home::new());
    let servers = [world.serve_beside(&world.home), world.serve_beside(&beside)];
    world.load(&WELCOME);
    for arguments in [
        &["limit", "set", "calls", "--platform", "simulator", "--max", "2"][..],
        &["limit", "set", "runs", "--workflow", "welcome", "--max", "4"],
        &["budget", "set", "company", "--organisation", "--tokens", "1000000000", "--per", "ever"],
    ] {
        let done = world.command(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let budgets = world.command(&["budget", "list"]).output().unwrap();
    let budgets = String::from_utf8_lossy(&budgets.stdout).into_owned();
    assert!(budgets.contains("1000000000 tokens per ever"), "{budgets}");
    let asking: Vec<_> = (0..RUNS)
        .map(|index| {
            let home = if index % 2 == 0 { &world.home } else { &beside };
            world.command_of(home, &["run", "welcome", "--input", "file=@README.md", "--json"]).spawn().unwrap()
        })
        .collect();
    for mut asked in asking {
        assert!(asked.wait().unwrap().success());
    }
    until("the ends of the runs", || (world.count("run.completed") >= RUNS).then_some(()));
    let tasks = RUNS * usize::try_from(WELCOME.tasks.0).unwrap();
    for (event_type, count) in [
        ("run.completed", RUNS),
        ("run.failed", 0),
        ("run.stalled", 0),
        ("task.created", tasks),
        ("task.completed", tasks),
    ] {
        assert_eq!(world.count(event_type), count, "{event_type}");
    }
    // The last ones give back what they had in the append that ends them, or in one after it.
    until("slots and money that are given back", || {
        let slots = world.count("slots.requested") == world.count("slots.released");
        (slots && world.count("purse.reserved") == world.count("purse.settled")).then_some(())
    });
    assert!(world.count("slots.granted") >= tasks + RUNS && world.count("purse.reserved") >= tasks);
    assert_eq!(world.json(&["audit", "verify", "--json"])["sound"], true);
    let torn: usize = servers
        .into_iter()
        .map(|server| {
            let (status, log) = server.end("-TERM");
            assert!(status.success(), "{log}");
            log.matches("what was written of it stays").count()
        })
        .sum();
    eprintln!("{torn} appends were recorded in part");
}

const EVERY_SECOND: &str = r#"
key: often
workflow: welcome
schedule: { cron: "* * * * * *" }
overlap: skip
input: { file: trigger.tick.at }
"#;

#[test]
fn a_run_by_a_schedule_is_traced_to_its_firing_and_who_is_behind_is_told() {
    let world = World::new();
    let server = world.serve();
    world.load(&WELCOME);
    world.home.write("often.yaml", EVERY_SECOND);
    assert!(world.command(&["trigger", "set", "often.yaml"]).output().unwrap().status.success());
    until("a run by the schedule", || (world.count("run.completed") > 0).then_some(()));
    assert!(world.command(&["trigger", "remove", "often"]).output().unwrap().status.success());
    let log = world.command(&["audit", "log", "--type", "run.completed", "--json"]).output().unwrap();
    let log = String::from_utf8(log.stdout).unwrap();
    let ended: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    let why = world.json(&["audit", "why", ended["event"].as_str().unwrap(), "--json"]);
    let chain: Vec<&str> = why["chain"].as_array().unwrap().iter().filter_map(|link| link["type"].as_str()).collect();
    assert!(chain.contains(&"run.started") && chain.contains(&"trigger.fired"), "{why}");
    let (status, said) = server.end("-TERM");
    assert!(status.success(), "{said}");

    // Nobody takes in what is recorded while the program does not run.
    let changed = EVERY_SECOND.replace("often", "seldom").replace("* * * * * *", "0 0 1 1 *");
    world.home.write("seldom.yaml", changed);
    assert!(world.command(&["trigger", "set", "seldom.yaml"]).output().unwrap().status.success());
    let info = world.json(&["journal", "info", "--json"]);
    let behind = info["behind"].as_object().unwrap();
    assert!(behind.iter().any(|(name, events)| name.starts_with("read model") && events.as_u64() > Some(0)), "{info}");
}

#[test]
fn what_is_kept_there_is_sealed_proved_exported_asked_as_of_then_and_erased() {
    let world = World::new();
    world.home.write("hishamos.toml", "[seals]\nwithin_seconds = 1\ncopy_to = \"seals.jsonl\"\n");
    let run = |arguments: &[&str]| Answer(world.command(arguments).output().unwrap());
    let server = world.serve();
    world.load(&WELCOME);
    let about = ["run", "welcome", "--input", "file=of zq7-vienna", "--subject", "Ada Lovelace", "--watch", "--json"];
    let id = run(&about).expect(0).json()["runId"].as_str().unwrap().to_owned();
    run(&["run", "no-such-flow"]).expect(2);
    until("a refusal on record", || (world.count("denial.recorded") > 0).then_some(()));

    // Whose doing it was, and every state that the run has been in.
    let told = run(&["audit", "log", "--stream", &format!("run-{id}"), "--json"]).expect(0).out();
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = told.last().unwrap();
    assert_eq!(last["type"], "run.completed");
    let why = run(&["audit", "why", last["event"].as_str().unwrap(), "--json"]).expect(0).json();
    assert_eq!(why["begunBy"], "person:operator", "{why}");
    let at = told[1]["position"].as_str().unwrap();
    let early = run(&["audit", "replay", &id, "--at", at, "--json"]).expect(0).json();
    let early = early.as_array().unwrap();
    assert!(early.last().unwrap()["position"] == at && early[0]["position"] != at, "{} of {at}", early.len());
    let asked = "query($id: UUID!, $at: Position) { run(id: $id, asOf: { position: $at }) { status output } }";
    let then = server.ask(asked, json!({ "id": id, "at": at }));
    assert_eq!(then["run"], json!({ "status": "RUNNING", "output": null }));

    // Sealed; one event proved to somebody who has nothing else.
    let position = last["position"].as_str().unwrap();
    let proof = until("a seal", || Some(run(&["audit", "prove", position])).filter(|proof| proof.code() == 0)).out();
    let elsewhere = Home::new();
    let file = elsewhere.write("proof.json", proof);
    let proven = elsewhere.run(&["audit", "verify-proof", file.to_str().unwrap(), "--json"]).expect(0).json();
    assert_eq!((&proven["holds"], &proven["type"]), (&Value::Bool(true), &"run.completed".into()));

    // All of it on another machine, whose journal is in PostgreSQL; nothing personal goes along.
    let bundle = elsewhere.path().join("journal.tar");
    let bundle = bundle.to_str().unwrap();
    let exported = run(&["audit", "export", bundle, "--json"]).expect(0).json();
    let checked = elsewhere.run(&["audit", "verify", bundle, "--json"]).expect(0).json();
    assert_eq!(checked["events"], exported["events"]);
    assert!(!String::from_utf8_lossy(&std::fs::read(bundle).unwrap()).contains("zq7-vienna"));

    // Erased.
    let kept = run(&["privacy", "export", "Ada Lovelace"]).expect(0).out();
    assert!(kept.contains("zq7-vienna"), "{kept}");
    run(&["privacy", "erase", "Ada Lovelace", "--yes"]).expect(0);
    let shown = run(&["audit", "replay", &id, "--json"]).expect(0).out();
    assert!(!shown.contains("zq7-vienna") && shown.contains("[erased]"), "{shown}");
    run(&["audit", "verify"]).expect(0);
    let (status, log) = server.end("-TERM");
    assert_eq!(status.code(), Some(0), "{log}");
}
