//! The commands about platforms and prices.

use serde_json::json;
use testkit::cursor::{CursorServer, RESULT};
use testkit::openai::{Behaviour, OpenAiServer};

use crate::program::{Home, until};

const KEY: &str = "sk-e2e-77aa11-never-shown";

#[test]
fn platforms_are_listed_checked_and_tried() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(OpenAiServer::start([])).unwrap();
    let home = Home::new();
    home.write(
        "hishamos.toml",
        format!(
            "[platforms.own]\nkind = \"openai\"\nbase_url = \"{}\"\nmodel = \"m\"\napi_key = \"{KEY}\"\ntags = [\"eu\"]\n\
             [platforms.claude]\nkind = \"anthropic\"\nbase_url = \"http://127.0.0.1:9\"\n",
            server.base_url()
        ),
    );
    let listed = home.run(&["platforms", "list", "--json"]).expect(0).json();
    let keys: Vec<_> = listed["platforms"].as_array().unwrap().iter().map(|one| one["key"].clone()).collect();
    assert_eq!(keys, [json!("own"), json!("claude")], "in the order of their kinds");
    assert_eq!(listed["platforms"][0]["tags"], json!(["eu"]));
    let shown = home.run(&["platforms", "list"]).expect(0).out();
    assert!(shown.contains("anthropic") && shown.contains("#eu"), "{shown}");

    let health = home.run(&["platforms", "health", "--json"]).expect(0).json();
    let states: Vec<_> = health["platforms"].as_array().unwrap().iter().map(|one| one["state"].clone()).collect();
    assert_eq!(states, [json!("ready"), json!("unusable")]);

    let models = home.run(&["platforms", "models", "own"]).expect(0).out();
    assert!(models.starts_with("test-model ") && models.contains("unpriced"), "{models}");

    server.push(Behaviour::reply("ready"));
    let tried = home.run(&["platforms", "test", "own", "--json"]).expect(0).json();
    assert_eq!(
        (&tried["ok"], &tried["text"], &tried["costSource"]),
        (&json!(true), &json!("ready"), &json!("unpriced"))
    );
    server.push(Behaviour::unauthorized(KEY));
    let refused = home.run(&["platforms", "test", "own"]).expect(1);
    assert!(refused.out().contains("unauthorized") && !refused.all().contains(KEY), "{}", refused.all());
    let unknown = home.run(&["platforms", "test", "nobody"]).expect(2);
    assert!(unknown.err().contains("there are: own, claude"), "{}", unknown.err());
    assert!(!home.run(&["config"]).expect(0).all().contains(KEY));
}

#[test]
fn prices_are_listed_compared_and_imported() {
    let home = Home::new();
    let listed = home.run(&["prices", "list", "openai/gpt-4o-mini"]).expect(0).out();
    assert!(listed.contains("0.15 in, 0.075 cached, 0.60 out"), "{listed}");
    let map = json!({ "gpt-4o": {
        "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2e-06, "output_cost_per_token": 1e-05,
        "cache_read_input_token_cost": 1.25e-06,
    } });
    home.write("map.json", map.to_string());
    let compared = home.run(&["prices", "diff", "map.json"]).expect(0).out();
    assert!(compared.contains("2.50 → 2.00"), "{compared}");
    assert!(!home.data().join("prices").exists());
    let imported = home.run(&["prices", "import", "map.json", "--date", "2026-11-26", "--json"]).expect(0).json();
    assert_eq!(imported["models"], json!(1));
    assert!(home.data().join("prices/2026-11-26.json").is_file());
    let again = home.run(&["prices", "import", "map.json", "--date", "2026-11-26"]).expect(2);
    assert!(again.err().contains("not overwritten"), "{}", again.err());
    home.write("bad.json", "{}");
    let refused = home.run(&["prices", "diff", "bad.json", "--json"]).expect(2).json();
    assert_eq!(refused["error"]["code"], json!("PRICES_INVALID"));
}

#[test]
fn a_program_may_be_the_one_that_works() {
    let home = Home::new();
    home.write(
        "hishamos.toml",
        "default_platforms = [\"echo\"]\n[platforms.echo]\nkind = \"command\"\n\
         [platforms.echo.command]\nprogram = \"/bin/cat\"\ndirectory = \".\"\n",
    );
    let listed = home.run(&["platforms", "list", "--json"]).expect(0).json();
    assert_eq!((&listed["platforms"][0]["key"], &listed["platforms"][0]["kind"]), (&json!("echo"), &json!("command")));
    let watched = home.run(&["run", "welcome", "--input", "file=@README.md", "--watch"]).expect(0);
    assert!(watched.out().contains("Pack by noon.") && !watched.out().contains("[simulated]"), "{}", watched.all());
    let succeeded = home.run(&["audit", "log", "--type", "task.attempt_succeeded", "--json"]).expect(0).out();
    let first: serde_json::Value = serde_json::from_str(succeeded.lines().next().unwrap()).unwrap();
    assert_eq!(first["data"]["reply"]["cost"], json!(null), "unknown is not nothing: {first}");

    home.write("hishamos.toml", "[platforms.x]\nkind = \"command\"\n");
    let refused = home.run(&["platforms", "list"]).expect(2);
    assert!(refused.err().contains("[platforms.x.command]"), "{}", refused.all());
}

