//! Commands that open the store directly, beside a running program or alone: `rebuild`, `catalog load`; and `config`.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use commands::catalog::{Catalog, Known};
use commands::{Commands, Request};
use domain::{Agent, AgentId, Template, TemplateId};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::signals::Signals;
use super::terminal::{Style, Terminal};
use crate::app::operator;
use crate::config::Config;
use crate::store::Store;

/// An opened store with a journal that can record.
pub(crate) struct Attached {
    /// The store.
    pub(crate) store: Store,
    stop: CancellationToken,
    journal: JoinSet<()>,
}

impl Attached {
    /// Opens the store of the configuration.
    pub(crate) async fn open(config: &Config) -> Result<Self, Failure> {
        let (store, service) = Store::attach(config).await?;
        let (stop, mut journal) = (CancellationToken::new(), JoinSet::new());
        journal.spawn(service.run(stop.clone()));
        Ok(Self { store, stop, journal })
    }

    /// Records what is on its way and closes everything.
    pub(crate) async fn close(mut self) -> Result<(), Failure> {
        self.stop.cancel();
        while self.journal.join_next().await.is_some() {}
        Ok(self.store.close().await?)
    }
}

/// `hishamos rebuild`.
pub(crate) async fn rebuild(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    name: Option<&str>,
) -> Result<(), Failure> {
    let known = projections::names();
    let names = match name {
        None => known,
        Some(name) => match known.iter().find(|known| **known == name) {
            Some(name) => vec![*name],
            None => {
                let known = known.join(", ");
                return Err(Failure::usage(format!("there is no read model `{name}`; there are: {known}")));
            }
        },
    };
    let mut signals = Signals::listen()?;
    let attached = Attached::open(config).await?;
    let stop = CancellationToken::new();
    let outcome = tokio::select! {
        outcome = Box::pin(rebuild_all(&attached.store, terminal, as_json, &names, &stop)) => outcome,
        () = signals.next() => Err(anyhow::anyhow!("interrupted; the live read models are as they were").into()),
    };
    attached.close().await?;
    outcome
}

async fn rebuild_all(
    store: &Store,
    terminal: &mut Terminal,
    as_json: bool,
    names: &[&'static str],
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let mut answers = Vec::new();
    for name in names {
        let rebuilt = projections::rebuild(&store.pool, &*store.journal, name, stop, |progress| {
            if !as_json {
                terminal.status(&format!(
                    "  {name}: {} events, at position {} of {}",
                    progress.events, progress.position, progress.head
                ));
            }
        })
        .await
        .with_context(|| format!("{name} could not be rebuilt"))?;
        let seconds = rebuilt.elapsed.as_secs_f64();
        if as_json {
            answers.push(json!({
                "name": name,
                "events": rebuilt.events,
                "position": rebuilt.position.to_string(),
                "seconds": seconds,
            }));
        } else {
            let glyph = terminal.paint(Style::Good, "✓");
            let rate = rebuilt.rate();
            terminal.line(format!(
                "{glyph} {name}: {} events in {seconds:.2} s ({rate:.0} events/s), at position {}",
                rebuilt.events, rebuilt.position
            ));
        }
    }
    if as_json {
        terminal.json(&answers);
    }
    Ok(())
}

/// `hishamos catalog load`.
pub(crate) async fn load_catalog(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    directory: Option<&Path>,
) -> Result<(), Failure> {
    // Nothing is opened, let alone written, before all files have been read and found right.
    let catalog = match directory {
        None => Catalog::starter(),
        Some(directory) => Catalog::read_dir(directory),
    }
    .map_err(|errors| Failure::Refused { code: "CATALOG_INVALID".to_owned(), message: errors.to_string() })?;
    let attached = Attached::open(config).await?;
    let commands = Commands::new(Arc::clone(&attached.store.journal));
    let loaded = Box::pin(async {
        check_names(&commands, &catalog).await?;
        commands.load_catalog(&Request::by(operator()), catalog).await.map_err(Failure::command)
    })
    .await;
    attached.close().await?;
    let report = loaded?;
    if as_json {
        terminal.json(&json!({ "entries": report.entries, "position": report.position.to_string() }));
        return Ok(());
    }
    for entry in &report.entries {
        let change = serde_json::to_value(entry.change).ok();
        let change = change.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        terminal.line(format!("{change:<10} {:<9} {}", entry.kind, entry.key));
    }
    Ok(())
}

/// Refuses a catalogue whose workflows name what is neither in it nor registered, before any of it is recorded.
async fn check_names(commands: &Commands, catalog: &Catalog) -> Result<(), Failure> {
    let executor = commands.executor();
    let mut known = Known::default();
    for step in catalog.workflows.iter().flat_map(|workflow| &workflow.steps) {
        let agent = executor.load::<Agent>(AgentId::from_key(&step.agent).into()).await;
        if agent.context("the journal cannot be read")?.state.profile().is_some() {
            known.agents.insert(step.agent.clone());
        }
        let template = executor.load::<Template>(TemplateId::from_key(&step.template).into()).await;
        if let Some(body) = template.context("the journal cannot be read")?.state.body() {
            known.templates.insert(step.template.clone(), Arc::clone(body));
        }
    }
    let errors: Vec<String> = catalog.check_against(&known).iter().map(ToString::to_string).collect();
    if errors.is_empty() {
        return Ok(());
    }
    Err(Failure::Refused { code: "CATALOG_INVALID".to_owned(), message: errors.join("\n") })
}

/// `hishamos config`.
pub(crate) fn show_config(config: &Config, terminal: &mut Terminal, as_json: bool) -> Result<(), Failure> {
    let value = serde_json::to_value(config).context("the configuration cannot be shown")?;
    if as_json {
        terminal.json(&value);
    } else {
        show_value(terminal, "", &value);
    }
    Ok(())
}

/// One line per setting, as it would stand in the file.
fn show_value(terminal: &mut Terminal, path: &str, value: &Value) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                show_value(terminal, &path, value);
            }
        }
        Value::Null => terminal.line(format!("# {path} is not set")),
        Value::Object(_) => terminal.line(format!("# {path} has no entries")),
        value => terminal.line(format!("{path} = {value}")),
    }
}
