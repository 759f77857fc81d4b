//! Delivering once more: one delivery, or all of a range of time.

use domain::delivery::{DeliveryRefusal, DeliveryStatus, Source, Subject};
use domain::webhook::{Topic, WebhookRefusal, WebhookSettings};
use domain::{
    Delivery, DeliveryCommand, DeliveryId, ErrorKind, Event, StreamId, TaskEvent, Timestamp, Webhook, WebhookId,
};
use journal::{Filter, Position, RecordedEvent};

use crate::{Commands, Error, Outcome, Refused, Request};

/// What is to be delivered once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayRange {
    /// What happened from here on, this moment included.
    pub from: Timestamp,
    /// What happened up to here, this moment included.
    pub until: Timestamp,
    /// Also what was delivered; otherwise only what was not, such as what happened during a pause.
    pub delivered_too: bool,
}

/// What asking for a range came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// The deliveries that are made once more.
    pub requested: Vec<DeliveryId>,
    /// How many were left alone because they had been delivered.
    pub delivered: usize,
    /// How many were left alone because they are going on anyway.
    pub open: usize,
    /// A position that contains all of these requests.
    pub position: Position,
    /// Whether all of it had been asked for before, and this is that first answer.
    pub repeated: bool,
}

impl Commands {
    /// The most deliveries that are asked for at a time.
    pub const MAX_REPLAY: usize = 1000;

    /// Delivers once more what was delivered or given up; its attempts count anew, its message id stays.
    ///
    /// # Errors
    /// `DELIVERY_NOT_FOUND`, `WEBHOOK_NOT_FOUND`, `WEBHOOK_NOT_ACTIVE`.
    pub async fn replay_delivery(&self, request: Request, id: DeliveryId) -> Result<Outcome, Error> {
        let delivery = self.executor.load::<Delivery>(id.into()).await?.state;
        let not_found = || Error::Refused(Box::new(DeliveryRefusal::NotFound));
        let subject = delivery.subject().ok_or_else(not_found)?.clone();
        self.replayable(subject.webhook).await?;
        self.request_delivery(request, subject).await
    }

    /// Delivers once more what happened within a range of time and is of the webhook's event types as they are now. Of
    /// more than [`Self::MAX_REPLAY`] nothing is delivered. Under the same command id it is answered as the first time,
    /// and goes on where it was interrupted; the request's correlation then tells it from another request
    /// ([`Request::asking`]).
    ///
    /// # Errors
    /// `WEBHOOK_NOT_FOUND`, `WEBHOOK_NOT_ACTIVE`, `REPLAY_INVALID`, `IDEMPOTENCY_KEY_REUSED`.
    pub async fn replay_deliveries(
        &self,
        request: Request,
        id: WebhookId,
        range: ReplayRange,
    ) -> Result<Replayed, Error> {
        if range.from > range.until {
            return Err(Refused::ReplayInvalid("the range ends before it begins".to_owned()).into());
        }
        // One request, many appends: what ties them together is the correlation.
        let (context, _) = self.context(&request);
        let request = Request { correlation: Some(context.correlation), ..request };
        let first = self.recorded_for(&request).await?;
        let before = first.as_ref().map(|first| first.position);
        let mut done = Replayed { repeated: first.is_some(), ..Replayed::default() };
        let wanted = self.wanted(id, range, before, &mut done).await?;
        let mut recorded = Vec::with_capacity(wanted.len());
        for subject in &wanted {
            recorded.push(match &first {
                Some(first) if first.stream == StreamId::from(subject.id()) => Some(first.position),
                Some(_) => {
                    let part = request.part(subject.id().as_uuid());
                    self.recorded_for(&part).await?.map(|event| event.position)
                }
                None => None,
            });
        }
        let last = recorded.iter().rposition(Option::is_some);
        let mut begun = first.is_some();
        for (index, (subject, position)) in wanted.into_iter().zip(recorded).enumerate() {
            let delivery = subject.id();
            done.requested.push(delivery);
            if let Some(position) = position {
                done.position = done.position.max(position);
                continue;
            }
            // An attempt was due anyway when its turn came.
            if last.is_some_and(|last| index < last) {
                continue;
            }
            if first.is_some() {
                self.replayable(id).await?;
            }
            let each = if begun { request.part(delivery.as_uuid()) } else { request.clone() };
            let outcome = self.request_delivery(each, subject).await?;
            if outcome.repeated && !begun {
                // Somebody carries the same command out at the same time.
                return Box::pin(self.replay_deliveries(request, id, range)).await;
            }
            if outcome.changed {
                (begun, done.repeated) = (true, false);
            }
            done.position = done.position.max(outcome.position);
        }
        if !begun {
            if self.recorded_for(&request).await?.is_some() {
                return Box::pin(self.replay_deliveries(request, id, range)).await;
            }
            done.position = self.executor.journal().head().await?;
        }
        Ok(done)
    }

