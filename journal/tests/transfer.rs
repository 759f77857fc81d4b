//! Moving a journal between back ends.

use std::sync::Arc;

use journal::kurrent::{self, KurrentJournal};
use journal::postgres::{self, PostgresJournal};
use journal::{Expected, Import, Journal, MemoryJournal, Position, Transfer, TransferError};
use testkit::Database;
use testkit::kurrent::{KurrentDouble, WriteFault};

use crate::backend::{KurrentNode, Node};
use crate::sample::{agent, append, part, parts, remembered, task};

async fn fill(journal: &dyn Journal, rounds: usize) {
    let streams = [agent(), task(), agent()];
    for round in 0..rounds {
        for stream in streams {
            journal.append(append(stream, Expected::Any, &[&format!("{round}"), "more"])).await.unwrap();
        }
        let wish =
            parts(vec![part(task(), Expected::NoStream, &["a"]), part(agent(), Expected::NoStream, &["b", "c"])]);
        journal.append(remembered(wish)).await.unwrap();
    }
}

async fn contents(journal: &dyn Journal) -> Vec<journal::chain::Entry> {
    let mut entries = Vec::new();
    let mut after = Position::START;
    loop {
        let page = journal.read_entries(after, 100).await.unwrap();
        let Some(last) = page.last() else { return entries };
        after = last.position;
        entries.extend(page.into_iter().map(|entry| journal::chain::Entry { position: Position::START, ..entry }));
    }
}

