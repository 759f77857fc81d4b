use serde::{Deserialize, Serialize};

use super::{Digest, PublicKey, Signature};
use crate::Timestamp;

/// The first key, which signs for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyIntroduced {
    /// The key.
    pub key: PublicKey,
    /// When.
    pub at: Timestamp,
    /// Of this statement.
    pub digest: Digest,
    /// By the key itself: whoever introduced it had its secret half.
    pub signature: Signature,
}

/// Another key takes over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRotated {
    /// The new key.
    pub key: PublicKey,
    /// The key that signed so far.
    pub retired: PublicKey,
    /// Of the statement before this one.
    pub previous: Digest,
    /// When.
    pub at: Timestamp,
    /// Of this statement.
    pub digest: Digest,
    /// By the retired key.
    pub by_retired: Signature,
    /// By the new key: whoever has brought it has its secret half.
    pub by_new: Signature,
}

/// A statement on a range of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Which seal this is, from 1.
    pub number: u64,
    /// The first sealed event, counted from 1 in the order of the journal. Each seal begins where the last one ended.
    pub first: u64,
    /// How many events are sealed; at least 1.
    pub events: u64,
    /// The root of the Merkle tree over the hashes of the events.
    pub root: Digest,
    /// Of the statement before this one.
    pub previous: Digest,
    /// The key that signs.
    pub key: PublicKey,
    /// When.
    pub at: Timestamp,
    /// Of this statement.
    pub digest: Digest,
    /// By the key.
    pub signature: Signature,
}

impl Sealed {
    /// The last sealed event, counted from 1 in the order of the journal.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.first.saturating_add(self.events).saturating_sub(1)
    }
}

/// What can happen to the seals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SealEvent {
    /// The first key was introduced.
    KeyIntroduced(KeyIntroduced),
    /// Another key took over.
    KeyRotated(KeyRotated),
    /// Events were sealed.
    Sealed(Sealed),
}

impl SealEvent {
    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::KeyIntroduced(_) => "seal.key_introduced",
            Self::KeyRotated(_) => "seal.key_rotated",
            Self::Sealed(_) => "seal.sealed",
        }
    }

    /// The digest of its statement.
    #[must_use]
    pub fn digest(&self) -> Digest {
        match self {
            Self::KeyIntroduced(introduced) => introduced.digest,
            Self::KeyRotated(rotated) => rotated.digest,
            Self::Sealed(sealed) => sealed.digest,
        }
    }
}
