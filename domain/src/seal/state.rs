use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Digest, PublicKey, SealEvent};
use crate::{Category, StreamId};

/// How far the journal is sealed, and by whose key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Seals {
    key: Option<PublicKey>,
    last: Option<Digest>,
    number: u64,
    sealed: u64,
}

impl Seals {
    /// The one stream in which all seals of a journal stand.
    pub const STREAM: StreamId =
        StreamId { category: Category::Seal, id: Uuid::from_u128(0x5ea1_5ea1_0000_8000_8000_0000_0000_0001) };

    /// The key that signs now; nothing before the first was introduced.
    #[must_use]
    pub fn key(&self) -> Option<PublicKey> {
        self.key
    }

    /// The digest of the last statement.
    #[must_use]
    pub fn last(&self) -> Option<Digest> {
        self.last
    }

    /// How many seals there are.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How many events are sealed: all from the first on.
    #[must_use]
    pub fn sealed(&self) -> u64 {
        self.sealed
    }

    pub(super) fn fold(&mut self, event: SealEvent) {
        self.last = Some(event.digest());
        match event {
            SealEvent::KeyIntroduced(introduced) => self.key = Some(introduced.key),
            SealEvent::KeyRotated(rotated) => self.key = Some(rotated.key),
            SealEvent::Sealed(sealed) => {
                self.number = sealed.number;
                self.sealed = sealed.last();
            }
        }
    }
}
