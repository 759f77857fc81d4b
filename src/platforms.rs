//! Builds the AI platforms that the configuration asks for.
//!
//! Nothing is simulated unless the configuration says so: without a usable platform there is none, and the message
//! says what can be done.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use providers::{OpenAi, Platform, Registry, Secret, Simulator};

use crate::config::{Config, Platform as Settings, PlatformKind};

/// The model of OpenAI's own service when nobody names one: cheap, and good enough for the starter catalogue.
const OPENAI_MODEL: &str = "gpt-4o-mini";

/// What to do when there is no platform.
pub(crate) const NONE: &str = "\
no AI platform is configured, so no agent can work. Choose one:
  * set OPENAI_API_KEY for OpenAI, or OPENAI_BASE_URL and OPENAI_MODEL for a server that speaks its protocol (Ollama,
    vLLM, llama.cpp, OpenRouter)
  * build with `--features local-model` and put a GGUF file into `models` of the data directory; `./dev up` does both
  * add --simulate to try everything without a model; every answer is then labelled [simulated]";

/// Builds the registry.
///
/// # Errors
/// When a platform's settings cannot work.
pub(crate) fn build(config: &Config) -> anyhow::Result<Registry> {
    let mut settings = config.platforms.clone();
    let has_models = settings.values().any(|platform| platform.kind != PlatformKind::Simulator);
    if !has_models && cfg!(feature = "local-model") && find_model(&config.data_dir).is_some() {
        settings.entry("local".to_owned()).or_insert_with(|| Settings::of(PlatformKind::Local));
    }
    let platforms = settings
        .iter()
        .map(|(key, platform)| {
            one(key, platform, &config.data_dir).with_context(|| format!("platform `{key}` cannot be used"))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let defaults =
        if config.default_platforms.is_empty() { order(&platforms) } else { config.default_platforms.clone() };
    Registry::new(platforms, &defaults).context("default_platforms cannot be used")
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

fn one(key: &str, settings: &Settings, data_dir: &Path) -> anyhow::Result<Arc<dyn Platform>> {
    match settings.kind {
        PlatformKind::Openai => {
            let base_url = settings.base_url.clone().unwrap_or_else(|| providers::openai::Options::OPENAI.to_owned());
            let own = base_url.trim_end_matches('/') == providers::openai::Options::OPENAI;
            let mut options = providers::openai::Options::new(key, base_url);
            options.api_key = settings.api_key.as_ref().map(|key| Secret::new(key.reveal()));
            options.model = settings.model.clone().or_else(|| own.then(|| OPENAI_MODEL.to_owned()));
            options.proxy = settings.proxy.clone();
            if let Some(path) = &settings.certificates {
                let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                options.extra_certificates = Some(pem);
            }
            Ok(Arc::new(OpenAi::new(options)?))
        }
        PlatformKind::Simulator => {
            let latency = Duration::from_millis(settings.latency_ms.unwrap_or_default());
            Ok(Arc::new(Simulator::builder().key(key).latency(latency).build()))
        }
        PlatformKind::Local => local(key, settings, data_dir),
    }
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
    fn an_unknown_default_is_refused() {
        let unknown = Config { default_platforms: vec!["nobody".to_owned()], ..config(&[]) };
        assert!(format!("{:#}", build(&unknown).unwrap_err()).contains("nobody"));
    }
}
