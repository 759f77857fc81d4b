//! What the GraphQL API is told of choosing: the engine's own choice of agents, and the registered templates as a library
//! in which to look.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use commands::{Commands, Error, Refused};
use domain::template::TemplateBody;
use domain::{Category, Event, Key, Template, TemplateEvent, TemplateId};
use engine::Handle;
use journal::{Filter, Position};
use schema::{
    AgentAnswer, AgentWish, Choosing, Errand, ErrandWish, FoundTemplate, MissingParameter, Platforms, TemplateAnswer,
    TemplateWish, Then,
};
use selection::{Asks, Encoder, Found, Kept, Library, Meaning, Missing, ReadBy, ReadParameter, Request, Task};
use serde_json::Map;
use tokio::sync::Mutex;

use crate::config::Config;
use crate::{catalogue, meaning};

/// How many events are read at a time.
const PAGE: usize = 1000;

/// Chooses on this node.
pub(crate) struct Chooser {
    commands: Commands,
    engine: Handle,
    platforms: Arc<dyn Platforms>,
    config: Arc<Config>,
    /// Made when it is first asked for, and anew when templates have changed.
    shelf: Mutex<Option<Shelf>>,
}

/// The registered templates, ready to be found.
#[derive(Clone)]
pub(crate) struct Shelf {
    position: Position,
    pub(crate) templates: Arc<BTreeMap<Key, TemplateBody>>,
    asks: Arc<Asks>,
    pub(crate) model: Option<Arc<Kept<Encoder>>>,
    pub(crate) library: Arc<Library>,
}

impl Chooser {
    pub(crate) fn new(config: &Config, commands: Commands, engine: Handle, platforms: Arc<dyn Platforms>) -> Self {
        Self { commands, engine, platforms, config: Arc::new(config.clone()), shelf: Mutex::new(None) }
    }

    /// The write side.
    pub(crate) fn commands(&self) -> &Commands {
        &self.commands
    }

    /// The platforms, as this node sees them.
    pub(crate) fn platforms(&self) -> &dyn Platforms {
        &*self.platforms
    }

    /// The library as of now.
    pub(crate) async fn shelf(&self) -> Result<Shelf, Error> {
        let mut kept = self.shelf.lock().await;
        let (mut position, mut templates) = match &*kept {
            Some(shelf) => (shelf.position, (*shelf.templates).clone()),
            None => (Position::default(), BTreeMap::new()),
        };
        let filter = Filter { categories: vec![Category::Template], ..Filter::default() };
        let mut changed = false;
        loop {
            let page = self.commands.executor().journal().read_all(position, &filter, PAGE).await?;
            for recorded in &page.events {
                let event = recorded.event().map_err(|error| Error::Unavailable(Box::new(error)))?;
                if let Event::Template(TemplateEvent::Registered { body } | TemplateEvent::Revised { body, .. }) = event
                {
                    templates.insert(body.key.clone(), (**body).clone());
                    changed = true;
                }
            }
            if page.position == position {
                break;
            }
            position = page.position;
        }
        let shelf = match kept.take() {
            Some(shelf) if !changed => Shelf { position, ..shelf },
            known => {
                let config = Arc::clone(&self.config);
                let made = tokio::task::spawn_blocking(move || made(&config, known, templates, position)).await;
                made.map_err(|error| Error::Unavailable(Box::new(error)))?
                    .map_err(|error| Error::Unavailable(error.into()))?
            }
        };
        *kept = Some(shelf.clone());
        Ok(shelf)
    }
}

/// Makes the library; what is known of the catalogue's ways of asking and of the model is kept.
fn made(
    config: &Config,
    known: Option<Shelf>,
    templates: BTreeMap<Key, TemplateBody>,
    position: Position,
) -> anyhow::Result<Shelf> {
    let folder = meaning::folder(&config.data_dir);
    let (asks, model) = match known {
        Some(shelf) => (shelf.asks, shelf.model),
        None => {
            let catalog = catalogue::read(config, None).map_err(|errors| {
                let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                anyhow::anyhow!("the catalogue cannot be read: {}", errors.join("; "))
            })?;
            (Arc::new(catalog.ways_of_asking()), meaning::read(&folder)?.map(Arc::new))
        }
    };
    let bodies: Vec<TemplateBody> = templates.values().cloned().collect();
    let library = Arc::new(meaning::library(&bodies, &asks, model.as_deref(), &folder)?);
    Ok(Shelf { position, templates: Arc::new(templates), asks, model, library })
}

