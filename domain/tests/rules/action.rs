//! Action items.

use cqrs_es::test::TestFramework;
use domain::action::{ActionState, Asked, day_of, gather};
use domain::task::{ActionItem, Priority};
use domain::{
    Action, ActionCommand, ActionEvent, ActionId, ActionRefusal, Actor, Decide, Refusal, RunId, StreamId, TaskId,
    Timestamp,
};
use uuid::Uuid;

fn id(task: u128, number: u32) -> ActionId {
    ActionId { task: TaskId::from_uuid(Uuid::from_u128(task)), number }
}

fn item(what: &str, owner: Option<&str>, due: Option<&str>, priority: Option<Priority>) -> ActionItem {
    ActionItem { what: what.to_owned(), owner: owner.map(str::to_owned), due: due.map(str::to_owned), priority }
}

fn change(
    state: Option<ActionState>,
    owner: Option<Option<&str>>,
    due: Option<Option<&str>>,
    note: Option<Option<&str>>,
) -> ActionCommand {
    let own = |text: Option<Option<&str>>| text.map(|text| text.map(str::to_owned));
    let item = item("Ask finance", Some("Omar"), Some("soon"), None);
    let run = RunId::from_uuid(Uuid::from_u128(1));
    ActionCommand::Change {
        asked: Box::new(Asked { id: id(2, 3), run, item, subject: None }),
        state,
        owner: own(owner),
        due: own(due),
        note: own(note),
        by: Actor::person("ada"),
        now: Timestamp::from_micros(7),
    }
}

fn changed(state: ActionState, owner: Option<&str>, due: Option<&str>, note: Option<&str>) -> ActionEvent {
    ActionEvent::Changed {
        run: RunId::from_uuid(Uuid::from_u128(1)),
        task: id(2, 3).task,
        number: 3,
        state,
        owner: owner.map(str::to_owned),
        due: due.map(str::to_owned),
        note: note.map(str::to_owned),
        by: Actor::person("ada"),
        at: Timestamp::from_micros(7),
    }
}

#[test]
fn a_change_keeps_what_it_does_not_name() {
    let given = |events: Vec<ActionEvent>| TestFramework::<Action>::with(()).given(events);
    let taken = changed(ActionState::InProgress, Some("Omar"), Some("soon"), None);
    given(vec![]).when(change(Some(ActionState::InProgress), None, None, None)).then_expect_events(vec![taken.clone()]);
    // What was asked for is what it begins with, so saying that again changes nothing.
    given(vec![]).when(change(Some(ActionState::Open), Some(Some("Omar")), None, None)).then_expect_events(vec![]);
    given(vec![taken.clone()])
        .when(change(None, Some(None), Some(Some("2026-12-31")), Some(Some("Two\nlines"))))
        .then_expect_events(vec![changed(ActionState::InProgress, None, Some("2026-12-31"), Some("Two\nlines"))]);
    given(vec![taken.clone(), changed(ActionState::Done, None, None, Some("Paid"))])
        .when(change(Some(ActionState::Open), None, None, Some(None)))
        .then_expect_events(vec![changed(ActionState::Open, None, None, None)]);
    given(vec![taken]).when(change(Some(ActionState::InProgress), None, None, None)).then_expect_events(vec![]);
}

#[test]
fn what_cannot_be_is_refused() {
    let long = "x".repeat(4001);
    for wrong in [
        change(None, Some(Some(" ")), None, None),
        change(None, Some(Some("two\nlines")), None, None),
        change(None, Some(Some(&long[..201])), None, None),
        change(None, None, Some(Some("tomorrow")), None),
        change(None, None, Some(Some("2026-02-30")), None),
        change(None, None, Some(Some("2026-12-31T00:00:00")), None),
        change(None, None, None, Some(Some(&long))),
        change(None, None, None, Some(Some("a\0b"))),
    ] {
        let refusal: ActionRefusal = Action::default().decide(wrong.clone()).unwrap_err();
        assert_eq!(refusal.code(), "ACTION_INVALID", "{wrong:?}");
    }
}

#[test]
fn an_item_is_named_by_its_task_and_number() {
    let text = id(2, 3).to_string();
    assert_eq!(text, "00000000-0000-0000-0000-000000000002.3");
    assert_eq!(text.parse(), Ok(id(2, 3)));
    for wrong in ["", "1", "00000000-0000-0000-0000-000000000002", "00000000-0000-0000-0000-000000000002.0", "x.1"] {
        assert!(wrong.parse::<ActionId>().is_err(), "{wrong}");
    }
    assert_ne!(StreamId::from(id(2, 3)), StreamId::from(id(2, 4)));
    assert_ne!(StreamId::from(id(2, 3)), StreamId::from(id(3, 3)));
}

#[test]
fn what_several_tasks_ask_for_is_one_item_named_by_the_first() {
    let asked = [
        (id(1, 1), "one", item("Ask finance", None, Some("2026-12-31"), Some(Priority::Low))),
        (id(1, 2), "one", item("File it", Some("Huda"), None, None)),
        (id(2, 1), "two", item("ask Finance.", Some("Omar"), None, Some(Priority::High))),
        (id(2, 2), "two", item("File it", Some("Sara"), None, None)),
        (id(2, 3), "two", item("FILE IT!", None, None, None)),
    ];
    let gathered = gather(asked);
    let told: Vec<_> = gathered.iter().map(|one| (one.id, one.steps.join(" "), one.item.clone())).collect();
    assert_eq!(
        told,
        [
            (
                id(1, 1),
                "one two".to_owned(),
                item("Ask finance", Some("Omar"), Some("2026-12-31"), Some(Priority::High))
            ),
            (id(1, 2), "one two".to_owned(), item("File it", Some("Huda"), None, None)),
            (id(2, 2), "two".to_owned(), item("File it", Some("Sara"), None, None)),
        ]
    );
}

#[test]
fn only_a_date_has_a_day() {
    assert_eq!(day_of("1970-01-01"), Some(0));
    assert_eq!(day_of("2026-12-31"), Some(20_818));
    for none in ["soon", "", "2026-13-01", "2026-12-31T10:00:00Z", "next 2026-12-31"] {
        assert_eq!(day_of(none), None, "{none}");
    }
}
