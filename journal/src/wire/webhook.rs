//! Frozen events of webhooks. Topics are kept by name, and thawed through the closed list.

use std::collections::BTreeSet;

use domain::webhook::{DisabledBecause, KeyPrint, Topic, WebhookSettings};
use domain::{Event, WebhookEvent};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::values::{ActorV1, checked, moment};
use super::{Encoded, Thaw, write};

#[derive(Debug, Serialize, Deserialize, Schema)]
struct SettingsV1<'a> {
    url: &'a str,
    #[serde(borrow)]
    topics: Vec<&'a str>,
    description: &'a str,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct SubscribedV1<'a> {
    #[serde(borrow)]
    settings: SettingsV1<'a>,
    key_print: u64,
    #[serde(borrow)]
    by: ActorV1<'a>,
    at_micros: i64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ChangedV1<'a> {
    #[serde(borrow)]
    settings: SettingsV1<'a>,
    #[serde(borrow)]
    by: ActorV1<'a>,
    at_micros: i64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct PausedV1<'a> {
    #[serde(borrow)]
    by: ActorV1<'a>,
    reason: &'a str,
    at_micros: i64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ResumedV1<'a> {
    #[serde(borrow)]
    by: ActorV1<'a>,
    at_micros: i64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
enum DisabledBecauseV1 {
    Gone,
    Failing { since_micros: i64 },
    Backlog { waiting: u32 },
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct DisabledV1 {
    because: DisabledBecauseV1,
    at_micros: i64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RotatedV1<'a> {
    generation: u32,
    key_print: u64,
    overlap_until_micros: i64,
    #[serde(borrow)]
    by: ActorV1<'a>,
    at_micros: i64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct TestedV1<'a> {
    #[serde(borrow)]
    by: ActorV1<'a>,
    at_micros: i64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct DeletedV1<'a> {
    #[serde(borrow)]
    by: ActorV1<'a>,
    at_micros: i64,
}

pub(super) fn freeze(event: &WebhookEvent) -> Result<Encoded, String> {
    match event {
        WebhookEvent::Subscribed { settings, key, by, at } => write(&SubscribedV1 {
            settings: SettingsV1::freeze(settings),
            key_print: key.0,
            by: ActorV1::freeze(by),
            at_micros: at.as_micros(),
        }),
        WebhookEvent::Changed { settings, by, at } => write(&ChangedV1 {
            settings: SettingsV1::freeze(settings),
            by: ActorV1::freeze(by),
            at_micros: at.as_micros(),
        }),
        WebhookEvent::Paused { by, reason, at } => {
            write(&PausedV1 { by: ActorV1::freeze(by), reason, at_micros: at.as_micros() })
        }
        WebhookEvent::Resumed { by, at } => write(&ResumedV1 { by: ActorV1::freeze(by), at_micros: at.as_micros() }),
        WebhookEvent::Disabled { because, at } => write(&DisabledV1 {
            because: match because {
                DisabledBecause::Gone => DisabledBecauseV1::Gone,
                DisabledBecause::Failing { since } => DisabledBecauseV1::Failing { since_micros: since.as_micros() },
                DisabledBecause::Backlog { waiting } => DisabledBecauseV1::Backlog { waiting: *waiting },
            },
            at_micros: at.as_micros(),
        }),
        WebhookEvent::Rotated { generation, key, overlap_until, by, at } => write(&RotatedV1 {
            generation: *generation,
            key_print: key.0,
            overlap_until_micros: overlap_until.as_micros(),
            by: ActorV1::freeze(by),
            at_micros: at.as_micros(),
        }),
        WebhookEvent::Tested { by, at } => write(&TestedV1 { by: ActorV1::freeze(by), at_micros: at.as_micros() }),
        WebhookEvent::Deleted { by, at } => write(&DeletedV1 { by: ActorV1::freeze(by), at_micros: at.as_micros() }),
    }
}

impl<'a> SettingsV1<'a> {
    fn freeze(settings: &'a WebhookSettings) -> Self {
        let WebhookSettings { url, topics, description } = settings;
        Self { url, topics: topics.iter().map(|topic| topic.name()).collect(), description }
    }

    fn thaw(self) -> Result<WebhookSettings, String> {
        let count = self.topics.len();
        let topics: BTreeSet<Topic> = self.topics.into_iter().map(checked).collect::<Result<_, _>>()?;
        if topics.len() != count {
            return Err("a topic is named twice".to_owned());
        }
        Ok(WebhookSettings { url: self.url.to_owned(), topics, description: self.description.to_owned() })
    }
}

impl Thaw for SubscribedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(WebhookEvent::Subscribed {
            settings: Box::new(self.settings.thaw()?),
            key: KeyPrint(self.key_print),
            by: self.by.thaw(),
            at: moment(self.at_micros),
        }
        .into())
    }
}

impl Thaw for ChangedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(WebhookEvent::Changed {
            settings: Box::new(self.settings.thaw()?),
            by: self.by.thaw(),
            at: moment(self.at_micros),
        }
        .into())
    }
}

impl Thaw for PausedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        let (by, reason) = (self.by.thaw(), self.reason.to_owned());
        Ok(WebhookEvent::Paused { by, reason, at: moment(self.at_micros) }.into())
    }
}

impl Thaw for ResumedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(WebhookEvent::Resumed { by: self.by.thaw(), at: moment(self.at_micros) }.into())
    }
}

impl Thaw for DisabledV1 {
    fn thaw(self) -> Result<Event, String> {
        let because = match self.because {
            DisabledBecauseV1::Gone => DisabledBecause::Gone,
            DisabledBecauseV1::Failing { since_micros } => DisabledBecause::Failing { since: moment(since_micros) },
            DisabledBecauseV1::Backlog { waiting } => DisabledBecause::Backlog { waiting },
        };
        Ok(WebhookEvent::Disabled { because, at: moment(self.at_micros) }.into())
    }
}

impl Thaw for RotatedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(WebhookEvent::Rotated {
            generation: self.generation,
            key: KeyPrint(self.key_print),
            overlap_until: moment(self.overlap_until_micros),
            by: self.by.thaw(),
            at: moment(self.at_micros),
        }
        .into())
    }
}

impl Thaw for TestedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(WebhookEvent::Tested { by: self.by.thaw(), at: moment(self.at_micros) }.into())
    }
}

impl Thaw for DeletedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(WebhookEvent::Deleted { by: self.by.thaw(), at: moment(self.at_micros) }.into())
    }
}
