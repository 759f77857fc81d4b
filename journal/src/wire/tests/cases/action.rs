//! Action items.

use domain::action::ActionState;
use domain::{ActionEvent, Actor, Event, RunId, TaskId};

use super::{id, moment, reason};

fn changed(state: ActionState, text: Option<String>) -> Event {
    ActionEvent::Changed {
        run: RunId::from_uuid(id(1)),
        task: TaskId::from_uuid(id(2)),
        number: 3,
        state,
        owner: text.clone(),
        due: text.as_ref().map(|_| "2026-12-31".to_owned()),
        note: text,
        by: Actor::person("ada"),
        at: moment(4),
    }
    .into()
}

/// As much as each event can hold.
pub(super) fn full() -> Vec<Event> {
    vec![changed(ActionState::InProgress, Some(reason()))]
}

/// As little as each event can hold.
pub(super) fn bare() -> Vec<Event> {
    vec![changed(ActionState::Open, None)]
}

/// Every state.
pub(super) fn variants() -> Vec<(String, Event)> {
    let states = [ActionState::Done, ActionState::Dismissed];
    states.map(|state| (state.name().to_owned(), changed(state, None))).into()
}
