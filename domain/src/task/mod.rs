//! Tasks: one unit of AI work done by an agent, for a step or on its own.

mod command;
mod decide;
mod event;
mod prompt;
mod state;

pub use command::{Pacing, TaskCommand};
pub use decide::TaskRefusal;
pub use event::TaskEvent;
pub use prompt::Prompt;
pub use state::{Attempt, AttemptStatus, Order, Task, TaskStatus};

crate::decide::aggregate!(Task, TaskCommand, TaskEvent, TaskRefusal, Task);
