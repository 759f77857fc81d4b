//! Seals: signed statements on what the journal held, one after another in one stream. A key is introduced by its own
//! signature, and handed over by that of the key before it; each statement carries the digest of the one before.
//!
//! The rules here keep the statements in order. Whether digests, roots and signatures are right is computed where the
//! events are.

mod bytes;
mod command;
mod decide;
mod event;
mod state;

pub use bytes::{Digest, InvalidHex, PublicKey, Signature};
pub use command::SealCommand;
pub use decide::SealRefusal;
pub use event::{KeyIntroduced, KeyRotated, SealEvent, Sealed};
pub use state::Seals;

crate::decide::aggregate!(Seals, SealCommand, SealEvent, SealRefusal, Seal);
