//! The reactor that makes triggers fire: it follows the journal for what triggers wait for, sleeps until the next tick,
//! and asks `commands` to decide. What it knows follows from events; a checkpoint spares reading all of them at start.
//!
//! Invariants: every node knows everything and acts only on the triggers that are its own, so whoever takes over has
//! missed nothing; nothing is right only because one node acts, because a decision expects the trigger as it was; ticks,
//! events and ends of runs stay with a trigger until their decision is recorded; nothing is polled while there is
//! nothing to do.

mod known;
mod service;
mod work;

pub use service::{Error, Handle, Options, Service};
