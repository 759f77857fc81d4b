//! What one append brings to one stream lies in one row; whoever reads does not notice, wherever reading begins or ends.
//!
//! The journal in memory says what is right.

use domain::{AgentEvent, Category, Event, StreamId};
use journal::chain::Entry;
use journal::{Append, Expected, Filter, Journal, MemoryJournal, Position, RecordedEvent, StreamAppend};
use proptest::prelude::*;
use testkit::Database;

use crate::backend::Node;
use crate::sample::{agent, event, parts, remembered, task};

/// The same appends in both, and nothing but the newest event in the other one's memory.
struct Both {
    memory: MemoryJournal,
    node: Node,
    _database: Database,
    streams: Vec<StreamId>,
}

impl Both {
    async fn new() -> Self {
        let database = Database::create().await;
        let node = Node::open_with(database.url(), |options| {
            options.tail_events = 1;
            options.heads = std::num::NonZeroUsize::MIN;
        })
        .await;
        // The last one never gets an event.
        let streams = vec![agent(), task(), agent(), task()];
        Self { memory: MemoryJournal::new(), node, _database: database, streams }
    }

    async fn append(&self, append: Append) {
        let one = self.memory.append(append.clone()).await.unwrap();
        assert_eq!(self.node.journal.append(append).await.unwrap(), one);
    }

    /// So many events to each of some streams.
    async fn bring(&self, counts: &[(usize, usize)], remember: bool) {
        let part = |(index, count): &(usize, usize)| {
            let stream = self.streams[*index];
            let made = |number: usize| match (stream.category, number % 3) {
                // Types of an event that alternate within a part.
                (Category::Agent, 1) => Event::Agent(AgentEvent::Enabled),
                _ => event(stream, &"text ".repeat(number)),
            };
            StreamAppend { stream, expected: Expected::Any, events: (0..*count).map(made).collect() }
        };
        let append = parts(counts.iter().map(part).collect());
        self.append(if remember { remembered(append) } else { append }).await;
    }

    /// Forwards, page by page to the end; each page is the same.
    async fn read_on(&self, after: u64, filter: &Filter, limit: usize) {
        let mut after = Position::from_u64(after);
        loop {
            let right = self.memory.read_all(after, filter, limit).await.unwrap();
            let page = self.node.journal.read_all(after, filter, limit).await.unwrap();
            same(&page.events, &right.events);
            assert_eq!(page.position, right.position, "after {after}, {filter:?}, {limit}");
            if page.position == after {
                return;
            }
            after = page.position;
        }
    }

    /// Backwards, page by page to the start; pages may reach back less far than the other's.
    async fn read_back(&self, before: Option<u64>, filter: &Filter, limit: usize) {
        let mut at = before.map(Position::from_u64);
        let right = self.memory.read_back(at, filter, usize::MAX).await.unwrap();
        let mut found = Vec::new();
        while at != Some(Position::START) {
            let page = self.node.journal.read_back(at, filter, limit).await.unwrap();
            assert!(page.events.len() <= limit);
            assert!(page.events.iter().all(|event| event.position >= page.position));
            found.extend(page.events);
            at = Some(page.position);
        }
        same(&found, &right.events);
    }

    async fn read_stream(&self, index: usize, from: u64, limit: usize) {
        let stream = self.streams[index];
        let right = self.memory.read_stream(stream, from, limit).await.unwrap();
        same(&self.node.journal.read_stream(stream, from, limit).await.unwrap(), &right);
    }

    async fn read_streams(&self, indices: &[usize], until: u64, limit: usize) {
        let streams: Vec<StreamId> = indices.iter().map(|index| self.streams[*index]).collect();
        let until = Position::from_u64(until);
        let right = self.memory.read_streams(&streams, until, limit).await.unwrap();
        let found = self.node.journal.read_streams(&streams, until, limit).await.unwrap();
        assert_eq!(found.is_some(), right.is_some(), "{indices:?} until {until}, {limit}");
        same(&found.unwrap_or_default(), &right.unwrap_or_default());
    }

    async fn read_each(&self, wanted: &[(usize, u64)], each: usize) {
        let wanted: Vec<(StreamId, u64)> = wanted.iter().map(|(index, from)| (self.streams[*index], *from)).collect();
        let right = self.memory.read_each(&wanted, each).await.unwrap();
        let found = self.node.journal.read_each(&wanted, each).await.unwrap();
        assert_eq!(found.streams, right.streams);
        same(&found.events, &right.events);
    }

    async fn read_entries(&self, after: u64, limit: usize) {
        let after = Position::from_u64(after);
        let right = self.memory.read_entries(after, limit).await.unwrap();
        let found = self.node.journal.read_entries(after, limit).await.unwrap();
        // Only a store remembers commands with their events.
        let found: Vec<Entry> = found.into_iter().map(|entry| Entry { command: None, ..entry }).collect();
        assert_eq!(found, right);
    }

    fn filters(&self) -> Vec<Filter> {
        let types = |types: &[&str]| types.iter().map(|name| (*name).to_owned()).collect();
        let mut filters = vec![
            Filter::default(),
            Filter::categories([Category::Agent]),
            Filter::categories([Category::Run]),
            Filter { types: types(&["agent.enabled"]), ..Filter::default() },
            Filter { types: types(&["agent.enabled", "task.cancelled"]), ..Filter::categories([Category::Task]) },
            Filter { types: types(&["agent.enable"]), ..Filter::default() },
        ];
        for stream in &self.streams {
            filters.push(Filter { stream: Some(*stream), ..Filter::default() });
            filters.push(Filter { stream: Some(*stream), types: types(&["agent.enabled"]), ..Filter::default() });
            filters.push(Filter { stream: Some(*stream), ..Filter::categories([Category::Agent]) });
        }
        filters
    }

