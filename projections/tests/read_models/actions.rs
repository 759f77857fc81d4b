//! Action items: what runs ask for, once they have ended, and what people make of it.

use std::collections::BTreeMap;

use domain::action::{ActionState, gather};
use domain::{ActionEvent, ActionId, Actor, Event, RunId, StreamId, TaskEvent, TaskId};
use journal::{Filter, Position};
use projections::{ActionFilter, ActionKey, ActionRow, Options, Queries, Window};
use uuid::Uuid;

use crate::world::World;

async fn all(queries: &Queries, key: ActionKey, filter: ActionFilter) -> Vec<ActionRow> {
    let page = queries.actions(key, &filter, &Window::first(10_000)).await.unwrap();
    page.rows.into_iter().map(|(_, row)| row).collect()
}

fn of(row: &ActionRow) -> ActionId {
    ActionId { task: TaskId::from_uuid(row.task_id), number: row.number.unsigned_abs() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_ask_for_is_tracked_from_their_ends_on_and_once() {
    let world = World::new().await;
    let mut history = world.history(31);
    let running = world.start(Options::default()).await;
    history.happen(700).await;
    running.wait_for(history.position).await;
    let before = all(running.queries(), ActionKey::Opened, ActionFilter::default()).await.len();
    history.finish().await;
    running.wait_for(history.position).await;
    let items = all(running.queries(), ActionKey::Opened, ActionFilter::default()).await;
    assert!(before > 0 && items.len() > before + 5, "{before} {}", items.len());

    // Against the journal, by other code.
    let (mut tasks, mut asked, mut ended) = (BTreeMap::new(), BTreeMap::<RunId, Vec<_>>::new(), BTreeMap::new());
    let page = world.journal.read_all(Position::START, &Filter::default(), usize::MAX).await.unwrap();
    for recorded in &page.events {
        let id = TaskId::from_uuid(recorded.stream.id);
        match recorded.event().unwrap() {
            Event::Task(TaskEvent::Created { run: Some(run), step: Some(step), .. }) => {
                tasks.insert(id, (*run, step.clone()));
            }
            Event::Task(TaskEvent::Completed { output: Some(output), .. }) => {
                let (run, step) = &tasks[&id];
                for (number, item) in (1..).zip(output.actions.iter().flatten()) {
                    let mut item = item.clone();
                    item.what = item.what.replace('\0', "\u{2400}");
                    asked.entry(*run).or_default().push((ActionId { task: id, number }, step.clone(), item));
                }
            }
            Event::Run(event) if event.is_terminal() => {
                ended.insert(RunId::from_uuid(recorded.stream.id), recorded.recorded_at.as_micros());
            }
            _ => {}
        }
    }
    let mut expected = BTreeMap::new();
    for (run, asked) in &asked {
        let Some(at) = ended.get(run) else { continue };
        for one in gather(asked.iter().map(|(id, step, item)| (*id, step.as_str(), item.clone()))) {
            expected.insert(one.id, (*run, one.steps, one.item.what, one.item.owner, one.item.due, *at));
        }
    }
    let told = items.iter().map(|row| {
        let run = RunId::from_uuid(row.run_id);
        assert_eq!((row.state.as_str(), row.changed_at, &row.changed_by), ("open", row.opened_at, &None));
        let what = (row.what.clone(), row.owner.clone(), row.due.clone());
        (of(row), (run, row.steps.clone(), what.0, what.1, what.2, row.opened_at))
    });
    assert_eq!(told.collect::<BTreeMap<_, _>>(), expected);
    assert!(expected.values().any(|(_, steps, ..)| steps.len() > 1), "nothing was asked for twice");
    world.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_make_of_an_item_is_found_by_it() {
    let world = World::new().await;
    let mut history = world.history(32);
    history.happen(500).await;
    history.finish().await;
    let running = world.start(Options::default()).await;
    running.wait_for(history.position).await;
    let queries = running.queries();
    let items = all(queries, ActionKey::Opened, ActionFilter::default()).await;
    assert!(items.windows(2).all(|pair| pair[0].opened_at >= pair[1].opened_at));
    let change = |row: &ActionRow, state, owner: Option<&str>, due: Option<&str>, at: i64| {
        let event = ActionEvent::Changed {
            run: RunId::from_uuid(row.run_id),
            task: TaskId::from_uuid(row.task_id),
            number: row.number.unsigned_abs(),
            state,
            owner: owner.map(str::to_owned),
            due: due.map(str::to_owned),
            note: Some("as agreed \0".to_owned()),
            by: Actor::person("ada"),
            at: domain::Timestamp::from_micros(at),
        };
        (StreamId::from(of(row)), vec![Event::from(event)])
    };
    let end = i64::MAX / 2;
    for (row, state, owner, due, at) in [
        (&items[0], ActionState::Done, Some("Sara"), Some("2026-01-01"), end),
        (&items[1], ActionState::InProgress, Some("SARA"), Some("2026-01-02"), end + 1),
        (&items[2], ActionState::Dismissed, None, None, end + 2),
        (&items[2], ActionState::Open, Some("Sara"), Some("2026-03-01"), end + 3),
    ] {
        let (stream, events) = change(row, state, owner, due, at);
        history.force(stream, events).await;
    }
    // An item that is none, such as one whose person was erased meanwhile.
    let (_, events) = change(&items[0], ActionState::Done, None, None, end);
    let Event::Action(ActionEvent::Changed { run, state, owner, due, note, by, at, number, .. }) = events[0].clone()
    else {
        panic!("{events:?}")
    };
    let task = TaskId::from_uuid(Uuid::from_u128(1));
    let nothing = ActionEvent::Changed { run, task, number, state, owner, due, note, by, at };
    history.force(StreamId::from(ActionId { task, number }), vec![nothing.into()]).await;
    running.wait_for(history.position).await;

    let ids = |rows: &[ActionRow]| rows.iter().map(of).collect::<Vec<_>>();
    let sara = ActionFilter { owner: Some("sara".to_owned()), ..ActionFilter::default() };
    let changed = all(queries, ActionKey::Changed, sara.clone()).await;
    assert_eq!(ids(&changed), [of(&items[2]), of(&items[1]), of(&items[0])]);
    assert_eq!(changed[0].note.as_deref(), Some("as agreed \u{2400}"));
    assert_eq!(changed[0].changed_by.as_deref(), Some("person:ada"));
    let due = all(queries, ActionKey::Due, sara.clone()).await;
    assert_eq!(ids(&due), [of(&items[0]), of(&items[1]), of(&items[2])]);
    let day = domain::action::day_of("2026-02-01");
    let overdue = all(queries, ActionKey::Due, ActionFilter { overdue_on: day, ..sara.clone() }).await;
    assert_eq!(ids(&overdue), [of(&items[1])], "what is done is not overdue");
    let states = vec!["in_progress".to_owned(), "open".to_owned()];
    let open = all(queries, ActionKey::Due, ActionFilter { states, ..sara.clone() }).await;
    assert_eq!(open.len(), 2);
    let text = ActionFilter { text: Some("AS AGREED".to_owned()), ..ActionFilter::default() };
    assert_eq!(all(queries, ActionKey::Opened, text).await.len(), 3);
    let urgent = all(queries, ActionKey::Priority, ActionFilter::default()).await;
    assert_eq!(urgent[0].priority.as_deref(), Some("high"));
    let of_run = ActionFilter { run_id: Some(items[0].run_id), ..ActionFilter::default() };
    let of_run = ids(&all(queries, ActionKey::Opened, of_run).await);
    let mut grouped = ids(&queries.actions_of_runs(&[items[0].run_id]).await.unwrap());
    grouped.sort_unstable();
    let mut sorted = of_run.clone();
    sorted.sort_unstable();
    assert_eq!(grouped, sorted);

    // Page by page, in both directions, each is there once.
    let (mut window, mut seen) = (Window::first(7), Vec::new());
    loop {
        let page = queries.actions(ActionKey::Due, &ActionFilter::default(), &window).await.unwrap();
        seen.extend(page.rows.iter().map(|(_, row)| of(row)));
        let Some((place, _)) = page.rows.last().cloned() else { break };
        window = Window::first(7).after(place);
    }
    let whole = ids(&all(queries, ActionKey::Due, ActionFilter::default()).await);
    assert_eq!(seen, whole);
    let last = queries.actions(ActionKey::Due, &ActionFilter::default(), &Window::last(3)).await.unwrap();
    assert_eq!(last.rows.iter().map(|(_, row)| of(row)).collect::<Vec<_>>(), whole[whole.len() - 3..]);
    world.assert_equal().await;
}
