//! Frozen events of workflows.

use domain::{Event, WorkflowEvent};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::definition::{DefinitionV1, DefinitionV2, DefinitionV3};
use super::{Encoded, Thaw, write};

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct DraftedV1<'a> {
    version: u32,
    #[serde(borrow)]
    definition: DefinitionV1<'a>,
}

/// The definition may hold steps of every kind.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct DraftedV2<'a> {
    version: u32,
    #[serde(borrow)]
    definition: DefinitionV2<'a>,
}

impl<'a> From<DraftedV1<'a>> for DraftedV2<'a> {
    fn from(old: DraftedV1<'a>) -> Self {
        Self { version: old.version, definition: old.definition.into() }
    }
}

/// What people read may be in two languages.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct DraftedV3<'a> {
    version: u32,
    #[serde(borrow)]
    definition: DefinitionV3<'a>,
}

impl<'a> From<DraftedV2<'a>> for DraftedV3<'a> {
    fn from(old: DraftedV2<'a>) -> Self {
        Self { version: old.version, definition: old.definition.into() }
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ActivatedV1 {
    version: u32,
}

pub(super) fn freeze(event: &WorkflowEvent) -> Result<Encoded, String> {
    match event {
        WorkflowEvent::Drafted { version, definition } => {
            write(&DraftedV3 { version: *version, definition: DefinitionV3::freeze(definition)? })
        }
        WorkflowEvent::Activated { version } => write(&ActivatedV1 { version: *version }),
    }
}

impl Thaw for DraftedV3<'_> {
    fn thaw(self) -> Result<Event, String> {
        let definition = Box::new(self.definition.thaw()?);
        Ok(WorkflowEvent::Drafted { version: self.version, definition }.into())
    }
}

impl Thaw for ActivatedV1 {
    fn thaw(self) -> Result<Event, String> {
        Ok(WorkflowEvent::Activated { version: self.version }.into())
    }
}
