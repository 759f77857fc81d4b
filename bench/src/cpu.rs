//! CPU time and memory of this process and CPU time of a PostgreSQL server, from /proc (see proc(5)).

use std::path::Path;
use std::time::Duration;

/// The kernel's clock ticks per second; 100 on every Linux that HishamOS supports.
const TICKS: u64 = 100;

/// CPU time that this process has used.
pub(crate) fn own() -> Duration {
    of("self", false)
}

/// The most memory that this process has had, in MB; since now, when it is asked to begin anew.
pub(crate) fn peak_mb(anew: bool) -> anyhow::Result<f64> {
    if anew {
        std::fs::write("/proc/self/clear_refs", "5")?;
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? / 1024.0)
}

/// CPU time that the private server of a data directory and its children have used, finished ones included.
pub(crate) fn server(data: &Path) -> Duration {
    let Some(postmaster) = postmaster(data) else { return Duration::ZERO };
    children(&postmaster).iter().fold(of(&postmaster, true), |sum, child| sum + of(child, true))
}

/// The postmaster's process id.
pub(crate) fn postmaster(data: &Path) -> Option<String> {
    let text = std::fs::read_to_string(data.join("postgres/pgdata/postmaster.pid")).ok()?;
    text.lines().next().map(|line| line.trim().to_owned())
}

/// The direct children of a process.
pub(crate) fn children(parent: &str) -> Vec<String> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|name| fields(name).and_then(|fields| fields.get(1).cloned()).as_deref() == Some(parent))
        .collect()
}

fn of(process: &str, with_finished_children: bool) -> Duration {
    let fields = fields(process).unwrap_or_default();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    // utime, stime, cutime, cstime are fields 14 to 17 of the file, 11 to 14 after the command's name.
    let mut sum = ticks(11) + ticks(12);
    if with_finished_children {
        sum += ticks(13) + ticks(14);
    }
    Duration::from_millis(sum * 1000 / TICKS)
}

/// The fields of /proc/PID/stat after the command's name, which may hold blanks: state, parent, ….
fn fields(process: &str) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}
