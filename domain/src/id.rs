use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use crate::budget::{BudgetScope, Unit};
use crate::limit::LimitScope;
use crate::{Actor, Key, StepName, Timestamp};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID.
            #[must_use]
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// A workflow, by its key.
    WorkflowId,
    /// A run; made by the caller as UUID version 7, so that ids sort by time.
    RunId,
    /// A task; derived from its run and step, so that a step can never create two.
    TaskId,
    /// An agent, by its key.
    AgentId,
    /// A template, by its key.
    TemplateId,
    /// An event.
    EventId,
    /// A command; a repeated id gives the first answer.
    CommandId,
    /// One process's life; a restarted process is a new node.
    NodeId,
    /// A limit, by its key.
    LimitId,
    /// The slots of a limit, or of one partition of it.
    SlotsId,
    /// A hold: everything, or one workflow, is paused. Follows from what it covers.
    HoldId,
    /// What is spent of a budget, or by one run of it.
    PurseId,
    /// A trigger, by its key.
    TriggerId,
    /// An external event, by the name and id that its poster gives it.
    ExternalId,
    /// A webhook; follows from the command that subscribed.
    WebhookId,
    /// A delivery: of one event, to one webhook.
    DeliveryId,
    /// What was refused on one day.
    DenialsId,
    /// Somebody's saved searches.
    SearchesId,
    /// A person whom runs are about; random, so that it says nothing about who.
    SubjectId,
}

macro_rules! keyed {
    ($($name:ident => $kind:literal),*) => {$(
        impl $name {
            /// The id that belongs to `key`, the same on every machine: the first 16 bytes of BLAKE3 over the kind
            /// and the key, marked as UUID version 8. Two entries with one key are therefore one stream.
            #[must_use]
            pub fn from_key(key: &Key) -> Self {
                let mut hasher = blake3::Hasher::new_derive_key(concat!("hishamos 2026 id of ", $kind));
                hasher.update(key.as_str().as_bytes());
                let mut bytes = [0; 16];
                hasher.finalize_xof().fill(&mut bytes);
                Self(Builder::from_custom_bytes(bytes).into_uuid())
            }
        }
    )*};
}
keyed!(
    WorkflowId => "workflow",
    AgentId => "agent",
    TemplateId => "template",
    LimitId => "limit",
    TriggerId => "trigger"
);

/// An id that starts with the time bits of the run that it belongs to, so that both lie side by side in an index, and
/// goes on with BLAKE3 over the run and `parts`.
fn below_run(context: &'static str, run: RunId, parts: &[&[u8]]) -> Uuid {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher.update(run.as_uuid().as_bytes());
    parts.iter().for_each(|part| {
        hasher.update(part);
    });
    let mut bytes = [0; 16];
    let (time, rest) = bytes.split_at_mut(6);
    hasher.finalize_xof().fill(rest);
    for (to, from) in time.iter_mut().zip(run.as_uuid().as_bytes()) {
        *to = *from;
    }
    Builder::from_custom_bytes(bytes).into_uuid()
}

fn hashed(context: &'static str, parts: &[&[u8]]) -> Uuid {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part);
    }
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    Builder::from_custom_bytes(bytes).into_uuid()
}

impl TaskId {
    /// The task of `step` in `run`.
    #[must_use]
    pub fn of_step(run: RunId, step: &StepName) -> Self {
        Self(below_run("hishamos 2026 id of a step's task", run, &[step.as_str().as_bytes()]))
    }

    /// The task for element number `item` of `step` in `run`.
    #[must_use]
    pub fn of_item(run: RunId, step: &StepName, item: u32) -> Self {
        let parts = [&item.to_le_bytes()[..], step.as_str().as_bytes()];
        Self(below_run("hishamos 2026 id of an item's task", run, &parts))
    }

    /// The task that undoes `step` in `run`.
    #[must_use]
    pub fn of_compensation(run: RunId, step: &StepName) -> Self {
        Self(below_run("hishamos 2026 id of a compensation's task", run, &[step.as_str().as_bytes()]))
    }
}

impl RunId {
    /// The run that `step` of `parent` starts.
    #[must_use]
    pub fn of_step(parent: Self, step: &StepName) -> Self {
        Self(below_run("hishamos 2026 id of a step's run", parent, &[step.as_str().as_bytes()]))
    }

    /// The run that `trigger` starts for the firing that `cause` names: whoever fires it, and however often, it is one
    /// run.
    #[must_use]
    pub fn of_firing(trigger: TriggerId, cause: &str) -> Self {
        Self(hashed("hishamos 2026 id of a trigger's run", &[trigger.as_uuid().as_bytes(), cause.as_bytes()]))
    }

    /// The run in which a judge is asked about the answer of a task.
    #[must_use]
    pub fn of_judging(task: TaskId) -> Self {
        Self(hashed("hishamos 2026 id of a judge's run", &[task.as_uuid().as_bytes()]))
    }

