//! End-to-end tests: the built program, as its users meet it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod cli;
mod life;
mod program;
mod refusals;
mod under_load;
