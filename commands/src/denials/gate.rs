use std::collections::HashMap;
use std::time::Duration;

use domain::denial::{DeniedCount, DeniedMore, MAX_COUNTS};
use domain::{Actor, Timestamp};

use super::Denial;

/// Decides which denials are recorded one by one, and counts the rest: a bucket of tokens that fills evenly.
///
/// Invariant: its memory is bounded, whatever the denials say.
#[derive(Debug)]
pub(super) struct Gate {
    burst: u32,
    every: Duration,
    /// How much is in the bucket, as a time: each denial takes `every` out of it.
    filled: Duration,
    last: Timestamp,
    more: HashMap<(Actor, String, String), u64>,
    others: u64,
    /// Since when denials are counted; nothing while there is nothing to tell.
    since: Option<Timestamp>,
}

impl Gate {
    /// Lets `burst` pass at once, and one more each `every`.
    pub(super) fn new(burst: u32, every: Duration, now: Timestamp) -> Self {
        let filled = every.saturating_mul(burst);
        Self { burst, every, filled, last: now, more: HashMap::new(), others: 0, since: None }
    }

    /// Whether the next denial is recorded by itself; it is taken out of the bucket then.
    pub(super) fn passes(&mut self, now: Timestamp) -> bool {
        let full = self.every.saturating_mul(self.burst);
        self.filled = self.filled.saturating_add(now.since(self.last)).min(full);
        self.last = self.last.max(now);
        match self.filled.checked_sub(self.every) {
            Some(left) => {
                self.filled = left;
                true
            }
            None => false,
        }
    }

    /// Counts one that is not recorded by itself.
    pub(super) fn count(&mut self, denial: Denial, now: Timestamp) {
        self.since.get_or_insert(now);
        let Denial { by, action, code, .. } = denial;
        let kind = (by, super::cut(&action), super::cut(&code));
        if let Some(count) = self.more.get_mut(&kind) {
            *count = count.saturating_add(1);
        } else if self.more.len() < MAX_COUNTS {
            self.more.insert(kind, 1);
        } else {
            self.others = self.others.saturating_add(1);
        }
    }

    /// What was counted and not told yet.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<DeniedMore> {
        let since = self.since.take()?;
        let counts = self.more.drain().map(|((by, action, code), count)| DeniedCount { by, action, code, count });
        let mut counts: Vec<DeniedCount> = counts.collect();
        counts.sort_by(|a, b| {
            let key = |count: &DeniedCount| (count.by.to_string(), count.action.clone(), count.code.clone());
            b.count.cmp(&a.count).then_with(|| key(a).cmp(&key(b)))
        });
        Some(DeniedMore { since, until: now, counts, others: std::mem::take(&mut self.others) })
    }

    /// Takes back what could not be told.
    pub(super) fn put_back(&mut self, more: DeniedMore) {
        self.since = Some(self.since.map_or(more.since, |since| since.min(more.since)));
        self.others = self.others.saturating_add(more.others);
        for DeniedCount { by, action, code, count } in more.counts {
            let kind = (by, action, code);
            if let Some(known) = self.more.get_mut(&kind) {
                *known = known.saturating_add(count);
            } else if self.more.len() < MAX_COUNTS {
                self.more.insert(kind, count);
            } else {
                self.others = self.others.saturating_add(count);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn denial(by: &str) -> Denial {
        let (action, code) = ("mutation startRun".to_owned(), "WORKFLOW_NOT_FOUND".to_owned());
        Denial { by: Actor::person(by), correlation: None, action, on: None, code, from: None }
    }

    #[test]
    fn a_burst_passes_and_then_one_at_a_time() {
        let mut gate = Gate::new(3, Duration::from_secs(1), at(0));
        assert_eq!([0; 5].map(|_| gate.passes(at(0))), [true, true, true, false, false]);
        assert_eq!([0; 3].map(|_| gate.passes(at(2))), [true, true, false]);
        // A clock that goes back gives nothing.
        assert!(!gate.passes(at(1)));
        assert_eq!([0; 5].map(|_| gate.passes(at(1000))), [true, true, true, false, false]);
    }

    #[test]
    fn the_rest_is_counted_within_bounds() {
        let mut gate = Gate::new(1, Duration::from_secs(1), at(0));
        assert_eq!(gate.take(at(1)), None);
        for number in 0..MAX_COUNTS + 10 {
            gate.count(denial(&format!("p{number}")), at(1));
        }
        gate.count(denial("p5"), at(2));
        let more = gate.take(at(3)).unwrap();
        assert_eq!((more.since, more.until), (at(1), at(3)));
        assert_eq!((more.counts.len(), more.others), (MAX_COUNTS, 10));
        assert_eq!(more.total(), 75);
        let first = more.counts.first().unwrap();
        assert_eq!((first.by.id.as_str(), first.count), ("p5", 2));
        assert_eq!(gate.take(at(4)), None);
        gate.put_back(more.clone());
        gate.count(denial("p5"), at(5));
        let again = gate.take(at(6)).unwrap();
        assert_eq!((again.since, again.total()), (at(1), 76));
    }
}
