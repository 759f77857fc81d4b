//! Approvals on a running server: `approvals`, `approve` and `reject`.

use serde_json::{Value, json};
use uuid::Uuid;

use super::client::Client;
use super::failure::Failure;
use super::inspect::{at, text};
use super::steer::{number, on_run};
use super::terminal::{Style, Terminal, printable};

const APPROVALS: &str = "query($filter: ApprovalFilter) { approvals(filter: $filter, first: 100) { nodes { runId \
                         workflowKey runActor step title question approvers quorum agreed content contentHash \
                         requestedAt expiresAt } } }";

/// A decision on an approval.
#[derive(Debug, clap::Args)]
pub(crate) struct Decide {
    /// The run's id
    run: Uuid,
    /// The step that asks; not needed when only one does
    step: Option<String>,
    /// In your words
    #[arg(long, default_value = "")]
    comment: String,
    /// A role that you have; may be repeated
    #[arg(long)]
    role: Vec<String>,
    /// The hash of the content that you have seen (default: what is there now, which is shown)
    #[arg(long, value_name = "HEX")]
    content_hash: Option<String>,
}

/// `hishamos approvals`.
pub(crate) async fn list(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    person: Option<&str>,
    roles: &[String],
) -> Result<(), Failure> {
    let open = open(client, json!({ "person": person, "roles": roles })).await?;
    if as_json {
        terminal.json(&open);
        return Ok(());
    }
    if open.is_empty() {
        terminal.line("nothing waits for a decision");
    }
    for approval in &open {
        show(terminal, approval);
    }
    Ok(())
}

/// `hishamos approve` and `hishamos reject`.
pub(crate) async fn decide(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    approve: bool,
    decide: Decide,
) -> Result<(), Failure> {
    let Decide { run, step, comment, role, content_hash } = decide;
    let asked = open(client, json!({ "runId": run })).await?;
    let mut fitting = asked.iter().filter(|asked| step.as_deref().is_none_or(|step| text(asked, "step") == step));
    let approval = match (fitting.next(), fitting.next()) {
        (Some(approval), None) => approval,
        (Some(_), Some(_)) => {
            let steps: Vec<&str> = asked.iter().map(|asked| text(asked, "step")).collect();
            return Err(Failure::usage(format!("several steps ask: {}; name one", steps.join(", "))));
        }
        (None, _) => {
            let message = "nothing in this run waits for such a decision; `hishamos explain` says what it waits for";
            return Err(Failure::Refused { code: "APPROVAL_NOT_PENDING".to_owned(), message: message.to_owned() });
        }
    };
    if !as_json {
        show(terminal, approval);
    }
    let step = text(approval, "step");
    let seen = content_hash.as_deref().unwrap_or_else(|| text(approval, "contentHash"));
    let input = json!({
        "clientMutationId": Uuid::now_v7(), "runId": run, "step": step, "approve": approve, "comment": comment,
        "contentHash": seen, "roles": role,
    });
    let verb = if approve { "approved" } else { "rejected" };
    let said = (format!("{verb} `{step}`"), format!("`{step}` had been decided by you before"));
    on_run(client, terminal, as_json, "decideApproval", "DecideApprovalInput", input, said).await
}

async fn open(client: &Client, filter: Value) -> Result<Vec<Value>, Failure> {
    let mut data = client.ask(APPROVALS, json!({ "filter": filter })).await?;
    let nodes = data.pointer_mut("/approvals/nodes").map(Value::take).unwrap_or_default();
    Ok(match nodes {
        Value::Array(nodes) => nodes,
        _ => vec![],
    })
}

fn show(terminal: &mut Terminal, approval: &Value) {
    let heading = format!("{}, step {}", text(approval, "workflowKey"), text(approval, "step"));
    let heading = terminal.paint(Style::Strong, &heading);
    terminal.line(format!("{heading}  (run {}, by {})", text(approval, "runId"), text(approval, "runActor")));
    terminal.line(format!("  {}", printable(text(approval, "question"))));
    let approvers: Vec<&str> =
        at(approval, "approvers").as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    terminal.line(format!(
        "  {} of {} have agreed; may decide: {}",
        number(approval, "agreed"),
        number(approval, "quorum"),
        approvers.join(", ")
    ));
    if let Some(until) = at(approval, "expiresAt").as_str() {
        terminal.line(format!("  until {until}"));
    }
    for (name, value) in at(approval, "content").as_object().into_iter().flatten() {
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        terminal.line(format!("  {name}: {}", printable(&shown)));
    }
    let hash = terminal.paint(Style::Dim, &format!("  content {}", text(approval, "contentHash")));
    terminal.line(hash);
}
