//! Agents: specialised workers with a prompt, a model and limits, each revision kept.

mod command;
mod decide;
mod event;
mod state;

pub use command::AgentCommand;
pub use decide::AgentRefusal;
pub use event::AgentEvent;
pub use state::{Agent, Profile};

crate::decide::aggregate!(Agent, AgentCommand, AgentEvent, AgentRefusal, Agent);
