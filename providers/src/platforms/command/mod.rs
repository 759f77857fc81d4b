//! An agent that is a program on this machine: it gets the prompt, works as long as it may, and writes its answer.
//!
//! Invariants: nothing but the configured program is started, with the configured arguments and never through a shell, so no
//! prompt can start anything else; it sees no environment but what is configured; whatever it started ends with the call, also when
//! the call is dropped; what it does not tell of its cost is unknown, never nothing.

mod answer;
mod process;
mod settings;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use async_trait::async_trait;
use tokio::task::JoinSet;

pub use answer::{Fields, Output};
pub use settings::KIND;

use crate::program::{self, MODEL, Running};
use crate::{CostSource, ExternalAgent, Failure, FailureKind, Finish, Health, Reply, Request, State, Work};

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

/// The agent.
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

    /// Starts the program: what runs, what it is told over standard input, and what it is called.
    fn begin(&self, job: &Request) -> Result<(Running, String, String), Failure> {
        let Options { key, program, arguments, directory, environment, model, .. } = &*self.options;
        let prompt = program::as_one_text(key, job)?;
        let asked = program::model(key, job, model.as_deref(), arguments)?;
        // At once, so that a prompt with `{model}` in it stays as it is.
        let fill = |argument: &String| {
            let parts = argument.split(PROMPT).map(|part| part.replace(MODEL, asked.unwrap_or_default()));
            parts.collect::<Vec<_>>().join(&prompt)
        };
        let takes_prompt = arguments.iter().any(|argument| argument.contains(PROMPT));
        let arguments: Vec<String> = arguments.iter().map(fill).collect();
        let running = program::start(key, program, &arguments, directory, environment)?;
        let input = if takes_prompt { String::new() } else { prompt };
        Ok((running, input, program::called(asked, program)))
    }

    /// What the program answers in the end.
    async fn end(&self, running: Running, input: &str, called: String, started: Instant) -> Result<Reply, Failure> {
        let options = &*self.options;
        let said = process::run(options, running, input).await?;
        let answer = options.output.read(&options.key, &said)?;
        Ok(Reply {
            text: answer.text,
            finish: Finish::Stop,
            model: answer.model.unwrap_or(called),
            usage: answer.usage,
            cost: answer.cost,
            cost_source: CostSource::of_reported(answer.cost),
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
impl ExternalAgent for CommandAgent {
    fn key(&self) -> &str {
        &self.options.key
    }

    fn default_model(&self) -> Option<&str> {
        self.options.model.as_deref()
    }

    fn unusable(&self) -> Option<String> {
        program::missing(&self.options.program, &self.options.directory)
    }

    async fn start(&self, job: Request) -> Result<Work, Failure> {
        let (agent, key, started) = (self.clone(), self.options.key.clone(), Instant::now());
        let (program, input, called) = self.begin(&job)?;
        // It is listened to from now on, and ends with the set when nobody waits any more.
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            // What runs when the time is up ends, because it is dropped.
            let end = tokio::time::timeout(job.timeout, agent.end(program, &input, called, started)).await;
            end.unwrap_or_else(|_| Err(Failure::timed_out(&agent.options.key, job.timeout)))
        });
        Ok(Work::silent(async move {
            let gone = || Failure::new(FailureKind::PlatformFailure, format!("{key}: what ran it has ended"));
            listening.join_next().await.and_then(Result::ok).unwrap_or_else(|| Err(gone()))
        }))
    }

    async fn health(&self) -> Health {
        match self.unusable() {
            Some(detail) => Health { state: State::Unusable, detail },
            None => Health { state: State::Ready, detail: format!("{} is there", self.options.program.display()) },
        }
    }
}
