//! Webhooks against real receivers.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod deliveries;
mod life;
mod messages;
mod nodes;
mod seals;
mod stage;
