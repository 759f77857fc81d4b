//! Which of the other nodes are alive, given what is heard and seen of them. Pure: the time comes in.
//!
//! A node lives as long as it holds its lock and is heard. Invariants: time counts against a silent node only while
//! this process watches, so who was itself frozen or cut off declares nobody dead because of it; a missing lock means
//! death only for a node that has had one since this process (re)connected, because after a restart of the database
//! all come back one after the other; and a silent node is remembered as long as it holds its lock, so it is alive
//! again with its next word.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::NodeId;
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Presence {
    beat: Duration,
    silence: Duration,
    /// For how long this process has watched, up to `last`.
    watched: Duration,
    last: Instant,
    peers: BTreeMap<NodeId, Peer>,
}

#[derive(Debug)]
struct Peer {
    /// When it was last heard, in time watched.
    heard: Duration,
    /// Whether it has had a lock since this process connected.
    locked: bool,
}

impl Presence {
    /// Knows nobody yet.
    pub(super) fn new(beat: Duration, silence: Duration, now: Instant) -> Self {
        Self { beat, silence, watched: Duration::ZERO, last: now, peers: BTreeMap::new() }
    }

    /// `node` said something. Whether it was unknown.
    pub(super) fn heard(&mut self, node: NodeId, now: Instant) -> bool {
        let heard = self.watched_at(now);
        self.peers.insert(node, Peer { heard, locked: true }).is_none()
    }

    /// `node` said that it goes.
    pub(super) fn left(&mut self, node: NodeId) {
        self.peers.remove(&node);
    }

    /// Whether it would follow that a node is dead if only these held their locks.
    pub(super) fn would_lose(&self, holders: &BTreeSet<NodeId>) -> bool {
        self.peers.iter().any(|(node, peer)| peer.locked && !holders.contains(node))
    }

    /// The other nodes that hold their locks. To be told before what was heard while looking, because that is newer.
    pub(super) fn looked(&mut self, holders: &BTreeSet<NodeId>, now: Instant) {
        self.peers.retain(|node, peer| !peer.locked || holders.contains(node));
        let heard = self.watched_at(now);
        for node in holders {
            self.peers.entry(*node).or_insert(Peer { heard, locked: true }).locked = true;
        }
    }

    /// A beat's length has passed, or more. Who is neither locked nor heard for long enough is forgotten.
    pub(super) fn tick(&mut self, now: Instant) {
        self.watched = self.watched_at(now);
        self.last = now;
        let (watched, silence) = (self.watched, self.silence);
        self.peers.retain(|_, peer| peer.locked || watched.saturating_sub(peer.heard) < silence);
    }

    /// Connected again after the connection was lost. Who was alive gets the time of a silence to come back or be
    /// heard.
    pub(super) fn reconnected(&mut self, now: Instant) {
        self.last = now;
        let (watched, silence) = (self.watched, self.silence);
        self.peers.retain(|_, peer| {
            let alive = watched.saturating_sub(peer.heard) < silence;
            *peer = Peer { heard: watched, locked: false };
            alive
        });
    }

    /// The other nodes that are alive.
    pub(super) fn alive(&self) -> impl Iterator<Item = NodeId> {
        self.peers
            .iter()
            .filter(|(_, peer)| self.watched.saturating_sub(peer.heard) < self.silence)
            .map(|(node, _)| *node)
    }

    /// Whether no other node is known, not even a silent one.
    pub(super) fn is_alone(&self) -> bool {
        self.peers.is_empty()
    }

