//! Programs on this machine that work as agents: how one is started, ends with all that it has started, and what it takes for a
//! prompt.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::{Failure, FailureKind, Message, Request, Secret};

/// Stands in arguments for the model.
pub(crate) const MODEL: &str = "{model}";

/// How much of what it complains about is kept.
const COMPLAINT: usize = 2000;

/// A program that runs, with its three streams.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) group: Group,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}

/// Ends a program with all that it has started, when it is dropped.
pub(crate) struct Group(Option<Pid>);

impl Group {
    pub(crate) fn end(&self) {
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

/// The variables that a program gets from the environment unless it is said otherwise.
pub(crate) fn usual_variables() -> Vec<String> {
    ["PATH", "HOME", "LANG"].map(str::to_owned).to_vec()
}

/// The whole environment of a program: what it inherits, as far as it is there, and what it is given.
pub(crate) fn environment(
    inherit: &[String],
    own: &BTreeMap<String, Secret>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> BTreeMap<String, String> {
    let inherited = inherit.iter().filter_map(|name| Some((name.clone(), variable(name)?)));
    inherited.chain(own.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned()))).collect()
}

/// Starts it in a process group of its own, with this environment and no other; `key` is the platform's.
pub(crate) fn start(
    key: &str,
    program: &Path,
    arguments: &[String],
    directory: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<Running, Failure> {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .envs(environment)
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
            Failure::new(kind, format!("{key}: {} cannot be started: {error}", program.display()))
        })?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    Ok(Running { child, group: Group(pid), stdin, stdout, stderr })
}

/// The end of what it says.
pub(crate) async fn last_words(from: Option<impl AsyncRead + Unpin>) -> String {
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

/// Why it cannot be started.
pub(crate) fn missing(program: &Path, directory: &Path) -> Option<String> {
    if !program.is_file() {
        return Some(format!("there is no program {}", program.display()));
    }
    (!directory.is_dir()).then(|| format!("there is no directory {}", directory.display()))
}

/// The first argument with something in braces that stands for nothing of these.
pub(crate) fn unknown_placeholder<'a>(arguments: &'a [String], known: &[&str]) -> Option<&'a str> {
    arguments.iter().map(String::as_str).find(|argument| {
        let rest = known.iter().fold((*argument).to_owned(), |rest, known| rest.replace(known, ""));
        let word = |inside: &str| !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_lowercase());
        let inside = rest.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(inside, _)| inside);
        inside.is_some_and(word)
    })
}

/// The model that is asked for, when the arguments have a place for it wherever it has to be chosen.
pub(crate) fn model<'a>(
    key: &str,
    request: &'a Request,
    usual: Option<&'a str>,
    arguments: &[String],
) -> Result<Option<&'a str>, Failure> {
    let wrong = |what: &str| Err(Failure::new(FailureKind::InvalidRequest, format!("{key}: {what}")));
    let asked = request.model.as_deref().or(usual);
    let has_place = arguments.iter().any(|argument| argument.contains(MODEL));
    if request.model.is_some() && request.model.as_deref() != usual && !has_place {
        return wrong("its model cannot be chosen: no argument has {model}");
    }
    if asked.is_none() && has_place {
        return wrong("no model is named: give the agent one, or this platform");
    }
    Ok(asked)
}

/// What it is called where it does not name its model.
pub(crate) fn called(asked: Option<&str>, program: &Path) -> String {
    asked.map_or_else(|| program.file_name().unwrap_or_default().to_string_lossy().into_owned(), str::to_owned)
}

/// The prompt as such a program takes it, which knows no roles.
pub(crate) fn as_one_text(key: &str, request: &Request) -> Result<String, Failure> {
    let cannot =
        |what: &str| Failure::new(FailureKind::InvalidRequest, format!("{key}: such an agent takes no {what}"));
    if !request.tools.is_empty() {
        return Err(cannot("tools of ours"));
    }
    if !request.images.is_empty() {
        return Err(cannot("pictures"));
    }
    if !request.stop.is_empty() {
        return Err(cannot("stop sequences"));
    }
    let mut texts: Vec<&str> = request.system.iter().map(String::as_str).collect();
    texts.push(&request.user);
    for turn in &request.turns {
        match turn {
            Message::User { text, images } if images.is_empty() => texts.push(text),
            Message::Assistant { text, tool_calls, .. } if tool_calls.is_empty() => texts.push(text),
            _ => return Err(cannot("results of tools and pictures")),
        }
    }
    if let Some(output) = &request.output {
        let schema = format!("Answer with JSON that fits this schema, and nothing else: {}", output.schema);
        return Ok([&texts.join("\n\n"), schema.as_str()].join("\n\n"));
    }
    Ok(texts.join("\n\n"))
}

/// A program that has no whole path, so which one it is would depend on the environment.
pub(crate) fn relative(program: &Path) -> Option<PathBuf> {
    (!program.is_absolute()).then(|| program.to_path_buf())
}
