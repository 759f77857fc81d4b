//! Frozen events of deliveries.

use std::time::Duration;

use domain::delivery::{Source, Subject, Trouble};
use domain::{DeliveryEvent, Event, EventId, StreamId, WebhookId};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::values::{ActorV1, Id, checked, micros, moment};
use super::{Encoded, Thaw, write};

/// Who is told about what.
#[derive(Debug, Serialize, Deserialize, Schema)]
struct SubjectV1<'a> {
    webhook: Id,
    topic: &'a str,
    event: Id,
    category: &'a str,
    stream: Id,
    revision: u64,
    position: u64,
    recorded_micros: i64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct SucceededV1<'a> {
    #[serde(borrow)]
    subject: SubjectV1<'a>,
    attempt: u32,
    status: u16,
    took_micros: u64,
    at_micros: i64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct FailedV1<'a> {
    #[serde(borrow)]
    subject: SubjectV1<'a>,
    attempt: u32,
    status: Option<u16>,
    what: &'a str,
    took_micros: u64,
    next_at_micros: Option<i64>,
    at_micros: i64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RequestedV1<'a> {
    #[serde(borrow)]
    subject: SubjectV1<'a>,
    #[serde(borrow)]
    by: ActorV1<'a>,
    at_micros: i64,
}

pub(super) fn freeze(event: &DeliveryEvent) -> Result<Encoded, String> {
    match event {
        DeliveryEvent::Succeeded { subject, attempt, status, took, at } => write(&SucceededV1 {
            subject: SubjectV1::freeze(subject),
            attempt: *attempt,
            status: *status,
            took_micros: micros(*took)?,
            at_micros: at.as_micros(),
        }),
        DeliveryEvent::Failed { subject, attempt, trouble, took, next_at, at } => write(&FailedV1 {
            subject: SubjectV1::freeze(subject),
            attempt: *attempt,
            status: trouble.status,
            what: &trouble.what,
            took_micros: micros(*took)?,
            next_at_micros: next_at.map(domain::Timestamp::as_micros),
            at_micros: at.as_micros(),
        }),
        DeliveryEvent::Requested { subject, by, at } => write(&RequestedV1 {
            subject: SubjectV1::freeze(subject),
            by: ActorV1::freeze(by),
            at_micros: at.as_micros(),
        }),
    }
}

impl<'a> SubjectV1<'a> {
    fn freeze(subject: &'a Subject) -> Self {
        let Subject { webhook, topic, source } = subject;
        Self {
            webhook: webhook.as_uuid().into_bytes(),
            topic: topic.name(),
            event: source.event.as_uuid().into_bytes(),
            category: source.stream.category.name(),
            stream: source.stream.id.into_bytes(),
            revision: source.revision,
            position: source.position,
            recorded_micros: source.at.as_micros(),
        }
    }

    fn thaw(&self) -> Result<Subject, String> {
        Ok(Subject {
            webhook: WebhookId::from_uuid(Uuid::from_bytes(self.webhook)),
            topic: checked(self.topic)?,
            source: Source {
                event: EventId::from_uuid(Uuid::from_bytes(self.event)),
                stream: StreamId { category: checked(self.category)?, id: Uuid::from_bytes(self.stream) },
                revision: self.revision,
                position: self.position,
                at: moment(self.recorded_micros),
            },
        })
    }
}

impl Thaw for SucceededV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(DeliveryEvent::Succeeded {
            subject: self.subject.thaw()?,
            attempt: self.attempt,
            status: self.status,
            took: Duration::from_micros(self.took_micros),
            at: moment(self.at_micros),
        }
        .into())
    }
}

impl Thaw for FailedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(DeliveryEvent::Failed {
            subject: self.subject.thaw()?,
            attempt: self.attempt,
            trouble: Trouble { status: self.status, what: self.what.to_owned() },
            took: Duration::from_micros(self.took_micros),
            next_at: self.next_at_micros.map(moment),
            at: moment(self.at_micros),
        }
        .into())
    }
}

impl Thaw for RequestedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(DeliveryEvent::Requested { subject: self.subject.thaw()?, by: self.by.thaw(), at: moment(self.at_micros) }
            .into())
    }
}
