//! What is personal, and how it is kept: sealed in the journal under a key for each person, whose keys lie outside of it.
//!
//! Invariants: no key and no name is in the journal. A subject whose key is destroyed cannot be read again by anybody, from
//! the journal or from a copy of it, while every hash still holds. Who records about nobody pays nothing for it.

mod journal;
mod master;
mod postgres;

use async_trait::async_trait;
use domain::SubjectId;

pub use self::journal::PrivateJournal;
pub use self::master::{MasterError, MasterKey, Purpose};
pub use self::postgres::PostgresSubjects;
pub use crate::wire::SubjectKey;

/// A person whom runs are about, as the list of subjects has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSubject {
    /// Their id in the journal.
    pub id: SubjectId,
    /// How they are called; nothing once they are erased.
    pub name: Option<String>,
}

/// Why the list of subjects does not answer.
#[derive(Debug, thiserror::Error)]
pub enum SubjectsError {
    /// Its store failed.
    #[error("the list of subjects cannot be read or written")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A key does not open with the master key.
    #[error("the key of subject {0} does not open; is the master key of this installation in its place?")]
    OtherMaster(SubjectId),
    /// The master key cannot be used.
    #[error(transparent)]
    Master(#[from] MasterError),
}

/// The list of subjects with their keys; it lies outside of the journal.
#[async_trait]
pub trait Subjects: Send + Sync + 'static {
    /// The subject of a name; made, with a new key, when there is none.
    ///
    /// # Errors
    /// When the list cannot be read or written.
    async fn of(&self, name: &str) -> Result<SubjectId, SubjectsError>;

    /// The subject of a name, if there is one.
    ///
    /// # Errors
    /// When the list cannot be read.
    async fn find(&self, name: &str) -> Result<Option<SubjectId>, SubjectsError>;

    /// A subject's key; nothing when it was destroyed, or never was here.
    ///
    /// # Errors
    /// When the list cannot be read, or the key does not open.
    async fn key(&self, subject: SubjectId) -> Result<Option<SubjectKey>, SubjectsError>;

    /// Destroys a subject's key and name, for ever.
    ///
    /// # Errors
    /// When the list cannot be written.
    async fn destroy(&self, subject: SubjectId) -> Result<(), SubjectsError>;

    /// Everybody in the list.
    ///
    /// # Errors
    /// When the list cannot be read.
    async fn list(&self) -> Result<Vec<KnownSubject>, SubjectsError>;
}
