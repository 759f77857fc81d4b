//! Action items.

use domain::action::ActionState;
use domain::{ActionEvent, Event, RunId, TaskId};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

use super::{actor, text, timestamp};

pub(super) fn event() -> BoxedStrategy<Event> {
    let texts = (option::of(text()), option::of(text()), option::of(text()));
    let state = select(ActionState::ALL.to_vec());
    (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<u32>(), state, texts, actor(), timestamp())
        .prop_map(|(run, task, number, state, (owner, due, note), by, at)| {
            let run = RunId::from_uuid(Uuid::from_bytes(run));
            let task = TaskId::from_uuid(Uuid::from_bytes(task));
            ActionEvent::Changed { run, task, number, state, owner, due, note, by, at }
        })
        .prop_map(Event::from)
        .boxed()
}
