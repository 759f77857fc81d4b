//! Bundles: what is written is found whole, what broke off goes on, and no byte changes unseen.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use domain::{CommandId, StreamId};
use journal::bundle::{BundleError, Export, export, import};
use journal::chain::{Entry, verify};
use journal::postgres::{Importer, Options};
use journal::seal::{Proof, SecretKey, prove};
use journal::{
    Append, AppendError, Appended, Executor, Expected, Filter, Journal, MemoryJournal, Page, Position, ReadError,
    RecordedEvent, Subscription,
};
use testkit::Database;

use super::{look_at_bundle, seal};
use crate::backend::Node;
use crate::sample::{agent, append, remembered, task};

async fn record(journal: &Arc<dyn Journal>, rounds: usize) {
    let executor = Executor::new(Arc::clone(journal));
    let key = SecretKey::from_seed([9; 32]);
    let streams = [agent(), task()];
    for round in 0..rounds {
        for stream in streams {
            journal.append(remembered(append(stream, Expected::Any, &[&format!("round {round}")]))).await.unwrap();
        }
        if round % 2 == 1 {
            seal(&executor, &key).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_a_bundle_changes_unseen() {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    record(&journal, 4).await;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("bundle");
    export(&*journal, &Export::to(&to), |_| {}).await.unwrap();
    let report = look_at_bundle(&to, None);
    assert!(report.is_sound() && report.events.is_whole(), "{report:#?}");
    assert!(report.manifest.unwrap().is_complete());

    for file in fs::read_dir(&to).unwrap().map(|file| file.unwrap().path()) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let healthy = fs::read(&file).unwrap();
        // Not every byte, because each look takes its time; the layouts are long, and one byte is like another.
        let step = if name == "schemas.json" { 4999 } else { 13 };
        for place in (0..healthy.len()).step_by(step) {
            let mut bytes = healthy.clone();
            bytes[place] ^= 1 << (place % 8);
            fs::write(&file, &bytes).unwrap();
            let report = look_at_bundle(&to, None);
            assert!(report.files.iter().any(|fault| fault.file == name), "{name}, byte {place}: {report:#?}");
        }
        for cut in [0, healthy.len() / 2, healthy.len() - 1] {
            fs::write(&file, &healthy[..cut]).unwrap();
            let report = look_at_bundle(&to, None);
            assert!(report.files.iter().any(|fault| fault.file == name), "{name}, cut at {cut}");
        }
        fs::remove_file(&file).unwrap();
        match journal::bundle::verify(&to, |_| {}) {
            Ok(report) => assert!(report.files.iter().any(|fault| fault.file == name), "{name} is gone"),
            Err(error) => assert!(matches!(error, BundleError::NotABundle(_)) && name == "manifest.json", "{error}"),
        }
        fs::write(&file, &healthy).unwrap();
    }
    fs::write(to.join("more.bin"), "more").unwrap();
    assert_eq!(look_at_bundle(&to, None).files.len(), 1);
}

/// A journal whose store goes away after some pages.
struct Breaking {
    inner: Arc<dyn Journal>,
    pages: AtomicUsize,
}

#[async_trait::async_trait]
impl Journal for Breaking {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.inner.append(append).await
    }

    async fn read_stream(
        &self,
        stream: StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        self.inner.read_stream(stream, from, limit).await
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        self.inner.read_all(after, filter, limit).await
    }

    async fn read_back(&self, before: Option<Position>, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        self.inner.read_back(before, filter, limit).await
    }

    async fn read_entries(&self, after: Position, limit: usize) -> Result<Vec<Entry>, ReadError> {
        let left = self.pages.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        match left {
            Ok(_) => self.inner.read_entries(after, limit.min(4)).await,
            Err(_) => Err(ReadError::Closed),
        }
    }

    fn subscribe(&self, after: Position, filter: Filter) -> Subscription {
        self.inner.subscribe(after, filter)
    }

    async fn head(&self) -> Result<Position, ReadError> {
        self.inner.head().await
    }

    fn seen(&self) -> Position {
        self.inner.seen()
    }

    fn gapless(&self) -> bool {
        self.inner.gapless()
    }

    async fn find_command(&self, command: CommandId) -> Result<Option<Appended>, ReadError> {
        self.inner.find_command(command).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_goes_on_where_it_broke_off() {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    record(&journal, 8).await;
    let head = journal.head().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("bundle");
    let wanted = Export { file_events: 5, ..Export::to(&to) };
    let mut broke_off = 0;
    let made = loop {
        let breaking = Breaking { inner: Arc::clone(&journal), pages: AtomicUsize::new(3) };
        match export(&breaking, &wanted, |_| {}).await {
            Ok(made) => break made,
            Err(BundleError::Journal(ReadError::Closed)) => broke_off += 1,
            Err(error) => panic!("{error}"),
        }
        // What comes meanwhile is left to the next export.
        journal.append(append(agent(), Expected::Any, &["later"])).await.unwrap();
        assert!(broke_off < 20, "it goes on");
    };
    assert!(broke_off > 1);
    assert_eq!((made.events, made.until), (head.as_u64(), head.as_u64()));
    let report = look_at_bundle(&to, None);
    assert!(report.is_sound(), "{report:#?}");

    assert!(matches!(export(&*journal, &wanted, |_| {}).await, Err(BundleError::Exists(_))), "it is complete");
    fs::create_dir(folder.path().join("other")).unwrap();
    fs::write(folder.path().join("other/notes.txt"), "mine").unwrap();
    let other = Export::to(folder.path().join("other"));
    assert!(matches!(export(&*journal, &other, |_| {}).await, Err(BundleError::Exists(_))), "it is somebody's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_is_checked_as_far_as_it_goes() {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    record(&journal, 8).await;
    let folder = tempfile::tempdir().unwrap();
    let head = journal.head().await.unwrap().as_u64();
    for (after, until) in [(0, head - 3), (4, head), (7, 12), (head - 1, head), (head, head)] {
        let to = folder.path().join(format!("{after}-{until}.tar"));
        let (after_it, until_it) = (Position::from_u64(after), Some(Position::from_u64(until)));
        let part = Export { after: after_it, until: until_it, ..Export::to(&to) };
        let made = export(&*journal, &part, |_| {}).await.unwrap();
        assert_eq!(made.events, until - after);
        let report = look_at_bundle(&to, None);
        assert!(report.is_sound(), "{after} to {until}: {report:#?}");
        assert!(!folder.path().join(format!("{after}-{until}.tar.partial")).exists());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_imported_journal_is_the_exported_one() {
    let (from, to) = (Database::create().await, Database::create().await);
    let node = Node::open(from.url()).await;
    let journal: Arc<dyn Journal> = Arc::new(node.journal.clone());
    record(&journal, 6).await;
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("journal.tar");
    export(&*journal, &Export::to(&bundle), |_| {}).await.unwrap();
    let mut importer = Importer::open(&Options::from_url(to.url()).unwrap()).await.unwrap();
    let imported = import(&bundle, &mut importer, |_| {}).await.unwrap();
    let other = Node::open(to.url()).await;
    let (ours, theirs) = (
        journal.read_entries(Position::START, 1000).await.unwrap(),
        other.journal.read_entries(Position::START, 1000).await.unwrap(),
    );
    assert_eq!(ours, theirs);
    assert_eq!(imported, ours.len() as u64);
    let report = verify(&other.journal).await.unwrap();
    assert!(report.is_sound() && report.seals.compared == 3, "{report:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_holds_for_its_event_and_for_nothing_else() {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    record(&journal, 5).await;
    let entries = journal.read_entries(Position::START, 1000).await.unwrap();
    let sealed = verify(&*journal).await.unwrap().seals.sealed;
    for entry in &entries {
        let made = prove(&*journal, entry.id, entry.position).await;
        if entry.position.as_u64() > sealed {
            assert!(made.is_err(), "{} is not sealed yet", entry.position);
            continue;
        }
        let proof = made.unwrap();
        let proven = proof.check().unwrap();
        assert_eq!((proven.event, proven.number), (entry.id, entry.position.as_u64()));
        assert_eq!(proven.first_key, SecretKey::from_seed([9; 32]).public());
    }
    // Every digit of the proof counts; some are tried.
    let entry = &entries[2];
    let text = serde_json::to_string(&prove(&*journal, entry.id, entry.position).await.unwrap()).unwrap();
    let mut tried = 0;
    for (place, byte) in text.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_hexdigit()).step_by(7) {
        let mut changed = text.clone().into_bytes();
        changed[place] = if byte == b'1' { b'2' } else { b'1' };
        let changed = String::from_utf8(changed).unwrap();
        if changed == text {
            continue;
        }
        tried += 1;
        let holds = Proof::from_json(&changed).and_then(|proof| proof.check());
        assert!(holds.is_err(), "changed at {place}: {changed}");
    }
    assert!(tried > 100);
}
