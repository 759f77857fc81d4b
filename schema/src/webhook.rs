//! Webhooks, folded from the journal, and what they were told, from the read model.

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, Result, SimpleObject};
use commands::webhooks::KnownWebhook;
use domain::Category;
use domain::webhook::{DisabledBecause, Topic, WebhookSettings, WebhookStatus as Status};
use projections::{DeliveryAttemptRow, DeliveryRow, Window};
use uuid::Uuid;

use crate::input::parse;
use crate::loader::Loaders;
use crate::node::global_id;
use crate::order::{Cursor, Sorted, WebhookOrder, held, some_of};
use crate::run::{moment, position};
use crate::scalar::{Count, DateTime, Json, Position};
use crate::status::DeliveryStatus;

/// Somebody's address that is told when something happens.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Webhook {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// Its own id.
    webhook_id: Uuid,
    /// Where it is told, by POST.
    pub(crate) url: String,
    /// About what.
    event_types: Vec<String>,
    /// What it is for.
    description: String,
    /// Where it stands.
    pub(crate) status: WebhookStatus,
    /// Why it is told nothing at the moment.
    reason: Option<String>,
    /// Since when it is paused or disabled.
    since: Option<DateTime>,
    /// Which of its secrets signs, from 1.
    secret_generation: u32,
    /// Until when the secret before it signs, too.
    overlap_until: Option<DateTime>,
    /// Who subscribed, as `kind:id`.
    subscribed_by: String,
    /// When.
    subscribed_at: DateTime,
}

/// Where a webhook stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum WebhookStatus {
    /// It is told.
    Active,
    /// Somebody paused it.
    Paused,
    /// HishamOS gave it up: it is gone, it has failed for days, or too much waits for it.
    Disabled,
}

/// Which webhooks are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct WebhookFilter {
    /// Only those with this URL.
    url: Option<String>,
    /// Only with this text in the URL or the description, whatever the case.
    text: Option<String>,
    /// Only those that stand there.
    status: Option<WebhookStatus>,
    /// Only those that are told about this type of event.
    event_type: Option<String>,
}

impl WebhookFilter {
    pub(crate) fn wants(&self, webhook: &Webhook) -> bool {
        let has =
            |text: &str| webhook.url.to_lowercase().contains(text) || webhook.description.to_lowercase().contains(text);
        self.url.as_ref().is_none_or(|url| *url == webhook.url)
            && self.text.as_ref().is_none_or(|text| has(&text.to_lowercase()))
            && self.status.is_none_or(|status| status == webhook.status)
            && self.event_type.as_ref().is_none_or(|wanted| webhook.event_types.contains(wanted))
    }
}

/// A type of event that webhooks can be told about.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct WebhookEventType {
    /// The name.
    name: String,
    /// What it tells.
    description: String,
    /// An example of its `data`, with every field that it can have.
    sample: Json,
}

/// What a webhook was told, or is to be.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct WebhookDelivery {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// Its own id.
    delivery_id: Uuid,
    /// The webhook.
    webhook_id: Uuid,
    /// The type of event.
    event_type: String,
    /// The event that is told.
    event_id: Uuid,
    /// When that happened.
    event_at: DateTime,
    /// Where it stands.
    status: DeliveryStatus,
    /// How many attempts were made since it was last asked for.
    attempts_made: Count,
    /// The HTTP status of the last attempt; null when there was no answer.
    http_status: Option<i32>,
    /// What went wrong with the last attempt.
    trouble: Option<String>,
    /// When the next attempt is made.
    next_at: Option<DateTime>,
    /// When something last happened to it.
    changed_at: DateTime,
    /// The position of its last event that is reflected here.
    position: Position,
}

/// One attempt of a delivery.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct WebhookAttempt {
    /// Which attempt, from 1; counts anew after a replay.
    attempt: Count,
    /// Whether the webhook took it.
    succeeded: bool,
    /// The HTTP status; null when there was no answer.
    http_status: Option<i32>,
    /// What went wrong.
    trouble: Option<String>,
    /// How long it took, in milliseconds.
    took_ms: Count,
    /// When it had ended.
    ended_at: DateTime,
}

