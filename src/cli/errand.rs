//! `hishamos do`: what somebody wants done, in their words, from finding the template to the result.
//!
//! Nothing is guessed: parameters come from the command line, from what the request plainly says (by rules, then by a model
//! that has to quote it; the server reads it), or from the person who is asked; what is missing then is told, and nothing is
//! started.

use std::io::{BufRead, IsTerminal};

use anyhow::{Context, anyhow};
use domain::Bilingual;
use selection::Missing;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::client::Client;
use super::failure::Failure;
use super::inspect::{self, at, text};
use super::terminal::{Style, Terminal, cut, printable};
use super::{input, run, watch};

const PREPARE: &str = "mutation($input: PrepareTaskInput!) { prepareTask(input: $input) { templateKey fallback byMeaning \
                       templates { key score words meaning coverage fits matches template { title } } \
                       read { name value quote by } reading { runId ended why leftOut } parameters \
                       missing { name type title arabicTitle: title(language: AR) description \
                       arabicDescription: description(language: AR) choices examples } template { title } } }";
const START: &str = "mutation($input: StartTaskInput!) { startTask(input: $input) { runId position } }";
/// How much of a value is shown.
const SHOWN: usize = 80;

/// What `hishamos do` was asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Errand {
    /// What you want done, in your own words, in English or Arabic
    #[arg(required = true, num_args = 1..)]
    request: Vec<String>,
    /// A parameter of the template: KEY=TEXT, KEY=@PATH for the text of a file, KEY:=JSON for anything else
    #[arg(long = "param", value_name = "KEY=VALUE")]
    parameters: Vec<String>,
    /// Only templates of this department
    #[arg(long)]
    department: Option<String>,
    /// This template, instead of the one that fits best
    #[arg(long, value_name = "KEY")]
    template: Option<String>,
    /// The template that fits best even where none fits well enough, instead of the one for free requests
    #[arg(long)]
    no_fallback: bool,
    /// Ask no model for what the rules cannot read out of the request
    #[arg(long)]
    no_model: bool,
    /// This agent, instead of the best one
    #[arg(long, value_name = "KEY", default_value = "auto")]
    agent: String,
    /// How much of the output layer is asked for (default: as configured, which is `every`)
    #[arg(long, value_enum)]
    output: Option<run::OutputForm>,
    /// Show what would be done, and start nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(crate) server: super::ServerFlag,
}

/// Finds the template, asks for what is missing, carries it out and shows the result.
pub(crate) async fn errand(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    asked: &Errand,
) -> Result<(), Failure> {
    let Value::Object(parameters) = input::parse(&asked.parameters)? else {
        return Err(anyhow!("parameters are no object").into());
    };
    let request = asked.request.join(" ");
    let prepared = prepare(client, &request, asked, parameters).await?;
    let Value::Object(mut parameters) = at(&prepared, "parameters").clone() else {
        return Err(anyhow!("the server told parameters that are no object").into());
    };
    let key = text(&prepared, "templateKey").to_owned();
    let told: Vec<Value> = entries(&prepared, "read").map(in_words).collect();
    let lacking: Vec<Missing> = entries(&prepared, "missing").map(lacking).collect();
    let fallback = at(&prepared, "fallback") == &Value::Bool(true);
    let found = match asked.template {
        Some(_) => Value::Null,
        None => json!({ "byMeaning": at(&prepared, "byMeaning"), "templates": at(&prepared, "templates") }),
    };
    let reading = at(&prepared, "reading");
    let reading = match reading {
        Value::Object(_) => json!({ "run": at(reading, "runId"), "why": at(reading, "why") }),
        _ => Value::Null,
    };
    if !as_json {
        show(terminal, &prepared, &told, fallback);
    }
    let mut answer = json!({
        "request": request, "template": key, "found": found, "fallback": fallback, "agent": asked.agent, "read": told,
        "reading": reading, "parameters": parameters, "missing": lacking,
    });
    if !lacking.is_empty() {
        if as_json || asked.dry_run || !terminal.is_interactive() || !std::io::stdin().is_terminal() {
            return Err(Failure::Incomplete { message: lack(&key, &lacking), answer });
        }
        for missing in lacking {
            let Some(value) = ask(terminal, &missing).await? else {
                let message = format!("`{}` was not given, so nothing was started", missing.name);
                return Err(Failure::Incomplete { message, answer });
            };
            parameters.insert(missing.name, value);
        }
    }
    if asked.dry_run {
        if as_json {
            terminal.json(&answer);
        } else {
            terminal.line("nothing is missing; without --dry-run it is done");
        }
        return Ok(());
    }
    let input = json!({
        "clientMutationId": Uuid::now_v7(), "template": key, "agent": asked.agent, "parameters": parameters,
        "output": asked.output.map(run::OutputForm::name),
    });
    let data = client.ask(START, json!({ "input": input })).await?;
    let id = data.pointer("/startTask/runId").and_then(Value::as_str).and_then(|id| id.parse().ok());
    let id: Uuid = id.ok_or_else(|| anyhow!("the server started a task without saying which run it is"))?;
    if !as_json {
        let line = format!("run {id}; `hishamos show {id}` says which agent does it, and why");
        let line = terminal.paint(Style::Dim, &line);
        terminal.line(line);
        return run::follow(client, terminal, id, false).await;
    }
    let ended = watch::follow(client, id, None).await?;
    let run = inspect::fetch(client, id, Some(&ended.position)).await?;
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("run".to_owned(), run);
    }
    terminal.json(&answer);
    if ended.completed { Ok(()) } else { Err(Failure::Run) }
}

