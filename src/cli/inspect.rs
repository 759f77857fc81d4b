//! Commands that ask a running server: `runs`, `show`, `explain`.

use serde_json::{Value, json};
use uuid::Uuid;

use super::client::Client;
use super::failure::Failure;
use super::steer::number;
use super::terminal::{Style, Terminal, cut, printable};

const RUNS: &str = "query($filter: RunFilter, $first: Int) { runs(filter: $filter, first: $first) { nodes { runId \
                    workflowKey version status simulated startedAt endedAt durationMs error { kind message } } \
                    pageInfo { hasNextPage endCursor } position } }";
const RUN: &str = "query($run: UUID!, $position: Position) { run(id: $run, minPosition: $position) { runId \
                   workflowKey version status simulated actor startedAt endedAt durationMs input output failedStep \
                   quality { score people judge checks } againOf { taskId runId } \
                   cancelReason error { kind message } steps { name title status agentKey templateKey needs simulated \
                   startedAt endedAt durationMs output error { kind message } task { taskId status assignReason repetitions(first: 200) { nodes { runId } } \
                   quality { score source parts { source score count spread } } review { rounds gain versions { \
                   attempt checks own counts } } failedJudgement { reason } \
                   assignment { agentKey agentVersion named choice { reason capability candidates { agentKey score \
                   excluded } } } attempts { number purpose \
                   platform model answeredBy status simulated durationMs firstPieceMs cost costSource priceList kept { at saved } \
                   usage { inputTokens outputTokens } error { kind message } } } } } }";
const EXPLAIN: &str = "query($run: UUID!) { run(id: $run) { explain { runId status node next { ...cause inner { ...cause } } steps { \
                       step status residency assignment { agentKey agentVersion named choice { reason capability language minimum candidates { agentKey \
                       score running experience excluded factors { capability quality availability cost speed } } } } \
                       cause { ...cause inner { ...cause } } } } } } fragment cause on Cause { kind since at step taskId \
                       attempt platform error steps by reason clock held limit holders { runId taskId } ahead running \
                       done total approvers agreed quorum signal runId runStatus }";
/// `hishamos runs`.
pub(crate) async fn runs(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    limit: u32,
    statuses: &[String],
    workflow: Option<&str>,
) -> Result<(), Failure> {
    let statuses: Vec<String> = statuses.iter().map(|status| status.to_uppercase()).collect();
    let filter = json!({ "statuses": statuses, "workflow": workflow });
    let mut data = client.ask(RUNS, json!({ "filter": filter, "first": limit })).await?;
    let page = data.get_mut("runs").map(Value::take).unwrap_or_default();
    if as_json {
        terminal.json(&page);
        return Ok(());
    }
    let runs = page.get("nodes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if runs.is_empty() {
        terminal.line("no runs yet; start one with `hishamos run WORKFLOW --input KEY=VALUE`");
    }
    for run in runs {
        let label = if run.get("simulated") == Some(&Value::Bool(true)) { "  [simulated]" } else { "" };
        let error = run.pointer("/error/message").and_then(Value::as_str).map(printable).unwrap_or_default();
        let status = text(run, "status").to_lowercase();
        let padded = terminal.paint(style_of(&status), &format!("{status:<10}"));
        let line = format!(
            "{}  {padded}  {:<20}  {}  {}{label}  {}",
            text(run, "runId"),
            text(run, "workflowKey"),
            text(run, "startedAt"),
            duration(run),
            cut(&error, 60)
        );
        terminal.line(line.trim_end());
    }
    if page.pointer("/pageInfo/hasNextPage") == Some(&Value::Bool(true)) {
        let more = terminal.paint(Style::Dim, "(there are more; see --limit)");
        terminal.line(more);
    }
    Ok(())
}

