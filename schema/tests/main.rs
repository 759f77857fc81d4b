//! The API against a journal in memory and real read models in PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod actions;
mod again;
mod answers;
mod as_of;
mod catalog;
mod chooser;
mod choosing;
mod counted;
mod elsewhere;
mod house;
mod insight;
mod limits;
mod lists;
mod live;
mod nodes;
mod order;
mod platforms;
mod quality;
mod runs;
mod sdl;
mod searches;
mod sequence;
mod shown;
mod statements;
mod steering;
mod stock;
mod triggers;
mod updates;
mod webhooks;
