//! What happens to a run as a whole, frozen: who has it, what holds it up, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use domain::run::Pause;
use domain::{Event, HoldId, NodeId, RunEvent};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::wire::Thaw;
use crate::wire::failure::{AttemptErrorV3, AttemptErrorV4};
use crate::wire::values::{
    ActorV1, AttemptErrorV1, AttemptErrorV2, Id, JsonV1, PauseClockV1, SlotsNeedV1, checked, moment,
};

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct ClaimedV1 {
    pub(super) node: Id,
    pub(super) epoch: u64,
}

impl Thaw for ClaimedV1 {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::Claimed { node: NodeId::from_uuid(Uuid::from_bytes(self.node)), epoch: self.epoch }.into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct QueuedV1<'a> {
    #[serde(borrow)]
    pub(super) slots: Vec<SlotsNeedV1<'a>>,
    pub(super) at_micros: i64,
}

impl Thaw for QueuedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::Queued { slots: SlotsNeedV1::thaw(&self.slots)?, at: moment(self.at_micros) }.into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct AdmittedV1 {}

impl Thaw for AdmittedV1 {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::Admitted.into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct PausedV1<'a> {
    #[serde(borrow)]
    pub(super) by: ActorV1<'a>,
    pub(super) reason: &'a str,
    pub(super) at_micros: i64,
    pub(super) clock: PauseClockV1,
    pub(super) hold: Option<Id>,
}

impl Thaw for PausedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::Paused(Pause {
            by: self.by.thaw(),
            reason: self.reason.to_owned(),
            at: moment(self.at_micros),
            clock: self.clock.thaw(),
            hold: self.hold.map(|hold| HoldId::from_uuid(Uuid::from_bytes(hold))),
        })
        .into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct ResumedV1<'a> {
    #[serde(borrow)]
    pub(super) by: ActorV1<'a>,
    pub(super) at_micros: i64,
}

impl Thaw for ResumedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::Resumed { by: self.by.thaw(), at: moment(self.at_micros) }.into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct CancelRequestedV1<'a> {
    pub(super) reason: &'a str,
}

/// Says when, and how long running attempts may go on.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct CancelRequestedV2<'a> {
    pub(super) reason: &'a str,
    pub(super) at_micros: i64,
    pub(super) grace_micros: u64,
}

impl<'a> From<CancelRequestedV1<'a>> for CancelRequestedV2<'a> {
    fn from(old: CancelRequestedV1<'a>) -> Self {
        Self { reason: old.reason, at_micros: 0, grace_micros: 0 }
    }
}

impl Thaw for CancelRequestedV2<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::CancelRequested {
            reason: self.reason.to_owned(),
            at: moment(self.at_micros),
            grace: Duration::from_micros(self.grace_micros),
        }
        .into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct FailingV1<'a> {
    #[serde(borrow)]
    pub(super) error: AttemptErrorV2<'a>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct StalledV1<'a> {
    pub(super) what: &'a str,
    pub(super) at_micros: i64,
}

impl Thaw for StalledV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::Stalled { what: self.what.to_owned(), at: moment(self.at_micros) }.into())
    }
}

/// The error is of one of more kinds.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct FailingV2<'a> {
    #[serde(borrow)]
    pub(super) error: AttemptErrorV3<'a>,
}

impl<'a> From<FailingV1<'a>> for FailingV2<'a> {
    fn from(old: FailingV1<'a>) -> Self {
        Self { error: old.error.into() }
    }
}

/// The error is of one of more kinds again.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct FailingV3<'a> {
    #[serde(borrow)]
    pub(super) error: AttemptErrorV4<'a>,
}

impl<'a> From<FailingV2<'a>> for FailingV3<'a> {
    fn from(old: FailingV2<'a>) -> Self {
        Self { error: old.error.into() }
    }
}

impl Thaw for FailingV3<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::Failing { error: self.error.thaw() }.into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct CompletedV1<'a> {
    #[serde(borrow)]
    pub(super) output: JsonV1<'a>,
    pub(super) simulated: bool,
}

impl Thaw for CompletedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::Completed { output: Arc::new(self.output.thaw()?), simulated: self.simulated }.into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct FailedV1<'a> {
    #[serde(borrow)]
    pub(super) step: Option<&'a str>,
    #[serde(borrow)]
    pub(super) error: AttemptErrorV1<'a>,
}

/// The error is of one of more kinds.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct FailedV2<'a> {
    #[serde(borrow)]
    pub(super) step: Option<&'a str>,
    #[serde(borrow)]
    pub(super) error: AttemptErrorV2<'a>,
}

impl<'a> From<FailedV1<'a>> for FailedV2<'a> {
    fn from(old: FailedV1<'a>) -> Self {
        Self { step: old.step, error: old.error.into() }
    }
}

/// The error is of one of more kinds.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct FailedV3<'a> {
    #[serde(borrow)]
    pub(super) step: Option<&'a str>,
    #[serde(borrow)]
    pub(super) error: AttemptErrorV3<'a>,
}

impl<'a> From<FailedV2<'a>> for FailedV3<'a> {
    fn from(old: FailedV2<'a>) -> Self {
        Self { step: old.step, error: old.error.into() }
    }
}

/// The error is of one of more kinds again.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct FailedV4<'a> {
    #[serde(borrow)]
    pub(super) step: Option<&'a str>,
    #[serde(borrow)]
    pub(super) error: AttemptErrorV4<'a>,
}

impl<'a> From<FailedV3<'a>> for FailedV4<'a> {
    fn from(old: FailedV3<'a>) -> Self {
        Self { step: old.step, error: old.error.into() }
    }
}

impl Thaw for FailedV4<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::Failed { step: self.step.map(checked).transpose()?, error: self.error.thaw() }.into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct CancelledV1<'a> {
    pub(super) reason: &'a str,
}

impl Thaw for CancelledV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::Cancelled { reason: self.reason.to_owned() }.into())
    }
}
