//! Frozen events of templates.

use domain::template::{Check, ChecklistItem, Example, TemplateBody};
use domain::{Event, PlatformTag, TemplateEvent};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::values::{JsonV1, borrowed, checked, owned, sorted};
use super::words::{BilingualV1, CapabilityV1};
use super::{Encoded, Thaw, write};

/// Everything that makes a template.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct TemplateBodyV1<'a> {
    key: &'a str,
    title: &'a str,
    description: &'a str,
    department: &'a str,
    #[serde(borrow)]
    capability: Option<&'a str>,
    #[serde(borrow)]
    tags: Vec<&'a str>,
    #[serde(borrow)]
    parameters: JsonV1<'a>,
    instructions: &'a str,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RegisteredV1<'a> {
    #[serde(borrow)]
    body: TemplateBodyV1<'a>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RevisedV1<'a> {
    version: u32,
    #[serde(borrow)]
    body: TemplateBodyV1<'a>,
}

/// Since there are two languages, a closed list of capabilities, and a way to say what a good result is.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct TemplateBodyV2<'a> {
    key: &'a str,
    #[serde(borrow)]
    title: BilingualV1<'a>,
    #[serde(borrow)]
    description: BilingualV1<'a>,
    department: &'a str,
    capability: Option<CapabilityV1>,
    #[serde(borrow)]
    tags: Vec<&'a str>,
    #[serde(borrow)]
    parameters: JsonV1<'a>,
    instructions: &'a str,
    #[serde(borrow)]
    result: Option<BilingualV1<'a>>,
    #[serde(borrow)]
    checklist: Vec<ChecklistItemV1<'a>>,
    #[serde(borrow)]
    output_schema: Option<JsonV1<'a>>,
    #[serde(borrow)]
    example: Option<ExampleV1<'a>>,
}

/// One item of a checklist.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ChecklistItemV1<'a> {
    #[serde(borrow)]
    text: BilingualV1<'a>,
    #[serde(borrow)]
    check: Option<CheckV1<'a>>,
}

