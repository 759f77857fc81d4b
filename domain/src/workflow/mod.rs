//! Workflows: versioned definitions, each a directed acyclic graph of steps.

mod command;
mod decide;
mod definition;
mod event;
mod state;

pub use command::WorkflowCommand;
pub use decide::WorkflowRefusal;
pub use definition::{Definition, DefinitionError, Step};
pub use event::WorkflowEvent;
pub use state::{Workflow, WorkflowStatus};

crate::decide::aggregate!(Workflow, WorkflowCommand, WorkflowEvent, WorkflowRefusal, Workflow);
