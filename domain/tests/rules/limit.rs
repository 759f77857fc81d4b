//! Limits and holds.

use std::sync::Arc;

use cqrs_es::test::TestFramework;
use domain::hold::{HoldScope, Placed};
use domain::limit::{LimitScope, LimitSettings};
use domain::run::{Pause, PauseClock};
use domain::slots::{Capacity, MAX_RATE, Rate};
use domain::{
    Actor, Hold, HoldCommand, HoldEvent, HoldId, HoldRefusal, Limit, LimitCommand, LimitEvent, LimitId, LimitRefusal,
    Refusal,
};

use super::fixtures::{at, expression, seconds};

fn settings() -> LimitSettings {
    LimitSettings {
        key: "reports".parse().unwrap(),
        description: "Few reports at once".to_owned(),
        scope: LimitScope::Workflow("report".parse().unwrap()),
        by: Some(expression("input.customer")),
        capacity: Capacity { max_running: Some(2), rate: Some(Rate { starts: 10, per: seconds(60) }) },
        fairness: Some(expression("input.department")),
    }
}

fn set(settings: LimitSettings) -> LimitCommand {
    LimitCommand::Set { settings: Box::new(settings) }
}

fn was_set(settings: LimitSettings) -> LimitEvent {
    LimitEvent::Set { settings: Box::new(settings) }
}

fn remove() -> LimitCommand {
    LimitCommand::Remove { reason: "enough".to_owned() }
}

fn removed() -> LimitEvent {
    LimitEvent::Removed { reason: "enough".to_owned() }
}

fn given(events: Vec<LimitEvent>) -> cqrs_es::test::AggregateTestExecutor<Limit> {
    TestFramework::with(()).given(events)
}

#[test]
fn a_limit_is_set_changed_and_removed() {
    let other = LimitSettings { description: "Fewer".to_owned(), ..settings() };
    given(vec![]).when(set(settings())).then_expect_events(vec![was_set(settings())]);
    given(vec![was_set(settings())]).when(set(settings())).then_expect_events(vec![]);
    given(vec![was_set(settings())]).when(set(other.clone())).then_expect_events(vec![was_set(other)]);
    given(vec![was_set(settings())]).when(remove()).then_expect_events(vec![removed()]);
    given(vec![was_set(settings()), removed()]).when(set(settings())).then_expect_events(vec![was_set(settings())]);
    for history in [vec![], vec![was_set(settings()), removed()]] {
        given(history).when(remove()).then_expect_error(LimitRefusal::NotFound);
    }
}

#[test]
fn the_state_is_what_was_set_last() {
    use cqrs_es::Aggregate;
    let mut limit = Limit::default();
    assert!(limit.settings().is_none() && limit.id().is_none());
    limit.apply(was_set(settings()));
    assert_eq!(limit.settings(), Some(&Arc::new(settings())));
    assert_eq!(limit.id(), Some(LimitId::from_key(&settings().key)));
    limit.apply(removed());
    assert_eq!(limit, Limit::default());
}

#[test]
fn settings_are_checked() {
    type Change = fn(&mut LimitSettings);
    let good: [Change; 7] = [
        |limit| limit.capacity.rate = None,
        |limit| limit.capacity.max_running = None,
        |limit| limit.capacity.max_running = Some(1),
        |limit| limit.capacity.rate = Some(Rate { starts: MAX_RATE, per: seconds(1) }),
        |limit| (limit.by, limit.fairness) = (None, None),
        |limit| limit.fairness = Some(expression("join('-', [input.a, input.b])")),
        |limit| (limit.by, limit.scope) = (None, LimitScope::Platform("openai".parse().unwrap())),
    ];
    for change in good {
        let mut limit = settings();
        change(&mut limit);
        given(vec![]).when(set(limit.clone())).then_expect_events(vec![was_set(limit)]);
    }
    let rate = "`rate` must be 1 to 1000 starts within more than no time";
    let by = "only a limit on the runs of a workflow can count by an expression over the input";
    let bad: [(Change, &str); 9] = [
        (|limit| limit.capacity = Capacity::default(), "it limits nothing; give `max_running`, `rate`, or both"),
        (
            |limit| limit.capacity.max_running = Some(0),
            "`max_running` must be at least 1; to stop everything, place a hold",
        ),
        (|limit| limit.capacity.rate = Some(Rate { starts: 0, per: seconds(1) }), rate),
        (|limit| limit.capacity.rate = Some(Rate { starts: MAX_RATE + 1, per: seconds(1) }), rate),
        (|limit| limit.capacity.rate = Some(Rate { starts: 1, per: seconds(0) }), rate),
        (|limit| limit.scope = LimitScope::Agent("writer".parse().unwrap()), by),
        (|limit| limit.scope = LimitScope::Platform("openai".parse().unwrap()), by),
        (|limit| limit.by = Some(expression("steps.a.text")), "`by` reads `steps.a.text`, but only `input` is there"),
        (
            |limit| limit.fairness = Some(expression("length(customer)")),
            "`fairness` reads `customer`, but only `input` is there",
        ),
    ];
    for (change, what) in bad {
        let mut limit = settings();
        change(&mut limit);
        given(vec![was_set(settings())]).when(set(limit)).then_expect_error(LimitRefusal::Invalid(what.to_owned()));
    }
    let mut unread = settings();
    unread.by = Some(domain::Expression::trusted("a b"));
    assert!(matches!(
        given(vec![]).when(set(unread)).inspect_result(),
        Err(LimitRefusal::Invalid(what)) if what.starts_with("`by`: ")
    ));
}

