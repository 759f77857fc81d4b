//! Folds a batch of events into the changes of rows.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use domain::delivery::Subject;
use domain::{DeliveryEvent, Event, Timestamp, WebhookEvent};
use journal::RecordedEvent;
use uuid::Uuid;

use crate::projector::{ApplyError, number, storable};

/// What happened to deliveries, and then to a webhook.
#[derive(Debug, Default)]
pub(super) struct Part<'a> {
    pub(super) deliveries: BTreeMap<Uuid, Delivery<'a>>,
    pub(super) attempts: Vec<Attempt<'a>>,
    pub(super) change: Option<Change>,
}

/// What happened to a webhook.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    /// Nothing waits for it any more.
    Closed(Uuid),
    /// It is told again.
    Opened(Uuid),
}

/// A delivery as it is now.
#[derive(Debug)]
pub(super) struct Delivery<'a> {
    pub(super) subject: &'a Subject,
    pub(super) status: &'static str,
    pub(super) attempts: i64,
    pub(super) http_status: Option<i32>,
    pub(super) trouble: Option<Cow<'a, str>>,
    pub(super) next_at: Option<i64>,
    pub(super) changed_at: i64,
    pub(super) position: i64,
}

/// One attempt.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    pub(super) delivery: Uuid,
    pub(super) number: i64,
    pub(super) attempt: i64,
    pub(super) succeeded: bool,
    pub(super) http_status: Option<i32>,
    pub(super) trouble: Option<Cow<'a, str>>,
    pub(super) took_micros: i64,
    pub(super) ended_at: i64,
}

/// Folds events in the order of the journal. What follows the change of a webhook is in a part of its own.
pub(super) fn fold(events: &[Arc<RecordedEvent>]) -> Result<Vec<Part<'_>>, ApplyError> {
    let mut parts = vec![];
    let mut part = Part::default();
    for recorded in events {
        match recorded.event().map_err(|error| ApplyError::Indigestible(error.to_string()))? {
            Event::Delivery(event) => {
                part.delivery(recorded, event);
            }
            Event::Webhook(WebhookEvent::Disabled { .. } | WebhookEvent::Deleted { .. }) => {
                part.change = Some(Change::Closed(recorded.stream.id));
                parts.push(std::mem::take(&mut part));
            }
            Event::Webhook(WebhookEvent::Resumed { .. }) => {
                part.change = Some(Change::Opened(recorded.stream.id));
                parts.push(std::mem::take(&mut part));
            }
            _ => {}
        }
    }
    parts.push(part);
    Ok(parts)
}

impl<'a> Part<'a> {
    fn delivery(&mut self, recorded: &'a RecordedEvent, event: &'a DeliveryEvent) {
        let id = recorded.stream.id;
        let row =
            |status, attempts: u32, http_status: Option<u16>, trouble, next_at: Option<Timestamp>, at: &Timestamp| {
                Delivery {
                    subject: event.subject(),
                    status,
                    attempts: i64::from(attempts),
                    http_status: http_status.map(i32::from),
                    trouble,
                    next_at: next_at.map(Timestamp::as_micros),
                    changed_at: at.as_micros(),
                    position: number(recorded.position),
                }
            };
        let delivery = match event {
            DeliveryEvent::Succeeded { attempt, status, at, .. } => {
                row("delivered", *attempt, Some(*status), None, None, at)
            }
            DeliveryEvent::Failed { attempt, trouble, next_at, at, .. } => {
                let status = if next_at.is_some() { "waiting" } else { "given_up" };
                row(status, *attempt, trouble.status, Some(storable(&trouble.what)), *next_at, at)
            }
            DeliveryEvent::Requested { at, .. } => row("requested", 0, None, None, None, at),
        };
        if let DeliveryEvent::Succeeded { took, .. } | DeliveryEvent::Failed { took, .. } = event {
            self.attempts.push(Attempt {
                delivery: id,
                number: i64::try_from(recorded.revision).unwrap_or(i64::MAX),
                attempt: delivery.attempts,
                succeeded: delivery.status == "delivered",
                http_status: delivery.http_status,
                trouble: delivery.trouble.clone(),
                took_micros: i64::try_from(took.as_micros()).unwrap_or(i64::MAX),
                ended_at: delivery.changed_at,
            });
        }
        self.deliveries.insert(id, delivery);
    }
}
