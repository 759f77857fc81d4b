//! The command line.
//!
//! Invariants: answers go to standard output, logs and complaints to standard error; with `--json` standard output
//! holds JSON and nothing else; the exit code tells success (0), a run that did not complete (1), a refusal or wrong
//! usage (2), infrastructure that failed, or what could not be checked (3), and what cannot be begun before more is given (4).

mod actions;
mod admin;
mod again;
mod approve;
mod as_of;
mod attached;
mod audit;
mod branch;
mod budget;
mod catalog;
mod client;
mod compat;
mod errand;
mod failure;
mod find;
mod input;
mod inspect;
mod journal;
mod keys;
mod limit;
mod metrics;
mod output;
mod platforms;
mod prices;
mod privacy;
mod quality;
mod run;
mod searches;
mod signals;
mod steer;
mod terminal;
mod triggers;
mod up;
mod watch;
mod watch_catalog;
mod webhook;

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
  1  the run failed or was cancelled; what was verified is damaged; the catalogue has errors; no platform answered
  2  a refusal, or wrong usage
  3  infrastructure failed: the server, the database, the network; what was to be verified could not be checked, or not
     all of it
  4  more has to be given before it can be done; the answer says what";

/// HishamOS, an operating system for a company's AI work
#[derive(Debug, Parser)]
#[command(name = "hishamos", version, after_help = EXIT_CODES)]
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
        /// The person whom the run is about, by any name that you use for them: what is personal in it can be erased then
        #[arg(long, value_name = "NAME")]
        subject: Option<String>,
        /// How much of the output layer is asked for: answers as the templates ask for them, or every part (summary, results,
        /// improvements, critique, alternatives, action items) of the last steps or of every step (default: as configured, which
        /// is `every`)
        #[arg(long, value_enum)]
        output: Option<run::OutputForm>,
        /// Show the run as it happens and wait for its end
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// Do what you say in your own words: find the template, ask for what is missing, let the best agent do it
    Do(errand::Errand),
    /// List runs, newest first
    Runs {
        /// Only at this status; may be repeated
        #[arg(long, value_parser = STATUSES)]
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
    /// Show what a run came to, over all its steps, or write it as a document: Markdown, HTML, JSON, Word or PDF
    Output {
        #[command(flatten)]
        ask: output::Ask,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// Rate the answer of a completed task, 1 to 10; your last rating counts
    Rate {
        #[command(flatten)]
        rating: quality::Rating,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// Ask how good answers are, and who says so
    #[command(subcommand)]
    Quality(quality::Quality),
    /// Say why a run stands where it stands
    Explain {
        /// The run's id
        run: Uuid,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// Ask a run to stop: nothing new starts, and what runs gets time to end
    Cancel {
        /// The run's id
        run: Uuid,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
        /// How long running attempts may go on before they are cut
        #[arg(long, default_value = "5s", value_parser = steer::duration)]
        grace: std::time::Duration,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// Let nothing new start: of a run, of all runs of a workflow, or at all
    Pause {
        #[command(flatten)]
        which: steer::Which,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
        /// What happens to timers, deadlines and expiries meanwhile
        #[arg(long, value_enum, default_value_t = steer::Clock::Frozen)]
        clock: steer::Clock,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// Let what was paused go on
    Resume {
        #[command(flatten)]
        which: steer::Which,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// Give a run a signal
    Signal {
        /// The run's id
        run: Uuid,
        /// The signal's name
        signal: String,
        /// What it carries, as JSON (default: null)
        payload: Option<String>,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// Cancel, pause, resume or retry many runs at once; shows first what would be hit
    #[command(subcommand)]
    Bulk(steer::Bulk),
    /// List approvals that wait for a decision
    Approvals {
        /// Only those on which this person may decide
        #[arg(long)]
        person: Option<String>,
        /// Only those on which this role may decide; may be repeated
        #[arg(long)]
        role: Vec<String>,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// See what has to be done because runs asked for it, and say how far it is
    Actions(actions::Actions),
    /// Agree to what a run asks
    Approve {
        #[command(flatten)]
        decide: approve::Decide,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// Say no to what a run asks
    Reject {
        #[command(flatten)]
        decide: approve::Decide,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// Try a failed or cancelled run again, in a new run that keeps what had completed
    Retry {
        /// The run's id
        run: Uuid,
        #[command(flatten)]
        changes: branch::Changes,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// Do a run again from some steps on, in a new run
    Rerun {
        /// The run's id
        run: Uuid,
        /// A step from which on everything is done again; may be repeated
        #[arg(long, required = true)]
        from: Vec<String>,
        #[command(flatten)]
        changes: branch::Changes,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// Do a task once more, as it was or with another agent, model, template version or parameters
    Again(again::Again),
    /// Start a new run that takes over what had happened in another up to an event
    Fork {
        /// The run's id
        run: Uuid,
        /// The revision of the last event that is taken over; `hishamos audit replay` shows them
        #[arg(long, value_name = "REVISION")]
        at: u64,
        #[command(flatten)]
        changes: branch::Changes,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// Compare two runs: steps, outputs, times, tokens and cost
    Diff {
        /// One run's id
        a: Uuid,
        /// The other run's id
        b: Uuid,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// Show a run with all that its steps started
    Tree {
        /// The run's id
        run: Uuid,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// Show the runs whose history a run took over, and those that took over its own
    Lineage {
        /// The run's id
        run: Uuid,
        #[command(flatten)]
        server: ServerFlag,
    },
    /// Limit how much runs at the same time, or starts within a time
    #[command(subcommand)]
    Limit(limit::Limit),
    /// Limit how much is spent on AI platforms, and see how much has been
    #[command(subcommand)]
    Budget(budget::Budget),
    /// See how agents or templates have done: how many tasks, how many completed, how good, how fast, at what cost
    Metrics(metrics::Ask),
    /// Save what you look for again and again, and ask it
    #[command(subcommand)]
    Searches(searches::Searches),
    /// Say what would differ if runs had followed another version of their workflow; exit code 1 when something would
    CheckCompat {
        /// The key of the workflow
        workflow: String,
        /// The version to check
        version: u32,
        /// How many ended runs are checked besides all open ones
        #[arg(long, default_value_t = 50)]
        sample: u32,
    },
    /// Prove what happened
    #[command(subcommand)]
    Audit(audit::Audit),
    /// List, export and erase what is personal about people whom runs are about
    #[command(subcommand)]
    Privacy(privacy::Privacy),
    /// See and move the journal
    #[command(subcommand)]
    Journal(Journal),
    /// Rebuild read models from the journal beside the live ones, and switch
    Rebuild {
        /// The read model
        #[arg(required_unless_present = "all")]
        name: Option<String>,
        /// Every read model
        #[arg(long, conflicts_with = "name")]
        all: bool,
    },
    /// Manage what starts runs at times, on events and on posts from outside
    #[command(subcommand)]
    Trigger(triggers::Triggers),
    /// Tell others when something happens, see what they were told, and tell it once more
    #[command(subcommand)]
    Webhook(webhook::Webhooks),
    /// Manage the catalogue of agents, templates and workflows
    #[command(subcommand)]
    Catalog(Catalog),
    /// Find the template for what you want done, what has to be asked back, and the agent for it; needs no database
    Find(find::Find),
    /// See, check and try the AI platforms of the configuration
    #[command(subcommand)]
    Platforms(platforms::Platforms),
    /// Keep the keys of AI platforms encrypted
    #[command(subcommand)]
    Keys(keys::Keys),
    /// See, compare and import the prices of models
    #[command(subcommand)]
    Prices(Prices),
    /// Show the configuration that is in force, secrets masked
    Config,
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
enum Journal {
    /// Show what the journal holds: head, events, streams, size, and who is how far behind
    Info {
        /// The journal: kurrentdb://…, postgres://…, or `postgresql` for the PostgreSQL of the configuration (default:
        /// the configured journal)
        #[arg(long, value_name = "URL")]
        url: Option<String>,
    },
    /// Copy the whole journal to another back end, checking every chain on both sides; repeated, it goes on where it was
    Copy {
        /// The journal to read, as for `journal info`
        #[arg(long, value_name = "URL")]
        from: Option<String>,
        /// The journal to write, which is empty or the beginning of the other
        #[arg(long, value_name = "URL")]
        to: String,
        /// Go on copying what is recorded meanwhile, until Ctrl-C
        #[arg(long)]
        follow: bool,
    },
    /// Let read models and engine begin anew with the configured journal, after it was moved
    Switch,
}

#[derive(Debug, Subcommand)]
enum Catalog {
    /// Check catalogue files; changes nothing and needs no database
    Check {
        /// The directory (default: the starter catalogue with your own over it)
        directory: Option<PathBuf>,
        /// Ask for what the starter catalogue keeps to: both languages, complete descriptions, no near-copies
        #[arg(long)]
        strict: bool,
        /// Show the templates that are most similar to each other
        #[arg(long)]
        similar: bool,
    },
    /// Show what loading would change
    Diff(LoadArguments),
    /// Load catalogue files; what is there already, and what people have changed, is left alone
    Load(LoadArguments),
    /// Write what is registered as catalogue files
    Export {
        /// Where to; files that are there already are not touched
        directory: PathBuf,
        /// Only what was last changed by somebody else than a catalogue
        #[arg(long)]
        edited: bool,
        /// Only the entries with this key; may be repeated
        #[arg(long = "key")]
        keys: Vec<String>,
        /// Write over files that are there already
        #[arg(long)]
        overwrite: bool,
    },
    /// Load a directory whenever a file in it changes, until stopped; for development
    Watch(LoadArguments),
}

#[derive(Debug, Clone, clap::Args)]
struct LoadArguments {
    /// The directory, with folders agents, templates and workflows (default: the starter catalogue with your own over
    /// it; of `watch`: your own)
    directory: Option<PathBuf>,
    /// Replace what people have changed, too
    #[arg(long)]
    overwrite: bool,
}

/// Where a run can stand.
const STATUSES: [&str; 8] =
    ["running", "paused", "cancelling", "failing", "compensating", "completed", "failed", "cancelled"];

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
        Command::Run { workflow, inputs, subject, output, watch, server } => {
            let ask = run::Ask { workflow, inputs, subject, output, watch, json, url: server.url };
            run::run(&config, terminal, ask).await
        }
        Command::Do(asked) => {
            let client = run::running_server(&config, asked.server.url.as_deref()).await?;
            errand::errand(&client, terminal, json, &asked).await
        }
        Command::Runs { status, workflow, limit, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            inspect::runs(&client, terminal, json, limit, &status, workflow.as_deref()).await
        }
        Command::Show { run, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            inspect::show(&client, terminal, json, run).await
        }
        Command::Output { ask, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            output::output(&client, terminal, json, ask).await
        }
        Command::Rate { rating, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            quality::rate(&client, terminal, json, rating).await
        }
        Command::Quality(asked) => {
            let client = run::running_server(&config, None).await?;
            quality::quality(&client, terminal, json, asked).await
        }
        Command::Explain { run, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            inspect::explain(&client, terminal, json, run).await
        }
        Command::Cancel { run, reason, grace, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            steer::cancel(&client, terminal, json, run, &reason, grace).await
        }
        Command::Pause { which, reason, clock, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            steer::pause(&client, terminal, json, which, &reason, clock).await
        }
        Command::Resume { which, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            steer::resume(&client, terminal, json, which).await
        }
        Command::Signal { run, signal, payload, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            steer::signal(&client, terminal, json, run, &signal, payload.as_deref()).await
        }
        Command::Bulk(bulk) => {
            let client = run::running_server(&config, None).await?;
            steer::bulk(&client, terminal, json, bulk).await
        }
        Command::Approvals { person, role, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            approve::list(&client, terminal, json, person.as_deref(), &role).await
        }
        Command::Approve { decide, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            approve::decide(&client, terminal, json, true, decide).await
        }
        Command::Reject { decide, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            approve::decide(&client, terminal, json, false, decide).await
        }
        Command::Retry { run, changes, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            branch::branch(&client, terminal, json, run, branch::From::Failure, changes).await
        }
        Command::Rerun { run, from, changes, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            branch::branch(&client, terminal, json, run, branch::From::Steps(from), changes).await
        }
        Command::Fork { run, at, changes, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            branch::branch(&client, terminal, json, run, branch::From::Revision(at), changes).await
        }
        Command::Diff { a, b, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            branch::diff(&client, terminal, json, a, b).await
        }
        Command::Tree { run, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            branch::relatives(&client, terminal, json, "runTree", run).await
        }
        Command::Lineage { run, server } => {
            let client = run::running_server(&config, server.url.as_deref()).await?;
            branch::relatives(&client, terminal, json, "runLineage", run).await
        }
        Command::Limit(limit) => {
            let client = run::running_server(&config, None).await?;
            limit::limit(&client, terminal, json, limit).await
        }
        Command::Budget(budget) => {
            let client = run::running_server(&config, None).await?;
            budget::budget(&client, terminal, json, budget).await
        }
        Command::Searches(asked) => {
            let client = run::running_server(&config, None).await?;
            searches::searches(&client, terminal, json, asked).await
        }
        Command::Again(asked) => {
            let client = run::running_server(&config, asked.server.url.as_deref()).await?;
            again::again(&client, terminal, json, &asked).await
        }
        Command::Metrics(asked) => {
            let client = run::running_server(&config, asked.server.url.as_deref()).await?;
            metrics::metrics(&client, terminal, json, asked).await
        }
        Command::Actions(asked) => {
            let client = run::running_server(&config, None).await?;
            actions::actions(&client, terminal, json, asked).await
        }
        Command::CheckCompat { workflow, version, sample } => {
            compat::check(&config, terminal, json, &workflow, version, sample).await
        }
        Command::Privacy(command) => Box::pin(privacy::privacy(&config, terminal, json, command)).await,
        Command::Audit(command) => Box::pin(audit::audit(command, &config, terminal, json)).await,
        Command::Journal(Journal::Info { url }) => journal::info(&config, terminal, json, url.as_deref()).await,
        Command::Journal(Journal::Copy { from, to, follow }) => {
            journal::copy(&config, terminal, journal::Copy { from, to, follow, json }).await
        }
        Command::Journal(Journal::Switch) => journal::switch(&config, terminal, json).await,
        Command::Rebuild { name, .. } => admin::rebuild(&config, terminal, json, name.as_deref()).await,
        Command::Webhook(asked) => {
            let client = run::running_server(&config, None).await?;
            webhook::webhook(&client, terminal, json, asked).await
        }
        Command::Trigger(command) => triggers::trigger(&config, terminal, json, command).await,
        Command::Catalog(command) => catalog(command, &config, terminal, json).await,
        Command::Find(asked) => find::find(&config, terminal, json, &asked),
        Command::Platforms(asked) => platforms::platforms(&config, terminal, json, asked).await,
        Command::Keys(asked) => keys::keys(&config, terminal, json, &asked),
        Command::Prices(Prices::List { model }) => prices::list(&config, terminal, json, model.as_deref()),
        Command::Prices(Prices::Diff { source }) => prices::diff(&config, terminal, json, &source),
        Command::Prices(Prices::Import { source, output }) => {
            prices::import(&config, terminal, json, &source, output.as_deref())
        }
        Command::Config => admin::show_config(&config, terminal, json),
    }
}

async fn catalog(command: Catalog, config: &Config, terminal: &mut Terminal, json: bool) -> Result<(), Failure> {
    match command {
        Catalog::Check { directory, strict, similar } => {
            catalog::check(config, terminal, json, directory.as_deref(), strict, similar)
        }
        Catalog::Diff(asked) => catalog::diff(config, terminal, json, &asked).await,
        Catalog::Load(asked) => catalog::load(config, terminal, json, &asked).await,
        Catalog::Export { directory, edited, keys, overwrite } => {
            catalog::export(config, terminal, json, &catalog::Export { directory, edited, keys, overwrite }).await
        }
        Catalog::Watch(asked) => watch_catalog::watch(config, terminal, json, &asked).await,
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

/// Asks a person something, where answers do not go.
fn ask(question: &str) {
    use std::io::Write;
    let mut error = std::io::stderr().lock();
    let _ = write!(error, "{question}").and_then(|()| error.flush());
}

/// Tells a person what went wrong.
fn complain(message: &str) {
    use std::io::Write;
    let mut error = std::io::stderr().lock();
    let _ = writeln!(error, "error: {message}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    /// Among other things, no command has two arguments of one name; that would be found only when it is used.
    #[test]
    fn every_command_is_sound() {
        super::Arguments::command().debug_assert();
    }
}
