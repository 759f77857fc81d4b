use std::time::Duration;

use cqrs_es::test::TestFramework;
use domain::delivery::{DeliveryStatus, Source, Subject, Trouble};
use domain::webhook::{DisabledBecause, KeyPrint, MAX_OVERLAP, Signing, Topic, WebhookSettings};
use domain::{
    Actor, Category, Decide, Delivery, DeliveryCommand, DeliveryEvent, DeliveryId, EventId, Refusal, StreamId,
    Timestamp, Webhook, WebhookCommand, WebhookEvent, WebhookId, WebhookRefusal,
};
use proptest::prelude::*;
use proptest::sample::select;

use super::fixtures::uuid;

const NOW: Timestamp = Timestamp::from_micros(1_000_000);
const KEY: KeyPrint = KeyPrint(7);

fn by() -> Actor {
    Actor::person("ada")
}

fn settings() -> WebhookSettings {
    let topics = [Topic::RunCompleted, Topic::RunFailed].into();
    WebhookSettings { url: "https://hooks.example/x".to_owned(), topics, description: String::new() }
}

fn subscribed() -> WebhookEvent {
    WebhookEvent::Subscribed { settings: Box::new(settings()), key: KEY, by: by(), at: NOW }
}

fn folded(events: Vec<WebhookEvent>) -> Webhook {
    let mut webhook = Webhook::default();
    events.into_iter().for_each(|event| cqrs_es::Aggregate::apply(&mut webhook, event));
    webhook
}

fn given(events: Vec<WebhookEvent>) -> cqrs_es::test::AggregateTestExecutor<Webhook> {
    TestFramework::<Webhook>::with(()).given(events)
}

#[test]
fn subscribing_is_once_and_what_cannot_be_is_refused() {
    let subscribe = |settings| WebhookCommand::Subscribe { settings: Box::new(settings), key: KEY, by: by(), now: NOW };
    given(vec![]).when(subscribe(settings())).then_expect_events(vec![subscribed()]);
    given(vec![subscribed()]).when(subscribe(settings())).then_expect_events(vec![]);
    for wrong in [
        WebhookSettings { topics: [].into(), ..settings() },
        WebhookSettings { topics: [Topic::Test].into(), ..settings() },
        WebhookSettings { url: String::new(), ..settings() },
        WebhookSettings { url: "https://a b/".to_owned(), ..settings() },
        WebhookSettings { url: "x".repeat(2049), ..settings() },
        WebhookSettings { description: "x".repeat(1001), ..settings() },
    ] {
        assert_eq!(Webhook::default().decide(subscribe(wrong.clone())).unwrap_err().code(), "WEBHOOK_INVALID");
        let change = WebhookCommand::Change { settings: Box::new(wrong), by: by(), now: NOW };
        assert_eq!(folded(vec![subscribed()]).decide(change).unwrap_err().code(), "WEBHOOK_INVALID");
    }
}

#[test]
fn paused_and_disabled_are_told_nothing_until_resumed() {
    let pause = || WebhookCommand::Pause { by: by(), reason: "why".to_owned(), now: NOW };
    let resume = || WebhookCommand::Resume { by: by(), now: NOW };
    let paused = || WebhookEvent::Paused { by: by(), reason: "why".to_owned(), at: NOW };
    let disabled = || WebhookEvent::Disabled { because: DisabledBecause::Gone, at: NOW };
    let resumed = || WebhookEvent::Resumed { by: by(), at: NOW };
    given(vec![subscribed()]).when(pause()).then_expect_events(vec![paused()]);
    given(vec![subscribed(), paused()]).when(pause()).then_expect_events(vec![]);
    given(vec![subscribed(), disabled()]).when(pause()).then_expect_error(WebhookRefusal::NotActive("disabled"));
    given(vec![subscribed()]).when(resume()).then_expect_events(vec![]);
    for stopped in [paused(), disabled()] {
        let webhook = folded(vec![subscribed(), stopped.clone()]);
        assert!(!webhook.wants(Topic::RunFailed) && webhook.settings().is_some());
        given(vec![subscribed(), stopped.clone()]).when(resume()).then_expect_events(vec![resumed()]);
        let test = WebhookCommand::Test { by: by(), now: NOW };
        given(vec![subscribed(), stopped]).when(test).then_expect_error_message(&format!(
            "the webhook is {}; resume it first",
            webhook.status().unwrap().name()
        ));
    }
    let active = folded(vec![subscribed(), paused(), resumed()]);
    assert!(active.wants(Topic::RunFailed) && !active.wants(Topic::RunStarted));
    let disable = WebhookCommand::Disable { because: DisabledBecause::Gone, now: NOW };
    given(vec![]).when(disable.clone()).then_expect_events(vec![]);
    given(vec![subscribed(), paused()]).when(disable.clone()).then_expect_events(vec![disabled()]);
    given(vec![subscribed(), disabled()]).when(disable).then_expect_events(vec![]);
}

