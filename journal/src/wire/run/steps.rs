//! What happens to the steps of a run, frozen.

use std::sync::Arc;

use domain::{Event, RunEvent, TaskId};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::wire::Thaw;
use crate::wire::failure::{AttemptErrorV3, AttemptErrorV4};
use crate::wire::values::{AttemptErrorV1, AttemptErrorV2, Id, JsonV1, checked, moment};

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct StepStartedV1<'a> {
    pub(super) step: &'a str,
    pub(super) task: Id,
}

/// Says when, and until when it may take.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct StepStartedV2<'a> {
    pub(super) step: &'a str,
    pub(super) task: Id,
    pub(super) at_micros: i64,
    pub(super) deadline_micros: Option<i64>,
}

impl<'a> From<StepStartedV1<'a>> for StepStartedV2<'a> {
    fn from(old: StepStartedV1<'a>) -> Self {
        Self { step: old.step, task: old.task, at_micros: 0, deadline_micros: None }
    }
}

impl Thaw for StepStartedV2<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::StepStarted {
            step: checked(self.step)?,
            task: TaskId::from_uuid(Uuid::from_bytes(self.task)),
            at: moment(self.at_micros),
            deadline: self.deadline_micros.map(moment),
        }
        .into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct ItemsPlannedV1<'a> {
    pub(super) step: &'a str,
    #[serde(borrow)]
    pub(super) items: JsonV1<'a>,
    pub(super) at_micros: i64,
    pub(super) deadline_micros: Option<i64>,
}

impl Thaw for ItemsPlannedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::ItemsPlanned {
            step: checked(self.step)?,
            items: Arc::new(self.items.thaw()?),
            at: moment(self.at_micros),
            deadline: self.deadline_micros.map(moment),
        }
        .into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct ItemStartedV1<'a> {
    pub(super) step: &'a str,
    pub(super) item: u32,
    pub(super) task: Id,
}

impl Thaw for ItemStartedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::ItemStarted {
            step: checked(self.step)?,
            item: self.item,
            task: TaskId::from_uuid(Uuid::from_bytes(self.task)),
        }
        .into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct ItemCompletedV1<'a> {
    pub(super) step: &'a str,
    pub(super) item: u32,
    #[serde(borrow)]
    pub(super) result: JsonV1<'a>,
    pub(super) simulated: bool,
}

impl Thaw for ItemCompletedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::ItemCompleted {
            step: checked(self.step)?,
            item: self.item,
            result: Arc::new(self.result.thaw()?),
            simulated: self.simulated,
        }
        .into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct ItemFailedV1<'a> {
    pub(super) step: &'a str,
    pub(super) item: u32,
    #[serde(borrow)]
    pub(super) error: AttemptErrorV2<'a>,
}

/// The error is of one of more kinds.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct ItemFailedV2<'a> {
    pub(super) step: &'a str,
    pub(super) item: u32,
    #[serde(borrow)]
    pub(super) error: AttemptErrorV3<'a>,
}

impl<'a> From<ItemFailedV1<'a>> for ItemFailedV2<'a> {
    fn from(old: ItemFailedV1<'a>) -> Self {
        Self { step: old.step, item: old.item, error: old.error.into() }
    }
}

/// The error is of one of more kinds again.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct ItemFailedV3<'a> {
    pub(super) step: &'a str,
    pub(super) item: u32,
    #[serde(borrow)]
    pub(super) error: AttemptErrorV4<'a>,
}

impl<'a> From<ItemFailedV2<'a>> for ItemFailedV3<'a> {
    fn from(old: ItemFailedV2<'a>) -> Self {
        Self { step: old.step, item: old.item, error: old.error.into() }
    }
}

impl Thaw for ItemFailedV3<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::ItemFailed { step: checked(self.step)?, item: self.item, error: self.error.thaw() }.into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct StepSkippedV1<'a> {
    pub(super) step: &'a str,
    pub(super) reason: &'a str,
}

