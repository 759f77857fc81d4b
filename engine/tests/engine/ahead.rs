//! Attempts that budgets count do not wait for each other's commits, and get exactly what is there all the same: over ways to a
//! journal that record in the order in which they were asked, a while later, and fail now and then.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use domain::agent::Profile;
use domain::budget::BudgetScope;
use domain::run::RunStatus;
use domain::workflow::Assignee;
use domain::{Category, CommandId, ErrorKind, StreamId};
use journal::chain::Entry;
use journal::{
    Append, AppendError, Appended, Filter, Journal, MemoryJournal, Page, Position, ReadError, RecordedEvent,
    Subscription, Turn,
};
use proptest::prelude::*;
use providers::{Platform, Simulator};
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::budgets::{COST, MOST, adds_up, budget, gated, model_for};
use crate::world::{Called, World, edit, me, step, worker, workflow};

struct Job {
    append: Append,
    turn: Option<Turn>,
    answer: oneshot::Sender<Result<Appended, AppendError>>,
}

/// How a process records.
#[derive(Debug, Clone)]
pub(crate) struct Hand {
    /// How long it takes before each commit, in tenths of a millisecond, one after the other and from the start again.
    pub(crate) pauses: Vec<u64>,
    /// How many appends go into one commit at most.
    pub(crate) together: usize,
    /// Which appends are counted.
    pub(crate) counts: fn(&Append) -> bool,
    /// Which of its appends that count fail, counted from 1; every second of them without anybody knowing that it did.
    pub(crate) failing: BTreeSet<usize>,
}

impl Hand {
    /// One whose pauses are long enough for others to come.
    fn slow(failing: &[usize]) -> Self {
        Self {
            pauses: vec![50],
            together: usize::MAX,
            counts: touches_purses,
            failing: failing.iter().copied().collect(),
        }
    }

    async fn write(self, records: Arc<MemoryJournal>, mut jobs: mpsc::UnboundedReceiver<Job>, most: Arc<AtomicUsize>) {
        let (mut number, mut failed) = (0, 0);
        let mut pauses = self.pauses.into_iter().cycle();
        while let Some(first) = jobs.recv().await {
            tokio::time::sleep(Duration::from_micros(100 * pauses.next().unwrap())).await;
            let mut batch = vec![first];
            while batch.len() < self.together
                && let Ok(next) = jobs.try_recv()
            {
                batch.push(next);
            }
            let shared = batch.iter().filter(|job| (self.counts)(&job.append)).count();
            most.fetch_max(shared, Ordering::Relaxed);
            for Job { append, turn, answer } in batch {
                let counts = (self.counts)(&append);
                number += usize::from(counts);
                let done = if counts && self.failing.contains(&number) {
                    failed += 1;
                    // With it goes its turn, which says so to those that are based on it.
                    drop(turn);
                    Err(if failed % 2 == 0 {
                        AppendError::Unclear
                    } else {
                        AppendError::Unavailable("for once".into())
                    })
                } else {
                    match turn {
                        Some(turn) => records.append_in_turn(append, turn).await,
                        None => records.append(append).await,
                    }
                };
                // Whoever does not wait any more was stopped.
                let _ = answer.send(done);
            }
        }
    }
}

/// The way of one process to the journal: it records in turn, a while later.
pub(crate) struct InTurn {
    inner: Arc<MemoryJournal>,
    queue: mpsc::UnboundedSender<Job>,
    /// How many appends that count waited together at most.
    pub(crate) together: Arc<AtomicUsize>,
    writer: JoinHandle<()>,
}

impl Drop for InTurn {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

fn touches_purses(append: &Append) -> bool {
    append.streams.iter().any(|part| part.stream.category == Category::Purse)
}

impl InTurn {
    pub(crate) fn new(inner: &Arc<MemoryJournal>, hand: Hand) -> Arc<Self> {
        let together = Arc::default();
        let (queue, jobs) = mpsc::unbounded_channel();
        let writer = tokio::spawn(hand.write(Arc::clone(inner), jobs, Arc::clone(&together)));
        Arc::new(Self { inner: Arc::clone(inner), queue, together, writer })
    }

    async fn put(&self, append: Append, mut turn: Option<Turn>) -> Result<Appended, AppendError> {
        let (answer, answered) = oneshot::channel();
        let held = turn.as_mut().and_then(Turn::take_held);
        self.queue.send(Job { append, turn, answer }).map_err(|_| AppendError::Closed)?;
        drop(held);
        answered.await.unwrap_or(Err(AppendError::Closed))
    }
}

#[async_trait]
impl Journal for InTurn {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.put(append, None).await
    }

    async fn append_in_turn(&self, append: Append, turn: Turn) -> Result<Appended, AppendError> {
        self.put(append, Some(turn)).await
    }

