//! Frozen events of the slots of limits.

use domain::slots::Holder;
use domain::{Event, RunId, SlotsEvent, TaskId};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::values::{Id, checked, moment};
use super::{Encoded, Thaw, write};

/// Who has a slot or waits for one.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct HolderV1 {
    run: Id,
    task: Option<Id>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RequestedV1<'a> {
    holder: HolderV1,
    limit: &'a str,
    #[serde(borrow)]
    partition: Option<&'a str>,
    priority: i32,
    fairness: &'a str,
    at_micros: i64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct GrantedV1 {
    holder: HolderV1,
    at_micros: i64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ReleasedV1 {
    holder: HolderV1,
}

pub(super) fn freeze(event: &SlotsEvent) -> Result<Encoded, String> {
    match event {
        SlotsEvent::Requested { holder, limit, partition, priority, fairness, at } => write(&RequestedV1 {
            holder: HolderV1::freeze(*holder),
            limit: limit.as_str(),
            partition: partition.as_deref(),
            priority: *priority,
            fairness,
            at_micros: at.as_micros(),
        }),
        SlotsEvent::Granted { holder, at } => {
            write(&GrantedV1 { holder: HolderV1::freeze(*holder), at_micros: at.as_micros() })
        }
        SlotsEvent::Released { holder } => write(&ReleasedV1 { holder: HolderV1::freeze(*holder) }),
    }
}

impl HolderV1 {
    fn freeze(holder: Holder) -> Self {
        let Holder { run, task } = holder;
        Self { run: run.as_uuid().into_bytes(), task: task.map(|task| task.as_uuid().into_bytes()) }
    }

    fn thaw(self) -> Holder {
        let task = self.task.map(|task| TaskId::from_uuid(Uuid::from_bytes(task)));
        Holder { run: RunId::from_uuid(Uuid::from_bytes(self.run)), task }
    }
}

impl Thaw for RequestedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(SlotsEvent::Requested {
            holder: self.holder.thaw(),
            limit: checked(self.limit)?,
            partition: self.partition.map(str::to_owned),
            priority: self.priority,
            fairness: self.fairness.to_owned(),
            at: moment(self.at_micros),
        }
        .into())
    }
}

impl Thaw for GrantedV1 {
    fn thaw(self) -> Result<Event, String> {
        Ok(SlotsEvent::Granted { holder: self.holder.thaw(), at: moment(self.at_micros) }.into())
    }
}

impl Thaw for ReleasedV1 {
    fn thaw(self) -> Result<Event, String> {
        Ok(SlotsEvent::Released { holder: self.holder.thaw() }.into())
    }
}
