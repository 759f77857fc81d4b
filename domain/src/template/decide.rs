use serde_json::Value;

use super::RenderError;
use crate::{Refusal, Template, TemplateCommand, TemplateEvent};

/// Why a template refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateRefusal {
    /// The instructions are not valid Jinja.
    #[error(transparent)]
    Unreadable(RenderError),
    /// The instructions use names that are no parameters.
    #[error("the instructions use {}, which are no parameters of the template", .names.join(", "))]
    UnknownNames {
        /// The names.
        names: Vec<String>,
    },
    /// The parameters are not described by an object schema, or there are no instructions.
    #[error("the template is not valid: {what}")]
    Invalid {
        /// What is wrong.
        what: &'static str,
    },
}

impl Refusal for TemplateRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "TEMPLATE_UNREADABLE",
            Self::UnknownNames { .. } => "TEMPLATE_UNKNOWN_NAMES",
            Self::Invalid { .. } => "TEMPLATE_INVALID",
        }
    }
}

pub(super) fn decide(state: &Template, command: TemplateCommand) -> Result<Vec<TemplateEvent>, TemplateRefusal> {
    let TemplateCommand::Register { body } = command;
    if body.instructions.trim().is_empty() {
        return Err(TemplateRefusal::Invalid { what: "the instructions are empty" });
    }
    if body.parameters.get("type").and_then(Value::as_str) != Some("object") {
        return Err(TemplateRefusal::Invalid { what: "the parameters must be a JSON Schema of type `object`" });
    }
    let names = body.unknown_names().map_err(TemplateRefusal::Unreadable)?;
    if !names.is_empty() {
        return Err(TemplateRefusal::UnknownNames { names });
    }
    Ok(match state.body() {
        None => vec![TemplateEvent::Registered { body }],
        Some(known) if **known == *body => vec![],
        Some(_) => vec![TemplateEvent::Revised { version: state.version() + 1, body }],
    })
}