    fn takes_ahead(&self) -> bool {
        self.inner.takes_ahead()
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
        self.inner.subscribe(after, filter)
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

/// Runs that ask for calls, each of which may cost so much, all at once and of as many processes as there are hands; and so much
/// is there. Answers with the ways of the processes to the journal, and what those calls may have cost that were made.
async fn ask(prices: &[u64], limit: u64, hands: Vec<Hand>) -> (Vec<Arc<InTurn>>, Vec<u64>) {
    let inner = Arc::new(MemoryJournal::new());
    let ways: Vec<_> = hands.into_iter().map(|hand| InTurn::new(&inner, hand)).collect();
    let (open, gate) = watch::channel(false);
    let slow = || vec![gated(Simulator::default(), gate.clone())] as Vec<Arc<dyn Platform>>;
    // What is done from outside never fails.
    let mut world = World::upon(Arc::clone(&inner) as Arc<dyn Journal>).await;
    world.commands.set_budget(me(), budget("all", BudgetScope::Organisation, limit)).await.unwrap();
    let key = |price: &u64| format!("for-{price}").parse::<domain::Key>().unwrap();
    for price in prices.iter().collect::<BTreeSet<_>>() {
        let agent = Profile { key: key(price), model: Some(model_for(*price)), ..worker() };
        world.commands.register_agent(me(), agent).await.unwrap();
        let mut once = step("a", &[], "'x'");
        edit(&mut once, |task| task.agent = Assignee::Agent(key(price)));
        world.offer(workflow(vec![once]).called(key(price).as_str())).await;
    }
    world.start_engine_upon(Arc::clone(&ways[0]) as Arc<dyn Journal>, slow());
    let others: Vec<_> =
        ways.iter().skip(1).map(|way| world.second_engine_upon(Arc::clone(way) as Arc<dyn Journal>, slow())).collect();
    let keys: Vec<_> = prices.iter().map(key).collect();
    let runs = futures_util::future::join_all(keys.iter().map(|key| world.start_again(key, json!({})))).await;
    // Nobody answers before everybody has asked, so that nothing comes back meanwhile.
    let asked = async {
        while world.count("run.failed").await + world.count("task.attempt_started").await < prices.len() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asked).await.expect("not everybody was heard within a minute");
    open.send_replace(true);
    let mut made = Vec::new();
    for (run, price) in runs.into_iter().zip(prices) {
        let run = world.finished(run).await;
        match run.status() {
            RunStatus::Completed => made.push(*price),
            _ => assert_eq!(run.error().unwrap().kind, ErrorKind::BudgetExhausted),
        }
    }
    let spent: u64 = made.iter().map(|price| price * COST / MOST).sum();
    assert_eq!(adds_up(&world, limit).await, spent);
    for other in others {
        other.stop().await;
    }
    world.stop_engine().await;
    (ways, made)
}

/// Sixty at once, of which twenty fit.
async fn sixty_of_which_twenty_fit(hands: Vec<Hand>) -> Vec<Arc<InTurn>> {
    let (ways, made) = ask(&[MOST; 60], 20 * MOST, hands).await;
    assert_eq!(made.len(), 20);
    ways
}

#[tokio::test]
async fn they_do_not_wait_for_each_other() {
    let ways = sixty_of_which_twenty_fit(vec![Hand::slow(&[])]).await;
    let together = ways[0].together.load(Ordering::Relaxed);
    assert!(together > 5, "{together} at once");
}

#[tokio::test]
async fn one_that_fails_takes_nothing_with_it() {
    sixty_of_which_twenty_fit(vec![Hand::slow(&[3, 7, 22])]).await;
}

#[tokio::test]
async fn those_of_two_processes_do_not_wait_for_each_other_either() {
    let ways = sixty_of_which_twenty_fit(vec![Hand::slow(&[5]), Hand::slow(&[])]).await;
    let together: Vec<_> = ways.iter().map(|way| way.together.load(Ordering::Relaxed)).collect();
    assert!(together.iter().all(|together| *together > 2), "{together:?} at once");
}

fn hand() -> impl Strategy<Value = Hand> {
    let failing = proptest::collection::btree_set(1..40_usize, 0..4);
    (proptest::collection::vec(0..40_u64, 1..8), 1..12_usize, failing).prop_map(|(pauses, together, failing)| Hand {
        pauses,
        together,
        counts: touches_purses,
        failing,
    })
}

/// What calls may cost, and how much is there for all of them: from less than one needs to more than all do.
fn asked() -> impl Strategy<Value = (Vec<u64>, u64)> {
    let prices = proptest::collection::vec(2..100_u64, 1..4);
    let calls = proptest::collection::vec(any::<prop::sample::Index>(), 2..36);
    (prices, calls, 0..1200_u64).prop_map(|(prices, calls, share)| {
        let prices: Vec<u64> = calls.iter().map(|call| *call.get(&prices)).collect();
        let limit = 1 + prices.iter().sum::<u64>() * share / 1000;
        (prices, limit)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 40, ..ProptestConfig::with_cases(24) })]

    /// However the commits of processes come in between each other, and whichever of them fail: no call is made for which there is
    /// no money, and none is refused for which there is. If all cost the same, these are exactly as many as there is money for.
    #[test]
    fn the_calls_of_processes_get_exactly_what_is_there(
        (prices, limit) in asked(),
        hands in proptest::collection::vec(hand(), 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (_, made) = runtime.block_on(ask(&prices, limit, hands));
        let left = limit.checked_sub(made.iter().sum());
        prop_assert!(left.is_some(), "{made:?} of {limit}");
        let mut refused = prices.clone();
        for price in &made {
            let at = refused.iter().position(|other| other == price).unwrap();
            refused.swap_remove(at);
        }
        prop_assert!(refused.iter().all(|price| Some(*price) > left), "{refused:?} were refused, and {left:?} are left");
        if let [price, others @ ..] = &*prices && others.iter().all(|other| other == price) {
            let fit = usize::try_from(limit / price).unwrap();
            prop_assert_eq!(made.len(), fit.min(prices.len()));
        }
    }
}
