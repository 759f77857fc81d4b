//! What the reactor knows: the webhooks as they are, and what they have yet to be told.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use commands::webhooks::{source_of, topic_of};
use cqrs_es::Aggregate;
use domain::delivery::{DeliveryStatus, Subject};
use domain::webhook::{DisabledBecause, Topic};
use domain::{Delivery, DeliveryEvent, DeliveryId, Event, Timestamp, Webhook, WebhookEvent, WebhookId};
use journal::{Checkpoint, Filter, Loaded, Position, RecordedEvent};
use serde::{Deserialize, Serialize};

/// The first byte of a saved copy; one with another is not read.
const FORMAT: u8 = 1;

/// What every reactor follows.
const TYPES: [&str; 11] = [
    "webhook.subscribed",
    "webhook.changed",
    "webhook.paused",
    "webhook.resumed",
    "webhook.disabled",
    "webhook.rotated",
    "webhook.tested",
    "webhook.deleted",
    "delivery.succeeded",
    "delivery.failed",
    "delivery.requested",
];

/// Something that a webhook has yet to be told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) subject: Subject,
    /// How many attempts have been recorded.
    pub(super) attempts: u32,
    due: Timestamp,
    /// Its place in the queue; `None` while an attempt is being made.
    #[serde(skip)]
    queued: Option<Timestamp>,
}

/// A webhook, and what it has yet to be told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) webhook: Arc<Webhook>,
    revision: Option<u64>,
    pending: HashMap<DeliveryId, Pending>,
    /// Since when every attempt has failed, and when the last one did.
    failing: Option<(Timestamp, Timestamp)>,
    /// It has said that nobody is there any more.
    gone: bool,
    /// What waits for an attempt, by when.
    #[serde(skip)]
    queue: BTreeSet<(Timestamp, DeliveryId)>,
    /// What an attempt is being made for.
    #[serde(skip)]
    flying: HashSet<DeliveryId>,
    /// After a failure to give it up, that is not tried before this.
    #[serde(skip)]
    pub(super) verdict_at: Option<Timestamp>,
}

impl Entry {
    fn fold(&mut self, recorded: &RecordedEvent, event: &WebhookEvent) {
        if self.revision.is_some_and(|known| recorded.revision <= known) {
            return;
        }
        Arc::make_mut(&mut self.webhook).apply(event.clone());
        self.revision = Some(recorded.revision);
        match event {
            WebhookEvent::Resumed { .. } => {
                self.failing = None;
                self.gone = false;
            }
            WebhookEvent::Disabled { .. } => {
                self.pending.clear();
                self.queue.clear();
            }
            _ => {}
        }
    }

    /// Something happened that it wants to be told.
    fn add(&mut self, subject: Subject, due: Timestamp) {
        let id = subject.id();
        if let std::collections::hash_map::Entry::Vacant(place) = self.pending.entry(id) {
            place.insert(Pending { subject, attempts: 0, due, queued: None });
            self.enqueue(id, due);
        }
    }

    /// Takes over what was recorded of a delivery.
    fn hear(&mut self, event: &DeliveryEvent) {
        let id = event.subject().id();
        match event {
            DeliveryEvent::Succeeded { .. } => {
                self.failing = None;
                self.remove(id);
            }
            DeliveryEvent::Failed { attempt, next_at, trouble, at, .. } => {
                let since = self.failing.map_or(*at, |(since, _)| since);
                self.failing = Some((since, *at));
                self.gone |= trouble.status == Some(410);
                self.move_on(id, *attempt, *next_at);
            }
            DeliveryEvent::Requested { subject, at, .. } => {
                if self.webhook.is_active() {
                    self.remove(id);
                    self.add(subject.clone(), *at);
                }
            }
        }
    }

    /// Takes over a delivery that may be newer than what the journal has brought so far.
    pub(super) fn adopt(&mut self, id: DeliveryId, delivery: &Loaded<Delivery>) {
        let (attempts, status) = (delivery.state.attempts(), delivery.state.status());
        match status {
            DeliveryStatus::Delivered | DeliveryStatus::GivenUp => self.remove(id),
            DeliveryStatus::Waiting { until } => self.move_on(id, attempts, Some(until)),
            DeliveryStatus::Due => {}
        }
    }

    fn move_on(&mut self, id: DeliveryId, attempts: u32, next_at: Option<Timestamp>) {
        let Some(pending) = self.pending.get_mut(&id).filter(|pending| pending.attempts < attempts) else { return };
        match next_at {
            Some(due) => {
                pending.attempts = attempts;
                pending.due = due;
                self.enqueue(id, due);
            }
            None => self.remove(id),
        }
    }

    fn remove(&mut self, id: DeliveryId) {
        if let Some(Pending { queued: Some(at), .. }) = self.pending.remove(&id) {
            self.queue.remove(&(at, id));
        }
    }