/// Everything about a run, as the read models have it at `position` or later.
pub(crate) async fn fetch(client: &Client, run: Uuid, position: Option<&str>) -> Result<Value, Failure> {
    let mut data = client.ask(RUN, json!({ "run": run, "position": position })).await?;
    match data.get_mut("run").map(Value::take) {
        None | Some(Value::Null) => Err(no_such_run(run)),
        Some(mut found) => {
            for step in found.get_mut("steps").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(repetitions) = step.pointer_mut("/task/repetitions") {
                    *repetitions = repetitions.get_mut("nodes").map(Value::take).unwrap_or_default();
                }
            }
            Ok(found)
        }
    }
}

fn no_such_run(run: Uuid) -> Failure {
    Failure::Refused { code: "RUN_NOT_FOUND".to_owned(), message: format!("there is no run {run}") }
}

/// `hishamos show`.
pub(crate) async fn show(client: &Client, terminal: &mut Terminal, as_json: bool, run: Uuid) -> Result<(), Failure> {
    let found = fetch(client, run, None).await?;
    if as_json {
        terminal.json(&found);
        return Ok(());
    }
    let status = text(&found, "status").to_lowercase();
    let label = if found.get("simulated") == Some(&Value::Bool(true)) { "  [simulated]" } else { "" };
    let heading = terminal.paint(Style::Strong, &format!("run {}", text(&found, "runId")));
    terminal.line(heading);
    let painted = terminal.paint(style_of(&status), &status);
    terminal.line(format!("  status    {painted}{label}"));
    terminal.line(format!("  workflow  {}, version {}", text(&found, "workflowKey"), at(&found, "version")));
    terminal.line(format!("  started   {} by {}", text(&found, "startedAt"), text(&found, "actor")));
    if let Some(task) = found.pointer("/againOf/taskId").and_then(Value::as_str) {
        let of = found.pointer("/againOf/runId").and_then(Value::as_str).unwrap_or_default();
        terminal.line(format!("  again     task {task} of run {of}"));
    }
    if !at(&found, "endedAt").is_null() {
        terminal.line(format!("  ended     {} ({})", text(&found, "endedAt"), duration(&found)));
    }
    if let Some(error) = found.pointer("/error/message").and_then(Value::as_str) {
        terminal.line(format!("  error     {}", printable(error)));
    }
    let quality = at(&found, "quality");
    if quality.is_object() {
        let from = ["people", "judge", "checks"].map(|source| (source, number(quality, source)));
        let from: Vec<String> =
            from.iter().filter(|(_, count)| count != "0").map(|(s, n)| format!("{s} {n}")).collect();
        let score = mark(quality, "score");
        terminal.line(format!("  quality   {score:.1}, average of the marks that count ({})", from.join(", ")));
    }
    terminal.line("  steps");
    for step in at(&found, "steps").as_array().into_iter().flatten() {
        show_step(terminal, step);
    }
    show_output(terminal, at(&found, "output"));
    Ok(())
}

