//! `./dev simulate`: lives through as many worlds as wanted, and shows the one that went wrong.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use parking_lot::Mutex;
use simulation::{BUDGETED, Report, SELF_CONTAINED, Telling, simulate, simulate_all};

/// Runs the engine in simulated worlds, each made from a seed, and says whether everything held.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many worlds.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Worlds with budgets, which have seeds of their own.
    #[arg(long)]
    budgets: bool,
    /// Worlds in which a platform answers out of itself, so that runs go on before they are recorded; with seeds of their own.
    #[arg(long, conflicts_with = "budgets")]
    self_contained: bool,
    /// Only this seed, with everything that happens in it.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    replay: Option<u64>,
    /// Lives through each world twice and compares the journals.
    #[arg(long)]
    twice: bool,
    /// Goes on after a world that went wrong.
    #[arg(long)]
    keep_going: bool,
    /// How many threads; as many as there are processors when not given.
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// What the engine logs, such as `engine=debug`; for replays.
    #[arg(long)]
    log: Option<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(filter) = &arguments.log {
        tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::try_new(filter)?)
            .without_time()
            .with_writer(std::io::stderr)
            .init();
    }
    if let Some(seed) = arguments.replay {
        return replay(seed, arguments.twice);
    }
    let threads = arguments.threads.unwrap_or(std::thread::available_parallelism()?);
    let began = Instant::now();
    let sum = Mutex::new(Sum::default());
    let first = match (arguments.budgets, arguments.self_contained) {
        (true, _) => BUDGETED,
        (_, true) => SELF_CONTAINED,
        _ => 0,
    };
    let from = arguments.from.saturating_add(first);
    let seeds = from..from.saturating_add(arguments.seeds);
    simulate_all(seeds, threads, |mut report| {
        if arguments.twice && report.violations.is_empty() {
            compare(&mut report);
        }
        let mut sum = sum.lock();
        sum.add(&report);
        if !report.violations.is_empty() {
            say(&format!("seed {}: {}", report.seed, report.violations.join("\n    ")));
            sum.failed.push(report.seed);
        }
        arguments.keep_going || sum.failed.is_empty()
    })?;
    let mut sum = sum.into_inner();
    sum.failed.sort_unstable();
    if let (Some(first), false) = (sum.failed.first(), arguments.keep_going) {
        replay(*first, false)?;
    }
    let Sum { worlds, runs, events, lasted, failed } = &sum;
    let hours = lasted / 3600;
    let seconds = began.elapsed().as_secs_f64();
    let what = format!("{worlds} worlds, {runs} runs, {events} events, {hours} simulated hours in {seconds:.1} s");
    if failed.is_empty() {
        say(&format!("simulation: everything held in {what}"));
        return Ok(ExitCode::SUCCESS);
    }
    let failed: Vec<String> = failed.iter().map(ToString::to_string).collect();
    say(&format!(
        "simulation: FAILED for seed {} ({what}); `./dev simulate --replay SEED` shows what happens",
        failed.join(", ")
    ));
    Ok(ExitCode::FAILURE)
}

#[derive(Default)]
struct Sum {
    worlds: u64,
    runs: usize,
    events: u64,
    lasted: u64,
    failed: Vec<u64>,
}

impl Sum {
    fn add(&mut self, report: &Report) {
        self.worlds += 1;
        self.runs += report.runs;
        self.events += report.events;
        self.lasted += report.lasted.as_secs();
    }
}

/// Whether the same seed gives the same journal.
fn compare(report: &mut Report) {
    match simulate(report.seed, Telling::Nothing) {
        Ok(again) if again.digest == report.digest => {}
        Ok(again) => report
            .violations
            .push(format!("the same seed gave two journals, of {} and {} events", report.events, again.events)),
        Err(error) => report.violations.push(error.to_string()),
    }
}

fn replay(seed: u64, twice: bool) -> anyhow::Result<ExitCode> {
    let telling = if twice { Telling::Kept } else { Telling::Printed };
    let report = simulate(seed, telling)?;
    if twice {
        let again = simulate(seed, telling)?;
        let same = report.trace.iter().zip(&again.trace).take_while(|(one, two)| one.to_string() == two.to_string());
        let same = same.count();
        for line in report.trace.iter().take(same) {
            say(&line.to_string());
        }
        if again.digest != report.digest || same != report.trace.len() {
            say("the first time it goes on so:");
            report.trace.iter().skip(same).take(5).for_each(|line| say(&line.to_string()));
            say("the second time so:");
            again.trace.iter().skip(same).take(5).for_each(|line| say(&line.to_string()));
        }
    }
    for violation in &report.violations {
        say(&format!("WRONG: {violation}"));
    }
    let held = report.violations.is_empty();
    say(&format!(
        "seed {seed}: {} ({} runs, {} events, {:.0} simulated seconds, faults: {:?})",
        if held { "everything held" } else { "FAILED" },
        report.runs,
        report.events,
        report.lasted.as_secs_f64(),
        report.faults,
    ));
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::print_stdout, reason = "a tool speaks on standard output")]
fn say(line: &str) {
    println!("{line}");
}
