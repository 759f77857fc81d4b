//! Files that hold one secret of 32 bytes: a heading that says what it is for, and a line of hexadecimal.
//!
//! Invariants: a file is made with mode 0600 and refused when others may read it; it is there whole or not at all, and
//! one that is there is never written over.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use domain::seal::Digest;

/// Why a file cannot be used.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It could not be read or written.
    File(io::Error),
    /// Others may read it; its mode.
    Open(u32),
    /// It holds something else.
    Malformed,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

/// The secret of a file, if there is one.
pub(crate) fn read(path: &Path, heading: &str) -> Result<Option<[u8; 32]>, Trouble> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mode = fs::metadata(path)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Trouble::Open(mode));
    }
    let mut lines = text.lines();
    match (lines.next(), lines.next().map(str::parse::<Digest>), lines.next()) {
        (Some(said), Some(Ok(Digest(secret))), None) if said == heading => Ok(Some(secret)),
        _ => Err(Trouble::Malformed),
    }
}

/// Makes a file. It is written beside its place first, so that nobody ever reads half of it.
///
/// # Errors
/// `AlreadyExists` when there is one, and what else the file system says.
pub(crate) fn write(path: &Path, heading: &str, secret: [u8; 32]) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let mut beside = path.to_owned().into_os_string();
    beside.push(format!(".{:016x}", rand::random::<u64>()));
    let beside = PathBuf::from(beside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(format!("{heading}\n{}\n", Digest(secret)).as_bytes()).and_then(|()| file.sync_all())?;
    let linked = fs::hard_link(&beside, path);
    fs::remove_file(&beside)?;
    linked
}