fn show_step(terminal: &mut Terminal, step: &Value) {
    let status = text(step, "status").to_lowercase();
    let padded = terminal.paint(style_of(&status), &format!("{status:<9}"));
    let label = if at(step, "simulated") == &Value::Bool(true) { "  [simulated]" } else { "" };
    let line = format!(
        "    {padded}  {:<20}  {}  {}  {}{label}",
        text(step, "name"),
        printable(text(step, "title")),
        agent_of(step),
        duration(step)
    );
    terminal.line(line.trim_end());
    if let Some(task) = step.pointer("/task/taskId").and_then(Value::as_str) {
        let line = terminal.paint(Style::Dim, &format!("               task {task}"));
        terminal.line(line);
    }
    for run in step.pointer("/task/repetitions").and_then(Value::as_array).into_iter().flatten() {
        terminal.line(format!("               done again by run {}", text(run, "runId")));
    }
    if step.pointer("/task/assignment/named") == Some(&Value::Bool(false)) {
        let reason = step.pointer("/task/assignReason").and_then(Value::as_str).map(printable).unwrap_or_default();
        let line = terminal.paint(Style::Dim, &format!("               {reason}"));
        terminal.line(line);
        show_candidates(terminal, at(at(step, "task"), "assignment"), 4);
    }
    show_quality(terminal, at(step, "task"));
    for attempt in step.pointer("/task/attempts").and_then(Value::as_array).into_iter().flatten() {
        let model = at(attempt, "answeredBy").as_str().or(at(attempt, "model").as_str()).unwrap_or("default model");
        let error = attempt.pointer("/error/message").and_then(Value::as_str).map(printable).unwrap_or_default();
        let purpose = match text(attempt, "purpose").to_lowercase().as_str() {
            "form" => ", for its form",
            "revision" => ", a revision",
            _ => "",
        };
        let line = format!(
            "               attempt {}{purpose}  {}  {}/{}  {}{}{}  {}",
            at(attempt, "number"),
            text(attempt, "status").to_lowercase(),
            text(attempt, "platform"),
            printable(model),
            duration(attempt),
            pace(attempt),
            price(attempt),
            cut(&error, 80)
        );
        let line = terminal.paint(Style::Dim, line.trim_end());
        terminal.line(line);
    }
}

/// How good a task's answer is, by whom, and what reviewing it has gained.
fn show_quality(terminal: &mut Terminal, task: &Value) {
    if !task.is_object() {
        return;
    }
    let mut line = format!("               task {}", text(task, "taskId"));
    let quality = at(task, "quality");
    if quality.is_object() {
        let parts = at(quality, "parts").as_array().into_iter().flatten().map(|part| {
            format!("{} {:.1} of {}", text(part, "source").to_lowercase(), mark(part, "score"), number(part, "count"))
        });
        let parts: Vec<String> = parts.collect();
        line.push_str(&format!("  quality {:.1} ({})", mark(quality, "score"), parts.join(", ")));
    }
    let review = at(task, "review");
    if review.is_object() {
        let rounds = number(review, "rounds");
        let gain = at(review, "gain").as_f64();
        let gain = gain.map_or_else(|| "nothing to check".to_owned(), |gain| format!("gain {gain:+.1}"));
        line.push_str(&format!("  {rounds} revision{} ({gain})", if rounds == "1" { "" } else { "s" }));
    }
    if let Some(reason) = task.pointer("/failedJudgement/reason").and_then(Value::as_str) {
        line.push_str(&format!("  not judged: {}", cut(&printable(reason), 80)));
    }
    let line = terminal.paint(Style::Dim, &line);
    terminal.line(line);
}

fn mark(value: &Value, name: &str) -> f64 {
    at(value, name).as_f64().unwrap_or_default()
}

/// How soon an attempt's answer began, or that it was a kept one.
fn pace(attempt: &Value) -> String {
    let kept = at(attempt, "kept");
    if kept.is_object() {
        let saved = count(at(kept, "saved")).and_then(|nano| i64::try_from(nano).ok());
        let saved =
            saved.map_or_else(|| "an unknown cost".to_owned(), |nano| format!("${}", super::platforms::usd(nano)));
        return format!("  kept answer of {}, saved {saved}", text(kept, "at"));
    }
    let first = count(at(attempt, "firstPieceMs")).map(std::time::Duration::from_millis);
    first.map(|first| format!(", first piece after {}", super::terminal::seconds(first))).unwrap_or_default()
}

/// What an attempt has cost and who says so; nothing where nobody was paid or nothing is known of it.
fn price(attempt: &Value) -> String {
    let cost = count(at(attempt, "cost")).and_then(|nano| i64::try_from(nano).ok());
    let cost = cost.map(|nano| format!("${}", super::platforms::usd(nano))).unwrap_or_default();
    match text(attempt, "costSource") {
        "REPORTED" => format!(", {cost} as the platform says"),
        "LISTED" => format!(", {cost} by the list {}", text(attempt, "priceList")),
        "UNPRICED" => ", unpriced".to_owned(),
        _ => String::new(),
    }
}