async fn copy(
    source: &Arc<dyn Journal>,
    target: &Arc<dyn Journal>,
    importer: impl Import + 'static,
) -> Result<(u64, u64), TransferError> {
    let mut transfer = Transfer::begin(Arc::clone(source), Arc::clone(target), Box::new(importer), |_| {}).await?;
    while transfer.step().await? {}
    let progress = transfer.progress();
    let (one, two) = transfer.finish().await?;
    assert!(one.is_sound() && two.is_sound());
    Ok((progress.compared, progress.copied))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_is_the_same_after_moving_there_and_back() {
    let (database, double, other) = (Database::create().await, KurrentDouble::start().await, Database::create().await);
    let node = Node::open(database.url()).await;
    let first: Arc<dyn Journal> = Arc::new(node.journal.clone());
    fill(&*first, 30).await;
    let options = || kurrent::Options::from_url(&double.url()).unwrap();
    let (second, _) = KurrentJournal::open(options()).await.unwrap();
    let second: Arc<dyn Journal> = Arc::new(second);
    assert_eq!(copy(&first, &second, kurrent::Importer::open(options()).await.unwrap()).await.unwrap(), (0, 270));
    // More comes, and only that is copied.
    fill(&*first, 2).await;
    assert_eq!(copy(&first, &second, kurrent::Importer::open(options()).await.unwrap()).await.unwrap(), (270, 18));
    let third_options = || postgres::Options::from_url(other.url()).unwrap();
    let (third, _) = PostgresJournal::open(third_options()).await.unwrap();
    let third: Arc<dyn Journal> = Arc::new(third);
    let importer = postgres::Importer::open(&third_options()).await.unwrap();
    assert_eq!(copy(&second, &third, importer).await.unwrap(), (0, 288));
    // What came to a stream at once is one row there as well: 96 appends to one stream, 32 to two.
    let rows = "SELECT count(*), sum(events) FROM journal.parts";
    let rows: (i64, i64) = sqlx::query_as(rows).fetch_one(other.pool()).await.unwrap();
    assert_eq!(rows, (160, 288));
    let whole = contents(&*first).await;
    assert_eq!(whole, contents(&*second).await);
    assert_eq!(whole, contents(&*third).await);
    // Commands are remembered wherever their events went, and streams go on.
    let last = whole.iter().rev().find_map(|entry| entry.command).unwrap();
    let node = KurrentNode::open(&double.url()).await;
    for journal in [&first, &third, &(Arc::new(node.journal.clone()) as Arc<dyn Journal>)] {
        let found = journal.find_command(domain::CommandId::from_uuid(last)).await.unwrap().unwrap();
        assert_eq!(found.heads.last().unwrap().1, 1);
    }
    let stream = whole.iter().find(|entry| entry.revision == 3).unwrap();
    let stream = domain::StreamId { category: stream.category.parse().unwrap(), id: stream.stream };
    node.journal.append(append(stream, Expected::Exact(63), &["on"])).await.unwrap_err();
    node.journal.append(append(stream, Expected::Exists, &["on"])).await.unwrap();
    crate::conformance::is_sound(&node.journal).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_type_with_a_space_in_its_name_is_refused() {
    let (memory, database) = (MemoryJournal::new(), Database::create().await);
    fill(&memory, 1).await;
    let mut entries = memory.read_entries(Position::START, 100).await.unwrap();
    entries[4].event_type = "agent. disabled".to_owned();
    let options = postgres::Options::from_url(database.url()).unwrap();
    let refused = postgres::Importer::open(&options).await.unwrap().import(&entries).await.unwrap_err();
    assert!(refused.to_string().contains("`agent. disabled`"), "{refused}");
    let (journal, _) = PostgresJournal::open(options).await.unwrap();
    assert_eq!(journal.head().await.unwrap(), Position::START);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_breaks_off_at_any_write_goes_on() {
    let database = Database::create().await;
    let node = Node::open(database.url()).await;
    // Only a store remembers commands with their events.
    fill(&node.journal, 2).await;
    let source: Arc<dyn Journal> = Arc::new(node.journal.clone());
    let whole = contents(&*source).await;
    for at in 0..12 {
        let double = KurrentDouble::start().await;
        let options = || {
            let mut options = kurrent::Options::from_url(&double.url()).unwrap();
            options.patience = std::time::Duration::ZERO;
            options
        };
        let (target, _) = KurrentJournal::open(options()).await.unwrap();
        let target: Arc<dyn Journal> = Arc::new(target);
        let fault = if at % 2 == 0 { WriteFault::Lost } else { WriteFault::Deadline };
        double.faults().write(at, fault);
        let broken = copy(&source, &target, kurrent::Importer::open(options()).await.unwrap()).await;
        assert!(matches!(broken, Err(TransferError::Write(_))), "{at}: {broken:?}");
        copy(&source, &target, kurrent::Importer::open(options()).await.unwrap()).await.unwrap();
        assert_eq!(contents(&*target).await, whole, "{at}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_no_beginning_is_refused_untouched() {
    let double = KurrentDouble::start().await;
    let node = KurrentNode::open(&double.url()).await;
    fill(&node.journal, 2).await;
    let target: Arc<dyn Journal> = Arc::new(node.journal.clone());
    let before = double.store().events().len();
    // Another journal, and one that is shorter than the target.
    let (other, shorter) = (MemoryJournal::new(), MemoryJournal::new());
    fill(&other, 3).await;
    for source in [other, shorter] {
        let source: Arc<dyn Journal> = Arc::new(source);
        let importer = kurrent::Importer::open(kurrent::Options::from_url(&double.url()).unwrap()).await.unwrap();
        match copy(&source, &target, importer).await.unwrap_err() {
            TransferError::NotPrefix(what) => assert!(what.contains("position"), "{what}"),
            other => panic!("{other}"),
        }
    }
    assert_eq!(double.store().events().len(), before);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_journal_is_not_copied_beyond_the_damage() {
    let (double, other) = (KurrentDouble::start().await, KurrentDouble::start().await);
    let node = KurrentNode::open(&double.url()).await;
    fill(&node.journal, 4).await;
    let source: Arc<dyn Journal> = Arc::new(node.journal.clone());
    let middle = crate::conformance::everything(&*source).await[10].position;
    double.store().tamper(middle.as_u64(), |event| event.data = event.data.slice(1..));
    let options = || kurrent::Options::from_url(&other.url()).unwrap();
    let (target, _) = KurrentJournal::open(options()).await.unwrap();
    let target: Arc<dyn Journal> = Arc::new(target);
    match copy(&source, &target, kurrent::Importer::open(options()).await.unwrap()).await.unwrap_err() {
        TransferError::Damaged(report) => assert_eq!(report.findings[0].position, middle),
        other => panic!("{other}"),
    }
    assert!(contents(&*target).await.is_empty());
    node.stop().await;
}
