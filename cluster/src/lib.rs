//! The program's own private PostgreSQL, for one machine with nothing to set up.
//!
//! Invariants: it listens on a Unix socket in a directory that only its owner may enter, never on a port; it belongs
//! to exactly one program at a time (a file lock in the data directory says to which); it runs as a direct child in a
//! process group of its own, so that Ctrl-C reaches the program first; it ends when the program ends, however that
//! ends; and when it dies alone it is started again.
//!
//! Where things are, below the data directory: `lock` (held while a program runs), `postgres/pgdata` (PostgreSQL's
//! files), `postgres/socket` and `postgres/log`.

mod endpoint;
mod error;
mod initdb;
mod pidfile;
mod place;
mod programs;
mod server;
mod user;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

pub use endpoint::Endpoint;
pub use error::Error;
pub use programs::{OLDEST_MAJOR, Programs};

use place::{Lock, Place};
use server::{Launcher, Server};

/// How the private PostgreSQL is to be run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program's data directory; created when missing.
    pub data_dir: PathBuf,
    /// Where the server's log goes; `None` is `postgres/log` in the data directory.
    pub log_dir: Option<PathBuf>,
    /// Settings beside or instead of the built-in ones, as in postgresql.conf.
    pub settings: Vec<(String, String)>,
    /// Where the PostgreSQL programs are; `None` looks in the usual places.
    pub bin_dir: Option<PathBuf>,
    /// How long a start may take, crash recovery included.
    pub start_timeout: Duration,
    /// How long a fast shutdown may take before the server is told to quit without a checkpoint. Nothing committed
    /// is lost by that; the next start takes longer.
    pub stop_timeout: Duration,
}

impl Options {
    /// The usual way, in a data directory.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            log_dir: None,
            settings: Vec::new(),
            bin_dir: None,
            start_timeout: Duration::from_secs(300),
            stop_timeout: Duration::from_secs(30),
        }
    }

    /// The same with one more setting.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// Whether the server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It does; this is the process id of its first process.
    Running {
        /// The process id.
        pid: u32,
    },
    /// It died and is being started again.
    Restarting,
    /// It was stopped.
    Stopped,
}

/// A running private PostgreSQL. Dropping it lets the server shut down by itself; [`Cluster::stop`] waits for that.
#[derive(Debug)]
pub struct Cluster {
    endpoint: Endpoint,
    state: watch::Receiver<State>,
    stop: Option<oneshot::Sender<()>>,
    keeper: JoinSet<Result<(), Error>>,
    // Declared last: another program may start only after everything above has ended.
    _lock: Lock,
}

impl Cluster {
    /// The port number in the socket's name; no such port is opened.
    pub const PORT: u16 = 5432;
    /// The database role of the program, a superuser of its own cluster.
    pub const USER: &'static str = "hishamos";
    /// The database that is made for the program.
    pub const DATABASE: &'static str = "hishamos";

    /// Starts the server: makes its files on the first start, takes over what a killed program left behind, waits
    /// until connections are accepted.
    ///
    /// A server left running on the same files is shut down and started anew rather than adopted, because only a
    /// child can be watched and be given today's settings.
    ///
    /// # Errors
    /// See [`Error`]; each says what to do.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let lock = Lock::take(&options.data_dir)?;
        let place = Place::prepare(&options.data_dir, options.log_dir.as_deref()).await?;
        let bin_dir = options.bin_dir.as_deref();
        let programs = match place.major()? {
            Some(made) => Programs::find_for(bin_dir, &place.pgdata, made).await?,
            None => {
                let newest = Programs::find(bin_dir).await?;
                initdb::run(&newest, &place).await?;
                newest
            }
        };
        let endpoint =
            Endpoint::new(place.socket_dir.clone(), Self::PORT, Self::USER.to_owned(), Self::DATABASE.to_owned());
        let launcher = Launcher::new(programs, place, &options);
        let server = launcher.launch().await?;
        let (state_in, state) = watch::channel(State::Running { pid: server.pid() });
        let (stop, stopped) = oneshot::channel();
        let mut keeper = JoinSet::new();
        keeper.spawn(keep(server, launcher, stopped, state_in));
        Ok(Self { endpoint, state, stop: Some(stop), keeper, _lock: lock })
    }

    /// Where to connect.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The connection URL of the program's own database.
    #[must_use]
    pub fn url(&self) -> String {
        self.endpoint.url()
    }

    /// Follows whether the server answers.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Shuts the server down: open connections are cut, a checkpoint is written, the lock is given back.
    ///
    /// # Errors
    /// When the server does not end even when killed.
    pub async fn stop(mut self) -> Result<(), Error> {
        if let Some(stop) = self.stop.take() {
            // The keeper is gone only when the runtime is; then there is nobody to tell.
            let _ = stop.send(());
        }
        match self.keeper.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(_)) | None => Ok(()),
        }
    }

    /// Finds the server that another program runs in a data directory right now, for reading beside it.
    ///
    /// # Errors
    /// When the data directory cannot be read.
    pub fn running(data_dir: &Path) -> Result<Option<Endpoint>, Error> {
        Ok(place::running(data_dir)?
            .map(|socket| Endpoint::new(socket, Self::PORT, Self::USER.to_owned(), Self::DATABASE.to_owned())))
    }
}

/// Restarts come at once, then with growing distance up to this.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// A server that lived this long starts counting anew.
const LIVED: Duration = Duration::from_secs(60);
/// How often the size of the log is looked at.
const LOG_CHECK: Duration = Duration::from_secs(600);

/// Watches the server and starts it again until told to stop.
async fn keep(
    mut server: Server,
    launcher: Launcher,
    mut stop: oneshot::Receiver<()>,
    state: watch::Sender<State>,
) -> Result<(), Error> {
    let mut backoff = Duration::ZERO;
    let mut log_check = tokio::time::interval(LOG_CHECK);
    loop {
        let started = tokio::time::Instant::now();
        let ended = loop {
            tokio::select! {
                _ = &mut stop => {
                    let result = server.stop(launcher.stop_timeout()).await;
                    state.send_replace(State::Stopped);
                    return result;
                }
                ended = server.ended() => break ended,
                _ = log_check.tick() => launcher.trim_log(),
            }
        };
        state.send_replace(State::Restarting);
        tracing::error!(how = %ended, "the private PostgreSQL ended by itself; starting it again");
        if started.elapsed() > LIVED {
            backoff = Duration::ZERO;
        }
        server = loop {
            tokio::select! {
                _ = &mut stop => {
                    state.send_replace(State::Stopped);
                    return Ok(());
                }
                launched = async {
                    tokio::time::sleep(backoff).await;
                    launcher.launch().await
                } => match launched {
                    Ok(server) => break server,
                    Err(error) => {
                        tracing::error!(error = %error, "the private PostgreSQL does not start; trying again");
                    }
                },
            }
            backoff = (backoff * 2).clamp(Duration::from_millis(100), LONGEST_BACKOFF);
        };
        backoff = (backoff * 2).clamp(Duration::from_millis(100), LONGEST_BACKOFF);
        state.send_replace(State::Running { pid: server.pid() });
        tracing::info!(pid = server.pid(), "the private PostgreSQL runs again");
    }
}
