//! Builds the AI platforms that the configuration asks for.
//!
//! Nothing is simulated unless the configuration says so: without a usable platform there is none, and the message
//! says what can be done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use providers::http::{ApiKey, Options};
use providers::kind::Setup;
use providers::prices::{PriceList, Prices};
use providers::{Platform, Registry, Secret, local_model};

use crate::config::{Config, Masked, Platform as Settings, PlatformKind, variable};
use crate::keys::KeyStore;

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
    let has_models = settings.values().any(|platform| platform.kind.is_model());
    if !has_models && cfg!(feature = "local-model") && local_model::find(&config.data_dir).is_some() {
        settings.entry("local".to_owned()).or_insert_with(|| Settings::of(PlatformKind::LOCAL));
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
    for (_, kind) in PlatformKind::services() {
        if stored.contains_key(kind.name()) {
            settings.entry(kind.name().to_owned()).or_insert_with(|| Settings::of(kind));
        }
    }
    for (key, platform) in &mut settings {
        if platform.kind.has_key() && platform.api_key.is_none() {
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

/// The kind of a platform: as configured, or else that of the service whose key is stored, or else the local model.
pub(crate) fn kind_of(config: &Config, key: &str) -> PlatformKind {
    let named = |(_, kind): &(_, PlatformKind)| kind.name() == key;
    let service = || PlatformKind::services().find(named).map_or(PlatformKind::LOCAL, |(_, kind)| kind);
    config.platforms.get(key).map_or_else(service, |platform| platform.kind)
}

/// The platforms that use a stored key, or would if it were there.
pub(crate) fn users_of(config: &Config, name: &str) -> Vec<String> {
    let uses = |key: &str, platform: &Settings| {
        let own = platform.kind.has_key()
            && platform.api_key.is_none()
            && platform.stored_key.as_deref().unwrap_or(key) == name;
        own || platform.more_keys.iter().any(|more| more.stored.as_deref() == Some(name))
    };
    let configured = config.platforms.iter().filter(|(key, platform)| uses(key, platform)).map(|(key, _)| key.clone());
    let made = PlatformKind::services().map(|(_, kind)| kind.name()).filter(|service| *service == name);
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
    let own = settings.own().map_err(|fault| anyhow::anyhow!("{fault}"))?;
    let (model, base_url) = (settings.model.clone(), settings.base_url.clone());
    let http = http(key, settings, prices)?;
    own.open(Setup { key, model, base_url, http, data_dir, variable: &variable }).map_err(anyhow::Error::from_boxed)
}

/// How a platform is reached over HTTP.
fn http(key: &str, settings: &Settings, prices: &Arc<Prices>) -> anyhow::Result<Options> {
    let mut options = Options::new(key, "");
    options.api_key = settings.api_key.as_ref().map(|key| Secret::new(key.reveal()));
    let more = settings.more_keys.iter();
    options.more_keys = more
        .filter_map(|more| Some(ApiKey { secret: Secret::new(more.key.as_ref()?.reveal()), weight: more.weight }))
        .collect();
    options.proxy = settings.proxy.clone();
    options.stream = settings.stream.unwrap_or(true);
    options.prices = Some(Arc::clone(prices));
    if let Some(path) = &settings.certificates {
        let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        options.extra_certificates = Some(pem);
    }
    Ok(options)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn config(platforms: &[(&str, &str)]) -> Config {
        let of = |kind: &str| Settings::of(PlatformKind::named(kind).unwrap());
        let platforms = platforms.iter().map(|(key, kind)| ((*key).to_owned(), of(kind))).collect();
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
        let both = config(&[("a-simulator", "simulator"), ("openai", "openai")]);
        let registry = build(&both).unwrap();
        assert_eq!(registry.defaults().map(|platform| platform.key()).collect::<Vec<_>>(), ["openai"]);
        assert!(registry.get("a-simulator").is_some(), "who names it gets it");
        assert_eq!(default_of(&config(&[("sim", "simulator")])), Some("sim".to_owned()));
    }

    #[test]
    fn an_agent_by_itself_works_only_for_those_who_name_it() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let alone = config(&[("cursor", "cursor")]);
        let registry = build(&alone).unwrap();
        assert!(registry.default().is_none() && registry.defaults().next().is_none());
        assert!(registry.get("cursor").unwrap().unusable().unwrap().contains("CURSOR_API_KEY"));
        assert_eq!(default_of(&config(&[("cursor", "cursor"), ("o", "ollama")])), Some("o".to_owned()));
        let wanted = Config { default_platforms: vec!["cursor".to_owned()], ..alone };
        assert_eq!(build(&wanted).unwrap().defaults().next().unwrap().key(), "cursor");
    }

    #[test]
    fn without_an_order_the_kinds_have_one() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let all = [
            ("a", "ollama"),
            ("b", "openrouter"),
            ("c", "gemini"),
            ("d", "anthropic"),
            ("z", "openai"),
            ("y", "openai"),
        ];
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
