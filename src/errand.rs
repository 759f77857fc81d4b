//! What somebody wants done, in their words, up to where a task can be started: the template, what the request says of its
//! parameters by rules and as a model reads it, and what has to be asked back. GraphQL, REST and the command line, which asks
//! GraphQL, have it from here.

use commands::{Error, Refused, Request};
use domain::Key;
use domain::template::TemplateBody;
use futures_util::future::BoxFuture;
use schema::{Errand, ErrandWish, PlatformState, Reading};
use selection::Meaning;
use serde_json::{Map, Value};

use crate::choosing::{Chooser, Shelf, asked, shown, told};

/// The kinds of platforms that are not asked to read: a model in this process is too small for it, and programs that work as
/// agents are too much.
const OTHERS: [&str; 5] = ["local", "simulator", "command", "acp", "cursor"];
/// How many templates are told.
const TOLD: usize = 3;

impl Chooser {
    /// Makes a request ready, as far as it says what is needed.
    pub(crate) async fn errand(&self, request: Request, wish: ErrandWish) -> Result<Errand, Error> {
        let shelf = self.shelf().await?;
        let ErrandWish { request: text, template, department, fallback, model, mut parameters } = wish;
        let Found { key, found, by_meaning, fallback } = match template {
            Some(key) => Found { key, found: Vec::new(), by_meaning: false, fallback: false },
            None => find(&shelf, &text, department, fallback).await?,
        };
        let body = shelf.templates.get(&key).ok_or_else(|| Refused::TemplateNotFound(key.clone()))?;
        let mut read = Vec::new();
        if fallback {
            parameters.entry("request").or_insert_with(|| Value::String(text.clone()));
        } else {
            read = selection::read(body, &text, &parameters);
            keep(&mut parameters, &read);
        }
        let mut missing = selection::missing(body, &parameters);
        let mut reading = None;
        if let (Some(patience), false) = (model, missing.is_empty()) {
            reading = Some(match unable(&shelf, &self.platforms().all()) {
                Some(why) => Reading { run: None, ended: true, why: Some(why.to_owned()), left_out: 0 },
                None => {
                    let wish = engine::reading::Wish {
                        request: &text,
                        job: &body.title.en,
                        body,
                        given: &parameters,
                        lacking: &missing,
                    };
                    let answer = engine::reading::read(self.commands(), request, &wish, patience).await?;
                    keep(&mut parameters, &answer.read);
                    read.extend(answer.read);
                    missing = selection::missing(body, &parameters);
                    Reading {
                        run: Some(answer.run.as_uuid()),
                        ended: answer.ended,
                        why: answer.why.map(str::to_owned),
                        left_out: u32::try_from(answer.left_out).unwrap_or(u32::MAX),
                    }
                }
            });
        }
        Ok(Errand {
            template: key,
            fallback,
            by_meaning,
            found: found.into_iter().map(shown).collect(),
            read: read.into_iter().map(told).collect(),
            reading,
            parameters,
            missing: missing.into_iter().map(asked).collect(),
        })
    }
}

fn keep(parameters: &mut Map<String, Value>, read: &[selection::ReadParameter]) {
    parameters.extend(read.iter().map(|one| (one.name.clone(), one.value.clone())));
}

/// The template that does what was asked for.
struct Found {
    key: Key,
    /// What was found, the best first.
    found: Vec<selection::Found>,
    by_meaning: bool,
    /// Whether it is the one for free requests, because nothing that was found fits well enough.
    fallback: bool,
}

/// The template that fits best, or the one for free requests where none fits well enough and that one is registered.
async fn find(shelf: &Shelf, text: &str, department: Option<String>, fallback: bool) -> Result<Found, Error> {
    let (library, model) = (std::sync::Arc::clone(&shelf.library), shelf.model.clone());
    let request = selection::Request { text: text.to_owned(), department };
    let finding = tokio::task::spawn_blocking(move || {
        let model = model.as_ref().map(|kept| kept.model() as &dyn Meaning);
        Ok::<_, selection::MeaningError>((library.find(&request, model, TOLD)?, model.is_some()))
    });
    let found = finding.await.map_err(|error| Error::Unavailable(Box::new(error)))?;
    let (found, by_meaning) = found.map_err(|error| Error::Unavailable(Box::new(error)))?;
    let fits = found.first().is_some_and(selection::Found::fits);
    let free = shelf.templates.keys().find(|key| key.as_str() == TemplateBody::FREE_REQUEST);
    match (found.first().map(|found| found.key.clone()), free) {
        (_, Some(free)) if !fits && fallback => Ok(Found { key: free.clone(), found, by_meaning, fallback: true }),
        (Some(key), _) => Ok(Found { key, found, by_meaning, fallback: false }),
        (None, _) => Err(Refused::NothingFits.into()),
    }
}

/// Why no model can be asked; nothing when one can.
fn unable(shelf: &Shelf, platforms: &[PlatformState]) -> Option<&'static str> {
    let able = |platform: &PlatformState| {
        let is_model = !OTHERS.contains(&platform.kind.as_str()) && !platform.simulated;
        is_model && platform.unusable.is_none() && platform.order.is_some()
    };
    if !shelf.templates.keys().any(|key| key.as_str() == TemplateBody::READ_PARAMETERS) {
        Some("the template `read-parameters` is not registered")
    } else if !platforms.iter().any(able) {
        Some("no platform with a capable model is configured")
    } else {
        None
    }
}

impl rest::Errands for Chooser {
    fn prepare(&self, request: Request, wish: rest::ErrandWish) -> BoxFuture<'_, Result<rest::Errand, Error>> {
        let rest::ErrandWish { request: text, template, model, parameters } = wish;
        let wish = ErrandWish { request: text, template, department: None, fallback: true, model, parameters };
        Box::pin(async move { Ok(for_rest(self.errand(request, wish).await?)) })
    }
}

/// What REST needs to know.
fn for_rest(errand: Errand) -> rest::Errand {
    let Errand { template, reading, parameters, missing, .. } = errand;
    let missing = missing.into_iter().map(|one| rest::MissingParameter {
        name: one.name,
        kind: one.r#type,
        title: one.title,
        description: one.description,
        choices: one.choices.into_iter().map(|choice| choice.0).collect(),
        examples: one.examples.into_iter().map(|example| example.0).collect(),
    });
    let reads = reading.filter(|reading| !reading.ended).and_then(|reading| reading.run);
    rest::Errand { template, parameters, missing: missing.collect(), reads }
}
