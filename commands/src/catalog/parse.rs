//! From the bytes of one file to a checked domain value, remembering where things stand.

use std::collections::BTreeMap;

use domain::agent::Profile;
use domain::template::TemplateBody;
use domain::{
    Agent, AgentCommand, AgentRefusal, Decide, Definition, DefinitionError, Template, TemplateCommand, TemplateRefusal,
};
use serde::Deserialize;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::MergeKeyPolicy;
use serde_saphyr::{Error, Location, MessageFormatter, Options, UserMessageFormatter};

use super::agent_file::AgentFile;
use super::asks_file::{self, AsksFile};
use super::places::FieldPlaces;
use super::schema;
use super::template_file::TemplateFile;
use super::text;
use super::trigger_file::TriggerFile;
use super::workflow_file::WorkflowFile;
use super::{CatalogError, Fault, Place, TriggerEntry};

/// The largest file that is read, in bytes.
pub(super) const MAX_FILE: usize = 1024 * 1024;

/// Where the parts of a file stand, by the names that the errors use for them.
pub(super) type Places = BTreeMap<String, Place>;

/// One file while it is read.
pub(super) struct Source<'a> {
    file: &'a str,
    text: &'a str,
    pub(super) places: Places,
    pub(super) fields: FieldPlaces,
    pub(super) errors: Vec<CatalogError>,
    /// Whether tests have found the file right, so that it need only be read.
    pub(super) trusted: bool,
}

impl<'a> Source<'a> {
    /// Takes the bytes of a file; what is no text is one error.
    pub(super) fn new(file: &'a str, bytes: &'a [u8]) -> Result<Self, Box<CatalogError>> {
        let fault = |fault| Box::new(CatalogError::unplaced(file, fault));
        if bytes.len() > MAX_FILE {
            return Err(fault(Fault::TooLarge));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| fault(Fault::NotUtf8 { at: error.valid_up_to() }))?;
        if text.trim().is_empty() {
            return Err(fault(Fault::Malformed("is empty".to_owned())));
        }
        Ok(Self {
            file,
            text,
            places: Places::new(),
            fields: FieldPlaces::of(text),
            errors: Vec::new(),
            trusted: false,
        })
    }

    pub(super) fn agent(&mut self) -> Option<Profile> {
        let profile = Profile::from(self.read::<AgentFile>()?);
        let asked = AgentCommand::Register { profile: Box::new(profile.clone()) };
        if let Err(refusal) = Agent::default().decide(asked) {
            // The domain's message starts with the name of the field.
            let field = match &refusal {
                AgentRefusal::InvalidProfile { what } => what.split(' ').next().unwrap_or_default(),
                AgentRefusal::NotFound => "",
            };
            self.error_at_field(field, Fault::Agent(refusal.clone()));
        }
        Some(profile)
    }

    pub(super) fn template(&mut self) -> Option<TemplateBody> {
        let body = TemplateBody::from(self.read::<TemplateFile>()?);
        if self.trusted {
            return Some(body);
        }
        let asked = TemplateCommand::Register { body: Box::new(body.clone()) };
        if let Err(refusal) = Template::default().decide(asked) {
            match refusal {
                TemplateRefusal::Invalid { field, what } => self.error_at_field(&field, Fault::Rule(what)),
                refusal => self.error_at_field("instructions", Fault::Template(refusal)),
            }
            return Some(body);
        }
        for (field, fault) in schema::check_template(&body) {
            self.error_at_field(&field, fault);
        }
        Some(body)
    }

    pub(super) fn asks(&mut self, known: &mut asks_file::Known) -> Option<AsksFile> {
        let asks = self.read::<AsksFile>()?;
        if !self.trusted {
            for (field, fault) in asks_file::check(&asks, self.file, known) {
                self.error_at_field(&field, fault);
            }
        }
        Some(asks)
    }

