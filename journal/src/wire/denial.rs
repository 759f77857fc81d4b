//! Frozen events of denials.

use domain::denial::{Denied, DeniedCount, DeniedMore};
use domain::{DenialEvent, Event};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::values::{ActorV1, moment};
use super::{Encoded, Thaw, write};

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RecordedV1<'a> {
    action: &'a str,
    #[serde(borrow)]
    on: Option<&'a str>,
    code: &'a str,
    from: Option<&'a str>,
    at_micros: i64,
}

/// How many denials were alike.
#[derive(Debug, Serialize, Deserialize, Schema)]
struct CountV1<'a> {
    #[serde(borrow)]
    by: ActorV1<'a>,
    action: &'a str,
    code: &'a str,
    count: u64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct CountedV1<'a> {
    since_micros: i64,
    until_micros: i64,
    #[serde(borrow)]
    counts: Vec<CountV1<'a>>,
    others: u64,
}

pub(super) fn freeze(event: &DenialEvent) -> Result<Encoded, String> {
    match event {
        DenialEvent::Recorded(Denied { action, on, code, from, at }) => {
            write(&RecordedV1 { action, on: on.as_deref(), code, from: from.as_deref(), at_micros: at.as_micros() })
        }
        DenialEvent::Counted(DeniedMore { since, until, counts, others }) => write(&CountedV1 {
            since_micros: since.as_micros(),
            until_micros: until.as_micros(),
            counts: counts.iter().map(CountV1::freeze).collect(),
            others: *others,
        }),
    }
}

impl<'a> CountV1<'a> {
    fn freeze(count: &'a DeniedCount) -> Self {
        let DeniedCount { by, action, code, count } = count;
        Self { by: ActorV1::freeze(by), action, code, count: *count }
    }

    fn thaw(&self) -> DeniedCount {
        let (action, code) = (self.action.to_owned(), self.code.to_owned());
        DeniedCount { by: self.by.thaw(), action, code, count: self.count }
    }
}

impl Thaw for RecordedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(DenialEvent::Recorded(Denied {
            action: self.action.to_owned(),
            on: self.on.map(str::to_owned),
            code: self.code.to_owned(),
            from: self.from.map(str::to_owned),
            at: moment(self.at_micros),
        })
        .into())
    }
}

impl Thaw for CountedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(DenialEvent::Counted(DeniedMore {
            since: moment(self.since_micros),
            until: moment(self.until_micros),
            counts: self.counts.iter().map(CountV1::thaw).collect(),
            others: self.others,
        })
        .into())
    }
}
