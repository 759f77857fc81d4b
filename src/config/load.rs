//! The layers of the configuration and how they are put together.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Profile};

use super::{Config, Masked, PlatformKind};

/// The file that is read from the working directory when no other is named.
const FILE: &str = "hishamos.toml";

/// The variables of others that mean the same to us, besides those of services ([`PlatformKind::services`]).
const FOREIGN: [&str; 2] = ["DATABASE_URL", "REDIS_URL"];

/// What the names of a service's variables end with.
const ENDINGS: [&str; 3] = ["_API_KEY", "_BASE_URL", "_MODEL"];

/// The variables of the environment that are ours and no settings.
const NO_SETTINGS: [&str; 3] = ["HISHAMOS_CONFIG", "HISHAMOS_TEST_DATABASE_URL", "HISHAMOS_TEST_KURRENTDB_URL"];

/// The settings that are no text: numbers, and lists in brackets. What kinds of platforms have of their own is for them to say.
const PARSED: [&str; 36] = [
    "agents",
    "samples",
    "share",
    "readers",
    "patience_seconds",
    "drain_seconds",
    "takeover_seconds",
    "probe_seconds",
    "requests_per_minute",
    "tokens_per_minute",
    "at_once",
    "max_connections",
    "default_platforms",
    "more_keys",
    "enabled",
    "lock_days",
    "stream",
    "every_events",
    "within_seconds",
    "insecure_http",
    "networks",
    "timeout_seconds",
    "retry_seconds",
    "minimum_score",
    "acceptable_cost_usd",
    "acceptable_seconds",
    "busy_from",
    "mask",
    "tags",
    "everywhere",
    "arguments",
    "allow",
    "inside",
    "max_age_seconds",
    "megabytes",
    "forks",
];

/// What the command line says; it has the last word.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Flags {
    /// The configuration file (default: hishamos.toml in the working directory, if it is there)
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Where the program keeps its own things (default: data)
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) data_dir: Option<PathBuf>,
    /// The port to listen on (default: 7410; 0 picks a free one)
    #[arg(long, value_name = "PORT", global = true)]
    pub(crate) port: Option<u16>,
    /// The address and port to listen on (default: 127.0.0.1:7410); loopback only
    #[arg(long, value_name = "ADDRESS:PORT", global = true, conflicts_with = "port")]
    pub(crate) listen: Option<SocketAddr>,
    /// Answer with the simulator instead of a model; everything it says is labelled as simulated
    #[arg(long, global = true)]
    pub(crate) simulate: bool,
    /// In whose name to ask and to command (default: operator); there is no access control yet, so it is believed
    #[arg(long = "as", value_name = "NAME", global = true)]
    pub(crate) person: Option<String>,
    /// What to log, such as debug, or info,engine=debug
    #[arg(long, value_name = "LEVEL", global = true)]
    pub(crate) log_level: Option<String>,
}

/// A configuration that cannot be used, with its reason.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The named file is not there.
    #[error("there is no configuration file {}", .0.display())]
    NoFile(PathBuf),
    /// A layer that does not fit.
    #[error("{0}")]
    Invalid(String),
}

/// Puts defaults, file, environment and flags together and checks the result.
pub(crate) fn load(flags: &Flags) -> Result<Config, Error> {
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("HISHAMOS_") || is_foreign(name))
        .collect();
    merge(flags, Path::new(FILE), &environment)
}

fn is_foreign(name: &str) -> bool {
    let of_service = |service: &str| name.strip_prefix(service).is_some_and(|ending| ENDINGS.contains(&ending));
    FOREIGN.contains(&name) || PlatformKind::services().any(|(service, _)| of_service(service))
}

