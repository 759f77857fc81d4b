//! Budgets, and what is spent of them.

use std::collections::BTreeMap;

use domain::budget::{BudgetScope, BudgetSettings, Unit, Window};
use domain::purse::{Exhausted, Payer, Terms};
use domain::{
    BudgetCommand, BudgetEvent, BudgetRefusal, Budgets, Purse, PurseCommand, PurseEvent, PurseId, PurseRefusal,
    Refusal, TaskId, Timestamp,
};
use proptest::prelude::*;

use super::drive::Driven;
use super::fixtures::uuid;

fn settings(key: &str) -> BudgetSettings {
    BudgetSettings {
        key: key.parse().unwrap(),
        description: String::new(),
        scope: BudgetScope::Organisation,
        unit: Unit::Money,
        limit: 100,
        window: Window::Day,
        warn_milli: Some(800),
        unpriced: None,
    }
}

fn terms(limit: u64) -> Terms {
    Terms { limit, ..Terms::of(&settings("all"), None) }
}

fn payer(task: u128, attempt: u32) -> Payer {
    Payer { task: TaskId::from_uuid(uuid(task)), attempt }
}

fn at(text: &str) -> Timestamp {
    Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

fn now() -> Timestamp {
    at("2026-11-25T13:00:00Z")
}

fn reserve(task: u128, amount: u64, now: Timestamp) -> PurseCommand {
    PurseCommand::Reserve { payer: payer(task, 1), amount, terms: terms(100), now }
}

fn settle(task: u128, amount: Option<u64>) -> PurseCommand {
    PurseCommand::Settle { payer: payer(task, 1), amount }
}

#[test]
fn budgets_are_set_changed_and_removed() {
    let mut book = Driven::<Budgets>::new();
    let set = |settings: BudgetSettings| BudgetCommand::Set { settings: Box::new(settings) };
    assert_eq!(book.ask(set(settings("all"))).unwrap().len(), 1);
    assert_eq!(book.ask(set(settings("all"))).unwrap(), vec![]);
    let more = BudgetSettings { limit: 200, ..settings("all") };
    let changed = BudgetEvent::Set { settings: Box::new(more.clone()) };
    assert_eq!(book.ask(set(more)).unwrap(), vec![changed]);
    assert_eq!(book.state.get(&"all".parse().unwrap()).unwrap().warn_at(), Some(160));
    let remove = || BudgetCommand::Remove { key: "all".parse().unwrap(), reason: "done".into() };
    assert_eq!(book.ask(remove()).unwrap().len(), 1);
    assert!(book.state.is_empty());
    assert_eq!(book.ask(remove()).unwrap_err().code(), "BUDGET_NOT_FOUND");
}

#[test]
fn wrong_budgets_are_refused() {
    let wrong = [
        BudgetSettings { limit: 0, ..settings("x") },
        BudgetSettings { limit: u64::MAX, ..settings("x") },
        BudgetSettings { warn_milli: Some(0), ..settings("x") },
        BudgetSettings { warn_milli: Some(1001), ..settings("x") },
        BudgetSettings { unpriced: Some(101), ..settings("x") },
        BudgetSettings { unit: Unit::Tokens, unpriced: Some(1), ..settings("x") },
        BudgetSettings { scope: BudgetScope::Department(" ".into()), ..settings("x") },
        BudgetSettings { scope: BudgetScope::Person("x".repeat(201)), ..settings("x") },
        BudgetSettings { description: "x".repeat(201), ..settings("x") },
    ];
    for settings in wrong {
        let mut book = Driven::<Budgets>::new();
        let refusal = book.ask(BudgetCommand::Set { settings: Box::new(settings.clone()) }).unwrap_err();
        assert!(matches!(refusal, BudgetRefusal::Invalid(_)), "{settings:?}");
        assert_eq!(refusal.code(), "BUDGET_INVALID");
    }
}

#[test]
fn what_is_set_aside_is_spent_or_comes_back() {
    let mut purse = Driven::<Purse>::new();
    purse.ask(reserve(1, 60, now())).unwrap();
    assert_eq!(purse.ask(reserve(1, 60, now())).unwrap(), vec![], "an attempt is set aside for once");
    let refusal = purse.ask(reserve(2, 41, now())).unwrap_err();
    assert_eq!(refusal.code(), "BUDGET_EXHAUSTED");
    let PurseRefusal::Exhausted(exhausted) = &refusal;
    let Exhausted { limit, spent, reserved, asked, resets_at, .. } = **exhausted;
    assert_eq!((limit, spent, reserved, asked), (100, 0, 60, 41));
    assert_eq!(resets_at, Some(at("2026-11-26T00:00:00Z")));
    assert_eq!(
        refusal.to_string(),
        "budget `all` is used up: of $0.0000001, $0.00 are spent and $0.00000006 set aside for calls under way; the call \
         may use $0.000000041; it begins anew at 2026-11-26T00:00:00Z"
    );
    purse.ask(settle(1, Some(10))).unwrap();
    assert_eq!(purse.ask(settle(1, Some(10))).unwrap(), vec![], "and is settled once");
    assert_eq!((purse.state.spent(Window::Day, now()), purse.state.reserved()), (10, 0));
    purse.ask(reserve(2, 70, now())).unwrap();
    let events = purse.ask(settle(2, None)).unwrap();
    assert_eq!(events, vec![PurseEvent::Settled { payer: payer(2, 1), amount: 70, known: false }]);
    assert_eq!(purse.state.spent(Window::Day, now()), 80, "what nobody knows counts as all of it");
}

#[test]
fn it_warns_once_in_a_window_and_begins_anew_in_the_next() {
    let mut purse = Driven::<Purse>::new();
    assert_eq!(purse.ask(reserve(1, 79, now())).unwrap().len(), 1);
    assert_eq!(purse.ask(reserve(2, 1, now())).unwrap()[1], PurseEvent::Warned { used: 80, limit: 100 });
    assert_eq!(purse.ask(reserve(3, 1, now())).unwrap().len(), 1);
    purse.ask(settle(1, Some(79))).unwrap();
    let tomorrow = at("2026-11-26T00:00:00Z");
    assert_eq!(purse.state.spent(Window::Day, tomorrow), 0);
    // What is still under way keeps its place, and is no part of the new window once it has ended.
    assert_eq!(purse.ask(reserve(4, 99, tomorrow)).unwrap_err().code(), "BUDGET_EXHAUSTED");
    assert_eq!(purse.ask(reserve(4, 98, tomorrow)).unwrap().len(), 2, "it warns again");
    purse.ask(settle(2, Some(1))).unwrap();
    assert_eq!((purse.state.spent(Window::Day, tomorrow), purse.state.reserved()), (0, 99));
    // A node whose clock is late does not go back to the day before.
    let events = purse.ask(reserve(5, 1, now())).unwrap();
    assert!(matches!(events[0], PurseEvent::Reserved { window, .. } if window == tomorrow), "{events:?}");
}

#[test]
fn windows_begin_at_round_moments() {
    let bounds = |window: Window| {
        (window.start(at("2026-02-28T23:59:59.999999Z")), window.end(at("2026-02-28T23:59:59.999999Z")))
    };
    let cases = [
        (Window::Hour, "2026-02-28T23:00:00Z", "2026-03-01T00:00:00Z"),
        (Window::Day, "2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z"),
        (Window::Week, "2026-02-23T00:00:00Z", "2026-03-02T00:00:00Z"),
        (Window::Month, "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
    ];
    for (window, start, end) in cases {
        assert_eq!(bounds(window), (at(start), Some(at(end))), "{window:?}");
        assert_eq!(window.start(at(end)), at(end));
    }
    assert_eq!(bounds(Window::Ever), (Timestamp::from_micros(0), None));
    for window in Window::ALL {
        assert_eq!(window.end(Timestamp::from_micros(i64::MAX)), None, "outside the calendar");
    }
}

#[test]
fn amounts_are_shown_exactly() {
    for (amount, text) in [(0, "$0.00"), (1, "$0.000000001"), (1_500_000_000, "$1.50"), (12_345_678_900, "$12.3456789")]
    {
        assert_eq!(Unit::Money.show(amount), text);
    }
    assert_eq!(Unit::Tokens.show(12), "12 tokens");
}

#[test]
fn each_scope_has_a_purse_of_its_own() {
    let id = |scope: &BudgetScope, unit, partition| PurseId::of(&"b".parse().unwrap(), scope, unit, partition);
    let workflow = BudgetScope::Workflow("w".parse().unwrap());
    let each = BudgetScope::EachRun("w".parse().unwrap());
    let ids = [
        id(&BudgetScope::Organisation, Unit::Money, None),
        id(&BudgetScope::Organisation, Unit::Tokens, None),
        id(&workflow, Unit::Money, None),
        id(&each, Unit::Money, None),
        id(&each, Unit::Money, Some("1")),
        id(&each, Unit::Money, Some("2")),
    ];
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever is asked in whatever order, what is set aside and what is spent never together exceed the limit, and the
    /// purse adds up to what was settled.
    #[test]
    fn the_limit_holds_and_the_purse_adds_up(
        limit in 1_u64..200,
        calls in prop::collection::vec((0_u128..12, 0_u64..80, prop::option::of(0_u64..80), any::<bool>()), 0..80),
    ) {
        let mut purse = Driven::<Purse>::new();
        let (mut open, mut spent): (BTreeMap<u128, u64>, u64) = (BTreeMap::new(), 0);
        for (task, amount, used, ends) in calls {
            if ends {
                // No call uses more than was set aside for it.
                let held = open.get(&task).copied();
                let used = used.zip(held).map(|(used, held)| used.min(held));
                let events = purse.ask(settle(task, used)).unwrap();
                prop_assert_eq!(events.len(), usize::from(held.is_some()));
                if let Some(held) = open.remove(&task) {
                    spent += used.unwrap_or(held);
                }
            } else if !open.contains_key(&task) {
                let reserve = PurseCommand::Reserve { payer: payer(task, 1), amount, terms: terms(limit), now: now() };
                let fits = spent + open.values().sum::<u64>() + amount <= limit;
                prop_assert_eq!(purse.ask(reserve).is_ok(), fits, "as much is let through as there is, and no more");
                if fits {
                    open.insert(task, amount);
                }
            }
            prop_assert_eq!(purse.state.spent(Window::Day, now()), spent);
            prop_assert_eq!(purse.state.reserved(), open.values().sum::<u64>());
            prop_assert_eq!(purse.state.calls(), open.len());
            prop_assert!(purse.state.spent(Window::Day, now()) + purse.state.reserved() <= limit);
        }
        prop_assert_eq!(&purse.state, &purse.folded(usize::MAX));
        let kept = serde_json::to_vec(&purse.state).unwrap();
        prop_assert_eq!(&serde_json::from_slice::<Purse>(&kept).unwrap(), &purse.state);
    }
}
