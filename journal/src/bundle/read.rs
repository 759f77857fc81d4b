//! Looking at a bundle, without a database.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use domain::seal::Digest;
use tokio::sync::mpsc;

use super::format::{self, File, MAGIC, MANIFEST, Manifest, SEALS};
use super::{BundleError, at};
use crate::chain::{Entry, Report, Verifier};
use crate::seal::Book;
use crate::{Import, Position};

/// How many events are handed on at a time.
const BATCH: usize = 2000;
/// The longest manifest, so that a damaged length does not fill the memory.
const MAX_MANIFEST: u64 = 256 * 1024 * 1024;

/// What is wrong with a bundle's files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {what}")]
pub struct BundleFault {
    /// Which file.
    pub file: String,
    /// What is wrong with it.
    pub what: String,
}

/// What a look at a bundle came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BundleReport {
    /// The manifest, when it can be read.
    pub manifest: Option<Manifest>,
    /// What is wrong with the files.
    pub files: Vec<BundleFault>,
    /// What is wrong with the events, their chains and seals.
    pub events: Report,
}

impl BundleReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.files.is_empty() && self.events.is_sound()
    }

    fn fault(&mut self, file: impl Into<String>, what: impl Into<String>) {
        self.files.push(BundleFault { file: file.into(), what: what.into() });
    }
}

/// What somebody does with each file of a bundle: its name and its content.
type Visit<'a> = dyn FnMut(&str, &mut dyn Read) -> Result<(), BundleError> + 'a;

/// Goes through the files of a bundle: the manifest first, the events last and in order.
fn walk(path: &Path, visit: &mut Visit<'_>) -> Result<(), BundleError> {
    if fs::metadata(path).map_err(at(path))?.is_dir() {
        return walk_folder(path, visit);
    }
    let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 20, fs::File::open(path).map_err(at(path))?));
    let entries = archive.entries().map_err(at(path))?;
    for entry in entries {
        let mut entry = match entry {
            Ok(entry) => entry,
            // The frame of the archive is damaged; what comes after it cannot be found.
            Err(error) => return visit("the archive", &mut Failing(Some(error))),
        };
        let name = entry.path().map_or_else(|_| "a nameless file".to_owned(), |name| name.display().to_string());
        visit(&name, &mut entry)?;
    }
    Ok(())
}

fn walk_folder(path: &Path, visit: &mut Visit<'_>) -> Result<(), BundleError> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(path).map_err(at(path))? {
        names.insert(entry.map_err(at(path))?.file_name().to_string_lossy().into_owned());
    }
    if !names.remove(MANIFEST) {
        return Err(BundleError::NotABundle(path.to_owned()));
    }
    let (events, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| name.starts_with("events-"));
    for name in std::iter::once(MANIFEST.to_owned()).chain(others).chain(events) {
        let file = path.join(&name);
        let opened = fs::File::open(&file).map_err(at(&file))?;
        visit(&name, &mut BufReader::with_capacity(1 << 20, opened))?;
    }
    Ok(())
}

/// Content that cannot be read.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.take().unwrap_or_else(|| io::ErrorKind::InvalidData.into()))
    }
}

/// Hashes what goes through.
struct Hashing<'a> {
    inner: &'a mut dyn Read,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        self.bytes += u64::try_from(read).unwrap_or(0);
        Ok(read)
    }
}

impl<'a> Hashing<'a> {
    fn new(inner: &'a mut dyn Read) -> Self {
        Self { inner, hasher: blake3::Hasher::new(), bytes: 0 }
    }

    /// Reads what is left, and compares the whole with what the manifest says.
    fn compare(mut self, known: &File) -> Result<(), String> {
        io::copy(&mut self, &mut io::sink()).map_err(|error| error.to_string())?;
        if self.bytes != known.bytes {
            return Err(format!("it has {} bytes, but the manifest says {}", self.bytes, known.bytes));
        }
        let found = Digest(*self.hasher.finalize().as_bytes());
        if found != known.blake3 {
            return Err(format!("its content hashes to {found}, but the manifest says {}", known.blake3));
        }
        Ok(())
    }
}

/// Hands the events of a file on, in batches.
fn events(from: &mut dyn Read, each: &mut dyn FnMut(Vec<Entry>) -> bool) -> io::Result<()> {
    let mut from = BufReader::with_capacity(1 << 20, from);
    let mut magic = [0; MAGIC.len()];
    from.read_exact(&mut magic)?;
    if &magic != MAGIC {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not begin as a file of events"));
    }
    let (mut batch, mut buffer) = (Vec::with_capacity(BATCH), Vec::new());
    loop {
        let taken = format::take(&mut from, &mut buffer);
        let done = !matches!(taken, Ok(Some(_)));
        let failed = match taken {
            Ok(entry) => {
                batch.extend(entry);
                None
            }
            Err(error) => Some(error),
        };
        if (done || batch.len() >= BATCH) && !each(std::mem::replace(&mut batch, Vec::with_capacity(BATCH))) {
            return Ok(());
        }
        match (failed, done) {
            (Some(error), _) => return Err(error),
            (None, true) => return Ok(()),
            (None, false) => {}
        }
    }
}

/// The manifest of a bundle.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn manifest(path: &Path) -> Result<Manifest, BundleError> {
    let mut found = Err(BundleError::NotABundle(path.to_owned()));
    let mut first = true;
    walk(path, &mut |name, content| {
        if std::mem::take(&mut first) && name == MANIFEST {
            let mut bytes = Vec::new();
            content.take(MAX_MANIFEST).read_to_end(&mut bytes).map_err(at(path))?;
            found = Manifest::parse(&bytes).map_err(|what| BundleError::Unfit(format!("{MANIFEST}: {what}")));
        }
        Ok(())
    })?;
    found
}

