//! Webhooks: subscribing, steering and replaying. They are folded from the journal, so an answer is always of now.

mod keys;
mod reach;
mod replay;

use std::sync::Arc;
use std::time::Duration;

use domain::delivery::{Subject, Trouble};
use domain::webhook::{DisabledBecause, WebhookRefusal, WebhookSettings};
use domain::{Delivery, DeliveryCommand, DeliveryId, Timestamp, Webhook, WebhookCommand, WebhookId};
use journal::Loaded;

pub use keys::{Keys, OtherKey, Secret};
pub use reach::{Reach, closed};
pub use replay::{ReplayRange, Replayed, source_of, topic_of};

use crate::{Commands, Error, Outcome, Refused, Request};

/// What the installation gives to its webhooks.
#[derive(Debug, Clone)]
pub struct WebhookSetup {
    /// From what their secrets follow.
    pub keys: Keys,
    /// Where they may be.
    pub reach: Reach,
}

/// A new webhook.
#[derive(Debug, Clone)]
pub struct Subscribed {
    /// Its id.
    pub id: WebhookId,
    /// Its first secret.
    pub secret: Secret,
    /// What the command came to.
    pub outcome: Outcome,
}

/// A webhook as it is now.
#[derive(Debug, Clone)]
pub struct KnownWebhook {
    /// Its id.
    pub id: WebhookId,
    /// What it is.
    pub webhook: Arc<Webhook>,
}

impl Commands {
    /// The most webhooks that there may be at a time.
    pub const MAX_WEBHOOKS: usize = 1000;
    /// For how long two secrets sign after a rotation, when nobody says otherwise.
    pub const OVERLAP: Duration = Duration::from_secs(24 * 3600);

    /// Lets webhooks be; without, every command on them that needs a key is refused.
    #[must_use]
    pub fn with_webhooks(mut self, setup: WebhookSetup) -> Self {
        self.webhooks = Some(Arc::new(setup));
        self
    }

    /// What the installation gives to its webhooks.
    ///
    /// # Errors
    /// `WEBHOOKS_OFF` when there is no master key.
    pub fn webhook_setup(&self) -> Result<&Arc<WebhookSetup>, Error> {
        self.webhooks.as_ref().ok_or_else(|| Refused::WebhooksOff.into())
    }

    /// Subscribes: from now on the URL is told. A command that is repeated under its id is the same webhook.
    ///
    /// # Errors
    /// `WEBHOOK_INVALID`, `WEBHOOKS_OFF`, `WEBHOOKS_TOO_MANY`.
    pub async fn subscribe_webhook(&self, request: Request, settings: WebhookSettings) -> Result<Subscribed, Error> {
        let setup = Arc::clone(self.webhook_setup()?);
        check_url(&setup, &settings)?;
        let (context, remember) = self.context(&request);
        let id = WebhookId::of_command(context.command);
        if self.webhooks().await?.iter().filter(|known| known.id != id).count() >= Self::MAX_WEBHOOKS {
            return Err(Refused::WebhooksTooMany { max: Self::MAX_WEBHOOKS }.into());
        }
        let (key, by, now) = (setup.keys.print(), request.actor.clone(), context.at);
        let command = WebhookCommand::Subscribe { settings: Box::new(settings), key, by, now };
        let done = self.executor.execute::<Webhook>(id.into(), command, context, remember).await?;
        let secret = self.webhook_secret(id, &done.state)?;
        Ok(Subscribed { id, secret, outcome: Outcome::of(id.into(), &done) })
    }

    /// Changes who is told, or about what.
    ///
    /// # Errors
    /// `WEBHOOK_NOT_FOUND`, `WEBHOOK_INVALID`, `WEBHOOKS_OFF`.
    pub async fn change_webhook(
        &self,
        request: Request,
        id: WebhookId,
        settings: WebhookSettings,
    ) -> Result<Outcome, Error> {
        check_url(self.webhook_setup()?, &settings)?;
        let (by, now) = (request.actor.clone(), self.surroundings.now());
        self.on_webhook(request, id, WebhookCommand::Change { settings: Box::new(settings), by, now }).await
    }

    /// Tells nothing until somebody resumes. What happens meanwhile is not told later, unless it is replayed.
    ///
    /// # Errors
    /// `WEBHOOK_NOT_FOUND`, `WEBHOOK_NOT_ACTIVE`.
    pub async fn pause_webhook(&self, request: Request, id: WebhookId, reason: String) -> Result<Outcome, Error> {
        let (by, now) = (request.actor.clone(), self.surroundings.now());
        self.on_webhook(request, id, WebhookCommand::Pause { by, reason, now }).await
    }

    /// Tells again, whether it was paused or disabled.
    ///
    /// # Errors
    /// `WEBHOOK_NOT_FOUND`.
    pub async fn resume_webhook(&self, request: Request, id: WebhookId) -> Result<Outcome, Error> {
        let (by, now) = (request.actor.clone(), self.surroundings.now());
        self.on_webhook(request, id, WebhookCommand::Resume { by, now }).await
    }

    /// Gives a webhook up; for the part that delivers.
    ///
    /// # Errors
    /// Only conflicts and failures of the journal.
    pub async fn disable_webhook(&self, id: WebhookId, because: DisabledBecause) -> Result<Outcome, Error> {
        let request = Request::by(domain::Actor::system("webhooks"));
        self.on_webhook(request, id, WebhookCommand::Disable { because, now: self.surroundings.now() }).await
    }