/// Has the server find the template and read the request; waits until a model has read it, where one is asked.
async fn prepare(
    client: &Client,
    request: &str,
    asked: &Errand,
    parameters: Map<String, Value>,
) -> Result<Value, Failure> {
    let input = json!({
        "clientMutationId": Uuid::now_v7(), "request": request, "template": asked.template,
        "department": asked.department, "fallback": !asked.no_fallback, "model": !asked.no_model && !asked.dry_run,
        "parameters": parameters,
    });
    loop {
        let mut data = client.ask(PREPARE, json!({ "input": input })).await?;
        let prepared = data.get_mut("prepareTask").map(Value::take).unwrap_or_default();
        // The server waits for a while; by the same id the same reading is waited for on.
        if prepared.pointer("/reading/ended") != Some(&Value::Bool(false)) {
            return Ok(prepared);
        }
    }
}

fn entries<'v>(prepared: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    at(prepared, name).as_array().into_iter().flatten()
}

/// A parameter that was read, with the rule in lower case, as this program's JSON has always said it.
fn in_words(read: &Value) -> Value {
    let mut read = read.clone();
    if let Some(by) = read.get_mut("by") {
        *by = Value::String(by.as_str().unwrap_or_default().to_lowercase());
    }
    read
}

/// A parameter that is missing.
fn lacking(told: &Value) -> Missing {
    let both = |en: &str, ar: &str| {
        let (en, ar) = (text(told, en).to_owned(), text(told, ar).to_owned());
        Bilingual { ar: Some(ar).filter(|ar| *ar != en), en }
    };
    let values = |name: &str| at(told, name).as_array().cloned().unwrap_or_default();
    Missing {
        name: text(told, "name").to_owned(),
        kind: text(told, "type").to_owned(),
        title: both("title", "arabicTitle"),
        description: both("description", "arabicDescription"),
        choices: values("choices"),
        examples: values("examples"),
    }
}

/// What is missing, as a complaint that says how to give it.
fn lack(key: &str, lacking: &[Missing]) -> String {
    let describe = |missing: &Missing| format!("  --param {}=…  {} ({})", missing.name, missing.title.en, missing.kind);
    let lines: Vec<String> = lacking.iter().map(describe).collect();
    format!("template `{key}` needs more, so nothing was started; give\n{}", lines.join("\n"))
}

