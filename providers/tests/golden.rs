//! Recordings in the shape of real traffic, one directory for each wire format: `NAME.sse` is a stream, `NAME.json` a
//! whole answer, and `NAME.expected.json` what both mean. The meaning must not depend on where the bytes are cut.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use providers::wire::openai_chat::Dialect;
use providers::wire::{Answer, Decode, anthropic, gemini, openai_chat, openai_responses};
use providers::{CostSource, Failure, FailureKind, Tier, Usage};
use serde_json::{Value, json};

const LIMIT: usize = 1_000_000;
const FORMATS: [&str; 5] = ["anthropic", "gemini", "openai-chat", "openai-responses", "openrouter"];

pub(crate) fn decode(format: &str, body: &[u8]) -> Result<Answer, Failure> {
    match format {
        "anthropic" => anthropic::decode(body),
        "gemini" => gemini::decode(body),
        "openai-chat" => openai_chat::decode(body, Dialect::COMMON),
        "openai-responses" => openai_responses::decode(body),
        "openrouter" => openai_chat::decode(body, Dialect::OPENROUTER),
        other => panic!("{other}"),
    }
}

fn decoder(format: &str, limit: usize) -> Box<dyn Decode> {
    match format {
        "anthropic" => Box::new(anthropic::decoder(limit)),
        "gemini" => Box::new(gemini::decoder(limit)),
        "openai-chat" => Box::new(openai_chat::decoder(Dialect::COMMON, limit)),
        "openai-responses" => Box::new(openai_responses::decoder(limit)),
        "openrouter" => Box::new(openai_chat::decoder(Dialect::OPENROUTER, limit)),
        other => panic!("{other}"),
    }
}

/// Decodes a stream that comes in these pieces: the text that was handed on, and the outcome.
pub(crate) fn run<'a>(format: &str, pieces: impl IntoIterator<Item = &'a [u8]>) -> (String, Result<Answer, Failure>) {
    let mut decoder = decoder(format, LIMIT);
    let mut text = String::new();
    for piece in pieces {
        let outcome = decoder.push(piece);
        while let Some(piece) = decoder.piece() {
            assert!(!piece.is_empty());
            text.push_str(&piece);
        }
        if let Err(failure) = outcome {
            return (text, Err(failure));
        }
    }
    let outcome = decoder.end();
    while let Some(piece) = decoder.piece() {
        text.push_str(&piece);
    }
    (text, outcome.and_then(|()| decoder.finish()))
}

struct Recording {
    format: &'static str,
    path: PathBuf,
    bytes: Vec<u8>,
}

