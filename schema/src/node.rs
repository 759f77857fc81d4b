//! What has a global id, and how these ids are made.
//!
//! A global id is the name of a kind, `-`, and what tells one of that kind from the others. Clients take them as they
//! are; they stay the same for good, also when the journal moves to another store. Whatever has a stream of its own is
//! named like the stream.

use std::fmt;
use std::str::FromStr;

use async_graphql::{ID, Interface};
use domain::{ActionId, Category, StreamId};
use uuid::Uuid;

use crate::action::TrackedAction;
use crate::agent::Agent;
use crate::approval::Approval;
use crate::budget::Budget;
use crate::event::Event;
use crate::flow::{Hold, Limit};
use crate::platform::Platform;
use crate::projector::Projector;
use crate::query::SavedSearch;
use crate::run::Run;
use crate::step::Step;
use crate::task::{Attempt, Task};
use crate::template::Template;
use crate::trigger::Trigger;
use crate::webhook::{Webhook, WebhookDelivery};
use crate::workflow::Workflow;

/// Anything that `node` finds by its global id.
#[derive(Debug, Clone, Interface)]
#[graphql(field(name = "id", ty = "&ID", desc = "The global id, for `node`."))]
pub(crate) enum Node {
    /// One execution of one version of a workflow.
    Run(Run),
    /// One step of a run.
    Step(Step),
    /// What people are asked in a step.
    Approval(Approval),
    /// One unit of AI work.
    Task(Task),
    /// One call to a platform for a task.
    Attempt(Attempt),
    /// Something that somebody has to do.
    Action(TrackedAction),
    /// A versioned definition.
    Workflow(Workflow),
    /// A specialised worker.
    Agent(Agent),
    /// An entry of the command library.
    Template(Template),
    /// What starts runs when something happens.
    Trigger(Trigger),
    /// How many runs or attempts there may be.
    Limit(Limit),
    /// A time during which runs were paused.
    Hold(Hold),
    /// How much may be spent.
    Budget(Budget),
    /// Somebody's address that is told when something happens.
    Webhook(Webhook),
    /// What a webhook was told.
    Delivery(WebhookDelivery),
    /// What somebody looks for again and again.
    Search(SavedSearch),
    /// An AI platform.
    Platform(Platform),
    /// Whoever keeps a read model.
    Projector(Projector),
    /// An event as it is in the journal.
    Event(Event),
}

/// What a global id names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GlobalId {
    /// What has a stream of its own.
    Stream(StreamId),
    /// A step of a run: the run and the step's name.
    Step(Uuid, String),
    /// An approval: the run, and the name of the step that asks.
    Approval(Uuid, String),
    /// An attempt: the task, and its number there.
    Attempt(Uuid, i32),
    /// An action item.
    Action(ActionId),
    /// A time of a hold: the hold, and its number there.
    Hold(Uuid, i64),
    /// A budget: its key.
    Budget(String),
    /// A saved search: the id of its owner's searches, and its name.
    Search(Uuid, String),
    /// A platform: its key.
    Platform(String),
    /// A projector: its name and its slot.
    Projector(String, String),
    /// An event: its stream, and its revision there.
    Event(StreamId, u64),
}

impl fmt::Display for GlobalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(stream) => stream.fmt(f),
            Self::Step(run, name) => write!(f, "step-{run}.{name}"),
            Self::Approval(run, step) => write!(f, "approval-{run}.{step}"),
            Self::Attempt(task, number) => write!(f, "attempt-{task}.{number}"),
            Self::Action(id) => write!(f, "action-{id}"),
            Self::Hold(hold, number) => write!(f, "hold-{hold}.{number}"),
            Self::Budget(key) => write!(f, "budget-{key}"),
            Self::Search(owner, name) => write!(f, "search-{owner}.{name}"),
            Self::Platform(key) => write!(f, "platform-{key}"),
            Self::Projector(name, slot) => write!(f, "projector-{slot}.{name}"),
            Self::Event(stream, revision) => write!(f, "event-{stream}.{revision}"),
        }
    }
}

