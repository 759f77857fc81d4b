//! What can be configured, and the one place that reads files and the environment for it.
//!
//! Invariants: defaults < file < environment < flags; a key that nobody knows is refused; no secret leaves this module
//! except to the part that needs it.

mod agents;
mod cache;
mod judge;
mod limits;
mod load;
mod platform;
mod redaction;
mod residency;
mod secret;
mod webhooks;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use agents::Agents;
pub(crate) use cache::Cache;
pub(crate) use judge::Judge;
pub(crate) use limits::Limits;
pub(crate) use load::{Flags, load};
pub(crate) use platform::{Platform, PlatformKind, variable};
pub(crate) use redaction::Redaction;
pub(crate) use residency::Residency;
pub(crate) use secret::{DatabaseUrl, Masked};
pub(crate) use webhooks::{HookScheme, IncomingHook, Webhooks};

/// Everything that can be configured.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Where the program keeps its own things: the private PostgreSQL, models, the file that names the running server.
    pub(crate) data_dir: PathBuf,
    /// A PostgreSQL to use instead of the private one.
    pub(crate) database_url: Option<DatabaseUrl>,
    /// Where the server listens; loopback only.
    pub(crate) listen: SocketAddr,
    pub(crate) log: Log,
    /// In whose name is asked and commanded, as long as there is no access control: who says so is believed.
    pub(crate) person: String,
    /// Where work goes that names no platform, most wanted first; empty means every platform in the order of their
    /// kinds ([`PlatformKind`]), a simulator only when there is nothing else.
    pub(crate) default_platforms: Vec<String>,
    /// The AI platforms, by key.
    pub(crate) platforms: BTreeMap<String, Platform>,
    /// The journal; only a URL stands for one with nothing else said.
    #[serde(deserialize_with = "journal")]
    pub(crate) journal: Journal,
    /// The seals of the journal.
    pub(crate) seals: Seals,
    /// How what is personal is kept.
    pub(crate) privacy: Privacy,
    /// The encrypted store for the keys of platforms.
    pub(crate) keys: Keys,
    /// What is masked before it leaves for a platform.
    pub(crate) redaction: Redaction,
    /// Which answers of platforms are kept and serve again.
    pub(crate) cache: Cache,
    /// Where data may go.
    pub(crate) residency: Residency,
    /// The engine.
    pub(crate) engine: Engine,
    /// How agents are chosen.
    pub(crate) agents: Agents,
    /// What answers are asked for.
    pub(crate) output: Output,
    /// Who judges answers.
    pub(crate) judge: Judge,
    /// The REST API.
    pub(crate) rest: Rest,
    /// The private PostgreSQL.
    pub(crate) postgres: Postgres,
    /// The catalogue.
    pub(crate) catalog: Catalog,
    /// GraphQL.
    pub(crate) graphql: Graphql,
    /// Webhooks.
    pub(crate) webhooks: Webhooks,
    /// How what is posted for triggers is checked, by the trigger's key.
    pub(crate) hooks: BTreeMap<String, IncomingHook>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "data".into(),
            database_url: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7410)),
            log: Log::default(),
            person: "operator".to_owned(),
            default_platforms: Vec::new(),
            platforms: BTreeMap::new(),
            journal: Journal::default(),
            seals: Seals::default(),
            privacy: Privacy::default(),
            keys: Keys::default(),
            redaction: Redaction::default(),
            cache: Cache::default(),
            residency: Residency::default(),
            engine: Engine::default(),
            agents: Agents::default(),
            output: Output::default(),
            judge: Judge::default(),
            rest: Rest::default(),
            postgres: Postgres::default(),
            catalog: Catalog::default(),
            graphql: Graphql::default(),
            webhooks: Webhooks::default(),
            hooks: BTreeMap::new(),
        }
    }
}

