//! Examples of events of webhooks and their deliveries.

use std::time::Duration;

use domain::delivery::{Source, Subject, Trouble};
use domain::webhook::{DisabledBecause, KeyPrint, Topic, WebhookSettings};
use domain::{Actor, Category, DeliveryEvent, Event, EventId, StreamId, WebhookEvent, WebhookId};

use super::{id, moment, reason};

pub(super) fn full() -> Vec<Event> {
    let (by, at) = (Actor::person("ada"), moment(21));
    let subscribed = WebhookEvent::Subscribed {
        settings: Box::new(settings()),
        key: KeyPrint(0x0123_4567_89ab_cdef),
        by: by.clone(),
        at,
    };
    let rotated =
        WebhookEvent::Rotated { generation: 2, key: KeyPrint(7), overlap_until: moment(22), by: by.clone(), at };
    let (took, trouble) = (Duration::from_millis(15), Trouble { status: Some(503), what: reason() });
    vec![
        subscribed.into(),
        WebhookEvent::Changed { settings: Box::new(settings()), by: by.clone(), at }.into(),
        WebhookEvent::Paused { by: by.clone(), reason: reason(), at }.into(),
        WebhookEvent::Resumed { by: by.clone(), at }.into(),
        WebhookEvent::Disabled { because: DisabledBecause::Failing { since: moment(20) }, at }.into(),
        rotated.into(),
        WebhookEvent::Tested { by: by.clone(), at }.into(),
        WebhookEvent::Deleted { by: by.clone(), at }.into(),
        DeliveryEvent::Succeeded { subject: subject(), attempt: 2, status: 204, took, at }.into(),
        DeliveryEvent::Failed { subject: subject(), attempt: 1, trouble, took, next_at: Some(moment(23)), at }.into(),
        DeliveryEvent::Requested { subject: subject(), by, at }.into(),
    ]
}

pub(super) fn variants() -> Vec<(String, Event)> {
    let at = moment(21);
    let trouble = Trouble { status: None, what: String::new() };
    let failed =
        DeliveryEvent::Failed { subject: subject(), attempt: 10, trouble, took: Duration::ZERO, next_at: None, at };
    let disabled = |because| Event::from(WebhookEvent::Disabled { because, at });
    let mut cases = vec![
        ("bare".to_owned(), failed.into()),
        ("gone".to_owned(), disabled(DisabledBecause::Gone)),
        ("backlog".to_owned(), disabled(DisabledBecause::Backlog { waiting: 10_000 })),
    ];
    for topic in Topic::ALL.into_iter().chain([Topic::Test]) {
        let name = format!("about_{}", topic.name().replace('.', "_"));
        let subject = Subject { topic, ..subject() };
        cases.push((name, DeliveryEvent::Requested { subject, by: Actor::person("ada"), at }.into()));
    }
    cases
}

fn settings() -> WebhookSettings {
    WebhookSettings {
        url: "https://hooks.example/in?x=1".to_owned(),
        topics: Topic::ALL.into_iter().collect(),
        description: "for the sales team".to_owned(),
    }
}

fn subject() -> Subject {
    Subject {
        webhook: WebhookId::from_uuid(id(1)),
        topic: Topic::RunFailed,
        source: Source {
            event: EventId::from_uuid(id(2)),
            stream: StreamId { category: Category::Run, id: id(3) },
            revision: 4,
            position: 5,
            at: moment(19),
        },
    }
}
