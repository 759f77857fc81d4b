use std::fmt;

use domain::{AgentRefusal, DefinitionError, Key, StepName, TemplateRefusal, TriggerRefusal};

use super::Kind;

/// A place in a file; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The character within the line.
    pub column: u64,
}

/// One thing that is wrong with a catalogue file. Its text form is `file:line:column: field: what is wrong`, with the
/// parts that are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogError {
    /// The file, as it was named by whoever gave it.
    pub file: String,
    /// Where in the file.
    pub place: Option<Place>,
    /// The field, such as `steps[1].retry.first_backoff`.
    pub field: Option<String>,
    /// What is wrong.
    pub fault: Box<Fault>,
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if let Some(field) = &self.field {
            write!(f, ": {field}")?;
        }
        write!(f, ": {}", self.fault)
    }
}

impl CatalogError {
    /// About a file as a whole.
    pub(super) fn unplaced(file: &str, fault: Fault) -> Self {
        Self { file: file.to_owned(), place: None, field: None, fault: Box::new(fault) }
    }
}

impl std::error::Error for CatalogError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.fault)
    }
}

/// What can be wrong with a catalogue file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file system refuses.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// Nothing of a catalogue is there.
    #[error("is no catalogue: there is no folder agents, templates, workflows, triggers or asks in it")]
    NotACatalogue,
    /// The file's folder does not say what the file describes.
    #[error(
        "a catalogue file stands below a folder agents, templates, workflows, triggers or asks, which says what it describes"
    )]
    UnknownFolder,
    /// More than anybody writes by hand.
    #[error("is larger than 1 MiB, the most that a catalogue file may have")]
    TooLarge,
    /// Not text.
    #[error("is not UTF-8; the first wrong byte is byte {at} (counted from 0)")]
    NotUtf8 {
        /// The offset of the first wrong byte.
        at: usize,
    },
    /// A rule of catalogues, told in its own words.
    #[error("{0}")]
    Rule(String),
    /// Not YAML, or YAML that does not fit the format.
    #[error("{0}")]
    Malformed(String),
    /// YAML with anchors, aliases or merge keys, by which a small file can stand for an immense one.
    #[error("anchors, aliases and merge keys are not allowed in catalogue files; write the value out")]
    Alias,
    /// Deeper or larger than anybody writes by hand.
    #[error("is nested more than 64 levels deep or holds more than 100000 values")]
    TooComplex,
    /// Two files describe the same thing.
    #[error("the {kind} `{key}` is described in {first} too; keys must be unique")]
    DuplicateKey {
        /// What kind of thing.
        kind: Kind,
        /// Its key.
        key: Key,
        /// The other file.
        first: String,
    },
    /// The rules of workflow definitions.
    #[error(transparent)]
    Definition(DefinitionError),
    /// The rules of agents.
    #[error(transparent)]
    Agent(AgentRefusal),
    /// The rules of templates.
    #[error(transparent)]
    Template(TemplateRefusal),
    /// The rules of triggers.
    #[error(transparent)]
    Trigger(TriggerRefusal),
    /// A trigger that waits for nothing, or for several things.
    #[error("a trigger has exactly one of `schedule`, `event` and `external`")]
    TriggerKind,
    /// A schema that is no JSON Schema.
    #[error("is no JSON Schema: {0}")]
    Schema(String),
    /// An example or default that its own schema forbids.
    #[error("{what} does not fit its own schema: {why}")]
    Sample {
        /// Which example or default.
        what: String,
        /// What the schema says against it.
        why: String,
    },
    /// An example with which the instructions cannot be rendered.
    #[error(
        "{what} cannot be rendered: {why}; give the parameter a `default`, require it, or ask whether it `is defined`"
    )]
    Unrenderable {
        /// Which example.
        what: String,
        /// What the template engine says.
        why: String,
    },
    /// A step whose parts do not make one kind of step.
    #[error("step `{step}` {what}")]
    StepKind {
        /// The step.
        step: StepName,
        /// What is wrong with it.
        what: String,
    },
    /// A step's agent that does not exist.
    #[error("step `{step}` asks for the agent `{agent}`, which does not exist; known are {known}")]
    UnknownAgent {
        /// The step.
        step: StepName,
        /// The agent.
        agent: Key,
        /// The agents that exist.
        known: String,
    },
    /// A step's template that does not exist.
    #[error("step `{step}` uses the template `{template}`, which does not exist; known are {known}")]
    UnknownTemplate {
        /// The step.
        step: StepName,
        /// The template.
        template: Key,
        /// The templates that exist.
        known: String,
    },
    /// Ways of asking for a template that does not exist.
    #[error("there is no template `{template}` for which anybody could ask")]
    UnknownAsked {
        /// The template.
        template: Key,
    },
    /// A step gives its template something that it does not take.
    #[error("step `{step}` gives `{name}`, which is no parameter of the template `{template}`; it has {known}")]
    UnknownParameter {
        /// The step.
        step: StepName,
        /// The template.
        template: Key,
        /// What the step gives.
        name: StepName,
        /// What the template takes.
        known: String,
    },
    /// A step leaves out what its template needs.
    #[error("step `{step}` does not give `{name}`, which the template `{template}` requires; add it to the input")]
    MissingParameter {
        /// The step.
        step: StepName,
        /// The template.
        template: Key,
        /// What is missing.
        name: String,
    },
    /// A trigger's workflow that does not exist.
    #[error("the workflow `{workflow}` does not exist; known are {known}")]
    UnknownWorkflow {
        /// The workflow.
        workflow: Key,
        /// The workflows that exist.
        known: String,
    },
    /// A trigger gives its workflow something that it does not take.
    #[error("`{name}` is no input of the workflow `{workflow}`; it has {known}")]
    UnknownInput {
        /// The workflow.
        workflow: Key,
        /// What the trigger gives.
        name: StepName,
        /// What the workflow takes.
        known: String,
    },
    /// A trigger leaves out what its workflow needs.
    #[error("`{name}` is not given, which the workflow `{workflow}` requires; add it to the input")]
    MissingInput {
        /// The workflow.
        workflow: Key,
        /// What is missing.
        name: String,
    },
}

impl Fault {
    /// The field of a trigger's file that is wrong.
    pub(super) fn trigger_field(&self) -> String {
        match self {
            Self::UnknownWorkflow { .. } => "workflow".to_owned(),
            Self::UnknownInput { name, .. } => format!("input.{name}"),
            _ => "input".to_owned(),
        }
    }
}

/// Everything that is wrong with a catalogue; at least one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogErrors(pub(super) Vec<CatalogError>);

impl CatalogErrors {
    /// Each, in the order of the files.
    #[must_use]
    pub fn as_slice(&self) -> &[CatalogError] {
        &self.0
    }
}

impl fmt::Display for CatalogErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for CatalogErrors {}