    /// The run that belongs to a caller's idempotency key.
    #[must_use]
    pub fn of_idempotency_key(tenant: &str, key: &str) -> Self {
        Self(hashed("hishamos 2026 id of an idempotent run", &[tenant.as_bytes(), key.as_bytes()]))
    }
}

impl SlotsId {
    /// The slots of `limit` while it counts `scope`; of one `partition` of it, when the limit counts by key. A limit that
    /// begins to count something else gets slots of its own for that: runs that hold one of the old kind must not stand
    /// in the way of their own attempts.
    #[must_use]
    pub fn of(limit: LimitId, scope: &LimitScope, partition: Option<&str>) -> Self {
        let (kind, key) = (scope.kind().as_bytes(), scope.key().as_str().as_bytes());
        let partition = partition.map_or(&[][..], str::as_bytes);
        Self(hashed("hishamos 2026 id of slots", &[limit.as_uuid().as_bytes(), kind, key, partition]))
    }
}

impl PurseId {
    /// The purse of a budget while it counts `unit` of `scope`; that of one run, when it counts each run by itself. A
    /// budget that begins to count something else begins with an empty purse.
    #[must_use]
    pub fn of(budget: &Key, scope: &BudgetScope, unit: Unit, partition: Option<&str>) -> Self {
        let unit: &[u8] = match unit {
            Unit::Money => b"money",
            Unit::Tokens => b"tokens",
        };
        let of = scope.of().map_or(&[][..], str::as_bytes);
        let partition = partition.map_or(&[][..], str::as_bytes);
        let parts = [budget.as_str().as_bytes(), scope.kind().as_bytes(), of, unit, partition];
        Self(hashed("hishamos 2026 id of a purse", &parts))
    }
}

impl ExternalId {
    /// The event that is posted under a name and an id: however often it is posted, it is one event.
    #[must_use]
    pub fn of(tenant: &str, name: &Key, id: &str) -> Self {
        let parts = [tenant.as_bytes(), name.as_str().as_bytes(), id.as_bytes()];
        Self(hashed("hishamos 2026 id of an external event", &parts))
    }
}

impl WebhookId {
    /// The webhook that a command subscribes: a repeated command means the same one.
    #[must_use]
    pub fn of_command(command: CommandId) -> Self {
        Self(hashed("hishamos 2026 id of a webhook", &[command.as_uuid().as_bytes()]))
    }
}

impl DeliveryId {
    /// The delivery of an event to a webhook: whoever makes it, and however often, it is one.
    #[must_use]
    pub fn of(webhook: WebhookId, event: EventId) -> Self {
        Self(hashed("hishamos 2026 id of a delivery", &[webhook.as_uuid().as_bytes(), event.as_uuid().as_bytes()]))
    }

    /// The id of its message, the same for every attempt and every repetition.
    #[must_use]
    pub fn message(self) -> String {
        format!("msg_{}", self.as_uuid().simple())
    }
}

impl DenialsId {
    /// The day of a moment, in UTC.
    #[must_use]
    pub fn of_day(at: Timestamp) -> Self {
        let day = at.as_micros().div_euclid(86_400_000_000);
        Self(hashed("hishamos 2026 id of a day's denials", &[&day.to_le_bytes()]))
    }
}

impl SearchesId {
    /// What somebody has saved.
    #[must_use]
    pub fn of(tenant: &str, actor: &Actor) -> Self {
        let parts = [tenant.as_bytes(), actor.kind.name().as_bytes(), actor.id.as_bytes()];
        Self(hashed("hishamos 2026 id of saved searches", &parts))
    }
}

/// The name of an action item: the task that asks for it, and its number among what that task asks for, from 1. Its text
/// form is `task.number`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ActionId {
    /// The task.
    pub task: TaskId,
    /// The number.
    pub number: u32,
}

impl ActionId {
    /// What its stream is called by.
    #[must_use]
    pub fn stream_uuid(self) -> Uuid {
        let (task, number) = (self.task.as_uuid(), self.number.to_le_bytes());
        hashed("hishamos 2026 id of an action item", &[task.as_bytes(), &number])
    }
}

impl fmt::Display for ActionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.task, self.number)
    }
}

/// What is no name of an action item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no id of an action item; those are a task's id and a number, such as 0198c2f0-0000-7000-8000-000000000000.1"
)]
pub struct InvalidActionId(String);

impl FromStr for ActionId {
    type Err = InvalidActionId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (task, number) = text.split_once('.')?;
            let number = number.parse().ok().filter(|number| *number > 0)?;
            Some(Self { task: task.parse().ok()?, number })
        };
        read().ok_or_else(|| InvalidActionId(text.chars().take(80).collect()))
    }
}

impl HoldId {
    /// The hold on the runs of a workflow, or on all runs.
    #[must_use]
    pub fn of(workflow: Option<&Key>) -> Self {
        Self(hashed("hishamos 2026 id of a hold", &[workflow.map_or(&[][..], |key| key.as_str().as_bytes())]))
    }
}
