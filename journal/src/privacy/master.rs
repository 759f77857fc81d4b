//! Master keys, under which other secrets are sealed, and their files: one for the keys of subjects, others for whoever has
//! secrets to keep.
//!
//! Invariants: a file is made with mode 0600 and refused when others may read it; what it holds is never shown or logged; what
//! is sealed opens only for what it was sealed for.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::SubjectId;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::secret_file::{self, Trouble};

const WRAPPING: &[u8] = b"hishamos 2026 wrapped key of a subject";
const PRINT: &str = "hishamos 2026 print of a master key";

/// What a master key is for, as its file and messages about it say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose(&'static str);

impl Purpose {
    /// For the keys of subjects.
    pub const PRIVACY: Self = Self("privacy");
    /// For the keys of AI platforms.
    pub const PLATFORMS: Self = Self("platforms");

    fn heading(self) -> String {
        format!("hishamos {} key version 1", self.0)
    }
}

impl std::fmt::Display for Purpose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// Seals and opens with AES-256-GCM. Its bytes are shown nowhere.
#[derive(Clone)]
pub struct MasterKey {
    key: Arc<LessSafeKey>,
    print: [u8; 8],
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey")
    }
}

/// A master key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MasterError {
    /// Its file could not be read or written.
    #[error("the {purpose} key {} cannot be read or written", path.display())]
    File {
        /// What it is for.
        purpose: Purpose,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may read it.
    #[error("the {purpose} key {} has mode {mode:03o}, so others may read it; `chmod 600` it", path.display())]
    Open {
        /// What it is for.
        purpose: Purpose,
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It holds something else.
    #[error("{} holds no {purpose} key", path.display())]
    Malformed {
        /// What it should be for.
        purpose: Purpose,
        /// Which file.
        path: PathBuf,
    },
    /// Something cannot be sealed.
    #[error("a secret cannot be sealed")]
    Sealing,
}

impl MasterKey {
    /// From its 32 bytes.
    ///
    /// # Errors
    /// Never for 32 bytes, as far as the library says.
    pub fn new(bytes: &[u8; 32]) -> Result<Self, MasterError> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| MasterError::Sealing)?;
        let print = u64::from_le_bytes(blake3::derive_key(PRINT, bytes).first_chunk().copied().unwrap_or_default());
        Ok(Self { key: Arc::new(LessSafeKey::new(key)), print: print.to_be_bytes() })
    }

    /// The key of a file; made when there is none.
    ///
    /// # Errors
    /// When the file cannot be read, written or trusted.
    pub fn of_file(purpose: Purpose, path: &Path) -> Result<Self, MasterError> {
        if let Some(known) = Self::read(purpose, path)? {
            return Ok(known);
        }
        match secret_file::write(path, &purpose.heading(), rand::random()) {
            // Another process was faster; what it wrote is the key.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(MasterError::File { purpose, path: path.to_owned(), source }),
            Ok(()) => {}
        }
        Self::read(purpose, path)?.ok_or_else(|| MasterError::Malformed { purpose, path: path.to_owned() })
    }

    /// The key of a file, if there is one.
    ///
    /// # Errors
    /// When the file cannot be read or trusted.
    pub fn read(purpose: Purpose, path: &Path) -> Result<Option<Self>, MasterError> {
        let read = secret_file::read(path, &purpose.heading()).map_err(|trouble| match trouble {
            Trouble::File(source) => MasterError::File { purpose, path: path.to_owned(), source },
            Trouble::Open(mode) => MasterError::Open { purpose, path: path.to_owned(), mode },
            Trouble::Malformed => MasterError::Malformed { purpose, path: path.to_owned() },
        });
        read?.map(|bytes| Self::new(&bytes)).transpose()
    }

    /// Tells the key apart from others, and nothing else about it.
    #[must_use]
    pub fn print(&self) -> String {
        self.print.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Seals bytes so that they open only for what they are `bound` to.
    ///
    /// # Errors
    /// Never for less than 64 GB, as far as the library says.
    pub fn seal(&self, bound: &[u8], bytes: &[u8]) -> Result<Vec<u8>, MasterError> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = bytes.to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound), &mut sealed)
            .map_err(|_| MasterError::Sealing)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// What was sealed; nothing when it was sealed under another key, for something else, or was changed since.
    #[must_use]
    pub fn open(&self, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, bytes) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut bytes = bytes.to_vec();
        let opened = self.key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(bound), &mut bytes).ok()?;
        Some(opened.to_vec())
    }

    pub(super) fn wrap(&self, subject: SubjectId, key: &[u8; 32]) -> Result<Vec<u8>, MasterError> {
        self.seal(&bound(subject), key)
    }

    pub(super) fn unwrap(&self, subject: SubjectId, wrapped: &[u8]) -> Option<[u8; 32]> {
        <[u8; 32]>::try_from(self.open(&bound(subject), wrapped)?).ok()
    }
}

fn bound(subject: SubjectId) -> Vec<u8> {
    [WRAPPING, subject.as_uuid().as_bytes()].concat()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use uuid::Uuid;

    use super::*;

    #[test]
    fn keys_are_wrapped_for_their_subject_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/privacy.key");
        let master = MasterKey::of_file(Purpose::PRIVACY, &path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
        let (ada, bob) = (SubjectId::from_uuid(Uuid::from_u128(1)), SubjectId::from_uuid(Uuid::from_u128(2)));
        let wrapped = master.wrap(ada, &[7; 32]).unwrap();
        assert!(!wrapped.windows(4).any(|part| part == [7; 4]));
        let again = MasterKey::of_file(Purpose::PRIVACY, &path).unwrap();
        assert_eq!(again.unwrap(ada, &wrapped), Some([7; 32]));
        assert_eq!(again.unwrap(bob, &wrapped), None);
        assert_eq!(MasterKey::new(&[1; 32]).unwrap().unwrap(ada, &wrapped), None);
        assert_eq!(master.print(), again.print());
        assert_ne!(master.print(), MasterKey::new(&[1; 32]).unwrap().print());
        assert!(matches!(MasterKey::read(Purpose::PLATFORMS, &path), Err(MasterError::Malformed { .. })));

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(MasterKey::of_file(Purpose::PRIVACY, &path), Err(MasterError::Open { mode: 0o640, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "something else").unwrap();
        assert!(matches!(MasterKey::of_file(Purpose::PRIVACY, &path), Err(MasterError::Malformed { .. })));
    }
}
