use std::time::Duration;

use super::{Webhook, WebhookCommand, WebhookEvent, WebhookStatus};
use crate::Refusal;

/// The longest time for which two secrets sign.
pub const MAX_OVERLAP: Duration = Duration::from_secs(7 * 24 * 3600);

/// Why a webhook refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookRefusal {
    /// There is none.
    #[error("there is no such webhook, or it was deleted")]
    NotFound,
    /// It cannot be so.
    #[error("the webhook cannot be set: {0}")]
    Invalid(String),
    /// It is told nothing at the moment.
    #[error("the webhook is {0}; resume it first")]
    NotActive(&'static str),
}

impl Refusal for WebhookRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "WEBHOOK_NOT_FOUND",
            Self::Invalid(_) => "WEBHOOK_INVALID",
            Self::NotActive(_) => "WEBHOOK_NOT_ACTIVE",
        }
    }
}

pub(super) fn decide(state: &Webhook, command: WebhookCommand) -> Result<Vec<WebhookEvent>, WebhookRefusal> {
    let command = match command {
        WebhookCommand::Subscribe { .. } if state.is_deleted() => return Err(WebhookRefusal::NotFound),
        WebhookCommand::Subscribe { .. } if state.status().is_some() => return Ok(vec![]),
        WebhookCommand::Subscribe { settings, key, by, now } => {
            settings.check()?;
            return Ok(vec![WebhookEvent::Subscribed { settings, key, by, at: now }]);
        }
        // Whoever unsubscribes twice has got what they wanted.
        WebhookCommand::Delete { .. } if state.is_deleted() => return Ok(vec![]),
        // What nobody asked for is not refused to anybody.
        WebhookCommand::Disable { .. } if state.status().is_none() => return Ok(vec![]),
        command => command,
    };
    let (Some(settings), Some(status)) = (state.settings(), state.status()) else {
        return Err(WebhookRefusal::NotFound);
    };
    Ok(match (command, status) {
        (WebhookCommand::Change { settings: wanted, by, now }, _) => {
            wanted.check()?;
            if **settings == *wanted { vec![] } else { vec![WebhookEvent::Changed { settings: wanted, by, at: now }] }
        }
        (WebhookCommand::Pause { by, reason, now }, WebhookStatus::Active) => {
            vec![WebhookEvent::Paused { by, reason, at: now }]
        }
        (WebhookCommand::Pause { .. }, WebhookStatus::Paused { .. }) => vec![],
        (WebhookCommand::Pause { .. } | WebhookCommand::Test { .. }, status) if *status != WebhookStatus::Active => {
            return Err(WebhookRefusal::NotActive(status.name()));
        }
        (WebhookCommand::Resume { .. }, WebhookStatus::Active) => vec![],
        (WebhookCommand::Resume { by, now }, _) => vec![WebhookEvent::Resumed { by, at: now }],
        (WebhookCommand::Disable { .. }, WebhookStatus::Disabled { .. }) => vec![],
        (WebhookCommand::Disable { because, now }, _) => vec![WebhookEvent::Disabled { because, at: now }],
        (WebhookCommand::Rotate { key, overlap, by, now }, _) => {
            if overlap > MAX_OVERLAP {
                let days = MAX_OVERLAP.as_secs() / 86_400;
                return Err(WebhookRefusal::Invalid(format!("two secrets sign for at most {days} days")));
            }
            let generation = state.signing(now).first().map_or(1, |signing| signing.generation.saturating_add(1));
            vec![WebhookEvent::Rotated { generation, key, overlap_until: now.plus(overlap), by, at: now }]
        }
        (WebhookCommand::Test { by, now }, _) => vec![WebhookEvent::Tested { by, at: now }],
        (WebhookCommand::Delete { by, now }, _) => vec![WebhookEvent::Deleted { by, at: now }],
        (WebhookCommand::Subscribe { .. } | WebhookCommand::Pause { .. }, _) => vec![],
    })
}
