use serde::{Deserialize, Serialize};

use super::{KeyPrint, WebhookSettings};
use crate::{Actor, Timestamp};

/// What can happen to a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WebhookEvent {
    /// Somebody wants to be told.
    Subscribed {
        /// Who is told, and about what.
        settings: Box<WebhookSettings>,
        /// The master key from which its first secret follows.
        key: KeyPrint,
        /// Who wanted it.
        by: Actor,
        /// When; it is told of what happens from here on.
        at: Timestamp,
    },
    /// Others are told, or about something else.
    Changed {
        /// All of the settings.
        settings: Box<WebhookSettings>,
        /// Who changed them.
        by: Actor,
        /// When.
        at: Timestamp,
    },
    /// It is told nothing until somebody resumes it.
    Paused {
        /// Who paused it.
        by: Actor,
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// It is told again.
    Resumed {
        /// Who resumed it.
        by: Actor,
        /// When.
        at: Timestamp,
    },
    /// HishamOS gave it up. What was waiting is not told any more.
    Disabled {
        /// Why.
        because: DisabledBecause,
        /// When.
        at: Timestamp,
    },
    /// It got a new secret.
    Rotated {
        /// Counts its secrets, from 1.
        generation: u32,
        /// The master key from which the new secret follows.
        key: KeyPrint,
        /// Until when the old secret signs, too.
        overlap_until: Timestamp,
        /// Who wanted it.
        by: Actor,
        /// When.
        at: Timestamp,
    },
    /// It is to be told that this is a test.
    Tested {
        /// Who wanted it.
        by: Actor,
        /// When.
        at: Timestamp,
    },
    /// It was taken away for good.
    Deleted {
        /// Who took it away.
        by: Actor,
        /// When.
        at: Timestamp,
    },
}

/// Why HishamOS itself gives a webhook up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisabledBecause {
    /// It answered 410: nobody is there any more.
    Gone,
    /// Every delivery has failed for days.
    Failing {
        /// Since when.
        since: Timestamp,
    },
    /// Too many deliveries wait for it.
    Backlog {
        /// How many.
        waiting: u32,
    },
}

impl DisabledBecause {
    /// The stable snake_case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failing { .. } => "failing",
            Self::Backlog { .. } => "backlog",
        }
    }
}

impl WebhookEvent {
    /// The stable name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Subscribed { .. } => "webhook.subscribed",
            Self::Changed { .. } => "webhook.changed",
            Self::Paused { .. } => "webhook.paused",
            Self::Resumed { .. } => "webhook.resumed",
            Self::Disabled { .. } => "webhook.disabled",
            Self::Rotated { .. } => "webhook.rotated",
            Self::Tested { .. } => "webhook.tested",
            Self::Deleted { .. } => "webhook.deleted",
        }
    }
}
