//! The journal in PostgreSQL, the default back end.

mod migrate;

pub use migrate::{MIGRATOR, migrate};
