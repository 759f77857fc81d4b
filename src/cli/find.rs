//! `hishamos find`: the template for a request, what has to be asked back, and the agent that would do it.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use commands::catalog::{Catalog, DEPARTMENTS};
use domain::agent::Profile;
use domain::{Key, Timestamp};
use selection::{
    Candidate, Choice, Considered, Found, Meaning, Missing, Reason, Request, State, Task, choose, missing, read,
};
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::terminal::{Style, Terminal};
use crate::catalogue;
use crate::config::Config;
use crate::meaning;

/// How many agents are shown to people.
const AGENTS: usize = 3;

/// What `hishamos find` was asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Find {
    /// What you want done, in your own words, in English or Arabic
    #[arg(required = true, num_args = 1..)]
    request: Vec<String>,
    /// How many templates at most
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=50))]
    top: u8,
    /// Only templates of this department
    #[arg(long)]
    department: Option<String>,
    /// An agent that is left out: who would do it otherwise? May be given several times
    #[arg(long, value_name = "AGENT")]
    without: Vec<Key>,
    /// The directory of the catalogue (default: the starter catalogue with your own over it)
    #[arg(long = "dir")]
    directory: Option<PathBuf>,
}

/// Finds; changes nothing and needs no database.
pub(crate) fn find(config: &Config, terminal: &mut Terminal, as_json: bool, asked: &Find) -> Result<(), Failure> {
    let catalog = catalogue::read(config, asked.directory.as_deref()).map_err(|errors| Failure::catalog(&errors))?;
    if let Some(department) = &asked.department {
        known_department(&catalog, department)?;
    }
    let text = asked.request.join(" ");
    let folder = meaning::folder(&config.data_dir);
    let kept = meaning::read(&folder)?;
    if kept.is_some() {
        terminal.status("comparing the templates; the first time this takes a while");
    }
    let library = meaning::library(&catalog.templates, &catalog.ways_of_asking(), kept.as_ref(), &folder);
    terminal.clear_status();
    let library = library?;
    // The request itself is not kept.
    let model = kept.as_ref().map(|kept| kept.model() as &dyn Meaning);
    let request = Request { text, department: asked.department.clone() };
    let found = library.find(&request, model, usize::from(asked.top)).context("the request cannot be compared")?;
    let best = found.first().and_then(|found| catalog.templates.iter().find(|body| body.key == found.key));
    let told = best.map(|body| read(body, &request.text, &Map::new())).unwrap_or_default();
    let known: Map<String, Value> = told.iter().map(|one| (one.name.clone(), one.value.clone())).collect();
    let questions = best.map(|body| missing(body, &known)).unwrap_or_default();
    let needs = match best.and_then(|body| body.capability) {
        Some(capability) => vec![(capability, 1.0)],
        None => library.classify(&found),
    };
    let task = Task { needs, language: None, department: best.map(|body| body.department.clone()) };
    if let Some(stranger) = asked.without.iter().find(|key| !catalog.agents.iter().any(|agent| agent.key == **key)) {
        return Err(Failure::usage(format!("there is no agent `{stranger}` to leave out")));
    }
    let candidates: Vec<Candidate> = catalog.agents.iter().map(|agent| candidate(agent, &asked.without)).collect();
    let mut policy = config.agents.policy();
    if policy.general_purpose.is_none() {
        policy.general_purpose = "generalist".parse().ok();
    }
    let choice = choose(&task, &candidates, &policy, now());
    if as_json {
        terminal.json(&json!({
            "request": request.text,
            "meaning": model.is_some(),
            "templates": found.iter().map(|found| template_json(&catalog, found)).collect::<Vec<Value>>(),
            "read": told,
            "missing": questions,
            "agent": choice,
        }));
        return Ok(());
    }
    show(terminal, &catalog, &found, &questions, &choice);
    if !found.first().is_some_and(Found::fits) {
        terminal.line("none fits well enough; `hishamos do` would take the template `free-request`");
    }
    if model.is_none() {
        terminal.line(terminal.paint(
            Style::Dim,
            "compared by words alone: there is no model of meaning in the data directory; `./dev meaning` fetches one",
        ));
    }
    Ok(())
}

