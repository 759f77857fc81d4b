//! Seals: signed statements on what the journal held, so that whoever rewrites sealed history needs the secret key, and
//! whoever has both still disagrees with what was kept outside.
//!
//! Invariants: seals cover every event exactly once and in order, each beginning where the last one ended, so a journal
//! may be moved to another back end with them; a seal is made only when something else than seals is unsealed, so an
//! idle journal comes to rest; the stream's expected revision, not a lock, keeps two nodes from sealing the same events.

mod book;
mod key;
mod outside;
mod proof;
mod service;
pub mod statement;
pub mod tree;

pub use book::{Book, Range, SealFault};
pub use key::{KeyError, KeyFile, SecretKey};
pub use outside::{Kept, Outside, OutsideError, OutsideFile};
pub use proof::{Proof, ProofError, Proven, prove};
pub use service::{Error, Handle, Options, Service, Status, rotate};
