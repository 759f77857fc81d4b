//! Attempts that budgets count do not wait for each other's commits, and get exactly what is there all the same: over a journal
//! that records in the order in which it was asked, a while later, and fails now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use domain::budget::BudgetScope;
use domain::run::RunStatus;
use domain::{Category, CommandId, StreamId};
use journal::chain::Entry;
use journal::{
    Append, AppendError, Appended, Filter, Journal, MemoryJournal, Page, Position, ReadError, RecordedEvent,
    Subscription, Turn,
};
use providers::{Platform, Simulator};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::budgets::{COST, MOST, adds_up, budget, gated, start};
use crate::world::{World, me, step, workflow};

struct Job {
    append: Append,
    answer: oneshot::Sender<Result<Appended, AppendError>>,
}

/// Records in turn.
struct InTurn {
    inner: Arc<MemoryJournal>,
    queue: mpsc::UnboundedSender<Job>,
    /// How many appends with purses waited together at most.
    together: Arc<AtomicUsize>,
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
    /// Fails the appends with purses of these numbers, counted from 1.
    fn failing(numbers: &'static [usize]) -> Arc<Self> {
        let (inner, together) = (Arc::new(MemoryJournal::new()), Arc::new(AtomicUsize::new(0)));
        let (queue, mut jobs) = mpsc::unbounded_channel::<Job>();
        let (records, most) = (Arc::clone(&inner), Arc::clone(&together));
        let writer = tokio::spawn(async move {
            let mut number = 0;
            while let Some(first) = jobs.recv().await {
                // Long enough for others to come.
                tokio::time::sleep(Duration::from_millis(5)).await;
                let mut batch = vec![first];
                while let Ok(next) = jobs.try_recv() {
                    batch.push(next);
                }
                let shared = batch.iter().filter(|job| touches_purses(&job.append)).count();
                most.fetch_max(shared, Ordering::Relaxed);
                for Job { append, answer } in batch {
                    number += usize::from(touches_purses(&append));
                    let fails = touches_purses(&append) && numbers.contains(&number);
                    let done = if fails {
                        Err(AppendError::Unavailable("for once".into()))
                    } else {
                        records.append(append).await
                    };
                    // Whoever does not wait any more was stopped.
                    let _ = answer.send(done);
                }
            }
        });
        Arc::new(Self { inner, queue, together, writer })
    }

    async fn put(&self, append: Append, turn: Option<Turn>) -> Result<Appended, AppendError> {
        let (answer, answered) = oneshot::channel();
        self.queue.send(Job { append, answer }).map_err(|_| AppendError::Closed)?;
        drop(turn);
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

/// Sixty runs at once, of which twenty fit; answers with the journal.
async fn sixty_of_which_twenty_fit(failing: &'static [usize], processes: usize) -> Arc<InTurn> {
    const FIT: u64 = 20;
    let journal = InTurn::failing(failing);
    let (open, gate) = watch::channel(false);
    let slow = || gated(Simulator::default(), gate.clone());
    let mut world = World::upon(Arc::clone(&journal) as Arc<dyn Journal>).await;
    world.commands.set_budget(me(), budget("all", BudgetScope::Organisation, FIT * MOST)).await.unwrap();
    world.offer(workflow(vec![step("a", &[], "'x'")])).await;
    world.start_engine_on(vec![slow()], Default::default());
    let second = (processes > 1).then(|| world.second_engine(vec![slow()] as Vec<Arc<dyn Platform>>));
    let runs = futures_util::future::join_all((0..60).map(|_| start(&world))).await;
    // Nobody answers before everybody has asked.
    while world.count("run.failed").await < 40 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.count("purse.reserved").await, 20);
    open.send_replace(true);
    let mut completed = 0;
    for run in runs {
        completed += u64::from(world.finished(run).await.status() == RunStatus::Completed);
    }
    assert_eq!(completed, FIT);
    assert_eq!(adds_up(&world, FIT * MOST).await, FIT * COST);
    if let Some(second) = second {
        second.stop().await;
    }
    world.stop_engine().await;
    journal
}

#[tokio::test]
async fn they_do_not_wait_for_each_other() {
    let journal = sixty_of_which_twenty_fit(&[], 1).await;
    let together = journal.together.load(Ordering::Relaxed);
    assert!(together > 5, "{together} at once");
}

#[tokio::test]
async fn one_that_fails_takes_nothing_with_it() {
    sixty_of_which_twenty_fit(&[3, 7, 22], 1).await;
}

#[tokio::test]
async fn two_processes_get_exactly_what_is_there() {
    sixty_of_which_twenty_fit(&[5], 2).await;
}
