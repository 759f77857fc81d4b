//! Laws of the chain and of how appends are prepared, over made-up inputs.

use journal::chain::{Entry, Fault, Link, Verifier};
use journal::{Expected, Hash, Journal, MemoryJournal, Position, event_id};
use proptest::prelude::*;
use uuid::Uuid;

use crate::sample::{agent, append, part, parts, task};

fn entries(texts: &[(bool, String)]) -> Vec<Entry> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let journal = MemoryJournal::new();
        let streams = [agent(), task()];
        for (first, text) in texts {
            journal.append(append(streams[usize::from(*first)], Expected::Any, &[text])).await.unwrap();
        }
        journal.read_entries(Position::START, usize::MAX).await.unwrap()
    })
}

fn faults(entries: impl IntoIterator<Item = Entry>) -> Vec<(u64, Fault)> {
    let mut verifier = Verifier::new(true);
    let mut last = Position::START;
    for entry in entries {
        last = entry.position;
        verifier.check(entry);
    }
    verifier.finish(last).findings.into_iter().map(|found| (found.position.as_u64(), found.fault)).collect()
}

fn texts() -> impl Strategy<Value = Vec<(bool, String)>> {
    proptest::collection::vec((any::<bool>(), ".{0,40}"), 2..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_recorded_is_sound(texts in texts()) {
        prop_assert_eq!(faults(entries(&texts)), vec![]);
    }

    #[test]
    fn any_flipped_bit_is_named(texts in texts(), which in any::<prop::sample::Index>(), column in 0..5, at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut entries = entries(&texts);
        let index = which.index(entries.len());
        let entry = &mut entries[index];
        let flip = |bytes: &mut Vec<u8>| {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        };
        match column {
            0 => flip(&mut entry.payload),
            1 => flip(&mut entry.metadata),
            2 => flip(&mut entry.hash),
            3 => flip(&mut entry.previous_hash),
            _ => entry.recorded_at ^= 1 << bit,
        }
        let position = index as u64 + 1;
        prop_assert!(faults(entries).iter().any(|(at, _)| *at == position));
    }

    #[test]
    fn a_removed_or_exchanged_event_is_noticed(texts in texts(), which in any::<prop::sample::Index>(), exchange in any::<bool>()) {
        let mut entries = entries(&texts);
        let index = which.index(entries.len() - 1);
        if exchange {
            entries.swap(index, index + 1);
        } else {
            entries.remove(index);
        }
        prop_assert!(!faults(entries).is_empty());
    }

    #[test]
    fn no_two_events_share_a_hashed_string(category in "[a-z]{0,6}", kind in "[a-z]{0,6}", one in proptest::collection::vec(any::<u8>(), 0..8), two in proptest::collection::vec(any::<u8>(), 0..8), cut in any::<prop::sample::Index>()) {
        // The same bytes, divided elsewhere between two neighbouring parts, hash differently.
        let hash = |category: &str, kind: &str, metadata: &[u8], payload: &[u8]| Link {
            previous: &Hash::ZERO.0,
            id: Uuid::nil(),
            category,
            stream: Uuid::nil(),
            revision: 0,
            event_type: kind,
            schema_version: 1,
            codec: 1,
            recorded_at: 0,
            metadata,
            payload,
        }
        .hash();
        let whole = [one.clone(), two.clone()].concat();
        let at = cut.index(whole.len() + 1);
        let (left, right) = whole.split_at(at);
        prop_assert_eq!(hash(&category, &kind, &one, &two) == hash(&category, &kind, left, right), at == one.len());
        let (moved, rest) = kind.split_at(kind.len() / 2);
        let longer = format!("{category}{moved}");
        prop_assert_eq!(hash(&category, &kind, &one, &two) == hash(&longer, rest, &one, &two), moved.is_empty());
    }

    #[test]
    fn event_ids_differ_by_command_and_place(one: u128, two: u128, first in 0..100u32, second in 0..100u32) {
        let id = |command: u128, index| event_id(domain::CommandId::from_uuid(Uuid::from_u128(command)), index);
        prop_assert_eq!(id(one, first) == id(two, second), (one, first) == (two, second));
        prop_assert_eq!(id(one, first), id(one, first));
    }

    #[test]
    fn an_append_sent_twice_is_the_same_but_for_its_place(text in ".{0,60}", count in 1..6usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let wish = parts(vec![
                part(agent(), Expected::NoStream, &vec![text.as_str(); count]),
                part(task(), Expected::NoStream, &["end"]),
            ]);
            let (one, two) = (MemoryJournal::new(), MemoryJournal::new());
            one.append(wish.clone()).await.unwrap();
            two.append(wish).await.unwrap();
            let read = async |journal: MemoryJournal| journal.read_entries(Position::START, 100).await.unwrap();
            assert_eq!(read(one).await, read(two).await);
        });
    }
}

#[test]
fn the_hash_of_an_event_never_changes() {
    // A released format: this value was computed once and holds for ever.
    let hash = Link {
        previous: &Hash::ZERO.0,
        id: Uuid::from_u128(1),
        category: "run",
        stream: Uuid::from_u128(2),
        revision: 3,
        event_type: "run.started",
        schema_version: 1,
        codec: 1,
        recorded_at: 1_800_000_000_000_000,
        metadata: b"metadata",
        payload: b"payload",
    }
    .hash();
    assert_eq!(hash.to_string(), "8fd826df01c4f9dc36afc8aa7256c35289a9ebbff8c74aee868d1d6091cdccf1");
}
