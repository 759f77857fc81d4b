use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::seal::PublicKey;
use domain::{Actor, CommandId, SealCommand, SealRefusal, Seals, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::outside::Copying;
use super::tree::{self, Tree};
use super::{KeyError, KeyFile, Outside, SecretKey, statement};
use crate::{
    Checkpoint, Checkpoints, Context, ExecuteError, Executor, Filter, Loaded, Members, Position, ReadError,
    RecordedEvent,
};

/// How the reactor seals.
#[derive(Debug, Clone)]
pub struct Options {
    /// After how many events, at most; at least 1.
    pub every: u64,
    /// After how long, at most, once there is something to seal.
    pub within: Duration,
    /// Where the secret key lies.
    pub key: KeyFile,
    /// The place outside of the journal that keeps every statement too.
    pub outside: Option<Arc<dyn Outside>>,
    /// How long it waits after a failure.
    pub retry_after: Duration,
}

impl Options {
    /// Every 10,000 events or after a minute, with the key in this file, and nothing kept outside.
    #[must_use]
    pub fn new(key: KeyFile) -> Self {
        Self {
            every: 10_000,
            within: Duration::from_secs(60),
            key,
            outside: None,
            retry_after: Duration::from_secs(30),
        }
    }
}

/// Why sealing stands still, until the next try.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The journal could not be read.
    #[error("the sealer cannot read the journal")]
    Read(#[from] ReadError),
    /// A seal could not be recorded.
    #[error("a seal cannot be recorded")]
    Record(#[source] Box<ExecuteError<SealRefusal>>),
}

/// How far sealing is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether this node seals.
    pub own: bool,
    /// How many events are sealed.
    pub sealed: u64,
    /// Why nothing is sealed now, when something is wrong.
    pub failure: Option<String>,
    /// Why the outside copy is behind, when it is; sealing goes on.
    pub outside_failure: Option<String>,
}

/// Sees how the reactor is doing; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    status: watch::Receiver<Status>,
}

impl Handle {
    /// How far it is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }
}

/// The reactor: follows the journal and seals what it brings, on one node at a time.
pub struct Service {
    options: Options,
    executor: Executor,
    checkpoints: Arc<dyn Checkpoints>,
    members: Members,
    status: watch::Sender<Status>,
}

/// Why a turn ended.
enum Ended {
    Shutdown,
    /// Another node cares for the seals now, or has sealed meanwhile; look again.
    Again,
}

/// What is known of the end of the sealed events.
struct Turn {
    key: SecretKey,
    seals: Loaded<Seals>,
    /// Everything up to here is in the tree or sealed.
    position: Position,
    tree: Tree,
    /// When the next seal is due; nothing while only seals are unsealed.
    due: Option<Instant>,
    outside: Option<Copying>,
    /// When the outside copy is tried again; nothing when it is up to date.
    copy_due: Option<Instant>,
}

impl Service {
    /// The name of its checkpoint.
    pub const CHECKPOINT: &'static str = "seals";
    const PAGE: usize = 5000;

    /// A reactor that has yet to run, and the handle to watch it.
    #[must_use]
    pub fn new(
        options: Options,
        executor: Executor,
        checkpoints: Arc<dyn Checkpoints>,
        members: Members,
    ) -> (Self, Handle) {
        let (status, handle) = watch::channel(Status::default());
        (Self { options, executor, checkpoints, members, status }, Handle { status: handle })
    }

