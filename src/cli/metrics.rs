//! How agents and templates have done, on a running server.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::as_of::AsOf;
use super::client::Client;
use super::failure::Failure;
use super::inspect::{at, text};
use super::steer::number;
use super::terminal::{Style, Terminal, seconds};

const FIELDS: &str = "total completed failed cancelled successRate averageQuality rated averageElapsedMs \
                      averageDurationMs averageCostNanoUsd simulated totalCost attemptsOfUnknownCost inputTokens \
                      outputTokens lastTaskAt";

/// Whose metrics are shown, and of which tasks.
#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// Whose
    #[arg(value_enum)]
    of: Of,
    /// Only of this one, by its key
    key: Option<String>,
    /// Which tasks count: those that were created within the last 7, 30 or 90 days, or all; of the past, up to the day of that
    /// moment
    #[arg(long, value_enum, default_value_t = Window::All)]
    window: Window,
    /// How they are sorted
    #[arg(long, value_enum, default_value_t = Order::Tasks)]
    order_by: Order,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    #[command(flatten)]
    as_of: AsOf,
    #[command(flatten)]
    pub(crate) server: super::ServerFlag,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Of {
    Agents,
    Templates,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Window {
    #[value(name = "7d")]
    Days7,
    #[value(name = "30d")]
    Days30,
    #[value(name = "90d")]
    Days90,
    All,
}

impl Window {
    fn name(self) -> &'static str {
        match self {
            Self::Days7 => "days_7",
            Self::Days30 => "days_30",
            Self::Days90 => "days_90",
            Self::All => "overall",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Order {
    Tasks,
    SuccessRate,
    Quality,
    Cost,
    Duration,
}

impl Order {
    fn name(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::SuccessRate => "success_rate",
            Self::Quality => "quality",
            Self::Cost => "cost",
            Self::Duration => "duration",
        }
    }
}

/// `hishamos metrics`.
pub(crate) async fn metrics(
    client: &Client,
    terminal: &mut Terminal,
    as_json: bool,
    asked: Ask,
) -> Result<(), Failure> {
    let (window, at_then) = (asked.window.name().to_uppercase(), asked.as_of.input());
    let (of, one) = match asked.of {
        Of::Agents => ("agents", "agent"),
        Of::Templates => ("templates", "template"),
    };
    if let Some(key) = &asked.key {
        let query = format!(
            "query($key: String!, $window: MetricsWindow!, $at: AsOf) {{ found: {one}(key: $key, asOf: $at) {{ key \
             metrics(window: $window) {{ {FIELDS} }} }} }}"
        );
        let mut data = client.ask(&query, json!({ "key": key, "window": window, "at": at_then })).await?;
        let found = data.get_mut("found").map(Value::take).unwrap_or_default();
        if found.is_null() {
            let code = format!("{}_NOT_FOUND", one.to_uppercase());
            let message = match asked.as_of.is_past() {
                true => format!("there was no {one} `{key}` then"),
                false => format!("there is no {one} `{key}`"),
            };
            return Err(Failure::Refused { code, message });
        }
        if as_json {
            terminal.json(&found);
        } else if at(&found, "metrics").is_null() {
            terminal.line("it had no tasks in this window");
        } else {
            tell(terminal, &found);
        }
        return Ok(());
    }
    let query = format!(
        "query($of: MetricsOf!, $window: MetricsWindow!, $order: MetricsOrder!, $first: Int, $at: AsOf) {{ metrics(of: $of, \
         window: $window, orderBy: $order, first: $first, asOf: $at) {{ entries {{ key metrics {{ {FIELDS} }} }} hasMore position }} }}"
    );
    let order = asked.order_by.name().to_uppercase();
    let variables =
        json!({ "of": of.to_uppercase(), "window": window, "order": order, "first": asked.limit, "at": at_then });
    let mut data = client.ask(&query, variables).await?;
    let found = data.get_mut("metrics").map(Value::take).unwrap_or_default();
    if as_json {
        terminal.json(&found);
        return Ok(());
    }
    let entries = at(&found, "entries").as_array().map(Vec::as_slice).unwrap_or_default();
    if entries.is_empty() {
        terminal.line("there were no tasks in this window");
    }
    entries.iter().for_each(|entry| tell(terminal, entry));
    if at(&found, "hasMore") == &Value::Bool(true) {
        terminal.line("there are more; give a larger --limit");
    }
    Ok(())
}

fn tell(terminal: &mut Terminal, entry: &Value) {
    let metrics = at(entry, "metrics");
    let key = terminal.paint(Style::Strong, text(entry, "key"));
    let mut line = format!("{key}  {} tasks", number(metrics, "total"));
    let known = |name: &str| at(metrics, name).as_f64();
    if let Some(rate) = known("successRate") {
        line.push_str(&format!("  {:.0} % completed", rate * 100.0));
    }
    if let Some(quality) = known("averageQuality") {
        line.push_str(&format!("  quality {quality:.1} ({} rated)", number(metrics, "rated")));
    }
    let span = |millis: f64| seconds(std::time::Duration::from_secs_f64((millis / 1000.0).max(0.0)));
    if let Some(millis) = known("averageDurationMs") {
        line.push_str(&format!("  answers in {}", span(millis)));
    }
    if let Some(millis) = known("averageElapsedMs") {
        line.push_str(&format!("  done in {}", span(millis)));
    }
    let spent = at(metrics, "totalCost").as_str().and_then(|text| text.parse::<i64>().ok()).unwrap_or_default();
    line.push_str(&format!("  ${:.4}", Dollars(spent).as_f64()));
    let unknown = number(metrics, "attemptsOfUnknownCost");
    if unknown != "0" {
        line.push_str(&format!(" and {unknown} attempts of unknown cost"));
    }
    terminal.line(line);
}

/// Billionths of a US dollar, for people.
struct Dollars(i64);

impl Dollars {
    #[expect(clippy::cast_precision_loss, reason = "four decimals are shown")]
    fn as_f64(&self) -> f64 {
        self.0 as f64 / 1e9
    }
}
