//! How good answers are: `rate` and `quality`.

use serde_json::{Value, json};
use uuid::Uuid;

use super::as_of::AsOf;
use super::client::Client;
use super::failure::Failure;
use super::inspect::{at, text};
use super::steer::{mutate, number};
use super::terminal::{Style, Terminal, printable};

const CALIBRATION: &str = "query($since: DateTime, $at: AsOf) { judgeCalibration(since: $since, asOf: $at) { all { ...figures } \
                           models { ...figures } position } } fragment figures on Calibration { model count bias absoluteError pearson spearman }";

/// What is asked about quality.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Quality {
    /// Show how judges agree with people, over the tasks that both have said something about
    Calibration {
        /// Only what was judged at this moment or later, in RFC 3339
        #[arg(long, value_name = "MOMENT")]
        since: Option<String>,
        #[command(flatten)]
        as_of: AsOf,
    },
}

/// A rating of a task's answer.
#[derive(Debug, clap::Args)]
pub(crate) struct Rating {
    /// The task's id, as `hishamos show RUN` tells it
    task: Uuid,
    /// The mark, 1 to 10
    #[arg(value_parser = clap::value_parser!(i32).range(1..=10))]
    rating: i32,
    /// In your words
    #[arg(long, default_value = "")]
    comment: String,
}

/// `hishamos rate`.
pub(crate) async fn rate(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    rating: Rating,
) -> Result<(), Failure> {
    let Rating { task, rating, comment } = rating;
    let input = json!({ "clientMutationId": Uuid::now_v7(), "taskId": task, "rating": rating, "comment": comment });
    let said = (format!("task {task} is rated {rating}"), format!("you had rated task {task} so before"));
    let fields = "taskId position revision repeated changed task { averageRating quality { score source } }";
    mutate(client, terminal, as_json, "rateTask", "RateTaskInput", fields, input, said).await
}

/// `hishamos quality`.
pub(crate) async fn quality(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    asked: Quality,
) -> Result<(), Failure> {
    let Quality::Calibration { since, as_of } = asked;
    let mut data = client.ask(CALIBRATION, json!({ "since": since, "at": as_of.input() })).await?;
    let found = data.get_mut("judgeCalibration").map(Value::take).unwrap_or_default();
    if as_json {
        terminal.json(&found);
        return Ok(());
    }
    let all = at(&found, "all");
    if !all.is_object() {
        terminal.line(match as_of.is_past() {
            true => "no task had both a judge's mark and a rating by people then",
            false => "no task has both a judge's mark and a rating by people yet",
        });
        return Ok(());
    }
    let heading =
        format!("{:<32} {:>6} {:>8} {:>8} {:>8} {:>9}", "judge", "tasks", "bias", "error", "Pearson", "Spearman");
    let heading = terminal.paint(Style::Strong, &heading);
    terminal.line(heading);
    let models = at(&found, "models").as_array().map(Vec::as_slice).unwrap_or_default();
    for row in std::iter::once(all).chain(models) {
        let model = if at(row, "model").is_null() { "all".to_owned() } else { printable(text(row, "model")) };
        let mark = |name: &str| at(row, name).as_f64().map_or_else(|| "-".to_owned(), |mark| format!("{mark:+.2}"));
        terminal.line(format!(
            "{model:<32} {:>6} {:>8} {:>8} {:>8} {:>9}",
            number(row, "count"),
            mark("bias"),
            at(row, "absoluteError").as_f64().map_or_else(|| "-".to_owned(), |mark| format!("{mark:.2}")),
            mark("pearson"),
            mark("spearman")
        ));
    }
    Ok(())
}
