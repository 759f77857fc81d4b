//! The master key, under which the keys of subjects are wrapped, and its file.
//!
//! Invariants: the file is made with mode 0600 and refused when others may read it; what it holds is never shown or logged.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::SubjectId;
use domain::seal::Digest;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

const HEADING: &str = "hishamos privacy key version 1";
const WRAPPING: &[u8] = b"hishamos 2026 wrapped key of a subject";

/// Wraps and unwraps the keys of subjects (AES-256-GCM). Its bytes are shown nowhere.
#[derive(Clone)]
pub struct MasterKey(Arc<LessSafeKey>);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey")
    }
}

/// A master key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MasterError {
    /// Its file could not be read or written.
    #[error("the privacy key {} cannot be read or written", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may read it.
    #[error("the privacy key {} has mode {mode:03o}, so others may read it; `chmod 600` it", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It holds something else.
    #[error("{} holds no privacy key", .0.display())]
    Malformed(PathBuf),
    /// Something cannot be wrapped.
    #[error("a key of a subject cannot be wrapped")]
    Wrapping,
}

impl MasterKey {
    /// From its 32 bytes.
    ///
    /// # Errors
    /// Never for 32 bytes, as far as the library says.
    pub fn new(bytes: &[u8; 32]) -> Result<Self, MasterError> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| MasterError::Wrapping)?;
        Ok(Self(Arc::new(LessSafeKey::new(key))))
    }

    /// The key of a file; made when there is none.
    ///
    /// # Errors
    /// When the file cannot be read, written or trusted.
    pub fn of_file(path: &Path) -> Result<Self, MasterError> {
        if let Some(bytes) = read(path)? {
            return Self::new(&bytes);
        }
        match write(path, &rand::random()) {
            // Another process was faster; what it wrote is the key.
            Err(MasterError::File { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
            written => written?,
        }
        let bytes = read(path)?.ok_or_else(|| MasterError::Malformed(path.to_owned()))?;
        Self::new(&bytes)
    }

    pub(super) fn wrap(&self, subject: SubjectId, key: &[u8; 32]) -> Result<Vec<u8>, MasterError> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut bytes = key.to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad(subject), &mut bytes)
            .map_err(|_| MasterError::Wrapping)?;
        Ok([&nonce[..], &bytes].concat())
    }

    pub(super) fn unwrap(&self, subject: SubjectId, wrapped: &[u8]) -> Option<[u8; 32]> {
        let (nonce, bytes) = wrapped.split_first_chunk::<NONCE_LEN>()?;
        let mut bytes = bytes.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.0.open_in_place(nonce, aad(subject), &mut bytes).ok()?;
        <[u8; 32]>::try_from(&*opened).ok()
    }
}

fn aad(subject: SubjectId) -> Aad<Vec<u8>> {
    Aad::from([WRAPPING, subject.as_uuid().as_bytes()].concat())
}

fn read(path: &Path) -> Result<Option<[u8; 32]>, MasterError> {
    let failed = |source| MasterError::File { path: path.to_owned(), source };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(MasterError::Open { path: path.to_owned(), mode });
    }
    let mut lines = text.lines();
    match (lines.next(), lines.next().map(str::parse::<Digest>), lines.next()) {
        (Some(HEADING), Some(Ok(Digest(bytes))), None) => Ok(Some(bytes)),
        _ => Err(MasterError::Malformed(path.to_owned())),
    }
}

/// Writes beside it first, so that nobody ever reads half of it.
fn write(path: &Path, key: &[u8; 32]) -> Result<(), MasterError> {
    let failed = |source| MasterError::File { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut beside = path.to_owned().into_os_string();
    beside.push(format!(".{:016x}", rand::random::<u64>()));
    let beside = PathBuf::from(beside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed)?;
    file.write_all(format!("{HEADING}\n{}\n", Digest(*key)).as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    let linked = fs::hard_link(&beside, path).map_err(failed);
    fs::remove_file(&beside).map_err(failed)?;
    linked
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn keys_are_wrapped_for_their_subject_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/privacy.key");
        let master = MasterKey::of_file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
        let (ada, bob) = (SubjectId::from_uuid(Uuid::from_u128(1)), SubjectId::from_uuid(Uuid::from_u128(2)));
        let wrapped = master.wrap(ada, &[7; 32]).unwrap();
        assert!(!wrapped.windows(4).any(|part| part == [7; 4]));
        let again = MasterKey::of_file(&path).unwrap();
        assert_eq!(again.unwrap(ada, &wrapped), Some([7; 32]));
        assert_eq!(again.unwrap(bob, &wrapped), None);
        assert_eq!(MasterKey::new(&[1; 32]).unwrap().unwrap(ada, &wrapped), None);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(MasterKey::of_file(&path), Err(MasterError::Open { mode: 0o640, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "something else").unwrap();
        assert!(matches!(MasterKey::of_file(&path), Err(MasterError::Malformed(_))));
    }
}