    pub(super) fn trigger(&mut self) -> Option<TriggerEntry> {
        let Some(entry) = self.read::<TriggerFile>()?.into_entry() else {
            self.error(None, None, Fault::TriggerKind);
            return None;
        };
        if let Err(refusal) = entry.settings.check(crate::now()) {
            self.error(None, None, Fault::Trigger(refusal));
        }
        if let Err(refusal) = crate::triggers::check_types(&entry.settings) {
            self.error_at_field("event.types", Fault::Trigger(refusal));
        }
        Some(entry)
    }

    pub(super) fn workflow(&mut self) -> Option<Definition> {
        let file = self.read::<WorkflowFile>()?;
        self.remember_steps(&file);
        let (definition, faults) = file.into_definition();
        for fault in faults {
            let Fault::StepKind { step, .. } = &fault else { continue };
            let place = self.places.get(&format!("step `{step}`")).copied();
            self.error(place, None, fault);
        }
        for error in definition.validate().err().unwrap_or_default() {
            match &error {
                DefinitionError::InputSchemaNotObject => {
                    self.error_at_field("input_schema", Fault::Definition(error));
                }
                DefinitionError::WorkflowOutOfRange { .. } => self.error_at_field("timeout", Fault::Definition(error)),
                DefinitionError::NoSteps | DefinitionError::TooManySteps { .. } => {
                    self.error_at_field("steps", Fault::Definition(error));
                }
                _ => {
                    let place = self.places.get(&label(&error)).copied();
                    self.error(place, None, Fault::Definition(error));
                }
            }
        }
        for fault in schema::check(&definition.input_schema) {
            self.error_at_field("input_schema", fault);
        }
        Some(definition)
    }

    /// Remembers where the steps and their mappings stand, under the names by which [`DefinitionError`] and
    /// [`Fault`] call them. A step's name that appears twice stands where it appears last.
    fn remember_steps(&mut self, file: &WorkflowFile) {
        let mut remember = |name: String, at: Location| {
            if let Some(place) = place(at) {
                self.places.insert(name, place);
            }
        };
        for step in &file.steps {
            let name = &step.name.value;
            remember(format!("step `{name}`"), step.name.referenced);
            if let Some(agent) = &step.agent {
                remember(format!("step `{name}`, agent"), agent.referenced);
            }
            if let Some(template) = &step.template {
                remember(format!("step `{name}`, template"), template.referenced);
            }
            let until = step.wait.as_ref().and_then(|wait| wait.until.as_ref());
            let over = step.for_each.as_ref().map(|each| &each.over);
            for (what, expression) in [("when", step.when.as_ref()), ("wait.until", until), ("for_each.over", over)] {
                if let Some(expression) = expression {
                    remember(format!("step `{name}`, {what}"), expression.referenced);
                }
            }
            let mappings = [
                ("input", Some(&step.input)),
                ("approval.content", step.approval.as_ref().map(|approval| &approval.content)),
                ("run.input", step.run.as_ref().map(|run| &run.input)),
                ("compensation input", step.compensation.as_ref().map(|undo| &undo.input)),
            ];
            for (what, mapping) in mappings {
                for (key, expression) in mapping.into_iter().flatten() {
                    remember(format!("step `{name}`, {what} `{key}`"), expression.referenced);
                }
            }
            for (key, expression) in &step.output {
                remember(format!("step `{name}`, output `{key}`"), expression.referenced);
            }
        }
        for (key, expression) in &file.output {
            remember(format!("run output `{key}`"), expression.referenced);
        }
    }

    fn read<T: for<'de> Deserialize<'de>>(&mut self) -> Option<T> {
        let mut field = None;
        let read = serde_saphyr::with_deserializer_from_str_with_options(self.text, options(), |deserializer| {
            serde_path_to_error::deserialize(deserializer).map_err(|error| {
                field = path(error.path());
                error.into_inner()
            })
        });
        match read {
            Ok(value) => Some(value),
            Err(error) => {
                let fault = malformed(&error);
                // What the parser itself refuses has no field; the last one read would only mislead.
                let field = field.filter(|_| matches!(fault, Fault::Malformed(_)));
                self.error(error.location().and_then(place), field, fault);
                None
            }
        }
    }

