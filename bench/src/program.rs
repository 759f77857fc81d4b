//! The built program as a whole: how fast it is ready, what it needs while nothing happens.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sqlx::PgPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::report::Report;

pub(crate) async fn measure(program: &Path, data: &Path, report: &mut Report) -> anyhow::Result<()> {
    if !program.exists() {
        bail!("{} is not built; run `cargo build --release` first", program.display());
    }
    let directory = data.join("program");
    let _ = std::fs::remove_dir_all(&directory);
    // The first start makes the data directory; the second is the one that counts.
    let (child, _) = start(program, &directory, None).await?;
    stop(child).await?;
    let (child, ready) = start(program, &directory, None).await?;
    if report.wants("start.ready") {
        report.add("start.ready", ready.as_secs_f64(), "s", None);
    }
    if report.wants("idle.queries") || report.wants("idle.rss") {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let rss = child.id().map(|pid| rss_mb(&pid.to_string())).context("the program has ended")?;
        if report.wants("idle.rss") {
            report.add("idle.rss", rss, "MB", None);
        }
        if report.wants("idle.queries") {
            report.add("idle.queries", idle_statements(&directory).await?, "in 10 s", None);
        }
    }
    stop(child).await
}

/// Starts the program, on a private PostgreSQL or a database that there is, and waits until it says that it is ready.
pub(crate) async fn start(
    program: &Path,
    directory: &Path,
    database: Option<&str>,
) -> anyhow::Result<(Child, Duration)> {
    let started = Instant::now();
    let mut command = Command::new(program);
    if let Some(url) = database {
        command.env("DATABASE_URL", url);
    }
    let child = command
        .args(["serve", "--simulate", "--port", "0", "--data-dir"])
        .arg(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(directory.with_extension("log"))?)
        .kill_on_drop(true)
        .spawn()?;
    let deadline = started + Duration::from_secs(60);
    loop {
        if let Some(url) = url(directory)
            && is_ready(&url).await
        {
            return Ok((child, started.elapsed()));
        }
        if Instant::now() > deadline {
            bail!(
                "the program was not ready within a minute; {} has its log",
                directory.with_extension("log").display()
            );
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn stop(mut child: Child) -> anyhow::Result<()> {
    let pid = child.id().context("the program has ended by itself")?;
    Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
    child.wait().await?;
    Ok(())
}

pub(crate) fn url(directory: &Path) -> Option<String> {
    let text = std::fs::read_to_string(directory.join("server.json")).ok()?;
    let server: serde_json::Value = serde_json::from_str(&text).ok()?;
    server.get("url")?.as_str().map(str::to_owned)
}

pub(crate) fn rss_mb(pid: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// Statements that the server received in ten seconds: every one is logged meanwhile, and the log is counted.
async fn idle_statements(directory: &Path) -> anyhow::Result<f64> {
    let endpoint = cluster::Cluster::running(directory)?.context("the private PostgreSQL is not there")?;
    let admin = PgPool::connect(&endpoint.url()).await?;
    sqlx::raw_sql("ALTER SYSTEM SET log_statement = 'all'").execute(&admin).await?;
    sqlx::raw_sql("SELECT pg_reload_conf()").execute(&admin).await?;
    admin.close().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = logged(&directory.join("postgres/log"))?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let after = logged(&directory.join("postgres/log"))?;
    // A statement of our own has to be seen, or else nothing was counted.
    let witness = PgPool::connect(&endpoint.url()).await?;
    sqlx::raw_sql("SELECT 'witness'").execute(&witness).await?;
    witness.close().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    if logged(&directory.join("postgres/log"))? == after {
        bail!("the server does not log statements, so they cannot be counted");
    }
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    Ok(after.saturating_sub(before) as f64)
}

/// How many statements the server's log files hold.
fn logged(logs: &Path) -> anyhow::Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(logs)? {
        let text = String::from_utf8_lossy(&std::fs::read(entry?.path())?).into_owned();
        count += text.lines().filter(|line| line.contains("execute ") || line.contains("statement: ")).count();
    }
    Ok(count)
}

/// Whether the server says that it is ready; plain HTTP, because that is all it takes.
async fn is_ready(url: &str) -> bool {
    let Some(address) = url.strip_prefix("http://") else { return false };
    let Ok(mut connection) = TcpStream::connect(address).await else { return false };
    let request = format!("GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    connection.write_all(request.as_bytes()).await.is_ok()
        && connection.read_to_string(&mut answer).await.is_ok()
        && answer.starts_with("HTTP/1.1 200")
}