impl Config {
    /// What is masked, as the engine takes it.
    ///
    /// # Errors
    /// In words, when it has errors.
    pub(crate) fn redaction(&self) -> Result<engine::Redaction, String> {
        // The one that is there without being configured is called so.
        let configured = self.platforms.iter().filter(|(_, platform)| platform.kind == PlatformKind::LOCAL);
        let local = configured.map(|(key, _)| key.as_str());
        let made = (!self.platforms.contains_key("local")).then_some("local");
        self.redaction.compiled(local.chain(made))
    }

    /// Where the master key lies, under which the keys of subjects are wrapped.
    pub(crate) fn privacy_key(&self) -> PathBuf {
        self.privacy.key_file.clone().unwrap_or_else(|| self.data_dir.join("privacy.key"))
    }

    /// Where the secret key of the seals lies.
    pub(crate) fn seal_key(&self) -> PathBuf {
        self.seals.key_file.clone().unwrap_or_else(|| self.data_dir.join("seal.key"))
    }
}

/// How what is personal is kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Privacy {
    /// The file with the master key; `privacy.key` in the data directory when not given. Made when a first run is about
    /// somebody and it is not there.
    pub(crate) key_file: Option<PathBuf>,
}

/// The encrypted store for the keys of platforms.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Keys {
    /// The file with the encrypted keys; `keys.json` in the data directory when not given.
    pub(crate) file: Option<PathBuf>,
    /// The file with the master key; `keys.master` in the data directory when not given. Made when a first key is stored.
    pub(crate) master_key_file: Option<PathBuf>,
}

/// When the journal is sealed, and with what.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Seals {
    /// Whether this node seals at all.
    pub(crate) enabled: bool,
    /// After how many events, at most, 1 to 1,000,000.
    pub(crate) every_events: u64,
    /// After how many seconds, at most, once there is something to seal, 1 to 86,400.
    pub(crate) within_seconds: u64,
    /// The file with the secret key; `seal.key` in the data directory when not given. Made when it is not there and the
    /// journal has no key yet.
    pub(crate) key_file: Option<PathBuf>,
    /// A place outside of the database that keeps every statement as well: a file, `s3://BUCKET/PREFIX`, or a URL to
    /// which each is posted.
    pub(crate) copy_to: Option<String>,
    /// For a URL: the secret by which it is signed, `whsec_` and base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) copy_secret: Option<Masked>,
    /// For a bucket: where it is, whose keys are used, and how it is locked.
    pub(crate) s3: S3,
}

/// A bucket of an S3 service.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct S3 {
    /// Where the service answers; Amazon's own in the region when not given.
    pub(crate) endpoint: Option<String>,
    /// The region; `us-east-1` when not given.
    pub(crate) region: Option<String>,
    /// The id of the access key; `AWS_ACCESS_KEY_ID` when not given.
    pub(crate) access_key: Option<String>,
    /// Its secret; `AWS_SECRET_ACCESS_KEY` when not given.
    pub(crate) secret_key: Option<Masked>,
    /// The token of temporary keys; `AWS_SESSION_TOKEN` when not given.
    pub(crate) session_token: Option<Masked>,
    /// How objects are locked; as the bucket does by itself when not given.
    pub(crate) lock: Option<ObjectLock>,
    /// For how many days, 1 to 36,500.
    pub(crate) lock_days: Option<u32>,
}

/// Who may lift the lock of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ObjectLock {
    /// Nobody.
    Compliance,
    /// Whoever has a permission of its own for that.
    Governance,
}

impl Default for Seals {
    fn default() -> Self {
        Self {
            enabled: true,
            every_events: 10_000,
            within_seconds: 60,
            key_file: None,
            copy_to: None,
            copy_secret: None,
            s3: S3::default(),
        }
    }
}

/// What is logged, to standard error.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// A level, or directives such as `info,engine=debug`; when not given, `info` for `serve` and `warn` otherwise.
    pub(crate) level: Option<String>,
    /// For people or for machines.
    pub(crate) format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: None, format: LogFormat::Text }
    }
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// One readable line each.
    Text,
    /// One JSON object each.
    Json,
}

