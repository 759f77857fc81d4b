//! Which nodes are alive, as one of them sees it, and which of them is to care for what.
//!
//! Invariants: a node always sees itself. What it sees of the others may be late, and two nodes may see different
//! things for a moment, so nothing may be *correct* only because of what is said here: the expected revisions of the
//! journal decide who may write. This only says who should.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::NodeId;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

/// The nodes that are alive, as this process sees it; cheap to clone.
#[derive(Debug, Clone)]
pub struct Members {
    me: NodeId,
    alive: watch::Receiver<Arc<BTreeSet<NodeId>>>,
    contact: Arc<Contact>,
}

impl Members {
    /// Nobody but `me`, for ever: for journals that only this process can reach.
    #[must_use]
    pub fn alone(me: NodeId) -> Self {
        Self::simulated(me, watch::channel(Arc::new(BTreeSet::from([me]))).1)
    }

    /// Whoever the other end of `alive` says; never isolated. For simulations.
    #[must_use]
    pub fn simulated(me: NodeId, alive: watch::Receiver<Arc<BTreeSet<NodeId>>>) -> Self {
        Self::watching(me, alive, Arc::new(Contact::new(Duration::MAX)))
    }

    pub(crate) fn watching(me: NodeId, alive: watch::Receiver<Arc<BTreeSet<NodeId>>>, contact: Arc<Contact>) -> Self {
        Self { me, alive, contact }
    }

    /// This process.
    #[must_use]
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// Who is alive now, this process included.
    #[must_use]
    pub fn now(&self) -> Arc<BTreeSet<NodeId>> {
        let alive = Arc::clone(&self.alive.borrow());
        if alive.contains(&self.me) {
            return alive;
        }
        let mut alive = BTreeSet::clone(&alive);
        alive.insert(self.me);
        Arc::new(alive)
    }

    /// Waits until [`Self::now`] may say something else than when this handle was made or last returned from here,
    /// or until this process is no longer isolated. Pending for ever when nothing can change any more. Nothing is
    /// lost when the future is dropped.
    pub async fn changed(&mut self) {
        if self.alive.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether this process cannot know who is alive: it has had no contact with the others' meeting place for longer
    /// than their silence would be taken for death. [`Self::now`] keeps what was last known, and nobody's work should
    /// be taken over meanwhile. Also true at once in a process that was frozen, until it has caught up.
    #[must_use]
    pub fn isolated(&self) -> bool {
        self.contact.is_lost(Instant::now())
    }

    /// Who of those alive now is to care for `id`; see [`Self::owner_among`].
    #[must_use]
    pub fn owner(&self, id: Uuid) -> NodeId {
        Self::owner_among(&self.now(), id).unwrap_or(self.me)
    }

    /// Who of `nodes` is to care for `id`; `None` when there are no nodes.
    ///
    /// Rendezvous hashing (Thaler and Ravishankar, 1998): the node wins whose hash together with the id is highest, so
    /// everybody who sees the same nodes names the same owner, each node gets an equal share, and when a node comes or
    /// goes nothing moves but what it gets or had. The hash takes the four 64-bit big-endian halves of id and node in
    /// this order, each combined by exclusive or and then mixed by the finalizer of SplitMix64 (Steele, Lea and Flood,
    /// 2014). It must never change: nodes of different versions share the work.
    #[must_use]
    pub fn owner_among(nodes: &BTreeSet<NodeId>, id: Uuid) -> Option<NodeId> {
        let of_id = absorb(0, id);
        nodes.iter().copied().max_by_key(|node| (absorb(of_id, node.as_uuid()), *node))
    }
}

fn absorb(hash: u64, id: Uuid) -> u64 {
    let (high, low) = id.as_u64_pair();
    mix(mix(hash ^ high) ^ low)
}

/// The finalizer of SplitMix64, with its increment added first so that zero is not mapped to itself.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// When this process last had an answer from where the nodes meet.
///
/// Readers compare it with their own clock, so it tells the truth even when the task that renews it does not run.
#[derive(Debug)]
pub(crate) struct Contact {
    began: Instant,
    patience: Duration,
    /// Microseconds after `began`, or [`STEADY`].
    last: AtomicU64,
}

/// While connected without others to hear of; then there is nothing that could be missed.
const STEADY: u64 = u64::MAX;

impl Contact {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { began: Instant::now(), patience, last: AtomicU64::new(STEADY) }
    }

    /// There was an answer to what was asked at `asked`.
    pub(crate) fn renew(&self, asked: Instant) {
        self.last.store(self.since_began(asked), Ordering::Release);
    }

