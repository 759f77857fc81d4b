//! Appends to several streams whose writer died between two writes.

use std::sync::Arc;
use std::time::Duration;

use journal::{AppendError, Expected, Filter, Journal, Position};
use testkit::kurrent::{KurrentDouble, Store};

use super::holds_exactly;
use crate::backend::KurrentNode;
use crate::sample::{agent, append, part, parts, remembered, task};

/// The store as it is when its writer dies at write number `at` of an append, before that or just after.
async fn died(at: usize, written: bool, wish: journal::Append) -> Arc<Store> {
    let mut double = KurrentDouble::start().await;
    let node = KurrentNode::open(&double.url()).await;
    let mut held = double.faults().hold(at, written);
    let asking = {
        let journal = node.journal.clone();
        tokio::spawn(async move { journal.append(wish).await })
    };
    held.reached().await;
    node.kill().await;
    held.release(false);
    assert!(matches!(asking.await.unwrap().unwrap_err(), AppendError::Unclear | AppendError::Closed));
    let store = Arc::clone(double.store());
    double.kill().await;
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_write_leaves_all_or_nothing() {
    for remember in [false, true] {
        let writes = 3 + usize::from(remember);
        for at in 0..writes {
            for written in [false, true] {
                let streams = [task(), task(), agent()];
                let wish = parts(vec![
                    part(streams[0], Expected::NoStream, &["a", "b"]),
                    part(streams[1], Expected::NoStream, &["c"]),
                    part(streams[2], Expected::NoStream, &["d"]),
                ]);
                let wish = if remember { remembered(wish) } else { wish };
                let store = died(at, written, wish.clone()).await;
                let double = KurrentDouble::start_over(store).await;
                let node = KurrentNode::open(&double.url()).await;
                // As soon as the first write was made, the append counts.
                let counts = at > 0 || written;
                let all: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
                holds_exactly(&node.journal, if counts { all.clone() } else { Vec::new() }).await;
                // The caller that never heard an answer asks again.
                let done = node.journal.append(wish.clone()).await.unwrap();
                if remember && counts {
                    assert_eq!((done.repeated, done.heads), (true, vec![(streams[2], 0)]));
                } else {
                    // Without being remembered it is still the same append, and made only once.
                    assert_eq!(done.heads, [(streams[0], 1), (streams[1], 0), (streams[2], 0)]);
                }
                holds_exactly(&node.journal, all).await;
                node.stop().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_finishes_what_a_dead_one_began() {
    let double = KurrentDouble::start().await;
    let dead = KurrentNode::open(&double.url()).await;
    let other = KurrentNode::open(&double.url()).await;
    let mut subscription = other.journal.subscribe(Position::START, Filter::default());
    let (one, two) = (task(), agent());
    dead.journal.append(append(two, Expected::NoStream, &["there"])).await.unwrap();
    let mut held = double.faults().hold(1, false);
    let wish = parts(vec![part(one, Expected::NoStream, &["a"]), part(two, Expected::Exact(0), &["b"])]);
    let asking = {
        let (journal, wish) = (dead.journal.clone(), wish.clone());
        tokio::spawn(async move { journal.append(wish).await })
    };
    held.reached().await;
    dead.kill().await;
    held.release(false);
    asking.await.unwrap().unwrap_err();
    // It has seen the first half.
    let mut seen = 0;
    while seen < 2 {
        seen += subscription.next().await.unwrap().events.len();
    }
    // Whoever runs into the half finishes the whole before saying no.
    let conflict = other.journal.append(append(one, Expected::NoStream, &["mine"])).await.unwrap_err();
    assert!(matches!(conflict, AppendError::Conflict { actual: Some(0), .. }), "{conflict}");
    holds_exactly(&other.journal, ["there", "a", "b"].map(str::to_owned).to_vec()).await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_in_between_is_told_and_never_doubled() {
    let double = KurrentDouble::start().await;
    let one = KurrentNode::open(&double.url()).await;
    let two = KurrentNode::open(&double.url()).await;
    let (derived, owner) = (task(), agent());
    one.journal.append(append(owner, Expected::NoStream, &["owner"])).await.unwrap();
    for (round, expected) in [(0, Expected::Exact(0)), (1, Expected::Any)] {
        let mut held = double.faults().hold(1, false);
        let derived_expected = if round == 0 { Expected::NoStream } else { Expected::Exact(0) };
        let wish = parts(vec![
            part(derived, derived_expected, &[&format!("derived {round}")]),
            part(owner, expected, &[&format!("mine {round}")]),
        ]);
        let asking = {
            let journal = one.journal.clone();
            tokio::spawn(async move { journal.append(wish).await })
        };
        held.reached().await;
        two.journal.append(append(owner, Expected::Any, &[&format!("theirs {round}")])).await.unwrap();
        held.release(true);
        match asking.await.unwrap() {
            // Its belief is broken: what it had written already stays, and nothing else is written for it.
            Err(AppendError::Conflict { stream, actual, .. }) => {
                assert_eq!((round, stream, actual), (0, owner, Some(1)))
            }
            // Without a belief it goes on behind the other.
            Ok(done) => assert_eq!((round, done.heads), (1, vec![(derived, 1), (owner, 3)])),
            Err(other) => panic!("{other}"),
        }
    }
    let all = ["owner", "derived 0", "theirs 0", "derived 1", "theirs 1", "mine 1"].map(str::to_owned).to_vec();
    holds_exactly(&one.journal, all.clone()).await;
    // A start afterwards changes nothing.
    let late = KurrentNode::open(&double.url()).await;
    holds_exactly(&late.journal, all).await;
    for node in [one, two, late] {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_handed_to_two_processes_is_recorded_once() {
    let double = KurrentDouble::start().await;
    let nodes = [KurrentNode::open(&double.url()).await, KurrentNode::open(&double.url()).await];
    for round in 0..12 {
        let expected = if round % 2 == 0 { Expected::Any } else { Expected::NoStream };
        let wish = remembered(parts(vec![part(task(), expected, &["a"]), part(agent(), expected, &["b"])]));
        let asking: Vec<_> = nodes
            .iter()
            .map(|node| {
                let (journal, wish) = (node.journal.clone(), wish.clone());
                tokio::spawn(async move { journal.append(wish).await.unwrap() })
            })
            .collect();
        let mut answers = Vec::new();
        for asked in asking {
            answers.push(asked.await.unwrap());
        }
        assert_eq!(answers[0].position, answers[1].position);
        assert_eq!(answers[0].heads.last(), answers[1].heads.last());
    }
    holds_exactly(&nodes[0].journal, ["a", "b"].repeat(12).into_iter().map(str::to_owned).collect()).await;
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_looks_back_only_to_where_appends_are_known_to_be_whole() {
    let double = KurrentDouble::start().await;
    let node = KurrentNode::open(&double.url()).await;
    for _ in 0..20 {
        node.journal
            .append(parts(vec![part(task(), Expected::NoStream, &["a"]), part(agent(), Expected::NoStream, &["b"])]))
            .await
            .unwrap();
    }
    let head = node.journal.head().await.unwrap();
    node.stop().await;
    let note = double.store().events().into_iter().rev().find(|event| &*event.stream == "hishamos.whole").unwrap();
    assert_eq!(u64::from_le_bytes(note.data.as_ref().try_into().unwrap()), head.as_u64());
    let node = KurrentNode::open(&double.url()).await;
    assert_eq!(node.journal.head().await.unwrap(), head);
    node.stop().await;
    tokio::time::sleep(Duration::ZERO).await;
}
