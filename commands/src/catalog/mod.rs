//! Catalogues: agents, templates, workflows and triggers in files, one entry a file, and ways of asking for templates,
//! many a file.
//!
//! A catalogue is read as a whole: either every file is right, or all that is wrong is reported at once with file,
//! line and field, and nothing comes of it. Reading decides nothing and records nothing; registering is the business
//! of the commands, so what a catalogue brings in is judged by the same rules as what a person asks for.
//!
//! A file cannot stand for more than it shows: anchors, aliases and merge keys are refused, and so are files over
//! 1 MiB, deep nesting, repeated fields and unknown fields.

mod agent_file;
mod asks_file;
#[cfg(test)]
mod asks_tests;
mod check;
mod error;
mod parse;
mod places;
mod read;
mod scalar;
mod schema;
mod similarity;
mod starter;
mod strict;
mod template_file;
#[cfg(test)]
mod template_tests;
#[cfg(test)]
mod tests;
mod text;
mod trigger_file;
#[cfg(test)]
mod trigger_tests;
mod workflow_file;
#[cfg(test)]
mod workflow_tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use domain::agent::Profile;
use domain::template::TemplateBody;
use domain::trigger::TriggerSettings;
use domain::{Definition, Key};
use serde::Serialize;

pub use asks_file::Asks;
pub use check::{Known, check_definition, check_trigger};
pub use error::{CatalogError, CatalogErrors, Fault, Place};
use parse::{Places, Source};
use places::FieldPlaces;
pub use similarity::{Pair, Similarity};
pub use strict::{DEPARTMENTS, MOST_SHARED};

/// What a catalogue file describes; its folder says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An agent, in the folder `agents`.
    Agent,
    /// A template, in the folder `templates`.
    Template,
    /// A workflow, in the folder `workflows`.
    Workflow,
    /// A trigger, in the folder `triggers`.
    Trigger,
    /// Ways of asking for a template, in the folder `asks`; the search reads them, and they are never registered.
    Asks,
}

impl Kind {
    /// Every kind, in the order in which entries can be registered: what is named comes before what names it.
    pub const ALL: [Self; 5] = [Self::Agent, Self::Template, Self::Workflow, Self::Trigger, Self::Asks];

    /// The folder of its files.
    #[must_use]
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Agent => "agents",
            Self::Template => "templates",
            Self::Workflow => "workflows",
            Self::Trigger => "triggers",
            Self::Asks => "asks",
        }
    }

    /// By the first folder of a file's name that says it.
    fn of_file(name: &str) -> Option<Self> {
        let (folders, _) = name.rsplit_once('/')?;
        folders.split('/').find_map(|folder| Self::ALL.into_iter().find(|kind| kind.folder() == folder))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Agent => "agent",
            Self::Template => "template",
            Self::Workflow => "workflow",
            Self::Trigger => "trigger",
            Self::Asks => "way of asking for",
        })
    }
}

/// The entries of a catalogue, each by itself right, in the order of their files.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalog {
    /// Its agents.
    pub agents: Vec<Profile>,
    /// Its templates.
    pub templates: Vec<TemplateBody>,
    /// Its workflows.
    pub workflows: Vec<Definition>,
    /// Its triggers.
    pub triggers: Vec<TriggerEntry>,
    /// How people ask for templates, by the templates' keys; only the search reads it.
    pub asks: BTreeMap<Key, Asks>,
    /// Where each way of asking stands, so that none stands there twice.
    known_asks: asks_file::Known,
    /// Where each entry came from.
    origins: BTreeMap<(Kind, Key), Origin>,
}

/// A trigger as a catalogue has it.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerEntry {
    /// What it is.
    pub settings: TriggerSettings,
    /// Whether it is paused when it comes in, so that nothing starts before somebody wants it to. What became of it
    /// later is nobody's business but theirs.
    pub paused: bool,
}

/// Whose catalogue an entry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The starter catalogue, which comes with the program.
    Starter,
    /// The company's own, which lies over it.
    #[default]
    Own,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Origin {
    layer: Layer,
    file: String,
    places: Places,
    fields: FieldPlaces,
}

/// How many entries a catalogue has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Agents.
    pub agents: usize,
    /// Templates.
    pub templates: usize,
    /// Workflows.
    pub workflows: usize,
    /// Triggers.
    pub triggers: usize,
}

