//! Seals, bundles, and the damage suite: whatever is changed is found and named, and what is healthy is not.

mod bundles;
mod damage;
mod service;

use std::path::Path;

use domain::seal::PublicKey;
use domain::{Actor, CommandId, SealCommand, Seals, Timestamp};
use journal::chain::{Entry, Report, Verifier};
use journal::seal::{Book, SecretKey, statement, tree};
use journal::{Context, Executor, Loaded, Position};
use uuid::Uuid;

pub(crate) const AT: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

pub(crate) fn context() -> Context {
    let command = CommandId::from_uuid(Uuid::now_v7());
    Context {
        command,
        at: AT,
        actor: Actor::system("sealer"),
        tenant: "default".to_owned(),
        correlation: command.as_uuid(),
        causation: None,
        subject: None,
        keeping: None,
    }
}

async fn decide(executor: &Executor, command: SealCommand) {
    executor.execute::<Seals>(Seals::STREAM, command, context(), false).await.unwrap();
}

/// Seals everything that a journal without gaps holds, at once.
pub(crate) async fn seal(executor: &Executor, key: &SecretKey) {
    let seals: Loaded<Seals> = executor.load(Seals::STREAM).await.unwrap();
    if seals.state.key().is_none() {
        decide(executor, SealCommand::Introduce(statement::introduce(key, AT))).await;
    }
    let seals = executor.load::<Seals>(Seals::STREAM).await.unwrap().state;
    let first = Position::from_u64(seals.sealed());
    let mut tree = tree::Tree::default();
    for entry in executor.journal().read_entries(first, usize::MAX >> 1).await.unwrap() {
        tree.push(tree::leaf(&entry.hash));
    }
    let last = seals.last().unwrap();
    let made = statement::unsigned(seals.number() + 1, seals.sealed() + 1, tree.size(), tree.root(), last, AT);
    decide(executor, SealCommand::Seal(statement::seal(key, made))).await;
}

/// Hands over from one key to another.
pub(crate) async fn rotate(executor: &Executor, old: &SecretKey, new: &SecretKey) {
    let seals = executor.load::<Seals>(Seals::STREAM).await.unwrap().state;
    decide(executor, SealCommand::Rotate(statement::rotate(old, new, seals.last().unwrap(), AT))).await;
}

pub(crate) fn is_seal(entry: &Entry) -> bool {
    entry.category == "seal"
}

/// What a look at these entries comes to, as if they were a journal without gaps.
pub(crate) fn look(entries: &[Entry], expect: impl FnOnce(&mut Book)) -> Report {
    let mut book = Book::default();
    entries.iter().filter(|entry| is_seal(entry)).cloned().for_each(|entry| book.take(entry));
    expect(&mut book);
    let mut verifier = Verifier::new(true).with_seals(book);
    entries.iter().cloned().for_each(|entry| verifier.check(entry));
    let end = verifier.position();
    verifier.finish(end)
}

/// Checks a bundle.
pub(crate) fn look_at_bundle(path: &Path, key: Option<PublicKey>) -> journal::bundle::BundleReport {
    let expect = |book: &mut Book| key.into_iter().for_each(|key| book.expect_key(key));
    journal::bundle::verify(path, expect).unwrap()
}
