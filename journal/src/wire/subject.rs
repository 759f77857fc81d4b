//! Frozen events of subjects.

use domain::{Event, SubjectEvent};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::values::{ActorV1, moment};
use super::{Encoded, Thaw, write};

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ErasedV1<'a> {
    #[serde(borrow)]
    by: ActorV1<'a>,
    at_micros: i64,
}

pub(super) fn freeze(event: &SubjectEvent) -> Result<Encoded, String> {
    match event {
        SubjectEvent::Erased { by, at } => write(&ErasedV1 { by: ActorV1::freeze(by), at_micros: at.as_micros() }),
    }
}

impl Thaw for ErasedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(SubjectEvent::Erased { by: self.by.thaw(), at: moment(self.at_micros) }.into())
    }
}
