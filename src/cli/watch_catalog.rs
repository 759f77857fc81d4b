//! `hishamos catalog watch`: loads a directory again whenever a file in it changes.
//!
//! Invariant: files with errors change nothing; they are shown, and the next change is waited for.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use commands::catalog::Catalog;
use commands::{Change, Commands, Edited};
use notify::{EventKind, RecursiveMode, Watcher};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::LoadArguments;
use super::attached::Attached;
use super::catalog::{error_json, load_into, show_entry, sum};
use super::failure::Failure;
use super::signals::Signals;
use super::terminal::{Style, Terminal};
use crate::config::Config;

/// Editors write a file in several steps; the last of them is waited for.
const SETTLES: Duration = Duration::from_millis(150);

/// Watches and loads until a signal comes.
pub(crate) async fn watch(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    asked: &LoadArguments,
) -> Result<(), Failure> {
    let Some(directory) = asked.directory.clone().or_else(|| config.catalog.dir.clone()) else {
        return Err(Failure::usage("which directory? name it, or configure catalog.dir"));
    };
    let edited = if asked.overwrite { Edited::Replace } else { Edited::Keep };
    let mut signals = Signals::listen()?;
    // One waiting notice is enough: whatever else has happened by then is seen with it.
    let (changed, mut changes) = mpsc::channel::<()>(1);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading is no change, and an error means that something may have been missed.
        if event.map_or(true, |event| !matches!(event.kind, EventKind::Access(_))) {
            _ = changed.try_send(());
        }
    })
    .context("the file system cannot be watched")?;
    watcher
        .watch(&directory, RecursiveMode::Recursive)
        .with_context(|| format!("{} cannot be watched", directory.display()))?;
    let attached = Attached::open(config).await?;
    let commands = Commands::new(Arc::clone(&attached.store.journal) as _);
    let work = Box::pin(async {
        loop {
            load_once(config, &attached, &commands, terminal, as_json, &directory, edited).await?;
            if changes.recv().await.is_none() {
                return Err(Failure::Infrastructure(anyhow::anyhow!("the watch on the files ended")));
            }
            while tokio::time::timeout(SETTLES, changes.recv()).await.is_ok_and(|change| change.is_some()) {}
        }
    });
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = signals.next() => Ok(()),
    };
    attached.close().await?;
    outcome
}

async fn load_once(
    config: &Config,
    attached: &Attached,
    commands: &Commands,
    terminal: &mut Terminal,
    as_json: bool,
    directory: &PathBuf,
    edited: Edited,
) -> Result<(), Failure> {
    let loaded = match Catalog::read_dir(directory) {
        Ok(catalog) => load_into(config, commands, &catalog, edited).await,
        Err(errors) => {
            if as_json {
                let errors: Vec<Value> = errors.as_slice().iter().map(error_json).collect();
                terminal.json(&json!({ "errors": errors }));
                return Ok(());
            }
            Err(Failure::catalog(errors.as_slice()))
        }
    };
    attached.note(config, "catalog watch", &loaded).await;
    match loaded {
        Ok(report) if as_json => {
            let entries: Vec<_> = report.entries.iter().filter(|entry| entry.change != Change::Unchanged).collect();
            terminal.json(&json!({ "entries": entries, "position": report.position.to_string() }));
        }
        Ok(report) => {
            let changed = report.entries.iter().filter(|entry| entry.change.is_change());
            changed.for_each(|entry| show_entry(terminal, entry));
            let text = terminal.paint(Style::Dim, &sum(report.entries.iter()));
            terminal.line(text);
        }
        // The rules say no: the author's turn.
        Err(failure @ Failure::Refused { .. }) if as_json => terminal.json(&failure.json()),
        Err(Failure::Refused { message, .. }) => {
            let text = terminal.paint(Style::Bad, &message);
            terminal.line(text);
        }
        Err(failure) => return Err(failure),
    }
    Ok(())
}
