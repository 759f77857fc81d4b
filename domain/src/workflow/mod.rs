//! Workflows: versioned definitions, each a directed acyclic graph of steps.

mod assignee;
mod command;
mod decide;
mod definition;
mod event;
mod graph;
mod mappings;
mod state;
mod step;

pub use assignee::Assignee;
pub use command::WorkflowCommand;
pub use decide::WorkflowRefusal;
pub use definition::{Definition, DefinitionError};
pub use event::WorkflowEvent;
pub use state::{Workflow, WorkflowStatus};
pub use step::{
    Approval, Approver, ForEach, InvalidApprover, Mapping, ParentClose, SignalWait, Step, SubRun, TaskWork, Verdict,
    Wait, Work,
};

crate::decide::aggregate!(Workflow, WorkflowCommand, WorkflowEvent, WorkflowRefusal, Workflow);
