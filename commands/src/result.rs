use serde_json::{Value, json};

/// What a task's answer is to the mappings of its step: `{"text": …, "json": …}`.
#[must_use]
pub fn task_result(text: &str) -> Value {
    json!({ "text": text, "json": embedded_json(text) })
}

/// The JSON object or array that an answer consists of, bare or in a Markdown code fence; `null` when there is none.
fn embedded_json(text: &str) -> Value {
    let text = text.trim();
    let fenced = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let inner = fenced.map_or(text, |rest| rest.strip_prefix("json").unwrap_or(rest)).trim();
    if inner.starts_with(['{', '[']) { serde_json::from_str(inner).unwrap_or(Value::Null) } else { Value::Null }
}
