//! Kept answers and limits in a real Redis, which two programs share.

use serde_json::{Value, json};
use testkit::RedisServer;
use testkit::openai::{Behaviour, OpenAiServer};

use crate::program::{Home, until};

fn run(home: &Home, redis: &str) -> String {
    let mut command = home.command(&["run", "welcome", "--input", "file=@README.md", "--output", "text", "--watch"]);
    let answer = command.env("REDIS_URL", redis).output().unwrap();
    let all = format!("{}{}", String::from_utf8_lossy(&answer.stdout), String::from_utf8_lossy(&answer.stderr));
    assert!(answer.status.success(), "{all}");
    all
}

#[test]
fn two_programs_share_what_is_kept() {
    let Some(mut redis) = RedisServer::start() else {
        eprintln!("skipped: there is no redis-server; `./dev test` installs it");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(OpenAiServer::start([])).unwrap();
    server.set_default(Behaviour::reply("Everybody packs by noon."));
    let homes = [Home::new(), Home::new()];
    for home in &homes {
        home.write(
            "hishamos.toml",
            format!(
                "[platforms.own]\nkind = \"openai\"\nbase_url = \"{}\"\nmodel = \"m\"\n[cache]\nmode = \"on\"\n",
                server.base_url()
            ),
        );
    }
    let url = redis.url();
    let first = run(&homes[0], &url);
    let calls = server.received().len();
    assert!(calls > 0);
    let second = run(&homes[1], &url);
    assert_eq!(server.received().len(), calls, "the other program needed no call: {second}");
    assert!(second.contains("Everybody packs by noon."), "{second}");
    let served = homes[1].run(&["audit", "log", "--type", "task.attempt_started", "--json"]).expect(0).out();
    let first_one: Value = serde_json::from_str(served.lines().next().unwrap()).unwrap();
    assert_eq!(first_one["data"]["kept"]["usage"]["input_tokens"], 7, "{first_one}");

    // Without Redis the work goes on.
    redis.kill();
    let third = run(&homes[1], &url);
    assert!(server.received().len() > calls && third.contains("Redis does not answer"), "{third}");
    assert!(![first, second, third].iter().any(|said| said.contains("s3cret-redis")));
    let shown = homes[0].command(&["config"]).env("REDIS_URL", &url).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("cache.redis_url") && !shown.contains("s3cret-redis"), "{shown}");
}

#[test]
fn two_programs_keep_to_one_limit() {
    let Some(mut redis) = RedisServer::start() else {
        eprintln!("skipped: there is no redis-server; `./dev test` installs it");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(OpenAiServer::start([Behaviour::Hang])).unwrap();
    server.set_default(Behaviour::reply("Everybody packs by noon."));
    let start = |home: &Home| {
        let platform = format!("kind = \"openai\"\nbase_url = \"{}\"\nmodel = \"m\"\n", server.base_url());
        home.write("hishamos.toml", format!("[platforms.own]\n{platform}limits = {{ at_once = 1 }}\n"));
        let mut command = home.command(&["serve", "--port", "0", "--json"]);
        command.env("REDIS_URL", redis.url());
        home.serve_by(command)
    };
    let homes = [Home::new(), Home::new()];
    let programs = homes.each_ref().map(start);
    for home in &homes {
        home.run(&["catalog", "load"]).expect(0);
    }
    let begin = |home: &Home| {
        let begun =
            home.run(&["run", "welcome", "--input", "file=@README.md", "--output", "text", "--json"]).expect(0).json();
        begun["runId"].as_str().unwrap().to_owned()
    };
    let status = |program: usize, run: &str| {
        let run = programs[program].ask("query($id: UUID!) { run(id: $id) { status } }", json!({ "id": run }));
        run["run"]["status"].as_str().map(str::to_owned)
    };
    let first = begin(&homes[0]);
    runtime.block_on(server.wait_received(1));
    let second = begin(&homes[1]);
    until("the other program to be told to wait", || {
        let metrics = metrics(&programs[1].url);
        metrics.contains("hishamos_shared_limits_total{outcome=\"wait\"}").then_some(())
    });
    assert_eq!(server.received().len(), 1, "one call is under way, wherever it was made");
    homes[0].run(&["cancel", &first, "--reason", "it hangs"]).expect(0);
    until("the other program's run", || (status(1, &second)? == "COMPLETED").then_some(()));

    // Without Redis each keeps to the limit by itself, and the work goes on.
    redis.kill();
    let third = begin(&homes[1]);
    until("a run without Redis", || (status(1, &third)? == "COMPLETED").then_some(()));
    let [_, other] = programs;
    let (_, log) = other.end("-TERM");
    assert!(
        log.contains("each node keeps to the limits of platforms by itself") && !log.contains(RedisServer::PASSWORD),
        "{log}"
    );
}

fn metrics(url: &str) -> String {
    crate::program::install_crypto();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(format!("{url}/metrics")).send().await.unwrap().text().await.unwrap()
    })
}
