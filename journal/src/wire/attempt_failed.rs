//! Frozen events of tasks: an attempt failed.

use domain::task::Consumed;
use domain::{AttemptError, Event, NanoUsd, TaskEvent, Timestamp};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::failure::{AttemptErrorV3, AttemptErrorV4};
use super::values::{AccountV1, AttemptErrorV1, AttemptErrorV2, UsageV1, moment};
use super::{Encoded, Thaw, write};

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptFailedV1<'a> {
    attempt: u32,
    #[serde(borrow)]
    error: AttemptErrorV1<'a>,
    retry_at_micros: Option<i64>,
}

/// The error is of one of more kinds.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptFailedV2<'a> {
    attempt: u32,
    #[serde(borrow)]
    error: AttemptErrorV2<'a>,
    retry_at_micros: Option<i64>,
}

/// Says what had been used by then.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptFailedV3<'a> {
    attempt: u32,
    #[serde(borrow)]
    error: AttemptErrorV3<'a>,
    retry_at_micros: Option<i64>,
    consumed: Option<ConsumedV1>,
}

/// The error is of one of more kinds again.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptFailedV4<'a> {
    attempt: u32,
    #[serde(borrow)]
    error: AttemptErrorV4<'a>,
    retry_at_micros: Option<i64>,
    consumed: Option<ConsumedV1>,
}

/// Says how the cost of what had been used came about.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptFailedV5<'a> {
    attempt: u32,
    #[serde(borrow)]
    error: AttemptErrorV4<'a>,
    retry_at_micros: Option<i64>,
    #[serde(borrow)]
    consumed: Option<ConsumedV2<'a>>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
struct ConsumedV1 {
    usage: UsageV1,
    cost_nano_usd: Option<i64>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
struct ConsumedV2<'a> {
    usage: UsageV1,
    cost_nano_usd: Option<i64>,
    #[serde(borrow)]
    account: Option<AccountV1<'a>>,
}

impl<'a> From<AttemptFailedV1<'a>> for AttemptFailedV2<'a> {
    fn from(old: AttemptFailedV1<'a>) -> Self {
        Self { attempt: old.attempt, error: old.error.into(), retry_at_micros: old.retry_at_micros }
    }
}

impl<'a> From<AttemptFailedV2<'a>> for AttemptFailedV3<'a> {
    fn from(old: AttemptFailedV2<'a>) -> Self {
        Self { attempt: old.attempt, error: old.error.into(), retry_at_micros: old.retry_at_micros, consumed: None }
    }
}

impl<'a> From<AttemptFailedV3<'a>> for AttemptFailedV4<'a> {
    fn from(old: AttemptFailedV3<'a>) -> Self {
        Self {
            attempt: old.attempt,
            error: old.error.into(),
            retry_at_micros: old.retry_at_micros,
            consumed: old.consumed,
        }
    }
}

impl<'a> From<AttemptFailedV4<'a>> for AttemptFailedV5<'a> {
    fn from(old: AttemptFailedV4<'a>) -> Self {
        Self {
            attempt: old.attempt,
            error: old.error,
            retry_at_micros: old.retry_at_micros,
            consumed: old.consumed.map(ConsumedV2::from),
        }
    }
}

impl From<ConsumedV1> for ConsumedV2<'_> {
    fn from(old: ConsumedV1) -> Self {
        Self { usage: old.usage, cost_nano_usd: old.cost_nano_usd, account: None }
    }
}

pub(super) fn freeze(
    attempt: u32,
    error: &AttemptError,
    retry_at: Option<Timestamp>,
    consumed: Option<&Consumed>,
) -> Result<Encoded, String> {
    write(&AttemptFailedV5 {
        attempt,
        error: AttemptErrorV4::freeze(error)?,
        retry_at_micros: retry_at.map(Timestamp::as_micros),
        consumed: consumed.map(ConsumedV2::freeze).transpose()?,
    })
}

impl Thaw for AttemptFailedV5<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(TaskEvent::AttemptFailed {
            attempt: self.attempt,
            error: self.error.thaw(),
            retry_at: self.retry_at_micros.map(moment),
            consumed: self.consumed.map(ConsumedV2::thaw).transpose()?,
        }
        .into())
    }
}

impl<'a> ConsumedV2<'a> {
    fn freeze(consumed: &'a Consumed) -> Result<Self, String> {
        let Consumed { usage, cost, account } = consumed;
        Ok(Self {
            usage: UsageV1::freeze(usage),
            cost_nano_usd: cost.map(|cost| cost.0),
            account: account.as_deref().map(AccountV1::freeze).transpose()?,
        })
    }

    fn thaw(self) -> Result<Consumed, String> {
        Ok(Consumed {
            usage: self.usage.thaw(),
            cost: self.cost_nano_usd.map(NanoUsd),
            account: self.account.map(AccountV1::thaw).transpose()?.map(Box::new),
        })
    }
}