fn placed() -> Placed {
    Placed {
        scope: HoldScope::Workflow("report".parse().unwrap()),
        by: Actor::person("mara"),
        reason: "audit".to_owned(),
        at: at(10),
        clock: PauseClock::Frozen,
    }
}

fn lift() -> HoldCommand {
    HoldCommand::Lift { by: Actor::person("noor"), now: at(20) }
}

fn lifted() -> HoldEvent {
    HoldEvent::Lifted { by: Actor::person("noor"), at: at(20) }
}

#[test]
fn a_hold_is_placed_and_lifted() {
    let given = |events: Vec<HoldEvent>| TestFramework::<Hold>::with(()).given(events);
    let other = Placed { reason: "another".to_owned(), ..placed() };
    given(vec![]).when(HoldCommand::Place(placed())).then_expect_events(vec![HoldEvent::Placed(placed())]);
    given(vec![HoldEvent::Placed(placed())]).when(HoldCommand::Place(other.clone())).then_expect_events(vec![]);
    given(vec![HoldEvent::Placed(placed())]).when(lift()).then_expect_events(vec![lifted()]);
    given(vec![HoldEvent::Placed(placed()), lifted()])
        .when(HoldCommand::Place(other.clone()))
        .then_expect_events(vec![HoldEvent::Placed(other)]);
    for history in [vec![], vec![HoldEvent::Placed(placed()), lifted()]] {
        given(history).when(lift()).then_expect_error(HoldRefusal::NotPlaced);
    }
}

#[test]
fn a_hold_covers_what_it_says_and_pauses_from_then_on() {
    let report = "report".parse().unwrap();
    let other = "other".parse().unwrap();
    let one = HoldScope::Workflow("report".parse().unwrap());
    assert!(one.covers(&report) && !one.covers(&other));
    assert!(HoldScope::Everything.covers(&report) && HoldScope::Everything.covers(&other));
    assert_eq!(
        (one.to_string().as_str(), HoldScope::Everything.to_string().as_str()),
        ("workflow `report`", "everything")
    );
    assert_eq!((one.id(), HoldScope::Everything.id()), (HoldId::of(Some(&report)), HoldId::of(None)));
    assert_ne!(one.id(), HoldScope::Workflow(other).id());
    let pause = Pause {
        by: Actor::person("mara"),
        reason: "audit".to_owned(),
        at: at(15),
        clock: PauseClock::Frozen,
        hold: Some(one.id()),
    };
    assert_eq!(placed().pause(at(15)), pause);
}

#[test]
fn codes_are_stable() {
    assert_eq!(LimitRefusal::Invalid(String::new()).code(), "LIMIT_INVALID");
    assert_eq!(LimitRefusal::NotFound.code(), "LIMIT_NOT_FOUND");
    assert_eq!(HoldRefusal::NotPlaced.code(), "HOLD_NOT_PLACED");
    let scopes = [("workflow", settings().scope), ("agent", LimitScope::Agent("a".parse().unwrap()))];
    for (kind, scope) in scopes {
        assert_eq!(scope.kind(), kind);
        assert_eq!(scope.to_string(), format!("{kind} `{}`", scope.key()));
    }
}