fn recordings(extension: &str) -> Vec<Recording> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut all = Vec::new();
    for format in FORMATS {
        for entry in std::fs::read_dir(root.join(format)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.ends_with(extension) && !name.ends_with(".expected.json") {
                all.push(Recording { format, bytes: std::fs::read(&path).unwrap(), path });
            }
        }
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

fn expected(recording: &Recording) -> Value {
    let path = recording.path.with_extension("expected.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The answer in the form of the expectations; what was not reported is left out.
fn normal(answer: &Answer) -> Value {
    let finish = answer.finish.name();
    let calls = answer.tool_calls.iter().map(|call| json!([call.id, call.name, call.arguments]));
    let mut all = json!({
        "text": answer.text, "finish": finish, "model": answer.model, "usage": figures(&answer.usage),
        "tool_calls": calls.collect::<Value>(), "cost": answer.cost,
        "opaque": answer.opaque.as_ref().map(|opaque| &opaque.parts),
    });
    all.as_object_mut().unwrap().retain(|_, value| !value.is_null() && *value != json!([]));
    all
}

fn figures(usage: &Usage) -> Value {
    let mut all = json!({
        "input": usage.input, "cached_input": usage.cached_input, "cache_write_5m": usage.cache_write_5m,
        "cache_write_1h": usage.cache_write_1h, "cache_write_other": usage.cache_write_other,
        "tool_input": usage.tool_input, "audio_input": usage.audio_input, "image_input": usage.image_input,
        "cached_audio_input": usage.cached_audio_input, "output": usage.output, "reasoning": usage.reasoning,
        "audio_output": usage.audio_output, "image_output": usage.image_output, "web_searches": usage.web_searches,
        "tier": usage.tier.map(Tier::name),
    });
    all.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    all
}

fn without_nulls(mut value: Value) -> Value {
    if let Some(usage) = value.get_mut("usage").and_then(Value::as_object_mut) {
        usage.retain(|_, value| !value.is_null());
    }
    value
}

#[test]
fn whole_answers_mean_what_they_should() {
    let all = recordings(".json");
    assert!(all.len() >= 17, "{}", all.len());
    for recording in all {
        let answer = decode(recording.format, &recording.bytes).unwrap_or_else(|f| panic!("{:?}: {f}", recording.path));
        assert_eq!(normal(&answer), without_nulls(expected(&recording)), "{:?}", recording.path);
        assert!(answer.raw_usage.is_some());
    }
}

#[test]
fn streams_mean_the_same_wherever_they_are_cut() {
    let all = recordings(".sse");
    assert!(all.len() >= 17, "{}", all.len());
    for recording in all {
        let Recording { format, bytes, path } = &recording;
        let (text, whole) = run(format, [bytes.as_slice()]);
        let whole = whole.unwrap_or_else(|failure| panic!("{path:?}: {failure}"));
        assert_eq!(normal(&whole), without_nulls(expected(&recording)), "{path:?}");
        assert_eq!(text, whole.text, "{path:?}");
        for place in 0..=bytes.len() {
            let (first, second) = bytes.split_at(place);
            let (pieces, answer) = run(format, [first, second]);
            assert_eq!((pieces, answer.as_ref()), (text.clone(), Ok(&whole)), "{path:?} cut at {place}");
        }
        let (pieces, answer) = run(format, bytes.chunks(1));
        assert_eq!((pieces, answer), (text, Ok(whole)), "{path:?} byte by byte");
    }
}

/// What ends a stream: everything before the whole of it is a cut.
fn needed(format: &str, bytes: &[u8]) -> usize {
    let text = std::str::from_utf8(bytes).unwrap();
    let mark = match format {
        "anthropic" => r#"data: {"type":"message_stop"}"#,
        "gemini" => r#""finishReason""#,
        "openai-responses" => r#"data: {"type":"response.completed""#,
        _ => "data: [DONE]",
    };
    let at = text.find(mark).or_else(|| text.find(r#"data: {"type":"response.incomplete""#)).unwrap();
    // An event counts once its last line is whole.
    at + text[at..].find(['\r', '\n']).unwrap()
}

#[test]
fn every_cut_stream_is_a_failure_that_tells_what_was_used() {
    for Recording { format, bytes, path } in recordings(".sse") {
        let needed = needed(format, &bytes);
        let mut told = false;
        for end in 0..=needed {
            let (text, answer) = run(format, [&bytes[..end]]);
            let failure = answer.expect_err(&format!("{path:?} cut at {end}"));
            assert_eq!(failure.kind, FailureKind::MalformedReply, "{path:?} cut at {end}: {failure}");
            let consumed = failure.consumed.unwrap_or_else(|| panic!("{path:?} cut at {end}"));
            assert_eq!(consumed.text_bytes, text.len());
            assert!(consumed.raw_usage.is_some() || consumed.usage.input.is_none(), "{path:?} cut at {end}");
            told |= consumed.usage.input.is_some() || consumed.model.is_some();
        }
        assert!(told, "{path:?}");
        assert!(run(format, [&bytes[..]]).1.is_ok());
    }
}

#[test]
fn usage_before_the_cut_is_told() {
    let recording = recordings(".sse").into_iter().find(|recording| recording.path.ends_with("anthropic/cache.sse"));
    let Recording { format, bytes, .. } = recording.unwrap();
    let end = std::str::from_utf8(&bytes).unwrap().find("event: message_delta").unwrap();
    let failure = run(format, [&bytes[..end]]).1.unwrap_err();
    let consumed = failure.consumed.unwrap();
    assert_eq!((consumed.usage.input, consumed.usage.cached_input), (Some(3190), Some(2048)));
    assert_eq!(consumed.text_bytes, "Guten Tag 👋".len());
    assert_eq!(consumed.model.as_deref(), Some("claude-sonnet-4-5-20250929"));
    assert_eq!(consumed.raw_usage.unwrap()["cache_read_input_tokens"], json!(2048));
}

#[test]
fn errors_within_a_stream_are_told() {
    use FailureKind as K;
    let cases: [(&str, &str, K); 14] = [
        ("anthropic", r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, K::RateLimited),
        ("anthropic", r#"{"type":"error","error":{"type":"api_error","message":"Internal"}}"#, K::PlatformFailure),
        (
            "anthropic",
            r#"{"type":"content_block_delta","index":7,"delta":{"type":"text_delta","text":"x"}}"#,
            K::MalformedReply,
        ),
        ("anthropic", "{not json}", K::MalformedReply),
        ("gemini", r#"{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}"#, K::PlatformFailure),
        ("gemini", r#"{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}"#, K::RateLimited),
        (
            "gemini",
            r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":7}}"#,
            K::ContentRefused,
        ),
        ("gemini", "data", K::MalformedReply),
        (
            "openai-responses",
            r#"{"type":"error","code":"rate_limit_exceeded","message":"slow down","param":null}"#,
            K::RateLimited,
        ),
        (
            "openai-responses",
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"no"}}}"#,
            K::PlatformFailure,
        ),
        (
            "openai-responses",
            r#"{"type":"error","error":{"type":"invalid_request_error","code":"context_length_exceeded","message":"x"}}"#,
            K::ContextTooLong,
        ),
        ("openai-responses", "[", K::MalformedReply),
        ("openrouter", r#"{"error":{"code":502,"message":"Provider disconnected"},"choices":[]}"#, K::PlatformFailure),
        ("openai-chat", r#"{"error":"context length exceeded"}"#, K::ContextTooLong),
    ];
    for (format, event, kind) in cases {
        let stream = format!("data: {event}\n\n");
        let failure = run(format, [stream.as_bytes()]).1.unwrap_err();
        assert_eq!(failure.kind, kind, "{format}: {event}: {failure}");
        assert!(failure.consumed.is_some());
    }
    let blocked = br#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":7}}"#;
    let failure = decode("gemini", blocked).unwrap_err();
    assert_eq!((failure.kind, failure.consumed.unwrap().usage.input), (FailureKind::ContentRefused, Some(7)));
}

/// The platform's own figures, of every family that reports some before its stream is whole.
#[test]
fn the_platforms_own_figures_outlive_a_cut() {
    let cases = [
        (
            "anthropic",
            "anthropic/cache.sse",
            "event: message_delta",
            json!({ "input_tokens": 11, "cache_read_input_tokens": 2048 }),
        ),
        (
            "gemini",
            "gemini/thinking.sse",
            r#"data: {"candidates":[{"content":{"parts":[{"text":"","#,
            json!({ "promptTokenCount": 34, "candidatesTokenCount": 7, "thoughtsTokenCount": 120 }),
        ),
        (
            "openai-chat",
            "openai-chat/text.sse",
            "data: [DONE]",
            json!({ "prompt_tokens": 1419, "completion_tokens": 10, "total_tokens": 1429 }),
        ),
        (
            "openrouter",
            "openrouter/reasoning.sse",
            "data: [DONE]",
            json!({ "total_tokens": 216, "cost": 0.000_141_26 }),
        ),
    ];
    for (format, file, from, figures) in cases {
        let recording = recordings(".sse").into_iter().find(|recording| recording.path.ends_with(file)).unwrap();
        let end = std::str::from_utf8(&recording.bytes).unwrap().find(from).unwrap();
        let consumed = run(format, [&recording.bytes[..end]]).1.unwrap_err().consumed.unwrap();
        let raw = consumed.raw_usage.unwrap();
        for (name, figure) in figures.as_object().unwrap() {
            assert_eq!(&raw[name], figure, "{format}: {name} of {raw}");
        }
        let (cost, source) = match format {
            "openrouter" => (Some(141_260), CostSource::Reported),
            // What it costs is not for the wire format to say.
            _ => (None, CostSource::Unpriced),
        };
        assert_eq!((consumed.cost, consumed.cost_source), (cost, source), "{format}");
    }
    // This family tells them with its last event alone, which may be that of a failure.
    let response = json!({ "status": "failed", "error": { "code": "server_error", "message": "no" },
        "usage": { "input_tokens": 7, "output_tokens": 2 } });
    let failed = format!("data: {}\n\n", json!({ "type": "response.failed", "response": response }));
    let consumed = run("openai-responses", [failed.as_bytes()]).1.unwrap_err().consumed.unwrap();
    assert_eq!(consumed.raw_usage, Some(json!({ "input_tokens": 7, "output_tokens": 2 })));
    assert_eq!((consumed.usage.input, consumed.usage.output), (Some(7), Some(2)));
}

/// Also of answers that came in one piece and make no sense.
#[test]
fn the_figures_of_a_whole_answer_outlive_its_refusal() {
    let usage = json!({ "input_tokens": 7, "output_tokens": 2 });
    for (format, body) in [
        ("anthropic", json!({ "content": [], "usage": usage })),
        ("openai-responses", json!({ "output": [], "status": "queued", "usage": usage })),
        ("gemini", json!({ "candidates": [{ "content": { "parts": [] } }], "usageMetadata": usage })),
        ("openai-chat", json!({ "choices": [{ "message": { "content": { "no": "text" } } }], "usage": usage })),
    ] {
        let failure = decode(format, body.to_string().as_bytes()).unwrap_err();
        assert_eq!(failure.kind, FailureKind::MalformedReply, "{format}: {failure}");
        assert_eq!(failure.consumed.unwrap().raw_usage.as_ref(), Some(&usage), "{format}");
    }
}

/// And of those that only report an error, although their status says that all went well.
#[test]
fn the_figures_beside_an_error_are_kept() {
    use FailureKind as K;
    let error = json!({ "code": 502, "message": "the provider went away" });
    let chat = json!({ "prompt_tokens": 7, "completion_tokens": 2, "cost": 0.00014 });
    let tokens = json!({ "input_tokens": 7, "output_tokens": 2 });
    let overloaded = json!({ "type": "overloaded_error", "message": "Overloaded" });
    let unavailable = json!({ "code": 503, "message": "overloaded", "status": "UNAVAILABLE" });
    let google = json!({ "promptTokenCount": 7, "candidatesTokenCount": 2 });
    let failed = json!({ "code": "server_error", "message": "no" });
    let cases = [
        ("openai-chat", "model", "usage", error.clone(), chat.clone(), K::PlatformFailure),
        ("openrouter", "model", "usage", error, chat, K::PlatformFailure),
        ("anthropic", "model", "usage", overloaded, tokens.clone(), K::RateLimited),
        ("openai-responses", "model", "usage", failed, tokens, K::PlatformFailure),
        ("gemini", "modelVersion", "usageMetadata", unavailable, google, K::PlatformFailure),
    ];
    for (format, model, name, error, usage, kind) in cases {
        // The type is what Anthropic and Responses name their errors by, whole and streamed; the others look past it.
        let mut body = json!({ "type": "error", "error": error, model: "m", name: usage });
        let whole = body.to_string();
        let streamed = format!("data: {body}\n\n");
        for (how, outcome) in
            [("whole", decode(format, whole.as_bytes())), ("streamed", run(format, [streamed.as_bytes()]).1)]
        {
            let failure = outcome.unwrap_err();
            assert_eq!(failure.kind, kind, "{format}, {how}: {failure}");
            let consumed = failure.consumed.unwrap();
            assert_eq!(consumed.raw_usage.as_ref(), Some(&usage), "{format}, {how}");
            assert_eq!((consumed.usage.input, consumed.usage.output), (Some(7), Some(2)), "{format}, {how}");
            assert_eq!(consumed.model.as_deref(), Some("m"), "{format}, {how}");
            let (cost, source) = match format {
                "openrouter" => (Some(140_000), CostSource::Reported),
                _ => (None, CostSource::Unpriced),
            };
            assert_eq!((consumed.cost, consumed.cost_source), (cost, source), "{format}, {how}");
        }
        // Without an account of the usage nothing was used, as of an error under any other status.
        body.as_object_mut().unwrap().remove(name);
        assert_eq!(decode(format, body.to_string().as_bytes()).unwrap_err().consumed, None, "{format}");
    }
}

#[test]
fn what_is_no_answer_is_refused() {
    for format in FORMATS {
        for bad in ["", "null", "[]", "{}", "\u{0}", "{\"content\":7}", "{\"choices\":[]}", "{\"output\":{}}"] {
            let failure = decode(format, bad.as_bytes()).expect_err(&format!("{format}: {bad}"));
            assert_eq!(failure.kind, FailureKind::MalformedReply, "{format}: {bad}: {failure}");
        }
    }
}

#[test]
fn an_answer_without_bound_is_refused() {
    for Recording { format, bytes, path } in recordings(".sse") {
        let mut decoder = decoder(format, 60);
        let outcome = decoder.push(&bytes).and_then(|()| decoder.finish().map(|_| ()));
        assert_eq!(outcome.expect_err(&format!("{path:?}")).kind, FailureKind::MalformedReply);
    }
}

/// Lines as a hostile or odd server could send them, in any format.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let events: Vec<String> = recordings(".sse")
        .into_iter()
        .flat_map(|recording| {
            String::from_utf8(recording.bytes).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let line = prop_oneof![
        4 => prop::sample::select(events),
        1 => "[a-z:{}\"\u{feff} é🦀]{0,12}",
        1 => Just("data: [DONE]".to_owned()),
    ];
    let ending = prop_oneof![Just("\n"), Just("\r\n"), Just("\n\n"), Just("\r")];
    prop::collection::vec((line, ending), 0..24)
        .prop_map(|lines| lines.into_iter().flat_map(|(line, ending)| (line + ending).into_bytes()).collect())
}

/// Cuts `bytes` into pieces at the given places.
pub(crate) fn cut(bytes: &[u8], mut places: Vec<usize>) -> Vec<&[u8]> {
    places.iter_mut().for_each(|place| *place %= bytes.len() + 1);
    places.sort_unstable();
    let starts = [0].into_iter().chain(places.clone());
    let ends = places.clone().into_iter().chain([bytes.len()]);
    starts.zip(ends).map(|(start, end)| &bytes[start..end]).collect()
}

proptest! {
    #[test]
    fn no_way_to_cut_changes_anything(
        which in any::<prop::sample::Index>(),
        places in prop::collection::vec(any::<usize>(), 0..40),
    ) {
        let all = recordings(".sse");
        let Recording { format, bytes, .. } = which.get(&all);
        prop_assert_eq!(run(format, cut(bytes, places)), run(format, [bytes.as_slice()]));
    }

    #[test]
    fn no_way_to_cut_changes_anything_whatever_comes(
        format in prop::sample::select(FORMATS.to_vec()),
        bytes in prop_oneof![lines(), prop::collection::vec(any::<u8>(), 0..200)],
        places in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        prop_assert_eq!(run(format, cut(&bytes, places)), run(format, [bytes.as_slice()]));
    }

    #[test]
    fn whole_answers_never_panic(
        format in prop::sample::select(FORMATS.to_vec()),
        which in any::<prop::sample::Index>(),
        place in any::<usize>(),
        byte in any::<u8>(),
    ) {
        let all = recordings(".json");
        let mut bytes = which.get(&all).bytes.clone();
        let place = place % bytes.len();
        bytes[place] = byte;
        let _ = decode(format, &bytes);
    }
}
