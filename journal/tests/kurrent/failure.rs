//! Lost acknowledgements, broken sessions, a server that goes away, leaders that change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use journal::kurrent::{KurrentJournal, OpenError, Options};
use journal::{AppendError, Expected, Filter, Journal, Position, ReadError};
use testkit::kurrent::{KurrentDouble, Limits, WriteFault};
use tokio::task::JoinHandle;

use super::holds_exactly;
use crate::backend::KurrentNode;
use crate::sample::{agent, append, part, parts, remembered};

/// A node that does not wait long.
pub(super) async fn hasty(url: &str) -> KurrentNode {
    KurrentNode::open_with(url, |options| {
        options.request = Duration::from_millis(400);
        options.patience = Duration::from_millis(1500);
        options.watch = Duration::from_millis(200);
    })
    .await
}

/// Callers that append until they are stopped; each expects to be right about its two streams every time.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    callers: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    pub(super) fn start(journal: &KurrentJournal) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let callers = (0..8)
            .map(|caller| {
                let (journal, stop, done) = (journal.clone(), Arc::clone(&stop), Arc::clone(&done));
                tokio::spawn(async move {
                    let (one, two) = (agent(), agent());
                    let mut accepted = Vec::new();
                    let mut round = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let expected = if round == 0 { Expected::NoStream } else { Expected::Exact(round - 1) };
                        let texts = [format!("{caller} {round} a"), format!("{caller} {round} b")];
                        // A failure or a conflict would be false: the streams are its own, and the server comes back.
                        journal
                            .append(parts(vec![part(one, expected, &[&texts[0]]), part(two, expected, &[&texts[1]])]))
                            .await
                            .unwrap();
                        accepted.extend(texts);
                        round += 1;
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    accepted
                })
            })
            .collect();
        Self { stop, done, callers }
    }

    pub(super) async fn goes_on(&self) {
        let wanted = self.done.load(Ordering::Relaxed) + 20;
        while self.done.load(Ordering::Relaxed) < wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub(super) async fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut accepted = Vec::new();
        for caller in self.callers {
            accepted.extend(caller.await.unwrap());
        }
        accepted
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_a_write_it_is_there_once() {
    let double = KurrentDouble::start().await;
    let node = hasty(&double.url()).await;
    let faults = [
        WriteFault::Lost,
        WriteFault::Unacknowledged,
        WriteFault::Silent,
        WriteFault::SilentAfter,
        WriteFault::Deadline,
        WriteFault::DeadlineAfter,
        WriteFault::NotLeader(double.address()),
    ];
    let mut accepted = Vec::new();
    for (number, fault) in faults.into_iter().enumerate() {
        // Each part of an append in turn: the note about its command, the first stream, the last.
        for skip in 0..3 {
            double.faults().write(skip, fault);
            let texts = [format!("{number} {skip} a"), format!("{number} {skip} b")];
            let (one, two) = (agent(), agent());
            let wish = remembered(parts(vec![
                part(one, Expected::NoStream, &[&texts[0]]),
                part(two, Expected::NoStream, &[&texts[1]]),
            ]));
            let done =
                node.journal.append(wish.clone()).await.unwrap_or_else(|error| panic!("{fault:?} {skip}: {error}"));
            assert!(!done.repeated);
            assert_eq!(done.heads, [(one, 0), (two, 0)]);
            assert_eq!(done.position, node.journal.head().await.unwrap());
            accepted.extend(texts);
            // Asked again, it answers and does nothing.
            assert_eq!(node.journal.append(wish).await.unwrap().position, done.position);
        }
    }
    holds_exactly(&node.journal, accepted).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_under_load_lose_and_double_nothing() {
    let double = KurrentDouble::start().await;
    let node = hasty(&double.url()).await;
    let load = Load::start(&node.journal);
    for round in 0..15 {
        load.goes_on().await;
        let fault = if round % 2 == 0 { WriteFault::Unacknowledged } else { WriteFault::Lost };
        double.faults().write(round % 5, fault);
    }
    load.goes_on().await;
    holds_exactly(&node.journal, load.stop().await).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_and_restarted_server_loses_and_doubles_nothing() {
    let mut double = KurrentDouble::start().await;
    let node = KurrentNode::open(&double.url()).await;
    let mut subscription = node.journal.subscribe(Position::START, Filter::default());
    let load = Load::start(&node.journal);
    for _ in 0..3 {
        load.goes_on().await;
        double.restart().await;
    }
    load.goes_on().await;
    let accepted = load.stop().await;
    let recorded = holds_exactly(&node.journal, accepted).await;
    let mut seen = Vec::new();
    while seen.len() < recorded.len() {
        seen.extend(subscription.next().await.unwrap().events.iter().map(|event| event.id));
    }
    assert_eq!(seen, recorded.iter().map(|event| event.id).collect::<Vec<_>>());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_away_is_reported_and_nothing_is_recorded() {
    let mut double = KurrentDouble::start().await;
    let node = hasty(&double.url()).await;
    let stream = agent();
    node.journal.append(append(stream, Expected::NoStream, &["before"])).await.unwrap();
    double.kill().await;
    let lost: Vec<_> = (0..5)
        .map(|_| {
            let journal = node.journal.clone();
            tokio::spawn(async move { journal.append(append(agent(), Expected::NoStream, &["lost"])).await })
        })
        .collect();
    for asked in lost {
        // Those that went out over the dying connection cannot know.
        let error = asked.await.unwrap().unwrap_err();
        assert!(matches!(error, AppendError::Unavailable(_) | AppendError::Unclear), "{error}");
    }
    assert!(matches!(node.journal.head().await.unwrap_err(), ReadError::Unavailable(_)));
    double.restart().await;
    node.journal.append(append(stream, Expected::Exact(0), &["after"])).await.unwrap();
    holds_exactly(&node.journal, vec!["before".to_owned(), "after".to_owned()]).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_could_not_connect_at_first_is_replaced() {
    let mut double = KurrentDouble::start().await;
    double.kill().await;
    let url = double.url() + "&maxDiscoverAttempts=2&discoveryInterval=10";
    match KurrentJournal::open(Options::from_url(&url).unwrap()).await.map(drop) {
        Err(OpenError::Unusable { why, source: ReadError::Unavailable(_) }) => {
            assert!(why.contains(&double.address().to_string()) && why.contains("cannot be reached"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    double.restart().await;
    let node = KurrentNode::open(&url).await;
    double.kill().await;
    let late = {
        let journal = node.journal.clone();
        tokio::spawn(async move { journal.append(append(agent(), Expected::NoStream, &["late"])).await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    double.restart().await;
    late.await.unwrap().unwrap();
    holds_exactly(&node.journal, vec!["late".to_owned()]).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_will_not_take_is_refused_with_its_reason() {
    let double = KurrentDouble::start().await;
    let node = KurrentNode::open(&double.url()).await;
    double.store().limit(Limits { event: 1024, append: 4096 });
    let large = "x".repeat(2000);
    let wish = parts(vec![part(agent(), Expected::NoStream, &["small"]), part(agent(), Expected::NoStream, &[&large])]);
    match node.journal.append(wish).await.unwrap_err() {
        AppendError::Invalid(what) => assert!(what.contains("MaxAppendSize"), "{what}"),
        other => panic!("{other}"),
    }
    holds_exactly(&node.journal, Vec::new()).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_records_what_was_handed_in_and_takes_no_more() {
    let double = KurrentDouble::start().await;
    let node = KurrentNode::open(&double.url()).await;
    let mut subscription = node.journal.subscribe(Position::START, Filter::default());
    let asking: Vec<_> = (0..100)
        .map(|index| {
            let journal = node.journal.clone();
            tokio::spawn(async move {
                let text = format!("{index}");
                journal.append(append(agent(), Expected::NoStream, &[&text])).await.map(|_| text)
            })
        })
        .collect();
    tokio::task::yield_now().await;
    let journal = node.journal.clone();
    node.stop().await;
    let mut accepted = Vec::new();
    for asked in asking {
        match asked.await.unwrap() {
            Ok(text) => accepted.push(text),
            Err(AppendError::Closed) => {}
            Err(other) => panic!("{other}"),
        }
    }
    let late = journal.append(append(agent(), Expected::NoStream, &["late"])).await;
    assert!(matches!(late.unwrap_err(), AppendError::Closed));
    let mut seen = 0;
    let end = loop {
        match subscription.next().await {
            Ok(batch) => seen += batch.events.len(),
            Err(end) => break end,
        }
    };
    assert!(matches!(end, ReadError::Closed));
    assert_eq!(seen, accepted.len());
    let again = KurrentNode::open(&double.url()).await;
    holds_exactly(&again.journal, accepted).await;
}

#[tokio::test]
async fn a_prefix_that_could_meet_another_is_refused() {
    let mut options = Options::from_url("kurrentdb://localhost:1?tls=false").unwrap();
    options.prefix = "a_b".to_owned();
    assert!(matches!(KurrentJournal::open(options).await.map(drop), Err(OpenError::Prefix(_))));
    assert!(matches!(Options::from_url("kurrentdb:/nowhere"), Err(OpenError::Url(_))));
}
