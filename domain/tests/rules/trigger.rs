use std::time::Duration;

use cqrs_es::test::TestFramework;
use domain::trigger::{
    Cause, EventRef, MAX_BUFFER, MAX_CHAIN, Overlap, RunEnd, Schedule, SkipReason, TriggerKind, TriggerSettings,
};
use domain::{
    Actor, Category, Decide, EventId, Expression, Refusal, RunId, StreamId, Timestamp, Trigger, TriggerCommand,
    TriggerEvent, TriggerId, TriggerRefusal,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::drive::Driven;
use super::fixtures::uuid;
use super::schedule::{at, schedule};

const START: &str = "2026-01-01T00:00:00Z";

fn settings() -> TriggerSettings {
    TriggerSettings {
        key: "hourly".parse().unwrap(),
        description: String::new(),
        workflow: "report".parse().unwrap(),
        version: None,
        kind: TriggerKind::Schedule(schedule("0 * * * *", "UTC")),
        input: [("day".parse().unwrap(), "trigger.tick.date".parse().unwrap())].into(),
        priority: 0,
        overlap: Overlap::Skip,
        pause_after: None,
        enabled: true,
    }
}

fn with(overlap: Overlap) -> TriggerSettings {
    TriggerSettings { overlap, ..settings() }
}

fn id() -> TriggerId {
    TriggerId::from_key(&settings().key)
}

fn hour(hour: u32) -> Timestamp {
    at(START).plus(Duration::from_secs(3600) * hour)
}

fn tick(number: u32) -> Cause {
    Cause::Tick { at: hour(number) }
}

fn set(settings: TriggerSettings) -> TriggerEvent {
    TriggerEvent::Set { settings: Box::new(settings), at: hour(0) }
}

fn fired(cause: Cause, at: Timestamp) -> TriggerEvent {
    TriggerEvent::Fired { run: cause.run(id()), cause, at, ends: vec![] }
}

fn skipped(cause: Cause, reason: SkipReason, at: Timestamp) -> TriggerEvent {
    TriggerEvent::Skipped { cause, reason, at }
}

fn buffered(cause: Cause, at: Timestamp) -> TriggerEvent {
    TriggerEvent::Buffered { cause, at, ends: vec![] }
}

fn paused(at: Timestamp) -> TriggerEvent {
    TriggerEvent::Paused { by: Actor::person("ada"), reason: "holiday".to_owned(), at }
}

fn given(events: Vec<TriggerEvent>) -> cqrs_es::test::AggregateTestExecutor<Trigger> {
    TestFramework::with(()).given(events)
}

fn at_hour(number: u32) -> TriggerCommand {
    TriggerCommand::Tick { now: hour(number) }
}

fn setting(settings: TriggerSettings) -> TriggerCommand {
    TriggerCommand::Set { settings: Box::new(settings), now: hour(0) }
}

fn event(position: u64) -> EventRef {
    EventRef {
        id: EventId::from_uuid(uuid(u128::from(position))),
        stream: StreamId { category: Category::Run, id: uuid(1) },
        revision: 1,
        position,
        at: hour(0),
        depth: 0,
    }
}

fn notice(event: EventRef) -> TriggerCommand {
    TriggerCommand::Notice { event, fault: None, now: hour(1) }
}

fn on_event() -> TriggerSettings {
    let kind = TriggerKind::Event { types: vec!["run.failed".to_owned()], when: None };
    TriggerSettings { kind, overlap: Overlap::AllowAll, input: [].into(), ..settings() }
}

#[test]
fn setting_makes_or_changes_and_equal_settings_change_nothing() {
    given(vec![]).when(setting(settings())).then_expect_events(vec![set(settings())]);
    given(vec![set(settings())]).when(setting(settings())).then_expect_events(vec![]);
    given(vec![set(settings())])
        .when(setting(with(Overlap::AllowAll)))
        .then_expect_events(vec![set(with(Overlap::AllowAll))]);
    let removed = TriggerEvent::Removed { reason: "done".to_owned() };
    given(vec![set(settings()), removed.clone()]).when(setting(settings())).then_expect_events(vec![set(settings())]);
    let remove = || TriggerCommand::Remove { reason: "done".to_owned() };
    given(vec![set(settings())]).when(remove()).then_expect_events(vec![removed]);
    given(vec![]).when(remove()).then_expect_error(TriggerRefusal::NotFound);
}

#[test]
fn what_cannot_work_is_refused_with_its_reason() {
    let schedule = |change: fn(&mut Schedule)| {
        let mut changed = schedule("0 * * * *", "UTC");
        change(&mut changed);
        TriggerSettings { kind: TriggerKind::Schedule(changed), ..settings() }
    };
    let reading = |source: &str| TriggerSettings {
        input: [("x".parse().unwrap(), source.parse::<Expression>().unwrap())].into(),
        ..settings()
    };
    let types = |types: &[&str], when: Option<&str>| {
        let types = types.iter().map(|name| (*name).to_owned()).collect();
        let when = when.map(|source| source.parse().unwrap());
        TriggerSettings { kind: TriggerKind::Event { types, when }, ..settings() }
    };
    let cases = [
        (TriggerSettings { priority: 101, ..settings() }, "priority"),
        (TriggerSettings { pause_after: Some(0), ..settings() }, "pause_after"),
        (schedule(|schedule| schedule.jitter = Duration::from_secs(3601)), "jitter"),
        (schedule(|schedule| schedule.catch_up = Duration::from_secs(9)), "catch_up"),
        (schedule(|schedule| schedule.catch_up = Duration::from_secs(32 * 86_400)), "catch_up"),
        (schedule(|schedule| schedule.cron = "0 0 30 2 *".parse().unwrap()), "never fires"),
        (reading("input.topic"), "only `trigger` is there"),
        (reading("trigger.tock"), "has only"),
        (types(&[], None), "types"),
        (types(&["trigger.fired"], None), "triggers decide"),
        (types(&["run.failed"], Some("payload.x")), "only `event` is there"),
    ];
    for (settings, why) in cases {
        match given(vec![]).when(setting(settings)).inspect_result() {
            Err(TriggerRefusal::Invalid(what)) => assert!(what.contains(why), "{what}"),
            other => panic!("{why}: {other:?}"),
        }
    }
    assert_eq!(TriggerRefusal::Invalid(String::new()).code(), "TRIGGER_INVALID");
}

#[test]
fn a_tick_fires_when_its_time_has_come_and_once() {
    let early = TriggerCommand::Tick { now: Timestamp::from_micros(hour(1).as_micros() - 1) };
    given(vec![set(settings())]).when(early).then_expect_events(vec![]);
    given(vec![set(settings())]).when(at_hour(1)).then_expect_events(vec![fired(tick(1), hour(1))]);
    given(vec![set(settings()), fired(tick(1), hour(1))]).when(at_hour(1)).then_expect_events(vec![]);
    given(vec![]).when(at_hour(1)).then_expect_events(vec![]);
    given(vec![set(TriggerSettings { enabled: false, ..settings() })]).when(at_hour(1)).then_expect_events(vec![]);
    given(vec![set(settings()), paused(hour(0))]).when(at_hour(1)).then_expect_events(vec![]);
}

#[test]
fn every_overlap_policy_says_what_a_second_tick_means() {
    let run = tick(1).run(id());
    let cases = [
        (Overlap::Skip, skipped(tick(2), SkipReason::Overlap, hour(2))),
        (Overlap::BufferOne, buffered(tick(2), hour(2))),
        (Overlap::BufferAll, buffered(tick(2), hour(2))),
        (Overlap::CancelOther, TriggerEvent::Buffered { cause: tick(2), at: hour(2), ends: vec![run] }),
        (
            Overlap::TerminateOther,
            TriggerEvent::Fired { cause: tick(2), run: tick(2).run(id()), at: hour(2), ends: vec![run] },
        ),
        (Overlap::AllowAll, fired(tick(2), hour(2))),
    ];
    for (overlap, expected) in cases {
        let first = vec![set(with(overlap)), fired(tick(1), hour(1))];
        given(first).when(at_hour(2)).then_expect_events(vec![expected]);
        // With nothing going on, all policies are the same.
        let ended = TriggerEvent::RunEnded { run, end: RunEnd::Completed, at: hour(1) };
        let over = vec![set(with(overlap)), fired(tick(1), hour(1)), ended];
        given(over).when(at_hour(2)).then_expect_events(vec![fired(tick(2), hour(2))]);
    }
}

#[test]
fn a_third_tick_while_one_waits() {
    let before = |overlap| vec![set(with(overlap)), fired(tick(1), hour(1)), buffered(tick(2), hour(2))];
    given(before(Overlap::BufferOne)).when(at_hour(3)).then_expect_events(vec![skipped(
        tick(3),
        SkipReason::Overlap,
        hour(3),
    )]);
    given(before(Overlap::BufferAll)).when(at_hour(3)).then_expect_events(vec![buffered(tick(3), hour(3))]);
    let run = tick(1).run(id());
    given(before(Overlap::CancelOther)).when(at_hour(3)).then_expect_events(vec![
        skipped(tick(2), SkipReason::Replaced, hour(3)),
        TriggerEvent::Buffered { cause: tick(3), at: hour(3), ends: vec![run] },
    ]);
}

#[test]
fn what_waits_starts_in_order_when_nothing_runs() {
    let mut trigger = Driven::<Trigger>::new();
    trigger.ask(setting(with(Overlap::BufferAll))).unwrap();
    for number in 1..=3 {
        trigger.ask(at_hour(number)).unwrap();
    }
    assert_eq!(trigger.state.waiting(), &[tick(2), tick(3)]);
    let go_on = || TriggerCommand::StartBuffered { now: hour(4) };
    assert_eq!(trigger.ask(go_on()).unwrap(), vec![]);
    for (ended, next) in [(1, Some(2)), (2, Some(3)), (3, None)] {
        let end = TriggerCommand::EndRun { run: tick(ended).run(id()), end: RunEnd::Completed, now: hour(4) };
        trigger.ask(end).unwrap();
        let started = trigger.ask(go_on()).unwrap();
        assert_eq!(started, next.map(|next| fired(tick(next), hour(4))).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn what_waits_is_bounded() {
    let mut trigger = Driven::<Trigger>::new();
    trigger.ask(setting(TriggerSettings { overlap: Overlap::BufferAll, ..on_event() })).unwrap();
    for position in 0..=u64::try_from(MAX_BUFFER).unwrap() {
        trigger.ask(notice(event(position))).unwrap();
    }
    assert_eq!(trigger.state.waiting().len(), MAX_BUFFER);
    let one_more = trigger.ask(notice(event(5000))).unwrap();
    assert!(matches!(&one_more[..], [TriggerEvent::Skipped { reason: SkipReason::BufferFull, .. }]), "{one_more:?}");
}

#[test]
fn ticks_within_the_catch_up_window_fire_and_older_ones_are_passed_over() {
    // The window is one hour.
    let late = hour(10).plus(Duration::from_secs(1));
    let missed = TriggerEvent::Missed { first: hour(1), until: hour(10), count: 9, at: late };
    given(vec![set(settings())])
        .when(TriggerCommand::Tick { now: late })
        .then_expect_events(vec![missed, fired(tick(10), late)]);
    given(vec![set(settings())]).when(at_hour(2)).then_expect_events(vec![fired(tick(1), hour(2))]);
    // When nothing is left within the window, the past is put aside all the same.
    let daily = schedule("0 0 * * *", "UTC");
    let daily = TriggerSettings { kind: TriggerKind::Schedule(daily), ..settings() };
    given(vec![set(daily)]).when(at_hour(30)).then_expect_events(vec![TriggerEvent::Missed {
        first: hour(24),
        until: hour(48),
        count: 1,
        at: hour(30),
    }]);
}

#[test]
fn an_outage_of_a_year_costs_one_event() {
    let secondly = Schedule { jitter: Duration::from_secs(60), ..schedule("* * * * * *", "Europe/Berlin") };
    let settings = TriggerSettings { kind: TriggerKind::Schedule(secondly), ..settings() };
    let mut trigger = Driven::<Trigger>::new();
    trigger.ask(setting(settings)).unwrap();
    let now = at("2027-01-01T00:00:00Z");
    let events = trigger.ask(TriggerCommand::Tick { now }).unwrap();
    assert!(
        matches!(&events[..], [TriggerEvent::Missed { count: 1000, .. }, TriggerEvent::Fired { .. }]),
        "{events:?}"
    );
    assert!(now.since(trigger.state.ticked().unwrap()) <= Duration::from_secs(3600));
}

#[test]
fn a_pause_makes_up_for_nothing() {
    let mut trigger = Driven::<Trigger>::new();
    trigger.ask(setting(settings())).unwrap();
    let pause = || TriggerCommand::Pause { by: Actor::person("ada"), reason: "holiday".to_owned(), now: hour(0) };
    assert_eq!(trigger.ask(pause()).unwrap(), vec![paused(hour(0))]);
    assert_eq!(trigger.ask(pause()).unwrap(), vec![]);
    assert_eq!(trigger.state.wakes_at(), None);
    let resume = || TriggerCommand::Resume { by: Actor::person("ada"), now: hour(5) };
    trigger.ask(resume()).unwrap();
    assert_eq!(trigger.state.wakes_at(), Some(hour(6)));
    assert_eq!(trigger.ask(resume()), Err(TriggerRefusal::NotPaused));
    // Enabling counts from then on, too; so does a changed schedule.
    trigger.ask(setting(TriggerSettings { enabled: false, ..settings() })).unwrap();
    trigger.ask(TriggerCommand::Set { settings: Box::new(settings()), now: hour(9) }).unwrap();
    assert_eq!(trigger.state.wakes_at(), Some(hour(10)));
    // Any other change keeps what is due.
    let renamed = TriggerSettings { description: "new".to_owned(), ..settings() };
    trigger.ask(TriggerCommand::Set { settings: Box::new(renamed), now: hour(11) }).unwrap();
    assert_eq!(trigger.state.wakes_at(), Some(hour(10)));
}

#[test]
fn it_pauses_itself_after_failures_in_a_row() {
    let strict = TriggerSettings { pause_after: Some(2), overlap: Overlap::AllowAll, ..settings() };
    let mut trigger = Driven::<Trigger>::new();
    trigger.ask(setting(strict)).unwrap();
    let mut run = |number: u32, end: RunEnd| {
        trigger.ask(at_hour(number)).unwrap();
        trigger.ask(TriggerCommand::EndRun { run: tick(number).run(id()), end, now: hour(number) }).unwrap()
    };
    assert_eq!(run(1, RunEnd::Failed).len(), 1);
    assert_eq!(run(2, RunEnd::Completed).len(), 1);
    assert_eq!(run(3, RunEnd::Failed).len(), 1);
    assert_eq!(run(4, RunEnd::Cancelled).len(), 1);
    let last = run(5, RunEnd::Failed);
    assert!(
        matches!(&last[..], [TriggerEvent::RunEnded { .. }, TriggerEvent::Paused { by, .. }] if *by == Actor::system("triggers")),
        "{last:?}"
    );
    // A run that cannot start is a failure as well.
    trigger.ask(TriggerCommand::Resume { by: Actor::person("ada"), now: hour(5) }).unwrap();
    let cannot = |number| TriggerCommand::CannotStart {
        cause: tick(number),
        code: "WORKFLOW_NOT_FOUND".to_owned(),
        message: "gone".to_owned(),
        now: hour(number),
    };
    assert_eq!(trigger.ask(cannot(6)).unwrap().len(), 1);
    assert_eq!(trigger.ask(cannot(7)).unwrap().len(), 2);
    assert!(trigger.state.pause().is_some());
}

#[test]
fn an_event_is_decided_upon_once_and_in_order() {
    let cause = |position| Cause::Event(event(position));
    given(vec![set(on_event())]).when(notice(event(7))).then_expect_events(vec![fired(cause(7), hour(1))]);
    given(vec![set(on_event()), fired(cause(7), hour(1))]).when(notice(event(7))).then_expect_events(vec![]);
    given(vec![set(on_event()), fired(cause(7), hour(1))]).when(notice(event(6))).then_expect_events(vec![]);
    let fault = TriggerCommand::Notice { event: event(7), fault: Some("no number".to_owned()), now: hour(1) };
    let reason = SkipReason::ConditionFailed("no number".to_owned());
    given(vec![set(on_event())]).when(fault).then_expect_events(vec![skipped(cause(7), reason, hour(1))]);
    let deep = EventRef { depth: MAX_CHAIN, ..event(7) };
    given(vec![set(on_event())]).when(notice(deep.clone())).then_expect_events(vec![skipped(
        Cause::Event(deep),
        SkipReason::ChainTooLong,
        hour(1),
    )]);
}

#[test]
fn by_hand_it_starts_whatever_goes_on() {
    let by = || Actor::person("ada");
    let now = TriggerCommand::RunNow { by: by(), id: "wish".to_owned(), now: hour(1) };
    let cause = Cause::Manual { id: "wish".to_owned(), by: by() };
    let busy = vec![set(settings()), fired(tick(1), hour(1)), paused(hour(1))];
    given(busy).when(now.clone()).then_expect_events(vec![fired(cause, hour(1))]);
    given(vec![]).when(now).then_expect_error(TriggerRefusal::NotFound);
}

#[test]
fn a_tick_of_the_past_is_made_up_for_under_the_given_policy() {
    let by = || Actor::person("ada");
    let of = |at, overlap| TriggerCommand::Backfill { at, by: by(), overlap, now: hour(9) };
    let cause = |number| Cause::Backfill { at: hour(number), by: by() };
    assert_eq!(cause(3).run(id()), tick(3).run(id()), "a tick has one run, however it comes about");
    given(vec![set(settings())])
        .when(of(hour(3), Overlap::AllowAll))
        .then_expect_events(vec![fired(cause(3), hour(9))]);
    let busy = || vec![set(settings()), fired(tick(1), hour(1))];
    given(busy()).when(of(hour(3), Overlap::BufferAll)).then_expect_events(vec![buffered(cause(3), hour(9))]);
    given(busy()).when(of(hour(1), Overlap::BufferAll)).then_expect_events(vec![]);
    let half = hour(3).plus(Duration::from_secs(1800));
    given(busy())
        .when(of(half, Overlap::BufferAll))
        .then_expect_error(TriggerRefusal::NoTick("2026-01-01T03:30:00Z".to_owned()));
    given(vec![set(on_event())]).when(of(hour(3), Overlap::Skip)).then_expect_error(TriggerRefusal::NoSchedule);
    // What was asked for goes on while the trigger is paused.
    let ended = TriggerEvent::RunEnded { run: tick(1).run(id()), end: RunEnd::Completed, at: hour(9) };
    let mut waiting = busy();
    waiting.extend([buffered(tick(2), hour(2)), buffered(cause(3), hour(9)), ended, paused(hour(9))]);
    given(waiting)
        .when(TriggerCommand::StartBuffered { now: hour(9) })
        .then_expect_events(vec![fired(cause(3), hour(9))]);
}

fn command() -> impl Strategy<Value = TriggerCommand> {
    let now = || (0_u32..200).prop_map(hour);
    let run = || (1_u32..200).prop_map(|number| tick(number).run(id()));
    prop_oneof![
        2 => (select(Overlap::ALL.as_slice()), proptest::option::of(1_u32..4), any::<bool>(), now()).prop_map(
            |(overlap, pause_after, enabled, now)| TriggerCommand::Set {
                settings: Box::new(TriggerSettings { overlap, pause_after, enabled: enabled || now < hour(150), ..settings() }),
                now,
            }
        ),
        1 => Just(TriggerCommand::Remove { reason: String::new() }),
        1 => now().prop_map(|now| TriggerCommand::Pause { by: Actor::person("ada"), reason: String::new(), now }),
        2 => now().prop_map(|now| TriggerCommand::Resume { by: Actor::person("ada"), now }),
        20 => now().prop_map(|now| TriggerCommand::Tick { now }),
        3 => (1_u32..200, select(Overlap::ALL.as_slice()), now()).prop_map(|(number, overlap, now)| {
            TriggerCommand::Backfill { at: hour(number), by: Actor::person("ada"), overlap, now }
        }),
        2 => (0_u32..50, now()).prop_map(|(id, now)| {
            TriggerCommand::RunNow { by: Actor::person("ada"), id: id.to_string(), now }
        }),
        10 => (run(), select(RunEnd::ALL.as_slice()), now())
            .prop_map(|(run, end, now)| TriggerCommand::EndRun { run, end, now }),
        8 => now().prop_map(|now| TriggerCommand::StartBuffered { now }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_happens_the_rules_hold(commands in vec(command(), 0..80)) {
        let mut trigger = Driven::<Trigger>::new();
        let mut ticks = std::collections::BTreeSet::new();
        for command in commands {
            let before = trigger.state.clone();
            let Ok(events) = trigger.ask(command.clone()) else {
                prop_assert_eq!(&trigger.state, &before);
                continue;
            };
            let starts: Vec<&TriggerEvent> =
                events.iter().filter(|event| matches!(event, TriggerEvent::Fired { .. })).collect();
            prop_assert!(starts.len() <= 1, "one decision starts one run");
            for event in events {
                if let TriggerEvent::Fired { cause: Cause::Tick { at }, .. } = &event
                    && !before.waiting().contains(&Cause::Tick { at: *at })
                {
                    prop_assert!(ticks.insert(*at), "a tick is decided upon once");
                    prop_assert!(before.ticked() < Some(*at));
                }
            }
            prop_assert!(trigger.state.waiting().len() <= MAX_BUFFER);
            match command {
                TriggerCommand::Remove { .. } => ticks.clear(),
                _ => prop_assert!(trigger.state.ticked() >= before.ticked(), "what is decided stays decided"),
            }
        }
        prop_assert_eq!(&trigger.state, &trigger.folded(usize::MAX));
    }

    #[test]
    fn deciding_comes_to_rest(from in 0_u32..100, after in 1_u32..2000, overlap in select(Overlap::ALL.as_slice())) {
        let mut trigger = Driven::<Trigger>::new();
        trigger.ask(TriggerCommand::Set { settings: Box::new(with(overlap)), now: hour(from) }).unwrap();
        let now = hour(from + after).plus(Duration::from_secs(1));
        let mut decisions = 0;
        while trigger.state.wakes_at().is_some_and(|wakes| wakes <= now) {
            let decided = trigger.ask(TriggerCommand::Tick { now }).unwrap();
            prop_assert!(!decided.is_empty());
            decisions += 1;
            prop_assert!(decisions < 5, "the catch-up window holds one tick");
        }
        prop_assert_eq!(trigger.state.running().len(), 1);
    }
}

/// Two nodes that decide upon the same state decide the same.
#[test]
fn decisions_are_the_same_everywhere() {
    let mut trigger = Driven::<Trigger>::new();
    trigger.ask(setting(settings())).unwrap();
    let one = trigger.state.decide(at_hour(1)).unwrap();
    let other = trigger.folded(usize::MAX).decide(at_hour(1)).unwrap();
    assert_eq!(one, other);
    assert_eq!(tick(1).run(id()), RunId::of_firing(id(), "2026-01-01T01:00:00Z"));
}
