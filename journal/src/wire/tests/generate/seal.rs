//! Strategies for arbitrary events of seals.

use domain::seal::{Digest, KeyIntroduced, KeyRotated, PublicKey, Sealed, Signature};
use domain::{Event, SealEvent};
use proptest::prelude::*;

use super::timestamp;

fn bytes() -> impl Strategy<Value = [u8; 32]> {
    any::<[u8; 32]>()
}

fn signature() -> impl Strategy<Value = Signature> {
    (bytes(), bytes()).prop_map(|(first, second)| {
        let mut whole = [0; 64];
        whole[..32].copy_from_slice(&first);
        whole[32..].copy_from_slice(&second);
        Signature(whole)
    })
}

pub(super) fn event() -> BoxedStrategy<Event> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>());
    prop_oneof![
        (bytes(), timestamp(), bytes(), signature()).prop_map(|(key, at, digest, signature)| {
            let (key, digest) = (PublicKey(key), Digest(digest));
            SealEvent::KeyIntroduced(KeyIntroduced { key, at, digest, signature })
        }),
        (bytes(), bytes(), bytes(), timestamp(), bytes(), signature(), signature()).prop_map(
            |(key, retired, previous, at, digest, by_retired, by_new)| {
                let (key, retired) = (PublicKey(key), PublicKey(retired));
                let (previous, digest) = (Digest(previous), Digest(digest));
                SealEvent::KeyRotated(KeyRotated { key, retired, previous, at, digest, by_retired, by_new })
            }
        ),
        (numbers, bytes(), bytes(), bytes(), timestamp(), bytes(), signature()).prop_map(
            |((number, first, events), root, previous, key, at, digest, signature)| {
                let (root, previous, digest) = (Digest(root), Digest(previous), Digest(digest));
                let key = PublicKey(key);
                SealEvent::Sealed(Sealed { number, first, events, root, previous, key, at, digest, signature })
            }
        ),
    ]
    .prop_map(Event::from)
    .boxed()
}
