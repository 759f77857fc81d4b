//! A model is asked for what rules cannot read out of a request, as a task like any other: it is recorded, costs what it costs,
//! and budgets and limits count it.
//!
//! Invariant: of what the model says only that counts which the request says ([`selection::supported`]).

use domain::template::TemplateBody;
use selection::{Missing, ModelAnswer, ReadParameter, supported};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::client::Client;
use super::failure::Failure;
use super::inspect::{self, at, text};
use super::terminal::{Style, Terminal};
use super::watch;

const ABLE: &str = "query($key: String!) { template(key: $key) { key } platforms { kind order simulated unusable } }";
const START: &str = "mutation($input: StartTaskInput!) { startTask(input: $input) { runId } }";
/// The kinds of platforms that are not asked: a model in this process is too small for it, and programs that work as agents
/// are too much.
const OTHERS: [&str; 5] = ["local", "simulator", "command", "acp", "cursor"];

/// What is to be read.
pub(crate) struct Wish<'a> {
    pub(crate) request: &'a str,
    /// What the template does.
    pub(crate) job: &'a str,
    pub(crate) body: &'a TemplateBody,
    /// The parameters that are known.
    pub(crate) given: &'a Map<String, Value>,
    pub(crate) lacking: &'a [Missing],
}

/// What came of it.
pub(crate) struct Answer {
    /// What the request says, as a model found it.
    pub(crate) read: Vec<ReadParameter>,
    /// Which run it was, or why no model was asked, for programs.
    pub(crate) told: Value,
}

/// The form in which the template asks for the answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    values: Vec<ModelAnswer>,
}

/// Asks a model, when there is one that can do it.
pub(crate) async fn ask(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    wish: &Wish<'_>,
) -> Result<Answer, Failure> {
    let mut say = |line: &str| {
        if !as_json {
            let line = terminal.paint(Style::Dim, &format!("  {line}"));
            terminal.line(line);
        }
    };
    let data = client.ask(ABLE, json!({ "key": TemplateBody::READ_PARAMETERS })).await?;
    let able = |platform: &Value| {
        let is_model = !OTHERS.contains(&text(platform, "kind")) && at(platform, "simulated") != &Value::Bool(true);
        is_model && at(platform, "unusable").is_null() && !at(platform, "order").is_null()
    };
    let platforms = at(&data, "platforms").as_array().map(Vec::as_slice).unwrap_or_default();
    let why = if at(&data, "template").is_null() {
        Some("the template `read-parameters` is not registered")
    } else if !platforms.iter().any(able) {
        Some("no platform with a capable model is configured")
    } else {
        None
    };
    if let Some(why) = why {
        say(&format!("{why}, so only the rules have read the request"));
        return Ok(Answer { read: Vec::new(), told: json!({ "run": null, "why": why }) });
    }
    let wanted: Vec<Value> = wish.lacking.iter().map(described).collect();
    let parameters = json!({ "request": wish.request, "job": wish.job, "wanted": wanted });
    let input = json!({
        "clientMutationId": Uuid::now_v7(), "template": TemplateBody::READ_PARAMETERS, "parameters": parameters, "output": super::run::OutputForm::Text.name(),
    });
    let data = client.ask(START, json!({ "input": input })).await?;
    let id = data.pointer("/startTask/runId").and_then(Value::as_str).and_then(|id| id.parse().ok());
    let id: Uuid = id.ok_or_else(|| anyhow::anyhow!("the server started a task without saying which run it is"))?;
    let ended = watch::follow(client, id, None).await?;
    let run = inspect::fetch(client, id, Some(&ended.position)).await?;
    let told = |why: Option<&str>| json!({ "run": id, "why": why });
    let why = if !ended.completed {
        Some("the model gave no answer")
    } else if at(&run, "simulated") == &Value::Bool(true) {
        Some("the answer was simulated")
    } else {
        None
    };
    if let Some(why) = why {
        say(&format!("{why} (run {id}), so only the rules have read the request"));
        return Ok(Answer { read: Vec::new(), told: told(Some(why)) });
    }
    let form = run.pointer("/output/json").cloned().unwrap_or_default();
    let Ok(Form { values }) = serde_json::from_value(form) else {
        let why = "the model kept to no form";
        say(&format!("{why} (run {id}), so only the rules have read the request"));
        return Ok(Answer { read: Vec::new(), told: told(Some(why)) });
    };
    let asked = |answer: &ModelAnswer| wish.lacking.iter().any(|missing| missing.name == answer.name);
    let values: Vec<ModelAnswer> = values.into_iter().filter(asked).collect();
    let read = supported(wish.body, wish.request, wish.given, &values);
    let left = values.len().saturating_sub(read.len());
    if left > 0 {
        say(&format!("{left} of the model's values were left out, because the request does not say them (run {id})"));
    }
    Ok(Answer { read, told: told(None) })
}

/// A parameter as the template wants it described.
fn described(missing: &Missing) -> Value {
    let mut described = json!({ "name": missing.name, "type": missing.kind, "title": missing.title.en });
    if let Some(fields) = described.as_object_mut() {
        if !missing.description.en.is_empty() {
            fields.insert("description".to_owned(), json!(missing.description.en));
        }
        if !missing.choices.is_empty() {
            fields.insert("choices".to_owned(), json!(missing.choices));
        }
    }
    described
}
