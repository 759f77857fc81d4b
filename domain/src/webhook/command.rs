use std::time::Duration;

use super::{DisabledBecause, KeyPrint, WebhookSettings};
use crate::{Actor, Timestamp};

/// What may be asked of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookCommand {
    /// Makes it. One that is there stays as it is.
    Subscribe {
        /// Who is told, and about what.
        settings: Box<WebhookSettings>,
        /// The master key from which its secret follows.
        key: KeyPrint,
        /// Who.
        by: Actor,
        /// Now.
        now: Timestamp,
    },
    /// Changes who is told, or about what. Equal settings change nothing.
    Change {
        /// All of them.
        settings: Box<WebhookSettings>,
        /// Who.
        by: Actor,
        /// Now.
        now: Timestamp,
    },
    /// Nothing is told until somebody resumes it. One that is paused stays as it is.
    Pause {
        /// Who.
        by: Actor,
        /// Why.
        reason: String,
        /// Now.
        now: Timestamp,
    },
    /// It is told again, from now on, whether it was paused or disabled.
    Resume {
        /// Who.
        by: Actor,
        /// Now.
        now: Timestamp,
    },
    /// HishamOS itself gives it up. One that is disabled stays as it is.
    Disable {
        /// Why.
        because: DisabledBecause,
        /// Now.
        now: Timestamp,
    },
    /// Gives it a new secret.
    Rotate {
        /// The master key from which the new secret follows.
        key: KeyPrint,
        /// How long the old secret signs, too.
        overlap: Duration,
        /// Who.
        by: Actor,
        /// Now.
        now: Timestamp,
    },
    /// Tells it that this is a test.
    Test {
        /// Who.
        by: Actor,
        /// Now.
        now: Timestamp,
    },
    /// Takes it away for good.
    Delete {
        /// Who.
        by: Actor,
        /// Now.
        now: Timestamp,
    },
}
