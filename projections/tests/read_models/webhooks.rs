//! Webhooks and their deliveries, as random commands leave them; and what the log of deliveries says.

use std::collections::HashMap;
use std::time::Duration;

use domain::delivery::{Source, Subject, Trouble};
use domain::webhook::{DisabledBecause, KeyPrint, Topic, WebhookSettings};
use domain::{
    Actor, Category, Decide, Delivery, DeliveryCommand, DeliveryId, Event, EventId, StreamId, Timestamp, Webhook,
    WebhookCommand, WebhookId,
};
use projections::{DeliveryFilter, Options, Window};
use uuid::Uuid;

use crate::world::World;

/// What there is.
#[derive(Default)]
pub(crate) struct Webhooks {
    webhooks: HashMap<WebhookId, Webhook>,
    deliveries: HashMap<DeliveryId, Delivery>,
}

fn webhook(number: u64) -> WebhookId {
    WebhookId::from_uuid(Uuid::from_u128(u128::from(number)))
}

fn subject(hook: u64, event: u64) -> Subject {
    Subject {
        webhook: webhook(hook),
        topic: Topic::RunFailed,
        source: Source {
            event: EventId::from_uuid(Uuid::from_u128(u128::from(event))),
            stream: StreamId { category: Category::Run, id: Uuid::from_u128(9) },
            revision: event,
            position: 100 + event,
            at: Timestamp::from_micros(1),
        },
    }
}

impl Webhooks {
    /// Something happens; nothing when the rules refuse it.
    pub(crate) fn tick(&mut self, kind: u64, number: u64, now: Timestamp) -> (StreamId, Vec<Event>) {
        let (hook, by) = (number % 3, Actor::person("boss"));
        let id = webhook(hook);
        let subject = subject(hook, number);
        let on_delivery = |deliveries: &mut HashMap<DeliveryId, Delivery>, command| {
            let id = subject.id();
            (StreamId::from(id), happen(deliveries.entry(id).or_default(), command))
        };
        let known = self.webhooks.entry(id).or_default();
        match kind {
            0 => {
                let topics = Topic::ALL.into_iter().collect();
                let settings = WebhookSettings { url: "https://x/".to_owned(), topics, description: String::new() };
                let command = WebhookCommand::Subscribe { settings: Box::new(settings), key: KeyPrint(1), by, now };
                (id.into(), happen(known, command))
            }
            1 => (id.into(), happen(known, WebhookCommand::Disable { because: DisabledBecause::Gone, now })),
            2 => (id.into(), happen(known, WebhookCommand::Resume { by, now })),
            3 => {
                let command = DeliveryCommand::Request { subject: subject.clone(), by, now };
                on_delivery(&mut self.deliveries, command)
            }
            _ => {
                let attempt = self.deliveries.get(&subject.id()).map_or(1, |known| known.attempts() + 1);
                let trouble = Trouble { status: Some(503), what: "an\0swered 503".to_owned() };
                let (result, next_at) = match kind {
                    4 => (Ok(200), None),
                    5 => (Err(trouble), None),
                    _ => (Err(trouble), Some(now.plus(Duration::from_secs(5)))),
                };
                let took = Duration::from_millis(number);
                let subject = subject.clone();
                let command = DeliveryCommand::Settle { subject, attempt, result, took, next_at, now };
                on_delivery(&mut self.deliveries, command)
            }
        }
    }
}

fn happen<A: Decide>(state: &mut A, command: A::Command) -> Vec<Event>
where
    A::Event: Into<Event>,
{
    let Ok(events) = state.decide(command) else { return vec![] };
    events.iter().cloned().for_each(|event| state.apply(event));
    events.into_iter().map(Into::into).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_what_became_of_each_delivery() {
    let world = World::new().await;
    let mut history = world.history(70);
    let mut hooks = Webhooks::default();
    // The first of two webhooks has one delivery that failed and then came through, and one that waits; the second one
    // has one that waits, and goes away while an attempt for another is under way.
    for (kind, number) in [(0, 0), (6, 0), (4, 0), (6, 3), (0, 1), (6, 1), (1, 1), (6, 4)] {
        let (stream, events) = hooks.tick(kind, number, history.now());
        assert!(!events.is_empty());
        history.force(stream, events).await;
    }
    let running = world.start(Options::default()).await;
    running.wait_for(history.position).await;
    let queries = running.queries();
    let list = async |filter: DeliveryFilter, window: Window<(i64, Uuid)>| {
        let page = queries.deliveries(&filter, &window).await.unwrap();
        let rows: Vec<_> = page.rows.iter().map(|row| (row.event_position, row.status.clone(), row.attempts)).collect();
        (rows, page.has_more)
    };
    let row = |position: i64, status: &str, attempts| (position, status.to_owned(), attempts);
    let late = row(104, "given_up", 1);
    let all = vec![late, row(103, "waiting", 1), row(101, "given_up", 1), row(100, "delivered", 2)];
    assert_eq!(list(DeliveryFilter::default(), Window::first(10)).await, (all.clone(), false));
    assert_eq!(list(DeliveryFilter::default(), Window::last(2)).await, (all[2..].to_vec(), true));
    let first = DeliveryFilter { webhook: Some(webhook(0).as_uuid()), status: None };
    assert_eq!(list(first.clone(), Window::first(1)).await, (vec![all[1].clone()], true));
    let after = (103, subject(0, 3).id().as_uuid());
    assert_eq!(list(first, Window::first(5).after(after)).await, (vec![all[3].clone()], false));
    let waiting = DeliveryFilter { webhook: None, status: Some("waiting".to_owned()) };
    assert_eq!(list(waiting, Window::first(5)).await.0.len(), 1);
    let delivered = subject(0, 0).id().as_uuid();
    let attempts = queries.delivery_attempts(&[delivered]).await.unwrap();
    let told: Vec<_> = attempts.iter().map(|row| (row.attempt, row.succeeded, row.http_status)).collect();
    assert_eq!(told, [(1, false, Some(503)), (2, true, Some(200))]);
    assert_eq!(attempts[0].trouble.as_deref(), Some("an\u{2400}swered 503"));
    assert_eq!(queries.deliveries_by_id(&[delivered, Uuid::nil()]).await.unwrap().len(), 1);
    world.assert_equal().await;
}
