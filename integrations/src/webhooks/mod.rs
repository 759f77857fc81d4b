//! The reactor that tells webhooks: it follows the journal for what they are told about, sends, signs, tries again, and
//! records what came of it. What it knows follows from events; a checkpoint spares reading all of them at start.
//!
//! Invariants: an attempt is recorded after it was made, so a message arrives at least once, and every repetition has
//! the same id; every node knows everything and sends only to the webhooks that are its own; the order in which
//! messages arrive is not promised; a slow webhook holds up nobody but itself; nothing is polled while there is nothing
//! to do.

mod known;
mod sender;
mod service;

pub use service::{Error, Handle, Options, Service};
