//! `server.json` in the data directory, by which the command line finds the running server.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// What the running program says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Announcement {
    /// Where the server is reached.
    pub(crate) url: String,
    /// The program's process.
    pub(crate) pid: u32,
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("server.json")
}

/// Says where this program's server is. Readers see the old file or the whole new one.
///
/// # Errors
/// When the data directory cannot be written.
pub(crate) fn write(data_dir: &Path, url: &str) -> anyhow::Result<()> {
    let announcement = Announcement { url: url.to_owned(), pid: std::process::id() };
    let unfinished = data_dir.join(format!(".server.json.{}", announcement.pid));
    std::fs::create_dir_all(data_dir)
        .and_then(|()| std::fs::write(&unfinished, serde_json::to_vec(&announcement)?))
        .and_then(|()| std::fs::rename(&unfinished, path(data_dir)))
        .with_context(|| format!("cannot write {}", path(data_dir).display()))
}

/// Takes this program's announcement back; that of another program stays.
pub(crate) fn remove(data_dir: &Path) {
    if read(data_dir).is_some_and(|found| found.pid == std::process::id()) {
        // A file that cannot be removed is recognised as stale by its reader.
        let _ = std::fs::remove_file(path(data_dir));
    }
}

/// What the last program said; it may have ended without taking it back.
pub(crate) fn read(data_dir: &Path) -> Option<Announcement> {
    serde_json::from_slice(&std::fs::read(path(data_dir)).ok()?).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_announcement_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "http://127.0.0.1:1").unwrap();
        assert_eq!(read(dir.path()).unwrap().url, "http://127.0.0.1:1");
        remove(dir.path());
        assert_eq!(read(dir.path()), None);
        let other = Announcement { url: "http://127.0.0.1:2".to_owned(), pid: 1 };
        std::fs::write(path(dir.path()), serde_json::to_vec(&other).unwrap()).unwrap();
        remove(dir.path());
        assert_eq!(read(dir.path()), Some(other));
    }
}
