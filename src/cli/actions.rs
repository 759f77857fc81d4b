//! Action items on a running server: the list of what has to be done, and what people make of it.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::as_of::AsOf;
use super::client::Client;
use super::failure::Failure;
use super::inspect::{at, text};
use super::steer::mutate;
use super::terminal::{Style, Terminal, printable};

const FIELDS: &str =
    "id: actionId runId workflowKey steps what priority state owner due overdue note openedAt changedAt changedBy";

/// `hishamos actions`: without a further word, the list.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Actions {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    which: Which,
}

/// Which action items are listed; what is neither done nor dismissed when nothing is said.
#[derive(Debug, Args)]
struct Which {
    /// Only those whose owner has your name
    #[arg(long, conflicts_with = "owner")]
    mine: bool,
    /// Only of this owner
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Only in this state; may be repeated
    #[arg(long, value_enum)]
    state: Vec<State>,
    /// In any state
    #[arg(long, conflicts_with = "state")]
    all: bool,
    /// Only those that should have been done before today
    #[arg(long)]
    overdue: bool,
    /// Only of this run
    #[arg(long, value_name = "RUN")]
    run: Option<Uuid>,
    /// Only with these words in what has to be done or in the note
    #[arg(long, value_name = "WORDS")]
    text: Option<String>,
    /// How they are sorted
    #[arg(long, value_enum, default_value_t = Order::Due)]
    order_by: Order,
    #[command(flatten)]
    as_of: AsOf,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
}

/// How far an action item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    Open,
    InProgress,
    Done,
    Dismissed,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::InProgress => "in_progress",
            Self::Done => "done",
            Self::Dismissed => "dismissed",
        }
    }
}

/// How action items are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Order {
    Due,
    Priority,
    Opened,
    Changed,
}

/// What is done with an action item.
#[derive(Debug, Subcommand)]
enum What {
    /// Show one
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        as_of: AsOf,
    },
    /// Say that somebody is at it
    Start(Settle),
    /// Say that it is done
    Done(Settle),
    /// Say that it will not be done
    Dismiss(Settle),
    /// Say that it has to be done after all
    Reopen(Settle),
    /// Change who does it, until when, or what there is to say about it
    Set(Set),
}

