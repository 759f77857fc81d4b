//! Frozen events of action items.

use domain::action::ActionState;
use domain::{ActionEvent, Event, RunId, TaskId};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::values::{ActorV1, moment};
use super::{Encoded, Thaw, write};

/// How far an action item is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
enum ActionStateV1 {
    Open,
    InProgress,
    Done,
    Dismissed,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ChangedV1<'a> {
    run: [u8; 16],
    task: [u8; 16],
    number: u32,
    state: ActionStateV1,
    #[serde(borrow)]
    owner: Option<&'a str>,
    #[serde(borrow)]
    due: Option<&'a str>,
    #[serde(borrow)]
    note: Option<&'a str>,
    #[serde(borrow)]
    by: ActorV1<'a>,
    at_micros: i64,
}

pub(super) fn freeze(event: &ActionEvent) -> Result<Encoded, String> {
    match event {
        ActionEvent::Changed { run, task, number, state, owner, due, note, by, at } => write(&ChangedV1 {
            run: run.as_uuid().into_bytes(),
            task: task.as_uuid().into_bytes(),
            number: *number,
            state: match state {
                ActionState::Open => ActionStateV1::Open,
                ActionState::InProgress => ActionStateV1::InProgress,
                ActionState::Done => ActionStateV1::Done,
                ActionState::Dismissed => ActionStateV1::Dismissed,
            },
            owner: owner.as_deref(),
            due: due.as_deref(),
            note: note.as_deref(),
            by: ActorV1::freeze(by),
            at_micros: at.as_micros(),
        }),
    }
}

impl Thaw for ChangedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Ok(ActionEvent::Changed {
            run: RunId::from_uuid(Uuid::from_bytes(self.run)),
            task: TaskId::from_uuid(Uuid::from_bytes(self.task)),
            number: self.number,
            state: match self.state {
                ActionStateV1::Open => ActionState::Open,
                ActionStateV1::InProgress => ActionState::InProgress,
                ActionStateV1::Done => ActionState::Done,
                ActionStateV1::Dismissed => ActionState::Dismissed,
            },
            owner: own(self.owner),
            due: own(self.due),
            note: own(self.note),
            by: self.by.thaw(),
            at: moment(self.at_micros),
        }
        .into())
    }
}
