//! AI platforms behind one port.
//!
//! A [`Platform`] turns a [`Request`] into a [`Reply`] or a typed [`Failure`]. Beside it stands the port of agents that work by
//! themselves, [`ExternalAgent`]: started, followed, cancelled, collected; whoever implements it is a platform as well. This room knows no other room: whoever
//! calls it converts to its own words. Three rules hold for every adapter:
//!
//! - One call is one attempt. Nothing here retries; the caller owns retries, so that every attempt is recorded.
//! - What a platform did not report is `None`, never zero.
//! - Dropping the future of a call, or its stream, ends the work behind it.

mod external;
mod failure;
pub mod http;
pub mod kind;
#[cfg(feature = "local-model")]
pub mod local;
mod message;
mod platform;
mod platforms;
pub mod prices;
mod program;
pub mod redaction;
mod registry;
mod reply;
mod request;
pub mod router;
mod secret;
mod trial;
mod usage;
pub mod wire;

pub use acp::AcpAgent;
pub use anthropic::Anthropic;
pub use command::CommandAgent;
pub use cursor::Cursor;
pub use external::{ExternalAgent, Work};
pub use failure::{Consumed, Failure, FailureKind};
pub use gemini::Gemini;
#[cfg(feature = "local-model")]
pub use local::Local;
pub use message::{Family, Image, Message, Opaque, OutputSchema, Tool, ToolCall, ToolChoice};
pub use openai::OpenAi;
pub use openai_responses::OpenAiResponses;
pub use openrouter::OpenRouter;
pub use platform::{Capabilities, Health, Model, Platform, State};
pub use platforms::*;
pub use registry::{InvalidRegistry, Registry};
pub use reply::{Chunk, CostSource, Finish, Reply, ReplyStream};
pub use request::Request;
pub use secret::Secret;
pub use simulator::{Behaviour, Simulator, SimulatorBuilder};
pub use trial::trial;
pub use usage::{Tier, Usage};
