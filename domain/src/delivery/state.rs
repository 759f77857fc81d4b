use serde::{Deserialize, Serialize};

use super::{DeliveryEvent, Subject};
use crate::Timestamp;

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// An attempt is due.
    #[default]
    Due,
    /// It failed, and waits for its next attempt.
    Waiting {
        /// Until when.
        until: Timestamp,
    },
    /// The webhook took it.
    Delivered,
    /// It failed for good.
    GivenUp,
}

/// A delivery.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Delivery {
    subject: Option<Subject>,
    status: DeliveryStatus,
    attempts: u32,
}

impl Delivery {
    /// Who is told about what; `None` before the first attempt was recorded.
    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        self.subject.as_ref()
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> DeliveryStatus {
        self.status
    }

    /// How many attempts have been made since it was last asked for.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(super) fn fold(&mut self, event: DeliveryEvent) {
        match event {
            DeliveryEvent::Succeeded { subject, attempt, .. } => {
                *self = Self { subject: Some(subject), status: DeliveryStatus::Delivered, attempts: attempt };
            }
            DeliveryEvent::Failed { subject, attempt, next_at, .. } => {
                let status = next_at.map_or(DeliveryStatus::GivenUp, |until| DeliveryStatus::Waiting { until });
                *self = Self { subject: Some(subject), status, attempts: attempt };
            }
            DeliveryEvent::Requested { subject, .. } => {
                *self = Self { subject: Some(subject), status: DeliveryStatus::Due, attempts: 0 };
            }
        }
    }
}
