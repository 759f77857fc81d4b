//! States of many streams that are loaded together are those that are loaded one by one.

use std::sync::Arc;

use domain::{Agent, StreamId};
use journal::{Executor, Expected, Loaded, Several};

use crate::backend;
use crate::sample::{agent, append};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_are_loaded_together_as_one_by_one() {
    for opened in [backend::memory().await, backend::postgres().await, backend::postgres_small().await] {
        let journal = Arc::clone(&opened.journal);
        // More than one answer holds, one that is longer than is read together, and one that is not there.
        let mut streams: Vec<StreamId> = (0..25).map(|_| agent()).collect();
        for (number, stream) in streams.iter().enumerate() {
            let texts = vec!["text"; if number == 3 { 1_200 } else { 850 + number }];
            for (at, texts) in texts.chunks(500).enumerate() {
                let expected = at.checked_sub(1).map_or(Expected::NoStream, |_| Expected::Exact(at as u64 * 500 - 1));
                journal.append(append(*stream, expected, texts)).await.unwrap();
            }
        }
        streams.push(agent());
        let wanted: Vec<(StreamId, u64)> = streams.iter().map(|stream| (*stream, 0)).collect();
        let Several { events, streams: read } = journal.read_each(&wanted, 1_000).await.unwrap();
        assert!(events.len() >= 20_000 && (1..=streams.len()).contains(&read), "{read} streams");
        let executor = Executor::new(Arc::clone(&journal));
        let mut known: Vec<(StreamId, Loaded<Agent>)> =
            streams.iter().map(|stream| (*stream, Loaded::default())).collect();
        same(&executor, &mut known).await;
        // Then what came since.
        for stream in [streams[0], streams[3], streams[25]] {
            journal.append(append(stream, Expected::Any, &["later"])).await.unwrap();
        }
        same(&executor, &mut known).await;
        assert_eq!(known[25].1.revision, Some(0));
    }
}

async fn same(executor: &Executor, known: &mut [(StreamId, Loaded<Agent>)]) {
    executor.catch_up_all(known).await.unwrap();
    for (stream, loaded) in known {
        let alone = executor.load::<Agent>(*stream).await.unwrap();
        assert_eq!((&loaded.state, loaded.revision), (&alone.state, alone.revision), "{stream}");
    }
}
