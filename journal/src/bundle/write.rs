//! Making a bundle.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use domain::seal::Digest;
use domain::{Seals, Timestamp};

use super::format::{self, File, MAGIC, MANIFEST, Manifest, SCHEMAS, SEALS};
use super::{BundleError, at};
use crate::chain::Entry;
use crate::seal::Book;
use crate::{Journal, Position};

/// How many events are read at a time.
const PAGE: usize = 2000;
/// After how many bytes another file is begun, whatever the number of events.
const FILE_BYTES: usize = 32 * 1024 * 1024;
/// What an export that is under way has done; it becomes the manifest.
const PROGRESS: &str = "progress.json";

/// What is to be exported, and where to.
#[derive(Debug, Clone)]
pub struct Export {
    /// A folder, or a file that ends with `.tar`.
    pub to: PathBuf,
    /// Only events after this position.
    pub after: Position,
    /// Only events up to this position; the journal's head when not given.
    pub until: Option<Position>,
    /// After how many events another file is begun, at least 1.
    pub file_events: u64,
}

impl Export {
    /// The whole journal, 50,000 events to a file.
    #[must_use]
    pub fn to(to: impl Into<PathBuf>) -> Self {
        Self { to: to.into(), after: Position::START, until: None, file_events: 50_000 }
    }

    /// Whether one file is wanted.
    fn is_file(&self) -> bool {
        self.to.extension().is_some_and(|extension| extension == "tar")
    }

    fn folder(&self) -> PathBuf {
        if !self.is_file() {
            return self.to.clone();
        }
        let mut name = self.to.clone().into_os_string();
        name.push(".partial");
        name.into()
    }
}

/// Exports a journal; `progress` hears of every file that is done. When it broke off, the same export goes on where it was.
///
/// # Errors
/// When something else is there, a file cannot be written, or the journal cannot be read.
pub async fn export(
    journal: &dyn Journal,
    export: &Export,
    mut progress: impl FnMut(&Manifest) + Send,
) -> Result<Manifest, BundleError> {
    let folder = export.folder();
    if export.is_file() && export.to.exists() {
        return Err(BundleError::Exists(format!("{} is there already", export.to.display())));
    }
    let mut manifest = begin(journal, export, &folder).await?;
    let mut after = Position::from_u64(manifest.files.last().map_or(manifest.after, |file| file.last));
    let until = Position::from_u64(manifest.until);
    let (mut bytes, mut events) = (MAGIC.to_vec(), 0);
    let mut page = journal.read_entries(after, PAGE).await?;
    loop {
        page.retain(|entry| entry.position <= until);
        let Some(last) = page.last().map(|entry| entry.position) else { break };
        for entry in &page {
            put(entry, &mut bytes)?;
            events += 1;
            if events >= export.file_events.max(1) || bytes.len() >= FILE_BYTES {
                let name = format!("events-{:06}.bin", manifest.files.len() + 1);
                finish_file(&folder, &mut manifest, name, &bytes, events, entry.position)?;
                progress(&manifest);
                bytes.truncate(MAGIC.len());
                events = 0;
            }
        }
        after = last;
        page = journal.read_entries(after, PAGE).await?;
    }
    if events > 0 {
        let name = format!("events-{:06}.bin", manifest.files.len() + 1);
        finish_file(&folder, &mut manifest, name, &bytes, events, after)?;
    }
    finish(journal, &folder, &mut manifest).await?;
    if export.is_file() {
        pack(&folder, &export.to, &manifest)?;
    }
    Ok(manifest)
}

fn put(entry: &Entry, to: &mut Vec<u8>) -> Result<(), BundleError> {
    format::put(entry, to).map_err(|what| BundleError::Unfit(format!("event {} cannot be written: {what}", entry.id)))
}

/// A new export, or one that broke off.
async fn begin(journal: &dyn Journal, export: &Export, folder: &Path) -> Result<Manifest, BundleError> {
    fs::create_dir_all(folder).map_err(at(folder))?;
    if folder.join(MANIFEST).exists() && !export.is_file() {
        return Err(BundleError::Exists(format!("{} holds a complete bundle already", folder.display())));
    }
    let broken_off = folder.join(PROGRESS);
    if broken_off.exists() {
        let bytes = fs::read(&broken_off).map_err(at(&broken_off))?;
        let manifest = Manifest::parse(&bytes)
            .map_err(|what| BundleError::Exists(format!("{} cannot go on: {what}", broken_off.display())))?;
        let same = manifest.after == export.after.as_u64()
            && export.until.is_none_or(|until| manifest.until == until.as_u64());
        if !same {
            return Err(BundleError::Exists(format!(
                "{} holds an export of other events that broke off; remove it, or ask for positions after {} up to {}",
                folder.display(),
                manifest.after,
                manifest.until
            )));
        }
        return Ok(manifest);
    }
    if fs::read_dir(folder).map_err(at(folder))?.next().is_some() {
        return Err(BundleError::Exists(format!("{} is not empty, and holds no bundle", folder.display())));
    }
    let head = journal.head().await?;
    let until = export.until.unwrap_or(head).min(head);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let made_at = Timestamp::from_micros(0).plus(since).as_micros();
    let mut manifest = Manifest::new(journal.gapless(), export.after, until, head, made_at);
    manifest.number = match journal.gapless() {
        true => export.after.as_u64(),
        false => count(journal, export.after).await?,
    };
    save(folder, PROGRESS, &manifest)?;
    Ok(manifest)
}