    /// From one tick to the next at most one beat counts.
    fn watched_at(&self, now: Instant) -> Duration {
        self.watched + now.saturating_duration_since(self.last).min(self.beat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const BEAT: Duration = Duration::from_secs(1);
    const SILENCE: Duration = Duration::from_secs(3);

    fn node(number: u128) -> NodeId {
        NodeId::from_uuid(Uuid::from_u128(number))
    }

    fn nodes<const N: usize>(numbers: [u128; N]) -> BTreeSet<NodeId> {
        numbers.map(node).into()
    }

    /// A node's view, in tenths of a second.
    struct World {
        start: Instant,
        view: Presence,
    }

    impl World {
        fn new() -> Self {
            let start = Instant::now();
            Self { start, view: Presence::new(BEAT, SILENCE, start) }
        }

        fn at(&self, tenths: u64) -> Instant {
            self.start + Duration::from_millis(100 * tenths)
        }

        /// A beat: the locks seen, then what was heard meanwhile, then the time.
        fn beat<const L: usize, const H: usize>(&mut self, tenths: u64, locks: [u128; L], heard: [u128; H]) {
            let now = self.at(tenths);
            self.view.looked(&nodes(locks), now);
            for number in heard {
                self.view.heard(node(number), now);
            }
            self.view.tick(now);
        }

        fn alive(&self) -> BTreeSet<NodeId> {
            self.view.alive().collect()
        }
    }

    #[test]
    fn who_holds_a_lock_is_alive_at_once_and_who_lost_it_is_dead_at_once() {
        let mut world = World::new();
        assert!(world.view.is_alone());
        world.beat(0, [1, 2], []);
        assert_eq!(world.alive(), nodes([1, 2]));
        assert!(!world.view.would_lose(&nodes([1, 2, 3])));
        assert!(world.view.would_lose(&nodes([2, 3])));
        world.beat(10, [2], [2]);
        assert_eq!(world.alive(), nodes([2]));
        world.beat(20, [], []);
        assert!(world.view.is_alone());
    }

    #[test]
    fn who_is_heard_is_alive_and_who_says_goodbye_is_not() {
        let mut world = World::new();
        assert!(world.view.heard(node(1), world.at(5)));
        assert!(!world.view.heard(node(1), world.at(6)));
        assert_eq!(world.alive(), nodes([1]));
        world.view.left(node(1));
        assert!(world.view.is_alone());
    }

    #[test]
    fn what_was_heard_while_looking_is_newer_than_the_look() {
        let mut world = World::new();
        world.beat(0, [], [1]);
        assert_eq!(world.alive(), nodes([1]));
        // Connected anew between two looks: the old lock is gone, the new one there.
        world.beat(10, [], [1]);
        assert_eq!(world.alive(), nodes([1]));
    }

    #[test]
    fn a_silent_node_is_dead_after_the_silence_and_alive_with_its_next_word() {
        let mut world = World::new();
        world.beat(0, [1, 2], []);
        for tenths in [10, 20] {
            world.beat(tenths, [1, 2], [2]);
            assert_eq!(world.alive(), nodes([1, 2]));
        }
        for tenths in [30, 40, 50] {
            world.beat(tenths, [1, 2], [2]);
            assert_eq!(world.alive(), nodes([2]));
        }
        assert!(!world.view.is_alone());
        world.view.heard(node(1), world.at(52));
        assert_eq!(world.alive(), nodes([1, 2]));
        // Its silence counts from then.
        for tenths in [60, 70, 80] {
            world.beat(tenths, [1, 2], [2]);
            assert_eq!(world.alive(), nodes([1, 2]));
        }
        world.beat(90, [1, 2], [2]);
        assert_eq!(world.alive(), nodes([2]));
    }

    #[test]
    fn a_silent_node_without_a_lock_is_forgotten() {
        let mut world = World::new();
        for tenths in [0, 10, 20, 30] {
            world.beat(tenths, [1], []);
        }
        assert!(world.alive().is_empty() && !world.view.is_alone());
        world.beat(40, [], []);
        assert!(world.view.is_alone());
    }

    #[test]
    fn being_away_oneself_makes_nobody_dead() {
        let mut world = World::new();
        world.beat(0, [1], []);
        world.beat(10, [1], [1]);
        // Frozen for a minute, and the whole machine with it: nothing came in meanwhile.
        world.beat(610, [1], []);
        assert_eq!(world.alive(), nodes([1]));
        world.beat(620, [1], []);
        assert_eq!(world.alive(), nodes([1]));
        world.beat(630, [1], []);
        assert!(world.alive().is_empty());
    }

    #[test]
    fn after_a_restart_of_the_database_all_get_time_to_come_back() {
        let mut world = World::new();
        world.beat(0, [1, 2, 3], []);
        for tenths in [10, 20, 30] {
            world.beat(tenths, [1, 2, 3], [1, 2]);
        }
        assert_eq!(world.alive(), nodes([1, 2]));
        world.view.reconnected(world.at(100));
        // Nobody else is back yet.
        assert!(!world.view.would_lose(&nodes([])));
        world.beat(100, [], []);
        assert_eq!(world.alive(), nodes([1, 2]));
        // The first is back in time; the second never comes.
        world.beat(110, [1], [1]);
        world.beat(120, [1], [1]);
        assert_eq!(world.alive(), nodes([1, 2]));
        world.beat(130, [1], [1]);
        assert_eq!(world.alive(), nodes([1]));
        // From now on its lock means life and death again.
        world.beat(140, [], []);
        assert!(world.view.is_alone());
    }

    #[test]
    fn a_late_beat_of_a_dead_node_counts_until_the_next_look() {
        let mut world = World::new();
        world.beat(0, [1], []);
        world.beat(10, [], [1]);
        assert_eq!(world.alive(), nodes([1]));
        world.beat(20, [], []);
        assert!(world.view.is_alone());
    }
}
