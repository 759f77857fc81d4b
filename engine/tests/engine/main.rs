//! The engine against a real journal in memory and simulated platforms.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod ahead;
mod budgets;
mod cache;
mod choosing;
mod compat;
mod control;
mod early;
mod failover;
mod flow;
mod found;
mod judge;
mod kinds;
mod output;
mod probes;
mod redaction;
mod residency;
mod resume;
mod retries;
mod review;
mod steering;
mod torn;
mod triggers;
mod world;
