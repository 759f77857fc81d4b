//! The wire formats without a network: golden cases as servers really send them, and properties over byte chunking.

use eventsource_stream::Eventsource;
use futures_util::{FutureExt, StreamExt, stream};
use proptest::prelude::*;
use providers::wire::openai_chat::{Dialect, decode, decoder, encode};
use providers::wire::{Answer, Decode, sse};
use providers::{Failure, FailureKind, Finish, Request, Tier, Usage};
use serde_json::json;

use crate::golden::cut;

const PLAIN: Dialect = Dialect::COMMON;

/// As OpenAI sends it: role first, usage in an event without choices, an obfuscation field nobody documented.
const OPENAI: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null,\"obfuscation\":\"x\"}\n\ndata: {\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Grüße, \"},\"finish_reason\":null}],\"usage\":null}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"世界 🦀\"},\"finish_reason\":null}],\"usage\":null}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":10,\"total_tokens\":29,\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0}}}\n\ndata: [DONE]\n\n";

/// As OpenRouter sends it: comments while it waits, CRLF, running totals, the charge, text after the end.
const OPENROUTER: &str = ": OPENROUTER PROCESSING\r\n\r\ndata: {\"provider\":\"X\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\r\n\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"cost\":0.00014}}\r\n\r\ndata: [DONE]\r\n\r\ndata: nonsense\r\n\r\n";

fn run(dialect: Dialect, chunks: &[&[u8]]) -> (String, Result<Answer, Failure>) {
    let mut decoder = Box::new(decoder(dialect, 100_000));
    let mut text = String::new();
    for chunk in chunks {
        let outcome = decoder.push(chunk);
        while let Some(piece) = decoder.piece() {
            text.push_str(&piece);
        }
        if let Err(failure) = outcome {
            return (text, Err(failure));
        }
    }
    (text, decoder.finish())
}

#[test]
fn reads_the_streams_of_real_servers() {
    let (text, answer) = run(PLAIN, &[OPENAI.as_bytes()]);
    let answer = answer.unwrap();
    assert_eq!(text, "Grüße, 世界 🦀");
    assert_eq!((answer.text, answer.finish), (text, Finish::Stop));
    assert_eq!(answer.model.as_deref(), Some("gpt-4o-mini-2024-07-18"));
    let usage = Usage {
        input: Some(19),
        cached_input: Some(0),
        audio_input: Some(0),
        output: Some(10),
        reasoning: Some(0),
        tier: Some(Tier::Standard),
        ..Usage::default()
    };
    assert_eq!(answer.usage, usage);

    let (text, answer) = run(Dialect::of_host("openrouter.ai"), &[OPENROUTER.as_bytes()]);
    let answer = answer.unwrap();
    assert_eq!((text.as_str(), answer.finish), ("Hi", Finish::Length));
    assert_eq!((answer.usage.output, answer.cost), (Some(2), Some(140_000)));
    assert_eq!(run(PLAIN, &[OPENROUTER.as_bytes()]).1.unwrap().cost, None);
}

#[test]
fn every_prefix_of_a_stream_is_a_failure() {
    let done = OPENAI.find("data: [DONE]").unwrap() + "data: [DONE]".len();
    for end in 0..=done {
        let (_, answer) = run(PLAIN, &[&OPENAI.as_bytes()[..end]]);
        assert_eq!(answer.unwrap_err().kind, FailureKind::MalformedReply, "cut at {end}");
    }
}

#[test]
fn refusals_and_errors_within_a_stream_are_told() {
    let refusal = "data: {\"choices\":[{\"index\":0,\"delta\":{\"refusal\":\"I will not.\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let answer = run(PLAIN, &[refusal.as_bytes()]).1.unwrap();
    assert_eq!((answer.text.as_str(), answer.finish), ("I will not.", Finish::ContentFilter));
    let cases = [
        ("data: {\"error\":{\"message\":\"slow down\",\"code\":429}}\n\n", FailureKind::RateLimited),
        ("event: error\ndata: {\"message\":\"broken\"}\n\n", FailureKind::PlatformFailure),
        ("data: {\"error\":\"context length exceeded\"}\n\n", FailureKind::ContextTooLong),
        ("data: {not json}\n\n", FailureKind::MalformedReply),
        ("data: [DONE]\n\n", FailureKind::MalformedReply),
    ];
    for (stream, kind) in cases {
        assert_eq!(run(PLAIN, &[stream.as_bytes()]).1.unwrap_err().kind, kind, "{stream}");
    }
}

