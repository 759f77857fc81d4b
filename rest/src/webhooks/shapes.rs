//! What goes in and out.

use std::collections::BTreeSet;

use commands::webhooks::KnownWebhook;
use domain::trigger::Schedule;
use domain::webhook::{Topic, UnknownTopic, WebhookSettings, WebhookStatus};
use domain::{DeliveryId, Timestamp};
use jiff::Timestamp as Moment;
use projections::DeliveryRow;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::Problem;

/// One or several event types.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum EventTypes {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// A webhook to subscribe. What else is sent with it is let through: Zapier and others send some fields of their own.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct SubscribeWebhook {
    /// Where messages are sent: an address of the open internet by `https`, unless the configuration allows others.
    /// Zapier's names for it, `target_url`, `targetUrl`, `hookUrl` and `hook_url`, are taken too.
    #[serde(alias = "target_url", alias = "targetUrl", alias = "hookUrl", alias = "hook_url")]
    url: String,
    /// What it is told; all event types when nothing is said.
    #[serde(alias = "event_type", alias = "event", alias = "events")]
    event_types: Option<EventTypes>,
    /// What it is for.
    #[serde(default)]
    description: String,
}

/// What changes of a webhook.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeWebhook {
    /// Where messages are sent.
    url: Option<String>,
    /// What it is told.
    event_types: Option<EventTypes>,
    /// What it is for.
    description: Option<String>,
}

/// A pause.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PauseWebhook {
    /// Why.
    #[serde(default)]
    pub(super) reason: String,
}

/// A rotation of the secret.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateWebhook {
    /// For how many seconds the old secret signs as well; a day when nothing is said.
    pub(super) overlap_seconds: Option<u64>,
}

/// A range of time that is to be told once more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayRangeBody {
    /// What happened from here on.
    #[schema(value_type = String, format = DateTime)]
    pub(super) from: Moment,
    /// What happened up to here; up to now when nothing is said.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) until: Option<Moment>,
    /// Also what was delivered; otherwise only what was not, such as what happened during a pause.
    #[serde(default)]
    pub(super) delivered_too: bool,
}

/// Which webhooks are meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListWebhooks {
    /// Those with this URL.
    #[serde(alias = "target_url", alias = "targetUrl", alias = "hookUrl", alias = "hook_url")]
    pub(super) url: Option<String>,
}

/// Which samples are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListSamples {
    /// Those of this event type.
    #[serde(alias = "event")]
    pub(super) event_type: Option<String>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeliveryStatus {
    /// It is about to be sent.
    Requested,
    /// An attempt failed, and another will be made.
    Waiting,
    /// It was taken.
    Delivered,
    /// It was not taken, and no attempt will be made unless somebody asks.
    GivenUp,
}

/// Which deliveries are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListDeliveries {
    /// Only those of this status.
    #[param(inline)]
    status: Option<DeliveryStatus>,
    /// How many, 50 when nothing is said.
    #[param(minimum = 1, maximum = 200)]
    pub(super) limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub(super) cursor: Option<String>,
}

/// A URL that is told what happens.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Webhook {
    /// Its id.
    id: Uuid,
    /// Where messages are sent.
    url: String,
    /// What it is told.
    event_types: Vec<&'static str>,
    /// What it is for.
    description: String,
    /// `active`, `paused`, or `disabled` after its URL said that it is gone or did not answer for long.
    status: &'static str,
    /// Why it is paused or disabled.
    reason: Option<String>,
    /// Since when it is paused or disabled.
    #[schema(format = DateTime)]
    since: Option<String>,
    /// Who subscribed it, as `kind:id`.
    created_by: String,
    /// When it was subscribed.
    #[schema(format = DateTime)]
    created_at: String,
}

/// A webhook with a secret that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewWebhook {
    #[serde(flatten)]
    pub(super) webhook: Webhook,
    /// What its messages are signed with (Standard Webhooks); it is not shown again.
    pub(super) secret: String,
}

/// Webhooks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookList {
    /// Those that were asked for.
    pub(super) webhooks: Vec<Webhook>,
}

/// A test that is on its way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookTest {
    /// Under which id the log of deliveries has it.
    pub(super) delivery_id: Uuid,
    /// The position that contains it.
    pub(super) position: String,
}

/// What a webhook was told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Delivery {
    /// Its id.
    id: Uuid,
    /// The webhook.
    webhook_id: Uuid,
    /// The `webhook-id` of the message, the same for every attempt.
    message_id: String,
    /// What is told.
    event_type: String,
    /// When that happened.
    #[schema(format = DateTime)]
    event_at: String,
    /// `requested`, `waiting`, `delivered` or `given_up`.
    status: String,
    /// How many attempts were made since it was last asked for.
    attempts: i64,
    /// The HTTP status of the last attempt.
    http_status: Option<i32>,
    /// What went wrong with the last attempt.
    trouble: Option<String>,
    /// When the next attempt is made.
    #[schema(format = DateTime)]
    next_at: Option<String>,
    /// When something last happened to it.
    #[schema(format = DateTime)]
    changed_at: String,
}

