use std::sync::Arc;
use std::time::Duration;

use commands::Commands;
use domain::{Timestamp, TriggerId};
use journal::{AppendError, Checkpoints, Journal, Members, ReadError, Subscription};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::known::{Candidate, Known};
use super::work::{Done, decide_all};

/// How the reactor works.
#[derive(Debug, Clone)]
pub struct Options {
    /// After how many events what it knows is saved, at least.
    pub checkpoint_every: usize,
    /// How many triggers decide at the same time.
    pub parallel: usize,
    /// How long a trigger whose decision could not be recorded waits before it tries again.
    pub retry_after: Duration,
    /// While a schedule waits, the clock is looked at this often, because clocks can be set and machines can sleep.
    pub look_every: Duration,
}

impl Default for Options {
    /// A checkpoint every 5,000 events, 32 triggers at the same time, 1 s after a failure, a look at the clock every
    /// minute.
    fn default() -> Self {
        Self {
            checkpoint_every: 5000,
            parallel: 32,
            retry_after: Duration::from_secs(1),
            look_every: Duration::from_secs(60),
        }
    }
}

/// The reactor failed and ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal could not be read.
    #[error("the triggers cannot read the journal")]
    Read(#[from] ReadError),
    /// What is known could not be saved.
    #[error("the triggers cannot save their checkpoint")]
    Checkpoint(#[source] AppendError),
}

/// Sees how the reactor is doing; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    status: watch::Receiver<Status>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Status {
    following: bool,
    own: usize,
    next: Option<Timestamp>,
}

impl Handle {
    /// Whether it follows the journal.
    #[must_use]
    pub fn is_following(&self) -> bool {
        self.status.borrow().following
    }

    /// How many triggers are this node's to care for.
    #[must_use]
    pub fn own_triggers(&self) -> usize {
        self.status.borrow().own
    }

    /// When the next of this node's schedules fires.
    #[must_use]
    pub fn next_firing(&self) -> Option<Timestamp> {
        self.status.borrow().next
    }
}

/// The reactor.
pub struct Service {
    options: Options,
    commands: Commands,
    checkpoints: Arc<dyn Checkpoints>,
    members: Members,
    status: watch::Sender<Status>,
}

impl Service {
    const CHECKPOINT: &'static str = "triggers";

    /// A reactor that has yet to run, and the handle to watch it. It is the node that `members` calls itself.
    #[must_use]
    pub fn new(
        options: Options,
        commands: Commands,
        checkpoints: Arc<dyn Checkpoints>,
        members: Members,
    ) -> (Self, Handle) {
        let (status, handle) = watch::channel(Status::default());
        (Self { options, commands, checkpoints, members, status }, Handle { status: handle })
    }

