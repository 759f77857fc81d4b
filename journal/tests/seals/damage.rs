//! What somebody with all rights on the database can do, and how it shows.

use std::sync::Arc;

use journal::bundle::{Export, export};
use journal::chain::{Entry, Fault, Finding, Report, verify, verify_against};
use journal::seal::{Book, SealFault, SecretKey, statement};
use journal::{Executor, Expected, Journal, MemoryJournal, Position};
use proptest::prelude::*;
use testkit::Database;

use super::{is_seal, look, look_at_bundle, rotate, seal};
use crate::backend::Node;
use crate::sample::{agent, append, remembered, task};

fn keys() -> [SecretKey; 3] {
    [1, 2, 3].map(|seed| SecretKey::from_seed([seed; 32]))
}

/// 9 events of three streams in turn, sealed after 3, 6 and 9, with another key from the second seal on: 17 events.
async fn record(journal: Arc<dyn Journal>) -> Executor {
    let executor = Executor::new(journal);
    let [first, second, _] = keys();
    let streams = [agent(), task(), agent()];
    for round in 0..3 {
        for stream in streams {
            let text = format!("something of round {round}");
            executor.journal().append(remembered(append(stream, Expected::Any, &[&text]))).await.unwrap();
        }
        seal(&executor, if round == 0 { &first } else { &second }).await;
        if round == 0 {
            rotate(&executor, &first, &second).await;
        }
    }
    executor
}

/// Makes the chains whole again, as an attacker does who knows how: positions, revisions, hashes.
fn mend(entries: &mut [Entry]) {
    let mut ends = std::collections::HashMap::new();
    for (position, entry) in (1..).zip(entries) {
        entry.position = Position::from_u64(position);
        let (revision, hash) =
            ends.get(&(entry.category.clone(), entry.stream)).cloned().unwrap_or((0, vec![0_u8; 32]));
        (entry.revision, entry.previous_hash) = (revision, hash);
        entry.hash = entry.computed_hash().0.to_vec();
        ends.insert((entry.category.clone(), entry.stream), (revision + 1, entry.hash.clone()));
    }
}

fn plain(entries: &[Entry], which: usize) -> usize {
    entries.iter().enumerate().filter(|(_, entry)| !is_seal(entry)).nth(which).unwrap().0
}

fn nth_seal(entries: &[Entry], which: usize) -> usize {
    entries.iter().enumerate().filter(|(_, entry)| entry.event_type == "seal.sealed").nth(which).unwrap().0
}

