//! The reactor that seals.

use std::sync::Arc;
use std::time::Duration;

use domain::{Actor, NodeId};
use journal::chain::verify;
use journal::seal::{self, Handle, KeyFile, Options, OutsideFile, Service};
use journal::{Executor, Expected, Journal, Members, MemoryCheckpoints, MemoryJournal};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::sample::{agent, append};

struct Sealer {
    handle: Handle,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Sealer {
    fn start(journal: &Arc<dyn Journal>, folder: &TempDir, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new(KeyFile::new(folder.path().join("seal.key")));
        options.outside = Some(Arc::new(OutsideFile::new(folder.path().join("seals.jsonl"))));
        options.within = Duration::from_millis(100);
        options.retry_after = Duration::from_millis(50);
        change(&mut options);
        let members = Members::alone(NodeId::from_uuid(Uuid::now_v7()));
        let checkpoints = Arc::new(MemoryCheckpoints::default());
        let (service, handle) = Service::new(options, Executor::new(Arc::clone(journal)), checkpoints, members);
        let stop = CancellationToken::new();
        let task = tokio::spawn(service.run(stop.clone()));
        Self { handle, stop, task }
    }

    async fn until(&self, sealed: u64) {
        let waiting = async {
            while self.handle.status().sealed < sealed {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
        assert!(waited.is_ok(), "sealed up to {:?}, not {sealed}", self.handle.status());
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

async fn some(journal: &Arc<dyn Journal>, count: usize) {
    for number in 0..count {
        journal.append(append(agent(), Expected::Any, &[&format!("event {number}")])).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_is_sealed_by_count_and_by_time_and_comes_to_rest() {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let folder = tempfile::tempdir().unwrap();
    some(&journal, 25).await;
    let sealer = Sealer::start(&journal, &folder, |options| options.every = 10);
    // Twice ten, and the rest with what the seals themselves added, after a while.
    sealer.until(25).await;
    let head = journal.head().await.unwrap();
    assert!(head.as_u64() > 25);
    // Ten times as long as it takes to make one.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(journal.head().await.unwrap(), head, "an idle journal gets no more seals");

    some(&journal, 1).await;
    let now = journal.head().await.unwrap().as_u64();
    sealer.until(now).await;
    let report = verify(&*journal).await.unwrap();
    assert!(report.is_sound(), "{:#?}", report.findings);
    assert_eq!(report.seals.compared, report.seals.seals);
    sealer.end().await;

    let kept = OutsideFile::read(&folder.path().join("seals.jsonl")).await.unwrap();
    let revisions: Vec<u64> = kept.iter().map(|kept| kept.revision).collect();
    assert_eq!(revisions, (0..=report.seals.seals).collect::<Vec<_>>(), "the key and every seal, once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealing_goes_on_while_the_outside_place_is_away_and_the_copy_catches_up() {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let folder = tempfile::tempdir().unwrap();
    let away = folder.path().join("away");
    let path = away.join("seals.jsonl");
    let outside = Arc::new(OutsideFile::new(&path));
    let sealer = Sealer::start(&journal, &folder, |options| options.outside = Some(outside));
    some(&journal, 5).await;
    sealer.until(5).await;
    let failure = sealer.handle.status().outside_failure.unwrap();
    assert!(failure.contains("seals.jsonl"), "{failure}");
    assert_eq!(sealer.handle.status().failure, None);
    std::fs::create_dir(&away).unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while sealer.handle.status().outside_failure.is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap();
    sealer.end().await;
    let seals = verify(&*journal).await.unwrap().seals.seals;
    let kept = OutsideFile::read(&path).await.unwrap();
    let revisions: Vec<u64> = kept.iter().map(|kept| kept.revision).collect();
    assert_eq!(revisions, (0..=seals).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sealers_that_both_think_it_is_theirs_seal_every_event_once() {
    // Who introduces the key, and what the other one sees of it, is another matter each time.
    for _ in 0..12 {
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
        let folder = tempfile::tempdir().unwrap();
        // The key is there before both want to make it.
        KeyFile::new(folder.path().join("seal.key")).first().unwrap();
        let options = |options: &mut Options| {
            (options.every, options.within, options.outside) = (3, Duration::from_millis(20), None);
        };
        let sealers = [Sealer::start(&journal, &folder, options), Sealer::start(&journal, &folder, options)];
        some(&journal, 100).await;
        for sealer in &sealers {
            sealer.until(100).await;
        }
        for sealer in sealers {
            sealer.end().await;
        }
        let report = verify(&*journal).await.unwrap();
        assert!(report.is_sound(), "{:#?}", report.findings);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_takes_over_while_the_sealer_works() {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let folder = tempfile::tempdir().unwrap();
    let sealer = Sealer::start(&journal, &folder, |_| {});
    some(&journal, 3).await;
    sealer.until(3).await;
    let file = KeyFile::new(folder.path().join("seal.key"));
    let old = file.first().unwrap();
    let executor = Executor::new(Arc::clone(&journal));
    let (retired, new) = seal::rotate(&executor, &file, Actor::person("ada")).await.unwrap();
    assert_eq!(retired, old.public());
    assert!(file.of(retired).is_err(), "the old key is destroyed");
    some(&journal, 3).await;
    let wanted = journal.head().await.unwrap().as_u64();
    sealer.until(wanted).await;
    sealer.end().await;
    let report = verify(&*journal).await.unwrap();
    assert!(report.is_sound(), "{:#?}", report.findings);
    assert_eq!(report.seals.keys, [retired, new]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_key_a_journal_is_not_sealed_by_another_one() {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let folder = tempfile::tempdir().unwrap();
    let sealer = Sealer::start(&journal, &folder, |_| {});
    some(&journal, 3).await;
    sealer.until(3).await;
    sealer.end().await;
    let head = journal.head().await.unwrap();

    let elsewhere = tempfile::tempdir().unwrap();
    let sealer = Sealer::start(&journal, &elsewhere, |_| {});
    some(&journal, 1).await;
    let failure = loop {
        if let Some(failure) = sealer.handle.status().failure {
            break failure;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert!(failure.contains("does not hold it"), "{failure}");
    assert!(!elsewhere.path().join("seal.key").exists(), "no other key is made up");
    assert_eq!(journal.head().await.unwrap().as_u64(), head.as_u64() + 1);
    sealer.end().await;
}
