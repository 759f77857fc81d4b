//! One life of the server's first process: started, ready, ended.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use crate::pidfile::{self, PidFile};
use crate::place::Place;
use crate::programs::Programs;
use crate::user;
use crate::{Cluster, Error, Options};

/// What differs from PostgreSQL's own defaults. Safety is untouched: `fsync` and `synchronous_commit` stay on.
const SETTINGS: [(&str, &str); 12] = [
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("shared_buffers", "128MB"),
    // Few and spread checkpoints keep commit latency steady.
    ("max_wal_size", "2GB"),
    ("min_wal_size", "256MB"),
    ("checkpoint_timeout", "15min"),
    ("checkpoint_completion_target", "0.9"),
    // Compiling costs more than our short statements take.
    ("jit", "off"),
    ("autovacuum", "on"),
    // Times in the log are the same everywhere.
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_checkpoints", "off"),
];

/// How the C library hands out memory to the server, where that is glibc: a batch of events is larger than what it maps and unmaps
/// for each request by default, and every page of that is cleared anew. Up to 16 MiB stay with each connection instead.
const MEMORY: [(&str, &str); 2] = [("MALLOC_MMAP_THRESHOLD_", "16777216"), ("MALLOC_TRIM_THRESHOLD_", "16777216")];

/// The log is cut when it is larger; one older part is kept.
const LOG_MAX: u64 = 10 * 1024 * 1024;
/// How much of the log an error shows.
const TAIL: u64 = 2048;
/// How long processes that outlived their server may stand in the way of a new one.
const ORPHANS: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(10);

/// Knows how to start the server, again and again.
#[derive(Debug)]
pub(crate) struct Launcher {
    programs: Programs,
    place: Place,
    settings: Vec<(String, String)>,
    start_timeout: Duration,
    stop_timeout: Duration,
}

impl Launcher {
    pub(crate) fn new(programs: Programs, place: Place, options: &Options) -> Self {
        Self {
            programs,
            place,
            settings: options.settings.clone(),
            start_timeout: options.start_timeout,
            stop_timeout: options.stop_timeout,
        }
    }

    pub(crate) fn stop_timeout(&self) -> Duration {
        self.stop_timeout
    }

