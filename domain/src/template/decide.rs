use serde_json::Value;

use super::{RenderError, TemplateBody};
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
    /// A part of the template makes no sense.
    #[error("the template is not valid: {field}: {what}")]
    Invalid {
        /// Which part, as catalogue files call it, such as `checklist[2].check`.
        field: String,
        /// What is wrong, and what would be right.
        what: String,
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
    if let Some((field, what)) = problem(&body) {
        return Err(TemplateRefusal::Invalid { field, what });
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

/// The first part of a template that makes no sense, and why.
fn problem(body: &TemplateBody) -> Option<(String, String)> {
    let is_object = |schema: &Value| schema.get("type").and_then(Value::as_str) == Some("object");
    let blank = "must not be empty";
    let rules = [
        (!body.title.is_blank(), "title", blank),
        (!body.instructions.trim().is_empty(), "instructions", blank),
        (is_object(&body.parameters), "parameters", "must be a JSON Schema of type `object`"),
        (body.result.as_ref().is_none_or(|text| !text.is_blank()), "result", blank),
        (body.output_schema.as_ref().is_none_or(is_object), "output_schema", "must be a JSON Schema of type `object`"),
        (body.example.as_ref().is_none_or(|example| !example.request.is_blank()), "example.request", blank),
    ];
    if let Some((_, field, what)) = rules.into_iter().find(|(holds, ..)| !holds) {
        return Some((field.to_owned(), what.to_owned()));
    }
    let of_item = |(index, item): (usize, &super::ChecklistItem)| {
        if item.text.is_blank() {
            return Some((format!("checklist[{index}].text"), blank.to_owned()));
        }
        let what = item.check.as_ref()?.problem(body)?;
        Some((format!("checklist[{index}].check"), what))
    };
    body.checklist.iter().enumerate().find_map(of_item)
}
