//! The directories of a private PostgreSQL, and the lock that gives them to one program.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::pidfile::PidFile;
use crate::user::{self, Unprivileged};
use crate::{Cluster, Error};

/// Where database files go when root's data directory cannot be entered by the user that PostgreSQL runs as.
const FALLBACK: &str = "/var/lib/hishamos";
/// The longest path of a Unix socket: 108 bytes on Linux, 104 on macOS, with a closing zero.
const SOCKET_PATH_MAX: usize = 103;

/// The program's exclusive right to a data directory; given back when dropped, even by a crash.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    pub(crate) fn take(data_dir: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(data_dir).map_err(Error::io("create", data_dir))?;
        let path = data_dir.join("lock");
        let mut file = open_lock(&path).map_err(Error::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The number is a courtesy; the lock itself is what counts.
                let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(Error::Locked { data_dir: data_dir.to_owned(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(Error::Io { what: "lock", path, source }),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(Error::io("write", &path))?;
        Ok(Self { _file: file })
    }
}

fn open_lock(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// The socket directory of the server that another program runs on `data_dir`; `None` when none is ready.
pub(crate) fn running(data_dir: &Path) -> Result<Option<PathBuf>, Error> {
    let path = data_dir.join("lock");
    if !path.exists() {
        return Ok(None);
    }
    let file = File::open(&path).map_err(Error::io("open", &path))?;
    match file.try_lock_shared() {
        // Nobody holds it.
        Ok(()) => return Ok(None),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(source)) => return Err(Error::Io { what: "lock", path, source }),
    }
    let found = PidFile::read(&data_dir.join("postgres/pgdata"))?;
    Ok(found.filter(|found| found.ready).and_then(|found| found.socket_dir))
}

/// The directories of one server.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) pgdata: PathBuf,
    pub(crate) socket_dir: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) user: Option<Unprivileged>,
}

impl Place {
    /// Makes the directories, owned by whom the server runs as.
    pub(crate) async fn prepare(data_dir: &Path, log_dir: Option<&Path>) -> Result<Self, Error> {
        let data_dir = data_dir.canonicalize().map_err(Error::io("find", data_dir))?;
        let linked = data_dir.join("postgres");
        let user = user::choose(&linked.join("pgdata"))?;
        if let Some(user) = user
            && !linked.exists()
            && !user::can_enter(&data_dir, user).await
        {
            link_elsewhere(&linked, user)?;
        }
        private_dir(&linked, user)?;
        let root = linked.canonicalize().map_err(Error::io("find", &linked))?;
        let log_dir = log_dir.map_or_else(|| root.join("log"), Path::to_owned);
        std::fs::create_dir_all(&log_dir).map_err(Error::io("create", &log_dir))?;
        Ok(Self {
            pgdata: root.join("pgdata"),
            socket_dir: socket_dir(&root, user)?,
            log: log_dir.join("postgresql.log"),
            user,
        })
    }

    /// The major version that made the files; `None` when there are none yet.
    pub(crate) fn major(&self) -> Result<Option<u32>, Error> {
        let path = self.pgdata.join("PG_VERSION");
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().parse().ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Io { what: "read", path, source }),
        }
    }
}

/// Root's own directories are often closed to everybody else. PostgreSQL cannot run as root, so its files go to a
/// fresh directory that it can reach, and the data directory keeps a link to it.
fn link_elsewhere(linked: &Path, user: Unprivileged) -> Result<(), Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let target = Path::new(FALLBACK).join(format!("{now:x}-{}", std::process::id()));
    std::fs::create_dir_all(FALLBACK).map_err(Error::io("create", FALLBACK))?;
    std::fs::set_permissions(FALLBACK, PermissionsExt::from_mode(0o755)).map_err(Error::io("open up", FALLBACK))?;
    private_dir(&target, Some(user))?;
    symlink(&target, linked).map_err(Error::io("link", linked))?;
    tracing::warn!(
        link = %linked.display(),
        target = %target.display(),
        "the data directory is closed to the user that PostgreSQL runs as; its files are kept elsewhere"
    );
    Ok(())
}

/// Makes a directory that only its owner may enter.
fn private_dir(path: &Path, user: Option<Unprivileged>) -> Result<(), Error> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        Err(source) => return Err(Error::Io { what: "create", path: path.to_owned(), source }),
    }
    if let Some(user) = user {
        std::os::unix::fs::chown(path, Some(user.uid), Some(user.gid)).map_err(Error::io("give away", path))?;
    }
    Ok(())
}

/// The socket lies beside the files unless its path would be too long for the system; then in a short private
/// directory whose owner and mode are checked, because others may write beside it.
fn socket_dir(root: &Path, user: Option<Unprivileged>) -> Result<PathBuf, Error> {
    let beside = root.join("socket");
    let name = format!("/.s.PGSQL.{}", Cluster::PORT);
    if beside.as_os_str().len() + name.len() <= SOCKET_PATH_MAX {
        private_dir(&beside, user)?;
        return Ok(beside);
    }
    let owner = user.map_or_else(|| rustix::process::geteuid().as_raw(), |user| user.uid);
    let short = Path::new("/tmp").join(format!("hishamos-{owner}-{:016x}", fnv(root.as_os_str().as_encoded_bytes())));
    private_dir(&short, user)?;
    let found = std::fs::symlink_metadata(&short).map_err(Error::io("examine", &short))?;
    let wrong = if !found.is_dir() {
        "it is no directory".to_owned()
    } else if found.uid() != owner {
        format!("it belongs to user id {}", found.uid())
    } else if found.mode() & 0o077 != 0 {
        format!("its mode is {:o}, not 700", found.mode() & 0o777)
    } else {
        return Ok(short);
    };
    Err(Error::NotPrivate { path: short, what: wrong })
}

/// FNV-1a, 64 bits (datatracker.ietf.org/doc/html/draft-eastlake-fnv): a short name for a long path, the same in
/// every version of the program.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_told_who_has_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Lock::take(dir.path()).unwrap();
        let error = Lock::take(dir.path()).unwrap_err();
        assert!(matches!(error, Error::Locked { pid: Some(pid), .. } if pid == std::process::id()), "{error}");
    }

    #[test]
    fn a_long_path_moves_the_socket_to_a_short_one() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("x".repeat(120));
        std::fs::create_dir(&long).unwrap();
        let socket = socket_dir(&long, None).unwrap();
        assert!(socket.starts_with("/tmp"));
        assert_eq!(std::fs::metadata(&socket).unwrap().mode() & 0o777, 0o700);
        std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o755)).unwrap();
        assert!(matches!(socket_dir(&long, None), Err(Error::NotPrivate { .. })));
        std::fs::remove_dir(&socket).unwrap();
    }
}
