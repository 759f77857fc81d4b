//! What a run waits for besides tasks, frozen: people, time, signals and other runs.

use std::sync::Arc;

use domain::{Event, RunEvent, RunId};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::wire::Thaw;
use crate::wire::values::{ActorV1, Id, JsonV1, checked, moment};

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct ApprovalRequestedV1<'a> {
    pub(super) step: &'a str,
    #[serde(borrow)]
    pub(super) content: JsonV1<'a>,
    pub(super) content_hash: [u8; 32],
    pub(super) at_micros: i64,
    pub(super) expires_at_micros: Option<i64>,
    pub(super) deadline_micros: Option<i64>,
}

impl Thaw for ApprovalRequestedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::ApprovalRequested {
            step: checked(self.step)?,
            content: Arc::new(self.content.thaw()?),
            content_hash: self.content_hash,
            at: moment(self.at_micros),
            expires_at: self.expires_at_micros.map(moment),
            deadline: self.deadline_micros.map(moment),
        }
        .into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct ApprovalDecidedV1<'a> {
    pub(super) step: &'a str,
    #[serde(borrow)]
    pub(super) by: ActorV1<'a>,
    pub(super) approved: bool,
    pub(super) comment: &'a str,
    pub(super) content_hash: [u8; 32],
    pub(super) at_micros: i64,
}

impl Thaw for ApprovalDecidedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::ApprovalDecided {
            step: checked(self.step)?,
            by: self.by.thaw(),
            approved: self.approved,
            comment: self.comment.to_owned(),
            content_hash: self.content_hash,
            at: moment(self.at_micros),
        }
        .into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct ApprovalExpiredV1<'a> {
    pub(super) step: &'a str,
}

impl Thaw for ApprovalExpiredV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::ApprovalExpired { step: checked(self.step)? }.into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct TimerStartedV1<'a> {
    pub(super) step: &'a str,
    pub(super) fires_at_micros: i64,
    pub(super) at_micros: i64,
    pub(super) deadline_micros: Option<i64>,
}

impl Thaw for TimerStartedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::TimerStarted {
            step: checked(self.step)?,
            fires_at: moment(self.fires_at_micros),
            at: moment(self.at_micros),
            deadline: self.deadline_micros.map(moment),
        }
        .into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct SignalAwaitedV1<'a> {
    pub(super) step: &'a str,
    pub(super) signal: &'a str,
    pub(super) at_micros: i64,
    pub(super) deadline_micros: Option<i64>,
}

impl Thaw for SignalAwaitedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::SignalAwaited {
            step: checked(self.step)?,
            signal: checked(self.signal)?,
            at: moment(self.at_micros),
            deadline: self.deadline_micros.map(moment),
        }
        .into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct SignalReceivedV1<'a> {
    pub(super) signal: &'a str,
    #[serde(borrow)]
    pub(super) payload: JsonV1<'a>,
    pub(super) at_micros: i64,
}

impl Thaw for SignalReceivedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::SignalReceived {
            signal: checked(self.signal)?,
            payload: Arc::new(self.payload.thaw()?),
            at: moment(self.at_micros),
        }
        .into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct ChildStartedV1<'a> {
    pub(super) step: &'a str,
    pub(super) run: Id,
    pub(super) at_micros: i64,
    pub(super) deadline_micros: Option<i64>,
}

impl Thaw for ChildStartedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::ChildStarted {
            step: checked(self.step)?,
            run: RunId::from_uuid(Uuid::from_bytes(self.run)),
            at: moment(self.at_micros),
            deadline: self.deadline_micros.map(moment),
        }
        .into())
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(in crate::wire) struct ChildAbandonedV1<'a> {
    pub(super) step: &'a str,
    pub(super) run: Id,
}

impl Thaw for ChildAbandonedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(RunEvent::ChildAbandoned { step: checked(self.step)?, run: RunId::from_uuid(Uuid::from_bytes(self.run)) }
            .into())
    }
}
