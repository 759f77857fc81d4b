//! AI platforms behind one port.
//!
//! A [`Platform`] turns a [`Request`] into a [`Reply`] or a typed [`Failure`]. This room knows no other room: whoever
//! calls it converts to its own words. Three rules hold for every adapter:
//!
//! - One call is one attempt. Nothing here retries; the caller owns retries, so that every attempt is recorded.
//! - What a platform did not report is `None`, never zero.
//! - Dropping the future of a call, or its stream, ends the work behind it.

mod failure;
#[cfg(feature = "local-model")]
pub mod local;
pub mod openai;
mod platform;
mod registry;
mod reply;
mod request;
mod secret;
mod simulator;
pub mod wire;

pub use failure::{Failure, FailureKind};
#[cfg(feature = "local-model")]
pub use local::Local;
pub use openai::OpenAi;
pub use platform::{Health, Platform, State};
pub use registry::{InvalidRegistry, Registry};
pub use reply::{Chunk, Finish, Reply, ReplyStream, Usage};
pub use request::Request;
pub use secret::Secret;
pub use simulator::{Behaviour, Simulator, SimulatorBuilder};
