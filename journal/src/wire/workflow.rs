//! Frozen events of workflows.

use domain::{Event, WorkflowEvent};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::values::DefinitionV1;
use super::{Encoded, Thaw, write};

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct DraftedV1<'a> {
    version: u32,
    #[serde(borrow)]
    definition: DefinitionV1<'a>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ActivatedV1 {
    version: u32,
}

pub(super) fn freeze(event: &WorkflowEvent) -> Result<Encoded, String> {
    match event {
        WorkflowEvent::Drafted { version, definition } => {
            write(&DraftedV1 { version: *version, definition: DefinitionV1::freeze(definition)? })
        }
        WorkflowEvent::Activated { version } => write(&ActivatedV1 { version: *version }),
    }
}

impl Thaw for DraftedV1<'_> {
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