/// How many events stand up to a position.
async fn count(journal: &dyn Journal, until: Position) -> Result<u64, BundleError> {
    let (mut after, mut counted) = (Position::START, 0);
    while after < until {
        let page = journal.read_entries(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.position;
        counted += u64::try_from(page.iter().filter(|entry| entry.position <= until).count()).unwrap_or(0);
    }
    Ok(counted)
}

fn finish_file(
    folder: &Path,
    manifest: &mut Manifest,
    name: String,
    bytes: &[u8],
    events: u64,
    last: Position,
) -> Result<(), BundleError> {
    place(folder, &name, bytes)?;
    manifest.events += events;
    manifest.files.push(describe(name, bytes, events, last));
    save(folder, PROGRESS, manifest)
}

fn describe(name: String, bytes: &[u8], events: u64, last: Position) -> File {
    File {
        name,
        bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        blake3: Digest(*blake3::hash(bytes).as_bytes()),
        events,
        last: last.as_u64(),
    }
}

/// The statements, the layouts, and the manifest.
async fn finish(journal: &dyn Journal, folder: &Path, manifest: &mut Manifest) -> Result<(), BundleError> {
    let mut bytes = MAGIC.to_vec();
    let mut from = 0;
    loop {
        // A damaged statement ends the list; it is in the events as it is.
        let Ok(page) = journal.read_stream(Seals::STREAM, from, PAGE).await else { break };
        for event in &page {
            put(&Entry::from(&**event), &mut bytes)?;
            from = event.revision + 1;
        }
        if page.len() < PAGE {
            break;
        }
    }
    place(folder, SEALS, &bytes)?;
    manifest.files.push(describe(SEALS.to_owned(), &bytes, 0, Position::START));
    let bytes = format::schemas().map_err(BundleError::Unfit)?;
    place(folder, SCHEMAS, &bytes)?;
    manifest.files.push(describe(SCHEMAS.to_owned(), &bytes, 0, Position::START));
    manifest.keys = Book::read(journal, journal.head().await?).await?.keys().to_vec();
    save(folder, MANIFEST, manifest)?;
    let progress = folder.join(PROGRESS);
    fs::remove_file(&progress).map_err(at(&progress))
}

fn save(folder: &Path, name: &str, manifest: &Manifest) -> Result<(), BundleError> {
    place(folder, name, &manifest.render().map_err(BundleError::Unfit)?)
}

/// Puts a file in its place whole.
fn place(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), BundleError> {
    let (path, partial) = (folder.join(name), folder.join(format!("{name}.partial")));
    let mut file = fs::File::create(&partial).map_err(at(&partial))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at(&partial))?;
    fs::rename(&partial, &path).map_err(at(&path))
}

/// One file out of the folder, which is removed.
fn pack(folder: &Path, to: &Path, manifest: &Manifest) -> Result<(), BundleError> {
    let mut partial = to.to_owned().into_os_string();
    partial.push(".packing");
    let partial = PathBuf::from(partial);
    let file = fs::File::create(&partial).map_err(at(&partial))?;
    let mut archive = tar::Builder::new(std::io::BufWriter::new(file));
    archive.mode(tar::HeaderMode::Deterministic);
    // What explains the rest comes first, so that the file can be read from front to back.
    let (events, others): (Vec<_>, Vec<_>) = manifest.files.iter().partition(|file| file.events > 0);
    let names = others.iter().chain(&events).map(|file| file.name.as_str());
    for name in std::iter::once(MANIFEST).chain(names) {
        archive.append_path_with_name(folder.join(name), name).map_err(at(&partial))?;
    }
    let file = archive.into_inner().and_then(|buffer| buffer.into_inner().map_err(|error| error.into_error()));
    file.and_then(|file| file.sync_all()).map_err(at(&partial))?;
    fs::rename(&partial, to).map_err(at(to))?;
    fs::remove_dir_all(folder).map_err(at(folder))
}
