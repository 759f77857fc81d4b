//! The journal that all simulated processes share, and the line over which each of them reaches it.
//!
//! Invariants: the line breaks nothing that the port promises. After any error but `Unclear` nothing is recorded; what
//! is recorded is recorded whole; a read sees everything that was recorded before it was asked; a subscription brings
//! each event once and in order. Everything that is recorded is shown to the checker at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use commands::{SeededSurroundings, Surroundings};
use domain::{CommandId, NodeId, StreamId};
use journal::chain::Entry;
use journal::{
    Append, AppendError, Appended, Batch, Checkpoint, Checkpoints, Filter, Follow, Journal, MemoryCheckpoints,
    MemoryJournal, Page, Position, ReadError, RecordedEvent, Subscription, Turn,
};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use crate::check::Checker;
use crate::condition::Condition;
use crate::dice::Dice;
use crate::kind::Kind;
use crate::trace::Trace;
use crate::weather::Weather;

/// What a line asks of whoever runs the processes.
#[derive(Debug)]
pub(crate) enum Order {
    /// The process dies now.
    Crash(NodeId),
    /// The process has ended by itself.
    Ended(NodeId),
}

/// The journal, and everything that must know of it.
pub(crate) struct Store {
    pub(crate) journal: MemoryJournal,
    pub(crate) checkpoints: MemoryCheckpoints,
    grown: Notify,
    pub(crate) checker: Mutex<Checker>,
    pub(crate) trace: Trace,
    pub(crate) weather: Weather,
    pub(crate) clock: SeededSurroundings,
    pub(crate) dice: Dice,
    pub(crate) orders: mpsc::UnboundedSender<Order>,
    /// Whether calls cost something, and there are budgets.
    pub(crate) budgeted: bool,
    /// Whether one platform answers out of itself, often at once.
    pub(crate) self_contained: bool,
}

impl Store {
    pub(crate) fn new(
        checker: Checker,
        trace: Trace,
        clock: SeededSurroundings,
        dice: Dice,
        kind: Kind,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Order>) {
        let (orders, received) = mpsc::unbounded_channel();
        let store = Self {
            journal: MemoryJournal::new(),
            checkpoints: MemoryCheckpoints::default(),
            grown: Notify::new(),
            checker: Mutex::new(checker),
            trace,
            weather: Weather::clear(),
            clock,
            dice,
            orders,
            budgeted: kind == Kind::Budgeted,
            self_contained: kind == Kind::SelfContained,
        };
        (Arc::new(store), received)
    }

    /// Records, and shows what was recorded to the checker.
    async fn record(
        &self,
        who: &str,
        node: Option<NodeId>,
        append: Append,
        turn: Option<Turn>,
    ) -> Result<Appended, AppendError> {
        let before = self.journal.seen();
        let done = match turn {
            Some(turn) => self.journal.append_in_turn(append, turn).await,
            None => self.journal.append(append).await,
        };
        match &done {
            Ok(done) if !done.repeated => {
                if let Ok(page) = self.journal.read_all(before, &Filter::default(), usize::MAX).await {
                    self.show(who, node, &page.events);
                }
                self.grown.notify_waiters();
            }
            Ok(_) => self.trace.note(who, || "repeats a command and gets the first answer".to_owned()),
            Err(error) => self.trace.note(who, || format!("is refused: {error}")),
        }
        done
    }

    fn show(&self, who: &str, node: Option<NodeId>, events: &[Arc<RecordedEvent>]) {
        for event in events {
            self.trace.note(who, || {
                let what = event.event().map_or_else(|error| error.to_string(), |event| brief(&format!("{event:?}")));
                format!("{} {} {}@{}: {what}", event.position, event.event_type, event.stream, event.revision)
            });
        }
        let found = self.checker.lock().take_in(node, self.clock.now(), events);
        for violation in found {
            self.trace.note("CHECK", || violation.clone());
        }
    }
}

/// A line of a trace is read by people.
fn brief(text: &str) -> String {
    const MOST: usize = 700;
    if text.chars().count() <= MOST { text.to_owned() } else { text.chars().take(MOST).chain(['…']).collect() }
}

