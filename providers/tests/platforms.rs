//! Every adapter over real HTTP: where it asks, how it shows its key, what its answers cost and how it fails.

use std::sync::Arc;

use providers::http::{ApiKey, Options, Protocol};
use providers::prices::Prices;
use providers::{
    Anthropic, CostSource, FailureKind, Gemini, OpenAi, OpenAiResponses, OpenRouter, Platform, Reply, Request, Secret,
    openrouter,
};
use serde_json::json;
use testkit::openai::{Behaviour, OpenAiServer, Received};

use crate::collect;

const KEY: &str = "sk-secret-0123456789";

fn options(server: &OpenAiServer, key: &str) -> Options {
    Options {
        api_key: Some(Secret::new(KEY)),
        model: Some("a-model".into()),
        prices: Some(Arc::new(Prices::bundled().unwrap())),
        ..Options::new(key, server.base_url())
    }
}

fn platform(name: &str, options: Options) -> Box<dyn Platform> {
    match name {
        "anthropic" => Box::new(Anthropic::new(options).unwrap()),
        // The test server lives below /v1, so the version is added.
        "gemini" => Box::new(Gemini::new(options).unwrap()),
        "openai-responses" => Box::new(OpenAiResponses::new(options).unwrap()),
        "openrouter" => Box::new(OpenRouter::new(options).unwrap()),
        "openai-chat" => Box::new(OpenAi::new(options).unwrap()),
        other => panic!("{other}"),
    }
}