    async fn end(self) {
        crate::conformance::is_sound(&self.node.journal).await;
        self.node.stop().await;
    }
}

fn same(found: &[std::sync::Arc<RecordedEvent>], right: &[std::sync::Arc<RecordedEvent>]) {
    let entries = |events: &[std::sync::Arc<RecordedEvent>]| -> Vec<Entry> {
        events.iter().map(|event| Entry::from(event.as_ref())).collect()
    };
    assert_eq!(entries(found), entries(right));
    for (found, right) in found.iter().zip(right) {
        assert_eq!(found.metadata, right.metadata);
        assert_eq!(found.event().unwrap(), right.event().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_begins_and_ends_anywhere_within_a_part() {
    let both = Both::new().await;
    both.bring(&[(0, 4), (1, 3)], true).await;
    both.bring(&[(0, 1)], false).await;
    both.bring(&[(2, 2), (0, 5)], true).await;
    let head = 15;
    for limit in [1, 3, 100] {
        for filter in both.filters() {
            for position in 0..=head + 2 {
                both.read_on(position, &filter, limit).await;
                both.read_back(Some(position), &filter, limit).await;
            }
            both.read_back(None, &filter, limit).await;
        }
        for from in 0..=11 {
            for index in 0..both.streams.len() {
                both.read_stream(index, from, limit).await;
            }
            both.read_each(&[(0, from), (3, 0), (1, from), (2, 1)], limit).await;
        }
        for position in 0..=head + 1 {
            both.read_entries(position, limit).await;
        }
    }
    for until in 0..=head + 1 {
        for limit in 0..=15 {
            both.read_streams(&[0, 1, 3], until, limit).await;
        }
    }
    both.end().await;
}

/// Two appends to one stream stay two rows, also where they share a batch, so that each is found when its outcome is unclear.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_append_has_rows_of_its_own() {
    let database = Database::create().await;
    let node = Node::open(database.url()).await;
    let stream = agent();
    // The same envelope, twice.
    let wish = parts(vec![crate::sample::part(stream, Expected::Any, &["a", "b"])]);
    let (one, two) = tokio::join!(node.journal.append(wish.clone()), node.journal.append(wish));
    one.and(two).unwrap();
    let rows: Vec<(i64, i64, i32)> =
        sqlx::query_as("SELECT position, revision, events FROM journal.parts ORDER BY position")
            .fetch_all(database.pool())
            .await
            .unwrap();
    assert_eq!(rows, [(2, 0, 2), (4, 2, 2)]);
    node.stop().await;
}

#[derive(Debug, Clone)]
enum Read {
    On { after: u64, filter: usize, limit: usize },
    Back { before: u64, filter: usize, limit: usize },
    Stream { index: usize, from: u64, limit: usize },
    Streams { until: u64, limit: usize },
    Each { wanted: Vec<(usize, u64)>, each: usize },
    Entries { after: u64, limit: usize },
}

fn appends() -> impl Strategy<Value = Vec<(Vec<(usize, usize)>, bool)>> {
    let streams = proptest::sample::subsequence(vec![0, 1, 2], 1..=3).prop_shuffle();
    let counts = proptest::collection::vec(1..=40_usize, 3);
    let append = (streams, counts, any::<bool>())
        .prop_map(|(streams, counts, remember)| (streams.into_iter().zip(counts).collect(), remember));
    proptest::collection::vec(append, 1..12)
}

fn reads() -> impl Strategy<Value = Vec<Read>> {
    let (at, limit, revision) = (0..700_u64, 1..120_usize, 0..250_u64);
    let wanted = proptest::collection::vec((0..4_usize, revision.clone()), 1..6);
    let read = prop_oneof![
        3 => (at.clone(), 0..18_usize, limit.clone()).prop_map(|(after, filter, limit)| Read::On { after, filter, limit }),
        3 => (at.clone(), 0..18_usize, limit.clone()).prop_map(|(before, filter, limit)| Read::Back { before, filter, limit }),
        2 => (0..4_usize, revision, limit.clone()).prop_map(|(index, from, limit)| Read::Stream { index, from, limit }),
        2 => (at.clone(), 1..500_usize).prop_map(|(until, limit)| Read::Streams { until, limit }),
        2 => (wanted, limit.clone()).prop_map(|(wanted, each)| Read::Each { wanted, each }),
        1 => (at, limit).prop_map(|(after, limit)| Read::Entries { after, limit }),
    ];
    proptest::collection::vec(read, 40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_read_is_as_in_memory(appends in appends(), reads in reads()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let both = Both::new().await;
            for (counts, remember) in &appends {
                both.bring(counts, *remember).await;
            }
            let filters = both.filters();
            for read in &reads {
                match read {
                    Read::On { after, filter, limit } => both.read_on(*after, &filters[*filter], *limit).await,
                    Read::Back { before, filter, limit } => {
                        both.read_back(Some(*before), &filters[*filter], *limit).await;
                    }
                    Read::Stream { index, from, limit } => both.read_stream(*index, *from, *limit).await,
                    Read::Streams { until, limit } => both.read_streams(&[2, 0, 3, 1], *until, *limit).await,
                    Read::Each { wanted, each } => both.read_each(wanted, *each).await,
                    Read::Entries { after, limit } => both.read_entries(*after, *limit).await,
                }
            }
            both.end().await;
        });
    }
}