/// What is no global id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoGlobalId;

impl FromStr for GlobalId {
    type Err = NoGlobalId;

    fn from_str(text: &str) -> Result<Self, NoGlobalId> {
        let read = || {
            let (kind, rest) = text.split_once('-')?;
            let of = |rest: &'_ str| {
                let (of, which) = rest.split_once('.')?;
                Some((of.parse::<Uuid>().ok()?, which.to_owned())).filter(|(_, which)| !which.is_empty())
            };
            let key = |rest: &str| Some(rest.to_owned()).filter(|key| !key.is_empty());
            Some(match kind {
                "step" => of(rest).map(|(run, name)| Self::Step(run, name))?,
                "approval" => of(rest).map(|(run, step)| Self::Approval(run, step))?,
                "attempt" => of(rest).and_then(|(task, number)| Some(Self::Attempt(task, number.parse().ok()?)))?,
                "action" => Self::Action(rest.parse().ok()?),
                "hold" => of(rest).and_then(|(hold, number)| Some(Self::Hold(hold, number.parse().ok()?)))?,
                "budget" => Self::Budget(key(rest)?),
                "search" => of(rest).map(|(owner, name)| Self::Search(owner, name))?,
                "platform" => Self::Platform(key(rest)?),
                "projector" => {
                    let (slot, name) = rest.split_once('.')?;
                    Self::Projector(key(name)?, key(slot)?)
                }
                "event" => {
                    let (stream, revision) = rest.split_once('.')?;
                    Self::Event(stream_named(stream)?, revision.parse().ok()?)
                }
                _ => Self::Stream(stream_named(text)?),
            })
        };
        // Another spelling of the same id would be another id to whoever keeps what it names by its id.
        read().filter(|id| id.to_string() == text).ok_or(NoGlobalId)
    }
}

/// The stream of this name.
pub(crate) fn stream_named(name: &str) -> Option<StreamId> {
    let (category, id) = name.split_once('-')?;
    Some(StreamId { category: category.parse().ok()?, id: id.parse().ok()? })
}

/// The global id of what has a stream of its own.
pub(crate) fn global_id(category: Category, id: Uuid) -> ID {
    GlobalId::Stream(StreamId { category, id }).into()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use domain::TaskId;

    use super::*;

    #[test]
    fn ids_come_back_as_they_went() {
        let id = Uuid::from_u128(7);
        let stream = StreamId { category: Category::Run, id };
        let ids = [
            GlobalId::Stream(stream),
            GlobalId::Stream(StreamId { category: Category::Delivery, id }),
            GlobalId::Step(id, "a.step-of_many".to_owned()),
            GlobalId::Approval(id, "release".to_owned()),
            GlobalId::Attempt(id, 12),
            GlobalId::Action(ActionId { task: TaskId::from_uuid(id), number: 3 }),
            GlobalId::Hold(id, 4),
            GlobalId::Budget(id.to_string()),
            GlobalId::Search(id, "what. is-late \u{0639}".to_owned()),
            GlobalId::Platform("open-ai.eu".to_owned()),
            GlobalId::Projector("runs".to_owned(), "live".to_owned()),
            GlobalId::Event(stream, 9),
        ];
        let texts: std::collections::HashSet<String> = ids.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), ids.len());
        for id in ids {
            assert_eq!(id.to_string().parse::<GlobalId>().unwrap(), id, "{id}");
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let id = Uuid::from_u128(7);
        let upper = format!("run-{:X}", id.as_simple());
        let odd = [format!("attempt-{id}.+1"), format!("attempt-{id}"), format!("step-{id}."), format!("hold-{id}")];
        let short = ["", "run", "run-", "run-7", "walk-7", "budget-", "projector-live", "event-run-7.1"];
        for wrong in short.into_iter().map(str::to_owned).chain(odd).chain([upper]) {
            assert!(wrong.parse::<GlobalId>().is_err(), "{wrong}");
        }
    }
}