#[test]
fn the_old_secret_signs_for_a_while() {
    let rotate = |overlap| WebhookCommand::Rotate { key: KeyPrint(8), overlap, by: by(), now: NOW };
    let hour = Duration::from_secs(3600);
    let rotated =
        WebhookEvent::Rotated { generation: 2, key: KeyPrint(8), overlap_until: NOW.plus(hour), by: by(), at: NOW };
    given(vec![subscribed()]).when(rotate(hour)).then_expect_events(vec![rotated.clone()]);
    let webhook = folded(vec![subscribed(), rotated]);
    let (old, new) = (Signing { generation: 1, key: KEY }, Signing { generation: 2, key: KeyPrint(8) });
    assert_eq!(webhook.signing(NOW), [new, old]);
    assert_eq!(webhook.signing(NOW.plus(hour)), [new]);
    let too_long = rotate(MAX_OVERLAP + Duration::from_secs(1));
    assert_eq!(webhook.decide(too_long).unwrap_err().code(), "WEBHOOK_INVALID");
}

#[test]
fn what_is_deleted_stays_deleted() {
    let deleted = WebhookEvent::Deleted { by: by(), at: NOW };
    let delete = || WebhookCommand::Delete { by: by(), now: NOW };
    given(vec![]).when(delete()).then_expect_error(WebhookRefusal::NotFound);
    given(vec![subscribed()]).when(delete()).then_expect_events(vec![deleted.clone()]);
    given(vec![subscribed(), deleted.clone()]).when(delete()).then_expect_events(vec![]);
    let again = WebhookCommand::Subscribe { settings: Box::new(settings()), key: KEY, by: by(), now: NOW };
    given(vec![subscribed(), deleted]).when(again).then_expect_error(WebhookRefusal::NotFound);
}

fn subject() -> Subject {
    Subject {
        webhook: WebhookId::from_uuid(uuid(1)),
        topic: Topic::RunFailed,
        source: Source {
            event: EventId::from_uuid(uuid(2)),
            stream: StreamId { category: Category::Run, id: uuid(3) },
            revision: 4,
            position: 5,
            at: NOW,
        },
    }
}

fn settle(attempt: u32, result: Result<u16, Trouble>, next_at: Option<Timestamp>) -> DeliveryCommand {
    DeliveryCommand::Settle { subject: subject(), attempt, result, took: Duration::ZERO, next_at, now: NOW }
}

fn trouble() -> Trouble {
    Trouble { status: Some(500), what: "answered 500".to_owned() }
}

proptest! {
    /// Whatever is recorded, by however many nodes and in whatever order: attempts count without gaps, and after the end
    /// nothing is recorded until somebody asks.
    #[test]
    fn attempts_count_without_gaps(tries in proptest::collection::vec((0..5_u32, select(vec![0, 1, 2, 3])), 1..40)) {
        let mut delivery = Delivery::default();
        for (attempt, kind) in tries {
            let command = match kind {
                0 => settle(attempt, Ok(200), None),
                1 => settle(attempt, Err(trouble()), None),
                2 => settle(attempt, Err(trouble()), Some(NOW)),
                _ => DeliveryCommand::Request { subject: subject(), by: by(), now: NOW },
            };
            let before = delivery.clone();
            for event in delivery.decide(command).unwrap() {
                if !matches!(event, DeliveryEvent::Requested { .. }) {
                    prop_assert!(!matches!(before.status(), DeliveryStatus::Delivered | DeliveryStatus::GivenUp));
                    prop_assert_eq!(attempt, before.attempts() + 1);
                }
                cqrs_es::Aggregate::apply(&mut delivery, event);
            }
        }
    }
}

#[test]
fn a_delivery_is_named_by_its_webhook_and_event() {
    let Subject { webhook, source, .. } = subject();
    assert_eq!(subject().id(), DeliveryId::of(webhook, source.event));
    assert_ne!(subject().id(), DeliveryId::of(WebhookId::from_uuid(uuid(9)), source.event));
    let requested = DeliveryEvent::Requested { subject: subject(), by: by(), at: NOW };
    let request = || DeliveryCommand::Request { subject: subject(), by: by(), now: NOW };
    TestFramework::<Delivery>::with(())
        .given_no_previous_events()
        .when(request())
        .then_expect_events(vec![requested.clone()]);
    TestFramework::<Delivery>::with(()).given(vec![requested]).when(request()).then_expect_events(vec![]);
}

#[test]
fn topics_have_unique_names_and_sources_and_an_example() {
    for topic in Topic::ALL.into_iter().chain([Topic::Test]) {
        assert_eq!(topic.name().parse(), Ok(topic));
        assert_eq!(Topic::of_source(topic.source()), Some(topic));
        assert!(topic.sample().is_object() && topic.description().ends_with('.'));
    }
    let unknown = "run.exploded".parse::<Topic>().unwrap_err().to_string();
    assert!(unknown.contains("run.exploded") && unknown.contains("budget.exceeded"), "{unknown}");
}
