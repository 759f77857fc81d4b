//! Runs: one execution of one workflow version.

mod command;
mod decide;
mod event;
mod state;

pub use command::RunCommand;
pub use decide::RunRefusal;
pub use event::RunEvent;
pub use state::{Lease, MappingError, Run, RunStatus, StepState, StepStatus};

crate::decide::aggregate!(Run, RunCommand, RunEvent, RunRefusal, Run);