impl Catalog {
    /// The catalogue that comes with the program. What only tests could find wrong with it is not looked for again.
    ///
    /// # Errors
    /// Never in a program whose tests passed: they read the same files.
    pub fn starter() -> Result<Self, CatalogErrors> {
        Self::read_starter(true)
    }

    /// As [`starter`](Self::starter), looked through like any other catalogue.
    ///
    /// # Errors
    /// Never in a program whose tests passed.
    pub fn starter_checked() -> Result<Self, CatalogErrors> {
        Self::read_starter(false)
    }

    fn read_starter(trusted: bool) -> Result<Self, CatalogErrors> {
        let mut catalog = Self::from_named(starter::FILES.iter().copied(), trusted)?;
        catalog.origins.values_mut().for_each(|origin| origin.layer = Layer::Starter);
        Ok(catalog)
    }

    /// Reads the YAML files below the folders `agents`, `templates`, `workflows`, `triggers` and `asks` of a directory;
    /// whatever else is there is left alone. Blocks on the file system.
    ///
    /// # Errors
    /// All that is wrong, in the order of the files.
    pub fn read_dir(directory: impl AsRef<Path>) -> Result<Self, CatalogErrors> {
        let (catalog, errors) = Self::survey(directory);
        if errors.is_empty() { Ok(catalog) } else { Err(CatalogErrors(errors)) }
    }

    /// As [`read_dir`](Self::read_dir), for those who want to know of the rest too: what could be read, and all that is
    /// wrong. A catalogue with errors is not to be loaded.
    #[must_use]
    pub fn survey(directory: impl AsRef<Path>) -> (Self, Vec<CatalogError>) {
        let mut catalog = Self::default();
        let mut errors = Vec::new();
        for found in read::files(directory.as_ref()) {
            match found.and_then(|found| Ok((found.kind, found.name, found.bytes?))) {
                Ok((kind, name, bytes)) => errors.extend(catalog.read(kind, &name, &bytes, false)),
                Err(error) => errors.push(error),
            }
        }
        (catalog, errors)
    }

    /// Reads files that are in memory already, each with its name, such as `agents/analyst.yaml`; the first folder of
    /// the name that can says what the file describes.
    ///
    /// # Errors
    /// All that is wrong, in the order of the files.
    pub fn from_files<N: AsRef<str>, B: AsRef<[u8]>>(
        files: impl IntoIterator<Item = (N, B)>,
    ) -> Result<Self, CatalogErrors> {
        Self::from_named(files, false)
    }

    fn from_named<N: AsRef<str>, B: AsRef<[u8]>>(
        files: impl IntoIterator<Item = (N, B)>,
        trusted: bool,
    ) -> Result<Self, CatalogErrors> {
        let mut catalog = Self::default();
        let mut errors = Vec::new();
        for (name, bytes) in files {
            let name = name.as_ref();
            match Kind::of_file(name) {
                Some(kind) => errors.extend(catalog.read(kind, name, bytes.as_ref(), trusted)),
                None => errors.push(CatalogError::unplaced(name, Fault::UnknownFolder)),
            }
        }
        if errors.is_empty() { Ok(catalog) } else { Err(CatalogErrors(errors)) }
    }

    /// This catalogue over another: what has the same key in both is taken from this one.
    #[must_use]
    pub fn over(mut self, below: Self) -> Self {
        let ours: BTreeSet<(Kind, Key)> = self.origins.keys().cloned().collect();
        let hidden = |kind: Kind, key: &Key| ours.contains(&(kind, key.clone()));
        self.agents.extend(below.agents.into_iter().filter(|agent| !hidden(Kind::Agent, &agent.key)));
        self.templates.extend(below.templates.into_iter().filter(|body| !hidden(Kind::Template, &body.key)));
        self.workflows.extend(below.workflows.into_iter().filter(|flow| !hidden(Kind::Workflow, &flow.key)));
        self.triggers.extend(below.triggers.into_iter().filter(|entry| !hidden(Kind::Trigger, &entry.settings.key)));
        for (key, asks) in below.asks {
            self.asks.entry(key).or_insert(asks);
        }
        for (name, origin) in below.origins {
            self.origins.entry(name).or_insert(origin);
        }
        self
    }

