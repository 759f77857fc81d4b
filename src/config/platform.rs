//! One AI platform.
//!
//! Invariants: which kinds there are, and what each takes, is said by [`KINDS`] and nowhere else. A setting that no kind knows is
//! refused where it is read; one that only others know, when the configuration is checked. Either way it is said what its kind has.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use providers::kind::{KINDS, Kind, NAMES, Opens, Own, Role};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, IntoDeserializer, MapAccess, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Limits, Masked};

/// The settings that platforms of all kinds have.
const EVERYBODYS: [&str; 4] = ["kind", "tags", "model_tags", "limits"];

/// The kind of an AI platform. Kinds are in the order in which they are asked when nobody says otherwise.
#[derive(Clone, Copy)]
pub(crate) struct PlatformKind(&'static Kind);

impl PlatformKind {
    /// An open-weights model in this process.
    pub(crate) const LOCAL: Self = Self(&providers::local_model::KIND);
    /// Asks no model, openly so.
    pub(crate) const SIMULATOR: Self = Self(&providers::simulator::KIND);

    /// Every kind, in their order.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        KINDS.iter().copied().map(Self)
    }

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.name() == name)
    }

    /// The services whose usual variables make a platform: what the variables begin with, and its kind, whose name is also that
    /// of the platform.
    pub(crate) fn services() -> impl Iterator<Item = (&'static str, Self)> {
        let with = |service| Self::all().find(|kind| kind.service() == Some(service));
        Self::all().filter_map(move |kind| {
            let service = kind.service()?;
            (with(service) == Some(kind)).then_some((service, kind))
        })
    }

    /// The name in the configuration.
    pub(crate) const fn name(self) -> &'static str {
        self.0.name
    }

    /// What the usual variables of its service begin with.
    pub(crate) const fn service(self) -> Option<&'static str> {
        self.0.service
    }

    /// Whether it has a key.
    pub(crate) fn has_key(self) -> bool {
        self.takes("api_key")
    }

    /// Whether it works for whoever wants a model.
    pub(crate) fn is_model(self) -> bool {
        self.0.role == Role::Model
    }

    /// Whether it is an agent by itself, which works only for those who name it.
    pub(crate) fn is_agent(self) -> bool {
        self.0.role == Role::Agent
    }

    fn takes(self, setting: &str) -> bool {
        self.0.takes.contains(&setting)
    }

    /// Every setting that a platform of this kind has, for a person.
    pub(crate) fn settings(self) -> String {
        let [kind, others @ ..] = EVERYBODYS;
        let all =
            [kind].into_iter().chain(self.0.takes.iter().copied()).chain(self.0.own.iter().copied()).chain(others);
        all.map(|setting| format!("`{setting}`")).collect::<Vec<_>>().join(", ")
    }

    fn place(self) -> usize {
        KINDS.iter().take_while(|kind| kind.name != self.0.name).count()
    }
}

impl fmt::Debug for PlatformKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for PlatformKind {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for PlatformKind {}

impl Ord for PlatformKind {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl PartialOrd for PlatformKind {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<'de> Deserialize<'de> for PlatformKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| D::Error::unknown_variant(&name, NAMES))
    }
}

impl Serialize for PlatformKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One AI platform.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(crate) struct Platform {
    /// What it is.
    pub(crate) kind: PlatformKind,
    /// Over HTTP: where the API begins; the platform's own service when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base_url: Option<String>,
    /// Over HTTP: the key; servers of one's own often need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) api_key: Option<Masked>,
    /// Over HTTP: the name of the stored key to use; that of the platform itself when not given, if there is such a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stored_key: Option<String>,
    /// Over HTTP: further keys, among which calls are spread.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) more_keys: Vec<MoreKey>,
    /// The model for agents that name none. local: what the model is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    /// Over HTTP: a proxy for every call, as a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proxy: Option<String>,
    /// Over HTTP: a PEM file with certificates to trust besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) certificates: Option<PathBuf>,
    /// Over HTTP: whether answers are asked for in pieces, so that they can be followed; they are when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stream: Option<bool>,
    /// What it is tagged with, such as the region in which it processes data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<String>,
    /// What some of its models are tagged with instead.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) model_tags: BTreeMap<String, Vec<String>>,
    /// How much may go there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) limits: Option<Limits>,
    /// The settings that its kind has of its own.
    #[serde(skip, default = "unread")]
    own: Own,
    /// A setting that another kind has of its own.
    #[serde(skip)]
    foreign: Option<String>,
}

fn unread() -> Own {
    Err("the settings of its kind were not read".to_owned())
}

/// A further key of a platform.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoreKey {
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<Masked>,
    /// The name of a stored key instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stored: Option<String>,
    /// How many calls it takes for each one of `api_key`; 0 keeps it for when all others rest.
    #[serde(default = "one")]
    pub(crate) weight: u32,
}

const fn one() -> u32 {
    1
}

