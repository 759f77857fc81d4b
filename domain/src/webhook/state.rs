use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{DisabledBecause, KeyPrint, Topic, WebhookEvent, WebhookSettings};
use crate::{Actor, Timestamp};

/// Where a webhook stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookStatus {
    /// It is told.
    Active,
    /// Somebody paused it.
    Paused {
        /// Who.
        by: Actor,
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// HishamOS gave it up.
    Disabled {
        /// Why.
        because: DisabledBecause,
        /// When.
        at: Timestamp,
    },
}

impl WebhookStatus {
    /// The stable snake_case name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused { .. } => "paused",
            Self::Disabled { .. } => "disabled",
        }
    }
}

/// A secret, by what it follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signing {
    /// Which of the webhook's secrets, from 1.
    pub generation: u32,
    /// From which master key.
    pub key: KeyPrint,
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Webhook {
    there: Option<There>,
    deleted: bool,
}

/// A webhook that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct There {
    settings: Arc<WebhookSettings>,
    status: WebhookStatus,
    signing: Signing,
    /// The secret before, and until when it signs, too.
    before: Option<(Signing, Timestamp)>,
    by: Actor,
    at: Timestamp,
}

impl Webhook {
    /// Who is told, and about what; `None` when it does not exist, or not any more.
    #[must_use]
    pub fn settings(&self) -> Option<&Arc<WebhookSettings>> {
        self.there.as_ref().map(|there| &there.settings)
    }

    /// Where it stands; `None` when it does not exist.
    #[must_use]
    pub fn status(&self) -> Option<&WebhookStatus> {
        self.there.as_ref().map(|there| &there.status)
    }

    /// Whether it is told.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status() == Some(&WebhookStatus::Active)
    }

    /// Whether it was there and was taken away; nothing brings it back.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Whether it is told about this now.
    #[must_use]
    pub fn wants(&self, topic: Topic) -> bool {
        self.is_active() && self.settings().is_some_and(|settings| settings.topics.contains(&topic))
    }

    /// The secrets that sign at a moment, the newest first.
    #[must_use]
    pub fn signing(&self, now: Timestamp) -> Vec<Signing> {
        let Some(there) = &self.there else { return vec![] };
        let before = there.before.filter(|(_, until)| *until > now).map(|(signing, _)| signing);
        [there.signing].into_iter().chain(before).collect()
    }

    /// Until when the secret before the newest signs, too.
    #[must_use]
    pub fn overlap_until(&self) -> Option<Timestamp> {
        self.there.as_ref().and_then(|there| there.before).map(|(_, until)| until)
    }

    /// Who subscribed, and when.
    #[must_use]
    pub fn subscribed(&self) -> Option<(&Actor, Timestamp)> {
        self.there.as_ref().map(|there| (&there.by, there.at))
    }

    pub(super) fn fold(&mut self, event: WebhookEvent) {
        match (event, &mut self.there) {
            (WebhookEvent::Subscribed { settings, key, by, at }, there) => {
                let signing = Signing { generation: 1, key };
                let settings = Arc::from(settings);
                *there = Some(There { settings, status: WebhookStatus::Active, signing, before: None, by, at });
            }
            (WebhookEvent::Deleted { .. }, there) => {
                *there = None;
                self.deleted = true;
            }
            (WebhookEvent::Changed { settings, .. }, Some(there)) => there.settings = Arc::from(settings),
            (WebhookEvent::Paused { by, reason, at }, Some(there)) => {
                there.status = WebhookStatus::Paused { by, reason, at };
            }
            (WebhookEvent::Resumed { .. }, Some(there)) => there.status = WebhookStatus::Active,
            (WebhookEvent::Disabled { because, at }, Some(there)) => {
                there.status = WebhookStatus::Disabled { because, at };
            }
            (WebhookEvent::Rotated { generation, key, overlap_until, .. }, Some(there)) => {
                there.before = Some((there.signing, overlap_until));
                there.signing = Signing { generation, key };
            }
            (WebhookEvent::Tested { .. }, _) | (_, None) => {}
        }
    }
}
