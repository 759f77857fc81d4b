//! The file of a template, and its conversion to the domain and back.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use domain::template::{Check, ChecklistItem, Example, TemplateBody};
use domain::{Bilingual, Capability, Key, PlatformTag};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::text::{Text, prose};

/// How [`TemplateBody::ANSWER_LANGUAGE`] is described, which instructions may read without its being described.
static ANSWER_LANGUAGE_SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "type": "string",
        "title": "Language of the answer",
        "x-title-ar": "لغة الإجابة",
        "description": "By its English name.",
        "x-description-ar": "باسمها باللغة الإنجليزية.",
        "minLength": 2,
        "maxLength": 60,
        "default": "English",
        "examples": ["English", "Arabic"],
    })
});

/// A template as its author writes it; docs/use/catalogue.md describes the fields.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TemplateFile {
    key: Key,
    title: Text,
    description: Text,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    department: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capability: Option<Capability>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    residency: BTreeSet<PlatformTag>,
    parameters: Value,
    instructions: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<Text>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    checklist: Vec<ItemFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_schema: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    example: Option<ExampleFile>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemFile {
    text: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    check: Option<CheckFile>,
}

/// The words of [`Check`] in files.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CheckFile {
    MinWords(u32),
    MaxWords(u32),
    ContainsHeading(Text),
    MinHeadings(u32),
    MinListItems(u32),
    MaxListItems(u32),
    MinTableRows(u32),
    ContainsCodeBlock,
    Mentions(String),
    ContainsAny(Vec<String>),
    Omits(Vec<String>),
    FitsOutputSchema,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExampleFile {
    request: Text,
    parameters: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parameters_ar: Option<Value>,
}

impl From<TemplateFile> for TemplateBody {
    fn from(file: TemplateFile) -> Self {
        let mut body = Self {
            key: file.key,
            title: file.title.0,
            description: file.description.0,
            department: file.department,
            capability: file.capability,
            tags: file.tags,
            parameters: file.parameters,
            instructions: prose(&file.instructions),
            result: file.result.map(|text| text.0),
            checklist: file.checklist.into_iter().map(ChecklistItem::from).collect(),
            output_schema: file.output_schema,
            example: file.example.map(Example::from),
            residency: file.residency,
        };
        describe_answer_language(&mut body);
        body
    }
}

/// Describes the parameter `answer_language` when the instructions read it and the author has not described it.
fn describe_answer_language(body: &mut TemplateBody) {
    // Instructions that cannot be read are refused later, with their reason.
    let reads = body.unknown_names().is_ok_and(|names| names.iter().any(|name| name == TemplateBody::ANSWER_LANGUAGE));
    let Some(schema) = body.parameters.as_object_mut().filter(|_| reads) else { return };
    let properties = schema.entry("properties").or_insert_with(|| json!({}));
    if let Some(properties) = properties.as_object_mut() {
        properties.insert(TemplateBody::ANSWER_LANGUAGE.to_owned(), ANSWER_LANGUAGE_SCHEMA.clone());
    }
}

/// The parameters as an author would write them, without what reading adds.
fn as_written(parameters: &Value) -> Value {
    let mut parameters = parameters.clone();
    if let Some(properties) = parameters.get_mut("properties").and_then(Value::as_object_mut)
        && properties.get(TemplateBody::ANSWER_LANGUAGE) == Some(&*ANSWER_LANGUAGE_SCHEMA)
        && properties.keys().next_back().is_some_and(|last| last == TemplateBody::ANSWER_LANGUAGE)
    {
        properties.shift_remove(TemplateBody::ANSWER_LANGUAGE);
    }
    parameters
}

impl From<&TemplateBody> for TemplateFile {
    fn from(body: &TemplateBody) -> Self {
        let text = |text: &Bilingual| Text(text.clone());
        Self {
            key: body.key.clone(),
            title: text(&body.title),
            description: text(&body.description),
            department: body.department.clone(),
            capability: body.capability,
            tags: body.tags.clone(),
            residency: body.residency.clone(),
            parameters: as_written(&body.parameters),
            instructions: body.instructions.clone(),
            result: body.result.as_ref().map(text),
            checklist: body.checklist.iter().map(ItemFile::from).collect(),
            output_schema: body.output_schema.clone(),
            example: body.example.as_ref().map(ExampleFile::from),
        }
    }
}

impl From<ItemFile> for ChecklistItem {
    fn from(file: ItemFile) -> Self {
        Self { text: file.text.0, check: file.check.map(Check::from) }
    }
}

impl From<&ChecklistItem> for ItemFile {
    fn from(item: &ChecklistItem) -> Self {
        Self { text: Text(item.text.clone()), check: item.check.as_ref().map(CheckFile::from) }
    }
}

impl From<CheckFile> for Check {
    fn from(file: CheckFile) -> Self {
        match file {
            CheckFile::MinWords(least) => Self::MinWords(least),
            CheckFile::MaxWords(most) => Self::MaxWords(most),
            CheckFile::ContainsHeading(heading) => Self::ContainsHeading(heading.0),
            CheckFile::MinHeadings(least) => Self::MinHeadings(least),
            CheckFile::MinListItems(least) => Self::MinListItems(least),
            CheckFile::MaxListItems(most) => Self::MaxListItems(most),
            CheckFile::MinTableRows(least) => Self::MinTableRows(least),
            CheckFile::ContainsCodeBlock => Self::ContainsCodeBlock,
            CheckFile::Mentions(parameter) => Self::Mentions(parameter),
            CheckFile::ContainsAny(texts) => Self::ContainsAny(texts),
            CheckFile::Omits(texts) => Self::Omits(texts),
            CheckFile::FitsOutputSchema => Self::FitsOutputSchema,
        }
    }
}

impl From<&Check> for CheckFile {
    fn from(check: &Check) -> Self {
        match check {
            Check::MinWords(least) => Self::MinWords(*least),
            Check::MaxWords(most) => Self::MaxWords(*most),
            Check::ContainsHeading(heading) => Self::ContainsHeading(Text(heading.clone())),
            Check::MinHeadings(least) => Self::MinHeadings(*least),
            Check::MinListItems(least) => Self::MinListItems(*least),
            Check::MaxListItems(most) => Self::MaxListItems(*most),
            Check::MinTableRows(least) => Self::MinTableRows(*least),
            Check::ContainsCodeBlock => Self::ContainsCodeBlock,
            Check::Mentions(parameter) => Self::Mentions(parameter.clone()),
            Check::ContainsAny(texts) => Self::ContainsAny(texts.clone()),
            Check::Omits(texts) => Self::Omits(texts.clone()),
            Check::FitsOutputSchema => Self::FitsOutputSchema,
        }
    }
}

impl From<ExampleFile> for Example {
    fn from(file: ExampleFile) -> Self {
        Self { request: file.request.0, parameters: file.parameters, parameters_ar: file.parameters_ar }
    }
}

impl From<&Example> for ExampleFile {
    fn from(example: &Example) -> Self {
        Self {
            request: Text(example.request.clone()),
            parameters: example.parameters.clone(),
            parameters_ar: example.parameters_ar.clone(),
        }
    }
}
