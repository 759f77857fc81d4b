use std::time::Duration;

use cqrs_es::test::TestFramework;
use domain::slots::{AGEING, Capacity, Holder, Rate};
use domain::{Decide, RunId, Slots, SlotsCommand, SlotsEvent, TaskId, Timestamp};

use super::drive::Driven;
use super::fixtures::{at, seconds, uuid};

pub(crate) fn holder(number: u128) -> Holder {
    Holder { run: RunId::from_uuid(uuid(number)), task: None }
}

pub(crate) fn at_once(max: u32) -> Capacity {
    Capacity { max_running: Some(max), rate: None }
}

fn per_second(starts: u32) -> Capacity {
    Capacity { max_running: None, rate: Some(Rate { starts, per: seconds(1) }) }
}

/// A request for the slots of one limit.
pub(crate) fn request(who: u128, priority: i32, fairness: &str, capacity: Capacity, now: Timestamp) -> SlotsCommand {
    SlotsCommand::Request {
        holder: holder(who),
        limit: "gpu".parse().unwrap(),
        partition: None,
        priority,
        fairness: fairness.to_owned(),
        capacity,
        now,
    }
}

fn requested(who: u128, priority: i32, fairness: &str, at: Timestamp) -> SlotsEvent {
    SlotsEvent::Requested {
        holder: holder(who),
        limit: "gpu".parse().unwrap(),
        partition: None,
        priority,
        fairness: fairness.to_owned(),
        at,
    }
}

fn granted(who: u128, at: Timestamp) -> SlotsEvent {
    SlotsEvent::Granted { holder: holder(who), at }
}

fn released(who: u128) -> SlotsEvent {
    SlotsEvent::Released { holder: holder(who) }
}

pub(crate) fn release(who: u128, capacity: Capacity, now: Timestamp) -> SlotsCommand {
    SlotsCommand::Release { holder: holder(who), capacity, now }
}

fn poll(capacity: Capacity, now: Timestamp) -> SlotsCommand {
    SlotsCommand::Poll { capacity, now }
}

fn given(events: Vec<SlotsEvent>) -> cqrs_es::test::AggregateTestExecutor<Slots> {
    TestFramework::with(()).given(events)
}

/// `1` has the only slot, and these wait since these seconds: who, with what priority, for whom, since when.
fn crowd(waiting: &[(u128, i32, &str, u64)]) -> Vec<SlotsEvent> {
    let mut events = vec![requested(1, 0, "", at(0)), granted(1, at(0))];
    events.extend(
        waiting.iter().map(|(who, priority, fairness, since)| requested(*who, *priority, fairness, at(*since))),
    );
    events
}

#[test]
fn who_asks_gets_a_slot_or_waits() {
    given(vec![])
        .when(request(1, 0, "", at_once(1), at(0)))
        .then_expect_events(vec![requested(1, 0, "", at(0)), granted(1, at(0))]);
    given(crowd(&[])).when(request(2, 0, "", at_once(1), at(1))).then_expect_events(vec![requested(2, 0, "", at(1))]);
    // Who has one, or waits, keeps the place.
    given(crowd(&[])).when(request(1, 9, "x", at_once(1), at(1))).then_expect_events(vec![]);
    given(crowd(&[(2, 0, "", 1)])).when(request(2, 9, "x", at_once(1), at(2))).then_expect_events(vec![]);
    given(crowd(&[(2, 0, "", 1)]))
        .when(request(2, 9, "x", at_once(2), at(2)))
        .then_expect_events(vec![granted(2, at(2))]);
    let everything = Capacity::default();
    given(crowd(&[]))
        .when(request(2, 0, "", everything, at(1)))
        .then_expect_events(vec![requested(2, 0, "", at(1)), granted(2, at(1))]);
}

#[test]
fn a_slot_that_is_given_back_goes_to_the_next() {
    given(crowd(&[(2, 0, "", 1), (3, 0, "", 2)]))
        .when(release(1, at_once(1), at(5)))
        .then_expect_events(vec![released(1), granted(2, at(5))]);
    given(crowd(&[])).when(release(1, at_once(1), at(5))).then_expect_events(vec![released(1)]);
    // Who waits may stop waiting; who has nothing gives nothing back.
    given(crowd(&[(2, 0, "", 1)])).when(release(2, at_once(1), at(5))).then_expect_events(vec![released(2)]);
    given(crowd(&[])).when(release(7, at_once(1), at(5))).then_expect_events(vec![]);
    given(vec![]).when(release(1, at_once(1), at(5))).then_expect_events(vec![]);
}

#[test]
fn a_changed_limit_takes_effect_when_asked() {
    let crowd = || crowd(&[(2, 0, "", 1), (3, 0, "", 2), (4, 0, "", 3)]);
    given(crowd()).when(poll(at_once(1), at(5))).then_expect_events(vec![]);
    given(crowd()).when(poll(at_once(3), at(5))).then_expect_events(vec![granted(2, at(5)), granted(3, at(5))]);
    // A smaller limit takes nothing away, and gives nothing until enough have ended.
    let three = || [crowd(), vec![granted(2, at(4)), granted(3, at(4))]].concat();
    given(three()).when(release(1, at_once(1), at(6))).then_expect_events(vec![released(1)]);
    given(three())
        .and(vec![released(1), released(2)])
        .when(release(3, at_once(1), at(6)))
        .then_expect_events(vec![released(3), granted(4, at(6))]);
}