    /// Starts the server and waits until it takes connections.
    pub(crate) async fn launch(&self) -> Result<Server, Error> {
        let begun = Instant::now();
        loop {
            pidfile::take_over(&self.place.pgdata, self.stop_timeout).await?;
            pidfile::free_socket(&self.place.socket_dir, Cluster::PORT, &self.place.pgdata)?;
            self.trim_log();
            match self.launch_once().await {
                // Processes of a server that was killed hold its shared memory until they notice.
                Err(Error::StartFailed { reason, .. })
                    if reason.contains("still in use") && begun.elapsed() < ORPHANS =>
                {
                    pidfile::end_orphans(&self.place.pgdata);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                other => return other,
            }
        }
    }

    async fn launch_once(&self) -> Result<Server, Error> {
        let log = OpenOptions::new().append(true).create(true).open(&self.place.log);
        let log = log.map_err(Error::io("open", &self.place.log))?;
        let from = log.metadata().map_err(Error::io("examine", &self.place.log))?.len();
        let mut server = Server::spawn(self, log)?;
        let begun = Instant::now();
        loop {
            if let Some(status) =
                server.child.try_wait().map_err(Error::io("wait for", self.programs.path("postgres")))?
            {
                let said = self.log_since(from);
                let reason = if said.is_empty() { format!("it ended with {status}") } else { said };
                return Err(Error::StartFailed { reason, log: self.place.log.clone() });
            }
            let ready = PidFile::read(&self.place.pgdata)?;
            if ready.is_some_and(|found| found.ready && u32::try_from(found.pid).is_ok_and(|pid| pid == server.pid)) {
                return Ok(server);
            }
            if begun.elapsed() > self.start_timeout {
                server.stop(self.stop_timeout).await?;
                let seconds = self.start_timeout.as_secs();
                return Err(Error::StartTimeout { seconds, log: self.place.log.clone() });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The end of what was logged after `from`.
    fn log_since(&self, from: u64) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(&self.place.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(from.max(length.saturating_sub(TAIL))))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
        };
        read().unwrap_or_default()
    }

    /// Cuts the log when it has become large. The server writes in append mode, so the file may be emptied under it.
    pub(crate) fn trim_log(&self) {
        let log = &self.place.log;
        if std::fs::metadata(log).map_or(0, |found| found.len()) <= LOG_MAX {
            return;
        }
        let cut = || -> std::io::Result<()> {
            std::fs::copy(log, log.with_extension("log.1"))?;
            OpenOptions::new().write(true).truncate(true).open(log)?;
            Ok(())
        };
        if let Err(error) = cut() {
            tracing::warn!(%error, log = %log.display(), "the log of the private PostgreSQL cannot be cut");
        }
    }
}

/// A started server. Dropping it lets it shut down by itself, through its leash.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pid: u32,
    leash: Child,
}

impl Server {
    fn spawn(launcher: &Launcher, log: File) -> Result<Self, Error> {
        let place = &launcher.place;
        let program = launcher.programs.path("postgres");
        let mut command = user::command(&program, place.user);
        command.arg("-D").arg(&place.pgdata).envs(MEMORY);
        let settings = SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut socket_dir = place.socket_dir.to_string_lossy().into_owned();
        if socket_dir.contains([',', '"', ' ']) {
            // The setting is a list whose entries may be quoted.
            socket_dir = format!("\"{}\"", socket_dir.replace('"', "\"\""));
        }
        // What makes the server private comes last, so that no setting can undo it.
        let fixed = [
            ("listen_addresses".to_owned(), String::new()),
            ("port".to_owned(), Cluster::PORT.to_string()),
            ("unix_socket_directories".to_owned(), socket_dir),
            ("unix_socket_permissions".to_owned(), "0700".to_owned()),
            ("logging_collector".to_owned(), "off".to_owned()),
        ];
        for (name, value) in settings.chain(launcher.settings.iter().cloned()).chain(fixed) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command.stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().map_err(Error::io("run", &program))?;
        let pid = child.id().unwrap_or_default();
        let leash = match leash(pid, launcher) {
            Ok(leash) => leash,
            Err(error) => {
                // Without its leash it could outlive us, so it does not run at all.
                let _ = child.start_kill();
                return Err(error);
            }
        };
        Ok(Self { child, pid, leash })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for the end of the server and says how it came.
    pub(crate) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => {
                self.unleash().await;
                status.to_string()
            }
            Err(error) => error.to_string(),
        }
    }

    /// Fast shutdown, then immediate shutdown, then the end.
    pub(crate) async fn stop(&mut self, patience: Duration) -> Result<(), Error> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
        for (signal, patience) in
            [(Signal::INT, patience), (Signal::QUIT, Duration::from_secs(10)), (Signal::KILL, Duration::from_secs(10))]
        {
            // A child that has ended keeps its process id until it is waited for, so nobody else can be hit.
            if self.child.id().is_some() {
                let _ = kill_process(pid, signal);
            }
            if tokio::time::timeout(patience, self.child.wait()).await.is_ok() {
                self.unleash().await;
                return Ok(());
            }
        }
        Err(Error::StopFailed { pid: self.pid })
    }

    /// The leash must not pull once the process id may belong to somebody else.
    async fn unleash(&mut self) {
        // It has ended already when this fails.
        let _ = self.leash.kill().await;
    }
}

/// A tiny process that ends the server when this program is gone, however it went: it waits for the end of a pipe
/// that only this program holds open.
fn leash(pid: u32, launcher: &Launcher) -> Result<Child, Error> {
    let mut command = user::command("/bin/sh", launcher.place.user);
    command.args(["-c", "read -r _; kill -INT \"$1\"", "leash"]).arg(pid.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(Error::io("run", "/bin/sh"))
}