    fn error_at_field(&mut self, field: &str, fault: Fault) {
        self.error(self.fields.nearest(field), (!field.is_empty()).then(|| field.to_owned()), fault);
    }

    fn error(&mut self, place: Option<Place>, field: Option<String>, fault: Fault) {
        self.errors.push(CatalogError { file: self.file.to_owned(), place, field, fault: Box::new(fault) });
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_anchors: 0,
            max_aliases: 0,
            max_merge_keys: 0,
            max_documents: 1,
            max_nodes: 100_000,
            max_depth: 64,
            flow_nesting_limit: 64,
        },
        merge_keys: MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        strict_booleans: true,
        with_snippet: false,
    }
}

fn malformed(error: &Error) -> Fault {
    match error.without_snippet() {
        Error::Budget { breach: BudgetBreach::Anchors { .. } | BudgetBreach::Aliases { .. }, .. }
        | Error::Budget { breach: BudgetBreach::MergeKeys { .. }, .. }
        | Error::MergeKeyNotAllowed { .. }
        | Error::UnknownAnchor { .. } => Fault::Alias,
        Error::Budget { breach: BudgetBreach::Documents { .. }, .. } | Error::MultipleDocuments { .. } => {
            Fault::Malformed("a file describes one thing; there is a second YAML document in it".to_owned())
        }
        Error::Budget { .. } => Fault::TooComplex,
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            Fault::Malformed(format!("`{key}` stands here a second time"))
        }
        other => {
            let message = UserMessageFormatter.format_message(other);
            // Some libraries draw the place on further lines; it is known without that.
            match message.lines().next().unwrap_or_default() {
                "recursion limit exceeded" => Fault::TooComplex,
                line if line.ends_with(text::EXPECTED) => Fault::Malformed(format!("{} belongs here", text::EXPECTED)),
                "expected string scalar" => Fault::Malformed("a text belongs here".to_owned()),
                "expected mapping start" => Fault::Malformed("fields (`name: value`) belong here".to_owned()),
                "expected sequence start" => Fault::Malformed("a list belongs here".to_owned()),
                "invalid u32" => Fault::Malformed("a whole number from 0 to 4294967295 belongs here".to_owned()),
                line => Fault::Malformed(line.to_owned()),
            }
        }
    }
}

/// The place as people count it; nothing when the library does not know it.
fn place(at: Location) -> Option<Place> {
    (at.line() > 0).then(|| Place { line: at.line(), column: at.column() })
}

/// A field's name as an author would say it. The wrapper that remembers places shows as a field `value` at the end.
fn path(path: &serde_path_to_error::Path) -> Option<String> {
    let text = path.to_string();
    let text = text.strip_suffix(".value").unwrap_or(&text);
    // Between two fields there is none, which shows as a question mark.
    (!text.is_empty() && text != "." && !text.ends_with('?')).then(|| text.to_owned())
}

fn label(error: &DefinitionError) -> String {
    match error {
        DefinitionError::DuplicateStep { name: step }
        | DefinitionError::UnknownStep { step, .. }
        | DefinitionError::OutOfRange { step, .. } => format!("step `{step}`"),
        DefinitionError::Cycle { cycle } => cycle.first().map(|step| format!("step `{step}`")).unwrap_or_default(),
        DefinitionError::MappingToNowhere { place, .. } | DefinitionError::BadExpression { place, .. } => place.clone(),
        DefinitionError::NoSteps
        | DefinitionError::TooManySteps { .. }
        | DefinitionError::InputSchemaNotObject
        | DefinitionError::WorkflowOutOfRange { .. } => String::new(),
    }
}