type Attack = (&'static str, fn(&mut Vec<Entry>), fn(&Finding) -> bool);

fn seal_fault(finding: &Finding, is: impl Fn(&SealFault) -> bool) -> bool {
    matches!(&finding.fault, Fault::Seal(fault) if is(fault))
}

/// What is done, and what has to be found.
fn attacks() -> Vec<Attack> {
    let root = |finding: &Finding| seal_fault(finding, |fault| matches!(fault, SealFault::Root { .. }));
    vec![
        (
            "one byte",
            |entries| entries[1].payload[3] ^= 1,
            |finding| finding.position.as_u64() == 2 && matches!(finding.fault, Fault::WrongHash { .. }),
        ),
        (
            "one event, with its whole stream mended",
            |entries| {
                let place = plain(entries, 3);
                entries[place].payload[3] ^= 1;
                mend(entries);
            },
            |finding| seal_fault(finding, |fault| matches!(fault, SealFault::Root { number: 2, .. })),
        ),
        (
            "one row gone",
            |entries| {
                entries.remove(3);
            },
            |finding| finding.position.as_u64() == 5 && matches!(finding.fault, Fault::MissingPositions { .. }),
        ),
        (
            "one row gone and everything mended",
            |entries| {
                let place = plain(entries, 8);
                entries.remove(place);
                mend(entries);
            },
            root,
        ),
        (
            "two events of a stream exchanged",
            |entries| {
                let (one, two) = (plain(entries, 0), plain(entries, 3));
                let place = entries[one].position;
                entries[one].position = entries[two].position;
                entries[two].position = place;
                entries.swap(one, two);
            },
            |finding| matches!(finding.fault, Fault::RevisionOrder { .. } | Fault::MissingRevisions { .. }),
        ),
        (
            "two events exchanged, with their positions",
            |entries| {
                entries.swap(0, 1);
                mend(entries);
            },
            |finding| seal_fault(finding, |fault| matches!(fault, SealFault::Root { number: 1, .. })),
        ),
        (
            "an event put in and everything mended",
            |entries| {
                let mut copy = entries[0].clone();
                copy.id = domain::EventId::from_uuid(uuid::Uuid::from_u128(7));
                copy.command = None;
                entries.insert(1, copy);
                mend(entries);
            },
            root,
        ),
        (
            "a whole stream gone and everything mended",
            |entries| {
                let stream = entries[0].stream;
                entries.retain(|entry| entry.stream != stream);
                mend(entries);
            },
            root,
        ),
        (
            "one byte of a seal's signature",
            |entries| {
                let place = nth_seal(entries, 1);
                *entries[place].payload.last_mut().unwrap() ^= 1;
                mend(entries);
            },
            |finding| seal_fault(finding, |fault| matches!(fault, SealFault::Statement(_))),
        ),
        (
            "one byte of a seal's root",
            |entries| {
                let place = nth_seal(entries, 1);
                entries[place].payload[9] ^= 1;
                mend(entries);
            },
            |finding| seal_fault(finding, |fault| matches!(fault, SealFault::Statement(_) | SealFault::Unreadable(_))),
        ),
        (
            "a seal gone and everything mended",
            |entries| {
                let place = nth_seal(entries, 1);
                entries.remove(place);
                mend(entries);
            },
            |finding| seal_fault(finding, |fault| matches!(fault, SealFault::Order)),
        ),
        (
            "two seals exchanged and everything mended",
            |entries| {
                let (one, two) = (nth_seal(entries, 1), nth_seal(entries, 2));
                entries.swap(one, two);
                mend(entries);
            },
            |finding| seal_fault(finding, |fault| matches!(fault, SealFault::Order)),
        ),
        (
            "the hand-over to another key gone and everything mended",
            |entries| {
                entries.retain(|entry| entry.event_type != "seal.key_rotated");
                mend(entries);
            },
            |finding| seal_fault(finding, |fault| matches!(fault, SealFault::Order)),
        ),
        (
            "one byte of a key",
            |entries| {
                let place = entries.iter().position(|entry| entry.event_type == "seal.key_introduced").unwrap();
                entries[place].payload[0] ^= 1;
                mend(entries);
            },
            |finding| seal_fault(finding, |fault| matches!(fault, SealFault::Statement(_))),
        ),
    ]
}

fn named(report: &Report, is: fn(&Finding) -> bool, what: &str) {
    assert!(report.findings.iter().any(is), "{what}: {:#?}", report.findings);
}

/// Puts other events in the place of all there are, each in a row of its own, past the triggers that refuse it.
async fn replace(database: &Database, entries: &[Entry]) {
    let mut transaction = database.pool().begin().await.unwrap();
    sqlx::raw_sql("ALTER TABLE journal.parts DISABLE TRIGGER ALL; DELETE FROM journal.parts")
        .execute(&mut *transaction)
        .await
        .unwrap();
    for entry in entries {
        let body = [
            entry.id.as_uuid().as_bytes(),
            &entry.schema_version.to_be_bytes()[..],
            &[entry.codec],
            &u32::try_from(entry.payload.len()).unwrap().to_be_bytes(),
            &entry.payload,
        ]
        .concat();
        sqlx::query("INSERT INTO journal.parts VALUES ($1, $2, 1, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
            .bind(i64::try_from(entry.position.as_u64()).unwrap())
            .bind(i64::try_from(entry.revision).unwrap())
            .bind(entry.recorded_at)
            .bind(entry.stream)
            .bind(entry.command)
            .bind(&entry.category)
            .bind(&entry.event_type)
            .bind(&entry.previous_hash)
            .bind(&entry.hash)
            .bind(&entry.metadata)
            .bind(body)
            .execute(&mut *transaction)
            .await
            .unwrap();
    }
    let head = entries.iter().map(|entry| entry.position.as_u64()).max().unwrap_or(0);
    sqlx::query("UPDATE journal.head SET position = $1")
        .bind(i64::try_from(head).unwrap())
        .execute(&mut *transaction)
        .await
        .unwrap();
    sqlx::raw_sql("ALTER TABLE journal.parts ENABLE TRIGGER ALL").execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attack_is_found_in_the_live_journal_and_in_a_bundle_of_it() {
    let database = Database::create().await;
    let node = Node::open(database.url()).await;
    let executor = record(Arc::new(node.journal.clone())).await;
    assert!(verify(&node.journal).await.unwrap().is_sound());
    let healthy = executor.journal().read_entries(Position::START, 100).await.unwrap();
    node.stop().await;
    let folder = tempfile::tempdir().unwrap();
    for (number, (what, attack, is)) in attacks().into_iter().enumerate() {
        let mut entries = healthy.clone();
        attack(&mut entries);
        replace(&database, &entries).await;
        // Nothing that a process remembers may hide it.
        let node = Node::open(database.url()).await;
        named(&verify(&node.journal).await.unwrap(), is, what);
        let to = folder.path().join(number.to_string());
        export(&node.journal, &Export::to(&to), |_| {}).await.unwrap();
        let report = look_at_bundle(&to, None);
        assert_eq!(report.files, [], "{what}: the files are as they were written");
        named(&report.events, is, what);
        node.stop().await;
    }
    replace(&database, &healthy).await;
    let node = Node::open(database.url()).await;
    assert!(verify(&node.journal).await.unwrap().is_sound(), "the attacks alone are what was found");
}

/// What a journal cannot show by itself: that its end is gone, or that all of it was written anew with another key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_kept_outside_shows_a_cut_tail_and_a_journal_written_anew() {
    let memory: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let executor = record(Arc::clone(&memory)).await;
    let entries = memory.read_entries(Position::START, 100).await.unwrap();
    let mut book = Book::default();
    entries.iter().filter(|entry| is_seal(entry)).cloned().for_each(|entry| book.take(entry));
    let kept: Vec<_> = (0..).zip(book.statements().cloned()).collect();
    let first_key = keys()[0].public();

    let cut = &entries[..entries.len() - 3];
    assert!(look(cut, |_| {}).is_sound(), "if this is found without a copy, docs/audit.md says too little");
    let report = look(cut, |book| book.expect(&kept));
    named(
        &report,
        |finding| seal_fault(finding, |fault| matches!(fault, SealFault::Outside { found: None, .. })),
        "cut",
    );

    let [_, _, other] = keys();
    let anew: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let forged = Executor::new(Arc::clone(&anew));
    forged.journal().append(append(agent(), Expected::Any, &["nothing happened"])).await.unwrap();
    seal(&forged, &other).await;
    let forged = anew.read_entries(Position::START, 100).await.unwrap();
    assert!(look(&forged, |_| {}).is_sound());
    let foreign = |finding: &Finding| seal_fault(finding, |fault| matches!(fault, SealFault::Foreign { .. }));
    named(&look(&forged, |book| book.expect_key(first_key)), foreign, "another key");
    named(&look(&forged, |book| book.expect(&kept)), |finding| finding.to_string().contains("kept outside"), "copy");

    let report = verify_against(&*memory, |book| {
        book.expect_key(first_key);
        book.expect(&kept);
    });
    assert!(report.await.unwrap().is_sound());
    drop(executor);
}

/// A seal that somebody makes without the key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_by_a_retired_or_foreign_key_is_refused_and_found() {
    let memory: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let executor = record(Arc::clone(&memory)).await;
    let seals = executor.load::<domain::Seals>(domain::Seals::STREAM).await.unwrap().state;
    let [retired, ..] = keys();
    let made = statement::unsigned(
        seals.number() + 1,
        seals.sealed() + 1,
        1,
        domain::seal::Digest([7; 32]),
        seals.last().unwrap(),
        super::AT,
    );
    let made = statement::seal(&retired, made);
    let command = domain::SealCommand::Seal(made.clone());
    let refused = executor.execute::<domain::Seals>(domain::Seals::STREAM, command, super::context(), false).await;
    assert!(refused.is_err());
    // Past the rules, straight into the journal.
    let mut forced = append(domain::Seals::STREAM, Expected::Any, &[]);
    forced.streams[0].events = vec![domain::SealEvent::Sealed(made).into()];
    memory.append(forced).await.unwrap();
    let report = verify(&*memory).await.unwrap();
    named(&report, |finding| seal_fault(finding, |fault| matches!(fault, SealFault::Order)), "retired");
}

#[derive(Debug, Clone)]
enum Act {
    Append(u8, String),
    Seal,
    Rotate,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (0..4_u8, ".{0,30}").prop_map(|(stream, text)| Act::Append(stream, text)),
        2 => Just(Act::Seal),
        1 => Just(Act::Rotate),
    ];
    proptest::collection::vec(act, 1..40)
}