    /// Seals until shutdown. What goes wrong is logged and tried again; only one node seals, as [`Members`] has it.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let own = self.owns();
            self.status.send_modify(|status| status.own = own);
            if !own {
                let mut members = self.members.clone();
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = members.changed() => continue,
                }
            }
            match self.turn(&shutdown).await {
                Ok(Ended::Shutdown) | Err(Error::Read(ReadError::Closed)) => return,
                Ok(Ended::Again) => self.status.send_modify(|status| status.failure = None),
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "nothing is sealed");
                    self.status.send_modify(|status| status.failure = Some(error.to_string()));
                    tokio::select! {
                        () = shutdown.cancelled() => return,
                        () = tokio::time::sleep(self.options.retry_after) => {}
                    }
                }
            }
        }
    }

    fn owns(&self) -> bool {
        self.members.owner(Seals::STREAM.id) == self.members.me()
    }

    /// Seals as long as this node is the one to do it.
    async fn turn(&mut self, shutdown: &CancellationToken) -> Result<Ended, Error> {
        let mut turn = self.begin().await?;
        let journal = Arc::clone(self.executor.journal());
        self.copy(&mut turn).await;
        let mut subscription = journal.subscribe(turn.position, Filter::default());
        loop {
            let (due, copy_due) = (turn.due, turn.copy_due);
            tokio::select! {
                () = shutdown.cancelled() => return Ok(Ended::Shutdown),
                () = self.members.changed() => if !self.owns() { return Ok(Ended::Again) },
                () = sleep_until(copy_due) => self.copy(&mut turn).await,
                () = sleep_until(due) => if let Some(ended) = self.seal(&mut turn).await? { return Ok(ended) },
                batch = subscription.next() => {
                    for event in batch?.events {
                        turn.take(&event, self.options.within);
                        if turn.tree.size() >= self.options.every.max(1)
                            && turn.due.is_some()
                            && let Some(ended) = self.seal(&mut turn).await?
                        {
                            return Ok(ended);
                        }
                    }
                }
            }
        }
    }

    /// What is sealed, as the journal has it, and the key for it.
    async fn begin(&self) -> Result<Turn, Error> {
        let seals: Loaded<Seals> = self.executor.load(Seals::STREAM).await?;
        let key = match seals.state.key() {
            Some(wanted) => self.options.key.of(wanted)?,
            None => self.options.key.first()?,
        };
        let position = self.place(seals.state.sealed()).await?;
        let sealed = seals.state.sealed();
        self.status.send_modify(|status| (status.sealed, status.failure) = (sealed, None));
        let outside = self.options.outside.clone().map(Copying::to);
        Ok(Turn { key, seals, position, tree: Tree::default(), due: None, outside, copy_due: None })
    }

    /// The position of an event by its number in the order of the journal.
    async fn place(&self, number: u64) -> Result<Position, Error> {
        let journal = self.executor.journal();
        if number == 0 || journal.gapless() {
            return Ok(Position::from_u64(number));
        }
        // Positions have gaps: count, from the last seal that this reactor remembers.
        let (mut position, mut counted) = match self.checkpoints.load(Self::CHECKPOINT).await? {
            Some(Checkpoint { position, state }) => match <[u8; 8]>::try_from(state).map(u64::from_le_bytes) {
                Ok(counted) if counted <= number => (position, counted),
                _ => (Position::START, 0),
            },
            None => (Position::START, 0),
        };
        while counted < number {
            let wanted = usize::try_from(number - counted).unwrap_or(usize::MAX).min(Self::PAGE);
            let page = journal.read_all(position, &Filter::default(), wanted).await?;
            if page.position == position {
                break;
            }
            counted += u64::try_from(page.events.len()).unwrap_or(0);
            position = page.events.last().map_or(page.position, |last| last.position);
        }
        Ok(position)
    }

    /// Seals what is in the tree.
    async fn seal(&self, turn: &mut Turn) -> Result<Option<Ended>, Error> {
        let last = match (turn.seals.state.key(), turn.seals.state.last()) {
            (Some(key), Some(last)) if key == turn.key.public() => last,
            (None, None) => {
                let introduced = statement::introduce(&turn.key, now());
                self.record(turn, SealCommand::Introduce(introduced)).await?;
                // Also when that went well: another node with the same key may have introduced it and sealed since, and
                // then what is in the tree is sealed already.
                return Ok(Some(Ended::Again));
            }
            _ => return Ok(Some(Ended::Again)),
        };
        let seals = &turn.seals.state;
        let (number, first) = (seals.number() + 1, seals.sealed() + 1);
        let made = statement::unsigned(number, first, turn.tree.size(), turn.tree.root(), last, now());
        let made = statement::seal(&turn.key, made);
        if !self.record(turn, SealCommand::Seal(made)).await? {
            return Ok(Some(Ended::Again));
        }
        turn.tree = Tree::default();
        turn.due = None;
        let sealed = turn.seals.state.sealed();
        metrics::gauge!("journal_sealed_events").set(sealed as f64);
        self.status.send_modify(|status| status.sealed = sealed);
        let checkpoint = Checkpoint { position: turn.position, state: sealed.to_le_bytes().to_vec() };
        if let Err(error) = self.checkpoints.save(Self::CHECKPOINT, checkpoint).await {
            // Only the next start gets slower by this.
            tracing::warn!(error = &error as &dyn std::error::Error, "the sealer's checkpoint was not saved");
        }
        self.copy(turn).await;
        Ok(None)
    }

    /// Brings the outside copy up to date. When that fails, sealing goes on, and it is tried again later.
    async fn copy(&self, turn: &mut Turn) {
        let Some(outside) = &mut turn.outside else { return };
        let failure = outside.catch_up(&**self.executor.journal()).await.err();
        turn.copy_due = failure.as_ref().map(|_| Instant::now() + self.options.retry_after);
        if let Some(error) = &failure {
            tracing::error!(error = error as &dyn std::error::Error, "the outside copy of the seals is behind");
            metrics::counter!("journal_seal_copies_failed_total").increment(1);
        }
        self.status.send_modify(|status| status.outside_failure = failure.map(|error| error.to_string()));
    }

    /// Records a statement; `false` when it does not follow the last one any more.
    async fn record(&self, turn: &mut Turn, command: SealCommand) -> Result<bool, Error> {
        match self.executor.execute::<Seals>(Seals::STREAM, command, context(), false).await {
            Ok(done) => {
                turn.seals = Loaded { state: done.state, revision: done.revision };
                Ok(true)
            }
            Err(ExecuteError::Refused(SealRefusal::NotNext | SealRefusal::KeyExists(_))) => Ok(false),
            Err(ExecuteError::Contended(_)) => Ok(false),
            Err(error) => Err(Error::Record(Box::new(error))),
        }
    }
}

