//! Follows `$all` and feeds the memory of this process; the subscription is replaced whenever it ends, fails, or falls
//! behind the server without saying so.
//!
//! Its own checkpoint is the last event of ours that it has taken in. A new subscription goes on after it; what comes
//! twice is skipped.
//!
//! When a server ends a subscription without an error, the official client goes round in a circle for ever without
//! letting go of its thread; all it does is to warn, each time, that it got a message that it does not know. So the
//! task of a subscription has a log of its own ([`Leash`]), which unwinds the task out of that circle.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use eventstore::{Error, SubscriptionEvent};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::instrument::WithSubscriber;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use super::envelope;
use super::writer::Core;
use crate::Position;

/// How many warnings in a row mean that the client goes round in a circle.
const CIRCLE: u32 = 1000;

/// How long it may take until a subscription is made.
const CONFIRM: Duration = Duration::from_secs(30);

/// Follows until the shutdown.
pub(super) async fn run(core: Arc<Core>, shutdown: CancellationToken) {
    let mut pause = Duration::ZERO;
    while !shutdown.is_cancelled() {
        let begun = Instant::now();
        let mut task = JoinSet::new();
        let confirmed = Arc::new(AtomicBool::new(false));
        task.spawn(follow(Arc::clone(&core), Arc::clone(&confirmed)));
        let ended = tokio::select! {
            ended = task.join_next() => ended,
            () = stalled(&core, &confirmed) => None,
            () = shutdown.cancelled() => return,
        };
        match ended {
            Some(Ok(error)) => tracing::warn!(%error, "the subscription to KurrentDB ended; subscribing again"),
            Some(Err(_)) => tracing::warn!("KurrentDB ended the subscription without a reason; subscribing again"),
            None => tracing::warn!("the subscription to KurrentDB stands still; subscribing again"),
        }
        metrics::counter!("journal_subscriptions_lost_total").increment(1);
        task.shutdown().await;
        core.connection.renew().await;
        let lasted = begun.elapsed() > Duration::from_secs(10);
        pause =
            if lasted { Duration::ZERO } else { (pause * 2).clamp(Duration::from_millis(50), Duration::from_secs(5)) };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Returns when the server has had something for a while that the subscription has not brought.
async fn stalled(core: &Core, confirmed: &AtomicBool) {
    let (begun, mut missed) = (Instant::now(), 0);
    loop {
        tokio::time::sleep(core.options.watch).await;
        // One that is not made yet brings nothing; but it has to be made some time.
        if !confirmed.load(Ordering::Relaxed) && begun.elapsed() < CONFIRM {
            continue;
        }
        let seen = core.feed.seen();
        let wanted = if seen.recorded > seen.head {
            seen.recorded
        } else {
            match core.connection.last(&core.names.events()).await {
                Ok(last) => last.map_or(Position::START, |event| envelope::position(&event)),
                // Who cannot be reached cannot be compared with; the connection's own keep-alive tells a dead one.
                Err(_) => continue,
            }
        };
        let behind = wanted > seen.head;
        // Between two looks it may have caught up and fallen behind again; two looks at the same place are needed.
        missed = if behind { missed + 1 } else { 0 };
        if missed >= 2 && core.feed.seen().head == seen.head {
            return;
        }
    }
}

/// One subscription, until it fails.
async fn follow(core: Arc<Core>, confirmed: Arc<AtomicBool>) -> Error {
    let after = Some(core.feed.seen().head).filter(|head| *head > Position::START);
    let prefixes = [core.names.events(), core.names.commands()];
    let (leash, warnings) = Leash::new();
    let following = async {
        let mut subscription = match core.connection.subscribe(after.map(Position::as_u64), &prefixes).await {
            Ok(subscription) => subscription,
            Err(error) => return error,
        };
        loop {
            let event = match subscription.next_subscription_event().await {
                Ok(event) => event,
                Err(error) => return error,
            };
            warnings.store(0, Ordering::Relaxed);
            confirmed.store(true, Ordering::Relaxed);
            if let SubscriptionEvent::EventAppeared(resolved) = event
                && let Some(event) = resolved.event
            {
                take(&core, event);
            }
        }
    };
    following.with_subscriber(Dispatch::new(leash)).await
}

fn take(core: &Core, event: eventstore::RecordedEvent) {
    core.halves.observe(event.id, event.stream_id(), event.position.commit, envelope::rest(&event));
    if core.names.parse(event.stream_id()).is_none() {
        return;
    }
    let position = envelope::position(&event);
    match envelope::recorded(&core.names, event) {
        Ok(event) => {
            core.absorb(&event);
            core.feed.publish(Arc::new(event));
        }
        Err(error) => {
            tracing::error!(%error, "a recorded event cannot be read");
            core.feed.skip(position);
        }
    }
}

/// A log that passes everything on, and pulls the emergency brake when the client warns without end.
struct Leash {
    log: Dispatch,
    warnings: Arc<AtomicU32>,
}

impl Leash {
    fn new() -> (Self, Arc<AtomicU32>) {
        let warnings = Arc::new(AtomicU32::new(0));
        (Self { log: tracing::dispatcher::get_default(Clone::clone), warnings: Arc::clone(&warnings) }, warnings)
    }

    fn watches(metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN && metadata.target().starts_with("kurrentdb")
    }
}

impl Subscriber for Leash {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if Self::watches(metadata) { Interest::always() } else { self.log.register_callsite(metadata) }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        Self::watches(metadata) || self.log.enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::current().max(LevelFilter::WARN))
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.log.new_span(span)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.log.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.log.record_follows_from(span, follows);
    }

    fn event(&self, event: &Event<'_>) {
        if Self::watches(event.metadata()) && self.warnings.fetch_add(1, Ordering::Relaxed) >= CIRCLE {
            // Ends this task and nothing else; the one who waits for it begins anew.
            std::panic::resume_unwind(Box::new("the client goes round in a circle"));
        }
        if self.log.enabled(event.metadata()) && self.warnings.load(Ordering::Relaxed) <= 1 {
            self.log.event(event);
        }
    }

    fn enter(&self, span: &Id) {
        self.log.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.log.exit(span);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.log.clone_span(id)
    }

    fn try_close(&self, id: Id) -> bool {
        self.log.try_close(id)
    }
}
