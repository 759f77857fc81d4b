//! By what a result is scored: items that people read, some of which a program can decide. Deciding them is the
//! business of whoever scores; here they are only described and checked for sense.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::TemplateBody;
use crate::Bilingual;

/// One thing that a good result has or does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChecklistItem {
    /// What it is, for people and for a judge.
    pub text: Bilingual,
    /// How a program decides it; without one it is left to a judge.
    pub check: Option<Check>,
}

/// What a program can decide about an answer. Words are runs of letters and digits between spaces; headings, lists,
/// tables and code blocks are those of Markdown; texts are compared whatever their case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// It has at least so many words.
    MinWords(u32),
    /// It has at most so many words.
    MaxWords(u32),
    /// A heading contains this text, in the one language or the other.
    ContainsHeading(Bilingual),
    /// It has at least so many headings.
    MinHeadings(u32),
    /// It has at least so many list items.
    MinListItems(u32),
    /// It has at most so many list items.
    MaxListItems(u32),
    /// It has a table with at least so many rows below its head.
    MinTableRows(u32),
    /// It has a fenced code block.
    ContainsCodeBlock,
    /// The value of this parameter appears; of a list, every item.
    Mentions(String),
    /// At least one of these texts appears.
    ContainsAny(Vec<String>),
    /// None of these texts appears.
    Omits(Vec<String>),
    /// There is structured data, and it fits the template's output schema.
    FitsOutputSchema,
}

impl Check {
    /// What is wrong with it, as a check on results of this template.
    pub(super) fn problem(&self, body: &TemplateBody) -> Option<String> {
        match self {
            Self::MinWords(0) | Self::MinHeadings(0) | Self::MinListItems(0) | Self::MinTableRows(0) => {
                Some("a least number must be at least 1, because everything has 0".to_owned())
            }
            Self::MaxWords(0) => Some("max_words must be at least 1".to_owned()),
            Self::ContainsHeading(heading) if heading.is_blank() => Some("the heading must not be empty".to_owned()),
            Self::ContainsAny(texts) | Self::Omits(texts)
                if texts.is_empty() || texts.iter().any(|text| text.trim().is_empty()) =>
            {
                Some("at least one text belongs here, and none may be empty".to_owned())
            }
            Self::Mentions(name) if !body.has_parameter(name) => {
                Some(format!("mentions `{name}`, which is no parameter of the template"))
            }
            Self::FitsOutputSchema if body.output_schema.is_none() => {
                Some("asks for an output_schema, but the template has none".to_owned())
            }
            _ => None,
        }
    }
}

/// An example of use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// How a person would ask.
    pub request: Bilingual,
    /// The parameters that follow from the request.
    pub parameters: Value,
    /// The same with Arabic values.
    pub parameters_ar: Option<Value>,
}
