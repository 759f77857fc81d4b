//! Programs as agents.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use providers::command::{CommandAgent, Error, Fields, Options, Output};
use providers::{CostSource, Failure, FailureKind, Message, Platform, Reply, Request, State, Tool, Usage, Work};
use tempfile::TempDir;

use crate::collect;

/// A script, and a folder in which it works.
fn script(body: &str) -> (TempDir, Options) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("agent");
    std::fs::write(&program, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut options = Options::new("agent", program, folder.path());
    options.environment.insert("PATH".to_owned(), "/usr/bin:/bin".to_owned());
    (folder, options)
}

async fn ask(options: Options, request: Request) -> Result<Reply, Failure> {
    // A file that was written a moment ago may still be open in a process that another test starts.
    loop {
        match CommandAgent::new(options.clone()).unwrap().execute(request.clone()).await {
            Err(failure) if failure.message.contains("Text file busy") => tokio::task::yield_now().await,
            answered => return answered,
        }
    }
}

async fn start(options: Options) -> Work {
    loop {
        match providers::ExternalAgent::start(&CommandAgent::new(options.clone()).unwrap(), prompt()).await {
            Err(failure) if failure.message.contains("Text file busy") => tokio::task::yield_now().await,
            started => return started.unwrap(),
        }
    }
}

fn prompt() -> Request {
    let system = Some("Be brief.".to_owned());
    Request { system, timeout: Duration::from_secs(20), ..Request::new("Say \"hi\"; $(rm -rf /)") }
}

fn json() -> Output {
    let at = |pointer: &str| Some(pointer.to_owned());
    Output::Json(Box::new(Fields {
        text: "/result".to_owned(),
        failed: at("/is_error"),
        model: at("/model"),
        input_tokens: at("/usage/input"),
        output_tokens: at("/usage/output"),
        dollars: at("/cost"),
        usage: at("/usage"),
    }))
}

