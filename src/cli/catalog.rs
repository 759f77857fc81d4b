//! `hishamos catalog check`, `diff`, `load` and `export`.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use commands::catalog::{Catalog, CatalogError, Counts, Pair, Similarity};
use commands::{Change, Commands, Edited, LoadReport, LoadedEntry, PlannedEntry, Registered, Request};
use domain::Actor;
use serde_json::{Value, json};

use super::LoadArguments;
use super::attached::Attached;
use super::failure::Failure;
use super::terminal::{Style, Terminal};
use crate::catalogue;
use crate::config::Config;

/// How many similar pairs are shown.
const PAIRS: usize = 20;

impl LoadArguments {
    fn edited(&self) -> Edited {
        if self.overwrite { Edited::Replace } else { Edited::Keep }
    }
}

/// `hishamos catalog check`.
pub(crate) fn check(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    directory: Option<&Path>,
    strict: bool,
    similar: bool,
) -> Result<(), Failure> {
    let starter = if directory.is_none() { Catalog::starter_checked() } else { Catalog::starter() };
    let starter = starter.context("the starter catalogue is damaged")?;
    let (whole, counts, mut errors, own) = match directory.or(config.catalog.dir.as_deref()) {
        None => (starter.clone(), starter.counts(), Vec::new(), starter),
        Some(folder) => {
            let (own, errors) = Catalog::survey(folder);
            let whole = own.clone().over(starter);
            // A directory that was named is counted by itself; the installation's catalogue as a whole.
            let counts = if directory.is_some() { own.counts() } else { whole.counts() };
            (whole, counts, errors, own)
        }
    };
    // What a broken file would have brought is missed by others; that would only be said twice.
    if errors.is_empty() {
        errors.extend(whole.check());
        if strict {
            errors.extend(own.check_strict());
        }
    }
    let similarity = similar.then(|| whole.similarity(PAIRS));
    let unmet = catalogue::unmet(config, &whole).map_err(Failure::usage)?;
    if as_json {
        let faults: Vec<Value> = errors.iter().map(error_json).collect();
        let mut answer = json!({ "counts": counts, "errors": faults, "unmet": unmet });
        if let Some(similarity) = &similarity
            && let Some(answer) = answer.as_object_mut()
        {
            answer.insert("similarity".to_owned(), json!(similarity));
        }
        terminal.json(&answer);
    } else {
        errors.iter().for_each(|error| terminal.line(error.to_string()));
        unmet.iter().for_each(|unmet| terminal.line(terminal.paint(Style::Dim, &format!("note: {unmet}"))));
        similarity.iter().for_each(|similarity| show_similarity(terminal, similarity));
        let Counts { agents, templates, workflows, triggers } = counts;
        let verdict = match errors.len() {
            0 => terminal.paint(Style::Good, "no errors"),
            1 => terminal.paint(Style::Bad, "1 error"),
            count => terminal.paint(Style::Bad, &format!("{count} errors")),
        };
        let counted = format!("{agents} agents, {templates} templates, {workflows} workflows, {triggers} triggers");
        terminal.line(format!("{counted}: {verdict}"));
    }
    if errors.is_empty() { Ok(()) } else { Err(Failure::Unsound) }
}

/// An error for machines.
pub(crate) fn error_json(error: &CatalogError) -> Value {
    json!({
        "file": error.file,
        "line": error.place.map(|place| place.line),
        "column": error.place.map(|place| place.column),
        "field": error.field,
        "message": error.fault.to_string(),
    })
}

fn show_similarity(terminal: &mut Terminal, Similarity { wording, words }: &Similarity) {
    let measures = [("by wording (share of sequences of five words)", wording), ("by words (TF-IDF cosine)", words)];
    for (measure, pairs) in measures {
        terminal.line(terminal.paint(Style::Strong, &format!("most similar templates {measure}")));
        for Pair { one, other, share } in pairs {
            terminal.line(format!("  {share:.3}  {one}  {other}"));
        }
    }
}

/// `hishamos catalog diff`.
pub(crate) async fn diff(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    asked: &LoadArguments,
) -> Result<(), Failure> {
    let catalog = catalogue::read(config, asked.directory.as_deref()).map_err(|errors| Failure::catalog(&errors))?;
    let attached = Attached::open(config).await?;
    let commands = Commands::new(Arc::clone(&attached.store.journal) as _);
    let planned = Box::pin(async {
        fits(&commands, &catalog).await?;
        commands.plan_catalog(&catalog, asked.edited()).await.map_err(Failure::command)
    })
    .await;
    attached.close().await?;
    let planned = planned?;
    if as_json {
        let entries: Vec<Value> = planned
            .iter()
            .map(|planned| {
                let mut entry = json!(planned.entry);
                if let (Some(entry), Some(text)) = (entry.as_object_mut(), difference(planned)) {
                    entry.insert("diff".to_owned(), text.into());
                }
                entry
            })
            .collect();
        terminal.json(&json!({ "entries": entries }));
        return Ok(());
    }
    for planned in &planned {
        if planned.entry.change == Change::Unchanged {
            continue;
        }
        show_entry(terminal, &planned.entry);
        for line in difference(planned).unwrap_or_default().lines() {
            let style = match line.chars().next() {
                Some('+') => Style::Good,
                Some('-') => Style::Bad,
                _ => Style::Dim,
            };
            terminal.line(terminal.paint(style, &format!("  {line}")));
        }
    }
    show_sum(terminal, planned.iter().map(|planned| &planned.entry));
    Ok(())
}

/// What is registered against what the catalogue has, as a unified diff; nothing for what is new.
fn difference(planned: &PlannedEntry) -> Option<String> {
    let (before, after) = (planned.before.as_deref()?, planned.after.as_deref()?);
    let diff = similar::TextDiff::from_lines(before, after);
    Some(diff.unified_diff().context_radius(2).header("registered", "catalogue").to_string())
}

