//! Golden files: `golden/<type>/v<n>/<case>.bin` holds bytes as once written, `<case>.expected.json` what they mean
//! today; `golden/schema.lock` holds the fingerprint of every struct.
//!
//! Running these tests with `HISHAMOS_WRITE_GOLDEN=1` adds what is missing and rewrites the expected JSON, for review.
//! It never changes bytes or fingerprints that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::super::*;
use super::cases;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// Adds what is missing, when told to, before the first test looks.
static PREPARED: LazyLock<()> = LazyLock::new(|| {
    if std::env::var("HISHAMOS_WRITE_GOLDEN").is_ok_and(|value| value == "1") {
        write_bytes();
        write_meanings();
        write_lock();
    }
});

fn write_bytes() {
    for (case, event) in cases::all() {
        let (file, payload) = golden(&case, &event);
        if !file.exists() {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, payload).unwrap();
        }
    }
}

fn write_meanings() {
    for case in recorded() {
        let event = decode(&case.event_type, case.version, CODEC_POSTCARD, &case.payload).unwrap();
        fs::write(&case.expected, meaning(&event)).unwrap();
    }
}

fn write_lock() {
    let mut locked = locked();
    for (place, key) in current() {
        locked.entry(place).or_insert(key);
    }
    let lines = locked.iter().map(|((name, version), key)| format!("{name} {version} {key}\n"));
    fs::write(lock_file(), lines.collect::<String>()).unwrap();
}

/// Where a case's bytes are kept, and what they are when written today.
fn golden(case: &str, event: &Event) -> (PathBuf, Vec<u8>) {
    let encoded = encode(event).unwrap();
    let folder = folder().join(encoded.event_type).join(format!("v{}", encoded.schema_version));
    (folder.join(format!("{case}.bin")), encoded.payload)
}

/// A case as it is kept.
struct Recorded {
    event_type: String,
    version: u16,
    file: PathBuf,
    payload: Vec<u8>,
    expected: PathBuf,
}

/// Every case that is kept, of old versions too.
fn recorded() -> Vec<Recorded> {
    let mut found = Vec::new();
    for of_type in entries(&folder()).into_iter().filter(|path| path.is_dir()) {
        for of_version in entries(&of_type) {
            for file in entries(&of_version) {
                let Some(case) = last_name(&file).strip_suffix(".bin").map(str::to_owned) else {
                    let bytes = PathBuf::from(file.to_str().unwrap().replace(".expected.json", ".bin"));
                    assert!(bytes != file && bytes.exists(), "{} belongs to no bytes", file.display());
                    continue;
                };
                found.push(Recorded {
                    event_type: last_name(&of_type),
                    version: last_name(&of_version).strip_prefix('v').unwrap().parse().unwrap(),
                    payload: fs::read(&file).unwrap(),
                    expected: of_version.join(format!("{case}.expected.json")),
                    file,
                });
            }
        }
    }
    found
}

fn lock_file() -> PathBuf {
    folder().join("schema.lock")
}

/// The fingerprints as released.
fn locked() -> BTreeMap<(String, u16), String> {
    let text = fs::read_to_string(lock_file()).unwrap_or_default();
    text.lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [name, version, key] = words[..] else { panic!("schema.lock has the strange line `{line}`") };
            ((name.to_owned(), version.parse().unwrap()), key.to_owned())
        })
        .collect()
}

/// The fingerprints as compiled.
fn current() -> BTreeMap<(String, u16), String> {
    types()
        .iter()
        .flat_map(|known| {
            known.versions.iter().map(|version| ((known.name.to_owned(), version.number), version.key_hex()))
        })
        .collect()
}

const HINT: &str = "see docs/extend/events.md; HISHAMOS_WRITE_GOLDEN=1 adds what is new";

/// What the golden files say that an event means.
fn meaning(event: &Event) -> String {
    let json = match event {
        Event::Workflow(event) => serde_json::to_string_pretty(event),
        Event::Run(event) => serde_json::to_string_pretty(event),
        Event::Task(event) => serde_json::to_string_pretty(event),
        Event::Agent(event) => serde_json::to_string_pretty(event),
        Event::Template(event) => serde_json::to_string_pretty(event),
        Event::Limit(event) => serde_json::to_string_pretty(event),
        Event::Slots(event) => serde_json::to_string_pretty(event),
        Event::Budget(event) => serde_json::to_string_pretty(event),
        Event::Purse(event) => serde_json::to_string_pretty(event),
        Event::Webhook(event) => serde_json::to_string_pretty(event),
        Event::Delivery(event) => serde_json::to_string_pretty(event),
        Event::Hold(event) => serde_json::to_string_pretty(event),
        Event::Trigger(event) => serde_json::to_string_pretty(event),
        Event::External(event) => serde_json::to_string_pretty(event),
        Event::Seal(event) => serde_json::to_string_pretty(event),
        Event::Denial(event) => serde_json::to_string_pretty(event),
        Event::Search(event) => serde_json::to_string_pretty(event),
        Event::Subject(event) => serde_json::to_string_pretty(event),
        Event::Action(event) => serde_json::to_string_pretty(event),
    };
    json.unwrap() + "\n"
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn last_name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn every_case_has_its_golden_bytes() {
    *PREPARED;
    let mut seen = BTreeSet::new();
    for (case, event) in cases::all() {
        assert!(seen.insert((event.name(), case.clone())), "the case `{case}` of `{}` exists twice", event.name());
        let (file, payload) = golden(&case, &event);
        let golden = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}; {HINT}", file.display()));
        assert!(
            golden == payload,
            "{}: the same event is now written differently; released bytes never change, make a new version",
            file.display()
        );
    }
}

#[test]
fn golden_bytes_of_every_version_mean_what_they_meant() {
    *PREPARED;
    let mut with_cases = BTreeSet::new();
    for case in recorded() {
        let file = case.file.display();
        let event = decode(&case.event_type, case.version, CODEC_POSTCARD, &case.payload).unwrap();
        assert_eq!(event.name(), case.event_type, "{file}");
        let meant = fs::read_to_string(&case.expected);
        let meant = meant.unwrap_or_else(|error| panic!("{}: {error}; {HINT}", case.expected.display()));
        assert_eq!(meaning(&event), meant, "{file} means something else now; {HINT}");

        let rewritten = registry::rewrite(&case.event_type, case.version, &case.payload).unwrap().unwrap();
        assert!(rewritten == case.payload, "{file}: reading and writing changes the bytes");
        with_cases.insert((case.event_type, case.version));
    }
    let registered: BTreeSet<_> = current().into_keys().collect();
    assert_eq!(with_cases, registered, "every version has a golden case and every golden case a version; {HINT}");
}

#[test]
fn released_layouts_do_not_drift() {
    *PREPARED;
    let (locked, current) = (locked(), current());
    for (place, key) in &locked {
        assert_eq!(current.get(place), Some(key), "{place:?} was released with another layout; make a new version");
    }
    for place in current.keys() {
        assert!(locked.contains_key(place), "{place:?} is not in schema.lock; {HINT}");
    }
}
