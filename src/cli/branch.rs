//! Runs that come from other runs: `retry`, `rerun`, `fork`, `diff`, `tree` and `lineage`.

use serde_json::{Value, json};
use uuid::Uuid;

use super::client::Client;
use super::failure::Failure;
use super::inspect::{at, duration, style_of, text};
use super::steer::number;
use super::terminal::{Style, Terminal};
use super::{input, run};

/// What the new run does differently.
#[derive(Debug, clap::Args)]
pub(crate) struct Changes {
    /// Another input, whole: KEY=TEXT, KEY=@PATH or KEY:=JSON; steps that are kept have used the old one
    #[arg(long = "input", value_name = "KEY=VALUE")]
    inputs: Vec<String>,
    /// Another version of the workflow
    #[arg(long)]
    version: Option<u32>,
    /// The model for every task
    #[arg(long)]
    model: Option<String>,
    /// Another agent for a step; may be repeated
    #[arg(long, value_name = "STEP=AGENT")]
    agent: Vec<String>,
    /// Another template for a step; may be repeated
    #[arg(long, value_name = "STEP=TEMPLATE")]
    template: Vec<String>,
    /// Show the new run as it happens and wait for its end
    #[arg(long)]
    watch: bool,
}

/// Where the new run begins.
pub(crate) enum From {
    /// Where the other one failed.
    Failure,
    /// At these steps.
    Steps(Vec<String>),
    /// After the event with this revision.
    Revision(u64),
}

/// `hishamos retry`, `hishamos rerun` and `hishamos fork`.
pub(crate) async fn branch(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    other: Uuid,
    from: From,
    changes: Changes,
) -> Result<(), Failure> {
    let watch = changes.watch;
    let mut asked = json!({ "clientMutationId": Uuid::now_v7(), "runId": other, "changes": changes.json()? });
    let (field, of_type, more) = match from {
        From::Failure => ("retryRun", "RetryRunInput", None),
        From::Steps(steps) => ("rerunRun", "RerunRunInput", Some(("from", json!(steps)))),
        From::Revision(revision) => ("forkRun", "ForkRunInput", Some(("revision", json!(revision.to_string())))),
    };
    if let (Some((name, value)), Some(fields)) = (more, asked.as_object_mut()) {
        fields.insert(name.to_owned(), value);
    }
    let query = format!("mutation($input: {of_type}!) {{ {field}(input: $input) {{ runId position }} }}");
    let mut data = client.ask(&query, json!({ "input": asked })).await?;
    let started = data.get_mut(field).map(Value::take).unwrap_or_default();
    let id: Uuid = text(&started, "runId").parse().map_err(|_| anyhow::anyhow!("the server named no run"))?;
    if watch {
        return run::follow(client, terminal, id, as_json).await;
    }
    if as_json {
        terminal.json(&started);
    } else {
        terminal.line(format!("run {id} takes over from run {other}"));
    }
    Ok(())
}

impl Changes {
    fn json(&self) -> Result<Value, Failure> {
        let mut steps: Vec<Value> = Vec::new();
        for (what, changes) in [("agent", &self.agent), ("template", &self.template)] {
            for change in changes {
                let (step, key) = change
                    .split_once('=')
                    .ok_or_else(|| Failure::usage(format!("`{change}` is no STEP={}", what.to_uppercase())))?;
                match steps.iter_mut().find(|known| text(known, "step") == step).and_then(Value::as_object_mut) {
                    Some(known) => {
                        known.insert(what.to_owned(), json!(key));
                    }
                    None => steps.push(json!({ "step": step, what: key })),
                }
            }
        }
        let input = if self.inputs.is_empty() { Value::Null } else { input::parse(&self.inputs)? };
        Ok(json!({ "input": input, "version": self.version, "model": self.model, "steps": steps }))
    }
}

const SIDE: &str = "fragment side on RunSide { run { runId workflowKey version status durationMs } effort { attempts \
                    cost attemptsOfUnknownCost inputTokens outputTokens } } fragment step on StepSide { kept step { \
                    status durationMs output } effort { attempts cost } }";

