//! Snapshots: what they spare, and that nothing depends on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use domain::{Agent, CommandId, StreamId};
use journal::chain::Entry;
use journal::postgres::PostgresSnapshots;
use journal::{
    Append, AppendError, Appended, Executor, Expected, Filter, Hash, Journal, MemoryJournal, MemorySnapshots, Page,
    Position, ReadError, RecordedEvent, SnapshotReport, Snapshots, Subscription, verify_snapshots,
};
use testkit::Database;

use crate::sample;

/// A journal that counts the events that are read of streams.
struct Counted {
    journal: MemoryJournal,
    read: AtomicUsize,
}

#[async_trait]
impl Journal for Counted {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.journal.append(append).await
    }

    async fn read_stream(
        &self,
        stream: StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        let events = self.journal.read_stream(stream, from, limit).await?;
        self.read.fetch_add(events.len(), Ordering::Relaxed);
        Ok(events)
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        self.journal.read_all(after, filter, limit).await
    }

    async fn read_back(&self, before: Option<Position>, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        self.journal.read_back(before, filter, limit).await
    }

    async fn read_entries(&self, after: Position, limit: usize) -> Result<Vec<Entry>, ReadError> {
        self.journal.read_entries(after, limit).await
    }

    fn subscribe(&self, after: Position, filter: Filter) -> Subscription {
        self.journal.subscribe(after, filter)
    }

    async fn head(&self) -> Result<Position, ReadError> {
        self.journal.head().await
    }

    fn seen(&self) -> Position {
        self.journal.seen()
    }

    fn gapless(&self) -> bool {
        self.journal.gapless()
    }

    async fn find_command(&self, command: CommandId) -> Result<Option<Appended>, ReadError> {
        self.journal.find_command(command).await
    }
}

struct World {
    journal: Arc<Counted>,
    snapshots: Arc<dyn Snapshots>,
    stream: StreamId,
}

impl World {
    async fn new(snapshots: Arc<dyn Snapshots>, events: usize) -> Self {
        let journal = Arc::new(Counted { journal: MemoryJournal::new(), read: AtomicUsize::new(0) });
        let world = Self { journal, snapshots, stream: sample::agent() };
        world.record(0, events).await;
        world
    }

    async fn record(&self, from: usize, to: usize) {
        let mut next = from;
        while next < to {
            let texts: Vec<String> = (next..to.min(next + 500)).map(|number| number.to_string()).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let expected = next.checked_sub(1).map_or(Expected::NoStream, |last| Expected::Exact(last as u64));
            self.journal.append(sample::append(self.stream, expected, &texts)).await.unwrap();
            next += texts.len();
        }
    }

    /// A new process loads the stream: its state, and how many events it read for that.
    async fn load(&self) -> (Agent, u64, usize) {
        let executor = self.executor().with_snapshots(Arc::clone(&self.snapshots));
        let before = self.journal.read.load(Ordering::Relaxed);
        let loaded = executor.load::<Agent>(self.stream).await.unwrap();
        let read = self.journal.read.load(Ordering::Relaxed) - before;
        (Arc::unwrap_or_clone(loaded.state), loaded.revision.unwrap(), read)
    }

    fn executor(&self) -> Executor {
        Executor::new(Arc::clone(&self.journal) as Arc<dyn Journal>)
    }

    /// From the first event on, without any snapshot.
    async fn folded(&self) -> Agent {
        Arc::unwrap_or_clone(self.executor().load::<Agent>(self.stream).await.unwrap().state)
    }

    async fn report(&self) -> SnapshotReport {
        verify_snapshots(&self.executor(), &*self.snapshots).await.unwrap()
    }
}

async fn spares_reading(snapshots: Arc<dyn Snapshots>) {
    let world = World::new(snapshots, 6_000).await;
    assert_eq!(world.load().await.2, 6_000);
    world.record(6_000, 6_700).await;
    let (state, revision, read) = world.load().await;
    assert_eq!((state, revision), (world.folded().await, 6_699));
    assert!(read < 2_000, "the first page, the last event of the snapshot and what came after it: {read}");
    assert_eq!(world.report().await, SnapshotReport { sound: 1, ..SnapshotReport::default() });

    // What is far behind is renewed.
    world.record(6_700, 12_000).await;
    world.load().await;
    let (state, _, read) = world.load().await;
    assert_eq!(state, world.folded().await);
    assert!(read < 2_000, "{read}");
}

#[tokio::test]
async fn they_spare_reading_in_memory() {
    spares_reading(Arc::new(MemorySnapshots::default())).await;
}

#[tokio::test]
async fn they_spare_reading_in_postgresql() {
    let database = Database::create().await;
    let snapshots = Arc::new(PostgresSnapshots::new(database.pool().clone()));
    spares_reading(Arc::clone(&snapshots) as _).await;
    assert_eq!(snapshots.streams().await.unwrap().len(), 1);
    snapshots.forget().await.unwrap();
    assert_eq!(snapshots.streams().await.unwrap(), []);
}

#[tokio::test]
async fn a_short_stream_has_none() {
    let world = World::new(Arc::new(MemorySnapshots::default()), 1_500).await;
    world.load().await;
    assert_eq!(world.report().await, SnapshotReport::default());
}

#[tokio::test]
async fn nothing_but_time_depends_on_them() {
    // Other rules, another event, another state, no state at all: whatever is wrong, the events are folded.
    for damage in 0..4 {
        let world = World::new(Arc::new(MemorySnapshots::default()), 6_000).await;
        world.load().await;
        let mut snapshot = world.snapshots.load(world.stream).await.unwrap().unwrap();
        match damage {
            0 => snapshot.schema = "other".to_owned(),
            1 => snapshot.hash = Hash::ZERO,
            2 => snapshot.state.push(b' '),
            _ => snapshot.state.clear(),
        }
        let damaged = MemorySnapshots::default();
        damaged.save(world.stream, snapshot).await.unwrap();
        let world = World { snapshots: Arc::new(damaged), ..world };
        assert_eq!(world.report().await, SnapshotReport { unused: 1, ..SnapshotReport::default() }, "{damage}");
        let (state, revision, _) = world.load().await;
        assert_eq!((state, revision), (world.folded().await, 5_999), "{damage}");
    }
}

#[tokio::test]
async fn a_journal_that_was_restored_to_an_older_state_does_not_get_a_newer_one() {
    let world = World::new(Arc::new(MemorySnapshots::default()), 6_000).await;
    world.load().await;
    let older = World { snapshots: Arc::clone(&world.snapshots), ..World::new(Arc::clone(&world.snapshots), 0).await };
    let older = World { stream: world.stream, ..older };
    older.record(0, 5_500).await;
    let (state, revision, _) = older.load().await;
    assert_eq!((state, revision), (older.folded().await, 5_499));
}
