//! What tests share: private databases, protocol doubles, and other implementations of the protocols. Nothing in the program depends on it.
//!
//! Everything here panics when it cannot do its job: a test without its database has failed.
#![expect(clippy::expect_used, clippy::panic, reason = "a test without its fixture has failed")]

pub mod cursor;
mod database;
pub mod kurrent;
pub mod openai;
mod peers;
mod redis;
mod server;
pub mod webhooks;

pub use database::Database;
pub use peers::{Peer, cargo_built, node_with, python_with};
pub use redis::RedisServer;
pub use server::PostgresServer;