#[test]
fn health_tells_what_the_running_server_has_found() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(OpenAiServer::start([])).unwrap();
    server.set_default(Behaviour::unauthorized(KEY));
    let home = Home::new();
    home.write(
        "hishamos.toml",
        format!(
            "[platforms.own]\nkind = \"openai\"\nbase_url = \"{}\"\nmodel = \"m\"\napi_key = \"{KEY}\"\n\
             [engine]\nprobe_seconds = 1\n",
            server.base_url()
        ),
    );
    let alone = home.run(&["platforms", "health", "--json"]).expect(0).json();
    assert_eq!(alone["platforms"][0]["server"], json!(null), "no server runs");
    let program = home.serve(&[]);
    home.run(&["catalog", "load"]).expect(0);
    home.run(&["run", "welcome", "--input", "file=@README.md", "--watch"]).expect(1);
    let found = until("a probe", || {
        let health = home.run(&["platforms", "health", "--json"]).expect(0).json();
        let known = health["platforms"][0]["server"].clone();
        known["probe"].is_object().then_some(known)
    });
    assert_eq!((&found["probe"]["up"], &found["lines"][0]["barred"]), (&json!(true), &json!(true)), "{found}");
    let shown = home.run(&["platforms", "health"]).expect(0);
    assert!(
        shown.out().contains("server's last probe at ") && shown.out().contains("server lets m rest"),
        "{}",
        shown.all()
    );
    assert!(!shown.all().contains(KEY));
    let ask = "{ platformModels(key: \"own\") { models { name } failure { kind } } modelPrices(named: \"openai/gpt-4o-mini\") {
        prices { model tier input cached output } } }";
    let told = program.ask(ask, json!({}));
    assert_eq!(told["platformModels"], json!({ "models": [{ "name": "test-model" }], "failure": null }));
    let price = &told["modelPrices"]["prices"][0];
    assert_eq!(
        (&price["input"], &price["cached"], &price["output"]),
        (&json!(150_000_000), &json!(75_000_000), &json!(600_000_000))
    );
    // And tries it for whoever asks for that, although it rests, by the call that the command makes.
    let test = "mutation { testPlatform(input: { key: \"own\" }) { answer { text costSource } failure { kind message } platform { health } } }";
    let told = program.ask(test, json!({}))["testPlatform"].take();
    assert_eq!((&told["failure"]["kind"], &told["platform"]["health"]), (&json!("unauthorized"), &json!("RESTING")));
    assert!(!told.to_string().contains(KEY), "{told}");
    server.push(Behaviour::reply("ready"));
    let told = program.ask(test, json!({}))["testPlatform"].take();
    assert_eq!(told["answer"], json!({ "text": "ready", "costSource": "UNPRICED" }));
    server.push(Behaviour::reply("ready"));
    home.run(&["platforms", "test", "own"]).expect(0);
    let calls: Vec<_> = server.received().into_iter().filter(|received| received.method == "POST").collect();
    let [.., one, other] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!(one.json, other.json, "they ask the same");
    drop(program);
    let again = home.run(&["platforms", "health"]).expect(0);
    assert!(!again.all().contains("server's last probe"), "what it knew is gone with it: {}", again.all());
}

#[test]
fn an_agent_in_cursors_cloud_may_be_the_one_that_works() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(CursorServer::start(KEY)).unwrap();
    let home = Home::new();
    home.write(
        "hishamos.toml",
        format!(
            "default_platforms = [\"cursor\"]\n[platforms.cursor]\nkind = \"cursor\"\nbase_url = \"{}\"\n\
             [platforms.cursor.cursor]\nrepository = \"https://github.com/your-org/your-repo\"\npull_request = true\n",
            server.base_url()
        ),
    );
    let run = |arguments: &[&str]| {
        let answer = home.command(arguments).env("CURSOR_API_KEY", KEY).output().unwrap();
        (
            answer.status.code(),
            format!("{}{}", String::from_utf8_lossy(&answer.stdout), String::from_utf8_lossy(&answer.stderr)),
        )
    };
    let (code, health) = run(&["platforms", "health"]);
    assert!(code == Some(0) && health.contains("it answers to the key `For tests`"), "{health}");
    let (code, watched) = run(&["run", "welcome", "--input", "file=@README.md", "--watch"]);
    assert!(code == Some(0) && watched.contains(RESULT) && watched.contains("/pull/123"), "{watched}");
    assert!(!watched.contains(KEY) && !server.agents().is_empty());
    let succeeded = home.run(&["audit", "log", "--type", "task.attempt_succeeded", "--json"]).expect(0).out();
    let first: serde_json::Value = serde_json::from_str(succeeded.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["data"]["reply"]["cost"], &first["data"]["reply"]["usage"]["output_tokens"]),
        (&json!(null), &json!(1660))
    );
}
