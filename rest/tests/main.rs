//! The API over real sockets, against a journal in memory and real read models in PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod actions;
mod catalogue;
mod document;
mod fuzz;
mod house;
mod manners;
mod ratings;
mod replay;
mod runs;
mod tasks;
mod webhooks;