fn merge(flags: &Flags, usual_file: &Path, environment: &[(String, String)]) -> Result<Config, Error> {
    let variable = |wanted: &str| {
        let found = environment.iter().find(|(name, value)| name == wanted && !value.is_empty());
        found.map(|(_, value)| value.clone())
    };
    let named = flags.config.clone().or_else(|| variable("HISHAMOS_CONFIG").map(PathBuf::from));
    let mut figment = Figment::new();
    match named {
        Some(file) if !file.is_file() => return Err(Error::NoFile(file)),
        Some(file) => figment = figment.merge(Toml::file_exact(file)),
        None if usual_file.is_file() => figment = figment.merge(Toml::file_exact(usual_file)),
        None => {}
    }
    // What others name this way means the same to us, but our own names come first.
    if let Some(url) = variable("DATABASE_URL") {
        figment = figment.merge(Serialized::default("database_url", url));
    }
    if let Some(url) = variable("REDIS_URL") {
        figment = figment.merge(Serialized::default("cache.redis_url", url));
    }
    for (name, value) in environment {
        if NO_SETTINGS.contains(&&**name) || name == "HISHAMOS_PORT" || value.is_empty() {
            continue;
        }
        let Some(key) = name.strip_prefix("HISHAMOS_") else { continue };
        let key = key.to_ascii_lowercase().replace("__", ".");
        let source = figment::Metadata::named(format!("the environment variable {name}"));
        figment = figment.merge(Variable { key, value: value.clone(), source });
    }
    if let Some(dir) = &flags.data_dir {
        figment = figment.merge(Serialized::default("data_dir", dir));
    }
    if let Some(person) = &flags.person {
        figment = figment.merge(Serialized::default("person", person));
    }
    if let Some(listen) = flags.listen {
        figment = figment.merge(Serialized::default("listen", listen));
    }
    if let Some(level) = &flags.log_level {
        figment = figment.merge(Serialized::default("log.level", level));
    }
    let mut config: Config = figment.extract().map_err(|errors| Error::Invalid(describe(errors)))?;
    let port = match variable("HISHAMOS_PORT") {
        Some(text) => Some(text.parse().map_err(|_| {
            Error::Invalid(format!("HISHAMOS_PORT is `{text}`, but a port is a number from 0 to 65535"))
        })?),
        None => None,
    };
    if let Some(port) = flags.port.or(port.filter(|_| flags.listen.is_none())) {
        config.listen.set_port(port);
    }
    for (service, kind) in PlatformKind::services() {
        add_service(&mut config, service, kind, &variable)?;
    }
    if flags.simulate {
        config.platforms.entry("simulator".to_owned()).or_insert_with(|| super::Platform::of(PlatformKind::SIMULATOR));
        config.default_platforms = vec!["simulator".to_owned()];
    }
    check(&config)?;
    Ok(config)
}

