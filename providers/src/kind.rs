//! What kinds of platforms there are, and how one of each is made from what an administrator says.
//!
//! Invariant: a kind describes itself in the file that implements it, as a [`Kind`]: what it is called, which settings it takes,
//! how one is opened, when it is asked. The rest of the program knows kinds from [`KINDS`] alone, which are whatever is in the folder of
//! platforms; so a new one is its file there.

use std::error::Error;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Platform, http, platforms};

/// Every kind, in the order in which their platforms are asked when nobody says otherwise.
pub const KINDS: &[&Kind] = &in_order(platforms::ALL);

/// What the configuration calls them.
pub const NAMES: &[&str] = &names(KINDS);

const _: () = assert!(differ(NAMES), "two kinds of platforms have one name");

/// The shared settings of what is reached over HTTP.
pub const OVER_HTTP: &[&str] =
    &["base_url", "api_key", "stored_key", "more_keys", "model", "proxy", "certificates", "stream"];

/// A kind of platform.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// What the configuration calls it.
    pub name: &'static str,
    /// What the usual variables of its service begin with, such as `ANTHROPIC` of `ANTHROPIC_API_KEY`. They make a platform of
    /// the first kind that names them, and is called like that.
    pub service: Option<&'static str>,
    /// Whom its platforms work for.
    pub role: Role,
    /// When its platforms are asked if nobody says otherwise: after those of all kinds with a lower rank, and among kinds of the same
    /// one in the order of their names. The simulator, which stands in for nobody, has the highest, before it comes the local model.
    pub rank: u16,
    /// The vendor in LiteLLM's map of prices whose models `./dev prices` takes from there for its calls; what
    /// [`Protocol::vendor`](http::Protocol::vendor) says of its service.
    pub vendor: Option<&'static str>,
    /// The shared settings that it takes; tags and limits are for all.
    pub takes: &'static [&'static str],
    /// The settings of its own.
    pub own: &'static [&'static str],
    /// Reads the settings of its own, from a table with nothing else in it.
    pub read: fn(Map<String, Value>) -> Own,
}

/// The settings of its own that a kind has, or which of them is wrong, and how.
pub type Own = Result<Arc<dyn Opens>, String>;

/// Whom platforms of a kind work for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Whoever wants a model.
    Model,
    /// Those who name it: it is an agent by itself.
    Agent,
    /// Whoever wants no model; it stands in for none.
    Simulator,
}

impl Kind {
    /// The rank of a kind that says none: after all that come with the program but the local model and the simulator.
    pub const USUAL_RANK: u16 = 100;

    /// A kind of model with these settings of its own, which is reached over HTTP and whose service has no usual variables.
    #[must_use]
    pub const fn over_http<S: Settings>(name: &'static str) -> Self {
        Self { takes: OVER_HTTP, ..Self::of::<S>(name) }
    }

    /// A kind of model with these settings of its own and the model's name.
    #[must_use]
    pub const fn of<S: Settings>(name: &'static str) -> Self {
        Self {
            name,
            service: None,
            role: Role::Model,
            rank: Self::USUAL_RANK,
            vendor: None,
            takes: &["model"],
            own: S::NAMES,
            read: read::<S>,
        }
    }

    /// Whether its platforms are asked before those of another.
    const fn precedes(&self, other: &Self) -> bool {
        self.rank < other.rank || (self.rank == other.rank && is_less(self.name.as_bytes(), other.name.as_bytes()))
    }
}

/// The settings of its own that a kind has, as the configuration has them.
///
/// Unknown settings are for `Deserialize` to refuse (`deny_unknown_fields`); what `Serialize` writes is shown to people, so secrets
/// in it are [`Secret`](crate::Secret)s.
pub trait Settings: Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Their names.
    const NAMES: &'static [&'static str] = &[];

    /// What is wrong with them, told of the platform whose table is `at`, such as `platforms.coder`.
    fn fault(&self, at: &str) -> Option<String> {
        let _ = at;
        None
    }

    /// Makes a platform; connects to nothing.
    ///
    /// # Errors
    /// When the settings cannot work.
    fn open(&self, setup: Setup<'_>) -> Result<Arc<dyn Platform>, Unusable>;
}

/// Why a platform cannot be made.
pub type Unusable = Box<dyn Error + Send + Sync>;

/// Settings of a kind that is known by its name alone.
pub trait Opens: Debug + Send + Sync {
    /// See [`Settings::fault`].
    fn fault(&self, at: &str) -> Option<String>;

    /// The settings as they are shown, those that were not given left out.
    fn shown(&self) -> Map<String, Value>;

    /// See [`Settings::open`].
    ///
    /// # Errors
    /// When the settings cannot work.
    fn open(&self, setup: Setup<'_>) -> Result<Arc<dyn Platform>, Unusable>;
}

impl<S: Settings> Opens for S {
    fn fault(&self, at: &str) -> Option<String> {
        Settings::fault(self, at)
    }

    fn shown(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(mut shown)) => {
                shown.retain(|_, value| !value.is_null());
                shown
            }
            _ => Map::new(),
        }
    }

    fn open(&self, setup: Setup<'_>) -> Result<Arc<dyn Platform>, Unusable> {
        Settings::open(self, setup)
    }
}

fn read<S: Settings>(own: Map<String, Value>) -> Own {
    let read = serde_path_to_error::deserialize::<_, S>(Value::Object(own));
    read.map(|settings| Arc::new(settings) as Arc<dyn Opens>).map_err(|error| {
        let (path, what) = (error.path().to_string(), error.inner().to_string());
        if path == "." { what } else { format!("{path}: {what}") }
    })
}

