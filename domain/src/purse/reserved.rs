use rpds::RedBlackTreeMapSync;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Payer, Reservation};

/// What is set aside for calls under way. Copies share what they have in common, because a purse is copied for every decision
/// and a busy one has hundreds of calls; the sum is kept, because every call asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Reserved {
    by_payer: RedBlackTreeMapSync<Payer, Reservation>,
    sum: u128,
}

impl Reserved {
    pub(super) fn get(&self, payer: Payer) -> Option<Reservation> {
        self.by_payer.get(&payer).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.by_payer.size()
    }

    /// All of it; at most what a number holds.
    pub(super) fn sum(&self) -> u64 {
        u64::try_from(self.sum).unwrap_or(u64::MAX)
    }

    pub(super) fn put(&mut self, payer: Payer, reservation: Reservation) {
        self.take(payer);
        self.by_payer.insert_mut(payer, reservation);
        self.sum += u128::from(reservation.amount);
    }

    pub(super) fn take(&mut self, payer: Payer) -> Option<Reservation> {
        let reservation = self.get(payer)?;
        self.by_payer.remove_mut(&payer);
        self.sum -= u128::from(reservation.amount);
        Some(reservation)
    }
}

/// As a list of pairs: a payer is no name of a field.
impl Serialize for Reserved {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.by_payer.iter())
    }
}

impl<'de> Deserialize<'de> for Reserved {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut reserved = Self::default();
        for (payer, reservation) in Vec::<(Payer, Reservation)>::deserialize(deserializer)? {
            reserved.put(payer, reservation);
        }
        Ok(reserved)
    }
}