fn known_department(catalog: &Catalog, department: &str) -> Result<(), Failure> {
    if catalog.templates.iter().any(|body| body.department == department) {
        return Ok(());
    }
    let known = DEPARTMENTS.join(", ");
    Err(Failure::usage(format!("no template is of the department `{department}`; ours are {known}")))
}

/// An agent of the catalogue, of whose work nothing is known.
fn candidate(profile: &Profile, without: &[Key]) -> Candidate {
    Candidate {
        state: if without.contains(&profile.key) { State::LeftOut } else { State::Active },
        languages: profile.languages.clone(),
        department: profile.department.clone(),
        ..Candidate::new(profile.key.clone(), profile.capabilities.clone())
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

fn template_json(catalog: &Catalog, found: &Found) -> Value {
    let body = catalog.templates.iter().find(|body| body.key == found.key);
    let mut value = json!(found);
    if let (Some(value), Some(body)) = (value.as_object_mut(), body) {
        value.insert("fits".to_owned(), json!(found.fits()));
        value.insert("title".to_owned(), json!(body.title));
        value.insert("department".to_owned(), json!(body.department));
    }
    value
}

fn show(terminal: &mut Terminal, catalog: &Catalog, found: &[Found], questions: &[Missing], choice: &Choice) {
    if found.is_empty() {
        terminal.line("no template has anything in common with this request");
    }
    for found in found {
        let title = catalog.templates.iter().find(|body| body.key == found.key).map(|body| body.title.to_string());
        let key = terminal.paint(Style::Strong, found.key.as_str());
        terminal.line(format!("{:.2}  {key}  {}", found.score, title.unwrap_or_default()));
        let words: Vec<&str> = found.matches.iter().map(|word| word.word.as_str()).collect();
        let meaning = found.meaning.map(|share| format!("; meaning {share:.2}")).unwrap_or_default();
        let why = format!("      words {:.2} ({}){meaning}", found.words, words.join(", "));
        terminal.line(terminal.paint(Style::Dim, &why));
    }
    if !questions.is_empty() {
        terminal.line(terminal.paint(Style::Strong, "to be asked back for the first one"));
    }
    for Missing { name, kind, title, .. } in questions {
        let arabic = title.ar.as_ref().map(|title| format!(" / {title}")).unwrap_or_default();
        terminal.line(format!("  {name} ({kind})  {title}{arabic}"));
    }
    let agent = choice.agent.as_ref().map_or("nobody", |key| key.as_str());
    terminal.line(format!("{} {agent}: {}", terminal.paint(Style::Strong, "agent"), reason(&choice.reason)));
    let shown = choice.candidates.iter().filter(|candidate| candidate.excluded.is_none()).take(AGENTS);
    for Considered { key, score, factors, experience, .. } in shown {
        let new = if *experience > 0.0 { "" } else { "; its work is not known here, so what is expected counts" };
        terminal.line(format!(
            "  {score:.2}  {key}  capability {:.2}, quality {:.2}, availability {:.2}, cost {:.2}, speed {:.2}{new}",
            factors.capability, factors.quality, factors.availability, factors.cost, factors.speed
        ));
    }
}

fn reason(reason: &Reason) -> String {
    match reason {
        Reason::Best => "has the best score".to_owned(),
        Reason::AmongEquals { equals } => format!("comes first among {equals} equals"),
        Reason::BelowMinimum { best, minimum } => {
            format!("general purpose, because the best specialist scores {best:.2}, less than {minimum:.2}")
        }
        Reason::NoSpecialist => "general purpose, because there is no specialist for it".to_owned(),
        Reason::AnybodyWill => "general purpose, because no specialist is needed".to_owned(),
        Reason::Nobody => "there is no agent for it".to_owned(),
    }
}
