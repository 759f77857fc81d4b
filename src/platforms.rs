//! Builds the AI platforms that the configuration asks for.
//!
//! Nothing is simulated unless the configuration says so: without a usable platform there is none, and the message
//! says what can be done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use providers::acp::Permissions;
use providers::http::{ApiKey, Options};
use providers::prices::{PriceList, Prices};
use providers::{
    AcpAgent, Anthropic, CommandAgent, Cursor, Gemini, OpenAi, OpenAiResponses, OpenRouter, Platform, Registry, Secret,
    Simulator, anthropic, cursor, gemini, openai, openrouter,
};

use crate::config::{Config, Masked, Platform as Settings, PlatformKind, SERVICES};
use crate::keys::KeyStore;

/// Where Ollama listens unless it is told otherwise.
const OLLAMA: &str = "http://localhost:11434/v1";

/// What to do when there is no platform.
pub(crate) const NONE: &str = "\
no AI platform is configured, so no agent can work. Choose one:
  * set OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY or OPENROUTER_API_KEY, or keep the key encrypted:
    `hishamos keys put openai` (or anthropic, gemini, openrouter)
  * set OPENAI_BASE_URL and OPENAI_MODEL for a server that speaks OpenAI's protocol (Ollama, vLLM, llama.cpp)
  * build with `--features local-model` and put a GGUF file into `models` of the data directory; `./dev up` does both
  * add --simulate to try everything without a model; every answer is then labelled [simulated]";

