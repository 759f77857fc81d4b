//! Frozen events of templates.

use domain::template::TemplateBody;
use domain::{Event, TemplateEvent};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::values::{JsonV1, borrowed, checked, owned};
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

pub(super) fn freeze(event: &TemplateEvent) -> Result<Encoded, String> {
    match event {
        TemplateEvent::Registered { body } => write(&RegisteredV1 { body: TemplateBodyV1::freeze(body)? }),
        TemplateEvent::Revised { version, body } => {
            write(&RevisedV1 { version: *version, body: TemplateBodyV1::freeze(body)? })
        }
    }
}

impl<'a> TemplateBodyV1<'a> {
    fn freeze(body: &'a TemplateBody) -> Result<Self, String> {
        let TemplateBody { key, title, description, department, capability, tags, parameters, instructions } = body;
        Ok(Self {
            key: key.as_str(),
            title,
            description,
            department,
            capability: capability.as_deref(),
            tags: borrowed(tags),
            parameters: JsonV1::freeze(parameters)?,
            instructions,
        })
    }

    fn thaw(self) -> Result<Box<TemplateBody>, String> {
        Ok(Box::new(TemplateBody {
            key: checked(self.key)?,
            title: self.title.to_owned(),
            description: self.description.to_owned(),
            department: self.department.to_owned(),
            capability: self.capability.map(str::to_owned),
            tags: owned(self.tags),
            parameters: self.parameters.thaw()?,
            instructions: self.instructions.to_owned(),
        }))
    }
}

impl Thaw for RegisteredV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(TemplateEvent::Registered { body: self.body.thaw()? }.into())
    }
}

impl Thaw for RevisedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(TemplateEvent::Revised { version: self.version, body: self.body.thaw()? }.into())
    }
}
