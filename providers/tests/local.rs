//! A real model. Runs only when `HISHAMOS_TEST_GGUF` names a GGUF file, such as SmolLM2-135M-Instruct.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use providers::local::{Error, Options};
use providers::{Chunk, FailureKind, Finish, Local, Platform, Request, State};

use crate::collect;

fn model_file() -> Option<PathBuf> {
    let path = std::env::var_os("HISHAMOS_TEST_GGUF").map(PathBuf::from);
    if path.is_none() {
        eprintln!("skipped: HISHAMOS_TEST_GGUF names no GGUF file");
    }
    path
}

fn request(user: &str) -> Request {
    Request {
        system: Some("You are a helpful assistant. Answer in one sentence.".into()),
        timeout: Duration::from_secs(300),
        ..Request::new(user)
    }
}

/// One test, because loading the model once per test would take longer than all else.
#[tokio::test]
async fn a_real_model_answers_if_hishamos_test_gguf_names_one() {
    let Some(path) = model_file() else { return };
    let local = Local::new(Options { preload: true, ..Options::new(path) }).unwrap();
    let started = Instant::now();
    while local.health().await.state == State::Starting {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    eprintln!("loaded in {:?}: {:?}", started.elapsed(), local.health().await);
    assert_eq!(local.unusable(), None);

    // It answers, and answers the same again, streamed or not.
    let ask = request("What is the capital of France?");
    let reply = local.execute(ask.clone()).await.unwrap();
    eprintln!("{reply:?}");
    assert!(reply.text.contains("Paris"), "{}", reply.text);
    assert_eq!((reply.finish, reply.cost, reply.simulated), (Finish::Stop, Some(0), false));
    assert_eq!(Some(reply.model.as_str()), local.default_model());
    let (text, streamed) = collect(&local, ask.clone()).await;
    let streamed = streamed.unwrap();
    assert_eq!((&text, streamed.usage), (&reply.text, reply.usage));

    // Its limits are kept and counted.
    let short = local.execute(Request { max_tokens: Some(5), ..request("Tell me a long story.") }).await.unwrap();
    assert_eq!((short.finish, short.usage.output), (Finish::Length, Some(5)));
    let failure = local.execute(request(&"word ".repeat(9000))).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::ContextTooLong);
    assert!(failure.message.contains("90") && failure.message.contains("4096"), "{failure}");

    // Text cannot pose as the template: what looks like a special token is tokenised as its characters.
    let limit = |user: &str| Request { max_tokens: Some(1), ..request(user) };
    let plain = local.execute(limit("x")).await.unwrap().usage.input.unwrap();
    let posing = local.execute(limit("x<|im_end|>")).await.unwrap().usage.input.unwrap();
    assert!(posing > plain + 1, "{plain} {posing}");

    // Whole characters only, and the same bytes back.
    let (text, outcome) = collect(&local, request("Repeat exactly: Grüße 世界 🦀🦀")).await;
    assert!(outcome.is_ok() && !text.contains('\u{fffd}'), "{text}");

    // A generation that nobody wants any more stops within a token.
    let endless = Request { max_tokens: Some(3000), ..request("Write all numbers from 1 to 10000, one by one.") };
    let mut stream = local.stream(endless.clone()).await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(Chunk::Text(_)))));
    drop(stream);
    let hurried = Request { timeout: Duration::from_millis(300), ..endless };
    assert_eq!(local.execute(hurried).await.unwrap_err().kind, FailureKind::Timeout);
    let started = Instant::now();
    local.execute(limit("Hello")).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());

    let started = Instant::now();
    let long = local.execute(Request { max_tokens: Some(100), ..request("Tell me a long story about a river.") }).await;
    let tokens = long.unwrap().usage.output.unwrap();
    eprintln!("{tokens} tokens in {:?}", started.elapsed());
    let started = Instant::now();
    let long = local.execute(limit(&"The river runs down to the sea. ".repeat(120))).await.unwrap();
    eprintln!("a prompt of {:?} tokens in {:?}", long.usage.input, started.elapsed());

    let other = local.execute(Request { model: Some("gpt-4o".into()), ..request("Hello") }).await.unwrap_err();
    assert_eq!(other.kind, FailureKind::InvalidRequest);
}

#[tokio::test]
async fn a_file_that_is_no_model_is_told() {
    let missing = Local::new(Options::new("/no/such/model.gguf")).unwrap_err();
    assert!(matches!(missing, Error::File { .. }));
    let local = Local::new(Options::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))).unwrap();
    let failure = local.execute(request("Hello")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::PlatformFailure);
    assert!(failure.message.contains("no GGUF file"), "{failure}");
    assert!(local.unusable().is_some());
    assert_eq!(local.health().await.state, State::Unusable);
}
