//! Listens to a program until its end, and never lets it run beyond the call.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::Options;
use crate::program::{self, Running};
use crate::{Failure, FailureKind};

/// Gives it the input, and answers what it has written when it ended well.
pub(super) async fn run(options: &Options, running: Running, input: &str) -> Result<String, Failure> {
    let failed = |kind, what: String| Failure::new(kind, format!("{}: {what}", options.key));
    let Running { mut child, group, stdin, stdout, stderr } = running;
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
    let (said, complaint, ()) = tokio::join!(listen, program::last_words(stderr), feed);
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
