//! A journal that cannot be read any further: what came before is written, also where several pages are gathered first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use domain::{CommandId, StreamId};
use journal::chain::Entry;
use journal::{
    Append, AppendError, Appended, Batch, Filter, Follow, Journal, Page, Position, ReadError, RecordedEvent,
    Subscription,
};
use projections::{Error, Options};

use crate::world::{PATIENCE, Running, World};

/// Why nothing further can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// The next event is damaged.
    Damaged,
    /// The store is lost, for as long as it stays so.
    Lost,
}

/// Whoever follows this journal can read up to a position, page by page, and fails at the page after it.
#[derive(Clone)]
struct Cut {
    inner: Arc<dyn Journal>,
    until: Position,
    why: Why,
    mended: Arc<AtomicBool>,
}

#[async_trait]
impl Follow for Cut {
    async fn next(&self, after: Position, filter: &Filter, limit: usize) -> Result<Batch, ReadError> {
        let mended = self.mended.load(Ordering::Acquire);
        if !mended && after >= self.until {
            return Err(match self.why {
                Why::Damaged => {
                    let position = Position::from_u64(self.until.as_u64() + 1);
                    ReadError::Damaged { position, what: "as the test says".to_owned() }
                }
                Why::Lost => ReadError::Unavailable("as the test says".into()),
            });
        }
        let mut batch = self.inner.subscribe(after, filter.clone()).with_batch(limit).next().await?;
        if !mended && batch.position > self.until {
            batch.events.retain(|event| event.position <= self.until);
            (batch.position, batch.caught_up) = (self.until, false);
        }
        Ok(batch)
    }
}

#[async_trait]
impl Journal for Cut {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.inner.append(append).await
    }

    async fn read_stream(
        &self,
        stream: StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        self.inner.read_stream(stream, from, limit).await
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        self.inner.read_all(after, filter, limit).await
    }

    async fn read_back(&self, before: Option<Position>, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        self.inner.read_back(before, filter, limit).await
    }

    async fn read_entries(&self, after: Position, limit: usize) -> Result<Vec<Entry>, ReadError> {
        self.inner.read_entries(after, limit).await
    }

    fn subscribe(&self, after: Position, filter: Filter) -> Subscription {
        Subscription::new(Arc::new(self.clone()), after, filter)
    }

    async fn head(&self) -> Result<Position, ReadError> {
        self.inner.head().await
    }

    fn seen(&self) -> Position {
        self.inner.seen()
    }

    fn gapless(&self) -> bool {
        self.inner.gapless()
    }

    async fn find_command(&self, command: CommandId) -> Result<Option<Appended>, ReadError> {
        self.inner.find_command(command).await
    }
}

/// How long a page is. Those read models that gather take three pages at once, so for them the page that cannot be read is the
/// first of a round here, the second or the third there.
const PAGES: [usize; 3] = [7, 40, 5000];

/// Every place is written down, so that the rows of checkpoints say exactly how far each read model is.
fn options(batch: usize) -> Options {
    Options { linger: Duration::ZERO, batch, unwritten: 1 }
}

async fn written(running: &Running) -> BTreeMap<String, (u64, String)> {
    let rows = running.queries().checkpoints().await.unwrap();
    rows.into_iter().map(|row| (row.name, (row.position.cast_unsigned(), row.status))).collect()
}

/// Read models that follow a journal which cannot be read to its end.
struct Started {
    world: World,
    cut: Cut,
    /// Where the journal ends.
    end: Position,
    running: Running,
}

async fn start(seed: u64, batch: usize, why: Why) -> Started {
    let world = World::new().await;
    let mut history = world.history(seed);
    history.happen(120).await;
    let cut = Cut { inner: Arc::clone(&world.journal), until: history.position, why, mended: Arc::default() };
    history.happen(40).await;
    let running = world.start_over(Arc::new(cut.clone()), options(batch)).await;
    Started { world, cut, end: history.position, running }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_a_damaged_page_is_written() {
    for (seed, batch) in (130..).zip(PAGES) {
        let Started { world, cut, end, running } = start(seed, batch, Why::Damaged).await;
        let until = cut.until;
        for name in projections::names() {
            let error = running.queries().wait_for_one(name, end, PATIENCE).await.unwrap_err();
            let Error::Poisoned { projector, position, .. } = &error else { panic!("{error:?}") };
            assert_eq!((*projector, position.as_u64()), (name, until.as_u64() + 1), "pages of {batch}");
            let (reached, status) = written(&running).await.remove(name).unwrap();
            assert_eq!((reached, status.as_str()), (until.as_u64(), "poisoned"), "{name}, pages of {batch}");
        }
        // Once the page can be read, it goes on where it stood.
        cut.mended.store(true, Ordering::Release);
        for name in projections::names() {
            running.handle.resume(name).unwrap();
        }
        for name in projections::names() {
            until_reached(&running, name, end).await;
        }
        running.stop().await;
        world.assert_equal().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_the_store_was_lost_is_written() {
    for (seed, batch) in (140..).zip(PAGES) {
        let Started { world, cut, end, running } = start(seed, batch, Why::Lost).await;
        let until = cut.until;
        for name in projections::names() {
            let waited = running.queries().wait_for_one(name, until, PATIENCE).await;
            assert!(waited.is_ok(), "{name}, pages of {batch}: {waited:?}");
            assert_eq!(written(&running).await[name], (until.as_u64(), "running".to_owned()), "pages of {batch}");
        }
        cut.mended.store(true, Ordering::Release);
        for name in projections::names() {
            running.queries().wait_for_one(name, end, PATIENCE).await.unwrap();
        }
        running.stop().await;
        world.assert_equal().await;
    }
}

/// Waits for one that was stopped a moment ago and may still say so.
async fn until_reached(running: &Running, name: &str, position: Position) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match running.queries().wait_for_one(name, position, PATIENCE).await {
            Ok(()) => return,
            Err(Error::Poisoned { .. }) if tokio::time::Instant::now() < deadline => tokio::task::yield_now().await,
            Err(error) => panic!("{name}: {error:?}"),
        }
    }
}
