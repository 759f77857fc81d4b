use std::sync::Arc;
use std::time::Duration;

use commands::Commands;
use domain::{Timestamp, WebhookId};
use journal::{AppendError, Checkpoints, Journal, Members, ReadError, Subscription};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::known::Known;
use super::sender::{Done, Sender};

/// How the reactor works.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long each attempt comes after the one before; the first is made at once. Its length is the number of attempts.
    pub schedule: Vec<Duration>,
    /// Up to how many thousandths a pause is longer by chance, so that not everything comes back at the same moment.
    pub jitter_milli: u16,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// How many attempts are made at the same time for one webhook.
    pub per_webhook: usize,
    /// How many attempts are made at the same time for all webhooks together.
    pub at_once: usize,
    /// For how long every attempt may fail before a webhook is given up.
    pub disable_after: Duration,
    /// How many messages may wait for one webhook before it is given up.
    pub max_waiting: usize,
    /// After how many events what is known is saved, at least.
    pub checkpoint_every: usize,
    /// How long is waited after what could not be recorded.
    pub retry_after: Duration,
    /// How long attempts may go on after a shutdown was asked for; those that are cut are made again later.
    pub drain: Duration,
    /// While something waits, the clock is looked at this often, because clocks can be set and machines can sleep.
    pub look_every: Duration,
}

impl Default for Options {
    /// The schedule that Standard Webhooks proposes (ten attempts within about three days) with up to a tenth more; 20 s
    /// for an attempt; 4 attempts at a time for a webhook and 512 altogether; given up after five days or 10,000 waiting
    /// messages.
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 3600;
        let seconds = [0, 5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
        Self {
            schedule: seconds.map(Duration::from_secs).into(),
            jitter_milli: 100,
            timeout: Duration::from_secs(20),
            per_webhook: 4,
            at_once: 512,
            disable_after: Duration::from_secs(5 * 24 * HOUR),
            max_waiting: 10_000,
            checkpoint_every: 5000,
            retry_after: Duration::from_secs(1),
            drain: Duration::from_secs(5),
            look_every: Duration::from_secs(60),
        }
    }
}

