//! The read models against a real PostgreSQL, fed with histories that the domain's own rules decided.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod actions;
mod asking;
mod fixtures;
mod flow;
mod following;
mod history;
mod insight;
mod marks;
mod ordered;
mod past;
mod rebuilding;
mod searching;
mod steering;
mod unreadable;
mod webhooks;
mod world;