/// Who does a step: who has its task, or whom the workflow names.
fn agent_of(step: &Value) -> &str {
    let has = step.pointer("/task/assignment/agentKey").and_then(Value::as_str);
    has.unwrap_or_else(|| text(step, "agentKey"))
}

/// The first of those among whom an agent was chosen, with what their scores are made of where that was asked.
fn show_candidates(terminal: &mut Terminal, assignment: &Value, most: usize) {
    let candidates = assignment.pointer("/choice/candidates").and_then(Value::as_array);
    let able = candidates.into_iter().flatten().filter(|candidate| at(candidate, "excluded").is_null());
    for candidate in able.take(most) {
        let factors = at(candidate, "factors").as_object().into_iter().flatten();
        let factors = factors.filter_map(|(name, value)| Some(format!("{name} {:.2}", value.as_f64()?)));
        let factors: Vec<String> = factors.collect();
        let line = format!(
            "               {:.2}  {:<20}  {}",
            at(candidate, "score").as_f64().unwrap_or_default(),
            text(candidate, "agentKey"),
            factors.join(", ")
        );
        let line = terminal.paint(Style::Dim, line.trim_end());
        terminal.line(line);
    }
}

/// The output of a run: each value under its name, texts as they are.
pub(crate) fn show_output(terminal: &mut Terminal, output: &Value) {
    let Some(values) = output.as_object() else { return };
    for (name, value) in values {
        terminal.line("");
        let heading = terminal.paint(Style::Strong, name);
        terminal.line(heading);
        match value.as_str() {
            Some(text) => terminal.line(printable(text).trim_end()),
            None => terminal.json(value),
        }
    }
}

/// `hishamos explain`.
pub(crate) async fn explain(client: &Client, terminal: &mut Terminal, as_json: bool, run: Uuid) -> Result<(), Failure> {
    let mut data = client.ask(EXPLAIN, json!({ "run": run })).await?;
    let found = data.pointer_mut("/run/explain").map(Value::take);
    let found = found.ok_or_else(|| no_such_run(run))?;
    if as_json {
        terminal.json(&found);
        return Ok(());
    }
    terminal.line(format!("run {} is {}", text(&found, "runId"), text(&found, "status").to_lowercase()));
    let next = at(&found, "next").as_array().map(Vec::as_slice).unwrap_or_default();
    if next.is_empty() {
        terminal.line("nothing more will happen to it");
    }
    for cause in next {
        terminal.line(format!("  next: {}", describe(cause)));
    }
    for step in at(&found, "steps").as_array().into_iter().flatten() {
        terminal.line(format!(
            "  step {}: {}; {}",
            text(step, "step"),
            text(step, "status").to_lowercase(),
            describe(at(step, "cause"))
        ));
        let assignment = at(step, "assignment");
        if at(assignment, "named") == &Value::Bool(false) {
            let why = assignment.pointer("/choice/reason").and_then(Value::as_str).unwrap_or_default();
            let why = why.to_lowercase().replace('_', " ");
            terminal.line(format!("    agent {}, chosen: {why}", text(assignment, "agentKey")));
            show_candidates(terminal, assignment, 8);
        }
        let tags: Vec<&str> =
            at(step, "residency").as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if !tags.is_empty() {
            terminal.line(format!("    only on platforms that are tagged {}", tags.join(", ")));
        }
    }
    Ok(())
}