/// How one process reaches the journal, and its checkpoints.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) store: Arc<Store>,
    pub(crate) who: Arc<str>,
    /// `None` for what stands outside of all nodes and never fails.
    pub(crate) node: Option<NodeId>,
    pub(crate) condition: Arc<Condition>,
    /// Whether checkpoints are forgotten.
    pub(crate) forgetful: bool,
    seen: Arc<AtomicU64>,
    /// The newest append that others may be based on before it is recorded; closed when it has come to something. What is asked
    /// for later is recorded later.
    ahead: Arc<Mutex<Option<Passed>>>,
}

type Passed = watch::Receiver<()>;

/// Waits until an append has come to something.
async fn passed(ahead: Option<Passed>) {
    if let Some(mut ahead) = ahead {
        // Nothing is ever sent: it ends with its sender.
        let _ = ahead.changed().await;
    }
}

impl Line {
    pub(crate) fn of_node(store: &Arc<Store>, who: &str, node: NodeId, forgetful: bool) -> Self {
        Self { node: Some(node), forgetful, ..Self::outside(store, who) }
    }

    /// A line that never fails.
    pub(crate) fn outside(store: &Arc<Store>, who: &str) -> Self {
        Self {
            store: Arc::clone(store),
            who: who.into(),
            node: None,
            condition: Arc::new(Condition::new()),
            forgetful: false,
            seen: Arc::default(),
            ahead: Arc::default(),
        }
    }

    fn is_outside(&self) -> bool {
        self.node.is_none()
    }

    /// One way between the process and the journal; whether it was made.
    async fn travel(&self) -> bool {
        if self.is_outside() {
            return true;
        }
        let dice = &self.store.dice;
        let pause = if dice.permille(self.store.weather.now().slow) {
            dice.millis(20, 3000)
        } else {
            // Half of all ways take no time at all.
            Duration::from_millis(dice.between(0, 5).saturating_sub(2))
        };
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        self.condition.reaches().await
    }

    async fn die(&self, when: &str) {
        self.store.trace.note(&self.who, || format!("dies {when} an append"));
        if let Some(node) = self.node {
            // Whoever runs the processes is there as long as they are.
            let _ = self.store.orders.send(Order::Crash(node));
        }
        std::future::pending::<()>().await;
    }

    /// What every read goes through.
    async fn read<T>(&self, read: impl Future<Output = Result<T, ReadError>> + Send) -> Result<T, ReadError> {
        let there = self.travel().await;
        if !there || (!self.is_outside() && self.store.dice.permille(self.store.weather.now().unreadable)) {
            self.store.trace.note(&self.who, || "cannot read".to_owned());
            return Err(ReadError::Unavailable(failure()));
        }
        let found = read.await;
        self.look();
        if self.travel().await { found } else { Err(ReadError::Unavailable(failure())) }
    }

    /// Sends an append over the line. Those that wait behind it go on as soon as it has come to something, which is before its
    /// answer is back.
    async fn send(
        &self,
        append: Append,
        turn: Option<Turn>,
        open: Option<watch::Sender<()>>,
    ) -> Result<Appended, AppendError> {
        let (store, rates) = (&self.store, self.store.weather.now());
        if self.is_outside() {
            return store.record(&self.who, self.node, append, turn).await;
        }
        if !self.travel().await || store.dice.permille(rates.unavailable) {
            store.trace.note(&self.who, || "cannot append".to_owned());
            return Err(AppendError::Unavailable(failure()));
        }
        if store.dice.permille(rates.deadly) {
            self.die("before").await;
        }
        if store.dice.permille(rates.unclear) {
            let recorded = store.dice.permille(500);
            store.trace.note(&self.who, || format!("is not told about its append; recorded: {recorded}"));
            if recorded {
                // Whatever came of it, the caller is not told.
                let _ = store.record(&self.who, self.node, append, turn).await;
            }
            return Err(AppendError::Unclear);
        }
        let done = store.record(&self.who, self.node, append, turn).await;
        drop(open);
        if done.is_ok() && store.dice.permille(rates.deadly) {
            self.die("after").await;
        }
        self.look();
        // The connection may break on the way back.
        if self.travel().await { done } else { Err(AppendError::Unclear) }
    }

