//! Calls of two programs against one budget: whatever they ask for at once, exactly what is there is admitted.

use serde_json::{Value, json};
use testkit::Database;
use testkit::openai::{Behaviour, OpenAiServer};

use crate::program::{Home, Server, install_crypto, until};

/// The cases: so many calls are asked for of both programs together, against a limit for so many.
const CASES: [(usize, usize); 4] = [(24, 5), (16, 1), (10, 9), (12, 12)];

fn flow(number: usize) -> String {
    format!(
        "key: flow-{number}\nname: Flow\ndescription: One call.\n\
         input_schema: {{ type: object, properties: {{ word: {{ type: string }} }} }}\nsteps:\n\
         \x20 - {{ name: a, title: A, agent: generalist, template: draft-text, input: {{ subject: input.word }} }}\n"
    )
}

/// Asks both programs for runs of a workflow, all at once.
async fn start_all(servers: &[Server; 2], workflow: &str, count: usize) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let query = "mutation($input: StartRunInput!) { startRun(input: $input) { runId } }";
    let started = (0..count).map(|number| {
        let id = uuid::Uuid::now_v7();
        let input = json!({ "clientMutationId": id, "workflow": workflow, "input": { "word": format!("w{number}") } });
        let body = json!({ "query": query, "variables": { "input": input } });
        client.post(format!("{}/graphql", servers[number % 2].url)).json(&body).send()
    });
    for answer in futures_util::future::join_all(started).await {
        let answer: Value = answer.unwrap().json().await.unwrap();
        assert!(answer.get("errors").is_none(), "{answer}");
    }
}

#[test]
fn of_the_calls_of_two_programs_exactly_as_many_go_as_the_budget_has_money_for() {
    install_crypto();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let database = runtime.block_on(Database::create());
    // Nobody is answered, so nothing that was set aside comes back while others ask.
    let platform = runtime.block_on(OpenAiServer::start([])).unwrap();
    platform.set_default(Behaviour::Hang);
    let homes = [Home::new(), Home::new()];
    let run = |node: usize, arguments: &[&str]| {
        let answer = homes[node].command(arguments).env("DATABASE_URL", database.url()).output().unwrap();
        let all = format!("{}{}", String::from_utf8_lossy(&answer.stdout), String::from_utf8_lossy(&answer.stderr));
        assert!(answer.status.success(), "{arguments:?}: {all}");
        String::from_utf8(answer.stdout).unwrap()
    };
    let serve = |home: &Home| {
        let mut command = home.command(&["serve", "--port", "0", "--json"]);
        command.env("DATABASE_URL", database.url());
        home.serve_by(command)
    };
    for home in &homes {
        let own = format!("kind = \"openai\"\nbase_url = \"{}\"\nmodel = \"m\"\n", platform.base_url());
        home.write("hishamos.toml", format!("[platforms.own]\n{own}"));
    }
    let founding = serve(&homes[0]);
    run(0, &["catalog", "load"]);
    for (number, (_, there)) in CASES.into_iter().enumerate() {
        homes[0].write(&format!("catalog/workflows/flow-{number}.yaml"), flow(number));
        let (key, workflow) = (format!("case-{number}"), format!("flow-{number}"));
        // A call whose price nobody knows is counted as one cent.
        let limit = format!("{}.{:02}", there / 100, there % 100);
        run(
            0,
            &[
                "budget",
                "set",
                &key,
                "--workflow",
                &workflow,
                "--dollars",
                &limit,
                "--per",
                "ever",
                "--unpriced",
                "0.01",
            ],
        );
    }
    run(0, &["catalog", "load", "catalog"]);
    assert!(founding.end("-TERM").0.success());
    // Both know all of it from their start.
    let servers = homes.each_ref().map(serve);
    let events = |types: &[&str]| -> Vec<Value> {
        let named = types.iter().flat_map(|name| ["--type", name]);
        let arguments: Vec<&str> = ["audit", "log", "--json"].into_iter().chain(named).collect();
        run(0, &arguments).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (mut calls, mut refused) = (0, 0);
    for (number, (asked, there)) in CASES.into_iter().enumerate() {
        runtime.block_on(start_all(&servers, &format!("flow-{number}"), asked));
        (calls, refused) = (calls + there, refused + asked - there);
        until("everybody to be admitted or refused", || {
            let failed = events(&["run.failed"]).len();
            assert!(failed <= refused, "{failed} were refused, of {asked} against {there}");

            (failed == refused && platform.received().len() >= calls).then_some(())
        });
        assert_eq!(platform.received().len(), calls, "{asked} against {there}");
        assert_eq!(events(&["task.attempt_started"]).len(), calls, "{asked} against {there}");
        let shown: Value =
            serde_json::from_str(&run(1, &["budget", "show", &format!("case-{number}"), "--json"])).unwrap();
        let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let there = u64::try_from(there).unwrap();
        let purse = &shown["purse"];
        assert_eq!(
            (number(&purse["reserved"]), number(&purse["calls"])),
            (Some(10_000_000 * there), Some(there)),
            "{shown}"
        );
    }
    let reasons = events(&["run.failed"]);
    assert!(reasons.iter().all(|event| event["data"]["error"]["kind"] == "budget_exhausted"), "{reasons:?}");
    let nodes: std::collections::BTreeSet<String> =
        events(&["run.claimed"]).iter().map(|event| event["data"]["node"].as_str().unwrap().to_owned()).collect();
    assert_eq!(nodes.len(), 2, "both programs had a part in it");
}
