//! Budgets on a running server: `budget list`, `budget show`, `budget set` and `budget remove`.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::Client;
use super::failure::Failure;
use super::inspect::{at, text};
use super::steer::{mutate, number};
use super::terminal::{Style, Terminal};

/// What is done with budgets.
#[derive(Debug, Subcommand)]
pub(crate) enum Budget {
    /// Show the budgets and how much of each is used
    List,
    /// Show one budget and how much of it is used
    Show {
        /// The budget's key
        key: String,
        /// Of a budget of each run: how it stands for this one
        #[arg(long, value_name = "RUN")]
        run: Option<Uuid>,
    },
    /// Set a budget, or change it; it counts from the next attempt on
    Set(Box<Set>),
    /// Take a budget away
    Remove {
        /// The budget's key
        key: String,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
    },
}

/// A budget.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The budget's key
    key: String,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    limit: Limit,
    /// Within which time; windows begin at round moments in UTC
    #[arg(long, value_enum)]
    per: Per,
    /// Record a warning when so many percent of the limit are used
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u16).range(1..=100))]
    warn: Option<u16>,
    /// Count a call whose price is not known as so many dollars; without this no such call is made
    #[arg(long, value_name = "DOLLARS")]
    unpriced: Option<String>,
    /// What it is for
    #[arg(long, default_value = "")]
    description: String,
}

/// Whose attempts a budget counts.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Scope {
    /// Everything
    #[arg(long)]
    organisation: bool,
    /// Runs of the workflows of this department
    #[arg(long, value_name = "NAME")]
    department: Option<String>,
    /// Runs that this person has started
    #[arg(long, value_name = "ID")]
    person: Option<String>,
    /// Runs that the program with this API key has started
    #[arg(long, value_name = "ID")]
    api_key: Option<String>,
    /// Runs of the workflow with this key, and what they start
    #[arg(long, value_name = "KEY")]
    workflow: Option<String>,
    /// Each run of the workflow with this key by itself; what it starts gets what remains
    #[arg(long, value_name = "KEY")]
    each_run: Option<String>,
    /// Attempts of the agent with this key
    #[arg(long, value_name = "KEY")]
    agent: Option<String>,
    /// Attempts on the platform with this key
    #[arg(long, value_name = "KEY")]
    platform: Option<String>,
}

/// How much there may be.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Limit {
    /// How much money, in US dollars, such as 25.50
    #[arg(long, value_name = "DOLLARS")]
    dollars: Option<String>,
    /// How many tokens, in and out
    #[arg(long, value_name = "N")]
    tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Per {
    Hour,
    Day,
    Week,
    Month,
    Ever,
}

const FIELDS: &str = "key description scope of window limit tokenLimit warnMilli unpriced resetsAt purse { spent \
                      tokensSpent reserved tokensReserved calls }";

/// `hishamos budget`.
pub(crate) async fn budget(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    budget: Budget,
) -> Result<(), Failure> {
    let fields = "position revision repeated changed";
    match budget {
        Budget::List => list(client, terminal, as_json).await,
        Budget::Show { key, run } => show(client, terminal, as_json, &key, run).await,
        Budget::Set(set) => {
            let key = set.key.clone();
            let said = (format!("budget `{key}` is set"), format!("budget `{key}` was set like this already"));
            let input = set.json()?;
            mutate(client, terminal, as_json, "setBudget", "SetBudgetInput", fields, input, said).await
        }
        Budget::Remove { key, reason } => {
            let said = (format!("budget `{key}` is removed"), format!("budget `{key}` was removed already"));
            let input = json!({ "clientMutationId": Uuid::now_v7(), "key": key, "reason": reason });
            mutate(client, terminal, as_json, "removeBudget", "RemoveBudgetInput", fields, input, said).await
        }
    }
}

impl Set {
    fn json(self) -> Result<Value, Failure> {
        let Scope { organisation, department, person, api_key, workflow, each_run, agent, platform } = self.scope;
        let named = [
            ("department", department),
            ("person", person),
            ("api_key", api_key),
            ("workflow", workflow),
            ("each_run", each_run),
            ("agent", agent),
            ("platform", platform),
        ];
        let (scope, of) = match named.into_iter().find_map(|(scope, of)| Some((scope, of?))) {
            Some((scope, of)) => (scope, Some(of)),
            None if organisation => ("organisation", None),
            None => {
                return Err(Failure::usage("say whose attempts it counts, such as --organisation or --workflow KEY"));
            }
        };
        let limit = self.limit.dollars.as_deref().map(nano_dollars).transpose()?;
        let window = match self.per {
            Per::Hour => "hour",
            Per::Day => "day",
            Per::Week => "week",
            Per::Month => "month",
            Per::Ever => "ever",
        };
        Ok(json!({
            "clientMutationId": Uuid::now_v7(), "key": self.key, "description": self.description, "scope": scope.to_uppercase(),
            "of": of, "window": window.to_uppercase(), "limit": limit, "tokenLimit": self.limit.tokens,
            "warnMilli": self.warn.map(|percent| percent * 10),
            "unpriced": self.unpriced.as_deref().map(nano_dollars).transpose()?,
        }))
    }
}

