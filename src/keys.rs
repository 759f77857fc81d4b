//! The keys of AI platforms, kept encrypted in a file: AES-256-GCM under a master key, which lies in a file of its own.
//!
//! Invariants: no key is written anywhere in clear; each is bound to its name; the file is replaced as a whole, so nobody reads
//! half of it; after a rotation that was broken off at any place, every key still opens.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use journal::privacy::{MasterError, MasterKey, Purpose};
use serde::{Deserialize, Serialize};

use crate::config::{Config, Masked};

const FORMAT: &str = "hishamos keys version 1";
const BOUND: &str = "hishamos 2026 stored key of a platform: ";
/// The longest key that is taken, in bytes.
const LONGEST: usize = 16 * 1024;
/// How often file and master key are read again when they do not fit, because somebody rotates at this moment.
const LOOKS: u32 = 3;

/// The encrypted store, which may not be there yet.
#[derive(Debug, Clone)]
pub(crate) struct KeyStore {
    file: PathBuf,
    master: PathBuf,
}

/// What stands in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    format: String,
    /// The print of the master key.
    master: String,
    keys: BTreeMap<String, Sealed>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    /// In base64.
    sealed: String,
    /// When it was put there.
    since: jiff::Timestamp,
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    /// A file could not be read or written.
    #[error("{} cannot be read or written", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no such file.
    #[error("{} holds no stored keys, or was damaged: {reason}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The keys were sealed under another master key than the one that there is.
    #[error(
        "the keys in {} were sealed under the master key {wanted}, but {} {}; put the right one there, or remove the file \
         and store the keys anew",
        file.display(), master.display(),
        known.as_ref().map_or_else(|| "is not there".to_owned(), |known| format!("holds {known}"))
    )]
    OtherMaster {
        /// The file of the keys.
        file: PathBuf,
        /// The file of the master key.
        master: PathBuf,
        /// The print of the one that is needed.
        wanted: String,
        /// The print of the one that is there.
        known: Option<String>,
    },
    /// One key does not open although the master key is right.
    #[error("the stored key `{0}` was changed since it was sealed; store it anew")]
    Damaged(String),
    /// Something that is no key.
    #[error("{0}")]
    Unfit(String),
    /// The master key cannot be used.
    #[error(transparent)]
    Master(#[from] MasterError),
}

impl KeyStore {
    /// The store of a configuration.
    pub(crate) fn of(config: &Config) -> Self {
        let or_in_data =
            |named: &Option<PathBuf>, usual: &str| named.clone().unwrap_or_else(|| config.data_dir.join(usual));
        Self {
            file: or_in_data(&config.keys.file, "keys.json"),
            master: or_in_data(&config.keys.master_key_file, "keys.master"),
        }
    }

    /// The names of all keys, with the time when each was put there. Needs no master key.
    pub(crate) fn names(&self) -> Result<BTreeMap<String, jiff::Timestamp>, KeysError> {
        let kept = self.read()?;
        Ok(kept.map(|kept| kept.keys.into_iter().map(|(name, key)| (name, key.since)).collect()).unwrap_or_default())
    }