    /// How people ask for each template, whichever language they use.
    #[must_use]
    pub fn ways_of_asking(&self) -> BTreeMap<Key, Vec<String>> {
        let of = |(key, asks): (&Key, &Asks)| (key.clone(), asks.each().map(ToOwned::to_owned).collect());
        self.asks.iter().map(of).collect()
    }

    /// How many entries there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            agents: self.agents.len(),
            templates: self.templates.len(),
            workflows: self.workflows.len(),
            triggers: self.triggers.len(),
        }
    }

    /// How many entries there are, whatever they are.
    pub(crate) fn len(&self) -> usize {
        self.agents.len() + self.templates.len() + self.workflows.len() + self.triggers.len()
    }

    /// Whose catalogue an entry comes from.
    #[must_use]
    pub fn layer(&self, kind: Kind, key: &Key) -> Layer {
        self.origins.get(&(kind, key.clone())).map(|origin| origin.layer).unwrap_or_default()
    }

    /// What in the workflows and the ways of asking does not fit the agents and templates of this catalogue, and what in
    /// the triggers does not fit its workflows, each in the order of the files.
    #[must_use]
    pub fn check(&self) -> Vec<CatalogError> {
        self.check_against(&Known::default())
    }

    /// As [`check`](Self::check), where workflows, triggers and ways of asking may also name what is known elsewhere; an
    /// entry of the catalogue stands before one of the same key elsewhere.
    #[must_use]
    pub fn check_against(&self, elsewhere: &Known) -> Vec<CatalogError> {
        let mut known = elsewhere.clone();
        known.agents.extend(self.agents.iter().map(|agent| agent.key.clone()));
        known.templates.extend(self.templates.iter().map(|body| (body.key.clone(), Arc::new(body.clone()))));
        known.workflows.extend(self.workflows.iter().map(|flow| (flow.key.clone(), Arc::new(flow.clone()))));
        let origin = |kind: Kind, key: &Key| self.origins.get(&(kind, key.clone())).cloned().unwrap_or_default();
        let mut errors = Vec::new();
        for definition in &self.workflows {
            let origin = origin(Kind::Workflow, &definition.key);
            errors.extend(check_definition(definition, &known).into_iter().map(|fault| {
                let place = origin.places.get(&label(&fault)).copied();
                CatalogError { file: origin.file.clone(), place, field: None, fault: Box::new(fault) }
            }));
        }
        for TriggerEntry { settings, .. } in &self.triggers {
            let origin = origin(Kind::Trigger, &settings.key);
            errors.extend(check_trigger(settings, &known).into_iter().map(|fault| {
                let field = fault.trigger_field();
                let place = origin.fields.nearest(&field).or_else(|| origin.fields.nearest("key"));
                CatalogError { file: origin.file.clone(), place, field: Some(field), fault: Box::new(fault) }
            }));
        }
        errors.extend(self.asks.keys().filter(|key| !known.templates.contains_key(*key)).map(|key| {
            let origin = origin(Kind::Asks, key);
            let place = origin.places.get("").copied();
            let fault = Box::new(Fault::UnknownAsked { template: key.clone() });
            CatalogError { file: origin.file, place, field: Some(key.to_string()), fault }
        }));
        errors
    }

    /// Takes in one file; answers what is wrong with it.
    fn read(&mut self, kind: Kind, file: &str, bytes: &[u8], trusted: bool) -> Vec<CatalogError> {
        match Source::new(file, bytes) {
            Ok(mut source) => {
                source.trusted = trusted;
                self.add(kind, file, &mut source);
                source.errors
            }
            Err(error) => vec![*error],
        }
    }

    /// Takes in a file of ways of asking, which speaks of many templates.
    fn add_asks(&mut self, file: &str, source: &mut Source<'_>) {
        for (key, asks) in source.asks(&mut self.known_asks).into_iter().flatten() {
            let place = source.fields.nearest(key.as_str());
            if let Some(first) = self.origins.get(&(Kind::Asks, key.clone())) {
                let fault = Fault::DuplicateKey { kind: Kind::Asks, key: key.clone(), first: first.file.clone() };
                let field = Some(key.to_string());
                source.errors.push(CatalogError { file: file.to_owned(), place, field, fault: Box::new(fault) });
                continue;
            }
            let places = place.map(|place| (String::new(), place)).into_iter().collect();
            let origin = Origin { file: file.to_owned(), places, ..Origin::default() };
            self.origins.insert((Kind::Asks, key.clone()), origin);
            self.asks.insert(key, asks);
        }
    }

    fn add(&mut self, kind: Kind, file: &str, source: &mut Source<'_>) {
        let key = match kind {
            Kind::Asks => return self.add_asks(file, source),
            Kind::Agent => source.agent().map(|agent| push(&mut self.agents, agent, |agent| &agent.key)),
            Kind::Template => source.template().map(|body| push(&mut self.templates, body, |body| &body.key)),
            Kind::Workflow => source.workflow().map(|found| push(&mut self.workflows, found, |found| &found.key)),
            Kind::Trigger => source.trigger().map(|found| push(&mut self.triggers, found, |found| &found.settings.key)),
        };
        let Some(key) = key else { return };
        let origin = Origin {
            layer: Layer::default(),
            file: file.to_owned(),
            places: std::mem::take(&mut source.places),
            fields: std::mem::take(&mut source.fields),
        };
        if let Some(first) = self.origins.get(&(kind, key.clone())) {
            let fault = Fault::DuplicateKey { kind, key, first: first.file.clone() };
            source.errors.push(CatalogError::unplaced(file, fault));
        } else {
            self.origins.insert((kind, key), origin);
        }
    }
}