/// What a platform is made from besides the settings of its kind.
pub struct Setup<'a> {
    /// Its key.
    pub key: &'a str,
    /// The model for requests that name none.
    pub model: Option<String>,
    /// Where its API begins, when that was said.
    pub base_url: Option<String>,
    /// How it is reached over HTTP; key, model and base URL are filled in by [`at`](Self::at).
    pub http: http::Options,
    /// Where the program keeps its own things.
    pub data_dir: &'a Path,
    /// The variables of the program's environment, for what is started in it.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Setup<'_> {
    /// How it is reached over HTTP: at its service's `home` unless another place was said. `usual` is the model for when nobody
    /// names one, where the service itself is asked; a cheap one that is good enough for the starter catalogue.
    #[must_use]
    pub fn at(self, home: &str, usual: Option<&str>) -> http::Options {
        let base_url = self.base_url.unwrap_or_else(|| home.to_owned());
        let own = base_url.trim_end_matches('/') == home;
        let model = self.model.or_else(|| usual.filter(|_| own).map(str::to_owned));
        http::Options { key: self.key.to_owned(), base_url, model, ..self.http }
    }
}

#[expect(clippy::indexing_slicing, reason = "every place is below the length, and the compiler tries it")]
const fn in_order<const N: usize>(mut kinds: [&'static Kind; N]) -> [&'static Kind; N] {
    let mut sorted = 1;
    while sorted < N {
        let mut place = sorted;
        while place > 0 && kinds[place].precedes(kinds[place - 1]) {
            kinds.swap(place, place - 1);
            place -= 1;
        }
        sorted += 1;
    }
    kinds
}

#[expect(clippy::indexing_slicing, reason = "every place is below the length, and the compiler tries it")]
const fn names(kinds: &[&'static Kind]) -> [&'static str; KINDS.len()] {
    let mut names = [""; KINDS.len()];
    let mut place = 0;
    while place < names.len() {
        names[place] = kinds[place].name;
        place += 1;
    }
    names
}

/// Whether no two names are the same.
const fn differ(mut names: &[&str]) -> bool {
    while let [first, others @ ..] = names {
        let mut rest = others;
        while let [other, further @ ..] = rest {
            let (first, other) = (first.as_bytes(), other.as_bytes());
            if !is_less(first, other) && !is_less(other, first) {
                return false;
            }
            rest = further;
        }
        names = others;
    }
    true
}

const fn is_less(mut one: &[u8], mut other: &[u8]) -> bool {
    loop {
        match (one, other) {
            ([a, rest @ ..], [b, others @ ..]) if *a == *b => (one, other) = (rest, others),
            ([a, ..], [b, ..]) => return *a < *b,
            (one, other) => return one.len() < other.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::{KINDS, NAMES, Role, differ, is_less};
    use crate::platforms::{ALL, FILES};

    /// The kinds that come with the program, in the order in which their platforms have always been asked.
    const OURS: [&str; 11] = [
        "openai",
        "openai-responses",
        "anthropic",
        "gemini",
        "openrouter",
        "ollama",
        "command",
        "acp",
        "cursor",
        "local",
        "simulator",
    ];

    #[test]
    fn ours_are_in_their_old_order() {
        let ours: Vec<_> = NAMES.iter().copied().filter(|name| OURS.contains(name)).collect();
        assert_eq!(ours, OURS);
        assert_eq!(KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>(), NAMES);
        assert!(KINDS.is_sorted_by_key(|kind| (kind.rank, kind.name)));
    }

    #[test]
    fn whatever_is_in_the_folder_is_a_kind() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/platforms");
        let there: BTreeSet<_> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.path().file_stem()?.to_str().map(str::to_owned))
            .filter(|name| name != "mod")
            .collect();
        // And so is the guide's example, in this test and nowhere else.
        let listed: BTreeSet<_> = FILES.iter().map(|file| (*file).to_owned()).collect();
        assert_eq!(listed, there.into_iter().chain(["parrot".to_owned()]).collect());
        let kinds: BTreeSet<_> = ALL.iter().map(|kind| kind.name).collect();
        assert_eq!(kinds, NAMES.iter().copied().collect());
        assert_eq!(kinds.len(), FILES.len());
    }

    #[test]
    fn a_kind_that_says_no_rank_is_asked_between_those_of_others_and_our_own_model() {
        let place = |name: &str| NAMES.iter().position(|known| *known == name);
        assert!(place("cursor") < place("parrot") && place("parrot") < place("local"));
        assert_eq!(KINDS.last().map(|kind| kind.role), Some(Role::Simulator));
    }

    #[test]
    fn names_are_told_apart() {
        assert!(differ(&[]) && differ(&["a"]) && differ(&["a", "b", "ab", "ba", ""]));
        assert!(!differ(&["a", "b", "a"]) && !differ(&["x", "b", "c", "b"]));
        let names = ["", "a", "aa", "ab", "b"];
        for (place, one) in names.iter().enumerate() {
            for (other_place, other) in names.iter().enumerate() {
                assert_eq!(is_less(one.as_bytes(), other.as_bytes()), place < other_place, "{one} {other}");
            }
        }
    }

    #[test]
    fn the_guide_shows_the_example_whole() {
        let guide = include_str!("../../docs/extend/platform.md");
        let example = include_str!("../../docs/extend/parrot.rs");
        assert!(guide.contains(&format!("```rust\n{example}```\n")), "docs/extend/platform.md differs from parrot.rs");
    }
}
