//! States of long streams, kept so that they need not be folded from their first event.
//!
//! Invariant: a snapshot is a cache. It is used only when the same rules have folded it and the event that it says was
//! its last is still the one in the journal; whatever is wrong with it, the state is folded from the events instead.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{
    Action, Agent, Budgets, Category, Decide, Delivery, Denials, External, Hold, Limit, Purse, Run, Seals, Searches,
    Slots, StreamId, Subject, Task, Template, Trigger, Webhook, Workflow,
};
use parking_lot::Mutex;

use crate::{AppendError, Executor, Hash, ReadError};

/// The state of an aggregate as it was after one of its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The rules that folded it: [`domain::RULES`] of the program that did.
    pub schema: String,
    /// The revision of the last folded event.
    pub revision: u64,
    /// The BLAKE3 hash of the rules' name, the hash of that event and the state: whoever changes any of them shows.
    pub hash: Hash,
    /// The state, as JSON.
    pub state: Vec<u8>,
}

/// Keeps snapshots, one of each stream.
#[async_trait]
pub trait Snapshots: Send + Sync + 'static {
    /// The snapshot of a stream.
    ///
    /// # Errors
    /// When the store fails.
    async fn load(&self, stream: StreamId) -> Result<Option<Snapshot>, ReadError>;

    /// Keeps a snapshot, unless one of the same rules that is further on is there.
    ///
    /// # Errors
    /// When the store fails.
    async fn save(&self, stream: StreamId, snapshot: Snapshot) -> Result<(), AppendError>;

    /// The streams that have one, in a fixed order.
    ///
    /// # Errors
    /// When the store fails.
    async fn streams(&self) -> Result<Vec<StreamId>, ReadError>;
}

/// Snapshots that live as long as the process.
#[derive(Debug, Default)]
pub struct MemorySnapshots {
    kept: Mutex<BTreeMap<String, (StreamId, Snapshot)>>,
}

#[async_trait]
impl Snapshots for MemorySnapshots {
    async fn load(&self, stream: StreamId) -> Result<Option<Snapshot>, ReadError> {
        Ok(self.kept.lock().get(&stream.to_string()).map(|(_, snapshot)| snapshot.clone()))
    }

    async fn save(&self, stream: StreamId, snapshot: Snapshot) -> Result<(), AppendError> {
        let mut kept = self.kept.lock();
        let known = kept.get(&stream.to_string()).map(|(_, known)| known);
        if known.is_none_or(|known| known.schema != snapshot.schema || known.revision < snapshot.revision) {
            kept.insert(stream.to_string(), (stream, snapshot));
        }
        Ok(())
    }

    async fn streams(&self) -> Result<Vec<StreamId>, ReadError> {
        Ok(self.kept.lock().values().map(|(stream, _)| *stream).collect())
    }
}

/// What a comparison of snapshots with events found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotReport {
    /// Snapshots that these rules have folded and that are what the events fold to.
    pub sound: usize,
    /// Snapshots that other rules have folded, or that follow events which are not there; nobody uses them.
    pub unused: usize,
    /// Streams whose snapshot is not what its events fold to.
    pub wrong: Vec<StreamId>,
}

/// Compares every snapshot with what the events of its stream fold to from the first on.
///
/// # Errors
/// When the journal or the snapshots cannot be read.
pub async fn verify_snapshots(executor: &Executor, snapshots: &dyn Snapshots) -> Result<SnapshotReport, ReadError> {
    let mut report = SnapshotReport::default();
    for stream in snapshots.streams().await? {
        let Some(snapshot) = snapshots.load(stream).await? else { continue };
        let sound = match stream.category {
            Category::Agent => compare::<Agent>(executor, stream, &snapshot).await?,
            Category::Template => compare::<Template>(executor, stream, &snapshot).await?,
            Category::Workflow => compare::<Workflow>(executor, stream, &snapshot).await?,
            Category::Run => compare::<Run>(executor, stream, &snapshot).await?,
            Category::Task => compare::<Task>(executor, stream, &snapshot).await?,
            Category::Limit => compare::<Limit>(executor, stream, &snapshot).await?,
            Category::Slots => compare::<Slots>(executor, stream, &snapshot).await?,
            Category::Budget => compare::<Budgets>(executor, stream, &snapshot).await?,
            Category::Purse => compare::<Purse>(executor, stream, &snapshot).await?,
            Category::Webhook => compare::<Webhook>(executor, stream, &snapshot).await?,
            Category::Delivery => compare::<Delivery>(executor, stream, &snapshot).await?,
            Category::Hold => compare::<Hold>(executor, stream, &snapshot).await?,
            Category::Trigger => compare::<Trigger>(executor, stream, &snapshot).await?,
            Category::External => compare::<External>(executor, stream, &snapshot).await?,
            Category::Seal => compare::<Seals>(executor, stream, &snapshot).await?,
            Category::Denial => compare::<Denials>(executor, stream, &snapshot).await?,
            Category::Search => compare::<Searches>(executor, stream, &snapshot).await?,
            Category::Subject => compare::<Subject>(executor, stream, &snapshot).await?,
            Category::Action => compare::<Action>(executor, stream, &snapshot).await?,
        };
        match sound {
            Some(true) => report.sound += 1,
            Some(false) => report.wrong.push(stream),
            None => report.unused += 1,
        }
    }
    Ok(report)
}

/// Whether a snapshot is what the events fold to; `None` when nobody would use it.
async fn compare<A: Decide>(
    executor: &Executor,
    stream: StreamId,
    snapshot: &Snapshot,
) -> Result<Option<bool>, ReadError> {
    if !snapshot.is_usable(executor, stream).await? {
        return Ok(None);
    }
    let folded = executor.load_at::<A>(stream, snapshot.revision).await?;
    // Maps are ordered and numbers exact, so equal states have equal texts.
    Ok(Some(serde_json::to_vec(&*folded.state).is_ok_and(|state| state == snapshot.state)))
}

impl Snapshot {
    /// What these rules have folded up to `revision`, whose event has the hash `last`.
    pub(crate) fn new(revision: u64, last: Hash, state: Vec<u8>) -> Self {
        let schema = domain::RULES.to_owned();
        let hash = seal(&schema, last, &state);
        Self { schema, revision, hash, state }
    }

    /// Whether these rules have folded it, from events that are there.
    pub(crate) async fn is_usable(&self, executor: &Executor, stream: StreamId) -> Result<bool, ReadError> {
        if self.schema != domain::RULES {
            return Ok(false);
        }
        let last = executor.journal().read_stream(stream, self.revision, 1).await?;
        Ok(last.first().is_some_and(|event| {
            event.revision == self.revision && self.hash == seal(&self.schema, event.hash, &self.state)
        }))
    }
}

fn seal(schema: &str, last: Hash, state: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(schema.as_bytes()).update(&last.0).update(state);
    Hash(hasher.finalize().into())
}