    fn look(&self) {
        self.seen.fetch_max(self.store.journal.seen().as_u64(), Ordering::Relaxed);
    }
}

fn failure() -> Box<dyn std::error::Error + Send + Sync> {
    "the simulated journal failed".into()
}

#[async_trait]
impl Journal for Line {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let ahead = self.ahead.lock().clone();
        passed(ahead).await;
        self.send(append, None, None).await
    }

    async fn append_in_turn(&self, append: Append, mut turn: Turn) -> Result<Appended, AppendError> {
        let (open, next) = watch::channel(());
        let ahead = self.ahead.lock().replace(next);
        // Its place is fixed.
        drop(turn.take_held());
        passed(ahead).await;
        self.send(append, Some(turn), Some(open)).await
    }

    fn takes_ahead(&self) -> bool {
        true
    }

    async fn read_stream(
        &self,
        stream: StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        self.read(self.store.journal.read_stream(stream, from, limit)).await
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        self.read(self.store.journal.read_all(after, filter, limit)).await
    }

    async fn read_back(&self, before: Option<Position>, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        self.read(self.store.journal.read_back(before, filter, limit)).await
    }

    async fn read_entries(&self, after: Position, limit: usize) -> Result<Vec<Entry>, ReadError> {
        self.read(self.store.journal.read_entries(after, limit)).await
    }

    fn subscribe(&self, after: Position, filter: Filter) -> Subscription {
        let follower = Follower { line: self.clone(), due: Mutex::default() };
        Subscription::new(Arc::new(follower), after, filter)
    }

    async fn head(&self) -> Result<Position, ReadError> {
        self.read(self.store.journal.head()).await
    }

    fn seen(&self) -> Position {
        Position::from_u64(self.seen.load(Ordering::Relaxed))
    }

    fn gapless(&self) -> bool {
        true
    }

    async fn find_command(&self, command: CommandId) -> Result<Option<Appended>, ReadError> {
        self.read(self.store.journal.find_command(command)).await
    }
}

/// A subscription that comes late, in small pieces, and sometimes breaks.
struct Follower {
    line: Line,
    /// When the next batch comes. Kept here because who waits for it may stop and begin again.
    due: Mutex<Option<Instant>>,
}

impl Follower {
    fn due(&self) -> Instant {
        let (dice, rates) = (&self.line.store.dice, self.line.store.weather.now());
        *self.due.lock().get_or_insert_with(|| {
            let pause = match dice.permille(rates.lagging) {
                true => dice.millis(100, 6000),
                false => dice.millis(0, 20),
            };
            Instant::now() + pause
        })
    }
}

#[async_trait]
impl Follow for Follower {
    async fn next(&self, after: Position, filter: &Filter, limit: usize) -> Result<Batch, ReadError> {
        let store = &self.line.store;
        loop {
            let grown = store.grown.notified();
            if store.journal.seen() > after {
                break;
            }
            grown.await;
        }
        tokio::time::sleep_until(self.due()).await;
        let there = self.line.condition.reaches().await;
        *self.due.lock() = None;
        if !there || store.dice.permille(store.weather.now().unreadable) {
            return Err(ReadError::Unavailable(failure()));
        }
        let most = usize::try_from(store.dice.between(1, 40)).unwrap_or(1).min(limit);
        let mut page = store.journal.read_all(after, &Filter::default(), most).await?;
        page.events.retain(|event| filter.matches(event));
        self.line.look();
        let caught_up = page.position == store.journal.seen();
        Ok(Batch { events: page.events, position: page.position, caught_up })
    }
}

#[async_trait]
impl Checkpoints for Line {
    async fn load(&self, name: &str) -> Result<Option<Checkpoint>, ReadError> {
        let found = self.read(self.store.checkpoints.load(name)).await?;
        Ok(found.filter(|_| !self.forgetful))
    }

    async fn save(&self, name: &str, checkpoint: Checkpoint) -> Result<(), AppendError> {
        if !self.travel().await || self.store.dice.permille(self.store.weather.now().unavailable) {
            return Err(AppendError::Unavailable(failure()));
        }
        self.store.checkpoints.save(name, checkpoint).await
    }
}
