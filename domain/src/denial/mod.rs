//! Denials: what somebody asked for and did not get. Each is a fact of its own; those of one day stand in one stream.
//!
//! A denial names who asked, what for, and by which code it was refused. It never carries what was sent, nor the message
//! that the caller got, because that may repeat what was sent.

mod command;
mod decide;
mod event;
mod state;

pub use command::DenialCommand;
pub use event::{DenialEvent, Denied, DeniedCount, DeniedMore, MAX_COUNTS};
pub use state::Denials;

crate::decide::aggregate!(Denials, DenialCommand, DenialEvent, std::convert::Infallible, Denial);