#[test]
fn higher_priorities_go_first_until_waiting_has_made_up_for_it() {
    let release_at = |now| release(1, at_once(1), now);
    let both = || crowd(&[(2, 0, "", 0), (3, 2, "", 1)]);
    given(both()).when(release_at(at(1))).then_expect_events(vec![released(1), granted(3, at(1))]);
    // Both have waited for two minutes.
    given(both()).when(release_at(at(121))).then_expect_events(vec![released(1), granted(3, at(121))]);
    // The less important one has waited two minutes longer, and at equal urgency the older one goes first.
    let late = |since| crowd(&[(2, 0, "", 0), (3, 2, "", since)]);
    let minutes = |count: u64| at(0).plus(AGEING * u32::try_from(count).unwrap());
    given(late(119)).when(release_at(minutes(2))).then_expect_events(vec![released(1), granted(2, minutes(2))]);
    given(late(119)).when(release_at(at(119))).then_expect_events(vec![released(1), granted(3, at(119))]);
    // Not even the highest priority keeps the lowest waiting for ever.
    let far = || crowd(&[(2, -100, "", 0), (3, 100, "", 11_990)]);
    given(far()).when(release_at(at(11_999))).then_expect_events(vec![released(1), granted(3, at(11_999))]);
    given(far()).when(release_at(at(12_000))).then_expect_events(vec![released(1), granted(2, at(12_000))]);
}

#[test]
fn among_equals_who_has_least_goes_first_then_who_was_served_longest_ago_then_who_waits_longest() {
    // `x` has the slot, so `y` is next although `x` waited longer.
    let x =
        vec![requested(1, 0, "x", at(0)), granted(1, at(0)), requested(2, 0, "x", at(1)), requested(3, 0, "y", at(2))];
    given(x.clone()).when(poll(at_once(2), at(5))).then_expect_events(vec![granted(3, at(5))]);
    // Neither has one: `x` was served before, `y` never was.
    given(x.clone()).when(release(1, at_once(1), at(5))).then_expect_events(vec![released(1), granted(3, at(5))]);
    // Both were served: `x` longer ago.
    given(x)
        .and(vec![released(1), granted(3, at(5)), requested(4, 0, "y", at(3))])
        .when(release(3, at_once(1), at(6)))
        .then_expect_events(vec![released(3), granted(2, at(6))]);
    // Fairness never looks across priorities.
    let ranks =
        [requested(1, 5, "x", at(0)), granted(1, at(0)), requested(2, 5, "x", at(1)), requested(3, 0, "y", at(1))];
    given(ranks.to_vec()).when(poll(at_once(2), at(5))).then_expect_events(vec![granted(2, at(5))]);
}

#[test]
fn a_rate_lets_so_many_start_in_any_window() {
    let mut slots = Driven::<Slots>::new();
    for who in 1..=4 {
        slots.ask(request(who, 0, "", per_second(2), at(0))).unwrap();
    }
    assert_eq!(slots.state.holders().len(), 2);
    assert_eq!(slots.state.next_start(per_second(2), at(0)), Some(at(1)));
    assert_eq!(slots.state.next_start(per_second(3), at(0)), None);
    let almost = Timestamp::from_micros(at(1).as_micros() - 1);
    assert_eq!(slots.ask(poll(per_second(2), almost)).unwrap(), vec![]);
    // What is given back does not count less: starts are counted, not those who run.
    assert_eq!(slots.ask(release(1, per_second(2), almost)).unwrap(), vec![released(1)]);
    let both = vec![granted(3, at(1)), granted(4, at(1))];
    assert_eq!(slots.ask(poll(per_second(2), at(1))).unwrap(), both);
    assert_eq!(slots.state.next_start(at_once(1), at(1)), None);
}

#[test]
fn a_clock_that_is_behind_gives_no_slot_too_early() {
    let behind = at(0);
    let history = vec![requested(1, 0, "", at(1)), granted(1, at(1))];
    let ask = request(2, 0, "", per_second(2), behind);
    given(history).when(ask).then_expect_events(vec![requested(2, 0, "", behind), granted(2, at(1))]);
}

#[test]
fn the_state_tells_who_has_and_who_waits() {
    let mut slots = Driven::<Slots>::new();
    assert!(slots.state.limit().is_none() && slots.state.partition().is_none());
    let task = Holder { run: RunId::from_uuid(uuid(1)), task: Some(TaskId::from_uuid(uuid(2))) };
    let command = SlotsCommand::Request {
        holder: task,
        limit: "gpu".parse().unwrap(),
        partition: Some("acme".to_owned()),
        priority: 3,
        fairness: "legal".to_owned(),
        capacity: at_once(1),
        now: at(0),
    };
    slots.ask(command).unwrap();
    slots.ask(request(1, 0, "", at_once(1), at(1))).unwrap();
    assert_eq!(slots.state.limit().unwrap().as_str(), "gpu");
    // The run itself is another holder than its task.
    assert!(slots.state.has(task) && !slots.state.has(holder(1)) && slots.state.awaits(holder(1)));
    assert_eq!(slots.state.holders().collect::<Vec<_>>(), [task]);
    assert_eq!(slots.state.waiting()[0].at, at(1));
    assert_eq!(holder(1).to_string(), format!("run {}", uuid(1)));
    assert_eq!(task.to_string(), format!("task {} of run {}", uuid(2), uuid(1)));
    let written = serde_json::to_string(&slots.state).unwrap();
    assert_eq!(serde_json::from_str::<Slots>(&written).unwrap(), slots.state);
    assert_eq!(Slots::CATEGORY.name(), "slots");
    assert_eq!(AGEING, Duration::from_secs(60));
}
