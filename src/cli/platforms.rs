//! Commands about AI platforms: `platforms list`, `health`, `models` and `test`. They need no database and no running
//! server: they ask the platforms of the configuration themselves. Where a server runs, `health` tells what that one knows as well.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use providers::{Capabilities, CostSource, Platform, Registry, Reply, State, Usage, trial};
use serde_json::{Value, json};

use super::failure::Failure;
use super::terminal::{Style, Terminal, cut, printable, seconds};
use crate::config::Config;
use crate::platforms;

/// What is done with the platforms of the configuration.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Platforms {
    /// List the platforms in the order in which they are asked
    List,
    /// Ask each platform whether it would answer, and the running server what it knows of them; costs nothing
    Health,
    /// List the models of a platform, with what they can do and cost
    Models {
        /// The key of the platform
        key: String,
    },
    /// List what models cost today, as `hishamos prices list` does
    Prices {
        /// Only models with this in their name, VENDOR/MODEL
        name: Option<String>,
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

/// `hishamos platforms`.
pub(crate) async fn platforms(
    config: &Config,
    terminal: &mut Terminal,
    json: bool,
    asked: Platforms,
) -> Result<(), Failure> {
    match asked {
        Platforms::List => list(config, terminal, json),
        Platforms::Health => health(config, terminal, json).await,
        Platforms::Models { key } => models(config, terminal, json, &key).await,
        Platforms::Prices { name } => super::prices::list(config, terminal, json, name.as_deref()),
        Platforms::Test { key, model } => test(config, terminal, json, &key, model).await,
    }
}

fn registry(config: &Config) -> Result<Registry, Failure> {
    let registry = platforms::build(config)?;
    if registry.iter().next().is_none() {
        return Err(Failure::Refused { code: "NO_PLATFORM".to_owned(), message: platforms::NONE.to_owned() });
    }
    Ok(registry)
}

fn named<'a>(registry: &'a Registry, key: &str) -> Result<&'a Arc<dyn Platform>, Failure> {
    registry.get(key).ok_or_else(|| {
        let known: Vec<_> = registry.iter().map(|platform| platform.key()).collect();
        Failure::usage(format!("there is no platform `{key}`; there are: {}", known.join(", ")))
    })
}

/// What a platform is.
fn kind(config: &Config, key: &str) -> &'static str {
    platforms::kind_of(config, key).name()
}

/// `hishamos platforms list`.
pub(crate) fn list(config: &Config, terminal: &mut Terminal, as_json: bool) -> Result<(), Failure> {
    let registry = registry(config)?;
    let order: Vec<_> = registry.defaults().map(|platform| platform.key().to_owned()).collect();
    let place = |key: &str| order.iter().position(|known| known == key).map(|place| place + 1);
    if as_json {
        let all: Vec<Value> = registry
            .iter()
            .map(|platform| {
                json!({
                    "key": platform.key(), "kind": kind(config, platform.key()), "model": platform.default_model(),
                    "order": place(platform.key()), "simulated": platform.simulated(),
                    "tags": registry.tags(platform.key()), "unusable": platform.unusable(),
                    "modelTags": registry.model_tags(platform.key()).collect::<BTreeMap<_, _>>(),
                })
            })
            .collect();
        terminal.json(&json!({ "platforms": all }));
        return Ok(());
    }
    for platform in registry.iter() {
        let key = platform.key();
        let order = place(key).map_or_else(|| "-".to_owned(), |place| place.to_string());
        let (glyph, why) = match platform.unusable() {
            None => (terminal.paint(Style::Good, "✓"), String::new()),
            Some(why) => (terminal.paint(Style::Bad, "✗"), why),
        };
        let model = platform.default_model().unwrap_or("(no default model)");
        let tags: Vec<String> = registry.tags(key).iter().map(|tag| format!("#{tag}")).collect();
        let tags = tags.join(" ");
        let line = format!("{glyph} {order:>2}  {key:<16} {:<17} {model:<28} {tags:<16} {why}", kind(config, key));
        terminal.line(line.trim_end());
        for (model, tags) in registry.model_tags(key) {
            let tags: Vec<String> = tags.iter().map(|tag| format!("#{tag}")).collect();
            let shown = if tags.is_empty() { "no tags".to_owned() } else { tags.join(" ") };
            terminal.line(format!("      {:<16} {:<17} {:<28} {shown}", "", "", printable(model)));
        }
    }
    terminal.line(terminal.paint(Style::Dim, "(the number is the order in which work goes that names no platform)"));
    Ok(())
}

