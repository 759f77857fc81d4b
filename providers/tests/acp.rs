//! The Agent Client Protocol, against an agent that is made with the protocol's official SDK for Python.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use providers::acp::{AcpAgent, Error, Options, Permissions};
use providers::{Chunk, CostSource, Failure, FailureKind, Finish, Message, Platform, Reply, Request, State};
use tempfile::TempDir;

use crate::command::{is_alive, pid, until_dead};

const SDK: &str = "agent-client-protocol==0.12.1";

async fn agent() -> (TempDir, Options) {
    let install = || testkit::python_with("acp-0.12.1", &[SDK]);
    let python: PathBuf = tokio::task::spawn_blocking(install).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/acp/agent.py");
    let mut options = Options::new("coder", python, folder.path().canonicalize().unwrap());
    options.arguments = vec!["-B".to_owned(), script.display().to_string()];
    (folder, options)
}

fn prompt(word: &str) -> Request {
    let system = Some("Be brief.".to_owned());
    Request { system, timeout: Duration::from_secs(30), ..Request::new(word) }
}

async fn ask(options: &Options, word: &str) -> Result<Reply, Failure> {
    AcpAgent::new(options.clone()).unwrap().execute(prompt(word)).await
}

async fn fails(options: &Options, word: &str) -> (FailureKind, String) {
    let failure = ask(options, word).await.unwrap_err();
    (failure.kind, failure.message)
}

#[tokio::test]
async fn a_turn_is_followed_and_asks_for_nothing_that_is_not_allowed() {
    let (folder, mut options) = agent().await;
    options.permissions = Permissions::named(["read"]).unwrap();
    options.mode = Some("plan".to_owned());
    options.arguments.push("--model={model}".to_owned());
    options.model = Some("some-model".to_owned());
    let agent = AcpAgent::new(options).unwrap();
    assert!(agent.speaks());
    let mut chunks = agent.stream(prompt("work")).await.unwrap();
    let (mut texts, mut end) = (Vec::new(), None);
    while let Some(chunk) = chunks.next().await {
        assert!(end.is_none(), "nothing comes after the end");
        match chunk.unwrap() {
            Chunk::Text(text) => texts.push(text),
            Chunk::End(reply) => end = Some(*reply),
        }
    }
    let reply = end.unwrap();
    let place = folder.path().canonicalize().unwrap();
    let said = format!("plan: once no, {}, hishamos, ['--model=some-model']", place.display());
    assert_eq!(texts, ["I look ", "around.", &format!("\n\n{said}")]);
    assert_eq!(reply.text, texts.concat());
    assert_eq!((reply.finish, reply.model.as_str(), reply.simulated), (Finish::Stop, "some-model", false));
    assert_eq!((reply.usage.input, reply.usage.cached_input), (Some(1_100), Some(1_000)));
    assert_eq!((reply.usage.output, reply.usage.reasoning), (Some(30), Some(10)));
    assert_eq!((reply.cost, reply.cost_source), (Some(12_500_000), CostSource::Reported));
    assert_eq!(reply.raw_usage.unwrap()["usage"]["inputTokens"], 100);
    assert!(reply.first_piece.unwrap() < reply.duration);
}

/// As an agent and not as a platform: started, followed, collected.
#[tokio::test]
async fn its_work_is_followed_and_collected() {
    let (_folder, mut options) = agent().await;
    options.permissions = Permissions::named(["read"]).unwrap();
    let agent = AcpAgent::new(options).unwrap();
    let mut work = providers::ExternalAgent::start(&agent, prompt("work")).await.unwrap();
    let mut told = Vec::new();
    while let Some(text) = work.follow().await {
        told.push(text);
    }
    assert!(told.len() > 1, "{told:?}");
    assert_eq!(work.collect().await.unwrap().text, told.concat());
}

#[tokio::test]
async fn the_prompt_is_one_text_and_what_is_not_told_is_unknown() {
    let (_folder, options) = agent().await;
    let turns = vec![Message::user("Again, please"), Message::user("echo")];
    let request = Request { turns, ..prompt("Tell a joke") };
    let reply = AcpAgent::new(options.clone()).unwrap().execute(request).await.unwrap();
    assert_eq!(reply.text, "Be brief.\n\nTell a joke\n\nAgain, please\n\necho");
    assert_eq!((reply.cost, reply.cost_source), (None, CostSource::Unpriced));
    assert_eq!((reply.usage, reply.raw_usage), (providers::Usage::default(), None));
    assert!(reply.model.starts_with("python"), "{}", reply.model);
    for (word, finish) in [
        ("refusal", Finish::ContentFilter),
        ("max_tokens", Finish::Length),
        ("max_turn_requests", Finish::Other("max_turn_requests".to_owned())),
    ] {
        let reply = ask(&options, word).await.unwrap();
        assert_eq!((reply.text.as_str(), reply.finish), ("So far.", finish));
    }
}

