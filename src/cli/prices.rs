//! Commands about prices: `prices list`, `diff` and `import`.
//!
//! A list of prices is a dated file. The program brings one along; others are imported into `prices` of the data
//! directory, either in the program's own form or made from the public price map of LiteLLM.

use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use providers::prices::{Change, Changed, PriceList, Rates, from_litellm};
use serde_json::{Value, json};

use super::failure::Failure;
use super::platforms::usd;
use super::terminal::{Style, Terminal};
use crate::config::Config;
use crate::platforms;

/// `hishamos prices list`: what is valid today.
pub(crate) fn list(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    wanted: Option<&str>,
) -> Result<(), Failure> {
    let prices = platforms::prices(&config.data_dir)?;
    let name = |vendor: &str, model: &str| format!("{vendor}/{model}");
    let matches = |vendor: &str, model: &str| wanted.is_none_or(|wanted| name(vendor, model).contains(wanted));
    let valid: Vec<_> =
        prices.all(Timestamp::now()).filter(|valid| matches(&valid.model.vendor, &valid.model.model)).collect();
    if as_json {
        let all: Vec<Value> = valid
            .iter()
            .map(|valid| json!({ "list": valid.version, "validFrom": valid.from.to_string(), "prices": valid.model }))
            .collect();
        terminal.json(&json!({ "lists": prices.versions(), "models": all }));
        return Ok(());
    }
    if valid.is_empty() {
        terminal.line("no model of that name has a price; its calls are unpriced");
    }
    for valid in &valid {
        let standard = valid.model.rates.iter().find(|rates| rates.tier.is_none() && rates.above.is_none());
        let more = valid.model.rates.len().saturating_sub(1);
        let more = if more > 0 { format!("  (+{more} tiers)") } else { String::new() };
        let shown = standard.map(rates).unwrap_or_default();
        terminal.line(format!("{:<44} {shown}{more}", name(&valid.model.vendor, &valid.model.model)));
    }
    let lists = format!("(US dollars for a million tokens; lists: {})", prices.versions().join(", "));
    terminal.line(terminal.paint(Style::Dim, &lists));
    Ok(())
}

fn rates(rates: &Rates) -> String {
    let cached = rates.cached.map(|cached| format!(", {} cached", dollars(cached))).unwrap_or_default();
    format!("{} in{cached}, {} out", dollars(rates.input), dollars(rates.output))
}

/// Pico-dollars a token are micro-dollars a million.
fn dollars(rate: u64) -> String {
    i64::try_from(rate.saturating_mul(1000)).map_or_else(|_| "(absurd)".to_owned(), usd)
}

/// Where a list comes from and how it is to be read.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Source {
    /// A list in the program's own form, or LiteLLM's model_prices_and_context_window.json
    file: PathBuf,
    /// The day from which the prices of LiteLLM's map are to be valid (default: today)
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<Date>,
    /// Where LiteLLM's map comes from, to be kept with the prices
    #[arg(long, default_value = "the public price map of LiteLLM (MIT licence)")]
    origin: String,
}

impl Source {
    fn read(&self) -> Result<PriceList, Failure> {
        let text = std::fs::read_to_string(&self.file)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", self.file.display())))?;
        let invalid = |why: String| Failure::Refused {
            code: "PRICES_INVALID".to_owned(),
            message: format!("{}: {why}", self.file.display()),
        };
        // Only a list of ours has models in a list of their own.
        let own = serde_json::from_str::<Value>(&text)
            .map_err(|error| invalid(format!("this is no JSON: {error}")))?
            .get("models")
            .is_some_and(Value::is_array);
        let list = if own {
            PriceList::parse(&text).map_err(|error| invalid(error.to_string()))?
        } else {
            let date = self.date.unwrap_or_else(today);
            from_litellm(&text, date, &self.origin).map_err(|error| invalid(error.to_string()))?
        };
        if list.models.is_empty() {
            return Err(invalid("there are no prices in it for models of our platforms".to_owned()));
        }
        Ok(list)
    }
}

fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

/// `hishamos prices diff`: what a list would change about what is valid today.
pub(crate) fn diff(config: &Config, terminal: &mut Terminal, as_json: bool, source: &Source) -> Result<(), Failure> {
    let list = source.read()?;
    let changes = platforms::prices(&config.data_dir)?.diff(&list, Timestamp::now());
    show(terminal, as_json, &list, &changes, None);
    Ok(())
}

/// `hishamos prices import`: shows what a list changes and takes it in.
pub(crate) fn import(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    source: &Source,
    output: Option<&Path>,
) -> Result<(), Failure> {
    let list = source.read()?;
    let changes = platforms::prices(&config.data_dir)?.diff(&list, Timestamp::now());
    let target = match output {
        Some(path) => path.to_owned(),
        None => platforms::imported(&config.data_dir).join(format!("{}.json", list.version())),
    };
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let text = list.render().context("the list cannot be written")?;
    write_new(&target, &text)?;
    show(terminal, as_json, &list, &changes, Some(&target));
    Ok(())
}

/// Calls were priced by lists that are there, so none is ever overwritten.
fn write_new(target: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let made = std::fs::File::create_new(target).and_then(|mut file| file.write_all(text.as_bytes()));
    made.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::usage(format!(
            "{} is there already; a list that calls may have been priced by is not overwritten: give another --date",
            target.display()
        )),
        _ => Failure::Infrastructure(anyhow::anyhow!("cannot write {}: {error}", target.display())),
    })
}

fn show(terminal: &mut Terminal, as_json: bool, list: &PriceList, changes: &[Change], written: Option<&Path>) {
    if as_json {
        let all: Vec<Value> = changes.iter().map(change).collect();
        terminal.json(&json!({
            "list": list.version(), "models": list.models.len(), "changes": all,
            "written": written.map(|path| path.display().to_string()),
        }));
        return;
    }
    for change in changes {
        let name = format!("{}/{}", change.vendor, change.model);
        match &change.what {
            Changed::Added(model) => {
                let standard = model.rates.first().map(rates).unwrap_or_default();
                terminal.line(format!("{} {name}  {standard}", terminal.paint(Style::Good, "+")));
            }
            Changed::Missing => {
                let line =
                    format!("{} {name}  is not in the list; what was valid stays", terminal.paint(Style::Dim, "-"));
                terminal.line(line);
            }
            Changed::Figures(figures) => {
                terminal.line(format!("{} {name}", terminal.paint(Style::Warn, "~")));
                for (what, old, new) in figures {
                    terminal.line(format!("    {what:<28} {} → {}", figure(what, *old), figure(what, *new)));
                }
            }
        }
    }
    let done = match written {
        Some(path) => format!("written to {}; valid from {}", path.display(), list.date),
        None => "nothing was changed; `hishamos prices import` takes it in".to_owned(),
    };
    terminal.line(format!("{} models, {} changes; {done}", list.models.len(), changes.len()));
}

/// A figure of a change, in the unit that people read.
fn figure(what: &str, value: Option<u64>) -> String {
    match value {
        None => "none".to_owned(),
        Some(value) if what.starts_with("max ") => value.to_string(),
        Some(value) if what == "web search" => i64::try_from(value).map_or_else(|_| "(absurd)".to_owned(), usd),
        Some(value) => dollars(value),
    }
}

fn change(change: &Change) -> Value {
    let what = match &change.what {
        Changed::Added(model) => json!({ "added": model }),
        Changed::Missing => json!("missing"),
        Changed::Figures(figures) => {
            let figures = figures.iter().map(|(what, old, new)| json!({ "what": what, "before": old, "after": new }));
            json!({ "changed": figures.collect::<Vec<_>>() })
        }
    };
    json!({ "vendor": change.vendor, "model": change.model, "what": what })
}