    /// What of a range is to be delivered once more, as of before a position or as it is now; what is left alone is counted.
    async fn wanted(
        &self,
        id: WebhookId,
        range: ReplayRange,
        before: Option<Position>,
        done: &mut Replayed,
    ) -> Result<Vec<Subject>, Error> {
        let settings = match before {
            Some(before) => {
                let webhook = self.load_before::<Webhook>(id.into(), before).await?.state;
                let settings = webhook.settings().map(std::sync::Arc::clone);
                settings.ok_or_else(|| Error::Refused(Box::new(WebhookRefusal::NotFound)))?
            }
            None => self.replayable(id).await?,
        };
        let mut wanted = Vec::new();
        for subject in self.subjects(id, &settings, range).await? {
            if before.is_some_and(|before| subject.source.position >= before.as_u64()) {
                continue;
            }
            let stream = StreamId::from(subject.id());
            let delivery = match before {
                Some(before) => self.load_before::<Delivery>(stream, before).await?.state,
                None => self.executor.load::<Delivery>(stream).await?.state,
            };
            match (delivery.subject().is_some(), delivery.status()) {
                (true, DeliveryStatus::Delivered) if !range.delivered_too => done.delivered += 1,
                (true, DeliveryStatus::Due | DeliveryStatus::Waiting { .. }) => done.open += 1,
                _ => wanted.push(subject),
            }
        }
        if wanted.len() > Self::MAX_REPLAY && before.is_none() {
            let (count, max) = (wanted.len(), Self::MAX_REPLAY);
            return Err(Refused::ReplayInvalid(format!("{count} events are in it, at most {max} are allowed")).into());
        }
        Ok(wanted)
    }

    async fn replayable(&self, id: WebhookId) -> Result<std::sync::Arc<WebhookSettings>, Error> {
        let webhook = self.webhook(id).await?;
        match (webhook.is_active(), webhook.status(), webhook.settings()) {
            (true, _, Some(settings)) => Ok(std::sync::Arc::clone(settings)),
            (_, Some(status), _) => Err(Error::Refused(Box::new(WebhookRefusal::NotActive(status.name())))),
            _ => Err(Error::Refused(Box::new(WebhookRefusal::NotFound))),
        }
    }

    async fn request_delivery(&self, request: Request, subject: Subject) -> Result<Outcome, Error> {
        let (context, remember) = self.context(&request);
        let id = subject.id();
        let command = DeliveryCommand::Request { subject, by: request.actor.clone(), now: context.at };
        let done = self.executor.execute::<Delivery>(id.into(), command, context, remember).await?;
        Ok(Outcome::of(id.into(), &done))
    }

    /// What a webhook would have been told within a range.
    async fn subjects(
        &self,
        webhook: WebhookId,
        settings: &WebhookSettings,
        range: ReplayRange,
    ) -> Result<Vec<Subject>, Error> {
        let types = settings.topics.iter().map(|topic| topic.source().to_owned()).collect();
        let filter = Filter { types, ..Filter::default() };
        let mut found = Vec::new();
        let mut position = Position::START;
        loop {
            let page = self.executor.journal().read_all(position, &filter, 1000).await?;
            for event in page.events.iter().filter(|event| (range.from..=range.until).contains(&event.recorded_at)) {
                let topic = topic_of(event).filter(|topic| settings.topics.contains(topic));
                found.extend(topic.map(|topic| Subject { webhook, topic, source: source_of(event) }));
            }
            if page.position == position {
                return Ok(found);
            }
            position = page.position;
        }
    }
}

/// What webhooks are told because of an event, if they are. An unreadable event is left to whoever reads its stream.
#[must_use]
pub fn topic_of(recorded: &RecordedEvent) -> Option<Topic> {
    let topic = Topic::of_source(&recorded.event_type)?;
    let counts = match recorded.event() {
        Ok(Event::Task(TaskEvent::Failed { error })) => error.kind == ErrorKind::BudgetExhausted,
        Ok(_) => true,
        Err(_) => false,
    };
    counts.then_some(topic)
}

/// Where the journal has an event.
#[must_use]
pub fn source_of(recorded: &RecordedEvent) -> Source {
    Source {
        event: recorded.id,
        stream: recorded.stream,
        revision: recorded.revision,
        position: recorded.position.as_u64(),
        at: recorded.recorded_at,
    }
}
