//! What a failure of the database means for what was being done.

use std::fmt;
use std::sync::Arc;

use crate::{AppendError, ReadError};

/// Whether a failed statement may have been carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The connection is of no use, and what was being done may have happened: clear up, try again.
    Broken,
    /// The database refused the statement; it did not happen and would not happen if tried again.
    Refused,
    /// A unique index was hit: the statement did not happen, because a belief was wrong.
    Taken,
}

pub(super) fn meaning(error: &sqlx::Error) -> Meaning {
    let Some(database) = error.as_database_error() else {
        return match error {
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::Encode(_)
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::RowNotFound => Meaning::Refused,
            _ => Meaning::Broken,
        };
    };
    let code = database.code().unwrap_or_default();
    match code.as_ref() {
        "23505" => Meaning::Taken,
        // Read-only (a standby took the address), serialization, deadlock: another try may go well.
        "25006" | "40001" | "40P01" => Meaning::Broken,
        // Connection failures, shutdown and recovery, too many connections, a session cut for idling.
        code if code.starts_with("08") || code.starts_with("57") || code == "53300" || code == "25P03" => {
            Meaning::Broken
        }
        _ => Meaning::Refused,
    }
}

/// Whether the statement or commit that failed this way may have happened all the same.
pub(super) fn unclear(error: &sqlx::Error) -> bool {
    match error.as_database_error() {
        // An administrator's end, even in the middle of a commit, is reported as an error only if it came before it.
        Some(database) if database.code().as_deref() == Some("57P01") => false,
        // Only sending fails this way, and what was not sent to its end is not carried out.
        None if matches!(error, sqlx::Error::Io(cause) if cause.kind() == std::io::ErrorKind::BrokenPipe) => false,
        _ => meaning(error) == Meaning::Broken,
    }
}

/// One failure that several callers are told of.
#[derive(Debug, Clone)]
struct Shared(Arc<sqlx::Error>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Shared {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// What a caller is told whose append was not recorded.
pub(super) fn unavailable(error: &Arc<sqlx::Error>) -> AppendError {
    // PostgreSQL's class 53 is "insufficient resources"; 53100 is disk_full.
    if error.as_database_error().is_some_and(|database| database.code().as_deref() == Some("53100")) {
        return AppendError::Full;
    }
    AppendError::Unavailable(Box::new(Shared(Arc::clone(error))))
}

impl From<sqlx::Error> for ReadError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolClosed => Self::Closed,
            error => Self::Unavailable(Box::new(error)),
        }
    }
}

/// What stands for an answer that did not come in time.
pub(super) fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the database gave no answer in time"))
}
