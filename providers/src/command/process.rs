//! Runs a program to its end, and never beyond the call.

use std::io::ErrorKind;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::Options;
use crate::{Failure, FailureKind};

/// How much of what it complains about is kept.
const COMPLAINT: usize = 2000;

/// Ends a program with all that it has started, when it is dropped.
struct Group(Option<Pid>);

impl Group {
    fn end(&self) {
        if let Some(pid) = self.0 {
            // It may have ended already.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts it, gives it the input, and answers what it has written when it ended well.
pub(super) async fn run(options: &Options, arguments: &[String], input: &str) -> Result<String, Failure> {
    let failed = |kind, what: String| Failure::new(kind, format!("{}: {what}", options.key));
    let mut child = Command::new(&options.program)
        .args(arguments)
        .current_dir(&options.directory)
        .env_clear()
        .envs(&options.environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            let kind = match error.kind() {
                ErrorKind::ArgumentListTooLong => FailureKind::ContextTooLong,
                // A zero byte, which no argument can have.
                ErrorKind::InvalidInput => FailureKind::InvalidRequest,
                _ => FailureKind::Unreachable,
            };
            failed(kind, format!("{} cannot be started: {error}", options.program.display()))
        })?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    let group = Group(pid);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A program that does not read its input may have its reasons.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let listen = async {
        let said = limited(stdout, options.max_output_bytes).await;
        if !matches!(said, Ok(Some(_))) {
            // Nobody reads on, and it would wait for that.
            group.end();
        }
        said
    };
    let (said, complaint, ()) = tokio::join!(listen, last(stderr), feed);
    let said = said.map_err(|error| failed(FailureKind::PlatformFailure, format!("its output broke off: {error}")))?;
    let Some(said) = said else {
        return Err(failed(
            FailureKind::MalformedReply,
            format!("it wrote more than {} bytes", options.max_output_bytes),
        ));
    };
    let status = child.wait().await.map_err(|error| failed(FailureKind::PlatformFailure, error.to_string()))?;
    drop(group);
    if !status.success() {
        let complaint = complaint.trim();
        let complaint = if complaint.is_empty() { "without a word" } else { complaint };
        return Err(failed(FailureKind::PlatformFailure, format!("it ended with {status}: {complaint}")));
    }
    String::from_utf8(said).map_err(|_| failed(FailureKind::MalformedReply, "its output is no UTF-8 text".to_owned()))
}

/// All of it, or nothing when it is more than the limit.
async fn limited(from: Option<impl AsyncRead + Unpin>, limit: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut all = Vec::new();
    let Some(from) = from else { return Ok(Some(all)) };
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    from.take(most).read_to_end(&mut all).await?;
    Ok((all.len() <= limit).then_some(all))
}

/// The end of it.
async fn last(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else { return String::new() };
    let (mut kept, mut piece) = (Vec::new(), vec![0; 4096]);
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        kept.extend(piece.iter().take(count));
        if kept.len() > 2 * COMPLAINT {
            kept.drain(..kept.len() - COMPLAINT);
        }
    }
    let from = kept.len().saturating_sub(COMPLAINT);
    String::from_utf8_lossy(kept.get(from..).unwrap_or_default()).into_owned()
}