/// What a program can decide about an answer.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) enum CheckV1<'a> {
    MinWords(u32),
    MaxWords(u32),
    ContainsHeading(#[serde(borrow)] BilingualV1<'a>),
    MinHeadings(u32),
    MinListItems(u32),
    MaxListItems(u32),
    MinTableRows(u32),
    ContainsCodeBlock,
    Mentions(&'a str),
    ContainsAny(#[serde(borrow)] Vec<&'a str>),
    Omits(#[serde(borrow)] Vec<&'a str>),
    FitsOutputSchema,
}

/// An example of use.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ExampleV1<'a> {
    #[serde(borrow)]
    request: BilingualV1<'a>,
    #[serde(borrow)]
    parameters: JsonV1<'a>,
    #[serde(borrow)]
    parameters_ar: Option<JsonV1<'a>>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RegisteredV2<'a> {
    #[serde(borrow)]
    body: TemplateBodyV2<'a>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RevisedV2<'a> {
    version: u32,
    #[serde(borrow)]
    body: TemplateBodyV2<'a>,
}

impl<'a> From<TemplateBodyV1<'a>> for TemplateBodyV2<'a> {
    /// The capability was a free word; one that is no capability today is kept as a tag.
    fn from(old: TemplateBodyV1<'a>) -> Self {
        let mut tags = old.tags;
        let capability = old.capability.and_then(|word| {
            let known = CapabilityV1::of(word);
            if known.is_none() && !tags.contains(&word) {
                tags.push(word);
            }
            known
        });
        Self {
            key: old.key,
            title: BilingualV1::english(old.title),
            description: BilingualV1::english(old.description),
            department: old.department,
            capability,
            tags,
            parameters: old.parameters,
            instructions: old.instructions,
            result: None,
            checklist: Vec::new(),
            output_schema: None,
            example: None,
        }
    }
}

impl<'a> From<RegisteredV1<'a>> for RegisteredV2<'a> {
    fn from(old: RegisteredV1<'a>) -> Self {
        Self { body: old.body.into() }
    }
}

impl<'a> From<RevisedV1<'a>> for RevisedV2<'a> {
    fn from(old: RevisedV1<'a>) -> Self {
        Self { version: old.version, body: old.body.into() }
    }
}

/// Since a template may say which tags platforms must have.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct TemplateBodyV3<'a> {
    key: &'a str,
    #[serde(borrow)]
    title: BilingualV1<'a>,
    #[serde(borrow)]
    description: BilingualV1<'a>,
    department: &'a str,
    capability: Option<CapabilityV1>,
    #[serde(borrow)]
    tags: Vec<&'a str>,
    #[serde(borrow)]
    parameters: JsonV1<'a>,
    instructions: &'a str,
    #[serde(borrow)]
    result: Option<BilingualV1<'a>>,
    #[serde(borrow)]
    checklist: Vec<ChecklistItemV1<'a>>,
    #[serde(borrow)]
    output_schema: Option<JsonV1<'a>>,
    #[serde(borrow)]
    example: Option<ExampleV1<'a>>,
    #[serde(borrow)]
    residency: Vec<&'a str>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RegisteredV3<'a> {
    #[serde(borrow)]
    body: TemplateBodyV3<'a>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RevisedV3<'a> {
    version: u32,
    #[serde(borrow)]
    body: TemplateBodyV3<'a>,
}

impl<'a> From<TemplateBodyV2<'a>> for TemplateBodyV3<'a> {
    /// Templates demanded nothing; only the installation did.
    fn from(old: TemplateBodyV2<'a>) -> Self {
        Self {
            key: old.key,
            title: old.title,
            description: old.description,
            department: old.department,
            capability: old.capability,
            tags: old.tags,
            parameters: old.parameters,
            instructions: old.instructions,
            result: old.result,
            checklist: old.checklist,
            output_schema: old.output_schema,
            example: old.example,
            residency: Vec::new(),
        }
    }
}

impl<'a> From<RegisteredV2<'a>> for RegisteredV3<'a> {
    fn from(old: RegisteredV2<'a>) -> Self {
        Self { body: old.body.into() }
    }
}

impl<'a> From<RevisedV2<'a>> for RevisedV3<'a> {
    fn from(old: RevisedV2<'a>) -> Self {
        Self { version: old.version, body: old.body.into() }
    }
}

pub(super) fn freeze(event: &TemplateEvent) -> Result<Encoded, String> {
    match event {
        TemplateEvent::Registered { body } => write(&RegisteredV3 { body: TemplateBodyV3::freeze(body)? }),
        TemplateEvent::Revised { version, body } => {
            write(&RevisedV3 { version: *version, body: TemplateBodyV3::freeze(body)? })
        }
    }
}

impl<'a> TemplateBodyV3<'a> {
    fn freeze(body: &'a TemplateBody) -> Result<Self, String> {
        let TemplateBody {
            key,
            title,
            description,
            department,
            capability,
            tags,
            parameters,
            instructions,
            result,
            checklist,
            output_schema,
            example,
            residency,
        } = body;
        Ok(Self {
            key: key.as_str(),
            title: BilingualV1::freeze(title),
            description: BilingualV1::freeze(description),
            department,
            capability: capability.map(CapabilityV1::freeze),
            tags: borrowed(tags),
            parameters: JsonV1::freeze(parameters)?,
            instructions,
            result: result.as_ref().map(BilingualV1::freeze),
            checklist: checklist.iter().map(ChecklistItemV1::freeze).collect(),
            output_schema: output_schema.as_ref().map(JsonV1::freeze).transpose()?,
            example: example.as_ref().map(ExampleV1::freeze).transpose()?,
            residency: residency.iter().map(PlatformTag::as_str).collect(),
        })
    }

