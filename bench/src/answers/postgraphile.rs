//! PostGraphile over the same tables of the same server, for the same question.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::program;
use crate::store::Database;

/// How long its installation may take, which the first time downloads it.
const PATIENCE: Duration = Duration::from_secs(600);

/// What our tables do not say, because a read model has no foreign keys: how they hang together.
const RELATIONS: &str = "COMMENT ON TABLE read_runs.steps IS
    E'@foreignKey (run_id) references read_runs.runs (id)\\n@foreignKey (task_id) references read_runs.tasks (id)'";

/// The running peer.
pub(super) struct PostGraphile {
    child: Child,
    pub(super) address: String,
}

impl PostGraphile {
    /// Installs it where that was not done yet, and starts it.
    pub(super) async fn start(database: &Database) -> anyhow::Result<Self> {
        relations(&database.pool).await?;
        let mut child = Command::new("python3")
            .args(["-B", "bench/peers/postgraphile.py", "--under", "target/peers", "--database", &database.url])
            .args(["--schema", "read_runs"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("python3 could not be started")?;
        let out = child.stdout.take().context("PostGraphile has no output")?;
        let mut lines = BufReader::new(out).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.context("PostGraphile did not start")??;
        let Some(port) = line.and_then(|line| line.trim().parse::<u16>().ok()) else {
            bail!("PostGraphile could not be installed or did not start");
        };
        Ok(Self { child, address: format!("127.0.0.1:{port}") })
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        program::stop(self.child).await
    }
}

async fn relations(pool: &PgPool) -> anyhow::Result<()> {
    sqlx::raw_sql(RELATIONS).execute(pool).await?;
    Ok(())
}
