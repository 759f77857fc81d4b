//! A platform that speaks OpenAI's protocol, over real HTTP.

use testkit::openai::{Behaviour, OpenAiServer};

use crate::program::{Home, anywhere};

const KEY: &str = "sk-e2e-5ec2e7-never-written-down";

#[test]
fn a_configured_url_is_used_instead_and_its_trouble_passes() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let script = [Behaviour::rate_limited(Some("0")), Behaviour::server_error()];
    let server = runtime.block_on(OpenAiServer::start(script)).unwrap();
    server.set_default(Behaviour::reply("Everybody packs by noon."));
    let home = Home::new();
    let mut command = home.command(&["run", "welcome", "--input", "file=@README.md", "--output", "text", "--watch"]);
    command.env("OPENAI_BASE_URL", server.base_url()).env("OPENAI_API_KEY", KEY).env("OPENAI_MODEL", "some-model");
    let answer = command.output().unwrap();
    let out = String::from_utf8_lossy(&answer.stdout).into_owned();
    let err = String::from_utf8_lossy(&answer.stderr).into_owned();
    assert!(answer.status.success(), "{out}{err}");
    assert!(out.contains("Everybody packs by noon."), "{out}");
    assert!(!out.contains("[simulated]"), "{out}");

    // Three answers, and the two troubles before them.
    let received = server.received();
    assert_eq!(received.len(), 5);
    for request in &received {
        assert_eq!(request.json["model"], "some-model");
        assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    }
    assert!(!out.contains(KEY) && !err.contains(KEY), "the key is shown");
    assert!(!anywhere(&home.data(), KEY.as_bytes()), "the key is on the disk");
}
