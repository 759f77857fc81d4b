//! The program is killed while five hundred calls are under way: afterwards every attempt is settled or lost, and every budget
//! adds up to the billionth of a dollar and to the token.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::openai::{Behaviour, OpenAiServer, Received};

use crate::program::{Home, Server, install_crypto};

/// Calls that are never answered before the kill, and calls that are.
const HANGING: usize = 500;
const ANSWERED: usize = 100;
/// What an answer costs, in billionths of a dollar, and its tokens.
const COST: u64 = 12_300_000;
const TOKENS: u64 = 10;

const FLOW: &str = r#"
key: flow
name: Flow
description: One call.
input_schema: { type: object, properties: { word: { type: string } } }
steps:
  - { name: a, title: A, agent: generalist, template: draft-text, input: { subject: input.word } }
"#;

fn answer() -> Behaviour {
    let usage = json!({ "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": TOKENS, "cost": 0.0123 });
    Behaviour::Reply { text: "Done.".to_owned(), usage, finish: "stop".to_owned() }
}

fn answers_some(received: &Received) -> Behaviour {
    if received.json.to_string().contains("answered-") { answer() } else { Behaviour::Hang }
}

/// As `until`, for what takes its time.
fn patiently<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

async fn start_all(server: &Server) {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
    let words = (0..HANGING).map(|n| format!("hanging-{n}")).chain((0..ANSWERED).map(|n| format!("answered-{n}")));
    let words: Vec<String> = words.collect();
    let query = "mutation($input: StartRunInput!) { startRun(input: $input) { runId } }";
    for words in words.chunks(20) {
        let started = words.iter().map(|word| {
            let input = json!({
                "clientMutationId": uuid::Uuid::now_v7(), "workflow": "flow", "input": { "word": word }, "output": "TEXT",
            });
            let body = json!({ "query": query, "variables": { "input": input } });
            client.post(format!("{}/graphql", server.url)).json(&body).send()
        });
        for answer in futures_util::future::join_all(started).await {
            let answer: Value = answer.unwrap().json().await.unwrap();
            assert!(answer.get("errors").is_none(), "{answer}");
        }
    }
}

fn events(home: &Home, types: &[&str]) -> Vec<Value> {
    let named = types.iter().flat_map(|name| ["--type", name]);
    let arguments: Vec<&str> = ["audit", "log", "--json"].into_iter().chain(named).collect();
    let out = home.run(&arguments).expect(0).out();
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn five_hundred_calls_under_way_are_settled_or_lost_and_budgets_add_up() {
    install_crypto();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let platform = runtime.block_on(OpenAiServer::start([])).unwrap();
    platform.set_default(Behaviour::Of(answers_some));
    let home = Home::new();
    let url = platform.base_url();
    home.write(
        "hishamos.toml",
        format!(
            "[platforms.own]\nkind = \"openrouter\"\nbase_url = \"{url}\"\nmodel = \"m\"\napi_key = \"sk-own-key-0\"\n"
        ),
    );
    home.write("catalog/workflows/flow.yaml", FLOW);
    let server = home.serve(&[]);
    home.run(&["catalog", "load"]).expect(0);
    home.run(&["catalog", "load", "catalog"]).expect(0);
    let budgets = [
        ["budget", "set", "tokens", "--organisation", "--tokens", "1000000000", "--per", "ever"].to_vec(),
        ["budget", "set", "money", "--organisation", "--dollars", "100000", "--per", "ever", "--unpriced", "0.05"]
            .to_vec(),
    ];
    for budget in &budgets {
        home.run(budget).expect(0);
    }

    runtime.block_on(start_all(&server));
    patiently("six hundred calls", || (platform.received().len() >= HANGING + ANSWERED).then_some(()));
    drop(server.end("-KILL"));
    platform.set_default(answer());
    let server = home.serve(&[]);
    patiently("the ends of all runs", || {
        let ended = events(&home, &["run.completed", "run.failed", "run.cancelled"]);
        (ended.len() >= HANGING + ANSWERED).then_some(())
    });

    // Every attempt has one end.
    let key = |event: &Value| (event["stream"].as_str().unwrap().to_owned(), number(&event["data"]["attempt"]));
    let started = events(&home, &["task.attempt_started"]);
    let ends = events(&home, &["task.attempt_succeeded", "task.attempt_failed", "task.attempt_lost"]);
    let mut ended: BTreeMap<_, Vec<&Value>> = BTreeMap::new();
    for end in &ends {
        ended.entry(key(end)).or_default().push(end);
    }
    assert_eq!(started.len(), ends.len());
    let (mut money, mut tokens, mut lost) = (0, 0, 0);
    for start in &started {
        let [end] = &ended[&key(start)][..] else { panic!("{start} has several ends") };
        let reserved = |unit: &str| {
            let shares = start["data"]["reserved"].as_array().unwrap();
            number(&shares.iter().find(|share| share["unit"] == unit).unwrap_or_else(|| panic!("{start}"))["amount"])
        };
        match end["type"].as_str().unwrap() {
            "task.attempt_succeeded" => {
                money += COST;
                tokens += TOKENS;
            }
            "task.attempt_lost" => {
                assert_eq!(reserved("money"), 50_000_000);
                money += reserved("money");
                tokens += reserved("tokens");
                lost += 1;
            }
            other => panic!("{other}: {end}"),
        }
    }
    assert!(lost >= HANGING, "{lost} were lost");
    assert_eq!(ends.len() - lost, HANGING + ANSWERED, "each run has one answer that counts");

    // And the budgets say the same, with nothing set aside any more.
    for (name, spent, reserved, wanted) in
        [("money", "spent", "reserved", money), ("tokens", "tokensSpent", "tokensReserved", tokens)]
    {
        let shown = home.run(&["budget", "show", name, "--json"]).expect(0).json();
        let purse = &shown["purse"];
        assert_eq!((number(&purse[spent]), number(&purse[reserved])), (wanted, 0), "{shown}");
        assert_eq!(number(&purse["calls"]), 0, "{shown}");
    }
    let (status, log) = server.end("-TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(home.run(&["audit", "verify", "--json"]).expect(0).json()["sound"], true);
}