/// What the server that runs knows of each platform.
const KNOWN: &str = "key health probe { at up failure } lines { model breaker restingUntil barred }";

/// `hishamos platforms health`: asks every platform at once, and spends nothing; then the server that runs on the data directory, if
/// there is one, what it knows of them.
pub(crate) async fn health(config: &Config, terminal: &mut Terminal, as_json: bool) -> Result<(), Failure> {
    let registry = registry(config)?;
    let asked = registry.iter().map(async |platform| {
        let begun = Instant::now();
        (platform.key(), platform.health().await, begun.elapsed())
    });
    let (answers, known) = tokio::join!(join_all(asked), known(config));
    let ready = answers.iter().any(|(_, health, _)| health.state == State::Ready);
    if as_json {
        let all = answers.iter().map(|(key, health, took)| {
            json!({
                "key": key, "state": health.state.name(), "detail": health.detail, "ms": milliseconds(*took),
                "server": known.as_ref().ok().and_then(|known| known.get(*key)),
            })
        });
        terminal.json(&json!({ "platforms": all.collect::<Vec<_>>() }));
    } else {
        for (key, health, took) in &answers {
            let style = match health.state {
                State::Ready => Style::Good,
                State::Starting => Style::Warn,
                State::Unusable => Style::Bad,
            };
            let state = terminal.paint(style, &format!("{:<8}", health.state.name()));
            terminal.line(format!("{state}  {key:<16} {:>8}  {}", seconds(*took), printable(&health.detail)));
            let told = known.as_ref().ok().and_then(|known| known.get(*key)).map(as_known).unwrap_or_default();
            for line in told {
                terminal.line(terminal.paint(Style::Dim, &format!("          {}", printable(&line))));
            }
        }
    }
    // What the platforms say stands by itself.
    if let Err(failure) = &known {
        tracing::warn!(%failure, "the running server did not say what it knows of platforms");
    }
    if ready { Ok(()) } else { Err(Failure::Run) }
}

/// What the server that runs on the data directory knows, by platform; nothing where none runs.
async fn known(config: &Config) -> Result<BTreeMap<String, Value>, Failure> {
    let Some(server) = super::run::find_server(config, None).await? else { return Ok(BTreeMap::new()) };
    let all = server.all("platforms", "", "", KNOWN, json!({})).await?;
    let named = |mut one: Value| {
        let key = one.as_object_mut()?.remove("key")?;
        Some((key.as_str()?.to_owned(), one))
    };
    Ok(all.into_iter().filter_map(named).collect())
}

/// What a server knows of a platform, a line each: what the last probe has found, and which models rest.
fn as_known(known: &Value) -> Vec<String> {
    let text = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut told = Vec::new();
    if let Some(probe) = known.get("probe").filter(|probe| !probe.is_null()) {
        let found = text(probe, "failure").map_or_else(|| "up".to_owned(), |failure| format!("down: {failure}"));
        told.push(format!("server's last probe at {}: {found}", text(probe, "at").unwrap_or_default()));
    }
    let lines = known.get("lines").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for line in
        lines.iter().filter(|line| text(line, "breaker").is_some_and(|breaker| !breaker.eq_ignore_ascii_case("closed")))
    {
        let model = text(line, "model").unwrap_or_else(|| "the default model".to_owned());
        let until = text(line, "restingUntil").map(|until| format!(" until {until}")).unwrap_or_default();
        let barred = line.get("barred").and_then(Value::as_bool).unwrap_or(false);
        let why = if barred { "its key was refused or its account is empty" } else { "after failures" };
        told.push(format!("server lets {model} rest{until}: {why}"));
    }
    told
}