/// A webhook to subscribe.
#[derive(Debug, InputObject)]
pub(crate) struct SubscribeWebhookInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new webhook.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Where it is told, by POST.
    url: String,
    /// About what; nothing named means everything that there is now.
    #[graphql(default)]
    event_types: Vec<String>,
    /// What it is for.
    #[graphql(default)]
    description: String,
}

/// A webhook to change; what is not given stays.
#[derive(Debug, InputObject)]
pub(crate) struct ChangeWebhookInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which webhook.
    pub(crate) webhook_id: Uuid,
    /// Where it is told, by POST.
    url: Option<String>,
    /// About what.
    event_types: Option<Vec<String>>,
    /// What it is for.
    description: Option<String>,
}

/// A webhook to do something with.
#[derive(Debug, InputObject)]
pub(crate) struct WebhookInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which webhook.
    pub(crate) webhook_id: Uuid,
    /// Why; kept when it is paused.
    #[graphql(default)]
    pub(crate) reason: String,
}

/// A webhook that gets a new secret.
#[derive(Debug, InputObject)]
pub(crate) struct RotateWebhookInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which webhook.
    pub(crate) webhook_id: Uuid,
    /// For how many seconds the old secret signs, too; at most 7 days.
    #[graphql(default = 86_400)]
    pub(crate) overlap_seconds: u32,
}

/// A delivery to make once more.
#[derive(Debug, InputObject)]
pub(crate) struct ReplayDeliveryInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which delivery.
    pub(crate) delivery_id: Uuid,
}

/// What happened within a time, to be told once more; at most 1,000 events.
#[derive(Debug, InputObject)]
pub(crate) struct ReplayDeliveriesInput {
    /// The command's own id: a repetition gets the first answer, and goes on where it was interrupted; with other input
    /// it is refused. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which webhook.
    pub(crate) webhook_id: Uuid,
    /// From here on, this moment included.
    pub(crate) from: DateTime,
    /// Up to here, this moment included.
    pub(crate) until: DateTime,
    /// Also what was delivered; otherwise only what was not.
    #[graphql(default)]
    pub(crate) delivered_too: bool,
}

impl SubscribeWebhookInput {
    pub(crate) fn into_settings(self) -> Result<WebhookSettings> {
        let mut topics = topics(&self.event_types)?;
        if topics.is_empty() {
            topics = Topic::ALL.into_iter().collect();
        }
        Ok(WebhookSettings { url: self.url, topics, description: self.description })
    }
}

impl ChangeWebhookInput {
    /// What it is to be like, given what it is like.
    pub(crate) fn into_settings(self, known: &WebhookSettings) -> Result<WebhookSettings> {
        Ok(WebhookSettings {
            url: self.url.unwrap_or_else(|| known.url.clone()),
            topics: match self.event_types {
                Some(names) => topics(&names)?,
                None => known.topics.clone(),
            },
            description: self.description.unwrap_or_else(|| known.description.clone()),
        })
    }
}

fn topics(names: &[String]) -> Result<std::collections::BTreeSet<Topic>> {
    names.iter().map(|name| parse("eventTypes", name)).collect()
}

impl Webhook {
    /// A page of webhooks.
    pub(crate) fn page(
        webhooks: Vec<Self>,
        window: &Window<Cursor>,
        order: WebhookOrder,
        reversed: bool,
    ) -> Result<Sorted<Self>> {
        match order {
            WebhookOrder::Subscribed => held(webhooks, window, reversed, "subscribed", |webhook| {
                (webhook.subscribed_at.0.as_micros(), webhook.webhook_id)
            }),
            WebhookOrder::Url => {
                held(webhooks, window, reversed, "url", |webhook| (webhook.url.clone(), webhook.webhook_id))
            }
        }
    }

