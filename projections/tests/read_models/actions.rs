//! Action items: what runs ask for, once they have ended, and what people make of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::action::{ActionState, gather};
use domain::{ActionEvent, ActionId, Actor, Event, RunId, StreamId, TaskEvent, TaskId};
use journal::{Filter, Position};
use projections::{ActionFilter, ActionKey, ActionRow, Error, Options, Past, Queries, Window};
use uuid::Uuid;

use crate::world::World;

async fn all(queries: &Queries, key: ActionKey, filter: ActionFilter) -> Vec<ActionRow> {
    let page = queries.actions(key, &filter, &Window::first(10_000)).await.unwrap();
    page.rows.into_iter().map(|(_, row)| row).collect()
}

/// Everything that can be asked about action items, of the present or of the past.
macro_rules! everything {
    ($source:expr, $items:expr) => {{
        let (source, items) = ($source, $items);
        let all = ActionFilter::default;
        let filters = [
            all(),
            ActionFilter { owner: Some("sara".to_owned()), ..all() },
            ActionFilter { states: vec!["done".to_owned(), "in_progress".to_owned()], ..all() },
            ActionFilter { overdue_on: domain::action::day_of("2026-02-01"), ..all() },
            ActionFilter { text: Some("AS AGREED".to_owned()), ..all() },
            ActionFilter { run_id: items.first().map(|row: &ActionRow| row.run_id), ..all() },
        ];
        let mut said = Vec::new();
        for key in [ActionKey::Opened, ActionKey::Changed, ActionKey::Due, ActionKey::Priority] {
            for filter in &filters {
                let first = source.actions(key, filter, &Window::first(4)).await.unwrap();
                if let Some((place, _)) = first.rows.last().cloned() {
                    let next = Window::first(4).after(place.clone());
                    said.push(format!("{key:?} {:#?}", source.actions(key, filter, &next).await.unwrap()));
                    let before = Window::last(2).before(place);
                    said.push(format!("{key:?} {:#?}", source.actions(key, filter, &before).await.unwrap()));
                }
                said.push(format!("{key:?} {first:#?}"));
            }
        }
        let ids: Vec<_> = items.iter().map(|row| (row.task_id, row.number)).collect();
        let mut rows = source.actions_by_ids(&ids).await.unwrap();
        rows.sort_by_key(|row| (row.task_id, row.number));
        said.push(format!("{rows:#?}"));
        let runs: Vec<Uuid> = items.iter().map(|row| row.run_id).collect();
        said.push(format!("{:#?}", source.actions_of_runs(&runs).await.unwrap()));
        said
    }};
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
    let mut witnesses = vec![(history.position, everything!(queries, &items))];
    for (row, state, owner, due, at) in [
        (&items[0], ActionState::Done, Some("Sara"), Some("2026-01-01"), end),
        (&items[1], ActionState::InProgress, Some("SARA"), Some("2026-01-02"), end + 1),
        (&items[2], ActionState::Dismissed, None, None, end + 2),
        (&items[2], ActionState::Open, Some("Sara"), Some("2026-03-01"), end + 3),
    ] {
        let (stream, events) = change(row, state, owner, due, at);
        history.force(stream, events).await;
        running.wait_for(history.position).await;
        witnesses.push((history.position, everything!(queries, &items)));
    }
    for (position, said) in witnesses {
        let past = Past::new(Arc::clone(&world.journal), queries.clone(), position);
        let told = everything!(&past, &items);
        assert_eq!(told.len(), said.len(), "as of {position}");
        for (told, said) in told.iter().zip(&said) {
            assert!(told == said, "as of {position} it is told\n{told}\nbut it was said\n{said}");
        }
    }
    // Found by their words, as they are now.
    let find = async |words: &str| queries.search(words, &["action_item".to_owned()], 50).await.unwrap();
    let agreed = find("agreed").await;
    assert_eq!(agreed.len(), 3);
    assert!(agreed.iter().all(|row| row.kind == "action_item" && row.excerpt.contains("«agreed»")), "{agreed:?}");
    let wanted = &items[2];
    let hit = agreed.iter().find(|row| (row.id, row.number) == (wanted.task_id, Some(wanted.number))).unwrap();
    assert_eq!((&hit.label, hit.run_id, hit.step.as_ref()), (&wanted.what, Some(wanted.run_id), wanted.steps.first()));
    assert_eq!(find("Sara").await.len(), 3);
    assert!(queries.search("agreed", &["task_output".to_owned()], 50).await.unwrap().is_empty());
    assert_eq!(queries.search("agreed", &[], 2).await.unwrap().len(), 2);

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

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_of_items_that_came_later_and_too_many_are_refused() {
    let world = World::new().await;
    let mut history = world.history(33);
    let running = world.start(Options::default()).await;
    let before = history.position;
    history.happen(500).await;
    history.finish().await;
    running.wait_for(history.position).await;
    let queries = running.queries();
    let items = all(queries, ActionKey::Opened, ActionFilter::default()).await;
    let past = |position| Past::new(Arc::clone(&world.journal), queries.clone(), position);
    let early = past(before);
    for key in [ActionKey::Opened, ActionKey::Due] {
        assert!(early.actions(key, &ActionFilter::default(), &Window::first(9)).await.unwrap().rows.is_empty());
    }
    assert!(early.actions_by_ids(&[(items[0].task_id, items[0].number)]).await.unwrap().is_empty());
    assert!(early.actions_of_runs(&[items[0].run_id]).await.unwrap().is_empty());
    assert_eq!(early.moment().await.unwrap(), None);
    let end = past(history.position);
    let last = world.journal.read_all(Position::START, &Filter::default(), usize::MAX).await.unwrap();
    let last = last.events.last().unwrap().recorded_at.as_micros();
    assert_eq!(end.moment().await.unwrap(), Some(last));
    assert_eq!(past(history.position).as_of(last + 5).moment().await.unwrap(), Some(last + 5));

    // As many items as would have to be looked at; what they are does not matter.
    let copies = format!(
        "INSERT INTO read_actions.action_items (task_id, number, run_id, workflow_key, steps, what, urgency, state,
            opened_at, changed_at, position, opened_position, words)
         SELECT gen_random_uuid(), 1, run_id, workflow_key, steps, what, urgency, state, opened_at, changed_at, position,
            opened_position, words FROM read_actions.action_items, generate_series(1, {0}) LIMIT {0}",
        Past::MAX_ENTRIES + 1000,
    );
    sqlx::query(sqlx::AssertSqlSafe(copies)).execute(world.database.pool()).await.unwrap();
    let none = ActionFilter { states: vec!["dismissed".to_owned()], ..ActionFilter::default() };
    for key in [ActionKey::Opened, ActionKey::Due] {
        let error = end.actions(key, &none, &Window::first(10)).await.unwrap_err();
        assert!(matches!(error, Error::TooMuchPast { .. }), "{error:?}");
    }
}