    /// Every key, by name.
    pub(crate) fn open(&self) -> Result<BTreeMap<String, Masked>, KeysError> {
        let mut looks = 0;
        loop {
            let Some(kept) = self.read()? else { return Ok(BTreeMap::new()) };
            looks += 1;
            match self.master_of(&kept) {
                Ok(master) => return kept.open(&master),
                Err(KeysError::OtherMaster { .. }) if looks < LOOKS => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Puts a key there, in place of the one of that name; whether there was one.
    pub(crate) fn put(&self, name: &str, key: &str) -> Result<bool, KeysError> {
        check(key)?;
        let _lock = self.lock()?;
        let (mut kept, master) = match self.read()? {
            Some(kept) => {
                let master = self.master_of(&kept)?;
                (kept, master)
            }
            None => {
                let master = MasterKey::of_file(Purpose::PLATFORMS, &self.master)?;
                let keys = BTreeMap::new();
                (Kept { format: FORMAT.to_owned(), master: master.print(), keys }, master)
            }
        };
        let had = kept.keys.insert(name.to_owned(), seal(&master, name, key)?).is_some();
        self.write(&kept)?;
        Ok(had)
    }

    /// Takes a key away; whether there was one.
    pub(crate) fn remove(&self, name: &str) -> Result<bool, KeysError> {
        let _lock = self.lock()?;
        let Some(mut kept) = self.read()? else { return Ok(false) };
        let had = kept.keys.remove(name).is_some();
        if had {
            self.write(&kept)?;
        }
        Ok(had)
    }

    /// Makes a new master key, seals every key under it, and destroys the old one. Answers how many keys there are, and the
    /// prints of the old and the new master key.
    pub(crate) fn rotate(&self) -> Result<(usize, String, String), KeysError> {
        let _lock = self.lock()?;
        let Some(kept) = self.read()? else {
            return Err(KeysError::Unfit("there are no stored keys, so there is nothing to rotate".to_owned()));
        };
        let old = self.master_of(&kept)?;
        let next = self.next();
        if MasterKey::read(Purpose::PLATFORMS, &next)?.is_some_and(|next| next.print() == old.print()) {
            // An earlier rotation came this far.
            self.replace(&next, &self.master)?;
        }
        let new = MasterKey::of_file(Purpose::PLATFORMS, &next)?;
        let mut keys = BTreeMap::new();
        for (name, entry) in &kept.keys {
            let key = kept.open_one(&old, name)?;
            keys.insert(name.clone(), Sealed { since: entry.since, ..seal(&new, name, key.reveal())? });
        }
        let count = keys.len();
        // From here on the new key is the one that is needed, and it is there, under either name.
        self.write(&Kept { format: FORMAT.to_owned(), master: new.print(), keys })?;
        self.replace(&next, &self.master)?;
        Ok((count, old.print(), new.print()))
    }

    /// Where a new master key lies until the keys are sealed under it.
    fn next(&self) -> PathBuf {
        beside(&self.master, "next")
    }

    /// The master key under which these were sealed.
    fn master_of(&self, kept: &Kept) -> Result<MasterKey, KeysError> {
        let known = MasterKey::read(Purpose::PLATFORMS, &self.master)?;
        if let Some(known) = known.as_ref().filter(|known| known.print() == kept.master) {
            return Ok(known.clone());
        }
        if let Some(next) = MasterKey::read(Purpose::PLATFORMS, &self.next())?
            && next.print() == kept.master
        {
            return Ok(next);
        }
        Err(KeysError::OtherMaster {
            file: self.file.clone(),
            master: self.master.clone(),
            wanted: kept.master.clone(),
            known: known.map(|known| known.print()),
        })
    }

    fn read(&self) -> Result<Option<Kept>, KeysError> {
        let path = &self.file;
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(KeysError::File { path: path.clone(), source }),
        };
        let malformed = |reason: String| KeysError::Malformed { path: path.clone(), reason };
        let kept: Kept = serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        if kept.format != FORMAT {
            return Err(malformed(format!("its format is not `{FORMAT}`")));
        }
        Ok(Some(kept))
    }

    fn write(&self, kept: &Kept) -> Result<(), KeysError> {
        let failed = |source| KeysError::File { path: self.file.clone(), source };
        let text = serde_json::to_string_pretty(kept).map_err(|error| failed(error.into()))?;
        let new = beside(&self.file, "new");
        // Nobody else writes, so what is there is what a killed process has left.
        let _ = fs::remove_file(&new);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        self.replace(&new, &self.file)
    }

    /// Puts one file in the place of another, for good.
    fn replace(&self, new: &Path, old: &Path) -> Result<(), KeysError> {
        let failed = |source| KeysError::File { path: old.to_owned(), source };
        fs::rename(new, old).map_err(failed)?;
        let folder = old.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    /// Held by whoever changes something.
    fn lock(&self) -> Result<File, KeysError> {
        let path = beside(&self.file, "lock");
        let failed = |source| KeysError::File { path: path.clone(), source };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(lock)
    }
}

impl Kept {
    fn open(&self, master: &MasterKey) -> Result<BTreeMap<String, Masked>, KeysError> {
        self.keys.keys().map(|name| Ok((name.clone(), self.open_one(master, name)?))).collect()
    }

    fn open_one(&self, master: &MasterKey, name: &str) -> Result<Masked, KeysError> {
        let opened = self.keys.get(name).and_then(|entry| {
            let sealed = STANDARD.decode(&entry.sealed).ok()?;
            String::from_utf8(master.open(bound(name).as_bytes(), &sealed)?).ok()
        });
        opened.map(Masked::new).ok_or_else(|| KeysError::Damaged(name.to_owned()))
    }
}

fn seal(master: &MasterKey, name: &str, key: &str) -> Result<Sealed, KeysError> {
    let sealed = master.seal(bound(name).as_bytes(), key.as_bytes())?;
    Ok(Sealed { sealed: STANDARD.encode(sealed), since: jiff::Timestamp::now() })
}

fn bound(name: &str) -> String {
    format!("{BOUND}{name}")
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Keys travel in HTTP headers.
fn check(key: &str) -> Result<(), KeysError> {
    let unfit = |what: &str| Err(KeysError::Unfit(what.to_owned()));
    if key.is_empty() {
        return unfit("the key is empty");
    }
    if key.len() > LONGEST {
        return unfit("the key is longer than 16 KiB");
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return unfit("the key has blanks, line breaks or letters that no key has; was more than the key given?");
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const KEY: &str = "sk-unit-4711-never-in-clear";

    fn store(folder: &Path) -> KeyStore {
        KeyStore { file: folder.join("keys.json"), master: folder.join("master/keys.master") }
    }

    fn revealed(store: &KeyStore) -> Vec<(String, String)> {
        store.open().unwrap().into_iter().map(|(name, key)| (name, key.reveal().to_owned())).collect()
    }

    fn pair(name: &str, key: &str) -> (String, String) {
        (name.to_owned(), key.to_owned())
    }

    #[test]
    fn keys_are_kept_and_stand_nowhere_in_clear() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        assert!(store.names().unwrap().is_empty() && store.open().unwrap().is_empty());
        assert!(!store.put("openai", KEY).unwrap());
        assert!(!store.put("second", "sk-2").unwrap());
        assert!(store.put("second", "sk-3").unwrap());
        assert_eq!(revealed(&store), [pair("openai", KEY), pair("second", "sk-3")]);
        let text = fs::read_to_string(&store.file).unwrap();
        assert!(!text.contains(KEY) && !text.contains(&STANDARD.encode(KEY)), "{text}");
        assert_eq!(fs::metadata(&store.file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(store.remove("second").unwrap() && !store.remove("second").unwrap());
        assert_eq!(store.names().unwrap().into_keys().collect::<Vec<_>>(), ["openai"]);
        for unfit in ["", "two words", "line\n"] {
            assert!(matches!(store.put("x", unfit), Err(KeysError::Unfit(_))), "{unfit:?}");
        }
    }

    #[test]
    fn a_key_opens_under_its_name_and_master_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        store.put("openai", KEY).unwrap();
        let text = fs::read_to_string(&store.file).unwrap();
        fs::write(&store.file, text.replace("\"openai\"", "\"other\"")).unwrap();
        assert!(matches!(store.open(), Err(KeysError::Damaged(name)) if name == "other"));
        fs::write(&store.file, &text).unwrap();
        fs::remove_file(&store.master).unwrap();
        assert!(matches!(store.open(), Err(KeysError::OtherMaster { known: None, .. })));
        MasterKey::of_file(Purpose::PLATFORMS, &store.master).unwrap();
        let error = store.open().unwrap_err();
        assert!(matches!(&error, KeysError::OtherMaster { known: Some(_), .. }));
        assert!(!error.to_string().contains(KEY));
        assert!(store.put("more", "sk-9").is_err(), "nothing is sealed under two master keys");
    }

    #[test]
    fn a_rotation_leaves_nothing_of_the_old_master_key() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        assert!(store.rotate().is_err());
        store.put("openai", KEY).unwrap();
        let (before, master) = (fs::read(&store.file).unwrap(), fs::read(&store.master).unwrap());
        let (count, old, new) = store.rotate().unwrap();
        assert_eq!(count, 1);
        assert_ne!(old, new);
        assert_eq!(revealed(&store), [pair("openai", KEY)]);
        assert_ne!(fs::read(&store.master).unwrap(), master);
        assert!(!store.next().exists());
        // The keys of before do not open any more.
        fs::write(&store.file, before).unwrap();
        assert!(matches!(store.open(), Err(KeysError::OtherMaster { .. })));
    }

    #[test]
    fn a_rotation_that_was_broken_off_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        store.put("openai", KEY).unwrap();
        // Before the keys were sealed anew.
        MasterKey::of_file(Purpose::PLATFORMS, &store.next()).unwrap();
        assert_eq!(revealed(&store), [pair("openai", KEY)]);
        // After that, and before the new master key was in its place.
        let old = fs::read(&store.master).unwrap();
        store.rotate().unwrap();
        fs::rename(&store.master, store.next()).unwrap();
        fs::write(&store.master, old).unwrap();
        fs::set_permissions(&store.master, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(revealed(&store), [pair("openai", KEY)]);
        store.put("more", "sk-5").unwrap();
        store.rotate().unwrap();
        assert_eq!(revealed(&store), [pair("more", "sk-5"), pair("openai", KEY)]);
        assert!(!store.next().exists());
    }
}
