use std::time::Duration;

use providers::openai::{Error, Options};
use providers::{FailureKind, OpenAi, Platform, Request, Secret, Simulator};
use serde_json::json;
use testkit::openai::{Behaviour, OpenAiServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::collect;

const KEY: &str = "sk-test-0123456789";

fn options(base_url: String) -> Options {
    Options { api_key: Some(Secret::new(KEY)), model: Some("test-model".into()), ..Options::new("openai", base_url) }
}

fn request() -> Request {
    Request { timeout: Duration::from_secs(5), ..Request::new("Hello?") }
}

/// Every behaviour fails the same way, streamed or not, unless a second kind is given for the stream.
#[tokio::test]
async fn each_way_to_fail_has_its_kind() {
    use FailureKind as K;
    let cases: Vec<(Behaviour, K, &str)> = vec![
        (Behaviour::rate_limited(Some("7")), K::RateLimited, "Rate limit reached"),
        (
            Behaviour::error(429, "insufficient_quota", Some("insufficient_quota"), "You exceeded your current quota"),
            K::Unauthorized,
            "quota",
        ),
        (Behaviour::server_error(), K::PlatformFailure, "status 500"),
        (Behaviour::respond(502, "text/html", "<h1>Bad\ngateway</h1>"), K::PlatformFailure, "<h1>Bad gateway</h1>"),
        (Behaviour::respond(503, "text/plain", ""), K::PlatformFailure, "without a reason"),
        (Behaviour::unauthorized(KEY), K::Unauthorized, "Incorrect API key provided: ***."),
        (Behaviour::respond(403, "text/plain", "no"), K::Unauthorized, "status 403: no"),
        (Behaviour::respond(402, "application/json", r#"{"error":"no credit"}"#), K::Unauthorized, "no credit"),
        (Behaviour::context_too_long(), K::ContextTooLong, "8192"),
        (
            Behaviour::json(
                400,
                &json!({ "object": "error", "message": "This model's maximum context length is 2048 tokens.",
                         "type": "BadRequestError", "code": 400 }),
            ),
            K::ContextTooLong,
            "2048",
        ),
        (
            Behaviour::json(
                400,
                &json!({ "error": { "code": 400, "message": "the request exceeds the available context size",
                         "type": "exceed_context_size_error", "n_prompt_tokens": 5000, "n_ctx": 4096 } }),
            ),
            K::ContextTooLong,
            "available context size",
        ),
        (Behaviour::content_refused(), K::ContentRefused, "safety system"),
        (
            Behaviour::json(
                403,
                &json!({ "error": { "code": 403, "message": "flagged",
                         "metadata": { "reasons": ["violence"], "flagged_input": "…" } } }),
            ),
            K::ContentRefused,
            "flagged",
        ),
        (Behaviour::unknown_model(), K::InvalidRequest, "does not exist"),
        (Behaviour::respond(404, "text/plain", "404 page not found"), K::InvalidRequest, "/v1"),
        (
            Behaviour::error(400, "invalid_request_error", Some("unsupported_parameter"), "Unsupported parameter"),
            K::InvalidRequest,
            "Unsupported",
        ),
        (
            Behaviour::respond(422, "application/json", r#"{"detail":"temperature out of range"}"#),
            K::InvalidRequest,
            "temperature out of range",
        ),
        (
            Behaviour::respond(307, "text/plain", "").with_header("Location", "http://elsewhere.test/v1"),
            K::InvalidRequest,
            "elsewhere.test",
        ),
        (Behaviour::respond(408, "text/plain", ""), K::Timeout, "status 408"),
        (Behaviour::malformed(), K::MalformedReply, "JSON"),
        (Behaviour::web_page(), K::MalformedReply, "text/html"),
        (Behaviour::no_choices(), K::MalformedReply, "no choices"),
        (
            Behaviour::json(200, &json!({ "error": { "message": "upstream is overloaded", "code": 503 } })),
            K::PlatformFailure,
            "upstream is overloaded",
        ),
        (Behaviour::CutBeforeHeaders, K::Unreachable, "before an answer"),
        (Behaviour::CutBody, K::MalformedReply, "broke off"),
        (
            Behaviour::Respond {
                status: 200,
                content_type: "text/event-stream".into(),
                headers: vec![],
                body: String::new(),
            },
            K::MalformedReply,
            "",
        ),
    ];
    let server = OpenAiServer::start([]).await.unwrap();
    let platform = OpenAi::new(options(server.base_url())).unwrap();
    for (behaviour, kind, says) in cases {
        server.push(behaviour.clone());
        let failure = platform.execute(request()).await.expect_err(&format!("{behaviour:?}"));
        assert_eq!(failure.kind, kind, "{behaviour:?}: {failure}");
        assert!(failure.message.contains(says), "{failure}");
        assert!(failure.message.starts_with("openai: "), "{failure}");
        assert!(!failure.message.contains(KEY) && !failure.message.contains('\n'), "{failure}");

        server.push(behaviour.clone());
        let (text, outcome) = collect(&platform, request()).await;
        let failure = outcome.expect_err("streamed");
        assert_eq!((text.as_str(), failure.kind), ("", kind), "streamed: {behaviour:?}: {failure}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_never_an_end() {
    let server = OpenAiServer::start([]).await.unwrap();
    let platform = OpenAi::new(options(server.base_url())).unwrap();
    for (behaviour, kind) in [
        (Behaviour::CutStream(3), FailureKind::MalformedReply),
        (Behaviour::EndStreamEarly(3), FailureKind::MalformedReply),
        (Behaviour::FailStream(3), FailureKind::PlatformFailure),
    ] {
        server.push(behaviour.clone());
        let (text, outcome) = collect(&platform, request()).await;
        assert_eq!(text, "one two three ", "{behaviour:?}");
        assert_eq!(outcome.unwrap_err().kind, kind, "{behaviour:?}");
    }
}

#[tokio::test]
async fn a_pause_is_kept() {
    let server = OpenAiServer::start([]).await.unwrap();
    let platform = OpenAi::new(options(server.base_url())).unwrap();
    let pause = async |behaviour: Behaviour| {
        server.push(behaviour);
        platform.execute(request()).await.unwrap_err().retry_after
    };
    assert_eq!(pause(Behaviour::rate_limited(Some("7"))).await, Some(Duration::from_secs(7)));
    assert_eq!(pause(Behaviour::rate_limited(None)).await, None);
    assert_eq!(
        pause(Behaviour::rate_limited(Some("Fri, 01 Jan 2100 00:00:00 GMT"))).await,
        Some(Duration::from_secs(86_400))
    );
    let busy = Behaviour::server_error().with_header("Retry-After", "2").with_header("retry-after-ms", "1200");
    assert_eq!(pause(busy).await, Some(Duration::from_millis(1200)));
}

#[tokio::test]
async fn no_answer_in_time_is_a_timeout() {
    let server = OpenAiServer::start([]).await.unwrap();
    let platform = OpenAi::new(options(server.base_url())).unwrap();
    let hurried = Request { timeout: Duration::from_millis(80), ..request() };
    let slow = Behaviour::reply("late").after(Duration::from_secs(60));
    for behaviour in [Behaviour::Hang, slow, Behaviour::Trickle(Duration::from_millis(20))] {
        server.push(behaviour.clone());
        let failure = platform.execute(hurried.clone()).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Timeout, "{behaviour:?}");
        server.push(behaviour.clone());
        let (_, outcome) = collect(&platform, hurried.clone()).await;
        assert_eq!(outcome.unwrap_err().kind, FailureKind::Timeout, "streamed: {behaviour:?}");
    }
    // A timeout must not leave the server at work.
    server.wait_abandoned(6).await;
}

#[tokio::test]
async fn an_answer_in_time_survives_latency() {
    let server = OpenAiServer::start([Behaviour::reply("late").after(Duration::from_millis(30))]).await.unwrap();
    let platform = OpenAi::new(options(server.base_url())).unwrap();
    let reply = platform.execute(request()).await.unwrap();
    assert!(reply.duration >= Duration::from_millis(30));
}

#[tokio::test]
async fn dropping_a_call_closes_its_connection() {
    let server = OpenAiServer::start([Behaviour::Hang, Behaviour::Hang]).await.unwrap();
    let platform = OpenAi::new(options(server.base_url())).unwrap();
    tokio::select! {
        _ = platform.execute(request()) => panic!("it hangs"),
        () = server.wait_received(1) => {}
    }
    server.wait_abandoned(1).await;
    tokio::select! {
        _ = platform.stream(request()) => panic!("it hangs"),
        () = server.wait_received(2) => {}
    }
    server.wait_abandoned(2).await;
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    for (base_url, says) in
        [(refused, "cannot connect"), ("http://no-such-host.invalid/v1".to_owned(), "cannot be resolved")]
    {
        let platform = OpenAi::new(options(base_url)).unwrap();
        let failure = platform.execute(request()).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unreachable, "{failure}");
        assert!(failure.message.contains(says), "{failure}");
        assert_eq!(platform.health().await.state, providers::State::Unusable);
    }
}

/// A server that answers a TLS greeting with plain text.
#[tokio::test]
async fn no_tls_where_tls_was_expected_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("https://{}/v1", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 1024]).await;
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let platform = match OpenAi::new(options(base_url)) {
        Ok(platform) => platform,
        // The system has no certificates at all, and says so.
        Err(Error::Client { .. }) => return,
        Err(error) => panic!("{error}"),
    };
    let failure = platform.execute(request()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unreachable, "{failure}");
    assert!(failure.message.contains("TLS"), "{failure}");
    server.await.unwrap();
}

#[tokio::test]
async fn an_answer_without_bound_is_refused() {
    let long = "word ".repeat(5000);
    let server = OpenAiServer::start([Behaviour::reply(&long), Behaviour::reply(&long)]).await.unwrap();
    let platform = OpenAi::new(Options { max_reply_bytes: 10_000, ..options(server.base_url()) }).unwrap();
    let failure = platform.execute(request()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::MalformedReply);
    assert!(failure.message.contains("10000 bytes"), "{failure}");
    let (text, outcome) = collect(&platform, request()).await;
    assert_eq!(outcome.unwrap_err().kind, FailureKind::MalformedReply);
    assert!(text.len() <= 10_000);
}

#[tokio::test]
async fn a_request_without_a_model_is_not_sent() {
    let server = OpenAiServer::start([]).await.unwrap();
    let platform = OpenAi::new(Options { model: None, ..options(server.base_url()) }).unwrap();
    let failure = platform.execute(request()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::InvalidRequest);
    assert!(server.received().is_empty());
}

#[test]
fn options_that_cannot_work_are_refused() {
    for url in ["", "localhost:11434", "ftp://host/v1", "https://user:secret@host/v1", "https://host/v1?key=1"] {
        let error = OpenAi::new(options(url.to_owned())).unwrap_err();
        assert!(matches!(error, Error::BaseUrl { .. }), "{url}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let error = OpenAi::new(Options { api_key: Some(Secret::new("a\nb")), ..options("http://host/v1".into()) });
    assert!(matches!(error, Err(Error::ApiKey(_))));
    let proxy = OpenAi::new(Options { proxy: Some("::".into()), ..options("http://host/v1".into()) });
    assert!(matches!(proxy, Err(Error::Client { .. })));
    let debug = format!("{:?}", OpenAi::new(options("http://host/v1".into())).unwrap());
    assert!(!debug.contains(KEY), "{debug}");
}

#[tokio::test]
async fn a_probe_tells_who_can_be_reached() {
    let server = OpenAiServer::start([]).await.unwrap();
    let platform = OpenAi::new(options(server.base_url())).unwrap();
    assert!(platform.can_be_probed());
    assert_eq!(platform.probe().await, Ok(()));
    let asked = server.received();
    assert!(asked.iter().all(|request| request.method == "GET"), "it costs nothing");
    // Nobody listens on a port that was given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let gone = OpenAi::new(options(format!("http://127.0.0.1:{port}/v1"))).unwrap();
    assert_eq!(gone.probe().await.unwrap_err().kind, FailureKind::Unreachable);
    assert!(!Simulator::default().can_be_probed());
}