fn golden(path: &str) -> String {
    std::fs::read_to_string(format!("{}/golden/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Asks once whole and once streamed, with a recording for each.
async fn both(name: &str, case: &str) -> ([Reply; 2], Vec<Received>) {
    let server = OpenAiServer::start([
        Behaviour::respond(200, "application/json", &golden(&format!("{name}/{case}.json"))),
        Behaviour::respond(200, "text/event-stream", &golden(&format!("{name}/{case}.sse"))),
    ])
    .await
    .unwrap();
    let platform = platform(name, options(&server, name));
    let whole = platform.execute(Request::new("Hello")).await.unwrap();
    let (_, streamed) = collect(&*platform, Request::new("Hello")).await;
    ([whole, streamed.unwrap()], server.received())
}

#[tokio::test]
async fn anthropic() {
    let (replies, received) = both("anthropic", "cache").await;
    for (reply, first) in replies.iter().zip([false, true]) {
        assert_eq!((reply.text.as_str(), reply.usage.input), ("Guten Tag 👋", Some(3190)));
        // 11 × 3 $ + 2048 × 0.30 $ + 131 × 3.75 $ + 1000 × 6 $ + 15 × 15 $ a million.
        assert_eq!(reply.cost, Some(33_000 + 614_400 + 491_250 + 6_000_000 + 225_000));
        assert_eq!(reply.cost_source, CostSource::Listed { version: "2026-11-25".into() });
        assert_eq!(reply.first_piece.is_some(), first);
    }
    for request in &received {
        assert_eq!(request.path, "/v1/messages");
        assert_eq!(request.header("x-api-key"), Some(KEY));
        assert_eq!(request.header("anthropic-version"), Some("2023-06-01"));
        assert_eq!(request.header("authorization"), None);
        assert_eq!(request.json["max_tokens"], json!(4096), "nobody knows how long answers of a-model can be");
    }
    assert_eq!(received[1].json["stream"], json!(true));
}

#[tokio::test]
async fn anthropic_keeps_instructions_in_its_cache_unless_told_not_to() {
    let instructed = || Request { system: Some("You are terse.".into()), ..Request::new("Hello") };
    for (prompt_cache, system) in [
        (true, json!([{ "type": "text", "text": "You are terse.", "cache_control": { "type": "ephemeral" } }])),
        (false, json!("You are terse.")),
    ] {
        let answer = Behaviour::respond(200, "application/json", &golden("anthropic/cache.json"));
        let server = OpenAiServer::start([answer]).await.unwrap();
        let platform = Anthropic::new(Options { prompt_cache, ..options(&server, "anthropic") }).unwrap();
        platform.execute(instructed()).await.unwrap();
        assert_eq!(server.received()[0].json["system"], system);
        assert_eq!(platform.writes_cache(), prompt_cache);
    }
    let server = OpenAiServer::start([]).await.unwrap();
    assert!(!OpenAi::new(options(&server, "openai-chat")).unwrap().writes_cache(), "it does so by itself, for nothing");
}

#[tokio::test]
async fn openrouter_asks_anthropic_to_keep_instructions_unless_told_not_to() {
    let kept = json!([{ "type": "text", "text": "You are terse.", "cache_control": { "type": "ephemeral" } }]);
    for (prompt_cache, model, system, content) in [
        (true, "anthropic/claude-sonnet-4.5", Some("You are terse."), kept),
        (true, "openai/gpt-4o", Some("You are terse."), json!("You are terse.")),
        (false, "anthropic/claude-sonnet-4.5", Some("You are terse."), json!("You are terse.")),
        (true, "anthropic/claude-sonnet-4.5", None, json!("Hello")),
    ] {
        let answer = Behaviour::respond(200, "application/json", &golden("openrouter/reasoning.json"));
        let server = OpenAiServer::start([answer]).await.unwrap();
        let platform = OpenRouter::new(Options { prompt_cache, ..options(&server, "openrouter") }).unwrap();
        let request = Request { system: system.map(Into::into), model: Some(model.into()), ..Request::new("Hello") };
        platform.execute(request).await.unwrap();
        assert_eq!(server.received()[0].json["messages"][0]["content"], content, "{prompt_cache} {model}");
    }
}

#[tokio::test]
async fn gemini() {
    let (replies, received) = both("gemini", "thinking").await;
    for reply in replies {
        assert_eq!((reply.usage.output, reply.usage.reasoning), (Some(128), Some(120)));
        assert_eq!(reply.cost, Some(34 * 1250 + 128 * 10_000));
        let said = Request { turns: vec![reply.message()], ..Request::new("x") };
        assert!(providers::wire::gemini::encode(&said).to_string().contains(r#""thoughtSignature":"CiQB""#));
    }
    assert_eq!(received[0].path, "/v1/v1beta/models/a-model:generateContent");
    assert_eq!(received[1].path, "/v1/v1beta/models/a-model:streamGenerateContent?alt=sse");
    assert_eq!(received[0].header("x-goog-api-key"), Some(KEY));
}

#[tokio::test]
async fn openai_responses() {
    let (replies, received) = both("openai-responses", "tools").await;
    for reply in replies {
        assert!(reply.finish.is_tool_calls());
        assert_eq!(reply.tool_calls[0].parsed().unwrap(), json!({ "city": "Paris" }));
        assert_eq!(reply.cost, None, "nobody knows what a server that is not OpenAI charges");
    }
    assert_eq!(received[0].path, "/v1/responses");
    assert_eq!(received[0].header("authorization"), Some(&*format!("Bearer {KEY}")));
    assert_eq!(received[0].json["store"], json!(false));
}

#[tokio::test]
async fn openrouter_says_itself_what_it_charged() {
    let (replies, received) = both("openrouter", "reasoning").await;
    for reply in replies {
        assert_eq!((reply.cost, &reply.cost_source), (Some(141_260), &CostSource::Reported));
        let said = Request { turns: vec![reply.message()], ..Request::new("x") };
        let body = openrouter::Routed::default().encode(&said, "m", None, false).unwrap();
        assert_eq!(body["messages"][1]["reasoning_details"][1]["data"], json!("CpEB"));
    }
    assert_eq!(received[0].path, "/v1/chat/completions");
    assert_eq!(received[0].json["usage"], json!({ "include": true }));
}

#[tokio::test]
async fn a_stream_that_breaks_off_tells_what_was_used_and_what_it_costs() {
    let listed = || CostSource::Listed { version: "2026-11-25".into() };
    for (name, case, from, input, source) in [
        ("anthropic", "cache", "event: message_delta", 3190, listed()),
        ("gemini", "thinking", "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\",", 34, listed()),
        ("openrouter", "reasoning", "data: [DONE]", 194, CostSource::Reported),
        ("openai-chat", "text", "data: [DONE]", 1419, CostSource::Unpriced),
    ] {
        let whole = golden(&format!("{name}/{case}.sse"));
        let cut = &whole[..whole.find(from).unwrap()];
        let server = OpenAiServer::start([Behaviour::respond(200, "text/event-stream", cut)]).await.unwrap();
        let platform = platform(name, options(&server, name));
        let (text, outcome) = collect(&*platform, Request::new("Hello")).await;
        let failure = outcome.unwrap_err();
        assert_eq!(failure.kind, FailureKind::MalformedReply, "{name}");
        assert!(failure.message.starts_with(&format!("{name}: the stream broke off")), "{failure}");
        let consumed = failure.consumed.unwrap();
        assert_eq!((consumed.text_bytes, consumed.usage.input), (text.len(), Some(input)), "{name}");
        assert_eq!(consumed.cost.is_some_and(|cost| cost > 0), source != CostSource::Unpriced, "{name}");
        assert_eq!(consumed.cost_source, source, "{name}");
        assert!(consumed.raw_usage.is_some(), "{name}");
    }
}

/// Whole, and where a stream was asked for and an error comes whole instead.
#[tokio::test]
async fn an_error_under_a_status_of_success_tells_what_was_used_and_what_it_costs() {
    let listed = || CostSource::Listed { version: "2026-11-25".into() };
    let tokens = json!({ "input_tokens": 1000, "output_tokens": 2 });
    let google = json!({ "promptTokenCount": 1000, "candidatesTokenCount": 2 });
    let chat = json!({ "prompt_tokens": 1000, "completion_tokens": 2, "cost": 0.25 });
    for (name, model, usage, source) in [
        ("anthropic", json!({ "model": "claude-sonnet-4-5" }), json!({ "usage": tokens }), listed()),
        ("gemini", json!({ "modelVersion": "gemini-2.5-flash" }), json!({ "usageMetadata": google }), listed()),
        ("openai-responses", json!({ "model": "m" }), json!({ "usage": tokens }), CostSource::Unpriced),
        ("openai-chat", json!({ "model": "m" }), json!({ "usage": chat }), CostSource::Unpriced),
        ("openrouter", json!({ "model": "m" }), json!({ "usage": chat }), CostSource::Reported),
    ] {
        let mut body = json!({ "error": { "code": 502, "message": "the provider went away" } });
        for part in [model, usage] {
            body.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        }
        let failing = || Behaviour::json(200, &body);
        let server = OpenAiServer::start([failing(), failing()]).await.unwrap();
        let platform = platform(name, options(&server, name));
        let whole = platform.execute(Request::new("Hello")).await.unwrap_err();
        let streamed = collect(&*platform, Request::new("Hello")).await.1.unwrap_err();
        assert_eq!(whole, streamed, "{name}");
        assert_eq!(whole.kind, FailureKind::PlatformFailure, "{name}");
        let consumed = whole.consumed.unwrap();
        assert_eq!((consumed.usage.input, consumed.usage.output), (Some(1000), Some(2)), "{name}");
        assert_eq!(consumed.cost.is_some_and(|cost| cost > 0), source != CostSource::Unpriced, "{name}");
        assert_eq!(consumed.cost_source, source, "{name}");
        assert!(consumed.raw_usage.is_some(), "{name}");
    }
}

#[tokio::test]
async fn each_platform_says_in_its_own_way_why_not() {
    use FailureKind as K;
    let anthropic =
        |kind: &str, message: &str| json!({ "type": "error", "error": { "type": kind, "message": message } });
    let google = |code: u16, status: &str, message: &str| json!({ "error": { "code": code, "message": message, "status": status } });
    let quota = json!([{ "error": { "code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": [
        { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s" }] } }]);
    let cases = [
        ("anthropic", 529, anthropic("overloaded_error", "Overloaded"), K::RateLimited),
        ("anthropic", 429, anthropic("rate_limit_error", "slow down"), K::RateLimited),
        ("anthropic", 401, anthropic("authentication_error", "invalid x-api-key"), K::Unauthorized),
        ("anthropic", 400, anthropic("invalid_request_error", "Your credit balance is too low"), K::Unauthorized),
        (
            "anthropic",
            400,
            anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
            K::ContextTooLong,
        ),
        ("anthropic", 413, anthropic("request_too_large", "Request exceeds the maximum size"), K::ContextTooLong),
        ("anthropic", 400, anthropic("invalid_request_error", "max_tokens: Field required"), K::InvalidRequest),
        ("anthropic", 404, anthropic("not_found_error", "model: claude-9"), K::InvalidRequest),
        ("anthropic", 500, anthropic("api_error", "Internal server error"), K::PlatformFailure),
        ("anthropic", 504, anthropic("timeout_error", "timed out"), K::Timeout),
        ("gemini", 429, quota, K::RateLimited),
        (
            "gemini",
            400,
            google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
            K::Unauthorized,
        ),
        (
            "gemini",
            400,
            google(
                400,
                "INVALID_ARGUMENT",
                "The input token count (2000000) exceeds the maximum number of tokens allowed (1048575).",
            ),
            K::ContextTooLong,
        ),
        ("gemini", 403, google(403, "PERMISSION_DENIED", "denied"), K::Unauthorized),
        ("gemini", 404, google(404, "NOT_FOUND", "models/x is not found"), K::InvalidRequest),
        ("gemini", 503, google(503, "UNAVAILABLE", "The model is overloaded"), K::PlatformFailure),
        ("gemini", 504, google(504, "DEADLINE_EXCEEDED", "too slow"), K::Timeout),
        ("openrouter", 402, json!({ "error": { "code": 402, "message": "Insufficient credits" } }), K::Unauthorized),
        (
            "openai-responses",
            400,
            json!({ "error": { "type": "invalid_request_error", "code": "context_length_exceeded", "message": "x" } }),
            K::ContextTooLong,
        ),
    ];
    for (name, status, body, kind) in cases {
        let server =
            OpenAiServer::start([Behaviour::json(status, &body), Behaviour::json(status, &body)]).await.unwrap();
        let platform = platform(name, options(&server, name));
        let failure = platform.execute(Request::new("x")).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{name} {body}: {failure}");
        assert_eq!(collect(&*platform, Request::new("x")).await.1.unwrap_err().kind, kind, "{name} {body}");
        if body.is_array() {
            assert_eq!(failure.retry_after, Some(std::time::Duration::from_millis(34_500)));
        }
    }
}

#[tokio::test]
async fn what_the_platform_says_about_its_limits_is_kept() {
    let good = Behaviour::respond(200, "application/json", &golden("openai-chat/text.json"))
        .with_header("x-ratelimit-limit-requests", "500")
        .with_header("x-ratelimit-remaining-requests", "499")
        .with_header("x-ratelimit-reset-requests", "120ms");
    let bad = Behaviour::rate_limited(Some("7")).with_header("x-ratelimit-remaining-tokens", "0");
    let server = OpenAiServer::start([good, bad]).await.unwrap();
    let platform = platform("openai-chat", options(&server, "p"));
    let limits = platform.execute(Request::new("x")).await.unwrap().limits.unwrap();
    assert_eq!((limits.requests.limit, limits.requests.remaining), (Some(500), Some(499)));
    let failure = platform.execute(Request::new("x")).await.unwrap_err();
    assert_eq!(failure.limits.unwrap().tokens.remaining, Some(0));
}

#[tokio::test]
async fn several_keys_share_the_calls_and_a_refused_one_rests() {
    let server = OpenAiServer::start([]).await.unwrap();
    let more_keys = vec![ApiKey { secret: Secret::new("sk-other-9876543210"), weight: 2 }];
    let platform = OpenAi::new(Options { more_keys, ..options(&server, "p") }).unwrap();
    for _ in 0..3 {
        platform.execute(Request::new("x")).await.unwrap();
    }
    server.push(Behaviour::unauthorized("sk-other-9876543210"));
    let failure = platform.execute(Request::new("x")).await.unwrap_err();
    assert!(!failure.message.contains("9876543210"), "{failure}");
    for _ in 0..3 {
        platform.execute(Request::new("x")).await.unwrap();
    }
    let used: Vec<bool> = server
        .received()
        .iter()
        .map(|request| request.header("authorization") == Some("Bearer sk-other-9876543210"))
        .collect();
    assert_eq!(used, [true, false, true, true, false, false, false]);
    let shown = format!("{platform:?}");
    assert!(!shown.contains("9876543210") && !shown.contains(KEY), "{shown}");
}

#[test]
fn lists_of_models_are_read() {
    let list = json!({ "data": [
        { "id": "openai/gpt-5", "context_length": 400_000, "top_provider": { "max_completion_tokens": 128_000 },
          "supported_parameters": ["tools", "temperature"], "architecture": { "input_modalities": ["text", "image"] } },
        { "nothing": 1 }
    ] });
    let models = openrouter::Routed::default().models(&list);
    assert_eq!(models.len(), 1);
    let can = models[0].capabilities;
    assert_eq!((can.max_input, can.max_output), (Some(400_000), Some(128_000)));
    assert_eq!((can.tools, can.schema, can.images), (Some(true), Some(false), Some(true)));
    let list = json!({ "models": [
        { "name": "models/gemini-2.5-pro", "inputTokenLimit": 1_048_576, "supportedGenerationMethods": ["generateContent"] },
        { "name": "models/embedding-001", "supportedGenerationMethods": ["embedContent"] }
    ] });
    let models = providers::gemini::Generate.models(&list);
    assert_eq!(models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), ["gemini-2.5-pro"]);
    assert_eq!(models[0].capabilities.max_input, Some(1_048_576));
    let list = json!({ "data": [{ "id": "a" }, { "id": "b" }] });
    assert_eq!(providers::anthropic::Messages::default().models(&list).len(), 2);
}

#[test]
fn prices_apply_where_they_are_known_to() {
    let chat = providers::openai::Chat::new(providers::wire::openai_chat::Dialect::COMMON);
    assert_eq!(chat.vendor("api.openai.com"), Some("openai"));
    // Regions cost more, and nobody knows what others charge.
    assert_eq!([chat.vendor("eu.api.openai.com"), chat.vendor("localhost")], [None, None]);
    assert_eq!(providers::openai_responses::Responses.vendor("us.api.openai.com"), None);
}

#[test]
fn who_has_no_key_says_what_to_set() {
    let at = |home: &str| Options::new("p", home);
    let reasons = [
        Anthropic::new(at(providers::anthropic::HOME)).map(|platform| platform.unusable()),
        Gemini::new(at(providers::gemini::HOME)).map(|platform| platform.unusable()),
        OpenRouter::new(at(openrouter::HOME)).map(|platform| platform.unusable()),
        OpenAiResponses::new(at(providers::openai::HOME)).map(|platform| platform.unusable()),
    ];
    let variables = ["ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY", "OPENAI_API_KEY"];
    for (reason, variable) in reasons.into_iter().zip(variables) {
        // A system without certificates cannot make the client at all.
        if let Ok(reason) = reason {
            assert!(reason.unwrap().contains(variable));
        }
    }
    assert_eq!(Anthropic::new(at("http://localhost:1")).unwrap().unusable(), None);
}
