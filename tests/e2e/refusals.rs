//! What cannot be done is refused with a message that helps, and leaves nothing behind.

use std::path::Path;
use std::process::Command;

use crate::program::{Home, send, until};

#[test]
fn without_a_platform_nothing_is_simulated_silently() {
    let home = Home::new();
    let answer = home.run(&["up", "--once", "--port", "0"]).expect(2);
    for part in ["OPENAI_API_KEY", "--simulate", "./dev up"] {
        assert!(answer.err().contains(part), "{}", answer.all());
    }
    assert!(!home.data().exists(), "nothing was started");
}

#[test]
fn the_network_is_refused() {
    let answer = Home::new().run(&["serve", "--listen", "0.0.0.0:0"]).expect(2);
    assert!(answer.err().contains("loopback"), "{}", answer.all());
}

#[test]
fn wrong_configuration_is_refused_with_its_place() {
    let home = Home::new();
    home.write("hishamos.toml", "lisen = \"127.0.0.1:1\"\n");
    let answer = home.run(&["config"]).expect(2);
    assert!(answer.err().contains("lisen") && answer.err().contains("hishamos.toml"), "{}", answer.all());
    home.write("hishamos.toml", "");
    let answer = home.command(&["config"]).env("HISHAMOS_NONSENSE", "1").output().unwrap();
    assert_eq!(answer.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&answer.stderr).contains("HISHAMOS_NONSENSE"));
}

#[test]
fn questions_need_a_server() {
    let answer = Home::new().run(&["runs"]).expect(3);
    assert!(answer.err().contains("hishamos serve"), "{}", answer.all());
}

#[test]
fn wrong_catalogues_are_refused_as_a_whole() {
    let home = Home::new();
    let good_agent = "key: writer\nname: Writer\ndescription: Writes.\ndepartment: x\nsystem_prompt: You write.\n";
    let step = |name: &str, agent: &str, needs: &str| {
        format!(
            "  - name: {name}\n    title: T\n    agent: {agent}\n    template: draft-text\n    needs: [{needs}]\n    \
             input:\n      topic: input.topic\n"
        )
    };
    let workflow = |steps: &str| {
        format!(
            "key: flow\nname: Flow\ndescription: D.\ndepartment: x\ninput_schema:\n  type: object\n  properties:\n    \
             topic: {{ type: string }}\nsteps:\n{steps}"
        )
    };
    let cases: [(&str, String, &[&str]); 5] = [
        ("malformed", "key: [".to_owned(), &["flow.yaml"]),
        ("cyclic", workflow(&(step("one", "writer", "two") + &step("two", "writer", "one"))), &["circle"]),
        ("unknown step", workflow(&step("one", "writer", "three")), &["three"]),
        ("unknown agent", workflow(&step("one", "nobody", "")), &["nobody"]),
        ("no steps", workflow("  []\n"), &["steps"]),
    ];
    home.run(&["catalog", "load"]).expect(0);
    // But for the refusals themselves.
    let events = |home: &Home| {
        let by_type = home.run(&["audit", "stats", "--json"]).expect(0).json()["eventsByType"].take();
        by_type
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| !name.starts_with("denial."))
            .map(|(_, count)| count.as_u64().unwrap())
            .sum::<u64>()
    };
    let before = events(&home);
    for (name, text, parts) in cases {
        let dir = home.path().join(name.replace(' ', "-"));
        home.write(&format!("{}/workflows/flow.yaml", dir.file_name().unwrap().to_string_lossy()), text);
        let answer = home.run(&["catalog", "load", dir.to_str().unwrap()]).expect(2);
        for part in parts {
            assert!(answer.err().contains(part), "{name}: {}", answer.all());
        }
    }
    assert_eq!(events(&home), before, "nothing was half-written");
    home.write("good/agents/writer.yaml", good_agent);
    home.run(&["catalog", "load", home.path().join("good").to_str().unwrap()]).expect(0);
    assert_ne!(events(&home), before);
}

#[test]
fn wrong_inputs_are_refused_before_anything_is_written() {
    let home = Home::new();
    let server = home.serve(&["--simulate"]);
    home.run(&["catalog", "load"]).expect(0);
    let large = home.write("large.txt", "x".repeat(450_000));
    let immense = home.write("immense.txt", "x".repeat(600_000));
    let binary = home.write("binary", [0xff, 0xfe, 0x00]);
    let file = |path: &Path| format!("file=@{}", path.display());
    let cases: [(&[&str], &str); 8] = [
        (&["run", "nothing-like-it"], "nothing-like-it"),
        (&["run", "Not A Key"], "Not A Key"),
        (&["run", "welcome"], "file"),
        (&["run", "welcome", "--input", "file:=42"], "42"),
        (&["run", "welcome", "--input", "file=x", "--input", "colour=red"], "colour"),
        (&["run", "welcome", "--input", &file(&large)], "400000"),
        (&["run", "welcome", "--input", &file(&immense)], "524288"),
        (&["run", "welcome", "--input", &file(&binary)], "UTF-8"),
    ];
    for (arguments, part) in cases {
        let answer = home.run(arguments).expect(2);
        assert!(answer.err().contains(part), "{arguments:?}: {}", answer.all());
        let as_json = home.run(&[arguments, &["--json"]].concat()).expect(2).json();
        assert!(as_json["error"]["code"].is_string(), "{as_json}");
    }
    let runs = home.run(&["runs", "--json"]).expect(0).json();
    assert_eq!(runs["nodes"].as_array().unwrap().len(), 0, "no run was begun");
    let unknown = "00000000-0000-7000-8000-000000000000";
    for command in ["show", "explain", "cancel"] {
        let answer = home.run(&[command, unknown]).expect(2);
        assert!(answer.err().contains(unknown), "{}", answer.all());
    }
    drop(server);
}

/// A small file system that is full: clear errors, no half-written events, and work goes on when there is space again.
#[test]
fn a_full_disk_is_named_and_survived() {
    let home = Home::new();
    std::fs::create_dir(home.data()).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=160m,mode=0755", "tmpfs"])
        .arg(home.data())
        .output()
        .is_ok_and(|answer| answer.status.success());
    if !mounted {
        eprintln!("skipped: a small file system can only be mounted by root");
        return;
    }
    let _unmount = Unmount(home.data());
    let server = home.serve(&["--simulate"]);
    home.run(&["catalog", "load"]).expect(0);
    home.run(&["run", "welcome", "--input", "file=hello", "--watch"]).expect(0);
    let filler = home.data().join("filler");
    // Until nothing more fits.
    let _ = std::fs::write(&filler, vec![0u8; 200 << 20]);
    let text = home.write("long.txt", "y".repeat(390_000));
    let mut failure = None;
    for _ in 0..400 {
        let answer = home.run(&["run", "welcome", "--input", &format!("file=@{}", text.display()), "--json"]);
        if answer.code() != 0 {
            failure = Some(answer);
            break;
        }
    }
    let failure = failure.expect("the disk is full, so starting runs fails at some point");
    assert_eq!(failure.code(), 3, "{}", failure.all());
    assert!(failure.all().contains("disk is full"), "{}", failure.all());

    std::fs::remove_file(&filler).unwrap();
    until("work that goes on", || {
        let answer = home.run(&["run", "welcome", "--input", "file=hello", "--watch"]);
        (answer.code() == 0).then_some(())
    });
    drop(server);
    let verified = home.run(&["audit", "verify", "--json"]).expect(0).json();
    assert_eq!(verified["sound"], true, "{verified}");
    if let Some(postgres) = home.postgres() {
        send("-INT", postgres);
    }
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        // Lazily: PostgreSQL may be on its way out.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