/// `…_API_KEY` and `…_BASE_URL` make the platform of a service, or fill in what the configured one leaves open; so does
/// `…_MODEL`. The key also goes to every other platform of the service that has neither a key nor a base URL of its own.
fn add_service(
    config: &mut Config,
    service: &str,
    kind: PlatformKind,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<(), Error> {
    let [key, url, model] = ENDINGS.map(|ending| variable(&format!("{service}{ending}")));
    if key.is_none() && url.is_none() {
        return Ok(());
    }
    let name = kind.name();
    let fits = |kind: PlatformKind| kind.service() == Some(service);
    let platform = config.platforms.entry(name.to_owned()).or_insert_with(|| super::Platform::of(kind));
    if !fits(platform.kind) {
        return Err(Error::Invalid(format!(
            "platforms.{name} is of another kind, but {service}_API_KEY or {service}_BASE_URL is set; rename the platform"
        )));
    }
    // Who names a stored key has chosen.
    if platform.stored_key.is_none() {
        platform.api_key = platform.api_key.take().or_else(|| key.clone().map(Masked::new));
    }
    platform.base_url = platform.base_url.take().or(url);
    platform.model = platform.model.take().or(model);
    let own = |platform: &&mut super::Platform| {
        let has_key = platform.api_key.is_some() || platform.stored_key.is_some();
        fits(platform.kind) && platform.base_url.is_none() && !has_key
    };
    for platform in config.platforms.values_mut().filter(own) {
        platform.api_key = key.clone().map(Masked::new);
    }
    Ok(())
}

fn check(config: &Config) -> Result<(), Error> {
    if !config.listen.ip().is_loopback() {
        let example = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), config.listen.port());
        return Err(Error::Invalid(format!(
            "listen is {}, but as long as there is no access control the server listens on loopback only, such as \
             {example}; for access from elsewhere, use an SSH tunnel",
            config.listen
        )));
    }
    if !domain::Actor::is_name(&config.person) {
        let what = "a name has 1 to 64 of ASCII letters, digits, `.`, `_`, `-` and `@`";
        return Err(Error::Invalid(format!("person is `{}`, but {what}", config.person)));
    }
    for (key, platform) in &config.platforms {
        if let Some(setting) = platform.misplaced() {
            return Err(Error::Invalid(format!(
                "platforms.{key}.{setting} is set, but a platform of kind {} has no such setting; it has {}",
                platform.kind.name(),
                platform.kind.settings()
            )));
        }
        if let Some(fault) = platform.fault(&format!("platforms.{key}")) {
            return Err(Error::Invalid(fault));
        }
        if let Some(fault) = platform.limits.as_ref().and_then(super::Limits::fault) {
            return Err(Error::Invalid(format!("platforms.{key}.limits.{fault}")));
        }
        let mut tags = platform.tags.iter().chain(platform.model_tags.values().flatten());
        if let Some(error) = tags.find_map(|tag| tag.parse::<domain::PlatformTag>().err()) {
            return Err(Error::Invalid(format!("platforms.{key}.tags: {error}")));
        }
        if platform.api_key.is_some() && platform.stored_key.is_some() {
            return Err(Error::Invalid(format!("platforms.{key} has both an api_key and a stored_key; one is enough")));
        }
        if platform.more_keys.iter().any(|more| more.key.is_some() == more.stored.is_some()) {
            return Err(Error::Invalid(format!("each of platforms.{key}.more_keys has either a key or a stored one")));
        }
        if key.parse::<domain::Key>().is_err() {
            return Err(Error::Invalid(format!(
                "platforms.{key}: a key has only lower-case letters, digits and `-`, and begins with a letter"
            )));
        }
    }
    let compiled = config.redaction().map(drop).and_then(|()| config.cache.compiled().map(drop));
    if let Err(error) = compiled.and_then(|()| config.residency.compiled().map(drop)) {
        return Err(Error::Invalid(error));
    }
    if let Some(url) = &config.journal.url
        && let Err(error) = journal::kurrent::Options::from_url(url.reveal())
    {
        let error = error.to_string().replace(url.reveal(), &url.masked());
        return Err(Error::Invalid(format!("journal.url: {error}")));
    }
    let prefix = &config.journal.prefix;
    if !journal::kurrent::is_prefix(prefix) {
        return Err(Error::Invalid(format!(
            "journal.prefix is `{prefix}`, but has 1 to 40 lower-case letters and digits"
        )));
    }
    for (key, hook) in &config.hooks {
        if let Err(error) = key.parse::<domain::Key>() {
            return Err(Error::Invalid(format!("hooks.{key}: {error}")));
        }
        if let Some(fault) = hook.fault() {
            return Err(Error::Invalid(format!("hooks.{key}: {fault}")));
        }
    }
    if let Some(fault) = config.judge.fault() {
        return Err(Error::Invalid(fault));
    }
    if let Some(fault) = config.agents.fault() {
        return Err(Error::Invalid(fault));
    }
    if config.webhooks.retry_seconds.as_ref().is_some_and(|pauses| pauses.len() > 50) {
        return Err(Error::Invalid("webhooks.retry_seconds has more than 50 entries".to_owned()));
    }
    let mut ranges = [
        ("webhooks.timeout_seconds", config.webhooks.timeout_seconds, 1, 60),
        ("graphql.max_connections", u64::try_from(config.graphql.max_connections).unwrap_or(u64::MAX), 1, 1_000_000),
        ("journal.readers", u64::from(config.journal.readers), 1, 100),
        ("cache.megabytes", config.cache.megabytes, 1, 65_536),
        ("seals.every_events", config.seals.every_events, 1, 1_000_000),
        ("seals.within_seconds", config.seals.within_seconds, 1, 86_400),
        ("journal.patience_seconds", config.journal.patience_seconds, 1, 3600),
        ("engine.drain_seconds", config.engine.drain_seconds, 0, 3600),
        ("engine.takeover_seconds", config.engine.takeover_seconds, 1, 3600),
        ("engine.probe_seconds", config.engine.probe_seconds, 0, 3600),
    ]
    .into_iter();
    match ranges.find(|(_, value, least, most)| !(*least..=*most).contains(value)) {
        Some((name, value, least, most)) => {
            Err(Error::Invalid(format!("{name} is {value}, but must be {least} to {most}")))
        }
        None => Ok(()),
    }
}

/// One variable of the environment as a layer, so that an error can name it.
struct Variable {
    key: String,
    value: String,
    source: figment::Metadata,
}