/// `hishamos catalog load`.
pub(crate) async fn load(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    asked: &LoadArguments,
) -> Result<(), Failure> {
    // Nothing is opened, let alone written, before all files have been read and found right.
    let catalog = catalogue::read(config, asked.directory.as_deref()).map_err(|errors| Failure::catalog(&errors))?;
    let attached = Attached::open(config).await?;
    let commands = Commands::new(Arc::clone(&attached.store.journal) as _);
    let loaded = Box::pin(load_into(config, &commands, &catalog, asked.edited())).await;
    attached.note(config, "catalog load", &loaded).await;
    attached.close().await?;
    let LoadReport { entries, position } = loaded?;
    if as_json {
        terminal.json(&json!({ "entries": entries, "position": position.to_string() }));
        return Ok(());
    }
    for entry in entries.iter().filter(|entry| entry.change != Change::Unchanged) {
        show_entry(terminal, entry);
    }
    show_sum(terminal, entries.iter());
    Ok(())
}

/// Loads a catalogue for whoever asks, or refuses it with the places of all that does not fit.
pub(crate) async fn load_into(
    config: &Config,
    commands: &Commands,
    catalog: &Catalog,
    edited: Edited,
) -> Result<LoadReport, Failure> {
    fits(commands, catalog).await?;
    let request = Request::by(Actor::person(&config.person));
    commands.load_catalog(&request, catalog, edited).await.map_err(Failure::command)
}

async fn fits(commands: &Commands, catalog: &Catalog) -> Result<(), Failure> {
    let errors = catalogue::unfit(commands, catalog).await.map_err(Failure::command)?;
    if errors.is_empty() { Ok(()) } else { Err(Failure::catalog(&errors)) }
}

/// One line about an entry that is not as it was.
pub(crate) fn show_entry(terminal: &mut Terminal, entry: &LoadedEntry) {
    let note = entry.note.as_ref().map(|note| format!("  ({note})")).unwrap_or_default();
    terminal.line(format!("{:<10} {:<9} {}{note}", entry.change.name(), entry.kind, entry.key));
}

/// How many entries have which fate.
pub(crate) fn show_sum<'a>(terminal: &mut Terminal, entries: impl Iterator<Item = &'a LoadedEntry> + Clone) {
    terminal.line(sum(entries));
}

/// How many entries have which fate, in words.
pub(crate) fn sum<'a>(entries: impl Iterator<Item = &'a LoadedEntry> + Clone) -> String {
    let all = [Change::Added, Change::Revised, Change::Kept, Change::Blocked, Change::Unchanged];
    let parts = all.into_iter().filter_map(|change| {
        let count = entries.clone().filter(|entry| entry.change == change).count();
        (count > 0).then(|| format!("{count} {}", change.name()))
    });
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { "nothing to load".to_owned() } else { parts.join(", ") }
}

/// What `hishamos catalog export` was asked.
#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) directory: PathBuf,
    pub(crate) edited: bool,
    pub(crate) keys: Vec<String>,
    pub(crate) overwrite: bool,
}

/// `hishamos catalog export`.
pub(crate) async fn export(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    asked: &Export,
) -> Result<(), Failure> {
    let attached = Attached::open(config).await?;
    let commands = Commands::new(Arc::clone(&attached.store.journal) as _);
    let registered = Box::pin(commands.registered()).await;
    attached.close().await?;
    let registered = registered.map_err(Failure::command)?;
    for key in &asked.keys {
        if !registered.iter().any(|entry| entry.key.as_str() == key) {
            return Err(Failure::usage(format!("there is no agent, template, workflow or trigger `{key}`")));
        }
    }
    let wanted = |entry: &&Registered| {
        (!asked.edited || entry.edited)
            && (asked.keys.is_empty() || asked.keys.iter().any(|key| key == entry.key.as_str()))
    };
    let files: Vec<(PathBuf, &Registered)> =
        registered.iter().filter(wanted).map(|entry| (place(&asked.directory, entry), entry)).collect();
    // All or nothing: one file that is in the way stops the export before it has begun.
    let taken: Vec<String> =
        files.iter().filter(|(path, _)| path.exists()).map(|(path, _)| path.display().to_string()).collect();
    if !asked.overwrite && !taken.is_empty() {
        let message = format!("these files are there already; --overwrite replaces them:\n{}", taken.join("\n"));
        return Err(Failure::usage(message));
    }
    for (path, entry) in &files {
        write(path, &entry.yaml, asked.overwrite).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    if as_json {
        let entries: Vec<Value> = files
            .iter()
            .map(|(path, entry)| {
                json!({ "kind": entry.kind, "key": entry.key, "file": path, "lastChangedBy": entry.by.to_string() })
            })
            .collect();
        terminal.json(&json!({ "entries": entries }));
    } else {
        files.iter().for_each(|(path, _)| terminal.line(path.display().to_string()));
        terminal.line(format!("{} files written", files.len()));
    }
    Ok(())
}

/// The file of an entry: in a folder of its department where it has one that can be a folder's name.
fn place(directory: &Path, entry: &Registered) -> PathBuf {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    let department = Some(entry.department.trim()).filter(|name| !name.is_empty() && name.chars().all(plain));
    let folder = directory.join(entry.kind.folder());
    department.map_or(folder.clone(), |department| folder.join(department)).join(format!("{}.yaml", entry.key))
}

fn write(path: &Path, text: &str, overwrite: bool) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true);
    let options = if overwrite { options.create(true).truncate(true) } else { options.create_new(true) };
    match options.open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(std::io::Error::new(error.kind(), "it is there already"))
        }
        Err(error) => Err(error),
    }
}
