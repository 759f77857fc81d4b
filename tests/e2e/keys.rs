//! The encrypted store for the keys of platforms, and that a key stands nowhere in clear.

use std::io::Write;
use std::process::Stdio;

use serde_json::json;
use testkit::openai::{Behaviour, OpenAiServer};

use crate::program::{Answer, Home, anywhere};

const FIRST: &str = "sk-e2e-91c4d2-planted-first";
const SECOND: &str = "sk-e2e-3fe81b-planted-second";

fn put(home: &Home, name: &str, key: &str) -> Answer {
    let mut command = home.command(&["keys", "put", name, "--json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{key}\n").as_bytes()).unwrap();
    Answer(child.wait_with_output().unwrap())
}

#[test]
fn stored_keys_are_used_and_stand_nowhere_in_clear() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(OpenAiServer::start([])).unwrap();
    let home = Home::new();
    home.write(
        "hishamos.toml",
        format!(
            "[platforms.own]\nkind = \"openai\"\nbase_url = \"{}\"\nmodel = \"m\"\n\
             more_keys = [{{ stored = \"spare\" }}]\n[keys]\nmaster_key_file = \"secret/master\"\n",
            server.base_url()
        ),
    );
    let mut said = Vec::new();
    let mut heard = |answer: Answer| {
        said.push(answer.all());
        answer
    };
    // A key that is named and not there is told, with what to do.
    let missing = heard(home.run(&["platforms", "list"]));
    assert!(missing.err().contains("hishamos keys put spare"), "{}", missing.all());
    let stored = heard(put(&home, "own", FIRST).expect(0)).json();
    assert_eq!(stored, json!({ "name": "own", "replaced": false, "platforms": ["own"] }));
    heard(put(&home, "spare", SECOND).expect(0));
    let refused = heard(put(&home, "No Name", FIRST).expect(2));
    assert!(refused.out().contains("No Name"), "{}", refused.all());
    assert!(heard(put(&home, "own", "two words").expect(2)).out().contains("blanks"));

    let listed = heard(home.run(&["keys", "list", "--json"]).expect(0)).json();
    let names: Vec<_> = listed["keys"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, [json!("own"), json!("spare")]);
    assert!(heard(home.run(&["keys", "list"]).expect(0)).out().contains("used by own"));

    // One platform repeats the key in its refusal, as some do; the run fails with that.
    server.set_default(Behaviour::Of(|received| {
        let key = received.header("authorization").unwrap_or_default().trim_start_matches("Bearer ").to_owned();
        Behaviour::unauthorized(&key)
    }));
    let watched = ["run", "welcome", "--input", "file=@README.md", "--watch", "--log-level", "trace"];
    let failed = heard(home.run(&watched).expect(1));
    assert!(failed.all().contains("unauthorized"), "{}", failed.all());
    let key_of = |at: usize| server.received()[at].header("authorization").map(str::to_owned);
    let bearer = |key: &str| Some(format!("Bearer {key}"));
    assert!([bearer(FIRST), bearer(SECOND)].contains(&key_of(0)));

    // After the rotation the same keys work; and nothing opens without the master key.
    let rotated = heard(home.run(&["keys", "rotate", "--json"]).expect(0)).json();
    assert_eq!(rotated["keys"], json!(2));
    server.set_default(Behaviour::reply("Everybody packs by noon."));
    let answered = heard(home.run(&watched).expect(0));
    assert!(answered.out().contains("Everybody packs by noon."), "{}", answered.all());
    heard(home.run(&["audit", "log", "--json"]).expect(0));
    heard(home.run(&["audit", "export", "bundle.tar", "--json"]).expect(0));
    heard(home.run(&["config", "--json"]).expect(0));
    heard(home.run(&["platforms", "health", "--json"]).expect(0));

    std::fs::rename(home.path().join("secret/master"), home.path().join("secret/away")).unwrap();
    let locked = heard(home.run(&["keys", "list", "--json"]).expect(2)).json();
    assert_eq!(locked["error"]["code"], json!("KEYS_UNREADABLE"), "{locked}");
    heard(home.run(&["platforms", "list"]).expect(3));
    std::fs::rename(home.path().join("secret/away"), home.path().join("secret/master")).unwrap();
    heard(home.run(&["keys", "remove", "spare"]).expect(0));
    heard(home.run(&["keys", "remove", "spare"]).expect(2));

    let known: Vec<_> =
        server.received().iter().filter_map(|one| one.header("authorization").map(str::to_owned)).collect();
    assert!(known.iter().any(|sent| sent.contains(FIRST) || sent.contains(SECOND)), "the planted keys were used");
    for key in [FIRST, SECOND] {
        assert!(!said.iter().any(|text| text.contains(key)), "{key} was shown");
        // The configuration, the bundle, PostgreSQL's tables and log, the store itself.
        assert!(!anywhere(home.path(), key.as_bytes()), "{key} is on the disk");
    }
    // What the search would have found.
    home.write("witness", FIRST);
    assert!(anywhere(home.path(), FIRST.as_bytes()));
}

#[test]
fn a_key_under_the_name_of_a_service_is_enough() {
    let home = Home::new();
    put(&home, "anthropic", FIRST).expect(0);
    let listed = home.run(&["platforms", "list", "--json"]).expect(0).json();
    assert_eq!(listed["platforms"][0]["key"], json!("anthropic"));
    assert_eq!(
        (&listed["platforms"][0]["kind"], &listed["platforms"][0]["unusable"]),
        (&json!("anthropic"), &json!(null))
    );
    assert!(home.run(&["keys", "list"]).expect(0).out().contains("used by anthropic"));
}