impl Platform {
    /// One of a kind with nothing said.
    pub(crate) fn of(kind: PlatformKind) -> Self {
        Self {
            kind,
            base_url: None,
            api_key: None,
            stored_key: None,
            more_keys: Vec::new(),
            model: None,
            proxy: None,
            certificates: None,
            stream: None,
            tags: Vec::new(),
            model_tags: BTreeMap::new(),
            limits: None,
            own: (kind.0.read)(Map::new()),
            foreign: None,
        }
    }

    /// The settings that its kind has of its own.
    ///
    /// # Errors
    /// In words, when they cannot be read.
    pub(crate) fn own(&self) -> Result<&dyn Opens, &str> {
        self.own.as_deref().map_err(String::as_str)
    }

    /// What is wrong with the settings that its kind has of its own; its table is `at`.
    pub(crate) fn fault(&self, at: &str) -> Option<String> {
        self.own().map_or_else(|error| Some(format!("{at}: {error}")), |own| own.fault(at))
    }

    /// The first setting that is there although its kind has no use for it.
    pub(crate) fn misplaced(&self) -> Option<&str> {
        let shared = [
            ("base_url", self.base_url.is_some()),
            ("api_key", self.api_key.is_some()),
            ("stored_key", self.stored_key.is_some()),
            ("more_keys", !self.more_keys.is_empty()),
            ("proxy", self.proxy.is_some()),
            ("certificates", self.certificates.is_some()),
            ("stream", self.stream.is_some()),
            ("model", self.model.is_some()),
        ];
        let misplaced = shared.into_iter().find(|(name, is_set)| *is_set && !self.kind.takes(name));
        misplaced.map(|(name, _)| name).or(self.foreign.as_deref())
    }
}

impl<'de> Deserialize<'de> for Platform {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Table;

        impl<'de> Visitor<'de> for Table {
            type Value = Platform;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the settings of a platform")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Platform, A::Error> {
                let (mut own, mut strange) = (Map::new(), Strange::default());
                let shared = Shared { map, own: &mut own, strange: &mut strange };
                let read = Platform::deserialize(MapAccessDeserializer::new(shared));
                let Strange { has_kind, setting } = strange;
                if let (Some(setting), false) = (&setting, has_kind) {
                    let what = "a platform's `kind` says which ones it has, and there is none";
                    return Err(A::Error::custom(format!("unknown setting `{setting}`; {what}")));
                }
                let mut platform = read?;
                if let Some(setting) = setting {
                    let (kind, settings) = (platform.kind.name(), platform.kind.settings());
                    let what = format!("unknown setting `{setting}`; a platform of kind {kind} has {settings}");
                    return Err(A::Error::custom(what));
                }
                let kind = platform.kind.0;
                platform.foreign = own.keys().find(|name| !kind.own.contains(&name.as_str())).cloned();
                own.retain(|name, _| kind.own.contains(&name.as_str()));
                platform.own = Ok((kind.read)(own).map_err(A::Error::custom)?);
                Ok(platform)
            }
        }

        deserializer.deserialize_map(Table)
    }
}

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shared = Self::serialize(self, serde_json::value::Serializer).map_err(S::Error::custom)?;
        let own = self.own().map(Opens::shown).unwrap_or_default();
        let all: Map<String, Value> = shared.as_object().cloned().unwrap_or_default().into_iter().chain(own).collect();
        all.serialize(serializer)
    }
}

/// The shared settings of a table; those that kinds have of their own are put aside, and those that nobody knows left out.
struct Shared<'a, A> {
    map: A,
    own: &'a mut Map<String, Value>,
    strange: &'a mut Strange,
}

/// What a table has that nobody knows.
#[derive(Default)]
struct Strange {
    /// Whether it says of which kind the platform is, rightly or not.
    has_kind: bool,
    /// The first setting that no kind has.
    setting: Option<String>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Shared<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(name) = self.map.next_key::<String>()? {
            let setting = name.as_str();
            if KINDS.iter().any(|kind| kind.own.contains(&setting)) {
                let value = self.map.next_value()?;
                self.own.insert(name, value);
            } else if EVERYBODYS.contains(&setting) || KINDS.iter().any(|kind| kind.takes.contains(&setting)) {
                self.strange.has_kind |= setting == "kind";
                return seed.deserialize(name.into_deserializer()).map(Some);
            } else {
                self.map.next_value::<IgnoredAny>()?;
                self.strange.setting.get_or_insert(name);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

/// Whether some kind has a setting of this name of its own, and none takes this text for it: then it is a number or the like.
pub(super) fn is_no_text(setting: &str, text: &str) -> bool {
    let mut kinds = KINDS.iter().filter(|kind| kind.own.contains(&setting)).peekable();
    let text = || Map::from_iter([(setting.to_owned(), Value::from(text))]);
    kinds.peek().is_some() && !kinds.any(|kind| (kind.read)(text()).is_ok())
}

/// A variable of the environment, for the programs that are started in it.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
