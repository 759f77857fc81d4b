//! Who may append to what, within this process: whoever holds a key has to itself what is behind it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// A lock per key, for as many keys as are wanted at the moment. Waiters are served in the order in which they came.
#[derive(Debug)]
pub(super) struct Locks<K> {
    turns: Mutex<HashMap<K, Arc<Turn<()>>>>,
}

impl<K: Eq + Hash + Ord> Locks<K> {
    /// How many unused locks are kept before they are cleared away.
    const KEPT: usize = 4096;

    pub(super) fn new() -> Self {
        Self { turns: Mutex::new(HashMap::new()) }
    }

    /// Waits for all of the keys. They are taken in their order, so that nobody waits in a circle.
    pub(super) async fn lock(&self, mut keys: Vec<K>) -> Vec<OwnedMutexGuard<()>> {
        keys.sort_unstable();
        keys.dedup();
        let mut held = Vec::with_capacity(keys.len());
        for key in keys {
            let turn = {
                let mut turns = self.turns.lock();
                if turns.len() >= Self::KEPT {
                    // Whoever holds or awaits a lock has a share of it.
                    turns.retain(|_, turn| Arc::strong_count(turn) > 1);
                }
                Arc::clone(turns.entry(key).or_default())
            };
            held.push(turn.lock_owned().await);
        }
        held
    }
}
