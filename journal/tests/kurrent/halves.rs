//! Appends to several streams whose writer died between two writes.

use std::sync::Arc;
use std::time::Duration;

use journal::{AppendError, Expected, Filter, Journal, Position};
use testkit::kurrent::{KurrentDouble, ReadFault, Store};

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

/// Waits until this process knows of everything that is recorded.
async fn sees_everything(node: &KurrentNode) {
    let head = node.journal.head().await.unwrap();
    let mut subscription = node.journal.subscribe(Position::START, Filter::default());
    while subscription.position() < head {
        subscription.next().await.unwrap();
    }
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
async fn what_a_silent_process_began_is_finished_before_others_write_to_the_same_streams() {
    let double = KurrentDouble::start().await;
    let silent = KurrentNode::open(&double.url()).await;
    let other = KurrentNode::open(&double.url()).await;
    let (derived, owner) = (task(), agent());
    silent.journal.append(append(owner, Expected::NoStream, &["owner"])).await.unwrap();
    for (round, expected) in [(0, Expected::Any), (1, Expected::Exact(2))] {
        sees_everything(&silent).await;
        let mut subscription = other.journal.subscribe(other.journal.head().await.unwrap(), Filter::default());
        let mut held = double.faults().hold(1, false);
        let asking = {
            let journal = silent.journal.clone();
            let wish = parts(vec![
                part(derived, Expected::Any, &[&format!("derived {round}")]),
                part(owner, Expected::Any, &[&format!("mine {round}")]),
            ]);
            tokio::spawn(async move { journal.append(wish).await })
        };
        held.reached().await;
        // The other has seen that it is begun.
        while subscription.next().await.unwrap().events.is_empty() {}
        let theirs = append(owner, expected, &[&format!("theirs {round}")]);
        match other.journal.append(theirs).await {
            Ok(done) => assert_eq!((round, done.heads), (0, vec![(owner, 2)])),
            // What the silent one began counts, so a belief from before it is wrong.
            Err(AppendError::Conflict { actual, .. }) => assert_eq!((round, actual), (1, Some(3))),
            Err(other) => panic!("{other}"),
        }
        // The silent one learns that it is done, though not by its own hand.
        held.release(true);
        let done = asking.await.unwrap().unwrap();
        assert_eq!(done.heads, [(derived, round), (owner, [1, 3][usize::try_from(round).unwrap()])]);
    }
    let all = ["owner", "derived 0", "mine 0", "theirs 0", "derived 1", "mine 1"].map(str::to_owned).to_vec();
    holds_exactly(&other.journal, all).await;
    for node in [silent, other] {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_whose_first_write_was_lost_is_decided_upon_again() {
    let double = KurrentDouble::start().await;
    let slow = KurrentNode::open(&double.url()).await;
    let other = KurrentNode::open(&double.url()).await;
    let (derived, owner) = (task(), agent());
    slow.journal.append(append(owner, Expected::NoStream, &["owner"])).await.unwrap();
    for (round, expected) in [(0, Expected::Exact(0)), (1, Expected::Any)] {
        let mut held = double.faults().hold(0, false);
        let wish = parts(vec![part(derived, Expected::Any, &["derived"]), part(owner, expected, &["mine"])]);
        let asking = {
            let journal = slow.journal.clone();
            tokio::spawn(async move { journal.append(wish).await })
        };
        held.reached().await;
        other.journal.append(append(owner, Expected::Any, &["theirs"])).await.unwrap();
        // The write is lost; much has happened since it was decided.
        held.release(false);
        match asking.await.unwrap() {
            // Nothing of it is left behind.
            Err(AppendError::Conflict { stream, actual, .. }) => {
                assert_eq!((round, stream, actual), (0, owner, Some(1)))
            }
            Ok(done) => assert_eq!((round, done.heads), (1, vec![(derived, 0), (owner, 3)])),
            Err(other) => panic!("{other}"),
        }
    }
    holds_exactly(&slow.journal, ["owner", "theirs", "theirs", "derived", "mine"].map(str::to_owned).to_vec()).await;
    for node in [slow, other] {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_in_between_is_told_and_never_doubled() {
    let double = KurrentDouble::start().await;
    let one = KurrentNode::open(&double.url()).await;
    let (derived, owner) = (task(), agent());
    one.journal.append(append(owner, Expected::NoStream, &["owner"])).await.unwrap();
    sees_everything(&one).await;
    // The other's subscription brings it nothing, so it does not see what this one begins.
    double.faults().subscription(ReadFault::Stalls(0));
    let two = KurrentNode::open(&double.url()).await;
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