pub(crate) fn is_alive(pid: &str) -> bool {
    // A process that nobody has waited for is dead all the same.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

pub(crate) async fn pid(folder: &Path) -> String {
    let begun = Instant::now();
    loop {
        match std::fs::read_to_string(folder.join("pid")) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => assert!(begun.elapsed() < Duration::from_secs(20), "it did not start"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn until_dead(pid: &str) {
    let begun = Instant::now();
    while is_alive(pid) {
        assert!(begun.elapsed() < Duration::from_secs(20), "what it had started lives on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_prompt_comes_over_standard_input_and_the_answer_is_what_it_writes() {
    let (_folder, options) = script("cat; echo; echo \"I am in $(pwd)\"");
    let reply = ask(options.clone(), prompt()).await.unwrap();
    let (said, place) = reply.text.split_once("\nI am in ").unwrap();
    assert_eq!(said, "Be brief.\n\nSay \"hi\"; $(rm -rf /)");
    assert_eq!(Path::new(place).canonicalize().unwrap(), options.directory.canonicalize().unwrap());
    assert_eq!((reply.cost, reply.cost_source, reply.usage.input), (None, CostSource::Unpriced, None));
    assert_eq!((reply.model.as_str(), reply.simulated), ("agent", false));
    let agent = CommandAgent::new(options).unwrap();
    assert_eq!((agent.unusable(), agent.health().await.state), (None, State::Ready));
    let (text, streamed) = collect(&agent, prompt()).await;
    assert_eq!(text, streamed.unwrap().text);
}

#[tokio::test]
async fn arguments_are_filled_and_nothing_is_left_to_a_shell() {
    let (_folder, mut options) = script("for argument in \"$@\"; do echo \"<$argument>\"; done; cat");
    options.arguments = ["--model={model}", "-p", "{prompt}", "$HOME"].map(str::to_owned).to_vec();
    options.model = Some("small".to_owned());
    let reply = ask(options.clone(), Request::new("a {model} {prompt}\nb")).await.unwrap();
    assert_eq!(reply.text, "<--model=small>\n<-p>\n<a {model} {prompt}\nb>\n<$HOME>");
    let reply = ask(options, Request { model: Some("large".to_owned()), ..prompt() }).await.unwrap();
    assert!(reply.text.starts_with("<--model=large>") && reply.model == "large", "{}", reply.text);
}

#[tokio::test]
async fn it_sees_no_environment_but_its_own() {
    let (_folder, mut options) = script("env");
    options.environment.insert("TOKEN".to_owned(), "t-1".to_owned());
    let reply = ask(options, prompt()).await.unwrap();
    let names: Vec<_> = reply.text.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    // What a shell sets by itself.
    let own = names.iter().filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    assert_eq!(own.collect::<std::collections::BTreeSet<_>>(), ["PATH", "TOKEN"].iter().collect());
}

#[tokio::test]
async fn json_is_read_where_it_was_said() {
    let line = r#"{"result":"Fixed.","is_error":false,"model":"m-1","usage":{"input":12,"output":3},"cost":0.0421}"#;
    let (_folder, mut options) = script(&format!("echo '{{\"progress\": 1}}'; echo '{line}'"));
    options.output = json();
    let reply = ask(options.clone(), prompt()).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.model.as_str()), ("Fixed.", "m-1"));
    assert_eq!((reply.usage.input, reply.usage.output, reply.cost), (Some(12), Some(3), Some(42_100_000)));
    assert_eq!(reply.cost_source, CostSource::Reported);
    assert_eq!(reply.raw_usage, Some(serde_json::json!({ "input": 12, "output": 3 })));

    let says = |text: &str| (script(&format!("echo '{text}'")), json());
    for (text, kind, word) in [
        (r#"{"result":"I cannot","is_error":true}"#, FailureKind::PlatformFailure, "I cannot"),
        (r#"{"other":1}"#, FailureKind::MalformedReply, "/result"),
        ("no json", FailureKind::MalformedReply, "no JSON"),
    ] {
        let ((_folder, mut options), output) = says(text);
        options.output = output;
        let failure = ask(options, prompt()).await.unwrap_err();
        assert!(failure.kind == kind && failure.message.contains(word), "{failure}");
        assert_eq!(failure.consumed, None, "it tells of nothing that it has used");
    }
    // What it has used although it failed has to be paid for.
    let ((_folder, mut options), output) =
        says(r#"{"result":"I cannot","is_error":true,"model":"m-1","usage":{"input":12,"output":3},"cost":0.0421}"#);
    options.output = output;
    let used = ask(options, prompt()).await.unwrap_err().consumed.unwrap();
    assert_eq!((used.usage.input, used.usage.output, used.text_bytes), (Some(12), Some(3), "I cannot".len()));
    assert_eq!((used.cost, used.cost_source), (Some(42_100_000), CostSource::Reported));
    assert_eq!(used.raw_usage, Some(serde_json::json!({ "input": 12, "output": 3 })));
    // A cost that it does not tell is unknown.
    let ((_folder, mut options), output) = says(r#"{"result":"x"}"#);
    options.output = output;
    let reply = ask(options, prompt()).await.unwrap();
    assert_eq!((reply.cost, reply.usage.output), (None, None));
}

#[tokio::test]
async fn how_it_fails_is_told() {
    let (_folder, options) = script("echo 'no such branch' >&2; exit 3");
    let failure = ask(options, prompt()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::PlatformFailure);
    assert!(failure.message.contains("exit status: 3") && failure.message.contains("no such branch"), "{failure}");

    let (_folder, mut options) = script("yes");
    options.max_output_bytes = 100_000;
    let failure = ask(options, prompt()).await.unwrap_err();
    assert!(failure.kind == FailureKind::MalformedReply && failure.message.contains("100000"), "{failure}");

    let (folder, mut options) = script("true");
    options.program = folder.path().join("nothing");
    let agent = CommandAgent::new(options.clone()).unwrap();
    assert!(agent.unusable().unwrap().contains("nothing"));
    assert_eq!(agent.health().await.state, State::Unusable);
    assert_eq!(agent.execute(prompt()).await.unwrap_err().kind, FailureKind::Unreachable);

    let (_folder, options) = script("cat");
    let tool = Tool { name: "t".into(), description: String::new(), parameters: serde_json::json!({}) };
    for request in [
        Request { tools: vec![tool], ..prompt() },
        Request { model: Some("other".to_owned()), ..prompt() },
        Request { turns: vec![Message::tool_result(&call(), "x")], ..prompt() },
    ] {
        assert_eq!(ask(options.clone(), request).await.unwrap_err().kind, FailureKind::InvalidRequest);
    }
    let (_folder, mut options) = script("true");
    options.arguments = vec!["{prompt}".to_owned()];
    let long = Request { user: "x".repeat(1 << 20), ..prompt() };
    assert_eq!(ask(options.clone(), long).await.unwrap_err().kind, FailureKind::ContextTooLong);
    let zero = Request { user: "a\0b".to_owned(), ..prompt() };
    assert_eq!(ask(options, zero).await.unwrap_err().kind, FailureKind::InvalidRequest);
}

fn call() -> providers::ToolCall {
    providers::ToolCall { id: "1".into(), name: "t".into(), arguments: "{}".into() }
}

#[tokio::test]
async fn all_that_it_started_ends_with_the_call() {
    let body = "sleep 1000 & echo $! > pid; wait";
    let (folder, options) = script(body);
    let begun = Instant::now();
    let late = Request { timeout: Duration::from_secs(2), ..prompt() };
    let failure = ask(options, late).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert!(begun.elapsed() < Duration::from_secs(15));
    until_dead(&pid(folder.path()).await).await;

    // Somebody gives up.
    let (folder, options) = script(body);
    let asked = tokio::spawn(ask(options, prompt()));
    let child = pid(folder.path()).await;
    assert!(is_alive(&child));
    asked.abort();
    until_dead(&child).await;

    // It ends by itself, and leaves something behind.
    let (folder, options) = script("sleep 1000 >/dev/null 2>&1 & echo $! > pid; echo done");
    assert_eq!(ask(options, prompt()).await.unwrap().text, "done");
    until_dead(&pid(folder.path()).await).await;
}

/// As an agent and not as a platform: started, collected, and cancelled.
#[tokio::test]
async fn it_works_from_its_start_until_it_is_collected_or_cancelled() {
    let (folder, options) = script("echo $$ > pid; cat");
    let mut work = start(options).await;
    // Nobody has asked for its end yet.
    pid(folder.path()).await;
    assert_eq!(work.follow().await, None, "it speaks when it has ended");
    let reply = work.collect().await.unwrap();
    assert_eq!((reply.cost, reply.cost_source, reply.usage), (None, CostSource::Unpriced, Usage::default()));

    let (folder, options) = script("sleep 1000 & echo $! > pid; wait");
    let work = start(options).await;
    let child = pid(folder.path()).await;
    assert!(is_alive(&child));
    work.cancel();
    until_dead(&child).await;
}

#[test]
fn options_that_cannot_work_are_refused() {
    let with = |change: fn(&mut Options)| {
        let mut options = Options::new("agent", "/bin/true", "/");
        change(&mut options);
        CommandAgent::new(options).map(drop)
    };
    assert!(with(|options| options.arguments = vec!["{prompt} {model} {\"json\": {}}".to_owned()]).is_ok());
    assert!(matches!(with(|options| options.program = "true".into()), Err(Error::Relative(_))));
    assert!(matches!(with(|options| options.arguments = vec!["{promt}".to_owned()]), Err(Error::Placeholder(_))));
    let wrong = |options: &mut Options| {
        options.output = Output::Json(Box::new(Fields { text: "result".to_owned(), ..Fields::default() }));
    };
    assert!(matches!(with(wrong), Err(Error::Pointer(pointer)) if pointer == "result"));
}