/// Checks a bundle: its files, every chain and every seal; `expect` compares the seals with what is known from elsewhere.
/// It blocks, so it belongs on a thread of its own.
///
/// # Errors
/// When it cannot be read, which says nothing about its soundness.
pub fn verify(path: &Path, expect: impl FnOnce(&mut Book)) -> Result<BundleReport, BundleError> {
    let mut report = BundleReport::default();
    let mut seen = BTreeSet::new();
    let mut expect = Some(expect);
    let mut book = Book::default();
    let mut verifier: Option<Verifier> = None;
    let mut any = false;
    walk(path, &mut |name, content| {
        if !any {
            any = true;
            if name != MANIFEST {
                return Err(BundleError::NotABundle(path.to_owned()));
            }
            let mut bytes = Vec::new();
            match content.take(MAX_MANIFEST).read_to_end(&mut bytes) {
                Ok(_) => match Manifest::parse(&bytes) {
                    Ok(manifest) => report.manifest = Some(manifest),
                    Err(what) => report.fault(MANIFEST, what),
                },
                Err(error) => report.fault(MANIFEST, error.to_string()),
            }
            return Ok(());
        }
        let known = report.manifest.as_ref().map(|manifest| {
            manifest.files.iter().find(|file| file.name == name).cloned().ok_or("the manifest does not know it")
        });
        if !seen.insert(name.to_owned()) {
            report.fault(name, "it is there twice");
        }
        let mut content = Hashing::new(content);
        let read = if name == SEALS {
            events(&mut content, &mut |batch| {
                batch.into_iter().for_each(|entry| book.take(entry));
                true
            })
        } else if name.starts_with("events-") {
            let verifier = verifier.get_or_insert_with(|| {
                let mut book = std::mem::take(&mut book);
                if let Some(expect) = expect.take() {
                    expect(&mut book);
                }
                begin(report.manifest.as_ref(), book)
            });
            events(&mut content, &mut |batch| {
                batch.into_iter().for_each(|entry| verifier.check(entry));
                true
            })
        } else {
            Ok(())
        };
        if let Err(error) = read {
            report.fault(name, format!("it cannot be read to its end: {error}"));
        }
        match known {
            Some(Ok(known)) => {
                if let Err(what) = content.compare(&known) {
                    report.fault(name, what);
                }
            }
            Some(Err(what)) => report.fault(name, what),
            None => {}
        }
        Ok(())
    })?;
    if !any {
        return Err(BundleError::NotABundle(path.to_owned()));
    }
    let verifier = verifier.unwrap_or_else(|| {
        if let Some(expect) = expect.take() {
            expect(&mut book);
        }
        begin(report.manifest.as_ref(), book)
    });
    finish(&mut report, verifier, &seen);
    Ok(report)
}

fn begin(manifest: Option<&Manifest>, book: Book) -> Verifier {
    let verifier = match manifest {
        Some(manifest) => Verifier::after(Position::from_u64(manifest.after), manifest.number, manifest.gapless),
        // The manifest is damaged: whatever can be said without it is said.
        None => Verifier::new(false),
    };
    verifier.with_seals(book)
}

fn finish(report: &mut BundleReport, verifier: Verifier, seen: &BTreeSet<String>) {
    let Some(manifest) = report.manifest.clone() else {
        let end = verifier.position();
        report.events = verifier.finish(end);
        return;
    };
    for file in manifest.files.iter().filter(|file| !seen.contains(&file.name)) {
        report.fault(&file.name, "it is missing");
    }
    let last = manifest.files.iter().map(|file| file.last).max().unwrap_or(0).max(manifest.after);
    report.events = verifier.finish(Position::from_u64(last));
    if report.events.events != manifest.events {
        let what = format!("it says {} events, but there are {}", manifest.events, report.events.events);
        report.fault(MANIFEST, what);
    }
    if report.events.seals.keys != manifest.keys {
        report.fault(MANIFEST, "its keys are not those of the seals");
    }
}

/// Records the events of a complete bundle in an empty journal, with their bytes and hashes; `progress` hears how many.
/// The bundle must have been verified, and the journal be empty.
///
/// # Errors
/// When either fails.
pub async fn import(
    path: &Path,
    importer: &mut dyn Import,
    mut progress: impl FnMut(u64) + Send,
) -> Result<u64, BundleError> {
    let (sender, mut batches) = mpsc::channel::<Vec<Entry>>(2);
    let path = PathBuf::from(path);
    let reading = tokio::task::spawn_blocking(move || {
        walk(&path, &mut |name, content| {
            if !name.starts_with("events-") {
                return Ok(());
            }
            events(content, &mut |batch| sender.blocking_send(batch).is_ok()).map_err(at(&path))
        })
    });
    let writing = async {
        let mut imported = 0;
        while let Some(batch) = batches.recv().await {
            importer.import(&batch).await?;
            imported += u64::try_from(batch.len()).unwrap_or(0);
            progress(imported);
        }
        // Whoever reads must not wait for somebody who has gone.
        drop(batches);
        Ok::<_, BundleError>(imported)
    };
    let (read, imported) = tokio::join!(reading, writing);
    let imported = imported?;
    read.map_err(|_| BundleError::Broken)??;
    Ok(imported)
}
