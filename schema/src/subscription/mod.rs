//! What is told as it happens.
//!
//! Every answer carries its position; subscribing again after the last position that was seen goes on without gap or
//! repetition, on any node. A slow client slows only itself: events are pulled from the journal as the client takes
//! them. What is told of entities is as of the answer's own position, so it is the same whenever it is told.

mod approvals;
mod costs;
mod events;
mod output;
mod platforms;
mod runs;

use std::collections::VecDeque;
use std::sync::Arc;

use async_graphql::{Context, Error, MergedSubscription, Result};
use futures_util::Stream;
use futures_util::stream::try_unfold;
use journal::{Filter, Journal, Position, RecordedEvent, RunSubscription, Subscription as Followed};

use crate::failure::{self, Caller};
use crate::progress::Progress;
pub(crate) use events::{Timeline, timeline};

/// How many events are pulled at a time; what a slow client makes wait in memory.
const BATCH: usize = 100;

/// What HishamOS tells as it happens.
#[derive(Default, MergedSubscription)]
pub struct Subscription(
    events::FollowedEvents,
    runs::FollowedRuns,
    approvals::FollowedApprovals,
    costs::FollowedCosts,
    platforms::FollowedPlatforms,
    output::FollowedOutputs,
);

/// Makes answers of events.
trait Teller: Send + 'static {
    type Answer: Send;

    /// What is told of some events, in the order of the journal, each with its position. Positions grow.
    fn tell(
        &mut self,
        events: Vec<Arc<RecordedEvent>>,
    ) -> impl Future<Output = Result<Vec<(Position, Self::Answer)>>> + Send;

    /// Whether nothing will be told after what was told already.
    fn is_over(&self) -> bool {
        false
    }
}

/// Where a subscription goes on: after a position, or with what comes from now on.
async fn beginning(context: &Context<'_>, after: Option<crate::scalar::Position>) -> Result<Position> {
    match after {
        Some(position) => Ok(position.0),
        None => {
            let head = crate::query::journal(context)?.head().await;
            head.map_err(|error| failure::read(crate::query::correlation(context), &error))
        }
    }
}

/// Where a teller's events come from.
enum Source {
    All(Followed),
    Run(Box<RunSubscription>),
}

impl Source {
    /// What a filter wants, after a position.
    fn all(context: &Context<'_>, after: Position, filter: Filter) -> Result<Self> {
        let journal: &Arc<dyn Journal> = crate::query::journal(context)?;
        Ok(Self::All(journal.subscribe(after, filter).with_batch(BATCH).quiet()))
    }

    async fn next(&mut self) -> Result<Vec<Arc<RecordedEvent>>, journal::ReadError> {
        match self {
            Self::All(subscription) => Ok(subscription.next().await?.events),
            Self::Run(subscription) => subscription.next().await,
        }
    }
}

/// Follows the journal and tells what a teller makes of it.
fn follow<T: Teller>(
    context: &Context<'_>,
    source: Source,
    teller: T,
    first: Vec<(Position, T::Answer)>,
) -> Result<impl Stream<Item = Result<T::Answer>> + use<T>> {
    let correlation = Caller::of(context)?.correlation;
    let progress = Progress::of(context);
    let waiting = VecDeque::from(first);
    Ok(try_unfold((source, teller, waiting), move |(mut source, mut teller, mut waiting)| {
        let progress = progress.clone();
        async move {
            loop {
                if let Some((position, answer)) = waiting.pop_front() {
                    progress.reach(position);
                    return Ok::<_, Error>(Some((answer, (source, teller, waiting))));
                }
                if teller.is_over() {
                    return Ok(None);
                }
                let events = source.next().await.map_err(|error| failure::read(correlation, &error))?;
                waiting.extend(teller.tell(events).await?);
            }
        }
    }))
}
