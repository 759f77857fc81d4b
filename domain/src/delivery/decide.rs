use super::{Delivery, DeliveryCommand, DeliveryEvent, DeliveryStatus};
use crate::Refusal;

/// Why a delivery refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryRefusal {
    /// There is none.
    #[error("there is no such delivery; those of a webhook are listed by `hishamos webhook deliveries`")]
    NotFound,
}

impl Refusal for DeliveryRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "DELIVERY_NOT_FOUND",
        }
    }
}

pub(super) fn decide(state: &Delivery, command: DeliveryCommand) -> Result<Vec<DeliveryEvent>, DeliveryRefusal> {
    Ok(match command {
        DeliveryCommand::Settle { subject, attempt, result, took, next_at, now } => {
            let open = matches!(state.status(), DeliveryStatus::Due | DeliveryStatus::Waiting { .. });
            if !open || attempt != state.attempts().saturating_add(1) {
                return Ok(vec![]);
            }
            vec![match result {
                Ok(status) => DeliveryEvent::Succeeded { subject, attempt, status, took, at: now },
                Err(trouble) => DeliveryEvent::Failed { subject, attempt, trouble, took, next_at, at: now },
            }]
        }
        // Asked for twice before it was tried is asked for once.
        DeliveryCommand::Request { .. } if state.subject().is_some() && state.status() == DeliveryStatus::Due => vec![],
        DeliveryCommand::Request { subject, by, now } => vec![DeliveryEvent::Requested { subject, by, at: now }],
    })
}
