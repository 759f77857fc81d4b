use std::time::Duration;

use providers::openai::{HOME, Options};
use providers::{Finish, OpenAi, Platform, Request, Secret, State, Usage};
use serde_json::json;
use testkit::openai::{Behaviour, OpenAiServer};

use crate::collect;

fn usage() -> serde_json::Value {
    json!({
        "prompt_tokens": 120, "completion_tokens": 40, "total_tokens": 160,
        "prompt_tokens_details": { "cached_tokens": 100 },
        "completion_tokens_details": { "reasoning_tokens": 25 }
    })
}

fn full_request() -> Request {
    Request {
        system: Some("Be brief.".into()),
        model: Some("asked-model".into()),
        temperature_milli: Some(200),
        max_tokens: Some(64),
        top_p_milli: Some(950),
        frequency_penalty_milli: Some(-500),
        presence_penalty_milli: Some(1500),
        ..Request::new("How many?")
    }
}

#[tokio::test]
async fn an_answer_keeps_everything() {
    let reply = Behaviour::Reply { text: "Forty two.".into(), usage: usage(), finish: "length".into() };
    let server = OpenAiServer::start([reply.clone(), reply]).await.unwrap();
    let key = Some(Secret::new("sk-test-0123456789"));
    let platform = OpenAi::new(Options { api_key: key, ..Options::new("openai", server.base_url()) }).unwrap();
    let whole = platform.execute(full_request()).await.unwrap();
    let (text, streamed) = collect(&platform, full_request()).await;
    for reply in [whole, streamed.unwrap()] {
        assert_eq!(reply.text, "Forty two.");
        assert_eq!(reply.finish, Finish::Length);
        assert_eq!(reply.model, "test-model");
        let expected = Usage {
            input: Some(120),
            cached_input: Some(100),
            output: Some(40),
            reasoning: Some(25),
            ..Usage::default()
        };
        assert_eq!(reply.usage, expected);
        assert_eq!(reply.raw_usage, Some(usage()));
        assert_eq!(reply.cost, None);
        assert!(!reply.simulated && reply.duration > Duration::ZERO);
    }
    assert_eq!(text, "Forty two.");

    let received = server.received();
    let body = json!({
        "model": "asked-model",
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": "How many?" }
        ],
        "temperature": 0.2, "max_tokens": 64, "top_p": 0.95, "frequency_penalty": -0.5, "presence_penalty": 1.5
    });
    assert_eq!(received[0].json, body);
    assert_eq!(received[0].path, "/v1/chat/completions");
    assert_eq!(received[0].header("authorization"), Some("Bearer sk-test-0123456789"));
    assert_eq!(received[1].json["stream"], json!(true));
    assert_eq!(received[1].json["stream_options"], json!({ "include_usage": true }));
}

#[tokio::test]
async fn what_is_not_reported_is_not_zero() {
    let reply = Behaviour::Reply { text: "Hm.".into(), usage: json!(null), finish: "stop".into() };
    let server = OpenAiServer::start([reply.clone(), reply]).await.unwrap();
    let model = Some("default-model".into());
    let platform = OpenAi::new(Options { model, ..Options::new("local-server", server.base_url()) }).unwrap();
    let whole = platform.execute(Request::new("Hello")).await.unwrap();
    let streamed = collect(&platform, Request::new("Hello")).await.1.unwrap();
    for reply in [whole, streamed] {
        assert_eq!(reply.usage, Usage::default());
        assert_eq!((reply.cost, reply.raw_usage), (None, None));
    }
    let received = server.received();
    assert_eq!(
        received[0].json,
        json!({ "model": "default-model", "messages": [{ "role": "user", "content": "Hello" }] })
    );
    assert_eq!(received[0].header("authorization"), None);
}

#[tokio::test]
async fn a_server_that_ignores_the_wish_to_stream_is_understood() {
    let body = json!({
        "model": "m", "choices": [{ "index": 0, "message": { "content": "All at once." }, "finish_reason": "stop" }]
    });
    let server = OpenAiServer::start([Behaviour::json(200, &body)]).await.unwrap();
    let model = Some("m".into());
    let platform = OpenAi::new(Options { model, ..Options::new("p", server.base_url() + "/") }).unwrap();
    let (text, outcome) = collect(&platform, Request::new("Hello")).await;
    assert_eq!((text.as_str(), outcome.unwrap().finish), ("All at once.", Finish::Stop));
}

#[tokio::test]
async fn health_spends_nothing() {
    let server = OpenAiServer::start([]).await.unwrap();
    let platform = OpenAi::new(Options::new("p", server.base_url())).unwrap();
    assert_eq!(platform.health().await.state, State::Ready);
    let unlisted = OpenAi::new(Options::new("p", server.base_url().replace("/v1", "/v2x"))).unwrap();
    assert_eq!(unlisted.health().await.state, State::Ready);
    assert!(server.received().iter().all(|received| received.method == "GET"));
}

#[test]
fn openai_itself_needs_a_key() {
    let without = OpenAi::new(Options::new("openai", HOME));
    // A system without certificates cannot make the client at all.
    if let Ok(platform) = without {
        assert!(platform.unusable().is_some_and(|why| why.contains("OPENAI_API_KEY")));
    }
}
