//! The journal's tests: one conformance suite that every back end passes, and what concerns PostgreSQL or
//! KurrentDB alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test fails by panicking, and documents itself by its name"
)]

mod backend;
mod conformance;
mod kurrent;
mod postgres;
mod properties;
mod sample;
mod seals;
mod snapshots;
mod together;
mod transfer;
