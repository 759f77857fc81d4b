//! Appends in parts that are begun and not yet seen to be finished.
//!
//! The first part of such an append says what else belongs to it. In `$all` the parts stand in the order in which they
//! were written, the last one last: so whoever has seen the first and not the last knows what may have to be finished.
//! Finishing is done by whoever finds it, also while the writer is still at it: every part has its exact place and its
//! id, so that two who write it write it once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use uuid::Uuid;

use super::envelope::Part;

/// One that is begun.
#[derive(Debug, Clone)]
pub(super) struct Half {
    pub(super) rest: Vec<Part>,
    /// The stream of its first part.
    begun: String,
    /// The position of its first part, in `$all`.
    position: u64,
    since: Instant,
}

/// All that this process has seen to be begun.
#[derive(Debug, Default)]
pub(super) struct Halves {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// By KurrentDB's id of the event that will finish it.
    open: HashMap<Uuid, Half>,
    /// Those that this process knows to be whole before it has seen their ends, with the positions of these.
    whole: HashMap<Uuid, u64>,
    /// The last event that was noted.
    position: u64,
}

impl Halves {
    /// How many that are known to be whole are kept before those whose ends have passed are cleared away.
    const KEPT: usize = 1024;

    /// Takes note of the next event of `$all`.
    pub(super) fn observe(&self, id: Uuid, stream: &str, position: u64, rest: Vec<Part>) {
        let mut seen = self.seen.lock();
        seen.position = seen.position.max(position);
        seen.open.remove(&id);
        seen.whole.remove(&id);
        if let Some(last) = rest.last().and_then(Part::last)
            && !seen.whole.contains_key(&last)
        {
            seen.open.insert(last, Half { rest, begun: stream.to_owned(), position, since: Instant::now() });
        }
    }

    /// The one that ends with this event, at this position, is whole, though its end may not have been seen yet.
    pub(super) fn settle(&self, last: Uuid, position: u64) {
        let mut seen = self.seen.lock();
        seen.open.remove(&last);
        if position > seen.position {
            seen.whole.insert(last, position);
            if seen.whole.len() > Self::KEPT {
                let passed = seen.position;
                seen.whole.retain(|_, end| *end > passed);
            }
        }
    }

    /// This one is finished, or never will be.
    pub(super) fn forget(&self, last: Uuid) {
        self.seen.lock().open.remove(&last);
    }

    /// Those that have been open for a while, oldest first.
    pub(super) fn older(&self, age: Duration) -> Vec<(Uuid, Half)> {
        self.select(|half| half.since.elapsed() >= age)
    }

    /// Those that have written or still have to write into one of these streams.
    pub(super) fn touching(&self, names: &[String]) -> Vec<(Uuid, Half)> {
        self.select(|half| names.contains(&half.begun) || half.rest.iter().any(|part| names.contains(&part.name)))
    }

    fn select(&self, wanted: impl Fn(&Half) -> bool) -> Vec<(Uuid, Half)> {
        let seen = self.seen.lock();
        let mut found: Vec<_> =
            seen.open.iter().filter(|(_, half)| wanted(half)).map(|(last, half)| (*last, half.clone())).collect();
        found.sort_unstable_by_key(|(_, half)| half.position);
        found
    }

    /// The position of the oldest, from which on somebody who knows nothing has to look.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.seen.lock().open.values().map(|half| half.position).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kurrent::envelope::Message;

    fn part(id: u128) -> Part {
        let message = Message {
            id: Uuid::from_u128(id),
            event_type: String::new(),
            metadata: bytes::Bytes::new(),
            payload: bytes::Bytes::new(),
        };
        Part { name: format!("s{id}"), next: 0, messages: vec![message] }
    }

    #[test]
    fn an_append_is_open_until_its_last_event_is_seen() {
        let halves = Halves::default();
        halves.observe(Uuid::from_u128(1), "s1", 10, vec![part(2), part(3)]);
        halves.observe(Uuid::from_u128(4), "s4", 20, vec![part(5)]);
        halves.observe(Uuid::from_u128(2), "s2", 30, Vec::new());
        assert_eq!((halves.oldest(), halves.older(Duration::ZERO).len()), (Some(10), 2));
        assert_eq!(halves.touching(&["s5".to_owned()]).len(), 1);
        assert_eq!(halves.touching(&["s1".to_owned(), "s6".to_owned()]).len(), 1);
        halves.observe(Uuid::from_u128(3), "s3", 40, Vec::new());
        assert_eq!(halves.oldest(), Some(20));
        halves.forget(Uuid::from_u128(5));
        assert_eq!(halves.oldest(), None);
    }

    #[test]
    fn what_this_process_knows_to_be_whole_is_never_open() {
        let halves = Halves::default();
        // Its end is known before its beginning is seen, or between the two.
        halves.settle(Uuid::from_u128(2), 15);
        halves.observe(Uuid::from_u128(1), "s1", 10, vec![part(2)]);
        assert_eq!(halves.oldest(), None);
        halves.observe(Uuid::from_u128(3), "s3", 12, vec![part(4)]);
        assert_eq!(halves.oldest(), Some(12));
        halves.settle(Uuid::from_u128(4), 20);
        assert_eq!(halves.oldest(), None);
        halves.observe(Uuid::from_u128(2), "s2", 15, Vec::new());
        halves.observe(Uuid::from_u128(4), "s4", 20, Vec::new());
        // What was seen to its end needs no note.
        halves.settle(Uuid::from_u128(2), 15);
        assert!(halves.seen.lock().whole.is_empty());
    }
}
