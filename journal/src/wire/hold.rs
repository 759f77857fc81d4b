//! Frozen events of holds.

use domain::hold::{HoldScope, Placed};
use domain::{Event, HoldEvent};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::values::{ActorV1, PauseClockV1, checked, moment};
use super::{Encoded, Thaw, write};

/// What a hold covers.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) enum HoldScopeV1<'a> {
    Everything,
    Workflow(&'a str),
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct PlacedV1<'a> {
    #[serde(borrow)]
    scope: HoldScopeV1<'a>,
    #[serde(borrow)]
    by: ActorV1<'a>,
    reason: &'a str,
    at_micros: i64,
    clock: PauseClockV1,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct LiftedV1<'a> {
    #[serde(borrow)]
    by: ActorV1<'a>,
    at_micros: i64,
}

pub(super) fn freeze(event: &HoldEvent) -> Result<Encoded, String> {
    match event {
        HoldEvent::Placed(Placed { scope, by, reason, at, clock }) => write(&PlacedV1 {
            scope: match scope {
                HoldScope::Everything => HoldScopeV1::Everything,
                HoldScope::Workflow(key) => HoldScopeV1::Workflow(key.as_str()),
            },
            by: ActorV1::freeze(by),
            reason,
            at_micros: at.as_micros(),
            clock: PauseClockV1::freeze(*clock),
        }),
        HoldEvent::Lifted { by, at } => write(&LiftedV1 { by: ActorV1::freeze(by), at_micros: at.as_micros() }),
    }
}

impl Thaw for PlacedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(HoldEvent::Placed(Placed {
            scope: match self.scope {
                HoldScopeV1::Everything => HoldScope::Everything,
                HoldScopeV1::Workflow(key) => HoldScope::Workflow(checked(key)?),
            },
            by: self.by.thaw(),
            reason: self.reason.to_owned(),
            at: moment(self.at_micros),
            clock: self.clock.thaw(),
        })
        .into())
    }
}

impl Thaw for LiftedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(HoldEvent::Lifted { by: self.by.thaw(), at: moment(self.at_micros) }.into())
    }
}