fn describe(cause: &Value) -> String {
    let since = at(cause, "since").as_str().map(|since| format!(", since {since}")).unwrap_or_default();
    let step = text(cause, "step");
    let inner = || {
        let inner = at(cause, "inner");
        if inner.is_object() { format!("; {}", describe(inner)) } else { String::new() }
    };
    match text(cause, "kind") {
        "UNCLAIMED" => "no node has taken the run yet".to_owned(),
        "ATTEMPT" => format!("attempt {} is under way on {}{since}", at(cause, "attempt"), text(cause, "platform")),
        "RETRY" => {
            let error = printable(text(cause, "error"));
            format!("{} attempts failed, the next starts at {} ({error})", at(cause, "attempt"), text(cause, "at"))
        }
        "RESTING" => {
            let why = printable(text(cause, "reason"));
            format!("platform `{}` is resting until {} ({why})", text(cause, "platform"), text(cause, "at"))
        }
        "PAUSED" => {
            let reason = printable(text(cause, "reason"));
            let held = if at(cause, "held") == &Value::Bool(true) { " by a hold" } else { "" };
            format!("paused{held} by {}{since} ({reason})", text(cause, "by"))
        }
        "LIMIT" => {
            let holders: Vec<&str> =
                at(cause, "holders").as_array().into_iter().flatten().map(|holder| text(holder, "runId")).collect();
            let next =
                at(cause, "at").as_str().map(|at| format!(", its rate allows the next at {at}")).unwrap_or_default();
            format!(
                "limit `{}` is used up by {} runs ({}){next}; {} wait before it{since}",
                text(cause, "limit"),
                holders.len(),
                super::terminal::cut(&holders.join(", "), 80),
                number(cause, "ahead")
            )
        }
        "ITEMS" => format!(
            "{} of {} elements are done, {} under way{}",
            at(cause, "done"),
            number(cause, "total"),
            at(cause, "running"),
            inner()
        ),
        "APPROVAL" => {
            let until = at(cause, "at").as_str().map(|at| format!(", until {at}")).unwrap_or_default();
            format!(
                "`{step}` waits for people: {} of {} have agreed; may decide: {}{since}{until}",
                number(cause, "agreed"),
                at(cause, "quorum"),
                list(at(cause, "approvers"))
            )
        }
        "TIMER" => format!("`{step}` waits until {}", text(cause, "at")),
        "SIGNAL" => format!("`{step}` waits for the signal `{}`{since}", text(cause, "signal")),
        "CHILD" => format!(
            "`{step}` waits for run {}, which is {}{since}",
            text(cause, "runId"),
            text(cause, "runStatus").to_lowercase()
        ),
        "GRACE" => format!("running attempts may end until {}, then they are cut", text(cause, "at")),
        "UNDO" => format!("`{step}` is being undone{}", inner()),
        "ENGINE" => "the engine is about to go on".to_owned(),
        "NEEDS" => format!("waits for {}", list(at(cause, "steps"))),
        "FAILED" => format!("failed: {}", printable(text(cause, "error"))),
        "SKIPPED" => format!("skipped: {}", printable(text(cause, "reason"))),
        "NOT_REACHED" => "its turn did not come before the run ended".to_owned(),
        other => other.to_lowercase(),
    }
}

fn list(names: &Value) -> String {
    let names: Vec<&str> = names.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    names.join(", ")
}

pub(super) fn style_of(status: &str) -> Style {
    match status {
        "completed" => Style::Good,
        "failed" => Style::Bad,
        "cancelled" | "cancelling" => Style::Warn,
        "running" => Style::Strong,
        _ => Style::Dim,
    }
}

/// A field; null when it is not there.
pub(super) fn at<'v>(value: &'v Value, name: &str) -> &'v Value {
    value.get(name).unwrap_or(&Value::Null)
}

pub(super) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A count, which may come as a number or as a decimal string.
fn count(field: &Value) -> Option<u64> {
    field.as_u64().or_else(|| field.as_str().and_then(|text| text.parse().ok()))
}

/// The duration of something that has `durationMs`.
pub(super) fn duration(value: &Value) -> String {
    count(at(value, "durationMs"))
        .map(|millis| super::terminal::seconds(std::time::Duration::from_millis(millis)))
        .unwrap_or_default()
}
