use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{BreakerOptions, Breakers, Verdict};
use crate::{Failure, FailureKind};

/// Spreads calls over the keys of one platform by their weights (smooth weighted round robin, as nginx does it), and
/// lets a key rest for a model while the platform refuses it.
///
/// There is always an answer: when all keys rest, it is the one that rests the least longer. Whether to call at all
/// is decided elsewhere.
#[derive(Debug)]
pub struct KeyRing {
    weights: Vec<u32>,
    balances: Vec<i64>,
    resting: Breakers<(usize, String)>,
}

impl KeyRing {
    /// A ring of keys with these weights.
    #[must_use]
    pub fn new(weights: impl IntoIterator<Item = u32>) -> Self {
        let weights: Vec<u32> = weights.into_iter().collect();
        Self { balances: vec![0; weights.len()], weights, resting: Breakers::new(BreakerOptions::default()) }
    }

    /// The index of the key for the next call; 0 when there are none.
    pub fn pick(&mut self, model: &str, now: Instant) -> usize {
        if self.weights.len() < 2 {
            return 0;
        }
        let rests: HashMap<usize, Duration> = (0..self.weights.len())
            .filter_map(|index| Some((index, self.resting.resting(&(index, model.to_owned()), now)?.pause)))
            .collect();
        let ready = |index: &usize| !rests.contains_key(index);
        let weighted = self.weights.iter().enumerate().filter(|(_, weight)| **weight > 0).map(|(index, _)| index);
        let mut candidates: Vec<usize> = weighted.filter(ready).collect();
        if candidates.is_empty() {
            candidates = (0..self.weights.len()).filter(ready).collect();
        }
        if candidates.is_empty() {
            return (0..self.weights.len()).min_by_key(|index| rests.get(index).copied()).unwrap_or_default();
        }
        let mut total = 0;
        let mut best: Option<(usize, i64)> = None;
        for index in candidates {
            let weight = self.weights.get(index).copied().map_or(1, |weight| i64::from(weight.max(1)));
            let Some(balance) = self.balances.get_mut(index) else { continue };
            *balance += weight;
            total += weight;
            if best.is_none_or(|(_, most)| *balance > most) {
                best = Some((index, *balance));
            }
        }
        let index = best.map(|(index, _)| index).unwrap_or_default();
        if let Some(balance) = self.balances.get_mut(index) {
            *balance -= total;
        }
        index
    }

    /// Whether a key is there that may be used for a model now.
    #[must_use]
    pub fn has_ready(&self, model: &str, now: Instant) -> bool {
        (0..self.weights.len()).any(|index| self.resting.resting(&(index, model.to_owned()), now).is_none())
    }

    /// Tells that a call with a key failed.
    pub fn settle(&mut self, key: usize, model: &str, failure: &Failure, now: Instant) {
        // Only these are the fault of a key.
        if matches!(failure.kind, FailureKind::RateLimited | FailureKind::Unauthorized) {
            self.resting.settle(&(key, model.to_owned()), Verdict::of(failure), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::KeyRing;
    use crate::{Failure, FailureKind};

    fn picks(ring: &mut KeyRing, count: usize, now: Instant) -> Vec<usize> {
        (0..count).map(|_| ring.pick("m", now)).collect()
    }

    #[test]
    fn calls_are_spread_by_weight() {
        let now = Instant::now();
        assert_eq!(picks(&mut KeyRing::new([]), 2, now), [0, 0]);
        assert_eq!(picks(&mut KeyRing::new([5, 1, 1]), 7, now), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(picks(&mut KeyRing::new([1, 0]), 3, now), [0, 0, 0]);
    }

    #[test]
    fn a_refused_key_rests_for_its_model() {
        let (mut ring, now) = (KeyRing::new([1, 1, 0]), Instant::now());
        let limited = Failure::new(FailureKind::RateLimited, "x").after(Some(Duration::from_secs(5)));
        ring.settle(0, "m", &limited, now);
        assert_eq!(picks(&mut ring, 3, now), [1, 1, 1]);
        assert_eq!(ring.pick("other", now), 0);
        ring.settle(1, "m", &Failure::new(FailureKind::Unauthorized, "x"), now);
        assert_eq!(picks(&mut ring, 2, now), [2, 2], "the one that is kept for this");
        assert!(ring.has_ready("m", now));
        ring.settle(2, "m", &limited, now + Duration::from_secs(1));
        assert!(!ring.has_ready("m", now + Duration::from_secs(1)));
        assert_eq!(ring.pick("m", now + Duration::from_secs(1)), 0, "all rest, so the one that rests the least longer");
        ring.settle(0, "m", &Failure::new(FailureKind::Timeout, "x"), now);
        assert_eq!(ring.pick("m", now + Duration::from_secs(5)), 0, "time has passed");
    }
}
