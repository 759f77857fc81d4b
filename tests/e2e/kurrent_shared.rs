//! What several streams share, with the journal in KurrentDB: limits and budgets of two programs, and the causes of runs.

use crate::corpus::WELCOME;
use crate::kurrent::World;
use crate::program::{Home, until};

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
