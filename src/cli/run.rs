//! `hishamos run`, and how the command line finds its server.

use std::time::Duration;

use anyhow::anyhow;
use commands::Edited;
use domain::task::Form;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::Client;
use super::failure::Failure;
use super::inspect;
use super::signals::Signals;
use super::terminal::Terminal;
use super::watch;
use crate::app::App;
use crate::config::Config;
use crate::platforms;
use crate::{announce, catalogue};

const START: &str = "mutation($input: StartRunInput!) { startRun(input: $input) { runId position repeated } }";

/// How much of the output layer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OutputForm {
    /// Answers as the templates ask for them
    Text,
    /// Every part, of the steps on which no other step waits
    Last,
    /// Every part, of every step
    Every,
}

impl OutputForm {
    /// As GraphQL calls it.
    pub(crate) fn name(self) -> String {
        let form = match self {
            Self::Text => Form::Text,
            Self::Last => Form::Last,
            Self::Every => Form::Every,
        };
        form.name().to_uppercase()
    }
}

/// What `hishamos run` was asked.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// The key of the workflow.
    pub(crate) workflow: String,
    /// The input, as written.
    pub(crate) inputs: Vec<String>,
    /// The name of the person whom it is about.
    pub(crate) subject: Option<String>,
    /// How much of the output layer is asked for; as configured when nothing is said.
    pub(crate) output: Option<OutputForm>,
    /// Whether to wait for the end.
    pub(crate) watch: bool,
    /// Whether to answer in JSON.
    pub(crate) json: bool,
    /// The server to use.
    pub(crate) url: Option<String>,
}

/// Runs a workflow on the running server, or in this process when there is none.
pub(crate) async fn run(config: &Config, terminal: &mut Terminal, ask: Ask) -> Result<(), Failure> {
    // Wrong input is refused before anything is started.
    let input = super::input::parse(&ask.inputs)?;
    if let Some(client) = find_server(config, ask.url.as_deref()).await? {
        let (run, position) = start(&client, &ask.workflow, &input, ask.subject.as_deref(), ask.output).await?;
        if ask.watch {
            return follow(&client, terminal, run, ask.json).await;
        }
        if ask.json {
            terminal.json(&json!({ "runId": run, "position": position }));
        } else {
            terminal.line(format!("started run {run}; `hishamos show {run}` shows it"));
        }
        return Ok(());
    }
    let mut signals = Signals::listen()?;
    let mut app = start_app(config).await?;
    let outcome = {
        let (client, commands) = (Client::new(app.url(), &config.person)?, app.commands().clone());
        let work = async {
            if commands.executor().journal().head().await.map_err(anyhow::Error::from)? == journal::Position::START {
                let catalog = catalogue::read(config, None).map_err(|errors| Failure::catalog(&errors))?;
                super::catalog::load_into(config, &commands, &catalog, Edited::Keep).await?;
            }
            let (run, _) = start(&client, &ask.workflow, &input, ask.subject.as_deref(), ask.output).await?;
            follow(&client, terminal, run, ask.json).await
        };
        let work = Box::pin(work);
        tokio::select! {
            outcome = work => outcome,
            error = app.failed() => Err(Failure::Infrastructure(error)),
            () = signals.next() => Err(Failure::Run),
        }
    };
    signals.unless_repeated(app.stop()).await?;
    outcome
}

/// Starts the program inside this process, on a free port of its own.
async fn start_app(config: &Config) -> Result<App, Failure> {
    let mut config = config.clone();
    config.listen.set_port(0);
    demand_platform(&config)?;
    Ok(App::start(&config, None).await?)
}

/// Refuses to begin work that no platform could do. One that works only for those who name it may be named by somebody.
pub(crate) fn demand_platform(config: &Config) -> Result<(), Failure> {
    let registry = platforms::build(config)?;
    if registry.default().is_some() || registry.iter().any(|platform| platform.unusable().is_none()) {
        return Ok(());
    }
    let reasons: Vec<String> = registry
        .iter()
        .filter_map(|platform| Some(format!("platform `{}`: {}", platform.key(), platform.unusable()?)))
        .collect();
    let message = if reasons.is_empty() { platforms::NONE.to_owned() } else { reasons.join("\n") };
    Err(Failure::Refused { code: "NO_PLATFORM".to_owned(), message })
}

/// Starts a run; answers its id and the position of its start.
pub(crate) async fn start(
    client: &Client,
    workflow: &str,
    input: &Value,
    subject: Option<&str>,
    output: Option<OutputForm>,
) -> Result<(Uuid, String), Failure> {
    // The id makes a repeated request harmless.
    let output = output.map(OutputForm::name);
    let input = json!({
        "clientMutationId": Uuid::now_v7(), "workflow": workflow, "input": input, "subject": subject, "output": output,
    });
    let data = client.ask(START, json!({ "input": input })).await?;
    let run = data.pointer("/startRun/runId").and_then(Value::as_str).and_then(|id| id.parse().ok());
    let position = data.pointer("/startRun/position").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok((run.ok_or_else(|| anyhow!("the server started a run without saying which"))?, position))
}

/// Shows a run to its end and then its output.
pub(crate) async fn follow(client: &Client, terminal: &mut Terminal, run: Uuid, as_json: bool) -> Result<(), Failure> {
    let ended = watch::follow(client, run, (!as_json).then_some(&mut *terminal)).await?;
    let found = inspect::fetch(client, run, Some(&ended.position)).await?;
    if as_json {
        terminal.json(&found);
    } else if let Some(output) = found.get("output") {
        inspect::show_output(terminal, output);
    }
    if ended.completed { Ok(()) } else { Err(Failure::Run) }
}

/// The server that runs on the data directory, or the one that was named.
pub(crate) async fn running_server(config: &Config, url: Option<&str>) -> Result<Client, Failure> {
    find_server(config, url).await?.ok_or_else(|| {
        Failure::Infrastructure(anyhow!(
            "no server runs on the data directory {}; start one with `hishamos serve`, or name one with --url",
            config.data_dir.display()
        ))
    })
}

/// The same, where one runs.
pub(crate) async fn find_server(config: &Config, url: Option<&str>) -> Result<Option<Client>, Failure> {
    if let Some(url) = url {
        return Client::new(url, &config.person).map(Some);
    }
    let Some(announced) = announce::read(&config.data_dir) else { return Ok(None) };
    // A killed program leaves its announcement behind.
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build();
    let http = http.map_err(anyhow::Error::from)?;
    match http.get(format!("{}/health/live", announced.url)).send().await {
        Ok(answer) if answer.status().is_success() => Client::new(&announced.url, &config.person).map(Some),
        _ => Ok(None),
    }
}