/// `hishamos platforms models KEY`: what the platform itself lists, with what is known of each model.
pub(crate) async fn models(config: &Config, terminal: &mut Terminal, as_json: bool, key: &str) -> Result<(), Failure> {
    let registry = registry(config)?;
    let platform = named(&registry, key)?;
    let models = platform.models().await.map_err(|failure| Failure::Infrastructure(anyhow::anyhow!("{failure}")))?;
    // A million tokens in and none out, and the other way round: what people compare.
    let million = |input, output| Usage { input: Some(input), output: Some(output), ..Usage::default() };
    let (input, output) = (million(1_000_000, 0), million(0, 1_000_000));
    let mut shown = Vec::new();
    for model in models {
        let known = platform.capabilities(&model.name);
        let can = merge(model.capabilities, known);
        // The price of a call without input is that of its output, except where long inputs cost more.
        let (input, output) = (platform.cost(&model.name, &input), platform.cost(&model.name, &output));
        shown.push((model.name, can, input, output));
    }
    if as_json {
        let all = shown.iter().map(|(name, can, input, output)| {
            json!({
                "name": name, "tools": can.tools, "schema": can.schema, "images": can.images,
                "maxInput": can.max_input, "maxOutput": can.max_output,
                "nanoUsdPerMillionInput": input, "nanoUsdPerMillionOutput": output,
            })
        });
        terminal.json(&json!({ "models": all.collect::<Vec<_>>() }));
        return Ok(());
    }
    for (name, can, input, output) in &shown {
        let price = match (input, output) {
            (Some(input), Some(output)) => format!("${} in, ${} out a million", usd(*input), usd(*output)),
            _ => "unpriced".to_owned(),
        };
        terminal.line(format!("{:<40} {:<24} {price}", printable(name), abilities(can)));
    }
    Ok(())
}

/// What either knows.
fn merge(one: Capabilities, other: Capabilities) -> Capabilities {
    Capabilities {
        tools: one.tools.or(other.tools),
        schema: one.schema.or(other.schema),
        images: one.images.or(other.images),
        max_input: one.max_input.or(other.max_input),
        max_output: one.max_output.or(other.max_output),
    }
}

fn abilities(can: &Capabilities) -> String {
    let named = [("tools", can.tools), ("schema", can.schema), ("images", can.images)];
    let words: Vec<_> = named.into_iter().filter(|(_, can)| *can == Some(true)).map(|(name, _)| name).collect();
    words.join(" ")
}

/// `hishamos platforms test KEY`: one short call, streamed, which the platform charges for.
pub(crate) async fn test(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    key: &str,
    model: Option<String>,
) -> Result<(), Failure> {
    let registry = registry(config)?;
    let platform = named(&registry, key)?;
    let outcome = trial(&**platform, model).await;
    if as_json {
        let answer = match &outcome {
            Ok(reply) => report(platform.key(), reply),
            Err(failure) => json!({
                "key": platform.key(), "ok": false,
                "error": { "kind": failure.kind.name(), "message": failure.message },
            }),
        };
        terminal.json(&answer);
    } else {
        match &outcome {
            Ok(reply) => show(terminal, platform.key(), reply),
            Err(failure) => {
                let glyph = terminal.paint(Style::Bad, "✗");
                terminal.line(format!("{glyph} {}: {}", failure.kind.name(), printable(&failure.message)));
            }
        }
    }
    outcome.map(|_| ()).map_err(|_| Failure::Run)
}

