//! Limits on a running server: `limit list`, `limit set` and `limit remove`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::Client;
use super::failure::Failure;
use super::inspect::{at, text};
use super::steer::{duration, mutate, number};
use super::terminal::{Style, Terminal};

/// What is done with limits.
#[derive(Debug, Subcommand)]
pub(crate) enum Limit {
    /// Show the limits in force, who has their slots and who waits
    List,
    /// Set a limit, or change it; it counts at once
    Set(Set),
    /// Take a limit away; who waited for it goes on
    Remove {
        /// The limit's key
        key: String,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
    },
}

/// A limit.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The limit's key
    key: String,
    #[command(flatten)]
    scope: Scope,
    /// How many at the same time
    #[arg(long, value_name = "N")]
    max: Option<u32>,
    /// How many starts within a time, such as 10/1m
    #[arg(long, value_name = "N/DURATION")]
    rate: Option<String>,
    /// Count for each value of this expression over `input` apart, such as input.customer
    #[arg(long, value_name = "EXPRESSION")]
    by: Option<String>,
    /// Be fair between the values of this expression over `input`
    #[arg(long, value_name = "EXPRESSION")]
    fairness: Option<String>,
    /// What it is for
    #[arg(long, default_value = "")]
    description: String,
}

/// What a limit counts.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Scope {
    /// Runs of the workflow with this key
    #[arg(long, value_name = "KEY")]
    workflow: Option<String>,
    /// Attempts of the agent with this key
    #[arg(long, value_name = "KEY")]
    agent: Option<String>,
    /// Attempts on the platform with this key
    #[arg(long, value_name = "KEY")]
    platform: Option<String>,
}

const LIMITS: &str = "query { limits(first: 200) { nodes { key description scope scopeKey by maxRunning rate { starts \
                      perMs } fairness slots { partition running waiting } } } }";

/// `hishamos limit`.
pub(crate) async fn limit(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    limit: Limit,
) -> Result<(), Failure> {
    let fields = "position revision repeated changed";
    match limit {
        Limit::List => list(client, terminal, as_json).await,
        Limit::Set(set) => {
            let key = set.key.clone();
            let said = (format!("limit `{key}` is set"), format!("limit `{key}` was set like this already"));
            let input = set.json()?;
            mutate(client, terminal, as_json, "setLimit", "SetLimitInput", fields, input, said).await
        }
        Limit::Remove { key, reason } => {
            let said = (format!("limit `{key}` is removed"), format!("limit `{key}` was removed already"));
            let input = json!({ "clientMutationId": Uuid::now_v7(), "key": key, "reason": reason });
            mutate(client, terminal, as_json, "removeLimit", "RemoveLimitInput", fields, input, said).await
        }
    }
}

impl Set {
    fn json(self) -> Result<Value, Failure> {
        let Scope { workflow, agent, platform } = self.scope;
        let (scope, scope_key) = match (workflow, agent, platform) {
            (Some(key), _, _) => ("WORKFLOW", key),
            (_, Some(key), _) => ("AGENT", key),
            (_, _, Some(key)) => ("PLATFORM", key),
            _ => return Err(Failure::usage("say what the limit counts: --workflow, --agent or --platform")),
        };
        let rate = self.rate.as_deref().map(rate).transpose()?;
        Ok(json!({
            "clientMutationId": Uuid::now_v7(), "key": self.key, "description": self.description, "scope": scope,
            "scopeKey": scope_key, "by": self.by, "maxRunning": self.max, "rate": rate, "fairness": self.fairness,
        }))
    }
}

fn rate(text: &str) -> Result<Value, Failure> {
    let wrong = || Failure::usage(format!("`{text}` is no rate; write starts and a duration, such as 10/1m"));
    let (starts, per) = text.split_once('/').ok_or_else(wrong)?;
    let starts: u32 = starts.parse().map_err(|_| wrong())?;
    let per = duration(per).map_err(Failure::usage)?;
    Ok(json!({ "starts": starts, "perMs": per.as_millis().to_string() }))
}

async fn list(client: &Client, terminal: &mut Terminal, as_json: bool) -> Result<(), Failure> {
    let mut data = client.ask(LIMITS, json!({})).await?;
    let limits = data.pointer_mut("/limits/nodes").map(Value::take).unwrap_or_default();
    if as_json {
        terminal.json(&limits);
        return Ok(());
    }
    let limits = limits.as_array().map(Vec::as_slice).unwrap_or_default();
    if limits.is_empty() {
        terminal.line("no limits are set");
    }
    for limit in limits {
        let heading = terminal.paint(Style::Strong, text(limit, "key"));
        let mut parts = vec![format!("{} `{}`", text(limit, "scope").to_lowercase(), text(limit, "scopeKey"))];
        if !at(limit, "maxRunning").is_null() {
            parts.push(format!("at most {} at a time", number(limit, "maxRunning")));
        }
        let rate = at(limit, "rate");
        if !rate.is_null() {
            parts.push(format!("{} starts in {} ms", number(rate, "starts"), number(rate, "perMs")));
        }
        if let Some(by) = at(limit, "by").as_str() {
            parts.push(format!("for each `{by}`"));
        }
        terminal.line(format!("{heading}  {}", parts.join(", ")));
        for slots in at(limit, "slots").as_array().into_iter().flatten() {
            let of = at(slots, "partition").as_str().map(|value| format!("{value}: ")).unwrap_or_default();
            terminal.line(format!("  {of}{} running, {} waiting", number(slots, "running"), number(slots, "waiting")));
        }
    }
    Ok(())
}