/// How the journal works.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Journal {
    /// A KurrentDB that keeps the journal; in PostgreSQL, beside the read models, when not given.
    pub(crate) url: Option<DatabaseUrl>,
    /// What the names of the journal's streams in KurrentDB begin with.
    pub(crate) prefix: String,
    /// How many database connections read at most, 1 to 100.
    pub(crate) readers: u32,
    /// How long an append waits for a database that cannot be reached, in seconds.
    pub(crate) patience_seconds: u64,
}

impl Default for Journal {
    fn default() -> Self {
        Self { url: None, prefix: "hishamos".to_owned(), readers: 8, patience_seconds: 30 }
    }
}

/// `journal = "kurrentdb://…"`, or a table.
fn journal<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Journal, D::Error> {
    struct Either;

    impl<'de> serde::de::Visitor<'de> for Either {
        type Value = Journal;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the URL of a KurrentDB, or a table of settings")
        }

        fn visit_str<E: serde::de::Error>(self, url: &str) -> Result<Journal, E> {
            let url = (!url.is_empty()).then(|| DatabaseUrl::new(url.to_owned()));
            Ok(Journal { url, ..Journal::default() })
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Journal, A::Error> {
            Journal::deserialize(serde::de::value::MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_any(Either)
}

/// What answers are asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Output {
    /// How much of the output layer a run asks for that does not say it.
    pub(crate) default: domain::task::Form,
}

/// How the engine works.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Engine {
    /// How long running calls may go on after a shutdown was asked for, in seconds.
    pub(crate) drain_seconds: u64,
    /// How long a node may be silent before the others take its runs, in seconds. One that was killed is noticed
    /// within a second.
    pub(crate) takeover_seconds: u64,
    /// How often a platform that is left alone after failures is asked whether it can be reached, in seconds; 0 asks never.
    pub(crate) probe_seconds: u64,
}

impl Engine {
    /// The pace of probes; `None` for none.
    pub(crate) fn probe_every(&self) -> Option<Duration> {
        (self.probe_seconds > 0).then(|| Duration::from_secs(self.probe_seconds))
    }

    /// The drain time.
    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self { drain_seconds: 2, takeover_seconds: 3, probe_seconds: 5 }
    }
}

/// How the REST API behaves.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rest {
    /// How many requests one caller may make in a minute; 0 sets no limit.
    pub(crate) requests_per_minute: u32,
}

impl Rest {
    /// The rate that is allowed.
    pub(crate) fn rate(&self) -> Option<rest::Rate> {
        let requests = self.requests_per_minute;
        (requests > 0).then_some(rest::Rate { requests, window: Duration::from_secs(60) })
    }
}

impl Default for Rest {
    fn default() -> Self {
        Self { requests_per_minute: 6000 }
    }
}

/// How the private PostgreSQL is run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Postgres {
    /// Where its programs are; the usual places when not given.
    pub(crate) bin_dir: Option<PathBuf>,
    /// Settings as in postgresql.conf.
    pub(crate) settings: BTreeMap<String, String>,
}

/// Which catalogue is loaded.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Catalog {
    /// The directory of one's own catalogue, which lies over the starter catalogue.
    pub(crate) dir: Option<PathBuf>,
}

/// What GraphQL carries out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Graphql {
    /// A folder of `.graphql` files with documents that requests may name by their SHA-256.
    pub(crate) documents: Option<PathBuf>,
    /// Whether nothing but these documents is carried out.
    pub(crate) only_listed: bool,
    /// How many WebSocket connections and event streams there may be at once, 1 to 1,000,000; fewer when the system
    /// allows no more open files.
    pub(crate) max_connections: usize,
}

impl Default for Graphql {
    fn default() -> Self {
        Self { documents: None, only_listed: false, max_connections: 12_000 }
    }
}
