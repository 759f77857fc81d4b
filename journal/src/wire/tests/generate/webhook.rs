//! Arbitrary events of webhooks and their deliveries.

use domain::delivery::{Source, Subject, Trouble};
use domain::webhook::{DisabledBecause, KeyPrint, Topic, WebhookSettings};
use domain::{Category, DeliveryEvent, Event, EventId, StreamId, WebhookEvent, WebhookId};
use proptest::collection::btree_set;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{actor, duration, text, timestamp, uuid};

pub(super) fn webhook() -> BoxedStrategy<Event> {
    let because = prop_oneof![
        Just(DisabledBecause::Gone),
        timestamp().prop_map(|since| DisabledBecause::Failing { since }),
        any::<u32>().prop_map(|waiting| DisabledBecause::Backlog { waiting }),
    ];
    prop_oneof![
        (settings(), any::<u64>(), actor(), timestamp()).prop_map(|(settings, key, by, at)| {
            WebhookEvent::Subscribed { settings: Box::new(settings), key: KeyPrint(key), by, at }
        }),
        (settings(), actor(), timestamp()).prop_map(|(settings, by, at)| WebhookEvent::Changed {
            settings: Box::new(settings),
            by,
            at
        }),
        (actor(), text(), timestamp()).prop_map(|(by, reason, at)| WebhookEvent::Paused { by, reason, at }),
        (actor(), timestamp()).prop_map(|(by, at)| WebhookEvent::Resumed { by, at }),
        (because, timestamp()).prop_map(|(because, at)| WebhookEvent::Disabled { because, at }),
        (any::<u32>(), any::<u64>(), timestamp(), actor(), timestamp()).prop_map(
            |(generation, key, overlap_until, by, at)| {
                WebhookEvent::Rotated { generation, key: KeyPrint(key), overlap_until, by, at }
            }
        ),
        (actor(), timestamp()).prop_map(|(by, at)| WebhookEvent::Tested { by, at }),
        (actor(), timestamp()).prop_map(|(by, at)| WebhookEvent::Deleted { by, at }),
    ]
    .prop_map(Event::from)
    .boxed()
}

pub(super) fn delivery() -> BoxedStrategy<Event> {
    let trouble = (option::of(any::<u16>()), text()).prop_map(|(status, what)| Trouble { status, what });
    prop_oneof![
        (subject(), any::<u32>(), any::<u16>(), duration(), timestamp()).prop_map(
            |(subject, attempt, status, took, at)| DeliveryEvent::Succeeded { subject, attempt, status, took, at }
        ),
        (subject(), any::<u32>(), trouble, duration(), option::of(timestamp()), timestamp()).prop_map(
            |(subject, attempt, trouble, took, next_at, at)| {
                DeliveryEvent::Failed { subject, attempt, trouble, took, next_at, at }
            }
        ),
        (subject(), actor(), timestamp()).prop_map(|(subject, by, at)| DeliveryEvent::Requested { subject, by, at }),
    ]
    .prop_map(Event::from)
    .boxed()
}

fn settings() -> impl Strategy<Value = WebhookSettings> {
    let topics = btree_set(select(Topic::ALL.as_slice()), 0..4);
    (text(), topics, text()).prop_map(|(url, topics, description)| WebhookSettings { url, topics, description })
}

fn subject() -> impl Strategy<Value = Subject> {
    let stream = (select(Category::ALL.as_slice()), uuid()).prop_map(|(category, id)| StreamId { category, id });
    let source = (uuid(), stream, any::<u64>(), any::<u64>(), timestamp()).prop_map(
        |(event, stream, revision, position, at)| Source {
            event: EventId::from_uuid(event),
            stream,
            revision,
            position,
            at,
        },
    );
    (uuid(), select(Topic::ALL.as_slice()), source).prop_map(|(webhook, topic, source)| Subject {
        webhook: WebhookId::from_uuid(webhook),
        topic,
        source,
    })
}