    fn thaw(self) -> Result<Box<TemplateBody>, String> {
        Ok(Box::new(TemplateBody {
            key: checked(self.key)?,
            title: self.title.thaw(),
            description: self.description.thaw(),
            department: self.department.to_owned(),
            capability: self.capability.map(CapabilityV1::thaw),
            tags: owned(self.tags),
            parameters: self.parameters.thaw()?,
            instructions: self.instructions.to_owned(),
            result: self.result.as_ref().map(BilingualV1::thaw),
            checklist: self.checklist.into_iter().map(ChecklistItemV1::thaw).collect(),
            output_schema: self.output_schema.as_ref().map(JsonV1::thaw).transpose()?,
            example: self.example.as_ref().map(ExampleV1::thaw).transpose()?,
            residency: sorted(&self.residency)?,
        }))
    }
}

impl<'a> ChecklistItemV1<'a> {
    fn freeze(item: &'a ChecklistItem) -> Self {
        let ChecklistItem { text, check } = item;
        Self { text: BilingualV1::freeze(text), check: check.as_ref().map(CheckV1::freeze) }
    }

    fn thaw(self) -> ChecklistItem {
        ChecklistItem { text: self.text.thaw(), check: self.check.map(CheckV1::thaw) }
    }
}

impl<'a> CheckV1<'a> {
    fn freeze(check: &'a Check) -> Self {
        match check {
            Check::MinWords(least) => Self::MinWords(*least),
            Check::MaxWords(most) => Self::MaxWords(*most),
            Check::ContainsHeading(heading) => Self::ContainsHeading(BilingualV1::freeze(heading)),
            Check::MinHeadings(least) => Self::MinHeadings(*least),
            Check::MinListItems(least) => Self::MinListItems(*least),
            Check::MaxListItems(most) => Self::MaxListItems(*most),
            Check::MinTableRows(least) => Self::MinTableRows(*least),
            Check::ContainsCodeBlock => Self::ContainsCodeBlock,
            Check::Mentions(parameter) => Self::Mentions(parameter),
            Check::ContainsAny(texts) => Self::ContainsAny(borrowed(texts)),
            Check::Omits(texts) => Self::Omits(borrowed(texts)),
            Check::FitsOutputSchema => Self::FitsOutputSchema,
        }
    }

    fn thaw(self) -> Check {
        match self {
            Self::MinWords(least) => Check::MinWords(least),
            Self::MaxWords(most) => Check::MaxWords(most),
            Self::ContainsHeading(heading) => Check::ContainsHeading(heading.thaw()),
            Self::MinHeadings(least) => Check::MinHeadings(least),
            Self::MinListItems(least) => Check::MinListItems(least),
            Self::MaxListItems(most) => Check::MaxListItems(most),
            Self::MinTableRows(least) => Check::MinTableRows(least),
            Self::ContainsCodeBlock => Check::ContainsCodeBlock,
            Self::Mentions(parameter) => Check::Mentions(parameter.to_owned()),
            Self::ContainsAny(texts) => Check::ContainsAny(owned(texts)),
            Self::Omits(texts) => Check::Omits(owned(texts)),
            Self::FitsOutputSchema => Check::FitsOutputSchema,
        }
    }
}

impl<'a> ExampleV1<'a> {
    fn freeze(example: &'a Example) -> Result<Self, String> {
        let Example { request, parameters, parameters_ar } = example;
        Ok(Self {
            request: BilingualV1::freeze(request),
            parameters: JsonV1::freeze(parameters)?,
            parameters_ar: parameters_ar.as_ref().map(JsonV1::freeze).transpose()?,
        })
    }

    fn thaw(&self) -> Result<Example, String> {
        Ok(Example {
            request: self.request.thaw(),
            parameters: self.parameters.thaw()?,
            parameters_ar: self.parameters_ar.as_ref().map(JsonV1::thaw).transpose()?,
        })
    }
}

impl Thaw for RegisteredV3<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(TemplateEvent::Registered { body: self.body.thaw()? }.into())
    }
}

impl Thaw for RevisedV3<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(TemplateEvent::Revised { version: self.version, body: self.body.thaw()? }.into())
    }
}
