use domain::Task;
use serde_json::{Value, json};

/// What a completed task is to the mappings of its step: `{"text": …, "json": …}`; `None` while it has not completed.
/// Where every part of an output was asked for, the text is the results alone.
#[must_use]
pub fn result_of(task: &Task) -> Option<Value> {
    let reply = task.reply()?;
    Some(match task.output() {
        Some(output) => json!({ "text": output.results, "json": output.data }),
        None => task_result(&reply.text),
    })
}

/// What an answer without further parts is to the mappings of its step.
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