async fn play(acts: &[Act]) -> Vec<Entry> {
    let memory: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let executor = Executor::new(Arc::clone(&memory));
    let streams = [agent(), task(), agent(), task()];
    let (mut seed, mut sealed) = (0, false);
    for act in acts {
        let key = SecretKey::from_seed([seed; 32]);
        match act {
            Act::Append(stream, text) => {
                let append = append(streams[usize::from(*stream)], Expected::Any, &[text]);
                memory.append(append).await.unwrap();
            }
            Act::Seal if memory.seen() > Position::START => {
                seal(&executor, &key).await;
                sealed = true;
            }
            Act::Rotate if sealed => {
                seed += 1;
                rotate(&executor, &key, &SecretKey::from_seed([seed; 32])).await;
            }
            Act::Seal | Act::Rotate => {}
        }
    }
    let entries = memory.read_entries(Position::START, usize::MAX >> 1).await.unwrap();
    assert!(verify(&*memory).await.unwrap().is_sound());
    entries
}

fn played(acts: &[Act]) -> Vec<Entry> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(play(acts))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_healthy_journal_raises_an_alarm(acts in acts()) {
        let entries = played(&acts);
        let report = look(&entries, |_| {});
        prop_assert!(report.is_sound() && report.is_whole(), "{:#?}", report.findings);
    }

    /// The strongest attacker: whatever is changed of a sealed event, chains and positions are made whole again.
    #[test]
    fn no_mended_change_of_a_sealed_event_goes_unnoticed(
        acts in acts(), which in any::<prop::sample::Index>(), bit in 0..8_u8, at in any::<prop::sample::Index>()
    ) {
        let mut entries = played(&acts);
        let Some(last) = entries.iter().rposition(|entry| entry.event_type == "seal.sealed") else { return Ok(()) };
        if last == 0 { return Ok(()) }
        let index = which.index(last);
        let payload = &mut entries[index].payload;
        prop_assume!(!payload.is_empty());
        let at = at.index(payload.len());
        payload[at] ^= 1 << bit;
        mend(&mut entries);
        let found = look(&entries, |_| {});
        prop_assert!(!found.is_sound());
    }
}