    /// Nothing when it does not exist.
    pub(crate) fn of(known: &KnownWebhook) -> Option<Self> {
        let webhook = &known.webhook;
        let (settings, (by, at)) = (webhook.settings()?, webhook.subscribed()?);
        let (status, reason, since) = match webhook.status()? {
            Status::Active => (WebhookStatus::Active, None, None),
            Status::Paused { reason, at, .. } => (WebhookStatus::Paused, Some(reason.clone()), Some(*at)),
            Status::Disabled { because, at } => (WebhookStatus::Disabled, Some(words(*because)), Some(*at)),
        };
        Some(Self {
            id: global_id(Category::Webhook, known.id.as_uuid()),
            webhook_id: known.id.as_uuid(),
            url: settings.url.clone(),
            event_types: settings.topics.iter().map(ToString::to_string).collect(),
            description: settings.description.clone(),
            status,
            reason,
            since: since.map(DateTime::from),
            secret_generation: webhook.signing(at).first().map_or(1, |signing| signing.generation),
            overlap_until: webhook.overlap_until().map(DateTime::from),
            subscribed_by: by.to_string(),
            subscribed_at: at.into(),
        })
    }
}

fn words(because: DisabledBecause) -> String {
    match because {
        DisabledBecause::Gone => "it answered 410: nobody is there any more".to_owned(),
        DisabledBecause::Failing { since } => {
            format!("every attempt has failed since {}", domain::trigger::Schedule::name_of(since))
        }
        DisabledBecause::Backlog { waiting } => format!("{waiting} messages were waiting for it"),
    }
}

impl WebhookEventType {
    /// All of them with a text, by name.
    pub(crate) fn all(text: Option<&str>, reversed: bool) -> Vec<Self> {
        let text = text.unwrap_or_default().to_lowercase();
        let wanted = |topic: &Topic| topic.name().contains(&text) || topic.description().to_lowercase().contains(&text);
        let mut topics: Vec<Topic> = Topic::ALL.into_iter().filter(wanted).collect();
        topics.sort_unstable_by_key(|topic| topic.name());
        if reversed {
            topics.reverse();
        }
        let shown = |topic: Topic| Self {
            name: topic.name().to_owned(),
            description: topic.description().to_owned(),
            sample: async_graphql::Json(topic.sample()),
        };
        topics.into_iter().map(shown).collect()
    }
}

impl WebhookDelivery {
    pub(crate) fn of(row: DeliveryRow) -> Result<Self> {
        Ok(Self {
            id: global_id(Category::Delivery, row.id),
            delivery_id: row.id,
            webhook_id: row.webhook_id,
            event_type: row.topic,
            event_id: row.event_id,
            event_at: moment(row.event_at),
            status: DeliveryStatus::of(&row.status)?,
            attempts_made: Count::of(row.attempts),
            http_status: row.http_status,
            trouble: row.trouble,
            next_at: row.next_at.map(moment),
            changed_at: moment(row.changed_at),
            position: position(row.position),
        })
    }
}

impl From<DeliveryAttemptRow> for WebhookAttempt {
    fn from(row: DeliveryAttemptRow) -> Self {
        Self {
            attempt: Count::of(row.attempt),
            succeeded: row.succeeded,
            http_status: row.http_status,
            trouble: row.trouble,
            took_ms: Count::of(row.took_micros / 1000),
            ended_at: moment(row.ended_at),
        }
    }
}

#[ComplexObject]
impl WebhookDelivery {
    /// Its attempts, the first first; at most the first 1,000.
    #[graphql(complexity = "20 * child_complexity")]
    async fn attempts(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only those that the webhook took, or only those that it did not.")] succeeded: Option<bool>,
        #[graphql(desc = "The last one first.", default)] reversed: bool,
    ) -> Result<Vec<WebhookAttempt>> {
        let attempts = Loaders::of(context)?.delivery_attempts(self.delivery_id).await?;
        Ok(some_of(attempts, reversed, |attempt| succeeded.is_none_or(|succeeded| succeeded == attempt.succeeded)))
    }
}
