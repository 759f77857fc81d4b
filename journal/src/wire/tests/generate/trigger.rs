//! Strategies for arbitrary events of triggers, and external events.

use std::sync::Arc;

use domain::external::Posted;
use domain::trigger::{
    Cause, Cron, EventRef, Overlap, RunEnd, Schedule, SkipReason, TriggerKind, TriggerSettings, Zone,
};
use domain::{Category, Event, EventId, ExternalEvent, RunId, StreamId, TriggerEvent};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{actor, duration, expression, json, key, step_name, text, texts, timestamp, uuid};

pub(super) fn event() -> BoxedStrategy<Event> {
    prop_oneof![
        (settings(), timestamp()).prop_map(|(settings, at)| TriggerEvent::Set { settings: Box::new(settings), at }),
        text().prop_map(|reason| TriggerEvent::Removed { reason }),
        (actor(), text(), timestamp()).prop_map(|(by, reason, at)| TriggerEvent::Paused { by, reason, at }),
        (actor(), timestamp()).prop_map(|(by, at)| TriggerEvent::Resumed { by, at }),
        (cause(), run(), timestamp(), vec(run(), 0..3)).prop_map(|(cause, run, at, ends)| TriggerEvent::Fired {
            cause,
            run,
            at,
            ends
        }),
        (cause(), reason(), timestamp()).prop_map(|(cause, reason, at)| TriggerEvent::Skipped { cause, reason, at }),
        (timestamp(), timestamp(), any::<u32>(), timestamp())
            .prop_map(|(first, until, count, at)| TriggerEvent::Missed { first, until, count, at }),
        (cause(), timestamp(), vec(run(), 0..3)).prop_map(|(cause, at, ends)| TriggerEvent::Buffered {
            cause,
            at,
            ends
        }),
        (run(), select(RunEnd::ALL.as_slice()), timestamp()).prop_map(|(run, end, at)| TriggerEvent::RunEnded {
            run,
            end,
            at
        }),
    ]
    .prop_map(Event::from)
    .boxed()
}

pub(super) fn external() -> BoxedStrategy<Event> {
    (key(), json(), actor(), timestamp())
        .prop_map(|(name, payload, by, at)| ExternalEvent::Posted(Posted { name, payload: Arc::new(payload), by, at }))
        .prop_map(Event::from)
        .boxed()
}

fn settings() -> impl Strategy<Value = TriggerSettings> {
    let schedule = (text(), text(), duration(), duration()).prop_map(|(cron, zone, jitter, catch_up)| {
        TriggerKind::Schedule(Schedule { cron: Cron::trusted(&cron), zone: Zone::trusted(&zone), jitter, catch_up })
    });
    let kind = prop_oneof![
        schedule,
        (texts(), option::of(expression())).prop_map(|(types, when)| TriggerKind::Event { types, when }),
        (key(), option::of(expression())).prop_map(|(name, when)| TriggerKind::External { name, when }),
    ];
    let words = (key(), text(), key(), option::of(any::<u32>()));
    let input = btree_map(step_name(), expression(), 0..3);
    let rest = (any::<i32>(), select(Overlap::ALL.as_slice()), option::of(any::<u32>()), any::<bool>());
    (words, kind, input, rest).prop_map(|(words, kind, input, rest)| {
        let (key, description, workflow, version) = words;
        let (priority, overlap, pause_after, enabled) = rest;
        TriggerSettings { key, description, workflow, version, kind, input, priority, overlap, pause_after, enabled }
    })
}

fn cause() -> impl Strategy<Value = Cause> {
    let stream = (select(Category::ALL.as_slice()), uuid()).prop_map(|(category, id)| StreamId { category, id });
    let event = (uuid(), stream, any::<u64>(), any::<u64>(), timestamp(), any::<u32>()).prop_map(
        |(id, stream, revision, position, at, depth)| {
            Cause::Event(EventRef { id: EventId::from_uuid(id), stream, revision, position, at, depth })
        },
    );
    prop_oneof![
        timestamp().prop_map(|at| Cause::Tick { at }),
        (timestamp(), actor()).prop_map(|(at, by)| Cause::Backfill { at, by }),
        event,
        (text(), actor()).prop_map(|(id, by)| Cause::Manual { id, by }),
    ]
}

fn reason() -> impl Strategy<Value = SkipReason> {
    prop_oneof![
        Just(SkipReason::Overlap),
        Just(SkipReason::BufferFull),
        Just(SkipReason::Replaced),
        Just(SkipReason::AlreadyStarted),
        Just(SkipReason::ChainTooLong),
        text().prop_map(SkipReason::ConditionFailed),
        (text(), text()).prop_map(|(code, message)| SkipReason::CannotStart { code, message }),
    ]
}

fn run() -> impl Strategy<Value = RunId> {
    uuid().prop_map(RunId::from_uuid)
}
