//! The Merkle tree over the hashes of events: the shape of RFC 6962, with BLAKE3.
//!
//! Leaves and nodes are hashed in contexts of their own, so that no node can pass for a leaf. A tree of n leaves is
//! one of the largest power of two below n on the left, and the rest on the right.

use std::sync::LazyLock;

use blake3::Hasher;
use domain::seal::Digest;

static LEAF: LazyLock<Hasher> = LazyLock::new(|| Hasher::new_derive_key("hishamos 2026 seal leaf version 1"));
static NODE: LazyLock<Hasher> = LazyLock::new(|| Hasher::new_derive_key("hishamos 2026 seal node version 1"));

/// The leaf of an event, from the event's hash.
#[must_use]
pub fn leaf(hash: &[u8]) -> Digest {
    let mut hasher = LEAF.clone();
    hasher.update(hash);
    Digest(*hasher.finalize().as_bytes())
}

fn node(left: &Digest, right: &Digest) -> Digest {
    let mut hasher = NODE.clone();
    hasher.update(&left.0);
    hasher.update(&right.0);
    Digest(*hasher.finalize().as_bytes())
}

/// A tree that grows leaf by leaf; it keeps one hash for each binary digit of its size.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    size: u64,
    /// The roots of the complete trees that it consists of, largest first.
    peaks: Vec<Digest>,
}

impl Tree {
    /// Adds a leaf on the right.
    pub fn push(&mut self, leaf: Digest) {
        let mut root = leaf;
        let mut size = self.size;
        while size & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            root = node(&left, &root);
            size >>= 1;
        }
        self.peaks.push(root);
        self.size += 1;
    }

    /// How many leaves it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its root; that of no leaves is all zeros, and is never signed.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Digest([0; 32]) };
        peaks.fold(*last, |right, left| node(left, &right))
    }
}

/// The hashes that lead from a leaf to the root, nearest first; `None` when there is no such leaf.
#[must_use]
pub fn path(leaves: &[Digest], index: usize) -> Option<Vec<Digest>> {
    if index >= leaves.len() {
        return None;
    }
    if leaves.len() == 1 {
        return Some(Vec::new());
    }
    let (left, right) = leaves.split_at(leaves.len().div_ceil(2).next_power_of_two());
    let root_of = |leaves: &[Digest]| {
        let mut tree = Tree::default();
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        tree.root()
    };
    let (mut path, beside) = match index.checked_sub(left.len()) {
        None => (self::path(left, index)?, root_of(right)),
        Some(index) => (self::path(right, index)?, root_of(left)),
    };
    path.push(beside);
    Some(path)
}

/// The root that a leaf and its path lead to in a tree of `size` leaves; `None` when there is no such leaf, or the path
/// has another length (RFC 9162, 2.1.3.2).
#[must_use]
pub fn root_by(leaf: Digest, index: u64, size: u64, path: &[Digest]) -> Option<Digest> {
    if index >= size {
        return None;
    }
    let (mut place, mut last, mut root) = (index, size - 1, leaf);
    for beside in path {
        if last == 0 {
            return None;
        }
        if place & 1 == 1 || place == last {
            root = node(beside, &root);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            root = node(&root, beside);
        }
        place >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn leaves(count: u64) -> Vec<Digest> {
        (0..count).map(|number| leaf(&number.to_le_bytes())).collect()
    }

    /// As RFC 6962 defines it, without any cleverness.
    fn defined(leaves: &[Digest]) -> Digest {
        match leaves {
            [one] => *one,
            _ => {
                let mut left = 1;
                while left * 2 < leaves.len() {
                    left *= 2;
                }
                node(&defined(&leaves[..left]), &defined(&leaves[left..]))
            }
        }
    }

    #[test]
    fn a_growing_tree_has_the_defined_root() {
        let leaves = leaves(130);
        let mut tree = Tree::default();
        for (size, leaf) in (1..).zip(&leaves) {
            tree.push(*leaf);
            assert_eq!(tree.root(), defined(&leaves[..size]), "{size}");
        }
    }

    #[test]
    fn every_leaf_has_a_path_and_no_other_place_takes_it() {
        for size in 1..=70_u64 {
            let leaves = leaves(size);
            let root = defined(&leaves);
            for index in 0..size {
                let path = path(&leaves, usize::try_from(index).unwrap()).unwrap();
                let leaf = leaves[usize::try_from(index).unwrap()];
                assert_eq!(root_by(leaf, index, size, &path), Some(root), "{index} of {size}");
                for other in (0..size).filter(|other| *other != index) {
                    assert_ne!(root_by(leaf, other, size, &path), Some(root), "{index} as {other} of {size}");
                }
                let mut longer = path.clone();
                longer.push(root);
                assert_eq!(root_by(leaf, index, size, &longer), None);
                if !path.is_empty() {
                    assert_eq!(root_by(leaf, index, size, &path[1..]), None);
                }
            }
            assert_eq!(path(&leaves, usize::try_from(size).unwrap()), None);
        }
    }

    #[test]
    fn a_node_is_no_leaf() {
        let (left, right) = (leaf(b"a"), leaf(b"b"));
        assert_ne!(leaf(&[left.0, right.0].concat()), node(&left, &right));
    }
}
