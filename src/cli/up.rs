//! `hishamos up` and `hishamos serve`.

use anyhow::Context;
use commands::catalog::Catalog;
use commands::{Change, Commands, Edited};
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::Client;
use super::failure::Failure;
use super::signals::Signals;
use super::terminal::{Style, Terminal};
use super::{catalog, input, run};
use crate::app::App;
use crate::catalogue;
use crate::config::Config;
use crate::server;

/// The workflow that shows what the program does.
const WELCOME: &str = "welcome";
/// The input that it wants, and what it gets when nothing is said.
const WELCOME_INPUT: &str = "file=@README.md";

const UNFINISHED: &str = "query($position: Position) { runs(filter: { statuses: [RUNNING, CANCELLING] }, last: 200, \
                          minPosition: $position) { nodes { runId } } }";

/// `hishamos serve`.
pub(crate) async fn serve(config: &Config, terminal: &mut Terminal, as_json: bool) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let app = start(config).await?;
    if as_json {
        terminal.json(&json!({ "url": app.url(), "pid": std::process::id() }));
    } else {
        terminal.line(format!("HishamOS serves at {} (Ctrl-C stops it)", app.url()));
    }
    stay(app, &mut signals).await
}

/// `hishamos up`.
pub(crate) async fn up(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    inputs: &[String],
    once: bool,
) -> Result<(), Failure> {
    let usual = [WELCOME_INPUT.to_owned()];
    let input = input::parse(if inputs.is_empty() { &usual } else { inputs })?;
    run::demand_platform(config)?;
    let catalog = catalogue::read(config, None).map_err(|errors| Failure::catalog(&errors))?;
    let mut signals = Signals::listen()?;
    let mut app = start(config).await?;
    let shown = {
        let client = Client::new(app.url(), &config.person)?;
        let commands = app.commands().clone();
        let work = Box::pin(async {
            // Before anything that takes time: they go on already, and may have ended by then.
            let old = if as_json { Vec::new() } else { unfinished(&client).await? };
            load_catalogue(config, &commands, terminal, as_json, &catalog).await?;
            finish_old(&client, terminal, old).await?;
            let (welcome, _) = run::start(&client, WELCOME, &input, None, Some(run::OutputForm::Text)).await?;
            run::follow(&client, terminal, welcome, as_json).await
        });
        tokio::select! {
            shown = work => Some(shown),
            error = app.failed() => Some(Err(Failure::Infrastructure(error))),
            () = signals.next() => None,
        }
    };
    match shown {
        // A welcome run that failed is a reason to look around, not to go down.
        Some(Ok(()) | Err(Failure::Run)) if !once => {
            if !as_json {
                say_where(&app, terminal);
            }
            stay(app, &mut signals).await
        }
        Some(outcome) => {
            signals.unless_repeated(app.stop()).await?;
            outcome
        }
        None => {
            terminal.clear_status();
            Ok(signals.unless_repeated(app.stop()).await?)
        }
    }
}

async fn start(config: &Config) -> Result<App, Failure> {
    let metrics = server::metrics::install().context("the metrics recorder cannot be installed")?;
    Ok(App::start(config, Some(metrics)).await?)
}

/// Serves until a signal or a failure, then stops everything.
async fn stay(mut app: App, signals: &mut Signals) -> Result<(), Failure> {
    let failure = tokio::select! {
        () = signals.next() => None,
        error = app.failed() => Some(error),
    };
    tracing::info!("stopping");
    let stopped = signals.unless_repeated(app.stop()).await;
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(stopped?),
    }
}

async fn load_catalogue(
    config: &Config,
    commands: &Commands,
    terminal: &mut Terminal,
    as_json: bool,
    catalogue: &Catalog,
) -> Result<(), Failure> {
    let report = catalog::load_into(config, commands, catalogue, Edited::Keep).await?;
    if !as_json {
        for entry in report.entries.iter().filter(|entry| entry.change == Change::Blocked) {
            catalog::show_entry(terminal, entry);
        }
        let text = format!("catalogue: {}", catalog::sum(report.entries.iter()));
        let text = terminal.paint(Style::Dim, &text);
        terminal.line(text);
    }
    Ok(())
}

/// The runs that an earlier life of the program left unfinished, oldest first.
async fn unfinished(client: &Client) -> Result<Vec<Uuid>, Failure> {
    let head = client.ask("{ journalHead }", json!({})).await?;
    let mut data = client.ask(UNFINISHED, json!({ "position": head.get("journalHead") })).await?;
    let runs = data.pointer_mut("/runs/nodes").map(Value::take).unwrap_or_default();
    let mut runs: Vec<Uuid> = runs
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|run| run.get("runId").and_then(Value::as_str)?.parse().ok())
        .collect();
    // Ids sort by time.
    runs.sort_unstable();
    Ok(runs)
}

/// Shows runs to their end.
async fn finish_old(client: &Client, terminal: &mut Terminal, runs: Vec<Uuid>) -> Result<(), Failure> {
    if !runs.is_empty() {
        terminal.line(format!("going on with {} unfinished run(s)", runs.len()));
    }
    for unfinished in runs {
        match run::follow(client, terminal, unfinished, false).await {
            Ok(()) | Err(Failure::Run) => terminal.line(""),
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

fn say_where(app: &App, terminal: &mut Terminal) {
    let url = app.url();
    let heading = terminal.paint(Style::Strong, "HishamOS is up");
    terminal.line("");
    terminal.line(heading);
    terminal.line(format!("  GraphQL   {url}/graphql  (open it in a browser for the explorer)"));
    terminal.line(format!("  health    {url}/health/ready"));
    terminal.line(format!("  metrics   {url}/metrics"));
    terminal.line("  runs      hishamos runs, hishamos run WORKFLOW --input KEY=VALUE --watch");
    terminal.line("  stop      Ctrl-C; the next start goes on where it was");
}
