//! The rules, tested from outside: given events, when a command, then events or a refusal; and properties that hold
//! for generated graphs, histories and expressions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail loudly"
)]

mod action;
mod agent;
mod definition;
mod drive;
mod expression;
mod fixtures;
mod graphs;
mod histories;
mod limit;
mod lives;
mod model;
mod names;
mod purse;
mod ranges;
mod retry;
mod run;
mod run_approval;
mod run_control;
mod run_ending;
mod run_steps;
mod runs;
mod schedule;
mod scopes;
mod search;
mod slots;
mod slots_random;
mod task;
mod task_failover;
mod task_waits;
mod template;
mod trigger;
mod verdict;
mod webhook;
mod workflow;
