//! The rules of HishamOS.
//!
//! Aggregates decide; nothing here does I/O, reads a clock or draws a random number: time, ids and
//! randomness arrive inside commands. Each aggregate is a fold over its own events
//! ([`Aggregate::apply`](cqrs_es::Aggregate::apply)) and one pure function, [`Decide::decide`], from
//! state and command to new events or a typed refusal. `handle` of cqrs-es only calls that function.

pub mod action;
mod actor;
pub mod agent;
mod bilingual;
pub mod budget;
mod capability;
mod decide;
pub mod delivery;
pub mod denial;
mod event;
mod expression;
pub mod external;
pub mod hold;
mod id;
mod key;
pub mod limit;
pub mod purse;
mod reply;
mod retry;
pub mod run;
pub mod seal;
pub mod search;
mod size;
pub mod slots;
pub mod subject;
pub mod task;
pub mod template;
mod time;
pub mod trigger;
pub mod webhook;
pub mod workflow;

pub use action::{Action, ActionCommand, ActionEvent, ActionRefusal};
pub use actor::{Actor, ActorKind};
pub use agent::{Agent, AgentCommand, AgentEvent, AgentRefusal};
pub use bilingual::{Bilingual, Language};
pub use budget::{BudgetCommand, BudgetEvent, BudgetRefusal, Budgets};
pub use capability::{Capability, UnknownCapability};
pub use decide::{Decide, Refusal};
pub use delivery::{Delivery, DeliveryCommand, DeliveryEvent, DeliveryRefusal};
pub use denial::{DenialCommand, DenialEvent, Denials};
pub use event::{Category, Event, StreamId, UnknownCategory};
pub use expression::{Expression, ExpressionError, Reference, Root};
pub use external::{External, ExternalCommand, ExternalEvent, ExternalRefusal};
pub use hold::{Hold, HoldCommand, HoldEvent, HoldRefusal};
pub use id::{
    ActionId, AgentId, CommandId, DeliveryId, DenialsId, EventId, ExternalId, HoldId, InvalidActionId, LimitId, NodeId,
    PurseId, RunId, SearchesId, SlotsId, SubjectId, TaskId, TemplateId, TriggerId, WebhookId, WorkflowId,
};
pub use key::{InvalidKey, Key, PlatformTag, StepName};
pub use limit::{Limit, LimitCommand, LimitEvent, LimitRefusal};
pub use purse::{Purse, PurseCommand, PurseEvent, PurseRefusal};
pub use reply::{Account, AttemptError, CostSource, ErrorKind, FinishReason, NanoUsd, Reply, Usage};
pub use retry::RetryPolicy;
pub use run::{Run, RunCommand, RunEvent, RunRefusal};
pub use seal::{SealCommand, SealEvent, SealRefusal, Seals};
pub use search::{SearchCommand, SearchEvent, SearchRefusal, Searches};
pub use size::{MAX_VALUE_BYTES, MAX_VALUE_DEPTH, ValueTooLarge, check_size};
pub use slots::{Slots, SlotsCommand, SlotsEvent, SlotsRefusal};
pub use subject::{Subject, SubjectCommand, SubjectEvent};
pub use task::{Task, TaskCommand, TaskEvent, TaskRefusal};
pub use template::{Template, TemplateCommand, TemplateEvent, TemplateRefusal};
pub use time::Timestamp;
pub use trigger::{Trigger, TriggerCommand, TriggerEvent, TriggerRefusal};
pub use webhook::{Webhook, WebhookCommand, WebhookEvent, WebhookRefusal};
pub use workflow::{Definition, DefinitionError, Step, Workflow, WorkflowCommand, WorkflowEvent, WorkflowRefusal};

/// Names these rules: a hash of their sources. A state that rules of another name have folded is folded anew.
pub const RULES: &str = env!("RULES");
