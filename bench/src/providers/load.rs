//! Callers: so many a second, or so many at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use async_trait::async_trait;
use tokio::task::JoinSet;

use super::platform::Upstream;

/// Something that can be asked.
#[async_trait]
pub(super) trait Calls: Send + Sync + 'static {
    /// Asks, and waits for all that belongs to it.
    async fn call(&self, text: &str) -> anyhow::Result<()>;
}

/// So long before anything counts.
const WARM_UP: Duration = Duration::from_secs(1);

/// Asks so many times a second, whether or not answers come, for so many seconds. Answers how long each call took beyond the
/// time that the platform had it.
pub(super) async fn paced(
    calls: &Arc<dyn Calls>,
    upstream: &Upstream,
    pace: u32,
    seconds: u32,
) -> anyhow::Result<Vec<Duration>> {
    let wanted = u64::from(pace) * u64::from(seconds) + u64::from(pace) * WARM_UP.as_secs();
    let (sender, mut due) = tokio::sync::mpsc::unbounded_channel();
    // On a thread of its own, so that whatever is measured cannot slow it down.
    let clock = std::thread::spawn(move || {
        let started = Instant::now();
        for number in 0..wanted {
            let at = started + Duration::from_secs(number) / pace;
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if sender.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    let mut running = JoinSet::new();
    let warm = usize::try_from(u64::from(pace) * WARM_UP.as_secs())?;
    let (mut started, mut ended) = (0, Vec::new());
    while let Some(at) = due.recv().await {
        let (calls, number) = (Arc::clone(calls), upstream.next());
        let counts = started >= warm;
        started += 1;
        running.spawn(async move {
            calls.call(&text(number)).await?;
            anyhow::Ok((number, counts, at.elapsed()))
        });
        // What has ended is let go of at once: it is the bench's memory, and would count as that of what is measured.
        while let Some(done) = running.try_join_next() {
            ended.push(done??);
        }
    }
    clock.join().map_err(|_| anyhow::anyhow!("the clock failed"))?;
    while let Some(done) = running.join_next().await {
        ended.push(done??);
    }
    let mut journeys = Vec::with_capacity(ended.len());
    for (number, _, took) in ended.into_iter().filter(|(_, counts, _)| *counts) {
        journeys.push(took.saturating_sub(upstream.had(number).context("a call did not reach the platform")?));
    }
    Ok(journeys)
}

/// Asks so often, with so many callers who each wait for an answer before they ask again.
pub(super) async fn at_once(
    calls: &Arc<dyn Calls>,
    upstream: &Upstream,
    count: usize,
    callers: usize,
) -> anyhow::Result<()> {
    let asked = Arc::new(AtomicUsize::new(0));
    let first = upstream.next_many(count);
    let mut running = JoinSet::new();
    for _ in 0..callers {
        let (calls, asked) = (Arc::clone(calls), Arc::clone(&asked));
        running.spawn(async move {
            loop {
                let number = asked.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok(());
                }
                calls.call(&text(first + number)).await?;
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    let missing = (first..first + count).find(|number| upstream.had(*number).is_none());
    anyhow::ensure!(missing.is_none(), "a call did not reach the platform");
    Ok(())
}

fn text(number: usize) -> String {
    format!("#{number}# Say hello.")
}
