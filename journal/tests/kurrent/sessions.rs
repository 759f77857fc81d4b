//! One batch session for all appends of a writer, how much it takes in, and what several writers do to each other.

use std::sync::Arc;

use journal::{AppendError, Expected, Filter, Journal, MAX_PAYLOAD, Position};
use testkit::kurrent::{KurrentDouble, WriteFault};

use super::failure::hasty;
use super::holds_exactly;
use crate::backend::KurrentNode;
use crate::sample::{agent, append, part, parts, remembered, task, text_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_appends_share_one_session_and_an_error_opens_the_next() {
    let double = KurrentDouble::start().await;
    let node = hasty(&double.url()).await;
    let mut accepted = Vec::new();
    let asking: Vec<_> = (0..200)
        .map(|index| {
            let journal = node.journal.clone();
            tokio::spawn(async move {
                let texts = [format!("{index} a"), format!("{index} b")];
                let streams = vec![
                    part(task(), Expected::NoStream, &[&texts[0]]),
                    part(agent(), Expected::NoStream, &[&texts[1]]),
                ];
                journal.append(remembered(parts(streams))).await.unwrap();
                texts
            })
        })
        .collect();
    for asked in asking {
        accepted.extend(asked.await.unwrap());
    }
    assert_eq!(double.faults().sessions(), 1, "600 writes over one session");
    let mut sessions = 1;
    for fault in [WriteFault::Lost, WriteFault::Unacknowledged, WriteFault::Deadline, WriteFault::SilentAfter] {
        double.faults().write(0, fault);
        for _ in 0..2 {
            let text = format!("{fault:?} {}", accepted.len());
            node.journal.append(append(agent(), Expected::NoStream, &[&text])).await.unwrap();
            accepted.push(text);
        }
        // An error ends it, whatever the client makes of the session afterwards; then one is used again for everything.
        sessions += 1;
        assert_eq!(double.faults().sessions(), sessions, "{fault:?}");
    }
    // So does a conflict that only the server knows of.
    let other = KurrentNode::open(&double.url()).await;
    let stream = agent();
    other.journal.append(append(stream, Expected::NoStream, &["theirs"])).await.unwrap();
    accepted.push("theirs".to_owned());
    let before = double.faults().sessions();
    match node.journal.append(append(stream, Expected::NoStream, &["mine"])).await.unwrap_err() {
        AppendError::Conflict { actual, .. } => assert_eq!(actual, Some(0)),
        other => panic!("{other}"),
    }
    node.journal.append(append(stream, Expected::Exact(0), &["then mine"])).await.unwrap();
    accepted.push("then mine".to_owned());
    assert!(double.faults().sessions() <= before + 1);
    holds_exactly(&node.journal, accepted).await;
    for node in [node, other] {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_rivals_in_two_processes_one_wins_and_the_others_learn_the_revision() {
    let double = KurrentDouble::start().await;
    let nodes = [KurrentNode::open(&double.url()).await, KurrentNode::open(&double.url()).await];
    let stream = agent();
    for round in 0..10 {
        let expected = if round == 0 { Expected::NoStream } else { Expected::Exact(round - 1) };
        let rivals: Vec<_> = (0..8)
            .map(|index| {
                let journal = nodes[index % 2].journal.clone();
                tokio::spawn(async move { journal.append(append(stream, expected, &["mine"])).await })
            })
            .collect();
        let mut winners = 0;
        for rival in rivals {
            match rival.await.unwrap() {
                Ok(done) => {
                    assert_eq!(done.heads, [(stream, round)]);
                    winners += 1;
                }
                Err(AppendError::Conflict { actual, .. }) => assert_eq!(actual, Some(round)),
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(winners, 1, "{round}");
    }
    holds_exactly(&nodes[0].journal, vec!["mine".to_owned(); 10]).await;
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_beyond_the_memory_for_them_wait_outside() {
    let double = KurrentDouble::start().await;
    let node = KurrentNode::open_with(&double.url(), |options| options.queue_kib = 128).await;
    let text = Arc::new("x".repeat(50 * 1024));
    let mut held = double.faults().hold(0, false);
    let asking: Vec<_> = (0..60)
        .map(|_| {
            let (journal, text) = (node.journal.clone(), Arc::clone(&text));
            tokio::spawn(async move { journal.append(append(agent(), Expected::NoStream, &[&text])).await })
        })
        .collect();
    held.reached().await;
    node.kill().await;
    held.release(false);
    // Two fit into 128 KiB. Those cannot know what became of them; the others were never let in, but for one or two that
    // took the place of these before the end was known.
    let (mut inside, mut outside) = (0, 0);
    for asked in asking {
        match asked.await.unwrap().unwrap_err() {
            AppendError::Unclear => inside += 1,
            AppendError::Closed => outside += 1,
            other => panic!("{other}"),
        }
    }
    assert!((1..=6).contains(&inside) && inside + outside == 60, "{inside} {outside}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_append_to_several_streams_is_carried_and_finished() {
    let double = KurrentDouble::start().await;
    let dead = KurrentNode::open(&double.url()).await;
    let large: Vec<String> = (0..7).map(|index| format!("{index}{}", "y".repeat(MAX_PAYLOAD - 100))).collect();
    let texts: Vec<&str> = large.iter().map(String::as_str).collect();
    let wish = parts(vec![part(task(), Expected::NoStream, &["first"]), part(agent(), Expected::NoStream, &texts)]);
    let mut held = double.faults().hold(1, false);
    let asking = {
        let journal = dead.journal.clone();
        tokio::spawn(async move { journal.append(wish).await })
    };
    held.reached().await;
    dead.kill().await;
    held.release(false);
    asking.await.unwrap().unwrap_err();
    // Its first event carries seven megabytes, which whoever comes next can read.
    let next = KurrentNode::open(&double.url()).await;
    let all = [vec!["first".to_owned()], large].concat();
    holds_exactly(&next.journal, all.clone()).await;
    let mut subscription = next.journal.subscribe(Position::START, Filter::default());
    let mut seen = Vec::new();
    while seen.len() < all.len() {
        let batch = subscription.next().await.unwrap();
        seen.extend(batch.events.iter().map(|event| text_of(event.event().unwrap()).to_owned()));
    }
    assert_eq!(seen, all);
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_bounded_by_its_bytes() {
    let double = KurrentDouble::start().await;
    let node = KurrentNode::open_with(&double.url(), |options| options.tail_events = 0).await;
    let large = "z".repeat(MAX_PAYLOAD - 100);
    for _ in 0..20 {
        node.journal.append(append(agent(), Expected::NoStream, &[&large])).await.unwrap();
    }
    let (mut after, mut pages) = (Position::START, Vec::new());
    loop {
        let page = node.journal.read_all(after, &Filter::default(), 1000).await.unwrap();
        if page.position == after {
            break;
        }
        pages.push(page.events.len());
        after = page.position;
    }
    assert_eq!((pages.len(), pages.iter().sum::<usize>()), (2, 20), "{pages:?}");
    assert!(pages[0] <= 17, "sixteen megabytes, and the event that goes beyond: {pages:?}");
    node.stop().await;
}
