//! What webhooks need of the installation: the master key in its file, where they may be, and how what is posted for
//! triggers is checked.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use commands::webhooks::{Keys, Reach, WebhookSetup};
use domain::Key;
use integrations::incoming::{Hook, Scheme};
use integrations::webhooks::Options;
use uuid::Uuid;

use crate::config::{Config, HookScheme};

/// The file of the master key, when the configuration names no other.
const FILE: &str = "webhooks.key";

/// Reads the master key, and makes it when it is not there yet.
///
/// # Errors
/// When the file cannot be read or made, when others may read it, or when it holds no key.
pub(crate) fn setup(config: &Config) -> anyhow::Result<WebhookSetup> {
    let path = file(config);
    let keys = match read(&path)? {
        Some(keys) => keys,
        None => {
            make(&path).with_context(|| format!("the key of webhooks cannot be made at {}", path.display()))?;
            read(&path)?.ok_or_else(|| anyhow!("the key of webhooks at {} went away", path.display()))?
        }
    };
    let reach = Reach { insecure_http: config.webhooks.insecure_http, networks: config.webhooks.networks.clone() };
    Ok(WebhookSetup { keys, reach })
}

/// How webhooks are told.
pub(crate) fn options(config: &Config) -> Options {
    let options = Options { timeout: Duration::from_secs(config.webhooks.timeout_seconds), ..Options::default() };
    match &config.webhooks.retry_seconds {
        Some(seconds) => {
            let pauses = seconds.iter().map(|pause| Duration::from_secs(*pause));
            Options { schedule: [Duration::ZERO].into_iter().chain(pauses).collect(), ..options }
        }
        None => options,
    }
}

/// How what is posted for triggers is checked.
#[derive(Debug, Clone)]
pub(crate) struct Hooks {
    keys: Keys,
    configured: BTreeMap<Key, Hook>,
}

impl Hooks {
    /// From the configuration.
    ///
    /// # Errors
    /// When a key or a secret is none.
    pub(crate) fn new(config: &Config, keys: Keys) -> anyhow::Result<Self> {
        let mut configured = BTreeMap::new();
        for (name, hook) in &config.hooks {
            let key: Key = name.parse().with_context(|| format!("hooks.{name}"))?;
            let scheme = match hook.scheme {
                HookScheme::Standard => Scheme::Standard,
                HookScheme::Github => Scheme::github(),
                HookScheme::Body => Scheme::Body {
                    header: hook.header.clone().unwrap_or_default().to_ascii_lowercase(),
                    prefix: hook.prefix.clone(),
                    encoding: hook.encoding.into(),
                    id_header: hook.id_header.as_ref().map(|name| name.to_ascii_lowercase()),
                },
            };
            let secrets = match &hook.secret {
                Some(secret) => {
                    let secret =
                        Hook::secret(secret.reveal()).map_err(|error| anyhow!("hooks.{name}.secret: {error}"))?;
                    if secret.is_empty() {
                        bail!("hooks.{name}.secret is empty");
                    }
                    vec![secret]
                }
                None => own(&keys, &key, &scheme),
            };
            configured.insert(key, Hook { scheme, secrets });
        }
        Ok(Self { keys, configured })
    }

    /// How what is posted for a trigger is checked.
    pub(crate) fn of(&self, trigger: &Key) -> Hook {
        self.configured
            .get(trigger)
            .cloned()
            .unwrap_or_else(|| Hook { secrets: own(&self.keys, trigger, &Scheme::Standard), scheme: Scheme::Standard })
    }

    /// The secret to give to whoever posts for a trigger, as text; nothing when the configuration has another one.
    pub(crate) fn own_secret(&self, config: &Config, trigger: &Key) -> Option<String> {
        let configured = config.hooks.get(trigger.as_str()).is_some_and(|hook| hook.secret.is_some());
        (!configured).then(|| self.keys.incoming(trigger).reveal())
    }
}

/// The secret that follows from the master key. Who signs as Standard Webhooks says decodes what is behind `whsec_`; all
/// others take the text as it is.
fn own(keys: &Keys, trigger: &Key, scheme: &Scheme) -> Vec<Vec<u8>> {
    let secret = keys.incoming(trigger);
    match scheme {
        Scheme::Standard => vec![secret.bytes().to_vec()],
        Scheme::Body { .. } => vec![secret.reveal().into_bytes()],
    }
}

fn file(config: &Config) -> PathBuf {
    config.webhooks.key_file.clone().unwrap_or_else(|| config.data_dir.join(FILE))
}

fn read(path: &Path) -> anyhow::Result<Option<Keys>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("the key of webhooks at {}", path.display())),
    };
    let mode = fs::metadata(path).with_context(|| path.display().to_string())?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!("the key of webhooks at {} may be read by others (mode {:o}); make it 600", path.display(), mode & 0o777);
    }
    let master: [u8; Keys::BYTES] = bytes.as_slice().try_into().map_err(|_| {
        anyhow!("the key of webhooks at {} has {} bytes; it must have {}", path.display(), bytes.len(), Keys::BYTES)
    })?;
    Ok(Some(Keys::new(&master)))
}

/// Makes a new key. Two programs that start at once end up with the same one: whoever is second finds the first's.
fn make(path: &Path) -> anyhow::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    // Four random UUIDs, which the system's generator makes, have 488 random bits; hashed to 256.
    let random: Vec<u8> = (0..4).flat_map(|_| Uuid::new_v4().into_bytes()).collect();
    let key = blake3::derive_key("hishamos 2026 master key of webhooks", &random);
    let unfinished = path.with_extension(format!("new-{}", Uuid::new_v4().simple()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(&key)?;
    file.sync_all()?;
    // A link fails when the name is taken, and shows a whole file or none.
    let linked = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished)?;
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => Ok(other?),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_only_for_us() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { data_dir: dir.path().join("data"), ..Config::default() };
        let first = setup(&config).unwrap().keys.print();
        assert_eq!(setup(&config).unwrap().keys.print(), first);
        let path = file(&config);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(setup(&config).unwrap_err().to_string().contains("make it 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, b"short").unwrap();
        assert!(setup(&config).unwrap_err().to_string().contains("5 bytes"));
    }
}