impl Thaw for StepSkippedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::StepSkipped { step: checked(self.step)?, reason: self.reason.to_owned() }.into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct StepCompletedV1<'a> {
    pub(super) step: &'a str,
    #[serde(borrow)]
    pub(super) output: JsonV1<'a>,
    pub(super) simulated: bool,
}

impl Thaw for StepCompletedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::StepCompleted {
            step: checked(self.step)?,
            output: Arc::new(self.output.thaw()?),
            simulated: self.simulated,
        }
        .into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct StepFailedV1<'a> {
    pub(super) step: &'a str,
    #[serde(borrow)]
    pub(super) error: AttemptErrorV1<'a>,
}

/// The error is of one of more kinds.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct StepFailedV2<'a> {
    pub(super) step: &'a str,
    #[serde(borrow)]
    pub(super) error: AttemptErrorV2<'a>,
}

impl<'a> From<StepFailedV1<'a>> for StepFailedV2<'a> {
    fn from(old: StepFailedV1<'a>) -> Self {
        Self { step: old.step, error: old.error.into() }
    }
}

/// The error is of one of more kinds.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct StepFailedV3<'a> {
    pub(super) step: &'a str,
    #[serde(borrow)]
    pub(super) error: AttemptErrorV3<'a>,
}

impl<'a> From<StepFailedV2<'a>> for StepFailedV3<'a> {
    fn from(old: StepFailedV2<'a>) -> Self {
        Self { step: old.step, error: old.error.into() }
    }
}

/// The error is of one of more kinds again.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct StepFailedV4<'a> {
    pub(super) step: &'a str,
    #[serde(borrow)]
    pub(super) error: AttemptErrorV4<'a>,
}

impl<'a> From<StepFailedV3<'a>> for StepFailedV4<'a> {
    fn from(old: StepFailedV3<'a>) -> Self {
        Self { step: old.step, error: old.error.into() }
    }
}

impl Thaw for StepFailedV4<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::StepFailed { step: checked(self.step)?, error: self.error.thaw() }.into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct StepCancelledV1<'a> {
    pub(super) step: &'a str,
}

impl Thaw for StepCancelledV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::StepCancelled { step: checked(self.step)? }.into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct CompensationStartedV1<'a> {
    pub(super) step: &'a str,
    pub(super) task: Id,
    pub(super) at_micros: i64,
}

impl Thaw for CompensationStartedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::CompensationStarted {
            step: checked(self.step)?,
            task: TaskId::from_uuid(Uuid::from_bytes(self.task)),
            at: moment(self.at_micros),
        }
        .into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct CompensationCompletedV1<'a> {
    pub(super) step: &'a str,
    pub(super) simulated: bool,
}

impl Thaw for CompensationCompletedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::CompensationCompleted { step: checked(self.step)?, simulated: self.simulated }.into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct CompensationFailedV1<'a> {
    pub(super) step: &'a str,
    #[serde(borrow)]
    pub(super) error: AttemptErrorV2<'a>,
}

/// The error is of one of more kinds.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct CompensationFailedV2<'a> {
    pub(super) step: &'a str,
    #[serde(borrow)]
    pub(super) error: AttemptErrorV3<'a>,
}

impl<'a> From<CompensationFailedV1<'a>> for CompensationFailedV2<'a> {
    fn from(old: CompensationFailedV1<'a>) -> Self {
        Self { step: old.step, error: old.error.into() }
    }
}

/// The error is of one of more kinds again.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct CompensationFailedV3<'a> {
    pub(super) step: &'a str,
    #[serde(borrow)]
    pub(super) error: AttemptErrorV4<'a>,
}

impl<'a> From<CompensationFailedV2<'a>> for CompensationFailedV3<'a> {
    fn from(old: CompensationFailedV2<'a>) -> Self {
        Self { step: old.step, error: old.error.into() }
    }
}

impl Thaw for CompensationFailedV3<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::CompensationFailed { step: checked(self.step)?, error: self.error.thaw() }.into())
    }
}