/// Reads one agent; `file` is only for the errors.
///
/// # Errors
/// All that is wrong with it.
pub fn parse_agent(file: &str, text: &str) -> Result<Profile, CatalogErrors> {
    parse(file, text, |source| source.agent())
}

/// Reads one template; `file` is only for the errors.
///
/// # Errors
/// All that is wrong with it.
pub fn parse_template(file: &str, text: &str) -> Result<TemplateBody, CatalogErrors> {
    parse(file, text, |source| source.template())
}

/// Reads one workflow; `file` is only for the errors. Whether its agents and templates exist is
/// [`check_definition`]'s question.
///
/// # Errors
/// All that is wrong with it.
pub fn parse_workflow(file: &str, text: &str) -> Result<Definition, CatalogErrors> {
    parse(file, text, |source| source.workflow())
}

/// Reads one trigger; `file` is only for the errors. Whether its workflow exists is [`check_trigger`]'s question.
///
/// # Errors
/// All that is wrong with it.
pub fn parse_trigger(file: &str, text: &str) -> Result<TriggerEntry, CatalogErrors> {
    parse(file, text, |source| source.trigger())
}

/// A trigger as a file.
///
/// # Errors
/// When a value cannot be written as YAML, which no valid trigger has.
pub fn trigger_to_yaml(entry: &TriggerEntry) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(&trigger_file::TriggerFile::from(entry))
}

/// An agent as a catalogue file.
///
/// # Errors
/// When a value cannot be written as YAML, which no valid profile has.
pub fn agent_to_yaml(profile: &Profile) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(&agent_file::AgentFile::from(profile))
}

/// A template as a catalogue file.
///
/// # Errors
/// When a value cannot be written as YAML, which no valid template has.
pub fn template_to_yaml(body: &TemplateBody) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(&template_file::TemplateFile::from(body))
}

/// A workflow as a catalogue file.
///
/// # Errors
/// When a value cannot be written as YAML, which no valid definition has.
pub fn workflow_to_yaml(definition: &Definition) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(&workflow_file::WorkflowFile::from(definition))
}

fn parse<T>(file: &str, text: &str, read: fn(&mut Source<'_>) -> Option<T>) -> Result<T, CatalogErrors> {
    let mut source = Source::new(file, text.as_bytes()).map_err(|error| CatalogErrors(vec![*error]))?;
    match read(&mut source) {
        Some(value) if source.errors.is_empty() => Ok(value),
        _ => Err(CatalogErrors(source.errors)),
    }
}

fn push<T>(entries: &mut Vec<T>, entry: T, key: fn(&T) -> &Key) -> Key {
    let key = key(&entry).clone();
    entries.push(entry);
    key
}

/// The name under which [`parse()`] remembers where the cause of a fault stands.
fn label(fault: &Fault) -> String {
    match fault {
        Fault::UnknownAgent { step, .. } => format!("step `{step}`, agent"),
        Fault::UnknownTemplate { step, .. } => format!("step `{step}`, template"),
        Fault::UnknownParameter { step, name, .. } => format!("step `{step}`, input `{name}`"),
        Fault::MissingParameter { step, .. } => format!("step `{step}`"),
        _ => String::new(),
    }
}
