//! The rules, tested from outside: given events, when a command, then events or a refusal; and properties that hold
//! for generated graphs, histories and expressions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail loudly"
)]

mod agent;
mod definition;
mod drive;
mod expression;
mod fixtures;
mod graphs;
mod histories;
mod names;
mod retry;
mod run;
mod task;
mod template;
mod workflow;