/// `hishamos diff`.
pub(crate) async fn diff(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    a: Uuid,
    b: Uuid,
) -> Result<(), Failure> {
    let query = format!(
        "query($a: UUID!, $b: UUID!) {{ compareRuns(a: $a, b: $b) {{ sameInput sameOutput differences a {{ ...side }} \
         b {{ ...side }} steps {{ name same a {{ ...step }} b {{ ...step }} }} }} }} {SIDE}"
    );
    let mut data = client.ask(&query, json!({ "a": a, "b": b })).await?;
    let found = data.get_mut("compareRuns").map(Value::take).unwrap_or_default();
    if found.is_null() {
        return Err(no_such_run());
    }
    show_comparison(terminal, as_json, &found);
    Ok(())
}

/// One of two runs that are to be compared is not there.
pub(crate) fn no_such_run() -> Failure {
    Failure::Refused { code: "RUN_NOT_FOUND".to_owned(), message: "there is no such run".to_owned() }
}

/// Shows two runs beside each other, as GraphQL gives them.
pub(crate) fn show_comparison(terminal: &mut Terminal, as_json: bool, found: &Value) {
    if as_json {
        terminal.json(found);
        return;
    }
    for side in ["a", "b"] {
        let (one, effort) = (at(at(found, side), "run"), at(at(found, side), "effort"));
        let status = text(one, "status").to_lowercase();
        let status = terminal.paint(style_of(&status), &status);
        terminal.line(format!(
            "{side}  run {}  {} v{}  {status}  {}  {} attempts  {} + {} tokens  {} nano-USD{}",
            text(one, "runId"),
            text(one, "workflowKey"),
            at(one, "version"),
            duration(one),
            number(effort, "attempts"),
            number(effort, "inputTokens"),
            number(effort, "outputTokens"),
            number(effort, "cost"),
            match number(effort, "attemptsOfUnknownCost").as_str() {
                "0" => String::new(),
                unknown => format!(" and {unknown} attempts of unknown cost"),
            }
        ));
    }
    let same = |name: &str| if at(found, name) == &Value::Bool(true) { "the same" } else { "different" };
    terminal.line(format!("input {}, output {}", same("sameInput"), same("sameOutput")));
    for step in at(found, "steps").as_array().into_iter().flatten() {
        let mark = if at(step, "same") == &Value::Bool(true) { " " } else { "≠" };
        let mark = terminal.paint(Style::Warn, mark);
        terminal.line(format!(
            "{mark} {:<24} {:<24} {}",
            text(step, "name"),
            of_side(at(step, "a")),
            of_side(at(step, "b"))
        ));
    }
}

fn of_side(side: &Value) -> String {
    if side.is_null() {
        return "not there".to_owned();
    }
    let step = at(side, "step");
    let kept = if at(side, "kept") == &Value::Bool(true) { " (kept)" } else { "" };
    format!("{} {}{kept}", text(step, "status").to_lowercase(), duration(step)).trim_end().to_owned()
}

/// `hishamos tree` and `hishamos lineage`.
pub(crate) async fn relatives(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    field: &str,
    id: Uuid,
) -> Result<(), Failure> {
    let fields = "distance run { runId workflowKey status startedAt durationMs }";
    let related = client.all(field, ", $id: UUID!", ", id: $id", fields, json!({ "id": id })).await?;
    if as_json {
        terminal.json(&Value::Array(related));
        return Ok(());
    }
    let least = related.iter().filter_map(|run| at(run, "distance").as_i64()).min().unwrap_or(0);
    for entry in &related {
        let depth = at(entry, "distance").as_i64().unwrap_or(0).saturating_sub(least);
        let indent = "  ".repeat(usize::try_from(depth).unwrap_or(0));
        let one = at(entry, "run");
        let status = text(one, "status").to_lowercase();
        let status = terminal.paint(style_of(&status), &status);
        terminal.line(format!(
            "{indent}{}  {}  {status}  {}",
            text(one, "runId"),
            text(one, "workflowKey"),
            duration(one)
        ));
    }
    if related.is_empty() {
        terminal.line("there is no such run");
    }
    Ok(())
}
