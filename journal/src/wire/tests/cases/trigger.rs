//! Examples of the events of triggers, and of external events.

use std::time::Duration;

use domain::external::Posted;
use domain::trigger::{Cause, EventRef, Overlap, RunEnd, Schedule, SkipReason, TriggerKind, TriggerSettings};
use domain::{Actor, Category, Event, EventId, Expression, ExternalEvent, RunId, StreamId, TriggerEvent};
use serde_json::json;

use super::{id, moment, reason};

fn settings() -> TriggerSettings {
    TriggerSettings {
        key: "nightly-report".parse().unwrap(),
        description: "Before anybody is there".to_owned(),
        workflow: "write-report".parse().unwrap(),
        version: Some(3),
        kind: TriggerKind::Schedule(Schedule {
            cron: "0 30 2 * * MON-FRI".parse().unwrap(),
            zone: "Europe/Berlin".parse().unwrap(),
            jitter: Duration::from_secs(60),
            catch_up: Duration::from_secs(3600),
        }),
        input: [("day".parse().unwrap(), Expression::trusted("trigger.tick.date"))].into(),
        priority: -5,
        overlap: Overlap::Skip,
        pause_after: Some(3),
        enabled: true,
    }
}

fn set(settings: TriggerSettings) -> Event {
    TriggerEvent::Set { settings: Box::new(settings), at: moment(1) }.into()
}

fn event_cause() -> Cause {
    Cause::Event(EventRef {
        id: EventId::from_uuid(id(9)),
        stream: StreamId { category: Category::Run, id: id(1) },
        revision: 17,
        position: 4711,
        at: moment(2),
        depth: 2,
    })
}

fn run(number: u8) -> RunId {
    RunId::from_uuid(id(number))
}

/// Every field has something in it.
pub(super) fn full() -> Vec<Event> {
    let by = || Actor::person("ada");
    vec![
        set(settings()),
        TriggerEvent::Removed { reason: reason() }.into(),
        TriggerEvent::Paused { by: by(), reason: reason(), at: moment(3) }.into(),
        TriggerEvent::Resumed { by: by(), at: moment(4) }.into(),
        TriggerEvent::Fired { cause: event_cause(), run: run(1), at: moment(5), ends: vec![run(2), run(3)] }.into(),
        TriggerEvent::Skipped {
            cause: event_cause(),
            reason: SkipReason::CannotStart { code: "RUN_INPUT_INVALID".to_owned(), message: reason() },
            at: moment(6),
        }
        .into(),
        TriggerEvent::Missed { first: moment(7), until: moment(8), count: 12, at: moment(9) }.into(),
        TriggerEvent::Buffered { cause: event_cause(), at: moment(10), ends: vec![run(2)] }.into(),
        TriggerEvent::RunEnded { run: run(1), end: RunEnd::Completed, at: moment(11) }.into(),
        ExternalEvent::Posted(Posted {
            name: "order-paid".parse().unwrap(),
            payload: json!({ "order": 7, "paid": true, "by": ["card"] }).into(),
            by: by(),
            at: moment(12),
        })
        .into(),
    ]
}

/// As little as each event can hold.
pub(super) fn bare() -> Vec<Event> {
    let kind = TriggerKind::Event { types: vec![], when: None };
    vec![
        set(TriggerSettings {
            description: String::new(),
            version: None,
            kind,
            input: [].into(),
            priority: 0,
            pause_after: None,
            enabled: false,
            ..settings()
        }),
        TriggerEvent::Fired { cause: Cause::Tick { at: moment(1) }, run: run(1), at: moment(5), ends: vec![] }.into(),
        TriggerEvent::Buffered { cause: Cause::Tick { at: moment(1) }, at: moment(10), ends: vec![] }.into(),
    ]
}

/// Every variant of every enum.
pub(super) fn variants() -> Vec<(String, Event)> {
    let mut cases = Vec::new();
    for overlap in Overlap::ALL {
        cases.push((format!("overlap_{}", overlap.name()), set(TriggerSettings { overlap, ..settings() })));
    }
    let when = || Some(Expression::trusted("event.workflow == 'write-report'"));
    let types = vec!["run.failed".to_owned(), "run.cancelled".to_owned()];
    let event = TriggerKind::Event { types, when: when() };
    let external =
        TriggerKind::External { name: "order-paid".parse().unwrap(), when: Some(Expression::trusted("payload.paid")) };
    let unconditional = TriggerKind::External { name: "x".parse().unwrap(), when: None };
    for (name, kind) in [("event", event), ("external", external), ("external_any", unconditional)] {
        cases.push((name.to_owned(), set(TriggerSettings { kind, ..settings() })));
    }
    let by = || Actor { kind: domain::ActorKind::ApiKey, id: "ci".to_owned() };
    let backfill = Cause::Backfill { at: moment(1), by: by() };
    let manual = Cause::Manual { id: "0198".to_owned(), by: by() };
    for cause in [backfill, manual] {
        let name = cause.kind().to_owned();
        cases.push((name, TriggerEvent::Fired { cause, run: run(1), at: moment(5), ends: vec![] }.into()));
    }
    let reasons = [
        SkipReason::Overlap,
        SkipReason::BufferFull,
        SkipReason::Replaced,
        SkipReason::AlreadyStarted,
        SkipReason::ChainTooLong,
        SkipReason::ConditionFailed("no number".to_owned()),
    ];
    for reason in reasons {
        let name = reason.name().to_owned();
        cases.push((name, TriggerEvent::Skipped { cause: event_cause(), reason, at: moment(6) }.into()));
    }
    for end in RunEnd::ALL {
        cases.push((format!("end_{}", end.name()), TriggerEvent::RunEnded { run: run(1), end, at: moment(1) }.into()));
    }
    cases
}
