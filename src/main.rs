//! HishamOS: an operating system for a company's AI work.
//!
//! The composition root: configuration, the server, the command line, and the wiring of all rooms. Everybody is known
//! here, and nobody knows this package.

mod announce;
mod answers;
mod app;
mod catalogue;
mod choosing;
mod cli;
mod config;
mod errand;
mod keys;
mod limits;
mod meaning;
mod platform_health;
mod platforms;
mod relay;
mod seals;
mod server;
mod store;
mod webhooks;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
