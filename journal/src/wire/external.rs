//! Frozen external events.

use std::sync::Arc;

use domain::external::Posted;
use domain::{Event, ExternalEvent};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::values::{ActorV1, JsonV1, checked, moment};
use super::{Encoded, Thaw, write};

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct PostedV1<'a> {
    name: &'a str,
    #[serde(borrow)]
    payload: JsonV1<'a>,
    #[serde(borrow)]
    by: ActorV1<'a>,
    at_micros: i64,
}

pub(super) fn freeze(event: &ExternalEvent) -> Result<Encoded, String> {
    let ExternalEvent::Posted(Posted { name, payload, by, at }) = event;
    write(&PostedV1 {
        name: name.as_str(),
        payload: JsonV1::freeze(payload)?,
        by: ActorV1::freeze(by),
        at_micros: at.as_micros(),
    })
}

impl Thaw for PostedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(ExternalEvent::Posted(Posted {
            name: checked(self.name)?,
            payload: Arc::new(self.payload.thaw()?),
            by: self.by.thaw(),
            at: moment(self.at_micros),
        })
        .into())
    }
}