fn show(terminal: &mut Terminal, key: &str, reply: &Reply) {
    let glyph = terminal.paint(Style::Good, "✓");
    let label = if reply.simulated { "  [simulated]" } else { "" };
    terminal.line(format!("{glyph} {key} answered as {}{label}", printable(&reply.model)));
    terminal.line(format!("  text      {}", cut(&printable(&reply.text).replace('\n', " "), 80)));
    let first = reply.first_piece.map(|first| format!(", first piece after {}", seconds(first))).unwrap_or_default();
    terminal.line(format!("  time      {}{first}", seconds(reply.duration)));
    let tokens = |count: Option<u64>| count.map_or_else(|| "not reported".to_owned(), |count| count.to_string());
    terminal.line(format!("  tokens    {} in, {} out", tokens(reply.usage.input), tokens(reply.usage.output)));
    let cost = match (&reply.cost_source, reply.cost) {
        (CostSource::Free, _) => "free".to_owned(),
        (CostSource::Reported, Some(cost)) => format!("${} (the platform says so)", usd(cost)),
        (CostSource::Listed { version }, Some(cost)) => format!("${} (list of {version})", usd(cost)),
        _ => "unpriced".to_owned(),
    };
    terminal.line(format!("  cost      {cost}"));
}

fn report(key: &str, reply: &Reply) -> Value {
    let source = match &reply.cost_source {
        CostSource::Unpriced => json!("unpriced"),
        CostSource::Reported => json!("reported"),
        CostSource::Listed { version } => json!({ "list": version }),
        CostSource::Free => json!("free"),
    };
    json!({
        "key": key, "ok": true, "model": reply.model, "text": reply.text, "finish": reply.finish.name(),
        "simulated": reply.simulated, "ms": milliseconds(reply.duration),
        "firstPieceMs": reply.first_piece.map(milliseconds),
        "inputTokens": reply.usage.input, "outputTokens": reply.usage.output,
        "costNanoUsd": reply.cost, "costSource": source,
    })
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Billionths of a dollar as dollars, with no more digits than there are.
pub(crate) fn usd(nano: i64) -> String {
    let (whole, part) = (nano / 1_000_000_000, (nano % 1_000_000_000).abs());
    let sign = if nano < 0 && whole == 0 { "-" } else { "" };
    let digits = format!("{part:09}");
    let trimmed = digits.trim_end_matches('0');
    // At least cents, as people expect them.
    let kept = digits.get(..trimmed.len().max(2)).unwrap_or(trimmed);
    format!("{sign}{whole}.{kept}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{as_known, usd};

    #[test]
    fn dollars_have_the_digits_that_they_need() {
        let cases = [
            (0, "0.00"),
            (150_000_000, "0.15"),
            (1_500_000_000, "1.50"),
            (141_260, "0.00014126"),
            (1, "0.000000001"),
            (-2_000_000, "-0.002"),
            (12_000_000_000, "12.00"),
        ];
        for (nano, shown) in cases {
            assert_eq!(usd(nano), shown);
        }
    }

    #[test]
    fn what_a_server_knows_is_told_where_there_is_something() {
        let fine = json!({ "health": "WELL", "probe": null, "lines": [{ "model": "m", "breaker": "CLOSED" }] });
        assert_eq!(as_known(&fine), Vec::<String>::new());
        let probe = json!({ "at": "2026-11-26T09:00:00Z", "up": false, "failure": "own: cannot connect" });
        let lines = json!([
            { "model": "m", "breaker": "OPEN", "restingUntil": "2026-11-26T09:01:00Z", "barred": false },
            { "model": null, "breaker": "PROBING", "restingUntil": null, "barred": true },
        ]);
        let told = as_known(&json!({ "health": "TROUBLED", "probe": probe, "lines": lines }));
        assert_eq!(
            told,
            [
                "server's last probe at 2026-11-26T09:00:00Z: down: own: cannot connect",
                "server lets m rest until 2026-11-26T09:01:00Z: after failures",
                "server lets the default model rest: its key was refused or its account is empty",
            ]
        );
        let up = json!({ "probe": { "at": "2026-11-26T09:00:00Z", "up": true, "failure": null } });
        assert_eq!(as_known(&up), ["server's last probe at 2026-11-26T09:00:00Z: up"]);
    }
}
