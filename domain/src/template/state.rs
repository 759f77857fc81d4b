use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, LazyLock};

use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::slices::without_slices;
use super::{ChecklistItem, Example};
use crate::{Bilingual, Capability, Key, PlatformTag, TemplateEvent};

/// How all instructions are rendered. Instructions are prose, not HTML: nothing is escaped.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment
});

/// Everything that makes a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemplateBody {
    /// The template's key.
    pub key: Key,
    /// The title that people read.
    pub title: Bilingual,
    /// When to use it.
    pub description: Bilingual,
    /// Whose it is.
    pub department: String,
    /// What an agent must be able to do to carry it out.
    pub capability: Option<Capability>,
    /// Free words for finding it.
    pub tags: Vec<String>,
    /// JSON Schema (2020-12) of the parameters, an object schema.
    pub parameters: Value,
    /// The instructions, a Jinja template over the parameters; an unknown name is an error.
    pub instructions: String,
    /// What a good result contains.
    pub result: Option<Bilingual>,
    /// By what a result is scored.
    pub checklist: Vec<ChecklistItem>,
    /// JSON Schema (2020-12) of structured data that comes beside the text, an object schema.
    pub output_schema: Option<Value>,
    /// An example of use.
    pub example: Option<Example>,
    /// What every platform must be tagged with that is asked to carry it out, besides what the agent and the installation
    /// demand.
    #[serde(default)]
    pub residency: BTreeSet<PlatformTag>,
}

/// Instructions that could not be made from their parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template `{key}`: {message}")]
pub struct RenderError {
    /// Which template.
    pub key: Key,
    /// What the template engine says, with the line.
    pub message: String,
}

impl TemplateBody {
    /// The key of the template for what no other template describes; its parameter `request` says what is wanted. It is
    /// taken by name and never found: it would fit everything a little.
    pub const FREE_REQUEST: &'static str = "free-request";

    /// The key of the template by which a model reads parameters out of a request. It is for programs, so it is never found,
    /// either.
    pub const READ_PARAMETERS: &'static str = "read-parameters";

    /// The parameter that names the language of the answer, by its English name.
    pub const ANSWER_LANGUAGE: &'static str = "answer_language";

    /// The key of the template with which judges are asked about answers. It is taken by name and never found.
    pub const JUDGEMENT: &'static str = "quality-judgement";

    /// The keys of templates that are never found.
    pub const UNFOUND: [&'static str; 3] = [Self::FREE_REQUEST, Self::JUDGEMENT, Self::READ_PARAMETERS];

    /// Whether it is taken by its name only and never found.
    #[must_use]
    pub fn is_by_name_only(&self) -> bool {
        Self::UNFOUND.contains(&self.key.as_str())
    }

    /// A template with no more than a template needs.
    #[must_use]
    pub fn new(key: Key, title: impl Into<Bilingual>, parameters: Value, instructions: impl Into<String>) -> Self {
        Self {
            key,
            title: title.into(),
            description: Bilingual::default(),
            department: String::new(),
            capability: None,
            tags: Vec::new(),
            parameters,
            instructions: instructions.into(),
            result: None,
            checklist: Vec::new(),
            output_schema: None,
            example: None,
            residency: BTreeSet::new(),
        }
    }

    /// The instructions with the parameters filled in.
    ///
    /// # Errors
    /// When the template is not valid Jinja, or names something that is not among the parameters.
    pub fn render(&self, parameters: &Value) -> Result<String, RenderError> {
        ENVIRONMENT
            .render_str(&self.instructions, minijinja::value::Serde(parameters))
            .map_err(|error| self.error(&error))
    }

    /// The names that the instructions read and the parameters do not have.
    ///
    /// # Errors
    /// When the instructions are not valid Jinja.
    pub fn unknown_names(&self) -> Result<Vec<String>, RenderError> {
        let mut unknown: Vec<String> =
            self.names_read()?.into_iter().filter(|name| !self.has_parameter(name)).collect();
        unknown.sort_unstable();
        Ok(unknown)
    }

    /// The parameters that the instructions do not read, in the order in which they are described.
    ///
    /// # Errors
    /// When the instructions are not valid Jinja.
    pub fn unused_parameters(&self) -> Result<Vec<&str>, RenderError> {
        let read = self.names_read()?;
        let properties = self.parameters.get("properties").and_then(Value::as_object);
        let names = properties.into_iter().flatten().map(|(name, _)| name.as_str());
        Ok(names.filter(|name| !read.contains(*name)).collect())
    }

    /// Whether it has a parameter of this name.
    pub(super) fn has_parameter(&self, name: &str) -> bool {
        self.parameters.get("properties").and_then(Value::as_object).is_some_and(|known| known.contains_key(name))
    }

    /// The names that the instructions read.
    fn names_read(&self) -> Result<HashSet<String>, RenderError> {
        ENVIRONMENT.template_from_str(&self.instructions).map_err(|error| self.error(&error))?;
        let copy = without_slices(&self.instructions);
        let template = ENVIRONMENT.template_from_str(&copy).map_err(|error| self.error(&error))?;
        Ok(template.undeclared_variables(false))
    }

    fn error(&self, error: &minijinja::Error) -> RenderError {
        RenderError { key: self.key.clone(), message: error.to_string() }
    }
}

/// A template: all its versions.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Template {
    versions: Vec<Arc<TemplateBody>>,
}

impl Template {
    /// The newest body; `None` when the template does not exist.
    #[must_use]
    pub fn body(&self) -> Option<&Arc<TemplateBody>> {
        self.versions.last()
    }

    /// The newest body's version, from 1; 0 when the template does not exist.
    #[must_use]
    pub fn version(&self) -> u32 {
        u32::try_from(self.versions.len()).unwrap_or(u32::MAX)
    }

    /// The body as of a version.
    #[must_use]
    pub fn body_at(&self, version: u32) -> Option<&Arc<TemplateBody>> {
        self.versions.get(usize::try_from(version.checked_sub(1)?).ok()?)
    }

    pub(super) fn fold(&mut self, event: TemplateEvent) {
        match event {
            TemplateEvent::Registered { body } | TemplateEvent::Revised { body, .. } => {
                self.versions.push(Arc::from(body));
            }
        }
    }
}
