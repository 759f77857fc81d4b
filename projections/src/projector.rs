//! What a projector is, and how a batch of events becomes rows and a checkpoint in one transaction.
//!
//! Invariants: a batch and its checkpoint move together or not at all; they move only for the owner of the fence;
//! an event that cannot be digested is found exactly, and nothing after it is applied.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use domain::Category;
use journal::{Filter, Position, RecordedEvent};
use sqlx::{Connection, PgConnection};

/// A read model: its tables, and how events change them. It has no side effects beyond its tables.
#[async_trait]
pub(crate) trait Projector: Send + Sync + 'static {
    /// The stable name, as in `hishamos rebuild NAME`.
    fn name(&self) -> &'static str;

    /// Raised whenever tables or meaning change; the read model is then made again at the next start.
    fn version(&self) -> i32;

    /// The PostgreSQL schema that queries read.
    fn schema(&self) -> &'static str;

    /// The events that it wants.
    fn categories(&self) -> &'static [Category];

    /// Whether it answers only questions that name it, so that nobody else waits for it.
    fn apart(&self) -> bool {
        false
    }

    /// SQL that makes the tables in the first schema of the search path, with their primary keys.
    fn tables(&self) -> &'static str;

    /// SQL that makes the further indexes. A rebuild runs it last, because loading without them is faster.
    fn indexes(&self) -> &'static str;

    /// Changes the rows, in the transaction of `connection`, whose search path says which tables.
    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<RecordedEvent>]) -> Result<(), ApplyError>;

    /// The filter for reading the journal.
    fn filter(&self) -> Filter {
        Filter::categories(self.categories())
    }
}

/// Why a batch was not applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// Events that can never be applied, however often one tries.
    #[error("{0}")]
    Indigestible(String),
    /// The database failed; another try may succeed.
    #[error(transparent)]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for ApplyError {
    fn from(error: sqlx::Error) -> Self {
        // Class 22: the data cannot be stored; class 23: it contradicts what is there. Both will fail again.
        let hopeless = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .is_some_and(|code| code.starts_with("22") || code.starts_with("23"));
        match (hopeless, error) {
            (true, error) => Self::Indigestible(error.to_string()),
            (false, error @ sqlx::Error::Encode(_)) => Self::Indigestible(error.to_string()),
            (false, error) => Self::Database(error),
        }
    }
}

/// Who may move a checkpoint: the slot, and the number that its owner took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) name: &'static str,
    pub(crate) slot: &'static str,
    pub(crate) fence: i64,
}

/// How an application ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchError {
    /// The checkpoint was moved or taken by somebody else; nothing was written.
    #[error("the checkpoint belongs to somebody else")]
    Fenced,
    /// Everything before this event was applied; it cannot be.
    #[error("the event at position {position} cannot be applied: {what}")]
    Poisoned {
        /// The event's position.
        position: Position,
        /// The checkpoint's position, before it.
        applied: Position,
        /// What is wrong.
        what: String,
    },
    /// The database failed; nothing of the last transaction was written.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Applies `events` and moves the checkpoint from `from` to `to`, in one transaction. When an event among them cannot
/// be applied, the batch is halved until that event stands alone, and all before it is applied.
pub(crate) async fn apply(
    projector: &dyn Projector,
    connection: &mut PgConnection,
    claim: Claim,
    from: Position,
    events: &[Arc<RecordedEvent>],
    to: Position,
) -> Result<(), BatchError> {
    let mut at = from;
    // Parts still to apply, the next one last; each reaches up to its position.
    let mut parts = vec![(events, to)];
    while let Some((part, reach)) = parts.pop() {
        match apply_part(projector, connection, claim, at, part, reach).await {
            Ok(()) => at = reach,
            Err(PartError::Batch(error)) => return Err(error),
            Err(PartError::Indigestible(what)) => match part {
                [] | [_] => {
                    let position = part.first().map_or(reach, |event| event.position);
                    return Err(BatchError::Poisoned { position, applied: at, what });
                }
                _ => {
                    let (first, second) = part.split_at(part.len() / 2);
                    let middle = first.last().map_or(at, |event| event.position);
                    parts.push((second, reach));
                    parts.push((first, middle));
                }
            },
        }
    }
    Ok(())
}

enum PartError {
    Indigestible(String),
    Batch(BatchError),
}

impl<E: Into<BatchError>> From<E> for PartError {
    fn from(error: E) -> Self {
        Self::Batch(error.into())
    }
}

async fn apply_part(
    projector: &dyn Projector,
    connection: &mut PgConnection,
    claim: Claim,
    from: Position,
    events: &[Arc<RecordedEvent>],
    to: Position,
) -> Result<(), PartError> {
    let mut transaction = connection.begin().await?;
    // The guard comes first: it holds the row until the end, so that a rebuild cannot switch in between.
    move_checkpoint(&mut transaction, claim, from, to).await?;
    match projector.apply(&mut transaction, events).await {
        Ok(()) => transaction.commit().await?,
        Err(ApplyError::Indigestible(what)) => {
            transaction.rollback().await?;
            return Err(PartError::Indigestible(what));
        }
        Err(ApplyError::Database(error)) => return Err(error.into()),
    }
    Ok(())
}

/// Moves a checkpoint on, if it is where the caller left it and still the caller's.
pub(crate) async fn move_checkpoint(
    connection: &mut PgConnection,
    claim: Claim,
    from: Position,
    to: Position,
) -> Result<(), BatchError> {
    let moved = sqlx::query!(
        "UPDATE projections.checkpoints SET position = $1, updated_at = $2
         WHERE name = $3 AND slot = $4 AND position = $5 AND fence = $6",
        number(to),
        now_micros(),
        claim.name,
        claim.slot,
        number(from),
        claim.fence
    )
    .execute(connection)
    .await?;
    if moved.rows_affected() == 1 { Ok(()) } else { Err(BatchError::Fenced) }
}

/// A position as PostgreSQL keeps it.
pub(crate) fn number(position: Position) -> i64 {
    position.as_u64().cast_signed()
}

/// A position as PostgreSQL kept it.
pub(crate) fn position(number: i64) -> Position {
    Position::from_u64(number.cast_unsigned())
}

/// Now, in microseconds since the Unix epoch.
pub(crate) fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Text as PostgreSQL can keep it: it has no NUL, so U+2400, the symbol for it, stands in its place.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{2400}")) } else { Cow::Borrowed(text) }
}
