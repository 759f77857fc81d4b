//! Frozen events of what is spent of budgets.

use domain::purse::Payer;
use domain::{Event, PurseEvent, TaskId};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::values::{Id, checked, moment};
use super::{Encoded, Thaw, write};

/// An attempt of a task.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
struct PayerV1 {
    task: Id,
    attempt: u32,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ReservedV1<'a> {
    payer: PayerV1,
    amount: u64,
    budget: &'a str,
    #[serde(borrow)]
    partition: Option<&'a str>,
    window_micros: i64,
    at_micros: i64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct SettledV1 {
    payer: PayerV1,
    amount: u64,
    known: bool,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct WarnedV1 {
    used: u64,
    limit: u64,
}

pub(super) fn freeze(event: &PurseEvent) -> Result<Encoded, String> {
    match event {
        PurseEvent::Reserved { payer, amount, budget, partition, window, at } => write(&ReservedV1 {
            payer: PayerV1::freeze(*payer),
            amount: *amount,
            budget: budget.as_str(),
            partition: partition.as_deref(),
            window_micros: window.as_micros(),
            at_micros: at.as_micros(),
        }),
        PurseEvent::Settled { payer, amount, known } => {
            write(&SettledV1 { payer: PayerV1::freeze(*payer), amount: *amount, known: *known })
        }
        PurseEvent::Warned { used, limit } => write(&WarnedV1 { used: *used, limit: *limit }),
    }
}

impl PayerV1 {
    fn freeze(payer: Payer) -> Self {
        let Payer { task, attempt } = payer;
        Self { task: task.as_uuid().into_bytes(), attempt }
    }

    fn thaw(self) -> Payer {
        Payer { task: TaskId::from_uuid(Uuid::from_bytes(self.task)), attempt: self.attempt }
    }
}

impl Thaw for ReservedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(PurseEvent::Reserved {
            payer: self.payer.thaw(),
            amount: self.amount,
            budget: checked(self.budget)?,
            partition: self.partition.map(str::to_owned),
            window: moment(self.window_micros),
            at: moment(self.at_micros),
        }
        .into())
    }
}

impl Thaw for SettledV1 {
    fn thaw(self) -> Result<Event, String> {
        let (payer, amount, known) = (self.payer.thaw(), self.amount, self.known);
        Ok(PurseEvent::Settled { payer, amount, known }.into())
    }
}

impl Thaw for WarnedV1 {
    fn thaw(self) -> Result<Event, String> {
        Ok(PurseEvent::Warned { used: self.used, limit: self.limit }.into())
    }
}