#[async_trait]
impl Choosing for Chooser {
    async fn agent(&self, wish: AgentWish) -> Result<AgentAnswer, Error> {
        let body = match &wish.template {
            Some(key) => {
                let (executor, stream) = (self.commands.executor(), TemplateId::from_key(key).into());
                let template = match wish.then {
                    Some(then) => executor.load_as_of::<Template>(stream, then.position).await?.state,
                    None => executor.load::<Template>(stream).await?.state,
                };
                let body = template.body().cloned();
                Some(body.ok_or_else(|| Refused::TemplateNotFound(key.clone()))?)
            }
            None => None,
        };
        let capability = wish.capability.or_else(|| body.as_ref()?.capability);
        let department = wish.department.or_else(|| body.as_ref().map(|body| body.department.clone()));
        let task = Task {
            needs: capability.map(|capability| (capability, 1.0)).into_iter().collect(),
            language: wish.language,
            department: department.filter(|department| !department.is_empty()),
        };
        let (choice, recorded) = match wish.then {
            Some(Then { position, moment }) => {
                let journal = self.commands.executor().journal();
                let chosen = self.engine.choose_agent_as_of(journal, &task, &wish.without, position, moment).await?;
                chosen.ok_or(Refused::TooMuchPast { position, max: Handle::MAX_PAST_EVENTS })?
            }
            None => {
                let now = self.commands.surroundings().now();
                self.engine.choose_agent(&task, body.as_deref(), &wish.without, now).await?
            }
        };
        Ok(AgentAnswer {
            told: choice.told(&task),
            considered: choice.considered(),
            choice: recorded,
            agent: choice.agent,
        })
    }

    async fn templates(&self, wish: TemplateWish) -> Result<TemplateAnswer, Error> {
        let shelf = self.shelf().await?;
        let TemplateWish { request, department, first } = wish;
        let finding = tokio::task::spawn_blocking(move || {
            let model = shelf.model.as_ref().map(|kept| kept.model() as &dyn Meaning);
            let request = Request { text: request, department };
            let found = shelf.library.find(&request, model, first)?;
            let best = found.first().and_then(|found| shelf.templates.get(&found.key));
            let read = best.map(|body| selection::read(body, &request.text, &Map::new())).unwrap_or_default();
            let known = read.iter().map(|one| (one.name.clone(), one.value.clone())).collect();
            let missing = best.map(|body| selection::missing(body, &known)).unwrap_or_default();
            let by_meaning = model.is_some();
            Ok::<_, selection::MeaningError>(TemplateAnswer {
                by_meaning,
                found: found.into_iter().map(shown).collect(),
                read: read.into_iter().map(told).collect(),
                missing: missing.into_iter().map(asked).collect(),
            })
        });
        let found = finding.await.map_err(|error| Error::Unavailable(Box::new(error)))?;
        found.map_err(|error| Error::Unavailable(Box::new(error)))
    }

    async fn prepare(&self, request: commands::Request, wish: ErrandWish) -> Result<Errand, Error> {
        self.errand(request, wish).await
    }
}

pub(crate) fn shown(found: Found) -> FoundTemplate {
    FoundTemplate {
        key: found.key.as_str().to_owned(),
        score: found.score.into(),
        words: found.words.into(),
        meaning: found.meaning.map(f64::from),
        coverage: found.coverage.into(),
        fits: found.fits(),
        matches: found.matches.into_iter().map(|matched| matched.word).collect(),
    }
}

pub(crate) fn told(read: ReadParameter) -> schema::ReadParameter {
    let by = match read.by {
        ReadBy::Name => schema::ReadBy::Name,
        ReadBy::Choice => schema::ReadBy::Choice,
        ReadBy::Number => schema::ReadBy::Number,
        ReadBy::Language => schema::ReadBy::Language,
        ReadBy::Model => schema::ReadBy::Model,
    };
    schema::ReadParameter { name: read.name, value: async_graphql::Json(read.value), quote: read.quote, by }
}

pub(crate) fn asked(missing: Missing) -> MissingParameter {
    let Missing { name, kind, title, description, choices, examples } = missing;
    let json = |values: Vec<serde_json::Value>| values.into_iter().map(async_graphql::Json).collect();
    MissingParameter { name, r#type: kind, title, description, choices: json(choices), examples: json(examples) }
}