    /// Connected, and nobody to hear of.
    pub(crate) fn rest(&self) {
        self.last.store(STEADY, Ordering::Release);
    }

    /// From now on there must be answers, unless they had to come before already: there are others, or the connection
    /// is lost.
    pub(crate) fn stir(&self, now: Instant) {
        let _ = self.last.compare_exchange(STEADY, self.since_began(now), Ordering::AcqRel, Ordering::Relaxed);
    }

    pub(crate) fn rests(&self) -> bool {
        self.last.load(Ordering::Acquire) == STEADY
    }

    pub(crate) fn is_lost(&self, now: Instant) -> bool {
        let last = self.last.load(Ordering::Acquire);
        last != STEADY
            && now.saturating_duration_since(self.began).saturating_sub(Duration::from_micros(last)) > self.patience
    }

    fn since_began(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.began).as_micros()).unwrap_or(STEADY - 1)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn node(number: u128) -> NodeId {
        NodeId::from_uuid(Uuid::from_u128(number))
    }

    fn nodes(count: u128) -> BTreeSet<NodeId> {
        (1..=count).map(node).collect()
    }

    /// Ids as runs have them: alike in their first bits.
    fn ids() -> impl Iterator<Item = Uuid> {
        (0..10_000)
            .map(|number| Uuid::from_u128(0x0198_f0a1_0000_7000_8000_0000_0000_0000 + (number << 64) + number * 7))
    }

    #[test]
    fn the_owner_of_an_id_is_the_same_in_every_version() {
        let nodes = nodes(5);
        let owners: Vec<_> = ids().take(8).map(|id| Members::owner_among(&nodes, id).unwrap()).collect();
        assert_eq!(owners, [1, 5, 5, 4, 4, 2, 5, 5].map(node), "this table must never change");
    }

    #[test]
    fn everybody_gets_an_equal_share() {
        let nodes = nodes(5);
        let mut shares = std::collections::BTreeMap::new();
        for id in ids() {
            *shares.entry(Members::owner_among(&nodes, id).unwrap()).or_insert(0) += 1;
        }
        // Four standard deviations of a fair choice are 160.
        assert!(shares.len() == 5 && shares.values().all(|share| (1840..=2160).contains(share)), "{shares:?}");
    }

    #[test]
    fn only_what_a_node_had_moves_when_it_goes() {
        let five = nodes(5);
        for gone in &five {
            let four: BTreeSet<_> = five.iter().copied().filter(|node| node != gone).collect();
            for id in ids() {
                let (before, after) = (Members::owner_among(&five, id), Members::owner_among(&four, id));
                assert!(before == after || before == Some(*gone), "{id} moved from {before:?} to {after:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_node_sees_itself_whatever_it_is_told() {
        let (sender, receiver) = watch::channel(Arc::new(nodes(2)));
        let mut members = Members::simulated(node(9), receiver);
        assert_eq!(*members.now(), [1, 2, 9].map(node).into());
        sender.send_replace(Arc::default());
        members.changed().await;
        assert_eq!(*members.now(), [node(9)].into());
        assert_eq!(members.owner(Uuid::from_u128(4)), node(9));
        sender.send_replace(Arc::new(nodes(2)));
        let wanted: BTreeSet<_> = [1, 2, 9].map(node).into();
        assert!(ids().all(|id| Some(members.owner(id)) == Members::owner_among(&wanted, id)));
        assert!(!members.isolated());
    }

    #[tokio::test]
    async fn alone_nothing_ever_changes() {
        let mut members = Members::alone(node(3));
        assert_eq!((members.me(), &*members.now()), (node(3), &[node(3)].into()));
        assert_eq!(members.owner(Uuid::nil()), node(3));
        let mut waiting = std::pin::pin!(members.changed());
        assert!(futures_util::poll!(&mut waiting).is_pending());
    }

    #[test]
    fn contact_is_lost_after_a_silence_unless_there_is_nobody_to_hear() {
        let second = Duration::from_secs(1);
        let contact = Contact::new(3 * second);
        let began = contact.began;
        assert!(!contact.is_lost(began + 100 * second));
        contact.renew(began + 100 * second);
        assert!(!contact.is_lost(began + 103 * second));
        assert!(contact.is_lost(began + 104 * second));
        contact.stir(began + 104 * second);
        assert!(contact.is_lost(began + 104 * second), "losing the connection is no contact");
        contact.rest();
        assert!(!contact.is_lost(began + 200 * second));
        contact.stir(began + 200 * second);
        assert!(!contact.is_lost(began + 203 * second));
        assert!(contact.is_lost(began + 204 * second));
    }
}