/// The reactor failed and ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no master key.
    #[error("webhooks have no master key")]
    NoKey(#[source] Box<commands::Error>),
    /// The HTTP client cannot be made.
    #[error("webhooks have no HTTP client")]
    Client(#[source] reqwest::Error),
    /// The journal could not be read.
    #[error("webhooks cannot read the journal")]
    Read(#[from] ReadError),
    /// What is known could not be saved.
    #[error("webhooks cannot save their checkpoint")]
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
    waiting: usize,
}

impl Handle {
    /// Whether it follows the journal.
    #[must_use]
    pub fn is_following(&self) -> bool {
        self.status.borrow().following
    }

    /// How many webhooks are this node's to care for.
    #[must_use]
    pub fn own_webhooks(&self) -> usize {
        self.status.borrow().own
    }

    /// How many messages wait for this node's webhooks, those on their way included.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.status.borrow().waiting
    }
}

/// The reactor.
pub struct Service {
    options: Options,
    commands: Commands,
    sender: Arc<Sender>,
    checkpoints: Arc<dyn Checkpoints>,
    members: Members,
    status: watch::Sender<Status>,
}

impl Service {
    const CHECKPOINT: &'static str = "webhooks";

    /// A reactor that has yet to run, and the handle to watch it. It is the node that `members` calls itself; `commands`
    /// must have what webhooks need.
    ///
    /// # Errors
    /// [`Error::NoKey`] or [`Error::Client`].
    pub fn new(
        options: Options,
        commands: Commands,
        checkpoints: Arc<dyn Checkpoints>,
        members: Members,
    ) -> Result<(Self, Handle), Error> {
        let setup = commands.webhook_setup().map_err(|error| Error::NoKey(Box::new(error)))?;
        let sender = Sender::new(commands.clone(), Arc::clone(setup), &options).map_err(Error::Client)?;
        let (status, handle) = watch::channel(Status::default());
        let sender = Arc::new(sender);
        Ok((Self { options, commands, sender, checkpoints, members, status }, Handle { status: handle }))
    }

    /// Tells webhooks until shutdown. Attempts that are being made get a little time to come to their end; those that do
    /// not are made again by whoever comes next.
    ///
    /// # Errors
    /// When the journal cannot be read at start, or what is known cannot be saved at the end.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let mut known = self.read_known().await?;
        let mut subscription = self.follow(&known);
        let mut members = self.members.clone();
        let mut flying = JoinSet::new();
        let mut unsaved = 0;
        loop {
            self.judge(&mut known).await;
            let next = self.send_due(&mut known, &mut flying);
            self.report(true, &known);
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(done) = flying.join_next() => self.land(&mut known, done),
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
                        tracing::warn!(error = &error as &dyn std::error::Error, "webhooks wait for the journal");
                        self.report(false, &known);
                        tokio::time::sleep(self.options.retry_after).await;
                    }
                },
                () = members.changed() => {}
                () = self.sleep_until(next) => {}
            }
        }
        self.report(false, &known);
        let landed = async {
            while let Some(done) = flying.join_next().await {
                self.land(&mut known, done);
            }
        };
        if tokio::time::timeout(self.options.drain, landed).await.is_err() {
            tracing::info!("attempts to tell webhooks were cut; they are made again");
        }
        flying.shutdown().await;
        if unsaved > 0 {
            self.checkpoints.save(Self::CHECKPOINT, known.to_checkpoint()).await.map_err(Error::Checkpoint)?;
        }
        Ok(())
    }

    /// Gives up those webhooks of this node that are to be given up.
    async fn judge(&self, known: &mut Known) {
        if self.members.isolated() {
            return;
        }
        let now = self.now();
        for (id, entry) in &mut known.webhooks {
            let verdict = entry.verdict(now, self.options.disable_after, self.options.max_waiting);
            let Some(because) = verdict.filter(|_| self.owns(*id)) else { continue };
            // The event itself comes back through the journal; until then nothing is decided again.
            entry.verdict_at = Some(now.plus(self.options.retry_after));
            match self.commands.disable_webhook(*id, because).await {
                Ok(_) => tracing::warn!(webhook.id = %id, because = because.name(), "a webhook was disabled"),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(webhook.id = %id, error, "a webhook could not be disabled; it is tried again");
                }
            }
        }
    }

    /// Begins what attempts are due, and says when the next one is.
    fn send_due(&self, known: &mut Known, flying: &mut JoinSet<Done>) -> Option<Timestamp> {
        if self.members.isolated() {
            return None;
        }
        let now = self.now();
        let mut next = None;
        for (id, entry) in &mut known.webhooks {
            if !self.owns(*id) {
                continue;
            }
            while entry.flying() < self.options.per_webhook {
                let Some((_, pending)) = entry.take_due(now) else { break };
                let webhook = Arc::clone(&entry.webhook);
                let attempt = pending.attempts.saturating_add(1);
                flying.spawn(Arc::clone(&self.sender).attempt(webhook, pending.subject, attempt));
            }
            if entry.flying() < self.options.per_webhook {
                next = [next, entry.next_due()].into_iter().flatten().min();
            }
        }
        next
    }

    /// Takes over what an attempt came to.
    fn land(&self, known: &mut Known, done: Result<Done, tokio::task::JoinError>) {
        let done = match done {
            Ok(done) => done,
            Err(error) => {
                // Its delivery stays in flight for this process; whoever takes the webhook over, or the next start, makes
                // the attempt again.
                tracing::error!(error = &error as &dyn std::error::Error, "an attempt to tell a webhook broke off");
                return;
            }
        };
        let Some(entry) = known.webhooks.get_mut(&done.webhook) else { return };
        match done.recorded {
            Ok(delivery) => {
                entry.adopt(done.delivery, &delivery);
                entry.land(done.delivery, None);
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(webhook.id = %done.webhook, error, "what a webhook answered was not recorded; it is told again");
                entry.land(done.delivery, Some(self.now().plus(self.options.retry_after)));
            }
        }
    }

    fn owns(&self, id: WebhookId) -> bool {
        self.members.owner(id.as_uuid()) == self.members.me()
    }

    fn now(&self) -> Timestamp {
        self.commands.surroundings().now()
    }

    /// Sleeps until a moment, or until the clock should be looked at again.
    async fn sleep_until(&self, at: Option<Timestamp>) {
        match at {
            Some(at) => tokio::time::sleep(at.since(self.now()).min(self.options.look_every)).await,
            // Isolation ends without anybody telling.
            None if self.members.isolated() => tokio::time::sleep(self.options.retry_after).await,
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
        if *unsaved < self.options.checkpoint_every {
            return;
        }
        match self.checkpoints.save(Self::CHECKPOINT, known.to_checkpoint()).await {
            Ok(()) => *unsaved = 0,
            // Only the next start gets slower by this.
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the checkpoint of webhooks was not saved");
            }
        }
    }

    fn journal(&self) -> &Arc<dyn Journal> {
        self.commands.executor().journal()
    }

    /// Tells whoever watches.
    fn report(&self, following: bool, known: &Known) {
        let own = known.webhooks.iter().filter(|(id, _)| self.owns(**id));
        let (own, waiting) = own.fold((0, 0), |(own, waiting), (_, entry)| (own + 1, waiting + entry.waiting()));
        let status = Status { following, own, waiting };
        self.status.send_if_modified(|known| std::mem::replace(known, status) != status);
    }
}
