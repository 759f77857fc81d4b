//! Saved searches on a running server: `searches list`, `show`, `save`, `run` and `delete`.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::Client;
use super::failure::Failure;
use super::inspect::{at, text};
use super::steer::mutate;
use super::terminal::{Style, Terminal};

/// What is done with saved searches.
#[derive(Debug, Subcommand)]
pub(crate) enum Searches {
    /// Show what you have saved
    List,
    /// Show what a search asks
    Show {
        /// Its name
        name: String,
    },
    /// Save a search, or change the one of this name
    Save(Box<Save>),
    /// Ask what a search asks
    Run {
        /// Its name
        name: String,
        /// At most so many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i32).range(1..=200))]
        first: i32,
        /// Only what comes after this cursor, as an earlier page gave it
        #[arg(long, value_name = "CURSOR")]
        after: Option<String>,
    },
    /// Delete a search
    Delete {
        /// Its name
        name: String,
    },
}

/// A search.
#[derive(Debug, Args)]
pub(crate) struct Save {
    /// Its name
    name: String,
    /// What it looks through
    #[arg(long, value_enum)]
    list: List,
    /// Which entries are wanted: the list's filter of the GraphQL API as JSON, such as '{"statuses": ["FAILED"]}'
    #[arg(long, value_name = "JSON", default_value = "{}")]
    filter: String,
    /// In which order they come, such as cost or ended; the list's usual one when nothing is said
    #[arg(long, value_name = "ORDER")]
    order_by: Option<String>,
    /// Turn the order around
    #[arg(long)]
    reversed: bool,
    /// The words that are looked for in texts
    #[arg(long, default_value = "")]
    words: String,
}

/// What a search looks through, and what is shown of each entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum List {
    Runs,
    Tasks,
    Attempts,
    Workflows,
    Agents,
    Templates,
    Approvals,
    Texts,
}

impl List {
    const ALL: [Self; 8] = [
        Self::Runs,
        Self::Tasks,
        Self::Attempts,
        Self::Workflows,
        Self::Agents,
        Self::Templates,
        Self::Approvals,
        Self::Texts,
    ];

    /// The name of the list in the API, the texts' hits excepted.
    fn name(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Tasks => "tasks",
            Self::Attempts => "attempts",
            Self::Workflows => "workflows",
            Self::Agents => "agents",
            Self::Templates => "templates",
            Self::Approvals => "approvals",
            Self::Texts => "texts",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|list| list.name().eq_ignore_ascii_case(name))
    }

    /// The fields of an entry, of which a person sees all in one line.
    fn fields(self) -> &'static str {
        match self {
            Self::Runs => "runId workflowKey status startedAt endedAt cost",
            Self::Tasks => "taskId step status createdAt endedAt",
            Self::Attempts => "taskId number platform answeredBy status cost startedAt",
            Self::Workflows | Self::Agents => "key name department",
            Self::Templates => "key title department",
            Self::Approvals => "runId workflowKey step requestedAt expiresAt",
            Self::Texts => "kind label excerpt",
        }
    }
}

const FIELDS: &str = "name list filter orderBy reversed words createdAt savedAt";

/// `hishamos searches`.
pub(crate) async fn searches(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    asked: Searches,
) -> Result<(), Failure> {
    let fields = "position revision repeated changed";
    match asked {
        Searches::List => list(client, terminal, as_json).await,
        Searches::Show { name } => {
            let search = known(client, &name).await?;
            if as_json {
                terminal.json(&search);
            } else {
                tell(terminal, &search);
            }
            Ok(())
        }
        Searches::Save(save) => {
            let filter: Value = serde_json::from_str(&save.filter)
                .map_err(|error| Failure::usage(format!("`--filter` is no JSON: {error}")))?;
            let order = save.order_by.map(|order| order.to_uppercase());
            let said =
                (format!("search `{}` is saved", save.name), format!("`{}` was saved like this already", save.name));
            let input = json!({
                "clientMutationId": Uuid::now_v7(), "name": save.name, "list": save.list.name().to_uppercase(),
                "filter": filter, "orderBy": order, "reversed": save.reversed, "words": save.words,
            });
            mutate(client, terminal, as_json, "saveSearch", "SaveSearchInput", fields, input, said).await
        }
        Searches::Run { name, first, after } => run(client, terminal, as_json, &name, first, after).await,
        Searches::Delete { name } => {
            let said = (format!("search `{name}` is deleted"), format!("search `{name}` was deleted already"));
            let input = json!({ "clientMutationId": Uuid::now_v7(), "name": name });
            mutate(client, terminal, as_json, "deleteSearch", "DeleteSearchInput", fields, input, said).await
        }
    }
}

