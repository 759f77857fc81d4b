//! The secret key and its file.
//!
//! Invariants: the file is made with mode 0600 and refused when others may read it; what it holds is never shown or
//! logged. A hand-over writes the new key beside the old one first (`….next`), and only puts it in its place once the
//! journal has it, so a crash in between leaves both.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use domain::seal::{Digest, PublicKey, Signature};
use ed25519_dalek::{Signer, SigningKey};

use super::statement;
use crate::secret_file::{self, Trouble};

const HEADING: &str = "hishamos seal key version 1";

/// An Ed25519 key with its secret half, which is wiped from memory when it is dropped.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public())
    }
}

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It could not be read or written.
    #[error("the seal key {} cannot be read or written", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may read it.
    #[error("the seal key {} has mode {mode:03o}, so others may read it; `chmod 600` it, and rotate it if others did", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It holds something else.
    #[error("{} holds no seal key", .0.display())]
    Malformed(PathBuf),
    /// The journal is sealed with another key.
    #[error(
        "the journal is sealed with the key {wanted}, but {} does not hold it; put the key's file there: as long as it \
         is missing, nothing is sealed", path.display()
    )]
    Missing {
        /// The key that is wanted.
        wanted: PublicKey,
        /// Where it was looked for.
        path: PathBuf,
    },
}

impl SecretKey {
    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        Self::from_seed(rand::random())
    }

    /// The key of a seed.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a statement's digest.
    #[must_use]
    pub fn sign(&self, digest: Digest) -> Signature {
        Signature(self.0.sign(&statement::signed(digest)).to_bytes())
    }
}

/// Where the secret key lies.
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// At a path; nothing is read yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn next(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".next");
        name.into()
    }

    /// The key of a journal that is sealed with none yet; made when there is no file.
    ///
    /// # Errors
    /// When the file cannot be read, written or trusted.
    pub fn first(&self) -> Result<SecretKey, KeyError> {
        match read(&self.path)? {
            Some(key) => Ok(key),
            None => {
                let key = SecretKey::generate();
                write(&self.path, &key)?;
                Ok(key)
            }
        }
    }

    /// The key that the journal names.
    ///
    /// # Errors
    /// When no file holds it.
    pub fn of(&self, wanted: PublicKey) -> Result<SecretKey, KeyError> {
        if let Some(key) = read(&self.path)?
            && key.public() == wanted
        {
            return Ok(key);
        }
        let next = self.next();
        match read(&next)? {
            // A hand-over that was recorded, but not finished here.
            Some(key) if key.public() == wanted => {
                self.settle()?;
                Ok(key)
            }
            _ => Err(KeyError::Missing { wanted, path: self.path.clone() }),
        }
    }

    /// Makes the key that is to take over, and keeps it beside the one that signs.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn prepare(&self) -> Result<SecretKey, KeyError> {
        let next = self.next();
        match fs::remove_file(&next) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(KeyError::File { path: next, source });
            }
            _ => {}
        }
        let key = SecretKey::generate();
        write(&next, &key)?;
        Ok(key)
    }

    /// Puts the new key in the place of the old one, which is gone for good: nobody can sign with it any more.
    ///
    /// # Errors
    /// When the file cannot be moved.
    pub fn settle(&self) -> Result<(), KeyError> {
        fs::rename(self.next(), &self.path).map_err(|source| KeyError::File { path: self.path.clone(), source })
    }
}

fn read(path: &Path) -> Result<Option<SecretKey>, KeyError> {
    let read = secret_file::read(path, HEADING).map_err(|trouble| match trouble {
        Trouble::File(source) => KeyError::File { path: path.to_owned(), source },
        Trouble::Open(mode) => KeyError::Open { path: path.to_owned(), mode },
        Trouble::Malformed => KeyError::Malformed(path.to_owned()),
    });
    Ok(read?.map(SecretKey::from_seed))
}

fn write(path: &Path, key: &SecretKey) -> Result<(), KeyError> {
    let failed = |source| KeyError::File { path: path.to_owned(), source };
    secret_file::write(path, HEADING, key.0.to_bytes()).map_err(failed)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_is_ours_alone_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::new(folder.path().join("keys/seal.key"));
        let key = file.first().unwrap();
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(file.first().unwrap().public(), key.public());
        assert_eq!(file.of(key.public()).unwrap().public(), key.public());
        assert!(!format!("{key:?}").contains(&Digest(key.0.to_bytes()).to_string()));

        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(file.first(), Err(KeyError::Open { mode: 0o640, .. })));
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(file.path(), "something else").unwrap();
        assert!(matches!(file.first(), Err(KeyError::Malformed(_))));
    }

    #[test]
    fn a_hand_over_survives_a_crash_at_any_point() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::new(folder.path().join("seal.key"));
        let old = file.first().unwrap();
        // Prepared, but never recorded: the old one signs on, and the next hand-over begins anew.
        let forgotten = file.prepare().unwrap();
        assert_eq!(file.of(old.public()).unwrap().public(), old.public());
        let new = file.prepare().unwrap();
        assert_ne!(new.public(), forgotten.public());
        // Recorded, but not put in its place.
        assert_eq!(file.of(new.public()).unwrap().public(), new.public());
        assert!(matches!(file.of(old.public()), Err(KeyError::Missing { .. })), "the old key is gone");
    }
}
