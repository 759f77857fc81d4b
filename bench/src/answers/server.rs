//! The built program as a process of its own, on a database of the bench.

use std::path::Path;

use anyhow::Context;
use tokio::process::Child;

use crate::program;
use crate::store::Database;

/// The running program.
pub(super) struct Server {
    child: Child,
    /// Where it listens, such as `127.0.0.1:7410`.
    pub(super) address: String,
}

impl Server {
    /// Starts it and waits until it is ready.
    pub(super) async fn start(program: &Path, data: &Path, database: &Database) -> anyhow::Result<Self> {
        let directory = data.join("answers");
        let _ = std::fs::remove_dir_all(&directory);
        let (child, _) = program::start(program, &directory, Some(&database.url)).await?;
        let url = program::url(&directory).context("the program does not say where it is")?;
        let address = url.strip_prefix("http://").context("the program is not reached over HTTP")?.to_owned();
        Ok(Self { child, address })
    }

    /// Its memory, in MB.
    pub(super) fn rss_mb(&self) -> f64 {
        self.child.id().map_or(0.0, |pid| program::rss_mb(&pid.to_string()))
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        program::stop(self.child).await
    }
}
