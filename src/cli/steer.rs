//! Commands that steer runs on a running server: `pause`, `resume`, `cancel`, `signal` and `bulk`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::Client;
use super::failure::Failure;
use super::inspect::{at, text};
use super::terminal::{Style, Terminal};

/// One run, or a hold on many.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// The run's id
    run: Option<Uuid>,
    /// Every run of the workflow with this key, those that start later included
    #[arg(long, value_name = "KEY")]
    workflow: Option<String>,
    /// Every run, those that start later included
    #[arg(long)]
    everything: bool,
}

/// Which runs a command on many acts on.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Only of the workflow with this key
    #[arg(long)]
    workflow: Option<String>,
    /// Only at this status; may be repeated
    #[arg(long)]
    status: Vec<String>,
    /// Only started before this moment, in RFC 3339
    #[arg(long, value_name = "MOMENT")]
    started_before: Option<String>,
    /// Do it; without this, what would be hit is shown and nothing is done
    #[arg(long)]
    yes: bool,
    /// Why
    #[arg(long, default_value = "")]
    reason: String,
}

/// What is done to many runs.
#[derive(Debug, Subcommand)]
pub(crate) enum Bulk {
    /// Ask them to stop
    Cancel(Filter),
    /// Let nothing new of them start
    Pause(Filter),
    /// Let them go on
    Resume(Filter),
    /// Try those that failed or were cancelled again
    Retry(Filter),
}

/// What happens to timers, deadlines and expiries while a run is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Clock {
    /// They stand still and move by the length of the pause.
    Frozen,
    /// They go on; what became due takes effect at the end of the pause.
    Running,
}

impl Clock {
    fn name(self) -> &'static str {
        match self {
            Self::Frozen => "FROZEN",
            Self::Running => "RUNNING",
        }
    }
}

/// `hishamos pause`.
pub(crate) async fn pause(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    which: Which,
    reason: &str,
    clock: Clock,
) -> Result<(), Failure> {
    let id = Uuid::now_v7();
    let Some(run) = which.run else {
        let input =
            json!({ "clientMutationId": id, "workflow": which.workflow, "reason": reason, "clock": clock.name() });
        let what = covered(which.workflow.as_deref());
        let said = (format!("{what} is paused"), format!("{what} was paused already"));
        return hold(client, terminal, as_json, "placeHold", "PlaceHoldInput", input, said).await;
    };
    let input = json!({ "clientMutationId": id, "runId": run, "reason": reason, "clock": clock.name() });
    let said = (format!("run {run} is paused"), format!("run {run} was paused already"));
    on_run(client, terminal, as_json, "pauseRun", "PauseRunInput", input, said).await
}

/// `hishamos resume`.
pub(crate) async fn resume(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    which: Which,
) -> Result<(), Failure> {
    let id = Uuid::now_v7();
    let Some(run) = which.run else {
        let input = json!({ "clientMutationId": id, "workflow": which.workflow });
        let what = covered(which.workflow.as_deref());
        let said = (format!("{what} goes on"), format!("{what} was not paused"));
        return hold(client, terminal, as_json, "liftHold", "LiftHoldInput", input, said).await;
    };
    let input = json!({ "clientMutationId": id, "runId": run });
    let said = (format!("run {run} goes on"), format!("run {run} was not paused"));
    on_run(client, terminal, as_json, "resumeRun", "ResumeRunInput", input, said).await
}

/// `hishamos cancel`.
pub(crate) async fn cancel(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    run: Uuid,
    reason: &str,
    grace: Duration,
) -> Result<(), Failure> {
    let id = Uuid::now_v7();
    let grace = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
    let input = json!({ "clientMutationId": id, "runId": run, "reason": reason, "graceMs": grace });
    let said = (format!("run {run} is being cancelled"), format!("run {run} was being cancelled already"));
    on_run(client, terminal, as_json, "cancelRun", "CancelRunInput", input, said).await
}

/// `hishamos signal`.
pub(crate) async fn signal(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    run: Uuid,
    signal: &str,
    payload: Option<&str>,
) -> Result<(), Failure> {
    let payload: Value = serde_json::from_str(payload.unwrap_or("null"))
        .map_err(|error| Failure::usage(format!("the payload is no JSON: {error}; a text needs quotes: '\"yes\"'")))?;
    let id = Uuid::now_v7();
    let input = json!({ "clientMutationId": id, "runId": run, "signal": signal, "payload": payload });
    let said = (format!("run {run} has the signal `{signal}`"), format!("run {run} had this signal already"));
    on_run(client, terminal, as_json, "signalRun", "SignalRunInput", input, said).await
}

fn covered(workflow: Option<&str>) -> String {
    workflow.map_or_else(|| "everything".to_owned(), |key| format!("workflow `{key}`"))
}

