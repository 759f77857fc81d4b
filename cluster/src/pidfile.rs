//! `postmaster.pid`, by which PostgreSQL says who serves a directory. Its lines are described in PostgreSQL's
//! `src/include/utils/pidfile.h`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::Error;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: i32,
    pub(crate) socket_dir: Option<PathBuf>,
    pub(crate) ready: bool,
}

impl PidFile {
    pub(crate) fn read(pgdata: &Path) -> Result<Option<Self>, Error> {
        let path = path(pgdata);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Io { what: "read", path, source }),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        let socket_dir = lines.nth(3).map(str::trim).filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let ready = lines.nth(2).is_some_and(|status| status.trim() == "ready");
        Some(Self { pid, socket_dir, ready })
    }
}

fn path(pgdata: &Path) -> PathBuf {
    pgdata.join("postmaster.pid")
}

/// What a process id in the file means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// No such process, or one that has ended and waits to be buried.
    Gone,
    /// A server on this directory.
    Server,
    /// Some other process that came to the same number.
    Stranger,
}

fn holder(pid: Pid, pgdata: &Path) -> Holder {
    if matches!(test_kill_process(pid), Err(Errno::SRCH)) {
        return Holder::Gone;
    }
    if Path::new("/proc/self/cwd").exists() {
        // A server works in its data directory.
        return match std::fs::read_link(format!("/proc/{pid}/cwd")) {
            Ok(cwd) if cwd == pgdata => Holder::Server,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Holder::Gone,
            Ok(_) | Err(_) => Holder::Stranger,
        };
    }
    // Systems without /proc, such as macOS: the server was started with `-D <pgdata>`.
    let answer = std::process::Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()]).output();
    let args = answer.map(|answer| String::from_utf8_lossy(&answer.stdout).into_owned()).unwrap_or_default();
    match (args.trim().is_empty(), args.contains(&*pgdata.to_string_lossy())) {
        (true, _) => Holder::Gone,
        (false, true) => Holder::Server,
        (false, false) => Holder::Stranger,
    }
}

/// Ends the server that a killed program left on `pgdata`, and clears away a `postmaster.pid` that names a process
/// which is no server of ours: PostgreSQL would refuse to start because of it. The caller holds the lock on the data
/// directory, so no living program owns that server; PostgreSQL's own check of its shared memory still guards the
/// files against processes that outlived their server.
pub(crate) async fn take_over(pgdata: &Path, patience: Duration) -> Result<(), Error> {
    let path = path(pgdata);
    let Some(pid) = pid_in(&path)? else { return Ok(()) };
    if holder(pid, pgdata) == Holder::Server {
        let number = pid.as_raw_nonzero().get();
        tracing::warn!(pid = number, "shutting down a PostgreSQL that an earlier program left behind");
        return end(pid, pgdata, patience).await;
    }
    clear(path, pid)
}

/// Clears away the lock file of the server's socket when the process that it names is no server on `pgdata`.
pub(crate) fn free_socket(socket_dir: &Path, port: u16, pgdata: &Path) -> Result<(), Error> {
    let path = socket_dir.join(format!(".s.PGSQL.{port}.lock"));
    match pid_in(&path)? {
        Some(pid) if holder(pid, pgdata) != Holder::Server => clear(path, pid),
        _ => Ok(()),
    }
}

/// The process that a lock file names in its first line.
fn pid_in(path: &Path) -> Result<Option<Pid>, Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().next().and_then(|line| line.trim().parse().ok()).and_then(Pid::from_raw)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { what: "read", path: path.to_owned(), source }),
    }
}

/// Removes a lock file in whose way there is somebody: PostgreSQL takes a stranger, or one that has ended and that nobody
/// buries, for a living server. Where there is nobody it removes the file itself.
fn clear(path: PathBuf, pid: Pid) -> Result<(), Error> {
    if matches!(test_kill_process(pid), Err(Errno::SRCH)) {
        return Ok(());
    }
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Io { what: "remove", path, source: error })
        }
        _ => Ok(()),
    }
}

/// Fast shutdown, then immediate shutdown, then the end.
async fn end(pid: Pid, pgdata: &Path, patience: Duration) -> Result<(), Error> {
    for (signal, patience) in
        [(Signal::INT, patience), (Signal::QUIT, Duration::from_secs(10)), (Signal::KILL, Duration::from_secs(10))]
    {
        // A failure means that it is gone already, which the loop sees.
        let _ = kill_process(pid, signal);
        let asked = Instant::now();
        while asked.elapsed() < patience {
            if holder(pid, pgdata) != Holder::Server {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Err(Error::StopFailed { pid: pid.as_raw_nonzero().get().unsigned_abs() })
}

/// Tells server processes that outlived their server to end at once. They would by themselves, but only at the end of
/// their current statement.
pub(crate) fn end_orphans(pgdata: &Path) {
    let Ok(processes) = std::fs::read_dir("/proc") else { return };
    for process in processes.flatten() {
        let pid = process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid
            && std::fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == pgdata)
        {
            // A failure means that it is gone already.
            let _ = kill_process(pid, Signal::QUIT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_where_postgresql_puts_them() {
        let text = "4711\n/data/pgdata\n1700000000\n5432\n/data/socket\n\n  1234567    0\nready   \n";
        let expected = PidFile { pid: 4711, socket_dir: Some("/data/socket".into()), ready: true };
        assert_eq!(PidFile::parse(text), Some(expected));
        let starting = "4711\n/data/pgdata\n1700000000\n5432\n/data/socket\n\n  1234567    0\nstarting\n";
        assert!(PidFile::parse(starting).is_some_and(|found| !found.ready));
        assert_eq!(PidFile::parse(""), None);
    }
}
