use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::webhook::Topic;
use crate::{Actor, DeliveryId, EventId, StreamId, Timestamp, WebhookId};

/// What can happen to a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryEvent {
    /// The webhook took it.
    Succeeded {
        /// Who is told about what.
        subject: Subject,
        /// Which attempt, from 1; counts anew after a request.
        attempt: u32,
        /// With which HTTP status.
        status: u16,
        /// How long the attempt took.
        took: Duration,
        /// When it had ended.
        at: Timestamp,
    },
    /// The webhook did not take it.
    Failed {
        /// Who is told about what.
        subject: Subject,
        /// Which attempt, from 1; counts anew after a request.
        attempt: u32,
        /// What went wrong.
        trouble: Trouble,
        /// How long the attempt took.
        took: Duration,
        /// When it is tried again; `None` when it is given up.
        next_at: Option<Timestamp>,
        /// When it had ended.
        at: Timestamp,
    },
    /// Somebody wants it delivered once more.
    Requested {
        /// Who is told about what.
        subject: Subject,
        /// Who wants it.
        by: Actor,
        /// When.
        at: Timestamp,
    },
}

/// Who is told about what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Who.
    pub webhook: WebhookId,
    /// About what.
    pub topic: Topic,
    /// From which event it follows.
    pub source: Source,
}

impl Subject {
    /// The delivery's id.
    #[must_use]
    pub fn id(&self) -> DeliveryId {
        DeliveryId::of(self.webhook, self.source.event)
    }
}

/// Where the journal has an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its id.
    pub event: EventId,
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream.
    pub revision: u64,
    /// Its place in the whole journal.
    pub position: u64,
    /// When it was recorded.
    pub at: Timestamp,
}

/// What went wrong with an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// In words, without anything that the receiver said.
    pub what: String,
}

impl DeliveryEvent {
    /// The stable name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Succeeded { .. } => "delivery.succeeded",
            Self::Failed { .. } => "delivery.failed",
            Self::Requested { .. } => "delivery.requested",
        }
    }

    /// Who is told about what.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        match self {
            Self::Succeeded { subject, .. } | Self::Failed { subject, .. } | Self::Requested { subject, .. } => subject,
        }
    }
}