/// Asks for something on one run; `said` tells a person that it is so now, or was so already.
pub(super) async fn on_run(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    field: &str,
    of_type: &str,
    input: Value,
    said: (String, String),
) -> Result<(), Failure> {
    let fields = "runId position revision repeated changed";
    mutate(client, terminal, as_json, field, of_type, fields, input, said).await
}

async fn hold(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    field: &str,
    of_type: &str,
    input: Value,
    said: (String, String),
) -> Result<(), Failure> {
    mutate(client, terminal, as_json, field, of_type, "position revision repeated changed", input, said).await
}

#[expect(clippy::too_many_arguments, reason = "the parts of one mutation and of what is said about it")]
pub(super) async fn mutate(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    field: &str,
    of_type: &str,
    fields: &str,
    input: Value,
    said: (String, String),
) -> Result<(), Failure> {
    let query = format!("mutation($input: {of_type}!) {{ {field}(input: $input) {{ {fields} }} }}");
    let mut data = client.ask(&query, json!({ "input": input })).await?;
    let done = data.get_mut(field).map(Value::take).unwrap_or_default();
    if as_json {
        terminal.json(&done);
    } else if at(&done, "changed") == &Value::Bool(true) {
        terminal.line(said.0);
    } else {
        terminal.line(said.1);
    }
    Ok(())
}

const PREVIEW: &str = "query($filter: RunFilter!) { previewBulk(filter: $filter) { count position byStatus { status \
                       count } sample { runId workflowKey status startedAt } } }";

/// `hishamos bulk`: what would be hit, and with `--yes` doing it. What was shown is what is done: if the filter hits
/// another number of runs by then, nothing is.
pub(crate) async fn bulk(client: &Client, terminal: &mut Terminal, as_json: bool, bulk: Bulk) -> Result<(), Failure> {
    let (field, filter) = match bulk {
        Bulk::Cancel(filter) => ("bulkCancelRuns", filter),
        Bulk::Pause(filter) => ("bulkPauseRuns", filter),
        Bulk::Resume(filter) => ("bulkResumeRuns", filter),
        Bulk::Retry(filter) => ("bulkRetryRuns", filter),
    };
    let statuses: Vec<String> = filter.status.iter().map(|status| status.to_uppercase()).collect();
    let wanted = json!({ "workflow": filter.workflow, "statuses": statuses, "startedBefore": filter.started_before });
    let mut data = client.ask(PREVIEW, json!({ "filter": wanted })).await?;
    let preview = data.get_mut("previewBulk").map(Value::take).unwrap_or_default();
    if !filter.yes {
        show_preview(terminal, as_json, &preview);
        return Ok(());
    }
    let count = at(&preview, "count").clone();
    let input = json!({ "clientMutationId": Uuid::now_v7(), "filter": wanted, "expectedCount": count });
    let reasoned = matches!(field, "bulkCancelRuns" | "bulkPauseRuns");
    let (declared, passed) = if reasoned { (", $reason: String!", ", reason: $reason") } else { ("", "") };
    let query = format!(
        "mutation($input: BulkInput!{declared}) {{ {field}(input: $input{passed}) {{ count done failed position \
         results {{ runId done changed newRunId code message }} }} }}"
    );
    let variables =
        if reasoned { json!({ "input": input, "reason": filter.reason }) } else { json!({ "input": input }) };
    let mut data = client.ask(&query, variables).await?;
    let done = data.get_mut(field).map(Value::take).unwrap_or_default();
    if as_json {
        terminal.json(&done);
        return Ok(());
    }
    for result in at(&done, "results").as_array().into_iter().flatten() {
        if at(result, "done") != &Value::Bool(true) {
            let line = format!("run {}: {} ({})", text(result, "runId"), text(result, "message"), text(result, "code"));
            let line = terminal.paint(Style::Warn, &line);
            terminal.line(line);
        }
    }
    terminal.line(format!("done on {} of {} runs", number(&done, "done"), number(&done, "count")));
    Ok(())
}

fn show_preview(terminal: &mut Terminal, as_json: bool, preview: &Value) {
    if as_json {
        terminal.json(preview);
        return;
    }
    terminal.line(format!("this hits {} runs", number(preview, "count")));
    for by in at(preview, "byStatus").as_array().into_iter().flatten() {
        terminal.line(format!("  {:<13} {}", text(by, "status").to_lowercase(), number(by, "count")));
    }
    for run in at(preview, "sample").as_array().into_iter().flatten() {
        let line = format!("  {}  {}  {}", text(run, "runId"), text(run, "workflowKey"), text(run, "startedAt"));
        let line = terminal.paint(Style::Dim, &line);
        terminal.line(line);
    }
    terminal.line("nothing was done; say --yes to do it");
}

/// A count, which comes as a number or as a decimal string.
pub(super) fn number(value: &Value, name: &str) -> String {
    match at(value, name) {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A duration such as `300s` or `1h30m`, for arguments.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write whole numbers with their units, such as 300s or 1h30m");
    let span: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(span).map_err(|_| wrong())
}
