//! End-to-end tests: the built program, as its users meet it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests fail by panicking and say what they skip"
)]

mod audit;
mod catalogue;
mod choosing;
mod cli;
mod corpus;
mod crash;
mod hook_life;
mod in_flight;
mod keys;
mod kurrent;
mod kurrent_shared;
mod ledger;
mod library;
mod life;
#[cfg(feature = "local-model")]
mod local_model;
mod nodes;
mod observability;
mod openai;
mod output;
mod platforms;
mod privacy;
mod program;
mod quality;
mod redis;
mod refusals;
mod shared_budget;
mod subscribers;
mod triggers;
mod under_load;
mod webhooks;
mod websocket;
