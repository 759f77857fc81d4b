//! Webhooks: others' addresses that are told when something happens. What is told, to whom, and by which key it is
//! signed is decided here; each telling is a delivery of its own.
//!
//! Invariant: no secret is ever in an event. A secret follows from a master key outside the journal, the webhook's id and
//! a generation; an event only names the generation and the print of the key.

mod command;
mod decide;
mod event;
mod settings;
mod state;
mod topic;

pub use command::WebhookCommand;
pub use decide::{MAX_OVERLAP, WebhookRefusal};
pub use event::{DisabledBecause, WebhookEvent};
pub use settings::{KeyPrint, MAX_DESCRIPTION, MAX_URL, WebhookSettings};
pub use state::{Signing, Webhook, WebhookStatus};
pub use topic::{Topic, UnknownTopic};

crate::decide::aggregate!(Webhook, WebhookCommand, WebhookEvent, WebhookRefusal, Webhook);
