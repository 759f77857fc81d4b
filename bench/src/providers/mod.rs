//! What a call of an AI platform costs beyond the call itself, against a platform of the bench's own on the loopback
//! interface that says exactly how long it had each request.
//!
//! The added latency of a call is the time from the request to its recorded end, less the time that the platform had it, less
//! what a bare HTTP client needs for the way there and back at the same pace. So it does not matter how fast the platform is.

mod direct;
mod gateway;
mod house;
mod litellm;
mod load;
mod platform;

use std::sync::Arc;
use std::time::{Duration, Instant};

use providers::http::Options;
use providers::{OpenAi, Platform, Secret};

use crate::cpu;
use crate::engine::House;
use crate::report::{Report, per_second, quantile_ms};
use crate::store::Store;
use direct::Direct;
use gateway::Gateway;
use load::Calls;
use platform::Upstream;

const LIGHT: [&str; 2] = ["providers.overhead.light.p50", "providers.overhead.light.p99"];
const ON: [&str; 5] = [
    "providers.overhead.p50",
    "providers.overhead.p99",
    "providers.rss",
    "providers.throughput",
    "providers.throughput.rss",
];
const OFF: [&str; 5] = [
    "providers.overhead.p50.off",
    "providers.overhead.p99.off",
    "providers.rss.off",
    "providers.throughput.off",
    "providers.throughput.rss.off",
];
const LITELLM: [&str; 4] = [
    "providers.litellm.overhead.p50",
    "providers.litellm.overhead.p99",
    "providers.litellm.throughput",
    "providers.litellm.rss",
];

/// Requests a second while latency is measured.
const PACE: u32 = 2000;
/// Requests a second when there is little to do.
const LIGHT_PACE: u32 = 200;
/// How many callers wait for an answer at any time while throughput is measured.
const CALLERS: usize = 256;
/// How long the platform takes for an answer.
const ANSWER: Duration = Duration::from_millis(20);
/// The key that the platform is called with.
const KEY: &str = "sk-bench";

pub(crate) async fn measure(store: &Store, report: &mut Report) -> anyhow::Result<()> {
    if !report.wants_any(&["providers."]) {
        return Ok(());
    }
    let upstream = Upstream::start(ANSWER)?;
    let seconds = if report.quick { 2 } else { 8 };
    let direct: Arc<dyn Calls> = Arc::new(Direct::new(&upstream, "/v1/chat/completions", KEY, "test-model")?);
    let mut journeys = load::paced(&direct, &upstream, PACE, seconds).await?;
    let bare = median(&mut journeys);
    report.add("providers.direct.p50", ms(bare), "ms", None);
    if report.wants_one(&OFF) {
        cpu::peak_mb(true)?;
        let calls: Arc<dyn Calls> = Arc::new(Gateway::new(platform(&upstream)?));
        all(&OFF, &calls, &upstream, seconds, bare, report).await?;
    }
    if report.wants_one(&ON) || report.wants_one(&LIGHT) {
        let database = store.database("providers").await?;
        cpu::peak_mb(true)?;
        let house = Arc::new(House::with(&database, Arc::new(platform(&upstream)?)).await?);
        house.set_budgets().await?;
        let calls: Arc<dyn Calls> = Arc::clone(&house) as Arc<dyn Calls>;
        let measured = async {
            let mut journeys = load::paced(&calls, &upstream, LIGHT_PACE, seconds).await?;
            for journey in &mut journeys {
                *journey = journey.saturating_sub(bare);
            }
            let [p50, p99] = LIGHT;
            report.add(p50, quantile_ms(&mut journeys, 0.5), "ms", None);
            report.add(p99, quantile_ms(&mut journeys, 0.99), "ms", None);
            all(&ON, &calls, &upstream, seconds, bare, report).await
        };
        let measured = measured.await;
        drop(calls);
        Arc::into_inner(house).ok_or_else(|| anyhow::anyhow!("calls are under way"))?.close().await?;
        measured?;
    }
    if report.wants_one(&LITELLM) {
        litellm::measure(&upstream, seconds, bare, report).await?;
    }
    Ok(())
}

/// Latency at the pace, then as many calls as it takes; and the most memory of this process meanwhile, with the platform and the
/// callers in it.
async fn all(
    names: &[&str; 5],
    calls: &Arc<dyn Calls>,
    upstream: &Upstream,
    seconds: u32,
    bare: Duration,
    report: &mut Report,
) -> anyhow::Result<()> {
    let [p50, p99, rss, throughput, full] = names;
    let mut journeys = load::paced(calls, upstream, PACE, seconds).await?;
    report.add(rss, cpu::peak_mb(false)?, "MB", None);
    for journey in &mut journeys {
        *journey = journey.saturating_sub(bare);
    }
    report.add(p50, quantile_ms(&mut journeys, 0.5), "ms", None);
    report.add(p99, quantile_ms(&mut journeys, 0.99), "ms", None);
    cpu::peak_mb(true)?;
    let count = report.rounds(20_000);
    let started = Instant::now();
    load::at_once(calls, upstream, count, CALLERS).await?;
    report.add(throughput, per_second(count, started.elapsed()), "requests/s", None);
    report.add(full, cpu::peak_mb(false)?, "MB", None);
    Ok(())
}

/// The adapter that everybody uses for what speaks OpenAI's format.
fn platform(upstream: &Upstream) -> anyhow::Result<OpenAi> {
    let options = Options {
        api_key: Some(Secret::new(KEY)),
        model: Some("test-model".to_owned()),
        ..Options::new("bench", format!("{}/v1", upstream.url()))
    };
    let platform = OpenAi::new(options)?;
    anyhow::ensure!(platform.unusable().is_none(), "the platform of the bench cannot be used");
    Ok(platform)
}

fn median(journeys: &mut [Duration]) -> Duration {
    Duration::from_secs_f64(quantile_ms(journeys, 0.5) / 1000.0)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
