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

use crate::program::{self, MODEL};
use crate::{
    Capabilities, Chunk, CostSource, Failure, Finish, Health, Platform, Reply, ReplyStream, Request, State, Usage,
};

/// Stands in arguments for the prompt, with what the agent is told about itself before it.
const PROMPT: &str = "{prompt}";

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
        if let Some(program) = program::relative(&options.program) {
            return Err(Error::Relative(program));
        }
        if let Some(argument) = program::unknown_placeholder(&options.arguments, &[PROMPT, MODEL]) {
            return Err(Error::Placeholder(argument.to_owned()));
        }
        if let Some(wrong) = options.output.pointers().find(|pointer| !pointer.starts_with('/')) {
            return Err(Error::Pointer(wrong.to_owned()));
        }
        Ok(Self { options: std::sync::Arc::new(options) })
    }

    async fn run(&self, request: &Request, started: Instant) -> Result<Reply, Failure> {
        let options = &*self.options;
        let prompt = program::as_one_text(&options.key, request)?;
        let asked = program::model(&options.key, request, options.model.as_deref(), &options.arguments)?;
        // At once, so that a prompt with `{model}` in it stays as it is.
        let fill = |argument: &String| {
            let parts = argument.split(PROMPT).map(|part| part.replace(MODEL, asked.unwrap_or_default()));
            parts.collect::<Vec<_>>().join(&prompt)
        };
        let arguments: Vec<String> = options.arguments.iter().map(fill).collect();
        let takes_prompt = options.arguments.iter().any(|argument| argument.contains(PROMPT));
        let input = if takes_prompt { "" } else { &prompt };
        let said = process::run(options, &arguments, input).await?;
        let answer = options.output.read(&options.key, &said)?;
        Ok(Reply {
            text: answer.text,
            finish: Finish::Stop,
            model: answer.model.unwrap_or_else(|| program::called(asked, &options.program)),
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
        program::missing(&self.options.program, &self.options.directory)
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
