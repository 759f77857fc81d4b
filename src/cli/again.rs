//! `hishamos again`: a task done once more, as it was or changed.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::client::Client;
use super::failure::Failure;
use super::inspect::text;
use super::terminal::{Style, Terminal};
use super::{input, run};

/// Which task, and what is different this time.
#[derive(Debug, clap::Args)]
pub(crate) struct Again {
    /// The task's id; `hishamos show` shows the tasks of a run
    task: Uuid,
    /// Another agent, in its newest version; `auto` lets the best one be chosen
    #[arg(long, value_name = "KEY")]
    agent: Option<String>,
    /// The model, whatever the agent names
    #[arg(long)]
    model: Option<String>,
    /// Another version of the template
    #[arg(long, value_name = "VERSION")]
    template_version: Option<u32>,
    /// The newest versions of template and agent where none is named, instead of those that there were
    #[arg(long)]
    latest: bool,
    /// A parameter in the place of the one of this name: KEY=TEXT, KEY=@PATH or KEY:=JSON; KEY:=null takes it away
    #[arg(long = "param", value_name = "KEY=VALUE")]
    parameters: Vec<String>,
    /// How much of the output layer is asked for (default: as much as was asked for then)
    #[arg(long, value_enum)]
    output: Option<run::OutputForm>,
    /// Start it and do not wait for its end
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    pub(crate) server: super::ServerFlag,
}

/// Does a task again and shows what comes of it.
pub(crate) async fn again(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    asked: &Again,
) -> Result<(), Failure> {
    let mut wish = Map::new();
    let mut set = |name: &str, value: Value| wish.insert(name.to_owned(), value);
    set("clientMutationId", json!(Uuid::now_v7()));
    set("taskId", json!(asked.task));
    set("agent", json!(asked.agent));
    set("model", json!(asked.model));
    set("templateVersion", json!(asked.template_version));
    set("latest", json!(asked.latest));
    set("parameters", input::parse(&asked.parameters)?);
    if let Some(output) = asked.output {
        set("output", json!(output.name()));
    }
    let query = "mutation($input: RunTaskAgainInput!) { runTaskAgain(input: $input) { runId position } }";
    let mut data = client.ask(query, json!({ "input": wish })).await?;
    let started = data.get_mut("runTaskAgain").map(Value::take).unwrap_or_default();
    let id: Uuid = text(&started, "runId").parse().map_err(|_| anyhow::anyhow!("the server named no run"))?;
    if !asked.detach {
        if !as_json {
            let line = terminal.paint(Style::Dim, &format!("run {id} does task {} again", asked.task));
            terminal.line(line);
        }
        return run::follow(client, terminal, id, as_json).await;
    }
    if as_json {
        terminal.json(&started);
    } else {
        terminal.line(format!("run {id} does task {} again", asked.task));
    }
    Ok(())
}
