//! The command line.
//!
//! Invariants: answers go to standard output, logs and complaints to standard error; with `--json` standard output
//! holds JSON and nothing else; the exit code tells success (0), a run that did not complete (1), a refusal or wrong
//! usage (2), and infrastructure that failed (3).

mod admin;
mod audit;
mod client;
mod failure;
mod input;
mod inspect;
mod platforms;
mod prices;
mod run;
mod signals;
mod terminal;
mod up;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

use crate::config::{self, Config, Flags, LogFormat};
use failure::Failure;
use terminal::Terminal;

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  the run failed or was cancelled; what was verified is damaged; no platform answered
  2  a refusal, or wrong usage
  3  infrastructure failed: the server, the database, the network";

/// HishamOS, an operating system for a company's AI work
#[derive(Debug, Parser)]
#[command(name = "hishamos", version, after_help = EXIT_CODES, propagate_version = true)]
struct Arguments {
    #[command(flatten)]
    flags: Flags,
    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything, load the starter catalogue, run the welcome workflow, and stay up
    Up {
        /// The input of the welcome workflow, such as file=@notes.md (default: file=@README.md)
        #[arg(long = "input", value_name = "KEY=VALUE")]
        inputs: Vec<String>,
        /// End after the run instead of staying up
        #[arg(long)]
        once: bool,
    },
    /// Start everything and serve until stopped
    Serve,
    /// Run a workflow; without a running server, in this process until it has ended
    Run {
        /// The key of the workflow
        workflow: String,
        /// The input: KEY=TEXT, KEY=@PATH for the text of a file, KEY:=JSON for anything else
        #[arg(long = "input", value_name = "KEY=VALUE")]
        inputs: Vec<String>,
        /// Show the run as it happens and wait for its end
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// List runs, newest first
    Runs {
        /// Only at this status: running, cancelling, completed, failed, cancelled; may be repeated
        #[arg(long, value_parser = ["running", "cancelling", "completed", "failed", "cancelled"])]
        status: Vec<String>,
        /// Only of the workflow with this key
        #[arg(long)]
        workflow: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// Show a run: its steps, attempts and output
    Show {
        /// The run's id
        run: Uuid,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// Say why a run stands where it stands
    Explain {
        /// The run's id
        run: Uuid,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// Ask a run to stop
    Cancel {
        /// The run's id
        run: Uuid,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// Prove what happened
    #[command(subcommand)]
    Audit(Audit),
    /// Rebuild read models from the journal beside the live ones, and switch
    Rebuild {
        /// The read model
        #[arg(required_unless_present = "all")]
        name: Option<String>,
        /// Every read model
        #[arg(long, conflicts_with = "name")]
        all: bool,
    },
    /// Manage the catalogue of agents, templates and workflows
    #[command(subcommand)]
    Catalog(Catalog),
    /// See, check and try the AI platforms of the configuration
    #[command(subcommand)]
    Platforms(Platforms),
    /// See, compare and import the prices of models
    #[command(subcommand)]
    Prices(Prices),
    /// Show the configuration that is in force, secrets masked
    Config,
}

#[derive(Debug, Subcommand)]
enum Platforms {
    /// List the platforms in the order in which they are asked
    List,
    /// Ask each platform whether it would answer; costs nothing
    Health,
    /// List the models of a platform, with what they can do and cost
    Models {
        /// The key of the platform
        key: String,
    },
    /// Make one short call, which the platform charges for, and show all about it
    Test {
        /// The key of the platform
        key: String,
        /// The model (default: that of the platform)
        #[arg(long)]
        model: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum Prices {
    /// List the prices that are valid today
    List {
        /// Only models whose name, such as openai/gpt-4o, contains this
        model: Option<String>,
    },
    /// Show what a list would change, and change nothing
    Diff {
        #[command(flatten)]
        source: prices::Source,
    },
    /// Take a list in; calls from its date on are priced by it
    Import {
        #[command(flatten)]
        source: prices::Source,
        /// Write the list to this file instead of the data directory
        #[arg(long, value_name = "LIST.json")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum Audit {
    /// Check the hash chain of every stream
    Verify,
    /// Print the whole history of a run, with the state after each event
    Replay {
        /// The run's id
        run: Uuid,
    },
}

#[derive(Debug, Subcommand)]
enum Catalog {
    /// Load a directory of catalogue files; what is there already is left alone
    Load {
        /// The directory, with folders agents, templates and workflows (default: the starter catalogue)
        directory: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, clap::Args)]
struct ServerFlag {
    /// The server to talk to (default: the one that runs on the data directory)
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// Parses the command line, does what it says, and answers the exit code.
pub(crate) fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to standard output and are no error.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let as_json = arguments.json;
    match execute(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            match failure.json() {
                Some(answer) if as_json => Terminal::new().json(&answer),
                Some(_) => complain(&failure.to_string()),
                None => {}
            }
            failure.exit_code()
        }
    }
}

fn execute(arguments: Arguments) -> Result<(), Failure> {
    let config = config::load(&arguments.flags)
        .map_err(|error| Failure::Refused { code: "CONFIG_INVALID".to_owned(), message: error.to_string() })?;
    start_log(&config, matches!(arguments.command, Command::Serve))?;
    // One crypto provider for every TLS connection of the program; only the first call counts.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime can be had")?;
    runtime.block_on(Box::pin(dispatch(arguments, config)))
}

async fn dispatch(arguments: Arguments, config: Config) -> Result<(), Failure> {
    let (terminal, json) = (&mut Terminal::new(), arguments.json);
    match arguments.command {
        Command::Up { inputs, once } => up::up(&config, terminal, json, &inputs, once).await,
        Command::Serve => up::serve(&config, terminal, json).await,
        Command::Run { workflow, inputs, watch, server } => {
            run::run(&config, terminal, run::Ask { workflow, inputs, watch, json, url: server.url }).await
        }
        Command::Runs { status, workflow, limit, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            inspect::runs(&client, terminal, json, limit, &status, workflow.as_deref()).await
        }
        Command::Show { run, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            inspect::show(&client, terminal, json, run).await
        }
        Command::Explain { run, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            inspect::explain(&client, terminal, json, run).await
        }
        Command::Cancel { run, reason, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            inspect::cancel(&client, terminal, json, run, &reason).await
        }
        Command::Audit(Audit::Verify) => audit::verify(&config, terminal, json).await,
        Command::Audit(Audit::Replay { run }) => audit::replay(&config, terminal, json, run).await,
        Command::Rebuild { name, .. } => admin::rebuild(&config, terminal, json, name.as_deref()).await,
        Command::Catalog(Catalog::Load { directory }) => {
            admin::load_catalog(&config, terminal, json, directory.as_deref()).await
        }
        Command::Platforms(Platforms::List) => platforms::list(&config, terminal, json),
        Command::Platforms(Platforms::Health) => platforms::health(&config, terminal, json).await,
        Command::Platforms(Platforms::Models { key }) => platforms::models(&config, terminal, json, &key).await,
        Command::Platforms(Platforms::Test { key, model }) => {
            platforms::test(&config, terminal, json, &key, model).await
        }
        Command::Prices(Prices::List { model }) => prices::list(&config, terminal, json, model.as_deref()),
        Command::Prices(Prices::Diff { source }) => prices::diff(&config, terminal, json, &source),
        Command::Prices(Prices::Import { source, output }) => {
            prices::import(&config, terminal, json, &source, output.as_deref())
        }
        Command::Config => admin::show_config(&config, terminal, json),
    }
}

/// Logs go to standard error; without a configured level only a server tells what it does.
fn start_log(config: &Config, serving: bool) -> Result<(), Failure> {
    let level = config.log.level.as_deref().unwrap_or(if serving { "info,sqlx=warn" } else { "warn,sqlx=error" });
    let filter = EnvFilter::try_new(level)
        .map_err(|error| Failure::usage(format!("log.level `{level}` cannot be understood: {error}")))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log.format {
        LogFormat::Text => log.with_target(false).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Tells a person what went wrong.
fn complain(message: &str) {
    use std::io::Write;
    let mut error = std::io::stderr().lock();
    let _ = writeln!(error, "error: {message}");
}
