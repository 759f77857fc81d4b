//! Starting, stopping, dying and going on.

use crate::program::{Home, send, until};

#[test]
fn up_runs_the_welcome_workflow_and_a_second_up_goes_on() {
    let home = Home::new();
    let first = home.run(&["up", "--simulate", "--once", "--port", "0"]).expect(0);
    let out = first.out();
    let counts = home.run(&["catalog", "check", "--json"]).expect(0).json()["counts"].take();
    let count = |kind: &str| counts[kind].as_u64().unwrap();
    let entries = count("agents") + count("templates") + count("workflows") + count("triggers");
    let added = format!("catalogue: {entries} added");
    for part in [
        &added,
        "● Welcome (workflow welcome",
        "Find the key points",
        "✓ key_points",
        "✓ briefing",
        "completed in",
        "[simulated]",
        "\nbriefing\n",
    ] {
        assert!(out.contains(part), "`{part}` is missing: {}", first.all());
    }
    assert!(!out.contains('\x1b'), "no colours where nobody looks: {out}");
    assert_eq!(home.postgres(), None, "PostgreSQL ends with the program");
    assert!(!home.data().join("server.json").exists());

    let second = home.run(&["up", "--simulate", "--once", "--port", "0"]).expect(0);
    assert!(second.out().contains(&format!("catalogue: {entries} unchanged")), "{}", second.all());

    let verified = home.run(&["audit", "verify", "--json"]).expect(0).json();
    assert_eq!(verified["sound"], true);
    assert!(verified["events"].as_u64().unwrap() > 40, "{verified}");
}

#[test]
fn a_killed_program_is_followed_by_one_that_finishes_its_runs() {
    let home = Home::new();
    home.write("hishamos.toml", "[platforms.slow]\nkind = \"simulator\"\nlatency_ms = 1500\n");
    let server = home.serve(&[]);
    home.run(&["catalog", "load"]).expect(0);
    let started = home.run(&["run", "welcome", "--input", "file=hello", "--json"]).expect(0).json();
    let run = started["runId"].as_str().unwrap().to_owned();
    until("a running step", || home.run(&["explain", &run]).out().contains("under way").then_some(()));
    let postgres = home.postgres().unwrap();
    server.end("-KILL");

    // With its own working directory the second finds the same data and settings.
    let second = home.run(&["up", "--once", "--port", "0"]).expect(0);
    assert!(second.out().contains("going on with 1 unfinished run"), "{}", second.all());
    assert!(second.out().contains(&run) && second.out().contains("taken over"), "{}", second.all());
    assert!(!std::path::Path::new(&format!("/proc/{postgres}/cwd")).exists(), "no PostgreSQL is left behind");
    let verified = home.run(&["audit", "verify", "--json"]).expect(0).json();
    assert_eq!(verified["sound"], true);
}

#[test]
fn a_signal_drains_and_stops_everything() {
    for signal in ["-INT", "-TERM"] {
        let home = Home::new();
        let server = home.serve(&["--simulate"]);
        home.run(&["catalog", "load"]).expect(0);
        home.run(&["run", "welcome", "--input", "file=hello", "--watch"]).expect(0);
        let (status, log) = server.end(signal);
        assert_eq!(status.code(), Some(0), "{log}");
        assert_eq!(home.postgres(), None);
        assert!(!home.data().join("server.json").exists());
    }
}

#[test]
fn two_data_directories_live_side_by_side_and_one_only_once() {
    let (one, two) = (Home::new(), Home::new());
    let (first, second) = (one.serve(&["--simulate"]), two.serve(&["--simulate"]));
    assert_ne!(first.url, second.url);
    let third = one.run(&["serve", "--port", "0"]).expect(3);
    assert!(third.err().contains("another HishamOS (process "), "{}", third.all());

    let port = first.url.rsplit(':').next().unwrap().to_owned();
    let fourth = Home::new().run(&["serve", "--port", &port]).expect(3);
    assert!(fourth.err().contains(&format!("port {port} is taken")), "{}", fourth.all());
}

#[test]
fn a_killed_postgresql_comes_back_and_the_program_with_it() {
    let home = Home::new();
    let server = home.serve(&["--simulate"]);
    home.run(&["catalog", "load"]).expect(0);
    let killed = home.postgres().unwrap();
    send("-KILL", killed);
    until("another PostgreSQL", || home.postgres().filter(|pid| *pid != killed));
    until("a run that completes", || {
        let answer = home.run(&["run", "welcome", "--input", "file=hello", "--watch"]);
        (answer.code() == 0).then_some(())
    });
    let (status, log) = server.end("-TERM");
    assert_eq!(status.code(), Some(0), "{log}");
}
