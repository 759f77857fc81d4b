//! The API against a journal in memory and real read models in PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod catalog;
mod house;
mod limits;
mod live;
mod runs;
mod sdl;
mod steering;
mod triggers;