/// Dollars as a decimal with at most nine places, in billionths as the API takes them.
fn nano_dollars(text: &str) -> Result<String, Failure> {
    let wrong =
        || Failure::usage(format!("`{text}` is no amount of dollars; write it like 25.50, with at most 9 places"));
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || places.len() > 9 || !digits(whole) || !digits(places) {
        return Err(wrong());
    }
    let nano: i64 = format!("{whole}{places:0<9}").parse().map_err(|_| wrong())?;
    Ok(nano.to_string())
}

async fn list(client: &Client, terminal: &mut Terminal, as_json: bool) -> Result<(), Failure> {
    let budgets = client.all("budgets", "", "", FIELDS, json!({})).await?;
    if as_json {
        terminal.json(&Value::Array(budgets));
        return Ok(());
    }
    if budgets.is_empty() {
        terminal.line("no budgets are set");
    }
    budgets.iter().for_each(|budget| tell(terminal, budget));
    Ok(())
}

async fn show(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    key: &str,
    run: Option<Uuid>,
) -> Result<(), Failure> {
    let query = format!("query($key: String!, $run: UUID) {{ budget(key: $key, runId: $run) {{ {FIELDS} }} }}");
    let mut data = client.ask(&query, json!({ "key": key, "run": run })).await?;
    let budget = data.pointer_mut("/budget").map(Value::take).unwrap_or_default();
    if budget.is_null() {
        return Err(Failure::usage(format!("there is no budget `{key}`")));
    }
    if as_json {
        terminal.json(&budget);
    } else {
        tell(terminal, &budget);
    }
    Ok(())
}

fn tell(terminal: &mut Terminal, budget: &Value) {
    let heading = terminal.paint(Style::Strong, text(budget, "key"));
    let scope = text(budget, "scope").to_lowercase().replace('_', " ");
    let of = at(budget, "of").as_str().map(|of| format!(" `{of}`")).unwrap_or_default();
    let limit = amount(budget, "limit", "tokenLimit");
    terminal.line(format!("{heading}  {scope}{of}: {limit} per {}", text(budget, "window").to_lowercase()));
    let purse = at(budget, "purse");
    if purse.is_null() {
        terminal.line("  each run by itself; `budget show KEY --run RUN` tells how it stands for one");
        return;
    }
    let (spent, reserved) = (amount(purse, "spent", "tokensSpent"), amount(purse, "reserved", "tokensReserved"));
    let calls = number(purse, "calls");
    let resets = at(budget, "resetsAt").as_str().map(|at| format!(", begins anew at {at}")).unwrap_or_default();
    terminal.line(format!("  {spent} spent, {reserved} set aside for {calls} calls under way{resets}"));
}

/// Money or tokens, whichever is there.
fn amount(of: &Value, money: &str, tokens: &str) -> String {
    let nano = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    match nano(at(of, money)) {
        Some(nano) => {
            let places = format!("{:09}", nano % 1_000_000_000);
            format!("${}.{:0<2}", nano / 1_000_000_000, places.trim_end_matches('0'))
        }
        None => format!("{} tokens", number(of, tokens)),
    }
}

#[cfg(test)]
mod tests {
    use super::{amount, nano_dollars};
    use serde_json::json;

    #[test]
    fn dollars_are_read_exactly() {
        for (text, nano) in [("25.50", "25500000000"), ("0.000000001", "1"), ("3", "3000000000")] {
            assert_eq!(nano_dollars(text).ok().as_deref(), Some(nano));
        }
        for wrong in ["", ".5", "-1", "1.0000000001", "1e3", "9999999999999", "1,50"] {
            assert!(nano_dollars(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn amounts_are_shown_whole() {
        assert_eq!(amount(&json!({ "m": "1500000000", "t": null }), "m", "t"), "$1.50");
        assert_eq!(amount(&json!({ "m": 1, "t": null }), "m", "t"), "$0.000000001");
        assert_eq!(amount(&json!({ "m": null, "t": "12" }), "m", "t"), "12 tokens");
    }
}