/// A page of deliveries, the latest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryPage {
    /// The deliveries of this page.
    pub(super) deliveries: Vec<Delivery>,
    /// Pass it as `cursor` for the next page; null when this is the last one.
    pub(super) next_cursor: Option<String>,
}

/// What is told once more.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Replay {
    /// The deliveries that are made once more.
    pub(super) delivery_ids: Vec<Uuid>,
    /// How many of the range were left alone because they had been delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delivered: Option<usize>,
    /// How many of the range were left alone because they are going on anyway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) open: Option<usize>,
}

/// Something that webhooks can be told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventType {
    /// Its name.
    name: &'static str,
    /// When it is told.
    description: &'static str,
    /// What `data` of a message can hold.
    #[schema(value_type = Object)]
    sample: Value,
}

/// What webhooks can be told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventTypeList {
    /// All of them.
    pub(super) event_types: Vec<EventType>,
}

impl EventTypes {
    fn topics(self) -> Result<BTreeSet<Topic>, Problem> {
        let names = match self {
            Self::One(name) => vec![name],
            Self::Several(names) => names,
        };
        names.iter().map(|name| topic(name)).collect()
    }
}

pub(super) fn topic(name: &str) -> Result<Topic, Problem> {
    name.parse().map_err(|error: UnknownTopic| Problem::invalid(error.to_string()))
}

impl SubscribeWebhook {
    pub(super) fn into_settings(self) -> Result<WebhookSettings, Problem> {
        let topics = match self.event_types {
            Some(names) => names.topics()?,
            None => Topic::ALL.into_iter().collect(),
        };
        Ok(WebhookSettings { url: self.url, topics, description: self.description })
    }
}

impl ChangeWebhook {
    pub(super) fn into_settings(self, known: &WebhookSettings) -> Result<WebhookSettings, Problem> {
        Ok(WebhookSettings {
            url: self.url.unwrap_or_else(|| known.url.clone()),
            topics: match self.event_types {
                Some(names) => names.topics()?,
                None => known.topics.clone(),
            },
            description: self.description.unwrap_or_else(|| known.description.clone()),
        })
    }
}

impl ListWebhooks {
    pub(super) fn names(&self, known: &KnownWebhook) -> bool {
        known.webhook.settings().is_some_and(|settings| Some(&settings.url) == self.url.as_ref())
    }
}

impl ListDeliveries {
    /// The wanted status, as the read model calls it.
    pub(super) fn status(&self) -> Option<String> {
        let name = match self.status? {
            DeliveryStatus::Requested => "requested",
            DeliveryStatus::Waiting => "waiting",
            DeliveryStatus::Delivered => "delivered",
            DeliveryStatus::GivenUp => "given_up",
        };
        Some(name.to_owned())
    }
}

impl Webhook {
    /// Nothing when it does not exist.
    pub(super) fn of(known: &KnownWebhook) -> Option<Self> {
        let (settings, status) = (known.webhook.settings()?, known.webhook.status()?);
        let (by, at) = known.webhook.subscribed()?;
        let (reason, since) = match status {
            WebhookStatus::Active => (None, None),
            WebhookStatus::Paused { reason, at, .. } => (Some(reason.clone()), Some(*at)),
            WebhookStatus::Disabled { because, at } => (Some(because.name().to_owned()), Some(*at)),
        };
        Some(Self {
            id: known.id.as_uuid(),
            url: settings.url.clone(),
            event_types: settings.topics.iter().map(|topic| topic.name()).collect(),
            description: settings.description.clone(),
            status: status.name(),
            reason,
            since: since.map(Schedule::name_of),
            created_by: by.to_string(),
            created_at: Schedule::name_of(at),
        })
    }
}

impl Delivery {
    pub(super) fn of(row: &DeliveryRow) -> Self {
        let moment = |micros: i64| Schedule::name_of(Timestamp::from_micros(micros));
        Self {
            id: row.id,
            webhook_id: row.webhook_id,
            message_id: DeliveryId::from_uuid(row.id).message(),
            event_type: row.topic.clone(),
            event_at: moment(row.event_at),
            status: row.status.clone(),
            attempts: row.attempts,
            http_status: row.http_status,
            trouble: row.trouble.clone(),
            next_at: row.next_at.map(moment),
            changed_at: moment(row.changed_at),
        }
    }
}

impl EventType {
    pub(super) fn of(topic: Topic) -> Self {
        Self { name: topic.name(), description: topic.description(), sample: topic.sample() }
    }
}

/// Where a page ended.
pub(super) fn cursor_of(position: i64, id: Uuid) -> String {
    format!("{position}-{}", id.simple())
}

/// From where a page goes on.
pub(super) fn cursor(text: &str) -> Result<(i64, Uuid), Problem> {
    let parts = text.split_once('-').and_then(|(position, id)| Some((position.parse().ok()?, id.parse().ok()?)));
    parts.ok_or_else(|| Problem::invalid("`cursor` is none; pass one that a page gave you"))
}