/// Builds the registry.
///
/// # Errors
/// When a platform's settings cannot work.
pub(crate) fn build(config: &Config) -> anyhow::Result<Registry> {
    let mut settings = with_keys(config)?;
    // Agents that work by themselves are for those who name them, and stand in for no model.
    let is_model = |kind: PlatformKind| kind != PlatformKind::Simulator && !kind.is_agent();
    let has_models = settings.values().any(|platform| is_model(platform.kind));
    if !has_models && cfg!(feature = "local-model") && find_model(&config.data_dir).is_some() {
        settings.entry("local".to_owned()).or_insert_with(|| Settings::of(PlatformKind::Local));
    }
    let prices = Arc::new(prices(&config.data_dir)?);
    let mut settings: Vec<_> = settings.into_iter().collect();
    settings.sort_by(|(a_key, a), (b_key, b)| (a.kind, a_key).cmp(&(b.kind, b_key)));
    let platforms = settings
        .iter()
        .map(|(key, platform)| {
            one(key, platform, &config.data_dir, &prices).with_context(|| format!("platform `{key}` cannot be used"))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    // An agent works only for those who name it.
    let models = settings.iter().zip(&platforms).filter(|((_, settings), _)| !settings.kind.is_agent());
    let models: Vec<_> = models.map(|(_, platform)| Arc::clone(platform)).collect();
    let defaults = if config.default_platforms.is_empty() { order(&models) } else { config.default_platforms.clone() };
    let tags = settings.iter().map(|(key, settings)| (key.clone(), settings.tags.clone())).collect();
    let own_tags = settings.iter().map(|(key, settings)| (key.clone(), settings.model_tags.clone())).collect();
    let registry = Registry::new(platforms, &defaults).context("default_platforms cannot be used")?;
    let registry = registry.tagged(tags).with_model_tags(own_tags);
    Ok(if defaults.is_empty() { registry.without_defaults() } else { registry })
}

/// The configured platforms with the stored keys that they use, and those that are there because a key is stored under the
/// name of a service.
fn with_keys(config: &Config) -> anyhow::Result<BTreeMap<String, Settings>> {
    let mut settings = config.platforms.clone();
    let stored = KeyStore::of(config).open().context("the stored keys cannot be used")?;
    for (name, kind) in services() {
        if stored.contains_key(name) {
            settings.entry(name.to_owned()).or_insert_with(|| Settings::of(kind));
        }
    }
    for (key, platform) in &mut settings {
        if platform.kind.is_http() && platform.api_key.is_none() {
            platform.api_key = match &platform.stored_key {
                Some(name) => Some(named(&stored, key, name)?),
                None => stored.get(key).cloned(),
            };
        }
        for more in &mut platform.more_keys {
            if let Some(name) = &more.stored {
                more.key = Some(named(&stored, key, name)?);
            }
        }
    }
    Ok(settings)
}

fn named(stored: &BTreeMap<String, Masked>, platform: &str, name: &str) -> anyhow::Result<Masked> {
    stored.get(name).cloned().with_context(|| {
        format!("platform `{platform}` uses the stored key `{name}`, which is not there; `hishamos keys put {name}` stores it")
    })
}

/// What a stored key makes a platform of when nothing is configured, by its name.
fn services() -> impl Iterator<Item = (&'static str, PlatformKind)> {
    SERVICES.iter().filter_map(|(_, name, kinds)| Some((*name, *kinds.first()?)))
}

/// The kind of a platform: as configured, or else that of the service whose key is stored, or else the local model.
pub(crate) fn kind_of(config: &Config, key: &str) -> PlatformKind {
    let service = || services().find(|(name, _)| *name == key).map_or(PlatformKind::Local, |(_, kind)| kind);
    config.platforms.get(key).map_or_else(service, |platform| platform.kind)
}

/// The platforms that use a stored key, or would if it were there.
pub(crate) fn users_of(config: &Config, name: &str) -> Vec<String> {
    let uses = |key: &str, platform: &Settings| {
        let own = platform.kind.is_http()
            && platform.api_key.is_none()
            && platform.stored_key.as_deref().unwrap_or(key) == name;
        own || platform.more_keys.iter().any(|more| more.stored.as_deref() == Some(name))
    };
    let configured = config.platforms.iter().filter(|(key, platform)| uses(key, platform)).map(|(key, _)| key.clone());
    let made = services().map(|(service, _)| service).filter(|service| *service == name);
    configured.chain(made.filter(|made| !config.platforms.contains_key(*made)).map(str::to_owned)).collect()
}

/// The lists of prices: those that come with the program, and those that were imported into `prices` of the data
/// directory.
///
/// # Errors
/// When an imported list is none.
pub(crate) fn prices(data_dir: &Path) -> anyhow::Result<Prices> {
    let mut prices = Prices::bundled().context("the bundled list of prices cannot be used")?;
    let mut files: Vec<PathBuf> = match std::fs::read_dir(imported(data_dir)) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", imported(data_dir).display())),
    };
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    for path in files {
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        prices.add_imported(&PriceList::parse(&text).with_context(|| format!("{} cannot be used", path.display()))?);
    }
    Ok(prices)
}

/// Where imported lists of prices are.
pub(crate) fn imported(data_dir: &Path) -> PathBuf {
    data_dir.join("prices")
}

/// Every platform that asks a model. Simulators only when there is nothing else, and then somebody configured them.
fn order(platforms: &[Arc<dyn Platform>]) -> Vec<String> {
    let keys = |simulated: bool| -> Vec<String> {
        let wanted = platforms.iter().filter(|platform| platform.simulated() == simulated);
        wanted.map(|platform| platform.key().to_owned()).collect()
    };
    let models = keys(false);
    if models.is_empty() { keys(true) } else { models }
}

fn one(key: &str, settings: &Settings, data_dir: &Path, prices: &Arc<Prices>) -> anyhow::Result<Arc<dyn Platform>> {
    // The models for when nobody names one are cheap, and good enough for the starter catalogue.
    let at = |home: &str, model: Option<&str>| http(key, settings, home, model, prices);
    Ok(match settings.kind {
        PlatformKind::Openai => Arc::new(OpenAi::new(at(openai::HOME, Some("gpt-4o-mini"))?)?),
        PlatformKind::OpenaiResponses => Arc::new(OpenAiResponses::new(at(openai::HOME, Some("gpt-4o-mini"))?)?),
        PlatformKind::Anthropic => Arc::new(Anthropic::new(at(anthropic::HOME, Some("claude-haiku-4-5"))?)?),
        PlatformKind::Gemini => Arc::new(Gemini::new(at(gemini::HOME, Some("gemini-2.5-flash"))?)?),
        PlatformKind::Openrouter => Arc::new(OpenRouter::new(at(openrouter::HOME, Some("openai/gpt-4o-mini"))?)?),
        PlatformKind::Ollama => Arc::new(OpenAi::new(at(OLLAMA, None)?)?),
        PlatformKind::Simulator => {
            let latency = Duration::from_millis(settings.latency_ms.unwrap_or_default());
            Arc::new(Simulator::builder().key(key).latency(latency).build())
        }
        PlatformKind::Command => command(key, settings)?,
        PlatformKind::Acp => acp(key, settings)?,
        PlatformKind::Cursor => {
            let repository = settings.cursor.as_ref().map(Into::into);
            Arc::new(Cursor::new(cursor::Options { repository, ..cursor::Options::new(at(cursor::HOME, None)?) })?)
        }
        PlatformKind::Local => local(key, settings, data_dir)?,
    })
}

/// A program on this machine.
fn command(key: &str, settings: &Settings) -> anyhow::Result<Arc<dyn Platform>> {
    let line = settings.command.as_ref().context("it says no command")?;
    let options = providers::command::Options {
        arguments: line.arguments.clone(),
        environment: line.environment(),
        model: settings.model.clone(),
        output: line.output(),
        ..providers::command::Options::new(key, &line.program, &line.directory)
    };
    Ok(Arc::new(CommandAgent::new(options)?))
}

/// A program on this machine that speaks the Agent Client Protocol.
fn acp(key: &str, settings: &Settings) -> anyhow::Result<Arc<dyn Platform>> {
    let line = settings.acp.as_ref().context("it does not say what is started")?;
    let options = providers::acp::Options {
        arguments: line.arguments.clone(),
        environment: line.environment(),
        model: settings.model.clone(),
        login: line.login.clone(),
        mode: line.mode.clone(),
        permissions: Permissions::named(line.allow.iter().map(String::as_str)).context("allow")?,
        ..providers::acp::Options::new(key, &line.program, &line.directory)
    };
    Ok(Arc::new(AcpAgent::new(options)?))
}

/// How a platform is reached over HTTP; the model only where the service itself is asked.
fn http(
    key: &str,
    settings: &Settings,
    home: &str,
    model: Option<&str>,
    prices: &Arc<Prices>,
) -> anyhow::Result<Options> {
    let base_url = settings.base_url.clone().unwrap_or_else(|| home.to_owned());
    let own = base_url.trim_end_matches('/') == home;
    let mut options = Options::new(key, base_url);
    options.api_key = settings.api_key.as_ref().map(|key| Secret::new(key.reveal()));
    let more = settings.more_keys.iter();
    options.more_keys = more
        .filter_map(|more| Some(ApiKey { secret: Secret::new(more.key.as_ref()?.reveal()), weight: more.weight }))
        .collect();
    options.model = settings.model.clone().or_else(|| model.filter(|_| own).map(str::to_owned));
    options.proxy = settings.proxy.clone();
    options.stream = settings.stream.unwrap_or(true);
    options.prompt_cache = settings.prompt_cache.unwrap_or(true);
    options.prices = Some(Arc::clone(prices));
    if let Some(path) = &settings.certificates {
        let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        options.extra_certificates = Some(pem);
    }
    Ok(options)
}

#[cfg(feature = "local-model")]
fn local(key: &str, settings: &Settings, data_dir: &Path) -> anyhow::Result<Arc<dyn Platform>> {
    let path = settings.path.clone().or_else(|| find_model(data_dir)).with_context(|| {
        format!("there is no GGUF file in {}; put one there or set its path", data_dir.join("models").display())
    })?;
    let mut options = providers::local::Options::new(path);
    key.clone_into(&mut options.key);
    options.model = settings.model.clone();
    Ok(Arc::new(providers::Local::new(options)?))
}

#[cfg(not(feature = "local-model"))]
fn local(_: &str, _: &Settings, _: &Path) -> anyhow::Result<Arc<dyn Platform>> {
    anyhow::bail!("this program was built without local models; build it with `--features local-model`")
}

/// The newest GGUF file in `models` of the data directory.
fn find_model(data_dir: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(data_dir.join("models")).ok()?;
    let models = entries.flatten().map(|entry| entry.path());
    let models = models.filter(|path| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf")));
    models.max_by_key(|path| path.metadata().and_then(|found| found.modified()).ok())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn config(platforms: &[(&str, PlatformKind)]) -> Config {
        let platforms = platforms.iter().map(|(key, kind)| ((*key).to_owned(), Settings::of(*kind))).collect();
        Config { data_dir: "/nonexistent".into(), platforms, ..Config::default() }
    }

    fn default_of(config: &Config) -> Option<String> {
        build(config).unwrap().defaults().next().map(|platform| platform.key().to_owned())
    }

    #[test]
    fn without_configuration_there_is_no_platform() {
        assert_eq!(default_of(&config(&[])), None);
    }

    #[test]
    fn a_simulator_never_stands_in_for_a_model() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let both = config(&[("a-simulator", PlatformKind::Simulator), ("openai", PlatformKind::Openai)]);
        let registry = build(&both).unwrap();
        assert_eq!(registry.defaults().map(|platform| platform.key()).collect::<Vec<_>>(), ["openai"]);
        assert!(registry.get("a-simulator").is_some(), "who names it gets it");
        assert_eq!(default_of(&config(&[("sim", PlatformKind::Simulator)])), Some("sim".to_owned()));
    }

    #[test]
    fn an_agent_by_itself_works_only_for_those_who_name_it() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let alone = config(&[("cursor", PlatformKind::Cursor)]);
        let registry = build(&alone).unwrap();
        assert!(registry.default().is_none() && registry.defaults().next().is_none());
        assert!(registry.get("cursor").unwrap().unusable().unwrap().contains("CURSOR_API_KEY"));
        assert_eq!(
            default_of(&config(&[("cursor", PlatformKind::Cursor), ("o", PlatformKind::Ollama)])),
            Some("o".to_owned())
        );
        let wanted = Config { default_platforms: vec!["cursor".to_owned()], ..alone };
        assert_eq!(build(&wanted).unwrap().defaults().next().unwrap().key(), "cursor");
    }

    #[test]
    fn without_an_order_the_kinds_have_one() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        use PlatformKind::{Anthropic, Gemini, Ollama, Openai, Openrouter};
        let all = [("a", Ollama), ("b", Openrouter), ("c", Gemini), ("d", Anthropic), ("z", Openai), ("y", Openai)];
        let registry = build(&config(&all)).unwrap();
        assert_eq!(
            registry.defaults().map(|platform| platform.key()).collect::<Vec<_>>(),
            ["y", "z", "d", "c", "b", "a"]
        );
        assert_eq!(registry.get("d").unwrap().default_model(), Some("claude-haiku-4-5"));
        assert_eq!(registry.get("a").unwrap().default_model(), None);
    }

    #[test]
    fn imported_prices_cover_the_bundled_ones() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(prices(dir.path()).unwrap().versions().len(), Prices::bundled().unwrap().versions().len());
        std::fs::create_dir(imported(dir.path())).unwrap();
        let list = r#"{"date":"2030-01-01","origin":"us","models":[{"vendor":"openai","model":"gpt-4o","rates":[{"input":7,"output":8}]}]}"#;
        std::fs::write(imported(dir.path()).join("2030-01-01.json"), list).unwrap();
        let prices_then = prices(dir.path()).unwrap();
        assert_eq!(prices_then.versions().last().map(String::as_str), Some("imported/2030-01-01"));
        let rate = |time: &str| {
            prices_then.valid("openai", "gpt-4o", time.parse().unwrap()).unwrap().model.rates.first().unwrap().input
        };
        assert_eq!((rate("2029-12-31T23:59:59Z"), rate("2030-01-01T00:00:00Z")), (2_500_000, 7));
        std::fs::write(imported(dir.path()).join("x.json"), "{}").unwrap();
        assert!(format!("{:#}", prices(dir.path()).unwrap_err()).contains("x.json"));
    }

    #[test]
    fn an_unknown_default_is_refused() {
        let unknown = Config { default_platforms: vec!["nobody".to_owned()], ..config(&[]) };
        assert!(format!("{:#}", build(&unknown).unwrap_err()).contains("nobody"));
    }
}
