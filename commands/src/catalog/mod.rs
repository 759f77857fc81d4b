//! Catalogues: agents, templates and workflows in files, one entry a file.
//!
//! A catalogue is read as a whole: either every file is right, or all that is wrong is reported at once with file,
//! line and field, and nothing comes of it. Reading decides nothing and records nothing; registering is the business
//! of the commands, so what a catalogue brings in is judged by the same rules as what a person asks for.
//!
//! A file cannot stand for more than it shows: anchors, aliases and merge keys are refused, and so are files over
//! 1 MiB, deep nesting, repeated fields and unknown fields.

mod check;
mod error;
mod format;
mod parse;
mod scalar;
mod schema;
mod starter;
#[cfg(test)]
mod tests;
mod workflow_file;
#[cfg(test)]
mod workflow_tests;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use domain::agent::Profile;
use domain::template::TemplateBody;
use domain::{Definition, Key};

pub use check::{Known, check_definition};
pub use error::{CatalogError, CatalogErrors, Fault, Place};
use parse::{MAX_FILE, Places, Source};

/// What a catalogue file describes; its folder says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An agent, in the folder `agents`.
    Agent,
    /// A template, in the folder `templates`.
    Template,
    /// A workflow, in the folder `workflows`.
    Workflow,
}

impl Kind {
    /// Every kind, in the order in which entries can be registered: what is named comes before what names it.
    pub const ALL: [Self; 3] = [Self::Agent, Self::Template, Self::Workflow];

    /// The folder of its files.
    #[must_use]
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Agent => "agents",
            Self::Template => "templates",
            Self::Workflow => "workflows",
        }
    }

    fn of_file(name: &str) -> Option<Self> {
        let folder = name.rsplit('/').nth(1)?;
        Self::ALL.into_iter().find(|kind| kind.folder() == folder)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Agent => "agent",
            Self::Template => "template",
            Self::Workflow => "workflow",
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
    /// Where each entry came from.
    origins: BTreeMap<(Kind, Key), Origin>,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Origin {
    file: String,
    places: Places,
}

impl Catalog {
    /// The catalogue that comes with the program.
    ///
    /// # Errors
    /// Never in a program whose tests passed: they read the same files.
    pub fn starter() -> Result<Self, CatalogErrors> {
        Self::from_files(starter::FILES)
    }

    /// Reads the YAML files in the folders `agents`, `templates` and `workflows` of a directory; whatever else is
    /// there is left alone. Blocks on the file system.
    ///
    /// # Errors
    /// All that is wrong, in the order of the files.
    pub fn read_dir(directory: impl AsRef<Path>) -> Result<Self, CatalogErrors> {
        let directory = directory.as_ref();
        let mut files = Vec::new();
        let mut errors = Vec::new();
        let mut found = false;
        for kind in Kind::ALL {
            let folder = directory.join(kind.folder());
            if !folder.is_dir() {
                continue;
            }
            found = true;
            match yaml_files(&folder) {
                Ok(names) => {
                    for name in names {
                        match read_file(Path::new(&name)) {
                            Ok(bytes) => files.push((name, bytes)),
                            Err(error) => errors.push(unplaced(&name, Fault::Unreadable(error.to_string()))),
                        }
                    }
                }
                Err(error) => {
                    errors.push(unplaced(&folder.display().to_string(), Fault::Unreadable(error.to_string())));
                }
            }
        }
        if !found {
            errors.push(unplaced(&directory.display().to_string(), Fault::NotACatalogue));
        }
        match Self::from_files(files) {
            Ok(catalog) if errors.is_empty() => Ok(catalog),
            Ok(_) => Err(CatalogErrors(errors)),
            Err(CatalogErrors(more)) => {
                errors.extend(more);
                Err(CatalogErrors(errors))
            }
        }
    }

    /// Reads files that are in memory already, each with its name, such as `agents/analyst.yaml`; the last folder of
    /// the name says what the file describes.
    ///
    /// # Errors
    /// All that is wrong, in the order of the files.
    pub fn from_files<N: AsRef<str>, B: AsRef<[u8]>>(
        files: impl IntoIterator<Item = (N, B)>,
    ) -> Result<Self, CatalogErrors> {
        let mut catalog = Self::default();
        let mut errors = Vec::new();
        for (name, bytes) in files {
            let name = name.as_ref();
            match (Kind::of_file(name), Source::new(name, bytes.as_ref())) {
                (None, _) => errors.push(unplaced(name, Fault::UnknownFolder)),
                (_, Err(error)) => errors.push(*error),
                (Some(kind), Ok(mut source)) => {
                    catalog.add(kind, name, &mut source);
                    errors.append(&mut source.errors);
                }
            }
        }
        if errors.is_empty() { Ok(catalog) } else { Err(CatalogErrors(errors)) }
    }

    /// What in the workflows does not fit the agents and templates of this catalogue, in the order of the files.
    #[must_use]
    pub fn check(&self) -> Vec<CatalogError> {
        self.check_against(&Known::default())
    }

    /// As [`check`](Self::check), where the workflows may also name what is known elsewhere; an entry of the
    /// catalogue stands before one of the same key elsewhere.
    #[must_use]
    pub fn check_against(&self, elsewhere: &Known) -> Vec<CatalogError> {
        let mut known = elsewhere.clone();
        known.agents.extend(self.agents.iter().map(|agent| agent.key.clone()));
        known.templates.extend(self.templates.iter().map(|body| (body.key.clone(), Arc::new(body.clone()))));
        let check = |definition: &Definition| {
            let origin = self.origins.get(&(Kind::Workflow, definition.key.clone())).cloned().unwrap_or_default();
            check_definition(definition, &known).into_iter().map(move |fault| {
                let place = origin.places.get(&label(&fault)).copied();
                CatalogError { file: origin.file.clone(), place, field: None, fault }
            })
        };
        self.workflows.iter().flat_map(check).collect()
    }

    fn add(&mut self, kind: Kind, file: &str, source: &mut Source<'_>) {
        let key = match kind {
            Kind::Agent => source.agent().map(|agent| push(&mut self.agents, agent, |agent| &agent.key)),
            Kind::Template => source.template().map(|body| push(&mut self.templates, body, |body| &body.key)),
            Kind::Workflow => source.workflow().map(|found| push(&mut self.workflows, found, |found| &found.key)),
        };
        let Some(key) = key else { return };
        let origin = Origin { file: file.to_owned(), places: std::mem::take(&mut source.places) };
        if let Some(first) = self.origins.get(&(kind, key.clone())) {
            let fault = Fault::DuplicateKey { kind, key, first: first.file.clone() };
            source.errors.push(unplaced(file, fault));
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

/// An agent as a catalogue file.
///
/// # Errors
/// When a value cannot be written as YAML, which no valid profile has.
pub fn agent_to_yaml(profile: &Profile) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(&format::AgentFile::from(profile))
}

/// A template as a catalogue file.
///
/// # Errors
/// When a value cannot be written as YAML, which no valid template has.
pub fn template_to_yaml(body: &TemplateBody) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(&format::TemplateFile::from(body))
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

fn unplaced(file: &str, fault: Fault) -> CatalogError {
    CatalogError { file: file.to_owned(), place: None, field: None, fault }
}

/// The regular YAML files of a folder, sorted by name.
fn yaml_files(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if is_yaml && path.is_file() {
            names.push(path.to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// A file's bytes, at most one more than allowed, so that an immense file is refused without being held.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}