fn show(terminal: &mut Terminal, prepared: &Value, told: &[Value], fallback: bool) {
    let key = terminal.paint(Style::Strong, text(prepared, "templateKey"));
    let title = prepared.pointer("/template/title").and_then(Value::as_str).unwrap_or_default();
    terminal.line(format!("{key}  {}", printable(title)));
    let mut all = entries(prepared, "templates");
    let share = |of: &Value, field: &str| at(of, field).as_f64().unwrap_or_default();
    if fallback {
        let why = "  chosen: no template fits well enough, so this one does what you say in your own words";
        let why = terminal.paint(Style::Warn, why);
        terminal.line(why);
    } else if let Some(first) = all.next() {
        let words = at(first, "matches").as_array().into_iter().flatten().filter_map(Value::as_str);
        let words = printable(&words.collect::<Vec<_>>().join(", "));
        let meaning = at(first, "meaning").as_f64().map(|share| format!("; meaning {share:.2}")).unwrap_or_default();
        let why = format!("  chosen: words {:.2} ({words}){meaning}", share(first, "words"));
        let why = terminal.paint(Style::Dim, &why);
        terminal.line(why);
    }
    let others: Vec<String> = all.map(|other| format!("{} {:.2}", text(other, "key"), share(other, "score"))).collect();
    if !others.is_empty() {
        let line = format!("  others: {}; take one with --template KEY", others.join(", "));
        let line = terminal.paint(Style::Dim, &line);
        terminal.line(line);
    }
    told.iter().for_each(|one| show_read(terminal, one));
    let reading = at(prepared, "reading");
    let run = at(reading, "runId").as_str().map(|run| format!(" (run {run})")).unwrap_or_default();
    let mut said = Vec::new();
    if let Some(why) = at(reading, "why").as_str() {
        said.push(format!("  {why}{run}, so only the rules have read the request"));
    }
    if at(reading, "leftOut").as_u64().is_some_and(|left| left > 0) {
        let left = at(reading, "leftOut");
        said.push(format!("  {left} of the model's values were left out, because the request does not say them{run}"));
    }
    for line in said {
        let line = terminal.paint(Style::Dim, &line);
        terminal.line(line);
    }
}

fn show_read(terminal: &mut Terminal, read: &Value) {
    let passage = cut(&printable(text(read, "quote")), SHOWN);
    let why = match text(read, "by") {
        "language" => "the language of the request".to_owned(),
        "model" => format!("a model read it, and the request says “{passage}”"),
        _ => format!("the request says “{passage}”"),
    };
    let value = match at(read, "value") {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    terminal.line(format!("  {} = {}  ({why})", text(read, "name"), cut(&printable(&value), SHOWN)));
}

/// Asks a person for a parameter; nothing when nobody answers.
async fn ask(terminal: &mut Terminal, missing: &Missing) -> Result<Option<Value>, Failure> {
    let arabic = missing.title.ar.as_ref().map(|title| format!(" / {title}")).unwrap_or_default();
    terminal.line(printable(&format!("{}{arabic} ({}, {})", missing.title.en, missing.name, missing.kind)));
    if !missing.description.en.is_empty() {
        let line = terminal.paint(Style::Dim, &printable(&format!("  {}", missing.description.en)));
        terminal.line(line);
    }
    for choice in &missing.choices {
        terminal.line(printable(&format!("  - {choice}")));
    }
    loop {
        let line = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map(|length| (length, line))
        });
        let (length, line) = line.await.context("nobody could be asked")?.context("nobody could be asked")?;
        if length == 0 {
            return Ok(None);
        }
        match value(line.trim(), &missing.kind) {
            Some(value) => return Ok(Some(value)),
            None => terminal.line(format!("that is no {}; once more, please", missing.kind)),
        }
    }
}

/// A text that somebody typed, as a value of a type of JSON Schema.
fn value(typed: &str, kind: &str) -> Option<Value> {
    if typed.is_empty() {
        return None;
    }
    let parsed = || serde_json::from_str::<Value>(typed).ok();
    match kind {
        "string" => Some(Value::String(typed.to_owned())),
        "integer" => parsed().filter(|value| value.is_i64() || value.is_u64()),
        "number" => parsed().filter(Value::is_number),
        "boolean" => match typed.to_lowercase().as_str() {
            "yes" | "y" | "true" | "نعم" => Some(Value::Bool(true)),
            "no" | "n" | "false" | "لا" => Some(Value::Bool(false)),
            _ => None,
        },
        "array" => {
            let parts = typed.split([',', '،']).map(|part| Value::String(part.trim().to_owned()));
            parsed().filter(Value::is_array).or_else(|| Some(parts.collect()))
        }
        "object" => parsed().filter(Value::is_object),
        _ => parsed().or_else(|| Some(Value::String(typed.to_owned()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_becomes_a_value_of_the_type() {
        let cases = [
            ("3", "string", Some(json!("3"))),
            ("3", "integer", Some(json!(3))),
            ("3.5", "integer", None),
            ("3.5", "number", Some(json!(3.5))),
            ("نعم", "boolean", Some(json!(true))),
            ("perhaps", "boolean", None),
            ("a, b", "array", Some(json!(["a", "b"]))),
            ("[1]", "array", Some(json!([1]))),
            ("a", "object", None),
            ("a", "any", Some(json!("a"))),
            ("", "string", None),
        ];
        for (typed, kind, expected) in cases {
            assert_eq!(value(typed, kind), expected, "{typed} as {kind}");
        }
    }
}