async fn list(client: &Client, terminal: &mut Terminal, as_json: bool) -> Result<(), Failure> {
    let searches = client.all("savedSearches", "", "", FIELDS, json!({})).await?;
    if as_json {
        terminal.json(&Value::Array(searches));
        return Ok(());
    }
    if searches.is_empty() {
        terminal.line("nothing is saved yet; `hishamos searches save --help` says how");
    }
    searches.iter().for_each(|search| tell(terminal, search));
    Ok(())
}

async fn known(client: &Client, name: &str) -> Result<Value, Failure> {
    let query = format!("query($name: String!) {{ savedSearch(name: $name) {{ {FIELDS} }} }}");
    let mut data = client.ask(&query, json!({ "name": name })).await?;
    let search = data.pointer_mut("/savedSearch").map(Value::take).unwrap_or_default();
    if search.is_null() {
        return Err(Failure::usage(format!("you have no saved search `{name}`; `hishamos searches list` shows all")));
    }
    Ok(search)
}

fn tell(terminal: &mut Terminal, search: &Value) {
    let heading = terminal.paint(Style::Strong, text(search, "name"));
    let order = at(search, "orderBy").as_str().map(|order| format!(" by {}", order.to_lowercase())).unwrap_or_default();
    let turned = if at(search, "reversed") == &Value::Bool(true) { ", reversed" } else { "" };
    terminal.line(format!("{heading}  {}{order}{turned}", text(search, "list").to_lowercase()));
    let (filter, words) = (at(search, "filter"), text(search, "words"));
    if filter.as_object().is_some_and(|filter| !filter.is_empty()) {
        terminal.line(format!("  filter {filter}"));
    }
    if !words.is_empty() {
        terminal.line(format!("  words {words}"));
    }
}

async fn run(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    name: &str,
    first: i32,
    after: Option<String>,
) -> Result<(), Failure> {
    let search = known(client, name).await?;
    let kind = text(&search, "list");
    let Some(list) = List::of(kind) else {
        return Err(Failure::usage(format!(
            "this program does not know the list `{kind}`; use one as new as the server"
        )));
    };
    let fields = list.fields();
    if list == List::Texts {
        if after.is_some() {
            return Err(Failure::usage("what is found in texts has no pages; give a larger --first"));
        }
        let query = format!(
            "query($name: String!, $first: Int) {{ savedSearch(name: $name) {{ hits(first: $first) {{
                hasMore hits {{ {fields} }} }} }} }}"
        );
        let mut data = client.ask(&query, json!({ "name": name, "first": first })).await?;
        let found = data.pointer_mut("/savedSearch/hits").map(Value::take).unwrap_or_default();
        if as_json {
            terminal.json(&found);
            return Ok(());
        }
        let hits = at(&found, "hits").as_array().map(Vec::as_slice).unwrap_or_default();
        hits.iter().for_each(|hit| terminal.line(line(hit, fields)));
        return Ok(());
    }
    let query = format!(
        "query($name: String!, $first: Int, $after: String) {{ savedSearch(name: $name) {{
            found: {}(first: $first, after: $after) {{
                edges {{ node {{ {fields} }} }} pageInfo {{ hasNextPage endCursor }} position }} }} }}",
        list.name()
    );
    let mut data = client.ask(&query, json!({ "name": name, "first": first, "after": after })).await?;
    let found = data.pointer_mut("/savedSearch/found").map(Value::take).unwrap_or_default();
    if as_json {
        terminal.json(&found);
        return Ok(());
    }
    let edges = at(&found, "edges").as_array().map(Vec::as_slice).unwrap_or_default();
    if edges.is_empty() {
        terminal.line("nothing is found");
    }
    edges.iter().for_each(|edge| terminal.line(line(at(edge, "node"), fields)));
    let page = at(&found, "pageInfo");
    if at(page, "hasNextPage") == &Value::Bool(true) {
        terminal.line(format!("there is more: --after {}", text(page, "endCursor")));
    }
    Ok(())
}

/// An entry's fields in one line; what there is none of is a dash.
fn line(entry: &Value, fields: &str) -> String {
    let shown = fields.split(' ').map(|field| match at(entry, field) {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.replace('\n', " "),
        other => other.to_string(),
    });
    shown.collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::{List, line};
    use serde_json::json;

    #[test]
    fn every_list_is_known_by_its_name() {
        for list in List::ALL {
            assert_eq!(List::of(&list.name().to_uppercase()), Some(list));
        }
        assert_eq!(List::of("DREAMS"), None);
    }

    #[test]
    fn an_entry_is_one_line() {
        let entry = json!({ "a": "two\nlines", "b": null, "c": 7 });
        assert_eq!(line(&entry, "a b c"), "two lines  -  7");
    }
}
