//! Every recording as we read it against how the crate `genai` does, which is another implementation of the same formats: where
//! both differ stands below, with who is right, and nothing else may differ. The reader is a program of its own (`tests/genai`),
//! built when this test runs.

use std::path::Path;
use std::process::Command;

use providers::Usage;
use providers::wire::Answer;
use serde_json::{Map, Value, json};

use crate::golden::{decode, run};

/// Where it differs from us: which recording, in what, and what it says. Each is wrong by the documentation of the platform, as
/// `providers::wire` explains.
const DIFFERENCES: [(&str, &str, &str); 20] = [
    // Citations are an error to it.
    ("anthropic/server-tool.sse", "error", "true"),
    // Thinking tokens that come at the end of a stream are dropped.
    ("anthropic/thinking-tools.sse", "reasoning", "null"),
    // Where there are thoughts and no candidate, or a filter stopped it, what had come out by then is lost.
    ("gemini/max-tokens-only-thoughts.json", "output", "null"),
    ("gemini/safety.sse", "output", "null"),
    // Usage that comes after the reason for the end is lost, with the charge that stands there.
    ("openrouter/reasoning.sse", "input", "null"),
    ("openrouter/reasoning.sse", "output", "null"),
    ("openrouter/reasoning.sse", "reasoning", "null"),
    // Three formats have no word for "it wants tools called"; it keeps the word that they use for any end.
    ("gemini/tools.json", "finish", "\"stop\""),
    ("gemini/tools.sse", "finish", "\"stop\""),
    ("openai-chat/ollama-tools.sse", "finish", "\"stop\""),
    ("openai-responses/tools.json", "finish", "\"stop\""),
    ("openai-responses/tools.sse", "finish", "\"stop\""),
    // A refusal is an empty answer to it that ended well.
    ("openai-chat/refusal.json", "finish", "\"stop\""),
    ("openai-chat/refusal.json", "text", "\"\""),
    ("openai-chat/refusal.sse", "finish", "\"stop\""),
    ("openai-chat/refusal.sse", "text", "\"\""),
    ("openai-responses/refusal.json", "finish", "\"stop\""),
    ("openai-responses/refusal.json", "text", "\"\""),
    ("openai-responses/refusal.sse", "finish", "\"stop\""),
    ("openai-responses/refusal.sse", "text", "\"\""),
];

/// The formats of which a stream that broke off ends like a whole one to it.
const ENDS_WELL: [&str; 1] = ["openai-responses"];

/// An answer in the form that the reader prints, zero being the same as nothing, which it does not tell apart.
fn shown(answer: &Answer) -> Map<String, Value> {
    let finish = answer.finish.name();
    // Arguments that were cut are no JSON.
    let arguments = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| json!(text));
    let calls = answer.tool_calls.iter().map(|call| json!([call.name, arguments(&call.arguments)]));
    let Usage { input, cached_input, cache_write_5m, cache_write_1h, output, reasoning, .. } = answer.usage;
    let some = |figure: Option<u64>| figure.filter(|figure| *figure > 0);
    let all = json!({
        "text": answer.text, "finish": finish, "tool_calls": calls.collect::<Value>(),
        "input": some(input), "cached_input": some(cached_input), "cache_write_5m": some(cache_write_5m),
        "cache_write_1h": some(cache_write_1h), "output": some(output), "reasoning": some(reasoning),
    });
    all.as_object().unwrap().clone()
}

/// What the reader printed, in the same form.
fn flat(read: &Value) -> Map<String, Value> {
    let mut all = read.as_object().unwrap().clone();
    if let Some(Value::Object(usage)) = all.remove("usage") {
        all.extend(usage.into_iter().map(|(name, figure)| match figure.as_u64() {
            Some(0) => (name, Value::Null),
            _ => (name, figure),
        }));
    }
    all
}

fn genai() -> Map<String, Value> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let reader = testkit::cargo_built("genai-0.7.2", &home.join("tests/genai/Cargo.toml")).join("genai-reader");
    let output = Command::new(reader).arg(home.join("golden")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn another_reader_differs_only_where_it_is_known_to() {
    let read = genai();
    let (mut compared, mut found) = (0, Vec::new());
    for (recording, theirs) in read.iter().filter(|(name, _)| !name.ends_with("@60%")) {
        let (format, name) = recording.split_once('/').unwrap();
        let bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(recording)).unwrap();
        let answer = if name.ends_with(".sse") {
            run(format, [bytes.as_slice()]).1.unwrap()
        } else {
            decode(format, &bytes).unwrap()
        };
        let theirs = flat(theirs);
        if theirs.contains_key("error") {
            found.push((recording.clone(), "error".to_owned(), "true".to_owned()));
            continue;
        }
        for (field, ours) in shown(&answer) {
            compared += 1;
            let said = theirs.get(&field).unwrap_or(&Value::Null);
            if *said != ours {
                found.push((recording.clone(), field, said.to_string()));
            }
        }
    }
    let mut known: Vec<_> =
        DIFFERENCES.map(|(recording, field, said)| (recording.into(), field.into(), said.into())).into();
    found.sort();
    known.sort();
    assert_eq!(found, known, "what it reads otherwise than we do, against what is known");
    assert!(compared > 250, "{compared} figures were compared");
}

#[test]
fn what_broke_off_is_an_error_to_us_whatever_it_is_to_another() {
    let mut ended = std::collections::BTreeSet::new();
    for (recording, theirs) in genai().iter().filter(|(name, _)| name.ends_with("@60%")) {
        let (format, _) = recording.split_once('/').unwrap();
        let file = recording.trim_end_matches("@60%");
        let bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(file)).unwrap();
        assert!(run(format, [&bytes[..bytes.len() * 6 / 10]]).1.is_err(), "{recording}");
        if theirs.get("error").is_none() {
            ended.insert(format.to_owned());
        }
    }
    assert_eq!(ended.into_iter().collect::<Vec<_>>(), ENDS_WELL);
}
