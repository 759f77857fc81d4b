//! Limits: how much of something may run at the same time, or start within a time. The slots that a limit gives are
//! aggregates of their own, see [`slots`](crate::slots).

mod command;
mod decide;
mod event;
mod state;

pub use command::LimitCommand;
pub use decide::LimitRefusal;
pub use event::LimitEvent;
pub use state::{Limit, LimitScope, LimitSettings};

crate::decide::aggregate!(Limit, LimitCommand, LimitEvent, LimitRefusal, Limit);
