//! LiteLLM's proxy in front of the same platform, where `./dev test --litellm` has installed it.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::process::{Child, Command};

use super::LITELLM;
use super::direct::Direct;
use super::load::{self, Calls};
use super::platform::Upstream;
use crate::program;
use crate::report::{Report, per_second, quantile_ms};

/// Where it is installed, as testkit does it.
const HOME: &str = "target/peers/litellm-1.106.2";
const KEY: &str = "sk-litellm-bench";
/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many callers wait for an answer at any time while throughput is measured.
const CALLERS: usize = 64;

pub(super) async fn measure(
    upstream: &Upstream,
    seconds: u32,
    bare: Duration,
    report: &mut Report,
) -> anyhow::Result<()> {
    if !Path::new(HOME).join("installed").is_file() {
        eprintln!("LiteLLM is not installed, so it is not measured; `./dev test --litellm` installs it");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let (mut child, url) = start(folder.path(), &upstream.url()).await?;
    let measured = async {
        let calls: Arc<dyn Calls> = Arc::new(Direct::at(format!("{url}/v1/chat/completions"), KEY, "proxied")?);
        let [p50, p99, throughput, rss] = LITELLM;
        load::at_once(&calls, upstream, 200, CALLERS).await?;
        let count = report.rounds(2000);
        let started = Instant::now();
        load::at_once(&calls, upstream, count, CALLERS).await?;
        let reached = per_second(count, started.elapsed());
        // It is asked no more often than it can answer, because otherwise only its queue would be measured.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred")]
        let pace = (reached / 2.0).max(1.0) as u32;
        let mut journeys = load::paced(&calls, upstream, pace, seconds).await?;
        for journey in &mut journeys {
            *journey = journey.saturating_sub(bare);
        }
        report.add(p50, quantile_ms(&mut journeys, 0.5), "ms", None);
        report.add(p99, quantile_ms(&mut journeys, 0.99), "ms", None);
        report.add("providers.litellm.pace", f64::from(pace), "requests/s", None);
        report.add(throughput, reached, "requests/s", None);
        let pid = child.id().context("LiteLLM has ended")?.to_string();
        report.add(rss, program::rss_mb(&pid), "MB", None);
        anyhow::Ok(())
    }
    .await;
    child.kill().await?;
    measured
}

async fn start(folder: &Path, upstream: &str) -> anyhow::Result<(Child, String)> {
    let port = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?.port();
    let config = folder.join("config.yaml");
    std::fs::write(
        &config,
        format!(
            "model_list:\n  - model_name: proxied\n    litellm_params:\n      model: openai/test-model\n      \
             api_base: {upstream}/v1\n      api_key: sk-bench\ngeneral_settings:\n  master_key: {KEY}\n\
             litellm_settings:\n  num_retries: 0\n  drop_params: true\nrouter_settings:\n  num_retries: 0\n"
        ),
    )?;
    let mut child = Command::new(Path::new(HOME).join("bin/litellm"))
        .arg("--config")
        .arg(&config)
        .args(["--host", "127.0.0.1", "--port", &port.to_string()])
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        .env("LITELLM_LOG", "ERROR")
        .env_remove("DATABASE_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.join("log"))?)
        .kill_on_drop(true)
        .spawn()
        .context("LiteLLM could not be started")?;
    let (url, begun) = (format!("http://127.0.0.1:{port}"), Instant::now());
    let client = reqwest::Client::builder().no_proxy().build()?;
    loop {
        let answered = client.get(format!("{url}/health/liveliness")).send().await;
        if answered.is_ok_and(|answer| answer.status().is_success()) {
            return Ok((child, url));
        }
        if child.try_wait()?.is_some() || begun.elapsed() > PATIENCE {
            bail!("LiteLLM did not start: {}", std::fs::read_to_string(folder.join("log")).unwrap_or_default());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