impl figment::Provider for Variable {
    fn metadata(&self) -> figment::Metadata {
        self.source.clone()
    }

    fn data(&self) -> Result<figment::value::Map<Profile, Dict>, figment::Error> {
        // What looks like a number is one only where a number belongs: keys and models may be all digits.
        let leaf = self.key.rsplit('.').next().unwrap_or_default();
        let own = matches!(self.key.split('.').collect::<Vec<_>>()[..], ["platforms", _, _]);
        let value = if PARSED.contains(&leaf) || (own && super::platform::is_no_text(leaf, &self.value)) {
            self.value.parse().unwrap_or_else(|never| match never {})
        } else {
            Value::from(self.value.clone())
        };
        let dict = figment::util::nest(&self.key, value).into_dict().unwrap_or_default();
        Ok(Profile::Default.collect(dict))
    }
}

/// Every error with its place: file, variable or flag.
fn describe(errors: figment::Error) -> String {
    let lines: Vec<String> = errors
        .into_iter()
        .map(|error| {
            let source = error.metadata.as_ref().map(|source| match &source.source {
                Some(place) => format!(" (in {place})"),
                None => format!(" (in {})", source.name),
            });
            let path = if error.path.is_empty() { String::new() } else { format!("{}: ", error.path.join(".")) };
            format!("{path}{}{}", error.kind, source.unwrap_or_default())
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn with(flags: &Flags, file: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hishamos.toml");
        std::fs::write(&path, file).unwrap();
        merge(flags, &path, &environment(variables)).map_err(|error| error.to_string())
    }

    #[test]
    fn each_layer_covers_the_one_below() {
        let none = Flags::default();
        assert_eq!(with(&none, "", &[]).unwrap().listen.port(), 7410);
        let file = "listen = \"127.0.0.1:1\"\n[log]\nlevel = \"warn\"\n";
        assert_eq!(with(&none, file, &[]).unwrap().listen.port(), 1);
        let variables = [("HISHAMOS_LISTEN", "127.0.0.1:2"), ("HISHAMOS_LOG__LEVEL", "debug")];
        let config = with(&none, file, &variables).unwrap();
        assert_eq!((config.listen.port(), config.log.level.as_deref()), (2, Some("debug")));
        let flags = Flags { port: Some(3), ..Flags::default() };
        assert_eq!(with(&flags, file, &variables).unwrap().listen.port(), 3);
        assert_eq!(with(&none, file, &[("HISHAMOS_PORT", "4")]).unwrap().listen.port(), 4);
    }

    #[test]
    fn unknown_keys_are_refused_with_their_place() {
        let error = with(&Flags::default(), "liste = 1\n", &[]).unwrap_err();
        assert!(error.contains("liste") && error.contains("listen") && error.contains("hishamos.toml"), "{error}");
        let error = with(&Flags::default(), "", &[("HISHAMOS_LOG__LEVLE", "debug")]).unwrap_err();
        assert!(error.contains("levle") && error.contains("HISHAMOS_LOG__LEVLE"), "{error}");
        let error = with(&Flags::default(), "[platforms.x]\nkind = \"openai\"\nbaseurl = \"y\"\n", &[]).unwrap_err();
        assert!(error.contains("baseurl") && error.contains("base_url"), "{error}");
    }

    #[test]
    fn openai_variables_make_a_platform() {
        let config = with(&Flags::default(), "", &[("OPENAI_API_KEY", "12345"), ("OPENAI_BASE_URL", "http://x/v1")]);
        let platforms = config.unwrap().platforms;
        assert_eq!(platforms["openai"].api_key.as_ref().unwrap().reveal(), "12345");
        assert_eq!(platforms["openai"].base_url.as_deref(), Some("http://x/v1"));
        assert!(with(&Flags::default(), "", &[("OPENAI_API_KEY", "")]).unwrap().platforms.is_empty());
    }

    #[test]
    fn the_variables_of_each_service_make_its_platform() {
        let ours = [
            ("OPENAI", "openai"),
            ("ANTHROPIC", "anthropic"),
            ("GEMINI", "gemini"),
            ("OPENROUTER", "openrouter"),
            ("CURSOR", "cursor"),
        ];
        let services = PlatformKind::services().map(|(service, kind)| (service, kind.name()));
        assert_eq!(services.filter(|service| ours.contains(service)).collect::<Vec<_>>(), ours);
        for (service, kind) in PlatformKind::services() {
            let name = kind.name();
            let [key, url, model] = ENDINGS.map(|ending| format!("{service}{ending}"));
            let config = with(&Flags::default(), "", &[(&key, "k-1"), (&url, "http://x"), (&model, "m")]).unwrap();
            let platform = &config.platforms[name];
            assert_eq!((platform.kind, config.platforms.len()), (kind, 1));
            assert_eq!(platform.api_key.as_ref().unwrap().reveal(), "k-1");
            assert_eq!((platform.base_url.as_deref(), platform.model.as_deref()), (Some("http://x"), Some("m")));
            assert!(with(&Flags::default(), "", &[(&model, "m")]).unwrap().platforms.is_empty());
            let other = format!("[platforms.{name}]\nkind = \"simulator\"\n");
            assert!(with(&Flags::default(), &other, &[(&key, "k-1")]).unwrap_err().contains(&key));
        }
    }

    #[test]
    fn a_key_goes_to_every_platform_of_its_service_and_nowhere_else() {
        let file = "[platforms.thinker]\nkind = \"openai-responses\"\n\
                    [platforms.mine]\nkind = \"openai\"\nbase_url = \"http://mine/v1\"\n\
                    [platforms.other]\nkind = \"openai\"\napi_key = \"own\"\n[platforms.claude]\nkind = \"anthropic\"\n";
        let config = with(&Flags::default(), file, &[("OPENAI_API_KEY", "k-1")]).unwrap();
        let key = |name: &str| config.platforms[name].api_key.as_ref().map(|key| key.reveal().to_owned());
        assert_eq!(key("openai").as_deref(), Some("k-1"));
        assert_eq!(key("thinker").as_deref(), Some("k-1"));
        assert_eq!(key("other").as_deref(), Some("own"));
        assert_eq!((key("mine"), key("claude")), (None, None));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let error = with(&Flags::default(), "listen = \"0.0.0.0:7410\"\n", &[]).unwrap_err();
        assert!(error.contains("loopback only"), "{error}");
        let error = with(&Flags::default(), "[platforms.sim]\nkind = \"simulator\"\nmodel = \"x\"\n", &[]).unwrap_err();
        assert!(error.contains("platforms.sim.model"), "{error}");
        let error = with(&Flags::default(), "[journal]\nreaders = 0\n", &[]).unwrap_err();
        assert!(error.contains("journal.readers is 0"), "{error}");
        let flags = Flags { config: Some("/nowhere.toml".into()), ..Flags::default() };
        assert!(with(&flags, "", &[]).unwrap_err().contains("/nowhere.toml"));
    }

    #[test]
    fn what_cursor_works_on_is_checked() {
        let platform = |rest: &str| {
            let file = format!("[platforms.cursor]\nkind = \"cursor\"\napi_key = \"k\"\n{rest}");
            with(&Flags::default(), &file, &[])
        };
        let fine =
            "[platforms.cursor.cursor]\nrepository = \"https://github.com/a/b\"\nref = \"main\"\npull_request = true\n";
        let work = |config: Config| serde_json::to_value(&config.platforms["cursor"]).unwrap()["cursor"].take();
        assert_eq!(
            work(platform(fine).unwrap()),
            serde_json::json!({ "repository": "https://github.com/a/b", "ref": "main", "pull_request": true,
                "same_branch": false })
        );
        assert!(work(platform("").unwrap()).is_null());
        for (wrong, said) in [
            ("cursor = { repository = \"a/b\" }\n", "platforms.cursor.cursor: repository"),
            ("cursor = { repository = \"https://u:p@x/b\" }\n", "platforms.cursor.cursor: repository"),
            ("cursor = { repository = \"https://x/b\", same_branch = true }\n", "same_branch"),
            ("more_keys = [{ key = \"x\" }]\n", "platforms.cursor.more_keys"),
            ("stream = true\n", "platforms.cursor.stream"),
        ] {
            let error = platform(wrong).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn settings_of_one_kind_are_none_of_another() {
        let none = Flags::default();
        let platform = |kind: &str, rest: &str| {
            with(&none, &format!("[platforms.x]\nkind = \"{kind}\"\n{rest}"), &[])
                .map(|config| config.platforms["x"].clone())
        };
        // Whatever a kind has of its own, the others have not, and it is said so.
        for (own, value) in [
            ("prompt_cache", "false"),
            ("path", "\"a.gguf\""),
            ("latency_ms", "7"),
            ("command", "{ program = \"/bin/a\", directory = \"/tmp\" }"),
            ("acp", "{ program = \"/bin/a\", directory = \"/tmp\" }"),
            ("cursor", "{ repository = \"https://x/a\" }"),
        ] {
            for kind in PlatformKind::all() {
                let takes =
                    providers::kind::KINDS.iter().any(|known| known.name == kind.name() && known.own.contains(&own));
                let outcome = platform(kind.name(), &format!("{own} = {value}\n"));
                match outcome {
                    Ok(platform) => {
                        assert!(takes, "{own} of {kind:?}");
                        assert!(serde_json::to_value(&platform).unwrap().get(own).is_some(), "it is shown");
                    }
                    Err(error) => {
                        let said =
                            format!("platforms.x.{own} is set, but a platform of kind {} has no such", kind.name());
                        assert!(!takes && error.contains(&said), "{error}");
                    }
                }
            }
        }
        // Nor has any what nobody knows. Either way it is told all that the kind has, and nothing else.
        for kind in providers::kind::KINDS {
            let has = [&["kind"], kind.takes, kind.own, &["tags", "model_tags", "limits"]].concat();
            let has: Vec<String> = has.iter().map(|setting| format!("`{setting}`")).collect();
            let error = platform(kind.name, "baseurl = \"y\"\n").unwrap_err();
            let said = format!("unknown setting `baseurl`; a platform of kind {} has {}", kind.name, has.join(", "));
            assert!(error.contains("platforms.x: ") && error.contains(&said), "{error}");
            assert!(error.ends_with("hishamos.toml)"), "{error}");
        }
        let error = platform("anthropic", "path = \"a.gguf\"\n").unwrap_err();
        assert!(error.contains("; it has `kind`, `base_url`,") && error.contains("`prompt_cache`"), "{error}");
        let nameless = with(&none, "[platforms.x]\nknd = \"openai\"\n", &[]).unwrap_err();
        assert!(nameless.contains("platforms.x: unknown setting `knd`; a platform's `kind` says"), "{nameless}");
        // What is wrong besides is told as well as ever.
        let missing = with(&none, "[platforms.x]\nmodel = \"m\"\n", &[]).unwrap_err();
        assert!(missing.contains("missing field `kind`"), "{missing}");
        let wrong = platform("openai", "stream = 7\nbaseurl = \"y\"\n").unwrap_err();
        assert!(wrong.contains("platforms.x.stream"), "{wrong}");
        for (kind, missing) in [("command", "[platforms.x.command]"), ("acp", "[platforms.x.acp]")] {
            assert!(platform(kind, "").unwrap_err().contains(missing));
        }
        let error = platform("no-kind", "").unwrap_err();
        assert!(
            error.contains("platforms.x.kind") && error.contains("`no-kind`") && error.contains("openai"),
            "{error}"
        );
    }

    #[test]
    fn what_is_wrong_with_the_settings_of_a_kind_is_said_with_its_place() {
        let error = |file: &str, variables: &[(&str, &str)]| with(&Flags::default(), file, variables).unwrap_err();
        let command =
            "[platforms.x]\nkind = \"command\"\n[platforms.x.command]\nprogram = \"/bin/a\"\ndirectory = \"/tmp\"\n";
        let unknown = error(&format!("{command}[platforms.x.command.json]\ntext = \"/t\"\ntxt = \"/t\"\n"), &[]);
        assert!(unknown.contains("platforms.x: command.json.txt: unknown field `txt`, expected"), "{unknown}");
        assert!(unknown.contains("hishamos.toml"), "{unknown}");
        let missing = error("[platforms.x]\nkind = \"acp\"\nacp = { program = \"/bin/a\" }\n", &[]);
        assert!(missing.contains("platforms.x: acp: missing field `directory`"), "{missing}");
        let simulator = "[platforms.x]\nkind = \"simulator\"\n";
        let wrong = error(simulator, &[("HISHAMOS_PLATFORMS__X__LATENCY_MS", "soon")]);
        assert!(wrong.contains("platforms.x: latency_ms: invalid type"), "{wrong}");
        let set = |file: &str, name: &str, value: &str| {
            let name = format!("HISHAMOS_PLATFORMS__X__{name}");
            let config = with(&Flags::default(), file, &[(&name, value)]).unwrap();
            serde_json::to_value(&config.platforms["x"]).unwrap()
        };
        assert_eq!(set(simulator, "LATENCY_MS", "7")["latency_ms"], 7);
        assert_eq!(set("[platforms.x]\nkind = \"anthropic\"\n", "PROMPT_CACHE", "false")["prompt_cache"], false);
        assert_eq!(set("[platforms.x]\nkind = \"local\"\n", "PATH", "7")["path"], "7", "a text may be all digits");
        // And secrets in them are not shown.
        let secret = format!("{command}environment = {{ TOKEN = \"hidden\" }}\n");
        let config = with(&Flags::default(), &secret, &[]).unwrap();
        let shown = serde_json::to_string(&config).unwrap() + &format!("{config:?}");
        assert!(shown.contains("TOKEN") && !shown.contains("hidden"), "{shown}");
    }

    #[test]
    fn limits_of_platforms_have_their_ranges() {
        let platform = |limits: &str| {
            let file = format!("[platforms.x]\nkind = \"openai\"\n[platforms.x.limits]\n{limits}\n");
            with(&Flags::default(), &file, &[("HISHAMOS_PLATFORMS__X__LIMITS__AT_ONCE", "3")])
        };
        let limits = platform("requests_per_minute = 60").unwrap().platforms["x"].limits.unwrap();
        assert_eq!((limits.requests_per_minute, limits.tokens_per_minute, limits.at_once), (Some(60), None, Some(3)));
        let error = platform("tokens_per_minute = 99").unwrap_err();
        assert!(error.contains("platforms.x.limits.tokens_per_minute is 99, but must be 100 to"), "{error}");
        assert!(platform("requests = 60").unwrap_err().contains("requests_per_minute"));
    }

    #[test]
    fn a_url_alone_names_the_journal() {
        let none = Flags::default();
        let url = |config: Config| config.journal.url.unwrap().reveal().to_owned();
        let short = with(&none, "journal = \"kurrentdb://a:1?tls=false\"\n", &[]).unwrap();
        assert_eq!(short.journal.readers, 8);
        assert_eq!(url(short), "kurrentdb://a:1?tls=false");
        let long = "[journal]\nurl = \"esdb://a:1\"\nprefix = \"acme\"\nreaders = 3\n";
        let long = with(&none, long, &[("HISHAMOS_JOURNAL__URL", "kurrentdb://b:2")]).unwrap();
        assert_eq!((long.journal.readers, long.journal.prefix.as_str()), (3, "acme"));
        assert_eq!(url(long), "kurrentdb://b:2");
        assert_eq!(url(with(&none, "", &[("HISHAMOS_JOURNAL", "kurrentdb://c:3")]).unwrap()), "kurrentdb://c:3");
        let error = with(&none, "journal = \"mysql://u:hidden@x\"\n", &[]).unwrap_err();
        assert!(
            error.contains("journal.url") && error.contains("kurrentdb://") && !error.contains("hidden"),
            "{error}"
        );
        let error = with(&none, "[journal]\nprefix = \"a_b\"\n", &[]).unwrap_err();
        assert!(error.contains("journal.prefix is `a_b`"), "{error}");
        let error = with(&none, "[journal]\nurls = \"x\"\n", &[]).unwrap_err();
        assert!(error.contains("urls"), "{error}");
    }

    #[test]
    fn nothing_simulates_unless_asked_to() {
        assert!(with(&Flags::default(), "", &[]).unwrap().platforms.is_empty());
        let flags = Flags { simulate: true, ..Flags::default() };
        let config = with(&flags, "", &[("OPENAI_API_KEY", "k")]).unwrap();
        assert_eq!(config.default_platforms, ["simulator"]);
    }

    #[test]
    fn secrets_are_masked_when_shown() {
        let file = "database_url = \"postgres://u:hidden@h/d\"\n[platforms.x]\nkind = \"openai\"\napi_key = \"hidden\"\n\
             more_keys = [{ key = \"hidden\" }]\n";
        let config = with(&Flags::default(), file, &[]).unwrap();
        let shown = serde_json::to_string(&config).unwrap() + &format!("{config:?}");
        assert!(!shown.contains("hidden"), "{shown}");
    }
}