impl Turn {
    fn take(&mut self, event: &RecordedEvent, within: Duration) {
        self.tree.push(tree::leaf(&event.hash.0));
        self.position = event.position;
        // Seals alone are not sealed, or there would be no end of it.
        let seal = event.stream == Seals::STREAM && event.event_type == "seal.sealed";
        let introduced = event.stream == Seals::STREAM && event.event_type == "seal.key_introduced";
        if !seal && !introduced && self.due.is_none() {
            self.due = Some(Instant::now() + within);
        }
    }
}

/// Hands over to another key: the new one signs from here on, and the old one is destroyed.
///
/// # Errors
/// When the old key is not at hand, the new one cannot be kept, or the statement cannot be recorded. The old key goes on
/// signing then.
pub async fn rotate(executor: &Executor, file: &KeyFile, by: Actor) -> Result<(PublicKey, PublicKey), Error> {
    const TRIES: usize = 8;
    let mut last = None;
    for _ in 0..TRIES {
        let seals: Loaded<Seals> = executor.load(Seals::STREAM).await?;
        let (Some(wanted), Some(previous)) = (seals.state.key(), seals.state.last()) else {
            // Nothing is signed yet: the first key is introduced, and handed over at once.
            let first = file.first()?;
            let introduced = SealCommand::Introduce(statement::introduce(&first, now()));
            let context = Context { actor: by.clone(), ..context() };
            let done = executor.execute::<Seals>(Seals::STREAM, introduced, context, false).await;
            done.map_err(|error| Error::Record(Box::new(error)))?;
            continue;
        };
        let retired = file.of(wanted)?;
        let new = file.prepare()?;
        let rotated = statement::rotate(&retired, &new, previous, now());
        let context = Context { actor: by.clone(), ..context() };
        match executor.execute::<Seals>(Seals::STREAM, SealCommand::Rotate(rotated), context, false).await {
            Ok(_) => {
                file.settle()?;
                return Ok((retired.public(), new.public()));
            }
            // Somebody sealed meanwhile.
            Err(error @ (ExecuteError::Refused(_) | ExecuteError::Contended(_))) => last = Some(error),
            Err(error) => return Err(Error::Record(Box::new(error))),
        }
    }
    Err(Error::Record(Box::new(last.unwrap_or(ExecuteError::Contended(Seals::STREAM)))))
}

fn context() -> Context {
    let command = CommandId::from_uuid(Uuid::now_v7());
    Context {
        command,
        at: now(),
        actor: Actor::system("sealer"),
        tenant: "default".to_owned(),
        correlation: command.as_uuid(),
        causation: None,
        subject: None,
        keeping: None,
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn now() -> Timestamp {
    Timestamp::from_micros(0).plus(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
