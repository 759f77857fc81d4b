//! An agent that is a program on this machine: it gets the prompt, works as long as it may, and writes its answer.
//!
//! Invariants: nothing but the configured program is started, with the configured arguments and never through a shell, so no
//! prompt can start anything else; it sees no environment but what is configured; whatever it started ends with the call, also when
//! the call is dropped; what it does not tell of its cost is unknown, never nothing.

mod answer;
mod process;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use async_trait::async_trait;
use futures_util::stream;

pub use answer::{Fields, Output};

use crate::{
    Capabilities, Chunk, CostSource, Failure, FailureKind, Finish, Health, Message, Platform, Reply, ReplyStream,
    Request, State, Usage,
};

/// Stands in arguments for the prompt, with what the agent is told about itself before it.
const PROMPT: &str = "{prompt}";
/// Stands in arguments for the model.
const MODEL: &str = "{model}";

/// What is started, and what is made of what it writes.
#[derive(Debug, Clone)]
pub struct Options {
    /// The platform's key.
    pub key: String,
    /// The program, with its whole path.
    pub program: PathBuf,
    /// Its arguments. `{prompt}` in one of them is the prompt, which else comes over standard input; `{model}` is the model.
    pub arguments: Vec<String>,
    /// Where it works.
    pub directory: PathBuf,
    /// Its environment, all of it.
    pub environment: BTreeMap<String, String>,
    /// The model for requests that name none.
    pub model: Option<String>,
    /// What its output means.
    pub output: Output,
    /// How much it may write.
    pub max_output_bytes: usize,
}

impl Options {
    /// 8 MiB of output at most, which is text; no environment.
    #[must_use]
    pub fn new(key: impl Into<String>, program: impl Into<PathBuf>, directory: impl Into<PathBuf>) -> Self {
        Self {
            key: key.into(),
            program: program.into(),
            arguments: Vec::new(),
            directory: directory.into(),
            environment: BTreeMap::new(),
            model: None,
            output: Output::Text,
            max_output_bytes: 8 << 20,
        }
    }
}

/// Options that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program has no whole path, so which one it is would depend on the environment.
    #[error("the program `{}` has no whole path", .0.display())]
    Relative(PathBuf),
    /// An argument with something in braces that means nothing.
    #[error("the argument `{0}` has `{{…}}` other than {{prompt}} and {{model}}")]
    Placeholder(String),
    /// A place in the output that is none.
    #[error("`{0}` is no JSON pointer; one begins with `/`")]
    Pointer(String),
}

/// The platform.
#[derive(Debug, Clone)]
pub struct CommandAgent {
    options: std::sync::Arc<Options>,
}

impl CommandAgent {
    /// Prepares it; starts nothing.
    ///
    /// # Errors
    /// When the options cannot work.
    pub fn new(options: Options) -> Result<Self, Error> {
        if !options.program.is_absolute() {
            return Err(Error::Relative(options.program));
        }
        for argument in &options.arguments {
            let rest = argument.replace(PROMPT, "").replace(MODEL, "");
            let word = |inside: &str| !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_lowercase());
            let inside = rest.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(inside, _)| inside);
            if inside.is_some_and(word) {
                return Err(Error::Placeholder(argument.clone()));
            }
        }
        if let Some(wrong) = options.output.pointers().find(|pointer| !pointer.starts_with('/')) {
            return Err(Error::Pointer(wrong.to_owned()));
        }
        Ok(Self { options: std::sync::Arc::new(options) })
    }

    fn failure(&self, kind: FailureKind, what: &str) -> Failure {
        Failure::new(kind, format!("{}: {what}", self.options.key))
    }

    /// The prompt as such a program takes it, which knows no roles.
    fn prompt(&self, request: &Request) -> Result<String, Failure> {
        let cannot = |what: &str| self.failure(FailureKind::InvalidRequest, &format!("a program takes no {what}"));
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

    async fn run(&self, request: &Request, started: Instant) -> Result<Reply, Failure> {
        let options = &*self.options;
        let prompt = self.prompt(request)?;
        let asked = request.model.as_deref().or(options.model.as_deref());
        let takes = |what: &str| options.arguments.iter().any(|argument| argument.contains(what));
        if request.model.is_some() && request.model != options.model && !takes(MODEL) {
            return Err(
                self.failure(FailureKind::InvalidRequest, "its model cannot be chosen: no argument has {model}")
            );
        }
        if asked.is_none() && takes(MODEL) {
            return Err(
                self.failure(FailureKind::InvalidRequest, "no model is named: give the agent one, or this platform")
            );
        }
        // At once, so that a prompt with `{model}` in it stays as it is.
        let fill = |argument: &String| {
            let parts = argument.split(PROMPT).map(|part| part.replace(MODEL, asked.unwrap_or_default()));
            parts.collect::<Vec<_>>().join(&prompt)
        };
        let arguments: Vec<String> = options.arguments.iter().map(fill).collect();
        let input = if takes(PROMPT) { "" } else { &prompt };
        let said = process::run(options, &arguments, input).await?;
        let answer = options.output.read(&options.key, &said)?;
        let named = || {
            asked.map_or_else(
                || options.program.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                str::to_owned,
            )
        };
        Ok(Reply {
            text: answer.text,
            finish: Finish::Stop,
            model: answer.model.unwrap_or_else(named),
            usage: answer.usage,
            cost: answer.cost,
            cost_source: if answer.cost.is_some() { CostSource::Reported } else { CostSource::Unpriced },
            duration: started.elapsed(),
            first_piece: None,
            simulated: false,
            raw_usage: answer.raw_usage,
            tool_calls: Vec::new(),
            opaque: None,
            limits: None,
        })
    }
}

#[async_trait]
impl Platform for CommandAgent {
    fn key(&self) -> &str {
        &self.options.key
    }

    fn default_model(&self) -> Option<&str> {
        self.options.model.as_deref()
    }

    fn simulated(&self) -> bool {
        false
    }

    fn unusable(&self) -> Option<String> {
        let Options { program, directory, .. } = &*self.options;
        if !program.is_file() {
            return Some(format!("there is no program {}", program.display()));
        }
        (!directory.is_dir()).then(|| format!("there is no directory {}", directory.display()))
    }

    async fn execute(&self, request: Request) -> Result<Reply, Failure> {
        // What runs when the time is up ends, because it is dropped.
        let asked = tokio::time::timeout(request.timeout, self.run(&request, Instant::now())).await;
        asked.unwrap_or_else(|_| Err(Failure::timed_out(&self.options.key, request.timeout)))
    }

    async fn stream(&self, request: Request) -> Result<ReplyStream, Failure> {
        // Whether it has done its work is known when it has ended, and not before.
        let reply = self.execute(request).await?;
        let text = (!reply.text.is_empty()).then(|| Ok(Chunk::Text(reply.text.clone())));
        Ok(Box::pin(stream::iter(text.into_iter().chain([Ok(Chunk::End(Box::new(reply)))]))))
    }

    /// Nobody knows before it has said so.
    fn cost(&self, _model: &str, _usage: &Usage) -> Option<i64> {
        None
    }

    fn capabilities(&self, _model: &str) -> Capabilities {
        Capabilities { tools: Some(false), images: Some(false), ..Capabilities::default() }
    }

    async fn health(&self) -> Health {
        match self.unusable() {
            Some(detail) => Health { state: State::Unusable, detail },
            None => Health { state: State::Ready, detail: format!("{} is there", self.options.program.display()) },
        }
    }
}