    /// Gives a webhook a new secret. The old one signs, too, for `overlap`, so that receivers can change theirs in peace.
    ///
    /// # Errors
    /// `WEBHOOK_NOT_FOUND`, `WEBHOOK_INVALID`, `WEBHOOKS_OFF`.
    pub async fn rotate_webhook(
        &self,
        request: Request,
        id: WebhookId,
        overlap: Duration,
    ) -> Result<(Secret, Outcome), Error> {
        let key = self.webhook_setup()?.keys.print();
        let (by, now) = (request.actor.clone(), self.surroundings.now());
        let outcome = self.on_webhook(request, id, WebhookCommand::Rotate { key, overlap, by, now }).await?;
        let webhook = self.webhook(id).await?;
        Ok((self.webhook_secret(id, &webhook)?, outcome))
    }

    /// Tells the webhook that this is a test. Answers with the id of the delivery.
    ///
    /// # Errors
    /// `WEBHOOK_NOT_FOUND`, `WEBHOOK_NOT_ACTIVE`.
    pub async fn test_webhook(&self, request: Request, id: WebhookId) -> Result<(DeliveryId, Outcome), Error> {
        let (by, now) = (request.actor.clone(), self.surroundings.now());
        let outcome = self.on_webhook(request, id, WebhookCommand::Test { by, now }).await?;
        let revision = outcome.revision.unwrap_or(0);
        let event = self.executor.journal().read_stream(id.into(), revision, 1).await?.pop();
        match event.filter(|event| event.event_type == "webhook.tested") {
            Some(event) => Ok((DeliveryId::of(id, event.id), outcome)),
            None => Err(Error::Conflict("the command id was used for another kind of command".to_owned())),
        }
    }

    /// Takes a webhook away for good. Doing it twice is no error.
    ///
    /// # Errors
    /// `WEBHOOK_NOT_FOUND` when it never was there.
    pub async fn delete_webhook(&self, request: Request, id: WebhookId) -> Result<Outcome, Error> {
        let (by, now) = (request.actor.clone(), self.surroundings.now());
        self.on_webhook(request, id, WebhookCommand::Delete { by, now }).await
    }

    /// A webhook as it is now.
    ///
    /// # Errors
    /// `WEBHOOK_NOT_FOUND`.
    pub async fn webhook(&self, id: WebhookId) -> Result<Arc<Webhook>, Error> {
        let webhook = self.executor.load::<Webhook>(id.into()).await?.state;
        match webhook.status() {
            Some(_) => Ok(webhook),
            None => Err(Error::Refused(Box::new(WebhookRefusal::NotFound))),
        }
    }

    /// Every webhook that there is, the oldest first, straight from the journal. However many there are, they are read together,
    /// and only what was recorded since the last time; the first time what was recorded since that was last saved is looked through.
    ///
    /// # Errors
    /// When the journal fails.
    pub async fn webhooks(&self) -> Result<Vec<KnownWebhook>, Error> {
        let all = self.rolls.webhooks.call(&self.executor, self.checkpoints.as_deref()).await?.into_iter();
        Ok(all.map(|(stream, webhook)| KnownWebhook { id: WebhookId::from_uuid(stream.id), webhook }).collect())
    }

    /// Records an attempt of a delivery; for the part that delivers. Nothing is recorded when somebody else has recorded
    /// that attempt.
    ///
    /// # Errors
    /// Only conflicts and failures of the journal.
    pub async fn settle_delivery(
        &self,
        subject: Subject,
        attempt: u32,
        result: Result<u16, Trouble>,
        took: Duration,
        next_at: Option<Timestamp>,
    ) -> Result<Loaded<Delivery>, Error> {
        let id = subject.id();
        let mut request = Request::by(domain::Actor::system("webhooks"));
        request.causation = Some(subject.source.event);
        let (context, remember) = self.context(&request);
        let command = DeliveryCommand::Settle { subject, attempt, result, took, next_at, now: context.at };
        let done = self.executor.execute::<Delivery>(id.into(), command, context, remember).await?;
        Ok(Loaded { state: done.state, revision: done.revision })
    }

    fn webhook_secret(&self, id: WebhookId, webhook: &Webhook) -> Result<Secret, Error> {
        let signing = webhook.signing(self.surroundings.now()).first().copied();
        let signing = signing.ok_or_else(|| Error::Refused(Box::new(WebhookRefusal::NotFound)))?;
        self.webhook_setup()?.keys.secret(id, signing).map_err(|other| Refused::WebhookKey(other).into())
    }

    async fn on_webhook(&self, request: Request, id: WebhookId, command: WebhookCommand) -> Result<Outcome, Error> {
        let (context, remember) = self.context(&request);
        let done = self.executor.execute::<Webhook>(id.into(), command, context, remember).await?;
        Ok(Outcome::of(id.into(), &done))
    }
}

fn check_url(setup: &WebhookSetup, settings: &WebhookSettings) -> Result<(), Error> {
    match setup.reach.check(&settings.url) {
        Ok(_) => Ok(()),
        Err(what) => Err(Error::Refused(Box::new(WebhookRefusal::Invalid(what)))),
    }
}
