use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    ActionEvent, ActionId, AgentEvent, AgentId, BudgetEvent, DeliveryEvent, DeliveryId, DenialEvent, DenialsId,
    ExternalEvent, ExternalId, HoldEvent, HoldId, LimitEvent, LimitId, PurseEvent, PurseId, RunEvent, RunId, SealEvent,
    SearchEvent, SearchesId, SlotsEvent, SlotsId, SubjectEvent, SubjectId, TaskEvent, TaskId, TemplateEvent,
    TemplateId, TriggerEvent, TriggerId, WebhookEvent, WebhookId, WorkflowEvent, WorkflowId,
};

/// Everything that can happen, whichever aggregate it happened to.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// To a workflow definition.
    Workflow(WorkflowEvent),
    /// To a run.
    Run(RunEvent),
    /// To a task.
    Task(TaskEvent),
    /// To an agent.
    Agent(AgentEvent),
    /// To a template.
    Template(TemplateEvent),
    /// To a limit.
    Limit(LimitEvent),
    /// To the slots of a limit.
    Slots(SlotsEvent),
    /// To a hold.
    Hold(HoldEvent),
    /// To a trigger.
    Trigger(TriggerEvent),
    /// Outside.
    External(ExternalEvent),
    /// To the budgets.
    Budget(BudgetEvent),
    /// To what is spent of a budget.
    Purse(PurseEvent),
    /// To the seals.
    Seal(SealEvent),
    /// To a webhook.
    Webhook(WebhookEvent),
    /// To a delivery.
    Delivery(DeliveryEvent),
    /// To what was refused.
    Denial(DenialEvent),
    /// To somebody's saved searches.
    Search(SearchEvent),
    /// To a subject.
    Subject(SubjectEvent),
    /// To an action item.
    Action(ActionEvent),
}

impl Event {
    /// The stable name, such as `task.attempt_started`; it never changes once released.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Workflow(event) => event.name(),
            Self::Run(event) => event.name(),
            Self::Task(event) => event.name(),
            Self::Agent(event) => event.name(),
            Self::Template(event) => event.name(),
            Self::Limit(event) => event.name(),
            Self::Slots(event) => event.name(),
            Self::Hold(event) => event.name(),
            Self::Trigger(event) => event.name(),
            Self::External(event) => event.name(),
            Self::Budget(event) => event.name(),
            Self::Purse(event) => event.name(),
            Self::Seal(event) => event.name(),
            Self::Webhook(event) => event.name(),
            Self::Delivery(event) => event.name(),
            Self::Denial(event) => event.name(),
            Self::Search(event) => event.name(),
            Self::Subject(event) => event.name(),
            Self::Action(event) => event.name(),
        }
    }
}

/// The kind of aggregate that a stream belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Streams of workflow definitions.
    Workflow,
    /// Streams of runs.
    Run,
    /// Streams of tasks.
    Task,
    /// Streams of agents.
    Agent,
    /// Streams of templates.
    Template,
    /// Streams of limits.
    Limit,
    /// Streams of the slots of limits.
    Slots,
    /// Streams of holds.
    Hold,
    /// Streams of triggers.
    Trigger,
    /// Streams of external events.
    External,
    /// The stream of the budgets.
    Budget,
    /// Streams of what is spent of budgets.
    Purse,
    /// The stream of the seals.
    Seal,
    /// Streams of webhooks.
    Webhook,
    /// Streams of deliveries.
    Delivery,
    /// Streams of what was refused, one a day.
    Denial,
    /// Streams of saved searches.
    Search,
    /// Streams of the people whom runs are about.
    Subject,
    /// Streams of action items that somebody has changed.
    Action,
}

impl Category {
    /// Every category.
    pub const ALL: [Self; 19] = [
        Self::Workflow,
        Self::Run,
        Self::Task,
        Self::Agent,
        Self::Template,
        Self::Limit,
        Self::Slots,
        Self::Hold,
        Self::Trigger,
        Self::External,
        Self::Budget,
        Self::Purse,
        Self::Seal,
        Self::Webhook,
        Self::Delivery,
        Self::Denial,
        Self::Search,
        Self::Subject,
        Self::Action,
    ];

    /// The stable lower-case name, also the prefix of the category's event names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::Run => "run",
            Self::Task => "task",
            Self::Agent => "agent",
            Self::Template => "template",
            Self::Limit => "limit",
            Self::Slots => "slots",
            Self::Hold => "hold",
            Self::Trigger => "trigger",
            Self::External => "external",
            Self::Budget => "budget",
            Self::Purse => "purse",
            Self::Seal => "seal",
            Self::Webhook => "webhook",
            Self::Delivery => "delivery",
            Self::Denial => "denial",
            Self::Search => "search",
            Self::Subject => "subject",
            Self::Action => "action",
        }
    }
}

/// The name of a category that does not exist.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "`{0}` is no stream category; the categories are workflow, run, task, agent, template, limit, slots, hold, trigger, external, budget, purse, seal, webhook, delivery, denial, search, subject and action"
)]
pub struct UnknownCategory(pub String);

impl FromStr for Category {
    type Err = UnknownCategory;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|category| category.name() == text).ok_or_else(|| UnknownCategory(text.to_owned()))
    }
}

/// Names the stream of one aggregate. Its text form is `category-uuid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StreamId {
    /// What kind of aggregate.
    pub category: Category,
    /// Which one.
    pub id: Uuid,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.category.name(), self.id)
    }
}

impl From<ActionId> for StreamId {
    fn from(id: ActionId) -> Self {
        Self { category: Category::Action, id: id.stream_uuid() }
    }
}

macro_rules! stream_of {
    ($($id:ty => $category:ident),*) => {$(
        impl From<$id> for StreamId {
            fn from(id: $id) -> Self {
                Self { category: Category::$category, id: id.as_uuid() }
            }
        }
    )*};
}
stream_of!(WorkflowId => Workflow, RunId => Run, TaskId => Task, AgentId => Agent, TemplateId => Template,
    LimitId => Limit, SlotsId => Slots, HoldId => Hold, TriggerId => Trigger,
    ExternalId => External, PurseId => Purse, WebhookId => Webhook, DeliveryId => Delivery, DenialsId => Denial,
    SearchesId => Search, SubjectId => Subject);
