use std::sync::Arc;
use std::time::Duration;

use domain::Category;
use journal::{Expected, Filter, Journal, Position};

use super::{conformance, everything, positions};
use crate::sample::{agent, append, task};

conformance!(
    follows_many_writers_without_gap_or_repetition,
    goes_on_where_a_dropped_subscription_was,
    never_waits_for_a_slow_subscriber,
    wakes_a_waiting_subscriber,
    loses_nothing_when_waiting_is_given_up,
);

async fn follows_many_writers_without_gap_or_repetition(journal: Arc<dyn Journal>) {
    const WRITERS: usize = 8;
    const EACH: usize = 40;
    let follow = |filter: Filter, wanted: usize| {
        let journal = Arc::clone(&journal);
        tokio::spawn(async move {
            let mut seen = Vec::new();
            let mut subscription = journal.subscribe(Position::START, filter).with_batch(17);
            while seen.len() < wanted {
                let batch = subscription.next().await.unwrap();
                assert!(batch.events.len() <= 17);
                seen.extend(positions(&batch.events));
            }
            seen
        })
    };
    let all = follow(Filter::default(), WRITERS * EACH * 2);
    let tasks = follow(Filter::categories([Category::Task]), WRITERS * EACH);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move {
                let streams = [agent(), task()];
                for round in 0..EACH {
                    for stream in streams {
                        let text = format!("{writer} {round}");
                        journal.append(append(stream, Expected::Any, &[&text])).await.unwrap();
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let recorded = everything(&*journal).await;
    assert_eq!(all.await.unwrap(), positions(&recorded));
    let recorded: Vec<_> = recorded.into_iter().filter(|event| event.stream.category == Category::Task).collect();
    assert_eq!(tasks.await.unwrap(), positions(&recorded));
}

async fn goes_on_where_a_dropped_subscription_was(journal: Arc<dyn Journal>) {
    let writer = {
        let journal = Arc::clone(&journal);
        tokio::spawn(async move {
            let stream = agent();
            for _ in 0..100 {
                journal.append(append(stream, Expected::Any, &["x", "y"])).await.unwrap();
            }
        })
    };
    let mut seen = Vec::new();
    let mut after = Position::START;
    while seen.len() < 200 {
        let mut subscription = journal.subscribe(after, Filter::default()).with_batch(7);
        for _ in 0..3 {
            if seen.len() == 200 {
                break;
            }
            seen.extend(positions(&subscription.next().await.unwrap().events));
        }
        after = subscription.position();
    }
    writer.await.unwrap();
    assert_eq!(seen, positions(&everything(&*journal).await));
}

async fn never_waits_for_a_slow_subscriber(journal: Arc<dyn Journal>) {
    let mut slow = journal.subscribe(Position::START, Filter::default()).with_batch(3);
    journal.append(append(agent(), Expected::NoStream, &["first"])).await.unwrap();
    let mut seen = positions(&slow.next().await.unwrap().events);
    // It takes nothing while a thousand events are recorded, and then gets them all.
    let stream = agent();
    for _ in 0..100 {
        journal.append(append(stream, Expected::Any, &["x"; 10])).await.unwrap();
    }
    let head = journal.head().await.unwrap();
    while seen.len() < 1001 {
        let batch = slow.next().await.unwrap();
        assert!(batch.events.len() <= 3);
        seen.extend(positions(&batch.events));
        assert_eq!(batch.caught_up, batch.position == head);
    }
    assert_eq!(seen, positions(&everything(&*journal).await));
}

async fn wakes_a_waiting_subscriber(journal: Arc<dyn Journal>) {
    let mut subscription = journal.subscribe(Position::START, Filter::default());
    for _ in 0..5 {
        let (batch, done) = tokio::join!(subscription.next(), async {
            tokio::task::yield_now().await;
            journal.append(append(agent(), Expected::NoStream, &["wake up"])).await.unwrap()
        });
        let batch = batch.unwrap();
        assert_eq!((batch.position, batch.caught_up), (done.position, true));
        assert_eq!(positions(&batch.events), [done.position.as_u64()]);
    }
}

async fn loses_nothing_when_waiting_is_given_up(journal: Arc<dyn Journal>) {
    let mut subscription = journal.subscribe(Position::START, Filter::default());
    assert!(tokio::time::timeout(Duration::from_millis(10), subscription.next()).await.is_err());
    journal.append(append(agent(), Expected::NoStream, &["a", "b"])).await.unwrap();
    // Polled at most once and dropped, again and again, until the answer is there at once.
    let mut seen = Vec::new();
    while seen.len() < 2 {
        if let Ok(batch) = tokio::time::timeout(Duration::from_micros(50), subscription.next()).await {
            seen.extend(positions(&batch.unwrap().events));
        }
    }
    assert_eq!(seen, positions(&everything(&*journal).await));
    assert!(tokio::time::timeout(Duration::from_millis(10), subscription.next()).await.is_err());
}
