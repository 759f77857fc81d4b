use std::path::PathBuf;

/// Why the private PostgreSQL cannot run. Every message says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The PostgreSQL programs are not installed.
    #[error(
        "no PostgreSQL {oldest} or newer was found (looked in {looked}); install it with\n  \
         Debian, Ubuntu:  sudo apt install postgresql\n  \
         Fedora:          sudo dnf install postgresql-server\n  \
         Arch Linux:      sudo pacman -S postgresql\n  \
         macOS:           brew install postgresql@17\n\
         or set DATABASE_URL to a PostgreSQL that already runs"
    )]
    NotInstalled {
        /// The oldest usable major version.
        oldest: u32,
        /// The places that were looked at.
        looked: String,
    },
    /// The files were made by another major version than any that is installed.
    #[error(
        "the database in {} was made by PostgreSQL {made}, but only {found} is installed; install PostgreSQL {made} \
         beside it, or move the data with pg_upgrade",
        .pgdata.display()
    )]
    VersionMismatch {
        /// The database files.
        pgdata: PathBuf,
        /// The major version that made them.
        made: u32,
        /// The major versions that were found.
        found: String,
    },
    /// Another program runs on the same data directory.
    #[error(
        "another HishamOS{} is running on the data directory {}; stop it first, or choose another directory with \
         --data-dir",
        .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default(), .data_dir.display()
    )]
    Locked {
        /// The data directory.
        data_dir: PathBuf,
        /// The other program, when it left its process id.
        pid: Option<u32>,
    },
    /// The files belong to another user.
    #[error(
        "the database in {} belongs to user id {owner}, but this program runs as user id {uid}; run it as that user, \
         or choose another directory with --data-dir",
        .pgdata.display()
    )]
    NotOwner {
        /// The database files.
        pgdata: PathBuf,
        /// To whom they belong.
        owner: u32,
        /// Who runs the program.
        uid: u32,
    },
    /// PostgreSQL refuses to run as root, and there is nobody else.
    #[error(
        "PostgreSQL does not run as root, and neither a user `postgres` nor `nobody` exists; create one with \
         `useradd --system postgres`"
    )]
    NoUser,
    /// A directory that others can tamper with.
    #[error("the directory {} for PostgreSQL's socket is not private: {what}; remove it and start again", .path.display())]
    NotPrivate {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file operation failed.
    #[error("cannot {what} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The database files could not be made.
    #[error("PostgreSQL could not make its files in {}: {reason}", .pgdata.display())]
    InitFailed {
        /// The database files.
        pgdata: PathBuf,
        /// What its program says.
        reason: String,
    },
    /// The server ended while starting.
    #[error("the private PostgreSQL did not start: {reason}\n(its log: {})", .log.display())]
    StartFailed {
        /// The end of its log.
        reason: String,
        /// The whole log.
        log: PathBuf,
    },
    /// The server is not ready in time.
    #[error("the private PostgreSQL was not ready within {seconds} s; its log {} says why", .log.display())]
    StartTimeout {
        /// How long was waited.
        seconds: u64,
        /// The whole log.
        log: PathBuf,
    },
    /// The server does not end.
    #[error("process {pid} of the private PostgreSQL does not end, even when killed")]
    StopFailed {
        /// Its process id.
        pid: u32,
    },
}

impl Error {
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}
