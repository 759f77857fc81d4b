//! What goes in and out, in JSON.

use std::collections::BTreeSet;

use commands::webhooks::KnownWebhook;
use domain::Timestamp;
use domain::trigger::Schedule;
use domain::webhook::{Topic, WebhookSettings, WebhookStatus};
use projections::DeliveryRow;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::problem::Problem;

/// One or several names.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Names {
    One(String),
    Several(Vec<String>),
}

/// A webhook to subscribe. Unknown fields are let through: Zapier and others send some of their own.
#[derive(Debug, Deserialize)]
pub(super) struct SubscribeBody {
    /// Zapier's examples call it `target_url`, `targetUrl` or `hookUrl`.
    #[serde(alias = "target_url", alias = "targetUrl", alias = "hookUrl", alias = "hook_url")]
    url: Option<String>,
    #[serde(alias = "event_type", alias = "event", alias = "events")]
    event_types: Option<Names>,
    #[serde(default)]
    description: String,
}

/// A webhook to change; what is not given stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeBody {
    url: Option<String>,
    event_types: Option<Names>,
    description: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseBody {
    #[serde(default)]
    pub(super) reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RotateBody {
    pub(super) overlap_seconds: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayBody {
    pub(super) from: jiff::Timestamp,
    pub(super) until: Option<jiff::Timestamp>,
    #[serde(default)]
    pub(super) delivered_too: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    #[serde(alias = "target_url", alias = "targetUrl", alias = "hookUrl", alias = "hook_url")]
    pub(super) url: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct SamplesQuery {
    #[serde(alias = "event")]
    pub(super) event_type: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct DeliveriesQuery {
    status: Option<String>,
    pub(super) limit: Option<u32>,
    pub(super) cursor: Option<String>,
}

impl Names {
    fn topics(self) -> Result<BTreeSet<Topic>, Problem> {
        let names = match self {
            Self::One(name) => vec![name],
            Self::Several(names) => names,
        };
        names.iter().map(|name| topic(name)).collect()
    }
}

fn topic(name: &str) -> Result<Topic, Problem> {
    name.parse().map_err(|error: domain::webhook::UnknownTopic| Problem::bad("ARGUMENT_INVALID", &error.to_string()))
}

impl SubscribeBody {
    pub(super) fn into_settings(self) -> Result<WebhookSettings, Problem> {
        let url = self.url.ok_or_else(|| Problem::bad("BODY_INVALID", "`url` is missing"))?;
        let topics = match self.event_types {
            Some(names) => names.topics()?,
            None => Topic::ALL.into_iter().collect(),
        };
        Ok(WebhookSettings { url, topics, description: self.description })
    }
}

impl ChangeBody {
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

impl DeliveriesQuery {
    /// The wanted status, if it is one.
    pub(super) fn status(&self) -> Result<Option<String>, Problem> {
        const KNOWN: [&str; 4] = ["requested", "waiting", "delivered", "given_up"];
        match &self.status {
            Some(status) if !KNOWN.contains(&status.as_str()) => {
                Err(Problem::bad("ARGUMENT_INVALID", &format!("`status` must be one of {}", KNOWN.join(", "))))
            }
            status => Ok(status.clone()),
        }
    }
}

/// Where a page ended.
pub(super) fn cursor_of(position: i64, id: Uuid) -> String {
    format!("{position}-{}", id.simple())
}

/// From where a page goes on.
pub(super) fn cursor(text: &str) -> Result<(i64, Uuid), Problem> {
    let parts = text.split_once('-').and_then(|(position, id)| Some((position.parse().ok()?, id.parse().ok()?)));
    parts.ok_or_else(|| Problem::bad("ARGUMENT_INVALID", "`cursor` is none; pass one that a page gave you"))
}

/// A webhook; nothing when it does not exist.
pub(super) fn webhook(known: &KnownWebhook) -> Option<Value> {
    let (settings, status) = (known.webhook.settings()?, known.webhook.status()?);
    let (by, at) = known.webhook.subscribed()?;
    let (reason, since) = match status {
        WebhookStatus::Active => (None, None),
        WebhookStatus::Paused { reason, at, .. } => (Some(reason.clone()), Some(*at)),
        WebhookStatus::Disabled { because, at } => (Some(because.name().to_owned()), Some(*at)),
    };
    Some(json!({
        "id": known.id.to_string(),
        "url": settings.url,
        "event_types": settings.topics,
        "description": settings.description,
        "status": status.name(),
        "reason": reason,
        "since": since.map(Schedule::name_of),
        "created_by": by.to_string(),
        "created_at": Schedule::name_of(at),
    }))
}

/// What a webhook was told.
pub(super) fn delivery(row: &DeliveryRow) -> Value {
    let moment = |micros: i64| Schedule::name_of(Timestamp::from_micros(micros));
    json!({
        "id": row.id.to_string(),
        "webhook_id": row.webhook_id.to_string(),
        "message_id": integrations::id_of(domain::DeliveryId::from_uuid(row.id)),
        "event_type": row.topic,
        "event_at": moment(row.event_at),
        "status": row.status,
        "attempts": row.attempts,
        "http_status": row.http_status,
        "trouble": row.trouble,
        "next_at": row.next_at.map(moment),
        "changed_at": moment(row.changed_at),
    })
}

/// What webhooks can be told about.
pub(super) fn event_types() -> Value {
    let shown =
        |topic: Topic| json!({ "name": topic.name(), "description": topic.description(), "sample": topic.sample() });
    json!({ "event_types": Topic::ALL.map(shown) })
}

/// Messages as they could be, as a bare list, which is what Zapier wants for its samples.
pub(super) fn samples(event_type: Option<&str>, at: Timestamp) -> Result<Value, Problem> {
    let topics = match event_type {
        Some(name) => vec![topic(name)?],
        None => Topic::ALL.to_vec(),
    };
    Ok(topics.into_iter().map(|topic| integrations::example(topic, at)).collect())
}
