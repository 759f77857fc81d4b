use journal::{Position, ReadError};

/// Why a read model could not be read or built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database could not be reached or failed.
    #[error("the read models' database failed")]
    Database(#[from] sqlx::Error),
    /// The journal could not be read.
    #[error("the journal could not be read")]
    Journal(#[from] ReadError),
    /// What the caller waited for did not come in time.
    #[error("read model `{projector}` is at position {reached}, not yet at {wanted}; ask again")]
    Stale {
        /// Which projector.
        projector: &'static str,
        /// What the caller waited for.
        wanted: Position,
        /// How far it is.
        reached: Position,
    },
    /// An event that the projector cannot digest; it stands before it and goes no further.
    #[error("read model `{projector}` cannot go past the event at position {position}: {what}")]
    Poisoned {
        /// Which projector.
        projector: &'static str,
        /// Where the event is; the last position before it when the process that found it was another.
        position: Position,
        /// What is wrong with it.
        what: String,
    },
    /// Somebody else has taken the projector over; nothing was written.
    #[error("read model `{projector}` belongs to another process now")]
    Fenced {
        /// Which projector.
        projector: &'static str,
    },
    /// There is no projector of that name.
    #[error("there is no read model `{name}`; there are {}", .known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// More would have to be folded from the journal than one question may cost.
    #[error("as of position {position} this takes more than can be folded for one answer: {what}")]
    TooMuchPast {
        /// As of where.
        position: Position,
        /// What is too much of it.
        what: String,
    },
    /// An event that should have been there cannot be folded.
    #[error("what was true as of position {position} cannot be told: {what}")]
    UnreadablePast {
        /// As of where.
        position: Position,
        /// What is wrong.
        what: String,
    },
    /// Another process is rebuilding it.
    #[error("read model `{projector}` is being rebuilt already")]
    RebuildRunning {
        /// Which projector.
        projector: &'static str,
    },
    /// It was asked to stop before it was done; what was there before is untouched.
    #[error("rebuilding read model `{projector}` was interrupted; the live one is untouched")]
    Interrupted {
        /// Which projector.
        projector: &'static str,
    },
}

impl Error {
    /// Whether the database gave a statement up because it took too long.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        let Self::Database(error) = self else { return false };
        error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("57014")
    }

    /// The stable code; every code has a page in docs/errors.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Database(_) if self.is_timeout() => "TIMEOUT",
            Self::Database(_) => "READ_MODEL_UNAVAILABLE",
            Self::Journal(_) => "JOURNAL_UNAVAILABLE",
            Self::Stale { .. } => "READ_MODEL_STALE",
            Self::Poisoned { .. } => "READ_MODEL_POISONED",
            Self::Fenced { .. } => "READ_MODEL_FENCED",
            Self::Unknown { .. } => "READ_MODEL_UNKNOWN",
            Self::TooMuchPast { .. } => "AS_OF_TOO_MUCH",
            Self::UnreadablePast { .. } => "JOURNAL_DAMAGED",
            Self::RebuildRunning { .. } => "REBUILD_RUNNING",
            Self::Interrupted { .. } => "REBUILD_INTERRUPTED",
        }
    }
}