/// An action item and what there is to say about it.
#[derive(Debug, Args)]
struct Settle {
    /// Its id
    id: String,
    /// What there is to say about it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// A change of an action item; an empty text takes something away.
#[derive(Debug, Args)]
struct Set {
    /// Its id
    id: String,
    /// Who does it; empty says that nobody does
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// The date by which it has to be done, such as 2026-12-31; empty says that there is none
    #[arg(long, value_name = "DATE")]
    due: Option<String>,
    /// What there is to say about it; empty takes it away
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// How far it is
    #[arg(long, value_enum)]
    state: Option<State>,
}

/// Lists, shows or changes action items.
pub(crate) async fn actions(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    asked: Actions,
) -> Result<(), Failure> {
    let settle = |settle: Settle, state| Set { id: settle.id, owner: None, due: None, note: settle.note, state };
    let set = match asked.what {
        None => return list(client, terminal, as_json, asked.which).await,
        Some(What::Show { id, as_of }) => return show(client, terminal, as_json, &id, &as_of).await,
        Some(What::Start(item)) => settle(item, Some(State::InProgress)),
        Some(What::Done(item)) => settle(item, Some(State::Done)),
        Some(What::Dismiss(item)) => settle(item, Some(State::Dismissed)),
        Some(What::Reopen(item)) => settle(item, Some(State::Open)),
        Some(What::Set(set)) => set,
    };
    let mut input = Map::new();
    input.insert("clientMutationId".to_owned(), json!(Uuid::now_v7()));
    input.insert("id".to_owned(), json!(set.id));
    if let Some(state) = set.state {
        input.insert("state".to_owned(), json!(state.name().to_uppercase()));
    }
    for (name, given) in [("owner", set.owner), ("due", set.due), ("note", set.note)] {
        if let Some(given) = given {
            input.insert(name.to_owned(), if given.is_empty() { Value::Null } else { json!(given) });
        }
    }
    if input.len() == 2 {
        return Err(Failure::usage("say what is to be changed: --owner, --due, --note or --state"));
    }
    let said = (format!("action item {} is changed", set.id), format!("action item {} was like this already", set.id));
    let fields = format!("id: actionId position revision repeated changed actionItem {{ {FIELDS} }}");
    let input = Value::Object(input);
    mutate(client, terminal, as_json, "changeActionItem", "ChangeActionItemInput", &fields, input, said).await
}

async fn list(client: &Client, terminal: &mut Terminal, as_json: bool, which: Which) -> Result<(), Failure> {
    let states: Vec<&str> = match (which.all, &which.state[..]) {
        (true, _) => vec![],
        (false, []) => vec!["open", "in_progress"],
        (false, some) => some.iter().map(|state| state.name()).collect(),
    };
    let order = match which.order_by {
        Order::Due => "due",
        Order::Priority => "priority",
        Order::Opened => "opened",
        Order::Changed => "changed",
    };
    let query = format!(
        "query($filter: ActionItemFilter, $first: Int, $order: ActionOrder, $at: AsOf) {{ actionItems(filter: \
         $filter, first: $first, orderBy: $order, asOf: $at) {{ nodes {{ {FIELDS} }} pageInfo {{ hasNextPage }} }} }}"
    );
    let filter = json!({
        "states": states.iter().map(|state| state.to_uppercase()).collect::<Vec<_>>(), "owner": which.owner, "mine": which.mine, "overdue": which.overdue, "runId": which.run,
        "text": which.text,
    });
    let at = which.as_of.input();
    let variables = json!({ "filter": filter, "first": which.limit, "order": order.to_uppercase(), "at": at });
    let mut data = client.ask(&query, variables).await?;
    let found = data.pointer_mut("/actionItems/nodes").map(Value::take).unwrap_or_default();
    if as_json {
        terminal.json(&found);
        return Ok(());
    }
    let items = found.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        terminal.line("there is nothing to do");
    }
    items.iter().for_each(|item| tell(terminal, item));
    if data.pointer("/actionItems/pageInfo/hasNextPage") == Some(&Value::Bool(true)) {
        terminal.line("there is more; give a larger --limit");
    }
    Ok(())
}

async fn show(client: &Client, terminal: &mut Terminal, as_json: bool, id: &str, as_of: &AsOf) -> Result<(), Failure> {
    let query = format!("query($id: String!, $at: AsOf) {{ actionItem(id: $id, asOf: $at) {{ {FIELDS} }} }}");
    let mut data = client.ask(&query, json!({ "id": id, "at": as_of.input() })).await?;
    let item = data.get_mut("actionItem").map(Value::take).unwrap_or_default();
    if item.is_null() {
        let message = format!("there is no action item {id}; `hishamos actions --all` shows which there are");
        return Err(Failure::Refused { code: "ACTION_NOT_FOUND".to_owned(), message });
    }
    if as_json {
        terminal.json(&item);
        return Ok(());
    }
    tell(terminal, &item);
    let steps: Vec<&str> = at(&item, "steps").as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    terminal.line(format!("  asked for by {}, run {}", steps.join(", "), text(&item, "runId")));
    if let Some(by) = at(&item, "changedBy").as_str() {
        terminal.line(format!("  changed by {by} at {}", text(&item, "changedAt")));
    }
    Ok(())
}

fn tell(terminal: &mut Terminal, item: &Value) {
    let state = text(item, "state").to_lowercase().replace('_', " ");
    let style = if state == "open" || state == "in progress" { Style::Strong } else { Style::Dim };
    let what = terminal.paint(style, &printable(text(item, "what")));
    let mut line = format!("{what}  [{state}]");
    for (name, field) in [("owner", "owner"), ("due", "due"), ("priority", "priority")] {
        if let Some(said) = at(item, field).as_str() {
            let said = if field == "priority" { said.to_lowercase() } else { printable(said) };
            line.push_str(&format!("  {name}: {said}"));
        }
    }
    if at(item, "overdue") == &Value::Bool(true) {
        line.push_str(&terminal.paint(Style::Warn, "  overdue"));
    }
    terminal.line(line);
    if let Some(note) = at(item, "note").as_str() {
        terminal.line(format!("  {}", printable(note)));
    }
    let line = terminal.paint(Style::Dim, &format!("  {}  {}", text(item, "id"), text(item, "workflowKey")));
    terminal.line(line);
}
