use std::sync::{Arc, LazyLock};

use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Key, TemplateEvent};

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
    pub title: String,
    /// When to use it.
    pub description: String,
    /// Whose it is.
    pub department: String,
    /// What an agent must be able to do to carry it out.
    pub capability: Option<String>,
    /// Free words for finding it.
    pub tags: Vec<String>,
    /// JSON Schema (2020-12) of the parameters, an object schema.
    pub parameters: Value,
    /// The instructions, a Jinja template over the parameters; an unknown name is an error.
    pub instructions: String,
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
        let template = ENVIRONMENT.template_from_str(&self.instructions).map_err(|error| self.error(&error))?;
        let known = self.parameters.get("properties").and_then(Value::as_object);
        let mut unknown: Vec<String> = template
            .undeclared_variables(false)
            .into_iter()
            .filter(|name| !known.is_some_and(|known| known.contains_key(name)))
            .collect();
        unknown.sort_unstable();
        Ok(unknown)
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