#[tokio::test]
async fn what_goes_wrong_is_said_and_nothing_passes_for_an_answer() {
    let (_folder, mut options) = agent().await;
    let (kind, said) = fails(&options, "crash").await;
    assert_eq!(kind, FailureKind::PlatformFailure);
    assert!(said.starts_with("coder: ") && said.contains("exit status: 3") && said.contains("I fell over"), "{said}");
    let (kind, said) = fails(&options, "fail").await;
    assert!(kind == FailureKind::PlatformFailure && said.contains("the disk is full"), "{said}");
    let (kind, said) = fails(&options, "cancelled").await;
    assert!(kind == FailureKind::PlatformFailure && said.contains("nobody had asked"), "{said}");
    // It is offered no files; what it wants of them it does by itself, or not.
    assert_eq!(ask(&options, "file").await.unwrap().text, "refused with -32601");

    options.max_output_bytes = 100_000;
    let (kind, said) = fails(&options, "flood").await;
    assert!(kind == FailureKind::PlatformFailure && said.contains("100000 bytes"), "{kind:?} {said}");
    options.max_output_bytes = 64 << 20;
    options.mode = Some("yolo".to_owned());
    let (kind, said) = fails(&options, "work").await;
    assert_eq!(kind, FailureKind::InvalidRequest);
    assert!(said.contains("no mode `yolo`; it has `usual`, `plan`"), "{said}");
    for (will, expected, words) in [
        ("login", FailureKind::Unauthorized, "log it in first"),
        ("newer", FailureKind::PlatformFailure, "99"),
        ("crash", FailureKind::PlatformFailure, "it cannot go on"),
    ] {
        options.environment.insert("WILL".to_owned(), will.to_owned());
        let (kind, said) = fails(&options, "work").await;
        assert!(kind == expected && said.contains(words), "{will}: {kind:?} {said}");
    }
    options.environment.insert("WILL".to_owned(), "login".to_owned());
    options.mode = None;
    options.login = Some("face".to_owned());
    let (kind, said) = fails(&options, "echo").await;
    assert_eq!(kind, FailureKind::Unauthorized);
    assert!(said.contains("by `face`") && said.contains("there is no method face"), "{said}");
    options.login = Some("key".to_owned());
    assert!(ask(&options, "echo").await.unwrap().text.ends_with("echo"));
    options.program = "/usr/bin/true".into();
    let (kind, said) = fails(&options, "work").await;
    assert!(kind == FailureKind::PlatformFailure, "{kind:?} {said}");
    options.program = "/no/such/agent".into();
    assert_eq!(fails(&options, "work").await.0, FailureKind::Unreachable);
}

#[tokio::test]
async fn whoever_does_not_wait_any_more_cancels_the_turn() {
    let (folder, options) = agent().await;
    let agent = AcpAgent::new(options).unwrap();
    let mut chunks = agent.stream(prompt("wait")).await.unwrap();
    assert_eq!(chunks.next().await.unwrap().unwrap(), Chunk::Text("I work.".to_owned()));
    let pid = pid(folder.path()).await;
    assert!(is_alive(&pid));
    drop(chunks);
    until_dead(&pid).await;
    assert_eq!(std::fs::read_to_string(folder.path().join("cancelled")).unwrap(), "yes\n", "it was told to stop");
}

#[tokio::test]
async fn one_that_does_not_stop_is_ended() {
    let (folder, options) = agent().await;
    let agent = AcpAgent::new(options).unwrap();
    let begun = Instant::now();
    let request = Request { timeout: Duration::from_secs(4), ..prompt("deaf") };
    let failure = agent.execute(request).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout);
    let consumed = failure.consumed.unwrap();
    assert_eq!(consumed.text_bytes, "I work.".len(), "what it had said is told");
    assert_eq!((consumed.cost, consumed.cost_source, consumed.raw_usage), (None, CostSource::Unpriced, None));
    assert!(begun.elapsed() < Duration::from_secs(15));
    until_dead(&pid(folder.path()).await).await;
    // The last of the platform takes its sessions with it.
    std::fs::remove_file(folder.path().join("pid")).unwrap();
    let mut chunks = agent.stream(prompt("deaf")).await.unwrap();
    assert!(matches!(chunks.next().await, Some(Ok(Chunk::Text(_)))));
    let pid = self::pid(folder.path()).await;
    drop((agent, chunks));
    until_dead(&pid).await;
}

#[tokio::test]
async fn health_is_a_hello() {
    let (_folder, mut options) = agent().await;
    let health = AcpAgent::new(options.clone()).unwrap().health().await;
    assert_eq!((health.state, health.detail.as_str()), (State::Ready, "The Tester 1.2"));
    options.environment.insert("WILL".to_owned(), "crash".to_owned());
    let health = AcpAgent::new(options.clone()).unwrap().health().await;
    assert!(health.state == State::Unusable && health.detail.contains("it cannot go on"), "{health:?}");
    options.program = "/no/such/agent".into();
    let health = AcpAgent::new(options).unwrap().health().await;
    assert!(health.state == State::Unusable && health.detail.contains("there is no program"), "{health:?}");
}

#[test]
fn options_that_cannot_work_are_refused() {
    let options = |program: &str, directory: &str| Options::new("coder", program, directory);
    assert!(matches!(AcpAgent::new(options("agent", "/tmp")), Err(Error::Relative(_))));
    assert!(matches!(AcpAgent::new(options("/bin/agent", "tmp")), Err(Error::RelativeDirectory(_))));
    let mut prompted = options("/bin/agent", "/tmp");
    prompted.arguments = vec!["{prompt}".to_owned()];
    assert!(matches!(AcpAgent::new(prompted), Err(Error::Placeholder(_))));
}