    /// Gives it its place in the queue, unless an attempt is being made.
    fn enqueue(&mut self, id: DeliveryId, at: Timestamp) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        if self.flying.contains(&id) {
            return;
        }
        if let Some(before) = pending.queued.replace(at) {
            self.queue.remove(&(before, id));
        }
        self.queue.insert((at, id));
    }

    /// Takes what is due out of the queue, for an attempt.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<(DeliveryId, Pending)> {
        let (at, id) = *self.queue.first().filter(|(at, _)| self.webhook.is_active() && *at <= now)?;
        self.queue.remove(&(at, id));
        let pending = self.pending.get_mut(&id)?;
        pending.queued = None;
        self.flying.insert(id);
        Some((id, pending.clone()))
    }

    /// An attempt is over; whatever is left goes back into the queue, not before `hold`.
    pub(super) fn land(&mut self, id: DeliveryId, hold: Option<Timestamp>) {
        self.flying.remove(&id);
        if let Some(due) = self.pending.get(&id).map(|pending| pending.due) {
            self.enqueue(id, due.max(hold.unwrap_or(due)));
        }
    }

    pub(super) fn flying(&self) -> usize {
        self.flying.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// When the next attempt is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.queue.first().map(|(at, _)| *at).filter(|_| self.webhook.is_active())
    }

    /// Whether it is to be given up.
    pub(super) fn verdict(&self, now: Timestamp, after: Duration, most: usize) -> Option<DisabledBecause> {
        if !self.webhook.is_active() || self.verdict_at.is_some_and(|at| at > now) {
            return None;
        }
        if self.gone {
            return Some(DisabledBecause::Gone);
        }
        if self.pending.len() > most {
            return Some(DisabledBecause::Backlog { waiting: u32::try_from(self.pending.len()).unwrap_or(u32::MAX) });
        }
        let (since, last) = self.failing?;
        (last.since(since) >= after).then_some(DisabledBecause::Failing { since })
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Known {
    #[serde(skip)]
    pub(super) position: Position,
    pub(super) webhooks: HashMap<WebhookId, Entry>,
    /// Whether there has ever been a webhook; before, nobody here looks at what happens.
    awake: bool,
}

impl Known {
    /// What the reactor wants to see of the journal.
    pub(super) fn filter(&self) -> Filter {
        let sources = Topic::ALL.iter().map(|topic| topic.source()).filter(|_| self.awake);
        Filter { types: TYPES.into_iter().chain(sources).map(str::to_owned).collect(), ..Filter::default() }
    }

    /// Takes in an event; an unreadable one is left to whoever reads its stream. Says whether the filter is wider now,
    /// so that what comes after this event has to be read anew.
    #[must_use]
    pub(super) fn take_in(&mut self, recorded: &RecordedEvent) -> bool {
        let Ok(event) = recorded.event() else { return false };
        match event {
            Event::Webhook(event) => return self.take_in_webhook(recorded, event),
            Event::Delivery(event) => {
                if let Some(entry) = self.webhooks.get_mut(&event.subject().webhook) {
                    entry.hear(event);
                }
            }
            _ => {
                let Some(topic) = topic_of(recorded) else { return false };
                for (webhook, entry) in &mut self.webhooks {
                    if entry.webhook.wants(topic) {
                        let subject = Subject { webhook: *webhook, topic, source: source_of(recorded) };
                        entry.add(subject, recorded.recorded_at);
                    }
                }
            }
        }
        false
    }

    fn take_in_webhook(&mut self, recorded: &RecordedEvent, event: &WebhookEvent) -> bool {
        let webhook = WebhookId::from_uuid(recorded.stream.id);
        if matches!(event, WebhookEvent::Deleted { .. }) {
            self.webhooks.remove(&webhook);
            return false;
        }
        let entry = self.webhooks.entry(webhook).or_default();
        entry.fold(recorded, event);
        if matches!(event, WebhookEvent::Tested { .. }) && entry.webhook.is_active() {
            let subject = Subject { webhook, topic: Topic::Test, source: source_of(recorded) };
            entry.add(subject, recorded.recorded_at);
        }
        !std::mem::replace(&mut self.awake, true)
    }

    /// A copy to be saved.
    pub(super) fn to_checkpoint(&self) -> Checkpoint {
        let state = postcard::to_extend(self, vec![FORMAT]).unwrap_or_else(|_| vec![0]);
        Checkpoint { position: self.position, state }
    }

    /// `None` when the copy is not of this format; then everything is read from the journal again.
    pub(super) fn from_checkpoint(checkpoint: &Checkpoint) -> Option<Self> {
        let (format, state) = checkpoint.state.split_first()?;
        if *format != FORMAT {
            return None;
        }
        let (mut known, rest) = postcard::take_from_bytes::<Self>(state).ok()?;
        known.position = checkpoint.position;
        for entry in known.webhooks.values_mut() {
            let due: Vec<_> = entry.pending.iter().map(|(id, pending)| (*id, pending.due)).collect();
            due.into_iter().for_each(|(id, at)| entry.enqueue(id, at));
        }
        rest.is_empty().then_some(known)
    }
}
