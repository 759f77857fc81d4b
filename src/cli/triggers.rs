//! `hishamos trigger …`: what starts runs without being asked for each of them.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Subcommand;
use commands::catalog::{TriggerEntry, parse_trigger, trigger_to_yaml};
use commands::{Backfill, Commands, PostEvent, Request};
use domain::trigger::{Overlap, Schedule};
use domain::{Actor, Key, Timestamp, Trigger};
use serde_json::{Value, json};

use super::attached::Attached;
use super::failure::Failure;
use super::terminal::{Terminal, cut, printable};
use crate::config::Config;
use crate::webhooks;

/// What can be asked about triggers.
#[derive(Debug, Subcommand)]
pub(crate) enum Triggers {
    /// List all triggers
    List,
    /// Show a trigger, as the file that sets it
    Show {
        /// The trigger's key
        key: Key,
    },
    /// Set a trigger from a file, or change it
    Set {
        /// The file
        file: PathBuf,
    },
    /// Take a trigger away; the runs that it started go on
    Remove {
        /// The trigger's key
        key: Key,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Let a trigger fire no more until it is resumed
    Pause {
        /// The trigger's key
        key: Key,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Let a paused trigger fire again, from now on
    Resume {
        /// The trigger's key
        key: Key,
    },
    /// Start a run of a trigger now
    RunNow {
        /// The trigger's key
        key: Key,
    },
    /// Make up for the ticks of a past range that have no run
    Backfill {
        /// The trigger's key
        key: Key,
        /// From here on, in RFC 3339
        #[arg(long)]
        from: jiff::Timestamp,
        /// Up to here, in RFC 3339
        #[arg(long)]
        until: jiff::Timestamp,
        /// What happens while other runs of the trigger are going
        #[arg(long, default_value = "buffer_all")]
        overlap: Overlap,
    },
    /// Show the next firings of a schedule
    Next {
        /// The trigger's key
        key: Key,
        /// How many
        #[arg(long, default_value_t = 10)]
        count: usize,
    },
    /// Show where and with which secret others post for an external trigger
    Hook {
        /// The trigger's key
        key: Key,
    },
    /// Post an external event
    Post {
        /// The name under which triggers wait for it
        name: Key,
        /// The payload, in JSON
        #[arg(long, default_value = "{}")]
        payload: String,
        /// Your own id for it: the same name and id are one event
        #[arg(long)]
        id: Option<String>,
    },
}

/// `hishamos trigger …`. Works on the store itself, beside a running program, which sees what was recorded at once.
pub(crate) async fn trigger(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    asked: Triggers,
) -> Result<(), Failure> {
    let changes = !matches!(asked, Triggers::List | Triggers::Show { .. } | Triggers::Next { .. });
    let attached = Attached::open(config).await?;
    let commands = Commands::new(Arc::clone(&attached.store.journal)).with_form(config.output.default);
    let request = Request::by(Actor::person(&config.person));
    let done = Box::pin(carry_out(config, &commands, request, terminal, as_json, asked)).await;
    if changes {
        attached.note(config, "trigger", &done).await;
    }
    attached.close().await?;
    done
}

async fn carry_out(
    config: &Config,
    commands: &Commands,
    request: Request,
    terminal: &mut Terminal,
    as_json: bool,
    asked: Triggers,
) -> Result<(), Failure> {
    let mut say = |value: Value, text: String| {
        if as_json {
            terminal.json(&value);
        } else {
            terminal.line(text);
        }
    };
    match asked {
        Triggers::List => {
            let triggers = commands.triggers().await.map_err(Failure::command)?;
            let lines: Vec<String> = triggers.iter().map(|trigger| line_of(trigger)).collect();
            let none = "no triggers yet; set one with `hishamos trigger set FILE`".to_owned();
            let text = if lines.is_empty() { none } else { lines.join("\n") };
            say(triggers.iter().map(|trigger| value_of(trigger)).collect(), text);
        }
        Triggers::Show { key } => {
            let trigger = commands.trigger(&key).await.map_err(Failure::command)?;
            let paused = trigger.pause().is_some();
            let entry = trigger.settings().map(|settings| TriggerEntry { settings: (**settings).clone(), paused });
            let yaml = entry.map(|entry| trigger_to_yaml(&entry)).transpose();
            let yaml = yaml.context("the trigger cannot be written as YAML")?.unwrap_or_default();
            say(value_of(&trigger), format!("# {}\n{}", line_of(&trigger), yaml.trim_end()));
        }
        Triggers::Set { file } => {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {name}"))?;
            let TriggerEntry { settings, paused } =
                parse_trigger(&name, &text).map_err(|errors| Failure::usage(errors.to_string()))?;
            let key = settings.key.clone();
            // As in a catalogue, `paused` is how a new one begins; one that is there stays as it is.
            let begins_paused = paused && commands.trigger(&key).await.is_err();
            let done = commands.set_trigger(request.clone(), settings).await.map_err(Failure::command)?;
            if begins_paused {
                let reason = "its file says that it begins paused".to_owned();
                commands.pause_trigger(request, &key, reason).await.map_err(Failure::command)?;
            }
            let what = match (done.changed, begins_paused) {
                (true, true) => "set, and paused",
                (true, false) => "set",
                (false, _) => "unchanged",
            };
            say(json!({ "key": key, "changed": done.changed }), format!("trigger {key}: {what}"));
        }
        Triggers::Remove { key, reason } => {
            commands.remove_trigger(request, &key, reason).await.map_err(Failure::command)?;
            say(json!({ "key": key }), format!("trigger {key}: removed"));
        }
        Triggers::Pause { key, reason } => {
            let done = commands.pause_trigger(request, &key, reason).await.map_err(Failure::command)?;
            let what = if done.changed { "paused" } else { "was paused already" };
            say(json!({ "key": key, "changed": done.changed }), format!("trigger {key}: {what}"));
        }
        Triggers::Resume { key } => {
            commands.resume_trigger(request, &key).await.map_err(Failure::command)?;
            say(json!({ "key": key }), format!("trigger {key}: fires again"));
        }
        Triggers::RunNow { key } => {
            let started = commands.run_trigger_now(request, &key).await.map_err(Failure::command)?;
            let run = started.run;
            say(json!({ "runId": run }), format!("started run {run}; `hishamos show {run}` shows it"));
        }
        Triggers::Backfill { key, from, until, overlap } => {
            let moment = |at: jiff::Timestamp| Timestamp::from_micros(at.as_microsecond());
            let range = Backfill { from: moment(from), until: moment(until), overlap };
            let done = commands.backfill_trigger(request, &key, range).await.map_err(Failure::command)?;
            let names = |ticks: &[Timestamp]| ticks.iter().map(|at| Schedule::name_of(*at)).collect::<Vec<_>>();
            let started = done.started.iter().map(|(at, run)| json!({ "tick": Schedule::name_of(*at), "runId": run }));
            let value = json!({
                "started": started.collect::<Value>(),
                "waiting": names(&done.waiting),
                "skipped": names(&done.skipped),
                "known": names(&done.known),
            });
            let (started, waiting) = (done.started.len(), done.waiting.len());
            let (skipped, known) = (done.skipped.len(), done.known.len());
            say(value, format!("{started} started, {waiting} wait, {skipped} skipped, {known} had a run already"));
        }
        Triggers::Next { key, count } => {
            let firings = commands.next_firings(&key, count).await.map_err(Failure::command)?;
            let name = |at: &Timestamp| Schedule::name_of(*at);
            let value = firings.iter().map(|(tick, at)| json!({ "tick": name(tick), "firesAt": name(at) }));
            let lines = firings
                .iter()
                .map(|(tick, at)| if tick == at { name(at) } else { format!("{}  (tick {})", name(at), name(tick)) });
            say(value.collect(), lines.collect::<Vec<_>>().join("\n"));
        }
        Triggers::Hook { key } => {
            commands.trigger(&key).await.map_err(Failure::command)?;
            let setup = webhooks::setup(config)?;
            let secret = webhooks::Hooks::new(config, setup.keys)?.own_secret(config, &key);
            let path = format!("/hooks/{key}");
            let shown = secret.as_deref().unwrap_or("the one of the configuration");
            say(json!({ "path": path, "secret": secret }), format!("POST {path}\n  secret: {shown}"));
        }
        Triggers::Post { name, payload, id } => {
            let payload = serde_json::from_str(&payload)
                .map_err(|error| Failure::usage(format!("the payload is no JSON: {error}")))?;
            let posted = commands.post_event(request, PostEvent { name, payload, id }).await;
            let (event, done) = posted.map_err(Failure::command)?;
            let what = if done.changed { "posted" } else { "was posted before" };
            say(json!({ "eventId": event, "changed": done.changed }), format!("event {event}: {what}"));
        }
    }
    Ok(())
}

fn line_of(trigger: &Trigger) -> String {
    let Some(settings) = trigger.settings() else { return String::new() };
    let status = match (trigger.pause(), settings.enabled) {
        (Some(_), _) => "paused",
        (None, true) => "active",
        (None, false) => "disabled",
    };
    let next = trigger.wakes_at().map(|at| format!("next {}", Schedule::name_of(at))).unwrap_or_default();
    let pause = trigger.pause().map(|pause| format!("by {}: {}", pause.by, printable(&pause.reason)));
    let about = pause.unwrap_or(next);
    let kind = settings.kind.name();
    let line = format!("{:<24}  {status:<8}  {kind:<8}  {:<24}  {about}", settings.key, settings.workflow);
    cut(line.trim_end(), 160)
}

fn value_of(trigger: &Trigger) -> Value {
    json!({
        "settings": trigger.settings(),
        "pause": trigger.pause(),
        "running": trigger.running(),
        "waiting": trigger.waiting(),
        "failures": trigger.failures(),
        "nextFiring": trigger.wakes_at().map(Schedule::name_of),
    })
}
