//! Measures HishamOS against the raw limit, PostgreSQL itself, on the same cluster in the same run.
//!
//! Standard output carries one JSON object per line: `{"bench", "value", "unit", "reference", "ratio"}`, the last two
//! where there is a reference; standard error carries a table for people. Names and meanings: docs/benchmarks.md.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

mod answers;
mod choice;
mod cpu;
mod engine;
mod journal;
mod kurrent;
mod program;
mod projections;
mod providers;
mod raw;
mod report;
mod store;

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use report::Report;
use store::Store;

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures HishamOS; docs/benchmarks.md explains the figures.
#[derive(Parser)]
struct Arguments {
    /// Only benchmarks whose name starts with this.
    prefix: Option<String>,
    /// A shorter run with rougher figures.
    #[arg(long)]
    quick: bool,
    /// The built program, for the figures about a whole process.
    #[arg(long, default_value = "target/release/hishamos")]
    program: PathBuf,
    /// Where the private PostgreSQL puts its data; a directory on the disk that is to be measured.
    #[arg(long, default_value = "target/bench")]
    data: PathBuf,
    /// The folder of the model of meaning.
    #[arg(long, default_value = "data/models/meaning")]
    meaning: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = Arguments::parse();
    std::fs::create_dir_all(&arguments.data).context("the bench directory cannot be made")?;
    let data = arguments.data.canonicalize()?;
    let mut report = Report::new(arguments.prefix.clone(), arguments.quick);
    if report.wants_any(&[
        "journal.append.",
        "journal.replay",
        "journal.subscribe",
        "projections.",
        "engine.",
        "answers.",
        "providers.",
    ]) {
        let store = Store::start(&data).await?;
        let measured = async {
            // First, because it looks at the memory of this process.
            Box::pin(providers::measure(&store, &mut report)).await?;
            journal::measure(&store, &mut report).await?;
            engine::measure(&store, &mut report).await?;
            projections::measure(&store, &mut report).await?;
            Box::pin(answers::measure(&store, &arguments.program, &mut report)).await
        };
        let measured = measured.await;
        store.stop().await?;
        measured?;
    }
    if report.wants_any(&["journal.kurrentdb."]) {
        kurrent::measure(&mut report).await?;
    }
    if report.wants_any(&["idle.", "start."]) {
        program::measure(&arguments.program, &data, &mut report).await?;
    }
    if report.wants_any(&["catalogue."]) {
        choice::measure(&arguments.meaning, &mut report)?;
    }
    report.table();
    Ok(())
}