#[test]
fn reads_whole_answers() {
    let ollama = br#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"llama3.2","system_fingerprint":"fp_ollama","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":26,"completion_tokens":2,"total_tokens":28}}"#;
    let answer = decode(ollama, PLAIN).unwrap();
    assert_eq!((answer.text.as_str(), answer.finish), ("Hi", Finish::Stop));
    assert_eq!(answer.usage, Usage { input: Some(26), output: Some(2), ..Usage::default() });

    let choice = |choice: serde_json::Value| decode(json!({ "choices": [choice] }).to_string().as_bytes(), PLAIN);
    let parts = json!([{ "type": "text", "text": "a" }, { "type": "image" }, { "type": "text", "text": "b" }]);
    let answer = choice(json!({ "message": { "content": parts }, "finish_reason": "tool_calls" })).unwrap();
    assert_eq!((answer.text.as_str(), answer.finish), ("ab", Finish::Other("tool_calls".into())));
    let answer = choice(json!({ "message": { "content": null, "refusal": "No." }, "finish_reason": "stop" })).unwrap();
    assert_eq!((answer.text.as_str(), answer.finish), ("No.", Finish::ContentFilter));
    let answer = choice(json!({ "message": { "content": "x" }, "finish_reason": "content_filter" })).unwrap();
    assert_eq!(answer.finish, Finish::ContentFilter);
    for bad in [json!({}), json!({ "message": "x" }), json!({ "message": { "content": 7 } })] {
        assert_eq!(choice(bad).unwrap_err().kind, FailureKind::MalformedReply);
    }
    for bad in ["", "null", "[]", "{}", "{\"choices\":{}}", "{\"choices\":[]}", "\u{0}"] {
        assert_eq!(decode(bad.as_bytes(), PLAIN).unwrap_err().kind, FailureKind::MalformedReply, "{bad}");
    }
}

#[test]
fn speaks_the_dialect_of_the_host() {
    let request = Request { max_tokens: Some(5), system: Some(String::new()), ..Request::new("x") };
    let body = encode(&request, "m", Dialect::of_host("api.openai.com"), false);
    let messages = json!([{ "role": "user", "content": "x" }]);
    assert_eq!(body, json!({ "model": "m", "messages": messages, "max_completion_tokens": 5 }));
    let body = encode(&request, "m", Dialect::of_host("localhost"), false);
    assert_eq!(body, json!({ "model": "m", "messages": messages, "max_tokens": 5 }));
}

/// Lines as a hostile or odd server could send them.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"é🦀\"}}]}".to_owned()),
        Just("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}".to_owned()),
        Just("data: [DONE]".to_owned()),
        Just(": comment".to_owned()),
        Just("event: ping".to_owned()),
        Just("data".to_owned()),
        Just(String::new()),
        "[a-z:\u{feff} é🦀]{0,12}",
    ];
    let ending = prop_oneof![Just("\n"), Just("\r\n"), Just("\n\n")];
    prop::collection::vec((line, ending), 0..12)
        .prop_map(|lines| lines.into_iter().flat_map(|(line, ending)| (line + ending).into_bytes()).collect())
}

proptest! {
    #[test]
    fn chunking_changes_nothing(places in prop::collection::vec(any::<usize>(), 0..40)) {
        for golden in [OPENAI, OPENROUTER] {
            let whole = run(PLAIN, &[golden.as_bytes()]);
            prop_assert_eq!(run(PLAIN, &cut(golden.as_bytes(), places.clone())), whole);
        }
    }

    #[test]
    fn chunking_changes_nothing_whatever_comes(
        bytes in prop_oneof![lines(), prop::collection::vec(any::<u8>(), 0..200)],
        places in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let (text, answer) = run(PLAIN, &[&bytes]);
        let (cut_text, cut_answer) = run(PLAIN, &cut(&bytes, places));
        prop_assert_eq!(&cut_answer, &answer);
        prop_assert_eq!(cut_text, text);
    }

    /// An independent implementation reads the same events.
    #[test]
    fn events_are_those_of_another_implementation(bytes in lines(), places in prop::collection::vec(any::<usize>(), 0..20)) {
        // It panics at a byte order mark; that one is tested on its own.
        prop_assume!(!bytes.starts_with("\u{feff}".as_bytes()));
        let ours: Vec<_> = sse::Decoder::new(100_000).push(&bytes).0;
        let chunks = cut(&bytes, places).into_iter().map(|chunk| Ok::<_, std::convert::Infallible>(chunk.to_vec()));
        let theirs: Vec<_> = stream::iter(chunks.collect::<Vec<_>>())
            .eventsource()
            .filter_map(|event| async move { event.ok() })
            .map(|event| {
                let name = if event.event == "message" { String::new() } else { event.event };
                sse::Event { name, data: event.data }
            })
            .collect::<Vec<_>>()
            .now_or_never()
            .unwrap();
        // It skips events without data text, which carry nothing.
        let ours: Vec<_> = ours.into_iter().filter(|event| !event.data.is_empty()).collect();
        let theirs: Vec<_> = theirs.into_iter().filter(|event| !event.data.is_empty()).collect();
        prop_assert_eq!(ours, theirs);
    }
}