    /// Makes triggers fire until shutdown. A decision that is being recorded is recorded to its end.
    ///
    /// # Errors
    /// When the journal cannot be read at start, or what is known cannot be saved at the end.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let mut known = self.read_known().await?;
        let mut subscription = self.follow(&known);
        let mut members = self.members.clone();
        let mut unsaved = 0;
        loop {
            self.act(&mut known, &shutdown).await;
            let next = self.report(true, &known);
            tokio::select! {
                () = shutdown.cancelled() => break,
                batch = subscription.next() => match batch {
                    Ok(batch) => {
                        unsaved += batch.events.len();
                        let widened = batch.events.iter().find(|event| known.take_in(event));
                        known.position = widened.map_or(batch.position, |event| event.position);
                        if widened.is_some() {
                            subscription = self.follow(&known);
                        }
                        self.save_now_and_then(&known, &mut unsaved).await;
                    }
                    Err(ReadError::Closed) => break,
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "the triggers wait for the journal");
                        self.report(false, &known);
                        tokio::time::sleep(self.options.retry_after).await;
                    }
                },
                () = members.changed() => {}
                () = self.sleep_until(next) => {}
            }
        }
        self.report(false, &known);
        if unsaved > 0 {
            self.checkpoints.save(Self::CHECKPOINT, known.to_checkpoint()).await.map_err(Error::Checkpoint)?;
        }
        Ok(())
    }

    /// Decides upon all that there is to decide for the triggers of this node.
    async fn act(&self, known: &mut Known, shutdown: &CancellationToken) {
        known.retry_due(self.commands.surroundings().now());
        self.judge(known).await;
        while !self.members.isolated() && !shutdown.is_cancelled() {
            let now = self.commands.surroundings().now();
            let due = known.triggers.iter().filter(|(id, entry)| entry.has_work(now) && self.owns(**id));
            let due: Vec<_> = due.take(self.options.parallel).map(|(id, entry)| (*id, entry.clone())).collect();
            if due.is_empty() {
                return;
            }
            let mut deciding = JoinSet::new();
            for (id, entry) in due {
                deciding.spawn(decide_all(self.commands.clone(), id, entry));
            }
            while let Some(done) = deciding.join_next().await {
                match done {
                    Ok(done) => self.take(known, done),
                    Err(error) => {
                        tracing::error!(error = &error as &dyn std::error::Error, "a trigger's decision broke off");
                        tokio::time::sleep(self.options.retry_after).await;
                    }
                }
            }
        }
    }

    /// Takes over what a trigger has decided.
    fn take(&self, known: &mut Known, done: Done) {
        let Done { id, trigger, recorded, failure } = done;
        let Some(entry) = known.triggers.get_mut(&id) else { return };
        let newer = trigger.revision > entry.loaded().revision;
        entry.adopt(&trigger);
        let now = self.commands.surroundings().now();
        entry.retry_at = match failure {
            Some(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(trigger.id = %id, error, "a trigger's decision was not recorded; it is tried again");
                Some(now.plus(self.options.retry_after))
            }
            // Nothing to decide after all; that must not become a busy loop.
            None if recorded == 0 && !newer => Some(now.plus(self.options.retry_after)),
            None => None,
        };
    }

    /// Looks at the conditions of events that triggers wait for, for all triggers: who takes one over knows the answer.
    async fn judge(&self, known: &mut Known) {
        for (id, entry) in &mut known.triggers {
            let mut events = std::mem::take(&mut entry.events);
            let mut failed = false;
            while let Some(candidate) = events.pop_front() {
                if failed || candidate.verdict.is_some() {
                    entry.events.push_back(candidate);
                    continue;
                }
                match self.commands.meets(&candidate.event, candidate.when.as_ref()).await {
                    Ok(Ok(false)) => {}
                    Ok(Ok(true)) => entry.events.push_back(Candidate { verdict: Some(Ok(())), ..candidate }),
                    Ok(Err(why)) => entry.events.push_back(Candidate { verdict: Some(Err(why)), ..candidate }),
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(trigger.id = %id, error, "a trigger's event cannot be read; it is tried again");
                        failed = true;
                        entry.events.push_back(candidate);
                    }
                }
            }
            if failed {
                entry.retry_at = Some(self.commands.surroundings().now().plus(self.options.retry_after));
            }
        }
    }

    fn owns(&self, id: TriggerId) -> bool {
        self.members.owner(id.as_uuid()) == self.members.me()
    }

    /// Sleeps until a moment, or until the clock should be looked at again.
    async fn sleep_until(&self, at: Option<Timestamp>) {
        match at {
            Some(at) => {
                let pause = at.since(self.commands.surroundings().now());
                tokio::time::sleep(pause.min(self.options.look_every)).await;
            }
            None => std::future::pending().await,
        }
    }

    fn follow(&self, known: &Known) -> Subscription {
        self.journal().subscribe(known.position, known.filter())
    }

    /// What there is to know, as of the journal's head.
    async fn read_known(&self) -> Result<Known, Error> {
        let saved = self.checkpoints.load(Self::CHECKPOINT).await?;
        let mut known = saved.as_ref().and_then(Known::from_checkpoint).unwrap_or_default();
        loop {
            let page = self.journal().read_all(known.position, &known.filter(), 1000).await?;
            let widened = page.events.iter().find(|event| known.take_in(event)).map(|event| event.position);
            match widened {
                Some(position) => known.position = position,
                None if page.position == known.position => return Ok(known),
                None => known.position = page.position,
            }
        }
    }

    async fn save_now_and_then(&self, known: &Known, unsaved: &mut usize) {
        if *unsaved < self.options.checkpoint_every.max(known.triggers.len()) {
            return;
        }
        match self.checkpoints.save(Self::CHECKPOINT, known.to_checkpoint()).await {
            Ok(()) => *unsaved = 0,
            // Only the next start gets slower by this.
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the triggers' checkpoint was not saved");
            }
        }
    }

    fn journal(&self) -> &Arc<dyn Journal> {
        self.commands.executor().journal()
    }

    /// Tells whoever watches, and says when there will be something to do.
    fn report(&self, following: bool, known: &Known) -> Option<Timestamp> {
        let own = known.triggers.iter().filter(|(id, _)| self.owns(**id));
        let own: Vec<_> = own.map(|(_, entry)| entry).filter(|entry| entry.trigger.settings().is_some()).collect();
        let next = own.iter().filter_map(|entry| entry.next_wake()).min();
        let status = Status { following, own: own.len(), next };
        self.status.send_if_modified(|known| std::mem::replace(known, status) != status);
        next
    }
}
